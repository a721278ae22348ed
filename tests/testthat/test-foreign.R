# Images of other packages, against the file that they were read from. The packages need not be
# installed: their classes are made here, with the axes and numbers that theirs have.

bytes <- array(c(0:119) * 2L, c(5, 8, 3))
ids <- matrix(c(0, 0, 1, 2, 0, 0, 1, 1), 5, 8, byrow = TRUE)
ids[5, ] <- 2
ids[1, 8] <- 1

make_class <- function(name, ..., env = parent.frame()) {
  methods::setClass(name, ..., where = globalenv())
  withr::defer(methods::removeClass(name, where = globalenv()), envir = env)
}

# Functions of packages that may not be there, by the slots of the classes made here.
fake_packages <- function(env = parent.frame()) {
  make_class("SpatRaster", slots = c(values = "array", type = "character", levels = "list"),
             env = env)
  make_class("RasterLayer", slots = c(values = "array", type = "character"), env = env)
  make_class("Image", contains = "array", slots = c(colormode = "integer"), env = env)
  local_replaced(env = env, call_package = function(package, name, x, ..., call) {
    layers <- function() seq_len(dim(x@values)[[3]])
    switch(
      paste(package, name),
      "terra as.array" = , "raster as.array" = x@values,
      "terra datatype" = , "raster dataType" = rep(x@type, dim(x@values)[[3]]),
      "terra is.factor" = rep(length(x@levels) > 0, dim(x@values)[[3]]),
      "terra levels" = x@levels,
      "magick image_data" = attr(x, "bytes")
    )
  })
}

terra <- function(values, type = "INT1U", levels = list()) {
  methods::new("SpatRaster", values = array(values + 0, c(dim(values), 1, 1)[1:3]), type = type,
               levels = levels)
}

magick <- function(values) {
  values <- array(values, c(dim(values), 1)[1:3])
  bytes <- aperm(values, c(3, 2, 1))
  structure(list(1), bytes = array(as.raw(bytes), dim(bytes)), class = "magick-image")
}

packed <- function(x) {
  colour <- x[, , 1] + x[, , 2] * 256 + x[, , 3] * 65536 - 256^3
  structure(as.integer(t(colour)), dim = dim(x)[1:2], class = "nativeRaster")
}

pictures <- function() {
  list(
    Image = methods::new("Image", aperm(bytes, c(2, 1, 3)) / 255, colormode = 2L),
    cimg = structure(array(aperm(bytes, c(2, 1, 3)) / 255, c(8, 5, 1, 3)),
                     class = c("cimg", "imager_array", "numeric")),
    SpatRaster = terra(bytes),
    RasterLayer = methods::new("RasterLayer", values = bytes + 0, type = "INT1U"),
    magick = magick(bytes),
    bitmap = structure(array(as.raw(aperm(bytes, c(3, 2, 1))), c(3, 8, 5)), class = "bitmap"),
    raster = grDevices::as.raster(bytes, max = 255),
    nativeRaster = packed(bytes)
  )
}

masks <- function() {
  list(
    Image = methods::new("Image", t(ids), colormode = 0L),
    cimg = structure(array(t(ids), c(8, 5, 1, 1)), class = c("cimg", "imager_array", "numeric")),
    SpatRaster = terra(ids),
    RasterLayer = methods::new("RasterLayer", values = array(ids, c(5, 8, 1)), type = "INT1U"),
    magick = magick(ids),
    bitmap = structure(array(as.raw(t(ids)), c(1, 8, 5)), class = "bitmap"),
    stars = structure(list(ids.tif = t(ids)), class = "stars"),
    niftiImage = structure(t(ids), pixdim = c(1, 1), class = c("niftiImage", "array"))
  )
}

picture_file <- function(env = parent.frame()) {
  file <- withr::local_tempfile(fileext = ".png", .local_envir = env)
  png::writePNG(bytes / 255, file)
  file
}

mask_file <- function(env = parent.frame()) {
  file <- withr::local_tempfile(fileext = ".png", .local_envir = env)
  seg_write_mask(ids, file)
  file
}

test_that("every verb takes images of other packages as it takes their file", {
  skip_if_no_python()
  fake_packages()
  file <- picture_file()
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  set.seed(1)
  model <- seg_unet(in_channels = 3, classes = c(background = 0, a = 1, b = 2), init_features = 2)
  image <- seg_read_image(file)
  logit <- predict(model, file, type = "logit", precision = "float32")
  scores <- seg_evaluate(model, list(file), list(ids), precision = "float32")
  for (name in names(pictures())) {
    x <- pictures()[[name]]
    expect_equal(bare(as_seg_image(x)), bare(image), tolerance = 1e-7, info = name)
    expect_identical(attr(as_seg_image(x), "range"), c(0, 1), info = name)
    expect_equal(bare(seg_image(x)), bare(image), tolerance = 1e-7, info = name)
    expect_equal(predict(model, x, type = "logit", precision = "float32"), logit,
                 tolerance = 1e-5, info = name)
    expect_equal(predict(model, list(x), type = "logit", precision = "float32")[[1]], logit,
                 tolerance = 1e-5, info = name)
    data <- seg_dataset(list(x), list(ids), classes = c(background = 0, a = 1, b = 2))
    expect_equal(bare(data[[1]]$image), bare(image), tolerance = 1e-7, info = name)
    expect_equal(seg_evaluate(model, x, ids, precision = "float32")$value, scores$value,
                 info = name)
    expect_silent(plot(seg_mask(ids), image = x))
    expect_identical(attr(seg_check(data), "classes")$pixels, c(16, 12, 12))
  }
})

test_that("every verb takes masks of other packages as it takes their file", {
  skip_if_no_python()
  fake_packages()
  file <- mask_file()
  expected <- seg_read_mask(file)
  objects <- as_seg_instances(bare(expected))
  for (name in names(masks())) {
    x <- masks()[[name]]
    expect_identical(bare(as_seg_mask(x)), bare(expected), info = name)
    expect_identical(bare(seg_mask(x)), bare(expected), info = name)
    expect_identical(as_seg_instances(x), objects, info = name)
    expect_identical(bare(as_seg_panoptic(x)), bare(as_seg_panoptic(bare(expected))), info = name)
    expect_equal(seg_metrics(x, file)$value, seg_metrics(file, file)$value, info = name)
    expect_equal(seg_metrics(list(file), list(x))$value, seg_metrics(file, file)$value,
                 info = name)
    data <- seg_dataset(list(ids / 2), list(x), classes = c(background = 0, a = 1, b = 2))
    expect_identical(bare(data[[1]]$mask), bare(expected), info = name)
    expect_identical(dim(seg_one_hot(x)), c(5L, 8L, 3L), info = name)
  }
})

test_that("training takes images and masks of other packages", {
  skip_if_no_python()
  fake_packages()
  train <- function(x, y) {
    set.seed(3)
    model <- seg_unet(in_channels = 3, classes = c(background = 0, a = 1, b = 2), init_features = 2)
    history <- fit(model, list(x, x), list(y, y), epochs = 1, batch_size = 2,
                   precision = "float32", verbose = FALSE)
    history$value
  }
  expected <- train(picture_file(), mask_file())
  expect_equal(train(pictures()$Image, masks()$Image), expected, tolerance = 1e-6)
  expect_equal(train(pictures()$SpatRaster, masks()$stars), expected, tolerance = 1e-6)
})

test_that("rasters of terra are divided by the largest number of their type, as files are", {
  skip_if_no_python()
  fake_packages()
  divided <- function(type) {
    as_seg_image(terra(bytes[, , 1, drop = FALSE], type))[4, 7, 1, drop = TRUE]
  }
  value <- bytes[4, 7, 1]
  expect_equal(divided("INT2U"), value / 65535)
  expect_equal(divided("INT2S"), value / 32767)
  expect_equal(divided("FLT4S"), value)
  expect_warning(kept <- divided(""), class = "maskr_warning_units")
  expect_equal(kept, value)
  # class ids have no unit
  expect_silent(as_seg_mask(terra(ids, "")))
})

test_that("categories of terra and stars become classes", {
  skip_if_no_python()
  fake_packages()
  levels <- data.frame(id = 0:2, cover = c("water", "grass", "wood"))
  x <- terra(ids, levels = list(levels))
  expect_identical(attr(as_seg_mask(x), "classes"), c(water = 0L, grass = 1L, wood = 2L))
  turned <- seg_mask(2 - ids, c(wood = 0, grass = 1, water = 2))
  found <- seg_metrics(x, turned)
  expect_identical(found$value[found$metric == "pixel_accuracy"], 1)
  factors <- factor(t(ids), labels = c("water", "grass", "wood"))
  y <- as_seg_mask(structure(list(cover = structure(factors, dim = c(8L, 5L))), class = "stars"))
  expect_identical(bare(y), matrix(as.integer(ids + 1), 5))
  expect_identical(names(attr(y, "classes")), c("water", "grass", "wood"))
})

test_that("stacks become volumes and label volumes, frames of masks objects", {
  skip_if_no_python()
  fake_packages()
  volume <- array(0:119 / 200, c(4, 5, 6))
  turned <- aperm(volume, c(3, 2, 1))
  x <- methods::new("Image", turned, colormode = 0L)
  expect_identical(bare(as_seg_image(x)), array(volume, c(4, 5, 6, 1)))
  labels <- array(rep(0:2, 40), c(4, 5, 6))
  nifti <- structure(aperm(labels, c(3, 2, 1)), pixdim = c(1, 2, 3),
                     class = c("niftiImage", "array"))
  mask <- as_seg_mask(nifti)
  expect_identical(bare(mask), labels)
  expect_identical(attr(mask, "spacing"), c(3, 2, 1))
  frames <- aperm(array(c(ids == 1, ids == 2), c(5, 8, 2)), c(2, 1, 3))
  objects <- seg_instances(methods::new("Image", frames + 0, colormode = 0L), class = "a",
                           classes = c(a = 1))
  expect_identical(as.array(objects)[, , 2], ids == 2)
})

test_that("what cannot be taken rightly is refused by its class, with the way out", {
  skip_if_no_python()
  fake_packages()
  model <- seg_unet(in_channels = 1, classes = c(background = 0, a = 1), init_features = 2)
  stars <- masks()$stars
  refuse <- function(expr, class) {
    error <- expect_error(expr, class = "maskr_error_argument")
    expect_match(conditionMessage(error), class, fixed = TRUE)
  }
  refuse(as_seg_image(stars), "<stars>")
  refuse(predict(model, stars), "terra::rast(x)")
  refuse(seg_evaluate(model, stars, ids), "<stars>")
  refuse(predict(model, masks()$niftiImage), "<niftiImage>")
  refuse(as_seg_mask(pictures()$raster), "colours")
  refuse(as_seg_mask(pictures()$nativeRaster), "seg_read_mask")
  for (class in c("antsImage", "torch_tensor", "stars_proxy", "_p_itk__simple__Image")) {
    refuse(as_seg_image(structure(list(1), class = class)), class)
    refuse(as_seg_mask(structure(list(1), class = class)), class)
  }
  expect_error(as_seg_mask(pictures()$SpatRaster), class = "maskr_error_shape")
})

test_that("a package that is needed and not there is named", {
  expect_error(call_package("notinstalled", "as.array", 1, call = rlang::current_env()),
               "notinstalled is not installed", class = "maskr_error_missing")
})
