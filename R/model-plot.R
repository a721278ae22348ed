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
#' @param x A [`seg_model`][seg_model].
#' @param size `c(height, width)` in pixels of the image, of volumes `c(depth, height, width)`;
#'   `NULL` is 224 x 224, of volumes 32 x 32 x 32.
#' @param main Title; `NULL` names the architecture.
#' @param ... Ignored.
#' @return Invisibly, a data frame with one row for each block: `name`; `kind`, its class in Python;
#'   `channels` and `size` of what it gives (such as `"56 x 56"`; `""` where it has none, as tokens
#'   of a transformer); `parameters`, their number. A network in TorchScript, or
#'   without parameters, is a `maskr_error_data`.
#' @concept models
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 3, classes = c(background = 0, tumour = 1))
#' blocks <- plot(model)
#' blocks
plot.seg_model <- function(x, size = NULL, main = NULL, ...) {
  check_model(x, arg = "x")
  size <- check_any_size(size)
  found <- py_call("blocks", "blocks", x, if (!is.null(size)) as.list(size))
  blocks <- data.frame(
    name = as.character(unlist(found$name)), kind = as.character(unlist(found$kind)),
    channels = as.integer(unlist(found$channels)),
    size = vapply(found$size, \(one) paste(unlist(one), collapse = " x "), ""),
    parameters = as.double(unlist(found$parameters))
  )
  scale <- vapply(found$size, \(one) block_scale(unlist(one), unlist(found$input)), 0)
  draw_blocks(blocks, scale, main %||% paste0(found$architecture, ", ", paste(
    unlist(found$input), collapse = " x "
  )))
  invisible(blocks)
}

#' @export
plot.seg_detector <- function(x, ...) {
  check_detector(x, arg = "x")
  maskr_abort("argument", c(
    "A detector has no picture of its own.",
    i = "Plot what it finds: {.code plot(predict(detector, image), image)}."
  ), arg = "x")
}

# How much smaller than the image in the logarithm to base 2: 1 for half the height and width.
block_scale <- function(size, input) {
  if (length(size) == 0) NA else mean(log2(input / size))
}

draw_blocks <- function(blocks, scale, main) {
  n <- nrow(blocks)
  # what has no size stands as tall as what came before
  for (i in which(is.na(scale))) scale[[i]] <- if (i == 1) 0 else scale[[i - 1]]
  height <- 1 - pmax(scale, 0) / (max(scale, 0) + 1)
  width <- 1 + log2(pmax(blocks$channels, 1))
  # blocks of few channels keep room for their words
  room <- pmax(width + 1.5, sum(width + 1.5) / 30)
  middle <- cumsum(room) - room / 2
  left <- middle - width / 2
  # a network that is one layer has no name within itself
  words <- ifelse(nzchar(blocks$name), blocks$name, blocks$kind)
  words <- paste0(words, ifelse(nzchar(blocks$size), paste0("  ", blocks$size), ""))
  # a few blocks stay as slim as those of larger networks
  ends <- sum(room) / 2 + c(-1, 1) * max(40, sum(room)) / 2
  # the words stand upright below: a letter of this size takes about a third of a line
  old <- graphics::par(mar = c(0.36 * max(nchar(words)) + 0.5, 0.5, 2.2, 0.5))
  on.exit(graphics::par(old))
  graphics::plot(NULL, xlim = ends, ylim = c(-0.5, 0.58), axes = FALSE, xlab = "", ylab = "",
                 main = main)
  graphics::segments(middle[[1]], 0, middle[[n]], 0, col = "grey60")
  graphics::rect(left, -height / 2, left + width, height / 2, col = block_colours(scale),
                 border = "grey30")
  graphics::text(middle, height / 2 + 0.02, blocks$channels, adj = c(0.5, 0), cex = 0.75)
  graphics::mtext(words, 1, at = middle, las = 2, cex = 0.75 * graphics::par("cex"))
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
