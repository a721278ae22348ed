# What crosses the border: plain arrays without class, as R holds them. `maskr/arrays.py` knows
# their memory order.

# An image as a bare numeric array [H, W] or [H, W, C].
bare_image <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  force(arg)
  x <- own_image(x, arg, call)
  if (!(is_numbers(x) || is.logical(x) || is.raw(x)) || !length(dim(x)) %in% 2:3) {
    maskr_abort("shape", c(
      "{.arg {arg}} must be an image: a numeric matrix [H, W] or array [H, W, C].",
      x = "You supplied {describe(x)}."
    ), arg = arg, call = call)
  }
  check_has_pixels(x, arg, call)
  if (is.logical(x)) storage.mode(x) <- "double"
  if (is.raw(x)) storage.mode(x) <- "integer"
  only_dim(x)
}

# A mask as a bare integer matrix [H, W] or array [D, H, W] of class ids, NA kept.
# Whole doubles and logicals are made integer; a factor with dim keeps its codes' labels as names
# elsewhere, so here it is an error rather than a guess.
bare_mask <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  force(arg)
  x <- own_mask(x, arg, call)
  if (is.factor(x) || !(is_numbers(x) || is.logical(x) || is.raw(x)) ||
        !length(dim(x)) %in% 2:3) {
    maskr_abort("shape", c(
      "{.arg {arg}} must be a mask: a matrix [H, W] (or array [D, H, W]) of class ids.",
      x = "You supplied {describe(x)}.",
      i = if (is.factor(x)) "Use {.fn as_seg_mask} for factors."
    ), arg = arg, call = call)
  }
  check_has_pixels(x, arg, call)
  check_no_channels(x, arg, call)
  ids <- x <- only_dim(x)
  suppressWarnings(storage.mode(ids) <- "integer")
  if (is.double(x)) check_whole_ids(x, ids, arg, call)
  ids
}

# An array [H, W, C] would be read as a volume [D, H, W] that is no wider than C voxels. What says
# that it is a volume, by its class or the spacing of its voxels, is one; so is what would be an
# image of fewer than 4 rows or columns.
check_no_channels <- function(x, arg, call) {
  size <- dim(x)
  if (length(size) != 3 || says_volume(x)) return(invisible())
  if (size[[3]] > 4 || any(size[1:2] < 4)) return(invisible())
  maskr_abort("shape", c(
    "{.arg {arg}} must be a matrix [H, W] of class ids, and is an array of size
     {paste(size, collapse = ' x ')}: {size[[3]]} channel{?s}.",
    i = "If all channels are the same, take one: {.code x[, , 1]}.",
    i = "A volume [D, H, W] as narrow as this says so by its spacing:
         {.code seg_mask(x, spacing = c(1, 1, 1))}."
  ), arg = arg, call = call)
}

says_volume <- function(x) {
  if (are_files(x)) return(any(grepl("[.]nii([.]gz)?$", x, ignore.case = TRUE)))
  length(dim(x)) == 3 && (is.object(x) || !is.null(attr(x, "spacing")))
}

# Is `ids` what `x` holds? What can't be an integer became NA.
check_whole_ids <- function(x, ids, arg, call) {
  if (!any(ids != x, na.rm = TRUE) && (!anyNA(ids) || sum(is.na(ids)) == sum(is.na(x)))) {
    return(invisible())
  }
  if (any(x != round(x), na.rm = TRUE)) {
    by <- divisor_of_ids(x)
    maskr_abort("data", c(
      "{.arg {arg}} must hold whole class ids, and holds fractions.",
      i = if (is.null(by)) "Probabilities become a mask by a threshold: {.code x > 0.5}.",
      i = if (!is.null(by)) {
        "They may be ids divided by {by}, as {.code EBImage::readImage()} divides those of a file:
         {.code round(x * {by})} gives them back."
      }
    ), arg = arg, call = call)
  }
  maskr_abort("data", c(
    "{.arg {arg}} must hold class ids below 2^31, not {max(abs(x), na.rm = TRUE)}."
  ), arg = arg, call = call)
}

# By which of the largest numbers of types ids were divided; NULL if by none.
divisor_of_ids <- function(x) {
  if (min(x, na.rm = TRUE) < 0 || max(x, na.rm = TRUE) > 1) return(NULL)
  is_whole <- function(x) all(abs(x - round(x)) < 1e-3, na.rm = TRUE)
  Find(\(by) is_whole(x * by), c(255, 65535))
}

# Without class, names and the like. Assigning attributes copies once, array() twice.
only_dim <- function(x) {
  if (length(attributes(x)) > 1) attributes(x) <- list(dim = dim(x))
  x
}

check_has_pixels <- function(x, arg, call) {
  if (length(x) > 0) return(invisible(x))
  maskr_abort("shape", "{.arg {arg}} holds no pixel: it is {describe(x)}.",
              arg = arg, call = call)
}
