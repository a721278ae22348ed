#' YOLO instance segmentation
#'
#' Detects objects and their masks by an Ultralytics YOLO segmentation network: one that others
#' trained, or an architecture to train on your own objects by `fit()`.
#'
#' @section Licence:
#' The networks are run by the Python package ultralytics, which is not part of maskr and comes
#' under the AGPL-3.0, as do its published weights: whoever offers a program or a service built on
#' them must offer its source code, unless they have another agreement with Ultralytics. maskr says
#' so once in each session. Install it by `seg_install(extras = "yolo")`.
#'
#' @section Safety:
#' A `.pt` file is a Python pickle, which can run any code when it is opened. maskr opens it by
#' ultralytics' restricted loader, which admits parameters and the known layers only. Files that it
#' refuses are a `maskr_error_trust`; `trust = TRUE` opens them without restriction. What
#' [seg_save()] writes never needs trust. ultralytics' usage reports, downloads and installations of
#' further packages are switched off.
#'
#' @param weights One of
#'   - the name of published weights, such as `"yolov8n-seg.pt"`, looked for in the folder that the
#'     environment variable `MASKR_WEIGHTS` names and in the cache, else downloaded;
#'   - the path of a `.pt` file, or of a file by [seg_save()];
#'   - an architecture without weights: the path of a `.yaml` file, or the name of one that comes
#'     with ultralytics, such as `"yolov8n-seg.yaml"`.
#' @param trust `TRUE` to open a file that the restricted loader refuses, and to run the code that
#'   may be in it.
#' @return A `seg_detector`, see [predict()][predict.seg_detector()] and
#'   [fit()][fit.seg_detector()].
#'   Class ids are those of the weights (for COCO's 80 classes 0 to 79). A file that is not there is
#'   a `maskr_error_file`; files that are damaged or for another task than instance segmentation are
#'   a `maskr_error_weights`; without ultralytics it is a `maskr_error_missing`.
#' @references
#' Redmon J, Divvala S, Girshick R, Farhadi A (2016). You only look once: unified, real-time object
#' detection. *CVPR*. <https://arxiv.org/abs/1506.02640>
#'
#' Bolya D, Zhou C, Xiao F, Lee YJ (2019). YOLACT: real-time instance segmentation. *ICCV*.
#' <https://arxiv.org/abs/1904.02689>
#'
#' Jocher G, Qiu J, Chaurasia A (2023). Ultralytics YOLO.
#' <https://github.com/ultralytics/ultralytics>
#' @concept detectors
#' @export
#' @examplesIf seg_available("yolo")
#' # an untrained network; seg_yolo("yolov8n-seg.pt") knows COCO's 80 classes
#' detector <- seg_yolo("yolov8n-seg.yaml")
#' detector
seg_yolo <- function(weights = "yolov8n-seg.pt", trust = FALSE) {
  weights <- check_string(weights)
  trust <- check_flag(trust)
  # for Pythons that reticulate still has to prepare; the others are left as they are
  if (!reticulate::py_available()) reticulate::py_require(python_extras[["yolo"]])
  detector <- py_call("detectors.yolo", "create", weights, trust, as.list(weights_cache()),
                      draw_seed())
  say_yolo_licence()
  detector
}

say_yolo_licence <- function() {
  if (isTRUE(the$said_yolo_licence)) return(invisible())
  the$said_yolo_licence <- TRUE
  cli::cli_inform(c(
    i = "YOLO is run by the Python package {.pkg ultralytics}, licensed under the AGPL-3.0;
         see {.help maskr::seg_yolo}."
  ), class = "maskr_message_licence")
}

#' Detect objects in images
#'
#' @param object A `seg_detector`, such as [seg_yolo()] makes.
#' @param x Images: one path, matrix, array `[H, W, C]` or [seg_image()] gives one result; several
#'   paths, a list, a [seg_dataset()] or an array `[N, H, W, C]` give a list of results. Values go
#'   from 0 to 1, colours are red, green, blue; grey images become three channels, and an opaque
#'   alpha channel is dropped.
#' @param conf Least score of an object, from 0 to 1.
#' @param iou Of two boxes of one class whose intersection over union exceeds this (0 to 1), the one
#'   with the lower score is dropped.
#' @param classes Names or ids of the classes to look for; `NULL` for all.
#' @param max_det Most objects in an image.
#' @param size Height and width in pixels (one number for both) that each image is scaled to fit,
#'   keeping its aspect ratio; `NULL` for the size that the detector was trained with. Larger sizes
#'   find smaller objects and take longer.
#' @param ... Must be empty.
#' @param verbose Whether to show progress over many images; `NULL` decides by itself.
#' @return [seg_instances()] by falling score, with masks at the image's own size and boxes as the
#'   model gives them; for several images a list, named by file. Wrong numbers of channels are a
#'   `maskr_error_shape`, values outside 0 to 1 and unknown classes a `maskr_error_data`.
#' @concept detectors
#' @export
#' @examplesIf seg_available("yolo")
#' detector <- seg_yolo("yolov8n-seg.yaml")
#' scene <- seg_example("shapes", n = 1)
#' # an untrained network finds nothing
#' predict(detector, scene$images[[1]])
predict.seg_detector <- function(object, x, conf = 0.25, iou = 0.7, classes = NULL, max_det = 300,
                                 size = NULL, ..., verbose = NULL) {
  check_verbose(verbose)
  check_no_dots(...)
  check_detector(object)
  sources <- as_sources(x)
  images <- unname(lapply(sources$images, image_for_python))
  out <- py_call(
    "detectors", "predict", object, images, names = as.list(names(sources$images)),
    conf = check_number(conf, min = 0, max = 1),
    iou = check_number(iou, min = 0, max = 1),
    classes = check_wanted_classes(classes),
    max_det = check_whole(max_det, min = 1),
    size = size_for_python(size),
    progress = counting_progress(verbose, length(images), "Detecting")
  )
  known <- named_ids(out$class_names, out$class_ids)
  results <- lapply(out$found, function(one) {
    new_seg_instances(one$columns, unlist(one$size), known)
  })
  if (sources$single) results[[1]] else stats::setNames(results, names(sources$images))
}

#' Train a detector
#'
#' Trains all parameters, beginning with those that the detector has, and changes the detector in
#' place. The classes become those of the data; objects of classes that the detector knew by the
#' same name start from what it has learned.
#'
#' Each epoch sees every image once, in mosaics, mirrored, shifted, scaled and in other colours;
#' the settings that govern this can be given by `...`. A dataset's `augment` takes the place of all
#' that, at the scale of training (`random_crop` counts pixels of scaled images). With validation
#' data, the epoch with the best average precision is kept, else the last one; an interrupt (Ctrl-C)
#' keeps the best so far. Nothing is left in the working directory. A network without weights needs
#' some dozens of epochs before it finds anything.
#'
#' @param object A `seg_detector`, such as [seg_yolo()] makes.
#' @param data A [seg_dataset()] whose targets are [seg_instances()] (or label images, if it has one
#'   class), what [seg_example()] returns, or the path of a YOLO `data.yaml`. Of a dataset `images`,
#'   `targets`, `classes`, `size`, `augment` and `batch_size` are used. A class named `background`
#'   that no object has is left out. Of a `data.yaml` nothing is downloaded and no code is run.
#' @param validation_data Likewise, or `NULL`; its classes are matched by name to those of `data`. A
#'   `data.yaml` names its own.
#' @param epochs Number of epochs, at least 1.
#' @param size Length in pixels that the longer side of images is scaled to, rounded up to a
#'   multiple of 32; `NULL` for the dataset's, else for the detector's.
#' @param batch_size Images per step of the optimizer, at least 1; `NULL` for the dataset's, else 8.
#' @param ... Settings of ultralytics by its own names, such as `lr0 = 0.001` (learning rate),
#'   `patience = 20` (epochs without progress after which to stop), `freeze = 10` (layers to leave
#'   as they are), `nbs = 64` (images over which gradients are gathered for a step, by default
#'   `batch_size`) or `mosaic = 0`.
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @return A [seg_history], invisibly. Parts of the loss are named as in ultralytics; validation
#'   metrics are `mask_ap`, `mask_ap50`, `box_ap` and so on. Objects of unknown classes and data
#'   without objects are a `maskr_error_data`, a `data.yaml` that is none a `maskr_error_format`.
#' @concept detectors
#' @export
#' @examplesIf seg_available("yolo")
#' scenes <- seg_example("shapes", n = 4, size = 64)
#' detector <- seg_yolo("yolov8n-seg.yaml")
#' history <- detector |> fit(scenes, epochs = 1, size = 64)
#' history
fit.seg_detector <- function(object, data, validation_data = NULL, epochs = 50, size = NULL,
                             batch_size = NULL, ..., verbose = NULL) {
  check_verbose(verbose)
  check_detector(object)
  if (missing(data)) {
    abort_missing("data", rlang::current_env(), "They are for example a {.fn seg_dataset}.")
  }
  size <- check_size(size) %||% dataset_field(data, "size")
  batch_size <- batch_size %||% dataset_field(data, "batch_size") %||% 8
  settings <- c(
    check_yolo_settings(list(...)),
    list(
      epochs = check_whole(epochs, min = 1),
      size = if (!is.null(size)) max(size),
      batch_size = check_whole(batch_size, min = 1),
      seed = draw_seed()
    )
  )
  train <- detector_data(data)
  valid <- if (!is.null(validation_data)) {
    classes <- if (is.null(train$path)) named_ids(train$class_names, train$class_ids)
    detector_data(validation_data, classes)
  }
  result <- py_call("detectors.yolo", "fit", object, train, valid, settings,
                    progress_reporter(verbose))
  if (result$interrupted) say_interrupted(result$best_epoch)
  monitor <- if (result$validated) "mask_ap + box_ap" else "epoch"
  invisible(new_seg_history(result$columns, result$best_epoch, monitor))
}

#' @export
compile.seg_detector <- function(object, ...) {
  check_detector(object)
  maskr_abort("argument", c(
    "A detector is not compiled: {.fn fit} takes the settings of its training.",
    i = "For example {.code fit(detector, data, lr0 = 0.001)}, see {.code ?fit.seg_detector}."
  ), arg = "object")
}

say_interrupted <- function(best_epoch) {
  cli::cli_inform(c(i = if (best_epoch > 0) {
    "Interrupted: the detector is at its best epoch so far, {best_epoch}."
  } else {
    "Interrupted before the first epoch ended: the detector is as it was."
  }))
}

# Settings of training that ultralytics has and users may choose.
yolo_settings <- c(
  "optimizer", "lr0", "lrf", "cos_lr", "momentum", "weight_decay", "warmup_epochs",
  "warmup_momentum", "warmup_bias_lr", "nbs", "patience", "freeze", "dropout", "overlap_mask",
  "mask_ratio", "box", "cls", "dfl", "multi_scale", "close_mosaic", "hsv_h", "hsv_s", "hsv_v",
  "degrees", "translate", "scale", "shear", "perspective", "flipud", "fliplr", "bgr", "mosaic",
  "mixup", "cutmix", "copy_paste"
)
whole_yolo_settings <- c("nbs", "patience", "freeze", "mask_ratio", "close_mosaic")

check_yolo_settings <- function(x, call = rlang::caller_env()) {
  unknown <- setdiff(rlang::names2(x), yolo_settings)
  if (length(unknown) > 0) {
    unknown[!nzchar(unknown)] <- "without a name"
    maskr_abort("argument", c(
      "There {?is/are} no setting{?s} {.arg {unknown}} of training.",
      i = "There are {.arg {yolo_settings}}.",
      i = if ("validation_split" %in% unknown) hints_elsewhere[["validation_split"]]
    ), arg = unknown[[1]], call = call)
  }
  for (name in names(x)) {
    value <- x[[name]]
    if (length(value) != 1 || is.na(value) || !(is_numbers(value) || is.logical(value) ||
                                                  is.character(value))) {
      maskr_abort("argument", "{.arg {name}} must be one value, not {describe(value)}.",
                  arg = name, call = call)
    }
    if (name %in% whole_yolo_settings) {
      x[[name]] <- check_whole(value, min = 0, arg = name, call = call)
    }
  }
  x
}

dataset_field <- function(data, field) if (inherits(data, "seg_dataset")) unclass(data)[[field]]

# What crosses to `maskr.detectors.yolo.fit()`: images and their objects, or a description's path.
# `classes` are those of the training data, by whose names validation data are numbered.
detector_data <- function(data, classes = NULL, arg = rlang::caller_arg(data),
                          call = rlang::caller_env()) {
  if (is.character(data)) {
    return(list(path = check_paths(check_string(data, arg = arg, call = call), arg, call)))
  }
  if (is_scenes(data) && !inherits(data, "seg_dataset")) {
    data <- seg_dataset(data)
  }
  if (!inherits(data, "seg_dataset")) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be a {.fn seg_dataset}, what {.fn seg_example} returns, or the path of a
       {.file data.yaml}.",
      x = "You supplied {describe(data)}."
    ), arg = arg, call = call)
  }
  targets <- data$instances %||% data$targets
  if (inherits(targets, "seg_annotations")) return(detector_annotations(data, classes, call))
  targets <- lapply(seq_along(targets), function(i) {
    objects_of(targets[[i]], data$classes, paste0("targets[[", i, "]]"), call)
  })
  classes <- classes %||% data$classes %||% classes_of_targets(targets, call)
  list(
    images = unname(lapply(data$images, image_for_python)),
    instances = lapply(targets, instances_for_python, classes = classes, call = call),
    class_names = as.list(names(classes)),
    class_ids = as.list(unname(classes)),
    augment = augment_for_python(data$augment)
  )
}

detector_annotations <- function(data, classes, call) {
  say_boxes(data$targets)
  if (!is.null(classes)) {
    data$targets <- renumber(data$targets, classes, call = call)
    data$classes <- classes
  }
  list(
    images = unname(lapply(data$images, image_for_python)),
    annotations = annotations_for_python(data$targets),
    class_names = as.list(names(data$classes)),
    class_ids = as.list(unname(data$classes)),
    augment = augment_for_python(data$augment)
  )
}

# A target as objects. Label images need one class; masks of classes do not separate objects.
objects_of <- function(target, classes, arg, call) {
  if (inherits(target, "seg_instances")) {
    check_instances(target, arg = arg, call = call)
    return(target)
  }
  objects <- classes[tolower(names(classes)) != "background"]
  if (inherits(target, "seg_mask") || length(objects) != 1) {
    maskr_abort("data", c(
      "Detectors learn from objects, and {.arg {arg}} does not say where one ends and the next
       begins.",
      i = "Give {.fn seg_instances} as {.arg targets}, or images of object numbers and one class.",
      i = if (inherits(target, "seg_mask")) "{.fn seg_example} returns both; give it whole."
    ), arg = "targets", call = call)
  }
  if (is.character(target)) return(seg_read_instances(target, objects))
  as_seg_instances(target, class = objects)
}

named_ids <- function(names, ids) stats::setNames(as.integer(unlist(ids)), unlist(names))

# Names stay names, numbers become ids.
check_wanted_classes <- function(x, arg = "classes", call = rlang::caller_env()) {
  if (is.null(x)) return(NULL)
  ok <- length(x) > 0 && !anyNA(x) && (is.character(x) || is_numbers(x) && all(x == round(x)))
  if (!ok) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be names or ids of classes, or NULL for all.",
      x = "You supplied {describe(x)}."
    ), arg = arg, call = call)
  }
  as.list(unname(if (is.character(x)) x else as.integer(x)))
}

size_for_python <- function(size, call = rlang::caller_env()) {
  size <- check_size(size, arg = "size", call = call)
  if (!is.null(size)) as.list(size)
}

check_detector <- function(x, arg = "object", call = rlang::caller_env()) {
  if (!inherits(x, "seg_detector")) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be a detector such as {.fn seg_yolo} makes, not {describe(x)}."
    ), arg = arg, call = call)
  }
  check_alive(x, arg, call)
}

#' @rdname seg_save
#' @export
seg_save.seg_detector <- function(model, path, ...) {
  check_no_dots(...)
  check_detector(model, arg = "model")
  path <- check_output_path(path, ".safetensors")
  py_call("detectors", "save", model, path)
  invisible(path)
}

#' What a detector is
#'
#' @param x,object A `seg_detector`, such as [seg_yolo()] makes.
#' @param ... Not used.
#' @return `summary()` returns a list of class `summary_seg_detector`: `name`, `family`, `classes`,
#'   `parameters`, `device` and `size` (pixels that the longer side of images is scaled to).
#'   `print()` and `format()` show it.
#' @name seg_detector
#' @concept detectors
#' @examplesIf seg_available("yolo")
#' detector <- seg_yolo("yolov8n-seg.yaml")
#' summary(detector)$parameters
NULL

#' @rdname seg_detector
#' @export
summary.seg_detector <- function(object, ...) {
  check_detector(object)
  out <- py_call("detectors", "describe", object)
  classes <- named_ids(out$class_names, out$class_ids)
  structure(
    list(name = out$name, family = out$family, classes = classes,
         parameters = as.double(out$parameters), device = out$device, size = as.integer(out$size)),
    class = "summary_seg_detector"
  )
}

#' @rdname seg_detector
#' @export
format.seg_detector <- function(x, ...) {
  if (reticulate::py_is_null_xptr(x)) return("<seg_detector> whose model is lost, see ?seg_save")
  about <- summary(x)
  names <- names(about$classes)
  more <- if (length(names) > 5) ", ..." else ""
  c(
    paste0("<seg_detector> ", about$name),
    paste0("classes:    ", length(names), " (", paste(utils::head(names, 5), collapse = ", "),
           more, ")"),
    paste0("parameters: ", format(about$parameters, big.mark = ","), " on ", about$device),
    paste0("size:       ", about$size, " pixels")
  )
}

#' @rdname seg_detector
#' @export
print.seg_detector <- function(x, ...) {
  cat(format(x), sep = "\n")
  invisible(x)
}

#' @export
print.summary_seg_detector <- function(x, ...) {
  cat("<seg_detector> ", x$name, " (", x$family, ")\n", sep = "")
  cat("parameters: ", format(x$parameters, big.mark = ","), " on ", x$device, "\n", sep = "")
  cat("size:       ", x$size, " pixels\n", sep = "")
  cat("classes:\n")
  print(x$classes)
  invisible(x)
}
