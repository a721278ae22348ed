test_that("the device can be asked for and set", {
  skip_if_no_python()
  withr::defer(seg_device("auto"))
  expect_equal(seg_device("cpu"), "cpu")
  expect_equal(seg_device(), "cpu")
  expect_snapshot(error = TRUE, {
    seg_device("gpu")
    seg_device(1)
  })
  expect_error(seg_device("cuda:99"), class = "maskr_error_device")
})
