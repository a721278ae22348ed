# keras3 as maskr meets it, also where it is not installed: its methods for reticulate's generics.

# Registers the methods by which keras3 (1.3 to 1.5) changes what comes from Python: containers that
# Keras tracks become R lists, and its callable objects functions of other arguments. Its methods
# for models of Keras stop: those of maskr must come first.
act_as_keras3 <- function() {
  builtins <- function() reticulate::import("builtins")
  as_list <- function(x) builtins()$list(x)
  method <- function(generic, class, fun, package) {
    registerS3method(generic, class, fun, envir = asNamespace(package))
  }
  tracking <- "keras.src.utils.tracking."
  method("py_to_r", paste0(tracking, "TrackedList"), as_list, "reticulate")
  method("py_to_r", paste0(tracking, "TrackedSet"), as_list, "reticulate")
  method("py_to_r", paste0(tracking, "TrackedDict"), \(x) builtins()$dict(x), "reticulate")

  wrapped <- list(
    models.model.Model = \(x) \(object, ...) x(object, ...),
    layers.layer.Layer = \(x) \(object, ...) x(object, ...),
    losses.loss.Loss = \(x) \(y_true, y_pred, sample_weight = NULL) x(y_true, y_pred),
    metrics.metric.Metric = \(x) \(y_true, y_pred, sample_weight = NULL) x(y_true, y_pred),
    initializers.initializer.Initializer = \(x) \(shape, dtype = NULL) x(shape)
  )
  for (class in names(wrapped)) {
    method("py_to_r_wrapper", paste0("keras.src.", class), wrapped[[class]], "reticulate")
  }

  model <- "keras.src.models.model.Model"
  owners <- c(compile = "generics", fit = "generics", predict = "stats", print = "base",
              summary = "base", plot = "base")
  for (generic in names(owners)) {
    stops <- function(...) stop("a method of keras3's was called")
    method(generic, model, stops, owners[[generic]])
  }
}

# The whole life of models, from building to saving: plain values that tell how it went, the same
# for the same versions of R and Python.
live_with_models <- function() {
  folder <- tempfile()
  dir.create(folder)
  set.seed(1)
  scenes <- seg_example("nuclei", n = 3, size = c(48, 64), seed = 1)
  model <- seg_unet(1, scenes$classes, init_features = 2)
  c(
    list(printed = utils::capture.output(print(model)), parameters = summary(model)$parameters),
    live_trained(model, scenes),
    live_with_keras(scenes),
    live_saved(model, scenes$images[[1]], folder),
    live_adapted(),
    live_foreign(folder),
    if (seg_available("yolo")) live_detector(folder)
  )
}

live_trained <- function(model, scenes) {
  compile(model, "adamw", learning_rate = 0.01, metrics = c("iou", "dice"), schedule = "cosine",
          accumulate = 2, ema = 0.9, layer_rates = c(encoder = 0.5))
  seg_freeze(model, "encoder1")
  history <- fit(model, scenes, validation_data = scenes, epochs = 2, batch_size = 2, seed = 1,
                 callbacks = list(seg_early_stopping(patience = 5)))
  seg_unfreeze(model)
  found <- seg_lr_find(model, scenes, steps = 25, batch_size = 2)
  cv <- seg_cv(\() seg_unet(1, scenes$classes, init_features = 2), scenes, folds = 3, epochs = 1)
  tuned <- seg_tune(
    \(features) seg_unet(1, scenes$classes, init_features = features), scenes,
    list(features = 2), folds = 3, epochs = 1, metric = "loss"
  )
  list(
    history = as.data.frame(history), scores = as.data.frame(seg_evaluate(model, scenes)),
    losses = found$loss, folds = cv$value, tuned = tuned$value
  )
}

# Objects of Keras's own, which keras3's functions make.
live_with_keras <- function(scenes) {
  keras <- reticulate::import("keras")
  model <- seg_unet(1, scenes$classes, init_features = 2)
  compile(model, keras$optimizers$SGD(0.1), loss = keras$losses$BinaryCrossentropy(),
          metrics = list("iou", keras$metrics$Precision()))
  epochs <- numeric()
  counting <- keras$callbacks$LambdaCallback(
    on_epoch_end = \(epoch, logs) epochs <<- c(epochs, logs$loss)
  )
  history <- fit(model, scenes, epochs = 2, seed = 1, callbacks = counting, verbose = FALSE)
  x <- reticulate::import("numpy")$zeros(list(1L, 1L, 16L, 32L), "float32")
  list(keras = as.data.frame(history), called = epochs,
       raw = dim(model$predict(x, verbose = 0L)))
}

live_saved <- function(model, image, folder) {
  path <- file.path(folder, "model.keras")
  seg_save(model, path)
  seg_export(model, file.path(folder, "model.pt2"), size = c(48, 64))
  handles <- list(model, seg_load(path), seg_clone(model))
  list(
    classes = lapply(handles, class),
    masks = lapply(handles, predict, x = image, precision = "float32"),
    probability = sum(predict(model, image, type = "prob", precision = "float32")[, , 2])
  )
}

# Weights fitted to other classes say so.
live_adapted <- function() {
  said <- character()
  nuclei <- withCallingHandlers(
    seg_unet(3, c(background = 0, nucleus = 1, debris = 2), weights = "nuclei"),
    maskr_message_adapted = \(message) said <<- c(said, conditionMessage(message))
  )
  deep <- seg_deeplab(1, c(a = 0, b = 1), encoder = "mobilenet_v2")
  list(notes = said, adapted = class(nuclei), deep = class(deep))
}

live_foreign <- function(folder) {
  repository <- file.path(folder, "repository")
  dir.create(repository)
  writeLines(c(
    "import torch", "def linear(channels):", "    return torch.nn.Conv2d(channels, 1, 1)"
  ), file.path(repository, "hubconf.py"))
  classes <- c(background = 0, nucleus = 1)
  hub <- seg_hub(repository, "linear", channels = 1, classes = classes, trust = TRUE)
  nn <- reticulate::import("torch")$nn
  wrapped <- seg_wrap(nn$Conv2d(1L, 1L, 3L, padding = 1L), classes)
  image <- matrix(seq(0, 1, length.out = 35), 5, 7)
  list(hub = dim(predict(hub, image)), wrapped = dim(predict(wrapped, image)))
}

live_detector <- function(folder) {
  shapes <- seg_example("shapes", n = 2, size = 64, seed = 1)
  detector <- suppressMessages(seg_yolo("yolov8n-seg.yaml"))
  history <- fit(detector, shapes, epochs = 1, size = 64)
  seg_save(detector, file.path(folder, "detector.safetensors"))
  again <- seg_load(file.path(folder, "detector.safetensors"))
  list(
    detector = utils::capture.output(print(again)), epochs = max(history$epoch),
    objects = names(predict(again, shapes$images[[1]], size = 64))
  )
}

# A whole run of tests beside keras3's methods, as tools/test.R does it.
if (nzchar(Sys.getenv("MASKR_TEST_KERAS3"))) act_as_keras3()
