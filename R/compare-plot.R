# Pictures of results side by side.

#' Plot a comparison
#'
#' One score by class: the difference of two results with its interval, or the results beside each
#' other.
#'
#' @param x,object What [seg_compare()] returned.
#' @param metric A score that it holds, such as `"dice"`; by default the first that classes have.
#' @param type `"difference"`, the default where there is one, or `"scores"`.
#' @param main Title.
#' @param ... Must be empty.
#' @return `plot()` returns `x` invisibly, `autoplot()` a ggplot.
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' truth <- seg_example("nuclei", n = 6, size = c(48, 64))$masks
#' shifted <- function(by) lapply(truth, \(mask) mask[, c((1 + by):64, 1:by)])
#' near <- seg_metrics(truth, shifted(1), per_image = TRUE)
#' far <- seg_metrics(truth, shifted(4), per_image = TRUE)
#' plot(seg_compare(near = near, far = far))
plot.seg_comparison <- function(x, metric = NULL, type = NULL, main = NULL, ...) {
  check_no_dots(...)
  shown <- compared_rows(x, metric, type)
  draw_compared(shown, main)
  invisible(x)
}

#' @rdname plot.seg_comparison
#' @exportS3Method ggplot2::autoplot
autoplot.seg_comparison <- function(object, metric = NULL, type = NULL, ...) {
  check_no_dots(...)
  shown <- compared_rows(object, metric, type)
  rows <- shown$rows
  rows$name <- factor(rows$name, rev(unique(rows$name)))
  scale <- edge_scale(c(rows$value, rows$lower, rows$upper), shown$include)
  plot <- ggplot2::ggplot(rows, ggplot2::aes(.data$value, .data$name, colour = .data$result)) +
    (if (shown$type == "difference") ggplot2::geom_vline(xintercept = 0, linetype = 2)) +
    ggplot2::scale_colour_manual(values = okabe_lines(nlevels(rows$result))) +
    gg_edge_scale(scale) +
    ggplot2::labs(x = shown$xlab, y = NULL, colour = NULL, caption = shown$note)
  if (shown$type == "scores") return(plot + ggplot2::geom_point(size = 3))
  plot +
    ggplot2::geom_segment(ggplot2::aes(x = .data$lower, xend = .data$upper, yend = .data$name),
                          linewidth = 1, na.rm = TRUE) +
    ggplot2::geom_point(size = 3) +
    ggplot2::guides(colour = "none")
}

# Long rows: `name` of the class, `result`, `value`, and `lower` and `upper` of a difference.
compared_rows <- function(x, metric, type, call = rlang::caller_env()) {
  has <- !is.null(x$difference)
  type <- check_choice(type %||% if (has) "difference" else "scores", c("difference", "scores"),
                       "type", call)
  if (type == "difference" && !has) {
    how <- paste(comparison_words(x), collapse = " ")
    maskr_abort("data", c("There is no difference to draw.", i = how), arg = "type", call = call)
  }
  all <- as.data.frame(x)
  of_classes <- all$metric[!is.na(all$class)]
  metric <- check_choice(metric %||% c(of_classes, all$metric)[[1]], unique(all$metric), "metric",
                         call)
  overall <- if (attr(x, "kind") == "masks" && metric == "iou") "mean_iou" else metric
  all <- all[all$metric == metric & !is.na(all$class) | all$metric == overall & is.na(all$class), ]
  all <- all[order(is.na(all$class)), ]
  mean <- if (attr(x, "kind") == "masks" && any(!is.na(all$class))) "mean" else "all"
  all$name <- ifelse(is.na(all$class), mean, all$label)
  names <- attr(x, "results")
  if (type == "scores") {
    rows <- data.frame(name = all$name, result = factor(rep(names, each = nrow(all)), names),
                       value = unlist(all[names], use.names = FALSE), lower = NA, upper = NA)
    return(list(type = type, rows = rows[!is.na(rows$value), ], xlab = metric))
  }
  none <- rep(NA_real_, nrow(all))
  rows <- data.frame(name = all$name, result = factor("difference"), value = all$difference,
                     lower = all$lower %||% none, upper = all$upper %||% none)
  list(
    type = type, rows = rows[!is.na(rows$value), ], include = 0,
    xlab = paste0(metric, ": ", names[[2]], " less ", names[[1]]),
    note = if (any(!is.na(rows$lower))) {
      paste0("bars: paired ", format(100 * attr(x, "level")), " % intervals")
    }
  )
}

draw_compared <- function(shown, main) {
  rows <- shown$rows
  names <- unique(rows$name)
  at <- match(rows$name, names)
  colours <- okabe_lines(nlevels(rows$result))
  difference <- shown$type == "difference"
  scale <- edge_scale(c(rows$value, rows$lower, rows$upper), shown$include)
  legend <- if (difference) 0 else 0.3
  old <- open_lines(names, scale, shown$xlab, main, note = shown$note, legend)
  on.exit(graphics::par(old))
  if (difference) {
    graphics::abline(v = 0, lty = 2, col = "grey50")
    graphics::segments(scale$place(rows$lower), at, scale$place(rows$upper), lwd = 3,
                       col = "#56B4E9")
  }
  graphics::points(scale$place(rows$value), at, pch = 16, cex = 1.4, col = colours[rows$result])
  if (difference) return(invisible())
  graphics::legend("top", levels(rows$result), col = colours, pch = 16, horiz = TRUE, bty = "n",
                   inset = c(0, -0.12), xpd = NA)
}
