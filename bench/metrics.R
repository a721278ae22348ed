# seg_metrics() on R's own matrices against confusion matrices of other packages, each from its
# own kind of tensor and with as many threads.
library(maskr)
source("bench/shared/alternate.R")

others <- peer("peers_metrics")
classes <- stats::setNames(0:20, paste("class", 0:20))

compare <- function(title, masks) {
  truth <- lapply(masks$truth, seg_mask, classes = classes)
  prediction <- lapply(masks$prediction, seg_mask, classes = classes)
  peers <- others$Peers(masks$truth, masks$prediction, length(classes))
  counted <- attr(seg_metrics(truth, prediction), "confusion")
  stopifnot(all(counted == peers$torchmetrics(FALSE)))
  report(title, alternate(
    "torchmetrics, validate_args = False" = peers$torchmetrics(FALSE),
    "torchmetrics" = peers$torchmetrics(TRUE),
    "torchmetrics Jaccard, no validation" = peers$jaccard(FALSE),
    "segmentation-models-pytorch" = peers$smp(),
    "scikit-learn" = peers$sklearn(),
    "maskr" = seg_metrics(truth, prediction, classes)
  ))
}

compare("metrics: 16 masks of 1024 x 1024, 21 classes, smooth regions",
        others$scenes(16L, 1024L, 21L, 1L))
compare("metrics: 16 masks of 1024 x 1024, 21 classes, noise",
        others$noise(16L, 1024L, 21L, 1L))
