# Panoptic results: an integer array of segment ids and a data frame of segments.

#' Panoptic segmentations
#'
#' A `seg_panoptic` is an integer matrix `[H, W]` or volume `[D, H, W]` of segment ids, where 0 is
#' void, with a data frame of its segments. Things (countable objects) have one segment for each
#' object, stuff (sky, road) one for each class. Objects in volumes live here too.
#'
#' @param x A matrix `[H, W]` or array `[D, H, W]` of segment ids: whole numbers from 0 up; `NA`
#'   becomes void. For `as_seg_panoptic()`: such an array of object numbers, a [seg_mask()] (each
#'   class is one segment of stuff) or [seg_instances()] (each object is a segment; where they
#'   overlap, the one with the higher score wins, and of equal or missing scores the later row).
#' @param segments A data frame with the columns `id` and `class` (or `label`), and optionally
#'   `isthing` (default `TRUE`), `score` and `iscrowd` (regions of many things that were not told
#'   apart); `area` is counted. Every id of `x` must be there.
#' @param classes A named vector of class ids.
#' @param spacing Size of a voxel, `c(D, H, W)` or `c(H, W)`.
#' @param unit The unit of `spacing`, such as `"um"`; `"mm"` by default.
#' @param class For an array of object numbers: the class of all objects, one named id.
#' @param instances For a mask: [seg_instances()] to lay over it as things; their classes are
#'   matched by name and added where the mask lacks them.
#' @param ... Must be empty.
#' @return A `seg_panoptic` with the attributes `segments` (data frame `id, class, label, isthing,
#'   score, area`, and `iscrowd` where there is a crowd) and `classes`. `as_seg_mask()` makes a mask
#'   of its classes, `as_seg_instances()` objects of its things.
#' @concept types
#' @export
#' @examples
#' ids <- matrix(c(1, 1, 2, 2, 0, 3), 2)
#' x <- seg_panoptic(
#'   ids,
#'   data.frame(id = 1:3, label = c("sky", "person", "person"), isthing = c(FALSE, TRUE, TRUE)),
#'   classes = c(sky = 0, person = 1)
#' )
#' x
#' as_seg_mask(x)
seg_panoptic <- function(x, segments, classes, spacing = NULL, unit = NULL) {
  attr(x, "spacing") <- spacing
  x <- bare_mask(x)
  x[is.na(x)] <- 0L
  classes <- check_classes(classes, null = FALSE)
  segments <- check_segments(segments, x, classes)
  unit <- check_unit(unit)
  new_seg_panoptic(x, segments, classes, spacing = check_spacing(spacing, length(dim(x))),
                   unit = unit)
}

# No checks. `x` is a bare integer array [H, W] or [D, H, W], 0 is void; `segments` has the columns
# id, class, label, isthing, score, area, and iscrowd where there is a crowd.
new_seg_panoptic <- function(x, segments, classes, spacing = NULL, unit = NULL) {
  structure(x, segments = segments, classes = classes, spacing = spacing,
            unit = if (!is.null(spacing)) unit, class = "seg_panoptic")
}

# The complete data frame of segments of the bare array `x`.
check_segments <- function(segments, x, classes, call = rlang::caller_env()) {
  # tibbles warn of `$` with a column that is not there
  if (!is.data.frame(segments) || is.null(segments[["id"]]) ||
        is.null(segments[["class"]]) && is.null(segments[["label"]])) {
    maskr_abort("argument", c(
      "{.arg segments} must be a data frame with the columns {.field id} and {.field class} or
       {.field label}.",
      x = "You supplied {describe(segments)}."
    ), arg = "segments", call = call)
  }
  segments <- narrow_columns(segments)
  seen <- setdiff(unique(as.vector(x)), 0L)
  unknown <- setdiff(seen, segments$id)
  if (length(unknown) > 0 || anyDuplicated(segments$id) || any(segments$id < 1)) {
    maskr_abort("data", c(
      "{.arg segments} must have one row for every segment id of {.arg x}, from 1 up.",
      x = if (length(unknown) > 0) "Without a row: {utils::head(unknown, 5)}."
    ), arg = "segments", call = call)
  }
  n <- nrow(segments)
  class <- if (n == 0) integer() else
    check_object_classes(segments[["class"]] %||% segments[["label"]], n, classes, call = call)
  complete <- data.frame(
    id = as.integer(segments$id), class = class, label = class_labels(class, classes),
    isthing = rep_len(as.logical(segments[["isthing"]] %||% TRUE), n),
    score = rep_len(as.double(segments[["score"]] %||% NA), n), area = count_ids(x, segments$id)
  )
  with_crowds(complete, segments[["iscrowd"]], call)
}

# Segments with a column that tells crowds, where there is one.
with_crowds <- function(segments, iscrowd, call = rlang::caller_env()) {
  segments$iscrowd <- NULL
  if (is.null(iscrowd)) return(segments)
  if (!(is.logical(iscrowd) || is_numbers(iscrowd)) || !all(iscrowd %in% 0:1)) {
    maskr_abort("data", "The column {.field iscrowd} of {.arg segments} must be TRUE or FALSE.",
                arg = "segments", call = call)
  }
  if (any(iscrowd == 1)) segments$iscrowd <- iscrowd == 1
  segments
}

count_ids <- function(x, ids) as.double(tabulate(match(x, ids), length(ids)))

#' @rdname seg_panoptic
#' @export
as_seg_panoptic <- function(x, ...) UseMethod("as_seg_panoptic")

#' @rdname seg_panoptic
#' @export
as_seg_panoptic.default <- function(x, class = c(object = 1), ...) {
  check_no_dots(...)
  x <- bare_mask(x)
  class <- check_one_class(class)
  ids <- sort(setdiff(unique(as.vector(x)), c(0L, NA)))
  segments <- data.frame(id = ids, class = rep(unname(class), length(ids)))
  seg_panoptic(x, segments, class)
}

#' @export
as_seg_panoptic.seg_panoptic <- function(x, ...) {
  check_no_dots(...)
  x
}

#' @rdname seg_panoptic
#' @export
as_seg_panoptic.seg_instances <- function(x, ...) {
  check_no_dots(...)
  check_instances(x)
  rows <- py_call("instances", "r_flatten", instance_columns(x), as.list(attr(x, "size")))
  ids <- if (anyDuplicated(x$id) || any(x$id < 1)) seq_len(nrow(x)) else x$id
  segments <- data.frame(id = ids, class = x$class, score = x$score)
  segments$iscrowd <- x[["iscrowd"]]
  seg_panoptic(array(c(0L, ids)[rows + 1L], dim = dim(rows)), segments, attr(x, "classes"))
}

#' @rdname seg_panoptic
#' @export
as_seg_panoptic.seg_mask <- function(x, instances = NULL, ...) {
  check_no_dots(...)
  classes <- attr(x, "classes")
  ids <- match(x, classes)
  stuff <- data.frame(id = seq_along(classes), class = unname(classes), isthing = FALSE, score = NA)
  stuff <- stuff[stuff$id %in% ids, ]
  if (is.null(instances)) {
    return(seg_panoptic(array(ids, dim(x)), stuff, classes, spacing = attr(x, "spacing"),
                        unit = attr(x, "unit")))
  }
  things <- as_seg_panoptic(as_seg_instances(instances))
  check_same_size(dim(x), dim(things), "instances")
  labels <- attr(things, "segments")$label
  classes <- add_classes(classes, unique(labels), attr(things, "classes"))
  over <- which(things > 0)
  rows <- attr(things, "segments")
  ids[over] <- length(attr(x, "classes")) + match(things[over], rows$id)
  rows <- data.frame(id = length(attr(x, "classes")) + seq_len(nrow(rows)),
                     class = unname(classes[labels]), isthing = TRUE, score = rows$score,
                     iscrowd = rows$iscrowd %||% rep(FALSE, nrow(rows)))
  # stuff that is covered altogether is no segment any more
  stuff <- stuff[stuff$id %in% ids, ]
  stuff$iscrowd <- rep(FALSE, nrow(stuff))
  seg_panoptic(array(ids, dim(x)), rbind(stuff, rows), classes)
}

# `classes` and those of `labels` that it lacks, with their ids of `more` or, where these are
# taken, the next free ones.
add_classes <- function(classes, labels, more) {
  for (label in setdiff(labels, names(classes))) {
    id <- more[[label]]
    if (id %in% classes) id <- max(classes) + 1L
    classes[[label]] <- id
  }
  classes
}

check_same_size <- function(size, other, arg, call = rlang::caller_env()) {
  if (identical(as.integer(size), as.integer(other))) return(invisible())
  maskr_abort("shape", c(
    "{.arg {arg}} must have the size {size_words(size)}.", x = "It has {size_words(other)}."
  ), arg = arg, call = call)
}

#' @export
`[.seg_panoptic` <- function(x, ..., drop = FALSE) {
  if (is_empty_index(...)) return(x)
  out <- NextMethod(drop = drop)
  if (...length() != length(dim(x)) || drop) return(out)
  out <- like_panoptic(out, x, attr(x, "spacing"))
  if (missing(drop) && length(dim(x)) == 3 && is_one_slice(...)) without_depth(out) else out
}

#' @export
`[<-.seg_panoptic` <- function(x, ..., value) {
  out <- bare(x)
  known <- c(0L, attr(x, "segments")$id)
  if (!is_numbers(value) || !all(value %in% known)) {
    maskr_abort("data", c(
      "Only the ids of the segments can be assigned, and 0 for void.",
      x = "Given: {.val {utils::head(setdiff(value, known), 5)}}."
    ), arg = "value")
  }
  out[...] <- as.integer(value)
  like_panoptic(out, x, attr(x, "spacing"))
}

# A bare array with the segments of `x`, counted anew; those that are gone are left out.
like_panoptic <- function(out, x, spacing = NULL) {
  attributes(out) <- list(dim = dim(out))
  segments <- attr(x, "segments")
  segments$area <- count_ids(out, segments$id)
  segments <- segments[segments$area > 0, ]
  rownames(segments) <- NULL
  segments <- with_crowds(segments, segments$iscrowd)
  new_seg_panoptic(out, segments, attr(x, "classes"), spacing = spacing, unit = attr(x, "unit"))
}

#' @export
Ops.seg_panoptic <- Ops.seg_image

#' @export
Math.seg_panoptic <- Math.seg_image

#' @export
t.seg_panoptic <- t.seg_mask

#' @export
aperm.seg_panoptic <- function(a, perm = NULL, ...) {
  perm <- perm %||% rev(seq_along(dim(a)))
  like_panoptic(aperm(bare(a), perm, ...), a, attr(a, "spacing")[perm])
}

#' @export
as.array.seg_panoptic <- function(x, ...) bare(x)

#' @export
as.matrix.seg_panoptic <- as.matrix.seg_mask

#' @export
as.data.frame.seg_panoptic <- function(x, row.names = NULL, optional = FALSE, ...) {
  at <- arrayInd(seq_along(x), dim(x))
  names <- c(if (ncol(at) == 3) "slice", "row", "col")
  segments <- attr(x, "segments")[match(x, attr(x, "segments")$id), ]
  data.frame(stats::setNames(as.data.frame(at), names), segment = as.vector(x),
             class = segments$class, label = segments$label, row.names = row.names)
}

#' @export
format.seg_panoptic <- function(x, ...) {
  segments <- attr(x, "segments")
  paste0("<seg_panoptic> ", size_words(dim(x)), ", ", sum(segments$isthing), " things, ",
         sum(!segments$isthing), " stuff", spacing_words(attr(x, "spacing"), attr(x, "unit")))
}

#' @export
print.seg_panoptic <- function(x, n = 10, ...) {
  cat(format(x), sep = "\n")
  segments <- attr(x, "segments")
  columns <- c("id", "label", "isthing", "score", "area", "iscrowd")
  shown <- utils::head(segments, n)[intersect(columns, names(segments))]
  if (all(is.na(shown$score))) shown$score <- NULL
  if (nrow(shown) > 0) print(shown, row.names = FALSE, digits = 3)
  if (nrow(segments) > n) cat("... and", nrow(segments) - n, "more\n")
  invisible(x)
}

#' @export
summary.seg_panoptic <- function(object, ...) {
  segments <- attr(object, "segments")
  classes <- attr(object, "classes")
  classes <- classes[classes %in% segments$class]
  place <- match(segments$class, classes)
  area <- as.vector(rowsum(segments$area, factor(place, seq_along(classes))))
  data.frame(
    class = unname(classes), label = names(classes),
    isthing = segments$isthing[match(classes, segments$class)],
    segments = tabulate(place, length(classes)), area = area, share = area / length(object)
  )
}
