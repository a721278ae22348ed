classes <- c(cell = 1, debris = 2)
planes <- array(FALSE, c(4, 6, 2))
planes[1:2, 1:3, 1] <- TRUE
planes[2:4, 3:6, 2] <- TRUE
objects <- function(...) {
  skip_if_no_python()
  seg_instances(planes, class = c("cell", "debris"), score = c(0.9, 0.6), classes = classes, ...)
}

test_that("masks become rows with half-open boxes and areas", {
  x <- objects()
  expect_s3_class(x, c("seg_instances", "data.frame"), exact = TRUE)
  expect_named(x, c("id", "class", "label", "score", "xmin", "ymin", "xmax", "ymax", "area", "rle"))
  expect_identical(x$class, 1:2)
  expect_identical(x$label, c("cell", "debris"))
  expect_equal(unlist(x[2, c("xmin", "ymin", "xmax", "ymax")], use.names = FALSE), c(2, 1, 6, 4))
  expect_equal(x$area, c(6, 12))
  expect_identical(attr(x, "size"), c(4L, 6L))
  expect_identical(attr(x, "classes"), c(cell = 1L, debris = 2L))
})

test_that("overlapping masks come back whole, all or some", {
  x <- objects()
  expect_identical(as.array(x), planes)
  expect_identical(as.array(x, which = 2), planes[, , 2, drop = FALSE])
  expect_identical(as.array(x, which = x$score > 0.7), planes[, , 1, drop = FALSE])
  expect_equal(dim(as.array(x, which = integer())), c(4, 6, 0))
  expect_error(as.array(x, which = 3), class = "maskr_error_argument")
})

test_that("random masks survive", {
  skip_if_no_python()
  set.seed(4)
  for (i in 1:10) {
    random <- array(runif(3 * i * 2) > 0.5, c(3, i, 2))
    x <- seg_instances(random, class = "cell", classes = classes)
    expect_identical(as.array(x), random)
    expect_equal(x$area, apply(random, 3, sum))
  }
})

test_that("more than 2 GB of masks are refused", {
  x <- objects()
  attr(x, "size") <- c(15000L, 20000L)
  expect_snapshot(as.array(x), error = TRUE)
  expect_error(as.array(x), class = "maskr_error_shape")
})

test_that("a list of matrices, given boxes, one class for all, and no objects", {
  skip_if_no_python()
  boxes <- rbind(c(0.5, 0, 3, 2), c(2, 1, 6, 4))
  both <- list(planes[, , 1], planes[, , 2])
  x <- seg_instances(both, class = 1, boxes = boxes, classes = classes)
  expect_equal(x$xmin, c(0.5, 2))
  expect_equal(x$class, c(1, 1))
  expect_equal(x$score, c(NA_real_, NA_real_))
  none <- seg_instances(classes = classes, size = c(4, 6))
  expect_equal(nrow(none), 0)
  expect_equal(dim(as.array(none)), c(4, 6, 0))
  expect_true(all(as_seg_mask(none) == 0))
})

test_that("wrong objects are classed errors", {
  expect_snapshot(error = TRUE, {
    seg_instances(planes, class = "car", classes = classes)
    seg_instances(planes, class = c(1, 2, 1), classes = classes)
    seg_instances(list(planes[, , 1], planes[1:2, , 2]), class = 1, classes = classes)
    seg_instances(planes + 0.5, class = 1, classes = classes)
    seg_instances(planes, class = 1, score = c(0.5, 2), classes = classes)
    seg_instances(planes, class = 1, boxes = 1:4, classes = classes)
    seg_instances(classes = classes)
    seg_instances(planes, class = 1, classes = NULL)
  })
})

test_that("rows are chosen as in any data frame, and lost columns give a plain one", {
  x <- objects()
  best <- x[order(x$score), ][1, ]
  expect_s3_class(best, "seg_instances")
  expect_identical(attr(best, "size"), c(4L, 6L))
  expect_identical(best$id, 2L)
  expect_s3_class(x["id"], "data.frame", exact = TRUE)
  expect_identical(x[["label"]], c("cell", "debris"))
  expect_s3_class(subset(x, score > 0.7), "seg_instances")
  expect_s3_class(as.data.frame(x), "data.frame", exact = TRUE)
})

test_that("what lost something is told how to mend it", {
  x <- objects()
  no_size <- x
  attr(no_size, "size") <- NULL
  no_rle <- x
  no_rle$rle <- NULL
  renamed <- x
  renamed$label <- "dust"
  expect_snapshot(error = TRUE, {
    as_seg_mask(no_size)
    as.array(no_rle)
    plot(renamed)
  })
  expect_error(as_seg_mask(no_size), class = "maskr_error_data")
  bare_frame <- as.data.frame(x)
  again <- as_seg_instances(bare_frame, size = c(4, 6), classes = classes)
  expect_identical(again, x)
  made <- as_seg_instances(bare_frame[c("label", "rle")], size = c(4, 6), classes = classes)
  expect_equal(made$area, x$area)
  expect_error(as_seg_instances(bare_frame["id"], size = c(4, 6), classes = classes),
               class = "maskr_error_data")
  expect_error(as_seg_instances(bare_frame, size = c(9, 9), classes = classes),
               class = "maskr_error_data")
  expect_error(as_seg_instances(bare_frame), class = "maskr_error_argument")
})

test_that("c and rbind combine objects of one image", {
  x <- objects()
  both <- rbind(x[2, ], x)
  expect_identical(both$id, 1:3)
  expect_identical(both$label, c("debris", "cell", "debris"))
  expect_identical(c(x[2, ], x), both)
  other <- seg_instances(planes[, , 1], class = 9, classes = c(dust = 9))
  expect_identical(attr(rbind(x, other), "classes"), c(cell = 1L, debris = 2L, dust = 9L))
  small <- seg_instances(matrix(TRUE, 2, 2), class = 1, classes = classes)
  expect_error(rbind(x, small), class = "maskr_error_shape")
  clash <- seg_instances(planes[, , 1], class = 1, classes = c(dust = 1))
  expect_error(rbind(x, clash), class = "maskr_error_data")
})

test_that("label matrices become objects that keep their numbers", {
  skip_if_no_python()
  labels <- matrix(c(0, 7, 7, 0, 3, NA), 2)
  x <- as_seg_instances(labels, class = c(nucleus = 4))
  expect_identical(x$id, c(3L, 7L))
  expect_equal(x$area, c(1, 2))
  expect_identical(as.array(x)[, , 2], !is.na(labels) & labels == 7)
  expect_equal(nrow(as_seg_instances(matrix(0, 2, 2))), 0)
  expect_error(as_seg_instances(matrix(-1)), class = "maskr_error_data")
  expect_error(as_seg_instances(array(1, c(2, 2, 2))), class = "maskr_error_shape")
  expect_error(as_seg_instances(labels, class = c(a = 1, b = 2)), class = "maskr_error_argument")
  expect_error(as_seg_instances(seg_mask(labels)), class = "maskr_error_data")
})

test_that("label files become objects", {
  skip_if_no_python()
  file <- withr::local_tempfile(fileext = ".png")
  seg_write_mask(matrix(c(0, 1, 1, 0, 300, 300), 2), file)
  x <- seg_read_instances(file, class = c(nucleus = 1))
  expect_identical(x$id, c(1L, 300L))
  expect_identical(attr(x, "size"), c(2L, 3L))
  expect_identical(seg_read_instances(file, ignore = 300)$id, 1L)
  skip_if_not_installed("png")
  png::writePNG(matrix(c(0, 1), 1), file)
  expect_error(seg_read_instances(file), class = "maskr_error_data")
})

test_that("real label images have as many nuclei as their index says", {
  skip_if_no_python()
  index <- utils::read.csv(shared_data("nuclei/valid/index.csv"))[1:3, ]
  for (i in seq_len(nrow(index))) {
    name <- paste0("nuclei/valid/labels/", tools::file_path_sans_ext(index$file[[i]]), ".png")
    x <- seg_read_instances(shared_data(name))
    expect_equal(nrow(x), index$nuclei[[i]])
    expect_equal(sum(as_seg_mask(x)), sum(x$area))
  }
})

test_that("instances are printed, summarised and saved", {
  x <- objects()
  broken <- x
  attr(broken, "classes") <- NULL
  expect_snapshot({
    x
    print(x[c(1, 1, 2), ], n = 2)
    seg_instances(classes = classes, size = c(4, 6))
    broken
    summary(x)
    format(x)
  })
  file <- withr::local_tempfile()
  saveRDS(x, file)
  expect_identical(as.array(readRDS(file)), planes)
})

test_that("a missing score picks no object", {
  x <- seg_instances(array(TRUE, c(2, 3, 2)), class = 1, classes = c(cell = 1))
  expect_identical(nrow(x[x$score > 0.5, ]), 0L)
  expect_s3_class(x[x$score > 0.5, ], "seg_instances")
})
