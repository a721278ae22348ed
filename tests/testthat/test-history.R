history <- new_seg_history(
  list(epoch = list(1, 1, 1, 2, 2, 2), metric = list("loss", "iou", "loss", "loss", "iou", "loss"),
       data = list("train", "train", "valid", "train", "train", "valid"),
       value = list(0.9, 0.1, 0.8, 0.5, 0.4, 0.85)),
  best_epoch = 1, monitor = "val_loss"
)

test_that("a history prints, and is a data frame", {
  expect_snapshot(history)
  frame <- as.data.frame(history)
  expect_identical(class(frame), "data.frame")
  expect_equal(frame$value[frame$metric == "loss" & frame$data == "valid"], c(0.8, 0.85))
})

test_that("a history plots in base graphics and ggplot2", {
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_identical(plot(history), history)
  expect_error(plot(history, metrics = "auc"), class = "maskr_error_argument")
  skip_if_not_installed("ggplot2")
  built <- ggplot2::ggplot_build(ggplot2::autoplot(history))
  expect_equal(nrow(built$data[[1]]), 6)
})

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
