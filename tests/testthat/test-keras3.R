# maskr beside keras3, which changes how Python's objects become those of R.

# What the models of a fresh R process lived through, and what that process printed. `before` and
# `after` are code that runs before maskr first touches Python, and after.
life_in_fresh_r <- function(before = NULL, after = NULL) {
  result <- withr::local_tempfile(fileext = ".rds")
  helper <- normalizePath(testthat::test_path("helper-keras3.R"))
  out <- fresh_r(c(
    "Sys.setenv(TESTTHAT = 'true')",
    "library(maskr)",
    sprintf("source('%s')", helper),
    before,
    "stopifnot(seg_available())",
    "seg_device()",
    after,
    sprintf("saveRDS(live_with_models(), '%s')", result)
  ), env = "MASKR_TEST_KERAS3=")
  if (!file.exists(result)) stop(out)
  readRDS(result)
}

test_that("models live the same life with keras3's methods, in either order of loading", {
  skip_on_cran()
  skip_if_no_python()
  alone <- life_in_fresh_r()
  expect_identical(alone$classes[[1]][[1]], "seg_model")
  expect_length(alone$notes, 1)
  expect_identical(life_in_fresh_r(before = "act_as_keras3()"), alone)
  expect_identical(life_in_fresh_r(after = "act_as_keras3()"), alone)
})

test_that("models live beside keras3 itself, in either order of loading", {
  skip_on_cran()
  skip_if_no_python()
  skip_if_not_installed("keras3")
  alone <- life_in_fresh_r()
  load <- "suppressMessages(library(keras3))"
  expect_identical(life_in_fresh_r(before = load), alone)
  expect_identical(life_in_fresh_r(after = load), alone)
})
