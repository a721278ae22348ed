# Pictures of images, masks, instances and panoptic results in base graphics.
#
# Everything is drawn at about the resolution of the device: large images are averaged down, small
# ones enlarged pixel by pixel, so that outlines and text have one size whatever the image's.

#' Plot images and segmentations
#'
#' Draws an image, or a segmentation laid over one, in base graphics. Masks get a legend with the
#' names of the classes that occur, instances their outlines, labels and scores, panoptic results
#' the colours of their classes with an outline for each segment.
#'
#' Classes called "background" (or "other", "void", ...) with id 0 stay clear over an image. Pixels
#' to be ignored are drawn in beige. Text and lines follow the size of the picture, so set the size
#' and resolution of the device as for any other plot, such as `png("x.png", 1600, 1200)`.
#'
#' @param x A [seg_image()], [seg_mask()], [seg_instances()] or [seg_panoptic()].
#' @param image What to draw under it: a [seg_image()] or what [as_seg_image()] takes, of the same
#'   size, or a file; `NULL` for nothing.
#' @param alpha Opacity of the colours over an image, from 0 to 1.
#' @param legend Draw the names of the classes beside the picture?
#' @param labels Write names and scores onto the objects? By default where they have room.
#' @param by Colour objects by `"class"` or each `"object"` in its own colour; by default by class
#'   where there are several.
#' @param limits The two values drawn as black and white. By default the image's `range`, or where
#'   it uses little of that, its 0.1 and 99.9 per cent quantiles.
#' @param slice Which slice of a volume; by default the middle.
#' @param main A title.
#' @param ... Must be empty.
#' @return `x`, invisibly. An `image` of another size is a `maskr_error_shape`.
#' @concept types
#' @name plot.seg
#' @examples
#' disc <- outer(1:40, 1:60, function(i, j) (i - 20)^2 + (j - 25)^2 < 200)
#' mask <- seg_mask(disc + 0, classes = c(background = 0, nucleus = 1))
#' picture <- seg_image(disc * 0.6 + matrix(seq(0, 0.3, length.out = 60), 40, 60, byrow = TRUE))
#' plot(mask, image = picture)
NULL

#' @rdname plot.seg
#' @export
plot.seg_image <- function(x, limits = NULL, slice = NULL, main = NULL, ...) {
  check_no_dots(...)
  scene <- open_scene(dim(slice_image(x, slice))[1:2], main = main)
  on.exit(close_scene(scene))
  draw_raster(scene, shown_image(scene, x, limits, slice))
  invisible(x)
}

#' @rdname plot.seg
#' @export
plot.seg_mask <- function(x, image = NULL, alpha = 0.5, legend = TRUE, limits = NULL, slice = NULL,
                          main = NULL, ...) {
  check_no_dots(...)
  alpha <- check_number(alpha, 0, 1)
  ids <- slice_mask(x, slice)
  image <- image_under(image, dim(x))
  key <- mask_key(ids, attr(x, "classes"), attr(x, "palette"), !is.null(image))
  scene <- open_scene(dim(ids), key = if (check_flag(legend)) key$legend, main = main)
  on.exit(close_scene(scene))
  under <- shown_image(scene, image, limits, slice)
  small <- shown_mask(scene, ids)
  place <- array(match(small, key$ids), dim = dim(small))
  edges <- if (is.null(image)) FALSE else outlines_of(scene, place)
  draw_raster(scene, blend(under, place, key, alpha, edges))
  invisible(x)
}

#' @rdname plot.seg
#' @export
plot.seg_panoptic <- function(x, image = NULL, alpha = 0.5, legend = TRUE, limits = NULL,
                              slice = NULL, main = NULL, ...) {
  check_no_dots(...)
  alpha <- check_number(alpha, 0, 1)
  ids <- slice_mask(x, slice)
  image <- image_under(image, dim(x))
  segments <- attr(x, "segments")
  key <- segment_key(ids, segments, attr(x, "classes"), !is.null(image))
  scene <- open_scene(dim(ids), key = if (check_flag(legend)) key$legend, main = main)
  on.exit(close_scene(scene))
  under <- shown_image(scene, image, limits, slice)
  small <- shown_mask(scene, ids)
  place <- array(match(small, key$ids), dim = dim(small))
  draw_raster(scene, blend(under, place, key, alpha, edges = outlines_of(scene, small)))
  invisible(x)
}

#' @rdname plot.seg
#' @export
plot.seg_instances <- function(x, image = NULL, alpha = 0.3, legend = NULL, labels = NULL,
                               by = NULL, limits = NULL, main = NULL, ...) {
  check_no_dots(...)
  check_instances(x)
  alpha <- check_number(alpha, 0, 1)
  size <- attr(x, "size")
  image <- image_under(image, size)
  look <- instance_look(x, by)
  legend <- legend %||% is.null(image)
  scene <- open_scene(size, key = if (check_flag(legend)) look$legend, main = main)
  on.exit(close_scene(scene))
  if (!is.null(image)) draw_raster(scene, shown_image(scene, image, limits, NULL))
  if (is.null(image)) graphics::rect(0, size[[1]], size[[2]], 0, col = "grey92", border = NA)
  if (nrow(x) == 0) return(invisible(x))
  draw_objects(scene, instance_rings(x), look$colours, alpha)
  draw_labels(scene, x, look$colours, labels)
  invisible(x)
}

#' @export
as.raster.seg_image <- function(x, ...) {
  grDevices::as.raster(to_rgb(slice_image(x, NULL), default_limits(x)))
}

# ---- what is drawn ----

# The image to lay something over, of the size of that; a file is read.
image_under <- function(image, size, call = rlang::caller_env()) {
  if (is.null(image)) return(NULL)
  image <- if (is.character(image) && length(image) == 1) seg_read_image(image) else
    as_seg_image(image)
  check_same_size(size, utils::head(dim(image), -1), "image", call = call)
  image
}

# One slice as a bare array [H, W, C].
slice_image <- function(x, slice, call = rlang::caller_env()) {
  if (length(dim(x)) == 3) return(bare(x))
  slice <- check_slice(slice, dim(x)[[1]], call)
  array(.subset(x, slice, TRUE, TRUE, TRUE), dim = dim(x)[-1])
}

# One slice as a bare matrix [H, W].
slice_mask <- function(x, slice, call = rlang::caller_env()) {
  if (length(dim(x)) == 2) return(bare(x))
  slice <- check_slice(slice, dim(x)[[1]], call)
  array(.subset(x, slice, TRUE, TRUE), dim = dim(x)[-1])
}

check_slice <- function(slice, n, call) {
  check_whole(slice %||% ((n + 1) %/% 2), min = 1, max = n, arg = "slice", call = call)
}

# Which colour each id gets, and what the legend says: `ids`, `colours` (one each), `clear` (not
# drawn over an image). Only what occurs is listed.
mask_key <- function(ids, classes, palette, over) {
  present <- classes %in% ids
  background <- is_background(classes)
  listed <- present & !(over & background)
  list(
    ids = c(unname(classes), NA), colours = c(unname(palette), ignore_colour),
    clear = c(background & over, FALSE),
    legend = list(
      labels = c(names(classes)[listed], if (anyNA(ids)) "ignore"),
      colours = c(unname(palette)[listed], if (anyNA(ids)) ignore_colour)
    )
  )
}

# The beige of Pascal VOC's borders.
ignore_colour <- "#E0E0C0"

segment_key <- function(ids, segments, classes, over) {
  palette <- mask_palette(classes)
  present <- classes %in% segments$class[segments$id %in% ids]
  list(
    ids = c(segments$id, 0L), clear = c(rep(FALSE, nrow(segments)), over),
    colours = c(unname(palette)[match(segments$class, classes)], "#000000"),
    legend = list(labels = names(classes)[present], colours = unname(palette)[present])
  )
}

instance_look <- function(x, by) {
  classes <- attr(x, "classes")
  classes <- classes[classes %in% x$class]
  by <- by %||% (if (length(classes) > 1) "class" else "object")
  by <- check_choice(by, c("class", "object"))
  if (by == "object") {
    return(list(colours = rep_len(okabe_ito(7), nrow(x)), legend = NULL))
  }
  palette <- okabe_ito(length(classes))
  list(colours = palette[match(x$class, classes)],
       legend = list(labels = names(classes), colours = palette))
}

# Outlines as a data frame object, ring, x, y in pixels from the upper left corner.
instance_rings <- function(x) {
  as.data.frame(py_call("instances", "r_outlines", instance_columns(x), as.list(attr(x, "size"))))
}

# ---- the panel ----

# Begins a plot of an image of `size` with room for a legend; gives its scale.
open_scene <- function(size, key = NULL, main = NULL) {
  old <- graphics::par(c("mai", "xpd"))
  graphics::par(mai = rep(0, 4))
  graphics::plot.new()
  inches <- graphics::par("fin")
  cex <- max(0.75, min(inches) / 7)
  title <- if (is.null(main)) 0 else 2 * cex * graphics::strheight("M", "inches")
  room <- legend_width(key, cex, inches)
  graphics::par(mai = c(0, 0, title, room) + 0.04 * cex, xpd = NA)
  graphics::plot.window(c(0, size[[2]]), c(size[[1]], 0), asp = 1, xaxs = "i", yaxs = "i")
  pixel <- min(graphics::par("pin") / rev(size))
  scene <- c(list(size = size, cex = cex, old = old), scene_grid(size, pixel))
  if (!is.null(main)) graphics::title(main, line = 0.3, cex.main = 1.2 * cex)
  if (!is.null(key)) draw_legend(key, size, cex)
  scene
}

close_scene <- function(scene) graphics::par(scene$old)

# How many pixels become one (`down`), or one pixel becomes in each direction (`up`), when a pixel
# is `pixel` inches wide; `line` is the width of a line in drawn pixels.
scene_grid <- function(size, pixel) {
  # vector devices call a point a pixel
  dpi <- max(grDevices::dev.size("px") / grDevices::dev.size("in"), 100)
  dots <- pixel * dpi
  down <- max(1, min(floor(1 / dots), size))
  up <- max(1, min(floor(dots), floor(2000 / max(size))))
  list(down = down, up = up, line = max(1, round(dpi / 72 * min(graphics::par("fin")) / 7)))
}

draw_raster <- function(scene, rgb) {
  drawn <- scene$size
  if (scene$down > 1) drawn <- scene$size %/% scene$down * scene$down
  graphics::rasterImage(grDevices::as.raster(rgb), 0, drawn[[1]], drawn[[2]], 0,
                        interpolate = scene$down > 1)
}

legend_width <- function(key, cex, inches) {
  if (length(key$labels) == 0) return(0)
  text <- max(graphics::strwidth(key$labels, "inches", cex = cex))
  min(text + 3 * cex * graphics::strheight("M", "inches"), 0.45 * inches[[1]])
}

# A box of its colour and the name of each class, right of the picture.
draw_legend <- function(key, size, cex) {
  if (length(key$labels) == 0) return(invisible())
  per_inch <- diff(graphics::par("usr")[1:2]) / graphics::par("pin")[[1]]
  line <- 1.7 * graphics::strheight("M", "inches", cex = cex)
  room <- graphics::par("pin")[[2]]
  shrink <- max(0.6, min(1, room / (line * length(key$labels))))
  fits <- max(1, floor(room / (line * shrink)))
  key <- cut_legend(key, fits)
  line <- line * shrink * per_inch
  usr <- graphics::par("usr")
  top <- max(0, min(usr[3:4]))
  y <- top + line * (seq_along(key$labels) - 0.5)
  x <- size[[2]] + 0.4 * line
  box <- 0.33 * line
  border <- ifelse(is.na(key$colours), NA, "grey40")
  graphics::rect(x, y + box, x + 2 * box, y - box, col = key$colours, border = border, lwd = 0.5)
  graphics::text(x + 3 * box, y, key$labels, adj = c(0, 0.5), cex = cex * shrink)
}

cut_legend <- function(key, n) {
  if (length(key$labels) <= n) return(key)
  keep <- seq_len(max(n - 1, 1))
  more <- paste("and", length(key$labels) - length(keep), "more")
  list(labels = c(key$labels[keep], more), colours = c(key$colours[keep], NA))
}

# ---- pixels ----

# The image at the scene's resolution as RGB [h, w, 3] in 0..1; NULL for no image.
shown_image <- function(scene, image, limits, slice) {
  if (is.null(image)) return(NULL)
  limits <- if (is.null(limits)) default_limits(image) else check_range(limits)
  rgb <- to_rgb(average(slice_image(image, slice), scene$down), limits)
  enlarge(rgb, scene$up)
}

shown_mask <- function(scene, ids) {
  if (scene$down == 1) return(enlarge(ids, scene$up))
  middle <- (scene$down + 1) %/% 2
  at <- lapply(dim(ids), \(n) (seq_len(n %/% scene$down) - 1) * scene$down + middle)
  ids[at[[1]], at[[2]], drop = FALSE]
}

enlarge <- function(x, times) {
  if (times == 1) return(x)
  rows <- rep(seq_len(nrow(x)), each = times)
  cols <- rep(seq_len(ncol(x)), each = times)
  if (length(dim(x)) == 2) x[rows, cols, drop = FALSE] else x[rows, cols, , drop = FALSE]
}

# Means of blocks of `k` x `k` pixels of [H, W, C]; what does not fill a block is cut off.
average <- function(x, k) {
  if (k == 1) return(x)
  size <- dim(x)[1:2] %/% k
  channels <- dim(x)[[3]]
  if (any(dim(x)[1:2] %% k > 0)) {
    x <- x[seq_len(size[[1]] * k), seq_len(size[[2]] * k), , drop = FALSE]
  }
  dim(x) <- c(k, size[[1]], k, size[[2]] * channels)
  x <- aperm(array(colMeans(x), dim = dim(x)[-1]), c(2, 1, 3))
  array(colMeans(x), dim = c(size, channels))
}

# The values of black and white: those of the image's kind, unless it uses little of that range.
default_limits <- function(image) {
  range <- attr(image, "range") %||% guess_range(image)
  every <- max(1, length(image) %/% 1e5)
  some <- .subset(image, seq(1, length(image), by = every))
  used <- stats::quantile(some, c(0.001, 0.999), names = FALSE, na.rm = TRUE)
  if (anyNA(used)) return(range)
  if (diff(used) > 0 && diff(used) < 0.3 * diff(range)) used else range
}

# One channel is grey, three or more begin with red, green and blue.
to_rgb <- function(x, limits) {
  x <- (x - limits[[1]]) / max(diff(limits), .Machine$double.eps)
  x <- pmin(pmax(x, 0), 1)
  # pixels without a value
  x[is.na(x)] <- 0.88
  channels <- if (dim(x)[[3]] >= 3) 1:3 else c(1, 1, 1)
  x[, , channels, drop = FALSE]
}

# Colours over an image (RGB [h, w, 3], or NULL): `place` says which row of the key each pixel has,
# `edges` where it is drawn with full opacity, or darker where there is no image.
blend <- function(under, place, key, alpha, edges) {
  colours <- t(grDevices::col2rgb(key$colours)) / 255
  over <- array(colours[place, ], dim = c(dim(place), 3))
  if (is.null(under)) return(over * as.vector(1 - 0.5 * edges))
  weight <- ifelse(edges, max(alpha, min(1, alpha * 2)), alpha)
  weight[key$clear[place]] <- 0
  under + (over - under) * as.vector(weight)
}

# Pixels within a line's width of another value.
outlines_of <- function(scene, x) {
  x[is.na(x)] <- -1L
  edge <- array(FALSE, dim = dim(x))
  h <- nrow(x)
  w <- ncol(x)
  for (k in seq_len(scene$line)) {
    if (h > k) {
      differs <- x[-seq_len(k), , drop = FALSE] != x[seq_len(h - k), , drop = FALSE]
      edge[-seq_len(k), ] <- edge[-seq_len(k), ] | differs
      edge[seq_len(h - k), ] <- edge[seq_len(h - k), ] | differs
    }
    if (w > k) {
      differs <- x[, -seq_len(k), drop = FALSE] != x[, seq_len(w - k), drop = FALSE]
      edge[, -seq_len(k)] <- edge[, -seq_len(k)] | differs
      edge[, seq_len(w - k)] <- edge[, seq_len(w - k)] | differs
    }
  }
  edge
}

# ---- objects ----

draw_objects <- function(scene, rings, colours, alpha, lty = "solid") {
  lty <- rep_len(lty, length(colours))
  for (object in split(rings, rings$object)) {
    colour <- colours[[object$object[[1]]]]
    path <- break_rings(object)
    graphics::polypath(path$x, path$y, rule = "evenodd", border = colour,
                       col = grDevices::adjustcolor(colour, alpha), lwd = max(1.5, 2 * scene$cex),
                       lty = lty[[object$object[[1]]]])
  }
}

# The rings of one object one after the other, NA between them.
break_rings <- function(object) {
  parts <- lapply(split(object[c("x", "y")], object$ring), \(ring) rbind(ring, NA))
  path <- do.call(rbind, parts)
  path[-nrow(path), ]
}

# What is written onto each object, such as "person 0.89"; nothing where many objects would all get
# the same word, unless `labels` is TRUE.
label_text <- function(x, labels) {
  same <- length(unique(x$label)) == 1 && all(is.na(x$score))
  if (!is.null(labels) && !check_flag(labels) || is.null(labels) && same && nrow(x) > 12) {
    return(list(text = character(), always = FALSE))
  }
  score <- ifelse(is.na(x$score), "", formatC(x$score, format = "f", digits = 2))
  list(text = trimws(paste(x$label, score)), always = isTRUE(labels))
}

# At the upper left corner of each box; where there is room, unless all are asked for.
draw_labels <- function(scene, x, colours, labels) {
  written <- label_text(x, labels)
  text <- written$text
  if (length(text) == 0) return(invisible())
  cex <- 0.8 * scene$cex
  width <- graphics::strwidth(text, cex = cex) * 1.08
  height <- abs(graphics::strheight("Mg", cex = cex)) * 1.5
  roomy <- nrow(x) <= 12 | width < 1.3 * (x$xmax - x$xmin) & height < 0.4 * (x$ymax - x$ymin)
  shown <- which(roomy | written$always)
  # the best score is drawn last and stays readable
  for (i in shown[order(x$score[shown], na.last = FALSE)]) {
    left <- max(0, min(x$xmin[[i]], scene$size[[2]] - width[[i]]))
    top <- max(0, if (x$ymin[[i]] >= height) x$ymin[[i]] - height else x$ymin[[i]])
    graphics::rect(left, top + height, left + width[[i]], top, col = colours[[i]], border = NA)
    graphics::text(left + width[[i]] / 2, top + height / 2, text[[i]], cex = cex,
                   col = ink_on(colours[[i]]))
  }
}

# Black or white, whichever reads better on a colour.
ink_on <- function(colour) {
  luminance <- sum(c(0.299, 0.587, 0.114) * grDevices::col2rgb(colour))
  if (luminance > 130) "black" else "white"
}
