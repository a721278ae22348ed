# Scores of objects: what is given, paired and asked for. The numbers are held against pycocotools
# in tests/python/test_metrics_coco.py.

block <- function(top, left, height, width, size = c(40, 60)) {
  mask <- matrix(FALSE, size[[1]], size[[2]])
  mask[top + seq_len(height), left + seq_len(width)] <- TRUE
  mask
}

cells <- c(cell = 1, debris = 4)

true_cells <- function() {
  seg_instances(list(block(0, 0, 10, 10), block(20, 30, 10, 10)), class = "cell", classes = cells)
}

# One miss that is surer than the hit, whose IoU of 8/12 reaches .5, .55, .6 and .65.
found_cells <- function(score = c(0.9, 0.8)) {
  seg_instances(list(block(30, 50, 5, 5), block(0, 2, 10, 10)), class = "cell", score = score,
                classes = cells)
}

value_of <- function(x, metric, class = NA) {
  x$value[x$metric == metric & x$class %in% class]
}

twelve <- function(x) x$value[is.na(x$class)][1:12]

test_that("objects that lost their class are taken, or it is said how to mend them", {
  skip_if_no_python()
  frame <- structure(true_cells(), class = c("tbl_df", "tbl", "data.frame"))
  expect_equal(seg_metrics(frame, found_cells()), seg_metrics(true_cells(), found_cells()))
  expect_equal(seg_metrics(list(frame), list(found_cells())),
               seg_metrics(true_cells(), found_cells()))
  bare <- as.data.frame(true_cells())
  expect_error(seg_metrics(bare, found_cells()),
               "as_seg_instances(truth, size = c(height, width), classes = c(name = id))",
               fixed = TRUE, class = "maskr_error_data")
  mended <- as_seg_instances(bare, size = c(40, 60), classes = cells)
  expect_equal(seg_metrics(mended, found_cells()), seg_metrics(true_cells(), found_cells()))
})

test_that("a hit and a miss score as by hand", {
  skip_if_no_python()
  x <- seg_metrics(true_cells(), found_cells())
  expect_s3_class(x, "seg_metrics")
  at_one <- 0.5 * 51 / 101
  expect_equal(value_of(x, "ap50"), at_one)
  expect_equal(value_of(x, "ap"), 0.4 * at_one)
  expect_equal(value_of(x, "ap", 1), 0.4 * at_one)
  expect_equal(value_of(x, "ar1"), 0)
  expect_equal(value_of(x, "ar100"), 0.2)
  expect_identical(value_of(x, "ap_large"), NA_real_)
  expect_identical(value_of(x, "ap", 4), NA_real_)
  expect_equal(x$n[x$metric == "ap"], c(2, 2, 0))
  expect_identical(
    x$metric[is.na(x$class)],
    c("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100",
      "ar_small", "ar_medium", "ar_large")
  )
})

test_that("objects without scores are counted as microscopy does, and have no average precision", {
  skip_if_no_python()
  x <- seg_metrics(true_cells(), found_cells(NULL))
  expect_equal(value_of(x, "recall"), 0.5)
  expect_equal(value_of(x, "false"), 1)
  expect_false("ap" %in% x$metric)
  error <- expect_error(seg_metrics(true_cells(), found_cells(NULL), metrics = "ap50"),
                        class = "maskr_error_data")
  expect_match(conditionMessage(error), "has no score")
  both <- seg_metrics(true_cells(), found_cells(), metrics = c("ap50", "f1"))
  expect_setequal(both$metric, c("ap50", "f1"))
  expect_identical(seg_metrics(true_cells(), found_cells(), metrics = "ap")$metric, rep("ap", 3))
})

test_that("boxes and boundaries are scored too", {
  skip_if_no_python()
  truth <- true_cells()
  found <- found_cells()
  found$xmin[[2]] <- 0
  found$xmax[[2]] <- 10
  expect_equal(value_of(seg_metrics(truth, found, type = "box"), "ap"), 0.5 * 51 / 101)
  expect_lt(value_of(seg_metrics(truth, found, type = "boundary"), "ap50"),
            value_of(seg_metrics(truth, found), "ap50"))
  expect_error(seg_metrics(truth, found, type = "outline"), class = "maskr_error_argument")
})

test_that("several images are paired by name, else by place", {
  skip_if_no_python()
  empty <- seg_instances(size = c(40, 60), classes = cells)
  truth <- list(a = true_cells(), b = empty)
  found <- list(b = empty, a = found_cells())
  x <- seg_metrics(truth, found, per_image = TRUE)
  expect_equal(twelve(x[is.na(x$image), ]), twelve(seg_metrics(true_cells(), found_cells())))
  expect_equal(x$value[x$image %in% "a" & x$metric == "ap50" & is.na(x$class)], 0.5 * 51 / 101)
  expect_true(all(is.na(x$value[x$image %in% "b"])))
  expect_equal(twelve(seg_metrics(unname(truth), unname(rev(found)))), twelve(x))
  expect_error(seg_metrics(truth, found[1]), class = "maskr_error_argument")
})

test_that("classes are matched by name", {
  skip_if_no_python()
  found <- found_cells()
  attr(found, "classes") <- c(debris = 0L, cell = 7L)
  found$class <- c(7L, 7L)
  x <- seg_metrics(true_cells(), found)
  expect_equal(twelve(x), twelve(seg_metrics(true_cells(), found_cells())))
  expect_identical(attr(x, "classes"), c(cell = 1L, debris = 4L))
  expect_error(seg_metrics(true_cells(), found, classes = c(debris = 4)),
               class = "maskr_error_data")
  # a class that the truth does not know keeps out of the mean
  found$class <- c(1L, 7L)
  found$label <- c("dust", "cell")
  attr(found, "classes") <- c(dust = 1L, cell = 7L)
  x <- seg_metrics(true_cells(), found)
  expect_identical(attr(x, "classes"), c(cell = 1L, debris = 4L, dust = 5L))
  expect_equal(value_of(x, "ap50"), 51 / 101)
  # nothing in common is a mistake
  attr(found, "classes") <- c(nucleus = 7L, dust = 1L)
  found$class <- c(7L, 7L)
  found$label <- c("nucleus", "nucleus")
  error <- expect_error(seg_metrics(true_cells(), found), class = "maskr_error_data")
  expect_match(conditionMessage(error), "no class in common")
})

test_that("empty sides are scored", {
  skip_if_no_python()
  empty <- seg_instances(size = c(40, 60), classes = cells)
  expect_true(all(is.na(seg_metrics(empty, empty)$value)))
  expect_true(all(is.na(seg_metrics(empty, found_cells())$value)))
  x <- seg_metrics(true_cells(), empty)
  expect_equal(value_of(x, "ap"), 0)
  expect_equal(value_of(x, "ar100", 1), 0)
})

test_that("what cannot be compared is refused", {
  skip_if_no_python()
  small <- seg_instances(list(block(0, 0, 4, 4, c(20, 30))), class = "cell", score = 0.5,
                         classes = cells)
  expect_error(seg_metrics(true_cells(), small), class = "maskr_error_shape")
  expect_error(seg_metrics(list(true_cells(), 3), list(found_cells(), found_cells())),
               class = "maskr_error_argument")
  expect_error(seg_metrics(true_cells(), found_cells(), aggregate = "mean"),
               "not a mean over images", class = "maskr_error_data")
  broken <- found_cells()
  attr(broken, "size") <- NULL
  expect_error(seg_metrics(true_cells(), broken), class = "maskr_error_data")
})

test_that("intervals and comparisons come from resampled images", {
  skip_if_no_python()
  truth <- rep(list(true_cells()), 6)
  better <- lapply(1:6, \(i) found_cells(c(0.5 + i / 100, 0.6 + i / 30)))
  worse <- lapply(1:6, \(i) found_cells(c(0.6 + i / 30, 0.5 + i / 100)))
  a <- seg_metrics(truth, better, ci = TRUE)
  row <- a[a$metric == "ap50" & is.na(a$class), ]
  expect_true(row$lower <= row$value && row$value <= row$upper)
  b <- seg_metrics(truth, worse, ci = TRUE)
  expect_gt(value_of(a, "ap50"), value_of(b, "ap50"))
  difference <- as.data.frame(seg_compare(a = a, b = b))
  expect_true(nrow(difference) > 0)
})

test_that("things of panoptic results are objects for those who ask", {
  skip_if_no_python()
  ids <- matrix(0L, 40, 60)
  ids[1:10, 1:10] <- 5L
  ids[21:30, 31:40] <- 2L
  ids[35:40, ] <- 9L
  rows <- data.frame(id = c(2, 5, 9), label = c("cell", "cell", "glass"),
                     isthing = c(TRUE, TRUE, FALSE))
  truth <- seg_panoptic(ids, rows, c(glass = 0, cell = 1))
  expect_equal(value_of(seg_metrics(truth, truth, metrics = "dsb_ap"), "dsb_ap"), 1)
  x <- seg_metrics(truth, found_cells(), metrics = "ap")
  expect_equal(value_of(x, "ap"), 0.4 * 0.5 * 51 / 101)
  volume <- array(0L, c(3, 8, 9))
  volume[1:2, 2:5, 3:6] <- 1L
  volume <- as_seg_panoptic(volume, class = c(cell = 1))
  expect_equal(value_of(seg_metrics(volume, volume, metrics = "bioimage"), "seg"), 1)
  expect_error(seg_metrics(volume, volume, metrics = "ap"), class = "maskr_error_shape")
})

test_that("annotations are matched by id or file, with their crowds and areas", {
  skip_if_no_python()
  truth <- true_cells()
  truth$iscrowd <- c(FALSE, TRUE)
  truth <- as_seg_annotations(list("x/12.png" = truth, "x/7.png" = true_cells()[0, ]))
  truth$objects$area[[1]] <- 5000
  x <- seg_metrics(truth, list("12.jpg" = found_cells()))
  # by the area of the file it is a medium object, and the false prediction a small one
  expect_equal(value_of(x, "ap_medium"), 0.4)
  expect_identical(value_of(x, "ap_small"), NA_real_)
  expect_equal(unique(x$n[x$metric == "ap" & is.na(x$class)]), 1)
  # without names by place, in the order of the file
  expect_equal(twelve(seg_metrics(truth, list(found_cells(), found_cells()[0, ]))), twelve(x))
  expect_error(seg_metrics(truth, list("13.jpg" = found_cells())), class = "maskr_error_data")
  expect_error(seg_metrics(truth, list(found_cells())), class = "maskr_error_argument")
  truth$images$height[[1]] <- 41L
  expect_error(seg_metrics(truth, list("12.jpg" = found_cells())), class = "maskr_error_shape")
})

test_that("files score as published, from annotations and from lists", {
  skip_if_no_python()
  truth <- seg_read_annotations(shared_data("coco_eval/instances_val2014_100.json"))
  masks <- seg_read_annotations(
    shared_data("coco_eval/instances_val2014_fakesegm100_results.json")
  )
  boxes <- seg_read_annotations(
    shared_data("coco_eval/instances_val2014_fakebbox100_results.json")
  )
  expect_equal(
    round(twelve(seg_metrics(truth, masks)), 3),
    c(.320, .562, .299, .387, .310, .327, .268, .415, .417, .469, .377, .381)
  )
  expect_equal(
    round(twelve(seg_metrics(truth, boxes, type = "box")), 3),
    c(.505, .697, .573, .586, .519, .501, .387, .594, .595, .640, .566, .564)
  )
})

test_that("detections of YOLO score the same from R and from pycocotools", {
  skip_if_no_python()
  files <- c(shared_data("coco/annotations/instances_val2017.json"),
             shared_data("yolo/pred_coco_tiny_a_val2017.json"))
  truth <- seg_read_annotations(files[[1]])
  found <- seg_read_annotations(files[[2]])
  x <- seg_metrics(truth, found)
  expect_equal(round(twelve(x)[1:2], 4), c(.3119, .4893))
  skip_if_not(reticulate::py_module_available("pycocotools"), "pycocotools is not installed")
  reference <- reticulate::py_run_string("
def judged(truth, results, kind):
    import contextlib, io
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(truth)
        judge = COCOeval(truth, truth.loadRes(results), kind)
        judge.evaluate(); judge.accumulate(); judge.summarize()
    return judge.stats.tolist()
", local = TRUE)$judged
  expect_equal(twelve(x), unlist(reference(files[[1]], files[[2]], "segm")), tolerance = 1e-12)
  expect_equal(twelve(seg_metrics(truth, found, type = "box")),
               unlist(reference(files[[1]], files[[2]], "bbox")), tolerance = 1e-12)
})

# COCO results of the images with the ids 3, 1, 2: only the first has an object, which is found.
results_of <- function(ids = c(3, 1, 2)) {
  found <- found_cells()
  found <- list(found[2, ], found[1, ], found[1, ])
  names(found) <- sprintf("%012d.png", ids)
  x <- as_seg_annotations(found)
  file <- withr::local_tempfile(fileext = ".json", .local_envir = parent.frame())
  seg_write_annotations(x, file, "coco_results", verbose = FALSE)
  seg_read_annotations(file, classes = cells)
}

test_that("ids of results never match places in a list", {
  skip_if_no_python()
  results <- results_of()
  truth <- list(true_cells()[1, ], true_cells()[0, ], true_cells()[0, ])
  error <- expect_error(seg_metrics(truth, results), class = "maskr_error_argument")
  expect_match(conditionMessage(error), "ids alone")
  expect_error(seg_metrics(stats::setNames(truth, c("a.png", "b.png", "c.png")), results),
               "ids alone", class = "maskr_error_argument")
  expect_error(seg_errors(truth, results), "ids alone", class = "maskr_error_argument")
  expect_error(seg_metrics(results, lapply(1:3, \(i) found_cells())), "ids alone",
               class = "maskr_error_argument")
  # names that are numbers tell the ids, in any order
  numbered <- stats::setNames(truth, c("3.jpg", "000000000001.jpg", "2.jpg"))
  x <- seg_metrics(numbered, results)
  expect_equal(value_of(x, "ap50"), 1 / 3)
  expect_equal(value_of(seg_metrics(numbered[3:1], results), "ap50"), 1 / 3)
  shifted <- results_of(c(12, 10, 11))
  names(numbered) <- c("12.jpg", "10.jpg", "11.jpg")
  expect_equal(value_of(seg_metrics(numbered, shifted), "ap50"), 1 / 3)
  # and places are no ids for files of numbers either
  named <- as_seg_annotations(stats::setNames(truth, c("a.png", "b.png", "c.png")))
  files <- as_seg_annotations(list("1.png" = found_cells(), "2.png" = found_cells()))
  expect_error(seg_metrics(named, files), "lacks", class = "maskr_error_data")
})

test_that("panoptic annotations are scored as objects", {
  skip_if_no_python()
  ids <- matrix(0L, 40, 60)
  ids[1:10, 1:10] <- 5L
  ids[21:30, 31:40] <- 2L
  ids[35:40, ] <- 9L
  ids[1:5, 50:60] <- 4L
  rows <- data.frame(id = c(2, 5, 9, 4), label = c("cell", "cell", "glass", "cell"),
                     isthing = c(TRUE, TRUE, FALSE, TRUE), iscrowd = c(FALSE, FALSE, FALSE, TRUE))
  panoptic <- seg_panoptic(ids, rows, c(glass = 3, cell = 1))
  file <- withr::local_tempfile(fileext = ".json")
  suppressMessages(seg_write_annotations(as_seg_annotations(list("a.png" = panoptic)), file,
                                         "coco_panoptic", verbose = FALSE))
  truth <- seg_read_annotations(file)
  for (prediction in list(truth, list("a.png" = panoptic), list("a.png" = found_cells()))) {
    expected <- seg_metrics(list("a.png" = panoptic), prediction, metrics = "bioimage")
    x <- seg_metrics(truth, prediction, metrics = "bioimage")
    expect_equal(x$value, expected$value)
    expect_equal(x$n, expected$n)
  }
  expect_equal(unique(x$n[x$metric == "recall"]), 2)
  expect_equal(value_of(seg_metrics(truth, found_cells(), metrics = "ap"), "ap"),
               0.4 * 0.5 * 51 / 101)
  errors <- seg_errors(truth, truth)
  expect_identical(as.character(errors$error), rep("correct", 4))
})

test_that("objects can be given other names, as the message says", {
  skip_if_no_python()
  found <- found_cells()
  attr(found, "classes") <- c("1" = 1L, "4" = 4L)
  found$label <- c("1", "1")
  error <- expect_error(seg_metrics(true_cells(), found), class = "maskr_error_data")
  expect_match(conditionMessage(error), "as_seg_instances(x, classes = ", fixed = TRUE)
  named <- as_seg_instances(found, classes = cells)
  expect_identical(named$label, c("cell", "cell"))
  expect_equal(seg_metrics(true_cells(), named), seg_metrics(true_cells(), found_cells()))
  expect_error(as_seg_instances(found, classes = c(debris = 4)), class = "maskr_error_data")
  annotated <- as_seg_annotations(list("a.png" = found))
  error <- expect_error(seg_metrics(list("a.png" = true_cells()), annotated),
                        class = "maskr_error_data")
  expect_match(conditionMessage(error), "seg_read_annotations(path, classes = ", fixed = TRUE)
})

test_that("a long list of classes is not cut off in the middle of a word of code", {
  skip_if_no_python()
  many <- stats::setNames(1:30, paste0("class number ", 1:30))
  mask <- block(0, 0, 3, 3)
  x <- as_seg_annotations(list("a.png" = seg_instances(
    rep(list(mask), 30), class = names(many), classes = many
  )))
  error <- expect_error(seg_metrics(x, x, classes = many[1:9]), class = "maskr_error_data")
  expect_match(conditionMessage(error), "annotations[, names(classes)]", fixed = TRUE)
})

test_that("what is no object is named, with a mend", {
  skip_if_no_python()
  truth <- true_cells()
  said <- function(...) {
    conditionMessage(expect_error(seg_metrics(...), class = "maskr_error_argument"))
  }
  expect_match(said(truth, NULL), "You supplied NULL")
  expect_match(said(truth, 5), "the number 5")
  expect_match(said(truth, "found.png"), "seg_read_annotations")
  expect_match(said(truth, "found.json"), "seg_read_annotations(\"found.json\")", fixed = TRUE)
  expect_match(said("true.json", "found.json"), "true.json", fixed = TRUE)
  expect_match(said(as_seg_panoptic(truth), NULL), "You supplied NULL")
  labels <- as.matrix(as_seg_panoptic(truth))
  for (metrics in c("bioimage", "aji")) {
    expect_match(said(labels, labels, metrics = metrics), "as_seg_instances")
    expect_match(said(labels, labels, metrics = metrics), "labels")
  }
  expect_no_match(said(labels, labels, metrics = "aji"), "kappa")
})

test_that("numbers of objects that cannot be are refused", {
  skip_if_no_python()
  said <- function(found, ...) {
    conditionMessage(
      expect_error(seg_metrics(true_cells(), found, ...), class = "maskr_error_data")
    )
  }
  found <- found_cells()
  found$score[[2]] <- 7
  expect_match(said(found), "object 2 is 7")
  found$score[[2]] <- Inf
  expect_match(said(found), "object 2 is Inf")
  found <- found_cells()
  found$xmin[[2]] <- NA
  expect_equal(twelve(seg_metrics(true_cells(), found)),
               twelve(seg_metrics(true_cells(), found_cells())))
  expect_match(said(found, type = "box"), "Object 2 of `prediction` has the box NA", fixed = TRUE)
  found <- found_cells()
  found$area[[1]] <- NA
  expect_match(said(found), "has the area NA")
  found <- found_cells()
  found$rle[[2]] <- "abc"
  for (metrics in c("ap", "f1")) {
    text <- said(found, metrics = metrics)
    expect_match(text, "prediction.*rle of object 2 does not fit")
    expect_match(text, "seg_instances")
  }
})

test_that("predicted boxes are sized by themselves, in memory as in files", {
  skip_if_no_python()
  ring <- matrix(FALSE, 60, 90)
  ring[3:42, 3:42] <- TRUE
  ring[4:41, 4:41] <- FALSE
  cell <- matrix(FALSE, 60, 90)
  cell[20:29, 60:69] <- TRUE
  truth <- list("1.png" = seg_instances(list(cell), "cell", classes = c(cell = 1)))
  # a false ring of few pixels in a large box, ahead of the hit
  found <- list("1.png" = seg_instances(list(ring, cell), "cell", c(0.9, 0.8),
                                        classes = c(cell = 1)))
  small <- function(truth, found, type) {
    scores <- seg_metrics(truth, found, type = type)
    scores$value[scores$metric == "ap_small" & is.na(scores$class)]
  }
  expect_equal(small(truth, found, "box"), 1)
  expect_equal(small(truth, found, "mask"), 0.5)
  expect_equal(small(truth, found, "boundary"), 0.5)
  # beside annotations they become annotations themselves
  expect_equal(small(as_seg_annotations(truth), found, "box"), 1)
  expect_equal(small(as_seg_annotations(truth), as_seg_annotations(found), "box"), 1)
  file <- withr::local_tempfile(fileext = ".json")
  suppressMessages(seg_write_annotations(as_seg_annotations(found), file, format = "coco_results"))
  expect_equal(small(as_seg_annotations(truth), seg_read_annotations(file), "box"), 1)
})
