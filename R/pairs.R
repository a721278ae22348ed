# Images and their masks, matched by the names of their files.

# A folder as its image files, in the order of their names; anything else as it is.
files_in <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  is_folder <- is.character(x) && length(x) == 1 && !is.na(x) && dir.exists(x)
  if (!is_folder) return(x)
  folder <- unname(path.expand(x))
  found <- in_byte_order(list.files(folder, pattern = image_ending, ignore.case = TRUE))
  found <- file.path(folder, found)
  found <- found[!dir.exists(found)]
  if (length(found) > 0) return(found)
  maskr_abort("file", c(
    "{.arg {arg}} is a folder without image files: {.path {folder}}.",
    i = "Files ending in .png, .jpg, .tif, .bmp or .webp are taken, those of subfolders are not."
  ), arg = arg, call = call)
}

# File names in one order, whatever the locale, which is Python's, too. R sorts so by "radix", and
# until 4.3 refuses names beyond ASCII that it got from the system.
in_byte_order <- function(x) {
  bytes <- x
  Encoding(bytes) <- "bytes"
  x[order(bytes, method = "radix")]
}

image_ending <- "[.](png|jpe?g|tiff?|bmp|webp)$"

# The targets in the order of their images. Vectors of files are matched by name; lists are taken
# in their order, unless images and targets have the same names.
pair_targets <- function(images, targets, call = rlang::caller_env()) {
  if (inherits(targets, "seg_annotations") && is.character(images)) {
    files <- names(images) %||% basename(images)
    return(targets[find_images(files, targets, arg = "images", call = call), ])
  }
  if (is.object(images) || is.object(targets)) return(targets)
  if (!is.character(images) || !is.character(targets)) {
    same <- !is.null(names(images)) && !anyDuplicated(names(images)) &&
      setequal(names(images), names(targets))
    return(if (same) targets[names(images)] else targets)
  }
  check_paths(images, arg = "images", call = call)
  check_paths(targets, arg = "targets", call = call)
  if (!is.null(names(targets))) return(targets_by_their_names(images, targets, call))
  if (length(images) == 1 && length(targets) == 1) return(targets)
  targets_by_file_name(images, targets, call)
}

# Targets whose names say which image each belongs to.
targets_by_their_names <- function(images, targets, call) {
  names <- names(images) %||% basename(images)
  keys <- if (all(names(targets) %in% names)) names else file_stem(names)
  by_rule(keys, names(targets), names, targets, call)
}

targets_by_file_name <- function(images, targets, call) {
  candidates <- lapply(pairing_rules, \(rule) rule(images, targets))
  hits <- vapply(candidates, \(keys) sum(unique(keys$images) %in% keys$targets), numeric(1))
  fits <- vapply(candidates, \(keys) is_one_to_one(keys$images, keys$targets), logical(1))
  best <- candidates[[if (any(fits)) which(fits)[[1]] else which.max(hits)]]
  by_rule(best$images, best$targets, basename(images), targets, call)
}

is_one_to_one <- function(a, b) !anyDuplicated(a) && !anyDuplicated(b) && setequal(a, b)

by_rule <- function(image_keys, target_keys, image_names, targets, call) {
  if (is_one_to_one(image_keys, target_keys)) {
    return(unname(targets[match(image_keys, target_keys)]))
  }
  twice <- image_keys %in% image_keys[duplicated(image_keys)]
  lonely <- image_names[twice | !image_keys %in% target_keys]
  twice <- target_keys %in% target_keys[duplicated(target_keys)]
  left_over <- basename(targets)[twice | !target_keys %in% image_keys]
  n <- length(image_names)
  maskr_abort("data", c(
    if (length(lonely) == n) {
      "By their names, no image has a target of its own."
    } else if (length(lonely) > 0) {
      "By their names, {length(lonely)} of {n} images {cli::qty(length(lonely))}{?has/have} no
       target of {?its/their} own."
    } else {
      "By their names, {length(left_over)} of {length(targets)} targets
       {cli::qty(length(left_over))}{?has/have} no image of {?its/their} own."
    },
    x = if (length(lonely) > 0) "Images without: {first_names(lonely)}",
    x = if (length(left_over) > 0) "Targets without: {first_names(left_over)}",
    i = "Names are compared without their ending and words such as {.val _mask} or {.val gt_}.",
    i = "Pair them yourself by names, {.code targets = setNames(masks, basename(images))}, or in
         their order by a list, {.code targets = as.list(masks)}."
  ), arg = "targets", call = call)
}

first_names <- function(x, n = 3) {
  shown <- paste0("\"", utils::head(x, n), "\"", collapse = ", ")
  verbatim(if (length(x) > n) paste0(shown, ", ...") else shown)
}

# File names without ending, also without that of ".nii.gz" and ".ome.tif".
file_stem <- function(paths) {
  names <- sub("[.](nii[.]gz|ome[.]tiff?)$", "", basename(paths), ignore.case = TRUE)
  ifelse(names == basename(paths), sub("[.][^.]*$", "", names), names)
}

image_words <- "images?|img|im|raw|rgb|photo|sat|input|leftImg8bit"
mask_words <- paste0(
  "masks?|labels?|lab|label_?ids|label_?train_?ids|instance_?ids|gt|gtFine|gtCoarse|l|",
  "ground_?truths?|truth|segs?|segm|segmentations?|annotations?|annot|anno|targets?|manual"
)

# Stems without words that tell images from masks: "img_7" and "7_mask" are "7".
bare_stem <- function(paths, words) {
  # a word ends at a separator or where a number begins
  first <- paste0("^(?:(?:", words, ")(?:[_. -]+|(?=[0-9])))+")
  last <- paste0("(?:(?:[_. -]+|(?<=[0-9]))(?:", words, "))+$")
  bare <- sub(first, "", file_stem(paths), perl = TRUE, ignore.case = TRUE)
  bare <- sub(last, "", bare, perl = TRUE, ignore.case = TRUE)
  sub(paste0("^(?:", words, ")$"), "", bare, perl = TRUE, ignore.case = TRUE)
}

# The same with the folders in which sets of files differ: "7/image" and "7/mask" are "7/".
bare_path <- function(paths, words) {
  parts <- strsplit(dirname(paths), "[/\\\\]")
  parts <- lapply(parts, \(part) part[!grepl(paste0("^(?:", words, ")$"), part, perl = TRUE,
                                             ignore.case = TRUE)])
  shared <- 0
  while (length(unique(vapply(parts, \(part) part[shared + 1], ""))) == 1 &&
           all(lengths(parts) > shared)) {
    shared <- shared + 1
  }
  folders <- vapply(parts, \(part) paste(part[-seq_len(shared)], collapse = "/"), "")
  if (shared == 0) folders <- vapply(parts, paste, "", collapse = "/")
  paste0(folders, "/", bare_stem(paths, words))
}

# Keys by which the longer names are the shorter ones between one beginning and one end.
affix_keys <- function(short, long) {
  found <- lapply(unique(c(utils::head(short, 3), utils::tail(short, 1))), affixes, long = long)
  found <- unique(do.call(rbind, found))
  if (is.null(found)) return(short)
  score <- mapply(\(first, last) sum(paste0(first, short, last) %in% long), found[, 1], found[, 2])
  best <- found[which.max(score), ]
  paste0(best[[1]], short, best[[2]])
}

# What stands before and after `name` in the `long` names that hold it, as a matrix of two columns.
# A number is never cut: "1" is not in "12".
affixes <- function(name, long) {
  quoted <- gsub("([][{}()+*^$|\\\\?.-])", "\\\\\\1", name)
  left <- if (grepl("^[0-9]", name)) "(?<![0-9])"
  right <- if (grepl("[0-9]$", name)) "(?![0-9])"
  at <- regexpr(paste0(left, quoted, right), long, perl = TRUE)
  holds <- at > 0 & nchar(name) > 0
  if (!any(holds)) return(NULL)
  cbind(substr(long, 1, at - 1), substr(long, at + nchar(name), nchar(long)))[holds, , drop = FALSE]
}

# From plain to bold. Each gives the keys of images and of targets, equal where they belong
# together.
pairing_rules <- list(
  name = \(images, targets) list(images = file_stem(images), targets = file_stem(targets)),
  words = \(images, targets) {
    list(images = bare_stem(images, image_words), targets = bare_stem(targets, mask_words))
  },
  longer_targets = \(images, targets) {
    list(images = affix_keys(file_stem(images), file_stem(targets)), targets = file_stem(targets))
  },
  longer_images = \(images, targets) {
    list(images = file_stem(images), targets = affix_keys(file_stem(targets), file_stem(images)))
  },
  folders = \(images, targets) {
    list(images = bare_path(images, image_words), targets = bare_path(targets, mask_words))
  }
)
