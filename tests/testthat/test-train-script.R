classes <- c(background = 0, nucleus = 4)

scenes <- function(n, seed) {
  set.seed(seed)
  images <- lapply(seq_len(n), \(i) matrix(stats::runif(24 * 40), 24))
  seg_dataset(images, lapply(images, \(image) 4 * (image > 0.5)), classes, batch_size = 2)
}

# Runs the script by the Python that this session uses.
run_script <- function(path) {
  local_own_threads()
  system2(reticulate::py_exe(), shQuote(path), stdout = TRUE, stderr = TRUE)
}

test_that("the script is the training that fit() would run", {
  skip_if_no_python()
  folder <- withr::local_tempdir("with space ")
  path <- file.path(folder, "train.py")
  train <- scenes(5, 1)
  valid <- scenes(2, 2)
  build <- function() {
    set.seed(3)
    model <- seg_unet(1, classes, init_features = 2)
    compile(model, learning_rate = 0.01, loss = seg_loss("bce") + seg_loss("dice", weight = 2),
            schedule = "cosine", metrics = "dice")
  }
  model <- build()
  before <- unlist(lapply(model$get_weights(), as.vector))
  seg_train_script(model, train, validation_data = valid, epochs = 3, precision = "float32",
                   class_weights = NULL, path = path)
  expect_identical(unlist(lapply(model$get_weights(), as.vector)), before)
  said <- run_script(path)
  expect_match(said, "^Epoch 3/3 loss", all = FALSE)

  history <- fit(build(), train, validation_data = valid, epochs = 3, precision = "float32")
  written <- utils::read.csv(file.path(folder, "train", "history.csv"))
  expected <- as.data.frame(history)
  expected$data <- as.character(expected$data)
  # sums in another order differ in their last digits
  expect_equal(written, expected, tolerance = 1e-4)
  trained <- seg_load(file.path(folder, "train", "trained.keras"))
  expect_s3_class(trained, "seg_model")
  dice <- seg_evaluate(trained, valid, precision = "float32")
  dice <- dice$value[dice$metric == "dice" & dice$class %in% 4]
  best <- attr(history, "best_epoch")
  expect_equal(dice, history$value[history$metric == "dice" & history$data == "valid" &
                                     history$epoch == best], tolerance = 1e-4)
})

test_that("files, callbacks, class weights and what is frozen are written down", {
  skip_if_no_python()
  skip_if_not_installed("jsonlite")
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  for (i in 1:2) png::writePNG(matrix(stats::runif(24 * 32), 24), paste0(i, ".png"))
  masks <- rep(list(matrix(c(0, 4, 4, NA), 24, 32)), 2)
  data <- seg_dataset(c("1.png", "2.png"), masks, classes, augment = "medical")
  model <- seg_unet(1, classes, init_features = 2)
  compile(model, loss = "cross_entropy")
  seg_freeze(model, "encoder1")
  seg_train_script(model, data, epochs = 7, class_weights = "inverse", validation_data = data,
                   callbacks = list(seg_early_stopping(patience = 3)), path = "go.py")
  job <- jsonlite::read_json(file.path("go", "job.json"))
  expect_equal(job$settings$epochs, 7)
  expect_equal(unlist(job$settings$class_weights), c(1.5, 0.75))
  expect_equal(job$settings$callbacks[[1]]$kind, "early_stopping")
  expect_equal(basename(unlist(job$train$images)), c("1.png", "2.png"))
  expect_named(job$train$targets[[1]], "array")
  expect_true("encoder1" %in% unlist(job$frozen$modules))
  expect_match(readLines("go.py"), folder, fixed = TRUE, all = FALSE)
})

test_that("what can't be written is an error before anything is", {
  skip_if_no_python()
  folder <- withr::local_tempdir()
  path <- file.path(folder, "train.py")
  data <- scenes(2, 1)
  model <- seg_unet(1, classes, init_features = 2)
  expect_error(seg_train_script(model, data, path = file.path(folder, "train.R")),
               class = "maskr_error_argument")
  expect_error(seg_train_script(model, data, path = file.path(folder, "none", "train.py")),
               class = "maskr_error_file")
  expect_error(seg_train_script("unet", data, path = path), class = "maskr_error_argument")
  expect_error(seg_train_script(model, data, epochs = 0, path = path), "epochs",
               class = "maskr_error_argument")
  expect_error(seg_train_script(model, data, steps = 2, path = path), "steps",
               class = "maskr_error_argument")
  expect_error(seg_train_script(model, data, callbacks = list(interrupting()), path = path),
               "this session only", class = "maskr_error_data")
  nn <- reticulate::import("torch.nn")
  wrapped <- seg_wrap(nn$Conv2d(1L, 1L, 1L), classes = classes)
  expect_error(seg_train_script(wrapped, data, path = path), "not maskr's",
               class = "maskr_error_data")
  expect_length(list.files(folder), 0)
  seg_train_script(model, data, path = path)
  expect_error(seg_train_script(model, data, path = path), "holds files",
               class = "maskr_error_format")
})
