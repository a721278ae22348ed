# Masks: integer matrices [H, W] of class ids, volumes [D, H, W]; NA is "ignore".

#' Masks of class ids
#'
#' A `seg_mask` is an integer matrix `[H, W]` of class ids (a volume is `[D, H, W]`) that knows the
#' names of its classes. Pixels that are to be ignored are `NA`. It is a plain R object.
#'
#' Indexing with one index for each dimension keeps the class, and of a volume `x[d, , ]` is slice
#' `d`, a mask `[H, W]` (with `drop = FALSE` a volume of one slice). `[<-` takes class ids or class
#' names and refuses unknown ones, and `t()`, `aperm()`, `rbind()` and `cbind()` give masks again.
#' Arithmetic and comparisons give plain arrays. `as.data.frame()` has one row for each pixel:
#' `row`, `col`, `class`, `label` (and `slice` for volumes). `c()` gives the ids as a plain vector.
#'
#' @param x A matrix `[H, W]` or array `[D, H, W]` of class ids: whole numbers from 0 up, `NA` for
#'   "ignore". Logical values become the classes `background = 0` and `foreground = 1`. For
#'   `as_seg_mask()` also a matrix of factors or class names, [seg_instances()] or
#'   [seg_panoptic()]. Images of one channel of other packages are taken with their own axes and
#'   numbers, see [seg_image()]; the categories of terra's rasters and stars's factors become
#'   classes.
#' @param classes A named vector of class ids such as `c(background = 0, nucleus = 1)`. Without it
#'   the ids that occur are the classes, named by their numbers; the levels of a factor and class
#'   names are numbered from 0 in their order.
#' @param palette One colour for each class; by default [seg_palette()]'s, with black for a
#'   background of id 0.
#' @param spacing Size of a pixel: `c(H, W)`, or `c(D, H, W)` for a volume.
#' @param unit The unit of `spacing`, such as `"um"`; `"mm"` by default.
#' @param affine A 4 x 4 matrix from voxel indices to mm, as in NIfTI, or `NULL`.
#' @param ... Passed on to `seg_mask()`.
#' @return A `seg_mask`: an integer array with the attributes `classes` (named integer vector) and
#'   `palette` (colours named by class). Wrong dimensions are a `maskr_error_shape`; fractions,
#'   negative and unknown ids a `maskr_error_data`.
#'
#'   Instances become a mask by the names of their classes. Where objects overlap, the one with the
#'   higher score wins, and of equal or missing scores the later row. Pixels of no object are class
#'   0, so an object of class id 0 is an error that asks for `classes`. In a mask of panoptic
#'   segments, void is `NA`.
#' @seealso [seg_read_mask()], [seg_write_mask()], [seg_one_hot()]
#' @concept types
#' @export
#' @examples
#' mask <- seg_mask(
#'   matrix(c(0, 0, 1, 0, 2, NA), 2),
#'   classes = c(background = 0, nucleus = 1, border = 2)
#' )
#' mask
#' mask[, 2:3]
#' mask[1, 1] <- "nucleus"
#' summary(mask)
#' as_seg_mask(matrix(c(TRUE, FALSE, TRUE, TRUE), 2))
seg_mask <- function(x, classes = NULL, palette = NULL, spacing = NULL, affine = NULL,
                     unit = NULL) {
  x <- own_mask(x)
  logical <- is.logical(x) && !all(is.na(x))
  spacing <- spacing %||% attr(x, "spacing")
  unit <- check_unit(unit %||% attr(x, "unit"))
  attr(x, "spacing") <- spacing
  x <- bare_mask(x)
  classes <- check_classes(classes) %||%
    (if (logical) c(background = 0L, foreground = 1L) else classes_of(x))
  check_known_ids(x, classes)
  new_seg_mask(
    x, classes, palette = check_palette(palette, classes),
    spacing = check_spacing(spacing, length(dim(x))), affine = check_affine(affine),
    unit = unit
  )
}

# No checks. `x` is a bare integer array, `classes` a named integer vector, `palette` one colour
# for each class.
new_seg_mask <- function(x, classes, palette = NULL, spacing = NULL, affine = NULL, unit = NULL) {
  palette <- palette %||% mask_palette(classes)
  structure(x, classes = classes, palette = palette, spacing = spacing,
            unit = if (!is.null(spacing)) unit, affine = affine, class = "seg_mask")
}

# The classes of a mask that came without any: its ids, named by their numbers.
classes_of <- function(x) ids_as_classes(sort(unique(as.vector(x))))

ids_as_classes <- function(ids) stats::setNames(as.integer(ids), as.character(ids))

check_known_ids <- function(x, classes, arg = "x", call = rlang::caller_env()) {
  ids <- unique(as.vector(x))
  unknown <- sort(setdiff(ids[!is.na(ids)], classes))
  if (length(unknown) == 0 && all(classes >= 0)) return(invisible(x))
  if (any(c(unknown, classes) < 0)) {
    maskr_abort("data", c(
      "{.arg {arg}} must hold class ids from 0 up.",
      x = "It holds {min(unknown, classes)}.", i = "What is to be ignored is {.code NA}."
    ), arg = arg, call = call)
  }
  maskr_abort("data", c(
    "{.arg {arg}} holds {cli::qty(length(unknown))}{?a class id/class ids} without a name in
     {.arg classes}.",
    x = "Unknown: {utils::head(unknown, 5)}{if (length(unknown) > 5) ', ...'}.",
    i = "The classes are {class_words(classes)}.",
    i = if (length(unknown) == 1 && unknown %in% c(255, 65535)) {
      "If {unknown} is the object of a binary mask, divide by it: {.code {arg} / {unknown}}."
    }
  ), arg = arg, call = call)
}

# "background = 0, nucleus = 1", cut after six
class_words <- function(classes) {
  shown <- utils::head(classes, 6)
  paste0(paste(names(shown), "=", shown, collapse = ", "), if (length(classes) > 6) ", ...")
}

check_palette <- function(palette, classes, call = rlang::caller_env()) {
  if (is.null(palette)) return(NULL)
  rgb <- tryCatch(grDevices::col2rgb(palette), error = function(e) NULL)
  if (is.null(rgb) || ncol(rgb) != length(classes)) {
    maskr_abort("argument", c(
      "{.arg palette} must hold one colour for each of the {length(classes)} classes.",
      x = "You supplied {describe(palette)}.", i = "See {.fn seg_palette}."
    ), arg = "palette", call = call)
  }
  if (!is.null(names(palette)) && all(names(classes) %in% names(palette))) {
    rgb <- rgb[, match(names(classes), names(palette)), drop = FALSE]
  }
  stats::setNames(grDevices::rgb(t(rgb), maxColorValue = 255), names(classes))
}

#' Read and write masks
#'
#' `seg_read_mask()` reads class ids from an index PNG (with its palette), a grey PNG, a TIFF or a
#' NIfTI label volume; a TIFF of several pages becomes a volume `[D, H, W]`. `seg_write_mask()`
#' writes them, whole or not at all: as an index PNG with the mask's palette, as a grey PNG of 16
#' bits, as a TIFF, or as NIfTI with the mask's spacing and affine. What it wrote comes back as it
#' was, without a word about `ignore`, since the file notes what stands for `NA`.
#'
#' [seg_read_image()] tells how the axes of NIfTI become D, H and W. Label volumes are often stored
#' as floating-point numbers or long integers; they are read as long as all are whole. NIfTI-1
#' holds affine and spacing as 32-bit numbers, and no names or colours of classes.
#'
#' Binary masks are often stored as 0 and 255, and 255 is also the usual value for "ignore". A
#' file that holds nothing but 0 and 255 (or 65535, or the largest number of its type) is therefore
#' an error, unless `values = c(0, 255)` or `ignore = 255` is written out.
#'
#' JPEG, lossy WebP and other compression with loss change numbers, so such files can't hold class
#' ids and are refused, in a TIFF, too. Only two classes that were drawn at least 128 apart, such as
#' `values = c(0, 255)`, are still separated. A mask has one channel: an alpha channel that is not
#' the same everywhere may be the mask itself, and is an error like any second channel.
#'
#' NaN in floating-point files, and a GeoTIFF's no-data value, are read as `NA`; but for no data of
#' 0, which rasterised objects often give their background.
#'
#' @param path One file; for writing it ends in `.png`, `.tif`, `.tiff`, `.nii` or `.nii.gz`.
#' @param classes A named vector of class ids such as `c(background = 0, nucleus = 1)`; an id that
#'   is not among them is an error. Without it, the ids that occur are the classes.
#' @param ignore The file's value for pixels that are to be ignored, read as `NA`; `NULL` where
#'   there is none. By default 255; a 16-bit file uses 65535, and 255 too unless its ids go beyond
#'   255, a 32-bit file likewise 4294967295. Never an id that `classes` holds.
#' @param values The file's values for the classes 0, 1, and so on, where the file does not hold
#'   class ids: `c(0, 255)` for a binary mask. Names become the names of the classes:
#'   `c(background = 0, nucleus = 255)`. A value that is neither listed nor `ignore` is an error; so
#'   is a file that holds what `ignore` is by default, but none of the values after the first.
#' @param x A [seg_mask()], or what [as_seg_mask()] takes.
#' @param bits 8, 16 or 32; by default the fewest that all class ids fit into. PNG holds up to 16.
#' @return `seg_read_mask()`: a [seg_mask()]. `seg_write_mask()`: `path`, invisibly. Files that
#'   cannot be read as a mask are a `maskr_error_format`, wrong values a `maskr_error_data`.
#'   Written files hold the largest number of their type for `NA` (255, 65535 or 4294967295); a mask
#'   that has this as a class id is refused with a `maskr_error_data`.
#' @concept types
#' @export
#' @examplesIf seg_available()
#' mask <- seg_mask(matrix(c(0, 1, 1, NA, 0, 1), 2), c(background = 0, nucleus = 1))
#' file <- tempfile(fileext = ".png")
#' seg_write_mask(mask, file)
#' seg_read_mask(file, classes = c(background = 0, nucleus = 1))
seg_read_mask <- function(path, classes = NULL, ignore = 255, values = NULL) {
  explicit <- !missing(ignore)
  path <- check_file_or_folder(path)
  classes <- classes_with_values(check_classes(classes), values)
  ignore <- check_whole(ignore, null = TRUE)
  values <- check_values(values)
  out <- py_call("masks", "read", path, ignore, values, explicit, as.list(unname(classes)))
  classes <- classes %||% classes_read(out$ids, values)
  check_known_ids(out$ids, classes, arg = "path")
  new_seg_mask(out$data, classes, palette = file_palette(out$palette, classes),
               spacing = plain_vector(out$spacing), affine = out$affine,
               unit = check_unit(out$unit))
}

classes_read <- function(ids, values) {
  if (length(values) == 2) return(c(background = 0L, foreground = 1L))
  if (length(values) > 2) return(ids_as_classes(seq_along(values) - 1))
  ids_as_classes(ids)
}

# The colours of the classes in a palette that begins with class id 0.
file_palette <- function(palette, classes) {
  if (is.null(palette) || any(classes >= length(palette))) return(NULL)
  stats::setNames(unlist(palette)[classes + 1], names(classes))
}

check_values <- function(values, call = rlang::caller_env()) {
  if (is.null(values)) return(NULL)
  check_value_names(names(values), call)
  values <- plain_number(values)
  ok <- is_numbers(values) && length(values) >= 2 && all(is.finite(values)) &&
    all(values == round(values)) && !anyDuplicated(values)
  if (ok) return(as.list(as.integer(values)))
  maskr_abort("argument", c(
    "{.arg values} must be two or more different whole numbers, the file's values in the order of
     the classes 0, 1, ...",
    x = "You supplied {describe(values)}."
  ), arg = "values", call = call)
}

# Numbers as names are meant as a table from values to classes, or from classes to values, and
# would be read in the order of writing.
check_value_names <- function(names, call) {
  if (is.null(names)) return(invisible())
  numbers <- !is.na(suppressWarnings(as.numeric(names)))
  if (!any(numbers) && all(nzchar(names)) && !anyNA(names) && !anyDuplicated(names)) {
    return(invisible())
  }
  maskr_abort("argument", c(
    "The names of {.arg values} must be names of classes, each given once.",
    x = "They are {.val {names}}.",
    i = "{.arg values} lists the file's values of the classes 0, 1, ... in their order:
         {.code values = c(0, 255)}, or with names
         {.code values = c(background = 0, nucleus = 255)}."
  ), arg = "values", call = call)
}

# The classes that are given, or those that the names of `values` are.
classes_with_values <- function(classes, values, call = rlang::caller_env()) {
  check_values(values, call)
  if (is.null(names(values))) return(classes)
  named <- stats::setNames(seq_along(values) - 1L, names(values))
  if (is.null(classes) || identical(classes[names(named)], named)) return(classes %||% named)
  maskr_abort("argument", c(
    "{.arg classes} and the names of {.arg values} must agree.",
    x = "{.arg classes} are {class_words(classes)}, and {.arg values} are of
         {class_words(named)}.",
    i = "{.arg values} lists the file's values of the classes 0, 1, ... in their order."
  ), arg = "values", call = call)
}

#' @rdname seg_read_mask
#' @export
seg_write_mask <- function(x, path, bits = NULL) {
  if (missing(x)) abort_missing("x", rlang::current_env())
  x <- as_seg_mask(x)
  path <- path.expand(check_string(path))
  if (!is.null(bits) && !(is_numbers(bits) && length(bits) == 1 && bits %in% c(8, 16, 32))) {
    maskr_abort("argument", "{.arg bits} must be 8, 16, 32 or NULL, not {describe(bits)}.",
                arg = "bits")
  }
  classes <- attr(x, "classes")
  spacing <- attr(x, "spacing")
  py_call("masks", "write", bare(x), path, as.list(unname(classes)),
          as.list(unname(attr(x, "palette"))), if (!is.null(bits)) as.integer(bits),
          if (!is.null(spacing)) as.list(spacing), attr(x, "affine"))
  invisible(path)
}

#' @rdname seg_mask
#' @export
as_seg_mask <- function(x, ...) UseMethod("as_seg_mask")

#' @export
as_seg_mask.default <- function(x, ...) {
  x <- own_mask(x)
  if (inherits(x, "seg_mask")) return(as_seg_mask(x, ...))
  if (is.character(x)) return(as_seg_mask(factor_matrix(x), ...))
  seg_mask(x, ...)
}

#' @export
as_seg_mask.seg_mask <- function(x, ...) {
  if (...length() == 0) x else seg_mask(x, ...)
}

#' @export
as_seg_mask.factor <- function(x, classes = NULL, ...) {
  classes <- check_classes(classes) %||%
    stats::setNames(seq_along(levels(x)) - 1L, levels(x))
  seg_mask(factor_ids(x, classes), classes = classes, ...)
}

# The class ids of a factor or of class names, as a bare integer array.
factor_ids <- function(x, classes, arg = "x", call = rlang::caller_env()) {
  if (!length(dim(x)) %in% 2:3) {
    maskr_abort("shape", c(
      "{.arg {arg}} must be a matrix [H, W] (or array [D, H, W]), and this factor has no
       dimensions.",
      i = "Give it some: {.code dim({arg}) <- c(height, width)}."
    ), arg = arg, call = call)
  }
  if (is.character(x)) x <- factor_matrix(x)
  unknown <- setdiff(levels(x), names(classes))
  if (length(unknown) > 0) {
    maskr_abort("data", c(
      "{.arg {arg}} holds {cli::qty(length(unknown))}{?a class/classes} that {.arg classes} lacks.",
      x = "Unknown: {.val {unknown}}.", i = "The classes are {class_words(classes)}."
    ), arg = arg, call = call)
  }
  array(unname(classes[levels(x)])[as.integer(x)], dim = dim(x))
}

factor_matrix <- function(x) {
  out <- factor(x, levels = unique(as.vector(x)[!is.na(x)]))
  dim(out) <- dim(x)
  out
}

#' @export
as_seg_mask.seg_instances <- function(x, classes = NULL, ...) {
  check_instances(x)
  classes <- classes_with_background(x, check_classes(classes))
  ids <- classes[match(x$label, names(classes))]
  rows <- py_call("instances", "r_flatten", instance_columns(x), as.list(attr(x, "size")))
  seg_mask(array(c(0L, ids)[rows + 1L], dim = dim(rows)), classes = classes, ...)
}

# The classes of a mask made from instances; id 0 is what no object covers.
classes_with_background <- function(x, classes, call = rlang::caller_env()) {
  wanted <- classes %||% attr(x, "classes")
  unknown <- setdiff(x$label, names(wanted))
  if (length(unknown) > 0) {
    maskr_abort("data", c(
      "{.arg x} holds objects of {cli::qty(length(unknown))}{?a class/classes} that {.arg classes}
       lacks.",
      x = "Unknown: {.val {unknown}}.", i = "Classes are matched by name."
    ), arg = "classes", call = call)
  }
  used <- wanted[names(wanted) %in% x$label]
  if (any(used == 0)) {
    # ids from 1 up for what occurs, as an example to copy
    example <- paste(c("background = 0", paste(names(used), "=", seq_along(used))), collapse = ", ")
    maskr_abort("data", c(
      "{.arg x} holds objects of class id 0 ({.val {names(used)[used == 0]}}), and 0 is the
       background of a mask.",
      i = "Give ids of your own; classes are matched by name: {.code classes = c({example})}."
    ), arg = "classes", call = call)
  }
  # a vocabulary may use 0 for a class that does not occur here
  if (is.null(classes)) wanted <- wanted[wanted != 0 | is_background(wanted)]
  if (any(wanted == 0)) return(wanted)
  c(background = 0L, wanted)
}

#' @export
as_seg_mask.seg_panoptic <- function(x, ...) {
  segments <- attr(x, "segments")
  ids <- segments$class[match(x, segments$id)]
  seg_mask(array(ids, dim = dim(x)), classes = attr(x, "classes"),
           spacing = attr(x, "spacing"), unit = attr(x, "unit"), ...)
}

#' Masks as one channel for each class
#'
#' @param x A [seg_mask()], or what [as_seg_mask()] takes: `[H, W]` or `[D, H, W]`.
#' @param classes A named vector of class ids that gives the order of the channels; by default the
#'   mask's own. Every id of the mask must be among them.
#' @return A numeric array of 0 and 1 with the classes as a further last dimension, `[H, W, K]` or
#'   `[D, H, W, K]`, named by class. Pixels that are `NA` are `NA` in every channel.
#' @concept types
#' @export
#' @examples
#' mask <- seg_mask(matrix(c(0, 1, 1, 0, 1, 0), 2), c(background = 0, nucleus = 1))
#' seg_one_hot(mask)[, , "nucleus"]
seg_one_hot <- function(x, classes = NULL) {
  if (missing(x)) abort_missing("x", rlang::current_env())
  x <- as_seg_mask(x)
  classes <- check_classes(classes) %||% attr(x, "classes")
  check_known_ids(x, classes)
  n <- length(dim(x))
  out <- outer(bare(x), unname(classes), "==") + 0
  dimnames(out) <- c(vector("list", n), list(names(classes)))
  out
}

#' @export
`[.seg_mask` <- function(x, ..., drop = FALSE) {
  if (is_empty_index(...)) return(x)
  out <- NextMethod(drop = drop)
  # one index, or a matrix of indices, takes values out of the mask
  if (...length() != length(dim(x)) || drop) return(out)
  out <- like_mask(out, x, spacing = attr(x, "spacing"))
  if (missing(drop) && length(dim(x)) == 3 && is_one_slice(...)) without_depth(out) else out
}

#' @export
`[<-.seg_mask` <- function(x, ..., value) {
  out <- bare(x)
  out[...] <- check_new_ids(value, attr(x, "classes"))
  like_mask(out, x, spacing = attr(x, "spacing"), affine = attr(x, "affine"))
}

# Class ids to be written into a mask, from ids or class names.
check_new_ids <- function(value, classes, call = rlang::caller_env()) {
  value <- if (is.factor(value)) as.character(value) else plain_number(value)
  ids <- if (is.character(value)) unname(classes[value]) else as.vector(value)
  whole <- is_numbers(ids) && !any(ids != round(ids), na.rm = TRUE) || all(is.na(value))
  unknown <- if (is.character(value)) {
    setdiff(value[!is.na(value)], names(classes))
  } else {
    setdiff(ids[!is.na(ids)], classes)
  }
  if (!whole || length(unknown) > 0) {
    maskr_abort("data", c(
      "Only the mask's own classes can be assigned.",
      x = "Given: {.val {utils::head(unknown, 5)}}.",
      i = "The classes are {class_words(classes)}; NA means ignore."
    ), arg = "value", call = call)
  }
  as.integer(ids)
}

# A bare integer array as a mask with the classes and colours of `x`.
like_mask <- function(out, x, spacing = NULL, affine = NULL) {
  attributes(out) <- list(dim = dim(out))
  new_seg_mask(out, attr(x, "classes"), attr(x, "palette"), spacing = spacing, affine = affine,
               unit = attr(x, "unit"))
}

#' @export
Ops.seg_mask <- function(e1, e2) {
  if (.Generic %in% c("==", "!=")) {
    if (is.character(e1)) e1 <- ids_of_names(e1, attr(e2, "classes"))
    if (!missing(e2) && is.character(e2)) e2 <- ids_of_names(e2, attr(e1, "classes"))
  }
  f <- get(.Generic, mode = "function")
  if (missing(e2)) f(bare(e1)) else f(bare(e1), bare(e2))
}

# Class names as ids, for `mask == "nucleus"`.
ids_of_names <- function(x, classes, call = rlang::caller_env(2)) {
  unknown <- setdiff(x, names(classes))
  if (length(unknown) == 0) return(unname(classes[x]))
  maskr_abort("data", c(
    "The mask has no class {.val {unknown}}.", i = "The classes are {class_words(classes)}."
  ), call = call)
}

#' @export
Math.seg_mask <- Math.seg_image

#' @export
t.seg_mask <- function(x) {
  if (length(dim(x)) != 2) {
    maskr_abort("shape", "{.fn t} takes a mask of two dimensions; use {.fn aperm} for a volume.",
                arg = "x")
  }
  aperm(x, c(2, 1))
}

#' @export
aperm.seg_mask <- function(a, perm = NULL, ...) {
  perm <- perm %||% rev(seq_along(dim(a)))
  like_mask(aperm(bare(a), perm, ...), a, spacing = attr(a, "spacing")[perm])
}

#' @export
as.array.seg_mask <- function(x, ...) bare(x)

#' @export
as.matrix.seg_mask <- function(x, ...) {
  if (length(dim(x)) != 2) {
    maskr_abort("shape", "A volume of {size_words(dim(x))} is not a matrix; choose a slice of it.",
                arg = "x")
  }
  bare(x)
}

#' @export
as.data.frame.seg_mask <- function(x, row.names = NULL, optional = FALSE, ...) {
  at <- arrayInd(seq_along(x), dim(x))
  names <- c(if (ncol(at) == 3) "slice", "row", "col")
  ids <- as.vector(x)
  data.frame(stats::setNames(as.data.frame(at), names), class = ids,
             label = class_labels(ids, attr(x, "classes")), row.names = row.names)
}

#' @export
rbind.seg_mask <- function(..., deparse.level = 1) bind_masks(list(...), rbind)

#' @export
cbind.seg_mask <- function(..., deparse.level = 1) bind_masks(list(...), cbind)

bind_masks <- function(masks, bind, call = rlang::caller_env()) {
  masks <- lapply(masks, as_seg_mask)
  classes <- lapply(masks, attr, "classes")
  if (length(unique(classes)) > 1) {
    maskr_abort("data", "Masks of different classes cannot be bound together.", call = call)
  }
  like_mask(do.call(bind, lapply(masks, as.matrix)), masks[[1]])
}

#' @export
format.seg_mask <- function(x, ...) {
  n <- length(attr(x, "classes"))
  paste0("<seg_mask> ", size_words(dim(x)), ", ", n, if (n == 1) " class" else " classes",
         spacing_words(attr(x, "spacing"), attr(x, "unit")))
}

#' @export
print.seg_mask <- function(x, n = 12, ...) {
  cat(format(x), sep = "\n")
  counts <- summary(x)
  present <- counts[counts$pixels > 0, ]
  cat(share_lines(utils::head(present, n)), sep = "\n")
  hidden <- nrow(present) - n
  absent <- sum(counts$pixels == 0 & !is.na(counts$class))
  if (hidden > 0) cat("... and", hidden, "more\n")
  if (absent > 0) cat("absent:", absent, if (absent == 1) "class\n" else "classes\n")
  invisible(x)
}

# "  1 nucleus     18.8 %"
share_lines <- function(counts) {
  id <- ifelse(is.na(counts$class), "NA", counts$class)
  label <- ifelse(is.na(counts$class), "(ignore)", counts$label)
  label[label == id] <- ""
  share <- formatC(100 * counts$share, format = "f", digits = 1)
  paste0("  ", format(id, justify = "right"), " ", format(label), " ",
         format(share, justify = "right"), " %")
}

#' @export
summary.seg_mask <- function(object, ...) {
  classes <- attr(object, "classes")
  places <- tabulate(match(object, classes), length(classes))
  out <- data.frame(class = unname(classes), label = names(classes), pixels = places)
  ignored <- length(object) - sum(places)
  if (ignored > 0) out <- rbind(out, data.frame(class = NA, label = NA, pixels = ignored))
  out$share <- out$pixels / length(object)
  out
}
