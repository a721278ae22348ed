# Windows of raw values, and values in other units than those of training.

organ <- c(background = 0, organ = 1)

# A CT in a folder, 8 x 16 x 24 voxels of int16 in Hounsfield units, and its labels.
ct_folder <- function(env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  set.seed(5)
  labels <- array(0L, c(8, 16, 24))
  labels[2:7, 4:13, 5:15] <- 1L
  values <- array(as.integer(round(rnorm(length(labels), -60, 15))), dim(labels)) + labels * 150L
  nibabel <- reticulate::import("nibabel", convert = FALSE)
  numpy <- reticulate::import("numpy", convert = FALSE)
  for (name in c("ct", "ct_seg")) {
    data <- numpy$array(aperm(if (name == "ct") values else labels, c(3, 2, 1)),
                        dtype = if (name == "ct") "int16" else "uint8")
    image <- nibabel$Nifti1Image(data, numpy$eye(4L))
    nibabel$save(image, file.path(folder, paste0(name, ".nii.gz")))
  }
  folder
}

ct_data <- function(folder, ...) {
  seg_data_volume(file.path(folder, "ct.nii.gz"), targets = file.path(folder, "ct_seg.nii.gz"),
                  classes = organ, verbose = FALSE, ...)
}

trained <- function(data, ..., model = NULL) {
  set.seed(6)
  model <- model %||% seg_unet3d(1, organ, init_features = 2, ...)
  compile(model, learning_rate = 0.05)
  fit(model, data, epochs = 8, precision = "float32", verbose = FALSE)
  model
}

test_that("a model takes over a dataset's window, and every verb applies it", {
  skip_if_no_python("volumes")
  folder <- ct_folder()
  path <- file.path(folder, "ct.nii.gz")
  data <- ct_data(folder, as = "patches", window = c(-160, 240), batch_size = 1)
  expect_match(format(data), "window:  -160 to 240", all = FALSE)
  model <- trained(data)
  expect_output(print(model), "values from -160 to 240 as 0 to 1", fixed = TRUE)
  truth <- seg_read_mask(file.path(folder, "ct_seg.nii.gz"), classes = organ)
  dice <- function(mask) {
    rows <- seg_metrics(truth, mask)
    rows$value[rows$metric == "dice" & rows$class %in% 1]
  }
  scores <- seg_evaluate(model, data, precision = "float32")
  expected <- scores$value[scores$metric == "dice" & scores$class %in% 1]
  expect_gt(expected, 0.2)
  of_file <- predict(model, path, precision = "float32")
  expect_equal(dice(of_file), expected)
  for (scale in c(TRUE, FALSE)) {
    image <- seg_read_image(path, scale = scale)
    expect_equal(predict(model, image, type = "prob", precision = "float32"),
                 predict(model, path, type = "prob", precision = "float32"), tolerance = 1e-5)
    # parts of it remember their units
    part <- image[1:8, , 1:16, ]
    expect_equal(predict(model, part, type = "prob", precision = "float32"),
                 predict(model, seg_read_image(path, scale = FALSE)[1:8, , 1:16, ], type = "prob",
                         precision = "float32"), tolerance = 1e-5)
    again <- seg_evaluate(model, list(image), list(truth), precision = "float32")
    expect_equal(again$value, scores$value, tolerance = 1e-6)
  }
  expect_equal(bare(predict(model, data, precision = "float32")[[1]]), bare(of_file))
})

test_that("the window is saved, loaded, cloned and exported with the model", {
  skip_if_no_python("volumes")
  folder <- ct_folder()
  path <- file.path(folder, "ct.nii.gz")
  model <- trained(ct_data(folder, as = "patches", window = c(-160, 240), batch_size = 1))
  expected <- predict(model, path, type = "prob", precision = "float32")
  file <- withr::local_tempfile(fileext = ".keras")
  seg_save(model, file)
  for (copy in list(seg_load(file), seg_clone(model))) {
    expect_equal(predict(copy, path, type = "prob", precision = "float32"), expected)
  }
  # files of a version that did not keep it can be given one
  bare_model <- seg_load(file, preprocess = seg_preprocess())
  expect_error(seg_evaluate(bare_model, ct_data(folder, as = "patches", window = c(-160, 240))),
               class = "maskr_error_data")
  mended <- seg_load(file, preprocess = seg_preprocess(window = c(-160, 240)))
  expect_equal(predict(mended, path, type = "prob", precision = "float32"), expected)
})

test_that("a window given to the model needs none of the dataset, and no other is taken", {
  skip_if_no_python("volumes")
  folder <- ct_folder()
  window <- seg_preprocess(window = c(-160, 240))
  plain <- ct_data(folder, as = "patches", batch_size = 1)
  with_window <- ct_data(folder, as = "patches", batch_size = 1, window = c(-160, 240))
  one <- trained(plain, preprocess = window)
  two <- trained(with_window)
  path <- file.path(folder, "ct.nii.gz")
  expect_equal(predict(one, path, type = "logit", precision = "float32"),
               predict(two, path, type = "logit", precision = "float32"), tolerance = 1e-5)
  lungs <- ct_data(folder, as = "patches", batch_size = 1, window = c(-1000, 400))
  expect_error(fit(one, lungs, epochs = 1, verbose = FALSE), class = "maskr_error_data")
  expect_error(seg_evaluate(one, lungs), class = "maskr_error_data")
  expect_error(predict(one, lungs), "c(-1000, 400)", fixed = TRUE, class = "maskr_error_data")
  expect_error(fit(one, plain, validation_data = lungs, epochs = 1), class = "maskr_error_data")
  untrained <- seg_unet3d(1, organ, init_features = 2)
  expect_error(predict(untrained, lungs), class = "maskr_error_data")
  # fractions of an unknown type can't be windowed
  fractions <- array(unclass(seg_read_image(path)), c(8, 16, 24, 1))
  expect_error(predict(one, seg_image(fractions)), "scale = FALSE", class = "maskr_error_data")
})

test_that("windowed slices train a model of images like windowed arrays", {
  skip_if_no_python("volumes")
  folder <- ct_folder()
  path <- file.path(folder, "ct.nii.gz")
  raw <- seg_read_image(path, scale = FALSE)
  fit_one <- function(x, ...) {
    set.seed(2)
    model <- seg_unet(1, organ, init_features = 2, ...)
    fit(model, x, epochs = 1, precision = "float32", verbose = FALSE)
    model
  }
  slices <- ct_data(folder, window = c(-160, 240), batch_size = 2, empty = TRUE, shuffle = FALSE)
  ids <- unclass(seg_read_mask(file.path(folder, "ct_seg.nii.gz"), classes = organ))
  planes <- lapply(1:8, \(d) raw[d, , , , drop = TRUE])
  windowed <- lapply(planes, \(x) pmin(pmax((x + 160) / 400, 0), 1))
  masks <- lapply(1:8, \(d) matrix(ids[d, , ], 16))
  arrays <- seg_dataset(windowed, masks, organ, batch_size = 2, shuffle = FALSE)
  a <- fit_one(slices)
  b <- fit_one(arrays)
  expect_equal(predict(a, planes[[4]], type = "logit", precision = "float32"),
               predict(b, windowed[[4]], type = "logit", precision = "float32"), tolerance = 1e-4)
})

test_that("a slice of a volume is predicted as the errors say", {
  skip_if_no_python("volumes")
  folder <- ct_folder()
  path <- file.path(folder, "ct.nii.gz")
  slices <- ct_data(folder, window = c(-160, 240), batch_size = 2, empty = TRUE)
  model <- seg_unet(1, organ, init_features = 2)
  fit(model, slices, epochs = 1, precision = "float32", verbose = FALSE)
  x <- seg_read_image(path)
  expect_error(predict(model, x), "predict(model, x[d, , , ])", fixed = TRUE,
               class = "maskr_error_shape")
  expect_error(predict(model, list(x)), "Take a slice, x[d, , , ]", fixed = TRUE,
               class = "maskr_error_shape")
  expect_error(predict(model, path), "seg_read_image(path)[1, , , ]", fixed = TRUE,
               class = "maskr_error_shape")
  mask <- predict(model, x[4, , , ], precision = "float32")
  expect_identical(dim(mask), dim(x)[2:3])
  expect_equal(attr(mask, "spacing"), attr(x, "spacing")[-1])
  all <- predict(model, lapply(1:8, \(d) x[d, , , ]), precision = "float32")
  expect_identical(all[[4]], mask)
})

test_that("pictures of training show and predict images in the window", {
  skip_if_no_python("volumes")
  folder <- ct_folder()
  slices <- suppressMessages(ct_data(folder, window = c(-160, 240), batch_size = 4))
  out <- withr::local_tempdir()
  set.seed(1)
  model <- seg_unet(1, organ, init_features = 2)
  compile(model, learning_rate = 0.05)
  fit(model, slices, epochs = 8, precision = "float32", verbose = FALSE,
      callbacks = seg_pictures(slices, out, n = 1, view = FALSE))
  drawn <- png::readPNG(file.path(out, "epoch-008.png"))
  # the last third shows the prediction: some organ, and not everything
  panel <- drawn[, (2 * ncol(drawn) %/% 3 + 5):ncol(drawn), ]
  coloured <- mean(abs(panel[, , 1] - panel[, , 3]) > 0.1)
  mask <- predict(model, slices, precision = "float32")[[1]]
  expect_gt(coloured, 0.02)
  expect_gt(mean(mask == 1), 0.02)
})

test_that("exported networks window raw values", {
  skip_if_no_python("volumes")
  model <- seg_unet(1, organ, init_features = 2, preprocess = seg_preprocess(window = c(-100, 300)))
  file <- withr::local_tempfile(fileext = ".pt2")
  suppressMessages(seg_export(model, file, size = c(16, 16)))
  image <- matrix(seq(-200, 400, length.out = 256), 16)
  torch <- reticulate::import("torch")
  program <- torch$export$load(file)$module()
  out <- program(torch$tensor(array(image, c(1, 1, 16, 16)), dtype = torch$float32))
  expected <- predict(model, image, type = "prob", precision = "float32")[, , 2]
  expect_equal(matrix(as.vector(out$detach()$numpy()), 16), unname(expected), tolerance = 1e-5)
})

test_that("values of 0..255 for a model that was trained on 0..1 are an error, and the reverse", {
  skip_if_no_python()
  set.seed(3)
  image <- matrix(runif(16 * 24), 16)
  mask <- (image > 0.5) + 0
  train <- function(x) {
    model <- seg_unet(1, organ, init_features = 2)
    fit(model, list(x, x), list(mask, mask), epochs = 1, batch_size = 2, verbose = FALSE)
    model
  }
  on_fractions <- train(image)
  raw <- round(image * 255)
  expect_s3_class(predict(on_fractions, image), "seg_mask")
  # an overshoot or a hot pixel is no other unit
  expect_s3_class(predict(on_fractions, replace(image, 7, 3.3)), "seg_mask")
  expect_error(predict(on_fractions, raw), "trained", class = "maskr_error_data")
  expect_error(predict(on_fractions, image * 255), class = "maskr_error_data")
  expect_error(seg_evaluate(on_fractions, list(raw), list(mask)), class = "maskr_error_data")
  file <- withr::local_tempfile(fileext = ".keras")
  seg_save(on_fractions, file)
  expect_error(predict(seg_load(file), raw), class = "maskr_error_data")
  expect_error(predict(seg_clone(on_fractions), raw), class = "maskr_error_data")
  on_raw <- train(raw)
  expect_s3_class(predict(on_raw, raw), "seg_mask")
  expect_error(predict(on_raw, image), class = "maskr_error_data")
  # an untrained model and one that looks at each image alone take all units
  expect_s3_class(predict(seg_unet(1, organ, init_features = 2), raw), "seg_mask")
  nuclei <- seg_unet(weights = "nuclei")
  expect_s3_class(predict(nuclei, image), "seg_mask")
})

test_that("seg_check() finds images in other units than the others", {
  skip_if_no_python()
  set.seed(3)
  image <- matrix(runif(16 * 24), 16)
  mask <- (image > 0.5) + 0
  data <- function(...) seg_dataset(list(...), rep(list(mask), ...length()), organ)
  mixed <- seg_check(data(a = image, b = round(image * 255), c = image / 2))
  wrong <- as.data.frame(mixed)[mixed$check == "units", ]
  expect_identical(wrong$severity, "error")
  expect_identical(wrong$file, "b")
  all_raw <- seg_check(data(a = round(image * 255), b = round(image * 200)))
  expect_identical(all_raw$severity[all_raw$check == "units"], "warning")
  between <- seg_check(train = data(a = image), valid = data(b = round(image * 255)))
  expect_identical(between$split[between$check == "units"], "valid")
  expect_false("units" %in% seg_check(data(a = image, b = image / 2))$check)
})

test_that("training takes images of one kind of units, and those of the model, only", {
  skip_if_no_python()
  set.seed(3)
  image <- matrix(runif(16 * 24), 16)
  mask <- (image > 0.5) + 0
  black <- image * 0
  raw <- round(image * 255)
  train <- function(..., valid = NULL, model = seg_unet(1, organ, init_features = 2)) {
    data <- function(x) seg_dataset(x, rep(list(mask), length(x)), organ, batch_size = 2)
    fit(model, data(list(...)), validation_data = if (!is.null(valid)) data(valid), epochs = 1,
        precision = "float32", verbose = FALSE)
    model
  }
  refused <- function(code, names) {
    expect_error(code, paste0('Image "(', names, ')" has values from'),
                 class = "maskr_error_data")
  }
  # mixed in one set: which is read first depends on the order that is drawn
  refused(train(one = image, grey = raw), "one|grey")
  refused(train(one = image, two = image / 2, three = image, grey = raw), "one|two|three|grey")
  refused(train(one = image, valid = list(grey = raw)), "grey")
  refused(train(grey = raw, valid = list(one = image)), "one")
  # black images could be of any units, and a hot pixel is not a unit
  hot <- replace(image, 7, 40)
  on_fractions <- train(image, hot, black, image / 2, valid = list(image, black))
  on_raw <- train(black, raw, replace(black, 9, 1), raw * 4, valid = list(black, raw))
  # a trained model keeps its units
  refused(train(grey = raw, model = on_fractions), "grey")
  refused(train(one = image, model = on_raw), "one")
  refused(train(image, valid = list(grey = raw), model = on_fractions), "grey")
  expect_s3_class(predict(train(image, hot, model = on_fractions), image), "seg_mask")
  expect_s3_class(predict(train(raw, model = on_raw), raw), "seg_mask")
  # the other verb that trains
  mixed <- seg_dataset(list(one = image, grey = raw), list(mask, mask), organ, batch_size = 1)
  refused(seg_lr_find(seg_unet(1, organ, init_features = 2), mixed, steps = 25, verbose = FALSE),
          "one|grey")
})
