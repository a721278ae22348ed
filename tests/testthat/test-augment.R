test_that("steps are complete, in order, and survive saveRDS", {
  steps <- seg_augment("light", rotate = list(p = 0.5, degrees = c(-20, 20)), brightness = FALSE,
                       flip_horizontal = 1, gamma = TRUE, noise = list(sd = 0.1),
                       random_crop = list(size = c(64, 96)))
  expect_named(steps, c("flip_horizontal", "contrast", "rotate", "gamma", "noise", "random_crop"))
  expect_identical(steps$rotate, list(p = 0.5, degrees = c(-20, 20)))
  expect_identical(steps$flip_horizontal, list(p = 1))
  expect_identical(steps$noise$sd, c(0.1, 0.1))
  expect_identical(steps$random_crop, list(p = 1, size = c(64, 96)))
  expect_snapshot(steps)
  path <- withr::local_tempfile()
  saveRDS(steps, path)
  expect_identical(readRDS(path), steps)
})

test_that("a single number stands for itself, whatever else a list holds", {
  expect_identical(seg_augment(rotate = list(degrees = 90))$rotate,
                   list(p = 0.5, degrees = c(90, 90)))
  expect_identical(seg_augment(random_crop = list(size = 32))$random_crop$size, c(32, 32))
})

test_that("the presets are what they are", {
  expect_snapshot(for (name in names(augment_presets)) print(seg_augment(name)))
})

test_that("wrong steps are errors that say what there is", {
  expect_snapshot(error = TRUE, {
    seg_augment("heavy")
    seg_augment()
    seg_augment("light", flip_horizontal = FALSE, brightness = FALSE, contrast = FALSE)
    seg_augment(TRUE)
    seg_augment(rotat = TRUE)
    seg_augment("light", 0.5)
    seg_augment(gamma = TRUE, gamma = FALSE)
    seg_augment(rotate = 1.5)
    seg_augment(rotate = "often")
    seg_augment(rotate = NULL)
    seg_augment(rotate = c(-10, 10))
    seg_augment(flip_vertical = c(0.5, 0.6))
    seg_augment(rotate = list(0.5))
    seg_augment(rotate = list(p = NA))
    seg_augment(rotate = list(degree = 5))
    seg_augment(rotate = list(degrees = c(20, -20)))
    seg_augment(hue = list(shift = c(-0.7, 0.1)))
    seg_augment(jpeg = list(quality = 50.5))
    seg_augment(random_crop = list(size = 0))
    seg_augment(elastic = list(displacement = c(1, NA)))
    seg_augment(elastic = list(displacement = 1000))
    seg_augment(cutout = list(size = 1))
    seg_augment(cutout = list(size = c(0.2, 0.5), holes = c(1, 4)))
  })
  expect_error(seg_augment(rotate = 2), class = "maskr_error_argument")
})

test_that("Python knows every step and every setting", {
  skip_if_no_python()
  pipeline <- python_module("augment.pipeline")
  expect_setequal(c(names(pipeline$STEPS), names(pipeline$COMPOSING)), names(augment_steps))
  steps <- do.call(seg_augment, lapply(augment_steps, \(step) 1))
  scenes <- seg_example("shapes", n = 3, size = c(64, 96))
  one <- seg_dataset(scenes, augment = steps, size = c(48, 64))[[2]]
  expect_identical(dim(one$image), c(48L, 64L, 3L))
  expect_identical(dim(one$mask), c(48L, 64L))
})

test_that("datasets take steps, the name of a preset, and nothing else", {
  images <- list(matrix(0.5, 8, 12))
  masks <- list(matrix(0:1, 8, 12))
  classes <- c(background = 0, nucleus = 1)
  data <- seg_dataset(images, masks, classes, augment = "medical")
  expect_identical(data$augment, seg_augment("medical"))
  expect_match(format(data), "augment: affine, elastic", all = FALSE)
  expect_null(seg_dataset(images, masks, classes)$augment)
  expect_snapshot(error = TRUE, {
    seg_dataset(images, masks, classes, augment = "heavy")
    seg_dataset(images, masks, classes, augment = 0.5)
    seg_dataset(images, masks, classes, augment = structure(list(hue = 3), class = "seg_augment"))
    seg_dataset(images, masks, classes, augment = seg_augment(copy_paste = 1))
  })
  expect_error(seg_dataset(images, masks, classes, augment = seg_augment(copy_paste = 1)),
               class = "maskr_error_data")
})

test_that("a sample is what a model sees", {
  skip_if_no_python()
  image <- array(seq(0, 1, length.out = 6 * 10), c(6, 10, 1))
  mask <- matrix(rep(c(3, 7, NA), c(20, 39, 1)), 6, 10)
  classes <- c(background = 0, road = 3, car = 7)
  data <- seg_dataset(list(a = image), list(mask), classes)
  flip <- seg_augment(flip_horizontal = 1, gamma = list(p = 1, exponent = 2))
  plain <- data[["a"]]
  expect_equal(array(plain$image, dim(image)), image, tolerance = 1e-6)
  expect_identical(as.matrix(plain$mask), structure(as.integer(mask), dim = dim(mask)))
  expect_identical(plain$name, "a")
  expect_identical(attr(plain$mask, "classes"), c(background = 0L, road = 3L, car = 7L))

  flipped <- seg_dataset(list(a = image), list(mask), classes, augment = flip)[[1]]
  expect_equal(array(flipped$image, dim(image)), image[, 10:1, , drop = FALSE]^2, tolerance = 0.01)
  expect_identical(as.matrix(flipped$mask), as.matrix(plain$mask)[, 10:1])
  padded <- seg_dataset(list(image), list(mask), classes, size = c(12, 10))[[1]]
  expect_true(all(is.na(padded$mask[7:12, ])))
  expect_s3_class(padded$image, "seg_image")
})

test_that("samples without classes keep their ids, and wrong numbers are errors", {
  skip_if_no_python()
  data <- seg_dataset(list(matrix(0.5, 4, 6)), list(matrix(4L, 4, 6)))
  expect_identical(unique(c(unclass(data[[1]]$mask))), 4L)
  expect_error(data[[2]], class = "maskr_error_argument")
  expect_error(data[[1:2]], class = "maskr_error_argument")
  expect_error(data[["b"]], class = "maskr_error_argument")
})

test_that("set.seed() repeats samples, and nothing else does", {
  skip_if_no_python()
  data <- seg_dataset(seg_example("shapes", n = 2, size = c(48, 64)), augment = "microscopy")
  set.seed(1)
  first <- data[[1]]
  second <- data[[1]]
  set.seed(1)
  expect_identical(data[[1]], first)
  expect_false(identical(second, first))
})

test_that("training is augmented and repeatable; evaluation is not", {
  skip_if_no_python()
  scenes <- seg_example("nuclei", n = 4, size = c(32, 48))
  plain <- seg_dataset(scenes, batch_size = 2)
  augmented <- seg_dataset(scenes, batch_size = 2, augment = seg_augment(
    brightness = list(p = 1, factor = 0), copy_paste = 1
  ))
  losses <- function(data) {
    set.seed(2)
    model <- seg_unet(1, scenes$classes, init_features = 2)
    history <- fit(model, data, validation_data = data, epochs = 2, verbose = FALSE,
                   precision = "float32")
    list(model = model, loss = history[history$metric == "loss", ])
  }
  a <- losses(augmented)
  b <- losses(augmented)
  expect_identical(a$loss$value, b$loss$value)
  expect_false(isTRUE(all.equal(a$loss$value, losses(plain)$loss$value)))
  expect_identical(as.data.frame(seg_evaluate(a$model, augmented, precision = "float32")),
                   as.data.frame(seg_evaluate(a$model, plain, precision = "float32")))
})

test_that("a grid of samples is drawn with one legend", {
  skip_if_no_python()
  data <- seg_dataset(seg_example("shapes", n = 5, size = c(48, 64)), augment = "light")
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file, 600, 400)
  withr::defer(grDevices::dev.off())
  before <- graphics::par("mfrow", "oma")
  expect_identical(withVisible(plot(data, n = 3))$visible, FALSE)
  plot(data, which = c(5, 1), alpha = 0.3)
  expect_identical(graphics::par("mfrow", "oma"), before)
  expect_error(plot(data, n = 0), class = "maskr_error_argument")
  wrong <- expect_error(plot(data, which = 9), class = "maskr_error_argument")
  expect_match(conditionMessage(wrong), "`which` is")
})

test_that("the legend shows ignored pixels as they are drawn, over black", {
  expect_identical(ignored_swatch(1), ignore_colour)
  expect_identical(ignored_swatch(0.5), "#707060")
})

test_that("samples bring their objects after the same draw", {
  skip_if_no_python()
  scenes <- seg_example("shapes", n = 3, size = c(48, 64))
  for (data in list(seg_dataset(scenes), seg_dataset(scenes$images, scenes$instances,
                                                     scenes$classes))) {
    one <- data[[2]]
    expect_identical(as.data.frame(one$instances), as.data.frame(scenes$instances[[2]]))
  }
  objects <- scenes$instances[[2]]
  flips <- seg_augment(flip_horizontal = 1)
  flipped <- seg_dataset(scenes, augment = flips)[[2]]$instances
  expect_identical(flipped$class, objects$class)
  expect_identical(flipped$xmin, 64 - objects$xmax)
  padded <- seg_dataset(scenes, augment = flips, size = c(96, 64))[[2]]
  expect_identical(attr(padded$instances, "size"), c(96L, 64L))
  expect_identical(padded$instances$area, objects$area)
  many <- seg_augment(copy_paste = list(p = 1, share = 1))
  one <- seg_dataset(scenes, augment = many)[[2]]
  expect_gt(nrow(one$instances), 0)
  expect_identical(sort(unique(as.vector(one$mask))), sort(unique(c(0L, one$instances$class))))
  bare <- seg_dataset(scenes$images, scenes$masks)[[2]]
  expect_named(bare, c("image", "mask", "name"))
})

test_that("volumes refuse steps for images", {
  skip_if_no_python()
  pipeline <- python_module("augment.pipeline")
  expect_setequal(volume_steps, names(pipeline$volumes$STEPS))
  expect_true(all(names(seg_augment("medical")) %in% volume_steps))
})

test_that("datasets of volumes refuse steps for images when they are made", {
  parts <- function(axis) list(volume_part("ct.nii", 0:5, axis))
  classes <- c(background = 0, liver = 1)
  make <- function(augment, axis = -1L) {
    seg_dataset(parts(axis), parts(axis), classes, augment = augment)
  }
  expect_s3_class(make("medical"), "seg_dataset")
  wrong <- seg_augment("medical", cutout = 0.1, rot90 = TRUE)
  expect_snapshot(error = TRUE, make(wrong))
  expect_error(make(wrong), class = "maskr_error_shape")
  expect_s3_class(make(wrong, axis = 0L), "seg_dataset")
})

test_that("detectors train with a dataset's own steps", {
  skip_if_no_python("yolo")
  scenes <- seg_example("shapes", n = 4, size = 64)
  data <- seg_dataset(scenes, augment = seg_augment("light", copy_paste = 1), batch_size = 4)
  detector <- suppressMessages(seg_yolo("yolov8n-seg.yaml"))
  history <- fit(detector, data, epochs = 1, size = 64, verbose = FALSE)
  expect_true(all(is.finite(history$value)))
  expect_error(fit(detector, data, epochs = 1, size = 64, fliplr = 0.1),
               class = "maskr_error_data")
})

test_that("samples of label images of classes are drawn without objects", {
  skip_if_no_python()
  data <- seg_data_camvid(shared_data("camvid"), size = c(60, 80))
  one <- data[[1]]
  expect_null(one$instances)
  expect_identical(dim(one$mask), c(60L, 80L))
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file, 400, 300)
  expect_invisible(plot(data, n = 2))
  grDevices::dev.off()
})
