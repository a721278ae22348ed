#' Preprocessing of images for a model
#'
#' Describes what happens to each image before a model sees it. It is saved with the model and is
#' the same in training and prediction. The window comes first, as images are read and before they
#' are augmented; the other steps run in the order of the arguments.
#'
#' @param channels `"rgb"` keeps the order of the channels, `"bgr"` reverses it.
#' @param per_image `"none"`; `"standardise"`: subtract from each channel its own mean and divide by
#'   its standard deviation; `"percentile"`: stretch the image between two of its percentiles (over
#'   all channels together) to 0..1 and clip.
#' @param percentiles The two percentiles, each from 0 to 100.
#' @param mean,std Numbers subtracted from, then divided into, each channel: one, or one per
#'   channel, in the image's units (0..1 unless it was read with `scale = FALSE`).
#' @param window Two values that become 0 and 1, with what lies beyond cut off, in units of the
#'   file: `c(-160, 240)` shows soft tissue in CT (Hounsfield units), `c(-1000, 400)` lungs. Files
#'   are then read in their own units, and images in memory must have these too, as
#'   `seg_read_image(path, scale = FALSE)` gives them; where [seg_read_image()] divided an image,
#'   the division is undone. [fit()][fit.seg_model()] takes over the window of [seg_data_volume()]
#'   where a model has none. `NULL` leaves integers divided by the maximum of their type, which is
#'   rarely good for CT.
#' @return A plain list of class `seg_preprocess`.
#' @concept models
#' @export
#' @examples
#' seg_preprocess(mean = c(0.485, 0.456, 0.406), std = c(0.229, 0.224, 0.225))
#' seg_preprocess(per_image = "percentile")
#' seg_preprocess(window = c(-160, 240))
seg_preprocess <- function(channels = c("rgb", "bgr"),
                           per_image = c("none", "standardise", "percentile"),
                           percentiles = c(1, 99.8), mean = NULL, std = NULL, window = NULL) {
  channels <- check_choice(channels, c("rgb", "bgr"))
  per_image <- check_choice(per_image, c("none", "standardise", "percentile"))
  if (!is_numbers(percentiles) || length(percentiles) != 2 || anyNA(percentiles) ||
        percentiles[1] < 0 || percentiles[2] > 100 || percentiles[1] >= percentiles[2]) {
    maskr_abort("argument", c(
      "{.arg percentiles} must be two rising numbers from 0 to 100.",
      x = "You supplied {describe(percentiles)}."
    ), arg = "percentiles")
  }
  check_per_channel(mean)
  check_per_channel(std)
  if (any(std <= 0)) {
    maskr_abort("argument", "{.arg std} must be above 0, not {.val {std}}.", arg = "std")
  }
  structure(
    list(channel_order = channels, per_image = per_image, percentiles = percentiles,
         mean = mean, std = std, window = check_window(window)),
    class = "seg_preprocess"
  )
}

#' @export
format.seg_preprocess <- function(x, ...) {
  numbers <- function(v) paste(format(v, digits = 4, trim = TRUE), collapse = ", ")
  window <- unlist(x$window)
  steps <- c(
    if (!is.null(window)) {
      paste0("values from ", format(window[[1]]), " to ", format(window[[2]]), " as 0 to 1")
    },
    if (x$channel_order == "bgr") "channels in BGR order",
    switch(
      x$per_image,
      standardise = "each image standardised",
      percentile = paste0("each image stretched between percentiles ", numbers(x$percentiles))
    ),
    if (!is.null(x$mean)) paste0("minus ", numbers(x$mean)),
    if (!is.null(x$std)) paste0("divided by ", numbers(x$std))
  )
  if (length(steps) == 0) "none" else paste(steps, collapse = "; ")
}

#' @export
print.seg_preprocess <- function(x, ...) {
  cat("<seg_preprocess> ", format(x), "\n", sep = "")
  invisible(x)
}

check_preprocess <- function(x, null = FALSE, arg = rlang::caller_arg(x),
                             call = rlang::caller_env()) {
  if ((null && is.null(x)) || inherits(x, "seg_preprocess")) return(x)
  maskr_abort("argument", c(
    "{.arg {arg}} must come from {.fn seg_preprocess}, not be {describe(x)}."
  ), arg = arg, call = call)
}

check_per_channel <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (is.null(x) || (is_numbers(x) && length(x) > 0 && all(is.finite(x)))) return(invisible(x))
  maskr_abort("argument", "{.arg {arg}} must be finite numbers, not {describe(x)}.",
              arg = arg, call = call)
}

# As Python takes it: plain, and vectors of length one still vectors.
preprocess_for_python <- function(x) {
  if (is.null(x)) return(NULL)
  x <- unclass(x)
  for (name in c("percentiles", "mean", "std", "window")) {
    if (!is.null(x[[name]])) x[[name]] <- as.list(as.double(x[[name]]))
  }
  x
}
