# predict() from R against plain eager PyTorch in a Python process: one image of 64 to 1024 pixels a
# call, through five networks of two classes. In float32 on both sides, and in CPU seconds of one
# thread. Then what such a call costs beside the network, and what "auto" changes.
#
#   Rscript bench/predict.R [networks ...] [sizes ...]
library(maskr)
source("bench/shared/alternate.R")

# the peers' processes read the variable, this one has read it already
Sys.setenv(OMP_NUM_THREADS = "1")
reticulate::import("torch")$set_num_threads(1L)

classes <- c(background = 0, tumour = 1)
networks <- list(
  "U-Net" = function() seg_unet(3, classes),
  "U-Net, ResNet-34" = function() seg_unet(3, classes, encoder = "resnet34"),
  "DeepLabv3+, ResNet-34" = function() seg_deeplab(3, classes, encoder = "resnet34"),
  "FPN, MobileNetV2" = function() seg_fpn(3, classes, encoder = "mobilenet_v2"),
  "SegFormer-B0" = function() seg_segformer(3, classes)
)
calls_of <- c("64" = 16, "128" = 8, "256" = 4, "512" = 2, "1024" = 1)
runs_of <- c("64" = 7, "128" = 7, "256" = 5, "512" = 3, "1024" = 2)

wanted <- commandArgs(TRUE)
sizes <- intersect(names(calls_of), wanted)
sizes <- if (length(sizes) > 0) sizes else names(calls_of)
chosen <- intersect(names(networks), wanted)
chosen <- if (length(chosen) > 0) chosen else names(networks)

square <- function(size) array(runif(size^2 * 3), c(size, size, 3))
segmented <- function(model, images) {
  predict(model, images, precision = "float32", verbose = FALSE)
}

cat("\n", cpu_flags(), "\n\n", sep = "")
cat("CPU milliseconds an image, and how many times as fast as plain eager PyTorch:\n")
set.seed(1)
for (name in chosen) {
  model <- networks[[name]]()
  torch <- peer_of("peers_torch", model)
  for (size in sizes) {
    images <- replicate(calls_of[[size]], square(as.numeric(size)), simplify = FALSE)
    times <- alternate(
      eager = torch$time("predict_each", images),
      maskr = for (image in images) segmented(model, image),
      runs = runs_of[[size]], clock = "cpu"
    )
    took <- apply(times, 2, min) * 1000 / length(images)
    same <- mean(mapply(function(a, b) mean(unclass(a) == b), segmented(model, images),
                        torch$ask("predict", images)))
    cat(sprintf("  %-22s %4s x %-4s  eager %8.1f  maskr %8.1f   %5.2f times, %.4f %% the same\n",
                name, size, size, took[["eager"]], took[["maskr"]],
                took[["eager"]] / took[["maskr"]], 100 * same))
  }
  torch$close()
}

small <- seg_unet(3, classes, init_features = 1)
torch <- peer_of("peers_torch", small)
images <- replicate(50, square(64), simplify = FALSE)
times <- alternate(
  eager = torch$time("predict_each", images),
  maskr = for (image in images) segmented(small, image), clock = "cpu"
)
torch$close()
cat(sprintf("one call for an image of 64 x 64 costs %.1f ms beside the network\n",
            diff(apply(times, 2, min)) * 1000 / length(images)))

set.seed(1)
images <- replicate(4, square(256), simplify = FALSE)
unet <- networks[["U-Net"]]()
torch <- peer_of("peers_torch", unet)
report("predict: 4 images of 256 x 256 x 3, U-Net of 7.8 million parameters", alternate(
  "plain eager PyTorch" = torch$time("predict", images),
  "maskr, precision = \"auto\"" = predict(unet, images),
  "maskr, precision = \"float32\"" = segmented(unet, images)
))
torch$close()

folder <- file.path(Sys.getenv("MASKR_TEST_DATA", "../shared/data"), "nuclei", "valid", "images")
if (dir.exists(folder)) {
  paths <- list.files(folder, "[.]png$", full.names = TRUE)
  nuclei <- seg_unet(weights = "nuclei")
  auto <- predict(nuclei, paths)
  same <- sum(mapply(function(a, b) sum(a == b), auto, segmented(nuclei, paths)))
  cat(sprintf("  the shipped network on %d real images: %.3f %% of pixels in the same class\n",
              length(paths), 100 * same / sum(lengths(auto))))
}
