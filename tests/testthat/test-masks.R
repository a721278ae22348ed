ids <- matrix(c(0, 0, 1, 0, 2, NA), 2)
classes <- c(background = 0, nucleus = 1, border = 2)
mask <- seg_mask(ids, classes)

test_that("a mask holds integers, its classes and their colours", {
  expect_type(mask, "integer")
  expect_identical(as.matrix(mask), matrix(as.integer(ids), 2))
  expect_identical(attr(mask, "classes"), c(background = 0L, nucleus = 1L, border = 2L))
  expect_named(attr(mask, "palette"), names(classes))
  expect_identical(attr(mask, "palette")[["background"]], "#000000")
})

test_that("classes not given are the ids that occur", {
  expect_identical(attr(seg_mask(matrix(c(7, 3), 1)), "classes"), c("3" = 3L, "7" = 7L))
  expect_identical(attr(as_seg_mask(matrix(c(TRUE, FALSE), 1)), "classes"),
                   c(background = 0L, foreground = 1L))
})

test_that("factors and class names are numbered from 0, or matched by name", {
  x <- structure(factor(c("road", "sky", NA, "road"), levels = c("sky", "road")), dim = c(2L, 2L))
  expect_identical(as.matrix(as_seg_mask(x)), matrix(c(1L, 0L, NA, 1L), 2))
  expect_identical(as.matrix(as_seg_mask(x, classes = c(road = 5, sky = 9, car = 2))),
                   matrix(c(5L, 9L, NA, 5L), 2))
  expect_error(as_seg_mask(x, classes = c(road = 1)), class = "maskr_error_data")
  words <- matrix(c("b", "a", NA), 1)
  expect_identical(as.matrix(as_seg_mask(words)), matrix(c(0L, 1L, NA), 1))
  expect_error(as_seg_mask(factor("a")), class = "maskr_error_shape")
})

test_that("wrong masks are classed errors", {
  expect_snapshot(error = TRUE, {
    seg_mask(1:3)
    seg_mask(matrix(0.5))
    seg_mask(matrix(-1))
    seg_mask(matrix(0:3, 1), classes)
    seg_mask(ids, c(0, 1))
    seg_mask(ids, c(a = 1, b = 1))
    seg_mask(ids, classes, palette = "red")
    seg_mask(ids, classes, spacing = c(1, 2, 3))
  })
  expect_error(seg_mask(matrix(0:3, 1), classes), class = "maskr_error_data")
  expect_error(seg_mask(matrix(-1)), class = "maskr_error_data")
})

test_that("indexing all dimensions keeps the mask, one index takes ids", {
  expect_s3_class(mask[, 2:3], "seg_mask")
  expect_identical(as.matrix(mask[1, ]), matrix(c(0L, 1L, 2L), 1))
  expect_identical(attr(mask[1, 1], "classes"), attr(mask, "classes"))
  expect_identical(mask[1, , drop = TRUE], c(0L, 1L, 2L))
  expect_identical(mask[mask == 1 & !is.na(mask)], 1L)
  expect_identical(mask[cbind(1, 3)], 2L)
  expect_identical(mask[], mask)
})

test_that("a mask of 0 and 255 says how to mend it", {
  x <- matrix(c(0, 255, 255, 0, 0, 255), 2)
  expect_error(seg_mask(x, c(background = 0, cell = 1)), "divide by it: `x / 255`", fixed = TRUE,
               class = "maskr_error_data")
  expect_error(seg_metrics(x, x, classes = c(background = 0, cell = 1)), "x / 255", fixed = TRUE,
               class = "maskr_error_data")
})

test_that("one slice of a volume is a mask [H, W]", {
  ids <- array(0:23 %% 3, c(2, 3, 4))
  volume <- seg_mask(ids, c(background = 0, a = 1, b = 2), spacing = c(5, 1, 2))
  expect_identical(volume[2, , ],
                   seg_mask(ids[2, , ], c(background = 0, a = 1, b = 2), spacing = c(1, 2)))
  expect_identical(dim(volume[2, , , drop = FALSE]), c(1L, 3L, 4L))
  expect_identical(dim(volume[1:2, , 2]), c(2L, 3L, 1L))
})

test_that("assignment stays integer and refuses what is unknown", {
  x <- mask
  x[1, 1] <- 2
  x[2, ] <- "nucleus"
  x[1, 2] <- NA
  expect_type(x, "integer")
  expect_identical(as.matrix(x), matrix(c(2L, 1L, NA, 1L, 2L, 1L), 2))
  x[is.na(x)] <- 0
  expect_identical(x[1, 2, drop = TRUE], 0L)
  expect_s3_class(x, "seg_mask")
  expect_snapshot(error = TRUE, {
    x[1, 1] <- 7
    x[1, 1] <- "car"
    x[1, 1] <- 0.5
  })
  expect_error(x[1, 1] <- 7, class = "maskr_error_data")
})

test_that("arithmetic and comparisons give plain arrays", {
  plain <- matrix(as.integer(ids), 2)
  expect_identical(mask == 1, plain == 1)
  expect_identical(1L + mask, 1L + plain)
  expect_identical(mask == mask, plain == plain)
  expect_identical(!mask, !plain)
  expect_identical(abs(mask), abs(plain))
  expect_identical(range(mask, na.rm = TRUE), c(0L, 2L))
  expect_equal(sum(mask, na.rm = TRUE), 3)
  expect_identical(c(mask), as.vector(plain))
})

test_that("masks turn, bind and become data frames", {
  x <- seg_mask(ids, classes, spacing = c(1, 2))
  expect_identical(as.matrix(t(x)), t(matrix(as.integer(ids), 2)))
  expect_equal(attr(t(x), "spacing"), c(2, 1))
  volume <- seg_mask(array(c(0:2, 0:2), c(1, 2, 3)), classes)
  expect_identical(as.array(aperm(volume, c(2, 3, 1))), aperm(as.array(volume), c(2, 3, 1)))
  expect_error(t(volume), class = "maskr_error_shape")
  expect_error(as.matrix(volume), class = "maskr_error_shape")
  expect_identical(as.matrix(rbind(mask, mask)), rbind(as.matrix(mask), as.matrix(mask)))
  expect_s3_class(cbind(mask, mask), "seg_mask")
  expect_error(rbind(mask, seg_mask(ids)), class = "maskr_error_data")
  frame <- as.data.frame(mask)
  expect_named(frame, c("row", "col", "class", "label"))
  expect_equal(frame[frame$row == 1 & frame$col == 3, "label"], "border")
  expect_equal(nrow(frame), 6)
  expect_named(as.data.frame(volume), c("slice", "row", "col", "class", "label"))
})

test_that("masks are printed, summarised and saved", {
  expect_snapshot({
    mask
    seg_mask(array(0, c(2, 3, 4)), c(background = 0, organ = 1), spacing = c(3, 1, 1))
    print(seg_mask(matrix(0:19, 4)), n = 3)
    summary(mask)
    format(mask)
  })
  file <- withr::local_tempfile()
  saveRDS(mask, file)
  expect_identical(readRDS(file), mask)
})

test_that("one-hot channels follow the classes", {
  x <- seg_one_hot(mask)
  expect_equal(dim(x), c(2, 3, 3))
  expect_equal(dimnames(x)[[3]], names(classes))
  expect_equal(unname(x[, , "nucleus"]), matrix(c(0, 0, 1, 0, 0, NA), 2))
  expect_equal(as.vector(rowSums(x, dims = 2)), c(1, 1, 1, 1, 1, NA))
  order <- seg_one_hot(mask, classes = c(border = 2, nucleus = 1, background = 0))
  expect_equal(order[, , 3], x[, , 1])
  expect_error(seg_one_hot(mask, classes = c(background = 0)), class = "maskr_error_data")
  volume <- seg_one_hot(array(c(0, 1, 1), c(1, 1, 3)))
  expect_equal(dim(volume), c(1, 1, 3, 2))
})

test_that("one-hot channels of random masks lead back to them", {
  set.seed(1)
  for (i in 1:10) {
    known <- sort(sample(0:300, 4))
    x <- array(sample(known, 5 * i, replace = TRUE), c(5, i))
    hot <- seg_one_hot(x, classes = stats::setNames(known, known))
    expect_identical(array(known[max.col(matrix(hot, ncol = 4))], dim(x)), x)
  }
})

test_that("what is written is read back, with classes, colours and NA", {
  skip_if_no_python()
  for (kind in c(".png", ".tif")) {
    file <- withr::local_tempfile(fileext = kind)
    expect_identical(seg_write_mask(mask, file), file)
    expect_identical(seg_read_mask(file, classes = classes), mask)
    wide <- seg_mask(ids + 300)
    seg_write_mask(wide, file)
    expect_identical(seg_read_mask(file), wide)
  }
  voc <- seg_mask(ids, classes, palette = seg_palette(3, "voc"))
  seg_write_mask(voc, file)
  expect_identical(attr(seg_read_mask(file, classes), "palette"), attr(voc, "palette"))
})

test_that("a file of 0 and 255 needs a word", {
  skip_if_no_python()
  file <- withr::local_tempfile(fileext = ".png")
  skip_if_not_installed("png")
  png::writePNG(matrix(c(0, 1, 1, 0, 0, 1), 2), file)
  expect_error(seg_read_mask(file), class = "maskr_error_data")
  expect_error(seg_read_mask(file), "values = c\\(0, 255\\)")
  expect_identical(as.matrix(seg_read_mask(file, values = c(0, 255))),
                   matrix(c(0L, 1L, 1L, 0L, 0L, 1L), 2))
  expect_identical(as.matrix(seg_read_mask(file, ignore = 255)),
                   matrix(c(0L, NA, NA, 0L, 0L, NA), 2))
  expect_identical(
    attr(seg_read_mask(file, classes = c(other = 0, cell = 1), values = c(0, 255)), "classes"),
    c(other = 0L, cell = 1L)
  )
})

test_that("reading and writing refuse what would be wrong", {
  skip_if_no_python()
  file <- withr::local_tempfile(fileext = ".png")
  expect_error(seg_write_mask(matrix(c(0, 255), 1), file), class = "maskr_error_data")
  expect_false(file.exists(file))
  expect_error(seg_write_mask(mask, "mask.jpg"), class = "maskr_error_format")
  expect_error(seg_write_mask(mask, file, bits = 12), class = "maskr_error_argument")
  seg_write_mask(mask, file)
  expect_error(seg_read_mask(file, classes = c(background = 0)), class = "maskr_error_data")
  expect_error(seg_read_mask(file, values = 1), class = "maskr_error_argument")
  expect_error(seg_read_mask(file, ignore = 0.5), class = "maskr_error_argument")
})

test_that("instances become a mask by the names of their classes", {
  skip_if_no_python()
  masks <- array(FALSE, c(2, 4, 2))
  masks[, 1:3, 1] <- TRUE
  masks[1, 3:4, 2] <- TRUE
  vocabulary <- c(person = 0, bus = 5)
  x <- seg_instances(masks, c("person", "bus"), score = c(0.9, 0.5), classes = vocabulary)
  expect_snapshot(as_seg_mask(x), error = TRUE)
  expect_error(as_seg_mask(x), class = "maskr_error_data")
  out <- as_seg_mask(x, classes = c(background = 0, bus = 1, person = 2))
  # the person has the higher score where both lie
  expect_identical(as.matrix(out), matrix(c(2L, 2L, 2L, 2L, 2L, 2L, 1L, 0L), 2))
  expect_identical(as.matrix(as_seg_mask(x[2, ])), matrix(c(0L, 0L, 0L, 0L, 5L, 0L, 5L, 0L), 2))
  expect_error(as_seg_mask(x, classes = c(background = 0, bus = 1)), class = "maskr_error_data")
})

test_that("a real mask has the shares that its pixels say", {
  skip_if_no_python()
  file <- shared_data("camvid/valannot/0016E5_07959.png")
  names <- c("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
             "pedestrian", "bicyclist")
  x <- seg_read_mask(file, classes = stats::setNames(0:10, names), ignore = 11)
  expect_equal(dim(x), c(360, 480))
  plain <- seg_read_mask(file)
  expect_equal(sum(is.na(x)), sum(plain == 11))
  expect_equal(summary(x)$pixels[4], sum(plain == 3))
})

test_that("classes can be compared by name", {
  mask <- seg_mask(matrix(c(0, 7, 7, NA, 0, 7), 2), classes = c(background = 0, cell = 7))
  expect_identical(sum(mask == "cell", na.rm = TRUE), 3L)
  expect_identical("cell" != mask, mask != 7)
  expect_error(mask == "cat", "no class", class = "maskr_error_data")
})

test_that("ids beyond R's integers are an error", {
  expect_error(seg_mask(matrix(1e10, 2, 2)), "below 2\\^31", class = "maskr_error_data")
})

# An image file of these numbers, saved by Pillow.
pillow_file <- function(x, ending, type = "uint8", env = parent.frame()) {
  file <- withr::local_tempfile(fileext = ending, .local_envir = env)
  image <- reticulate::import("PIL.Image")$fromarray(reticulate::np_array(x, type))
  image$save(file)
  file
}

test_that("a mask of 0 and NA comes back, and ids of 32 bits do", {
  skip_if_no_python()
  endings <- c(".png", ".tif", if (seg_available("volumes")) ".nii.gz")
  for (ending in endings) {
    file <- withr::local_tempfile(fileext = ending)
    void <- seg_mask(matrix(c(0, NA, 0, 0, NA, 0), 2))
    seg_write_mask(void, file)
    expect_identical(bare(seg_read_mask(file)), bare(void))
    expect_identical(bare(seg_read_mask(file, ignore = 255)), bare(void))
    if (ending == ".png") next
    large <- seg_mask(matrix(c(0, 255, 65535, NA, 1e6, .Machine$integer.max), 2))
    seg_write_mask(large, file)
    expect_identical(bare(seg_read_mask(file)), bare(large))
    expect_error(seg_write_mask(large, file, bits = 16), "bits = 32", class = "maskr_error_data")
  }
  expect_error(seg_write_mask(matrix(c(0, 1e6), 1), "a.png"), "a .tif",
               class = "maskr_error_format")
})

test_that("files that mislead are errors wherever masks are read", {
  skip_if_no_python()
  shape <- matrix(0, 20, 30)
  shape[5:14, 8:22] <- 1
  alpha <- array(255, c(20, 30, 4))
  alpha[, , 4] <- shape * 255
  cases <- list(
    list(file = pillow_file(shape * 2, ".jpg"), says = "compressed with loss"),
    list(file = pillow_file(alpha, ".png"), says = "alpha channel"),
    list(file = pillow_file(shape * 65535, ".png", "uint16"), says = "only the values 0 and 65535")
  )
  classes <- c(background = 0, cell = 1)
  image <- list(matrix(runif(600), 20))
  for (case in cases) {
    expect_error(seg_read_mask(case$file), case$says, class = "maskr_error")
    expect_error(seg_read_instances(case$file), case$says, class = "maskr_error")
    expect_error(seg_metrics(case$file, case$file), case$says, class = "maskr_error")
    data <- seg_dataset(image, list(case$file), classes = classes)
    found <- seg_check(data)
    expect_equal(found$severity[found$check == "mask"], "error")
    expect_match(found$message[found$check == "mask"], case$says)
    expect_error(seg_evaluate(seg_unet(1, classes, init_features = 2), data), case$says,
                 class = "maskr_error")
    folder <- withr::local_tempdir()
    dir.create(file.path(folder, "images"))
    dir.create(file.path(folder, "masks"))
    file.copy(pillow_file(shape, ".png"), file.path(folder, "images", "a.png"))
    file.copy(case$file, file.path(folder, "masks", basename(sub(".*[.]", "a.", case$file))))
    for (format in c("masks", "labels")) {
      one <- if (format == "masks") classes else c(cell = 1)
      read <- seg_read_annotations(folder, format = format, classes = one)
      expect_error(as_seg_mask(read[1, ]), case$says, class = "maskr_error")
    }
  }
  for (file in c(pillow_file(shape * 255, ".jpg"), cases[[3]]$file)) {
    values <- if (grepl("jpg$", file)) c(0, 255) else c(0, 65535)
    expect_equal(as.matrix(seg_read_mask(file, values = values)), shape)
  }
})

test_that("names of values are names of classes", {
  skip_if_no_python()
  skip_if_not_installed("png")
  file <- withr::local_tempfile(fileext = ".png")
  png::writePNG(matrix(c(0, 1, 1, 0, 0, 1), 2), file)
  named <- c(background = 0L, nucleus = 1L)
  found <- seg_read_mask(file, values = c(background = 0, nucleus = 255))
  expect_identical(attr(found, "classes"), named)
  expect_identical(as.matrix(found), matrix(c(0L, 1L, 1L, 0L, 0L, 1L), 2))
  found <- seg_read_mask(file, named, values = c(background = 0, nucleus = 255))
  expect_identical(attr(found, "classes"), named)
  data <- seg_dataset(list(matrix(0.5, 2, 3)), file, values = c(background = 0, nucleus = 255))
  expect_identical(data$classes, named)
  for (verb in list(
    \(values) seg_read_mask(file, values = values),
    \(values) seg_dataset(list(matrix(0.5, 2, 3)), file, named, values = values)
  )) {
    expect_error(verb(c("255" = 1, "0" = 0)), "c\\(0, 255\\)", class = "maskr_error_argument")
    expect_error(verb(c("0" = 0, "1" = 255)), "classes 0, 1", class = "maskr_error_argument")
    expect_error(verb(c(a = 0, 255)), "each given once", class = "maskr_error_argument")
  }
  expect_error(seg_read_mask(file, named, values = c(nucleus = 0, background = 255)),
               "must agree", class = "maskr_error_argument")
})

test_that("listed values that a file lacks do not hide what it holds", {
  skip_if_no_python()
  skip_if_not_installed("png")
  file <- withr::local_tempfile(fileext = ".png")
  png::writePNG(matrix(c(0, 1, 1, 0, 0, 1), 2), file)
  expect_error(seg_read_mask(file, values = c(0, 128)), "holds 255, not among values",
               class = "maskr_error_data")
  expect_identical(as.matrix(seg_read_mask(file, values = c(0, 128), ignore = 255)),
                   matrix(c(0L, NA, NA, 0L, 0L, NA), 2))
  png::writePNG(matrix(c(0, 128, 255, 0, 0, 0) / 255, 2), file)
  expect_identical(as.matrix(seg_read_mask(file, values = c(0, 128))),
                   matrix(c(0L, 1L, NA, 0L, 0L, 0L), 2))
  expect_error(seg_read_mask(file, values = c(0, 255)), "also holds 128",
               class = "maskr_error_data")
})
