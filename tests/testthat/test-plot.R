# Pictures are compared by the pixels that matter, not by files.

mask <- seg_mask(matrix(rep(c(0, 1), each = 200), 20, 20), c(background = 0, cell = 1))
picture <- seg_image(matrix(0.5, 20, 20))

# The picture that `code` draws, as an array [H, W, C].
drawn <- function(code, width = 300, height = 240) {
  skip_if_not_installed("png")
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file, width, height)
  tryCatch(force(code), finally = grDevices::dev.off())
  png::readPNG(file)
}

has_colour <- function(pixels, colour) {
  rgb <- grDevices::col2rgb(colour)[, 1] / 255
  any(abs(pixels[, , 1] - rgb[1]) < 0.01 & abs(pixels[, , 2] - rgb[2]) < 0.01 &
        abs(pixels[, , 3] - rgb[3]) < 0.01)
}

test_that("a mask is drawn in its colours, the left half of it background", {
  pixels <- drawn(plot(mask, legend = FALSE))
  expect_equal(pixels[120, 40, 1:3], c(0, 0, 0))
  expect_equal(pixels[120, 200, 1:3], as.vector(grDevices::col2rgb("#E69F00")) / 255,
               tolerance = 0.01)
})

test_that("over an image the background is clear and the colour half opaque", {
  pixels <- drawn(plot(mask, image = picture, legend = FALSE))
  expect_equal(pixels[120, 60, 1:3], rep(0.5, 3), tolerance = 0.01)
  expect_equal(pixels[120, 200, 1], (0.5 + 230 / 255) / 2, tolerance = 0.01)
})

test_that("the legend is drawn and can be left out", {
  with <- drawn(plot(mask, image = picture))
  expect_true(has_colour(with, "#E69F00"))
  # text is dark on white
  expect_true(any(with[, 240:300, 1] < 0.3))
})

test_that("image rows run from top to bottom", {
  half <- seg_image(rbind(matrix(0, 10, 20), matrix(1, 10, 20)))
  pixels <- drawn(plot(half))
  expect_equal(pixels[60, 150, 1], 0)
  expect_equal(pixels[180, 150, 1], 1)
})

test_that("large images are averaged and keep their mean", {
  big <- array(rep(c(0, 1), length.out = 3000 * 400), c(3000, 400, 1))
  expect_equal(average(big, 2), array(0.5, c(1500, 200, 1)))
  odd <- array(1:35, c(5, 7, 1))
  expect_equal(average(odd, 2)[2, 3, 1], mean(odd[3:4, 5:6, 1]))
})

test_that("objects are outlined and labelled", {
  skip_if_no_python()
  planes <- array(FALSE, c(20, 20, 2))
  planes[3:12, 3:12, 1] <- TRUE
  planes[10:18, 10:18, 2] <- TRUE
  x <- seg_instances(planes, c(1, 2), score = c(0.9, 0.4), classes = c(cell = 1, dust = 2))
  pixels <- drawn(plot(x, image = picture))
  expect_true(has_colour(pixels, "#E69F00"))
  expect_true(has_colour(pixels, "#56B4E9"))
  expect_silent(drawn(plot(x)))
  expect_silent(drawn(plot(x[integer(), ], image = picture)))
  expect_silent(drawn(plot(as_seg_panoptic(x), image = picture)))
  expect_silent(drawn(plot(as_seg_panoptic(x))))
})

test_that("an image of another size is a shape error, and devices are left as they were", {
  expect_error(drawn(plot(mask, image = matrix(0, 3, 3))), class = "maskr_error_shape")
  drawn({
    before <- graphics::par("mar", "mfrow")
    plot(mask, main = "Title")
    expect_equal(graphics::par("mar", "mfrow"), before)
  })
})

test_that("volumes show their middle slice", {
  volume <- seg_image(array(rep(c(0, 0.5, 1), 16), c(3, 4, 4, 1)))
  expect_equal(drawn(plot(volume))[120, 150, 1], 0.5, tolerance = 0.01)
  expect_equal(drawn(plot(volume, slice = 3))[120, 150, 1], 1)
  expect_error(drawn(plot(volume, slice = 4)), class = "maskr_error_argument")
})

test_that("ggplot2 draws all of them", {
  skip_if_not_installed("ggplot2")
  pixels <- drawn(print(ggplot2::autoplot(mask, image = picture)))
  expect_true(any(pixels[, , 1] < 0.9))
  expect_s3_class(ggplot2::autoplot(picture), "ggplot")
  scene <- as_seg_panoptic(mask)
  expect_silent(drawn(print(ggplot2::autoplot(scene))))
  skip_if_no_python()
  x <- as_seg_instances(as.matrix(mask))
  expect_silent(drawn(print(ggplot2::autoplot(x, image = picture))))
})

test_that("pictures and conversions refuse arguments that they do not have", {
  skip_if_no_python()
  withr::local_pdf(NULL)
  classes <- c(background = 0, nucleus = 1)
  mask <- seg_mask(matrix(c(0, 1, 1, 0, 0, 1), 2), classes)
  objects <- as_seg_instances(as.matrix(mask), class = c(nucleus = 1))
  scores <- seg_metrics(mask, mask)
  pictures <- list(
    \() plot(mask, type = "l"), \() plot(seg_image(matrix(0, 2, 3)), type = "l"),
    \() plot(objects, type = "l"), \() plot(as_seg_panoptic(objects), type = "l"),
    \() plot(seg_compare(a = scores, b = scores), typ0 = "l"),
    \() plot(seg_errors(objects, objects), type = "l"), \() ggplot2::autoplot(mask, type = "l"),
    \() ggplot2::autoplot(objects, type = "l"), \() plot(scores, col = "red"),
    \() as_seg_panoptic(objects, type = "l"), \() as_seg_image(matrix(0, 2, 3), type = "l"),
    \() as_seg_instances(as.matrix(mask), classes = classes, type = "l")
  )
  for (draw in pictures) {
    expect_error((!!draw)(), "There (is no argument|are no arguments)",
                 class = "maskr_error_argument")
  }
  expect_error(plot(mask, imag3 = NULL), "Did you mean `image`")
})
