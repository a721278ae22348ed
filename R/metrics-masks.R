# Scores of masks: what is given, paired and made ready to be counted.

metrics_of_masks <- function(truth, prediction, classes, options, metrics, tolerance, width,
                             thresholds, call) {
  if (is_scenes(truth)) truth <- truth$masks
  truth <- as_mask_list(truth, call = call)
  prediction <- pair_masks(as_mask_list(prediction, call = call), truth, call = call)
  known <- classes %||% named_classes(c(truth, prediction), call)
  images <- names(truth) %||% names(prediction)
  truth <- unname(lapply(truth, countable_mask, classes = known, arg = "truth", call = call))
  prediction <- unname(lapply(prediction, countable_mask, classes = known, arg = "prediction",
                              call = call))
  ids <- if (!is.null(classes)) as.list(unname(classes))
  result <- py_call("metrics.semantic", "compare", truth, prediction, ids, list(), options,
                    .call = call)
  new_seg_metrics(result, classes %||% name_ids(as.vector(result$ids), known), images)
}

# One mask, several paths or a list of both, as a list.
as_mask_list <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (is.character(x) && is.null(dim(x))) {
    x <- check_paths(x, arg = arg, call = call)
    return(as.list(stats::setNames(x, names(x) %||% basename(x))))
  }
  if (!is.list(x) || is.object(x)) return(list(x))
  if (length(x) == 0) {
    maskr_abort("argument", "{.arg {arg}} holds no mask: it is an empty list.",
                arg = arg, call = call)
  }
  paths <- vapply(x, \(one) is.character(one) && is.null(dim(one)), logical(1))
  x[paths] <- lapply(x[paths], check_paths, arg = arg, call = call)
  if (all(lengths(x[paths]) == 1)) return(x)
  maskr_abort("argument", "Each element of {.arg {arg}} must be one mask or one path.",
              arg = arg, call = call)
}

# The predictions in the order of the truths: by name where both have the same names.
pair_masks <- function(prediction, truth, call = rlang::caller_env()) {
  if (length(prediction) != length(truth)) {
    maskr_abort("argument", c(
      "{.arg truth} and {.arg prediction} must hold equally many masks.",
      x = "{.arg truth} holds {length(truth)}, {.arg prediction} {length(prediction)}."
    ), arg = "prediction", call = call)
  }
  by_name <- !anyDuplicated(names(truth)) && setequal(names(truth), names(prediction))
  if (by_name && !is.null(names(truth))) prediction[names(truth)] else prediction
}

# The classes that the masks themselves name: those of `seg_mask`s, else the levels of factors.
named_classes <- function(masks, call = rlang::caller_env()) {
  known <- unlist(lapply(unname(masks), attr, "classes"))
  if (!is.null(known)) return(one_name_each(known, call))
  levels <- unique(unlist(lapply(masks, \(x) if (holds_names(x)) levels(as.factor(x)))))
  if (!is.null(levels)) stats::setNames(seq_along(levels) - 1L, levels)
}

# Named ids of all masks as one vocabulary. Names that were made up for want of better ones give
# way; two real names for one id mean that the masks speak of different things.
one_name_each <- function(known, call) {
  made_up <- names(known) == as.character(known) | names(known) %in% c("background", "foreground")
  known <- known[order(made_up)]
  real <- known[sort(!made_up, decreasing = TRUE)]
  pairs <- unique(data.frame(id = real, name = names(real)))
  twice <- pairs$id[duplicated(pairs$id)]
  if (length(twice) > 0) {
    words <- pairs$name[pairs$id == twice[[1]]]
    maskr_abort("data", c(
      "The masks disagree about the name of class {twice[[1]]}: {.or {.val {words}}}.",
      i = "Masks are compared by class id. If the ids mean the same, say so by {.arg classes}."
    ), arg = "classes", call = call)
  }
  known <- known[!duplicated(known)]
  sort(known[!duplicated(names(known))])
}

# Ids with their names where they have one.
name_ids <- function(ids, known) {
  name <- as.character(names(known))[match(ids, known)]
  stats::setNames(ids, ifelse(is.na(name), as.character(ids), name))
}

holds_names <- function(x) is.factor(x) || is.character(x) && !is.null(dim(x))

# What Python counts: an integer array as it lies in memory, or a path.
countable_mask <- function(x, classes, arg, call = rlang::caller_env(2)) {
  if (is.character(x) && is.null(dim(x))) return(unname(x))
  if (inherits(x, c("seg_image", "seg_instances", "seg_panoptic"))) {
    maskr_abort("argument", c(
      "{.arg {arg}} must hold masks, and holds an object of class {.cls {class(x)[[1]]}}.",
      i = if (!inherits(x, "seg_image")) "{.fn as_seg_mask} makes a mask of it."
    ), arg = arg, call = call)
  }
  if (holds_names(x)) x <- as_seg_mask(x, classes = classes)
  # a mask's other attributes stay behind at the border; to strip them here would copy it
  if (is.integer(x) && length(dim(x)) %in% 2:3 && length(x) > 0) return(x)
  bare_mask(x, arg = arg, call = call)
}

