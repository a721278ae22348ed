# COCO's average precision (matching, accumulating and summarising) against pycocotools, and beside
# it faster-coco-eval's own evaluation: the same objects in memory, each as the package holds them.
# Needs the detections of YOLOv8n-seg on COCO images in shared/data.
library(maskr)
source("bench/shared/alternate.R")

data <- Sys.getenv("MASKR_TEST_DATA", "../shared/data")
invisible(maskr:::py_module("metrics.coco"))
peers <- peer("peers_average_precision")
peers$make(
  "Peers", file.path(data, "coco/annotations/instances_val2017.json"),
  file.path(data, "yolo/pred_coco_tiny_a_val2017.json"), 5L
)

ids <- unlist(peers$ask("ids"))
classes <- stats::setNames(ids, paste("class", ids))
sides <- lapply(peers$ask("for_r"), lapply, \(one) {
  found <- maskr:::new_seg_instances(one$columns, unlist(one$size), classes)
  found$iscrowd <- as.logical(one$crowd)
  found
})

compare <- function(title, type, reference) {
  expected <- unlist(peers$ask("pycocotools", reference))
  from_r <- seg_metrics(sides[[1]], sides[[2]], type = type)
  stopifnot(
    all.equal(unlist(peers$ask("maskr", reference)), expected, tolerance = 1e-12),
    all.equal(from_r$value[is.na(from_r$class)], expected, tolerance = 1e-12)
  )
  report(title, alternate(
    "pycocotools" = peers$time("pycocotools", reference),
    "faster-coco-eval" = peers$time("faster_coco_eval", reference),
    "maskr from Python" = peers$time("maskr", reference),
    "maskr from R, seg_metrics()" = seg_metrics(sides[[1]], sides[[2]], type = type),
    runs = 3
  ))
}

words <- paste(length(sides[[1]]), "images,", sum(vapply(sides[[2]], nrow, 1L)), "predictions")
compare(paste("average precision of masks,", words), "mask", "segm")
compare(paste("average precision of boxes,", words), "box", "bbox")
