# fit() against a plain eager PyTorch loop and against Lightning, each at its defaults and in a
# Python process: same U-Net, initial weights, data, batch size, loss and optimizer. Then what they
# learn, and what memory they take.
library(maskr)
source("bench/shared/alternate.R")

epochs <- 2L
batch <- 4L
seeds <- 1:3

scenes <- function(n, seed, size = 128) {
  made <- seg_example("nuclei", n = n, size = c(size, size), seed = seed)
  made$images <- lapply(made$images, function(image) array(image, c(size, size, 3)))
  made$masks <- lapply(made$masks, as.matrix)
  made
}
train <- scenes(24, 1)
valid <- scenes(12, 2)
classes <- train$classes
untrained <- function(seed = 1) {
  set.seed(seed)
  model <- seg_unet(in_channels = 3, classes = classes, init_features = 16)
  compile(model, learning_rate = 1e-3, metrics = list())
  model
}

fitted <- function(model, precision, epochs) {
  model <- seg_clone(model)
  data <- seg_dataset(train$images, train$masks, classes = classes, batch_size = batch)
  fit(model, data, epochs = epochs, precision = precision, verbose = FALSE)
  model
}

cat("\n", cpu_flags(), "\n", sep = "")
model <- untrained()
for (against in c("torch", "lightning")) {
  other <- peer_of(paste0("peers_", against), model)
  title <- "fit: 12 steps of 4 images of 128 x 128 x 3, U-Net of 16 features, against"
  report(paste(title, against), alternate(
    "the peer at its defaults" = other$time("fit", train$images, train$masks, epochs, batch),
    "maskr, precision = \"auto\"" = fitted(model, "auto", epochs),
    "maskr, precision = \"float32\"" = fitted(model, "float32", epochs)
  ))
  other$close()
}

dice <- function(model) {
  metrics <- seg_evaluate(model, valid$images, valid$masks, precision = "float32")
  metrics$value[metrics$metric == "dice" & metrics$class %in% classes[["nucleus"]]]
}
learned_by <- function(module, model, seed) {
  other <- peer_of(module, model)
  on.exit(other$close())
  other$ask("learn", train[c("images", "masks")], valid[c("images", "masks")], 8L, batch, seed)
}
learned <- sapply(seeds, function(seed) {
  model <- untrained(seed)
  c("plain PyTorch" = learned_by("peers_torch", model, seed),
    "Lightning" = learned_by("peers_lightning", model, seed),
    "maskr, auto" = dice(fitted(model, "auto", 8)),
    "maskr, float32" = dice(fitted(model, "float32", 8)))
})
cat("\nfit: Dice on 12 validation images after 8 epochs, three seeds\n")
for (who in rownames(learned)) {
  cat(sprintf("  %-20s %s   mean %.4f, sd %.4f\n", who,
              paste(sprintf("%.4f", learned[who, ]), collapse = " "),
              mean(learned[who, ]), stats::sd(learned[who, ])))
}

# Each in a fresh process, since memory that was once taken stays with a process. Peers have no R
# in theirs, which takes about 100 MiB.
peak <- function(who, size) {
  data <- scenes(8, 1, size)
  set.seed(1)
  model <- seg_unet(in_channels = 3, classes = classes, init_features = 32)
  if (who != "maskr") {
    other <- peer_of(paste0("peers_", who), model)
    on.exit(other$close())
    other$time("fit", data$images, data$masks, 2L, batch)
    return(peak_of(other$pid()))
  }
  script <- tempfile(fileext = ".R")
  writeLines(c(
    'library(maskr)',
    'data <- readRDS(commandArgs(TRUE)[[1]])',
    'set.seed(1)',
    'model <- seg_unet(in_channels = 3, classes = data$classes, init_features = 32)',
    'compile(model, learning_rate = 1e-3, metrics = list())',
    'set <- seg_dataset(data$images, data$masks, classes = data$classes, batch_size = 4)',
    'fit(model, set, epochs = 2, verbose = FALSE)',
    'source("bench/shared/alternate.R")',
    'cat("\\n", peak_of("self"), sep = "")'
  ), script)
  files <- tempfile(fileext = ".rds")
  saveRDS(data[c("images", "masks", "classes")], files)
  said <- system2(file.path(R.home("bin"), "Rscript"), c(script, files), stdout = TRUE)
  as.numeric(utils::tail(said, 1))
}
if (file.exists("/proc/self/status")) {
  who <- c("torch", "lightning", "maskr")
  size <- 256
  peaks <- replicate(2, vapply(who, peak, numeric(1), size = size))
  cat(sprintf("\nfit: peak resident memory of the process, U-Net of 32 features, batches of 4 of
%d x %d, mean of 2, MiB\n", size, size))
  cat(sprintf("  %-12s %.0f\n", who, rowMeans(peaks)), sep = "")
}
