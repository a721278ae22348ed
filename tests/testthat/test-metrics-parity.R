# The same files have the same scores from R and from Python.

# Scores that Python's maskr.metrics.score() gives, as a data frame in R's form.
scored_in_python <- function(...) {
  python <- python_module("metrics.files")
  found <- python$score(...)
  frame <- plain_columns(found$columns)
  frame[c("metric", "class", "value", "n")]
}

expect_same_scores <- function(scores, python) {
  expect_gt(sum(!is.na(scores$value)), 9)
  columns <- as.data.frame(scores)[names(python)]
  key <- function(x) paste(x$metric, x$class)
  expect_setequal(key(columns), key(python))
  python <- python[match(key(columns), key(python)), ]
  rownames(python) <- NULL
  expect_identical(columns, python)
}

test_that("masks have the same scores from R and Python", {
  folder <- shared_data("camvid/valannot")
  skip_if_no_python()
  truth <- withr::local_tempdir()
  prediction <- withr::local_tempdir()
  files <- list.files(folder)[1:3]
  file.copy(file.path(folder, files), truth)
  for (file in files) {
    mask <- seg_read_mask(file.path(folder, file))
    seg_write_mask(mask[, c(6:ncol(mask), 1:5)], file.path(prediction, file))
  }
  scores <- seg_metrics(truth, prediction, metrics = c("semantic", "boundary"), tolerance = 2)
  families <- list(semantic = reticulate::dict(), boundary = list(tolerance = 2))
  expect_same_scores(scores, scored_in_python(truth, prediction, families = families))
  expect_lt(scores$value[scores$metric == "mean_iou"], 0.95)
})

test_that("objects have the same scores from R and Python", {
  truth <- shared_data("coco_eval/instances_val2014_100.json")
  masks <- shared_data("coco_eval/instances_val2014_fakesegm100_results.json")
  boxes <- shared_data("coco_eval/instances_val2014_fakebbox100_results.json")
  skip_if_no_python()
  annotations <- seg_read_annotations(truth)
  in_r <- function(results, ...) seg_metrics(annotations, seg_read_annotations(results), ...)
  expect_same_scores(in_r(masks), scored_in_python(truth, masks))
  expect_same_scores(in_r(boxes, type = "box"),
                     scored_in_python(truth, boxes, families = list(coco = list(type = "box"))))
  families <- list(bioimage = reticulate::dict())
  expect_same_scores(in_r(masks, metrics = "bioimage"),
                     scored_in_python(truth, masks, families = families))
})

test_that("panoptic segments have the same scores from R and Python", {
  truth <- shared_data("panoptic/sample_data/panoptic_examples.json")
  prediction <- shared_data("panoptic/perturbed_pred/perturbed.json")
  skip_if_no_python()
  scores <- seg_metrics(seg_read_annotations(truth), seg_read_annotations(prediction))
  expect_same_scores(scores, scored_in_python(truth, prediction))
  expect_equal(scores$value[scores$metric == "pq" & is.na(scores$class)], 0.544002099004402)
})
