# seg_evaluate() scores what predict() predicts, and both see whatever was done to the network.

test_that("scores are those of predicted masks to the last digit, at any size", {
  skip_if_no_python()
  set.seed(5)
  classes <- c(background = 0, disc = 2, square = 7)
  model <- seg_unet(3, classes, init_features = 4)
  sizes <- list(c(21, 34), c(21, 34), c(40, 17), c(64, 48), c(1, 9))
  images <- lapply(sizes, function(size) array(runif(prod(size) * 3), c(size, 3)))
  masks <- lapply(sizes, function(size) matrix(sample(c(0, 2, 7), prod(size), TRUE), size[1]))
  for (batch_size in c(1, 3)) {
    data <- seg_dataset(images, masks, classes, batch_size = batch_size)
    evaluated <- seg_evaluate(model, data, per_image = TRUE)
    compared <- seg_metrics(masks, predict(model, images), classes, per_image = TRUE)
    expect_identical(evaluated$value, compared$value)
    expect_identical(evaluated$n, compared$n)
  }
})

test_that("pixels that images lack count nowhere, in no family of metrics", {
  skip_if_no_python()
  set.seed(7)
  classes <- c(background = 0, disc = 2, square = 7)
  model <- seg_unet(3, classes, init_features = 4)
  sizes <- list(c(24, 35), c(40, 17))
  images <- lapply(sizes, function(size) array(runif(prod(size) * 3), c(size, 3)))
  images[[1]][3:12, 20:30, ] <- NA
  images[[2]][1, 1, 2] <- NaN
  masks <- lapply(sizes, function(size) matrix(sample(c(0, 2, 7), prod(size), TRUE), size[1]))
  families <- c("iou", "boundary_iou", "hd95", "average_precision", "ece")
  evaluated <- seg_evaluate(model, images, masks, metrics = families)
  prob <- predict(model, images, type = "prob")
  compared <- seg_metrics(masks, prob, classes, metrics = families)
  expect_equal(evaluated$value, compared$value, tolerance = 1e-12)
  expect_identical(evaluated$n, compared$n)
  expect_equal(evaluated$n[1], 24 * 35 + 40 * 17 - 10 * 11 - 1)
  plain <- seg_metrics(masks, predict(model, images), classes)
  expect_identical(seg_evaluate(model, images, masks)$value, plain$value)
})

test_that("weights that change in place count in the next prediction", {
  skip_if_no_python()
  set.seed(6)
  model <- seg_unet(1, c(background = 0, disc = 1), init_features = 2)
  image <- matrix(runif(20 * 30), 20)
  before <- predict(model, image, "logit", precision = "float32")
  first <- model$module$get_submodule("encoder1.enc1conv1")
  flipped <- first$weight$detach()$flip(0L)
  first$weight$data$copy_(flipped)
  after <- predict(model, image, "logit", precision = "float32")
  again <- predict(seg_clone(model), image, "logit", precision = "float32")
  expect_gt(max(abs(after - before)), 1e-4)
  expect_equal(after, again, tolerance = 1e-6)
})

test_that("weights that are not finite are an error that names them, in every verb", {
  skip_if_no_python()
  model <- seg_unet(1, c(background = 0, disc = 1), init_features = 2)
  image <- matrix(runif(20 * 30), 20)
  scenes <- list(list(a = image, b = image), list(image > 2, image > 2))
  model$module$conv$bias$data$fill_(NaN)
  verbs <- list(
    \() predict(model, image), \() predict(model, list(a = image, b = image), type = "prob"),
    \() seg_evaluate(model, scenes[[1]], scenes[[2]]), \() fit(model, scenes, verbose = FALSE),
    \() seg_lr_find(model, seg_dataset(scenes[[1]], scenes[[2]], c(background = 0, disc = 1)),
                    verbose = FALSE),
    \() seg_export(model, tempfile(fileext = ".pt2"))
  )
  for (verb in verbs) expect_error(verb(), "conv[.]bias", class = "maskr_error_data")
  expect_error(verbs[[2]](), "Image \"a\"")
  expect_error(verbs[[3]](), "Image \"a\"")
})
