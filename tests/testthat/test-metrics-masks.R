# What masks may be given to seg_metrics(), how they are paired, and what is said of wrong ones.

truth <- matrix(c(0, 0, 1, 1, 2, NA), nrow = 2)
prediction <- matrix(c(0, 1, 1, 1, 2, 2), nrow = 2)
classes <- c(background = 0, cell = 1, border = 2)
value <- function(x, metric, class = NA) x$value[x$metric == metric & x$class %in% class]

test_that("doubles count as integers do, in every family", {
  skip_if_no_python()
  whole <- function(x) array(as.integer(x), dim(x))
  set.seed(1)
  noisy <- \(...) matrix(sample(c(0, 1, 2), 40 * 30, TRUE), 40)
  even <- \(...) kronecker(matrix(sample(c(0, 1, 2), 12, TRUE), 4), matrix(1, 100, 100))
  for (make in list(noisy, even)) {
    g <- replace(make(), 5:9, NA)
    p <- make()
    for (metrics in list(NULL, c("iou", "boundary", "surface"))) {
      expect_equal(seg_metrics(g, p, classes, metrics = metrics),
                   seg_metrics(whole(g), whole(p), classes, metrics = metrics))
    }
  }
  expect_equal(seg_metrics(truth + 2^24, prediction + 2^24)$value,
               seg_metrics(truth, prediction)$value)
  expect_equal(seg_metrics(truth * NA, prediction)$n[[1]], 0)
})

test_that("doubles that are no class ids are named", {
  skip_if_no_python()
  expect_snapshot(error = TRUE, {
    seg_metrics(truth, replace(prediction, 3, 2^31))
    seg_metrics(truth, replace(prediction, 3, -2^31))
    seg_metrics(replace(truth, 3, Inf), prediction)
    seg_metrics(list(truth, replace(truth, 3, 0.5)), list(prediction, prediction))
    seg_metrics(truth, replace(prediction, 3, -1))
    seg_metrics(truth, replace(prediction, 3, -1L), metrics = "hd95")
    seg_metrics(truth, replace(prediction, 3, -7))
  })
  for (bad in list(0.5, 2^31, -1)) {
    expect_error(seg_metrics(truth, replace(prediction, 3, bad)), class = "maskr_error_data")
  }
})

test_that("pixels that a prediction or its file lacks are left out", {
  skip_if_no_python()
  file <- withr::local_tempfile(fileext = ".png")
  seg_write_mask(seg_mask(truth, classes), file)
  expected <- seg_metrics(replace(prediction, is.na(truth), NA), replace(truth, is.na(truth), 0),
                          classes)
  expect_identical(seg_metrics(prediction, file, classes)$value, expected$value)
  expect_identical(seg_metrics(prediction, truth, classes)$value, expected$value)
  expect_identical(sum(seg_metrics(truth, truth, classes)$n[1]), sum(!is.na(truth)) + 0)
  expect_error(seg_metrics(file, replace(prediction, 3, -1)), "holds -1",
               class = "maskr_error_data")
})

# pairing ------------------------------------------------------------------------------------------

test_that("names that differ pair by stem, or not at all", {
  skip_if_no_python()
  second <- matrix(c(0, 0, 2), 1)
  expected <- seg_metrics(list(truth, second), list(prediction, second))$value
  score <- function(...) seg_metrics(...)$value
  expect_equal(score(list(a = truth, b = second), list(b.png = second, a.png = prediction)),
               expected)
  expect_error(score(list(a = truth, b = second), list(b = second, c = prediction)), "paired",
               class = "maskr_error_data")
  folder <- withr::local_tempdir()
  for (name in c("a1.png", "a2.png")) {
    mask <- list(a1.png = truth, a2.png = second)[[name]]
    seg_write_mask(seg_mask(mask, classes), file.path(folder, name))
  }
  expect_equal(score(folder, list(a2 = second, a1 = prediction)), expected)
  expect_equal(score(folder, list(prediction, second)), expected)
  expect_error(score(folder, list(a3 = prediction, a1 = second)), "a3", class = "maskr_error_data")
  expect_equal(score(list(a = truth), list(b = prediction)), score(truth, prediction))
  expect_snapshot(error = TRUE, {
    seg_metrics(list(a = truth, b = second), list(b = second, c = prediction))
  })
})

test_that("objects and segments with other names are not paired either", {
  skip_if_no_python()
  labels <- replace(matrix(0L, 8, 9), 20:23, 1L)
  cells <- as_seg_instances(labels)
  panoptic <- as_seg_panoptic(cells)
  two <- function(x, names) stats::setNames(list(x, x), names)
  for (x in list(cells, panoptic)) {
    scored <- \(...) suppressWarnings(seg_metrics(...))
    expect_error(scored(two(x, c("a", "b")), two(x, c("b", "c"))), class = "maskr_error")
    expect_equal(scored(two(x, c("a", "b")), two(x, c("b.png", "a.png")))$value,
                 scored(two(x, NULL), two(x, NULL))$value)
  }
})

test_that("names of classes and numbers need classes to be compared", {
  skip_if_no_python()
  named <- factor(c("10", "20"))[c(1, 2, 1, 1)]
  dim(named) <- c(2, 2)
  numbers <- matrix(c(10, 20, 10, 10), 2)
  expect_snapshot(error = TRUE, {
    seg_metrics(named, numbers)
    seg_metrics(truth, matrix("a", 2, 3))
    seg_metrics(named, named, classes = c("10" = 1, y = 2))
  })
  scores <- seg_metrics(named, numbers, classes = c("10" = 10, "20" = 20))
  expect_equal(value(scores, "pixel_accuracy"), 1)
  known <- seg_mask(numbers, c("10" = 10, "20" = 20))
  expect_equal(value(seg_metrics(named, known), "pixel_accuracy"), 1)
})

# what is said of mistakes -------------------------------------------------------------------------

test_that("errors name the image", {
  skip_if_no_python()
  images <- function(...) stats::setNames(list(...), c("left", "right"))
  probable <- matrix(0.5, 2, 3)
  expect_snapshot(error = TRUE, {
    seg_metrics(images(truth, truth), images(prediction, t(prediction)))
    seg_metrics(images(truth, truth), images(prediction, prediction + 3), classes)
    seg_metrics(images(truth > 0, truth > 0), images(probable, 3 * probable), thresholds = 0.5)
    seg_metrics(list(truth > 0, truth > 0), list(probable, 3 * probable), thresholds = 0.5)
  })
  of_size <- \(...) as_seg_instances(replace(matrix(0L, ...), 5:6, 1L))
  expect_error(seg_metrics(images(of_size(4, 5), of_size(4, 5)),
                           images(of_size(4, 5), of_size(5, 5))), "\"right\"",
               class = "maskr_error_shape")
  segments <- \(...) as_seg_panoptic(of_size(...))
  suppressWarnings(expect_error(
    seg_metrics(images(segments(4, 5), segments(4, 5)), images(segments(4, 5), segments(5, 5))),
    "\"right\"", class = "maskr_error_shape"
  ))
})

test_that("errors point to what was meant", {
  skip_if_no_python()
  scenes <- seg_example("nuclei", n = 2, size = c(32, 40))
  spaced <- function(x, spacing) structure(seg_mask(x), spacing = spacing)
  expect_snapshot(error = TRUE, {
    seg_metrics(truth)
    seg_metrics(prediction = truth)
    seg_metrics(truth, prediction, metric = "iou")
    seg_metrics(truth, prediction, metrics = "jaccard")
    seg_metrics(seg_dataset(scenes$images, scenes$masks), scenes$masks)
    seg_metrics(truth, prediction, classes = c(a = 0, b = 0))
    seg_metrics(truth > 0, matrix(0.5, 2, 3), metrics = "average_precision")
    seg_metrics(truth > 0, matrix(0.5, 2, 3))
    seg_metrics(spaced(prediction, c(1, 2)), spaced(prediction, c(2, 1)), metrics = "assd")
  })
})

test_that("bands of boundaries are whole steps, at least one", {
  skip_if_no_python()
  g <- replace(matrix(0, 20, 30), cbind(rep(5:12, 10), rep(5:14, each = 8)), 1)
  p <- rbind(0, g[-20, ])
  score <- function(width) {
    value(seg_metrics(g, p, metrics = "boundary_iou", width = width), "boundary_iou", 1)
  }
  expect_equal(score(0), score(1))
  expect_gt(score(2), score(1))
})

test_that("the curve of thresholds has its own default", {
  skip_if_no_python()
  g <- rbind(c(1, 1, 0, 0), c(1, NA, 1, 0))
  p <- array(c(seq(0, 0.7, 0.1), seq(1, 0.3, -0.1)), c(2, 4, 2))
  score <- function(...) {
    seg_metrics(g, p, c(a = 0, b = 1), metrics = "average_precision", ...)$value
  }
  expect_equal(score(), score(thresholds = seq(0, 1, 0.05)))
  expect_false(identical(score(), score(thresholds = 0.5)))
})

test_that("images alone cannot be evaluated", {
  skip_if_no_python()
  model <- seg_unet(in_channels = 1, classes = c(background = 0, nucleus = 1), init_features = 2)
  images <- list(matrix(0.5, 32, 32), matrix(0.2, 32, 32), matrix(0.1, 32, 32))
  expect_snapshot(error = TRUE, {
    seg_evaluate(model, images)
  })
  masks <- rep(list(matrix(0L, 32, 32)), 3)
  expect_s3_class(seg_evaluate(model, images, masks), "seg_metrics")
})

test_that("masks of 0 and 255 beside such of 0 and 1 are an error that says so", {
  skip_if_no_python()
  truth <- matrix(c(0, 0, 1, 1, 0, 1), 2)
  full <- 255 * truth
  for (object in c(255, 65535)) {
    for (pair in list(list(truth, object * truth), list(object * truth, truth))) {
      error <- expect_error(seg_metrics(pair[[1]], pair[[2]]), class = "maskr_error_data")
      expect_match(conditionMessage(error), paste("holds 0 and", object), fixed = TRUE)
    }
  }
  expect_error(seg_metrics(seg_mask(truth), seg_mask(full)), "/ 255", class = "maskr_error_data")
  expect_error(seg_metrics(truth, full, classes = c(background = 0, nucleus = 1)), "x / 255",
               class = "maskr_error_data")
  # both alike, more classes, and 255 as a class with a name are fine
  expect_equal(seg_metrics(full, full)$value, seg_metrics(truth, truth)$value)
  expect_s3_class(seg_metrics(truth * 2, full), "seg_metrics")
  named <- c(background = 0, cell = 1, border = 255)
  expect_s3_class(seg_metrics(seg_mask(truth, named), seg_mask(full, named)), "seg_metrics")
  expect_s3_class(seg_metrics(truth, full, classes = named), "seg_metrics")
  # an empty truth says nothing
  expect_s3_class(seg_metrics(truth * 0, full), "seg_metrics")
})
