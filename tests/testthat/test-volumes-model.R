# Models of volumes: training, prediction and evaluation from R.

liver <- c(background = 0, liver = 1)
to_mm <- matrix(c(-1.5, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 40, -8, 2.5, 1), 4)

small_unet3d <- function(classes = liver, ...) {
  set.seed(1)
  seg_unet3d(1, classes, init_features = 2, ...)
}

# A bright box in noise, 9 x 10 x 13 voxels, and its mask.
bright_box <- function() {
  set.seed(2)
  ids <- array(0, c(9, 10, 13))
  ids[3:7, 2:6, 5:12] <- 1
  values <- array(runif(length(ids), 0, 0.3), dim(ids)) + 0.6 * ids
  list(
    image = seg_image(array(values, c(dim(ids), 1)), spacing = c(3, 2, 1.5), affine = to_mm),
    mask = seg_mask(ids, liver)
  )
}

test_that("a volume becomes a mask of its size that keeps spacing and affine", {
  skip_if_no_python()
  model <- small_unet3d()
  scene <- bright_box()
  mask <- predict(model, scene$image)
  expect_s3_class(mask, "seg_mask")
  expect_equal(dim(mask), c(9, 10, 13))
  expect_equal(attr(mask, "spacing"), c(3, 2, 1.5))
  expect_equal(attr(mask, "affine"), to_mm)
  expect_equal(attr(mask, "classes"), c(background = 0L, liver = 1L))
  prob <- predict(model, scene$image, type = "prob", precision = "float32")
  expect_equal(dim(prob), c(9, 10, 13, 2))
  expect_equal(dimnames(prob)[[4]], names(liver))
  expect_equal(prob[, , , 1] + prob[, , , 2], array(1, c(9, 10, 13)), tolerance = 1e-6)
  exact <- predict(model, scene$image, precision = "float32")
  expect_equal(as.array(exact), 1L * (prob[, , , "liver"] >= 0.5), ignore_attr = TRUE)
  both <- predict(model, list(a = scene$image, b = scene$image[1:4, , 3:8, ]))
  expect_named(both, c("a", "b"))
  expect_equal(dim(both$b), c(4, 10, 6))
})

test_that("a volume is predicted as its axes are", {
  skip_if_no_python()
  model <- small_unet3d()
  image <- bright_box()$image[1:8, 1:8, 1:8, ]
  values <- as.array(image)
  values[2, 5, 7, 1] <- 40
  there <- predict(model, seg_image(values), type = "logit", precision = "float32")
  before <- predict(model, image, type = "logit", precision = "float32")
  change <- abs(there - before)[, , , 1]
  expect_equal(as.vector(arrayInd(which.max(change), dim(change))), c(2, 5, 7), tolerance = 0.5)
})

test_that("files of volumes are predicted with their geometry", {
  skip_if_no_python("volumes")
  model <- small_unet3d()
  folder <- withr::local_tempdir()
  path <- file.path(folder, "ct.nii.gz")
  set.seed(3)
  seg_write_mask(seg_mask(array(sample(0:200, 6 * 7 * 9, TRUE), c(6, 7, 9)),
                          spacing = c(3, 2, 1.5), affine = to_mm), path)
  mask <- predict(model, path)
  expect_equal(dim(mask), c(6, 7, 9))
  expect_equal(attr(mask, "spacing"), c(3, 2, 1.5))
  expect_equal(attr(mask, "affine"), to_mm)
  of_array <- predict(model, seg_read_image(path), type = "prob", precision = "float32")
  expect_equal(predict(model, path, type = "prob", precision = "float32"), of_array)
  expect_named(predict(model, c(path, path)), c("ct.nii.gz", "ct.nii.gz"))
  expect_error(predict(model, file.path(folder, "mr.nii.gz")), class = "maskr_error_file")
  seg_write_mask(mask, file.path(folder, "found.nii.gz"))
  expect_equal(seg_read_mask(file.path(folder, "found.nii.gz"), classes = liver), mask)
})

test_that("a series of DICOM files is one volume", {
  skip_if_no_python("volumes")
  series <- shared_data("volumes/example_ct_dicom")
  model <- small_unet3d()
  # 20 slices of 512 x 512 would take long: the reading is looked at, not the network
  images <- as_sources(series, dims = 3)
  expect_true(images$single)
  expect_named(images$images, "example_ct_dicom")
  expect_error(predict(seg_unet(1, liver, init_features = 2), series), class = "maskr_error_file")
})

test_that("images and volumes are not mistaken for each other", {
  skip_if_no_python()
  scene <- bright_box()
  flat <- seg_unet(1, liver, init_features = 2)
  deep <- small_unet3d()
  expect_error(predict(flat, scene$image), "takes 2D", class = "maskr_error_shape")
  expect_error(predict(flat, list(scene$image)), "2D images", class = "maskr_error_shape")
  expect_error(predict(deep, matrix(0.5, 8, 12)), "takes volumes", class = "maskr_error_shape")
  expect_error(predict(deep, array(0.5, c(2, 8, 12, 1))), "takes volumes",
               class = "maskr_error_shape")
  expect_error(fit(flat, list(scene$image), list(scene$mask), epochs = 1), "2D images",
               class = "maskr_error_shape")
  expect_error(fit(deep, list(matrix(0.5, 8, 12)), list(matrix(0:1, 8, 12)), epochs = 1),
               "takes volumes", class = "maskr_error_shape")
  expect_error(seg_evaluate(flat, list(scene$image), list(scene$mask)), "2D images",
               class = "maskr_error_shape")
})

test_that("a network learns from volumes in memory, and is evaluated on them", {
  skip_if_no_python()
  scene <- bright_box()
  model <- small_unet3d()
  compile(model, "adam", learning_rate = 0.02)
  before <- seg_evaluate(model, list(scene$image), list(scene$mask))
  history <- fit(model, list(scene$image), list(scene$mask), epochs = 15, batch_size = 1,
                 verbose = FALSE)
  loss <- history$value[history$metric == "loss"]
  expect_lt(loss[15], 0.7 * loss[1])
  after <- seg_evaluate(model, list(scene$image), list(scene$mask))
  expect_equal(sum(attr(after, "confusion")), 9 * 10 * 13)
  mean_iou <- function(x) x$value[x$metric == "mean_iou"]
  expect_gt(mean_iou(after), mean_iou(before))
  data <- seg_dataset(list(ct = scene$image), list(scene$mask))
  expect_equal(dim(data[[1]]$image), c(9, 10, 13, 1))
  expect_equal(as.array(data[[1]]$mask), as.array(scene$mask), ignore_attr = TRUE)
  expect_named(predict(model, data), "ct")
})

test_that("a network trains on boxes of volumes in files and predicts them", {
  skip_if_no_python("volumes")
  data <- seg_data_volume(
    shared_data("volumes/example_ct_sm.nii.gz"), window = c(-160, 240), batch_size = 1,
    targets = shared_data("volumes/example_seg.nii.gz"), as = "patches", patch = c(8, 17, 24)
  )
  few <- data[c(40, 60)]
  model <- small_unet3d(data$classes)
  history <- fit(model, few, validation_data = few, epochs = 1, verbose = FALSE)
  expect_true(all(is.finite(history$value)))
  found <- predict(model, few)
  expect_named(found, names(few$images))
  expect_equal(dim(found[[1]]), c(8, 17, 24))
  scores <- seg_evaluate(model, few)
  expect_equal(sum(attr(scores, "confusion")), 2 * 8 * 17 * 24)
  flat <- seg_unet(1, data$classes, init_features = 2)
  expect_error(fit(flat, few, epochs = 1), "2D images", class = "maskr_error_shape")
})

test_that("models of volumes are saved, copied and summarised", {
  skip_if_no_python()
  model <- small_unet3d()
  image <- bright_box()$image
  file <- withr::local_tempfile(fileext = ".keras")
  seg_save(model, file)
  expected <- predict(model, image, type = "prob", precision = "float32")
  expect_equal(predict(seg_load(file), image, type = "prob", precision = "float32"), expected)
  expect_equal(predict(seg_clone(model), image, type = "prob", precision = "float32"), expected)
  about <- summary(model)
  expect_match(about$text, "UNet3D", all = FALSE)
  expect_match(paste(summary(model, size = c(8, 16, 20))$text, collapse = ""), "[1, 1, 8, 16, 24]",
               fixed = TRUE)
  expect_error(summary(model, size = c(64, 64)), "depth", class = "maskr_error_shape")
})
