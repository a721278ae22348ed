# Scores of objects: what is given, paired and made ready to be counted.

metrics_of_objects <- function(truth, prediction, classes, options, metrics, type, call) {
  pairs <- pair_scenes(check_objects(truth, "truth", call),
                          check_objects(prediction, "prediction", call), call)
  options$names <- as.list(pairs$images)
  pairs$prediction <- named_by_truth(pairs$prediction, pairs$truth)
  if (is.null(classes)) classes <- classes_of_objects(pairs, call)
  families <- if (!is.null(metrics)) {
    families_of(metrics, "objects")
  } else if (all_have_scores(pairs$prediction)) {
    "coco"
  } else {
    "bioimage"
  }
  if (!is.null(type)) check_for_coco(families, call)
  type <- check_choice(type %||% "mask", c("mask", "box", "boundary"), arg = "type", call = call)
  families <- lapply(families, \(name) {
    list(name = name, arguments = if (name == "coco") list(type = type) else list())
  })
  result <- py_call(
    "metrics.objects", "compare", counted_objects(pairs$truth, classes, "truth", call),
    counted_objects(pairs$prediction, classes, "prediction", call), as.list(unname(classes)),
    families, options, .call = call
  )
  new_seg_metrics(result, classes, pairs$images, kind = "objects")
}

# `type` is for average precision alone.
check_for_coco <- function(families, call) {
  if ("coco" %in% families) return(invisible())
  maskr_abort("argument", c(
    "{.arg type} cannot change any score that is computed.",
    i = paste("It is for", argument_words[["type"]]),
    i = "That needs a {.field score} of every predicted object."
  ), arg = "type", call = call)
}

# Annotations, or a list of instances and panoptic segmentations.
check_objects <- function(x, arg, call) {
  if (is_scenes(x)) x <- x$instances
  if (inherits(x, "seg_annotations")) {
    check_annotations(x, arg = arg, call = call)
    return(things_alone(x))
  }
  if (is.object(x) || !is.list(x)) x <- list(x)
  wrong <- which(!vapply(x, inherits, NA, what = c("data.frame", "seg_panoptic")))
  if (length(x) == 0 || length(wrong) > 0) {
    maskr_abort("argument", c(
      "{.arg {arg}} must hold objects: {.fn seg_instances}, {.fn seg_panoptic}, lists of them, or
       annotations.",
      x = if (length(x) == 0) "It is an empty list." else
        "{if (length(x) > 1) paste('Number', wrong[[1]], 'is') else 'You supplied'}
         {describe(x[[wrong[[1]]]])}.",
      i = if (length(x) > 0) mend_objects(x[[wrong[[1]]]])
    ), arg = arg, call = call)
  }
  for (one in Filter(is.data.frame, x)) {
    check_instances(one, arg = arg, call = call)
    check_score_range(one$score, arg, call)
  }
  x
}

# Scores may have changed since their objects were made.
check_score_range <- function(score, arg, call) {
  wrong <- which(score < 0 | score > 1)
  if (length(wrong) == 0) return(invisible())
  maskr_abort("data", c(
    "The scores in {.arg {arg}} must be numbers from 0 to 1.",
    x = "That of object {wrong[[1]]} is {format(score[[wrong[[1]]]])}."
  ), arg = arg, call = call)
}

# What to do about a file's name or an object of another kind in place of objects.
mend_objects <- function(x) {
  if (inherits(x, "seg_mask")) return("A mask of classes does not tell objects apart.")
  if (is.character(x)) return("Read files of objects by {.fn seg_read_annotations}.")
  if (is_numbers(x) && length(dim(x)) == 2) "{.fn as_seg_instances} makes objects of numbers."
}

# Stuff is no object.
things_alone <- function(x) {
  name <- x$classes$name
  kept <- x$classes$isthing | is_background_name(name) | is_ignored_name(name)
  if (all(kept)) x else x[, name[kept]]
}

# pairing ------------------------------------------------------------------------------------------

# Truth and prediction with the same images in the same order, both as lists or both as
# annotations, and the names of the images.
pair_scenes <- function(truth, prediction, call) {
  listed <- vapply(list(truth, prediction), inherits, NA, what = "list")
  if (all(listed)) {
    prediction <- pair_masks(prediction, truth, call)
    images <- names(truth) %||% names(prediction)
    return(list(truth = unname(truth), prediction = unname(prediction), images = images))
  }
  if (listed[[1]]) truth <- annotations_beside(truth, prediction, "truth", call)
  if (listed[[2]]) prediction <- annotations_beside(prediction, truth, "prediction", call)
  truth <- truth[order(truth$images$id), ]
  list(truth = truth, prediction = on_images_of(prediction, truth, call),
       images = truth$images$file)
}

# Objects of a list as annotations; without names they are those of the other's images in order.
annotations_beside <- function(x, other, arg, call) {
  if (is.null(names(x))) {
    if (identical(other$format, "coco_results")) abort_without_ids(arg, call)
    if (length(x) != nrow(other$images)) {
      maskr_abort("argument", c(
        "{.arg {arg}} must be named by the images' files, or hold one element for each of the
         {nrow(other$images)} annotated image{?s}.",
        x = "It holds {length(x)} without names."
      ), arg = arg, call = call)
    }
    names(x) <- other$images$file
  }
  things_alone(as_seg_annotations(x))
}

# Predictions with the images of the truth, and no others; those without objects are added.
on_images_of <- function(prediction, truth, call) {
  rows <- rows_in_truth(prediction, truth, call)
  unknown <- which(is.na(rows))
  if (length(unknown) > 0) {
    words <- paste0(prediction$images$file, " (id ", prediction$images$id, ")")[unknown]
    maskr_abort("data", c(
      "{.arg prediction} holds {length(unknown)} image{?s} that {.arg truth} lacks.",
      x = "{.val {utils::head(words, 3)}}{if (length(words) > 3) ', ...'}",
      i = "Images are matched by the names of their files, those of COCO's results by id."
    ), arg = "prediction", call = call)
  }
  known <- match(seq_len(nrow(truth$images)), rows)
  check_sizes_of_images(prediction$images[known, ], truth$images, call)
  images <- prediction$images[known, ]
  sizes <- c("height", "width")
  lacking <- is.na(images$height) | is.na(images$width)
  images[lacking, sizes] <- truth$images[lacking, sizes]
  new_id <- truth$images$id[rows]
  prediction$objects$image_id <- new_id[match(prediction$objects$image_id, prediction$images$id)]
  images$id <- truth$images$id
  images$file <- ifelse(is.na(images$file), truth$images$file, images$file)
  rownames(images) <- NULL
  prediction$images <- images
  prediction
}

# The truth's row of each predicted image, NA for none: by file, and by id where these are real.
rows_in_truth <- function(prediction, truth, call) {
  sides <- list(truth = truth, prediction = prediction)
  real <- vapply(sides, has_real_ids, NA)
  by_id <- if (all(real)) match(prediction$images$id, truth$images$id)
  if (any(vapply(sides, \(x) identical(x$format, "coco_results"), NA))) {
    if (!all(real)) abort_without_ids(names(sides)[!real][[1]], call)
    return(by_id)
  }
  files <- list(prediction$images$file, truth$images$file)
  if (anyDuplicated(stem(files[[2]])) || anyDuplicated(stem(files[[1]]))) {
    return(match(files[[1]], files[[2]]))
  }
  by_file <- match(stem(files[[1]]), stem(files[[2]]))
  if (anyNA(by_file) && !is.null(numbers_in_names(files[[1]]))) by_id %||% by_file else by_file
}

# Are the ids of images those of a file or of the images' names, rather than their places in a list?
has_real_ids <- function(x) {
  x$format != "memory" || !is.null(numbers_in_names(x$images$file))
}

abort_without_ids <- function(arg, call) {
  maskr_abort("argument", c(
    "COCO's results name images by their ids alone, and those of {.arg {arg}} are not known.",
    i = "Name its elements by the images' numbers, as COCO's files are:
         {.code names({arg}) <- c(\"000000000139.jpg\", ...)}.",
    i = "Or give annotations that {.fn seg_read_annotations} read, which hold the ids."
  ), arg = arg, call = call)
}

check_sizes_of_images <- function(images, truth, call) {
  differ <- which(images$height != truth$height | images$width != truth$width)
  if (length(differ) == 0) return(invisible())
  first <- differ[[1]]
  maskr_abort("shape", c(
    "{.arg truth} and {.arg prediction} differ in the size of the image
     {.val {truth$file[[first]]}}.",
    x = "{truth$height[[first]]} x {truth$width[[first]]} and
         {images$height[[first]]} x {images$width[[first]]} pixels."
  ), arg = "prediction", call = call)
}

# classes ------------------------------------------------------------------------------------------

# COCO's results name no classes: where these are called by their ids, they are the truth's.
named_by_truth <- function(prediction, truth) {
  if (!inherits(prediction, "seg_annotations")) return(prediction)
  table <- prediction$classes
  if (prediction$format != "coco_results" || any(table$name != table$id)) return(prediction)
  name <- truth$classes$name[match(table$id, truth$classes$id)]
  prediction$classes$name <- ifelse(is.na(name), table$name, name)
  prediction$objects$label <- prediction$classes$name[match(prediction$objects$class, table$id)]
  prediction
}

# The classes of the truth, then others that were predicted. Names are what matters: an id that is
# taken gives way.
classes_of_objects <- function(pairs, call) {
  known <- unite_classes(classes_of_things(pairs$truth), integer())
  used <- labels_in(pairs$prediction)
  check_common_class(used, labels_in(pairs$truth), names(known), read = inherits(
    pairs$prediction, "seg_annotations"
  ), call = call)
  predicted <- classes_of_things(pairs$prediction)
  unite_classes(predicted[names(predicted) %in% used], known)
}

unite_classes <- function(more, known) {
  more <- more[!duplicated(names(more)) & !names(more) %in% names(known)]
  for (name in names(more)) {
    free <- !more[[name]] %in% known
    known[[name]] <- if (free) more[[name]] else max(known, more) + 1L
  }
  known
}

# Named ids of classes of things, but for a background that is no object's.
classes_of_things <- function(x) {
  if (inherits(x, "seg_annotations")) {
    classes <- annotation_classes(x)
    classes <- classes[x$classes$isthing & !is_ignored_name(names(classes))]
  } else {
    classes <- unlist(lapply(x, \(one) attr(one, "classes")[thing_names(one)]))
  }
  classes[!is_background_name(names(classes)) | names(classes) %in% labels_in(x)]
}

# Names of the classes that objects have.
labels_in <- function(x) {
  if (inherits(x, "seg_annotations")) {
    return(if (is_label_images(x)) x$classes$name else unique(x$objects$label))
  }
  unique(unlist(lapply(x, \(one) if (is.data.frame(one)) one$label else thing_names(one))))
}

check_common_class <- function(predicted, true, known, read, call) {
  if (length(predicted) == 0 || length(true) == 0 || any(predicted %in% known)) return(invisible())
  maskr_abort("data", c(
    "{.arg truth} and {.arg prediction} have no class in common; classes are matched by name.",
    x = "{.arg truth} holds {.val {utils::head(true, 5)}}.",
    x = "{.arg prediction} holds {.val {utils::head(predicted, 5)}}.",
    i = if (read) {
      "Name them alike: {.code seg_read_annotations(path, classes = c(name = id))}."
    } else {
      "Name them alike: {.code as_seg_instances(x, classes = c(name = id))} of each image."
    }
  ), arg = "prediction", call = call)
}

# counting -----------------------------------------------------------------------------------------

all_have_scores <- function(x) {
  if (inherits(x, "seg_annotations")) return(!is_label_images(x) && !anyNA(x$objects$score))
  all(vapply(x, \(one) {
    if (is.data.frame(one)) return(!anyNA(one$score))
    segments <- attr(one, "segments")
    !anyNA(segments$score[segments$isthing])
  }, NA))
}

# What Python's `objects.compare()` takes, with class ids as `classes` has them.
counted_objects <- function(x, classes, arg, call) {
  if (inherits(x, "seg_annotations")) {
    return(annotations_for_python(renumber(x, classes, call = call)))
  }
  lapply(x, \(one) if (is.data.frame(one)) {
    c(instances_for_python(one, classes, call), list(crowd = as.list(crowds_of(one, one))))
  } else {
    counted_things(one, classes, call)
  })
}

# Segments of which the things have class ids as `classes` has them.
counted_things <- function(x, classes, call) {
  segments <- attr(x, "segments")
  ids <- unname(classes[segments$label])
  lost <- unique(segments$label[is.na(ids) & segments$isthing])
  if (length(lost) > 0) {
    maskr_abort("data", c(
      "The things' classes {.val {lost}} are not in {.arg classes}.",
      i = "The classes are {class_words(classes)}; they are matched by name."
    ), arg = "classes", call = call)
  }
  ids[is.na(ids)] <- -1L
  columns <- list(id = segments$id, class = ids, isthing = segments$isthing,
                  score = segments$score)
  if (!is.null(segments$iscrowd)) columns$iscrowd <- segments$iscrowd
  list(ids = bare(x), segments = lapply(columns, as.list))
}
