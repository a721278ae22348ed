# Does torch compute as fast inside R as in Python alone? Products whose speed is that of the BLAS,
# and predict() and fit() of two networks, each side timed in its own process, in seconds of the CPU
# by one thread. First as it would be if torch were loaded before maskr, then as it is.
if (identical(commandArgs(TRUE), "before")) invisible(reticulate::import("torch"))
library(maskr)
source("bench/shared/alternate.R")

target <- 0.95
runs <- if (identical(commandArgs(TRUE), "before")) 2 else 7

products <- function() {
  python <- peer("peers_blas")
  on.exit(python$close())
  python$make("Products")
  here <- reticulate::import_from_path("peers_blas", path = "bench/shared")$Products()
  c(
    "matmul of 512 x 512" = versus(python$time("matmul"), here$matmul()),
    "linear, 1024 x 256 to 1024" = versus(python$time("linear"), here$linear()),
    "1 x 1 convolution" = versus(python$time("convolution"), here$convolution())
  )
}

verbs <- function(name, model) {
  set.seed(1)
  image_of <- function(size) array(runif(size^2 * 3), c(size, size, 3))
  large <- image_of(256)
  images <- replicate(8, image_of(128), simplify = FALSE)
  masks <- lapply(images, function(image) +(image[, , 1] > 0.5))
  file <- tempfile(fileext = ".keras")
  seg_save(model, file)
  python <- peer("peers_blas")
  on.exit(python$close())
  python$make("Verbs", file)
  fitted <- function() {
    model <- seg_clone(model)
    compile(model, metrics = list())
    fit(model, images, masks, epochs = 2, batch_size = 4, precision = "float32", verbose = FALSE)
  }
  segmented <- function() predict(model, large, precision = "float32", verbose = FALSE)
  stats::setNames(c(
    versus(python$time("predict", list(large)), segmented()),
    versus(python$time("fit", images, masks, 2L, 4L), fitted())
  ), paste0(c("predict() 256 x 256, ", "fit(), "), name))
}

# How many times as fast as Python R is: of each the fastest run, which other work delayed least.
versus <- function(python, r) {
  times <- alternate(python = {{ python }}, r = {{ r }}, runs = runs, clock = "cpu")
  min(times[, "python"]) / min(times[, "r"])
}

measure <- function() {
  set.seed(1)
  classes <- c(background = 0, cell = 1)
  segformer <- seg_segformer(3, classes)
  unet <- seg_unet(3, classes, init_features = 16)
  c(products(), verbs("SegFormer-B0", segformer), verbs("U-Net of 16 features", unet))
}

if (identical(commandArgs(TRUE), "before")) {
  saveRDS(measure(), Sys.getenv("MASKR_BENCH_RESULT"))
} else {
  result <- tempfile(fileext = ".rds")
  system2(file.path(R.home("bin"), "Rscript"), c("bench/blas.R", "before"), stdout = FALSE,
          stderr = FALSE, env = paste0("MASKR_BENCH_RESULT=", result))
  before <- readRDS(result)
  now <- measure()
  cat("\nblas: speed in R, as a share of that in Python alone\n  ", cpu_flags(), "\n  R's BLAS: ",
      extSoftVersion()[["BLAS"]], "\n", sep = "")
  cat(sprintf("  %-42s %10s %10s\n", "", "before", "now"))
  cat(sprintf("  %-42s %10.2f %10.2f %s\n", names(now), before, now,
              ifelse(now < target, paste("below", target), "")), sep = "")
}
