# What networks learn from scratch in a minute on a CPU, from every third image: mean IoU on
# validation images that training never saw, beside that of calling every pixel by the most frequent
# class.
library(maskr)
source("bench/shared/alternate.R")

root <- Sys.getenv("MASKR_TEST_DATA", "../shared/data")
seed <- 1

thinned <- function(files, part) if (part == "train") files[seq(1, length(files), 3)] else files

camvid <- function(part) {
  files <- lapply(c(part, paste0(part, "annot")), \(folder) {
    as.list(thinned(list.files(file.path(root, "camvid", folder), full.names = TRUE), part))
  })
  seg_dataset(
    files[[1]], files[[2]],
    classes = c(sky = 0, building = 1, pole = 2, road = 3, pavement = 4, tree = 5, sign = 6,
                fence = 7, car = 8, pedestrian = 9, bicyclist = 10),
    ignore = 11, size = c(96, 128), batch_size = 4, cache = TRUE,
    augment = if (part == "train") seg_augment(flip_horizontal = 0.5)
  )
}

nuclei <- function(part) {
  folder <- tempfile("masks")
  dir.create(folder)
  files <- peer("peers_data")$ask("nuclei", as.list(file.path(root, "nuclei", part)), folder)
  files <- lapply(files, \(paths) as.list(thinned(unlist(paths), part)))
  seg_dataset(
    files[[1]], files[[2]], classes = c(background = 0, nucleus = 1),
    size = c(128, 128), batch_size = 8, cache = TRUE,
    augment = if (part == "train") seg_augment(flip_horizontal = 0.5)
  )
}

# Metrics of the class that is most frequent in training, everywhere.
majority <- function(train, valid) {
  count <- attr(seg_class_weights(train, verbose = FALSE), "counts")
  most <- count$class[which.max(count$pixels)]
  truth <- lapply(seq_along(valid$targets), function(i) {
    seg_read_mask(valid$targets[[i]], classes = valid$classes, ignore = valid$ignore)
  })
  guess <- lapply(truth, function(mask) {
    mask[] <- most
    mask
  })
  overall(seg_metrics(truth, guess, classes = valid$classes), "mean_iou")
}

overall <- function(metrics, name) metrics$value[metrics$metric == name & is.na(metrics$class)]

networks <- list(
  "U-Net, ResNet-34" = function(classes) seg_unet(3, classes, encoder = "resnet34"),
  "DeepLabV3+, ResNet-34" = function(classes) seg_deeplab(3, classes, encoder = "resnet34"),
  "SegFormer-B0" = function(classes) seg_segformer(3, classes, variant = "b0")
)

learn <- function(network, train, valid, epochs) {
  set.seed(seed)
  model <- networks[[network]](train$classes)
  compile(model, optimizer = "adamw", learning_rate = 1e-3, metrics = "iou",
          schedule = seg_schedule("cosine", warmup = 1))
  seconds <- system.time(fit(model, train, epochs = epochs, verbose = FALSE))[["elapsed"]]
  c(minutes = seconds / 60, mean_iou = overall(seg_evaluate(model, valid), "mean_iou"))
}

table_of <- function(title, train, valid, epochs) {
  baseline <- majority(train, valid)
  cat(sprintf("\n%s: %d images to learn from, %d to judge by, %d x %d, seed %d, %s\n", title,
              length(train), length(valid), train$size[1], train$size[2], seed, seg_device()))
  cat(sprintf("  %-24s %29.3f\n", "most frequent class", baseline))
  for (network in names(networks)) {
    result <- learn(network, train, valid, epochs)
    cat(sprintf("  %-24s %3d epochs, %5.1f min %10.3f mean IoU, %.1f times\n", network, epochs,
                result[["minutes"]], result[["mean_iou"]], result[["mean_iou"]] / baseline))
  }
}

if (dir.exists(root)) {
  table_of("CamVid", camvid("train"), camvid("val"), epochs = 10)
  table_of("nuclei", nuclei("train"), nuclei("valid"), epochs = 10)
}
