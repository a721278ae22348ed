# Images of other packages: the one place that knows their axes and units.

# `x` as a `seg_image`, if it is an image of another package; anything else as it is.
own_image <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  force(arg)
  if (missing(x)) abort_missing(arg, call)
  kind <- foreign_kind(x)
  if (is.null(kind)) return(plain_number(x))
  if (kind %in% names(no_images)) abort_foreign(kind, no_images[[kind]], arg, call)
  found <- foreign_readers[[kind]](x, arg, call)
  pixels <- found$pixels
  if (isTRUE(found$untyped)) warn_of_unknown_type(pixels, arg)
  channels <- dim(pixels)[[length(dim(pixels))]]
  unit <- rep(rep_len(found$unit %||% 1, channels), each = length(pixels) / channels)
  scaled <- any(unit != 1)
  divisor <- if (all(unit == unit[[1]])) unit[[1]]
  seg_image(structure(if (scaled) pixels / unit else pixels, divisor = divisor),
            range = if (scaled) c(0, 1))
}

# `x` as a mask of class ids, if it is an image of another package: a `seg_mask` where that names
# classes, else a plain array. Anything else as it is.
own_mask <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  force(arg)
  if (missing(x)) abort_missing(arg, call)
  kind <- foreign_kind(x)
  if (is.null(kind)) return(plain_number(x))
  if (kind %in% names(no_masks)) abort_foreign(kind, no_masks[[kind]], arg, call)
  found <- foreign_readers[[kind]](x, arg, call)
  pixels <- one_channel_of(found$pixels, kind, arg, call)
  spacing <- found$spacing
  if (is.null(found$classes)) return(structure(pixels, spacing = spacing))
  new_seg_mask(bare_mask(pixels, arg, call), check_classes(found$classes, call = call),
               spacing = spacing)
}

is_foreign <- function(x) !is.null(foreign_kind(x))

# The name of a class of another package's images; NULL for all others.
foreign_kind <- function(x) {
  if (!is.object(x) || inherits(x, own_classes)) return(NULL)
  Find(\(kind) inherits(x, kind), c(names(foreign_readers), names(no_images)))
}

own_classes <- c("seg_image", "seg_mask", "seg_instances", "seg_panoptic", "data.frame", "factor")

abort_foreign <- function(kind, hint, arg, call) {
  maskr_abort("argument", c(
    "{.arg {arg}} is of class {.cls {kind}}, which cannot be taken as it is.", i = hint
  ), arg = arg, call = call)
}

# The pixels [H, W] or [D, H, W] of one channel; equal colours are grey.
one_channel_of <- function(pixels, kind, arg, call) {
  size <- dim(pixels)
  channels <- size[[length(size)]]
  apart <- matrix(pixels, ncol = channels)
  opaque <- channels %in% c(2, 4) && length(unique(apart[, channels])) == 1
  colours <- apart[, seq_len(if (opaque) channels - 1 else channels), drop = FALSE]
  if (ncol(colours) == 1 || ncol(colours) == 3 && isTRUE(all(colours == colours[, 1]))) {
    return(array(colours[, 1], size[-length(size)]))
  }
  maskr_abort("shape", c(
    "{.arg {arg}}, of class {.cls {kind}}, has {channels} channels, and a mask has one.",
    i = "Choose the channel that holds class ids."
  ), arg = arg, call = call)
}

# What a function of another package gives.
call_package <- function(package, name, ..., call) {
  if (!requireNamespace(package, quietly = TRUE)) {
    maskr_abort("missing", c(
      "The R package {.pkg {package}} is not installed, and its object was given.",
      i = "Install it by {.code install.packages(\"{package}\")}."
    ), call = call)
  }
  getExportedValue(package, name)(...)
}

# Each gives `pixels` [H, W, C] or [D, H, W, C], in units of `unit` (one number for all channels or
# one for each), and perhaps `classes`, `spacing`, or that the type of numbers is unknown.
foreign_readers <- list(
  # EBImage: [W, H], [W, H, C] in colour mode 2, [W, H, D] frames in grey, [W, H, C, D]
  Image = function(x, arg, call) {
    pixels <- x@.Data
    attributes(pixels) <- list(dim = dim(pixels))
    in_colour <- x@colormode == 2L
    pixels <- switch(
      as.character(length(dim(pixels))),
      "2" = array(t(pixels), c(rev(dim(pixels)), 1)),
      "3" = if (in_colour) aperm(pixels, c(2, 1, 3)) else with_channel(aperm(pixels, c(3, 2, 1))),
      "4" = aperm(pixels, c(4, 2, 1, 3))
    )
    # a stack of one picture is that picture
    if (length(dim(pixels)) == 4 && dim(pixels)[[1]] == 1) dim(pixels) <- dim(pixels)[-1]
    list(pixels = pixels)
  },
  # imager: [W, H, D, C]
  cimg = function(x, arg, call) list(pixels = of_imager(x)),
  pixset = function(x, arg, call) list(pixels = of_imager(x) + 0),
  `magick-image` = function(x, arg, call) {
    if (length(x) != 1) {
      maskr_abort("shape", c(
        "{.arg {arg}} holds {length(x)} frames, and one image is needed.",
        i = "Choose one: {.code {arg}[1]}."
      ), arg = arg, call = call)
    }
    of_bitmap(call_package("magick", "image_data", x, call = call))
  },
  # what magick::image_data() gives
  bitmap = function(x, arg, call) of_bitmap(x),
  SpatRaster = function(x, arg, call) {
    pixels <- call_package("terra", "as.array", x, call = call)
    types <- call_package("terra", "datatype", x, call = call)
    named <- call_package("terra", "is.factor", x, call = call)
    levels <- if (all(named)) call_package("terra", "levels", x, call = call)[[1]]
    list(pixels = pixels, unit = largest_of_type(types), untyped = any(types == ""),
         classes = ids_of_levels(levels))
  },
  RasterLayer = function(x, arg, call) of_raster(x, call),
  RasterStack = function(x, arg, call) of_raster(x, call),
  RasterBrick = function(x, arg, call) of_raster(x, call),
  # a matrix of colours, as grDevices::as.raster() gives
  raster = function(x, arg, call) {
    rgba <- grDevices::col2rgb(as.matrix(x), alpha = TRUE)
    colours <- array(t(rgba), dim = c(dim(x), 4))
    opaque <- all(rgba[4, ] == 255)
    list(pixels = if (opaque) colours[, , 1:3, drop = FALSE] else colours, unit = 255)
  },
  # colours packed into integers row by row, as png::readPNG(native = TRUE) gives
  nativeRaster = function(x, arg, call) {
    packed <- matrix(as.vector(x), dim(x)[[1]], byrow = TRUE)
    bytes <- lapply(c(0, 8, 16, 24), \(by) bitwAnd(bitwShiftR(packed, by), 255L))
    opaque <- all(bytes[[4]] == 255)
    bytes <- unlist(bytes[if (opaque) 1:3 else 1:4])
    list(pixels = array(bytes, c(dim(packed), length(bytes) / length(packed))), unit = 255)
  },
  # RNifti and oro.nifti: [i, j, k, t]
  niftiImage = function(x, arg, call) of_nifti(unclass(x), attr(x, "pixdim")),
  nifti = function(x, arg, call) of_nifti(x@.Data, x@pixdim[-1]),
  # stars: [x, y, band], the first y being the upper row, as in the file
  stars = function(x, arg, call) {
    pixels <- unclass(x)[[1]]
    names <- if (is.factor(pixels)) levels(pixels)
    classes <- if (!is.null(names)) stats::setNames(seq_along(names), names)
    pixels <- array(if (is.null(names)) pixels else as.integer(pixels), dim(pixels))
    pixels <- if (length(dim(pixels)) == 2) with_channel(t(pixels)) else aperm(pixels, c(2, 1, 3))
    list(pixels = pixels, classes = classes)
  }
)

# Classes that cannot be taken as images, or not as masks, and what to do instead.
no_images <- list(
  stars = "stars does not tell the type of a file's numbers, by whose largest they are divided.
           Give the file's path, or {.code terra::rast(x)}, or divide yourself:
           {.code seg_image(aperm(x[[1]], c(2, 1, 3)) / 255)}.",
  niftiImage = "Its numbers would not be divided as {.fn seg_read_image} divides those of the file.
                Give the path of the file, or read it by {.fn seg_read_image}.",
  nifti = "Its numbers would not be divided as {.fn seg_read_image} divides those of the file.
           Give the path of the file, or read it by {.fn seg_read_image}.",
  stars_proxy = "Read it first: {.code stars::st_as_stars(x)}.",
  antsImage = "Give the path of its file, or an array in the order [D, H, W, C]:
               {.code aperm(ANTsR::as.array(x), c(3, 2, 1))}.",
  `_p_itk__simple__Image` = "Give the path of its file, or an array in the order [D, H, W, C]:
                             {.code aperm(SimpleITK::as.array(x), c(3, 2, 1))}.",
  torch_tensor = "Convert it: {.code torch::as_array(x)}, in the order [H, W, C].",
  python.builtin.object = "Convert it: {.code reticulate::py_to_r(x)}, an array [H, W, C]."
)
no_masks <- c(
  no_images[c("stars_proxy", "antsImage", "_p_itk__simple__Image", "torch_tensor",
              "python.builtin.object")],
  list(
    raster = "It holds colours, and a mask holds class ids.",
    nativeRaster = "It holds colours, and a mask holds class ids. Read the file by
                    {.fn seg_read_mask}."
  )
)

with_channel <- function(x) array(x, c(dim(x), 1L))

of_imager <- function(x) {
  size <- dim(x)
  pixels <- aperm(array(as.vector(x), size), c(3, 2, 1, 4))
  # one slice is an image
  if (size[[3]] == 1) dim(pixels) <- dim(pixels)[-1]
  pixels
}

# Bytes in the order [C, W, H]; magick's own method of as.integer() would turn them.
of_bitmap <- function(x) {
  list(pixels = aperm(array(as.integer(unclass(x)), dim(x)), c(3, 2, 1)), unit = 255)
}

of_raster <- function(x, call) {
  types <- call_package("raster", "dataType", x, call = call)
  list(pixels = call_package("raster", "as.array", x, call = call), unit = largest_of_type(types))
}

of_nifti <- function(pixels, pixdim) {
  size <- dim(pixels)
  axes <- seq_len(min(length(size), 3))
  if (length(size) < 4) size <- c(size, 1)
  pixels <- aperm(array(as.vector(pixels), size), c(rev(axes), length(size)))
  list(pixels = pixels, spacing = if (length(pixdim) >= length(axes)) rev(pixdim[axes]))
}

# By what files of these types of GDAL are divided.
largest_of_type <- function(types) {
  largest <- c(INT1U = 2^8, INT1S = 2^7, INT2U = 2^16, INT2S = 2^15, INT4U = 2^32, INT4S = 2^31)
  known <- unname(largest[types]) - 1
  ifelse(is.na(known), 1, known)
}

# terra forgets the type of numbers that it computed or cropped.
warn_of_unknown_type <- function(pixels, arg) {
  some <- pixels[!is.na(pixels)]
  if (length(some) == 0 || max(some) <= 1 || min(some) < 0 || max(some) > 255) return(invisible())
  if (any(some != round(some))) return(invisible())
  cli::cli_warn(c(
    "terra does not tell the type of the numbers in {.arg {arg}}, which are in memory: they are
     taken as they are, up to {max(some)}.",
    i = "If they are of 8 bits, divide by 255, as files are."
  ), class = "maskr_warning_units")
}

# Class ids by the names of a raster's categories.
ids_of_levels <- function(levels) {
  if (!is.data.frame(levels) || ncol(levels) < 2) return(NULL)
  stats::setNames(levels[[1]], as.character(levels[[2]]))
}
