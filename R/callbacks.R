# Callbacks: plain descriptions of what Python does after each epoch of training.

#' Callbacks for training
#'
#' What [fit()][fit.seg_model()] does besides training, as `callbacks =`: one of these, a list of
#' them, or Keras's own callbacks, such as those of the package keras3, which are passed on as they
#' are.
#'
#' * `seg_early_stopping()` ends training once a metric stops improving. Whether it should rise or
#'   fall is known from its name: losses and errors fall, all else rises. The weights of the best
#'   epoch are kept by `fit()` itself.
#' * `seg_checkpoint()` writes the models of the best and of the last epoch as `best.keras` and
#'   `last.keras`, which [seg_load()] reads. To go on with an interrupted training use
#'   `fit(..., resume = folder)` instead.
#' * `seg_csv_log()` writes one row for each epoch: the column `epoch`, then one for each metric,
#'   those of validation data beginning with `val_`.
#' * `seg_tensorboard()` writes metrics, learning rate, and the pictures of `seg_pictures()`, for
#'   TensorBoard: `tensorboard --logdir <folder>`. It needs the Python package tensorboard:
#'   `seg_install(extras = "tensorboard")`.
#' * `seg_pictures()` writes a picture after each epoch, `epoch-001.png` and so on: the images, the
#'   truth and the prediction side by side, in the colours of [plot()][plot.seg]. In RStudio and
#'   Positron the newest is shown in the viewer.
#'
#' Files are written as a whole or not at all, whenever training is stopped. In a run that goes on
#' by `resume`, early stopping counts on, and the table and TensorBoard's folder go on after the
#' run's last finished epoch; any other run replaces the table. Keras's own callbacks begin anew.
#'
#' @param monitor The metric to watch, such as `"val_loss"` or `"val_iou"`.
#' @param patience How many epochs without improvement end training, at least 1.
#' @param min_delta Improvements of at most this count as none, in the metric's units, at least 0.
#' @param folder Where files go; made if it doesn't exist, in a folder that does.
#' @param path The CSV file, for [utils::read.csv()].
#' @param images A [seg_dataset()] or what [seg_example()] returns; or images alone (paths or a
#'   list), for which no truth is drawn. Volumes can't be drawn, and are a `maskr_error_shape`.
#' @param n How many of the images are drawn, from the first on, at least 1.
#' @param view Whether to show each picture in the viewer.
#' @param x A callback.
#' @param ... Ignored.
#' @return A plain list of class `seg_callback`. `fit()` raises a `maskr_error_data` for a metric
#'   that the model doesn't have, before an epoch is spent.
#' @name seg_callbacks
#' @concept training
#' @examplesIf seg_available()
#' set.seed(1)
#' scenes <- seg_example("nuclei", n = 6, size = c(64, 64))
#' folder <- tempfile("run")
#' dir.create(folder)
#' model <- seg_unet(in_channels = 1, classes = scenes$classes, init_features = 4)
#' fit(model, scenes, validation_data = scenes, epochs = 2, callbacks = list(
#'   seg_early_stopping("val_iou", patience = 5),
#'   seg_csv_log(file.path(folder, "log.csv")),
#'   seg_pictures(scenes, file.path(folder, "pictures"), n = 2)
#' ))
#' read.csv(file.path(folder, "log.csv"))
#' list.files(folder, recursive = TRUE)
NULL

#' @rdname seg_callbacks
#' @export
seg_early_stopping <- function(monitor = "val_loss", patience = 10, min_delta = 0) {
  new_seg_callback(
    "early_stopping", monitor = check_string(monitor), patience = check_whole(patience, min = 1),
    min_delta = check_number(min_delta, min = 0)
  )
}

#' @rdname seg_callbacks
#' @export
seg_checkpoint <- function(folder) {
  new_seg_callback("checkpoint", folder = check_new_folder(folder))
}

#' @rdname seg_callbacks
#' @export
seg_csv_log <- function(path) new_seg_callback("csv_log", path = check_new_path(path))

#' @rdname seg_callbacks
#' @export
seg_tensorboard <- function(folder) {
  new_seg_callback("tensorboard", folder = check_new_folder(folder))
}

#' @rdname seg_callbacks
#' @export
seg_pictures <- function(images, folder, n = 4, view = interactive()) {
  if (missing(images)) abort_missing("images", rlang::current_env())
  images <- if (is_scenes(images)) seg_dataset(images) else images
  new_seg_callback(
    "pictures",
    images = if (inherits(images, "seg_dataset")) images else check_images(one_as_list(images)),
    folder = check_new_folder(folder), n = check_whole(n, min = 1), view = check_flag(view)
  )
}

new_seg_callback <- function(kind, ...) {
  structure(list(kind = kind, ...), class = "seg_callback")
}

# A folder that exists, or can be made in one that does.
check_new_folder <- function(folder, arg = "folder", call = rlang::caller_env()) {
  folder <- check_new_path(sub("[/\\\\]+$", "", check_string(folder, arg = arg, call = call)),
                           arg = arg, call = call)
  if (!file.exists(folder) || dir.exists(folder)) return(folder)
  maskr_abort("file", "{.arg {arg}} must be a folder, and {.path {folder}} is a file.",
              arg = arg, call = call)
}

#' @rdname seg_callbacks
#' @export
print.seg_callback <- function(x, ...) {
  settings <- x[setdiff(names(x), c("kind", "view"))]
  words <- vapply(settings, function(value) {
    if (inherits(value, "seg_dataset") || is.list(value)) return(paste(length(value), "images"))
    format(value)
  }, character(1))
  cat("<seg_callback> ", x$kind, ": ", paste(names(words), "=", words, collapse = ", "), "\n",
      sep = "")
  invisible(x)
}

# What crosses to `maskr.training.callbacks.from_r()`: dicts for ours, others as they are.
callbacks_for_python <- function(callbacks, classes, call = rlang::caller_env()) {
  lapply(unname(as_callbacks(callbacks)), function(one) {
    if (!inherits(one, "seg_callback")) return(check_foreign_callback(one, call))
    if (one$kind == "pictures") pictures_for_python(one, classes, call) else unclass(one)
  })
}

# One callback, or a list in which some may be NULL, as a list.
as_callbacks <- function(x) {
  if (inherits(x, "seg_callback") || !is.list(x)) x <- list(x)
  Filter(Negate(is.null), x)
}

# Whether a Python object is one of Keras's callbacks is seen in Python.
check_foreign_callback <- function(x, call) {
  if (inherits(x, "python.builtin.object")) return(x)
  maskr_abort("argument", c(
    "{.arg callbacks} must be those of {.code ?seg_callbacks} or Keras's own, not {describe(x)}.",
    i = "For example, write {.code callbacks = seg_early_stopping()}."
  ), arg = "callbacks", call = call)
}

pictures_for_python <- function(x, classes, call) {
  labelled <- inherits(x$images, "seg_dataset")
  shown <- x$images[seq_len(min(x$n, length(x$images)))]
  drawn <- if (labelled && inherits(shown$targets, "seg_annotations")) {
    annotation_palette(shown$targets, classes)
  }
  list(
    kind = "pictures",
    images = if (labelled) {
      dataset_for_python(shown, classes, call = call)
    } else {
      unname(lapply(shown, image_for_model))
    },
    folder = x$folder,
    n = x$n,
    key = list(
      names = as.list(names(classes)), colours = as.list(unname(drawn %||% mask_palette(classes))),
      clear = as.list(is_background(classes)), ignored = ignore_colour
    ),
    show = if (x$view) show_picture
  )
}

# The newest picture in the viewer, which shows files of the session's temporary folder alone.
show_picture <- function(path) {
  viewer <- getOption("viewer")
  if (is.null(viewer)) return(invisible())
  folder <- file.path(tempdir(), "maskr-pictures")
  unlink(folder, recursive = TRUE)
  dir.create(folder)
  file.copy(path, folder)
  page <- file.path(folder, "index.html")
  writeLines(paste0(
    "<!DOCTYPE html><title>", basename(path), "</title><style>body { margin: 0 } ",
    "img { max-width: 100%; max-height: 100vh }</style><img src=\"", basename(path), "\">"
  ), page)
  viewer(page)
  invisible()
}
