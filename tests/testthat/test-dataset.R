test_that("a dataset describes itself and survives saveRDS", {
  images <- list(a = matrix(0.5, 4, 6), b = matrix(0.2, 8, 6))
  masks <- list(matrix(0L, 4, 6), matrix(1L, 8, 6))
  data <- seg_dataset(images, masks, classes = c(background = 0, nucleus = 1), size = c(32, 48))
  expect_snapshot(data)
  expect_length(data, 2)
  path <- withr::local_tempfile()
  saveRDS(data, path)
  expect_identical(readRDS(path), data)
})

test_that("scenes bring images, masks and classes", {
  skip_if_no_python()
  scenes <- seg_example("shapes", n = 3, size = c(48, 64))
  data <- seg_dataset(scenes, batch_size = 2)
  expect_equal(data$classes, scenes$classes)
  expect_equal(data$targets, scenes$masks)
  with_objects <- seg_dataset(scenes$images, scenes$instances, classes = scenes$classes)
  model <- seg_unet(3, scenes$classes, init_features = 2)
  a <- seg_evaluate(model, data, precision = "float32")
  b <- seg_evaluate(model, with_objects, precision = "float32")
  expect_equal(as.data.frame(a), as.data.frame(b))
})

test_that("files and arrays give the same numbers", {
  skip_if_no_python()
  scenes <- seg_example("shapes", n = 2, size = c(48, 64))
  folder <- withr::local_tempdir()
  images <- file.path(folder, c("1.png", "2.png"))
  masks <- file.path(folder, c("m1.png", "m2.png"))
  for (i in 1:2) {
    png::writePNG(array(scenes$images[[i]], dim(scenes$images[[i]])), images[[i]])
    seg_write_mask(scenes$masks[[i]], masks[[i]])
  }
  set.seed(1)
  model <- seg_unet(3, scenes$classes, init_features = 2)
  files <- seg_dataset(images, masks, classes = scenes$classes)
  a <- seg_evaluate(model, files, precision = "float32")
  b <- seg_evaluate(model, seg_dataset(scenes), precision = "float32")
  expect_equal(as.data.frame(a), as.data.frame(b), tolerance = 1e-3)
})

test_that("classes are matched to a model's by name", {
  skip_if_no_python()
  model <- seg_unet(1, c(background = 0, cat = 5, dog = 9), init_features = 2)
  image <- matrix(seq(0, 1, length.out = 16 * 16), 16)
  mask <- matrix(c(0L, 1L), 16, 16)
  data <- seg_dataset(list(image), list(mask), classes = c(background = 0, dog = 1))
  metrics <- seg_evaluate(model, data)
  seen <- metrics$n[metrics$metric == "iou"]
  expect_equal(seen, c(128, 0, 128))
})

test_that("what does not fit together is an error", {
  image <- matrix(0.5, 4, 6)
  mask <- matrix(0L, 4, 6)
  expect_snapshot(error = TRUE, {
    seg_dataset(list(image, image), list(mask))
    seg_dataset(array(0, c(2, 32, 48)), list(mask, mask))
    seg_dataset(list(image, image), array(0L, c(32, 48, 2)))
    seg_dataset(list(image), list(mask, mask))
    seg_dataset(list(image), "nothere.png")
    seg_dataset("nothere.png", list(mask))
    seg_dataset(list("a"), list(mask))
    seg_dataset(list(image), list(mask), classes = c(nucleus = 1))
    seg_dataset(list(image), list(mask), size = c(1, 2, 3))
    seg_dataset(list(image), list(mask), resize = "squash")
    seg_dataset(list(image), list(mask), augment = "heavy")
    seg_dataset(list(image), list(mask), sample_weights = c(1, 2))
    seg_dataset(list(image), list(mask), batch_size = 0)
    seg_dataset(list(image), list(mask + 0.5))
  }, transform = hide_folder)
})

test_that("grey pictures that another program saved as RGB go through every verb as one channel", {
  skip_if_no_python()
  set.seed(1)
  scenes <- seg_example("nuclei", n = 4, size = c(32, 48))
  as_rgb <- function(image) seg_image(array(rep(image, 3), c(dim(image)[1:2], 3)))
  model <- seg_unet(1, scenes$classes, init_features = 4)
  grey <- lapply(scenes$images, \(image) image[, , 1])
  mixed <- c(grey[1:2], lapply(grey[3:4], as_rgb))
  expect_identical(predict(model, mixed), predict(model, grey))
  data <- seg_dataset(mixed, scenes$masks, classes = scenes$classes, batch_size = 4)
  plain <- seg_dataset(grey, scenes$masks, classes = scenes$classes, batch_size = 4)
  expect_equal(seg_evaluate(model, data)$value, seg_evaluate(model, plain)$value)
  expect_s3_class(fit(model, data, epochs = 1, verbose = FALSE), "seg_history")
  augmented <- seg_dataset(mixed, scenes$masks, classes = scenes$classes, augment = "microscopy")
  expect_s3_class(fit(model, augmented, epochs = 1, verbose = FALSE), "seg_history")
  mixed[[4]][1, 1, 2] <- 0.123
  expect_error(predict(model, mixed[[4]]), "3 channels", class = "maskr_error_shape")
})

test_that("masks of -1 are an error in every verb, as those of -2 are", {
  skip_if_no_python()
  classes <- c(background = 0, nucleus = 1)
  image <- matrix(seq(0, 1, length.out = 16 * 24), 16)
  model <- seg_unet(1, classes, init_features = 2)
  for (wrong in c(-1, -2)) {
    mask <- (image > 0.5) + 0
    mask[3, 4] <- wrong
    refuse <- function(expr) {
      error <- expect_error(expr, class = "maskr_error_data")
      expect_match(conditionMessage(error), paste0("(holds|not) ", wrong))
    }
    data <- seg_dataset(list(a = image), list(mask), classes)
    refuse(fit(model, list(image), list(mask), epochs = 1, verbose = FALSE))
    refuse(fit(model, list(image), list(mask * 0), epochs = 1, verbose = FALSE,
               validation_data = list(list(image), list(mask))))
    refuse(seg_evaluate(model, list(image), list(mask)))
    refuse(seg_metrics(mask, mask * 0))
    refuse(seg_metrics(mask * 0, mask))
    refuse(seg_mask(mask))
    refuse(as_seg_mask(mask))
    refuse(as_seg_instances(mask))
    refuse(seg_loss("dice")(mask, image))
    refuse(seg_class_weights(data))
    refuse(data[[1]])
    found <- seg_check(data)
    expect_match(found$message[found$check == "mask"], paste("holds", wrong))
    expect_identical(found$severity[found$check == "mask"], "error")
    file <- withr::local_tempfile(fileext = ".png")
    refuse(seg_write_mask(mask, file))
    expect_false(file.exists(file))
  }
})
