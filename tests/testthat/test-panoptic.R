ids <- matrix(c(1, 1, 2, 2, 0, 3), 2)
segments <- data.frame(id = 1:3, label = c("sky", "person", "person"),
                       isthing = c(FALSE, TRUE, TRUE), score = c(NA, 0.9, 0.8))
classes <- c(sky = 0, person = 1)
scene <- seg_panoptic(ids, segments, classes)

test_that("segments are completed and counted", {
  expect_type(scene, "integer")
  out <- attr(scene, "segments")
  expect_named(out, c("id", "class", "label", "isthing", "score", "area"))
  expect_identical(out$class, c(0L, 1L, 1L))
  expect_equal(out$area, c(2, 2, 1))
  expect_identical(as.matrix(seg_panoptic(matrix(c(NA, 1), 1), segments, classes)), matrix(0:1, 1))
})

test_that("wrong segments are classed errors", {
  expect_snapshot(error = TRUE, {
    seg_panoptic(ids, segments[1:2, ], classes)
    seg_panoptic(ids, list(1), classes)
    seg_panoptic(ids, transform(segments, label = "car"), classes)
    seg_panoptic(1:3, segments, classes)
  })
  expect_error(seg_panoptic(ids, segments[1:2, ], classes), class = "maskr_error_data")
})

test_that("a panoptic result becomes a mask with NA for void", {
  mask <- as_seg_mask(scene)
  expect_identical(as.matrix(mask), matrix(c(0L, 0L, 1L, 1L, NA, 1L), 2))
  expect_identical(attr(mask, "classes"), c(sky = 0L, person = 1L))
})

test_that("its things become instances", {
  skip_if_no_python()
  x <- as_seg_instances(scene)
  expect_identical(x$id, 2:3)
  expect_identical(x$label, c("person", "person"))
  expect_equal(x$score, c(0.9, 0.8))
  expect_identical(as.array(x), array(c(ids == 2, ids == 3), c(2, 3, 2)))
  back <- as_seg_panoptic(x)
  expect_identical(as.matrix(back), matrix(c(0L, 0L, 2L, 2L, 0L, 3L), 2))
})

test_that("a mask gives stuff, and instances lie over it", {
  mask <- seg_mask(matrix(c(0, 0, 4, 4, 0, NA), 2), c(road = 0, sky = 4))
  stuff <- as_seg_panoptic(mask)
  expect_equal(attr(stuff, "segments")$label, c("road", "sky"))
  expect_false(any(attr(stuff, "segments")$isthing))
  expect_identical(as.matrix(as_seg_mask(stuff)), as.matrix(mask))
  skip_if_no_python()
  car <- seg_instances(matrix(c(FALSE, FALSE, TRUE, TRUE, TRUE, FALSE), 2), class = 0,
                       score = 0.7, classes = c(car = 0))
  both <- as_seg_panoptic(mask, instances = car)
  rows <- attr(both, "segments")
  expect_equal(rows$label, c("road", "car"))
  expect_equal(rows$isthing, c(FALSE, TRUE))
  expect_equal(rows$area, c(2, 3))
  # the car's id 0 is taken by the road, so it gets the next free one
  expect_equal(rows$class, c(0, 5))
  wide <- seg_mask(matrix(0, 3, 3))
  expect_error(as_seg_panoptic(wide, instances = car), class = "maskr_error_shape")
})

test_that("volumes of objects live here", {
  volume <- array(c(0, 5, 5, 0, 9, 9, 9, 0), c(2, 2, 2))
  x <- as_seg_panoptic(volume, class = c(nucleus = 1))
  expect_equal(attr(x, "segments")$area, c(2, 3))
  expect_identical(as.array(as_seg_mask(x) == 1), array(volume > 0 | NA, dim(volume)))
  expect_identical(as.array(x[2, , ]), matrix(as.integer(volume[2, , ]), 2))
  expect_error(as_seg_instances(x), class = "maskr_error_shape")
})

test_that("indexing, assignment and turning keep the segments in step", {
  left <- scene[, 1:2]
  expect_s3_class(left, "seg_panoptic")
  expect_equal(attr(left, "segments")$id, 1:2)
  x <- scene
  x[1, 1] <- 3
  expect_equal(attr(x, "segments")$area, c(1, 2, 2))
  expect_error(x[1, 1] <- 8, class = "maskr_error_data")
  expect_identical(as.matrix(t(scene)), t(matrix(as.integer(ids), 2)))
  expect_identical(scene == 2, ids == 2)
  frame <- as.data.frame(scene)
  expect_equal(frame$label[frame$row == 2 & frame$col == 3], "person")
  expect_equal(frame$label[frame$segment == 0], NA_character_)
})

test_that("panoptic results are printed, summarised and saved", {
  expect_snapshot({
    scene
    print(scene, n = 1)
    summary(scene)
    format(scene)
  })
  file <- withr::local_tempfile()
  saveRDS(scene, file)
  expect_identical(readRDS(file), scene)
})
