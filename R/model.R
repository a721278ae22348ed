# Semantic segmentation models: the verbs of a seg_model.

#' Segmentation models
#'
#' What [seg_unet()], [seg_hub()] and [seg_wrap()] return: a handle to a PyTorch network in Python,
#' which is a real `keras.Model` as well. It changes in place; [seg_clone()] copies it. A handle
#' does not survive the session: [seg_save()] and [seg_load()] do.
#'
#' Keras's own methods take and give tensors of `[N, C, H, W]`: `model$fit()`, `model$predict()`,
#' `model$evaluate()`. They see raw tensors: preprocessing belongs to maskr's verbs.
#'
#' @param x,object A `seg_model`.
#' @param size `c(height, width)` in pixels that the table's output shapes are for, of volumes
#'   `c(depth, height, width)`; `NULL` is 224 x 224, of volumes 32 x 32 x 32.
#' @param ... Ignored.
#' @return `print()` returns its argument invisibly. `summary()` gives a list of class
#'   `summary.seg_model`: `text` (the table of layers that the Python package torchinfo makes),
#'   `parameters` and `trainable` (their numbers).
#' @name seg_model
#' @concept models
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 3, classes = c(background = 0, tumour = 1))
#' summary(model)
NULL

#' @rdname seg_model
#' @export
print.seg_model <- function(x, ...) {
  check_model(x)
  about <- py_call("summaries", "describe", x)
  cat(
    paste0("<seg_model> ", about$architecture, ", ",
           format(about$parameters, big.mark = ","), " parameters"),
    paste0("channels:      ", about$in_channels %||% "any"),
    paste0("classes:       ", model_class_words(x)),
    paste0("preprocessing: ", format(structure(about$preprocess, class = "seg_preprocess"))),
    paste0("device:        ", about$device),
    if (about$trainable < about$parameters) {
      paste0("frozen:        ", format(about$parameters - about$trainable, big.mark = ","),
             " parameters")
    },
    sep = "\n"
  )
  invisible(x)
}

model_class_words <- function(model) {
  classes <- model_classes(model)
  if (is.null(classes)) "none (predicts logits and probabilities only)" else class_words(classes)
}

#' @rdname seg_model
#' @export
summary.seg_model <- function(object, size = NULL, ...) {
  check_model(object)
  size <- if (length(size) == 3) check_patch(size, arg = "size") else check_size(size)
  structure(py_call("summaries", "table", object, if (!is.null(size)) as.list(size)),
            class = "summary.seg_model")
}

#' @export
print.summary.seg_model <- function(x, ...) {
  cat(x$text, sep = "\n")
  invisible(x)
}

#' Set how a model is trained
#'
#' @param object A [`seg_model`][seg_model], changed in place.
#' @param optimizer Name of a Keras optimizer (`"adam"`, `"adamw"`, `"sgd"`, ...) or the object.
#' @param learning_rate Of an optimizer given by name; `NULL` is its own default.
#' @param loss A [seg_loss()] or its name, or a Keras loss, which sees probabilities. `NULL` is
#'   `"bce_dice"` for two classes and `"cross_entropy"` for more.
#' @param metrics Names among `"iou"`, `"dice"` (of the foreground for two classes, else the mean
#'   over the classes that are there) and `"pixel_accuracy"`, or a list that also holds Keras
#'   metrics. They count every pixel of an epoch in one confusion matrix.
#' @param ... Must be empty.
#' @return The model, invisibly.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 1, classes = c(background = 0, nucleus = 1), init_features = 4)
#' model |> compile(optimizer = "adamw", learning_rate = 1e-3, loss = "bce_dice")
compile.seg_model <- function(object, optimizer = "adam", learning_rate = NULL, loss = NULL,
                              metrics = c("iou", "dice"), ...) {
  check_no_dots(...)
  check_model(object)
  learning_rate <- check_number(learning_rate, min = 0, null = TRUE)
  if (is.character(loss)) loss <- seg_loss(check_choice(loss, names(loss_arguments)))
  if (inherits(loss, "seg_loss")) {
    loss <- loss_for_python(loss, model_classes(object))
  }
  py_call("training", "compile", object, optimizer, learning_rate, loss, as.list(metrics))
  invisible(object)
}

#' Train a model
#'
#' Trains with progress on the console (none in knitr and tests) and leaves the model at its best
#' epoch. Ctrl-C stops early and keeps the best so far. A model that was not compiled gets the
#' defaults of [compile()][compile.seg_model()].
#'
#' @param object A [`seg_model`][seg_model], changed in place.
#' @param x A [seg_dataset()], what [seg_example()] returns, or images (paths or a list).
#' @param y Masks, where `x` is images.
#' @param validation_data `NULL`, a [seg_dataset()], what [seg_example()] returns, or a list of
#'   images and masks.
#' @param epochs Number of times to go through the data, at least 1.
#' @param batch_size Images per batch, where `x` is not a dataset, which has its own.
#' @param monitor The metric by which epochs are judged, such as `"val_loss"` or `"val_iou"`.
#'   Without validation data the last epoch counts as the best.
#' @param restore_best `FALSE` keeps the last epoch's weights instead of the best one's.
#' @param ... Must be empty.
#' @param precision `"auto"` (bfloat16 where the hardware computes in it), `"float32"` or
#'   `"bfloat16"`.
#' @param callbacks A list of Keras callbacks.
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @return A [seg_history], invisibly. `set.seed()` before building and fitting makes them
#'   repeatable.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' set.seed(1)
#' scenes <- seg_example("nuclei", n = 6, size = c(64, 64))
#' model <- seg_unet(in_channels = 1, classes = scenes$classes, init_features = 4)
#' history <- model |> fit(scenes, epochs = 2, batch_size = 2)
#' history
fit.seg_model <- function(object, x, y = NULL, validation_data = NULL, epochs = 10,
                          batch_size = 8, monitor = "val_loss", restore_best = TRUE, ...,
                          precision = c("auto", "float32", "bfloat16"), callbacks = list(),
                          verbose = NULL) {
  check_no_dots(...)
  check_model(object)
  classes <- check_has_classes(object)
  batch_size <- check_whole(batch_size, min = 1)
  train <- as_dataset(x, y, batch_size, classes)
  if (!is.null(validation_data)) {
    validation_data <- dataset_for_python(
      validation_dataset(validation_data, batch_size, classes), classes
    )
  }
  result <- py_call(
    "training", "fit", object, dataset_for_python(train, classes), validation_data,
    epochs = check_whole(epochs, min = 1),
    monitor = check_string(monitor),
    restore_best = check_flag(restore_best),
    precision = check_choice(precision, c("auto", "float32", "bfloat16")),
    seed = draw_seed(),
    callbacks = if (is.list(callbacks)) callbacks else list(callbacks),
    progress = progress_reporter(verbose)
  )
  say_why_stopped(result)
  invisible(new_seg_history(result, result$best_epoch, result$monitor))
}

validation_dataset <- function(x, batch_size, classes, call = rlang::caller_env()) {
  pair <- is.list(x) && !inherits(x, "seg_dataset") && !is_scenes(x) && length(x) == 2
  data <- if (pair) {
    as_dataset(x[[1]], x[[2]], batch_size, classes, call)
  } else {
    as_dataset(x, NULL, batch_size, classes, call)
  }
  data$shuffle <- FALSE
  data[c("sample_weights", "augment")] <- list(NULL)
  data
}

say_why_stopped <- function(result) {
  if (result$stopped == "interrupted") {
    cli::cli_inform(c(i = "Interrupted: the model is at its best epoch so far."),
                    class = "maskr_message_interrupted")
  }
  if (result$stopped == "not finite") {
    cli::cli_warn(c(
      "Training stopped in epoch {max(unlist(result$epoch))}: the loss is no longer finite.",
      i = "Try a smaller {.arg learning_rate}, or {.code precision = \"float32\"}."
    ), class = "maskr_warning_not_finite")
  }
}

#' Segment images
#'
#' @param object A [`seg_model`][seg_model].
#' @param x Images: one path, matrix, array `[H, W, C]` or [seg_image()] gives one result; several
#'   paths, a list, a [seg_dataset()] or an array `[N, H, W, C]` give a list of results. Any height
#'   and width work. Grey images become three channels where the model wants them, and an opaque
#'   alpha channel is dropped. A model of volumes such as [seg_unet3d()] takes those instead: a
#'   [seg_image()] `[D, H, W, C]`, or the path of what [seg_data_volume()] calls a volume.
#' @param type `"mask"` (class ids), `"prob"` (probabilities) or `"logit"` (the raw channels).
#' @param threshold For two classes: the probability, from 0 to 1, from which a pixel belongs to
#'   the second.
#' @param precision `"auto"` (bfloat16 where the hardware computes in it, else float32; said once a
#'   session), `"float32"`, `"bfloat16"` or `"float16"`. `"float32"` gives plain PyTorch's numbers.
#' @param batch_size Images that go through the network together; `NULL` chooses by their size.
#' @param ... Must be empty.
#' @param verbose Whether to show progress over many images; `NULL` decides by itself.
#' @return A [seg_mask()], or a numeric array `[H, W, K]` of probabilities with the class names as
#'   third dimnames (they sum to 1) or of logits; for several images a list, named by file. Of a
#'   volume it is `[D, H, W]` with the volume's spacing and affine, or `[D, H, W, K]`. Wrong numbers
#'   of channels, volumes for a model of images and images for one of volumes are a
#'   `maskr_error_shape`.
#' @concept models
#' @export
#' @examplesIf seg_available()
#' scene <- seg_example("nuclei", n = 2)
#' model <- seg_unet(weights = "nuclei")
#' masks <- predict(model, scene$images)
#' prob <- predict(model, scene$images[[1]], type = "prob")
#' dim(prob)
predict.seg_model <- function(object, x, type = c("mask", "prob", "logit"), threshold = 0.5,
                              precision = c("auto", "float32", "bfloat16", "float16"),
                              batch_size = NULL, ..., verbose = NULL) {
  check_no_dots(...)
  check_model(object)
  type <- check_choice(type, c("mask", "prob", "logit"))
  threshold <- check_number(threshold, min = 0, max = 1)
  precision <- check_choice(precision, c("auto", "float32", "bfloat16", "float16"))
  batch_size <- check_whole(batch_size, min = 1, null = TRUE)
  sources <- as_sources(x, model_dims(object))
  out <- py_call(
    "inference", "predict", object, unname(lapply(sources$images, image_for_python)), type,
    threshold, precision, batch_size,
    progress = counting_progress(verbose, length(sources$images), "Segmenting")
  )
  if (precision == "auto") say_precision(out$precision)
  classes <- model_classes(object)
  results <- Map(
    function(...) wrap_prediction(..., type = type, classes = classes),
    out$results, sources$images, out$geometry
  )
  if (sources$single) results[[1]] else stats::setNames(results, names(sources$images))
}

# 2 for a model of images, 3 for one of volumes.
model_dims <- function(model) py_call("architectures", "dims_of", model$module)

# Images for prediction: `images` (paths or arrays), and whether one result is expected. With
# `dims = 3` they are volumes.
as_sources <- function(x, dims = 2, arg = "x", call = rlang::caller_env()) {
  if (inherits(x, "seg_dataset")) return(list(images = x$images, single = FALSE))
  if (is.character(x)) {
    images <- if (dims == 3) volume_files(x, arg, call) else check_images(x, arg, call)
    return(list(images = images, single = length(x) == 1))
  }
  if (is_scenes(x)) x <- x$images
  if (is.list(x) && !is.data.frame(x)) {
    return(list(images = named_images(x, arg, call), single = FALSE))
  }
  if (length(dim(x)) == 4 && !inherits(x, "seg_image")) {
    each <- lapply(seq_len(dim(x)[1]), function(i) array(x[i, , , ], dim = dim(x)[-1]))
    return(list(images = check_images(each, arg, call), single = FALSE))
  }
  if (is_image_volume(x) && dims == 3) return(list(images = list(x), single = TRUE))
  if (is_image_volume(x)) {
    maskr_abort("shape", c(
      "{.arg {arg}} is a volume of size {paste(dim(x), collapse = ' x ')}, and this model takes 2D
       images.",
      i = "Segment its slices: {.code predict(model, lapply(1:{dim(x)[1]}, \\(d) x[d, , , ]))}."
    ), arg = arg, call = call)
  }
  bare_image(x, arg = arg, call = call)
  list(images = list(x), single = TRUE)
}

# Files, folders of DICOM series and folders of stacks, under the names of the files.
volume_files <- function(x, arg, call) {
  files <- check_volumes(x, arg = arg, call = call)
  require_volumes()
  stats::setNames(as.list(files), names(x) %||% basename(files))
}

# Files keep their names; other images have the names that the list gives them, or none.
named_images <- function(x, arg, call) {
  if (length(x) == 0) return(list())
  images <- check_images(x, arg, call)
  if (is.null(names(x))) {
    files <- vapply(x, is.character, logical(1))
    names(images) <- if (all(files)) basename(unlist(x))
  }
  images
}

# `geometry` is that of a volume's file.
wrap_prediction <- function(result, image, geometry, type, classes) {
  if (type == "mask") {
    spacing <- attr(image, "spacing") %||% plain_vector(geometry$spacing)
    affine <- attr(image, "affine") %||% geometry$affine
    return(new_seg_mask(result, classes, spacing = spacing, affine = affine))
  }
  if (type == "prob" && !is.null(classes)) {
    dimnames(result) <- c(rep(list(NULL), length(dim(result)) - 1), list(names(classes)))
  }
  result
}

say_precision <- function(precision) {
  if (precision == "float32" || isTRUE(the$said_precision)) return(invisible())
  the$said_precision <- TRUE
  cli::cli_inform(c(
    i = "Predicting in {precision} on this hardware; {.code precision = \"float32\"} gives plain
         PyTorch's numbers."
  ))
}

# A progress bar over images, or NULL.
counting_progress <- function(verbose, total, what) {
  if (total < 2 || !(verbose %||% is_talkative())) return(NULL)
  bar <- cli::cli_progress_bar(what, total = total, .envir = the, .auto_close = FALSE)
  function(done, all) {
    cli::cli_progress_update(set = done, id = bar)
    if (done == all) cli::cli_progress_done(id = bar)
  }
}

#' Evaluate a model on a dataset
#'
#' Predicts every image of a dataset, at the dataset's `size`, and counts all pixels in one
#' confusion matrix.
#'
#' @param model A [`seg_model`][seg_model].
#' @param dataset A [seg_dataset()], what [seg_example()] returns, or images (paths or a list).
#' @param y Masks, where `dataset` is images.
#' @param ... Must be empty.
#' @param precision As in [predict()][predict.seg_model()].
#' @return As [seg_metrics()].
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(weights = "nuclei")
#' seg_evaluate(model, seg_example("nuclei", n = 2))
seg_evaluate <- function(model, dataset, y = NULL, ...,
                         precision = c("auto", "float32", "bfloat16")) {
  check_no_dots(...)
  check_model(model, arg = "model")
  classes <- check_has_classes(model)
  precision <- check_choice(precision, c("auto", "float32", "bfloat16"))
  if (!is.null(y)) dataset <- list(dataset, y)
  dataset <- validation_dataset(dataset, 8L, classes)
  out <- py_call("inference", "evaluate", model, dataset_for_python(dataset, classes), precision)
  new_seg_metrics(out$columns, out$confusion, classes)
}

# `evaluate` has two owners whose first arguments differ; both find ours.
#' @rawNamespace S3method(generics::evaluate, seg_model, evaluate_generics)
evaluate_generics <- function(x, ...) seg_evaluate(x, ...)

#' @rawNamespace S3method(tensorflow::evaluate, seg_model, evaluate_tensorflow)
evaluate_tensorflow <- function(object, ...) seg_evaluate(object, ...)

#' Freeze and unfreeze layers
#'
#' Frozen layers keep their weights and the statistics of their batch normalisation in training.
#'
#' @param model A [`seg_model`][seg_model], changed in place. A compiled model starts with a fresh
#'   optimizer of the same settings.
#' @param layers Names of layers as `summary()` shows them, such as `"encoder1"` or `"encoder*"`;
#'   `*` stands for any characters. For `seg_unfreeze()` the default is all.
#' @return The model, invisibly. A pattern that matches no layer is a `maskr_error_data`.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 1, classes = c(background = 0, nucleus = 1), init_features = 4)
#' seg_freeze(model, "encoder*")
#' model
#' seg_unfreeze(model)
seg_freeze <- function(model, layers) set_trainable(model, layers, FALSE)

#' @rdname seg_freeze
#' @export
seg_unfreeze <- function(model, layers = "*") set_trainable(model, layers, TRUE)

set_trainable <- function(model, layers, trainable, call = rlang::caller_env()) {
  check_model(model, arg = "model", call = call)
  if (!is.character(layers) || length(layers) == 0 || anyNA(layers)) {
    maskr_abort("argument", "{.arg layers} must be names of layers, not {describe(layers)}.",
                arg = "layers", call = call)
  }
  py_try(model$set_trainable(as.list(layers), trainable), call = call)
  invisible(model)
}

#' Save, load and copy models
#'
#' A model is written as a `.keras` file, a detector as a `.safetensors` file: weights, classes,
#' preprocessing and the recipe of the network, but never code. A network from PyTorch Hub needs
#' `trust = TRUE` again when it is loaded, a wrapped module needs the module. How it was compiled
#' and which layers were frozen is not kept.
#'
#' @param model A [`seg_model`][seg_model] or `seg_detector`.
#' @param path File to write or read. Its folder must exist; an existing file is replaced.
#' @param ... Further arguments of methods.
#' @param module For a model made by [seg_wrap()]: a module of the same architecture, which gets the
#'   file's weights.
#' @param trust For a model made by [seg_hub()]: `TRUE` to run its repository's code.
#' @return `seg_save()` returns the path invisibly, `seg_load()` and `seg_clone()` a new handle.
#'   Files that are no model are a `maskr_error_format`, weights that do not fit a
#'   `maskr_error_weights`.
#' @concept models
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 1, classes = c(background = 0, nucleus = 1), init_features = 4)
#' path <- tempfile(fileext = ".keras")
#' seg_save(model, path)
#' again <- seg_load(path)
seg_save <- function(model, path, ...) UseMethod("seg_save")

#' @export
seg_save.default <- function(model, path, ...) {
  maskr_abort("argument", c(
    "{.arg model} must be a model of maskr, not {describe(model)}."
  ), arg = "model")
}

#' @export
seg_save.seg_model <- function(model, path, ...) {
  check_no_dots(...)
  check_model(model, arg = "model")
  path <- check_output_path(path, ".keras")
  py_call("storage", "save", model, path)
  invisible(path)
}

#' @rdname seg_save
#' @export
seg_load <- function(path, ..., module = NULL, trust = FALSE) {
  check_no_dots(...)
  check_string(path)
  path <- check_paths(path, arg = "path")
  trust <- check_flag(trust)
  py_call("storage", "load", path, module, trust)
}

#' @rdname seg_save
#' @export
seg_clone <- function(model) {
  check_model(model, arg = "model")
  py_call("storage", "clone", model)
}

check_output_path <- function(path, extension, call = rlang::caller_env()) {
  path <- path.expand(check_string(path, call = call))
  if (!endsWith(tolower(path), extension)) {
    maskr_abort("argument", c(
      "{.arg path} must end in {.val {extension}}, not {.path {basename(path)}}."
    ), arg = "path", call = call)
  }
  if (!dir.exists(dirname(path))) {
    maskr_abort("file", c(
      "The folder {.path {dirname(path)}} does not exist.", i = "Create it first."
    ), arg = "path", call = call)
  }
  path
}

check_model <- function(x, arg = "object", call = rlang::caller_env()) {
  if (!inherits(x, "seg_model")) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be a model such as {.fn seg_unet} makes, not {describe(x)}."
    ), arg = arg, call = call)
  }
  check_alive(x, arg, call)
}

# A handle that was saved with the workspace points nowhere.
check_alive <- function(x, arg, call) {
  if (reticulate::py_is_null_xptr(x)) {
    maskr_abort("session", c(
      "{.arg {arg}} is a model of another R session, which only that session can use.",
      i = "Save it there by {.fn seg_save} and load it here by {.fn seg_load}."
    ), arg = arg, call = call)
  }
  invisible(x)
}

model_classes <- function(model) {
  classes <- model$spec$classes
  if (!is.null(classes)) stats::setNames(as.integer(unlist(classes)), names(classes))
}

check_has_classes <- function(model, call = rlang::caller_env()) {
  model_classes(model) %||% maskr_abort("data", c(
    "This model has no classes, so it can neither be trained nor evaluated.",
    i = "Build it with {.code classes = c(background = 0, ...)}."
  ), arg = "classes", call = call)
}

# An empty R list would arrive as a Python list.
as_dict <- function(x) if (length(x) == 0) reticulate::dict() else x
