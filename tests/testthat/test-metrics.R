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

test_that("lists with the same names are paired by name, others by position", {
  skip_if_no_python()
  second <- matrix(c(0, 0, 2), 1)
  scores <- seg_metrics(list(a = truth, b = second), list(b = second, a = prediction))
  expect_equal(value(scores, "pixel_accuracy"), 7 / 8)
  scores <- seg_metrics(list(a = truth, b = second), list(x = prediction, y = second))
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
  expect_identical(value(scores, "mean_iou"), python$mean_iou)
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

test_that("errors say what was wrong and how to mend it", {
  skip_if_no_python()
  expect_error(seg_metrics(truth, t(prediction)), class = "maskr_error_shape")
  expect_error(seg_metrics(truth, truth), class = "maskr_error_data")
  expect_error(seg_metrics("nowhere.png", truth), class = "maskr_error_file")
  expect_error(seg_metrics(list(c("a.png", "b.png")), truth), class = "maskr_error")
  expect_snapshot(error = TRUE, {
    seg_metrics(truth, t(prediction))
    seg_metrics(truth, truth)
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
  })
})

test_that("names that were made up give way to real ones", {
  skip_if_no_python()
  scores <- seg_metrics(seg_mask(truth > 0), seg_mask(prediction == 1, c(sky = 0, nucleus = 1)))
  expect_equal(attr(scores, "classes"), c(sky = 0L, nucleus = 1L))
})

test_that("plots draw for two and for many classes", {
  skip_if_no_python()
  scores <- seg_metrics(truth, prediction, c(classes, void = 7))
  withr::local_pdf(NULL)
  expect_invisible(plot(scores))
  expect_silent(plot(scores, normalise = "prediction", main = "Cells"))
  many <- matrix(0:149, 10)
  expect_silent(plot(seg_metrics(many, many), normalise = "all"))
  expect_error(plot(scores, normalise = "rows"), class = "maskr_error_argument")
  skip_if_not_installed("ggplot2")
  figure <- ggplot2::autoplot(scores)
  expect_s3_class(figure, "ggplot")
  cells <- ggplot2::ggplot_build(figure)$data[[2]]
  expect_equal(nrow(cells), 16)
  expect_setequal(cells$label, c("", "50", "100"))
})
