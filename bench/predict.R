# predict() from R against plain eager PyTorch in a Python process: same U-Net, same images.
library(maskr)
source("bench/shared/alternate.R")

set.seed(1)
images <- lapply(1:4, function(i) array(runif(256 * 256 * 3), c(256, 256, 3)))
model <- seg_unet(in_channels = 3, classes = c(background = 0, tumour = 1))
torch <- peer_of("peers_torch", model)
cat("\n", cpu_flags(), "\n", sep = "")
report("predict: 4 images of 256 x 256 x 3, U-Net of 7.8 million parameters", alternate(
  "plain eager PyTorch" = torch$time("predict", images),
  "maskr, precision = \"auto\"" = predict(model, images),
  "maskr, precision = \"float32\"" = predict(model, images, precision = "float32")
))

exact <- predict(model, images, type = "prob", precision = "float32")
plain <- torch$ask("probabilities", images)
torch$close()
difference <- max(mapply(function(a, b) max(abs(a[, , 2] - b)), exact, plain))
cat(sprintf("  largest difference of probabilities in float32: %.1e\n", difference))

folder <- file.path(Sys.getenv("MASKR_TEST_DATA", "../shared/data"), "nuclei", "valid", "images")
if (dir.exists(folder)) {
  paths <- list.files(folder, "[.]png$", full.names = TRUE)
  nuclei <- seg_unet(weights = "nuclei")
  auto <- predict(nuclei, paths)
  float32 <- predict(nuclei, paths, precision = "float32")
  same <- sum(mapply(function(a, b) sum(a == b), auto, float32)) / sum(lengths(auto))
  cat(sprintf("  the shipped network on %d real images: %.3f %% of pixels in the same class\n",
              length(paths), 100 * same))
}
