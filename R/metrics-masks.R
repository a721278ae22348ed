# Scores of masks: what is given, paired and made ready to be counted.

metrics_of_masks <- function(truth, prediction, classes, options, metrics, tolerance, width,
                             thresholds, call) {
  if (is_scenes(truth)) truth <- truth$masks
  pairs <- paired_masks(truth, prediction, call)
  options$names <- as.list(pairs$images)
  probable <- are_probabilities(pairs, thresholds, call)
  if (!probable) check_ids_suffice(pairs, classes, metrics, thresholds, call)
  more <- more_families(metrics, probable, tolerance, width, thresholds, call)
  known <- classes %||% named_classes(pairs[c("truth", if (!probable) "prediction")], call)
  if (probable) classes <- known <- classes_of_probabilities(known, pairs$prediction, call)
  ready <- countable_pairs(pairs, known, probable, geometric(more), call)
  ids <- if (!is.null(classes)) as.list(unname(classes))
  result <- py_call("metrics.semantic", "compare", ready$truth, ready$prediction, ids, more,
                    options, .call = call)
  if (is.null(classes)) check_same_coding(result$confusion, as.vector(result$ids), known, call)
  new_seg_metrics(result, classes %||% name_ids(as.vector(result$ids), known), pairs$images)
}

# Masks of 0 and 1 beside such of 0 and 255 mean the same, and have no class but 0 in common.
check_same_coding <- function(counts, ids, known, call) {
  seen <- list(truth = ids[rowSums(counts) > 0], prediction = ids[colSums(counts) > 0])
  named <- known[names(known) != as.character(known)]
  for (side in names(seen)) {
    other <- setdiff(names(seen), side)
    object <- max(seen[[side]], 0)
    binary <- object %in% c(255, 65535) && all(seen[[side]] %in% c(0, object))
    if (!binary || object %in% named || !setequal(c(0, seen[[other]]), 0:1)) next
    maskr_abort("data", c(
      "{.arg {other}} holds the class ids 0 and 1, and {.arg {side}} holds 0 and {object}.",
      i = "If {object} is class 1, divide by it: {.code {side} / {object}}. Files are read by
           {.code seg_read_mask(path, values = c(0, {object}))}.",
      i = "If {object} is another class, name it in {.arg classes}."
    ), arg = side, call = call)
  }
}

# The families beside the confusion matrix: the default's, or those of the named scores. `calibrate`
# says whether the default holds the calibration.
more_families <- function(metrics, probable, tolerance, width, thresholds, call,
                          calibrate = probable) {
  wanted <- setdiff(families_of(metrics, "masks"), "semantic")
  if (is.null(metrics) && calibrate) wanted <- "calibration"
  if (!is.null(thresholds)) wanted <- union("thresholds", wanted)
  lapply(wanted, \(name) list(name = name, arguments = switch(
    name,
    thresholds = list(thresholds = as.list(check_thresholds(thresholds, call))),
    calibration = list(bins = 15L),
    boundary = list(tolerance = check_reach(tolerance, "tolerance", call),
                    width = check_reach(width, "width", call)),
    surface = list(tolerance = check_reach(tolerance, "tolerance", call))
  )))
}

# Class ids as predictions: no score may need probabilities, and all ids must mean the same.
check_ids_suffice <- function(pairs, classes, metrics, thresholds, call) {
  needy <- c("thresholds", "calibration")
  needy <- intersect(metrics, c(needy, unlist(metric_families$masks[needy])))
  if (!is.null(thresholds)) {
    maskr_abort("argument", c(
      "{.arg thresholds} are for probabilities, and {.arg prediction} holds class ids.",
      i = making_probabilities
    ), arg = "thresholds", call = call)
  }
  if (length(needy) > 0) {
    one_class <- any(vapply(pairs$prediction, holds_fractions, NA))
    maskr_abort("argument", c(
      if (one_class) {
        "{.val {needy}} {?needs/need} {.arg thresholds} where {.arg prediction} holds the
         probabilities of one class without a dimension of classes."
      } else {
        "{.val {needy}} {?is/are} computed from probabilities, and {.arg prediction} holds class
         ids."
      },
      i = if (one_class) {
        "For example, write {.code thresholds = seq(0, 1, 0.05)}."
      } else {
        making_probabilities
      }
    ), arg = if (one_class) "thresholds" else "metrics", call = call)
  }
  if (is.null(classes)) check_same_language(pairs, call)
}

making_probabilities <-
  "{.code predict(type = \"prob\")} gives probabilities: arrays [H, W, class]."

holds_fractions <- function(x) is.double(x) && any(x != round(x), na.rm = TRUE)

# Names say nothing of numbers, unless a mask knows both.
check_same_language <- function(pairs, call) {
  masks <- c(pairs$truth, pairs$prediction)
  named <- vapply(masks, holds_names, NA)
  known <- !all(vapply(masks, \(x) is.null(attr(x, "classes")), NA))
  if (!any(named) || all(named) || known) return(invisible())
  words <- levels(as.factor(masks[[which(named)[[1]]]]))
  sides <- c("truth", "prediction")
  if (!any(named[seq_along(pairs$truth)])) sides <- rev(sides)
  maskr_abort("argument", c(
    "{.arg {sides[[1]]}} holds names of classes and {.arg {sides[[2]]}} numbers; {.arg classes} must
     say which belong together.",
    i = "For example, write {.code classes = {channels_as_code(words)}}."
  ), arg = "classes", call = call)
}

# Do families measure lengths, so that they need to know the size of a pixel?
geometric <- function(more) {
  any(vapply(more, \(one) one$name %in% c("boundary", "surface"), logical(1)))
}

check_thresholds <- function(x, call) {
  x <- x %||% seq(0, 1, 0.05)
  if (is_numbers(x) && length(x) > 0 && !anyNA(x) && all(x >= 0 & x <= 1)) return(sort(unique(x)))
  maskr_abort("argument", c(
    "{.arg thresholds} must be numbers from 0 to 1, such as {.code seq(0, 1, 0.05)}.",
    x = "You supplied {describe(x)}."
  ), arg = "thresholds", call = call)
}

# A length, or a share of the image's diagonal such as "0.75%".
check_reach <- function(x, arg, call) {
  if (is_numbers(x) && length(x) == 1 && is.finite(x) && x >= 0) return(as.double(x))
  share <- "^[0-9]*[.]?[0-9]+ *%$"
  if (is.character(x) && length(x) == 1 && grepl(share, trimws(x))) return(trimws(x))
  maskr_abort("argument", c(
    "{.arg {arg}} must be a number of pixels (or in units of the spacing), or a share of the
     image's diagonal such as {.val 0.75%}.",
    x = "You supplied {describe(x)}."
  ), arg = arg, call = call)
}

# pairing ------------------------------------------------------------------------------------------

# Truths and predictions that belong together, as lists, and the names of the images.
paired_masks <- function(truth, prediction, call) {
  truth <- mask_files(truth, "truth", call)
  prediction <- mask_files(prediction, "prediction", call)
  truth <- as_mask_list(truth, "truth", call)
  prediction <- as_mask_list(prediction, "prediction", call)
  ordered <- pair_masks(prediction, truth, call)
  list(truth = unname(truth), prediction = unname(ordered),
       images = names(truth) %||% names(ordered))
}

# A folder as its mask files; anything else as it is.
mask_files <- function(x, arg, call) {
  is_folder <- is.character(x) && length(x) == 1 && !is.na(x) && dir.exists(x)
  volumes <- if (is_folder) {
    files <- list.files(path.expand(x), "[.]nii([.]gz)?$", full.names = TRUE, ignore.case = TRUE)
    in_byte_order(files)
  }
  if (length(volumes) > 0) unname(volumes) else files_in(x, arg, call)
}

are_files <- function(x) is.character(x) && is.null(dim(x)) && is.null(names(x))

# Where the prediction of each truth is, as data sets are paired, by names of images or of files.
pair_names <- function(files, truths, call) {
  stem <- bare_stem(files, prediction_words)
  plain <- file.path(dirname(files), ifelse(nzchar(stem), paste0(stem, ".png"), basename(files)))
  found <- tryCatch(
    targets_by_file_name(plain, truths, call),
    maskr_error_data = function(e) {
      maskr_abort("data", c(
        "{.arg truth} and {.arg prediction} cannot be paired by their names.",
        x = "{.arg truth} holds {first_names(basename(truths))}.",
        x = "{.arg prediction} holds {first_names(basename(files))}.",
        i = "Name them alike, or pair them in their order by lists without names:
             {.code unname(as.list(prediction))}."
      ), arg = "prediction", call = call)
    }
  )
  match(truths, found)
}

prediction_words <- "preds?|predictions?|predicted|results?|outputs?|out"

# One mask, several paths or a list of both, as a list.
as_mask_list <- function(x, arg, call) {
  if (is.character(x) && is.null(dim(x))) {
    x <- check_paths(x, arg = arg, call = call)
    return(as.list(stats::setNames(x, names(x) %||% basename(x))))
  }
  if (inherits(x, "seg_dataset")) {
    maskr_abort("argument", c(
      "{.arg {arg}} must hold masks, and is a data set.",
      i = "{.fn seg_evaluate} scores a model on a data set."
    ), arg = arg, call = call)
  }
  if (!is.list(x) || is.object(x)) return(list(own_mask(x, arg, call)))
  x <- lapply(x, own_mask, arg = arg, call = call)
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

# The predictions in the order of the truths: by name where both have names, else by place. Of one
# truth and one prediction there is no doubt.
pair_masks <- function(prediction, truth, call) {
  if (length(prediction) != length(truth)) {
    maskr_abort("argument", c(
      "{.arg truth} and {.arg prediction} must hold equally many masks.",
      x = "{.arg truth} holds {length(truth)}, {.arg prediction} {length(prediction)}."
    ), arg = "prediction", call = call)
  }
  names <- list(names(truth), names(prediction))
  named <- all(vapply(names, \(one) length(one) > 0 && all(nzchar(one)), NA))
  if (!named || length(truth) == 1 || identical(names[[1]], names[[2]])) return(prediction)
  if (!anyDuplicated(names[[1]]) && setequal(names[[1]], names[[2]])) return(prediction[names[[1]]])
  prediction[pair_names(paths_or_names(prediction), paths_or_names(truth), call)]
}

# The names of images, which for files are their paths.
paths_or_names <- function(x) {
  from_file <- mapply(\(one, name) is.character(one) && identical(basename(one), name), x, names(x))
  ifelse(from_file, vapply(x, \(one) if (is.character(one)) one[[1]] else "", ""), names(x))
}

# probabilities ------------------------------------------------------------------------------------

# Are the predictions probabilities rather than class ids? All must be alike.
are_probabilities <- function(pairs, thresholds, call) {
  probable <- mapply(is_probability, pairs$prediction, pairs$truth,
                     MoreArgs = list(sweep = !is.null(thresholds)))
  if (all(probable == probable[[1]])) return(probable[[1]])
  maskr_abort("argument", c(
    "{.arg prediction} must hold masks only or probabilities only.",
    x = "Number {which(probable)[[1]]} holds probabilities, number {which(!probable)[[1]]} does
         not."
  ), arg = "prediction", call = call)
}

# Arrays with one dimension more than their truth; those with as many only where thresholds are
# given.
is_probability <- function(x, truth, sweep) {
  if (!is.double(x) || is.object(x)) return(FALSE)
  if (is_foreground(x, truth)) sweep else length(dim(x)) %in% 3:4
}

# Is there no dimension of classes?
is_foreground <- function(x, truth) {
  is_volume <- length(dim(truth)) == 3 || are_files(truth) && grepl("[.]nii", truth, TRUE)
  length(dim(x)) == 2 + is_volume
}

# The classes of the channels: those that are known, else 0 and 1 where there are two.
classes_of_probabilities <- function(known, prediction, call) {
  if (!is.null(known)) return(known)
  channels <- channel_names(prediction[[1]])
  if (is.null(channels)) return(c(background = 0L, foreground = 1L))
  maskr_abort("argument", c(
    "{.arg classes} is needed to tell the class ids of the channels.",
    i = "For example, write {.code classes = {channels_as_code(channels)}}."
  ), arg = "classes", call = call)
}

# "c(sky = 0, road = 1)"; names that are numbers keep them.
channels_as_code <- function(channels) {
  syntactic <- make.names(channels) == channels
  words <- ifelse(syntactic, channels, paste0("\"", channels, "\""))
  ids <- if (all(grepl("^[0-9]{1,9}$", channels))) as.integer(channels) else seq_along(words) - 1
  paste0("c(", paste0(words, " = ", ids, collapse = ", "), ")")
}

# Names along the last dimension of [H, W, K]; NULL for the matrix of one foreground.
channel_names <- function(x) {
  channels <- dimnames(x)[[length(dim(x))]]
  if (is.null(channels) && length(dim(x)) > 2 && dim(x)[[length(dim(x))]] != 2) {
    channels <- as.character(seq_len(dim(x)[[length(dim(x))]]) - 1)
  }
  channels
}

# What Python takes as probabilities: channels in the order of the classes.
countable_probabilities <- function(x, truth, classes, image, call) {
  if (is_foreground(x, truth)) {
    if (length(classes) != 2) {
      maskr_abort("shape", c(
        "Probabilities of one foreground need two {.arg classes}, and there are
         {length(classes)}.",
        i = "For several classes the last dimension of {.arg prediction} is that of the classes."
      ), arg = "prediction", call = call)
    }
    span <- range(x, 0, na.rm = TRUE)
    if (span[1] < 0 || span[2] > 1) {
      maskr_abort("data", c(
        "{image}The probabilities in {.arg prediction} must lie between 0 and 1.",
        x = "They go from {min(x, na.rm = TRUE)} to {max(x, na.rm = TRUE)}."
      ), arg = "prediction", call = call)
    }
    return(array(c(1 - x, x), c(dim(x), 2)))
  }
  channels <- dimnames(x)[[length(dim(x))]]
  x <- only_dim(x)
  if (is.null(channels) || identical(channels, names(classes))) return(x)
  if (!setequal(channels, names(classes)) || anyDuplicated(channels)) {
    maskr_abort("data", c(
      "The channels of {.arg prediction} and the classes have different names.",
      x = "Channels: {.val {channels}}.", x = "Classes: {.val {names(classes)}}.",
      i = "Say by {.arg classes} which class id each channel has."
    ), arg = "prediction", call = call)
  }
  order <- match(names(classes), channels)
  size <- dim(x)
  array(matrix(x, ncol = length(channels))[, order], size)
}

# classes ------------------------------------------------------------------------------------------

# The classes that the masks themselves name: those of `seg_mask`s, else the levels of factors.
named_classes <- function(pairs, call) {
  masks <- unlist(unname(pairs), recursive = FALSE)
  known <- lapply(masks, attr, "classes")
  if (!all(vapply(known, is.null, NA))) {
    # names in a matrix are looked up in the others' classes, so they are no bare ids
    known <- one_vocabulary(known[!vapply(masks, holds_names, NA)], mask_labels(pairs),
                            "classes", call)
    return(sort(known))
  }
  levels <- unique(unlist(lapply(masks, \(x) if (holds_names(x)) levels(as.factor(x)))))
  if (!is.null(levels)) stats::setNames(seq_along(levels) - 1L, levels)
}

# What masks are called in messages: "truth", or "truth[[3]]" of several.
mask_labels <- function(pairs) {
  unlist(Map(function(masks, side) {
    labels <- if (length(masks) > 1) paste0(side, "[[", seq_along(masks), "]]") else side
    labels[!vapply(masks, holds_names, NA)]
  }, pairs, names(pairs)), use.names = FALSE)
}

# Ids with their names where they have one.
name_ids <- function(ids, known) {
  name <- as.character(names(known))[match(ids, known)]
  stats::setNames(ids, ifelse(is.na(name), as.character(ids), name))
}

holds_names <- function(x) is.factor(x) || is.character(x) && !is.null(dim(x))

# counting -----------------------------------------------------------------------------------------

# Both lists as Python counts them.
countable_pairs <- function(pairs, classes, probable, geometric, call) {
  images <- pairs$images %||% seq_along(pairs$truth)
  label <- if (length(images) > 1) paste0("Image ", deparsed(images), ": ") else ""
  count <- function(truth, prediction, image) {
    if (!says_volume(truth) && !says_volume(prediction)) {
      check_no_channels(truth, "truth", call)
      if (!probable) check_no_channels(prediction, "prediction", call)
    }
    spacing <- if (geometric) common_spacing(truth, prediction, call)
    counted <- countable_mask(truth, classes, "truth", call)
    found <- if (probable) {
      list(probabilities = countable_probabilities(prediction, truth, classes, image, call))
    } else {
      countable_mask(prediction, classes, "prediction", call)
    }
    list(truth = with_spacing(counted, spacing), prediction = with_spacing(found, spacing))
  }
  ready <- unname(Map(count, pairs$truth, pairs$prediction, label))
  list(truth = lapply(ready, `[[`, "truth"), prediction = lapply(ready, `[[`, "prediction"))
}

# The size of the pixels of both; NULL where neither says.
common_spacing <- function(truth, prediction, call) {
  sizes <- Filter(Negate(is.null), list(attr(truth, "spacing"), attr(prediction, "spacing")))
  same_unit <- identical(attr(truth, "unit"), attr(prediction, "unit"))
  if (length(sizes) < 2 || same_unit && isTRUE(all.equal(sizes[[1]], sizes[[2]], 1e-4))) {
    return(if (length(sizes) > 0) sizes[[1]])
  }
  maskr_abort("data", c(
    "{.arg truth} and {.arg prediction} have different spacing:
     {in_brackets(sizes[[1]])} {attr(truth, 'unit') %||% 'mm'} and {in_brackets(sizes[[2]])}
     {attr(prediction, 'unit') %||% 'mm'}.",
    i = "Distances are measured in one; set {.code attr(prediction, \"spacing\")} if it is wrong."
  ), arg = "prediction", call = call)
}

in_brackets <- function(x) paste0("(", paste(signif(x, 4), collapse = ", "), ")")

# Names in quotes, as Python's messages have them; numbers as they are.
deparsed <- function(x) if (is.character(x)) paste0("\"", x, "\"") else x

with_spacing <- function(x, spacing) {
  if (is.null(spacing) || is.character(x)) return(x)
  if (!is.list(x)) x <- list(array = x)
  c(x, list(spacing = as.list(as.double(spacing))))
}

# What Python counts: an array of numbers as it lies in memory, or a path.
countable_mask <- function(x, classes, arg, call) {
  if (is.character(x) && is.null(dim(x))) return(unname(x))
  if (inherits(x, c("seg_image", "seg_instances", "seg_panoptic"))) {
    maskr_abort("argument", c(
      "{.arg {arg}} must hold masks, and holds an object of class {.cls {class(x)[[1]]}}.",
      i = if (!inherits(x, "seg_image")) "{.fn as_seg_mask} makes a mask of it."
    ), arg = arg, call = call)
  }
  if (holds_names(x)) x <- factor_ids(x, classes, arg = arg, call = call)
  if (inherits(x, "seg_mask") && !keeps_its_ids(x, classes)) {
    return(renumbered_ids(x, classes, arg, rename = TRUE, call = call))
  }
  # a mask's other attributes stay behind at the border; to strip them here would copy it, as
  # would a check of doubles, which Python makes while it counts
  whole <- is.integer(x) || is.double(x) && !is.object(x)
  if (whole && length(dim(x)) %in% 2:3 && length(x) > 0) return(x)
  bare_mask(x, arg = arg, call = call)
}
