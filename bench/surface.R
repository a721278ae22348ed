# seg_metrics() of R's own volumes against MONAI's distances of surfaces, in a Python process
# from tensors that are made before the clock runs. Both work with one thread.
library(maskr)
source("bench/shared/alternate.R")

others <- peer("peers_surface")
classes <- stats::setNames(0:4, c("background", paste("organ", 1:4)))
spacing <- c(2, 1, 1)

compare <- function(title, volumes) {
  masks <- lapply(volumes, \(x) {
    mask <- seg_mask(x, classes = classes)
    attr(mask, "spacing") <- spacing
    mask
  })
  others$make("Peers", volumes$truth, volumes$prediction, length(classes), spacing)
  ours <- \(which) seg_metrics(masks$truth, masks$prediction, classes, metrics = which)
  same_as(ours(c("hd95", "assd")), others$ask("both"))
  report(title, alternate(
    "MONAI, HD95 and ASSD" = others$time("both"),
    "MONAI, HD95" = others$time("hd95"),
    "maskr, both and Hausdorff and NSD" = ours(c("hd95", "assd")),
    runs = 3
  ))
}

# MONAI computes in float32
same_as <- function(ours, theirs) {
  ours <- as.data.frame(ours)
  ours <- ours[!is.na(ours$class) & ours$metric %in% c("hd95", "assd"), ]
  hd95 <- ours$value[ours$metric == "hd95"]
  assd <- ours$value[ours$metric == "assd"]
  stopifnot(all.equal(rbind(hd95, assd), theirs, tolerance = 1e-5, check.attributes = FALSE))
}

compare("surface: 256 x 256 x 64, 4 organs and background, outlines off by a pixel or two",
        others$ask("organs", 5L, 1L))
compare("surface: the same organs, 6 pixels off", others$ask("shifted", 5L, 1L))
compare("surface: 128 x 128 x 32, noise of 5 classes", others$ask("noise", 5L, 1L))
