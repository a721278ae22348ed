# Scores of panoptic segmentations: what is given, paired, its classes matched by name.

metrics_of_segments <- function(truth, prediction, classes, options, metrics, call) {
  truth <- segment_side(truth, "truth", call)
  prediction <- segment_side(prediction, "prediction", call)
  prediction <- pair_segments(prediction, truth, call)
  images <- truth$images %||% prediction$images
  options$names <- as.list(images)
  known <- classes %||% add_classes(truth$classes, names(prediction$classes), prediction$classes)
  check_segment_classes(truth, known, "truth", call)
  check_segment_classes(prediction, known, "prediction", call)
  things <- things_of_both(truth, prediction, call)
  warn_of_void(truth)
  result <- py_call(
    "metrics.segments", "compare", segments_for_python(truth, known),
    segments_for_python(prediction, known), as.list(unname(known)),
    as.list(names(known) %in% names(things)[things]), options, !is.null(classes), .call = call
  )
  new_seg_metrics(result, known[match(result$ids, known)], images, kind = "segments")
}

# What was given as `truth` or `prediction`: `x`, a list of `seg_panoptic` or a `seg_annotations`;
# the names of its `images` and the `rows` that are compared; `classes`, named ids; `things`, by
# the name of each class that is seen.
segment_side <- function(x, arg, call) {
  if (inherits(x, "seg_annotations")) return(annotated_side(x, arg, call))
  if (inherits(x, "seg_panoptic")) x <- list(x)
  is_panoptic <- is.list(x) && all(vapply(x, inherits, NA, what = "seg_panoptic"))
  if (!is_panoptic || length(x) == 0) {
    other <- if (is.list(x) && !is.object(x)) Filter(\(one) !inherits(one, "seg_panoptic"), x)
    maskr_abort("argument", c(
      "{.arg {arg}} must be a {.cls seg_panoptic}, a list of them, or {.cls seg_annotations}.",
      x = if (length(other) == 0) "You supplied {describe(x)}.",
      x = if (length(other) > 0) "It holds {describe(other[[1]])}.",
      i = "{.fn as_seg_panoptic} makes one of masks, instances and label images."
    ), arg = arg, call = call)
  }
  classes <- Reduce(
    \(known, one) add_classes(known, names(attr(one, "classes")), attr(one, "classes")), x,
    integer()
  )
  list(x = x, images = names(x), rows = seq_along(x), classes = classes,
       things = things_of(lapply(x, attr, "segments"), arg, call))
}

annotated_side <- function(x, arg, call) {
  check_annotations(x, arg = arg, call = call)
  if (length(x) == 0) {
    maskr_abort("argument", "{.arg {arg}} holds no image.", arg = arg, call = call)
  }
  # objects of label images are not listed, so that every class may be there
  listed <- nrow(x$objects) > 0 || !is_label_images(x)
  seen <- x$classes[!listed | x$classes$id %in% x$objects$class, ]
  list(x = x, images = x$images$file, rows = seq_along(x$images$file),
       classes = mask_classes(x), things = stats::setNames(seen$isthing, seen$name))
}

# By the name of each class that segments have: are these things? Crowds are crowds of things.
things_of <- function(segments, arg, call) {
  kinds <- lapply(unname(segments), function(one) {
    unique(data.frame(label = one$label, isthing = one$isthing | one$iscrowd %||% FALSE))
  })
  kinds <- unique(do.call(rbind, kinds))
  both <- kinds$label[duplicated(kinds$label)]
  if (length(both) > 0) {
    maskr_abort("data", c(
      "A class is either of things or of stuff, and {.val {both[[1]]}} is both in {.arg {arg}}.",
      i = "The column {.field isthing} of the segments tells which."
    ), arg = arg, call = call)
  }
  stats::setNames(kinds$isthing, kinds$label)
}

# Label images have no stuff, and the void around their objects hides false ones.
warn_of_void <- function(truth) {
  if (length(truth$things) == 0 || !all(truth$things) || !has_void(truth$x)) return(invisible())
  cli::cli_warn(c(
    "{.arg truth} holds things and void only, and what is predicted in void counts for nothing:
     false objects do not lower the panoptic quality.",
    i = "Where the void is background, ask for
         {.code metrics = \"bioimage\"}: its rows {.val pq}, {.val sq} and {.val rq} count it.",
    i = "Or make the background a class of stuff: see {.fn seg_panoptic}."
  ), class = "maskr_warning_void")
}

# Pixels of annotations are not read for this.
has_void <- function(x) {
  inherits(x, "seg_annotations") || any(vapply(x, \(one) any(bare(one) == 0L), NA))
}

# The truth decides; classes that only the prediction has are what they are there.
things_of_both <- function(truth, prediction, call) {
  shared <- intersect(names(truth$things), names(prediction$things))
  differ <- shared[truth$things[shared] != prediction$things[shared]]
  if (length(differ) > 0) {
    words <- if (truth$things[[differ[[1]]]]) c("things", "stuff") else c("stuff", "things")
    maskr_abort("data", c(
      "{.val {differ[[1]]}} is a class of {words[[1]]} in {.arg truth} and of {words[[2]]} in
       {.arg prediction}.",
      i = "The column {.field isthing} of the segments tells which."
    ), arg = "prediction", call = call)
  }
  c(truth$things, prediction$things[setdiff(names(prediction$things), shared)])
}

check_segment_classes <- function(side, known, arg, call) {
  # what label images hold is known when they are read
  if (inherits(side$x, "seg_annotations") && nrow(side$x$objects) == 0) return(invisible())
  lost <- setdiff(names(side$things), names(known))
  if (length(lost) == 0) return(invisible())
  maskr_abort("data", c(
    "{.arg {arg}} holds {cli::qty(length(lost))}{?a class that is/classes that are} not in
     {.arg classes}: {.val {utils::head(lost, 5)}}{if (length(lost) > 5) ', ...'}.",
    i = "Classes are matched by name; {.arg classes} holds {class_words(known)}."
  ), arg = "classes", call = call)
}

# The rows of the prediction in the order of the truths: by name where both have names, which must
# then be the same, with or without folder and ending.
pair_segments <- function(prediction, truth, call) {
  keys <- lapply(list(truth, prediction), \(side) if (!is.null(side$images)) stem(side$images))
  by_name <- lengths(keys)[[1]] > 0 && !anyDuplicated(keys[[1]]) && !anyDuplicated(keys[[2]]) &&
    setequal(keys[[1]], keys[[2]])
  annotated <- inherits(truth$x, "seg_annotations") || inherits(prediction$x, "seg_annotations")
  lost <- setdiff(keys[[1]], keys[[2]])
  named <- all(vapply(keys, \(one) length(one) > 0 && all(nzchar(one)), NA))
  differ <- named && !by_name && !identical(keys[[1]], keys[[2]])
  several <- annotated || length(truth$rows) > 1
  if (length(truth$rows) != length(prediction$rows) || several && differ) {
    maskr_abort("argument", c(
      "{.arg truth} and {.arg prediction} must hold the same images.",
      x = "{.arg truth} holds {length(truth$rows)}, {.arg prediction} {length(prediction$rows)}.",
      x = if (named && length(lost) > 0) "{.val {lost[[1]]}} is in {.arg truth} only."
    ), arg = "prediction", call = call)
  }
  if (by_name) prediction$rows <- prediction$rows[match(keys[[1]], keys[[2]])]
  prediction
}

# What Python's `metrics.segments.sources()` takes, with the class ids of `known`.
segments_for_python <- function(side, known) {
  if (inherits(side$x, "seg_annotations")) {
    classes <- annotation_classes(side$x)
    classes <- classes[names(classes) %in% names(known)]
    return(list(
      annotations = annotations_for_python(side$x), rows = as.list(side$rows - 1L),
      old = as.list(unname(classes)), new = as.list(unname(known[names(classes)]))
    ))
  }
  unname(lapply(side$x[side$rows], function(one) {
    segments <- attr(one, "segments")
    vector <- function(x) array(x, dim = nrow(segments))
    # other attributes stay behind at the border; to strip them here would copy the array
    list(ids = one, id = vector(segments$id), class = vector(unname(known[segments$label])),
         iscrowd = vector(segments$iscrowd %||% rep(FALSE, nrow(segments))))
  }))
}
