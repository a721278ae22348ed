classes <- c(background = 0, cell = 1)

# Smooth images that do not look alike, and their masks.
samples <- function(n, first = 1) {
  images <- lapply(first + seq_len(n) - 1, \(i) {
    outer(seq(0, 1, length.out = 24), seq(0, 1, length.out = 32),
          \(y, x) 0.5 + 0.4 * sin(i * 3.1 * x + i^2 * y) * cos(2 * i * y))
  })
  names(images) <- paste0("s", first + seq_len(n) - 1)
  mask <- matrix(0, 24, 32)
  mask[5:9, 6:20] <- 1
  list(images = images, masks = rep(list(mask), n), classes = classes)
}

test_that("good data pass", {
  skip_if_no_python()
  found <- seg_check(train = samples(4), valid = samples(2, 5))
  expect_s3_class(found, "seg_check")
  expect_equal(nrow(found), 0)
  expect_equal(attr(found, "images"), c(train = 4L, valid = 2L))
  table <- attr(found, "classes")
  expect_equal(table$label, c("background", "cell", "background", "cell"))
  expect_equal(table$pixels, c(4 * 693, 4 * 75, 2 * 693, 2 * 75))
  expect_equal(table$share[2], 75 / 768)
  expect_equal(table$images, c(4, 4, 2, 2))
  expect_snapshot(found)
  expect_snapshot(seg_check(samples(1)))
})

test_that("what is wrong is listed, errors first, and printed", {
  skip_if_no_python()
  train <- samples(6)
  train$masks[[2]][1, 1:3] <- 7
  train$masks[[3]][] <- NA
  train$masks[[4]] <- t(train$masks[[4]])
  train$masks[[5]][] <- 0
  train$images$s6 <- train$images$s1
  valid <- samples(2, 1)
  valid$masks[[1]][] <- 0
  train <- seg_dataset(train$images, train$masks, classes = c(classes, none = 9))
  found <- seg_check(train, valid)
  expect_equal(unique(found$severity), c("error", "warning", "note"))
  rows <- as.data.frame(found)[c("check", "split", "file")]
  key <- paste(rows$check, rows$split, rows$file)
  expect_setequal(key, c(
    "class ids train s2", "size train s4", "leak valid s1", "leak valid s2", "duplicate train s6",
    "ignored train s3", "absent class train NA", "empty valid s1", "empty train s5"
  ))
  expect_snapshot(found)
  expect_snapshot(summary(found))
  expect_identical(class(found[found$severity == "error", ]), "data.frame")
})

test_that("the check goes on after damaged files", {
  skip_if_no_python()
  folder <- withr::local_tempdir()
  scene <- samples(3)
  paths <- file.path(folder, paste0(names(scene$images), ".png"))
  for (i in 1:3) png::writePNG(scene$images[[i]], paths[[i]])
  masks <- file.path(folder, paste0(names(scene$images), "_mask.png"))
  for (i in 1:3) seg_write_mask(scene$masks[[i]], masks[[i]])
  data <- seg_dataset(paths, masks, classes = classes)
  writeBin(readBin(paths[[2]], "raw", 100), paths[[2]])
  unlink(masks[[3]])
  found <- seg_check(data)
  expect_equal(found$check, c("image", "mask"))
  expect_equal(found$file, paths[2:3])
  expect_equal(unique(found$severity), "error")
  expect_match(format(found), "s2.png: s2.png is damaged", all = FALSE)
})

test_that("objects without a background class are checked, and classes keep their ids", {
  skip_if_no_python()
  stripes <- array(rep(c(TRUE, FALSE), length.out = 24), c(24, 32, 1))
  whole <- stripes | TRUE
  ids <- c(person = 0, car = 2)
  objects <- list(seg_instances(whole, "car", classes = ids),
                  seg_instances(stripes, "person", classes = ids))
  data <- seg_dataset(samples(2)$images, objects, classes = ids)
  found <- seg_check(data)
  expect_equal(found$check, "parts")
  table <- attr(found, "classes")
  expect_equal(table$class, c(NA, 0, 2))
  expect_equal(table$pixels, c(12 * 32, 12 * 32, 24 * 32))
})

test_that("classes that are rare, or only in another dataset, are named", {
  skip_if_no_python()
  train <- samples(3)
  train$classes <- c(classes, spot = 2, other = 3)
  valid <- samples(1, 8)
  valid$classes <- train$classes
  train$masks[[1]][1, 1] <- 2
  valid$masks[[1]][1:9, 1] <- 3
  found <- seg_check(list(train = train, valid = valid))
  expect_equal(found$check, c("absent class", "absent class", "rare class"))
  expect_match(found$message[[1]], "No pixel belongs to other, which another dataset has")
  expect_match(found$message[[3]], "spot")
})

test_that("groups that are torn apart are named, and alike images in them are not", {
  skip_if_no_python()
  images <- samples(4)
  images$images$s2 <- images$images$s1 * 0.7 + 0.2
  data <- seg_dataset(images)
  expect_equal(seg_check(data)$check, "alike")
  data$groups <- c("a", "a", "b", "b")
  expect_equal(nrow(seg_check(data)), 0)
  found <- seg_check(train = data[1:3], valid = data[4])
  expect_equal(found$check, "group")
  expect_match(found$message, "same group: b")
})

test_that("only datasets are checked", {
  expect_error(seg_check(1:3), class = "maskr_error_argument")
  expect_error(seg_check(), class = "maskr_error_argument")
})

test_that("training on masks that are all NA is an error", {
  skip_if_no_python()
  data <- samples(2)
  data$masks <- lapply(data$masks, \(mask) mask * NA)
  model <- seg_unet(1, classes, init_features = 2)
  expect_error(fit(model, data, epochs = 1), "Every pixel of every mask is ignored",
               class = "maskr_error_data")
})

test_that("real data: CamVid passes, and its void needs a word", {
  skip_if_no_python()
  streets <- c(sky = 0, building = 1, pole = 2, road = 3, pavement = 4, tree = 5, sign = 6,
               fence = 7, car = 8, pedestrian = 9, bicyclist = 10)
  images <- shared_data("camvid/val")
  masks <- shared_data("camvid/valannot")
  expect_equal(nrow(seg_check(seg_dataset(images, masks, classes = streets, ignore = 11))), 0)
  found <- seg_check(seg_dataset(images, masks, classes = streets))
  expect_equal(found$check, rep("class ids", 20))
})

test_that("labels of a volume that number objects are found where they became classes", {
  skip_if_no_python("volumes")
  folder <- withr::local_tempdir()
  numbers <- array(0L, c(3, 6, 8))
  for (k in 1:6) numbers[2, k, 2:5] <- k
  paths <- file.path(folder, c("a.tif", "a_seg.tif"))
  for (path in paths) {
    reticulate::import("tifffile")$imwrite(path, reticulate::np_array(numbers, "uint16"),
                                           photometric = "minisblack")
  }
  data <- suppressMessages(seg_data_volume(paths[1], targets = paths[2]))
  found <- seg_check(data)
  expect_match(found$message[found$check == "object numbers"], "6 classes have no names")
  one <- suppressMessages(seg_data_volume(paths[1], targets = paths[2], class = c(cell = 1)))
  expect_false("object numbers" %in% seg_check(one)$check)
})
