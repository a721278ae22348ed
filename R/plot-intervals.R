# Values with intervals, a line for each name. Infinite ones, such as the distance to an object that
# was not found, stand at the edge of the picture.

# One line for each row of `shown$summary` (name, mean, lower, upper), whose single values are
# `shown$points` (row, name, value). `shown$note` says what the marks are, if that is not plain.
draw_intervals <- function(shown, main) {
  rows <- shown$summary
  at <- seq_len(nrow(rows))
  scale <- edge_scale(c(shown$points$value, rows$mean, rows$lower, rows$upper))
  old <- open_lines(rows$name, scale, shown$metric, main, shown$note)
  on.exit(graphics::par(old))
  graphics::segments(scale$place(rows$lower), at, scale$place(rows$upper), lwd = 3, col = "#56B4E9")
  graphics::points(scale$place(shown$points$value), shown$points$row, pch = 1, cex = 1.2,
                   col = "#D55E00")
  graphics::points(scale$place(rows$mean), at, pch = 18, cex = 1.6, col = "#0072B2")
}

gg_intervals <- function(shown) {
  rows <- shown$summary
  column <- rlang::syms(stats::setNames(nm = c("value", "name", "mean", "lower", "upper")))
  rows$name <- factor(rows$name, rev(rows$name))
  ggplot2::ggplot(rows, ggplot2::aes(y = !!column$name)) +
    ggplot2::geom_segment(
      ggplot2::aes(x = !!column$lower, xend = !!column$upper, yend = !!column$name),
      colour = "#56B4E9", linewidth = 1, na.rm = TRUE
    ) +
    ggplot2::geom_point(ggplot2::aes(x = !!column$value), shown$points, colour = "#D55E00",
                        shape = 1, size = 2.5) +
    ggplot2::geom_point(ggplot2::aes(x = !!column$mean), colour = "#0072B2", shape = 18, size = 4) +
    gg_edge_scale(edge_scale(c(shown$points$value, rows$mean, rows$lower, rows$upper))) +
    ggplot2::labs(x = shown$metric, y = NULL, caption = shown$note) +
    ggplot2::theme(axis.text.y = ggplot2::element_text(
      size = ggplot2::rel(max(0.5, min(1, 50 / nrow(rows))))
    ))
}

# An empty picture with a line for each of `names`; `legend` is room above it in inches. Returns the
# settings that it changed.
open_lines <- function(names, scale, xlab, main, note = NULL, legend = 0) {
  widest <- max(graphics::strwidth(names, units = "inches")) + 0.3
  bottom <- if (is.null(note)) 0.7 else 0.9
  top <- 0.2 + legend + if (is.null(main)) 0 else 0.3
  old <- graphics::par(mai = c(bottom, min(widest, graphics::par("din")[1] / 2), top, 0.2), las = 1,
                       mgp = c(2, 0.6, 0))
  lines <- seq_along(names)
  graphics::plot(NULL, xlim = scale$limits, ylim = c(length(names) + 0.5, 0.5), xlab = xlab,
                 ylab = "", xaxt = "n", yaxt = "n", bty = "l", main = main)
  graphics::axis(1, scale$breaks, scale$labels)
  cex <- lines_cex(length(names))
  shown <- lines_shown(length(names))
  graphics::axis(2, lines[shown], names[shown], tick = FALSE, cex.axis = cex, gap.axis = -1)
  graphics::abline(h = lines, col = "grey90")
  if (!is.null(note)) graphics::mtext(note, side = 1, line = 3, cex = 0.8, adj = 1)
  old
}

# Which of the `n` lines of a picture that is open have room for a name: all, or every so manieth up
# to the last, which is that of all classes.
lines_shown <- function(n) rev(seq(n, 1, by = -lines_step(n)))

# Letters that fit these.
lines_cex <- function(n) min(1, lines_step(n) * lines_room(n))

# None are so small that they cannot be read.
lines_step <- function(n) max(1, ceiling(0.6 / lines_room(n)))

# Height of a line as a multiple of that of a name in the default size.
lines_room <- function(n) {
  graphics::par("pin")[[2]] / n / (1.4 * graphics::strheight("M", units = "inches"))
}

# An axis for values of which some may be infinite: its `limits`, `breaks` and their `labels`, and
# the function that gives each value its `place`. It holds the values `include`.
edge_scale <- function(values, include = NULL) {
  finite <- c(values[is.finite(values)], include)
  finite <- if (length(finite) > 0) range(finite) else c(0, 1)
  if (diff(finite) == 0) finite <- finite + c(-0.5, 0.5) * max(abs(finite[[1]]) / 10, 0.01)
  room <- c(-1, 1) * diff(finite) / 8
  edges <- (finite + room)[c(-Inf, Inf) %in% values]
  breaks <- pretty(finite)
  breaks <- breaks[breaks >= finite[[1]] & breaks <= finite[[2]]]
  limits <- range(finite, edges)
  list(
    limits = limits, breaks = c(breaks, edges),
    labels = c(format(breaks, trim = TRUE), c("-Inf", "Inf")[c(-Inf, Inf) %in% values]),
    place = \(x) pmin(pmax(x, limits[[1]]), limits[[2]])
  )
}

gg_edge_scale <- function(scale) {
  ggplot2::scale_x_continuous(limits = scale$limits, breaks = scale$breaks, labels = scale$labels,
                              oob = \(x, ...) scale$place(x))
}
