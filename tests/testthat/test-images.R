pixels <- array(c(0:22, 255) / 255, c(2, 3, 4))

test_that("a matrix, an array and a volume are images", {
  expect_equal(dim(seg_image(matrix(0.5, 2, 3))), c(2, 3, 1))
  expect_equal(dim(seg_image(pixels)), c(2, 3, 4))
  expect_equal(dim(seg_image(array(0, c(2, 3, 4, 1)))), c(2, 3, 4, 1))
  expect_identical(as.array(seg_image(pixels)), pixels)
  expect_s3_class(seg_image(pixels), "seg_image", exact = TRUE)
})

test_that("integers, logicals and raw bytes keep their values", {
  expect_identical(as.matrix(seg_image(matrix(0:5, 2))), matrix(0:5 + 0, 2))
  expect_identical(as.matrix(seg_image(matrix(c(TRUE, FALSE), 1))), matrix(c(1, 0), 1))
  raw <- seg_image(matrix(as.raw(c(0, 1)), 1))
  expect_identical(attr(raw, "range"), c(0, 255))
})

test_that("the range of black and white is found", {
  expect_equal(attr(seg_image(pixels), "range"), c(0, 1))
  expect_equal(attr(seg_image(pixels * 255), "range"), c(0, 255))
  expect_equal(attr(seg_image(matrix(c(-1000, 500.5), 1)), "range"), c(-1000, 500.5))
  expect_equal(attr(seg_image(pixels, range = c(0, 0.5)), "range"), c(0, 0.5))
})

test_that("wrong images are classed errors", {
  expect_snapshot(error = TRUE, {
    seg_image(1:3)
    seg_image(matrix(c(1, Inf), 1))
    seg_image(matrix(0, 0, 3))
    seg_image(matrix("a"))
    seg_image(pixels, spacing = 1)
    seg_image(pixels, range = 1)
    seg_image(pixels, affine = diag(3))
  })
  expect_error(seg_image(1:3), class = "maskr_error_shape")
  expect_error(seg_image(matrix(c(NA, Inf), 1)), class = "maskr_error_data")
  expect_error(seg_image(pixels, spacing = c(1, -1)), class = "maskr_error_argument")
})

test_that("indexing all dimensions keeps an image, one index takes values", {
  x <- seg_image(pixels, spacing = c(1, 2))
  expect_s3_class(x[1, , ], "seg_image")
  expect_equal(as.array(x[, 2:3, 4]), pixels[, 2:3, 4, drop = FALSE])
  expect_equal(attr(x[1, , ], "spacing"), c(1, 2))
  expect_identical(x[1, , 2, drop = TRUE], pixels[1, , 2])
  expect_identical(x[x > 0.05], pixels[pixels > 0.05])
  expect_identical(x[], x)
})

test_that("one slice of a volume is an image in the same units", {
  stack <- array(seq_len(3 * 4 * 5 * 2), c(3, 4, 5, 2))
  volume <- seg_image(structure(stack / 255, divisor = 255), spacing = c(3, 1, 2), unit = "um")
  slice <- volume[2, , , ]
  expect_equal(as.array(slice), stack[2, , , ] / 255)
  expect_equal(attributes(slice)[c("spacing", "divisor", "range", "unit", "class")],
               list(spacing = c(1, 2), divisor = 255, range = c(0, 1), unit = "um",
                    class = "seg_image"))
  expect_identical(dim(volume[2, 2:3, , 1]), c(2L, 5L, 1L))
  expect_identical(dim(volume[2, , , , drop = FALSE]), c(1L, 4L, 5L, 2L))
  expect_identical(dim(volume[2:3, , , ]), c(2L, 4L, 5L, 2L))
  expect_identical(dim(volume[, 2, , ]), c(3L, 1L, 5L, 2L))
  expect_identical(dim(volume[-1, , , ][-1, , , ]), c(1L, 4L, 5L, 2L))
})

test_that("arithmetic, comparison and aperm give plain arrays, t() turns", {
  x <- seg_image(pixels, spacing = c(1, 2))
  expect_identical(x + 1, pixels + 1)
  expect_identical(1 - x, 1 - pixels)
  expect_identical(x > 0.5, pixels > 0.5)
  expect_identical(-x, -pixels)
  expect_identical(sqrt(x), sqrt(pixels))
  expect_identical(aperm(x, c(3, 1, 2)), aperm(pixels, c(3, 1, 2)))
  expect_identical(as.array(t(x)), aperm(pixels, c(2, 1, 3)))
  expect_equal(attr(t(x), "spacing"), c(2, 1))
})

test_that("data frames have one row for each value", {
  x <- as.data.frame(seg_image(pixels))
  expect_named(x, c("row", "col", "channel", "value"))
  expect_equal(x$value[x$row == 2 & x$col == 3 & x$channel == 4], pixels[2, 3, 4])
  expect_named(as.data.frame(seg_image(array(0, c(1, 2, 3, 1))))[1:2], c("slice", "row"))
})

test_that("images are printed, summarised and saved", {
  x <- seg_image(pixels, spacing = c(0.5, 0.25), path = "folder/tissue.png")
  expect_snapshot({
    x
    seg_image(array(0, c(2, 3, 4, 1)))
    format(x)
    summary(seg_image(matrix(1:4, 2)))
  })
  file <- withr::local_tempfile()
  saveRDS(x, file)
  expect_identical(readRDS(file), x)
})

test_that("rasters of grDevices become images", {
  x <- as_seg_image(grDevices::as.raster(matrix(c(0, 0.2, 0.4, 0.6, 0.8, 1), 2)))
  expect_equal(x[, , 1, drop = TRUE], matrix(c(0, 0.2, 0.4, 0.6, 0.8, 1), 2))
  expect_equal(dim(x), c(2, 3, 3))
  red <- as_seg_image(grDevices::as.raster(matrix("#FF000080", 1, 2)))
  expect_equal(red[1, 1, , drop = TRUE], c(1, 0, 0, 128 / 255))
})

test_that("EBImage's images are turned", {
  setClass("Image", contains = "array", slots = c(colormode = "integer"), where = globalenv())
  withr::defer(removeClass("Image", where = globalenv()))
  grey <- new("Image", matrix(1:6 / 10, 3, 2), colormode = 0L)
  colour <- new("Image", array(1:18 / 20, c(3, 2, 3)), colormode = 2L)
  stack <- new("Image", array(1:24 / 24, c(3, 2, 4)), colormode = 0L)
  expect_equal(as.matrix(as_seg_image(grey)), t(matrix(1:6 / 10, 3, 2)))
  expect_equal(as_seg_image(colour)[2, 3, 1, drop = TRUE], array(1:18 / 20, c(3, 2, 3))[3, 2, 1])
  expect_equal(dim(as_seg_image(stack)), c(4, 2, 3, 1))
  expect_equal(as_seg_image(stack)[3, 2, 1, 1, drop = TRUE], stack@.Data[1, 2, 3])
  # what EBImage::readImage() makes of a label image
  labels <- new("Image", matrix(c(0, 3, 3, 0, 12, 255), 3) / 255, colormode = 0L)
  expect_error(as_seg_instances(labels), "round(x * 255)", fixed = TRUE, class = "maskr_error_data")
  expect_identical(as_seg_instances(round(labels * 255))$id, c(3L, 12L, 255L))
  expect_error(as_seg_mask(labels * 0.9), "x > 0.5", fixed = TRUE, class = "maskr_error_data")
})

test_that("magick's images are turned", {
  skip_if_not_installed("magick")
  values <- matrix(c(0, 51, 102, 153, 204, 255) / 255, 2)
  x <- as_seg_image(magick::image_read(grDevices::as.raster(values)))
  expect_equal(dim(x)[1:2], c(2, 3))
  expect_equal(x[, , 1, drop = TRUE], values, tolerance = 1e-2)
})

test_that("files are read with their values", {
  skip_if_no_python()
  skip_if_not_installed("png")
  file <- withr::local_tempfile(fileext = ".png")
  colour <- array(c(0:16, 255) / 255, c(2, 3, 3))
  png::writePNG(colour, file)
  x <- seg_read_image(file)
  expect_equal(as.array(x), colour)
  expect_equal(attr(x, "path"), file)
  expect_equal(as.array(seg_read_image(file, scale = FALSE)), colour * 255)
  expect_equal(attr(seg_read_image(file, scale = FALSE), "range"), c(0, 255))
})

test_that("files that cannot be read are classed errors", {
  expect_error(seg_read_image("no-such-file.png"), class = "maskr_error_file")
  expect_error(seg_read_image(1), class = "maskr_error_argument")
  skip_if_no_python()
  file <- withr::local_tempfile(fileext = ".png", lines = "no image")
  expect_error(seg_read_image(file), class = "maskr_error_format")
  expect_error(seg_read_image(file, pages = 0), class = "maskr_error_argument")
})

test_that("pages of a TIFF are a volume or an image", {
  skip_if_no_python()
  file <- shared_data("stardist/img3d.tif")
  volume <- seg_read_image(file)
  expect_equal(dim(volume), c(31, 61, 57, 1))
  expect_equal(as.array(seg_read_image(file, pages = 3)), as.array(volume)[3, , , , drop = TRUE] |>
                 array(c(61, 57, 1)))
  expect_error(seg_read_image(file, pages = 32), class = "maskr_error_format")
})

test_that("a photograph is upright and has its colours", {
  skip_if_no_python()
  x <- seg_read_image(shared_data("yolo/bus.jpg"))
  expect_equal(dim(x), c(1080, 810, 3))
  skip_if_not_installed("magick")
  other <- as_seg_image(magick::image_read(attr(x, "path")))
  expect_equal(as.array(x[500:520, 300:320, ]), as.array(other[500:520, 300:320, ]),
               tolerance = 0.02)
})

test_that("an image may have missing pixels", {
  x <- seg_image(array(c(0.5, NA, 0.25, NA, 0.75, NaN), c(1, 3, 2)))
  expect_equal(attr(x, "range"), c(0, 1))
  expect_output(print(x), "values 0.25 to 0.75, 3 missing", fixed = TRUE)
  expect_equal(summary(x)$missing, c(1, 2))
  expect_equal(summary(x)$mean, c(0.375, 0.75))
  expect_equal(attr(seg_image(matrix(NA_real_)), "range"), c(0, 1))
  withr::local_pdf(NULL)
  expect_no_error(plot(x))
})

# A TIFF of floating-point numbers, written by tifffile.
float_tiff <- function(x, ..., env = parent.frame()) {
  file <- withr::local_tempfile(fileext = ".tif", .local_envir = env)
  reticulate::import("tifffile")$imwrite(file, reticulate::np_array(x, "float32"), ...)
  file
}

test_that("missing pixels of a file are counted, and NA in its prediction", {
  skip_if_no_python()
  numbers <- matrix(seq(0, 1, length.out = 20 * 33), 20, 33)
  numbers[7, 30] <- NaN
  file <- float_tiff(numbers)
  expect_message(x <- seg_read_image(file), "of 660 pixels 1 is missing (NA).", fixed = TRUE,
                 class = "maskr_message_missing")
  expect_identical(which(is.na(x), arr.ind = TRUE)[, 1:2], c(row = 7L, col = 30L) |>
                     stats::setNames(c("dim1", "dim2")))
  expect_false(is.nan(x[7, 30, 1]))
  set.seed(1)
  model <- seg_unet(1, c(background = 0, cell = 1), init_features = 2)
  # what is missing is filled by the mean
  full <- numbers
  full[7, 30] <- mean(numbers, na.rm = TRUE)
  for (type in c("mask", "prob", "logit")) {
    expected <- predict(model, full, type = type, precision = "float32")
    expected <- array(bare(expected), c(20, 33, length(expected) / 660))
    expected[7, 30, ] <- NA
    for (source in list(file, x, numbers)) {
      found <- predict(model, source, type = type, precision = "float32")
      expect_equal(array(bare(found), dim(expected)), expected, tolerance = 1e-6)
    }
  }
})

test_that("missing pixels are ignored by training, evaluation and class weights", {
  skip_if_no_python()
  set.seed(1)
  model <- seg_unet(1, c(background = 0, cell = 1), init_features = 2)
  image <- matrix(runif(16 * 16), 16)
  mask <- seg_mask(matrix(rep(0:1, each = 128), 16), c(background = 0, cell = 1))
  image[1:2, ] <- NA
  data <- seg_dataset(list(image), list(mask))
  scores <- seg_evaluate(model, data, precision = "float32")
  known <- mask
  known[1:2, ] <- NA
  image[1:2, ] <- mean(image, na.rm = TRUE)
  expect_equal(attr(scores, "confusion"),
               attr(seg_evaluate(model, list(image), list(known), precision = "float32"),
                    "confusion"))
  found <- seg_check(data)
  expect_match(found$message[found$check == "missing"], "32 pixels (12.5 %)", fixed = TRUE)
  expect_error(predict(model, matrix(Inf, 16, 16)), "infinite values in 256 pixels",
               class = "maskr_error_data")
})

test_that("the value that stands for no data is missing", {
  skip_if_no_python()
  suppressMessages({
    x <- seg_read_image(shared_data("geotiff/image_nodata.tif"), scale = FALSE)
    y <- seg_read_image(shared_data("r_rasters/terra_elev.tif"), scale = FALSE)
  })
  expect_equal(sum(is.na(x)), 73873)
  expect_false(any(x == -9999, na.rm = TRUE))
  expect_equal(sum(is.na(y)), 3942)
  expect_equal(attr(y, "range"), c(141, 547))
  expect_message(seg_read_image(attr(y, "path")), "of 8,550 pixels 3,942 are missing",
                 class = "maskr_message_missing")
})

test_that("ImageJ's size of a pixel is kept with its unit", {
  skip_if_no_python()
  file <- float_tiff(matrix(1:6, 2), imagej = TRUE, resolution = c(4, 2),
                     metadata = list(axes = "YX", unit = "um"))
  x <- seg_read_image(file)
  expect_equal(attr(x, "spacing"), c(0.5, 0.25))
  expect_equal(attr(x, "unit"), "um")
  expect_output(print(x), "pixels of 0.50 x 0.25 um")
  expect_equal(attr(t(x), "spacing"), c(0.25, 0.5))
  expect_equal(attr(t(x[, 1:2, ]), "unit"), "um")
  expect_equal(attr(seg_image(x), "unit"), "um")
  expect_null(attr(seg_image(matrix(0), spacing = c(1, 1), unit = "mm"), "unit"))
  expect_error(seg_image(matrix(0), unit = 1), class = "maskr_error_argument")
  model <- seg_unet(1, c(background = 0, cell = 1), init_features = 2)
  mask <- predict(model, x)
  expect_equal(attributes(mask)[c("spacing", "unit")], attributes(x)[c("spacing", "unit")])
  expect_equal(attr(as_seg_mask(as_seg_panoptic(mask)), "unit"), "um")
  other <- seg_mask(bare(mask), attr(mask, "classes"), spacing = c(0.5, 0.25))
  expect_error(seg_metrics(mask, other, metrics = "assd"), "different spacing",
               class = "maskr_error_data")
})
