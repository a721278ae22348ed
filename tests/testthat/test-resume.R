classes <- c(background = 0, nucleus = 1)

noise <- function(n, seed, ...) {
  set.seed(seed)
  images <- lapply(seq_len(n), \(i) matrix(runif(24 * 40), 24))
  seg_dataset(images, lapply(images, \(image) (image > 0.5) + 0L), classes, batch_size = 2, ...)
}

train <- function(folder = NULL, epochs = 4, ..., seed = 1) {
  set.seed(seed)
  model <- seg_unet(1, classes, init_features = 2)
  compile(model, learning_rate = 0.01, metrics = "iou", ema = 0.9)
  data <- noise(5, 7, augment = "microscopy")
  set.seed(seed + 1)
  history <- fit(model, data, validation_data = noise(2, 8), epochs = epochs, resume = folder,
                 precision = "float32", callbacks = seg_early_stopping(), ...)
  list(model = model, history = history)
}

weights <- function(run) lapply(run$model$module$state_dict(), \(tensor) tensor$numpy() + 0)

bare <- function(run) as.data.frame(run$history)

test_that("a run that was interrupted ends as the unbroken one", {
  skip_if_no_python()
  folder <- file.path(withr::local_tempdir("run "), "one")
  whole <- train()
  broken <- train(folder, verbose = inner_reporter(function(event) {
    if (event$event == "batch" && event$epoch == 3) rlang::interrupt()
  }))
  expect_equal(max(broken$history$epoch), 2)
  expect_setequal(list.files(folder, all.files = TRUE, no.. = TRUE),
                  c("best.keras", "last.safetensors"))
  resumed <- train(folder)
  expect_identical(weights(resumed), weights(whole))
  expect_identical(bare(resumed), bare(whole))
  expect_equal(unique(resumed$history$epoch), 1:4)
  expect_length(attr(resumed$history, "seconds"), 4)

  # at its end, the run returns at once
  expect_identical(bare(train(folder)), bare(whole))
  expect_s3_class(seg_load(file.path(folder, "best.keras")), "seg_model")
})

test_that("an interrupt says what was kept", {
  said <- function(best_epoch, monitor, restore_best = TRUE) {
    result <- list(stopped = "interrupted", best_epoch = best_epoch, monitor = monitor,
                   diverged = FALSE)
    conditionMessage(expect_message(say_why_stopped(result, restore_best),
                                    class = "maskr_message_interrupted"))
  }
  expect_match(said(2, "val_loss"), "best epoch so far, epoch 2")
  expect_match(said(3, "epoch"), "after epoch 3")
  expect_match(said(0, "val_loss"), "as the last batch left it")
  expect_match(said(2, "val_loss", FALSE), "as the last batch left it")
})

test_that("another process goes on with the run", {
  skip_if_no_python()
  local_own_threads()
  folder <- file.path(withr::local_tempdir(), "run")
  fresh_r(c(
    "library(maskr); set.seed(1); images <- lapply(1:4, function(i) matrix(runif(960), 24))",
    "data <- seg_dataset(images, lapply(images, function(i) (i > 0.5) + 0L),",
    "                    c(background = 0, nucleus = 1), batch_size = 2)",
    "model <- seg_unet(1, c(background = 0, nucleus = 1), init_features = 2)",
    "compile(model, learning_rate = 0.01)",
    paste0("fit(model, data, epochs = 1, resume = '", folder, "')")
  ))
  expect_true(file.exists(file.path(folder, "last.safetensors")))
  run <- function(...) {
    set.seed(1)
    images <- lapply(1:4, \(i) matrix(runif(960), 24))
    data <- seg_dataset(images, lapply(images, \(i) (i > 0.5) + 0L), classes, batch_size = 2)
    model <- seg_unet(1, classes, init_features = 2)
    compile(model, learning_rate = 0.01)
    list(model = model, history = fit(model, data, epochs = 2, ...))
  }
  whole <- run()
  expect_identical(weights(run(resume = folder)), weights(whole))
})

test_that("another run's folder is an error that names what differs", {
  skip_if_no_python()
  folder <- file.path(withr::local_tempdir(), "run")
  train(folder, epochs = 1)
  expect_error(train(folder, monitor = "val_iou"), "monitor is \"val_loss\" there",
               class = "maskr_error_data")
  writeLines("damaged", file.path(folder, "last.safetensors"))
  expect_error(train(folder), "damaged", class = "maskr_error_data")
})
