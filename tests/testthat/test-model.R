classes <- c(background = 0, nucleus = 4)

small_model <- function(in_channels = 1, ids = classes, ...) {
  set.seed(1)
  seg_unet(in_channels, ids, init_features = 2, ...)
}

# Two grey levels, told apart by a threshold: what any network learns within seconds.
blobs <- function(n, seed, height = 24, width = 40) {
  set.seed(seed)
  images <- lapply(seq_len(n), function(i) {
    mask <- outer(seq_len(height) - runif(1, 6, 18), seq_len(width) - runif(1, 8, 32),
                  function(a, b) a^2 + b^2 < 36)
    list(image = mask * 0.6 + matrix(runif(height * width, 0, 0.3), height), mask = mask * 4L)
  })
  seg_dataset(lapply(images, `[[`, "image"), lapply(images, `[[`, "mask"), classes,
              batch_size = 4)
}

test_that("a model learns, and keeps its best epoch", {
  skip_if_no_python()
  set.seed(1)
  model <- seg_unet(1, classes, init_features = 4)
  compile(model, learning_rate = 0.02)
  history <- fit(model, blobs(12, 1), validation_data = blobs(4, 2), epochs = 15)
  expect_s3_class(history, "seg_history")
  expect_named(as.data.frame(history), c("epoch", "metric", "data", "value"))
  loss <- history$value[history$metric == "loss" & history$data == "valid"]
  expect_equal(attr(history, "best_epoch"), which.min(loss))
  metrics <- seg_evaluate(model, blobs(4, 2), precision = "float32")
  best <- history[history$metric == "dice" & history$data == "valid", ]
  dice <- metrics$value[metrics$metric == "dice" & metrics$class %in% 4]
  expect_equal(dice, best$value[best$epoch == attr(history, "best_epoch")], tolerance = 0.02)
  expect_gt(dice, 0.9)
})

test_that("set.seed() makes building and fitting repeatable", {
  skip_if_no_python()
  run <- function(seed) {
    set.seed(seed)
    model <- seg_unet(1, classes, init_features = 2)
    history <- fit(model, blobs(4, 1), epochs = 2, precision = "float32")
    list(history$value, predict(model, matrix(0.5, 17, 19), type = "prob", precision = "float32"))
  }
  expect_identical(run(3), run(3))
})

test_that("predict gives one result for one image and a list for several", {
  skip_if_no_python()
  model <- small_model(3)
  set.seed(2)
  image <- array(runif(31 * 21 * 3), c(31, 21, 3))
  mask <- predict(model, image)
  expect_s3_class(mask, "seg_mask")
  expect_equal(dim(mask), c(31, 21))
  expect_equal(attr(mask, "classes"), c(background = 0L, nucleus = 4L))
  expect_type(mask, "integer")
  expect_true(all(mask %in% c(0, 4)))

  folder <- withr::local_tempdir("with space ")
  paths <- file.path(folder, c("b.png", "a.png"))
  for (path in paths) png::writePNG(image, path)
  expect_s3_class(predict(model, paths[[1]]), "seg_mask")
  expect_named(predict(model, paths), c("b.png", "a.png"))
  expect_named(predict(model, list(one = image, two = image)), c("one", "two"))
  expect_null(names(predict(model, list(image, image))))
  expect_length(predict(model, list(image)), 1)
  expect_equal(predict(model, list()), list())
  stacked <- aperm(array(c(image, 1 - image), c(31, 21, 3, 2)), c(4, 1, 2, 3))
  many <- predict(model, stacked, type = "logit", precision = "float32")
  expect_equal(many[[2]], predict(model, 1 - image, type = "logit", precision = "float32"),
               tolerance = 1e-5)
  expect_equal(dim(predict(model, matrix(0.5, 317, 211))), c(317, 211))
  expect_equal(dim(predict(model, matrix(0.5, 1, 1))), c(1, 1))
})

test_that("probabilities, logits and masks agree", {
  skip_if_no_python()
  three <- c(sky = 2, tree = 0, road = 9)
  model <- small_model(1, three)
  set.seed(3)
  image <- matrix(runif(20 * 33), 20)
  logit <- predict(model, image, type = "logit", precision = "float32")
  prob <- predict(model, image, type = "prob", precision = "float32")
  expect_equal(dimnames(prob)[[3]], names(three))
  expect_equal(unname(rowSums(prob, dims = 2)), matrix(1, 20, 33), tolerance = 1e-6)
  odds <- exp(logit)
  expect_equal(unname(prob), odds / as.vector(rowSums(odds, dims = 2)), tolerance = 1e-5,
               ignore_attr = TRUE)
  best <- apply(prob, 1:2, which.max)
  mask <- predict(model, image, precision = "float32")
  expect_equal(as.matrix(mask), matrix(as.integer(three)[best], 20), ignore_attr = TRUE)

  binary <- small_model()
  prob <- predict(binary, image, type = "prob", precision = "float32")
  cut <- median(prob[, , 2])
  mask <- predict(binary, image, threshold = cut, precision = "float32")
  expect_equal(mean((mask == 4) == (prob[, , 2] >= cut)), 1, tolerance = 1e-3)
})

test_that("the bare module in eval() gives the same numbers", {
  skip_if_no_python()
  model <- small_model(2)
  fit(model, list(array(runif(16 * 32 * 2), c(16, 32, 2))), list(matrix(c(0, 4), 16, 32)),
      epochs = 2, precision = "float32")
  torch <- reticulate::import("torch")
  set.seed(4)
  image <- array(runif(32 * 48 * 2), c(32, 48, 2))
  x <- torch$from_numpy(aperm(array(image, c(1, 32, 48, 2)), c(1, 4, 2, 3)))$float()
  keras <- model$predict(x, verbose = 0L)
  model$module$eval()
  bare <- model$module(x)$sigmoid()$detach()$numpy()
  expect_equal(keras, bare, tolerance = 1e-5)
  prob <- predict(model, image, type = "prob", precision = "float32")
  expect_equal(unname(prob[, , 2]), bare[1, 1, , ], tolerance = 1e-4, ignore_attr = TRUE)
})

test_that("Keras's own methods work on raw tensors", {
  skip_if_no_python()
  model <- small_model(3)
  torch <- reticulate::import("torch")
  x <- torch$rand(2L, 3L, 32L, 48L)
  y <- torch$gt(torch$narrow(x, 1L, 0L, 1L), 0.5)$float()
  compile(model)
  expect_equal(dim(model$predict(x, verbose = 0L)), c(2, 1, 32, 48))
  model$fit(x, y, verbose = 0L)
  expect_length(model$evaluate(x, y, verbose = 0L), 3)
})

test_that("a saved model predicts the same in a new R process", {
  skip_if_no_python()
  model <- small_model(2, preprocess = seg_preprocess(per_image = "standardise"))
  set.seed(5)
  image <- array(runif(19 * 26 * 2), c(19, 26, 2))
  folder <- withr::local_tempdir()
  path <- file.path(folder, "model.keras")
  expect_equal(seg_save(model, path), path)
  saveRDS(image, file.path(folder, "image.rds"))
  code <- paste0(
    "setwd('", folder, "'); library(maskr); model <- seg_load('model.keras');",
    "prob <- predict(model, readRDS('image.rds'), type = 'prob', precision = 'float32');",
    "saveRDS(list(prob = prob, text = format(maskr:::model_classes(model))), 'out.rds')"
  )
  expect_equal(system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code)),
                       stdout = FALSE, stderr = FALSE), 0)
  again <- readRDS(file.path(folder, "out.rds"))
  expect_identical(again$prob, predict(model, image, type = "prob", precision = "float32"))
})

test_that("a handle of another session says what to do", {
  skip_if_no_python()
  path <- withr::local_tempfile()
  saveRDS(small_model(), path)
  model <- readRDS(path)
  expect_error(predict(model, matrix(0, 4, 4)), class = "maskr_error_session")
  expect_error(print(model), "seg_save")
})

test_that("copies are independent and frozen layers stay", {
  skip_if_no_python()
  model <- small_model()
  copy <- seg_clone(model)
  seg_freeze(copy, c("encoder*", "bottleneck"))
  weights <- function(m, layer) m$module[[layer]]$state_dict()[[1]]$numpy()
  before <- lapply(c("encoder1", "decoder1"), weights, m = copy)
  fit(copy, blobs(4, 1), epochs = 1)
  expect_identical(weights(copy, "encoder1"), before[[1]])
  expect_false(identical(weights(copy, "decoder1"), before[[2]]))
  expect_identical(weights(model, "decoder1"), before[[2]])
  expect_lt(summary(copy)$trainable, summary(model)$trainable)
  seg_unfreeze(copy)
  expect_equal(summary(copy)$trainable, summary(model)$trainable)
})

test_that("a seg_loss and its name mean the same", {
  skip_if_no_python()
  loss_of <- function(loss) {
    model <- small_model()
    compile(model, loss = loss, metrics = "dice")
    h <- fit(model, blobs(4, 1), epochs = 1, precision = "float32")
    h$value[h$metric == "loss"]
  }
  set.seed(1)
  a <- loss_of("cross_entropy")
  set.seed(1)
  expect_equal(loss_of(seg_loss("cross_entropy")), a)
  set.seed(1)
  weighted <- loss_of(seg_loss("cross_entropy", class_weights = c(1, 9)))
  expect_false(isTRUE(all.equal(weighted, a)))
})

test_that("what cannot work is a classed error before anything runs", {
  skip_if_no_python()
  model <- small_model()
  expect_snapshot(error = TRUE, {
    predict(model, array(0, c(8, 8, 4)))
    predict(model, "nothere.png")
    predict(model, matrix(Inf, 4, 4))
    predict(model, letters)
    predict(model, matrix(0, 8, 8), threshold = 2)
    predict(model, matrix(0, 8, 8), type = "class")
    predict(model, seg_image(array(0, c(2, 8, 8, 1))))
    predict(seg_unet3d(1, classes, init_features = 2), array(0, c(8, 8, 8, 2)))
    compile(model, optimizer = "adamm")
    compile(model, metrics = "iuo")
    compile(model, loss = "hinge")
    compile(model, loss = 3)
    fit(model, blobs(2, 1), epochs = 0)
    fit(model, blobs(2, 1), monitor = "val_f2", validation_data = blobs(2, 2), epochs = 1)
    fit(model, list(matrix(0, 8, 8)), list(matrix(3, 8, 8)), epochs = 1)
    fit(model, list(matrix(0, 8, 8)), list(matrix(0, 8, 9)), epochs = 1)
    seg_freeze(model, "stem")
    seg_save(model, "model.rds")
    seg_save(model, "no/such/folder/model.keras")
    seg_load("nothere.keras")
    seg_evaluate(model, seg_dataset(list(matrix(0, 8, 8)), list(matrix(4, 8, 8)),
                                    classes = c(background = 0, cat = 4)))
  }, transform = hide_folder)
  expect_error(predict(model, array(0, c(8, 8, 4))), class = "maskr_error_shape")
})

test_that("a loss is one of maskr's or of Keras's", {
  skip_if_no_python()
  model <- small_model()
  keras <- reticulate::import("keras")
  for (loss in list(keras$losses$BinaryCrossentropy(), keras$losses$binary_crossentropy)) {
    expect_no_error(compile(model, loss = loss))
  }
  wrong <- list(quote(bce), \(a, b) 1, list(seg_loss("bce")), c("bce", "dice"), reticulate::dict())
  for (loss in wrong) {
    error <- expect_error(compile(model, loss = loss), class = "maskr_error_argument")
    expect_equal(error$arg, "loss")
  }
})

test_that("both generics called evaluate find the verb", {
  skip_if_no_python()
  model <- small_model()
  data <- blobs(2, 1)
  expect_equal(generics::evaluate(model, data), seg_evaluate(model, data))
  expect_equal(seg_evaluate(model, data$images, data$targets), seg_evaluate(model, data))
})

test_that("callbacks are Keras's, one or several", {
  skip_if_no_python()
  model <- small_model()
  keras <- reticulate::import("keras")
  history <- fit(model, blobs(4, 1), epochs = 3,
                 callbacks = keras$callbacks$EarlyStopping("loss", min_delta = 9, patience = 0L))
  expect_equal(max(history$epoch), 2)
  expect_error(fit(model, blobs(2, 1), callbacks = list("x")), class = "maskr_error_argument")
})

test_that("networks that fail, whole models as weights, and folders are said", {
  skip_if_no_python()
  model <- small_model()
  path <- withr::local_tempfile(fileext = ".keras")
  seg_save(model, path)
  expect_error(seg_unet(weights = path), class = "maskr_error_weights")
  expect_error(predict(model, tempdir()), class = "maskr_error_file")
  scenes <- seg_example("nuclei", n = 2, size = 32)
  expect_s3_class(seg_metrics(scenes, scenes$masks), "seg_metrics")
  expect_output(summary(seg_dataset(scenes)), "2 images")
})
