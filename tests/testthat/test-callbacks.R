classes <- c(background = 0, nucleus = 4)

tiny_model <- function(...) {
  set.seed(1)
  model <- seg_unet(1, classes, init_features = 2)
  compile(model, learning_rate = 0.01, metrics = "iou", ...)
  model
}

squares <- function(n = 4, seed = 1) {
  set.seed(seed)
  images <- lapply(seq_len(n), \(i) matrix(runif(24 * 40), 24))
  seg_dataset(images, lapply(images, \(image) (image > 0.5) * 4L), classes, batch_size = 2)
}

test_that("callbacks are plain objects that print", {
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  expect_snapshot({
    seg_early_stopping("val_iou", patience = 3)
    seg_checkpoint("models/")
    seg_csv_log("log.csv")
    seg_tensorboard("board")
    seg_pictures(list(matrix(0, 4, 4)), "pictures", n = 2, view = FALSE)
  })
  one <- seg_early_stopping()
  expect_identical(unserialize(serialize(one, NULL)), one)
  expect_length(list.files(folder), 0)
})

test_that("wrong settings are classed errors", {
  file <- withr::local_tempfile()
  file.create(file)
  expect_error(seg_early_stopping(patience = 0), class = "maskr_error_argument")
  expect_error(seg_early_stopping(min_delta = -1), class = "maskr_error_argument")
  expect_error(seg_early_stopping(3), class = "maskr_error_argument")
  expect_error(seg_checkpoint("no/such/folder"), class = "maskr_error_file")
  expect_error(seg_tensorboard(file), class = "maskr_error_file")
  expect_error(seg_csv_log("no/such/log.csv"), class = "maskr_error_file")
  expect_error(seg_pictures("nothere.png", tempdir()), class = "maskr_error_file")
  expect_error(seg_pictures(list(matrix(0, 4, 4)), tempdir(), n = 0),
               class = "maskr_error_argument")
})

test_that("all callbacks do their work in one training", {
  skip_if_no_python()
  folder <- withr::local_tempdir("a folder ")
  shown <- character()
  withr::local_options(viewer = function(url) shown <<- c(shown, url))
  path <- file.path(folder, "log.csv")
  history <- fit(
    tiny_model(), squares(), validation_data = squares(2, 2), epochs = 3, precision = "float32",
    callbacks = list(
      seg_early_stopping("val_iou", patience = 1, min_delta = 1),
      seg_checkpoint(file.path(folder, "models")),
      seg_csv_log(path),
      seg_pictures(squares(3), file.path(folder, "pictures"), n = 2, view = TRUE)
    )
  )
  expect_equal(max(history$epoch), 2)
  expect_equal(attr(history, "stopped"), "early stopping")
  expect_length(attr(history, "seconds"), 2)
  log <- read.csv(path)
  expect_named(log, c("epoch", "loss", "iou", "val_loss", "val_iou"))
  valid_iou <- history$value[history$metric == "iou" & history$data == "valid"]
  expect_equal(log$val_iou, valid_iou, tolerance = 1e-6)
  expect_setequal(list.files(file.path(folder, "models")), c("best.keras", "last.keras"))
  expect_s3_class(seg_load(file.path(folder, "models", "best.keras")), "seg_model")
  pictures <- list.files(file.path(folder, "pictures"))
  expect_equal(pictures, c("epoch-001.png", "epoch-002.png"))
  expect_length(shown, 2)
  expect_match(readLines(shown[[2]]), "epoch-002.png", fixed = TRUE)
  expect_true(file.exists(file.path(dirname(shown[[2]]), "epoch-002.png")))
})

test_that("pictures use the colours of the classes", {
  skip_if_no_python()
  skip_if_not_installed("png")
  folder <- withr::local_tempdir()
  left <- cbind(matrix(1, 16, 12), matrix(0, 16, 12))
  data <- seg_dataset(list(left / 2), list(left * 4L), classes, batch_size = 1)
  fit(tiny_model(), data, epochs = 1, callbacks = seg_pictures(data, folder, view = FALSE))
  picture <- png::readPNG(file.path(folder, "epoch-001.png"))
  truth <- seg_palette(1)
  row <- nrow(picture) %/% 2
  inside <- picture[row, 300 + 16 + 75, ] * 255
  expect_equal(inside, round(0.5 * col2rgb(truth)[, 1] + 0.5 * 128), tolerance = 0.02,
               ignore_attr = TRUE)
  expect_equal(picture[row, 300 + 16 + 225, ], c(0, 0, 0))
})

test_that("Keras's callbacks and ours go together, and others are errors", {
  skip_if_no_python()
  keras <- reticulate::import("keras")
  epochs <- integer()
  callback <- keras$callbacks$LambdaCallback(on_epoch_end = function(epoch, logs) {
    epochs <<- c(epochs, epoch)
  })
  fit(tiny_model(), squares(), epochs = 2, callbacks = list(callback, seg_early_stopping("loss")))
  expect_equal(epochs, 0:1)
  expect_error(fit(tiny_model(), squares(), callbacks = seg_early_stopping()),
               "no validation data", class = "maskr_error_data")
  expect_error(fit(tiny_model(), squares(), callbacks = seg_early_stopping("f2")),
               class = "maskr_error_data")
  expect_error(fit(tiny_model(), squares(), callbacks = list("x")), "not\\s+\"x\"",
               class = "maskr_error_argument")
  expect_error(fit(tiny_model(), squares(), callbacks = seg_early_stopping), "a function",
               class = "maskr_error_argument")
  expect_equal(callbacks_for_python(NULL, classes), list())
})

test_that("TensorBoard's folder is written", {
  skip_if_no_python("tensorboard")
  folder <- file.path(withr::local_tempdir(), "board")
  fit(tiny_model(), squares(), epochs = 1, callbacks = seg_tensorboard(folder))
  expect_match(list.files(folder), "tfevents")
})
