scenes <- function() {
  set.seed(1)
  images <- lapply(1:6, \(i) matrix(runif(24 * 40), 24))
  list(images = images, masks = lapply(images, \(image) (image > 0.5) * 1L),
       classes = c(background = 0, nucleus = 1))
}

made <- function(suggestion = 1e-2, diverged = TRUE, still_falling = FALSE) {
  rate <- 10^seq(-4, 0, length.out = 9)
  frame <- data.frame(learning_rate = rate, loss = c(1, 1, 0.9, 0.7, 0.3, 0.2, 0.2, 1, 9),
                      smoothed = c(1, 1, 0.9, 0.6, 0.3, 0.2, 0.3, 1, 5))
  structure(frame, suggestion = suggestion, still_falling = still_falling, diverged = diverged,
            class = c("seg_lr_find", "data.frame"))
}

test_that("the test prints what it suggests", {
  expect_snapshot({
    made()
    made(1e-1, diverged = FALSE, still_falling = TRUE)
  })
})

test_that("it plots in base graphics and ggplot2", {
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_identical(plot(made()), made())
  skip_if_not_installed("ggplot2")
  built <- ggplot2::ggplot_build(ggplot2::autoplot(made()))
  expect_equal(nrow(built$data[[1]]), 18)
  expect_equal(built$data[[2]]$xintercept, -2)
})

test_that("a learning rate is found, and the model stays as it is", {
  skip_if_no_python()
  set.seed(1)
  model <- seg_unet(1, scenes()$classes, init_features = 2)
  weights <- function() lapply(model$module$state_dict(), \(tensor) tensor$numpy() + 0)
  before <- weights()
  find <- function() {
    set.seed(2)
    seg_lr_find(model, scenes(), from = 1e-5, to = 10, steps = 30, batch_size = 2,
                precision = "float32")
  }
  found <- find()
  expect_s3_class(found, "seg_lr_find")
  expect_named(found, c("learning_rate", "loss", "smoothed"))
  expect_equal(found$learning_rate[1:3], 10^(-5 + 6 / 29 * 0:2))
  suggestion <- attr(found, "suggestion")
  expect_true(suggestion %in% found$learning_rate)
  expect_lt(suggestion, found$learning_rate[which.min(found$smoothed)])
  expect_identical(weights(), before)
  expect_identical(find(), found)
  compile(model, optimizer = "sgd", learning_rate = suggestion)
  history <- fit(model, scenes(), epochs = 1, batch_size = 2)
  expect_true(is.finite(history$value[[1]]))
})

test_that("there always is a learning rate that training takes, or an error", {
  skip_if_no_python()
  model <- seg_unet(1, scenes()$classes, init_features = 2)
  # one image alone makes a loss without noise
  one <- lapply(scenes()[c("images", "masks")], \(x) x[c(1, 1)])
  set.seed(1)
  expect_message(
    found <- seg_lr_find(model, one$images, one$masks, to = 1e-3, steps = 40, batch_size = 2,
                         precision = "float32"),
    "still falls at the largest learning rate, 0.001", class = "maskr_message_range"
  )
  expect_true(attr(found, "still_falling"))
  expect_true(attr(found, "suggestion") %in% found$learning_rate)
  expect_equal(attr(found, "suggestion"), 1e-4, tolerance = 0.15)
  expect_s3_class(compile(model, learning_rate = attr(found, "suggestion")), "seg_model")
  set.seed(1)
  expect_error(
    seg_lr_find(model, scenes(), from = 1e3, to = 1e5, steps = 25, precision = "float32"),
    "falls nowhere", class = "maskr_error_data"
  )
})

test_that("wrong arguments are classed errors", {
  skip_if_no_python()
  model <- seg_unet(1, scenes()$classes, init_features = 2)
  expect_snapshot(error = TRUE, {
    seg_lr_find(model, scenes(), from = 1, to = 0.1)
    seg_lr_find(model, scenes(), from = 0)
    seg_lr_find(model, scenes(), steps = 3)
    seg_lr_find(model, scenes(), epochs = 3)
    seg_lr_find("model", scenes())
  })
})
