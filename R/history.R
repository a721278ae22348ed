# Training histories: one row per epoch, metric and kind of data.

# `columns`: epoch, metric, data ("train" or "valid"), value, each a vector or list.
new_seg_history <- function(columns, best_epoch, monitor) {
  frame <- data.frame(
    epoch = as.integer(unlist(columns$epoch)),
    metric = as.character(unlist(columns$metric)),
    data = factor(as.character(unlist(columns$data)), levels = c("train", "valid")),
    value = as.double(unlist(columns$value))
  )
  structure(frame, best_epoch = as.integer(best_epoch), monitor = monitor,
            class = c("seg_history", "data.frame"))
}

#' Training history
#'
#' What [fit()][fit.seg_model()] returns: a plain data frame with columns `epoch`, `metric`, `data`
#' (`"train"` or `"valid"`) and `value`, and the best epoch as attribute `best_epoch`.
#'
#' @param x,object A `seg_history`.
#' @param y Ignored.
#' @param metrics Names of the metrics to show; by default all.
#' @param ... For `plot()`, arguments of [graphics::matplot()].
#' @return `plot()`, `print()` and `summary()` return their argument invisibly, `autoplot()` a
#'   ggplot.
#' @name seg_history
#' @concept training
#' @examplesIf seg_available()
#' scenes <- seg_example("nuclei", n = 4, size = c(64, 64))
#' model <- seg_unet(in_channels = 1, classes = scenes$classes, init_features = 4)
#' history <- fit(model, scenes, epochs = 2)
#' history
#' plot(history)
NULL

#' @rdname seg_history
#' @export
print.seg_history <- function(x, ...) {
  if (nrow(x) == 0) {
    cat("<seg_history> no epoch was finished\n")
    return(invisible(x))
  }
  best <- attr(x, "best_epoch")
  epochs <- max(x$epoch)
  judged <- if (attr(x, "monitor") == "epoch") "the last is kept" else
    paste0("best: ", best, " (by ", attr(x, "monitor"), ")")
  cat("<seg_history> ", epochs, if (epochs == 1) " epoch, " else " epochs, ", judged, "\n",
      sep = "")
  last <- x[x$epoch == best, ]
  wide <- tapply(last$value, list(last$metric, last$data), mean)
  wide <- wide[unique(last$metric), colSums(!is.na(wide)) > 0, drop = FALSE]
  print(round(wide, 4), ...)
  invisible(x)
}

#' @rdname seg_history
#' @export
summary.seg_history <- function(object, ...) print(object, ...)

#' @rdname seg_history
#' @export
as.data.frame.seg_history <- function(x, ...) {
  attr(x, "best_epoch") <- NULL
  attr(x, "monitor") <- NULL
  class(x) <- "data.frame"
  x
}

#' @rdname seg_history
#' @export
plot.seg_history <- function(x, y, metrics = unique(x$metric), ...) {
  metrics <- check_metrics(metrics, x)
  columns <- min(length(metrics), 3)
  rows <- ceiling(length(metrics) / columns)
  old <- graphics::par(mfrow = c(rows, columns), mar = c(3.6, 3.2, 2.2, 0.8), mgp = c(2, 0.6, 0),
                       las = 1)
  on.exit(graphics::par(old))
  for (metric in metrics) plot_metric(x[x$metric == metric, ], metric, attr(x, "best_epoch"), ...)
  invisible(x)
}

plot_metric <- function(x, metric, best, ...) {
  wide <- tapply(x$value, list(x$epoch, x$data), mean)
  epochs <- as.integer(rownames(wide))
  colours <- c(train = "#0072B2", valid = "#D55E00")
  shown <- colSums(!is.na(wide)) > 0
  graphics::matplot(epochs, wide[, shown], type = "o", pch = 16, cex = 0.6, lty = 1, lwd = 2,
                    col = colours[shown], xlab = "epoch", ylab = "", main = metric, bty = "l",
                    xaxt = if (length(epochs) > 1) "s" else "n", ...)
  graphics::abline(v = best, lty = 3, col = "grey50")
  side <- if (grepl("loss", metric)) "topright" else "bottomright"
  graphics::legend(side, legend = names(colours)[shown], col = colours[shown], lwd = 2, pch = 16,
                   pt.cex = 0.6, bty = "n")
}

#' @rdname seg_history
#' @exportS3Method ggplot2::autoplot
autoplot.seg_history <- function(object, metrics = unique(object$metric), ...) {
  metrics <- check_metrics(metrics, object)
  frame <- as.data.frame(object)
  frame <- frame[frame$metric %in% metrics, ]
  ggplot2::ggplot(frame, ggplot2::aes(.data$epoch, .data$value, colour = .data$data)) +
    ggplot2::geom_line() +
    ggplot2::geom_point() +
    ggplot2::geom_vline(xintercept = attr(object, "best_epoch"), linetype = 3) +
    ggplot2::facet_wrap(~metric, scales = "free_y") +
    ggplot2::scale_colour_manual(values = c(train = "#0072B2", valid = "#D55E00")) +
    ggplot2::labs(x = "epoch", y = NULL, colour = NULL)
}

check_metrics <- function(metrics, history, call = rlang::caller_env()) {
  known <- unique(history$metric)
  if (is.character(metrics) && all(metrics %in% known)) return(metrics)
  maskr_abort("argument", "{.arg metrics} must be among {.val {known}}.",
              arg = "metrics", call = call)
}
