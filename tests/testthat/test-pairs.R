# Empty files of these names, in a folder of their own.
touch <- function(names, folder = withr::local_tempdir(.local_envir = parent.frame())) {
  paths <- file.path(folder, names)
  for (path in unique(dirname(paths))) dir.create(path, showWarnings = FALSE, recursive = TRUE)
  file.create(paths)
  paths
}

paired <- function(images, targets) basename(pair_targets(images, targets))

test_that("files are matched by name in whatever order they come", {
  images <- touch(c("b.jpg", "a.jpg", "c.jpeg"))
  expect_equal(paired(images, touch(c("a.png", "b.png", "c.png"))), c("b.png", "a.png", "c.png"))
})

test_that("the usual words of masks and images do not count", {
  pairs <- list(
    list(c("2.jpg", "1.jpg"), c("1_mask.png", "2_mask.png")),
    list(c("img_2.jpg", "img_1.jpg"), c("mask_1.png", "mask_2.png")),
    list(c("image2.jpg", "image1.jpg"), c("gt1.png", "gt2.png")),
    list(c("x_b_leftImg8bit.png", "x_a_leftImg8bit.png"),
         c("x_a_gtFine_labelIds.png", "x_b_gtFine_labelIds.png")),
    list(c("0_b.png", "0_a.png"), c("0_a_L.png", "0_b_L.png")),
    list(c("b_raw.tif", "a_raw.tif"), c("a-Segmentation.tif", "b-Segmentation.tif")),
    list(c("scan_b.nii.gz", "scan_a.nii.gz"), c("scan_a_seg.nii.gz", "scan_b_seg.nii.gz"))
  )
  for (pair in pairs) expect_equal(paired(touch(pair[[1]]), touch(pair[[2]])), rev(pair[[2]]))
})

test_that("one common beginning and end of all names is found", {
  expect_equal(
    paired(touch(c("12.png", "1.png", "2.png")), touch(c("m1-lung.v2.png", "m12-lung.v2.png",
                                                          "m2-lung.v2.png"))),
    c("m12-lung.v2.png", "m1-lung.v2.png", "m2-lung.v2.png")
  )
  expect_equal(paired(touch(c("s2 (x)+.png", "s1 (x)+.png")), touch(c("s1.png", "s2.png"))),
               c("s2.png", "s1.png"))
})

test_that("files of one name are matched by folder", {
  root <- withr::local_tempdir()
  images <- touch(c("p2/image.png", "p1/image.png"), root)
  masks <- touch(c("p1/mask.png", "p2/mask.png"), root)
  expect_equal(basename(dirname(pair_targets(images, masks))), c("p2", "p1"))
  images <- touch(c("images/p2/x.png", "images/p1/x.png"), root)
  masks <- touch(c("labels/p1/x.png", "labels/p2/x.png"), root)
  expect_equal(basename(dirname(pair_targets(images, masks))), c("p2", "p1"))
})

test_that("numbers are never cut and unlike names never guessed", {
  root <- withr::local_tempdir()
  images <- touch(paste0("a", 1:9, ".png"), root)
  masks <- touch(paste0("z", 1:9, ".png"), root)
  expect_snapshot(seg_dataset(images, masks), error = TRUE)
  expect_error(pair_targets(touch(paste0(1:9, ".png")), touch(paste0(11:19, ".png"))),
               class = "maskr_error_data")
})

test_that("what has no partner is listed", {
  root <- withr::local_tempdir()
  images <- touch(paste0("slide", 1:9, ".png"), root)
  masks <- touch(paste0("slide", 3:9, "_mask.png"), root)
  expect_snapshot(seg_dataset(images, masks), error = TRUE)
  expect_snapshot(seg_dataset(images[3:8], masks), error = TRUE)
  expect_snapshot(seg_dataset(images[c(3, 3, 4)], masks[c(1, 2)]), error = TRUE)
})

test_that("pairs may be given explicitly, by names or by order", {
  images <- touch(c("a1.png", "a2.png"))
  masks <- touch(c("z1.png", "z2.png"))
  by_name <- seg_dataset(images, c(a2.png = masks[[1]], a1.png = masks[[2]]))
  expect_equal(basename(unlist(by_name$targets)), c("z2.png", "z1.png"))
  by_stem <- seg_dataset(images, c(a2 = masks[[1]], a1 = masks[[2]]))
  expect_equal(by_stem$targets, by_name$targets)
  in_order <- seg_dataset(images, as.list(masks))
  expect_equal(basename(unlist(in_order$targets)), c("z1.png", "z2.png"))
  expect_error(seg_dataset(images, c(a1 = masks[[1]], b = masks[[2]])), class = "maskr_error_data")
  one <- seg_dataset(images[[1]], masks[[2]])
  expect_equal(basename(one$targets[[1]]), "z2.png")
})

test_that("lists with the same names are matched by them", {
  image <- matrix(0.5, 2, 3)
  data <- seg_dataset(list(a = image, b = image),
                      list(b = matrix(1, 2, 3), a = matrix(0, 2, 3)))
  expect_equal(data$targets[[1]], matrix(0, 2, 3))
})

test_that("folders are taken as their image files", {
  root <- withr::local_tempdir()
  touch(c("i/b.png", "i/a.JPG", "i/notes.txt", "i/deep/c.png", "m/a.png", "m/b.png"), root)
  data <- seg_dataset(file.path(root, "i"), file.path(root, "m"))
  expect_equal(names(data$images), c("a.JPG", "b.png"))
  expect_equal(basename(unlist(data$targets)), c("a.png", "b.png"))
  dir.create(file.path(root, "empty"))
  expect_error(seg_dataset(file.path(root, "empty"), file.path(root, "m")),
               class = "maskr_error_file")
})

test_that("part of a dataset keeps what belongs to it", {
  images <- lapply(c(a = 0.1, b = 0.2, c = 0.3), matrix, 2, 3)
  data <- seg_dataset(images, lapply(c(0, 1, 0), matrix, 2, 3), sample_weights = 1:3,
                      classes = c(background = 0, x = 1))
  part <- data[c(3, 1)]
  expect_equal(names(part$images), c("c", "a"))
  expect_equal(part$targets[[1]], matrix(0, 2, 3))
  expect_equal(part$sample_weights, c(3, 1))
  expect_equal(part$classes, data$classes)
  expect_equal(data[c("c", "a")], part)
  expect_equal(data[-2][2:1], part)
  expect_equal(data[c(TRUE, FALSE, TRUE)][c(2, 1)], part)
  for (i in list(4, 0, "d", c(TRUE, FALSE), 1.5, NA, integer(), c(-1, 2))) {
    expect_error(data[i], class = "maskr_error_argument")
  }
})

test_that("folders are in one order, whatever letters and locale", {
  names <- c("\u00e4pfel.png", "\u00e9.png", "b.png", "Zebra.png")
  paths <- touch(names)
  expected <- c("Zebra.png", "b.png", "\u00e4pfel.png", "\u00e9.png")
  expect_identical(enc2utf8(basename(files_in(dirname(paths[[1]])))), expected)
  volumes <- touch(sub("png", "nii.gz", names))
  found <- mask_files(dirname(volumes[[1]]), "truth", rlang::current_env())
  expect_identical(enc2utf8(basename(found)), sub("png", "nii.gz", expected))
  skip_if_no_python()
  os <- reticulate::import("os")
  expect_identical(sort(unlist(os$listdir(dirname(paths[[1]]))), method = "radix"), expected)
})
