# What compile() refuses, and models that Keras's own compile() has set up.

binary <- c(background = 0, nucleus = 1)

small_model <- function(classes = binary) {
  skip_if_no_python()
  seg_unet(1, classes, init_features = 2)
}

small_scenes <- function() seg_example("nuclei", n = 2, size = c(32, 48), seed = 1)

test_that("a loss that does not fit the classes is refused by compile(), not by the first batch", {
  model <- small_model(c(a = 0, b = 1, c = 2))
  for (loss in list("bce", "bce_dice", seg_loss("dice") + seg_loss("bce"))) {
    expect_error(compile(model, loss = !!loss), "two classes.*cross_entropy",
                 class = "maskr_error_data")
  }
  expect_error(compile(model, loss = seg_loss("focal", alpha = 0.3)), "two classes",
               class = "maskr_error_data")
  expect_error(compile(model, loss = seg_loss("cross_entropy", class_weights = c(1, 2))),
               class = "maskr_error_data")
  fitting <- setdiff(names(loss_arguments), c("bce", "bce_dice"))
  for (loss in fitting) expect_no_error(compile(model, loss = !!loss))
  for (loss in names(loss_arguments)) expect_no_error(compile(small_model(), loss = !!loss))
})

test_that("a class in the place of an object of it is refused by name", {
  model <- small_model()
  keras <- reticulate::import("keras")
  nn <- reticulate::import("torch")$nn
  path <- withr::local_tempfile(fileext = ".keras")
  seg_save(seg_wrap(nn$Conv2d(1L, 1L, 1L), binary), path)
  mistaken <- list(
    optimizer = \() compile(model, keras$optimizers$Adam),
    loss = \() compile(model, loss = keras$losses$BinaryCrossentropy),
    metrics = \() compile(model, metrics = list("iou", keras$metrics$Precision)),
    callbacks = \() fit(model, small_scenes(), epochs = 1,
                        callbacks = keras$callbacks$EarlyStopping),
    module = \() seg_wrap(nn$Linear),
    module = \() seg_load(path, module = nn$Conv2d)
  )
  for (i in seq_along(mistaken)) {
    error <- expect_error(mistaken[[!!i]](), "is the class .* itself.*Call the class",
                          class = "maskr_error_data")
    expect_identical(error$arg, names(mistaken)[[i]])
  }
})

test_that("fit() trains what Keras's own compile() has set up", {
  scenes <- small_scenes()
  trained <- function(set_up) {
    set.seed(1)
    model <- small_model()
    set_up(model)
    as.data.frame(fit(model, scenes, epochs = 2, seed = 1))
  }
  keras <- reticulate::import("keras")
  by_keras <- trained(\(m) m$compile(optimizer = "adam", loss = "binary_crossentropy"))
  by_object <- trained(\(m) {
    compile(m, "adam", loss = keras$losses$BinaryCrossentropy(), metrics = list())
  })
  expect_identical(by_keras, by_object)
  expect_identical(unique(by_keras$metric), "loss")

  model <- small_model()
  model$compile(optimizer = "sgd", loss = "mse")
  expect_no_error(seg_lr_find(model, scenes, steps = 25))
  expect_no_error(fit(seg_clone(model), scenes, epochs = 1))
  expect_no_error(seg_evaluate(model, scenes))
})

test_that("what Keras's compile() set up and cannot be used here is named before any training", {
  scenes <- small_scenes()
  model <- small_model()
  refused <- function(..., model = small_model()) {
    model$compile(optimizer = "adam", ...)
    error <- expect_error(fit(model, scenes, epochs = 1), class = "maskr_error_data")
    expect_error(seg_lr_find(model, scenes, steps = 25), class = "maskr_error_data")
    error$arg
  }
  expect_identical(refused(), "loss")
  expect_identical(refused(loss = "nonsense"), "loss")
  expect_identical(refused(loss = "binary_crossentropy", metrics = list("accuracy")), "metrics")
  three <- small_model(c(background = 0, nucleus = 1, debris = 2))
  expect_identical(refused(loss = "sparse_categorical_crossentropy", model = three), "loss")
})

test_that("Keras's compile() puts aside the schedule that maskr's had settled", {
  model <- small_model()
  compile(model, "sgd", learning_rate = 0.1, schedule = "cosine", ema = 0.9)
  expect_false(is.null(model$recipe))
  expect_false(is.null(seg_clone(model)$recipe))
  model$compile(optimizer = "sgd", loss = "binary_crossentropy")
  expect_null(model$recipe)
  fit(model, small_scenes(), epochs = 2, seed = 1)
  expect_equal(as.numeric(model$optimizer$learning_rate$numpy()), 0.01, tolerance = 1e-6)
})
