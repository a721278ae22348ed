test_that("preprocessing describes itself", {
  expect_snapshot({
    seg_preprocess()
    seg_preprocess("bgr", "standardise", mean = c(0.485, 0.456, 0.406), std = 0.5)
    seg_preprocess(per_image = "percentile")
  })
})

test_that("preprocessing is applied in prediction", {
  skip_if_no_python()
  set.seed(1)
  image <- matrix(runif(16 * 32), 16)
  model <- function(...) {
    set.seed(2)
    seg_unet(1, c(a = 0, b = 1), init_features = 2, preprocess = seg_preprocess(...))
  }
  logit <- function(m, x) predict(m, x, type = "logit", precision = "float32")
  expect_equal(logit(model(mean = 0.5, std = 0.25), image),
               logit(model(), (image - 0.5) / 0.25), tolerance = 1e-5)
})

test_that("bad values are errors", {
  expect_snapshot(error = TRUE, {
    seg_preprocess("gbr")
    seg_preprocess(percentiles = c(99, 1))
    seg_preprocess(mean = "a")
    seg_preprocess(std = 0)
  })
})
