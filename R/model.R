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
#' @param ... Must be empty for `summary()`, else not used.
#' @return `print()` returns its argument invisibly. `summary()` gives a list of class
#'   `summary.seg_model`: `text` (the table of layers that the Python package torchinfo makes),
#'   `architecture` and `arguments` (what the network is, as text), `parameters` and `trainable`
#'   (their numbers).
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
    if (nzchar(about$arguments)) paste0("arguments:     ", about$arguments),
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
  check_no_dots(...)
  check_model(object)
  size <- check_any_size(size)
  structure(py_call("summaries", "table", object, if (!is.null(size)) as.list(size)),
            class = "summary.seg_model")
}

#' @export
print.summary.seg_model <- function(x, ...) {
  cat(paste0(x$architecture, if (nzchar(x$arguments)) paste0(" (", x$arguments, ")")),
      x$text, sep = "\n")
  invisible(x)
}

#' Set how a model is trained
#'
#' @param object A [`seg_model`][seg_model], changed in place.
#' @param optimizer Name of a Keras optimizer (`"adam"`, `"adamw"`, `"sgd"`, `"rmsprop"`, `"nadam"`,
#'   `"adamax"`, `"adagrad"`, `"adadelta"`, `"adafactor"`, `"ftrl"`, `"lamb"`, `"lion"` or
#'   `"muon"`), or the object, such as `keras3::optimizer_sgd(0.01, momentum = 0.9)`.
#' @param learning_rate Number of at least 0, of an optimizer given by name; `NULL` is its own
#'   default (0.001 for most, 0.01 for `"sgd"`).
#' @param loss A [seg_loss()] or its name, or a Keras loss, which sees probabilities. `NULL` is
#'   `"bce_dice"` for two classes and `"cross_entropy"` for more.
#' @param metrics Names among `"iou"`, `"dice"` (of the foreground for two classes, else the mean
#'   over the classes that are there) and `"pixel_accuracy"`, or a list that also holds Keras
#'   metrics. They count every pixel of an epoch in one confusion matrix.
#' @param ... Must be empty.
#' @param schedule A [seg_schedule()] of the learning rate or its name, such as `"cosine"`; `NULL`
#'   leaves the rate as it is.
#' @param weight_decay Number of at least 0, of an optimizer given by name: each step multiplies all
#'   parameters by 1 - `weight_decay` times the learning rate, apart from the gradient (decoupled,
#'   as in AdamW, for every optimizer). `NULL` is the optimizer's own default: 0.004 for `"adamw"`,
#'   none for most.
#' @param clip_norm Number above 0, of an optimizer given by name: the gradients of all parameters
#'   together are shortened to this norm where theirs is larger. `NULL` clips nothing.
#' @param accumulate Number of batches, at least 1, whose mean gradient makes one step of the
#'   optimizer: large batches on a small device. The last step of an epoch is the mean over the
#'   batches that are left.
#' @param ema Number between 0 and 1, such as 0.999: validation, the best epoch and the trained
#'   model use an exponential moving average of the weights with this decay. After step t the decay
#'   is at most (1 + t) / (10 + t), so that the initial weights are soon forgotten. The statistics
#'   of batch normalisation are averaged alike. `NULL` averages nothing.
#' @param layer_rates Named vector of factors above 0 by which layers' learning rates are
#'   multiplied, such as `c(encoder = 0.1)`. Names are as in [seg_freeze()]; where two match a
#'   layer, the later counts. A factor scales the optimizer's whole step, weight decay included.
#' @return The model, invisibly. An unknown name is a `maskr_error_argument` or `maskr_error_data`,
#'   as is a setting that belongs to an optimizer given by name beside an object.
#' @details `schedule`, `accumulate`, `ema` and `layer_rates` act in [fit()][fit.seg_model()];
#'   Keras's own `model$fit()` knows the optimizer alone.
#' @references Polyak & Juditsky (1992) Acceleration of stochastic approximation by averaging,
#'   \doi{10.1137/0330046} (`ema`). Loshchilov & Hutter (2019) Decoupled weight decay
#'   regularization, \url{https://arxiv.org/abs/1711.05101} (`weight_decay`).
#' @concept training
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 1, classes = c(background = 0, nucleus = 1), init_features = 4)
#' model |> compile(optimizer = "adamw", learning_rate = 1e-3, loss = "bce_dice")
#' model |> compile(
#'   "sgd", learning_rate = 0.01, schedule = seg_schedule("cosine", warmup = 1), clip_norm = 1,
#'   accumulate = 2, ema = 0.99, layer_rates = c(encoder = 0.1)
#' )
compile.seg_model <- function(object, optimizer = "adam", learning_rate = NULL, loss = NULL,
                              metrics = c("iou", "dice"), ..., schedule = NULL,
                              weight_decay = NULL, clip_norm = NULL, accumulate = 1, ema = NULL,
                              layer_rates = NULL) {
  check_no_dots(...)
  check_model(object)
  if (is.character(optimizer)) optimizer <- check_string(optimizer)
  py_call(
    "training", "compile", object, optimizer,
    check_number(learning_rate, min = 0, null = TRUE),
    compiled_loss(loss, model_classes(object)), as.list(metrics),
    schedule = schedule_for_python(schedule),
    weight_decay = check_number(weight_decay, min = 0, null = TRUE),
    clip_norm = if (!is.null(clip_norm)) {
      check_positive(clip_norm, arg = "clip_norm", call = rlang::current_env())
    },
    accumulate = check_whole(accumulate, min = 1),
    ema = check_decay(ema),
    layer_rates = check_layer_rates(layer_rates)
  )
  invisible(object)
}

# What crosses as the loss: terms of maskr's own, a Keras loss as it is, NULL for the default.
compiled_loss <- function(loss, classes, call = rlang::caller_env()) {
  if (is.character(loss)) {
    loss <- seg_loss(check_choice(loss, names(loss_arguments), call = call))
  }
  if (inherits(loss, "seg_loss")) return(loss_for_python(loss, classes, call))
  from_keras <- inherits(loss, "python.builtin.object") && is.function(loss)
  if (is.null(loss) || from_keras) return(loss)
  maskr_abort("argument", c(
    "{.arg loss} must be a {.fn seg_loss}, its name or a Keras loss, not {describe(loss)}.",
    i = "Losses are added up: {.code seg_loss(\"bce\") + seg_loss(\"dice\")}.",
    i = "A Keras loss is an object, such as {.code keras3::loss_dice()}."
  ), arg = "loss", call = call)
}

check_decay <- function(ema, call = rlang::caller_env()) {
  ema <- check_number(ema, min = 0, max = 1, null = TRUE, call = call)
  if (is.null(ema) || (ema > 0 && ema < 1)) return(ema)
  maskr_abort("argument", c(
    "{.arg ema} must lie between 0 and 1, and it is {ema}.", i = "Common is 0.99 or 0.999."
  ), arg = "ema", call = call)
}

check_layer_rates <- function(x, call = rlang::caller_env()) {
  if (is.null(x)) return(NULL)
  ok <- is_numbers(x) && length(x) > 0 && all(nzchar(rlang::names2(x))) && all(is.finite(x)) &&
    all(x > 0) && !anyDuplicated(names(x))
  if (ok) return(as.list(x))
  maskr_abort("argument", c(
    "{.arg layer_rates} must be a named vector of factors above 0, not {describe(x)}.",
    i = "For example, write {.code layer_rates = c(encoder = 0.1)}; {.fn seg_freeze} stops layers."
  ), arg = "layer_rates", call = call)
}

#' Train a model
#'
#' Trains with progress on the console (none in knitr and tests) and leaves the model at its best
#' epoch. Ctrl-C stops early and keeps the best so far (without validation data, the last finished
#' epoch). A model that was not compiled gets the defaults of [compile()][compile.seg_model()].
#'
#' @section Transfer learning:
#' Three ways, which go together: `seg_freeze(model, "encoder")` keeps a pretrained encoder for
#' good, `freeze_epochs` until the head has learnt, and `compile(layer_rates = c(encoder = 0.1))`
#' trains it slowly.
#'
#' @section Repeating a training:
#' With `set.seed()` before building and fitting, or `seed`, the same training on the same CPU with
#' the same number of threads gives the same weights, bit for bit. On a GPU that takes
#' `deterministic = TRUE` too, which is slower.
#'
#' @param object A [`seg_model`][seg_model], changed in place.
#' @param x A [seg_dataset()], what [seg_example()] returns, images (paths, a list or an array
#'   `[N, H, W, C]`), or a list of images and masks.
#' @param y Masks, where `x` is images: paths, a list or an array `[N, H, W]`.
#' @param validation_data `NULL`, a [seg_dataset()], what [seg_example()] returns, or a list of
#'   images and masks.
#' @param epochs Number of times to go through the data, at least 1. In a run that is resumed, those
#'   that are done count.
#' @param batch_size Images per batch, where `x` is not a dataset, which has its own.
#' @param monitor The metric by which epochs are judged, such as `"val_loss"` or `"val_iou"`: losses
#'   and errors should fall, all others rise. Without validation data the last epoch whose metrics
#'   are finite counts as the best.
#' @param restore_best `FALSE` keeps the last epoch's weights instead of the best one's, unless
#'   training diverged.
#' @param ... Must be empty.
#' @param precision `"auto"` (bfloat16 where the hardware computes in it), `"float32"` or
#'   `"bfloat16"`, which is slow on CPUs without instructions for it (said once a session). On a CPU
#'   volumes are trained in float32 alone, for torch's gradients in bfloat16 are wrong there.
#' @param callbacks One or a list of [seg_callbacks] and Keras's callbacks, such as
#'   `keras3::callback_lambda()`. The weights that they leave when training ends are replaced by
#'   those of the best epoch (without validation data, of the last).
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @param class_weights `NULL`, a method of [seg_class_weights()] (`"median"`, `"inverse"` or
#'   `"effective"`), whose weights are computed from `x`, or weights named by class. They take the
#'   place of class weights in the compiled loss (also in validation), for this training only. A
#'   loss that takes none is a `maskr_error_data`.
#' @param freeze_epochs Number of epochs, at least 0, during which the encoder keeps its weights and
#'   the statistics of its batch normalisation. The optimizer goes on where it was.
#' @param resume `NULL`, or a folder in which the run is kept after each epoch (`last.safetensors`:
#'   weights, optimizer, schedule, history and random states; `best.keras`: the best epoch's model,
#'   for [seg_load()]). If the folder holds a run already, training goes on after its last epoch, to
#'   the same weights that it would have had without a break, by the run's own `seed`. A run of
#'   other data, model, frozen layers, metrics or settings is a `maskr_error_data`.
#' @param deterministic `TRUE` lets torch use deterministic algorithms only; an operation that has
#'   none on this device is a `maskr_error_data`.
#' @param seed A whole number of at least 0 that decides order, augmentation and dropout, whatever
#'   the state of R's generator, which it leaves alone; `NULL` draws it from R's generator.
#' @return A [seg_history], invisibly. What Keras's callbacks warn of is a warning of class
#'   `maskr_warning_callback`. A loss or weights that are not finite stop the training with a
#'   warning of class `maskr_warning_not_finite`; the model then has the weights of its best epoch,
#'   or those from before training if there is none. Everything frozen, weights that are not
#'   finite to begin with, or an unknown `monitor`, is a `maskr_error_data` before any image is
#'   read.
#'   An image, of the validation data too, in other units than those read before or than those that
#'   the model was trained on (0..255 among 0..1) is one when it is first read.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' set.seed(1)
#' scenes <- seg_example("nuclei", n = 6, size = c(64, 64))
#' model <- seg_unet(in_channels = 1, classes = scenes$classes, init_features = 4)
#' history <- model |> fit(scenes, epochs = 2, batch_size = 2, class_weights = "median")
#' history
fit.seg_model <- function(object, x, y = NULL, validation_data = NULL, epochs = 10,
                          batch_size = 8, monitor = "val_loss", restore_best = TRUE, ...,
                          precision = c("auto", "float32", "bfloat16"), callbacks = list(),
                          verbose = NULL, class_weights = NULL, freeze_epochs = 0, resume = NULL,
                          deterministic = FALSE, seed = NULL) {
  check_verbose(verbose)
  check_no_dots(...)
  check_model(object)
  arguments <- fit_arguments(
    object, x, y, validation_data, epochs, batch_size, monitor, restore_best, precision, callbacks,
    verbose, class_weights, freeze_epochs, resume, deterministic, seed
  )
  say_slow_precision(arguments$precision)
  result <- rlang::exec(py_call, "training", "fit", object, !!!arguments,
                        progress = progress_reporter(verbose))
  say_why_stopped(result, restore_best)
  invisible(new_seg_history(result, result$best_epoch, result$monitor))
}

# What crosses to Python's `training.fit()`, checked; seg_train_script() writes the same.
fit_arguments <- function(object, x, y, validation_data, epochs, batch_size, monitor, restore_best,
                          precision, callbacks, verbose, class_weights, freeze_epochs, resume,
                          deterministic, seed, call = rlang::caller_env()) {
  classes <- check_has_classes(object, call)
  batch_size <- check_whole(batch_size, min = 1, call = call)
  train <- training_dataset(x, y, batch_size, classes, call)
  if (!is.null(validation_data)) {
    validation_data <- validation_dataset(validation_data, batch_size, classes, call)
  }
  seed <- check_whole(seed, min = 0, null = TRUE, call = call)
  # datasets draw seeds of their own
  draw <- function() {
    list(
      train = dataset_for_python(train, classes, call),
      validation = if (!is.null(validation_data)) {
        dataset_for_python(validation_data, classes, call)
      },
      seed = seed %||% draw_seed()
    )
  }
  c(
    if (is.null(seed)) draw() else with_seed(seed, draw()),
    list(
      epochs = check_whole(epochs, min = 1, call = call),
      monitor = check_string(monitor, call = call),
      restore_best = check_flag(restore_best, call = call),
      precision = check_choice(precision, c("auto", "float32", "bfloat16"), call = call),
      callbacks = callbacks_for_python(callbacks, classes, call),
      class_weights = weights_for_fit(class_weights, train, classes, verbose, call),
      freeze_epochs = check_whole(freeze_epochs, min = 0, call = call),
      resume = if (is.null(resume)) "" else check_new_folder(resume, "resume", call),
      deterministic = check_flag(deterministic, call = call)
    )
  )
}

# Class weights in the order of the model's classes, as a list; NULL stays so.
weights_for_fit <- function(x, train, classes, verbose, call = rlang::caller_env()) {
  if (is.null(x)) return(NULL)
  if (is.character(x)) {
    method <- check_choice(x, c("median", "inverse", "effective"), arg = "class_weights",
                           call = call)
    x <- seg_class_weights(train, method, verbose = if (is.function(verbose)) FALSE else verbose)
    x <- x[names(x) %in% names(classes)]
  }
  if (!is_numbers(x) || is.null(names(x)) || anyNA(x) || any(x < 0) || !any(x > 0)) {
    maskr_abort("argument", c(
      "{.arg class_weights} must be numbers of at least 0 named by class, or a method.",
      x = "You supplied {describe(x)}{if (is_numbers(x) && is.null(names(x))) ' without names'}.",
      i = "Methods are {.val median}, {.val inverse} and {.val effective}."
    ), arg = "class_weights", call = call)
  }
  as.list(as.double(weights_in_order(stats::setNames(as.double(x), names(x)), classes, call)))
}

# Images and masks may also come as a list of both.
training_dataset <- function(x, y, batch_size, classes, call = rlang::caller_env(), arg = "x") {
  if (missing(x)) abort_missing(arg, call, "For example, give a {.fn seg_dataset}.")
  pair <- is.null(y) && is.list(x) && !inherits(x, "seg_dataset") && !is_scenes(x) &&
    !is_foreign(x) && length(x) == 2 && may_be_masks(x[[2]])
  if (pair) return(as_dataset(x[[1]], x[[2]], batch_size, classes, call, arg))
  as_dataset(x, y, batch_size, classes, call, arg)
}

# The second of two images is a plain array of fractions, or an image by its class.
may_be_masks <- function(x) {
  if (!is.array(x) || inherits(x, "seg_mask")) return(!inherits(x, "seg_image"))
  !inherits(x, "seg_image") && (!is.double(x) || !any(x != round(x), na.rm = TRUE))
}

validation_dataset <- function(x, batch_size, classes, call = rlang::caller_env(),
                               arg = "validation_data") {
  data <- training_dataset(x, NULL, batch_size, classes, call, arg)
  data$shuffle <- FALSE
  data[c("sample_weights", "augment")] <- list(NULL)
  data
}

say_why_stopped <- function(result, restore_best) {
  for (text in unlist(result$warnings)) {
    cli::cli_warn(verbatim(text), class = "maskr_warning_callback")
  }
  if (result$diverged) {
    state <- if (result$best_epoch > 0) "at its best epoch, {result$best_epoch}" else
      "as it was before training"
    cli::cli_warn(c(
      "Training stopped in epoch {max(1, unlist(result$epoch))}: the loss or the weights are no
       longer finite.",
      i = paste0("The model is ", state, ", with a fresh optimizer."),
      i = "Try a smaller {.arg learning_rate}, or {.code precision = \"float32\"}."
    ), class = "maskr_warning_not_finite")
  } else if (result$stopped == "interrupted") {
    epoch <- result$best_epoch
    cli::cli_inform(c(i = if (!restore_best || epoch == 0) {
      "Interrupted: the model stays as the last batch left it."
    } else if (result$monitor == "epoch") {
      "Interrupted: the model is as it was after epoch {epoch}, the last that was finished."
    } else {
      "Interrupted: the model is at its best epoch so far, epoch {epoch}."
    }), class = "maskr_message_interrupted")
  }
}

#' Segment images
#'
#' @param object A [`seg_model`][seg_model].
#' @param x Images: one path, matrix, array `[H, W, C]` or [seg_image()] gives one result; several
#'   paths, a list, a [seg_dataset()] or an array `[N, H, W, C]` give a list of results. Any height
#'   and width work. Values are those of files as [seg_read_image()] gives them, or, where the model
#'   has a window, in units of the file. Grey images become three channels where the model wants
#'   them, images of three equal channels become one, and an opaque alpha channel is dropped. A
#'   model of volumes such as [seg_unet3d()] takes those instead: a [seg_image()] `[D, H, W, C]`, or
#'   the path of what [seg_data_volume()] calls a volume.
#' @param type `"mask"` (class ids), `"prob"` (probabilities) or `"logit"` (the raw channels).
#' @param threshold For two classes: the probability, from 0 to 1, from which a pixel belongs to
#'   the second.
#' @param precision `"auto"` (bfloat16 where the hardware computes in it, else float32; said once a
#'   session), `"float32"`, `"bfloat16"` or `"float16"`. `"float32"` gives plain PyTorch's numbers;
#'   the other two are slow on CPUs without instructions for them, which is said once, too.
#' @param batch_size Images that go through the network together; `NULL` chooses by their size.
#' @param ... Must be empty.
#' @param verbose Whether to show progress over many images; `NULL` decides by itself.
#' @return A [seg_mask()], or a numeric array `[H, W, K]` of probabilities with the class names as
#'   third dimnames (they sum to 1) or of logits; for several images a list, named by file. Of a
#'   volume it is `[D, H, W]` with the volume's spacing and affine, or `[D, H, W, K]`. Where the
#'   image has missing pixels, masks and probabilities are `NA`, see [seg_image()]. Wrong numbers
#'   of channels, volumes for a model of images and images for one of volumes are a
#'   `maskr_error_shape`; values such as 0..255 for a model that was trained on 0..1 (or the other
#'   way round), a dataset with another window than the model's, and networks that return NaN or
#'   infinity, a `maskr_error_data`.
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
  check_verbose(verbose)
  check_no_dots(...)
  check_model(object)
  type <- check_choice(type, c("mask", "prob", "logit"),
                       elsewhere = c(class = "mask", response = "prob", link = "logit"))
  threshold <- check_number(threshold, min = 0, max = 1)
  precision <- check_choice(precision, c("auto", "float32", "bfloat16", "float16"))
  batch_size <- check_whole(batch_size, min = 1, null = TRUE)
  about <- model_facts(object)
  sources <- as_sources(x, about$dims)
  say_slow_precision(precision)
  out <- py_call(
    "inference", "predict", object, unname(lapply(sources$images, image_for_model)), type,
    threshold, precision, batch_size,
    progress = counting_progress(verbose, length(sources$images), "Segmenting"),
    names = as.list(names(sources$images))
  )
  if (precision == "auto") say_precision(out$precision)
  results <- Map(
    function(...) wrap_prediction(..., type = type, classes = about$classes),
    out$results, sources$images, out$geometry
  )
  if (sources$single) results[[1]] else stats::setNames(results, names(sources$images))
}

# Images for prediction: `images` (paths or arrays), and whether one result is expected. With
# `dims = 3` they are volumes.
as_sources <- function(x, dims = 2, arg = "x", call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call, "It is an image, several, or paths of their files.")
  if (inherits(x, "seg_dataset")) return(list(images = x$images, single = FALSE))
  x <- own_image(x, arg, call)
  if (is.character(x)) {
    images <- if (dims == 3) volume_files(x, arg, call) else check_images(x, arg, call)
    return(list(images = images, single = length(x) == 1))
  }
  if (is_scenes(x)) x <- x$images
  if (is.list(x) && !is.data.frame(x)) {
    return(list(images = named_images(x, arg, call), single = FALSE))
  }
  if (is_image_volume(x) && dims == 3) return(list(images = list(x), single = TRUE))
  if (dims == 3) {
    maskr_abort("shape", c(
      "This model takes volumes, and {.arg {arg}} is not one.",
      x = "You supplied {describe(x)}.",
      i = "{.fn seg_image} makes a volume of an array [D, H, W, C]."
    ), arg = arg, call = call)
  }
  if (is_several_images(x)) {
    return(list(images = check_images(apart(x), arg, call), single = FALSE))
  }
  if (is_image_volume(x)) {
    maskr_abort("shape", c(
      "{.arg {arg}} is a volume of size {paste(dim(x), collapse = ' x ')}, and this model takes 2D
       images.",
      i = "Segment slice {.code d}: {.code predict(model, x[d, , , ])}, or all slices:
           {.code predict(model, lapply(1:{dim(x)[1]}, \\(d) x[d, , , ]))}."
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
    files <- vapply(images, is.character, logical(1))
    names(images) <- if (all(files)) basename(unlist(x))
  }
  images
}

# `geometry` is that of a volume's file.
wrap_prediction <- function(result, image, geometry, type, classes) {
  if (type == "mask") {
    spacing <- attr(image, "spacing") %||% plain_vector(geometry$spacing)
    affine <- attr(image, "affine") %||% geometry$affine
    return(new_seg_mask(result, classes, spacing = spacing, affine = affine,
                        unit = attr(image, "unit")))
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

# Before the work, which then takes long.
say_slow_precision <- function(precision) {
  if (!precision %in% c("bfloat16", "float16") || isTRUE(the$said_slow_precision)) {
    return(invisible())
  }
  if (!py_call("device", "is_slow", precision)) return(invisible())
  the$said_slow_precision <- TRUE
  cli::cli_inform(c(
    "!" = "This CPU has no instructions for {precision}: {.code precision = \"{precision}\"} is
           about ten times slower than {.val float32}.",
    i = "{.code precision = \"auto\"} chooses what is fast."
  ), class = "maskr_message_slow")
}

#' Evaluate a model on a dataset
#'
#' Predicts every image of a dataset, at the dataset's `size`, and scores the masks: without a
#' `size`, those that [predict()][predict.seg_model()] gives, so that the scores are the same as by
#' [seg_metrics()]. One batch at a time is in memory, whatever the dataset's `batch_size`: of the
#' images before only what was counted is kept.
#'
#' @param model A [`seg_model`][seg_model]. A detector such as [seg_yolo()] finds objects: predict
#'   them, and score them by [seg_metrics()].
#' @param dataset A [seg_dataset()], what [seg_example()] returns, or images (paths or a list).
#' @param y Masks, where `dataset` is images.
#' @param ... Must be empty.
#' @param per_image,metrics,aggregate,ci,tolerance,width,thresholds As in [seg_metrics()]. Scores of
#'   probabilities (`"ece"`, and those of `thresholds`) are computed where they are asked for.
#'   Lengths are in pixels of the size at which images are predicted.
#' @param precision As in [predict()][predict.seg_model()].
#' @return As [seg_metrics()], with the names of the dataset's images. A network that returns NaN or
#'   infinity is a `maskr_error_data`.
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(weights = "nuclei")
#' scenes <- seg_example("nuclei", n = 3)
#' seg_evaluate(model, scenes)
#' seg_evaluate(model, scenes, metrics = c("iou", "ece"), ci = TRUE)
seg_evaluate <- function(model, dataset, y = NULL, ..., per_image = FALSE, metrics = NULL,
                         aggregate = c("pooled", "mean"), ci = FALSE, tolerance = "0.75%",
                         width = "2%", thresholds = NULL,
                         precision = c("auto", "float32", "bfloat16")) {
  check_no_dots(...)
  check_no_detector(model)
  check_model(model, arg = "model")
  classes <- check_has_classes(model)
  precision <- check_choice(precision, c("auto", "float32", "bfloat16"))
  metrics <- check_wanted(metrics, "masks")
  check_matters(c("tolerance", "width")[!c(missing(tolerance), missing(width))], metrics, "masks")
  options <- metric_options(per_image, aggregate, ci)
  more <- more_families(metrics, probable = TRUE, tolerance, width, thresholds,
                        rlang::current_env(), calibrate = FALSE)
  if (!is.null(y)) dataset <- list(dataset, y) else check_has_masks(dataset)
  dataset <- validation_dataset(dataset, 8L, classes, arg = "dataset")
  say_slow_precision(precision)
  out <- py_call("inference", "evaluate", model, dataset_for_python(dataset, classes), precision,
                 more, options)
  chosen_rows(new_seg_metrics(out, classes, names(dataset$images)), metrics, options)
}

# A list of two may be images and masks.
check_has_masks <- function(dataset, call = rlang::caller_env()) {
  if (missing(dataset)) {
    abort_missing("dataset", call, "For example, give a {.fn seg_dataset}.")
  }
  listed <- is.list(dataset) && !is.object(dataset) && !is_scenes(dataset)
  if (!is.character(dataset) && !(listed && length(dataset) != 2)) return(invisible())
  maskr_abort("argument", c(
    "{.arg dataset} holds images alone, and {.arg y} must then hold their masks.",
    i = "{.fn predict} segments images without masks."
  ), arg = "y", call = call)
}

check_no_detector <- function(model, call = rlang::caller_env()) {
  if (missing(model)) abort_missing("model", call)
  if (!inherits(model, "seg_detector")) return(invisible())
  maskr_abort("argument", c(
    "{.arg model} finds objects, and {.fn seg_evaluate} scores masks.",
    i = "Predict and score the objects: {.code seg_metrics(truth, predict(model, images))}, where
         {.arg truth} holds instances or annotations."
  ), arg = "model", call = call)
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
#'   optimizer of the same settings where layers are thawed that its optimizer never trained.
#' @param layers Names of layers as `summary()` shows them, such as `"encoder1"` or `"encoder*"`;
#'   `*` stands for any characters. `"encoder"` is the whole encoder of every architecture of maskr.
#'   For `seg_unfreeze()` the default is all.
#' @return The model, invisibly. A pattern that matches no layer is a `maskr_error_data`.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 1, classes = c(background = 0, nucleus = 1), init_features = 4)
#' seg_freeze(model, "encoder")
#' model
#' seg_unfreeze(model)
seg_freeze <- function(model, layers) set_trainable(model, layers, FALSE)

#' @rdname seg_freeze
#' @export
seg_unfreeze <- function(model, layers = "*") set_trainable(model, layers, TRUE)

set_trainable <- function(model, layers, trainable, call = rlang::caller_env()) {
  check_model(model, arg = "model", call = call)
  if (missing(layers)) abort_missing("layers", call, "{.fn summary} shows the names of layers.")
  if (!is.character(layers) || length(layers) == 0 || anyNA(layers)) {
    maskr_abort("argument", "{.arg layers} must be names of layers, not {describe(layers)}.",
                arg = "layers", call = call)
  }
  py_call("training.freezing", "set_trainable", model, as.list(layers), trainable, .call = call)
  invisible(model)
}

#' Save, load and copy models
#'
#' A model is written as a `.keras` file, a detector as a `.safetensors` file: weights, classes,
#' preprocessing and the recipe of the network, but never code. A network from PyTorch Hub needs
#' `trust = TRUE` again when it is loaded, a wrapped module needs the module. How it was compiled
#' and which layers were frozen is not kept in the file ([fit()][fit.seg_model()] with `resume`
#' keeps a whole run; Keras's own `model$save()` keeps the optimizer too).
#'
#' `seg_clone()` copies the weights, the frozen layers with their statistics, and how the model was
#' compiled. Its optimizer starts afresh.
#'
#' @param model A [`seg_model`][seg_model] or `seg_detector`.
#' @param path File to write or read. Its folder must exist; an existing file is replaced.
#' @param ... Further arguments of methods.
#' @param module For a model made by [seg_wrap()]: a module of the same architecture, or the path of
#'   its TorchScript file. It gets the file's weights.
#' @param trust For a model made by [seg_hub()] or of a TorchScript file: `TRUE` to run its code.
#' @param preprocess A [seg_preprocess()] that takes the place of the file's, such as
#'   `seg_preprocess(window = c(-160, 240))` for a model of windowed CT that was saved by a version
#'   that did not keep the window; `NULL` keeps it.
#' @return `seg_save()` returns the path invisibly, `seg_load()` and `seg_clone()` a new handle.
#'   Files that are not models are a `maskr_error_format`, weights that do not fit a
#'   `maskr_error_weights`.
#' @concept models
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 1, classes = c(background = 0, nucleus = 1), init_features = 4)
#' path <- tempfile(fileext = ".keras")
#' seg_save(model, path)
#' again <- seg_load(path)
seg_save <- function(model, path, ...) {
  if (missing(model)) abort_missing("model", rlang::current_env())
  UseMethod("seg_save")
}

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
seg_load <- function(path, ..., module = NULL, trust = FALSE, preprocess = NULL) {
  check_no_dots(...)
  check_string(path)
  path <- check_paths(path, arg = "path")
  trust <- check_flag(trust)
  if (!is.null(module)) module <- check_module(module)
  preprocess <- preprocess_for_python(check_preprocess(preprocess, null = TRUE))
  py_call("storage", "load", path, module, trust, preprocess)
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
  if (missing(x)) abort_missing(arg, call)
  if (!inherits(x, "seg_model")) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be a model such as {.fn seg_unet} makes, not {describe(x)}."
    ), arg = arg, call = call)
  }
  check_alive(x, arg, call)
}

# A handle that was saved with the workspace or by saveRDS() points nowhere.
check_alive <- function(x, arg, call) {
  if (reticulate::py_is_null_xptr(x)) {
    maskr_abort("session", c(
      "{.arg {arg}} has lost its model: {.fn saveRDS} and saved workspaces keep the handle, but not
       the network in Python.",
      i = "Save models by {.fn seg_save}, and load them by {.fn seg_load}."
    ), arg = arg, call = call)
  }
  invisible(x)
}

# `classes`: class ids by name, or NULL; `dims`: 2 for a model of images, 3 for one of volumes.
# Attributes of the handle itself are not read: other packages decide how these are converted.
model_facts <- function(model) {
  facts <- py_call("summaries", "facts", model)
  ids <- facts$classes
  list(classes = if (!is.null(ids)) stats::setNames(as.integer(unlist(ids)), names(ids)),
       dims = facts$dims)
}

model_classes <- function(model) model_facts(model)$classes

check_has_classes <- function(model, call = rlang::caller_env()) {
  model_classes(model) %||% maskr_abort("data", c(
    "This model has no classes, so it can neither be trained nor evaluated.",
    i = "Build it with {.code classes = c(background = 0, ...)}."
  ), arg = "classes", call = call)
}

# An empty R list would arrive as a Python list.
as_dict <- function(x) if (length(x) == 0) reticulate::dict() else x
