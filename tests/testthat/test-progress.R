test_that("progress says epoch, metrics and what is left", {
  report <- progress_reporter(TRUE)
  event <- function(kind, epoch, batch, metrics = list(loss = 0.5, val_iou = 0.25)) {
    list(event = kind, epoch = epoch, epochs = 2, batch = batch, batches = 2, metrics = metrics)
  }
  expect_snapshot(
    {
      report(event("begin", 0, 0, list()))
      report(event("batch", 1, 1))
      report(event("epoch", 1, 2))
      report(event("epoch", 2, 2))
      report(event("end", 2, 2, list()))
    },
    transform = function(x) sub("\\(.* left\\)", "(time left)", x)
  )
  expect_null(progress_reporter(FALSE))
  expect_null(progress_reporter())
})
