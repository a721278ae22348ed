# Arguments of seg_metrics() and seg_evaluate() that cannot matter, and models that give no masks.

truth <- matrix(c(0, 0, 1, 1, 2, NA), nrow = 2)
prediction <- matrix(c(0, 1, 1, 1, 2, 2), nrow = 2)
labels <- matrix(0L, 12, 16)
labels[2:5, 2:6] <- 1L
cells <- function(score = NA_real_) {
  found <- as_seg_instances(labels)
  found$score <- score
  found
}

test_that("lengths are for the scores that they change", {
  skip_if_no_python()
  useless <- function(...) {
    expect_error(seg_metrics(...), "cannot change", class = "maskr_error_argument")
  }
  useless(truth, prediction, tolerance = 2)
  useless(truth, prediction, metrics = "hd95", tolerance = 2)
  useless(truth, prediction, metrics = c("iou", "boundary_f1"), width = 2)
  useless(cells(0.9), cells(0.9), tolerance = -5)
  useless(cells(), cells(), width = 3)
  useless(as_seg_panoptic(cells()), as_seg_panoptic(cells()), tolerance = "1%")
  scores <- seg_metrics(truth, prediction, metrics = c("iou", "nsd"), tolerance = 2)
  expect_setequal(scores$metric, c("iou", "nsd"))
  scores <- seg_metrics(truth, prediction, metrics = "boundary", tolerance = 2, width = 1)
  expect_setequal(scores$metric, metric_families$masks$boundary)
})

test_that("thresholds are for probabilities of pixels, and the type for average precision", {
  skip_if_no_python()
  useless <- function(arg, ...) {
    error <- expect_error(seg_metrics(...), "cannot change", class = "maskr_error_argument")
    expect_identical(error$arg, arg)
  }
  panoptic <- as_seg_panoptic(cells())
  useless("thresholds", cells(0.9), cells(0.9), thresholds = 0.5)
  useless("thresholds", panoptic, panoptic, thresholds = 0.5)
  useless("type", truth, prediction, type = "box")
  useless("type", panoptic, panoptic, type = "box")
  useless("type", cells(0.9), cells(0.9), metrics = "f1", type = "box")
  # objects without scores are scored as in microscopy
  useless("type", cells(), cells(), type = "box")
  boxes <- seg_metrics(cells(), cells(0.9), type = "box")
  expect_equal(boxes$value[boxes$metric == "ap" & is.na(boxes$class)], 1)
  expect_error(seg_metrics(cells(), cells(0.9), type = "circle"), class = "maskr_error_argument")
})

test_that("the messages say what the arguments are for", {
  skip_if_no_python()
  expect_snapshot(error = TRUE, {
    seg_metrics(truth, prediction, tolerance = 2)
    seg_metrics(truth, prediction, type = "box")
    seg_metrics(cells(0.9), cells(0.9), thresholds = 0.5)
    seg_metrics(cells(), cells(), type = "box")
  })
})

test_that("evaluating refuses lengths without use, and detectors", {
  skip_if_no_python()
  model <- seg_unet(in_channels = 1, classes = c(background = 0, cell = 1), init_features = 2)
  scenes <- seg_example("nuclei", n = 1, size = c(32, 48))
  expect_error(seg_evaluate(model, scenes, width = 3), "cannot change",
               class = "maskr_error_argument")
  detector <- structure(list(), class = "seg_detector")
  expect_snapshot(error = TRUE, seg_evaluate(detector, scenes))
})
