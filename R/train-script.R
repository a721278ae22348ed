# Training outside R: by a Python script, on one GPU or many.

#' Write a training as a Python script
#'
#' Writes a training, exactly as [fit()][fit.seg_model()] would run it now, as a script for Python:
#' for a server without R, a queue, several GPUs or several machines.
#'
#' # Running it
#' ```
#' python train.py                           # one process
#' torchrun --nproc_per_node=4 train.py      # four GPUs of one machine
#' torchrun --nnodes=2 --nproc_per_node=4 --rdzv_backend=c10d \
#'     --rdzv_endpoint=host:29400 train.py   # on each of two machines with four GPUs
#' ```
#' The Python is one with maskr's packages ([seg_requirements()]), such as that of [seg_install()];
#' `torchrun` is in its folder. The script needs the folder of the same name beside it, the files of
#' the dataset where they were, and maskr's Python code. Elsewhere, say where these are by the
#' environment variables `MASKR_PYTHON` (a copy of `system.file("python", package = "maskr")`) and
#' `MASKR_DATA` (where relative paths begin; by default the working directory of now), or edit the
#' script, which is short.
#'
#' It leaves `trained.keras`, for [seg_load()], and `history.csv` in its folder. Stopped and started
#' again, it goes on after the last epoch that was finished.
#'
#' # Several processes
#' All share each batch: `batch_size` stays what it is, and should be a multiple of their number.
#' Loss, gradients and metrics are those of the whole batch, so that training with any number of
#' processes is the same up to rounding, with two exceptions. Dropout draws other numbers. And on
#' CPUs each process normalises its own part of a batch in batch normalisation (on GPUs the whole
#' batch is normalised).
#'
#' @param model A [`seg_model`][seg_model], compiled or not. It is not trained. Its weights now are
#'   those that the script begins with, its optimizer begins afresh. Networks of [seg_hub()] and
#'   [seg_wrap()] can't be written.
#' @inheritParams fit.seg_model
#' @param callbacks One or a list of [seg_callbacks]; Keras's own can't be written.
#' @param path The script, ending in `.py`. The folder of the same name must not hold files yet.
#' @param verbose Whether to show the progress of counting classes for `class_weights`.
#' @return `path`, invisibly. What can't be written is a `maskr_error_data`, a folder with files a
#'   `maskr_error_format`.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' scenes <- seg_example("nuclei", n = 4, size = c(48, 64))
#' model <- seg_unet(in_channels = 1, classes = scenes$classes, init_features = 4)
#' path <- file.path(tempfile(), "train.py")
#' dir.create(dirname(path))
#' seg_train_script(model, scenes, epochs = 2, batch_size = 2, path = path)
#' list.files(dirname(path), recursive = TRUE)
seg_train_script <- function(model, x, y = NULL, validation_data = NULL, epochs = 10,
                             batch_size = 8, monitor = "val_loss", restore_best = TRUE, ...,
                             precision = c("auto", "float32", "bfloat16"), callbacks = list(),
                             verbose = NULL, class_weights = NULL, freeze_epochs = 0,
                             resume = NULL, deterministic = FALSE, seed = NULL,
                             path = "train.py") {
  check_verbose(verbose)
  check_no_dots(...)
  check_model(model, arg = "model")
  path <- check_output_path(path, ".py")
  arguments <- fit_arguments(
    model, x, y, validation_data, epochs, batch_size, monitor, restore_best, precision, callbacks,
    verbose, class_weights, freeze_epochs, resume, deterministic, seed
  )
  rlang::exec(py_call, "training.script", "write", model, path = path, !!!arguments)
  invisible(path)
}
