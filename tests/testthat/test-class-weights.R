# Two images of 10 and 20 pixels; only the first holds "cell", only the second "rare".
worked_example <- function(classes = c(background = 0, cell = 1, rare = 7), ...) {
  first <- matrix(c(rep(0, 6), rep(1, 4)), 2, 5)
  second <- matrix(c(rep(0, 18), rep(7, 2)), 4, 5)
  seg_dataset(list(matrix(0.5, 2, 5), matrix(0.5, 4, 5)), list(first, second),
              classes = classes, ...)
}

test_that("median-frequency balancing, by hand", {
  skip_if_no_python()
  # frequencies: 24 of 30, 4 of 10, 2 of 20; their median is 0.4
  weights <- seg_class_weights(worked_example())
  expect_equal(c(weights), c(background = 0.4 / 0.8, cell = 1, rare = 0.4 / 0.1),
               ignore_attr = "counts")
  counts <- attr(weights, "counts")
  expect_equal(counts$class, c(0, 1, 7))
  expect_equal(counts$label, c("background", "cell", "rare"))
  expect_equal(counts$pixels, c(24, 4, 2))
  expect_equal(counts$images, c(2, 1, 1))
  expect_equal(counts$share, c(0.8, 4 / 30, 2 / 30))
})

test_that("inverse frequency and effective number, by hand", {
  skip_if_no_python()
  data <- worked_example()
  expect_equal(as.double(seg_class_weights(data, "inverse")), 30 / (3 * c(24, 4, 2)))
  raw <- (1 - 0.9) / (1 - 0.9^c(24, 4, 2))
  expect_equal(as.double(seg_class_weights(data, "effective", beta = 0.9)), raw / mean(raw))
  raw <- 0.1 / (1 - 0.9^c(24, 4, 2)) # 1 - 3 classes / 30 pixels
  expect_equal(as.double(seg_class_weights(data, "effective")), raw / mean(raw))
  expect_equal(as.double(seg_class_weights(data, "effective", beta = 0)), c(1, 1, 1))
  inverse <- 1 / c(24, 4, 2)
  expect_equal(as.double(seg_class_weights(data, "effective", beta = 1 - 1e-9)),
               inverse / mean(inverse), tolerance = 1e-6)
})

test_that("NA doesn't count and an absent class gets 1, with a warning", {
  skip_if_no_python()
  data <- worked_example(c(background = 0, cell = 1, rare = 7, none = 9))
  data$targets[[2]][] <- NA
  expect_warning(weights <- seg_class_weights(data), class = "maskr_warning_absent")
  expect_equal(as.double(weights), c(0.5 / 0.6, 0.5 / 0.4, 1, 1))
  data$targets[[1]][] <- NA
  expect_error(seg_class_weights(data), class = "maskr_error_data")
})

test_that("weights reach the loss by the names of classes", {
  skip_if_no_python()
  weights <- seg_class_weights(worked_example())
  loss <- seg_loss("cross_entropy", class_weights = weights)
  expect_null(attr(attr(loss, "terms")[[1]]$arguments$class_weights, "counts"))
  # the model has its classes in another order; both losses must be the same number
  loss_of <- function(classes, class_weights) {
    model <- seg_unet(1, classes, init_features = 2)
    model |> compile(loss = seg_loss("cross_entropy", class_weights = class_weights))
    unlist(model$loss$terms[[1]]$arguments$class_weights)
  }
  expect_equal(loss_of(c(background = 0, cell = 1, rare = 7), weights), c(0.5, 1, 4))
  expect_equal(loss_of(c(rare = 7, background = 0, cell = 1), weights), c(4, 0.5, 1))
  expect_equal(loss_of(c(rare = 7, background = 0, cell = 1), c(1, 2, 3)), c(1, 2, 3))
  expect_error(loss_of(c(background = 0, cell = 1), weights), class = "maskr_error_data")
  history <- fit(seg_unet(1, c(rare = 7, background = 0, cell = 1), init_features = 2) |>
                   compile(loss = loss), worked_example(), epochs = 1, precision = "float32")
  expect_true(all(is.finite(history$value)))
  prob <- array(rep(c(0.2, 0.3, 0.5), each = 4), c(2, 2, 3))
  index <- matrix(c(0, 1, 2, 2), 2)
  expected <- stats::weighted.mean(-log(c(0.2, 0.3, 0.5, 0.5)), c(0.5, 1, 4, 4))
  expect_equal(loss(index, prob), expected, tolerance = 1e-6)
})

test_that("scenes are taken, other things refused", {
  skip_if_no_python()
  scenes <- seg_example("shapes", n = 2, size = c(48, 64))
  expect_named(seg_class_weights(scenes), names(scenes$classes))
  expect_error(seg_class_weights(1:3), class = "maskr_error_argument")
  expect_error(seg_class_weights(scenes, beta = 0.9), class = "maskr_error_argument")
  expect_error(seg_class_weights(scenes, "effective", beta = 1), class = "maskr_error_argument")
})
