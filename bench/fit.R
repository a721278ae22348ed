# fit() against a plain eager PyTorch loop: same U-Net, data, batches, loss and optimizer.
library(maskr)
source("bench/shared/alternate.R")

scenes <- seg_example("nuclei", n = 24, size = c(128, 128))
images <- lapply(scenes$images, function(image) array(image, c(128, 128, 3)))
data <- seg_dataset(images, scenes$masks, batch_size = 4)
fresh <- function() {
  set.seed(1)
  seg_unet(in_channels = 3, classes = scenes$classes, init_features = 16)
}
train <- function(precision) {
  model <- fresh()
  compile(model, learning_rate = 1e-3, metrics = list())
  fit(model, data, epochs = 2, precision = precision, verbose = FALSE)
}
torch <- peer("peers_torch")
masks <- lapply(scenes$masks, as.matrix)
report("fit: 12 steps of 4 images of 128 x 128 x 3, U-Net of 16 features", alternate(
  "plain eager PyTorch" = torch$fit(fresh()$module, images, masks, 2L, 4L),
  "maskr, precision = \"auto\"" = train("auto"),
  "maskr, precision = \"float32\"" = train("float32")
))
