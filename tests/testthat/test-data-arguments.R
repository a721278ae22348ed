# Images and masks as the verbs of a model take them, and what they are called in errors.

binary <- c(background = 0, nucleus = 1)

small_model <- function() {
  skip_if_no_python()
  seg_unet(1, binary, init_features = 2)
}

# Three images [N, H, W, C] and masks [N, H, W] in one array each, and the same as lists.
stacked <- function() {
  scenes <- seg_example("nuclei", n = 3, size = c(32, 48), seed = 1)
  images <- lapply(scenes$images, \(x) matrix(x, 32, 48))
  masks <- lapply(scenes$masks, \(x) matrix(as.integer(x), 32, 48))
  x <- array(0, c(3, 32, 48, 1))
  y <- array(0L, c(3, 32, 48))
  for (i in 1:3) {
    x[i, , , 1] <- images[[i]]
    y[i, , ] <- masks[[i]]
  }
  list(images = images, masks = masks, x = x, y = y)
}

test_that("arrays [N, H, W, C] are several images for every verb, as for predict()", {
  data <- stacked()
  trained <- function(...) {
    set.seed(1)
    as.data.frame(fit(small_model(), ..., epochs = 1, batch_size = 2, seed = 1))
  }
  wanted <- trained(data$images, data$masks, validation_data = list(data$images, data$masks))
  expect_identical(trained(data$x, data$y, validation_data = list(data$x, data$y)), wanted)
  wide <- array(data$y, c(dim(data$y), 1))
  expect_identical(trained(list(data$x, wide), validation_data = list(data$x, data$y)), wanted)
  expect_identical(trained(seg_dataset(data$x, data$y, classes = binary, batch_size = 2))$value,
                   wanted$value[wanted$data == "train"])

  set.seed(1)
  model <- small_model()
  expect_equal(as.data.frame(seg_evaluate(model, data$x, data$y)),
               as.data.frame(seg_evaluate(model, data$images, data$masks)))
  set.seed(1)
  found <- seg_lr_find(model, data$x, data$y, steps = 25, batch_size = 2)
  set.seed(1)
  expect_identical(seg_lr_find(model, data$images, data$masks, steps = 25, batch_size = 2), found)
  expect_identical(unname(predict(model, data$x)), unname(predict(model, data$images)))
  expect_length(seg_dataset(data$x, data$masks), 3)
  expect_error(seg_dataset(data$x, data$y[1:2, , ]), class = "maskr_error_argument")
})

test_that("images without masks are named as the verb calls them", {
  data <- stacked()
  model <- small_model()
  images <- list(data$images, data$images[1:2], data$images[[1]], data$x,
                 lapply(data$images[1:2], seg_image))
  for (x in images) {
    error <- expect_error(fit(model, x, epochs = 1), "`x` holds images alone.*`y`",
                          class = "maskr_error_argument")
    expect_identical(error$arg, "y")
    expect_error(seg_lr_find(model, x), "`x` holds images alone", class = "maskr_error_argument")
    error <- expect_error(seg_evaluate(model, x), "holds images alone",
                          class = "maskr_error_argument")
    expect_identical(error$arg, "y")
    error <- expect_error(fit(model, data$images, data$masks, validation_data = x),
                          "`validation_data` holds images alone.*list\\(images, masks\\)",
                          class = "maskr_error_argument")
    expect_identical(error$arg, "validation_data")
  }
})

test_that("errors about images and masks name `x` and `y`, not arguments of seg_dataset()", {
  data <- stacked()
  model <- small_model()
  error <- expect_error(fit(model, data$images, data$masks[1:2]), "`x` and `y` must be of the same",
                        class = "maskr_error_argument")
  expect_identical(error$arg, "y")
  fractions <- lapply(data$masks, \(mask) mask / 2)
  expect_error(fit(model, data$images, fractions), "`y\\[\\[", class = "maskr_error_data")
  expect_error(fit(model, "nowhere.png", data$masks), "`x` names a file",
               class = "maskr_error_file")
  expect_error(seg_evaluate(model, "nowhere.png", data$masks), "`dataset` names a file",
               class = "maskr_error_file")
  expect_error(seg_dataset(data$images, data$masks[1:2]), "`images` and `targets`")
})

test_that("of several images, the one at fault is named", {
  data <- stacked()
  model <- small_model()
  data$images[[2]][3, 4] <- Inf
  named <- stats::setNames(data$images, c("first", "second", "third"))
  expect_error(predict(model, data$images), "Image 2 .*infinite", class = "maskr_error_data")
  expect_error(predict(model, named), "Image \"second\" .*infinite", class = "maskr_error_data")
  for (verb in list(
    \() fit(model, named, data$masks, epochs = 1), \() seg_evaluate(model, named, data$masks),
    \() seg_lr_find(model, named, data$masks, steps = 25)
  )) {
    expect_error(verb(), "Image \"second\" .*infinite", class = "maskr_error_data")
  }
  expect_error(predict(model, data$images[[2]]), "^The image holds", class = "maskr_error_data")
  named[[2]] <- array(stats::runif(32 * 48 * 5), c(32, 48, 5))
  expect_error(predict(model, named), "Image \"second\" has 5 channels",
               class = "maskr_error_shape")
})

test_that("a detector names the image at fault too", {
  skip_if_no_python("yolo")
  detector <- suppressMessages(seg_yolo("yolov8n-seg.yaml"))
  images <- list(first = matrix(0.5, 32, 48), second = matrix(Inf, 32, 48))
  expect_error(predict(detector, images), "Image \"second\"", class = "maskr_error_data")
  expect_error(predict(detector, unname(images)), "Image 2", class = "maskr_error_data")
})

test_that("a mask with channels is not taken for a narrow volume", {
  data <- stacked()
  for (channels in 1:4) {
    mask <- array(data$masks[[1]], c(32, 48, channels))
    for (verb in list(
      \() as_seg_mask(mask, binary), \() seg_mask(mask, binary),
      \() seg_dataset(data$images[1], list(mask)), \() as_seg_instances(mask, c(nucleus = 1))
    )) {
      expect_error(verb(), paste0(channels, " channel"), class = "maskr_error_shape")
    }
  }
  # what says that it is a volume is one
  narrow <- array(0L, c(32, 48, 3))
  expect_identical(dim(seg_mask(narrow, binary, spacing = c(1, 1, 1))), dim(narrow))
  expect_error(as_seg_mask(array(0L, c(4, 4, 3))), "3 channels", class = "maskr_error_shape")
  expect_identical(dim(seg_mask(array(0L, c(3, 48, 3)), binary)), c(3L, 48L, 3L))
  expect_identical(dim(seg_mask(array(0L, c(16, 48, 5)), binary)), c(16L, 48L, 5L))
})

test_that("scores refuse masks with channels, and take narrow volumes", {
  skip_if_no_python()
  flat <- matrix(rep(c(0L, 0L, 1L), 1024), 48, 64)
  channels <- array(flat, c(48, 64, 3))
  for (pair in list(list(channels, channels), list(channels, flat), list(flat, channels))) {
    expect_error(seg_metrics(pair[[1]], pair[[2]]), "3 channels", class = "maskr_error_shape")
  }
  # one of both says that they are volumes
  volume <- seg_mask(channels, spacing = c(1, 1, 1))
  expect_identical(seg_metrics(volume, channels)$confusion, seg_metrics(volume, volume)$confusion)
  expect_identical(seg_metrics(channels, volume)$confusion, seg_metrics(volume, volume)$confusion)
})
