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
