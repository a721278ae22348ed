# seg_metrics() on R's own panoptic segmentations against torchmetrics' PanopticQuality, in a
# Python process from its own kind of tensor and with as many threads. It has no way to leave out its checks.
library(maskr)
source("bench/shared/alternate.R")

others <- peer("peers_panoptic")
classes <- stats::setNames(0:18, paste("class", 0:18))

compare <- function(title, made, runs) {
  panoptic <- function(ids, class) {
    segments <- data.frame(id = seq_along(class), class = class, isthing = class >= 8)
    seg_panoptic(ids, segments[segments$id %in% ids, ], classes)
  }
  truth <- Map(panoptic, made$truth, made$classes)
  prediction <- Map(panoptic, made$prediction, made$classes)
  others$make("Peer", made$truth, made$prediction, made$classes)
  ours <- seg_metrics(truth, prediction)
  stopifnot(all.equal(ours$value[1:3], unlist(others$ask("torchmetrics")), tolerance = 1e-6))
  report(title, alternate(
    "torchmetrics" = others$time("torchmetrics"),
    "maskr" = seg_metrics(truth, prediction),
    runs = runs
  ))
}

# a run of torchmetrics takes about ten seconds for each of these
compare("panoptic quality: 4 scenes of 1024 x 2048 with 30 segments",
        others$ask("scenes", 4L, 1024L, 2048L, 30L, 1L), runs = 2)
compare("panoptic quality: 16 scenes of 427 x 640 with 20 segments",
        others$ask("scenes", 16L, 427L, 640L, 20L, 2L), runs = 3)
