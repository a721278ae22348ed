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
    seg_metrics(truth, replace(prediction, 3, NA))
    seg_metrics(truth, replace(prediction, 3, NaN))
    seg_metrics(truth, replace(prediction, 3, 2^31))
    seg_metrics(truth, replace(prediction, 3, -2^31))
    seg_metrics(replace(truth, 3, Inf), prediction)
    seg_metrics(list(truth, replace(truth, 3, 0.5)), list(prediction, prediction))
    seg_metrics(truth, replace(prediction, 3, -1))
    seg_metrics(truth, replace(prediction, 3, -1L), metrics = "hd95")
    seg_metrics(truth, replace(prediction, 3, -7))
  })
  for (bad in list(NA, 0.5, 2^31, -1)) {
    expect_error(seg_metrics(truth, replace(prediction, 3, bad)), class = "maskr_error_data")
  }
})

test_that("ignored pixels of a predicted file are missing", {
  skip_if_no_python()
  file <- withr::local_tempfile(fileext = ".png")
  seg_write_mask(seg_mask(truth, classes), file)
  expect_error(seg_metrics(prediction, file), "missing values", class = "maskr_error_data")
  expect_error(seg_metrics(file, replace(prediction, 3, -1)), "holds -1", class = "maskr_error_data")
})
