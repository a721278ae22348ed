# The main job of `make demo`: nuclei in a photograph, training on generated scenes, YOLO.
# Usage, from the project's root: tools/run Rscript tools/demo.R [IMAGE]
# With IMAGE, segments that picture by the nuclei network and does nothing else.
library(maskr)

# Torch's threads wait by spinning, which on a busy machine makes small networks ten times slower.
if (!nzchar(Sys.getenv("OMP_WAIT_POLICY"))) Sys.setenv(OMP_WAIT_POLICY = "passive")

# ---- saying and drawing --------------------------------------------------------------------------
title <- function(...) cat("\n", ..., "\n", sep = "")
say <- function(...) cat("  ", ..., "\n", sep = "")

# Evaluates `code`; a list of its value and the seconds it took, in words.
timed <- function(code) {
  seconds <- system.time(value <- code)[["elapsed"]]
  list(value = value, time = sprintf("%.1f s", seconds))
}

# Draws into demo/<name>; returns the path.
draw <- function(name, width, height, code) {
  dir.create("demo", showWarnings = FALSE)
  path <- file.path("demo", name)
  png(path, width, height, res = 120)
  on.exit(dev.off())
  code
  path
}

# Two pictures of one image side by side, 600 pixels wide each.
draw_pair <- function(name, image, left, right) {
  height <- min(1500, max(300, round(600 * nrow(image) / ncol(image))))
  draw(name, 1200, height, {
    par(mfrow = c(1, 2))
    left()
    right()
  })
}

# Files that come with Python packages: real pictures that are on this machine already.
python_file <- function(package, ...) {
  file.path(dirname(reticulate::import(package)$`__file__`), ...)
}

# ---- the steps -----------------------------------------------------------------------------------
nuclei_words <- function(mask) {
  sprintf("%d x %d pixels, %.1f %% of them nuclei", nrow(mask), ncol(mask), 100 * mean(mask == 1))
}

own_picture <- function(path) {
  title("Nuclei in ", path)
  image <- seg_read_image(path)
  model <- seg_unet(weights = "nuclei")
  found <- timed(predict(model, image, precision = "float32"))
  name <- paste0(tools::file_path_sans_ext(basename(path)), "-nuclei.png")
  overlay <- draw_pair(name, image, \() plot(image), \() {
    plot(found$value, image = image, legend = FALSE)
  })
  say(nuclei_words(found$value), ", in ", found$time)
  say("overlay: ", overlay)
}

# What haematoxylin alone would look like: the brown stain hides nuclei from the network, which has
# not seen it in training. Stain colours of Ruifrok & Johnston (2001).
haematoxylin <- function(image) {
  stains <- rbind(c(0.65, 0.70, 0.29), c(0.07, 0.99, 0.11), c(0.27, 0.57, 0.78))
  amounts <- -log(pmax(matrix(image, ncol = 3), 1 / 255)) %*% solve(stains)
  seg_image(array(exp(-pmax(amounts[, 1], 0) %o% stains[1, ]), dim(image)))
}

nuclei <- function() {
  title("1. Nuclei in a photograph of stained tissue (from scikit-image)")
  image <- seg_read_image(python_file("skimage", "data", "ihc.png"))
  model <- seg_unet(weights = "nuclei")
  found <- timed(predict(model, haematoxylin(image), precision = "float32"))
  mask <- seg_mask(found$value, palette = c(background = "#000000", nucleus = "#00FF66"))
  overlay <- draw_pair("nuclei.png", image, \() plot(image), \() {
    plot(mask, image = image, alpha = 0.35, legend = FALSE)
  })
  say(nuclei_words(mask), ", in ", found$time)
  say("overlay: ", overlay)
}

training <- function() {
  title("2. A small U-Net, trained on generated scenes")
  set.seed(1)
  scenes <- seg_example("shapes", n = 48, size = c(96, 96))
  held_out <- seg_example("shapes", n = 16, size = c(96, 96), seed = 1000)
  model <- seg_unet(classes = scenes$classes, init_features = 8)
  model |> compile(learning_rate = 0.005)
  say("48 scenes, 15 epochs ...")
  history <- timed(
    fit(model, scenes, validation_data = held_out, epochs = 15, batch_size = 8, verbose = FALSE)
  )
  curve <- draw("training.png", 1200, 500, plot(history$value, metrics = c("loss", "iou")))
  say("trained in ", history$time, ", curve: ", curve)
  say("16 scenes held out:")
  prediction <- predict(model, held_out$images, precision = "float32", verbose = FALSE)
  scores <- seg_metrics(held_out$masks, prediction, classes = scenes$classes)
  cat(paste0("    ", format(scores)), sep = "\n")
  image <- held_out$images[[2]]
  overlay <- draw_pair("shapes.png", image, \() {
    plot(held_out$masks[[2]], image = image, main = "truth")
  }, \() plot(prediction[[2]], image = image, main = "prediction"))
  say("one of them: ", overlay)
}

yolo <- function() {
  title("3. Objects in a photograph of a street (from ultralytics), by YOLO (AGPL-3.0)")
  shared <- file.path("..", "shared", "data", "yolo")
  if (!nzchar(Sys.getenv("MASKR_WEIGHTS")) && dir.exists(shared)) {
    Sys.setenv(MASKR_WEIGHTS = shared)
  }
  detector <- tryCatch(
    suppressMessages(seg_yolo("yolov8n-seg.pt")),
    maskr_error_weights = identity, maskr_error_missing = identity
  )
  if (inherits(detector, "error")) {
    say("left out: ", gsub("\\s+", " ", cli::ansi_strip(detector$message)))
    return(invisible())
  }
  image <- seg_read_image(python_file("ultralytics", "assets", "bus.jpg"))
  found <- timed(predict(detector, image, conf = 0.5))
  objects <- found$value
  overlay <- draw("yolo.png", ncol(image), nrow(image), plot(objects, image = image))
  say(nrow(objects), " objects in ", found$time, ":")
  say(paste(sprintf("%s %.2f", objects$label, objects$score), collapse = ", "))
  say("overlay: ", overlay)
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) > 0) {
  own_picture(arguments[[1]])
} else {
  nuclei()
  training()
  yolo()
}
