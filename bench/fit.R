# fit() against a plain eager PyTorch loop and against Lightning, each at its defaults: same U-Net,
# initial weights, data, batch size, loss and optimizer. Then what they learn, and what they take.
library(maskr)
source("bench/shared/alternate.R")

torch <- peer("peers_torch")
lightning <- peer("peers_lightning")
epochs <- 2L
batch <- 4L

scenes <- function(n, seed, size = 128) {
  made <- seg_example("nuclei", n = n, size = c(size, size), seed = seed)
  made$images <- lapply(made$images, function(image) array(image, c(size, size, 3)))
  made$masks <- lapply(made$masks, as.matrix)
  made
}
train <- scenes(24, 1)
valid <- scenes(12, 2)
classes <- train$classes
fresh <- function(seed = 1) {
  set.seed(seed)
  seg_unet(in_channels = 3, classes = classes, init_features = 16)
}

by_maskr <- function(precision, epochs, seed = 1) {
  model <- fresh(seed)
  compile(model, learning_rate = 1e-3, metrics = list())
  data <- seg_dataset(train$images, train$masks, classes = classes, batch_size = batch)
  fit(model, data, epochs = epochs, precision = precision, verbose = FALSE)
  model
}
by_torch <- function(epochs, seed = 1) {
  model <- fresh(seed)
  torch$fit(model$module, train$images, train$masks, as.integer(epochs), batch)
  model
}
by_lightning <- function(epochs, seed = 1, precision = "32-true") {
  model <- fresh(seed)
  lightning$fit(model$module, train$images, train$masks, as.integer(epochs), batch, precision)
  model
}

for (against in c("PyTorch", "Lightning")) {
  by_peer <- if (against == "PyTorch") by_torch else by_lightning
  title <- paste("fit: 12 steps of 4 images of 128 x 128 x 3, U-Net of 16 features, against", against)
  report(title, alternate(
    "the peer at its defaults" = by_peer(epochs),
    "maskr, precision = \"auto\"" = by_maskr("auto", epochs),
    "maskr, precision = \"float32\"" = by_maskr("float32", epochs)
  ))
}

dice <- function(model) {
  metrics <- seg_evaluate(model, valid$images, valid$masks, precision = "float32")
  metrics$value[metrics$metric == "dice" & metrics$class %in% classes[["nucleus"]]]
}
learned <- sapply(1:3, function(seed) {
  set.seed(seed)
  torch_seed <- reticulate::import("torch")$manual_seed
  torch_seed(seed)
  c("plain PyTorch" = dice(by_torch(12, seed)), "Lightning" = dice(by_lightning(12, seed)),
    "maskr, auto" = dice(by_maskr("auto", 12, seed)),
    "maskr, float32" = dice(by_maskr("float32", 12, seed)))
})
cat("\nfit: Dice on 12 validation images after 12 epochs, three seeds\n")
for (who in rownames(learned)) {
  cat(sprintf("  %-20s %s   mean %.4f, sd %.4f\n", who,
              paste(sprintf("%.4f", learned[who, ]), collapse = " "),
              mean(learned[who, ]), stats::sd(learned[who, ])))
}

# Each in a fresh R process of its own, since memory that was once taken stays with a process.
peak <- function(who, size) {
  script <- tempfile(fileext = ".R")
  writeLines(c(
    'set.seed(1)',
    'data <- readRDS(commandArgs(TRUE)[[1]])',
    switch(
      who,
      maskr = c(
        'library(maskr)',
        'model <- seg_unet(in_channels = 3, classes = data$classes, init_features = 32)',
        'compile(model, learning_rate = 1e-3, metrics = list())',
        'set <- seg_dataset(data$images, data$masks, classes = data$classes, batch_size = 4)',
        'fit(model, set, epochs = 2, verbose = FALSE)'
      ),
      c(
        'maskr <- system.file("python", package = "maskr")',
        'unet <- reticulate::import_from_path("maskr.architectures.unet", path = maskr)$UNet',
        sprintf('peer <- reticulate::import_from_path("peers_%s", path = "bench/shared")', who),
        'peer$fit(unet(3L, 1L, 32L), data$images, data$masks, 2L, 4L)'
      )
    ),
    'status <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)',
    'cat("\\n", as.numeric(gsub("[^0-9]", "", status)) / 1024, sep = "")'
  ), script)
  files <- tempfile(fileext = ".rds")
  saveRDS(scenes(8, 1, size)[c("images", "masks", "classes")], files)
  said <- system2(file.path(R.home("bin"), "Rscript"), c(script, files), stdout = TRUE)
  as.numeric(utils::tail(said, 1))
}
if (file.exists("/proc/self/status")) {
  who <- c("torch", "lightning", "maskr")
  for (size in c(128, 256)) {
    peaks <- replicate(3, vapply(who, peak, numeric(1), size = size))
    cat(sprintf("\nfit: peak resident memory of the R process, U-Net of 32 features, batches of 4 of
%d x %d, median of 3, MiB\n", size, size))
    cat(sprintf("  %-12s %.0f\n", who, apply(peaks, 1, stats::median)), sep = "")
  }
}
