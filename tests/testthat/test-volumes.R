# A CT of 3 x 4 x 5 voxels and its labels, in a folder of their own.
volume_pair <- function(env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  ids <- array(0, c(3, 4, 5))
  ids[2, 2:3, 4] <- 1
  ids[3, 1, 1] <- NA
  labels <- seg_mask(ids, c(background = 0, liver = 1), spacing = c(3, 2, 1.5), affine = affine)
  seg_write_mask(labels, file.path(folder, "ct_seg.nii.gz"))
  ct <- seg_mask(array(0:59, c(3, 4, 5)), spacing = c(3, 2, 1.5), affine = affine)
  seg_write_mask(ct, file.path(folder, "ct.nii.gz"))
  list(ct = file.path(folder, "ct.nii.gz"), labels = file.path(folder, "ct_seg.nii.gz"),
       ids = ids, mask = labels)
}

# From (i, j, k) to mm: i runs to the left, voxels are 1.5 x 2 x 3 mm.
affine <- matrix(c(-1.5, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 40, -8, 2.5, 1), 4)

liver <- c(background = 0, liver = 1)

test_that("label volumes come back from NIfTI as they were, with their geometry", {
  skip_if_no_python("volumes")
  pair <- volume_pair()
  expect_identical(seg_read_mask(pair$labels, classes = liver), pair$mask)
  plain <- withr::local_tempfile(fileext = ".nii")
  bare <- seg_mask(pair$ids, liver)
  seg_write_mask(bare, plain)
  expect_identical(seg_read_mask(plain, classes = liver), bare)
  expect_snapshot(seg_read_mask(pair$labels, classes = liver))
})

test_that("volumes have spacing, affine and units", {
  skip_if_no_python("volumes")
  x <- seg_read_image(volume_pair()$ct, scale = FALSE)
  expect_equal(dim(x), c(3, 4, 5, 1))
  expect_equal(as.array(x), array(0:59 + 0, c(3, 4, 5, 1)))
  expect_equal(attr(x, "spacing"), c(3, 2, 1.5))
  expect_equal(attr(x, "affine"), affine)
  expect_equal(x[3, 2, 5, 1, drop = TRUE], 2 + 3 * 1 + 12 * 4)
})

test_that("the shared CT is read in Hounsfield units", {
  skip_if_no_python("volumes")
  ct <- seg_read_image(shared_data("volumes/example_ct_sm.nii.gz"), scale = FALSE)
  expect_equal(dim(ct), c(30, 101, 122, 1))
  expect_equal(range(ct), c(-1100, 1207))
  expect_equal(attr(ct, "spacing"), c(3, 3, 3))
  labels <- seg_read_mask(shared_data("volumes/example_seg.nii.gz"))
  expect_length(attr(labels, "classes"), 42)
  expect_equal(attr(labels, "affine"), attr(ct, "affine"))
  series <- seg_read_image(shared_data("volumes/example_ct_dicom"), scale = FALSE)
  expect_equal(dim(series), c(20, 512, 512, 1))
  of_series <- seg_read_mask(shared_data("volumes/example_seg_dicom.nii.gz"))
  expect_equal(attr(series, "affine"), attr(of_series, "affine"), tolerance = 1e-6)
  one <- seg_read_image(list.files(attr(series, "path"), full.names = TRUE)[[20]], scale = FALSE)
  expect_equal(as.array(one), array(series[1, , , ], c(512, 512, 1)))
})

test_that("files that are no volumes are classed errors", {
  skip_if_no_python("volumes")
  folder <- withr::local_tempdir()
  expect_error(seg_read_image(folder), class = "maskr_error_format")
  file <- file.path(folder, "a.nii.gz")
  writeLines("no volume", file)
  expect_error(seg_read_image(file), class = "maskr_error_format")
  expect_error(seg_read_mask(file), class = "maskr_error_format")
  expect_error(seg_read_image(file.path(folder, "b.nii")), class = "maskr_error_file")
  mask <- seg_mask(array(0, c(2, 3, 4)), spacing = c(1, 1, 1), affine = affine)
  expect_error(seg_write_mask(mask, file.path(folder, "c.nii")), class = "maskr_error_data")
  expect_false(file.exists(file.path(folder, "c.nii")))
})

test_that("volumes become a dataset of slices", {
  skip_if_no_python("volumes")
  pair <- volume_pair()
  expect_message(data <- seg_data_volume(pair$ct, targets = pair$labels, classes = liver),
                 "Left out 2 of 3 slices")
  expect_equal(names(data$images), "ct[2,,]")
  expect_equal(data$groups, "ct")
  data <- seg_data_volume(pair$ct, targets = pair$labels, classes = liver, empty = TRUE,
                          batch_size = 2, window = c(0, 50))
  expect_snapshot(data)
  expect_equal(names(data[3]$images), "ct[3,,]")
  expect_equal(data[2:3]$groups, c("ct", "ct"))
  seen <- data[[2]]
  expect_equal(as.matrix(seen$image), pmin(array(0:59, c(3, 4, 5))[2, , ] / 50, 1),
               tolerance = 1e-6)
  expect_equal(as.array(seen$mask), pair$mask[2, , , drop = TRUE], ignore_attr = TRUE)
  file <- withr::local_tempfile()
  saveRDS(data, file)
  expect_identical(readRDS(file), data)
  across <- seg_data_volume(pair$ct, targets = pair$labels, axis = 3, empty = TRUE)
  expect_equal(names(across$images)[[4]], "ct[,,4]")
  expect_equal(across$classes, c("0" = 0L, "1" = 1L))
  expect_equal(as.array(across[[4]]$mask), pair$mask[, , 4, drop = TRUE], ignore_attr = TRUE)
})

test_that("volumes become a dataset of boxes", {
  skip_if_no_python("volumes")
  pair <- volume_pair()
  data <- seg_data_volume(pair$ct, targets = pair$labels, as = "patches", patch = c(2, 3, 3),
                          empty = TRUE)
  expect_length(data, 8)
  expect_equal(names(data$images)[[1]], "ct[1:2,1:3,1:3]")
  set.seed(1)
  a <- seg_data_volume(pair$ct, targets = pair$labels, as = "patches", patch = 2, number = 3)
  set.seed(1)
  b <- seg_data_volume(pair$ct, targets = pair$labels, as = "patches", patch = 2, number = 3)
  expect_length(a, 3)
  expect_identical(a, b)
})

test_that("wrong arguments and pairs are classed errors", {
  expect_snapshot(error = TRUE, {
    seg_data_volume("ct.nii", axis = 4)
    seg_data_volume("ct.nii", window = c(5, 1))
    seg_data_volume("ct.nii", patch = c(1, 2))
    seg_data_volume("ct.nii")
    seg_data_volume(1)
  }, transform = hide_folder)
  skip_if_no_python("volumes")
  pair <- volume_pair()
  expect_error(seg_data_volume(pair$ct), class = "maskr_error_format")
  expect_error(seg_data_volume(pair$ct, targets = pair$labels, classes = c(a = 0, b = 2)),
               class = "maskr_error_data")
  moved <- seg_mask(pair$ids, liver, affine = affine %*% diag(c(-1, 1, 1, 1)))
  seg_write_mask(moved, pair$labels)
  expect_error(seg_data_volume(pair$ct, targets = pair$labels), "beside",
               class = "maskr_error_format")
  seg_write_mask(seg_mask(array(0, c(3, 4, 5)), liver), pair$labels)
  expect_error(seg_data_volume(pair$ct, targets = pair$labels), class = "maskr_error_data")
})

test_that("a model trains on slices, predicts them, and patients stay together", {
  skip_if_no_python("volumes")
  data <- seg_data_volume(
    shared_data("volumes/example_ct_sm.nii.gz"), window = c(-160, 240), batch_size = 2,
    targets = shared_data("volumes/example_seg.nii.gz"), size = c(64, 64)
  )
  expect_length(data, 30)
  ct <- seg_read_image(shared_data("volumes/example_ct_sm.nii.gz"), scale = FALSE)
  whole <- seg_data_volume(shared_data("volumes/example_ct_sm.nii.gz"), window = c(-160, 240),
                           targets = shared_data("volumes/example_seg.nii.gz"))
  windowed <- pmax(pmin((ct[7, , , 1, drop = TRUE] + 160) / 400, 1), 0)
  expect_equal(as.matrix(whole[[7]]$image), windowed, tolerance = 1e-6)
  set.seed(1)
  few <- data[c(5, 9, 13)]
  model <- seg_unet(1, classes = data$classes, init_features = 4)
  history <- fit(model, few, epochs = 1, verbose = FALSE)
  expect_true(all(is.finite(history$value)))
  found <- predict(model, whole[c(5, 9)])
  expect_equal(dim(found[[1]]), c(101, 122))
  expect_named(found, names(whole[c(5, 9)]$images))
  expect_s3_class(seg_evaluate(model, few), "seg_metrics")
  few$groups <- c("a", "a", "b")
  parts <- seg_split(few, c(train = 0.6, valid = 0.4))
  expect_false(any(parts$train$groups %in% parts$valid$groups))
})

test_that("label volumes are annotations, with their geometry", {
  skip_if_no_python("volumes")
  pair <- volume_pair()
  x <- seg_read_annotations(pair$labels, classes = liver)
  expect_identical(x$format, "nifti")
  expect_identical(as_seg_mask(x), pair$mask)
  folder <- file.path(withr::local_tempdir(), "Dataset001")
  suppressMessages(seg_convert(pair$labels, folder, "nifti"))
  # there is no volume to go along
  expect_setequal(list.files(folder), c("dataset.json", "labelsTr"))
  expect_identical(as_seg_mask(seg_read_annotations(folder, classes = liver)), pair$mask)
  again <- seg_read_mask(file.path(folder, "labelsTr", "ct_seg.nii.gz"), classes = liver)
  expect_identical(again, pair$mask)
})

test_that("a folder of nnU-Net is one call", {
  skip_if_no_python("volumes")
  pair <- volume_pair()
  root <- withr::local_tempdir()
  for (inner in c("imagesTr", "labelsTr")) dir.create(file.path(root, inner))
  for (name in c("a", "b")) {
    file.copy(pair$ct, file.path(root, "imagesTr", paste0(name, "_0000.nii.gz")))
    file.copy(pair$labels, file.path(root, "labelsTr", paste0(name, ".nii.gz")))
  }
  writeLines('{"labels": {"background": 0, "liver": 1}}', file.path(root, "dataset.json"))
  data <- seg_data_volume(root, "train", empty = TRUE)
  expect_equal(data$classes, c(background = 0L, liver = 1L))
  expect_equal(data$groups, rep(c("a", "b"), each = 3))
  parts <- seg_split(data, c(train = 0.5, valid = 0.5))
  expect_length(unique(parts$train$groups), 1)
})
