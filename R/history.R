# Training histories: one row per epoch, metric and kind of data.

# `columns`: epoch, metric, data ("train" or "valid"), value, each a vector or list; perhaps also
# `seconds` of each epoch and `stopped`, why training ended early ("" where it did not).
new_seg_history <- function(columns, best_epoch, monitor) {
  frame <- data.frame(
    epoch = as.integer(unlist(columns$epoch)),
    metric = as.character(unlist(columns$metric)),
    data = factor(as.character(unlist(columns$data)), levels = c("train", "valid")),
    value = as.double(unlist(columns$value))
  )
  structure(frame, best_epoch = as.integer(best_epoch), monitor = monitor,
            stopped = columns$stopped %||% "", seconds = as.double(unlist(columns$seconds)),
            class = c("seg_history", "data.frame"))
}

#' Training history
#'
#' What [fit()][fit.seg_model()] returns: a plain data frame with columns `epoch`, `metric`, `data`
#' (`"train"` or `"valid"`) and `value`. Attributes: `best_epoch`; `monitor`, the metric that judged
#' it (`"epoch"` without validation data: the last epoch is kept); `stopped`, why training ended
#' before its last epoch (`"early stopping"`, `"interrupted"`, `"not finite"`) or `""`; `seconds`,
#' how long each epoch took.
#'
#' `summary()` sets the best and the last epoch beside each other: where training scores are far
#' better than validation scores, or the last epoch is far worse than the best, the model
#' overfits. With a learning rate that changes, its value at the end of each epoch is the metric
#' `learning_rate`, which is plotted where `metrics` names it, by its logarithm (in `autoplot()`
#' where it is the only one).
#'
#' @param x,object A `seg_history`.
#' @param y Ignored.
#' @param metrics Names of the metrics to show; by default all but the learning rate.
#' @param ... For `plot()`, arguments of [graphics::matplot()]; for
#'   `autoplot()` it must be empty, else it is not used.
#' @return `plot()` and `print()` return their argument invisibly, `autoplot()` a ggplot, and
#'   `summary()` a list of class `summary.seg_history`: `epochs`, `best_epoch`, `monitor`,
#'   `metrics` (a data frame with the columns `metric`, `data`, `best` and `last`: the values in
#'   these two epochs), `stopped` and `seconds` (the median of an epoch, `NA` if unknown).
#' @name seg_history
#' @concept training
#' @examplesIf seg_available()
#' scenes <- seg_example("nuclei", n = 4, size = c(64, 64))
#' model <- seg_unet(in_channels = 1, classes = scenes$classes, init_features = 4)
#' history <- fit(model, scenes, epochs = 2)
#' history
#' summary(history)
#' plot(history)
NULL

#' @rdname seg_history
#' @export
print.seg_history <- function(x, ...) {
  if (nrow(x) == 0) {
    cat("<seg_history> no epoch was finished\n")
    return(invisible(x))
  }
  cat("<seg_history> ", epochs_words(max(x$epoch)), ", ",
      best_words(attr(x, "best_epoch"), attr(x, "monitor"), max(x$epoch)), "\n", sep = "")
  best <- x[x$epoch == attr(x, "best_epoch") & x$metric != "learning_rate", ]
  print_wide(best$metric, best$data, best$value)
  invisible(x)
}

epochs_words <- function(n) if (n == 1) "1 epoch" else paste(n, "epochs")

best_words <- function(best, monitor, epochs) {
  if (best == 0) return("none with finite metrics")
  if (monitor != "epoch") return(paste0("best: ", best, " (by ", monitor, ")"))
  if (best == epochs) "the last is kept" else paste0("the last finite one is kept: ", best)
}

# The epoch that validation data chose, for plots; NULL where none was chosen.
chosen_epoch <- function(x) {
  if (attr(x, "monitor") != "epoch" && attr(x, "best_epoch") > 0) attr(x, "best_epoch")
}

# A table of values with one row for each metric.
print_wide <- function(metric, column, value) {
  if (length(value) == 0) return(invisible())
  wide <- tapply(value, list(metric, column), mean)
  wide <- wide[unique(metric), colSums(!is.na(wide)) > 0, drop = FALSE]
  print(round(wide, 4))
}

#' @rdname seg_history
#' @export
summary.seg_history <- function(object, ...) {
  epochs <- max(object$epoch, 0L)
  best <- attr(object, "best_epoch")
  at <- function(epoch) {
    frame <- as.data.frame(object)[object$epoch == epoch & object$metric != "learning_rate", ]
    stats::setNames(frame[c("metric", "data", "value")], c("metric", "data", "value"))
  }
  metrics <- at(best)
  last <- at(epochs)
  both <- match(paste(metrics$metric, metrics$data), paste(last$metric, last$data))
  seconds <- attr(object, "seconds")
  structure(list(
    epochs = epochs, best_epoch = best, monitor = attr(object, "monitor"),
    metrics = data.frame(metric = metrics$metric, data = metrics$data, best = metrics$value,
                         last = last$value[both]),
    stopped = attr(object, "stopped") %||% "",
    seconds = if (length(seconds) > 0) stats::median(seconds) else NA_real_
  ), class = "summary.seg_history")
}

#' @export
print.summary.seg_history <- function(x, ...) {
  if (x$epochs == 0) {
    cat("no epoch was finished\n")
    return(invisible(x))
  }
  cat("epochs: ", x$epochs, stopped_words(x$stopped), if (!is.na(x$seconds)) {
    paste0(", ", format(signif(x$seconds, 2)), " s each")
  }, "\n", sep = "")
  if (x$best_epoch == 0) {
    cat("best:   none with finite metrics\n")
  } else if (x$monitor == "epoch") {
    cat("kept:   epoch ", x$best_epoch, "; there was no validation data to judge by\n\n", sep = "")
  } else {
    judge <- x$metrics[paste0(ifelse(x$metrics$data == "valid", "val_", ""), x$metrics$metric) ==
                         x$monitor, ]
    cat("best:   epoch ", x$best_epoch, ", by ", x$monitor,
        if (nrow(judge) == 1) paste0(" (", format(round(judge$best, 4)), ")"), "\n\n", sep = "")
  }
  print_best_and_last(x)
  invisible(x)
}

print_best_and_last <- function(x) {
  wide <- x$metrics
  if (x$best_epoch == 0) return(invisible())
  if (x$best_epoch == x$epochs) return(print_wide(wide$metric, wide$data, wide$best))
  column <- function(epoch) paste0(wide$data, ", epoch ", epoch)
  columns <- c(column(x$best_epoch), column(x$epochs))
  data <- sort(unique(wide$data))
  columns <- factor(columns, c(outer(data, c(x$best_epoch, x$epochs), paste, sep = ", epoch ")))
  print_wide(rep(wide$metric, 2), columns, c(wide$best, wide$last))
}

stopped_words <- function(stopped) {
  switch(stopped, "early stopping" = ", stopped early: no more improvement",
         interrupted = ", then interrupted", "not finite" = ", until the loss was not finite",
         if (nzchar(stopped)) paste0(", ended: ", stopped))
}

#' @rdname seg_history
#' @export
as.data.frame.seg_history <- function(x, ...) {
  attributes(x)[c("best_epoch", "monitor", "stopped", "seconds")] <- NULL
  class(x) <- "data.frame"
  x
}

#' @rdname seg_history
#' @export
plot.seg_history <- function(x, y, metrics = NULL, ...) {
  metrics <- check_metrics(metrics, x)
  columns <- min(length(metrics), 3)
  rows <- ceiling(length(metrics) / columns)
  old <- graphics::par(mfrow = c(rows, columns), mar = c(3.6, 3.8, 2.2, 0.8),
                       oma = c(0, 0, 1.4, 0), mgp = c(2, 0.6, 0), las = 1)
  on.exit(graphics::par(old))
  best <- chosen_epoch(x)
  for (metric in metrics) plot_metric(x[x$metric == metric, ], metric, best, ...)
  curves <- setdiff(metrics, "learning_rate")
  if (length(curves) > 0) draw_history_legend(unique(x$data[x$metric %in% curves]))
  invisible(x)
}

plot_metric <- function(x, metric, best, ...) {
  wide <- tapply(x$value, list(x$epoch, x$data), mean)
  wide[!is.finite(wide)] <- NA
  epochs <- as.integer(rownames(wide))
  shown <- colSums(!is.na(wide)) > 0
  if (!any(shown)) return(plot_nothing(epochs, metric))
  many <- length(epochs) > 30
  graphics::matplot(epochs, wide[, shown, drop = FALSE], type = if (many) "l" else "o", pch = 16,
                    cex = if (length(epochs) == 1) 1.5 else 0.6, lty = 1, lwd = 2,
                    col = history_colours[shown], xlab = "epoch", ylab = "", main = metric,
                    bty = "l", xaxt = "n", log = if (is_rate(metric, x$value)) "y" else "", ...)
  graphics::axis(1, whole_ticks(epochs))
  if (!is.null(best)) {
    graphics::abline(v = best, lty = 3, col = "grey50")
    graphics::mtext("best", at = best, line = -0.2, cex = 0.6, col = "grey40")
  }
}

plot_nothing <- function(epochs, metric) {
  graphics::plot(NULL, xlim = range(epochs), ylim = 0:1, xlab = "epoch", ylab = "", main = metric,
                 bty = "l", xaxt = "n", yaxt = "n")
  graphics::axis(1, whole_ticks(epochs))
  graphics::text(mean(range(epochs)), 0.5, "no finite value")
}

# One legend above all panels, where it hides no curve.
draw_history_legend <- function(data) {
  shown <- names(history_colours) %in% data
  graphics::legend(
    graphics::grconvertX(0.5, "ndc"), graphics::grconvertY(1, "ndc"), xjust = 0.5, yjust = 1,
    legend = names(history_colours)[shown], col = history_colours[shown], lwd = 2, horiz = TRUE,
    bty = "n", xpd = NA
  )
}

history_colours <- c(train = "#0072B2", valid = "#D55E00")

whole_ticks <- function(epochs) unique(round(pretty(epochs)))

# Learning rates go down by factors; one of 0 has no logarithm.
is_rate <- function(metrics, values) identical(metrics, "learning_rate") && all(values > 0)

#' @rdname seg_history
#' @exportS3Method ggplot2::autoplot
autoplot.seg_history <- function(object, metrics = NULL, ...) {
  check_no_dots(...)
  metrics <- check_metrics(metrics, object)
  frame <- as.data.frame(object)
  frame <- frame[frame$metric %in% metrics, ]
  frame$metric <- factor(frame$metric, metrics)
  best <- chosen_epoch(object)
  ggplot2::ggplot(frame, ggplot2::aes(.data$epoch, .data$value, colour = .data$data)) +
    (if (max(frame$epoch) > min(frame$epoch)) ggplot2::geom_line(na.rm = TRUE)) +
    ggplot2::geom_point(na.rm = TRUE) +
    (if (!is.null(best)) ggplot2::geom_vline(xintercept = best, linetype = 3)) +
    ggplot2::facet_wrap(~metric, scales = "free_y") +
    ggplot2::scale_x_continuous(breaks = whole_ticks) +
    (if (is_rate(metrics, frame$value)) ggplot2::scale_y_log10()) +
    ggplot2::scale_colour_manual(values = history_colours) +
    ggplot2::labs(x = "epoch", y = NULL, colour = NULL)
}

# The metrics to show; by default all but the learning rate.
check_metrics <- function(metrics, history, call = rlang::caller_env()) {
  if (nrow(history) == 0) {
    maskr_abort("data", "There is nothing to plot: no epoch was finished.", call = call)
  }
  known <- unique(history$metric)
  if (is.null(metrics)) return(setdiff(known, "learning_rate"))
  if (is.character(metrics) && all(metrics %in% known)) return(metrics)
  maskr_abort("argument", "{.arg metrics} must be among {.val {known}}.",
              arg = "metrics", call = call)
}
