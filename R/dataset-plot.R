# Samples of a dataset as a model sees them.

#' Look into a dataset
#'
#' `x[[i]]` gives a sample and `plot()` draws some, as [fit()][fit.seg_model()] hands them to a
#' model: read, augmented and resized, but not preprocessed by a model. Augmentation draws anew each
#' time; [set.seed()] before makes it repeatable.
#'
#' @param x A [seg_dataset()].
#' @param i Number or name of an image.
#' @param n How many to draw, at least 1.
#' @param which Numbers of those to draw instead of `n` at random.
#' @param ... Passed on to [plot()][plot.seg] of each mask, such as `alpha`.
#' @return `x[[i]]`: a list of `image` (a [seg_image()]), `mask` (a [seg_mask()]), `name`, and where
#'   the targets are objects also `instances` (a [seg_instances()]) after the same draw; pixels that
#'   augmentation or padding made are `NA` in the mask. `plot()`: `x`, invisibly.
#' @name sample.seg_dataset
#' @concept data
#' @examplesIf seg_available()
#' scenes <- seg_example("shapes", n = 4, size = c(64, 96))
#' data <- seg_dataset(scenes, augment = "microscopy")
#' data[[1]]$mask
#' plot(data, n = 4)
NULL

#' @rdname sample.seg_dataset
#' @export
`[[.seg_dataset` <- function(x, i) {
  if (length(i) != 1) {
    maskr_abort("argument", "Choose one image by its number or name, not {describe(i)}.",
                arg = "i")
  }
  samples_of(x, check_samples(i, names(x$images)))[[1]]
}

#' @rdname sample.seg_dataset
#' @export
plot.seg_dataset <- function(x, n = 9, which = NULL, ...) {
  if (is.null(which)) {
    n <- min(check_whole(n, min = 1), length(x))
    which <- sample.int(length(x), n, prob = x$sample_weights)
  }
  samples <- samples_of(x, check_samples(which, names(x$images), arg = "which"))
  columns <- ceiling(sqrt(length(samples)))
  rows <- ceiling(length(samples) / columns)
  old <- graphics::par(mfrow = c(rows, columns), oma = c(1.8, 0, 0, 0))
  on.exit(graphics::par(old))
  for (one in samples) {
    plot(one$mask, image = one$image, legend = FALSE, main = one$name, ...)
  }
  draw_classes(samples, list(...)$alpha %||% 0.5)
  invisible(x)
}

# Samples as lists of image, mask, name and perhaps instances, by one call.
samples_of <- function(x, which, call = rlang::caller_env()) {
  data <- dataset_for_python(x, x$classes, call = call)
  if (is.null(x$classes)) data["class_ids"] <- list(NULL)
  if (!is.null(x$instances)) {
    data$objects <- lapply(x$instances, instances_for_python, x$classes, call)
  }
  found <- py_call("datasets.preview", "preview", data, as.list(which - 1L), .call = call)
  palette <- if (inherits(x$targets, "seg_annotations")) annotation_palette(x$targets, x$classes)
  Map(function(sample, name) {
    image <- seg_image(sample$image)
    mask <- new_seg_mask(sample$mask, x$classes, palette = palette)
    objects <- sample$objects
    if (is.null(objects)) return(list(image = image, mask = mask, name = name))
    objects <- new_seg_instances(objects$columns, unlist(objects$size), object_classes(x))
    list(image = image, mask = mask, name = name, instances = objects)
  }, found, names(x$images)[which])
}

# The named class ids of a dataset's objects.
object_classes <- function(x) {
  if (inherits(x$targets, "seg_annotations")) return(annotation_classes(x$targets))
  x$classes %||% attr(x$targets[[1]], "classes")
}

# One legend of the classes that occur, in the outer margin at the bottom.
draw_classes <- function(samples, alpha) {
  masks <- lapply(samples, `[[`, "mask")
  ids <- unique(unlist(lapply(masks, \(mask) unique(as.vector(mask)))))
  first <- attributes(masks[[1]])
  key <- mask_key(ids, first$classes, first$palette, over = TRUE)$legend
  if (anyNA(ids)) key$colours[[length(key$colours)]] <- ignored_swatch(alpha)
  if (length(key$labels) == 0) return(invisible())
  old <- graphics::par(fig = c(0, 1, 0, 1), oma = rep(0, 4), mar = rep(0, 4), new = TRUE)
  on.exit(graphics::par(old))
  graphics::plot.new()
  key <- cut_legend(key, fitting_labels(key$labels, cex = 0.9))
  border <- ifelse(is.na(key$colours), NA, "black")
  graphics::legend("bottom", key$labels, fill = key$colours, border = border, horiz = TRUE,
                   bty = "n", cex = 0.9)
}

# How many labels fit beside each other, each with its box, all as wide as the widest: that is how
# legend() sets them.
fitting_labels <- function(labels, cex) {
  widest <- max(graphics::strwidth(c(labels, "and 99 more"), cex = cex))
  max(2, floor(1 / (widest + graphics::strwidth("MMM", cex = cex))))
}

# Ignored pixels are mostly those that augmentation or padding left black.
ignored_swatch <- function(alpha) {
  grDevices::rgb(t(alpha * grDevices::col2rgb(ignore_colour)), maxColorValue = 255)
}
