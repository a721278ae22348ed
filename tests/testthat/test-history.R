columns <- list(
  epoch = list(1, 1, 1, 2, 2, 2), metric = list("loss", "iou", "loss", "loss", "iou", "loss"),
  data = list("train", "train", "valid", "train", "train", "valid"),
  value = list(0.9, 0.1, 0.8, 0.5, 0.4, 0.85)
)
history <- new_seg_history(columns, best_epoch = 1, monitor = "val_loss")

# A longer one, with a learning rate that changes.
long_history <- function(stopped = "") {
  epoch <- rep(1:8, each = 4)
  columns <- list(
    epoch = epoch, metric = rep(c("loss", "learning_rate", "loss", "iou"), 8),
    data = rep(c("train", "train", "valid", "valid"), 8),
    value = as.vector(rbind(1 / (1:8), 10^-(1:8), c(8:4, 5:7) / 8, (1:8) / 10)),
    seconds = c(9, rep(1.23, 7)), stopped = stopped
  )
  new_seg_history(columns, 5, "val_loss")
}

test_that("a history prints, and is a data frame", {
  expect_snapshot(history)
  frame <- as.data.frame(history)
  expect_identical(class(frame), "data.frame")
  expect_named(attributes(frame), c("names", "row.names", "class"), ignore.order = TRUE)
  expect_equal(frame$value[frame$metric == "loss" & frame$data == "valid"], c(0.8, 0.85))
})

test_that("the summary names the best epoch, and why training ended", {
  found <- summary(long_history("early stopping"))
  expect_s3_class(found, "summary.seg_history")
  expect_equal(found$best_epoch, 5)
  expect_equal(found$epochs, 8)
  expect_equal(found$seconds, 1.23)
  expect_equal(found$metrics, data.frame(
    metric = c("loss", "loss", "iou"),
    data = factor(c("train", "valid", "valid"), c("train", "valid")),
    best = c(0.2, 0.5, 0.5), last = c(0.125, 0.875, 0.8)
  ))
  expect_snapshot({
    found
    summary(long_history("interrupted"))
    summary(history)
    summary(new_seg_history(columns, 2, "epoch"))
    summary(new_seg_history(list(), 0, "val_loss"))
    long_history()
  })
})

test_that("a history plots in base graphics and ggplot2", {
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_identical(plot(history), history)
  expect_identical(plot(long_history(), metrics = "learning_rate"), long_history())
  expect_error(plot(history, metrics = "auc"), class = "maskr_error_argument")
  expect_error(plot(new_seg_history(list(), 0, "val_loss")), class = "maskr_error_data")
  skip_if_not_installed("ggplot2")
  built <- ggplot2::ggplot_build(ggplot2::autoplot(history))
  expect_equal(nrow(built$data[[1]]), 6)
  panels <- ggplot2::ggplot_build(ggplot2::autoplot(long_history()))$layout$layout$metric
  expect_setequal(as.character(panels), c("loss", "iou"))
})

test_that("a history of one epoch, or without finite values, can be plotted", {
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  columns <- list(epoch = c(1, 1), metric = c("loss", "loss"), data = c("train", "valid"),
                  value = c(1, NaN))
  expect_silent(plot(new_seg_history(columns, 1, "val_loss")))
  columns$value <- c(NaN, Inf)
  expect_silent(plot(new_seg_history(columns, 1, "val_loss")))
  skip_if_not_installed("ggplot2")
  columns$value <- c(1, 2)
  expect_silent(ggplot2::ggplot_build(ggplot2::autoplot(new_seg_history(columns, 1, "val_loss"))))
})

test_that("epochs are whole numbers on the axis, and learning rates logarithmic", {
  skip_if_not_installed("ggplot2")
  panel <- function(x) ggplot2::ggplot_build(x)$layout$panel_params[[1]]
  breaks <- panel(ggplot2::autoplot(history))$x$breaks
  expect_true(all(breaks == round(breaks), na.rm = TRUE))
  range <- panel(ggplot2::autoplot(long_history(), metrics = "learning_rate"))$y$limits
  expect_equal(range, c(-8, -1))
})
