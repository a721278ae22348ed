classes <- c(background = 0, nucleus = 4)

small_model <- function() {
  set.seed(1)
  seg_unet(1, classes, init_features = 2)
}

# Bright rectangles on dark ground; one pixel in eight belongs to them.
boxes <- function(n = 6, batch_size = 2) {
  images <- lapply(seq_len(n), function(i) {
    mask <- matrix(0, 24, 40)
    mask[3 + 1:8, 2 * i + 1:15] <- 1
    mask
  })
  seg_dataset(lapply(images, \(m) m * 0.8 + 0.1), lapply(images, \(m) m * 4), classes,
              batch_size = batch_size)
}

losses <- function(history) history$value[history$metric == "loss" & history$data == "train"]

test_that("all settings of compile() and fit() cross, and the model learns", {
  skip_if_no_python()
  model <- small_model()
  compile(model, "adamw", learning_rate = 0.03, schedule = seg_schedule("cosine", warmup = 1),
          weight_decay = 1e-4, clip_norm = 1, accumulate = 2, ema = 0.5,
          layer_rates = c("encoder*" = 0.5))
  expect_equal(model$optimizer$global_clipnorm, 1)
  history <- fit(model, boxes(), validation_data = boxes(2), epochs = 6, monitor = "val_iou",
                 freeze_epochs = 1, class_weights = "median", deterministic = TRUE, seed = 1,
                 precision = "float32")
  expect_lt(losses(history)[6], losses(history)[1])
  rates <- history$value[history$metric == "learning_rate"]
  expect_length(rates, 6)
  # five epochs after the warm-up, two steps each: the last step of the second epoch
  expect_equal(rates[2], 0.03 * (1 + cos(pi * 1 / 10)) / 2, tolerance = 1e-5)
  expect_true(all(unlist(lapply(reticulate::iterate(model$module$parameters()),
                                \(p) p$requires_grad))))
})

test_that("seed decides a training whatever R's generator, and leaves that alone", {
  skip_if_no_python()
  run <- function(state, seed) {
    model <- small_model()
    set.seed(state)
    history <- fit(model, boxes(), epochs = 2, seed = seed, precision = "float32")
    list(history$value, runif(1))
  }
  first <- run(1, 7)
  expect_identical(run(2, 7)[[1]], first[[1]])
  expect_false(identical(run(1, 8)[[1]], first[[1]]))
  set.seed(1)
  expect_identical(first[[2]], runif(1))
})

test_that("class weights by method and by name are the same numbers", {
  skip_if_no_python()
  run <- function(class_weights) {
    model <- small_model()
    compile(model, loss = "bce")
    losses(fit(model, boxes(), epochs = 1, class_weights = class_weights, seed = 1,
               precision = "float32"))
  }
  weights <- seg_class_weights(boxes(), "inverse")
  expect_equal(run("inverse"), run(rev(c(weights))))
  expect_equal(run(c(nucleus = 1, background = 1)), run(NULL), tolerance = 1e-6)
  expect_false(isTRUE(all.equal(run("inverse"), run(NULL))))
})

test_that("a run is kept in a folder and goes on from there", {
  skip_if_no_python()
  run <- function(folder, epochs, model = small_model()) {
    fit(model, boxes(), epochs = epochs, resume = folder, seed = 1, precision = "float32")
  }
  folder <- withr::local_tempdir()
  history <- run(file.path(folder, "run/"), 2)
  expect_true(file.exists(file.path(folder, "run", "last.safetensors")))
  again <- run(file.path(folder, "run"), 2)
  expect_equal(again$value, history$value)
  expect_error(run(file.path(folder, "no/such"), 1), class = "maskr_error_file")
})

test_that("Keras's callbacks act, and what they warn of is a condition", {
  skip_if_no_python()
  keras <- reticulate::import("keras")
  epochs <- c()
  callbacks <- list(
    keras$callbacks$LambdaCallback(on_epoch_end = \(epoch, logs) epochs <<- c(epochs, epoch)),
    keras$callbacks$ReduceLROnPlateau("loss", factor = 0.5, patience = 1L, min_delta = 9)
  )
  model <- small_model()
  fit(model, boxes(2), epochs = 3, callbacks = callbacks)
  expect_equal(epochs, 0:2)
  expect_equal(as.numeric(model$optimizer$learning_rate$numpy()), 0.001 / 4, tolerance = 1e-5)
  expect_warning(
    fit(model, boxes(2), epochs = 1,
        callbacks = keras$callbacks$EarlyStopping("val_f2", mode = "max")),
    class = "maskr_warning_callback"
  )
})

test_that("the encoder has one name in all architectures", {
  skip_if_no_python()
  model <- small_model()
  seg_freeze(model, "encoder")
  expect_false(model$module$encoder1[[0]]$weight$requires_grad)
  expect_true(model$module$decoder1[[0]]$weight$requires_grad)
  seg_freeze(model, "*")
  expect_error(fit(model, boxes(2), epochs = 1), class = "maskr_error_data")
})

test_that("what cannot work is a classed error that names the argument", {
  skip_if_no_python()
  model <- small_model()
  data <- boxes(2)
  expect_snapshot(error = TRUE, {
    compile(model, learning_rate = -1)
    compile(model, schedule = "linear")
    compile(model, weight_decay = "no")
    compile(model, clip_norm = 0)
    compile(model, accumulate = 1.5)
    compile(model, ema = 1)
    compile(model, layer_rates = 0.1)
    compile(model, layer_rates = c(stem = 0.1))
    compile(model, c("adam", "sgd"))
    compile(model, momentum = 0.9)
    fit(model, data, monitor = "iuo")
    fit(model, data, epochs = 1, class_weights = "rare")
    fit(model, data, epochs = 1, class_weights = c(1, 2))
    fit(model, data, epochs = 1, class_weights = c(background = 1, cell = 2))
    fit(model, data, epochs = 1, freeze_epochs = -1)
    fit(model, data, epochs = 1, deterministic = "yes")
    fit(model, data, epochs = 1, seed = 0.5)
    fit(model, data, epochs = 1, callbacks = list("x"))
    compile(model, schedule = seg_schedule("cosine", warmup = 2))
    fit(model, data, epochs = 1)
  })
})

test_that("data may be a list of images and masks, and are needed", {
  skip_if_no_python()
  data <- boxes(3)
  run <- function(...) {
    set.seed(1)
    losses(fit(small_model(), ..., epochs = 1, batch_size = 2, seed = 3, precision = "float32"))
  }
  expect_equal(run(list(data$images, data$targets)), run(data$images, data$targets))
  expect_error(fit(small_model()), "is missing", class = "maskr_error_argument")
  expect_error(fit(small_model(), data, seed = 2^40), "2147483647", class = "maskr_error_argument")
})

test_that("an error of the user's own callback is shown as such", {
  skip_if_no_python()
  set.seed(1)
  images <- lapply(1:2, \(i) matrix(runif(16 * 32), 16))
  model <- seg_unet(1, c(background = 0, nucleus = 1), init_features = 2)
  stops <- reticulate::import("keras")$callbacks$LambdaCallback(
    on_epoch_end = \(epoch, logs) stop("boom {x}")
  )
  expect_error(
    fit(model, images, lapply(images, \(image) (image > 0.5) * 1L), epochs = 1, callbacks = stops),
    "boom \\{x\\}", class = "maskr_error_callback"
  )
})

test_that("a training that diverges says so and leaves the model as it was", {
  skip_if_no_python()
  scenes <- seg_example("nuclei", n = 3, size = c(32, 48), seed = 4)
  model <- seg_unet(1, scenes$classes, init_features = 2) |> compile("sgd", learning_rate = 1e30)
  before <- predict(model, scenes$images, type = "prob", precision = "float32")
  expect_warning(
    history <- fit(model, scenes, epochs = 4, batch_size = 1, precision = "float32"),
    "no longer finite.*as it was before training", class = "maskr_warning_not_finite"
  )
  expect_equal(attr(history, "best_epoch"), 0)
  expect_equal(predict(model, scenes$images, type = "prob", precision = "float32"), before)
})
