# Folders in the documented layouts, made here, and the real ones of the shared test data.

height <- 12
width <- 20

new_folder <- function(..., env = parent.frame()) {
  path <- file.path(withr::local_tempdir(.local_envir = env), ...)
  dir.create(path, recursive = TRUE, showWarnings = FALSE)
  path
}

# A picture, and a file of values; both make the folders that they need.
save_picture <- function(...) {
  save_values(array(sample(0:255, height * width * 3, TRUE), c(height, width, 3)), ...)
}

save_values <- function(values, ...) {
  path <- file.path(...)
  dir.create(dirname(path), recursive = TRUE, showWarnings = FALSE)
  library_of("PIL.Image")$fromarray(reticulate::np_array(values, "uint8"))$save(path)
}

save_numbers <- function(values, ...) {
  path <- file.path(...)
  dir.create(dirname(path), recursive = TRUE, showWarnings = FALSE)
  library_of("tifffile")$imwrite(path, reticulate::np_array(values, "uint16"),
                                 photometric = "minisblack")
}

library_of <- function(name) {
  skip_if_no_python()
  reticulate::import(name)
}

# The class ids of an image as a plain matrix, by the annotations of a dataset.
ids_of <- function(data, i) {
  annotations <- unclass(data)$targets
  out <- as_seg_mask(annotations, annotations$images$id[[i]])
  matrix(as.integer(out), nrow(out))
}

# The same as it is trained on.
drawn_ids <- function(data, i) {
  out <- data[[i]]$mask
  matrix(as.integer(out), nrow(out))
}

# What a network of four features does with a dataset.
expect_trains <- function(data) {
  model <- seg_unet(in_channels = 3, classes = data$classes, init_features = 4)
  history <- fit(model, data, epochs = 1, verbose = FALSE)
  testthat::expect_true(is.finite(as.data.frame(history)$value[[1]]))
  masks <- predict(model, data)
  masks <- if (inherits(masks, "seg_mask")) list(masks) else masks
  testthat::expect_length(masks, length(data))
  testthat::expect_equal(attr(masks[[1]], "classes"), data$classes)
  scores <- seg_evaluate(model, data)
  testthat::expect_s3_class(scores, "seg_metrics")
}

# ---- CamVid

test_that("CamVid has the images, classes and pixels of its files", {
  skip_if_no_python()
  root <- shared_data("camvid")
  data <- seg_data_camvid(root, "val", size = c(24, 32), batch_size = 2)
  expect_length(data, length(list.files(file.path(root, "val"))))
  expect_equal(data$classes, c(
    sky = 0L, building = 1L, pole = 2L, road = 3L, pavement = 4L, tree = 5L, sign = 6L, fence = 7L,
    car = 8L, pedestrian = 9L, bicyclist = 10L
  ))
  first <- names(data$images)[[1]]
  file <- file.path(root, "valannot", basename(first))
  pixels <- library_of("numpy")$array(library_of("PIL.Image")$open(file))
  pixels[pixels == 11] <- NA
  expect_equal(ids_of(data, 1), matrix(as.integer(pixels), nrow(pixels)))
  expect_trains(data[1:2])
})

test_that("some classes of CamVid can be taken, with a background or without", {
  skip_if_no_python()
  root <- shared_data("camvid")
  all <- ids_of(seg_data_camvid(root, "val"), 1)
  data <- seg_data_camvid(root, "val", classes = c(background = 0, car = 1, road = 2))
  expected <- ifelse(is.na(all), NA, 2 * (all == 3) + (all == 8))
  expect_equal(ids_of(data, 1), matrix(as.integer(expected), nrow(all)))
  data <- seg_data_camvid(root, "val", classes = c(road = 3, car = 8))
  expect_equal(data$classes, c(road = 3L, car = 8L))
  expect_equal(ids_of(data, 1), matrix(ifelse(all %in% c(3, 8), all, NA), nrow(all)))
  expect_trains(seg_data_camvid(root, "val", classes = c(road = 3, car = 8), size = c(24, 32))[1:2])
})

test_that("CamVid as first published has 31 classes of colours, and no splits", {
  skip_if_no_python()
  root <- new_folder("CamVid")
  colours <- array(0L, c(height, width, 3))
  colours[2:5, 3:9, 1] <- 128L
  colours[2:5, 3:9, 2] <- 64L
  colours[2:5, 3:9, 3] <- 128L
  colours[8, 4:6, 1] <- 64L
  colours[8, 4:6, 3] <- 128L
  save_picture(root, "701_StillsRaw_full", "0001TP_006690.png")
  save_values(colours, root, "LabeledApproved_full", "0001TP_006690_L.png")
  data <- seg_data_camvid(dirname(root), split = NULL)
  expect_length(data$classes, 31)
  expected <- matrix(NA_integer_, height, width)
  expected[2:5, 3:9] <- data$classes[["Road"]]
  expected[8, 4:6] <- data$classes[["Car"]]
  expect_equal(ids_of(data, 1), expected)
  expect_error(seg_data_camvid(root), "have no splits", class = "maskr_error_data")
})

# ---- COCO

coco_truth <- function(root) {
  file <- file.path(root, "annotations/instances_val2017.json")
  library_of("json")$loads(library_of("pathlib")$Path(file)$read_text())
}

test_that("COCO has the images, categories and objects of its files", {
  skip_if_no_python()
  root <- shared_data("coco")
  data <- seg_data_coco(root, "val", size = c(64, 96), batch_size = 2)
  expect_length(data, length(coco_truth(root)$images))
  expect_length(data$classes, 81)
  expect_equal(data$classes[c("background", "person", "toothbrush")],
               c(background = 0L, person = 1L, toothbrush = 90L))
  expect_equal(nrow(unclass(data)$targets$objects), 815)
  expect_setequal(basename(unlist(data$images)), list.files(file.path(root, "val2017")))
})

test_that("people are the pixels that COCO's own program draws, and can be learned", {
  skip_if_no_python()
  root <- shared_data("coco")
  people <- c(background = 0, person = 1)
  data <- seg_data_coco(root, "val", classes = people, size = c(32, 48), batch_size = 2)
  expect_equal(data$classes, c(background = 0L, person = 1L))
  objects <- unclass(data)$targets$objects
  expect_setequal(objects$label, "person")
  all <- unclass(seg_data_coco(root, "val"))$targets
  expect_equal(nrow(objects), sum(all$objects$label == "person"))
  image <- as.integer(objects$image_id[[1]])
  coco <- library_of("pycocotools.mask")
  rows <- Filter(\(one) one$category_id == 1 && one$image_id == image, coco_truth(root)$annotations)
  size <- unlist(all$images[all$images$id == image, c("height", "width")])
  drawn <- lapply(rows, function(one) {
    coco$decode(coco$frPyObjects(one$segmentation, size[[1]], size[[2]]))
  })
  drawn <- Reduce(`|`, lapply(drawn, \(one) apply(one > 0, 1:2, any)))
  name <- unclass(data)$targets$images$file[unclass(data)$targets$images$id == image]
  expect_equal(ids_of(data, match(name, names(data$images))), drawn + 0L)
  expect_trains(data[1:2])
})

test_that("a detector learns from COCO's people, and from cells", {
  skip_if_no_python("yolo")
  people <- seg_data_coco(shared_data("coco"), "val", classes = c(background = 0, person = 1),
                          size = c(64, 64), batch_size = 2)
  suppressMessages(detector <- seg_yolo("yolov8n-seg.yaml"))
  history <- fit(detector, people[1:2], epochs = 1)
  expect_s3_class(history, "seg_history")
  expect_equal(summary(detector)$classes, c(person = 1L))
  root <- new_folder("DIC-C2DH-HeLa")
  cells <- matrix(0L, 64, 96)
  cells[10:30, 20:50] <- 3L
  cells[40:60, 60:90] <- 4L
  for (frame in c("000", "001")) {
    save_numbers(matrix(sample(0:999, 64 * 96, TRUE), 64), root, "01", paste0("t", frame, ".tif"))
    save_numbers(cells, root, "01_GT", "SEG", paste0("man_seg", frame, ".tif"))
  }
  suppressMessages(detector <- seg_yolo("yolov8n-seg.yaml"))
  fit(detector, seg_data_ctc(root, size = c(64, 64), batch_size = 2), epochs = 1)
  expect_equal(summary(detector)$classes, c(cell = 1L))
})

test_that("COCO's objects without a background are known, and everything else is ignored", {
  skip_if_no_python()
  data <- seg_data_coco(shared_data("coco"), "val", classes = c(person = 1, chair = 62))
  ids <- ids_of(data, 1)
  expect_true(all(ids %in% c(1, 62, NA)))
  expect_true(anyNA(ids))
})

test_that("Roboflow's folders are COCO's, split by split or all of them", {
  skip_if_no_python()
  root <- shared_data("roboflow/rbc")
  n <- function(split) length(list.files(file.path(root, split), "jpg$"))
  valid <- seg_data_coco(root, "val")
  expect_length(valid, n("valid"))
  expect_named(valid$classes, c("background", "RBC-WBC", "rbc", "wbc"))
  expect_equal(unname(valid$classes), c(3L, 0:2))
  # the class 0 without objects is no obstacle elsewhere either
  same <- seg_dataset(seg_read_annotations(file.path(root, "valid")))
  expect_identical(same$classes, valid$classes)
  expect_identical(same[[1]]$mask, valid[[1]]$mask)
  expect_message(x <- seg_read_annotations(root), "image id changed",
                 class = "maskr_message_changed")
  expect_equal(as.vector(table(x$images$split)[c("train", "val", "test")]),
               c(n("train"), n("valid"), n("test")))
  part <- x[x$images$split == "val"]
  expect_equal(sort(basename(part$images$file)), sort(basename(unlist(valid$images))))
})

test_that("panoptic COCO has things and stuff", {
  skip_if_no_python()
  source <- shared_data("formats/coco_dataset/coco_panoptic")
  # its PNG is half as wide as its image
  expect_error(seg_data_coco(source, "train", what = "panoptic"), "5 x 5 pixels",
               class = "maskr_error_format")
  root <- new_folder()
  file.copy(list.files(source, full.names = TRUE), root, recursive = TRUE)
  png <- file.path(root, "annotations", "panoptic_train", "a.png")
  half <- library_of("numpy")$asarray(library_of("PIL.Image")$open(png))
  save_values(half[, c(1:5, 1:5), ], png)
  data <- seg_data_coco(root, "train", what = "panoptic")
  expect_length(data, 1)
  annotations <- unclass(data)$targets
  expect_equal(annotations$format, "coco_panoptic")
  expect_equal(names(data$classes), annotations$classes$name)
})

test_that("what COCO's folder lacks is named", {
  skip_if_no_python()
  root <- shared_data("coco")
  expect_error(seg_data_coco(root, "test"), "instances_test2017.json", class = "maskr_error_file")
  lonely <- new_folder()
  dir.create(file.path(lonely, "annotations"))
  file.copy(file.path(root, "annotations", "instances_val2017.json"),
            file.path(lonely, "annotations"))
  expect_error(seg_data_coco(lonely, "val"), "val2017", class = "maskr_error_file")
  expect_error(seg_data_coco(root, "val", classes = c(person = 1, unicorn = 2)), "unicorn",
               class = "maskr_error_data")
  expect_error(seg_data_coco(root, "val", what = "keypoints"), class = "maskr_error_argument")
})

# ---- Pascal VOC

test_that("VOC takes the images that a list names", {
  skip_if_no_python()
  root <- shared_data("formats/voc_dataset/voc_dataset1")
  data <- seg_data_voc(root, "train")
  expect_equal(basename(names(data$images)), "2007_000001.jpg")
  expect_length(data$classes, 21)
  expect_equal(data$classes[c("background", "aeroplane", "tvmonitor")],
               c(background = 0L, aeroplane = 1L, tvmonitor = 20L))
  expect_error(seg_data_voc(root, "test"), "None of the 1 images", class = "maskr_error_file")
  expect_error(seg_data_voc(root, "val"), "val.txt", class = "maskr_error_file")
  expect_warning(data <- seg_data_voc(root, split = NULL), "1 of 2 images has no mask",
                 class = "maskr_warning_skipped")
  expect_equal(basename(names(data$images)), "2007_000001.jpg")
})

test_that("VOC is found below VOCdevkit, and its index PNGs are taken as they are", {
  skip_if_no_python()
  root <- new_folder("VOCdevkit", "VOC2012")
  values <- matrix(0L, height, width)
  values[3:6, 2:9] <- 15L
  values[2, 2:9] <- 255L
  objects <- ifelse(values == 15, 1L, values)
  objects[3:4, 2:5] <- 2L
  for (name in c("2007_000032", "2007_000039", "2007_000063")) {
    save_picture(root, "JPEGImages", paste0(name, ".jpg"))
    save_values(values, root, "SegmentationClass", paste0(name, ".png"))
    save_values(objects, root, "SegmentationObject", paste0(name, ".png"))
  }
  dir.create(file.path(root, "ImageSets", "Segmentation"), recursive = TRUE)
  list <- file.path(root, "ImageSets", "Segmentation", "train.txt")
  writeLines(c("2007_000063", "2007_000032"), list)
  data <- seg_data_voc(dirname(dirname(root)), size = c(height, width), batch_size = 2)
  expect_equal(basename(names(data$images)), c("2007_000063.jpg", "2007_000032.jpg"))
  expected <- values
  expected[values == 255] <- NA
  expect_equal(ids_of(data, 1), expected)
  found <- as_seg_instances(unclass(data)$targets, "2007_000032")
  expect_equal(sort(found$area), c(8, 24))
  expect_equal(unique(found$label), "person")
  expect_length(seg_data_voc(root, split = NULL), 3)
  expect_trains(data)
  unlink(file.path(root, "SegmentationClass", "2007_000063.png"))
  expect_warning(data <- seg_data_voc(root), "2007_000063", class = "maskr_warning_skipped")
  expect_equal(basename(names(data$images)), "2007_000032.jpg")
  unlink(file.path(root, "SegmentationClass"), recursive = TRUE)
  expect_error(seg_data_voc(root, NULL), "SegmentationClass", class = "maskr_error_file")
})

# ---- Cityscapes

test_that("Cityscapes' trainIds are the 19 classes that are judged", {
  skip_if_no_python()
  root <- shared_data("formats/cityscapes_dataset/dataset")
  images <- file.path(root, "imgsFine", "leftImg8bit")
  for (split in c("train", "val", "test")) {
    data <- seg_data_cityscapes(root, split)
    expect_length(data, length(list.files(file.path(images, split), recursive = TRUE)))
  }
  expect_equal(names(data$classes), cityscapes_judged)
  expect_length(seg_data_cityscapes(root, "train", classes = "all")$classes, 34)
})

test_that("Cityscapes' ids are kept, and classes that are not judged are ignored", {
  skip_if_no_python()
  root <- new_folder()
  save_picture(root, "leftImg8bit", "val", "bonn", "bonn_000001_000019_leftImg8bit.png")
  values <- matrix(7L, height, width)
  values[3:6, 2:9] <- 26L
  values[8, 2:9] <- 4L
  values[10, 1] <- 0L
  save_values(values, root, "gtFine", "val", "bonn", "bonn_000001_000019_gtFine_labelIds.png")
  data <- seg_data_cityscapes(root, "val", size = c(height, width))
  expected <- values
  expected[values %in% c(0, 4)] <- NA
  expect_equal(ids_of(data, 1), expected)
  expect_equal(data$classes[c("road", "car", "bicycle")], c(road = 7L, car = 26L, bicycle = 33L))
  expect_equal(ids_of(seg_data_cityscapes(root, "val", classes = "all"), 1), values)
  cars <- seg_data_cityscapes(root, "val", classes = c(background = 0, car = 1))
  expect_equal(ids_of(cars, 1), (values == 26) + 0L)
  expect_trains(data)
  expect_error(seg_data_cityscapes(root, "train"), "val", class = "maskr_error_data")
  expect_error(seg_data_cityscapes(new_folder()), "gtFine", class = "maskr_error_file")
})

# ---- ADE20K

test_that("ADE20K is read whole", {
  skip_if_no_python()
  root <- shared_data("ade20k/ADE20K_2021_17_01")
  data <- seg_data_ade20k(root, "train")
  files <- list.files(root, "[.]jpg$", recursive = TRUE)
  expect_length(data, length(files))
  expect_setequal(basename(unlist(data$images)), basename(files))
  expect_length(seg_data_ade20k(dirname(root), "train"), length(files))
  expect_error(seg_data_ade20k(root, "val"), "train", class = "maskr_error_data")
  for (year in c("ade20k2017_dataset", "ade20k2020_dataset")) {
    fixture <- shared_data(file.path("formats", year, "dataset"))
    # the one of 2017 describes an object that has no pixel
    for (split in c("train", "val")) {
      expect_length(suppressWarnings(seg_data_ade20k(fixture, split), "maskr_warning_skipped"), 1)
    }
  }
})

test_that("what nobody labelled in ADE20K is ignored, and its data train, weigh and plot", {
  skip_if_no_python()
  data <- seg_data_ade20k(shared_data("ade20k/ADE20K_2021_17_01"), size = c(64, 64))
  ids <- ids_of(data, 1)
  expect_true(anyNA(ids))
  expect_true(all(ids %in% c(NA, data$classes)))
  expect_named(seg_class_weights(data), names(data$classes))
  withr::local_pdf(NULL)
  expect_no_error(plot(data))
  model <- seg_unet(classes = data$classes, init_features = 4)
  history <- fit(model, data, epochs = 1)
  expect_true(all(is.finite(history$value)))
  # chosen classes may keep a background, under any id
  some <- c(background = 7, stats::setNames(1, names(data$classes)[[5]]))
  expect_setequal(ids_of(seg_data_ade20k(shared_data("ade20k/ADE20K_2021_17_01"), classes = some),
                         1), c(1, 7))
})

test_that("the scene parsing benchmark has 150 classes, and its 0 is ignored", {
  skip_if_no_python()
  root <- new_folder("ADEChallengeData2016")
  values <- matrix(0L, height, width)
  values[3:6, 2:9] <- 1L
  values[8, 2:9] <- 150L
  save_picture(root, "images", "validation", "ADE_val_00000001.jpg")
  save_values(values, root, "annotations", "validation", "ADE_val_00000001.png")
  data <- seg_data_ade20k(dirname(root), "val", size = c(height, width))
  expect_length(data$classes, 150)
  expect_equal(unname(data$classes), 1:150)
  expect_equal(names(data$classes)[c(1, 150)], c("wall", "flag"))
  expected <- values
  expected[values == 0] <- NA
  expect_equal(ids_of(data, 1), expected)
})

# ---- Cell Tracking Challenge

test_that("CTC's sequences are splits, and cells are told apart", {
  skip_if_no_python()
  root <- new_folder("Fluo-N2DH-SIM+")
  cells <- matrix(0L, height, width)
  cells[2:4, 3:7] <- 5L
  cells[5:6, 3:7] <- 300L
  for (frame in c("000", "007")) {
    save_numbers(matrix(sample(0:999, height * width, TRUE), height), root, "01",
                 paste0("t", frame, ".tif"))
    save_numbers(cells, root, "01_GT", "SEG", paste0("man_seg", frame, ".tif"))
  }
  save_numbers(cells, root, "01", "t001.tif")
  save_numbers(cells, root, "02", "t000.tif")
  save_numbers(cells, root, "02_GT", "SEG", "man_seg000.tif")
  data <- seg_data_ctc(root, "01", size = c(height, width), batch_size = 2)
  expect_equal(basename(unlist(data$images)), c("t000.tif", "t007.tif"), ignore_attr = TRUE)
  expect_equal(data$classes, c(background = 0L, cell = 1L))
  expect_equal(ids_of(data, 1), (cells > 0) + 0L)
  found <- as_seg_instances(unclass(data)$targets, unclass(data)$targets$images$id[[1]])
  expect_equal(sort(found$area), c(10, 15))
  expect_length(seg_data_ctc(root, "02"), 1)
  expect_length(seg_data_ctc(root, NULL), 3)
  expect_equal(ids_of(seg_data_ctc(root, "02", classes = c(background = 1, cell = 0)), 1),
               (cells == 0) + 0L)
  expect_error(seg_data_ctc(root, "train"), "\"01\" or \"02\"", class = "maskr_error_data")
  model <- seg_unet(in_channels = 1, classes = data$classes, init_features = 4)
  expect_s3_class(fit(model, data, epochs = 1, verbose = FALSE), "seg_history")
})

test_that("CTC's volumes become slices or patches of one class, or say what they are", {
  skip_if_no_python("volumes")
  root <- new_folder("Fluo-N3DH-CE")
  cells <- array(0L, c(4, height, width))
  cells[2:3, 2:4, 3:7] <- 5L
  cells[3, 5:6, 1:2] <- 300L
  for (sequence in c("01", "02")) {
    save_numbers(cells + 1L, root, sequence, "t000.tif")
    save_numbers(cells, root, paste0(sequence, "_GT"), "SEG", "man_seg000.tif")
  }
  data <- suppressMessages(seg_data_ctc(root, "01", batch_size = 1))
  expect_named(data$images, c("t000[2,,]", "t000[3,,]"))
  expect_equal(data$classes, c(background = 0L, cell = 1L))
  expect_equal(drawn_ids(data, 2), (cells[3, , ] > 0) + 0L)
  expect_equal(nrow(seg_check(data)[seg_check(data)$severity == "error", ]), 0)
  expect_length(suppressMessages(seg_data_ctc(root, NULL, empty = TRUE)), 8)
  turned <- suppressMessages(seg_data_ctc(root, classes = c(background = 1, cell = 0)))
  expect_equal(drawn_ids(turned, 1), (cells[2, , ] == 0) + 0L)
  boxes <- seg_data_ctc(root, as = "patches", patch = c(4, height, width))
  expect_equal(dim(boxes[[1]]$mask), c(4, height, width))
  model <- seg_unet(in_channels = 1, classes = data$classes, init_features = 4)
  expect_s3_class(fit(model, data, epochs = 1, verbose = FALSE), "seg_history")
  # as annotations, or as files, they can't be images
  x <- seg_read_annotations(root, "ctc", classes = c(background = 0, cell = 1))
  expect_error(seg_dataset(x), "seg_data_volume", class = "maskr_error_shape")
  files <- file.path(root, c("01/t000.tif", "01_GT/SEG/man_seg000.tif"))
  expect_error(seg_dataset(files[1], files[2]), "seg_data_volume", class = "maskr_error_shape")
  expect_error(seg_data_volume(root), "seg_data_ctc", class = "maskr_error_format")
  known <- suppressMessages(seg_data_volume(file.path(root, "01"),
                                            targets = file.path(root, "01_GT")))
  expect_equal(known$classes, data$classes)
  nuclei <- suppressMessages(seg_data_volume(files[1], targets = files[2], class = c(nucleus = 4)))
  expect_equal(nuclei$classes, c(background = 0L, nucleus = 4L))
  expect_equal(drawn_ids(nuclei, 1), (cells[2, , ] > 0) * 4)
  expect_error(seg_data_volume(files[1], targets = files[2], class = c(a = 1),
                               classes = c(background = 0, b = 1)),
               "must name the background", class = "maskr_error_argument")
})

# ---- YOLO

test_that("YOLO's ids are kept, and a background is added for networks", {
  skip_if_no_python()
  root <- shared_data("formats/yolo_dataset/yolov8_segmentation")
  data <- seg_data_yolo(root, size = c(32, 48), batch_size = 1)
  expect_length(data, length(list.files(file.path(root, "images", "train"))))
  expect_equal(data$classes, c(background = 10L, stats::setNames(0:9, paste0("label_", 0:9))))
  lines <- readLines(file.path(root, "labels", "train", "1.txt"))
  objects <- unclass(data)$targets$objects
  expect_equal(nrow(objects), sum(nzchar(lines)))
  expect_equal(objects$class, as.integer(sub(" .*", "", lines[nzchar(lines)])))
  expect_equal(data$images, seg_data_yolo(file.path(root, "data.yaml"))$images)
  expect_error(seg_data_yolo(root, "val"), "train", class = "maskr_error_data")
  expect_trains(data)
})

# ---- SUN RGB-D

json <- function(...) {
  polygon <- function(object, left, top, right, bottom) {
    sprintf('{"object":%d,"x":[%d,%d,%d,%d],"y":[%d,%d,%d,%d]}', object,
            left, right, right, left, top, top, bottom, bottom)
  }
  polygons <- c(polygon(0, 0, 0, 20, 8), polygon(1, 3, 5, 9, 10), polygon(2, 5, 2, 7, 6))
  sprintf('{"frames":[{"polygon":[%s]}],"objects":[{"name":"wall"},{"name":"night stand"},%s]}',
          paste(polygons, collapse = ","), '{"name":"garbage_bin"}')
}

save_scene <- function(...) {
  save_picture(..., "image", "0000103.jpg")
  dir.create(file.path(..., "annotation2Dfinal"))
  writeLines(json(), file.path(..., "annotation2Dfinal", "index.json"))
}

test_that("SUN RGB-D's polygons are drawn one over the other, and unknown names are counted", {
  skip_if_no_python()
  root <- new_folder()
  save_scene(root, "SUNRGBD", "kv1", "NYUdata", "NYU0001")
  expect_message(data <- seg_data_sunrgbd(root, split = NULL, size = c(height, width)),
                 "object that is none of the classes")
  expect_length(data$classes, 37)
  expect_equal(data$classes[c("wall", "night_stand", "bag")],
               c(wall = 1L, night_stand = 32L, bag = 37L))
  expected <- matrix(NA_integer_, height, width)
  expected[1:8, ] <- 1L
  expected[6:10, 4:9] <- 32L
  expected[3:6, 6:7] <- NA
  expect_equal(ids_of(data, 1), expected)
  expect_trains(data)
  expect_error(suppressMessages(seg_data_sunrgbd(root)), "allsplit.mat", class = "maskr_error_data")
  expect_error(seg_data_sunrgbd(new_folder()), "annotation2Dfinal", class = "maskr_error_format")
})

test_that("SUN RGB-D's splits come from its toolbox", {
  skip_if_no_python()
  root <- new_folder()
  for (name in c("a", "b", "c")) save_scene(root, "SUNRGBD", "xtion", "sun3ddata", name)
  place <- file.path(root, "SUNRGBDtoolbox", "traintestSUNRGBD")
  dir.create(place, recursive = TRUE)
  scenes <- paste0("/n/fs/sun3d/data/SUNRGBD/xtion/sun3ddata/", c("a", "c", "b"))
  cells <- function(x) library_of("numpy")$array(list(as.list(x)), dtype = "object")
  library_of("scipy.io")$savemat(
    file.path(place, "allsplit.mat"),
    list(alltrain = cells(scenes[1:2]), alltest = cells(scenes[3]))
  )
  train <- suppressMessages(seg_data_sunrgbd(root))
  expect_equal(basename(dirname(dirname(unlist(train$images)))), c("a", "c"))
  expect_length(suppressMessages(seg_data_sunrgbd(root, "test")), 1)
})

test_that("SUN RGB-D's label images belong to photographs by their numbers", {
  skip_if_no_python()
  root <- new_folder()
  values <- matrix(0L, height, width)
  values[3:6, 2:9] <- 37L
  values[8, 2:9] <- 1L
  save_picture(root, "SUNRGBD-train_images", "img-000001.jpg")
  save_picture(root, "SUNRGBD-test_images", "img-000001.jpg")
  save_values(values, root, "sunrgbd_train_test_labels", "img-005051.png")
  save_values(values * 0L + 5L, root, "sunrgbd_train_test_labels", "img-000001.png")
  data <- seg_data_sunrgbd(root)
  expect_length(data, 1)
  expected <- values
  expected[values == 0] <- NA
  expect_equal(ids_of(data, 1), expected)
  expect_equal(unique(c(ids_of(seg_data_sunrgbd(root, "test"), 1))), 5)
})

test_that("SUN RGB-D's masks come from the toolbox's MATLAB file where that is named", {
  skip_if_no_python()
  root <- new_folder()
  numbers <- matrix(0L, height, width)
  numbers[2:5, 3:9] <- 37L
  save_picture(root, "SUNRGBD", "kv1", "a", "image", "p.jpg")
  metadata <- file.path(root, "SUNRGBDtoolbox", "Metadata")
  dir.create(metadata, recursive = TRUE)
  io <- library_of("scipy.io")
  masks <- list(seglabel = reticulate::np_array(numbers, "uint16"))
  io$savemat(file.path(metadata, "SUNRGBD2Dseg.mat"), list(SUNRGBD2Dseg = masks))
  io$savemat(file.path(metadata, "SUNRGBDMeta.mat"),
             list(SUNRGBDMeta = list(sequenceName = "SUNRGBD/kv1/a", rgbname = "p.jpg")))
  data <- seg_data_sunrgbd(file.path(metadata, "SUNRGBD2Dseg.mat"), NULL)
  expect_equal(ids_of(data, 1), ifelse(numbers == 0L, NA, numbers))
  expect_equal(data[[1]]$mask, as_seg_mask(unclass(data)$targets), ignore_attr = TRUE)
})

# ---- Stanford 2D-3D-S

save_view <- function(root, area, kind, name, numbers) {
  save_picture(root, area, kind, "rgb", paste0("camera_", name, "_domain_rgb.png"))
  colours <- array(c(numbers %/% 65536L, numbers %/% 256L %% 256L, numbers %% 256L),
                   c(dim(numbers), 3))
  name <- paste0("camera_", name, "_domain_semantic.png")
  save_values(colours, root, area, kind, "semantic", name)
}

save_names <- function(root) {
  dir.create(file.path(root, "assets"))
  names <- c("<UNK>_0_<UNK>_0_0", "chair_2_office_3_1", rep("wall_1_office_3_1", 400),
             "board_1_office_3_1")
  writeLines(sprintf("[%s]", paste0('"', names, '"', collapse = ", ")),
             file.path(root, "assets", "semantic_labels.json"))
}

test_that("Stanford 2D-3D-S has 13 classes, and what is missing is ignored", {
  skip_if_no_python()
  root <- new_folder()
  save_names(root)
  numbers <- matrix(0L, height, width)
  numbers[2:5, 3:9] <- 1L
  numbers[6, 3:9] <- 300L
  numbers[7, 3:9] <- 402L
  numbers[8, 3:9] <- 855309L
  save_view(root, "area_1", "data", "a", numbers)
  expect_warning(data <- seg_data_s3dis2d(root, size = c(height, width)),
                 "\"area_2\", \"area_3\", \"area_4\".*\"area_6\"",
                 class = "maskr_warning_skipped")
  expect_error(seg_data_s3dis2d(root, "test"), "\"area_5a\" and \"area_5b\"",
               class = "maskr_error_data")
  expect_equal(names(data$classes), c(
    "ceiling", "floor", "wall", "beam", "column", "window", "door", "table", "chair", "sofa",
    "bookcase", "board", "clutter"
  ))
  expected <- matrix(NA_integer_, height, width)
  expected[2:5, 3:9] <- data$classes[["chair"]]
  expected[6, 3:9] <- data$classes[["wall"]]
  expected[7, 3:9] <- data$classes[["board"]]
  expect_equal(ids_of(data, 1), expected)
  found <- as_seg_instances(unclass(data)$targets)
  expect_setequal(found$label, c("chair", "board"))
  expect_trains(data)
  expect_error(seg_data_s3dis2d(root, panorama = TRUE), "pano", class = "maskr_error_file")
})

test_that("Stanford 2D-3D-S is split by its buildings", {
  skip_if_no_python()
  root <- new_folder()
  save_names(root)
  areas <- paste0("area_", c(1, 2, 3, 4, "5a", "5b", 6))
  numbers <- matrix(1L, height, width)
  for (area in areas) save_view(root, area, "data", area, numbers)
  save_view(root, "area_3", "pano", "around", numbers)
  areas_in <- function(...) sort(unclass(seg_data_s3dis2d(root, ...))$targets$images$split)
  expect_equal(areas_in("test"), c("area_5a", "area_5b"))
  expect_equal(areas_in("train"), areas[c(1:4, 7)])
  expect_equal(areas_in("test", fold = 2), c("area_2", "area_4"))
  expect_equal(areas_in("train", fold = 2), areas[c(1, 3, 5:7)])
  expect_equal(areas_in("test", fold = 3), c("area_1", "area_3", "area_6"))
  expect_equal(areas_in(c("area_6", "area_5b")), c("area_5b", "area_6"))
  expect_length(seg_data_s3dis2d(root, "area_3"), 1)
  expect_equal(basename(unlist(seg_data_s3dis2d(root, NULL, panorama = TRUE)$images)),
               "camera_around_domain_rgb.png", ignore_attr = TRUE)
  expect_error(seg_data_s3dis2d(root, "area_9"), "area_5a", class = "maskr_error_data")
  expect_error(seg_data_s3dis2d(root, fold = 4), class = "maskr_error_argument")
})

# ---- ADE20K's parts

test_that("ADE20K's parts are read by level", {
  skip_if_no_python()
  root <- shared_data("ade20k/ADE20K_2021_17_01")
  expect_message(whole <- seg_data_ade20k(root), "parts are left out",
                 class = "maskr_message_changed")
  parts <- seg_data_ade20k(root, level = 1)
  expect_true("headlight" %in% setdiff(names(parts$classes), names(whole$classes)))
  expect_true(all(ids_of(parts, 1) %in% c(NA, parts$classes)))
  expect_error(seg_data_ade20k(root, level = 7), "parts_7", class = "maskr_error_format")
  expect_error(seg_data_ade20k(root, level = -1), class = "maskr_error_argument")
})

# ---- all of them

test_that("folders that are missing or hold something else are named", {
  skip_if_no_python()
  empty <- new_folder()
  save_picture(empty, "holiday.png")
  for (reader in list(seg_data_voc, seg_data_coco, seg_data_cityscapes, seg_data_ade20k,
                      seg_data_camvid)) {
    expect_error(reader(empty), "does not hold", class = "maskr_error_file")
  }
  for (reader in list(seg_data_ctc, seg_data_yolo, seg_data_sunrgbd, seg_data_s3dis2d)) {
    expect_error(reader(empty), class = "maskr_error_format")
  }
  expect_error(seg_data_voc("nowhere"), "nowhere", class = "maskr_error_file")
  expect_error(seg_data_voc(empty), "help of `seg_data\\(\\)`", class = "maskr_error_file")
})

test_that("arguments of seg_dataset() are passed on", {
  skip_if_no_python()
  data <- seg_data_camvid(shared_data("camvid"), "val", size = c(30, 50), resize = "crop",
                          batch_size = 3, shuffle = FALSE)
  expect_equal(data$size, c(30L, 50L))
  expect_equal(data$resize, "crop")
  expect_equal(data$batch_size, 3L)
  expect_false(data$shuffle)
})

test_that("a dataset that fails at every sample is an error, and one damaged file is not", {
  skip_if_no_python()
  root <- new_folder()
  for (i in 1:4) {
    save_picture(root, "images", paste0(i, ".png"))
    save_values(matrix(1, height, width), root, "labels", paste0(i, ".png"))
  }
  x <- seg_read_annotations(root, "masks", classes = c(background = 0, cell = 1))
  writeLines("nothing", file.path(root, "images", "1.png"))
  data <- seg_dataset(x)
  expect_length(data, 4)
  expect_match(seg_check(data)$file[seg_check(data)$severity == "error"], "1.png")
  for (i in 1:4) save_values(matrix(7, height, width), root, "labels", paste0(i, ".png"))
  expect_error(seg_dataset(x[-1]), "7", class = "maskr_error_data")
})
