classes <- c(sky = 4, cell = 7, dirt = 9)
panoptic <- function(ids, labels, things = labels != "sky", ..., known = classes) {
  segments <- data.frame(id = seq_along(labels), label = labels, isthing = things, ...)
  seg_panoptic(ids, segments, known)
}
truth <- panoptic(matrix(c(1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 2, 2, 3, 2, 2, 3), 3),
                  c("sky", "cell", "cell"))
prediction <- panoptic(matrix(c(1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3), 3),
                       c("sky", "cell", "dirt"))
score <- function(x, metric, class = NA) x$value[x$metric == metric & x$class %in% class]

test_that("the scores of a scene are those worked out by hand", {
  skip_if_no_python()
  found <- seg_metrics(truth, prediction)
  expect_s3_class(found, "seg_metrics")
  expect_equal(attr(found, "classes"), c(sky = 4, cell = 7, dirt = 9))
  expect_equal(score(found, "pq", 4), 8 / 9)
  expect_equal(score(found, "pq", c(7, 9)), c(0, 0))
  expect_equal(score(found, "pq"), 8 / 27)
  expect_equal(score(found, "pq_stuff"), 8 / 9)
  expect_equal(score(found, "rq_things"), 0)
  expect_equal(found$n[found$metric == "pq"], c(3, 1, 2, 0))
  itself <- seg_metrics(truth, truth)
  expect_true(all(itself$value == 1))
  expect_equal(attr(itself, "classes"), c(sky = 4, cell = 7))
  all <- seg_metrics(truth, truth, classes = c(classes, sea = 1))
  expect_identical(score(all, "pq", c(9, 1)), c(NA_real_, NA_real_))
})

test_that("the shared results of panopticapi come out", {
  skip_if_no_python()
  place <- shared_data("panoptic")
  truth <- seg_read_annotations(file.path(place, "sample_data", "panoptic_examples.json"))
  prediction <- seg_read_annotations(file.path(place, "perturbed_pred", "perturbed.json"))
  found <- seg_metrics(truth, prediction)
  expected <- c(pq = 54.40, sq = 65.41, rq = 71.04, pq_things = 33.99, sq_things = 48.94,
                rq_things = 50.42, pq_stuff = 74.81, sq_stuff = 81.87, rq_stuff = 91.67)
  for (metric in names(expected)) {
    expect_equal(round(100 * score(found, metric), 2), expected[[metric]], label = metric)
  }
  expect_equal(score(found, "pq"), 0.544002099004402, tolerance = 1e-14)
  expect_equal(score(found, "pq", 184), 0.9182925155512198, tolerance = 1e-14)
  itself <- seg_metrics(truth, truth)
  expect_true(all(itself$value == 1))
  expect_length(attr(itself, "classes"), 8)
  # the same from R's own arrays, in another order, against the file
  files <- rev(prediction$images$file)
  arrays <- lapply(stats::setNames(files, files), \(file) as_seg_panoptic(prediction, file))
  expect_equal(seg_metrics(truth, arrays), found)
  each <- seg_metrics(truth, prediction, per_image = TRUE)
  expect_setequal(stats::na.omit(each$image), truth$images$file)
})

test_that("crowds and void excuse predictions", {
  skip_if_no_python()
  ids <- matrix(c(1, 1, 1, 1, 0, 2), 1)
  crowd <- panoptic(ids, c("cell", "dirt"), iscrowd = c(TRUE, FALSE))
  found <- suppressWarnings(
    seg_metrics(crowd, panoptic(matrix(c(1, 1, 1, 1, 1, 2), 1), c("cell", "dirt"))),
    classes = "maskr_warning_void"
  )
  expect_equal(attr(found, "classes"), c(dirt = 9))
  expect_equal(score(found, "pq"), 1)
  single <- panoptic(ids, c("cell", "dirt"))
  expect_warning(same <- seg_metrics(single, single), class = "maskr_warning_void")
  expect_equal(score(same, "pq"), 1)
})

test_that("truths of things and void are warned of", {
  skip_if_no_python()
  labels <- matrix(0L, 40, 60)
  labels[5:14, 5:14] <- 1L
  found <- labels
  found[5:14, 15:24] <- 1L
  found[20:29, 30:39] <- 2L
  x <- as_seg_panoptic(labels)
  y <- as_seg_panoptic(found)
  said <- expect_warning(hidden <- seg_metrics(x, y), class = "maskr_warning_void")
  expect_match(conditionMessage(said), "bioimage")
  expect_equal(score(hidden, "pq"), 1)
  expect_no_warning(seen <- seg_metrics(x, y, metrics = "bioimage"))
  expect_equal(score(seen, "pq"), 1 / 3)
  expect_equal(score(seen, "sq", 1), 1 / 2)
  expect_equal(score(seen, "rq"), score(seen, "f1"))
  expect_equal(seg_metrics(as_seg_instances(x), as_seg_instances(y), metrics = "pq")$value,
               c(1, 1) / 3)
  expect_no_warning(seg_metrics(truth, prediction))
  full <- as_seg_panoptic(matrix(1:6, 2))
  expect_no_warning(seg_metrics(full, full))
})

test_that("classes are matched by name", {
  skip_if_no_python()
  other <- panoptic(as.array(prediction), c("sky", "cell", "dirt"),
                    known = c(cell = 1, dirt = 4, sky = 7))
  expect_equal(seg_metrics(truth, other), seg_metrics(truth, prediction))
  more <- panoptic(as.array(prediction), c("sky", "cell", "moon"), known = c(classes, moon = 1))
  expect_equal(attr(seg_metrics(truth, more), "classes"), c(sky = 4, cell = 7, moon = 1))
  expect_error(seg_metrics(truth, more, classes = classes), "moon", class = "maskr_error_data")
})

test_that("images are paired by name or place", {
  skip_if_no_python()
  both <- seg_metrics(list(a = truth, b = prediction), list(b = prediction, a = truth))
  expect_true(all(both$value == 1))
  turned <- seg_metrics(list(truth, prediction), list(prediction, truth), per_image = TRUE)
  expect_equal(unique(turned$image), c(NA, 1:2))
  pq <- turned[turned$metric == "pq" & is.na(turned$class), ]
  expect_equal(pq$value[[2]], score(seg_metrics(truth, prediction), "pq"))
})

test_that("volumes, single pixels and images without segments are scored", {
  skip_if_no_python()
  volume <- panoptic(array(c(1, 1, 2, 0, 2, 2, 1, 1, 0, 0, 2, 1), c(2, 2, 3)), c("sky", "cell"))
  expect_equal(score(seg_metrics(volume, volume), "pq"), 1)
  pixel <- panoptic(matrix(1), "cell")
  expect_equal(score(seg_metrics(pixel, pixel), "pq"), 1)
  nothing <- panoptic(matrix(0), character())
  expect_equal(score(seg_metrics(pixel, nothing), "pq"), 0)
  expect_identical(score(seg_metrics(nothing, nothing), "pq"), NA_real_)
  expect_identical(score(seg_metrics(nothing, pixel), "pq"), NA_real_)
})

test_that("rows are chosen, averaged over images and get intervals", {
  skip_if_no_python()
  images <- list(truth, truth, prediction)
  predicted <- list(prediction, truth, prediction)
  chosen <- seg_metrics(images, predicted, metrics = "pq")
  expect_setequal(chosen$metric, "pq")
  mean <- seg_metrics(images, predicted, aggregate = "mean", metrics = "pq_stuff")
  expect_equal(mean$value, (8 / 9 + 2) / 3)
  set.seed(3)
  sure <- seg_metrics(images, predicted, ci = TRUE)
  expect_true(all(sure$lower <= sure$upper, na.rm = TRUE))
  expect_lte(sure$lower[[1]], sure$value[[1]])
})

test_that("wrong input is a classed error", {
  skip_if_no_python()
  expect_error(seg_metrics(truth, truth[, 1:4]), "3 x 6 and 3 x 4", class = "maskr_error_shape")
  expect_error(seg_metrics(list(truth, truth), list(truth)), class = "maskr_error_argument")
  expect_error(seg_metrics(list(truth, 3), list(truth, truth)), "the number 3",
               class = "maskr_error_argument")
  stuff <- panoptic(as.array(prediction), c("sky", "cell", "dirt"), things = FALSE)
  expect_error(seg_metrics(truth, stuff), "of things in", class = "maskr_error_data")
  expect_error(seg_metrics(list(truth, stuff), list(truth, stuff)), "both in",
               class = "maskr_error_data")
  expect_error(panoptic(matrix(1), "cell", iscrowd = NA), "iscrowd", class = "maskr_error_data")
})

test_that("segments keep their crowds on the way", {
  x <- panoptic(matrix(c(1, 1, 2, 3), 2), c("sky", "cell", "cell"), iscrowd = c(FALSE, FALSE, TRUE))
  expect_identical(attr(x, "segments")$iscrowd, c(FALSE, FALSE, TRUE))
  expect_null(attr(x[, 1], "segments")$iscrowd)
  expect_identical(attr(t(x), "segments")$iscrowd, c(FALSE, FALSE, TRUE))
  expect_null(attr(truth, "segments")$iscrowd)
  expect_match(paste(capture.output(print(x)), collapse = "\n"), "iscrowd")
  skip_if_no_python()
  expect_identical(as_seg_instances(x)$iscrowd, c(FALSE, TRUE))
  expect_identical(attr(as_seg_panoptic(as_seg_instances(x)), "segments")$iscrowd, c(FALSE, TRUE))
  annotated <- as_seg_annotations(list(a.png = x))
  expect_identical(annotated$objects$iscrowd, c(FALSE, FALSE, TRUE))
  back <- attr(as_seg_panoptic(annotated), "segments")
  expect_identical(back$label[back$iscrowd], "cell")
  file <- withr::local_tempfile(fileext = ".json")
  suppressMessages(seg_write_annotations(annotated, file, "coco_panoptic", verbose = FALSE))
  read <- attr(as_seg_panoptic(seg_read_annotations(file)), "segments")
  expect_identical(read$label[read$iscrowd], "cell")
  expect_equal(read$area[read$iscrowd], 1)
  mask <- seg_mask(matrix(4, 2, 2), c(sky = 4))
  over <- attr(as_seg_panoptic(mask, instances = as_seg_instances(x)), "segments")
  expect_identical(over$iscrowd, c(FALSE, FALSE, TRUE))
})

test_that("results of the same images can be compared", {
  skip_if_no_python()
  images <- list(truth, prediction, truth)
  set.seed(1)
  a <- seg_metrics(images, list(prediction, prediction, truth), ci = TRUE, classes = classes)
  set.seed(1)
  b <- seg_metrics(images, images, ci = TRUE, classes = classes)
  found <- py_call("metrics.results", "compare", attr(a, "state"), attr(b, "state"), "pooled",
                   list(level = 0.95, replicates = 50L, seed = 1L))
  difference <- b$value[[1]] - a$value[[1]]
  expect_true(found$lower[[1]] <= difference && difference <= found$upper[[1]])
  one <- seg_metrics(list(truth[, 4:6], truth[, 4:6]), list(truth[, 4:6], truth[, 4:6]), ci = TRUE)
  expect_true(all(one$value[one$metric == "pq"] == 1))
  same <- py_call("metrics.results", "compare", attr(one, "state"), attr(one, "state"), "mean",
                  list(level = 0.95, replicates = 50L, seed = 1L))
  expect_true(all(c(same$lower, same$upper) %in% c(0, NaN)))
})
