# Pictures in ggplot2, as `plot()` draws them. The methods are registered when ggplot2 is loaded.

#' Plot with ggplot2
#'
#' The pictures of [plot.seg] as ggplot objects, to which further layers can be added. The axes are
#' pixels: x from the left, y from the top.
#'
#' @param object A [seg_image()], [seg_mask()], [seg_instances()] or [seg_panoptic()].
#' @inheritParams plot.seg
#' @return A ggplot object.
#' @concept types
#' @name autoplot.seg
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' mask <- seg_mask(matrix(c(0, 1, 1, 0, 1, 0), 2), c(background = 0, nucleus = 1))
#' ggplot2::autoplot(mask)
NULL

#' @rdname autoplot.seg
#' @exportS3Method ggplot2::autoplot
autoplot.seg_image <- function(object, limits = NULL, slice = NULL, ...) {
  check_no_dots(...)
  size <- dim(slice_image(object, slice))[1:2]
  gg_canvas(size, shown_image(gg_grid(size), object, limits, slice))
}

#' @rdname autoplot.seg
#' @exportS3Method ggplot2::autoplot
autoplot.seg_mask <- function(object, image = NULL, alpha = 0.5, limits = NULL, slice = NULL, ...) {
  check_no_dots(...)
  ids <- slice_mask(object, slice)
  image <- image_under(image, dim(object))
  key <- mask_key(ids, attr(object, "classes"), attr(object, "palette"), !is.null(image))
  names <- c(names(attr(object, "classes")), "ignore")
  gg_regions(ids, names, key, image, alpha, limits, slice)
}

#' @rdname autoplot.seg
#' @exportS3Method ggplot2::autoplot
autoplot.seg_panoptic <- function(object, image = NULL, alpha = 0.5, limits = NULL, slice = NULL,
                                  ...) {
  check_no_dots(...)
  ids <- slice_mask(object, slice)
  image <- image_under(image, dim(object))
  segments <- attr(object, "segments")
  key <- segment_key(ids, segments, attr(object, "classes"), !is.null(image))
  gg_regions(ids, c(segments$label, "void"), key, image, alpha, limits, slice)
}

#' @rdname autoplot.seg
#' @exportS3Method ggplot2::autoplot
autoplot.seg_instances <- function(object, image = NULL, alpha = 0.3, labels = NULL, by = NULL,
                                   limits = NULL, ...) {
  check_no_dots(...)
  check_instances(object)
  size <- attr(object, "size")
  image <- image_under(image, size)
  look <- instance_look(object, by)
  rings <- instance_rings(object)
  group <- if (is.null(look$legend)) factor(object$id) else factor(object$label)
  colours <- stats::setNames(look$colours, group)
  rings$group <- group[rings$object]
  plot <- gg_canvas(size, shown_image(gg_grid(size), image, limits, NULL)) +
    ggplot2::geom_polygon(
      ggplot2::aes(.data$x, .data$y, group = .data$object, subgroup = .data$ring,
                   colour = .data$group, fill = .data$group),
      rings, alpha = alpha
    ) +
    ggplot2::scale_colour_manual(NULL, values = colours, aesthetics = c("colour", "fill"))
  if (is.null(look$legend)) plot <- plot + ggplot2::guides(colour = "none", fill = "none")
  written <- label_text(object, labels)
  if (length(written$text) == 0) return(plot)
  tags <- data.frame(x = object$xmin, y = object$ymin, text = written$text, group = group)
  plot + ggplot2::geom_label(
    ggplot2::aes(.data$x, .data$y, label = .data$text, fill = .data$group), tags,
    hjust = 0, vjust = 1, size = 3, label.padding = ggplot2::unit(0.15, "lines"),
    colour = vapply(look$colours, ink_on, ""), show.legend = FALSE
  )
}

# Regions of one colour for each name; `names` are those of the rows of the key.
gg_regions <- function(ids, names, key, image, alpha, limits, slice) {
  size <- dim(ids)
  grid <- gg_grid(size)
  plot <- gg_canvas(size, shown_image(grid, image, limits, slice))
  small <- shown_mask(grid, ids)
  place <- match(small, key$ids)
  at <- arrayInd(seq_along(small), dim(small))
  step <- grid$down / grid$up
  pixels <- data.frame(x = (at[, 2] - 0.5) * step, y = (at[, 1] - 0.5) * step,
                       label = factor(names[place], levels = unique(names)))
  colours <- stats::setNames(key$colours, names)[!duplicated(names)]
  plot +
    ggplot2::geom_raster(ggplot2::aes(.data$x, .data$y, fill = .data$label),
                         pixels[!key$clear[place], ], alpha = if (is.null(image)) 1 else alpha) +
    ggplot2::scale_fill_manual(NULL, values = colours)
}

# The size at which pictures are handed to ggplot2: at most 800 pixels, whatever the device.
gg_grid <- function(size) list(down = max(1, ceiling(max(size) / 800)), up = 1)

# An empty panel in pixels, y downwards, over an RGB array.
gg_canvas <- function(size, rgb) {
  corners <- data.frame(x = c(0, size[[2]]), y = c(0, size[[1]]))
  plot <- ggplot2::ggplot() +
    ggplot2::geom_blank(ggplot2::aes(.data$x, .data$y), corners) +
    ggplot2::scale_x_continuous(expand = c(0, 0)) +
    ggplot2::scale_y_reverse(expand = c(0, 0)) +
    ggplot2::coord_fixed() +
    ggplot2::theme_void()
  if (is.null(rgb)) return(plot)
  plot + ggplot2::annotation_raster(grDevices::as.raster(rgb), -Inf, Inf, -Inf, Inf)
}
