# Images: numeric arrays [H, W, C], volumes [D, H, W, C].

#' Images
#'
#' A `seg_image` is a numeric array `[H, W, C]` of any number of channels, or a volume
#' `[D, H, W, C]`, that knows where it came from and how large a pixel is. It is a plain R object:
#' it survives [saveRDS()], and arithmetic and comparisons give plain arrays. Of a volume
#' `x[d, , , ]` is slice `d`, an image `[H, W, C]`; with `drop = FALSE` it stays a volume of one
#' slice.
#'
#' `as_seg_image()` turns what other packages hold into a `seg_image`: numeric, integer, logical
#' and raw matrices and arrays, [grDevices::as.raster()] objects, native rasters, and images of the
#' packages EBImage (whose axes are `[W, H, C]`), imager, magick, terra and raster. Rasters of
#' terra and raster that come from files are divided as [seg_read_image()] divides these. All verbs
#' that take images take these classes, and those that take masks also objects of stars, RNifti and
#' oro.nifti; other classes are refused by name.
#'
#' @param x A matrix `[H, W]` (one channel), an array `[H, W, C]`, or a volume `[D, H, W, C]`;
#'   finite numbers, and `NA` where a pixel has no value. A grey volume needs its fourth dimension:
#'   `array(x, c(dim(x), 1))`. For `as_seg_image()` also an object of the packages named above.
#' @param spacing Size of a pixel: `c(H, W)`, or `c(D, H, W)` for a volume.
#' @param unit The unit of `spacing`, such as `"um"`; `"mm"` by default.
#' @param range The two values that stand for black and white when the image is drawn. By default
#'   `c(0, 1)` where all values lie between, `c(0, 255)` for bytes, else the smallest and largest
#'   value.
#' @param affine A 4 x 4 matrix from voxel indices to mm, as in NIfTI, or `NULL`.
#' @param path The file that the image came from, or `NULL`.
#' @param ... Must be empty.
#' @return A `seg_image`: a double array of 3 or 4 dimensions with the attributes `range`, and
#'   `spacing`, `unit` (where it is not mm), `affine` and `path` where they are known. Wrong
#'   dimensions are a `maskr_error_shape`, infinite values a `maskr_error_data`.
#'
#'   Before a network sees an image, its missing values are filled by the mean of the channel. The
#'   mask that [predict()][predict.seg_model()] makes is `NA` there, and training and
#'   [seg_evaluate()] ignore these pixels.
#' @seealso [seg_read_image()]
#' @concept types
#' @export
#' @examples
#' ramp <- matrix(seq(0, 1, length.out = 12), 3, 4)
#' image <- seg_image(ramp)
#' image
#' dim(image)
#' plot(image)
seg_image <- function(x, spacing = NULL, range = NULL, affine = NULL, path = NULL, unit = NULL) {
  if (missing(x)) abort_missing("x", rlang::current_env())
  if (is_foreign(x)) {
    x <- own_image(x)
    range <- range %||% attr(x, "range")
  }
  spacing <- spacing %||% attr(x, "spacing")
  unit <- check_unit(unit %||% attr(x, "unit"))
  divisor <- attr(x, "divisor")
  if (is.raw(x)) range <- range %||% c(0, 255)
  x <- image_array(x)
  limits <- value_range(x)
  if (!all(is.finite(limits))) {
    maskr_abort("data", c(
      "{.arg x} holds infinite values, and an image has none.",
      i = "Replace them first, for example {.code x[is.infinite(x)] <- NA}."
    ), arg = "x")
  }
  new_seg_image(
    x, path = check_string(path, null = TRUE), spacing = check_spacing(spacing, length(dim(x)) - 1),
    affine = check_affine(affine), range = check_range(range %||% guess_range(x, limits)),
    unit = unit, divisor = divisor
  )
}

# The smallest and largest of the values that are known; c(0, 1) if none is.
value_range <- function(x) {
  if (all(is.na(x))) c(0, 1) else range(x, na.rm = TRUE)
}

# No checks. `range` are the values that stand for black and white, and `divisor` is what the
# numbers of the file were divided by.
new_seg_image <- function(x, path = NULL, spacing = NULL, affine = NULL, range = c(0, 1),
                          unit = NULL, divisor = NULL) {
  structure(x, path = path, spacing = spacing, unit = if (!is.null(spacing)) unit,
            affine = affine, range = range, divisor = if (!identical(divisor, 1)) divisor,
            class = "seg_image")
}

# A double array of 3 or 4 dimensions without attributes.
image_array <- function(x, arg = "x", call = rlang::caller_env()) {
  x <- plain_number(x)
  size <- dim(x)
  ok <- (is_numbers(x) || is.logical(x) || is.raw(x)) && !is.factor(x)
  if (!ok || !length(size) %in% 2:4) {
    maskr_abort("shape", c(
      "{.arg {arg}} must be a numeric matrix [H, W], array [H, W, C] or volume [D, H, W, C].",
      x = "You supplied {describe(x)}."
    ), arg = arg, call = call)
  }
  check_has_pixels(x, arg, call)
  if (length(size) == 2) size <- c(size, 1L)
  array(if (is.raw(x)) as.integer(x) + 0 else as.double(x), dim = size)
}

guess_range <- function(x, limits = value_range(x)) {
  if (limits[[1]] >= 0 && limits[[2]] <= 1) return(c(0, 1))
  if (limits[[1]] >= 0 && limits[[2]] <= 255 && all(x == round(x), na.rm = TRUE)) return(c(0, 255))
  limits
}

check_range <- function(range, call = rlang::caller_env()) {
  if (is_numbers(range) && length(range) == 2 && all(is.finite(range)) && diff(range) >= 0) {
    return(as.double(range))
  }
  maskr_abort("argument", c(
    "{.arg range} must be two numbers, the values of black and white.",
    x = "You supplied {describe(range)}."
  ), arg = "range", call = call)
}

check_spacing <- function(spacing, n, call = rlang::caller_env()) {
  if (is.null(spacing)) return(NULL)
  if (is_numbers(spacing) && length(spacing) == n && all(is.finite(spacing)) && all(spacing > 0)) {
    return(as.double(spacing))
  }
  axes <- if (n == 3) "c(D, H, W)" else "c(H, W)"
  maskr_abort("argument", c(
    "{.arg spacing} must be {n} positive numbers {.code {axes}}, the size of a pixel.",
    x = "You supplied {describe(spacing)}."
  ), arg = "spacing", call = call)
}

# NULL for mm, which goes without saying.
check_unit <- function(unit, call = rlang::caller_env()) {
  unit <- check_string(unit, null = TRUE, arg = "unit", call = call)
  if (!identical(unit, "mm")) unit
}

check_affine <- function(affine, call = rlang::caller_env()) {
  if (is.null(affine)) return(NULL)
  if (is_numbers(affine) && identical(dim(affine), c(4L, 4L))) return(affine)
  maskr_abort("argument", c(
    "{.arg affine} must be a 4 x 4 matrix.", x = "You supplied {describe(affine)}."
  ), arg = "affine", call = call)
}

#' Read an image file
#'
#' Reads PNG, JPEG, TIFF, BMP and WebP at their full bit depth, NIfTI (`.nii`, `.nii.gz`) and
#' DICOM; the kind is told by the file's content, of NIfTI by its name. EXIF's orientation is
#' honoured, palettes become colours, an alpha channel is kept, and where a file counts from white
#' to black its numbers are turned round.
#'
#' A TIFF of several pages becomes a volume `[D, H, W, C]`, as scikit-image and tifffile read it;
#' `pages` chooses some of them, and one page alone is an image `[H, W, C]`. Of an animated PNG or
#' WebP the first frame is read. A slide or another pyramid is its full image: thumbnails, labels
#' and smaller levels are pages of their own, which `pages` can choose. Lookup tables of ImageJ are
#' for display only, so that a composite of two channels is `[H, W, 2]`.
#'
#' Compressions beyond LZW, JPEG and Deflate, and LZW or JPEG with more than four channels, need
#' `seg_install(extras = "raster")`.
#'
#' @section Missing pixels:
#' NaN in a file of floating-point numbers, and the value that a GeoTIFF declares to be "no data"
#' (GDAL's tag 42113), are read as `NA`, and a message of class `maskr_message_missing` counts them.
#' A colour is missing where all its channels hold that value; of other bands each counts for
#' itself. [seg_image()] says what becomes of such pixels.
#'
#' @section Size of a pixel:
#' OME-TIFF and ImageJ note it: the attribute `spacing` is then `c(H, W)`, or `c(D, H, W)` for
#' slices in space, in the unit that the attribute `unit` names: `"nm"`, `"um"`, `"cm"`, `"m"` or
#' `"inch"`; mm where there is none. The resolution that other files give for printing is not read.
#'
#' @section NIfTI and DICOM:
#' They need `seg_install(extras = "volumes")`, which also brings what decodes DICOM that is
#' compressed by JPEG, JPEG Lossless, JPEG-LS or JPEG 2000 (GDCM). A NIfTI file is a volume
#' `[D, H, W, C]`, where D, H and W are the file's third, second and first axis (k, j and i):
#' nothing is mirrored, so `x[k + 1, j + 1, i + 1, ]` is the voxel that other programs call
#' (i, j, k). A fourth axis (time, or several scans of one body) becomes the channels, a file of two
#' axes an image `[H, W, C]`.
#'
#' The attribute `spacing` is `c(D, H, W)` in mm. The attribute `affine` is the file's own 4 x 4
#' matrix: `affine %*% c(i, j, k, 1)`, with indices from 0 in the order of the file, so
#' `c(w - 1, h - 1, d - 1, 1)`, is the place in mm, to the right, front and head of the patient
#' (RAS+). Both are missing where the file does not tell them.
#'
#' A folder is read as one DICOM series, in the same way as if it had been converted to NIfTI
#' (by dcm2niix, for example): slices along the normal of their plane, and rows from the bottom of
#' the picture to its top, also in a single slice that says where it lies. Labels that were drawn
#' on the converted file therefore fit. (Drawn with the first row on top, such a slice stands on its
#' head, as slices of most NIfTI files do; that matters to no model.) With `scale = FALSE` values
#' are in the units of the device, such as Hounsfield units; `scale = TRUE` divides these by 32767,
#' which is rarely wanted.
#' Several series in one folder, a missing slice, and slices without position are errors.
#'
#' @param path One file, or the folder of a DICOM series.
#' @param scale `TRUE` divides integers by the maximum of their type (255 in 8 bits, 65535 in 16),
#'   so that they lie in 0..1 (in -1..1 for signed types); a TIFF or DICOM of 12 bits is divided by
#'   4095, a binary DICOM segmentation by 1. `FALSE` keeps the file's own units, such as Hounsfield
#'   units. Files of floating-point numbers are never scaled.
#' @param pages Pages of a TIFF, counted from 1; `NULL` takes all.
#' @return A [seg_image()] with attributes `path` and `range`, `divisor` where numbers were divided,
#'   and `spacing`, `unit` and `affine` where the file tells them. A file that does not exist is a
#'   `maskr_error_file`, one that cannot be read, is damaged or claims to be larger than file or
#'   memory can be a `maskr_error_format`, a missing Python package a `maskr_error_missing`.
#' @references NIfTI-1: <https://nifti.nimh.nih.gov>. DICOM: <https://www.dicomstandard.org>.
#' @concept types
#' @export
#' @examplesIf seg_available()
#' file <- tempfile(fileext = ".png")
#' seg_write_mask(seg_mask(matrix(c(0, 1, 1, 0, 1, 0), 2)), file)
#' seg_read_image(file)
seg_read_image <- function(path, scale = TRUE, pages = NULL) {
  path <- check_file_or_folder(path)
  scale <- check_flag(scale)
  out <- py_call("images", "read", path, scale, check_pages(pages))
  say_missing(out$missing, out$infinite, prod(utils::head(dim(out$data), -1)), path)
  new_seg_image(out$data, path = path, spacing = plain_vector(out$spacing), affine = out$affine,
                range = as.double(out$range), unit = check_unit(out$unit),
                divisor = plain_vector(out$divisor))
}

# Says how many of the `n` pixels of a file have no finite value.
say_missing <- function(missing, infinite, n, path) {
  if (missing + infinite == 0) return(invisible())
  count <- \(x) paste(format(x, big.mark = ",", trim = TRUE), if (x == 1) "is" else "are")
  said <- c(if (missing > 0) paste(count(missing), "missing (NA)"),
            if (infinite > 0) paste(count(infinite), "infinite"))
  cli::cli_inform(c(
    "!" = "{.file {basename(path)}}: of {format(n, big.mark = ',')} pixels {said}."
  ), class = "maskr_message_missing")
}

# Without the dim that arrays from Python have; NULL stays.
plain_vector <- function(x) if (!is.null(x)) as.double(x)

check_file_or_folder <- function(path, arg = rlang::caller_arg(path),
                                 call = rlang::caller_env()) {
  force(arg)
  path <- path.expand(check_string(path, arg = arg, call = call))
  is_folder <- dir.exists(path)
  if (is_folder || grepl("[.](nii|nii[.]gz|dcm)$", path, ignore.case = TRUE)) require_volumes()
  if (is_folder) path else check_paths(path, arg = arg, call = call)
}

check_one_path <- function(path, arg = "path", call = rlang::caller_env()) {
  check_paths(check_string(path, arg = arg, call = call), arg = arg, call = call)
}

check_pages <- function(pages, call = rlang::caller_env()) {
  if (is.null(pages)) return(NULL)
  ok <- is_numbers(pages) && length(pages) > 0 && all(is.finite(pages)) && all(pages >= 1) &&
    all(pages == round(pages))
  if (ok) return(as.list(as.integer(pages)))
  maskr_abort("argument", c(
    "{.arg pages} must be whole numbers from 1 up, or NULL.", x = "You supplied {describe(pages)}."
  ), arg = "pages", call = call)
}

#' @rdname seg_image
#' @export
as_seg_image <- function(x, ...) UseMethod("as_seg_image")

#' @export
as_seg_image.default <- function(x, ...) {
  check_no_dots(...)
  x <- own_image(x)
  if (inherits(x, "seg_image")) x else seg_image(x)
}

#' @export
as_seg_image.seg_image <- function(x, ...) {
  check_no_dots(...)
  x
}

#' @export
`[.seg_image` <- function(x, ..., drop = FALSE) {
  if (is_empty_index(...)) return(x)
  out <- NextMethod(drop = drop)
  # one index, or a matrix of indices, takes values out of the image
  if (...length() != length(dim(x)) || drop) return(out)
  out <- new_seg_image(bare(out), path = attr(x, "path"), spacing = attr(x, "spacing"),
                       range = attr(x, "range"), unit = attr(x, "unit"),
                       divisor = attr(x, "divisor"))
  if (missing(drop) && length(dim(x)) == 4 && is_one_slice(...)) without_depth(out) else out
}

# Is the first index, that of a volume's slices, one number?
is_one_slice <- function(...) !missing(..1) && length(..1) == 1 && is_numbers(..1) && ..1 >= 1

# A volume of one slice as that slice.
without_depth <- function(x) {
  dim(x) <- dim(x)[-1]
  attr(x, "spacing") <- attr(x, "spacing")[-1]
  x
}

#' @export
Ops.seg_image <- function(e1, e2) {
  f <- get(.Generic, mode = "function")
  if (missing(e2)) f(bare(e1)) else f(bare(e1), bare(e2))
}

#' @export
Math.seg_image <- function(x, ...) get(.Generic, mode = "function")(bare(x), ...)

#' @export
t.seg_image <- function(x) {
  n <- length(dim(x))
  swap <- c(seq_len(n - 3), n - 1, n - 2, n)
  spacing <- attr(x, "spacing")
  new_seg_image(aperm(bare(x), swap), path = attr(x, "path"),
                spacing = spacing[swap[seq_along(spacing)]], range = attr(x, "range"),
                unit = attr(x, "unit"), divisor = attr(x, "divisor"))
}

#' @export
aperm.seg_image <- function(a, perm = NULL, ...) aperm(bare(a), perm, ...)

#' @export
as.array.seg_image <- function(x, ...) bare(x)

#' @export
as.matrix.seg_image <- function(x, ...) {
  if (length(dim(x)) != 3 || dim(x)[[3]] != 1) {
    maskr_abort("shape", c(
      "Only an image of one channel is a matrix; this one is {size_words(dim(x))}.",
      i = "Choose a channel: {.code as.matrix(x[, , 1])}."
    ), arg = "x")
  }
  matrix(x, nrow(x), ncol(x))
}

#' @export
as.data.frame.seg_image <- function(x, row.names = NULL, optional = FALSE, ...) {
  at <- arrayInd(seq_along(x), dim(x))
  names <- c(if (ncol(at) == 4) "slice", "row", "col", "channel")
  data.frame(stats::setNames(as.data.frame(at), names), value = as.vector(x),
             row.names = row.names)
}

#' @export
format.seg_image <- function(x, ...) {
  channels <- dim(x)[[length(dim(x))]]
  paste0("<seg_image> ", size_words(utils::head(dim(x), -1)), ", ", channels,
         if (channels == 1) " channel" else " channels")
}

#' @export
print.seg_image <- function(x, ...) {
  limits <- signif(value_range(unclass(x)), 4)
  missing <- sum(is.na(x))
  lines <- c(
    format(x),
    paste0("values ", limits[[1]], " to ", limits[[2]],
           if (missing > 0) paste0(", ", format(missing, big.mark = ","), " missing"),
           spacing_words(attr(x, "spacing"), attr(x, "unit"))),
    if (!is.null(attr(x, "path"))) paste0("from ", basename(attr(x, "path")))
  )
  cat(lines, sep = "\n")
  invisible(x)
}

#' @export
summary.seg_image <- function(object, ...) {
  n <- dim(object)[[length(dim(object))]]
  values <- matrix(unclass(object), ncol = n)
  data.frame(
    channel = seq_len(n), min = apply(values, 2, min, na.rm = TRUE),
    mean = colMeans(values, na.rm = TRUE), sd = apply(values, 2, stats::sd, na.rm = TRUE),
    max = apply(values, 2, max, na.rm = TRUE), missing = colSums(is.na(values))
  )
}

# Is this `x[]`?
is_empty_index <- function(...) {
  if (...length() > 1) return(FALSE)
  given <- rlang::enexprs(..., .ignore_empty = "none")
  length(given) == 0 || rlang::is_missing(given[[1]])
}

# An array without class and attributes; anything else as it is.
bare <- function(x) {
  if (!inherits(x, c("seg_image", "seg_mask", "seg_panoptic"))) return(x)
  attributes(x) <- list(dim = dim(x))
  x
}

# "480 x 360 (H x W)"
size_words <- function(size) {
  axes <- c("D", "H", "W")[4 - rev(seq_along(size))]
  paste0(paste(size, collapse = " x "), " (", paste(axes, collapse = " x "), ")")
}

spacing_words <- function(spacing, unit = NULL) {
  if (is.null(spacing)) return("")
  paste0(", pixels of ", paste(format(spacing, trim = TRUE), collapse = " x "), " ", unit %||% "mm")
}
