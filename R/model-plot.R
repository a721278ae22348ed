# The picture of a network.

#' Plot a network
#'
#' Draws the blocks of a model's network in the order in which they run, for an image of a given
#' size: a block is as tall as the image that it gives and as wide as its number of channels, both
#' on a logarithmic scale; blue ones give a smaller image than the block before, orange ones a
#' larger one. Blocks are the network's modules with parameters, at the deepest level
#' with at most 24 of them; [`summary()`][seg_model] lists all layers.
#'
#' To see what a model does, plot its prediction: `plot(predict(model, image), image)`.
#'
#' @param x,object A [`seg_model`][seg_model].
#' @param size `c(height, width)` in pixels of the image, of volumes `c(depth, height, width)`;
#'   `NULL` is 224 x 224, of volumes 32 x 32 x 32.
#' @param main Title; `NULL` names the architecture.
#' @param ... Must be empty.
#' @return `autoplot()` returns a ggplot, `plot()` invisibly a data frame with one row for each
#'   block: `name`; `kind`, its class in Python; `channels` and `size` of what it gives (such as
#'   `"56 x 56"`; `""` where it has none, as tokens of a transformer); `parameters`, their number. A
#'   network in TorchScript, or without parameters, is a `maskr_error_data`.
#' @concept models
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 3, classes = c(background = 0, tumour = 1))
#' blocks <- plot(model)
#' blocks
plot.seg_model <- function(x, size = NULL, main = NULL, ...) {
  check_no_dots(...)
  check_model(x, arg = "x")
  found <- network_blocks(x, check_any_size(size))
  draw_blocks(found$blocks, main %||% found$title)
  invisible(found$blocks[c("name", "kind", "channels", "size", "parameters")])
}

#' @rdname plot.seg_model
#' @exportS3Method ggplot2::autoplot
autoplot.seg_model <- function(object, size = NULL, main = NULL, ...) {
  check_no_dots(...)
  check_model(object)
  found <- network_blocks(object, check_any_size(size))
  gg_blocks(found$blocks, main %||% found$title)
}

#' @export
plot.seg_detector <- function(x, ...) {
  check_detector(x, arg = "x")
  abort_no_picture("x")
}

#' @exportS3Method ggplot2::autoplot
autoplot.seg_detector <- function(object, ...) {
  check_detector(object)
  abort_no_picture("object")
}

abort_no_picture <- function(arg, call = rlang::caller_env()) {
  maskr_abort("argument", c(
    "A detector has no picture of its own.",
    i = "Plot what it finds: {.code plot(predict(detector, image), image)}."
  ), arg = arg, call = call)
}

# The blocks as `plot()` returns them, with their places and looks in the picture; its title.
network_blocks <- function(model, size, call = rlang::caller_env()) {
  found <- py_call("blocks", "blocks", model, if (!is.null(size)) as.list(size), .call = call)
  blocks <- data.frame(
    name = as.character(unlist(found$name)), kind = as.character(unlist(found$kind)),
    channels = as.integer(unlist(found$channels)),
    size = vapply(found$size, \(one) paste(unlist(one), collapse = " x "), ""),
    parameters = as.double(unlist(found$parameters))
  )
  scale <- vapply(found$size, \(one) block_scale(unlist(one), unlist(found$input)), 0)
  title <- paste0(found$architecture, ", ", paste(unlist(found$input), collapse = " x "))
  list(blocks = cbind(blocks, block_looks(blocks, scale)), title = title)
}

# How much smaller than the image in the logarithm to base 2: 1 for half the height and width.
block_scale <- function(size, input) {
  if (length(size) == 0) NA else mean(log2(input / size))
}

# Where each block stands: `left` to `right`, `height` about 0, and the words below its `middle`.
block_looks <- function(blocks, scale) {
  # what has no size stands as tall as what came before
  for (i in which(is.na(scale))) scale[[i]] <- if (i == 1) 0 else scale[[i - 1]]
  width <- 1 + log2(pmax(blocks$channels, 1))
  # blocks of few channels keep room for their words
  room <- pmax(width + 1.5, sum(width + 1.5) / 30)
  middle <- cumsum(room) - room / 2
  # a network that is one layer has no name within itself
  name <- ifelse(nzchar(blocks$name), blocks$name, blocks$kind)
  data.frame(
    left = middle - width / 2, middle = middle, right = middle + width / 2,
    height = 1 - pmax(scale, 0) / (max(scale, 0) + 1), colour = block_colours(scale),
    words = paste0(name, ifelse(nzchar(blocks$size), paste0("  ", blocks$size), ""))
  )
}

# From left to right; a few blocks stay as slim as those of larger networks.
picture_ends <- function(blocks) {
  ends <- c(min(blocks$left), max(blocks$right))
  mean(ends) + c(-1, 1) * max(40, diff(ends)) / 2
}

draw_blocks <- function(blocks, main) {
  # the words stand upright below: a letter of this size takes about a third of a line
  old <- graphics::par(mar = c(0.36 * max(nchar(blocks$words)) + 0.5, 0.5, 2.2, 0.5))
  on.exit(graphics::par(old))
  graphics::plot(NULL, xlim = picture_ends(blocks), ylim = c(-0.5, 0.58), axes = FALSE, xlab = "",
                 ylab = "", main = main)
  graphics::segments(min(blocks$middle), 0, max(blocks$middle), 0, col = "grey60")
  top <- blocks$height / 2
  graphics::rect(blocks$left, -top, blocks$right, top, col = blocks$colour, border = "grey30")
  graphics::text(blocks$middle, top + 0.02, blocks$channels, adj = c(0.5, 0), cex = 0.75)
  graphics::mtext(blocks$words, 1, at = blocks$middle, las = 2, cex = 0.75 * graphics::par("cex"))
}

gg_blocks <- function(blocks, main) {
  ggplot2::ggplot(blocks, ggplot2::aes(.data$middle, .data$height / 2)) +
    ggplot2::annotate("segment", x = min(blocks$middle), xend = max(blocks$middle), y = 0, yend = 0,
                      colour = "grey60") +
    ggplot2::geom_rect(
      ggplot2::aes(xmin = .data$left, xmax = .data$right, ymin = -.data$height / 2,
                   ymax = .data$height / 2),
      fill = blocks$colour, colour = "grey30"
    ) +
    ggplot2::geom_text(ggplot2::aes(label = .data$channels), vjust = -0.4, size = 3) +
    ggplot2::scale_x_continuous(breaks = blocks$middle, labels = blocks$words,
                                limits = picture_ends(blocks)) +
    ggplot2::scale_y_continuous(breaks = NULL, limits = c(-0.5, 0.58)) +
    ggplot2::labs(x = NULL, y = NULL, title = main) +
    ggplot2::theme_minimal() +
    ggplot2::theme(
      panel.grid = ggplot2::element_blank(),
      axis.text.x = ggplot2::element_text(angle = 90, hjust = 1, vjust = 0.5),
      plot.background = ggplot2::element_rect(fill = "white", colour = NA)
    )
}

# Blocks that give smaller images than those before them, larger ones, and ones of the same size.
block_colours <- function(scale) {
  change <- sign(diff(c(0, scale)))
  c("#E69F00", "#D9D9D9", "#56B4E9")[change + 2]
}

# Two or three lengths in pixels; how many, the network knows.
check_any_size <- function(size, call = rlang::caller_env()) {
  if (length(size) == 3) check_patch(size, arg = "size", call = call) else
    check_size(size, arg = "size", call = call)
}
