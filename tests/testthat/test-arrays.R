# What crosses the border: values and order, compared with numpy.

# `x` as numpy sees it after maskr has taken it in, as a plain R array of float32 values.
crossed_image <- function(x) {
  arrays <- python_module("arrays")
  arrays$image_from_r(bare_image(x))
}

# 2 x 3 x 4 values that differ in every place; halves are exact in float32
asymmetric <- function(...) array(seq_len(prod(...)) / 2, dim = c(...))

test_that("an image crosses as [C, H, W] with every value in its place", {
  x <- asymmetric(2, 3, 4)
  there <- crossed_image(x)
  expect_equal(dim(there), c(4, 2, 3))
  expect_equal(aperm(there, c(2, 3, 1)), x)
})

test_that("a matrix is an image of one channel", {
  x <- asymmetric(2, 5)
  expect_equal(crossed_image(x), array(x, c(1, 2, 5)))
})

test_that("numpy holds contiguous float32 in its own order", {
  skip_if_no_python()
  # numpy's own reading of the same numbers: columns are the fastest, then rows, then channels
  probe <- reticulate::py_run_string(
    "def describe(x): return [str(x.dtype), bool(x.flags.c_contiguous), x.ravel().tolist()]",
    local = TRUE, convert = FALSE
  )$describe
  arrays <- reticulate::import_from_path(
    "maskr.arrays", system.file("python", package = "maskr"), convert = FALSE
  )
  out <- reticulate::py_to_r(probe(arrays$image_from_r(array(1:12, c(2, 3, 2)))))
  expect_equal(out[[1]], "float32")
  expect_true(out[[2]])
  expect_equal(unlist(out[[3]]), c(1, 3, 5, 2, 4, 6, 7, 9, 11, 8, 10, 12))
})

test_that("what R holds is not changed, and may be read-only", {
  x <- matrix(c(1L, NA, 3L, 4L, 5L, 6L), 2)
  arrays <- python_module("arrays")
  ids <- arrays$mask_from_r(bare_mask(x))
  expect_equal(ids, matrix(c(1L, -1L, 3L, 4L, 5L, 6L), 2))
  expect_identical(x, matrix(c(1L, NA, 3L, 4L, 5L, 6L), 2))
})

test_that("integers, logicals and raw bytes cross with their values", {
  expect_equal(crossed_image(matrix(1:6, 2)), array(1:6 + 0, c(1, 2, 3)))
  flags <- matrix(c(TRUE, FALSE, TRUE, TRUE), 1)
  expect_equal(crossed_image(flags), array(c(1, 0, 1, 1), c(1, 1, 4)))
  expect_equal(crossed_image(matrix(as.raw(c(0, 127, 255)), 1)), array(c(0, 127, 255), c(1, 1, 3)))
})

test_that("16-bit values are exact", {
  x <- matrix(c(0, 1, 255, 256, 65534, 65535), 2)
  expect_equal(crossed_image(x)[1, , ], x)
})

test_that("one pixel keeps its dimensions", {
  expect_equal(crossed_image(matrix(0.5)), array(0.5, c(1, 1, 1)))
  expect_equal(crossed_image(array(c(0.5, 1), c(1, 1, 2))), array(c(0.5, 1), c(2, 1, 1)))
  arrays <- python_module("arrays")
  expect_equal(arrays$mask_to_r(arrays$mask_from_r(matrix(NA_integer_))), matrix(NA_integer_))
})

test_that("masks keep values and NA both ways, in two and three dimensions", {
  arrays <- python_module("arrays")
  for (size in list(c(2, 3), c(2, 3, 4), c(1, 5), c(5, 1))) {
    x <- array(seq_len(prod(size)), size)
    x[[2]] <- NA
    expect_identical(arrays$mask_to_r(arrays$mask_from_r(x)), x)
  }
})

test_that("logical and double masks carry their NA", {
  expect_identical(bare_mask(matrix(c(TRUE, NA, FALSE), 1)), matrix(c(1L, NA, 0L), 1))
  expect_identical(bare_mask(matrix(c(2, NA, 0), 1)), matrix(c(2L, NA, 0L), 1))
  expect_identical(bare_mask(matrix(as.raw(0:2), 1)), matrix(0:2, 1))
})

test_that("missing values in images are NaN, infinite ones data errors", {
  skip_if_no_python()
  arrays <- python_module("arrays")
  for (missing in list(NA_real_, NaN, NA_integer_)) {
    x <- arrays$image_from_r(bare_image(matrix(c(missing, 1L), 1)))
    expect_identical(as.vector(is.nan(x)), c(TRUE, FALSE))
    prob <- bare_image(matrix(c(missing, 1L), 1))
    expect_error(py_try(arrays$channels_first(prob)), "in 1 pixel", class = "maskr_error_data")
  }
  expect_error(py_try(arrays$image_from_r(matrix(Inf, 1, 2))), "infinite values in 2 pixels",
               class = "maskr_error_data")
})

test_that("whole doubles become integers, others are refused by the name of their argument", {
  mine <- matrix(c(3, NA, -7, 0, 2^31 - 1, NaN), 2)
  expect_identical(bare_mask(mine), matrix(c(3L, NA, -7L, 0L, .Machine$integer.max, NA), 2))
  for (bad in list(2^31, -2^31, Inf, 1e300, 0.5)) {
    mine[2, 2] <- bad
    error <- expect_error(bare_mask(mine), class = "maskr_error_data")
    expect_match(conditionMessage(error), "`mine`")
    expect_match(conditionMessage(error), if (bad == 0.5) "fractions" else "below 2^31",
                 fixed = TRUE)
  }
})

test_that("factors, empty arrays and other dimensions are shape errors", {
  expect_error(bare_mask(structure(factor(c("a", "b")), dim = 1:2)), class = "maskr_error_shape")
  expect_error(bare_mask(matrix(integer(), 0, 3)), class = "maskr_error_shape")
  expect_error(bare_image(array(0, c(0, 2, 3))), class = "maskr_error_shape")
  expect_error(bare_image(1:3), class = "maskr_error_shape")
  expect_error(bare_image(array(0, c(1, 2, 3, 4))), class = "maskr_error_shape")
  expect_error(bare_image(matrix("a")), class = "maskr_error_shape")
  expect_error(bare_mask(matrix(0.5)), class = "maskr_error_data")
})
