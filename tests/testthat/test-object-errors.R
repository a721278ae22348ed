# Two true cells, a small one missed, one cut in two, two fused; a false one.
truth <- rbind(
  c(1, 1, 1, 0, 2, 2, 2, 2, 0, 0, 3, 3),
  c(1, 1, 1, 0, 2, 2, 2, 2, 0, 0, 3, 3),
  c(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  c(4, 4, 4, 5, 5, 5, 0, 0, 6, 6, 6, 6),
  c(4, 4, 4, 5, 5, 5, 0, 0, 6, 6, 6, 6)
)
prediction <- rbind(
  c(1, 1, 1, 0, 2, 2, 0, 7, 0, 0, 0, 0),
  c(1, 1, 1, 0, 2, 0, 0, 7, 0, 0, 0, 0),
  c(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9),
  c(8, 8, 8, 8, 8, 8, 0, 6, 6, 0, 0, 0),
  c(8, 8, 8, 8, 8, 8, 0, 6, 6, 0, 0, 0)
)

verdicts <- function(...) {
  skip_if_no_python()
  seg_errors(...)
}

drawn <- function(code, width = 300, height = 200) {
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file, width, height)
  tryCatch(code, finally = grDevices::dev.off())
  png::readPNG(file)
}

test_that("every object has one verdict", {
  x <- verdicts(truth, prediction, iou = 0.6)
  expect_s3_class(x, c("seg_errors", "data.frame"), exact = TRUE)
  expect_named(x, c("image", "data", "id", "class", "label", "error", "iou", "partner", "rle"))
  expect_identical(x$data, rep(c("truth", "prediction"), each = 6))
  expect_identical(x$id, c(1:6, 1:2, 6:9))
  expect_identical(as.character(x$error), c(
    "correct", "split", "missed", "merged", "merged", "poorly_outlined",
    "correct", "split", "poorly_outlined", "split", "merged", "false"
  ))
  expect_equal(x$iou, c(1, 3 / 8, 0, 0.5, 0.5, 2 / 10, 1, 3 / 8, 2 / 10, 2 / 8, 0.5, 0))
  expect_identical(x$partner[-11], c(1L, 2L, NA, 8L, 8L, 6L, 1L, 2L, 6L, 2L, NA))
  expect_true(x$partner[[11]] %in% 4:5)
  expect_identical(unique(x$label), "object")
  expect_identical(unique(x$image), 1L)
})

test_that("objects, panoptic results and matrices give the same rows", {
  skip_if_no_python()
  expected <- seg_errors(truth, prediction)
  objects <- as_seg_instances(prediction)
  expect_equal(seg_errors(as_seg_panoptic(truth), objects), expected)
  expect_equal(seg_errors(as_seg_instances(truth), prediction), expected)
  # rows in another order, ids kept
  shuffled <- seg_errors(truth, objects[6:1, ])
  expect_identical(shuffled$id, c(1:6, objects$id[6:1]))
  expect_identical(shuffled$error[12:7], expected$error[7:12])
  expect_identical(shuffled$partner[c(1, 2, 6)], expected$partner[c(1, 2, 6)])
})

test_that("the counts are those of the scores", {
  skip_if_no_python()
  x <- seg_errors(truth, prediction)
  counts <- summary(x)
  expect_named(counts, c("class", "label", "data", "objects", "correct", "missed", "false",
                         "merged", "split", "poorly_outlined"))
  expect_identical(counts$data, c("truth", "prediction"))
  expect_equal(counts$objects, c(6, 6))
  found <- python_module("metrics.bioimage")$Bioimage(class_ids = list(1L))
  mode(truth) <- mode(prediction) <- "integer"
  scores <- found$figures(found$count(truth, prediction))
  for (name in c("missed", "merged", "split", "poorly_outlined")) {
    expect_equal(counts[[name]][[1]], as.numeric(scores[[name]]$value))
  }
  expect_equal(counts$false[[2]], as.numeric(scores$false$value))
})

test_that("several images are paired by name", {
  skip_if_no_python()
  x <- seg_errors(list(a = truth, b = prediction), list(b = prediction, a = truth))
  expect_identical(unique(as.character(x$error)), "correct")
  expect_identical(unique(x$image), c("a", "b"))
  scenes <- seg_example("nuclei", n = 2, size = c(40, 64))
  x <- seg_errors(scenes, scenes$instances)
  expect_identical(unique(x$image), 1:2)
  expect_identical(unique(x$label), "nucleus")
  expect_error(seg_errors(scenes, scenes$instances[1]), "holds 2.*1",
               class = "maskr_error_argument")
  expect_error(seg_errors(list(), list()), class = "maskr_error_argument")
})

test_that("classes are matched by name", {
  skip_if_no_python()
  planes <- array(FALSE, c(4, 6, 2))
  planes[1:2, 1:3, 1] <- TRUE
  planes[3:4, 3:6, 2] <- TRUE
  a <- seg_instances(planes, class = c("cell", "debris"), classes = c(cell = 1, debris = 2))
  b <- seg_instances(planes, class = c("cell", "dust"), classes = c(dust = 1, cell = 7))
  x <- seg_errors(a, b)
  expect_identical(x$label, c("cell", "debris", "cell", "dust"))
  expect_identical(as.character(x$error), c("correct", "missed", "correct", "false"))
  expect_identical(anyDuplicated(unique(x[c("class", "label")])$class), 0L)
  expect_equal(summary(x)$objects, c(1, 1, 1, 0, 0, 1))
  expect_error(seg_errors(a, planes[, , 1] * 1), "does not say", class = "maskr_error_data")
  x <- seg_errors(a[1, ], planes[, , 1] * 4)
  expect_identical(x$label, c("cell", "cell"))
  expect_identical(x$partner, c(4L, 1L))
})

test_that("crowds have no row", {
  skip_if_no_python()
  objects <- as_seg_instances(truth)
  objects$iscrowd <- objects$id == 6
  x <- seg_errors(objects, objects)
  expect_identical(x$id, c(1:5, 1:5))
})

test_that("nothing, one side, and one pixel", {
  skip_if_no_python()
  none <- truth * 0
  x <- seg_errors(none, none)
  expect_identical(dim(x), c(0L, 9L))
  expect_equal(nrow(summary(x)), 0)
  expect_output(print(x), "0 true and 0 predicted")
  expect_silent(drawn(plot(x)))
  expect_identical(unique(as.character(seg_errors(truth, none)$error)), "missed")
  expect_identical(unique(as.character(seg_errors(none, truth)$error)), "false")
  expect_identical(as.character(seg_errors(matrix(3), matrix(5))$error), rep("correct", 2))
})

test_that("volumes are judged as volumes and drawn in slices", {
  skip_if_no_python()
  deep <- aperm(array(c(truth, truth), c(dim(truth), 2)), c(3, 1, 2))
  found <- aperm(array(c(prediction, prediction), c(dim(truth), 2)), c(3, 1, 2))
  x <- seg_errors(as_seg_panoptic(deep, class = c(cell = 4)), found)
  flat <- seg_errors(truth, prediction)
  expect_identical(x$error, flat$error)
  expect_equal(x$iou, flat$iou)
  expect_identical(unique(x$label), "cell")
  expect_true(all(is.na(x$rle)))
  picture <- seg_image(array(0.5, c(2, 5, 12, 1)))
  expect_silent(drawn(plot(x, image = picture, slice = 2)))
  expect_error(drawn(plot(x, slice = 3)), class = "maskr_error_argument")
  # all that slice 1 does not hold is gone
  found[1, , ] <- 0
  x <- seg_errors(deep, found)
  first <- maskr:::drawn_objects(x, 1, 1)
  expect_identical(unique(first$data), "truth")
  expect_error(seg_errors(deep, truth), class = "maskr_error_shape")
})

test_that("what cannot be compared is refused", {
  skip_if_no_python()
  mask <- seg_mask(truth > 0, classes = c(background = 0, cell = 1))
  expect_error(seg_errors(mask, prediction), "mask of classes", class = "maskr_error_argument")
  expect_error(seg_errors(truth, "a.png"), "a.png", class = "maskr_error_argument")
  expect_error(seg_errors(truth, prediction[-1, ]), "5 x 12.*4 x 12", class = "maskr_error_shape")
  expect_error(seg_errors(truth, -prediction), class = "maskr_error_data")
  expect_error(seg_errors(truth, prediction, iou = 0), class = "maskr_error_argument")
  expect_error(seg_errors(truth, prediction, iou = 1.2), class = "maskr_error_argument")
})

test_that("rows can be picked, saved and printed", {
  x <- verdicts(truth, prediction)
  wrong <- x[x$error != "correct", ]
  expect_s3_class(wrong, "seg_errors")
  expect_identical(attr(wrong, "sizes"), list(c(5L, 12L)))
  expect_identical(class(x[c("id", "error")]), "data.frame")
  expect_identical(class(as.data.frame(x)), "data.frame")
  file <- withr::local_tempfile()
  saveRDS(x, file)
  expect_identical(readRDS(file), x)
  expect_snapshot({
    print(x, n = 4)
    summary(x)
  })
})

test_that("the picture shows predicted outlines in their colours", {
  x <- verdicts(truth, prediction)
  picture <- seg_image(matrix(0.5, 5, 12))
  pixels <- drawn(plot(x, image = picture))
  expect_false(isTRUE(all.equal(pixels, drawn(plot(picture)))))
  has <- function(pixels, colour) {
    rgb <- grDevices::col2rgb(colour)[, 1] / 255
    any(abs(pixels[, , 1] - rgb[[1]]) + abs(pixels[, , 2] - rgb[[2]]) +
          abs(pixels[, , 3] - rgb[[3]]) < 0.02)
  }
  colours <- maskr:::error_colours
  for (kind in unique(as.character(x$error))) expect_true(has(pixels, colours[[kind]]), info = kind)
  some <- drawn(plot(x[x$error == "false", ], image = picture))
  expect_true(has(some, colours[["false"]]))
  expect_false(has(some, colours[["merged"]]))
  expect_silent(drawn(plot(x, legend = FALSE, main = "Errors")))
  expect_error(drawn(plot(x, image = matrix(0, 5, 11))), class = "maskr_error_shape")
  expect_error(drawn(plot(x, which = 2)), class = "maskr_error_argument")
  expect_error(drawn(plot(x, which = "b")), class = "maskr_error_argument")
})

test_that("ggplot2 counts the kinds", {
  skip_if_not_installed("ggplot2")
  x <- verdicts(truth, prediction)
  bars <- ggplot2::autoplot(x)
  expect_s3_class(bars, "ggplot")
  data <- bars$data
  expect_equal(data$objects[data$data == "truth" & data$error == "merged"],
               sum(x$data == "truth" & x$error == "merged"))
  expect_silent(drawn(print(bars)))
})

test_that("annotations are taken beside annotations, objects and matrices", {
  skip_if_no_python()
  a <- as_seg_instances(truth)
  b <- as_seg_instances(prediction)
  expected <- seg_errors(list(x = a, y = b), list(x = b, y = a))
  true <- as_seg_annotations(list("in/x.png" = a, "in/y.png" = b))
  found <- as_seg_annotations(list("out/y.jpg" = a, "out/x.jpg" = b))
  same <- c("data", "class", "label", "error", "iou", "rle")
  for (given in list(
    list(true, found), list(true, list(y = a, x = b)), list(list(x = a, y = b), found),
    list(true, list(y = truth, x = prediction)), list(true, list(prediction, truth))
  )) {
    errors <- seg_errors(given[[1]], given[[2]])
    expect_equal(as.data.frame(errors)[same], as.data.frame(expected)[same])
    expect_length(attr(errors, "images"), 2)
  }
  expect_error(seg_errors(true, list(z = a, x = b)), class = "maskr_error_data")
  expect_error(seg_errors(true, list(a)), class = "maskr_error_argument")
})

test_that("tibbles of objects are taken without a warning", {
  skip_if_no_python()
  objects <- as_seg_instances(truth)
  expected <- seg_errors(objects, as_seg_instances(prediction))
  strict <- strict_frame(objects)
  plain <- strict_frame(data.frame(label = "object", rle = objects$rle))
  expect_no_warning(found <- seg_errors(strict, as_seg_instances(prediction)))
  expect_equal(as.data.frame(found), as.data.frame(expected))
  expect_no_warning(seg_metrics(strict, as_seg_instances(prediction), metrics = "bioimage"))
  expect_no_warning(as_seg_panoptic(strict))
  expect_no_warning(again <- as_seg_instances(plain, size = dim(truth), classes = c(object = 1)))
  expect_equal(again$area, objects$area)
  segments <- strict_frame(data.frame(id = 1:6, label = "object"))
  expect_no_warning(seg_panoptic(truth, segments, c(object = 1)))
})
