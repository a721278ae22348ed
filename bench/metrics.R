# seg_metrics() on R's own matrices against confusion matrices of other packages, in a Python process
# from their own kind of tensor and with as many threads; and how near the counting comes to plain
# reading.
library(maskr)
source("bench/shared/alternate.R")

others <- peer("peers_metrics")
classes <- stats::setNames(0:20, paste("class", 0:20))
count <- 8L
size <- 2048L

compare <- function(title, masks) {
  truth <- lapply(masks$truth, seg_mask, classes = classes)
  prediction <- lapply(masks$prediction, seg_mask, classes = classes)
  others$make("Peers", masks$truth, masks$prediction, length(classes))
  counted <- attr(seg_metrics(truth, prediction), "confusion")
  stopifnot(all(counted == others$ask("torchmetrics", FALSE)))
  times <- alternate(
    "torchmetrics" = others$time("torchmetrics", TRUE),
    "torchmetrics, validate_args = False" = others$time("torchmetrics", FALSE),
    "torchmetrics Jaccard, no validation" = others$time("jaccard", FALSE),
    "segmentation-models-pytorch" = others$time("smp"),
    "scikit-learn" = others$time("sklearn"),
    "plain read" = others$time("read"),
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
compare(paste(title, "smooth regions"), others$ask("scenes", count, size, 21L, 1L))
compare(paste(title, "noise"), others$ask("noise", count, size, 21L, 1L))
