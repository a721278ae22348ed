# seg_metrics() on R's own matrices against confusion matrices of other packages, each from its
# own kind of tensor and with as many threads; and how near the counting comes to plain reading.
library(maskr)
source("bench/shared/alternate.R")

others <- peer("peers_metrics")
classes <- stats::setNames(0:20, paste("class", 0:20))
count <- 16L
size <- 2048L

compare <- function(title, masks) {
  truth <- lapply(masks$truth, seg_mask, classes = classes)
  prediction <- lapply(masks$prediction, seg_mask, classes = classes)
  peers <- others$Peers(masks$truth, masks$prediction, length(classes))
  counted <- attr(seg_metrics(truth, prediction), "confusion")
  stopifnot(all(counted == peers$torchmetrics(FALSE)))
  times <- alternate(
    "torchmetrics" = peers$torchmetrics(TRUE),
    "torchmetrics, validate_args = False" = peers$torchmetrics(FALSE),
    "torchmetrics Jaccard, no validation" = peers$jaccard(FALSE),
    "segmentation-models-pytorch" = peers$smp(),
    "scikit-learn" = peers$sklearn(),
    "plain read" = peers$read(),
    "maskr" = seg_metrics(truth, prediction, classes),
    runs = 3
  )
  report(title, times)
  peers_times <- times[, setdiff(colnames(times), c("plain read", "maskr")), drop = FALSE]
  fastest <- apply(peers_times, 1, min)
  cat(sprintf(
    "  maskr: %.1f times the fastest; %.2f Gpixel/s, %.0f %% of plain reading\n",
    stats::median(fastest / times[, "maskr"]),
    count * size^2 / stats::median(times[, "maskr"]) / 1e9,
    100 * stats::median(times[, "plain read"] / times[, "maskr"])
  ))
}

title <- sprintf("metrics: %d masks of %d x %d, 21 classes,", count, size, size)
compare(paste(title, "smooth regions"), others$scenes(count, size, 21L, 1L))
compare(paste(title, "noise"), others$noise(count, size, 21L, 1L))
