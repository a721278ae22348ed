#' Images and their masks, for training and evaluation
#'
#' A plain description that `fit()`, `predict()` and [seg_evaluate()] accept: files are read only
#' then, by threads that stay ahead of the model, so that memory does not grow with their number.
#'
#' # Pairs
#' Files are matched by name, whatever their order: `7.jpg` belongs to `7.png`, and, where all pairs
#' agree, to `7_mask.png`, `gt_7.png` or whatever else stands before or after all names; files of
#' one name in many folders, such as `7/image.png` and `7/mask.png`, are matched by folder. An
#' image without its target, or a target without its image, is a `maskr_error_data` that lists the
#' first of them. To pair files of unlike names yourself, name the targets after the images,
#' `targets = setNames(masks, basename(images))`, or give a list, whose order counts:
#' `targets = as.list(masks)`.
#'
#' @param images Paths, a folder (its image files, not those of its subfolders), a list of images
#'   ([seg_image()], matrices or arrays `[H, W, C]`; a [seg_image()] `[D, H, W, C]` is a volume),
#'   several images in one array `[N, H, W, C]`, or what [seg_example()] returns, which brings its
#'   own masks, instances (for detectors) and classes. [seg_annotations] bring all of it too:
#'   `seg_dataset(seg_read_annotations(path))`.
#' @param targets For each image its truth: paths of masks or their folder, matched to the images
#'   by name; or, in the order of the images (or with their names), a list of [seg_mask()]s or
#'   matrices of class ids (or all of them in one array `[N, H, W]`), of [seg_instances()], or of
#'   paths; or [seg_annotations], whose images are matched by name.
#' @param classes Named vector of class ids, such as `c(background = 0, nucleus = 1)`; by default
#'   that of the annotations (where 0 is a class of objects, the background gets the next free id),
#'   or those that the targets name, with the ids of the first target that
#'   names each. Classes are matched by name, to a model's and to those of masks, objects and
#'   annotations, which take the ids given here; ids without names are read as these.
#' @param size `c(height, width)` in pixels that every image is brought to, or `NULL` for its own
#'   size; images of different size then share a batch, padded by reflection; what is padded does
#'   not count.
#' @param resize How: `"pad"` (fit inside, keep the aspect ratio, pad with pixels that do not
#'   count), `"crop"` (cover, keep the aspect ratio, cut the centre) or `"stretch"`.
#' @param augment What [seg_augment()] returns, or the name of one of its presets; `NULL` for none.
#'   Only training data is augmented.
#' @param batch_size Images per batch, at least 1.
#' @param shuffle Whether the order changes with every epoch of training.
#' @param sample_weights One number of at least 0 per image: how often it is drawn, relative to the
#'   others. `NULL` draws each image once an epoch.
#' @param threads Threads that read ahead; by default 2.
#' @param cache Whether to keep decoded images in memory.
#' @param ignore,values How mask files are read, see [seg_read_mask()].
#' @return A plain list of class `seg_dataset`. Targets that give one class id two names, and a mask
#'   with pixels of a class whose name `classes` lacks, are a `maskr_error_data`. A volume where an
#'   image is needed, and annotations of which the first, the middle and the last image all fail to
#'   be read with their truth, are the error that training would meet.
#' @concept data
#' @export
#' @examplesIf seg_available()
#' scenes <- seg_example("shapes", n = 6, size = c(64, 96))
#' seg_dataset(scenes, batch_size = 2)
seg_dataset <- function(images, targets = NULL, classes = NULL, size = NULL,
                        resize = c("pad", "crop", "stretch"), augment = NULL, batch_size = 8,
                        shuffle = TRUE, sample_weights = NULL, threads = NULL, cache = FALSE,
                        ignore = 255, values = NULL) {
  if (missing(images)) abort_missing("images", rlang::current_env())
  instances <- NULL
  if (is_scenes(images)) {
    instances <- images$instances
    targets <- targets %||% images$masks
    classes <- classes %||% images$classes
    images <- images$images
  }
  if (inherits(images, "seg_annotations")) {
    targets <- targets %||% images
    images <- annotated_images(images)
  }
  if (is_several_images(images)) images <- apart(images)
  if (is.array(targets)) targets <- one_as_list(targets, length(images))
  images <- files_in(images)
  targets <- pair_targets(images, files_in(targets))
  images <- check_images(images)
  if (is.character(images[[1]])) check_no_volume(images[[1]])
  targets <- check_targets(targets, length(images))
  classes <- classes_with_values(check_classes(classes, min = 2), values)
  if (inherits(targets, "seg_annotations")) {
    if (is.null(classes) && lacks_background(targets)) {
      classes <- with_background(mask_classes(targets))
    }
    if (!is.null(classes)) targets <- renumber(targets, classes)
  }
  classes <- classes %||% classes_of_targets(targets)
  check_target_names(targets, classes)
  out <- structure(
    list(
      images = images,
      targets = targets,
      classes = classes,
      instances = instances,
      size = check_size(size),
      resize = check_choice(resize, c("pad", "crop", "stretch")),
      augment = check_augment(augment, images, targets, instances),
      batch_size = check_whole(batch_size, min = 1),
      shuffle = check_flag(shuffle),
      sample_weights = check_sample_weights(sample_weights, length(images)),
      threads = check_whole(threads %||% 2, min = 1, arg = "threads"),
      cache = check_flag(cache),
      ignore = check_whole(ignore, min = 0, null = TRUE),
      values = check_values(values),
      explicit_ignore = !missing(ignore)
    ),
    class = "seg_dataset"
  )
  if (inherits(targets, "seg_annotations")) check_readable(out)
  out
}

# Annotations may lie beside images that they can't be used with. A dataset of which the first, the
# middle and the last sample fail is an error here, and not with its first batch; single files that
# fail are found by seg_check().
check_readable <- function(x, call = rlang::caller_env()) {
  few <- x[unique(round(seq(1, length(x), length.out = min(3, length(x)))))]
  py_call("datasets.samples", "r_check_samples", truth_for_python(few), .call = call)
}

# What seg_example() returns.
is_scenes <- function(x) {
  is.list(x) && !is.data.frame(x) && all(c("images", "masks", "classes") %in% names(x))
}

check_images <- function(images, arg = "images", call = rlang::caller_env()) {
  if (is.character(images)) {
    paths <- check_paths(images, arg = arg, call = call)
    return(stats::setNames(as.list(paths), names(images) %||% basename(paths)))
  }
  listed <- is.list(images) && !is.data.frame(images) && !is_foreign(images)
  if (listed && length(images) > 0) {
    images <- Map(function(image, i) {
      image <- own_image(image, paste0(arg, "[[", i, "]]"), call)
      if (is_volume_part(image) || is_image_volume(image)) return(image)
      if (is.character(image)) return(check_paths(image, arg = arg, call = call))
      bare_image(image, arg = paste0(arg, "[[", i, "]]"), call = call)
      image
    }, images, seq_along(images))
    names(images) <- names(images) %||% paste("image", seq_along(images))
    return(images)
  }
  maskr_abort("argument", c(
    "{.arg {arg}} must be file paths, a list of images or an array [N, H, W, C], not
     {describe(images)}.",
    i = if (length(dim(images)) == 3) {
      "Images [N, H, W] of one channel need its dimension: {.code array(x, c(dim(x), 1))}."
    }
  ), arg = arg, call = call)
}

check_targets <- function(targets, n, call = rlang::caller_env()) {
  if (inherits(targets, "seg_annotations") && length(targets) == n) {
    return(check_annotations(targets, arg = "targets", call = call))
  }
  if (is.character(targets)) targets <- as.list(check_paths(targets, arg = "targets", call = call))
  if (!is.list(targets) || is.data.frame(targets) || is_foreign(targets)) {
    maskr_abort("argument", c(
      "{.arg targets} must be file paths, or a list of masks or instances.",
      x = "You supplied {describe(targets)}."
    ), arg = "targets", call = call)
  }
  if (length(targets) != n) {
    maskr_abort("argument", c(
      "{.arg images} and {.arg targets} must be of the same number.",
      x = "There are {n} image{?s} and {length(targets)} target{?s}.",
      i = if (n == 1) {
        "Several images in one array are [N, H, W, C]; those of one channel need its dimension:
         {.code array(x, c(dim(x), 1))}."
      },
      i = if (length(targets) == 1 && length(dim(targets[[1]])) == 3) {
        "Several masks in one array are [N, H, W]."
      }
    ), arg = "targets", call = call)
  }
  lapply(seq_along(targets), function(i) {
    arg <- paste0("targets[[", i, "]]")
    target <- own_mask(targets[[i]], arg, call)
    if (inherits(target, "seg_instances") || is_volume_part(target)) return(target)
    if (is.character(target)) return(check_paths(target, arg = arg, call = call))
    bare_mask(target, arg = arg, call = call)
    target
  })
}

# The classes that targets themselves name, in one vocabulary.
classes_of_targets <- function(targets, call = rlang::caller_env()) {
  if (inherits(targets, "seg_annotations")) return(mask_classes(targets))
  if (inherits(targets, c("seg_mask", "seg_instances"))) return(attr(targets, "classes"))
  labels <- paste0("targets[[", seq_along(targets), "]]")
  one_vocabulary(lapply(targets, attr, "classes"), labels, "targets", call)
}

# Masks in memory whose classes are not all among the dataset's are refused before any work.
check_target_names <- function(targets, classes, call = rlang::caller_env()) {
  if (inherits(targets, "seg_annotations")) return(invisible())
  for (i in which(vapply(targets, inherits, NA, "seg_mask"))) {
    if (identical(attr(targets[[i]], "classes"), classes)) next
    renumbered_ids(targets[[i]], classes, paste0("targets[[", i, "]]"), call = call)
  }
}

check_sample_weights <- function(x, n, call = rlang::caller_env()) {
  if (is.null(x)) return(NULL)
  x <- plain_number(x)
  if (is_numbers(x) && length(x) == n && all(is.finite(x)) && all(x >= 0) && any(x > 0)) {
    return(as.double(x))
  }
  maskr_abort("argument", c(
    "{.arg sample_weights} must be one number of at least 0 per image ({n}).",
    x = "You supplied {describe(x)}."
  ), arg = "sample_weights", call = call)
}

#' @export
length.seg_dataset <- function(x) length(x$images)

# Part of a dataset, by number, logical vector or name of the images.
#' @export
`[.seg_dataset` <- function(x, i) {
  chosen <- check_samples(i, names(x$images))
  fields <- unclass(x)
  for (field in intersect(per_image, names(fields))) {
    if (!is.null(fields[[field]])) fields[[field]] <- fields[[field]][chosen]
  }
  fields$sample_weights <- check_sample_weights(fields$sample_weights, length(chosen))
  structure(fields, class = class(x))
}

# The fields of a dataset that hold one value for each image.
per_image <- c("images", "targets", "instances", "sample_weights", "groups")

check_samples <- function(i, names, arg = "i", call = rlang::caller_env()) {
  n <- length(names)
  i <- plain_number(i)
  at <- stats::setNames(seq_len(n), names)
  ok <- is_numbers(i) && !anyNA(i) && all(i == round(i)) && all(i != 0) && all(abs(i) <= n) &&
    (all(i > 0) || all(i < 0)) || is.logical(i) && length(i) == n && !anyNA(i) ||
    is.character(i) && all(i %in% names)
  chosen <- if (ok) unname(at[i])
  if (length(chosen) > 0) return(chosen)
  maskr_abort("argument", c(
    "Choose images by numbers from 1 to {n}, by their names, or by a logical vector of length {n}.",
    x = if (ok) "{.arg {arg}} chooses no image." else "{.arg {arg}} is {describe(i)}."
  ), arg = arg, call = call)
}

#' @export
format.seg_dataset <- function(x, ...) {
  kind <- function(items) {
    if (inherits(items, "seg_annotations")) return(paste(items$format, "annotations"))
    if (is_volume_part(items[[1]])) return("parts of volumes")
    if (is.character(items[[1]])) "files" else "in memory"
  }
  given <- paste0(x$size[1], " x ", x$size[2], " (", x$resize, ")")
  size <- if (is.null(x$size)) "their own" else given
  c(
    cli::pluralize("<seg_dataset> {length(x$images)} image{?s}"),
    paste0("images:  ", kind(x$images)),
    paste0("targets: ", if (inherits(unclass(x$targets)[[1]], "seg_instances")) "instances, ",
           kind(x$targets)),
    paste0("classes: ", if (is.null(x$classes)) "the model's" else
      class_words(x$classes)),
    paste0("size:    ", size),
    paste0("batches: ", ceiling(length(x$images) / x$batch_size), " of ", x$batch_size,
           if (x$shuffle) ", shuffled"),
    if (is_volume_part(x$images[[1]]) && !is.null(x$images[[1]]$window)) {
      paste0("window:  ", paste(x$images[[1]]$window, collapse = " to "))
    },
    if (!is.null(x$augment)) paste0("augment: ", paste(names(x$augment), collapse = ", "))
  )
}

#' @export
print.seg_dataset <- function(x, ...) {
  cat(format(x), sep = "\n")
  invisible(x)
}

#' @export
summary.seg_dataset <- function(object, ...) print(object)

# A seg_dataset from whatever a verb was given as data.
as_dataset <- function(x, y, batch_size, classes, call = rlang::caller_env(), arg = "x") {
  if (missing(x)) abort_missing(arg, call, "For example, give a {.fn seg_dataset}.")
  if (inherits(x, "seg_dataset")) {
    if (!is.null(y)) {
      maskr_abort("argument", "{.arg y} must be NULL where {.arg x} is a dataset.",
                  arg = "y", call = call)
    }
    return(x)
  }
  if (is.null(y)) check_brings_masks(x, arg, call)
  if (!is_scenes(x)) x <- one_as_list(own_image(x, call = call))
  if (!is.null(y)) y <- one_as_list(own_mask(y, call = call), length(x))
  names <- if (arg != "validation_data") c(images = arg, targets = "y")
  in_terms_of(names, call, {
    seg_dataset(x, y, classes = if (!is_scenes(x)) classes_of_targets(y) %||% classes,
                batch_size = batch_size)
  })
}

# Evaluates `expr`, whose errors name arguments of seg_dataset(), for a verb that has other `names`
# for them.
in_terms_of <- function(names, call, expr) {
  tryCatch(expr, maskr_error = function(e) {
    for (name in names(names)) {
      for (part in c("message", "body")) {
        e[[part]][] <- gsub(paste0("`", name, "(?=[`\\[])"), paste0("`", names[[name]]), e[[part]],
                            perl = TRUE)
      }
    }
    if (isTRUE(e$arg %in% names(names))) e$arg <- names[[e$arg]]
    e$call <- call
    rlang::cnd_signal(e)
  })
}

check_brings_masks <- function(x, arg, call) {
  if (is_scenes(x) || inherits(x, "seg_annotations")) return(invisible())
  if (!may_be_images(x)) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be a {.fn seg_dataset}, what {.fn seg_example} returns or images with
       their masks, not {describe(x)}.",
      i = if (arg == "validation_data" && is_numbers(x)) hints_elsewhere[["validation_split"]]
    ), arg = arg, call = call)
  }
  what <- if (arg == "validation_data") "{.code list(images, masks)}" else "{.arg y}"
  maskr_abort("argument", c(
    "{.arg {arg}} holds images alone, and their masks are missing.",
    i = paste0("Give the masks as ", what, ", or a {.fn seg_dataset} of both.")
  ), arg = if (arg == "validation_data") arg else "y", call = call)
}

may_be_images <- function(x) {
  if (is.character(x)) all(file.exists(x)) else is.list(x) || is_foreign(x) || !is.null(dim(x))
}

# Images or masks as a list, or paths. `n` is the number of images that masks belong to.
one_as_list <- function(x, n = NULL) {
  if (is.list(x) && !is.data.frame(x) || is.character(x)) return(x)
  if (is_several_images(x) || !is.null(n) && is_several_masks(x, n)) return(apart(x))
  list(x)
}

# Several images, or their masks, in one plain array: [N, H, W, C], [N, H, W] or [N, H, W, 1].
is_several_images <- function(x) is.array(x) && !inherits(x, "seg_image") && length(dim(x)) == 4

is_several_masks <- function(x, n) {
  is.array(x) && !is.object(x) && length(dim(x)) == 3 && dim(x)[[1]] == n
}

# Along the first axis. One channel is left out: of images that loses nothing, masks have none.
apart <- function(x) {
  size <- dim(x)[-1]
  if (length(size) == 3 && size[[3]] == 1) size <- size[1:2]
  lapply(seq_len(dim(x)[[1]]), function(i) {
    array(if (length(dim(x)) == 4) x[i, , , ] else x[i, , ], dim = size)
  })
}

# What crosses to `maskr.datasets.loader.DataSpec`. `model_classes` gives the order of channels;
# each class's id in the files is found by its name.
dataset_for_python <- function(x, model_classes, call = rlang::caller_env()) {
  classes <- x$classes %||% model_classes
  lacking <- classes[!names(classes) %in% names(model_classes)]
  targets <- targets_for_python(augmented_targets(x), classes, call)
  check_lacking_unused(x, targets, lacking, model_classes, call)
  ids <- classes[names(model_classes)]
  ids[is.na(ids)] <- -1L
  list(
    images = unname(lapply(x$images, image_for_model)),
    targets = targets,
    annotations = if (inherits(x$targets, "seg_annotations")) annotations_for_python(x$targets),
    names = as.list(names(x$images)),
    class_ids = as.list(unname(ids)),
    lacking = if (length(lacking) > 0) as.list(lacking),
    size = if (!is.null(x$size)) as.list(x$size),
    resize = x$resize,
    augment = augment_for_python(x$augment),
    batch_size = x$batch_size,
    shuffle = x$shuffle,
    sample_weights = if (!is.null(x$sample_weights)) as.list(x$sample_weights),
    threads = x$threads,
    cache = x$cache,
    ignore = x$ignore,
    values = x$values,
    explicit_ignore = x$explicit_ignore,
    seed = draw_seed()
  )
}

# A class that the model lacks is an error where a pixel or an object has it. Masks in files are
# looked at when they are read.
check_lacking_unused <- function(x, targets, lacking, model_classes, call) {
  if (length(lacking) == 0) return(invisible())
  if (inherits(x$targets, "seg_annotations")) {
    used <- if (!is_label_images(x$targets)) x$targets$objects$class
  } else {
    used <- unlist(lapply(targets, function(one) {
      if (is.list(one)) one <- one$columns$class
      if (is_numbers(one)) lacking[lacking %in% one]
    }))
  }
  held <- names(lacking)[lacking %in% used]
  if (length(held) == 0) return(invisible())
  maskr_abort("data", c(
    "The masks hold {cli::qty(length(held))}{?a class/classes} that the model lacks:
     {.val {held}}.",
    i = "The model has {.val {names(model_classes)}}; classes are matched by name."
  ), arg = "classes", call = call)
}

image_for_python <- function(x) {
  if (is.character(x)) return(x)
  if (is_image_volume(x)) return(only_dim(x))
  if (is_volume_part(x)) unclass(x) else bare_image(x)
}

# The same for models, which may want the numbers of the file back.
image_for_model <- function(x) {
  divisor <- attr(x, "divisor")
  image <- image_for_python(x)
  if (is.null(divisor)) image else list(pixels = image, divisor = divisor)
}

# A plain array of four dimensions is several images.
is_image_volume <- function(x) inherits(x, "seg_image") && length(dim(x)) == 4

targets_for_python <- function(x, classes, call) {
  if (inherits(x, "seg_annotations")) return(as.list(seq_along(x$images$id) - 1L))
  labels <- paste0("targets[[", seq_along(x), "]]")
  Map(\(one, label) target_for_python(one, classes, label, call), unname(x), labels) |> unname()
}

target_for_python <- function(x, classes, arg, call) {
  if (is.character(x)) return(x)
  if (is_volume_part(x)) return(unclass(x))
  if (!inherits(x, "seg_instances")) return(renumbered_ids(x, classes, arg, call = call))
  objects <- instances_for_python(x, classes, call)
  if (any(objects$columns$class == 0) || !0 %in% classes) {
    maskr_abort("data", c(
      "Objects can only become a mask where class id 0 is the background.",
      i = "Give {.code classes = c(background = 0, person = 1, ...)}."
    ), arg = "classes", call = call)
  }
  objects
}

# R's random numbers seed Python's, so that set.seed() makes everything repeatable.
draw_seed <- function() sample.int(.Machine$integer.max, 1)

# Evaluates `expr` with random numbers from `seed`, and leaves R's own where they were.
with_seed <- function(seed, expr) {
  global <- globalenv()
  before <- global$.Random.seed
  on.exit(
    if (is.null(before)) rm(".Random.seed", envir = global) else global$.Random.seed <- before
  )
  set.seed(seed)
  expr
}
