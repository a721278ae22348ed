# Volumes as datasets of slices or boxes.

#' Volumes as a dataset
#'
#' Finds volumes with their label volumes and makes a [seg_dataset()] of their slices, for models
#' of images, or of boxes cut from them. Voxels are read only when a batch needs them; each label
#' volume is read once beforehand, to find the classes and the parts that hold an object.
#'
#' A volume is a NIfTI file (`.nii`, `.nii.gz`), a folder with one DICOM series, a TIFF of several
#' pages, or a folder with a stack of images; [seg_read_image()] tells how axes become D, H and W.
#' `root` is one of
#' * a data set in the folders of nnU-Net and the Medical Segmentation Decathlon: `imagesTr` and
#'   `labelsTr` (`imagesTs` and `labelsTs` for `split = "test"`), with the classes of its
#'   `dataset.json`; `case_0000.nii.gz`, `case_0001.nii.gz` are channels of one image,
#' * a folder with the folders `images` and `labels` (or `masks`), below `split` if that is given,
#' * a folder in which labels lie beside their volumes, or in a folder for each patient, as those of
#'   BraTS and KiTS do,
#' * a volume, several volumes, or a folder of volumes, with `targets` naming the labels in the same
#'   way.
#'
#' Volumes and labels are matched by the names of their files, as programs give them: `a.nii` and
#' `a_seg.nii`, `a-label.nii` or `a.nii`; `volume-1.nii` and `segmentation-1.nii`; `img0001.nii` and
#' `label0001.nii`; `a/imaging.nii` and `a/segmentation.nii`; `t000.tif` and `man_seg000.tif`. The
#' scans `a_t1.nii`, `a_t1ce.nii`, `a_t2.nii` and `a_flair.nii` of BraTS's `a_seg.nii` become
#' channels, in the order of their names. A case that lacks a scan of the others is an error.
#'
#' Volumes and labels must have the same number of voxels, and where both have an affine, lie in the
#' same place to half a voxel: labels that were turned or made on another grid are an error.
#'
#' The dataset's field `groups` names the volume of each part, so that [seg_split()] keeps the
#' slices of a patient together.
#'
#' Slices of uncompressed NIfTI files, DICOM series and stacks are read alone; compressed volumes
#' are read whole, and the last ones kept in memory up to 1 GB. Where many large volumes are
#' shuffled, uncompressed `.nii` files are much faster.
#'
#' @param root The folder of a data set, or volumes: see below.
#' @param split Part of the data set, such as `"train"`; `NULL` takes what lies in `root` itself.
#' @param ... Further arguments of [seg_dataset()], such as `size`, `batch_size`, `augment`.
#' @param targets Label volumes, where `root` does not hold them: paths, or one folder.
#' @param classes Named vector of class ids, such as `c(background = 0, liver = 1)`. By default
#'   those of the `dataset.json`, else the ids that occur.
#' @param class Where labels number objects instead of classes, the class of all objects, such as
#'   `c(nucleus = 1)`; what is not an object becomes the background. The Cell Tracking Challenge's
#'   `man_seg` files are known to number cells.
#' @param as `"slices"` `[H, W, C]`, or `"patches"` `[D, H, W, C]` for models of volumes.
#' @param axis The axis that is cut into slices: 1 (D), 2 (H) or 3 (W).
#' @param patch Size of patches `c(D, H, W)` in voxels; cut to volumes that are smaller.
#' @param overlap Share of a patch, from 0 to below 1, that its neighbour covers again.
#' @param number Patches of each volume drawn by chance (repeatable by `set.seed()`); `NULL` covers
#'   each volume with a grid. Without `empty`, each holds a voxel of an object that is drawn first.
#' @param window Two values that become 0 and 1, with what lies beyond cut off, as in
#'   [seg_preprocess()]: `c(-160, 240)` for soft tissue in CT. A model that is trained on the
#'   dataset takes the window over and applies it to all images from then on;
#'   [fit()][fit.seg_model()], [predict()][predict.seg_model()] and [seg_evaluate()] refuse a model
#'   with another one. `NULL` leaves values as [seg_read_image()] gives them, which is rarely good
#'   for CT, unless the model has a window itself.
#' @param empty Whether to keep slices or patches without an object, that is without a class id
#'   above 0. Slices that the Cell Tracking Challenge's truth lacks are always left out.
#' @param ignore,values How labels are read, see [seg_read_mask()]; a file's rule holds for all its
#'   slices.
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @return A [seg_dataset()] with the field `groups`; images are named by volume and place, such as
#'   `liver_1[12,,]`. Missing, damaged or mismatched files are a `maskr_error_format`, labels that
#'   can't be class ids a `maskr_error_data`, a missing package a `maskr_error_missing`.
#' @references Antonelli et al. (2022) The Medical Segmentation Decathlon,
#'   \doi{10.1038/s41467-022-30695-9}; nnU-Net's layout:
#'   <https://github.com/MIC-DKFZ/nnUNet>.
#' @seealso [seg_split()], [seg_read_image()]
#' @concept data
#' @export
#' @examplesIf seg_available("volumes")
#' folder <- tempfile()
#' dir.create(folder)
#' labels <- seg_mask(array(rep(c(0, 1, 1, 0), 30), c(4, 5, 6)))
#' seg_write_mask(labels, file.path(folder, "ct.nii.gz"))
#' seg_write_mask(labels, file.path(folder, "ct_seg.nii.gz"))
#' data <- seg_data_volume(file.path(folder, "ct.nii.gz"), batch_size = 2,
#'                         targets = file.path(folder, "ct_seg.nii.gz"))
#' data
seg_data_volume <- function(root, split = NULL, ..., targets = NULL, classes = NULL,
                            class = NULL, as = c("slices", "patches"), axis = 1,
                            patch = c(64, 64, 64), overlap = 0, number = NULL, window = NULL,
                            empty = FALSE, ignore = 255, values = NULL, verbose = NULL) {
  check_verbose(verbose)
  if (missing(root)) abort_missing("root", rlang::current_env())
  as <- check_choice(as, c("slices", "patches"))
  axis <- check_whole(axis, min = 1, max = 3)
  classes <- classes_with_values(check_classes(classes, min = 2), values)
  window <- check_window(window)
  if (!is.null(class)) classes <- classes_of_numbered(class, classes)
  reading <- list(
    numbers = if (!is.null(class)) numbers_for_python(class, classes),
    ignore = check_whole(ignore, min = 0, null = TRUE), values = check_values(values),
    explicit = !missing(ignore), classes = as.list(unname(classes))
  )
  choice <- list(
    axis = if (as == "slices") axis - 1L, patch = check_patch(patch),
    overlap = check_number(overlap, min = 0, max = 0.95),
    number = check_whole(number, min = 1, null = TRUE), empty = check_flag(empty)
  )
  root <- check_volumes(root)
  if (!is.null(targets)) targets <- check_volumes(targets)
  require_volumes()
  found <- py_call("datasets.volume", "r_parts", as.list(root), check_string(split, null = TRUE),
                   if (!is.null(targets)) as.list(targets), choice, reading, draw_seed(),
                   counting_progress(verbose, NA, "Reading labels"))
  classes <- classes %||% declared_classes(found, values)
  check_known_ids(found$ids, classes, arg = "targets")
  say_left_out(found, as)
  volume_dataset(found, classes, if (as == "slices") axis - 1L else -1L, window, ...,
                 ignore = ignore, values = values)
}

# A seg_dataset of the parts that `datasets.volume.r_parts()` found.
volume_dataset <- function(found, classes, axis, window, ..., ignore, values) {
  volume <- as.integer(found$volume) + 1L
  if (length(volume) == 0) {
    maskr_abort("data", c(
      "No part of the volumes holds an object.", i = "{.code empty = TRUE} keeps empty parts."
    ), arg = "root", call = rlang::caller_env())
  }
  names <- part_names(unlist(found$names)[volume], found$box, axis)
  images <- lapply(seq_along(volume), function(i) {
    volume_part(found$images[[volume[[i]]]], found$box[i, ], axis, window = window)
  })
  labels <- lapply(seq_along(volume), function(i) {
    volume_part(found$labels[[volume[[i]]]], found$box[i, ], axis, numbers = found$numbers,
                ignored = as.list(unlist(found$ignored[[volume[[i]]]])))
  })
  out <- seg_dataset(stats::setNames(images, names), labels, classes = classes, ...,
                     ignore = ignore, values = values)
  out$groups <- unlist(found$names)[volume]
  out
}

# What `maskr.datasets.volume` reads, a plain list.
volume_part <- function(path, box, axis, ...) {
  path <- unlist(path)
  if (length(path) > 1) path <- as.list(path)
  parts <- Filter(Negate(is.null), list(volume = path, box = as.integer(box), axis = axis, ...))
  structure(parts, class = "seg_volume_part")
}

is_volume_part <- function(x) inherits(x, "seg_volume_part")

# "ct[12,,]" for a slice, "ct[1:64,1:64,65:128]" for a box.
part_names <- function(volume, box, axis) {
  from <- box[, 1:3, drop = FALSE] + 1
  to <- box[, 1:3, drop = FALSE] + box[, 4:6, drop = FALSE]
  at <- matrix(paste0(from, ":", to), ncol = 3)
  if (axis >= 0) {
    at[] <- ""
    at[, axis + 1] <- from[, axis + 1]
  }
  paste0(volume, "[", at[, 1], ",", at[, 2], ",", at[, 3], "]")
}

declared_classes <- function(found, values) {
  if (is.null(found$classes)) return(classes_read(found$ids, values))
  check_classes(unlist(found$classes), min = 2)
}

say_left_out <- function(found, as) {
  if (found$left_out == 0) return(invisible())
  total <- found$left_out + length(found$volume)
  cli::cli_inform(c(
    i = "Left out {found$left_out} of {total} {as} without an object; {.code empty = TRUE} keeps
         them."
  ))
}

# The classes of labels that number the objects of one class.
classes_of_numbered <- function(class, classes, call = rlang::caller_env()) {
  class <- check_one_class(class, call = call)
  classes <- classes %||% if (class > 0) c(background = 0L, class)
  if (all(c(names(class), "background") %in% names(classes))) return(classes)
  maskr_abort("argument", c(
    "{.arg classes} must name the background and the class of the objects, {.val {names(class)}}.",
    i = "For example, write {.code classes = c(background = 0, {names(class)} = 1)}."
  ), arg = "classes", call = call)
}

numbers_for_python <- function(class, classes) {
  list(class = classes[[names(class)]], background = classes[["background"]])
}

check_volumes <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  force(arg)
  ok <- is.character(x) && length(x) > 0 && !anyNA(x) && all(nzchar(x))
  if (!ok) {
    maskr_abort("argument", "{.arg {arg}} must be paths of volumes or a folder, not {describe(x)}.",
                arg = arg, call = call)
  }
  x <- unname(path.expand(x))
  folders <- dir.exists(x)
  if (any(!folders)) check_paths(x[!folders], arg = arg, call = call)
  x
}

check_window <- function(window, call = rlang::caller_env()) {
  if (is.null(window)) return(NULL)
  window <- plain_number(window)
  ok <- is_numbers(window) && length(window) == 2 && all(is.finite(window)) && diff(window) > 0
  if (ok) return(as.double(window))
  maskr_abort("argument", c(
    "{.arg window} must be two rising numbers, the values that become 0 and 1.",
    x = "You supplied {describe(window)}."
  ), arg = "window", call = call)
}

check_patch <- function(patch, arg = "patch", call = rlang::caller_env()) {
  patch <- plain_number(patch)
  ok <- is_numbers(patch) && length(patch) %in% c(1, 3) && all(is.finite(patch)) &&
    all(patch >= 1) && all(patch == round(patch))
  if (ok) return(as.integer(check_extent(rep_len(patch, 3), arg, call)))
  maskr_abort("argument", c(
    "{.arg {arg}} must be {.code c(D, H, W)} in whole voxels, or one number for all three.",
    x = "You supplied {describe(patch)}."
  ), arg = arg, call = call)
}

# Files of a dataset are images. The first one is looked into where it may be a volume, so that
# the error comes here and not with the first batch.
check_no_volume <- function(path, call = rlang::caller_env()) {
  if (!may_be_volume(path)) return(invisible())
  if (grepl(volume_ending, path, ignore.case = TRUE)) require_volumes()
  py_call("datasets.samples", "r_check_image", path, .call = call)
}

volume_ending <- "[.](nii|nii[.]gz|dcm)$"

may_be_volume <- function(path) {
  grepl(volume_ending, path, ignore.case = TRUE) ||
    grepl("[.]tiff?$", path, ignore.case = TRUE) && has_more_pages(path)
}

# Whether a TIFF has more than one page: where its first one names another.
has_more_pages <- function(path) {
  file <- file(path, "rb")
  on.exit(close(file))
  head <- readBin(file, "raw", 4)
  order <- if (identical(head[1:2], charToRaw("MM"))) "big" else "little"
  # that of files beyond 4 GB is another one; Python knows it
  if (!as.raw(42) %in% head[3:4]) return(as.raw(43) %in% head[3:4])
  number <- function(size) {
    found <- readBin(file, "integer", size = size, endian = order, signed = size > 2)
    if (length(found) == 1) found else 0
  }
  seek(file, number(4) %% 2^32)
  seek(file, 12 * number(2), origin = "current")
  number(4) != 0
}

# For Pythons that reticulate still has to prepare; the others are left as they are.
require_volumes <- function() {
  if (!reticulate::py_available()) reticulate::py_require(python_extras[["volumes"]])
}
