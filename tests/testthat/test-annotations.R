# Files of annotations and results.

classes <- c(person = 0, bus = 5)

two_objects <- function(score = c(0.25, 1 / 3)) {
  masks <- array(FALSE, c(4, 6, 2))
  masks[2:3, 3:5, 1] <- TRUE
  masks[1, 1, 2] <- TRUE
  seg_instances(masks, class = c("bus", "person"), score = score, classes = classes)
}

coco_truth <- function() {
  path <- withr::local_tempfile(fileext = ".json", .local_envir = parent.frame())
  writeLines(paste0(
    '{"images": [{"id": 17, "file_name": "a/bus.jpg"}], "annotations": [], ',
    '"categories": [{"id": 1, "name": "person"}, {"id": 6, "name": "bus"}]}'
  ), path)
  path
}

read_results <- function(path) {
  reticulate::import("json")$loads(paste(readLines(path, warn = FALSE), collapse = ""))
}

test_that("COCO results hold ids matched by name, boxes, masks and exact scores", {
  skip_if_no_python()
  path <- withr::local_tempfile(fileext = ".json")
  found <- two_objects()
  expect_identical(
    seg_write_annotations(list("bus.png" = found), path, categories = coco_truth()), path
  )
  results <- read_results(path)
  expect_length(results, 2)
  expect_identical(vapply(results, \(r) as.double(r$category_id), 1), c(6, 1))
  expect_identical(vapply(results, \(r) as.double(r$image_id), 1), c(17, 17))
  expect_identical(vapply(results, \(r) r$score, 1), found$score)
  expect_equal(unlist(results[[1]]$bbox), c(2, 1, 3, 2))
  expect_equal(unlist(results[[1]]$segmentation$size), c(4, 6))
  expect_identical(results[[1]]$segmentation$counts, found$rle[[1]])
})

test_that("ids can be given by name, and numbers in names are ids", {
  skip_if_no_python()
  path <- withr::local_tempfile(fileext = ".json")
  seg_write_annotations(list(x = two_objects()[2, ]), path, categories = c(person = 7),
                        images = c(x = 2))
  one <- read_results(path)[[1]]
  expect_equal(c(one$image_id, one$category_id), c(2, 7))
  seg_write_annotations(list("00139.jpg" = two_objects()[1, ]), path)
  one <- read_results(path)[[1]]
  expect_equal(c(one$image_id, one$category_id), c(139, 5))
})

test_that("no objects are an empty array", {
  skip_if_no_python()
  path <- withr::local_tempfile(fileext = ".json")
  seg_write_annotations(list("1.jpg" = seg_instances(classes = classes, size = c(4, 6))), path)
  expect_identical(readLines(path, warn = FALSE), "[]")
})

test_that("what cannot be written is a classed error, and no file is left", {
  skip_if_no_python()
  folder <- withr::local_tempdir()
  path <- file.path(folder, "results.json")
  found <- list("1.jpg" = two_objects())
  expect_error(seg_write_annotations(found, path, categories = c(person = 1)),
               "no category for bus", class = "maskr_error_data")
  expect_error(seg_write_annotations(list("bus.jpg" = two_objects()), path),
               "its name is no number", class = "maskr_error_data")
  expect_error(seg_write_annotations(list("1.jpg" = two_objects(NULL)), path), "score",
               class = "maskr_error_data")
  expect_identical(list.files(folder), character())
})

test_that("arguments are checked in R", {
  skip_if_no_python()
  path <- withr::local_tempfile(fileext = ".json")
  found <- list("1.jpg" = two_objects())
  expect_snapshot(error = TRUE, {
    seg_write_annotations(two_objects(), path)
    seg_write_annotations(unname(found), path)
    seg_write_annotations(found, path, format = "coco")
    seg_write_annotations(found, path, categories = c(1, 2))
  })
  expect_error(seg_write_annotations(found, file.path(path, "none", "x.json")),
               class = "maskr_error_file")
  expect_error(seg_write_annotations(list("1.jpg" = data.frame(a = 1)), path),
               class = "maskr_error_data")
})
