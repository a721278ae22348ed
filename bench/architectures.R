# Every architecture, with its default arguments: it builds, three steps of training lower the loss
# of a fixed batch, it predicts an image of 317 x 211 pixels (volumes: 17 x 31 x 23), and a new R
# process that loads its file predicts the same. Parameters against other implementations, or what
# papers tell. Ends with an error if anything is off. Arguments name the builders to try; without,
# it is all of them.
library(maskr)
source("bench/shared/alternate.R")

folder <- tempfile("architectures")
dir.create(folder)
scenes <- seg_example("shapes", n = 2, size = c(64, 96))
set.seed(1)
image <- array(runif(317 * 211 * 3), c(317, 211, 3))

# Two volumes whose slices are the same image, darker towards one end.
volume <- function(image) {
  slices <- vapply(1:16 / 16, \(light) light * image[1:32, 1:48, ], array(0, c(32, 48, 3)))
  seg_image(aperm(slices, c(4, 1, 2, 3)))
}
labels <- function(mask) {
  seg_mask(aperm(array(as.matrix(mask)[1:32, 1:48], c(32, 48, 16)), c(3, 1, 2)), scenes$classes)
}
flat <- list(images = scenes$images, masks = scenes$masks, new = image)
deep <- list(images = lapply(scenes$images, volume), masks = lapply(scenes$masks, labels),
             new = seg_image(array(runif(17 * 31 * 23 * 3), c(17, 31, 23, 3))))
saveRDS(list(flat = flat$new, deep = deep$new), file.path(folder, "new.rds"))

# The loss of a step is that of the network before it: the fourth tells what three have done.
trial <- function(name) {
  data <- if (name == "seg_unet3d") deep else flat
  set.seed(1)
  model <- getExportedValue("maskr", name)(in_channels = 3, classes = scenes$classes)
  compile(model, learning_rate = 3e-4, metrics = list())
  history <- fit(model, data$images, data$masks, epochs = 4, batch_size = 2, restore_best = FALSE,
                 precision = "float32", verbose = FALSE)
  loss <- history$value[history$metric == "loss"]
  seg_save(model, file.path(folder, paste0(name, ".keras")))
  saveRDS(predict(model, data$new, type = "logit", precision = "float32"),
          file.path(folder, paste0(name, ".rds")))
  mask <- suppressMessages(predict(model, data$new))
  row <- data.frame(name = name, before = loss[[1]], after = loss[[4]],
                    size = paste(dim(mask), collapse = " x "),
                    fits = identical(dim(mask), utils::head(dim(data$new), -1)))
  cat(sprintf("  %-19s %7.4f -> %7.4f   %s\n", row$name, row$before, row$after, row$size))
  row
}
cat("\narchitectures: loss of a fixed batch before and after three steps, and a new image's mask\n")
collect <- reticulate::import("gc")$collect
names <- commandArgs(TRUE)
tried <- do.call(rbind, lapply(if (length(names)) names else seg_architectures()$name, \(name) {
  row <- trial(name)
  # the model lies in cycles of R's and of Python's
  gc()
  collect()
  row
}))

# In a new process: the largest difference of each network's logits.
reload <- '
  library(maskr)
  folder <- commandArgs(TRUE)
  new <- readRDS(file.path(folder, "new.rds"))
  for (path in list.files(folder, "[.]keras$", full.names = TRUE)) {
    model <- seg_load(path)
    unlink(path)
    name <- sub("[.]keras$", "", basename(path))
    image <- if (name == "seg_unet3d") new$deep else new$flat
    logits <- predict(model, image, type = "logit", precision = "float32")
    before <- readRDS(file.path(folder, paste0(name, ".rds")))
    cat("difference", name, max(abs(logits - before)), "\\n")
  }'
script <- tempfile(fileext = ".R")
writeLines(reload, script)
said <- system2(file.path(R.home("bin"), "Rscript"), c(script, folder), stdout = TRUE)
said <- utils::read.table(text = grep("^difference ", said, value = TRUE))
tried$difference <- said[match(tried$name, said[[2]]), 3]
unlink(folder, recursive = TRUE)

counts <- as.data.frame(lapply(peer("peers_architectures")$ask("references"), unlist))
counts$name <- paste0("seg_", counts$name)

big <- function(x) format(x, big.mark = ",", scientific = FALSE, width = 11)
cat("\narchitectures: largest difference of logits after loading in a new R process\n")
cat(sprintf("  %-19s %g\n", tried$name, tried$difference), sep = "")
cat("\narchitectures: parameters, ours and the reference's\n")
cat(sprintf("  %-19s %s %s  %s\n", counts$name, big(counts$ours), big(counts$reference),
            counts$source), sep = "")
none <- setdiff(tried$name, counts$name)
if (length(none) > 0) cat("  without a reference: ", paste(none, collapse = ", "), "\n", sep = "")

wrong <- c(
  tried$name[!(tried$after < tried$before)], tried$name[!tried$fits],
  tried$name[!(tried$difference %in% 0)], counts$name[counts$ours != counts$reference]
)
if (length(wrong) > 0) stop("something is off with ", paste(unique(wrong), collapse = ", "))
