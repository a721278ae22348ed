truth <- rbind(c(0, 1, 2), c(0, 1, NA))
prediction <- rbind(c(0, 1, 2), c(1, 1, 2))
classes <- c(background = 0, cell = 1, border = 2)

value <- function(scores, metric, class = NA) {
  scores$value[scores$metric == metric & scores$class %in% class]
}

test_that("a 2x3 mask is scored as by hand", {
  skip_if_no_python()
  scores <- seg_metrics(truth, prediction, classes)
  expect_s3_class(scores, c("seg_metrics", "data.frame"), exact = TRUE)
  expect_named(scores, c("metric", "class", "value", "n"))
  expect_equal(value(scores, "iou", 0:2), c(1 / 2, 2 / 3, 1))
  expect_equal(value(scores, "dice", 0:2), c(2 / 3, 4 / 5, 1))
  expect_equal(value(scores, "precision", 0:2), c(1, 2 / 3, 1))
  expect_equal(value(scores, "recall", 0:2), c(1 / 2, 1, 1))
  expect_equal(value(scores, "f1", 0:2), c(2 / 3, 4 / 5, 1))
  expect_equal(value(scores, "pixel_accuracy"), 4 / 5)
  expect_equal(value(scores, "mean_accuracy"), 5 / 6)
  expect_equal(value(scores, "mean_iou"), 13 / 18)
  expect_equal(value(scores, "fw_iou"), (2 / 2 + 4 / 3 + 1) / 5)
  expect_equal(value(scores, "dice"), (2 / 3 + 4 / 5 + 1) / 3)
  expect_equal(scores$n[scores$metric == "iou"], c(2, 2, 1))
  expect_equal(value(scores, "balanced_accuracy"), 5 / 6)
  expect_equal(value(scores, "specificity", 0:2), c(1, 2 / 3, 1))
  chance <- (2 * 1 + 2 * 3 + 1 * 1) / 25
  expect_equal(value(scores, "kappa"), (4 / 5 - chance) / (1 - chance))
  weights <- 1 / c(2, 2, 1)^2
  expect_equal(value(scores, "generalised_dice"),
               2 * sum(weights * c(1, 2, 1)) / sum(weights * (c(2, 2, 1) + c(1, 3, 1))))
  expect_equal(unique(scores$n[is.na(scores$class)]), 5)
  expect_type(scores$class, "integer")
})

test_that("the confusion matrix has the truth in its rows", {
  skip_if_no_python()
  confusion <- attr(seg_metrics(truth, prediction, classes), "confusion")
  expect_equal(
    confusion,
    matrix(c(1, 0, 0, 1, 2, 0, 0, 0, 1), 3,
           dimnames = list(truth = names(classes), prediction = names(classes)))
  )
})

test_that("the worked example of soft Dice has its hard counterpart", {
  skip_if_no_python()
  prob <- rbind(c(.9, .8, .1, 0), c(.7, .6, .2, .1), c(.1, .3, .1, 0), c(0, .1, 0, 0))
  g <- rbind(c(1, 1, 0, 0), c(1, 1, 1, 0), 0, 0)
  scores <- seg_metrics(g, prob > 0.5, c(background = 0, object = 1))
  expect_equal(value(scores, "dice", 1), 2 * 4 / (4 + 5))
  expect_equal(value(scores, "iou", 1), 4 / 5)
  expect_equal(1 - seg_loss("dice", smooth = 0)(g, prob), 2 * 3.2 / (4 + 5), tolerance = 1e-6)
})

test_that("a class absent from both is NA and enters no mean", {
  skip_if_no_python()
  more <- seg_metrics(truth, prediction, c(classes, void = 7))
  expect_equal(value(more, "iou", 7), NA_real_)
  expect_equal(value(more, "precision", 7), NA_real_)
  expect_equal(value(more, "mean_iou"), 13 / 18)
  expect_false(any(is.nan(more$value)))
  expect_equal(dim(attr(more, "confusion")), c(4, 4))
})

test_that("without classes the ids seen are used, named as the masks name them", {
  skip_if_no_python()
  plain <- seg_metrics(truth, prediction)
  expect_equal(attr(plain, "classes"), c("0" = 0L, "1" = 1L, "2" = 2L))
  vocabulary <- c(classes, other = 9)
  named <- seg_metrics(seg_mask(truth, vocabulary), prediction)
  expect_equal(attr(named, "classes"), c(background = 0L, cell = 1L, border = 2L))
  expect_equal(named$value, plain$value)
})

test_that("every kind of mask counts alike", {
  skip_if_no_python()
  expected <- seg_metrics(truth, prediction)$value
  as_integers <- function(x) array(as.integer(x), dim(x))
  expect_equal(seg_metrics(as_integers(truth), as_integers(prediction))$value, expected)
  expect_equal(seg_metrics(list(truth), list(prediction))$value, expected)
  volume <- function(x) array(x, c(1, dim(x)))
  expect_equal(seg_metrics(volume(truth), volume(prediction))$value, expected)
  bytes <- matrix(as.raw(prediction), 2)
  expect_equal(seg_metrics(truth, bytes)$value, expected)
  letter <- function(x) matrix(c("a", "b", "c")[x + 1], 2)
  expect_equal(seg_metrics(letter(truth), letter(prediction))$value, expected)
})

test_that("logical masks are 0 and 1", {
  skip_if_no_python()
  scores <- seg_metrics(truth > 0, prediction > 0)
  expect_equal(attr(scores, "confusion")[, ], rbind("0" = c("0" = 1, "1" = 1), "1" = c(0, 3)),
               ignore_attr = TRUE)
})

test_that("factors are matched by their levels, whatever their order", {
  skip_if_no_python()
  truth <- factor(c("x", "y", "y", "x"))
  prediction <- factor(c("y", "y", "y", "x"), levels = c("y", "x"))
  dim(truth) <- dim(prediction) <- c(2, 2)
  scores <- seg_metrics(truth, prediction)
  expect_equal(attr(scores, "classes"), c(x = 0L, y = 1L))
  expect_equal(value(scores, "pixel_accuracy"), 3 / 4)
  expect_equal(value(scores, "recall", 0:1), c(1 / 2, 1))
  expect_equal(value(seg_metrics(truth, prediction, c(y = 3, x = 8)), "recall", c(3, 8)),
               c(1, 1 / 2))
})

test_that("per_image scores every image beside the whole", {
  skip_if_no_python()
  second <- matrix(c(0, 0, 2), 1)
  scores <- seg_metrics(list(a = truth, b = second), list(a = prediction, b = second),
                        per_image = TRUE)
  expect_named(scores, c("image", "metric", "class", "value", "n"))
  expect_equal(unique(scores$image), c(NA, "a", "b"))
  one <- function(name) scores[scores$image %in% name, ]
  expect_equal(value(one(NA), "pixel_accuracy"), 7 / 8)
  expect_equal(value(one("a"), "pixel_accuracy"), 4 / 5)
  expect_equal(value(one("b"), "iou", 0:2), c(1, NA, 1))
  each <- attr(scores, "confusion_per_image")
  expect_equal(dimnames(each)$image, c("a", "b"))
  expect_equal(apply(each, 1:2, sum), attr(scores, "confusion"))
  expect_equal(each[, , "b"], diag(c(2, 0, 1)), ignore_attr = TRUE)
  unnamed <- seg_metrics(list(truth, second), list(prediction, second), per_image = TRUE)
  expect_equal(unique(unnamed$image), c(NA, 1L, 2L))
})

test_that("lists with the same names are paired by name, those without by position", {
  skip_if_no_python()
  second <- matrix(c(0, 0, 2), 1)
  scores <- seg_metrics(list(a = truth, b = second), list(b = second, a = prediction))
  expect_equal(value(scores, "pixel_accuracy"), 7 / 8)
  scores <- seg_metrics(list(a = truth, b = second), list(prediction, second))
  expect_equal(value(scores, "pixel_accuracy"), 7 / 8)
})

test_that("mask files are read where they are counted", {
  skip_if_no_python()
  folder <- withr::local_tempdir()
  paths <- file.path(folder, c("one.png", "two.png"))
  seg_write_mask(seg_mask(truth, classes), paths[[1]])
  seg_write_mask(seg_mask(prediction, classes), paths[[2]])
  expect_equal(seg_metrics(paths[[1]], paths[[2]])$value, seg_metrics(truth, prediction)$value)
  expect_equal(seg_metrics(paths[[1]], prediction)$value, seg_metrics(truth, prediction)$value)
  scores <- seg_metrics(paths, list(prediction, prediction), per_image = TRUE)
  expect_equal(unique(scores$image), c(NA, "one.png", "two.png"))
  expect_equal(value(scores[is.na(scores$image), ], "pixel_accuracy"), 10 / 11)
})

test_that("R and Python give the same numbers on real masks", {
  file <- shared_data("camvid/valannot")
  skip_if_no_python()
  file <- list.files(file, full.names = TRUE)[[1]]
  truth <- seg_read_mask(file, ignore = 11)
  prediction <- unclass(truth)[, c(6:ncol(truth), 1:5)]
  prediction[is.na(prediction)] <- 0L
  scores <- seg_metrics(truth, prediction)
  counted <- table(factor(truth, 0:10), factor(prediction, 0:10))
  seen <- as.character(attr(scores, "classes"))
  expect_equal(attr(scores, "confusion"), unclass(counted)[seen, seen], ignore_attr = TRUE)
  python <- python_module("metrics.semantic")$scores(attr(scores, "confusion"))
  expect_identical(value(scores, "mean_iou"), as.vector(python$mean_iou))
  expect_identical(value(scores, "iou", attr(scores, "classes")), as.vector(python$iou))
})

test_that("the result is a data frame that keeps what it needs", {
  skip_if_no_python()
  scores <- seg_metrics(truth, prediction, classes)
  some <- scores[scores$metric == "iou", ]
  expect_s3_class(some, "seg_metrics")
  expect_equal(attr(some, "confusion"), attr(scores, "confusion"))
  expect_identical(class(scores[, c("metric", "value")]), "data.frame")
  expect_type(scores[, "value"], "double")
  plain <- as.data.frame(scores)
  expect_identical(class(plain), "data.frame")
  expect_named(plain, c("metric", "class", "label", "value", "n"))
  expect_equal(plain$label[plain$metric == "iou"], names(classes))
  wide <- summary(scores)
  expect_equal(wide$iou, c(1 / 2, 2 / 3, 1))
  expect_equal(wide$label, names(classes))
})

test_that("printing", {
  skip_if_no_python()
  second <- matrix(c(0, 0, 2), 1)
  expect_snapshot({
    scores <- seg_metrics(truth, prediction, c(classes, void = 7))
    scores
    print(scores, n = 2)
    scores[scores$metric %in% c("iou", "mean_iou"), ]
    scores[scores$metric == "mean_iou", ]
    seg_metrics(list(truth, second), list(prediction, second), per_image = TRUE)
    seg_metrics(matrix(NA, 2, 3), prediction)
  })
})

test_that("every selection of rows prints, and has a summary", {
  skip_if_no_python()
  second <- matrix(c(0, 0, 2), 1)
  scores <- seg_metrics(list(a = truth, b = second), list(a = prediction, b = second), classes,
                        per_image = TRUE)
  single <- scores[!is.na(scores$image), ]
  expect_snapshot({
    print(single, n = 3)
    subset(scores, image %in% "b" & metric == "dice")
    tail(scores, 2)
    scores[0, ]
    scores[is.na(scores$image) & scores$metric == "dice", ]
  })
  each <- summary(single)
  expect_equal(each$image, rep(c("a", "b"), each = 3))
  expect_equal(each$iou, c(1 / 2, 2 / 3, 1, 1, NA, 1))
  expect_equal(each$n, c(2, 2, 1, 2, 0, 1))
  expect_named(summary(scores)[1:3], c("class", "label", "iou"))
  expect_equal(nrow(summary(scores[0, ])), 0)
})

test_that("wide tables say once how many pixels a class has, and have no empty lines", {
  skip_if_no_python()
  p <- truth * 0.4 + 0.1
  p[is.na(p)] <- 0
  withr::local_options(width = 60)
  scores <- seg_metrics(truth > 0, p, thresholds = c(0.2, 0.6))
  lines <- format(scores)
  expect_equal(sum(grepl("  n$", lines)), 1)
  expect_false(any(grepl("NA", lines)))
  expect_false("average_precision" %in% scores$metric[scores$class %in% 0])
  swept <- seg_metrics(truth > 0, p, metrics = "thresholds", thresholds = c(0.2, 0.6))
  expect_equal(swept$class, c(1, 1, 1))
  expect_false(any(grepl("NA|mean|background", format(swept))))
})

test_that("what decides the scores is kept with them", {
  skip_if_no_python()
  scores <- seg_metrics(list(truth, truth), list(prediction, prediction), classes, metrics = "nsd",
                        tolerance = 1, aggregate = "mean")
  expect_equal(attr(scores, "settings"), list(
    aggregate = "mean", families = list(semantic = stats::setNames(list(), character()),
                                        surface = list(tolerance = 1))
  ))
  expect_equal(attr(scores, "support"), rbind(c(2, 2, 1), c(2, 2, 1)))
  expect_equal(attr(seg_metrics(list(truth, truth), list(prediction, prediction)), "support"),
               rbind(c(4, 4, 2)))
  expect_match(format(scores[0, ]), "3 classes, 2 images, 10 pixels")
})

test_that("errors say what was wrong and how to mend it", {
  skip_if_no_python()
  expect_error(seg_metrics(truth, t(prediction)), class = "maskr_error_shape")
  expect_error(seg_metrics("nowhere.png", truth), class = "maskr_error_file")
  expect_error(seg_metrics(list(c("a.png", "b.png")), truth), class = "maskr_error")
  expect_snapshot(error = TRUE, {
    seg_metrics(truth, t(prediction))
    seg_metrics(truth, prediction, c(background = 0, cell = 1))
    seg_metrics(list(truth, truth), list(prediction, prediction + 3), classes)
    seg_metrics(truth - 1, prediction)
    seg_metrics(truth / 2, prediction)
    seg_metrics(1:3, 1:3)
    seg_metrics(list(truth), list())
    seg_metrics(list(truth, truth), prediction)
    seg_metrics(truth, array(0.5, c(2, 3, 3)) |> seg_image())
    seg_metrics(truth, prediction, per_image = NA)
    seg_metrics(seg_mask(truth, classes), seg_mask(prediction, c(a = 0, b = 1, c = 2)))
    plot(seg_metrics(matrix(NA, 2, 3), matrix(NA_integer_, 2, 3) |> replace(TRUE, 0)))
    seg_metrics(truth, prediction, metrics = "mean_ioU")
    seg_metrics(truth, prediction, metrics = "pq")
    seg_metrics(truth, prediction, metrics = 3)
    seg_metrics(truth, prediction, metrics = "ece")
    seg_metrics(truth, seg_mask(prediction), thresholds = 0.5)
    seg_metrics(truth, prediction, thresholds = 0.5)
    seg_metrics(truth, prediction, metrics = "nsd", tolerance = "wide")
    seg_metrics(truth, prediction, ci = 95)
    seg_metrics(truth, prediction, ci = TRUE)
    seg_metrics(truth, prediction, aggregate = "median")
    seg_metrics(truth, prediction, metric = "iou")
  })
  expect_error(seg_metrics(truth, prediction, metrics = "pq"), class = "maskr_error_argument")
  expect_error(seg_metrics(truth, prediction, ci = TRUE), class = "maskr_error_data")
})

test_that("names that were made up give way to real ones", {
  skip_if_no_python()
  scores <- seg_metrics(seg_mask(truth > 0), seg_mask(prediction == 1, c(sky = 0, nucleus = 1)))
  expect_equal(attr(scores, "classes"), c(sky = 0L, nucleus = 1L))
})

# which scores, and of what ------------------------------------------------------------------------

test_that("metrics chooses rows and families, and computes only those", {
  skip_if_no_python()
  scores <- seg_metrics(truth, prediction, classes, metrics = c("iou", "mean_iou"))
  expect_equal(scores$metric, c("mean_iou", "iou", "iou", "iou"))
  expect_equal(rownames(scores), as.character(1:4))
  scores <- seg_metrics(truth, prediction, classes, metrics = c("iou", "boundary"))
  expect_setequal(scores$metric, c("iou", "boundary_f1", "boundary_iou", "trimap_iou"))
  expect_equal(value(scores, "iou", 0:2), c(1 / 2, 2 / 3, 1))
})

test_that("distances follow tolerance and spacing", {
  skip_if_no_python()
  square <- function(left, spacing = NULL) {
    mask <- matrix(0L, 12, 20)
    mask[4:8, left + 0:4] <- 1L
    seg_mask(mask, c(background = 0, cell = 1)) |> structure(spacing = spacing)
  }
  scores <- seg_metrics(square(5), square(7), metrics = "surface", tolerance = 1)
  expect_equal(value(scores, "hausdorff", 1), 2)
  # of the 16 pixels of an outline 6 are more than 1 away: the left 5, and the middle of the right
  expect_equal(value(scores, "nsd", 1), 10 / 16)
  wide <- seg_metrics(square(5, c(1, 3)), square(7, c(1, 3)), metrics = "surface", tolerance = 2)
  expect_equal(value(wide, "hausdorff", 1), 6)
  one_sided <- seg_metrics(square(5, c(1, 3)), unclass(square(7)), metrics = "hausdorff")
  expect_equal(value(one_sided, "hausdorff", 1), 6)
  expect_error(seg_metrics(square(5, c(1, 3)), square(7, c(1, 2)), metrics = "surface"),
               class = "maskr_error_data")
  share <- seg_metrics(square(5), square(7), metrics = "nsd", tolerance = "10%")
  expect_equal(value(share, "nsd", 1), 1)
  missed <- seg_metrics(square(5), square(5) * 0L, c(background = 0, cell = 1),
                        metrics = c("hd95", "nsd"))
  expect_equal(value(missed, "hd95", 1), Inf)
  expect_equal(value(missed, "nsd", 1), 0)
  expect_match(format(missed), "Inf", all = FALSE)
})

test_that("the mean over images is that of the images' scores", {
  skip_if_no_python()
  second <- matrix(c(0, 0, 1, 1), 1)
  found <- matrix(c(0, 1, 1, 1), 1)
  run <- function(...) seg_metrics(list(truth, second), list(prediction, found), classes, ...)
  expect_equal(value(run(aggregate = "mean"), "pixel_accuracy"), mean(c(4 / 5, 3 / 4)))
  expect_equal(value(run(aggregate = "mean"), "iou", 0:2),
               c(mean(c(1 / 2, 1 / 2)), mean(c(2 / 3, 2 / 3)), 1))
  expect_equal(value(run(), "pixel_accuracy"), 7 / 9)
})

test_that("intervals are those of resampled images, and set.seed() decides which", {
  skip_if_no_python()
  set.seed(4)
  truths <- lapply(1:12, \(i) matrix(sample(0:1, 40, TRUE), 5))
  found <- lapply(truths, \(mask) replace(mask, sample(40, sample(15, 1)), 0))
  run <- function(...) seg_metrics(truths, found, classes[1:2], ...)
  set.seed(1)
  scores <- run(ci = TRUE)
  expect_named(scores, c("metric", "class", "value", "n", "lower", "upper"))
  set.seed(1)
  expect_equal(run(ci = TRUE), scores)
  expect_false(identical(run(ci = TRUE)$lower, scores$lower))
  expect_equal(scores$value, run()$value)
  each <- mapply(\(a, b) mean(a == b), truths, found)
  set.seed(2)
  drawn <- replicate(4000, mean(sample(each, 12, TRUE)))
  bounds <- as.numeric(scores[scores$metric == "pixel_accuracy", c("lower", "upper")])
  expect_equal(bounds, as.numeric(quantile(drawn, c(0.025, 0.975))), tolerance = 0.02)
  narrow <- run(ci = 0.5)
  expect_true(all(narrow$upper - narrow$lower <= scores$upper - scores$lower + 1e-12))
  both <- run(ci = TRUE, per_image = TRUE)
  expect_true(all(is.na(both$lower[!is.na(both$image)])))
  expect_snapshot({
    scores[scores$metric %in% c("pixel_accuracy", "iou", "dice", "mean_iou"), ]
  })
})

test_that("probabilities give masks, a calibration and a sweep", {
  skip_if_no_python()
  g <- rbind(c(1, 1, 0, 0), c(1, NA, 1, 0), 0, 0)
  p <- rbind(c(.9, .8, .1, 0), c(.7, .6, .2, .1), c(.1, .3, .1, 0), c(0, .1, 0, 0))
  two <- c(background = 0, object = 1)
  full <- array(c(1 - p, p), c(4, 4, 2), list(NULL, NULL, names(two)))
  scores <- seg_metrics(g, full, two)
  expect_equal(value(scores, "iou", 1), 3 / 4)
  confidence <- pmax(p, 1 - p)[!is.na(g)]
  right <- ((p >= 0.5) == g)[!is.na(g)]
  bin <- ceiling(round(confidence * 15, 9))
  ece <- sum(abs(tapply(right - confidence, bin, sum))) / 15
  expect_equal(value(scores, "ece"), ece)
  bins <- attr(scores, "tables")$calibration
  expect_equal(sum(bins$pixels), 15)

  turned <- seg_metrics(g, full[, , 2:1], two)
  expect_equal(turned$value, scores$value)
  swept <- seg_metrics(g, p, thresholds = c(0.15, 0.65))
  expect_equal(attr(swept, "classes"), c(background = 0L, foreground = 1L))
  curve <- attr(swept, "tables")$curve
  expect_equal(curve$threshold, c(0.15, 0.65))
  expect_equal(curve$recall, c(1, 3 / 4))
  expect_equal(curve$precision, c(4 / 5, 1))
  expect_equal(value(swept, "best_dice", 1), 8 / 9)
  expect_equal(value(swept, "best_threshold", 1), 0.15)
  expect_equal(value(swept, "average_precision", 1), (1 - 3 / 4) * 4 / 5 + 3 / 4)
  expect_equal(value(seg_metrics(g, full, two, metrics = "best_dice"), "best_dice", 1), 8 / 9)

  expect_error(seg_metrics(g, 2 * full, two), class = "maskr_error_data")
  expect_error(seg_metrics(g, replace(full, 3, NA), two), class = "maskr_error_data")
  expect_error(seg_metrics(g, full, c(background = 0, cell = 1)), class = "maskr_error_data")
  expect_error(seg_metrics(g, full[, , c(1, 2, 2)], two), class = "maskr_error")
  expect_error(seg_metrics(g, full), "classes", class = "maskr_error_argument")
  expect_error(seg_metrics(list(g, g), list(full, g * 0), two), class = "maskr_error_argument")
  expect_error(seg_metrics(g, p, c(two, more = 2), thresholds = 0.5), class = "maskr_error_shape")
})

test_that("volumes of probabilities have the classes last", {
  skip_if_no_python()
  g <- array(c(0, 1, 1, 0, 2, 2, 0, 1, 0, 2, 1, 0), c(2, 3, 2))
  p <- vapply(0:2, \(id) 0.1 + 0.7 * (g == id), g)
  scores <- seg_metrics(g, p, classes, metrics = c("pixel_accuracy", "ece"))
  expect_equal(value(scores, "pixel_accuracy"), 1)
  expect_equal(value(scores, "ece"), 0.2)
})

test_that("folders and files are paired by their names", {
  skip_if_no_python()
  folder <- withr::local_tempdir()
  write <- function(masks, names) {
    dir.create(file.path(folder, names[[1]]))
    files <- file.path(folder, names[[1]], names[-1])
    Map(\(mask, file) seg_write_mask(seg_mask(mask, classes), file), masks, files)
    file.path(folder, names[[1]])
  }
  second <- matrix(c(0, 0, 2), 1)
  truths <- write(list(truth, second), c("truth", "b_mask.png", "a_mask.png"))
  found <- write(list(prediction, second), c("found", "pred_b.png", "pred_a.png"))
  scores <- seg_metrics(truths, found, per_image = TRUE)
  expect_equal(unique(scores$image), c(NA, "a_mask.png", "b_mask.png"))
  expect_equal(value(scores[scores$image %in% "b_mask.png", ], "pixel_accuracy"), 4 / 5)
  files <- list.files(found, full.names = TRUE)
  expect_equal(seg_metrics(truths, rev(files))$value, seg_metrics(truths, found)$value)
  by_place <- seg_metrics(as.list(list.files(truths, full.names = TRUE)), as.list(files))
  expect_equal(by_place$value, seg_metrics(truths, found)$value)
  other <- write(list(prediction, second), c("other", "x.png", "y.png"))
  expect_error(seg_metrics(truths, other), "paired", class = "maskr_error_data")
  expect_error(seg_metrics(truths, found, classes[1:2]), class = "maskr_error_data")
})

test_that("volumes in folders are measured with the spacing of their files", {
  skip_if_no_python("volumes")
  folder <- withr::local_tempdir()
  cube <- function(left) {
    mask <- array(0L, c(6, 10, 12))
    mask[2:4, 3:6, left + 0:3] <- 1L
    seg_mask(mask, c(background = 0, organ = 1)) |> structure(spacing = c(2, 1, 1.5))
  }
  for (name in c("truth", "found")) dir.create(file.path(folder, name))
  seg_write_mask(cube(3), file.path(folder, "truth", "case.nii.gz"))
  seg_write_mask(cube(5), file.path(folder, "found", "case.nii.gz"))
  scores <- seg_metrics(file.path(folder, "truth"), file.path(folder, "found"),
                        metrics = "hausdorff")
  expect_equal(value(scores, "hausdorff", 1), 3)
  same <- seg_metrics(cube(3), cube(5), metrics = "hausdorff")
  expect_equal(value(same, "hausdorff", 1), 3)
})

test_that("an example's scenes are its masks or its objects, as the prediction is", {
  skip_if_no_python()
  scenes <- seg_example("nuclei", n = 2, size = c(32, 48))
  expect_equal(attr(seg_metrics(scenes, scenes$masks), "kind"), "masks")
  objects <- seg_metrics(scenes, scenes$instances)
  expect_equal(attr(objects, "kind"), "objects")
  expect_equal(value(objects, "f1"), 1)
  panoptic <- lapply(scenes$instances, as_seg_panoptic)
  expect_equal(attr(suppressWarnings(seg_metrics(panoptic, panoptic)), "kind"), "segments")
  things <- seg_metrics(panoptic, panoptic, metrics = "dsb_ap")
  expect_equal(attr(things, "kind"), "objects")
  expect_error(seg_metrics(scenes$masks, scenes$instances), "as_seg_mask",
               class = "maskr_error_argument")
})

test_that("one class and one image keep their shape", {
  skip_if_no_python()
  scores <- seg_metrics(matrix(0, 2, 3), matrix(0, 2, 3), c(only = 0), per_image = TRUE)
  expect_equal(dim(attr(scores, "confusion_per_image")), c(1, 1, 1))
  expect_equal(value(scores[is.na(scores$image), ], "iou", 0), 1)
  pixel <- seg_metrics(matrix(1), matrix(1), c(a = 0, b = 1))
  expect_equal(value(pixel, "iou", 0:1), c(NA, 1))
  expect_equal(value(pixel, "mean_iou"), 1)
})

test_that("scores of objects and segments print well", {
  skip_if_no_python()
  columns <- function(metric, class, value, n) {
    list(metric = metric, class = as.integer(class), value = value, n = n)
  }
  objects <- columns(c("ap", "ap_small", "ar1", "missed", "ap", "ap", "missed", "missed"),
                     c(NA, NA, NA, NA, 1, 3, 1, 3), c(.5, .4, NaN, 3, .25, .75, 1, 2),
                     c(7, 7, 7, 7, 4, 3, 4, 3))
  segments <- columns(c("pq", "sq", "pq_things", "pq_stuff", "pq", "pq", "sq", "sq"),
                      c(NA, NA, NA, NA, 1, 3, 1, 3), c(.5, .8, .6, .4, .6, .4, .9, .7),
                      c(9, 9, 5, 4, 5, 4, 5, 4))
  expect_snapshot({
    new_seg_metrics(list(columns = objects, images = 1L, support = rbind(c(4, 3))),
                    c(cat = 1L, dog = 3L), kind = "objects")
    new_seg_metrics(list(columns = segments, images = 2L, support = rbind(c(3, 2), c(2, 2))),
                    c(cat = 1L, sky = 3L), kind = "segments")
  })
})

# pictures -----------------------------------------------------------------------------------------

test_that("plots draw for two and for many classes", {
  skip_if_no_python()
  scores <- seg_metrics(truth, prediction, c(classes, void = 7))
  withr::local_pdf(NULL)
  expect_invisible(plot(scores))
  expect_silent(plot(scores, normalise = "prediction", main = "Cells"))
  expect_silent(plot(scores, "scores", metric = "kappa"))
  many <- matrix(0:149, 10)
  expect_silent(plot(seg_metrics(many, many), normalise = "all"))
  expect_error(plot(scores, normalise = "rows"), class = "maskr_error_argument")
  expect_error(plot(scores, "scores", metric = "pq"), class = "maskr_error_argument")
  expect_error(plot(scores, "curve"), class = "maskr_error_data")
  skip_if_not_installed("ggplot2")
  figure <- ggplot2::autoplot(scores)
  expect_s3_class(figure, "ggplot")
  cells <- ggplot2::ggplot_build(figure)$data[[2]]
  expect_equal(nrow(cells), 16)
  expect_setequal(cells$label, c("", "50", "100"))
})

test_that("every picture shows the numbers of the result", {
  skip_if_no_python()
  second <- matrix(c(0, 0, 2), 1)
  each <- seg_metrics(list(truth, second), list(prediction, second), classes, per_image = TRUE,
                      ci = TRUE)
  shown <- shown_scores(each, "scores", NULL, "truth")
  expect_equal(shown$summary$name, c("background", "cell", "border", "mean"))
  expect_equal(shown$summary$mean, c(3 / 4, 2 / 3, 1, mean(c(3 / 4, 2 / 3, 1))))
  expect_equal(nrow(shown$points), 7)
  p <- truth * 0.4 + 0.1
  p[is.na(p)] <- 0
  swept <- seg_metrics(truth > 0, p, thresholds = c(0.2, 0.6))
  curve <- shown_scores(swept, "curve", NULL, "truth")
  expect_equal(curve$best$threshold, 0.2)
  expect_equal(shown_scores(swept, "calibration", NULL, "truth")$ece, value(swept, "ece"))
  objects <- seg_example("shapes", n = 1, size = c(48, 64))$instances
  counted <- seg_metrics(objects, list(objects[[1]][-1, ]))
  expect_equal(shown_scores(counted, NULL, NULL, "truth")$type, "thresholds")
  expect_equal(sum(shown_scores(counted, "errors", NULL, "truth")$rows$count), 1)
  withr::local_pdf(NULL)
  for (type in c("confusion", "scores")) expect_silent(plot(each, type))
  for (type in c("curve", "calibration")) expect_silent(plot(swept, type, main = "Sweep"))
  for (type in c("thresholds", "scores", "errors")) expect_silent(plot(counted, type))
  expect_silent(plot(counted, "thresholds", metric = "f1"))
  skip_if_not_installed("ggplot2")
  built <- function(x, ...) ggplot2::ggplot_build(ggplot2::autoplot(x, ...))
  for (type in c("confusion", "scores")) expect_silent(built(each, type))
  for (type in c("curve", "calibration")) expect_silent(built(swept, type))
  for (type in c("thresholds", "scores", "errors")) expect_silent(built(counted, type))
})

test_that("infinite scores have intervals, and stand at the edge of the picture", {
  skip_if_no_python()
  nothing <- matrix(0, 40, 60)
  square <- replace(nothing, cbind(rep(10:30, 21), rep(20:40, each = 21)), 1)
  set.seed(1)
  scores <- seg_metrics(list(square, square), list(square, nothing), metrics = "hd95", ci = TRUE)
  expect_equal(value(scores, "hd95", 1), Inf)
  expect_equal(scores$lower[scores$class %in% 1], 0)
  expect_equal(scores$upper[scores$class %in% 1], Inf)
  expect_match(format(scores), "Inf [0.000, Inf]", fixed = TRUE, all = FALSE)
  shown <- shown_scores(scores, "scores", NULL, "truth")
  expect_equal(shown$summary$mean[2:3], c(Inf, Inf))
  expect_equal(shown$note, "bars: 95 % intervals")
  scale <- edge_scale(c(2, Inf, 4, NA))
  expect_equal(scale$limits, c(2, 4.25))
  expect_equal(scale$place(c(2, NA, Inf)), c(2, NA, 4.25))
  expect_equal(utils::tail(scale$labels, 1), "Inf")
  expect_equal(edge_scale(c(-Inf, Inf))$labels[6:8], c("1.0", "-Inf", "Inf"))
  expect_true(all(is.finite(edge_scale(3)$limits)))
  withr::local_pdf(NULL)
  expect_silent(plot(scores, "scores"))
  skip_if_not_installed("ggplot2")
  drawn <- ggplot2::ggplot_build(ggplot2::autoplot(scores, "scores"))$data[[3]]
  expect_equal(nrow(drawn), 3)
  expect_true(all(is.finite(drawn$x)))
})

test_that("of many classes the worst have colours", {
  skip_if_no_python()
  set.seed(1)
  many <- stats::setNames(0:8, letters[1:9])
  mask <- matrix(sample(0:8, 600, TRUE), 20)
  p <- vapply(0:8, \(id) matrix(runif(600), 20) + (mask == id) * id, matrix(0, 20, 30))
  p <- p / as.vector(rowSums(p, dims = 2))
  swept <- seg_metrics(mask, p, many, thresholds = seq(0, 1, 0.1))
  shown <- shown_scores(swept, "curve", NULL, "truth")
  dice <- value(swept, "best_dice", 0:8)
  entries <- levels(shown$key$entry)
  expect_equal(sub(":.*", "", entries), c(letters[order(dice)[1:6]], "3 others"))
  expect_equal(anyDuplicated(shown$key$colours), 0)
  expect_equal(sum(shown$key$entry == "3 others"), 3)
  withr::local_pdf(NULL)
  expect_silent(plot(swept, "curve"))
  skip_if_not_installed("ggplot2")
  expect_silent(ggplot2::ggplot_build(ggplot2::autoplot(swept, "curve")))
})

test_that("results bound together are a plain data frame", {
  skip_if_no_python()
  truth <- matrix(c(0, 0, 1, 1, 0, 1), 2)
  one <- seg_metrics(truth, truth)
  both <- rbind(one, one)
  expect_identical(class(both), "data.frame")
  expect_equal(nrow(both), 2 * nrow(one))
})
