# Between annotations and the results that other verbs give and take.

one_image <- function(x, image, call = rlang::caller_env()) {
  check_annotations(x, arg = "x", call = call)
  if (is.null(image) && nrow(x$images) == 1) return(x)
  x[find_image(image, x, call = call), ]
}

#' @rdname seg_annotations
#' @export
as_seg_instances.seg_annotations <- function(x, image = NULL, ...) {
  check_no_dots(...)
  x <- one_image(x, image)
  out <- py_call("annotations", "r_instances", annotations_for_python(x), 0L)
  say_boxes(x)
  ids <- out$columns$id
  # COCO's crowds have ids that are no integers of R; rows are then numbered
  if (any(ids > .Machine$integer.max)) out$columns$id <- NULL
  found <- new_seg_instances(out$columns, unlist(out$size), annotation_classes(x))
  if (any(x$objects$iscrowd)) found$iscrowd <- x$objects$iscrowd[match(ids, x$objects$id)]
  found
}

#' @rdname seg_annotations
#' @export
as_seg_mask.seg_annotations <- function(x, image = NULL, classes = NULL, ...) {
  check_no_dots(...)
  x <- one_image(x, image)
  if (!is.null(classes)) x <- renumber(x, check_classes(classes))
  out <- py_call("annotations", "r_mask", annotations_for_python(x), 0L)
  say_boxes(x)
  classes <- mask_classes(x)
  check_known_ids(out$data, classes)
  new_seg_mask(out$data, classes, palette = annotation_palette(x, classes),
               spacing = unlist(out$spacing), affine = out$affine)
}

#' @rdname seg_annotations
#' @export
as_seg_panoptic.seg_annotations <- function(x, image = NULL, ...) {
  check_no_dots(...)
  x <- one_image(x, image)
  out <- py_call("annotations", "r_panoptic", annotations_for_python(x), 0L)
  say_boxes(x)
  rows <- out$segments
  seg_panoptic(
    out$ids,
    data.frame(id = as.integer(rows$id), class = as.integer(rows$class),
               isthing = as.logical(rows$isthing), score = na_for_nan(rows$score),
               iscrowd = as.logical(rows$iscrowd)),
    mask_classes(x)
  )
}

say_boxes <- function(x) {
  n <- sum(is.na(x$objects$rle) & is.na(x$objects$polygon))
  if (n == 0 || is_label_images(x)) return(invisible())
  cli::cli_inform(c(i = "{n} object{?s} {?has/have} a box and no mask: the box's rectangle stands
                         for it."), class = "maskr_message_changed")
}

annotation_palette <- function(x, classes) {
  colours <- x$classes$colour[match(names(classes), x$classes$name)]
  if (all(is.na(colours))) return(NULL)
  colours[is.na(colours)] <- mask_palette(classes)[is.na(colours)]
  stats::setNames(colours, names(classes))
}

# The same annotations with the class ids that `classes` gives to their names.
renumber <- function(x, classes, arg = "classes", call = rlang::caller_env()) {
  own <- annotation_classes(x)
  ignored <- names(own)[is_ignored_name(names(own))]
  if (length(ignored) > 0) classes[[ignored]] <- max(255L, classes + 1L)
  used <- if (is_label_images(x)) x$classes else x$classes[x$classes$id %in% x$objects$class, ]
  lost <- setdiff(used$name, names(classes))
  lost <- lost[!is_background_name(lost)]
  if (length(lost) > 0) {
    chosen <- intersect(names(own), names(classes))
    words <- if (length(chosen) > 5) "names(classes)" else deparse(chosen, width.cutoff = 500)[[1]]
    maskr_abort("data", c(
      "The annotations hold {cli::qty(length(lost))}{?a class that is/classes that are} not in
       {.arg {arg}}.",
      x = "{.val {utils::head(lost, 5)}}{if (length(lost) > 5) ', ...'}",
      i = "Name {cli::qty(length(lost))}{?it/them} too{if (length(chosen) > 0) {
           paste0(', or leave others out: `annotations[, ', words, ']`')}}."
    ), arg = arg, call = call)
  }
  new <- classes[names(own)]
  if (is_label_images(x)) {
    kept <- !is.na(new)
    x <- renumbered_files(x, own, ifelse(kept, new, -1L))
  }
  x$objects$class <- unname(classes[x$objects$label])
  rows <- match(names(classes), x$classes$name)
  table <- x$classes[rows, ]
  table$name <- names(classes)
  table$id <- unname(classes)
  table$supercategory[is.na(rows)] <- ""
  table$isthing[is.na(rows)] <- !is_background_name(names(classes)[is.na(rows)])
  rownames(table) <- NULL
  x$classes <- table
  x
}

# Class ids are replaced as label images are read: pairs of old and new, -1 for none.
renumbered_files <- function(x, from, to) {
  to <- rep_len(to, length(from))
  pairs <- x$reading$renumber %||% lapply(x$classes$id, function(id) list(id, id))
  x$reading$renumber <- lapply(pairs, function(pair) {
    at <- match(pair[[2]], from)
    list(as.integer(pair[[1]]), if (is.na(at)) as.integer(pair[[2]]) else as.integer(to[[at]]))
  })
  x
}

#' @rdname seg_annotations
#' @export
as_seg_annotations <- function(x, ...) UseMethod("as_seg_annotations")

#' @export
as_seg_annotations.seg_annotations <- function(x, ...) {
  check_no_dots(...)
  x
}

#' @rdname seg_annotations
#' @export
as_seg_annotations.default <- function(x, folder = "", ...) {
  check_no_dots(...)
  if (missing(x)) abort_missing("x", rlang::current_env())
  kinds <- c("seg_instances", "seg_mask", "seg_panoptic")
  named <- is.list(x) && !is.data.frame(x) && length(x) > 0 && length(names(x)) == length(x) &&
    all(nzchar(names(x)))
  if (!named || !all(vapply(x, inherits, TRUE, what = kinds))) {
    maskr_abort("argument", c(
      "{.arg x} must be a list of instances, masks or panoptic segmentations, named by the images'
       files.",
      x = "You supplied {describe(x)}{if (is.list(x) && !named) ' without names'}.",
      i = "{.code predict(object, paths)} gives such a list for two or more paths; write
           {.code list(\"file.jpg\" = mask)} for one."
    ), arg = "x")
  }
  for (i in seq_along(x)) {
    if (is.data.frame(x[[i]])) check_instances(x[[i]], arg = paste0("x[[", i, "]]"))
  }
  folder <- path.expand(check_text(folder))
  classes <- classes_of_all(lapply(x, attr, "classes"))
  parts <- objects_of_all(x)
  ids <- numbers_in_names(names(x)) %||% as.double(seq_along(x))
  images <- data.frame(
    id = ids, file = names(x),
    height = vapply(x, function(one) image_size(one)[[1]], 1L, USE.NAMES = FALSE),
    width = vapply(x, function(one) image_size(one)[[2]], 1L, USE.NAMES = FALSE)
  )
  objects <- do.call(rbind, lapply(seq_along(parts), function(i) {
    one <- parts[[i]]
    one$class <- unname(classes[one$label])
    one$image_id <- rep(ids[[i]], nrow(one))
    one
  }))
  objects$id <- as.double(seq_len(nrow(objects)))
  objects$iscrowd <- unlist(Map(crowds_of, x, parts), use.names = FALSE) %||% logical()
  objects$polygon <- rep(NA_character_, nrow(objects))
  isthing <- names(classes) %in% unlist(lapply(x, thing_names))
  table <- data.frame(
    id = unname(classes), name = names(classes), supercategory = rep("", length(classes)),
    isthing = isthing, colour = rep(NA_character_, length(classes))
  )
  reading <- list(rasteriser = "coco")
  new_seg_annotations(images, objects[c(instance_fields, "image_id", "iscrowd", "polygon")], table,
                      "memory", folder, reading)
}

# Ids of images whose names are numbers, as COCO's are: "000000000139.jpg" has id 139.
numbers_in_names <- function(files) {
  names <- stem(files)
  if (all(grepl("^[0-9]{1,15}$", names)) && !anyDuplicated(names)) as.double(names)
}

check_text <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (identical(x, "")) x else check_string(x, arg = arg, call = call)
}

# Instances and segments have a column for it where there is one.
crowds_of <- function(x, objects) {
  segments <- attr(x, "segments")
  # tibbles warn of `$` with a column that is not there
  iscrowd <- if (is.data.frame(x)) {
    x[["iscrowd"]]
  } else {
    segments$iscrowd[match(objects$id, segments$id)]
  }
  as.logical(iscrowd %||% rep(FALSE, nrow(objects)))
}

image_size <- function(x) as.integer(if (is.data.frame(x)) attr(x, "size") else dim(x)[1:2])

thing_names <- function(x) {
  if (is.data.frame(x)) return(names(attr(x, "classes")))
  if (inherits(x, "seg_mask")) return(character())
  segments <- attr(x, "segments")
  unique(segments$label[segments$isthing])
}

# One vector of class ids for all; a class keeps its id where they agree.
classes_of_all <- function(all, call = rlang::caller_env()) {
  classes <- unlist(unname(all))
  classes <- classes[!duplicated(data.frame(names(classes), classes))]
  if (!anyDuplicated(classes) && !anyDuplicated(names(classes))) return(classes)
  maskr_abort("data", "The images give one class id two names, or one class two ids.",
              arg = "x", call = call)
}

# The objects of each, as plain data frames of `instance_fields`; all masks are encoded by one call
# to Python, and so are all panoptic segmentations.
objects_of_all <- function(x, call = rlang::caller_env()) {
  if (any(lengths(lapply(x, dim)) == 3)) {
    maskr_abort("shape", "{.arg x} holds a volume, and objects are 2D only.", arg = "x",
                call = call)
  }
  is_mask <- vapply(x, inherits, TRUE, what = "seg_mask")
  is_panoptic <- vapply(x, inherits, TRUE, what = "seg_panoptic")
  out <- lapply(x, function(one) if (is.data.frame(one)) plain_frame(one)[instance_fields])
  out[is_mask] <- objects_of_masks(x[is_mask])
  out[is_panoptic] <- objects_of_panoptic(x[is_panoptic])
  out
}

objects_of_masks <- function(x) {
  if (length(x) == 0) return(list())
  classes <- classes_of_all(lapply(x, attr, "classes"))
  background <- unname(classes[is_background_name(names(classes))])
  coded <- py_call("annotations", "r_encode_parts", unname(lapply(x, bare)), as.list(background))
  Map(function(one, columns) {
    plain_frame(new_seg_instances(columns, dim(one), attr(one, "classes")))
  }, x, coded)
}

objects_of_panoptic <- function(x) {
  if (length(x) == 0) return(list())
  coded <- py_call("annotations", "r_encode", unname(lapply(x, bare)))
  Map(function(one, columns) {
    rows <- attr(one, "segments")
    rows <- rows[match(columns$id, rows$id), ]
    columns$class <- rows$class
    columns$score <- rows$score
    plain_frame(new_seg_instances(columns, dim(one), attr(one, "classes")))
  }, x, coded)
}
