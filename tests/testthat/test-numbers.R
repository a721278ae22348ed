# Numbers of bit64's class integer64, made here without it.

wide <- function(x) {
  halves <- rbind(as.vector(x) %% 2^32, floor(as.vector(x) / 2^32))
  # R writes its NA, which -2^31 becomes, as -2^31
  bits <- suppressWarnings(as.integer(ifelse(halves >= 2^31, halves - 2^32, halves)))
  out <- readBin(writeBin(bits, raw(), endian = "little"), "double", length(x), endian = "little")
  structure(out, class = "integer64", dim = dim(x), names = names(x))
}

test_that("integer64 are the numbers that they stand for, missing values too", {
  x <- c(0, 1, -1, 255, 2^31, 2^32 + 7, -2^40, 2^53)
  expect_identical(maskr:::plain_number(wide(x)), x)
  missing <- structure(readBin(as.raw(c(rep(0, 7), 128)), "double", endian = "little"),
                       class = "integer64")
  expect_identical(maskr:::plain_number(missing), NA_real_)
  expect_identical(maskr:::plain_number(wide(matrix(1:6, 2))), matrix(as.double(1:6), 2))
  expect_identical(maskr:::plain_number(wide(c(a = 3))), c(a = 3))
  expect_identical(maskr:::plain_number(1:3), 1:3)
})

test_that("sizes, counts and class ids may be integer64", {
  classes <- wide(c(background = 0, nucleus = 3))
  mask <- seg_mask(wide(matrix(c(0, 3, 3, 0, 0, 3), 2)), classes)
  expect_identical(mask, seg_mask(matrix(c(0, 3, 3, 0, 0, 3), 2), c(background = 0, nucleus = 3)))
  mask[1, 1] <- wide(3)
  expect_identical(as.matrix(mask)[1, 1], 3L)
  expect_identical(seg_image(wide(matrix(0:5, 2)), range = c(0, 5)),
                   seg_image(matrix(0:5, 2), range = c(0, 5)))
  images <- rep(list(wide(matrix(0:5, 2))), 2)
  data <- seg_dataset(images, list(mask, mask), size = wide(c(4, 6)), batch_size = wide(2),
                      sample_weights = wide(c(1, 3)))
  expect_identical(data$size, c(4L, 6L))
  expect_identical(data$batch_size, 2L)
  expect_identical(data$sample_weights, c(1, 3))
  expect_named(data[wide(2)]$images, "image 2")
})

test_that("data frames with integer64 are read, or refused by their column", {
  skip_if_no_python()
  found <- as_seg_instances(matrix(c(0, 1, 1, 0, 2, 2), 2), class = c(nucleus = 3))
  table <- as.data.frame(found)
  table$class <- wide(table$class)
  table$id <- wide(table$id)
  again <- as_seg_instances(table, size = wide(c(2, 3)), classes = wide(c(nucleus = 3)))
  expect_identical(again, found)
  found$id <- wide(found$id)
  expect_error(as.array(found), "column `id` is of class integer64", class = "maskr_error_data")
  x <- as_seg_annotations(list("a.png" = again))
  x$objects$image_id <- wide(x$objects$image_id)
  expect_error(as_seg_instances(x, 1), "`objects` its column `image_id` is of class integer64",
               class = "maskr_error_data")
  expect_output(print(x), "incomplete.*integer64")
  boxes <- cbind(xmin = 0, ymin = 0, xmax = 2, ymax = 2)
  expect_identical(seg_box_iou(wide(boxes), boxes), seg_box_iou(boxes, boxes))
  segments <- data.frame(id = 1:2, class = 3)
  wider <- segments
  wider[] <- lapply(segments, wide)
  labels <- matrix(c(0, 1, 1, 0, 2, 2), 2)
  expect_identical(seg_panoptic(labels, wider, c(nucleus = 3)),
                   seg_panoptic(labels, segments, c(nucleus = 3)))
})

test_that("groups may be integer64, and whatever does not take them says so", {
  skip_if_no_python()
  groups <- c(5, 5, 2^40, 2^40)
  set.seed(1)
  a <- seg_split(c("a", "b", "c", "d"), c(x = 0.5, y = 0.5), group = wide(groups))
  set.seed(1)
  expect_identical(a, seg_split(c("a", "b", "c", "d"), c(x = 0.5, y = 0.5), group = groups))
  expect_error(seg_split(4, wide(c(x = 1, y = 1))), "integer64", class = "maskr_error_argument")
  expect_error(seg_image(matrix(1, 2, 2), spacing = wide(c(1, 1))), "integer64",
               class = "maskr_error_argument")
})

test_that("models take integer64 arrays as they take numbers", {
  skip_if_no_python()
  set.seed(1)
  model <- seg_unet(wide(1), wide(c(background = 0, nucleus = 1)), init_features = wide(4))
  image <- matrix(c(0, 1, 1, 0, 1, 1, 0, 1), 2)
  expect_identical(predict(model, wide(image), type = "logit"),
                   predict(model, image, type = "logit"))
  four <- array(image, c(1, 2, 4, 1))
  expect_identical(predict(model, wide(four)), predict(model, four))
})
