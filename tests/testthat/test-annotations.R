classes <- c(person = 0, bus = 5)

# Objects that overlap, in images of unlike sizes that are not square.
two_objects <- function(score = c(0.25, 1 / 3), size = c(12, 17)) {
  masks <- array(FALSE, c(size, 2))
  masks[2:9, 3:12, 1] <- TRUE
  masks[7:11, 8:16, 2] <- TRUE
  masks[8, 10, 2] <- FALSE
  seg_instances(masks, class = c("bus", "person"), score = score, classes = classes)
}

some_annotations <- function(...) {
  as_seg_annotations(list("a/7.jpg" = two_objects(), "b/12.png" = two_objects()[2, ],
                          "c/3.png" = seg_instances(classes = classes, size = c(4, 6))), ...)
}

masks_of <- function(x) lapply(seq_along(x), \(i) as.array(as_seg_instances(x[i, ])))

test_that("predictions become annotations and come back", {
  skip_if_no_python()
  x <- some_annotations()
  expect_identical(x$images$id, c(7, 12, 3))
  expect_identical(x$images$height, c(12L, 12L, 4L))
  expect_identical(x$images$width, c(17L, 17L, 6L))
  expect_identical(x$objects$image_id, c(7, 7, 12))
  expect_identical(x$classes$name, c("person", "bus"))
  expect_identical(as.array(as_seg_instances(x, 7)), as.array(two_objects()))
  expect_identical(as_seg_instances(x, "12")$score, 1 / 3)
  expect_identical(nrow(as_seg_instances(x, "c/3.png")), 0L)
  path <- withr::local_tempfile()
  saveRDS(x, path)
  expect_identical(readRDS(path), x)
})

test_that("print and summary say what there is", {
  skip_if_no_python()
  expect_snapshot({
    some_annotations()
    summary(some_annotations())
  })
})

test_that("images and classes are chosen by number and name", {
  skip_if_no_python()
  x <- some_annotations()
  expect_identical(x["12.png", ]$images$id, 12)
  expect_identical(x[-1, ]$images$id, c(12, 3))
  expect_identical(x[c(TRUE, FALSE, TRUE), ]$objects$label, c("bus", "person"))
  expect_identical(x[, "bus"]$objects$image_id, 7)
  expect_identical(x[, 5]$classes$name, "bus")
  expect_length(x, 3)
  expect_error(x["none.png", ], class = "maskr_error_argument")
  expect_error(x[9, ], class = "maskr_error_argument")
  expect_error(x[, "cat"], class = "maskr_error_data")
})

test_that("a dataset gives the background a free id where objects have the id 0", {
  skip_if_no_python()
  folder <- withr::local_tempdir()
  dir.create(file.path(folder, "images"))
  dir.create(file.path(folder, "labels"))
  # a mask file does for an image
  seg_write_mask(seg_mask(matrix(0:1, 12, 20)), file.path(folder, "images", "a.png"))
  writeLines(c("0 .25 .5 .1 .5", "2 .75 .5 .2 .5"), file.path(folder, "labels", "a.txt"))
  writeLines(c("train: images", "names: [ant, bee, cat]"), file.path(folder, "data.yaml"))
  data <- seg_dataset(seg_read_annotations(folder))
  expect_identical(data$classes, c(background = 3L, ant = 0L, bee = 1L, cat = 2L))
  expect_identical(data$classes, seg_data_yolo(folder)$classes)
  found <- bare(data[[1]]$mask)
  expect_equal(c(table(found)), c("0" = 12, "2" = 24, "3" = 204))
  expect_true(all(found[4:9, 5:6] == 0) && all(found[4:9, 14:17] == 2))
})

test_that("masks take the classes that are asked for; a thing of id 0 is an error", {
  skip_if_no_python()
  x <- some_annotations()
  expect_error(as_seg_mask(x, 7), "class id 0", class = "maskr_error_data")
  mask <- as_seg_mask(x, 7, classes = c(background = 0, person = 1, bus = 2))
  one <- as.array(two_objects())
  expected <- matrix(0L, 12, 17)
  expected[one[, , 1]] <- 2L
  expected[one[, , 2]] <- 1L  # the higher score is on top
  expect_identical(unclass(mask)[, ], expected)
  expect_error(as_seg_mask(x, 7, classes = c(background = 0, bus = 2)), "person",
               class = "maskr_error_data")
  expect_identical(attr(as_seg_mask(x[, "bus"], 7), "classes"), c(background = 0L, bus = 5L))
  panoptic <- as_seg_panoptic(x[, "bus"], 7)
  expect_identical(attr(panoptic, "segments")$area, 80)
})

test_that("masks and panoptic segmentations become annotations too", {
  skip_if_no_python()
  ids <- matrix(c(0L, 1L, 1L, NA, 2L, 0L), 2)
  mask <- seg_mask(ids, c(sky = 0, road = 1, tree = 2))
  x <- as_seg_annotations(list(a = mask))
  expect_identical(x$classes$isthing, rep(FALSE, 3))
  expect_identical(unclass(as_seg_mask(x))[, ], ids)
  parts <- matrix(0L, 5, 9)
  parts[1:2, 1:3] <- 1L
  parts[4:5, 6:9] <- 1L
  x <- as_seg_annotations(list(a = seg_mask(parts, c(background = 0, road = 1))))
  expect_identical(x$objects$area, c(6, 8))
  crowd <- two_objects()
  crowd$iscrowd <- c(TRUE, FALSE)
  expect_identical(as_seg_annotations(list(a = crowd))$objects$iscrowd, c(TRUE, FALSE))
  scene <- seg_panoptic(matrix(c(1L, 1L, 2L, 2L, 0L, 3L), 2), data.frame(
    id = 1:3, label = c("sky", "person", "person"), isthing = c(FALSE, TRUE, TRUE)
  ), c(sky = 4, person = 1))
  back <- as_seg_panoptic(as_seg_annotations(list(a = scene)))
  expect_identical(sort(attr(back, "segments")$label), c("person", "person", "sky"))
  expect_identical(as.array(back) == 0, as.array(scene) == 0)
})

test_that("every format takes objects in and gives them back", {
  skip_if_no_python()
  scenes <- seg_example("shapes", n = 3, size = c(64, 96))
  folder <- withr::local_tempdir()
  files <- paste0(letters[1:3], ".png")
  for (i in 1:3) png::writePNG(array(scenes$images[[i]], c(64, 96, 3)), file.path(folder, files[i]))
  x <- as_seg_annotations(stats::setNames(scenes$instances, files), folder = folder)
  x <- x[, c("circle", "rectangle", "triangle")]
  x$classes <- x$classes[-1, ]
  iou <- function(a, b) sum(a & b) / sum(a | b)
  for (format in c("coco", "yolo", "labelme", "cvat", "via", "via_csv", "voc", "ade20k",
                   "coco_panoptic")) {
    place <- withr::local_tempfile(fileext = switch(format, cvat = ".xml", via_csv = ".csv",
                                                    coco = , via = , coco_panoptic = ".json", ""))
    suppressMessages(seg_write_annotations(x, place, format, verbose = FALSE))
    back <- seg_read_annotations(place, images = if (nzchar(tools::file_ext(place))) folder)
    expect_identical(back$format, format)
    expect_length(back, 3)
    for (file in files) {
      then <- as.array(as_seg_instances(x, file))
      now <- suppressMessages(as_seg_instances(back, stem(file)))
      best <- vapply(seq_len(dim(then)[[3]]), function(k) {
        max(apply(as.array(now), 3, iou, then[, , k]))
      }, 1)
      large <- apply(then, 3, sum) > 100
      expect_gt(min(best[large]), 0.99, label = paste("IoU of", format))
    }
  }
})

test_that("seg_convert() goes from tool to tool and tells what is lost", {
  skip_if_no_python()
  truth <- withr::local_tempfile(fileext = ".json")
  x <- some_annotations()
  seg_write_annotations(x, truth, "coco")
  target <- withr::local_tempfile(fileext = ".xml")
  expect_invisible(seg_convert(truth, target, "cvat", verbose = FALSE))
  back <- seg_read_annotations(target)
  expect_identical(masks_of(back), masks_of(x))
  expect_message(seg_convert(truth, withr::local_tempfile(fileext = ".json"), "via"),
                 "hole.* \\(2 times", class = "maskr_message_changed")
})

test_that("seg_convert() takes classes for formats without names, and never its own source", {
  skip_if_no_python()
  folder <- withr::local_tempdir()
  dir.create(file.path(folder, "images"))
  dir.create(file.path(folder, "masks"))
  ids <- matrix(c(0L, 1L, 1L, 0L, 2L, 2L), 2)
  png::writePNG(matrix(0.5, 2, 3), file.path(folder, "images", "a.png"))
  seg_write_mask(seg_mask(ids), file.path(folder, "masks", "a.png"))
  target <- file.path(folder, "out.json")
  suppressMessages(seg_convert(
    file.path(folder, "masks"), target, "coco", "masks", images = file.path(folder, "images"),
    classes = c(background = 0, leaf = 1, stem = 2)
  ))
  x <- seg_read_annotations(target, classes = c(background = 0, stem = 7, leaf = 3))
  expect_identical(unclass(as_seg_mask(x))[, ], matrix(c(0L, 3L, 3L, 0L, 7L, 7L), 2))
  expect_error(seg_convert(target, target, "coco"), "another file", class = "maskr_error_file")
  expect_error(seg_read_annotations(target, classes = c(leaf = 1)), "stem",
               class = "maskr_error_data")
})

test_that("results are written with the ids of a truth", {
  skip_if_no_python()
  truth <- withr::local_tempfile(fileext = ".json")
  writeLines(paste0(
    '{"images": [{"id": 17, "file_name": "bus.jpg", "height": 12, "width": 17}], ',
    '"annotations": [], "categories": [{"id": 1, "name": "person"}, {"id": 6, "name": "bus"}]}'
  ), truth)
  path <- withr::local_tempfile(fileext = ".json")
  found <- list("x/bus.png" = two_objects())
  seg_write_annotations(found, path, "coco_results", like = truth)
  results <- reticulate::import("json")$loads(paste(readLines(path, warn = FALSE), collapse = ""))
  expect_identical(vapply(results, \(r) as.double(r$category_id), 1), c(6, 1))
  expect_identical(vapply(results, \(r) as.double(r$image_id), 1), c(17, 17))
  expect_identical(vapply(results, \(r) r$score, 1), c(0.25, 1 / 3))
  expect_equal(unlist(results[[1]]$bbox), c(2, 1, 10, 8))
  expect_identical(results[[1]]$segmentation$counts, two_objects()$rle[[1]])
  expect_error(seg_write_annotations(found, path, "coco_results"), "its name is not a number",
               class = "maskr_error_data")
  folder <- withr::local_tempdir()
  expect_error(
    seg_write_annotations(list("1.jpg" = two_objects(NULL)), file.path(folder, "r.json"),
                          "coco_results"),
    "score", class = "maskr_error_data"
  )
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), character())
})

test_that("records left out are a warning, damage is an error, and both name the place", {
  skip_if_no_python()
  path <- withr::local_tempfile(fileext = ".json")
  json <- function(segmentation, file = "a.jpg") {
    writeLines(sprintf(paste0(
      '{"images": [{"id": 1, "file_name": "%s", "height": 12, "width": 17}], "categories": ',
      '[{"id": 1, "name": "cat"}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, ',
      '"iscrowd": 0, "area": 4, "bbox": [1, 1, 2, 2], "segmentation": %s}]}'
    ), file, segmentation), path)
    path
  }
  expect_warning(seg_read_annotations(json("[[1, 1, 3, 3]]"), "coco"), "fewer than three points",
                 class = "maskr_warning_skipped")
  expect_error(seg_read_annotations(json("[[1, 1, NaN, 3, 5, 5]]"), "coco"),
               class = "maskr_error_format")
  expect_error(seg_read_annotations(json("[]", "../../a.jpg"), "coco"), "leads out of",
               class = "maskr_error_format")
})

test_that("arguments are checked in R", {
  skip_if_no_python()
  path <- withr::local_tempfile(fileext = ".json")
  found <- list("1.jpg" = two_objects())
  expect_snapshot(error = TRUE, {
    seg_write_annotations(two_objects(), path, "coco")
    seg_write_annotations(unname(found), path, "coco")
    seg_write_annotations(found, path, format = "cocoa")
    seg_write_annotations(found, path, "coco", classes = c(person = 1))
    seg_read_annotations("nothere.json")
    as_seg_instances(as_seg_annotations(found), "2.jpg")
  }, transform = hide_folder)
  expect_error(seg_write_annotations(found, file.path(path, "none", "x.json"), "coco"),
               class = "maskr_error_file")
  expect_error(seg_write_annotations(list("1.jpg" = data.frame(a = 1)), path, "coco"),
               class = "maskr_error_argument")
  x <- as_seg_annotations(found)
  x$objects$rle <- NULL
  expect_error(as_seg_instances(x, 1), "lacks the column rle", class = "maskr_error_data")
})

test_that("annotations are drawn", {
  skip_if_no_python()
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file, 400, 300)
  expect_invisible(plot(some_annotations(), "a/7.jpg"))
  grDevices::dev.off()
  expect_gt(file.size(file), 1000)
})
