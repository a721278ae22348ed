# Peak memory of fit() on images that stream from their files with augmentation: 540 images in one
# epoch against 54 of them in ten, in turn, each in a fresh R process, the largest image among both.
library(maskr)
source("bench/shared/alternate.R")

peak <- function(images, masks, epochs) {
  files <- tempfile(fileext = ".rds")
  saveRDS(list(images = images, masks = masks, epochs = epochs), files)
  code <- '
    library(maskr)
    given <- readRDS(commandArgs(TRUE))
    data <- seg_dataset(as.list(given$images), as.list(given$masks), size = c(128, 128),
                        classes = c(background = 0, nucleus = 1), augment = "microscopy")
    set.seed(1)
    model <- seg_unet(3, data$classes, init_features = 4)
    fit(model, data, epochs = given$epochs, verbose = FALSE)
    peak <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
    cat(as.numeric(gsub("[^0-9]", "", peak)) / 1024)'
  script <- tempfile(fileext = ".R")
  writeLines(code, script)
  as.numeric(system2(file.path(R.home("bin"), "Rscript"), c(script, files), stdout = TRUE))
}

root <- file.path(Sys.getenv("MASKR_TEST_DATA", "../shared/data"), "nuclei")
if (file.exists("/proc/self/status") && dir.exists(root)) {
  folder <- tempfile("masks")
  dir.create(folder)
  files <- peer("peers_data")$ask("nuclei", as.list(file.path(root, c("train", "valid"))), folder)
  some <- seq(1, 540, by = 10)
  peaks <- replicate(3, c(
    few = peak(files[[1]][some], files[[2]][some], 10),
    many = peak(files[[1]][1:540], files[[2]][1:540], 1)
  ))
  middle <- apply(peaks, 1, stats::median)
  cat("\nmemory: peak resident memory of the R process in fit() with augmentation, about as\n")
  cat("  many steps of training either way, median of 3 runs in turn, MiB\n")
  cat(sprintf("  54 images %.0f, 540 images %.0f: %+.1f %%\n", middle[["few"]], middle[["many"]],
              100 * (middle[["many"]] / middle[["few"]] - 1)))
}
