classes <- c(background = 0, nucleus = 4)

dots <- function(n = 6, size = c(24, 32)) {
  set.seed(7)
  masks <- lapply(seq_len(n), \(i) {
    mask <- matrix(0, size[1], size[2])
    mask[sample(size[1] - 9, 1) + 0:8, sample(size[2] - 9, 1) + 0:9] <- 4
    mask
  })
  images <- lapply(masks, \(mask) mask / 5 + matrix(stats::runif(length(mask), 0, 0.1), size[1]))
  seg_dataset(images, masks, classes, batch_size = 2)
}

build <- function(learning_rate, features = 2) {
  compile(seg_unet(1, classes, init_features = features), learning_rate = learning_rate)
}

test_that("all combinations are trained on the same folds and ranked", {
  skip_if_no_python()
  data <- dots()
  set.seed(1)
  before <- .Random.seed
  tuned <- seg_tune(build, data, list(learning_rate = c(1e-9, 0.03), features = 2),
                    folds = c(1, 1, 1, 2, 2, 2), metric = "iou", class = "nucleus", epochs = 6,
                    precision = "float32")
  expect_s3_class(tuned, "seg_tune")
  expect_named(tuned, c("learning_rate", "features", "value", "sd", "lower", "upper", "folds",
                        "seconds", "rank", "error"))
  expect_equal(tuned$rank, c(2, 1))
  expect_equal(seg_best(tuned), list(learning_rate = 0.03, features = 2))
  values <- attr(tuned, "values")
  expect_equal(dim(values), c(2, 2))
  expect_equal(tuned$value, rowMeans(values))
  expect_equal(tuned$sd, apply(values, 1, sd))
  expect_true(all(is.na(tuned$error)))
  expect_false(identical(before, .Random.seed))
})

test_that("equal combinations have equal scores, since they start alike", {
  skip_if_no_python()
  set.seed(1)
  tuned <- seg_tune(build, dots(4), data.frame(learning_rate = c(0.01, 0.01)), folds = 2,
                    epochs = 1, precision = "float32")
  values <- attr(tuned, "values")
  expect_identical(values[1, ], values[2, ])
  expect_equal(tuned$rank, c(1, 1))
})

test_that("a combination that fails is recorded, and the others go on", {
  skip_if_no_python()
  fragile <- function(learning_rate) {
    if (learning_rate > 1) maskr_abort("data", "That is {.emph too} fast.")
    build(learning_rate)
  }
  expect_warning(
    tuned <- seg_tune(fragile, dots(4), list(learning_rate = c(2, 0.01)),
                      validation_data = dots(2), epochs = 1),
    "1 of 2 combinations failed", class = "maskr_warning_failed"
  )
  expect_equal(tuned$error, c("That is too fast.", NA))
  expect_equal(tuned$rank, c(NA, 1))
  expect_true(is.na(tuned$sd[2]))
  expect_equal(seg_best(tuned), list(learning_rate = 0.01))
  expect_output(print(tuned), "failed")
  expect_error(
    suppressWarnings(seg_best(seg_tune(\(a) stop("no"), dots(4), list(a = 1:2)))),
    class = "maskr_error_data"
  )
})

test_that("losses are best when small", {
  skip_if_no_python()
  tried <- lapply(c(0.7, 0.2, 0.4), \(value) {
    list(values = value, error = NA_character_, seconds = 1)
  })
  columns <- data.frame(a = 1:3)
  expect_equal(new_seg_tune(tried, columns, list(metric = "loss"), 0.95)$rank, c(3, 1, 2))
  expect_equal(new_seg_tune(tried, columns, list(metric = "dice"), 0.95)$rank, c(1, 3, 2))

  set.seed(1)
  tuned <- seg_tune(build, dots(4), list(learning_rate = c(1e-9, 0.03)), folds = 2,
                    metric = "loss", epochs = 5, precision = "float32")
  expect_equal(tuned$rank, c(2, 1))
  expect_lt(tuned$value[2], tuned$value[1])
})

test_that("combinations are compared by the folds in which all have a score", {
  outcome <- \(values, error = NA_character_) list(values = values, error = error, seconds = 1)
  tried <- list(outcome(c(0.5, NA, 0.7)), outcome(c(0.6, 0, 0.7)), outcome(NA_real_, "failed"))
  score <- list(metric = "dice", class = "nucleus")
  tuned <- new_seg_tune(tried, data.frame(a = 1:3), score, 0.95)
  expect_equal(tuned$value, c(0.6, 0.65, NA))
  expect_equal(tuned$folds, c(2, 2, 0))
  expect_equal(tuned$rank, c(2, 1, NA))
  expect_match(format(tuned)[[1]], "2 of 3 folds")
  none <- new_seg_tune(list(outcome(c(NA, 1)), outcome(c(1, NA))), data.frame(a = 1:2), score, 0.95)
  expect_true(all(is.na(none$rank)))
  expect_error(seg_best(none), "In no fold", class = "maskr_error_data")
  expect_match(format(none)[[1]], "0 of 2 folds")
})

test_that("a training that diverged has failed", {
  columns <- list(epoch = 1, metric = "loss", data = "valid", value = NaN)
  expect_error(reported(new_seg_history(columns, 1, "val_loss"), list(metric = "loss"), 1),
               "diverged", class = "maskr_error_data")
})

test_that("one model for all combinations ends the search", {
  skip_if_no_python()
  model <- build(0.01)
  expect_error(
    seg_tune(\(a) model, dots(4), list(a = 1:2), validation_data = dots(2), epochs = 1),
    class = "maskr_error_same_model"
  )
})

test_that("a grid may hold losses, names and whatever else the model is made of", {
  skip_if_no_python()
  grid <- list(loss = list(seg_loss("dice"), "bce"), rate = 0.01)
  model <- function(loss, rate) {
    compile(seg_unet(1, classes, init_features = 2), loss = loss, learning_rate = rate)
  }
  tuned <- seg_tune(model, dots(4), grid, validation_data = dots(2), metric = "dice", epochs = 1)
  expect_equal(nrow(tuned), 2)
  expect_s3_class(tuned$loss[[1]], "seg_loss")
  expect_match(capture.output(print(tuned)), "seg_loss", all = FALSE)
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file)
  expect_identical(plot(tuned), tuned)
  grDevices::dev.off()
  skip_if_not_installed("ggplot2")
  expect_s3_class(ggplot2::autoplot(tuned), "ggplot")
})

test_that("an interrupt returns what was finished", {
  skip_if_no_python()
  tried <- 0
  once <- function(learning_rate) {
    tried <<- tried + 1
    if (tried == 2) rlang::interrupt()
    build(learning_rate)
  }
  expect_message(
    tuned <- seg_tune(once, dots(4), list(learning_rate = c(0.01, 0.02, 0.03)),
                      validation_data = dots(2), epochs = 1),
    "2 of 3 combinations not tried"
  )
  expect_equal(tuned$error, c(NA, "not tried", "not tried"))
  expect_equal(tried, 2)
})

test_that("a tuned model is printed", {
  columns <- data.frame(learning_rate = c(1e-3, 1e-4, 1e-2), upsample = c("a", "b", "a"))
  tried <- list(
    list(values = c(0.7, 0.8), error = NA_character_, seconds = 12.3),
    list(values = c(0.9, 0.8), error = NA_character_, seconds = 61),
    list(values = NA_real_, error = "no memory", seconds = 0.1)
  )
  tuned <- new_seg_tune(tried, columns, list(metric = "iou", class = "nucleus"), 0.95)
  expect_snapshot(print(tuned))
  expect_s3_class(as.data.frame(tuned), "data.frame", exact = TRUE)
})

test_that("wrong arguments are errors before anything is trained", {
  skip_if_no_python()
  data <- dots(4)
  never <- function(a, b) stop("was called")
  bad <- function(..., grid = list(a = 1)) {
    expect_error(seg_tune(never, data, grid, ...), class = "maskr_error_argument")
  }
  bad(grid = list(1, 2))
  bad(grid = list(c = 1))
  bad(grid = list())
  bad(grid = 7)
  bad(grid = list(a = numeric()))
  bad(metric = "iou")
  bad(metric = "mean_iou", class = "nucleus")
  bad(folds = 2, validation_data = data)
  bad(metric = "loss", valid = 0.2)
  expect_error(seg_best(data), class = "maskr_error_argument")
  expect_error(seg_tune(\(rank) 1, data, list(rank = 1)), "column", class = "maskr_error_argument")
  bad(metric = "dice", class = "cat")
  bad(resume = tempfile())
  bad(callbacks = seg_csv_log(tempfile()))
  expect_warning(
    tuned <- seg_tune(build, data, list(learning_rate = 0.1), validation_data = data,
                      epochs = 1e6, metric = "nope"),
    class = "maskr_warning_failed"
  )
  expect_match(tuned$error, "no .*nope")
})
