# What happens to training images at random. `maskr/augment/` does it.

#' Augmentation of training data
#'
#' Describes what [fit()][fit.seg_model()] changes at random in every image each time that it sees
#' it. One draw moves the image, its mask and its objects together: masks go to the nearest pixel,
#' so that no class is invented, and objects that leave the image are dropped. Pixels that come from
#' outside of the image, or that `cutout` hides, are black in it after the last step, ignored in the
#' mask and part of no object; they don't mix with their neighbours. Validation,
#' [predict()][predict.seg_model()] and [seg_evaluate()] never augment.
#'
#' Steps run in the order given, each with its probability `p`, before the model's preprocessing and
#' the dataset's `resize`, at the image's own resolution. Draws depend on [set.seed()], the epoch
#' and the place in it alone, so that the same seed gives the same images whatever the number of
#' threads.
#'
#' # Steps
#' Settings are ranges `c(least, most)` from which a value is drawn each time; one number stands for
#' itself.
#'
#' Geometry:
#' * `random_crop`: a window of `size = c(height, width)` pixels.
#' * `resized_crop`: a window enlarged to the image's size; `scale` is its share of the area,
#'   `ratio` the factor of its aspect ratio.
#' * `flip_horizontal` (left and right), `flip_vertical`.
#' * `rot90`: by 90, 180 or 270 degrees.
#' * `rotate`: by `degrees`, counter-clockwise.
#' * `affine`: `degrees`, `translate` (share of height and width, at most 0.5), `scale`, `shear`
#'   (degrees).
#' * `perspective`: corners move inwards by the share `distortion` of half the height and width.
#' * `elastic`: shifts with a standard deviation of `displacement` pixels, at most 100, on a grid
#'   `spacing` pixels wide, smooth between.
#' * `grid_distortion`: rows and columns of `cells` are up to `distortion` wider or narrower.
#'
#' Values, relative to the range that an image uses, its percentiles 0.1 and 99.9: one range for 1
#' and 3 channels, for other numbers each channel its own. A file of 16 bits that uses few of them
#' so changes as much as a photograph. Values are cut off at 0 and 1, or at the smallest and largest
#' of images that reach beyond.
#' * `brightness`: distances to the range's lower end times `factor`. `contrast`: distances to the
#'   mean times `factor`. `gamma`: values, 0 to 1 within the range, to the power of `exponent`.
#' * `hue`: colours `shift`ed around the wheel, -0.5 to 0.5. `saturation`: distances to grey times
#'   `factor`. Both leave images alone that do not have three channels.
#' * `blur`: Gaussian, `sigma` in pixels. `noise`: normal, `sd` a share of the range.
#' * `jpeg`: artefacts of that `quality`, 1 to 100; 8 bits of the range are left.
#'
#' Composition:
#' * `cutout`: `holes` of `size` (share of height and width) are hidden; `holes` times the square of
#'   `size` must not exceed 0.9.
#' * `mosaic`: the image and three others, each times `scale`, in the quarters of one.
#' * `copy_paste`: the `share` of another image's objects, times `scale`, on top, without what other
#'   objects cover there (later ones lie above). Needs [seg_instances()] or annotations as targets.
#'
#' Volumes take `flip_horizontal`, `flip_vertical`, `rotate` and `affine` (within slices, without
#' shear), `elastic`, `brightness`, `contrast`, `gamma`, `blur` and `noise`; with others
#' [seg_dataset()] gives a `maskr_error_shape`. What turns, scales, bends or blurs them is the
#' Python package torchio, `seg_install(extras = "volumes")`.
#'
#' # Presets
#' * `"light"`: flips left and right, small changes of brightness and contrast.
#' * `"medical"`: small turns, shifts and scales, elastic, gamma, noise, blur; no flips, since left
#'   and right differ. Works for volumes too.
#' * `"aerial"`: all flips and quarter turns, crops, light and colours.
#' * `"microscopy"`: all flips and quarter turns, turns by any angle, elastic, light, blur, noise.
#'
#' @param preset Name of a preset to begin with, or `NULL`.
#' @param ... Steps by name: `TRUE`, a probability, or a list of `p` and settings; what is left out
#'   has its default. `FALSE` takes a step out of the preset. A step that the preset has stays in
#'   its place.
#' @return A plain list of class `seg_augment`: for each step its `p` and settings.
#' @references Ronneberger et al. (2015) \url{https://arxiv.org/abs/1505.04597} (elastic); DeVries &
#'   Taylor (2017) \url{https://arxiv.org/abs/1708.04552} (cutout); Bochkovskiy et al. (2020)
#'   \url{https://arxiv.org/abs/2004.10934} (mosaic); Ghiasi et al. (2021)
#'   \url{https://arxiv.org/abs/2012.07177} (copy-paste).
#' @seealso `plot()` of a [seg_dataset()] shows what comes out.
#' @concept data
#' @export
#' @examples
#' seg_augment("light")
#' seg_augment("light", rotate = list(p = 0.5, degrees = c(-20, 20)), brightness = FALSE)
#' seg_augment(flip_horizontal = 0.5, gamma = TRUE)
seg_augment <- function(preset = NULL, ...) {
  given <- list(...)
  check_step_names(given)
  steps <- if (is.null(preset)) list() else augment_preset(preset)
  for (name in names(given)) steps[[name]] <- check_step(given[[name]], name)
  if (length(steps) == 0) {
    maskr_abort("argument", c(
      "There must be at least one step.",
      i = "For example, write {.code seg_augment(flip_horizontal = 0.5)} or
           {.code seg_augment(\"light\")}."
    ), arg = "...")
  }
  structure(steps, class = "seg_augment")
}

# A setting: its default, the least and largest value allowed, and what kind it is.
setting <- function(default, min, max = Inf, kind = "range", whole = FALSE) {
  list(default = default, min = min, max = max, kind = kind, whole = whole)
}

# All steps: the probability that TRUE stands for, and their settings. Python has no defaults.
augment_steps <- list(
  random_crop = list(p = 1, size = setting(c(256, 256), 1, kind = "size", whole = TRUE)),
  resized_crop = list(
    p = 0.5, scale = setting(c(0.5, 1), 0.01, 1), ratio = setting(c(0.75, 4 / 3), 0.1, 10)
  ),
  flip_horizontal = list(p = 0.5),
  flip_vertical = list(p = 0.5),
  rot90 = list(p = 0.75),
  rotate = list(p = 0.5, degrees = setting(c(-15, 15), -360, 360)),
  affine = list(
    p = 0.5, degrees = setting(c(-10, 10), -360, 360), translate = setting(c(-0.1, 0.1), -0.5, 0.5),
    scale = setting(c(0.8, 1.25), 0.05, 20), shear = setting(c(-5, 5), -60, 60)
  ),
  perspective = list(p = 0.3, distortion = setting(c(0, 0.3), 0, 0.9)),
  elastic = list(
    p = 0.3, displacement = setting(c(1, 4), 0, 100), spacing = setting(c(32, 64), 4, 10000)
  ),
  grid_distortion = list(
    p = 0.3, cells = setting(c(4, 6), 2, 100, whole = TRUE), distortion = setting(c(0, 0.4), 0, 0.9)
  ),
  brightness = list(p = 0.5, factor = setting(c(0.8, 1.2), 0, 100)),
  contrast = list(p = 0.5, factor = setting(c(0.8, 1.2), 0, 100)),
  gamma = list(p = 0.5, exponent = setting(c(0.7, 1.4), 0.01, 100)),
  hue = list(p = 0.5, shift = setting(c(-0.04, 0.04), -0.5, 0.5)),
  saturation = list(p = 0.5, factor = setting(c(0.7, 1.3), 0, 100)),
  blur = list(p = 0.3, sigma = setting(c(0.3, 1.2), 0, 100)),
  noise = list(p = 0.3, sd = setting(c(0.01, 0.04), 0, 1)),
  jpeg = list(p = 0.3, quality = setting(c(40, 90), 1, 100, whole = TRUE)),
  cutout = list(
    p = 0.3, holes = setting(c(1, 4), 1, 1000, whole = TRUE), size = setting(c(0.05, 0.2), 0, 0.9)
  ),
  mosaic = list(p = 0.5, scale = setting(c(0.5, 1), 0.05, 20)),
  copy_paste = list(
    p = 0.5, share = setting(c(0.2, 0.6), 0, 1), scale = setting(c(0.8, 1.25), 0.05, 20)
  )
)

augment_presets <- list(
  light = list(
    flip_horizontal = TRUE, brightness = list(p = 0.5, factor = c(0.9, 1.1)),
    contrast = list(p = 0.5, factor = c(0.9, 1.1))
  ),
  medical = list(
    affine = list(p = 0.7, degrees = c(-10, 10), translate = c(-0.05, 0.05),
                  scale = c(0.9, 1.1), shear = c(0, 0)),
    elastic = TRUE, contrast = 0.3, gamma = TRUE, blur = 0.2, noise = 0.2
  ),
  aerial = list(
    resized_crop = TRUE, flip_horizontal = TRUE, flip_vertical = TRUE, rot90 = TRUE,
    brightness = TRUE, contrast = TRUE, hue = list(p = 0.3, shift = c(-0.02, 0.02)),
    saturation = 0.3
  ),
  microscopy = list(
    flip_horizontal = TRUE, flip_vertical = TRUE, rot90 = TRUE,
    affine = list(p = 0.5, degrees = c(-45, 45), translate = c(0, 0), scale = c(0.8, 1.25),
                  shear = c(0, 0)),
    elastic = TRUE, brightness = TRUE, contrast = TRUE, gamma = 0.3, blur = 0.2, noise = 0.3
  )
)

augment_preset <- function(preset, call = rlang::caller_env()) {
  preset <- check_choice(preset, names(augment_presets), arg = "preset", call = call)
  steps <- augment_presets[[preset]]
  stats::setNames(lapply(names(steps), \(name) check_step(steps[[name]], name)), names(steps))
}

check_step_names <- function(given, call = rlang::caller_env()) {
  names <- rlang::names2(given)
  known <- names(augment_steps)
  if (!all(nzchar(names))) {
    maskr_abort("argument", c(
      "Steps must be named: {.code seg_augment(rotate = 0.5)}.", i = "They are {.arg {known}}."
    ), arg = "...", call = call)
  }
  unknown <- setdiff(names, known)
  if (length(unknown) > 0) {
    maskr_abort("argument", c(
      "There {cli::qty(unknown)}{?is no step/are no steps} {.arg {unknown}}.",
      i = "The steps are {.arg {known}}."
    ), arg = unknown[[1]], call = call)
  }
  if (anyDuplicated(names)) {
    twice <- names[[anyDuplicated(names)]]
    maskr_abort("argument", "The step {.arg {twice}} is given twice.", arg = twice, call = call)
  }
}

# A step with `p` and all settings, or NULL where it is FALSE.
check_step <- function(x, name, call = rlang::caller_env()) {
  if (isFALSE(x)) return(NULL)
  if (isTRUE(x)) x <- list()
  if (is_numbers(x) && length(x) == 1 && is.null(names(x))) x <- list(p = x)
  known <- augment_steps[[name]]
  # most likely meant as the step's first setting
  meant <- if (is_numbers(x) && length(x) == 2 && length(known) > 1) {
    range <- paste0("c(", paste(format(x, trim = TRUE), collapse = ", "), ")")
    paste0(name, " = list(", names(known)[[2]], " = ", range, ")")
  }
  if (!is.list(x) || is.object(x) || !all(nzchar(rlang::names2(x))) || anyDuplicated(names(x))) {
    maskr_abort("argument", c(
      "{.arg {name}} must be TRUE, FALSE, a probability, or a named list of {.arg {names(known)}}.",
      x = if (is.list(x)) "You supplied a list without names, or with one twice.",
      x = if (!is.list(x)) "You supplied {describe(x)}.",
      i = if (!is.null(meant)) "Did you mean {.code {meant}}?"
    ), arg = name, call = call)
  }
  unknown <- setdiff(names(x), names(known))
  if (length(unknown) > 0) {
    maskr_abort("argument", c(
      "The step {.arg {name}} has no setting {.arg {unknown}}.",
      i = "It has {.arg {names(known)}}."
    ), arg = name, call = call)
  }
  settings <- lapply(rlang::set_names(setdiff(names(known), "p")), function(setting) {
    check_setting(x[[setting]], known[[setting]], paste0(name, "$", setting), call)
  })
  p <- check_number(x$p %||% known$p, min = 0, max = 1, arg = paste0(name, "$p"), call = call)
  if (name == "cutout") check_cutout(settings, call)
  c(list(p = p), settings)
}

check_cutout <- function(settings, call) {
  share <- max(settings$holes) * max(settings$size)^2
  if (share <= 0.9) return(invisible())
  maskr_abort("argument", c(
    "{.arg cutout} must not hide nearly everything: {.arg holes} times the square of {.arg size}
     is at most 0.9.",
    x = "It reaches {format(share, digits = 3)}."
  ), arg = "cutout", call = call)
}

# Two numbers: a range, or a height and width.
check_setting <- function(x, about, arg, call) {
  x <- x %||% about$default
  ok <- is_numbers(x) && length(x) %in% 1:2 && all(is.finite(x)) && all(x >= about$min) &&
    all(x <= about$max) && (!about$whole || all(x == round(x)))
  if (ok && about$kind == "size") return(as.double(check_extent(rep_len(x, 2), arg, call)))
  if (ok && x[[1]] <= x[[length(x)]]) return(rep_len(as.double(x), 2))
  form <- if (about$kind == "size") "c(height, width)" else "c(least, most)"
  number <- if (about$whole) "whole number" else "number"
  maskr_abort("argument", c(
    "{.arg {arg}} must be one {number} or {.code {form}}, each{range_words(about$min, about$max)}.",
    x = "You supplied {describe(x)}."
  ), arg = arg, call = call)
}

#' @export
format.seg_augment <- function(x, ...) {
  steps <- unclass(x)
  settings <- vapply(steps, format_step, character(1))
  count <- paste0(length(steps), if (length(steps) == 1) " step" else " steps")
  c(paste0("<seg_augment> ", count), paste0(format(names(steps)), "  ", settings))
}

format_step <- function(step) {
  ranges <- vapply(names(step)[-1], function(name) {
    values <- format(unique(step[[name]]), digits = 3, trim = TRUE)
    paste(name, paste(values, collapse = if (name == "size") ", " else " to "))
  }, character(1))
  paste(c(paste("p", format(step$p)), ranges), collapse = ", ")
}

#' @export
print.seg_augment <- function(x, ...) {
  cat(format(x), sep = "\n")
  invisible(x)
}

# ---- in a dataset ----

# The argument of seg_dataset(): steps, the name of a preset, or NULL.
check_augment <- function(x, images, targets, instances, call = rlang::caller_env()) {
  if (is.null(x)) return(NULL)
  if (is.character(x)) {
    preset <- check_choice(x, names(augment_presets), arg = "augment", call = call)
    x <- structure(augment_preset(preset), class = "seg_augment")
  }
  if (!inherits(x, "seg_augment")) {
    maskr_abort("argument", c(
      "{.arg augment} must come from {.fn seg_augment}, be the name of a preset, or NULL.",
      x = "You supplied {describe(x)}.",
      i = "The presets are {.val {names(augment_presets)}}."
    ), arg = "augment", call = call)
  }
  # a plain list, which may have been changed by hand
  check_step_names(x, call)
  for (name in names(x)) x[[name]] <- check_step(x[[name]], name, call)
  if (needs_objects(x) && is.null(instances) && !all_objects(targets)) {
    maskr_abort("data", c(
      "The step {.arg copy_paste} needs objects, and masks of classes do not tell them apart.",
      i = "Give {.fn seg_instances} or annotations as {.arg targets}, or leave the step out."
    ), arg = "augment", call = call)
  }
  unfit <- setdiff(names(x), volume_steps)
  if (length(unfit) > 0 && any(vapply(images, is_volume, logical(1)))) {
    maskr_abort("shape", c(
      "The {cli::qty(unfit)}step{?s} {.arg {unfit}} {?is/are} for images, and there are volumes.",
      i = "For volumes there are {.arg {volume_steps}}."
    ), arg = "augment", call = call)
  }
  x
}

# The steps of `maskr/augment/volumes.py`.
volume_steps <- c(
  "flip_horizontal", "flip_vertical", "rotate", "affine", "elastic", "brightness", "contrast",
  "gamma", "blur", "noise"
)

# Whether an image of a dataset has a depth; slices of volumes have none.
is_volume <- function(image) {
  if (is_volume_part(image)) image$axis < 0 else is_image_volume(image)
}

needs_objects <- function(augment) "copy_paste" %in% names(augment)

all_objects <- function(targets) {
  inherits(targets, "seg_annotations") ||
    all(vapply(targets, inherits, logical(1), "seg_instances"))
}

# Generated scenes have masks and objects; of the latter the masks can be made again.
augmented_targets <- function(x) {
  if (!is.null(x$instances) && needs_objects(x$augment)) x$instances else x$targets
}

# Steps as Python takes them: a list of name, p and settings, in which pairs stay lists.
augment_for_python <- function(x) {
  if (is.null(x)) return(NULL)
  unname(Map(function(step, name) c(list(name = name), lapply(step, as_plain)), unclass(x),
             names(x)))
}

as_plain <- function(x) if (length(x) > 1) as.list(x) else x
