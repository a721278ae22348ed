classes <- c(background = 0, cell = 1)
set.seed(3)
truths <- lapply(1:8, \(i) matrix(sample(0:1, 48, TRUE), 6))
names(truths) <- paste0(letters[1:8], ".png")
# `wrong` pixels of each mask turned over, more in later images
spoilt <- function(wrong) Map(\(mask, i) replace(mask, seq_len(wrong + i), 0), truths, 1:8)

test_that("results stand side by side, with the difference and its paired interval", {
  skip_if_no_python()
  a <- seg_metrics(truths, spoilt(2), classes, per_image = TRUE)
  b <- seg_metrics(truths, spoilt(8), classes, ci = TRUE)
  set.seed(1)
  both <- seg_compare(near = a, far = b)
  expect_s3_class(both, c("seg_comparison", "data.frame"), exact = TRUE)
  expect_named(both, c("metric", "class", "n", "near", "far", "difference", "lower", "upper"))
  over_all <- a[is.na(a$image), ]
  expect_equal(both$near, over_all$value)
  expect_equal(both$difference, both$far - both$near)
  expect_true(all(both$lower <= both$difference & both$difference <= both$upper))
  accuracy <- both[both$metric == "pixel_accuracy", ]
  each <- mapply(\(t, p, q) mean(t == q) - mean(t == p), truths, spoilt(2), spoilt(8))
  expect_equal(accuracy$difference, mean(each))
  set.seed(2)
  drawn <- replicate(4000, mean(sample(each, 8, TRUE)))
  expect_equal(c(accuracy$lower, accuracy$upper), as.numeric(quantile(drawn, c(0.025, 0.975))),
               tolerance = 0.03)
  set.seed(1)
  expect_equal(seg_compare(near = a, far = b), both)
  plain <- seg_compare(near = a, far = b, ci = FALSE)
  expect_null(plain$lower)
  expect_equal(plain$difference, both$difference)
  expect_match(utils::tail(format(plain), 1), "^difference: far less near$")
  same <- seg_compare(one = a, two = a, ci = 0.5)
  expect_equal(same$lower, rep(0, nrow(same)))
})

test_that("without kept images there is no interval, of three no difference", {
  skip_if_no_python()
  a <- seg_metrics(truths, spoilt(2), classes)
  b <- seg_metrics(truths, spoilt(8), classes, metrics = c("iou", "mean_iou", "dice"))
  both <- seg_compare(a = a, b = b)
  expect_named(both, c("metric", "class", "n", "a", "b", "difference"))
  expect_equal(both$difference, both$b - both$a)
  expect_named(seg_compare(a = a, b = b, c = a), c("metric", "class", "n", "a", "b", "c"))
  set.seed(1)
  kept <- seg_metrics(truths, spoilt(2), classes, ci = TRUE, metrics = c("iou", "dice"))
  expect_snapshot({
    seg_compare(a = a, b = b)
    seg_compare(kept = kept, b = seg_metrics(truths, spoilt(8), classes, ci = TRUE))
    print(seg_compare(a = b, b = b, c = b), n = 2)
  })
})

test_that("families that only one result has are left out of the comparison", {
  skip_if_no_python()
  a <- seg_metrics(truths, spoilt(2), classes, ci = TRUE, metrics = c("iou", "surface"))
  b <- seg_metrics(truths, spoilt(8), classes, ci = TRUE)
  both <- seg_compare(a = a, b = b)
  expect_equal(both$metric, c("iou", "iou"))
  expect_false(anyNA(both$lower))
})

test_that("scores of objects and segments are compared too", {
  skip_if_no_python()
  scenes <- seg_example("shapes", n = 4, size = c(48, 64))
  scored <- lapply(scenes$instances, \(x) {
    x$score <- seq(0.9, 0.3, length.out = nrow(x))
    x
  })
  for (metrics in c("coco", "bioimage")) {
    all <- seg_metrics(scenes$instances, scored, metrics = metrics, ci = TRUE)
    fewer <- seg_metrics(scenes$instances, lapply(scored, \(x) x[-1, ]), metrics = metrics,
                         ci = TRUE)
    both <- seg_compare(all = all, fewer = fewer)
    key <- if (metrics == "coco") "ap50" else "dsb_ap50"
    overall <- both[both$metric == key & is.na(both$class), ]
    expect_equal(overall$difference, overall$fewer - overall$all)
    expect_lt(overall$upper, 0)
  }
  panoptic <- lapply(scenes$instances, as_seg_panoptic)
  half <- lapply(scenes$instances, \(x) as_seg_panoptic(x[-1, ]))
  # all is void beside the things, which is warned of
  run <- function(found) {
    suppressWarnings(seg_metrics(panoptic, found, ci = TRUE, classes = scenes$classes))
  }
  a <- run(panoptic)
  b <- run(half)
  both <- seg_compare(a = a, b = b)
  expect_equal(both$difference, both$b - both$a)
  expect_error(seg_compare(a = a, b = all), class = "maskr_error_data")
})

test_that("only what was made alike is compared", {
  skip_if_no_python()
  run <- function(..., metrics = c("iou", "nsd")) {
    seg_metrics(truths, spoilt(2), classes, metrics = metrics, ...)
  }
  near <- run(tolerance = 1)
  far <- run(tolerance = 5, ci = TRUE)
  expect_error(seg_compare(a = near, b = far), "tolerance", class = "maskr_error_data")
  iou <- seg_compare(a = near[near$metric == "iou", ], b = far)
  expect_equal(iou$difference, c(0, 0))
  expect_error(seg_compare(a = run(metrics = "boundary", width = 1),
                           b = run(metrics = "boundary", width = "3%")), "width")
  p <- lapply(truths, \(mask) mask * 0.6 + 0.2)
  swept <- function(by) seg_metrics(truths, p, classes, thresholds = seq(0, 1, by))
  expect_error(seg_compare(a = swept(0.1), b = swept(0.5)), "thresholds")
  objects <- seg_example("shapes", n = 2, size = c(48, 64))$instances
  scored <- lapply(objects, \(x) replace(x, "score", 0.5))
  expect_error(seg_compare(a = seg_metrics(objects, scored, type = "box"),
                           b = seg_metrics(objects, scored)), "type")
  expect_snapshot(error = TRUE, {
    seg_compare(a = near, b = far)
    seg_compare(a = swept(0.1), b = swept(0.5))
  })
})

test_that("only scores of the same truths are compared", {
  skip_if_no_python()
  bare <- unname(truths)
  found <- unname(spoilt(2))
  a <- seg_metrics(bare, found, classes)
  turned <- c(2, 1, 3:8)
  expect_equal(seg_compare(a = a, b = seg_metrics(bare[turned], found[turned], classes))$a, a$value)
  kept <- seg_metrics(bare, found, classes, ci = TRUE)
  other <- seg_metrics(bare[turned], found[turned], classes, per_image = TRUE)
  changed <- seg_metrics(lapply(bare, \(mask) 1 - mask), found, classes)
  expect_snapshot(error = TRUE, {
    seg_compare(a = kept, b = other)
    seg_compare(a = a, b = changed)
    seg_compare(a = a, b = seg_metrics(bare[1:7], found[1:7], classes))
  })
  objects <- seg_example("shapes", n = 3, size = c(48, 64))$instances
  some <- lapply(objects, \(x) x[-1, ])
  expect_error(seg_compare(a = seg_metrics(objects, some), b = seg_metrics(some, some)),
               "different truths", class = "maskr_error_data")
  panoptic <- lapply(objects, as_seg_panoptic)
  fewer <- lapply(some, as_seg_panoptic)
  names <- attr(objects[[1]], "classes")
  run <- function(truth) suppressWarnings(seg_metrics(truth, fewer, names))
  expect_error(seg_compare(a = run(panoptic), b = run(fewer)), "segments of class",
               class = "maskr_error_data")
})

test_that("differences may be infinite or tiny", {
  skip_if_no_python()
  found <- spoilt(2)
  lost <- replace(found, 3, list(truths[[3]] * 0))
  run <- function(prediction) {
    set.seed(1)
    seg_metrics(truths, prediction, classes, metrics = "hd95", ci = TRUE)
  }
  both <- seg_compare(found = run(found), lost = run(lost))
  cell <- both[both$class %in% 1, ]
  expect_equal(c(cell$difference, cell$upper), c(Inf, Inf))
  expect_true(is.finite(cell$lower))
  expect_match(format(both), "+Inf [", fixed = TRUE, all = FALSE)
  none <- seg_compare(a = run(lost), b = run(lost))
  expect_equal(none[none$class %in% 1, c("difference", "lower", "upper")],
               data.frame(difference = NA_real_, lower = NA_real_, upper = NA_real_),
               ignore_attr = TRUE)
  rows <- data.frame(metric = "iou", difference = c(4e-4, -4e-4, 0, -0.5, -1e-17),
                     lower = c(1e-4, -6e-4, -0, -0.6, -1e-17), upper = c(8e-4, 1e-5, 0, -0.4, 0))
  expect_equal(difference_words(rows, 3),
               c("+0.0004 [0.0001, 0.0008]", "-0.0004 [-0.0006, 0.0000]", "0.000 [0.000, 0.000]",
                 "-0.500 [-0.600, -0.400]", "0.000 [0.000, 0.000]"))
  shown <- compared_rows(both, NULL, NULL)
  expect_equal(shown$rows$value[shown$rows$name == "cell"], Inf)
  expect_equal(shown$note, "bars: paired 95 % intervals")
  withr::local_pdf(NULL)
  for (type in c("difference", "scores")) expect_silent(plot(both, type = type))
  skip_if_not_installed("ggplot2")
  expect_silent(ggplot2::ggplot_build(ggplot2::autoplot(both)))
})

test_that("errors say what cannot be compared", {
  skip_if_no_python()
  a <- seg_metrics(truths, spoilt(2), classes)
  other <- seg_metrics(truths, spoilt(2), c(background = 0, nucleus = 1))
  mean <- seg_metrics(truths, spoilt(2), classes, aggregate = "mean")
  fewer <- seg_metrics(truths[1:7], spoilt(2)[1:7], classes)
  iou <- a[a$metric == "iou", ]
  dice <- a[a$metric == "dice", ]
  expect_error(seg_compare(a, a), class = "maskr_error_argument")
  expect_error(seg_compare(a = a, b = other), class = "maskr_error_data")
  expect_snapshot(error = TRUE, {
    seg_compare(a = a)
    seg_compare(a, a)
    seg_compare(a = a, b = 3)
    seg_compare(a = a, value = a, n = a)
    seg_compare(a = a, b = other)
    seg_compare(a = a, b = mean)
    seg_compare(a = a, b = fewer)
    seg_compare(a = iou, b = dice)
    plot(seg_compare(a = a, b = a, c = a), type = "difference")
  })
})

test_that("it is a data frame, and can be drawn", {
  skip_if_no_python()
  a <- seg_metrics(truths, spoilt(2), classes, ci = TRUE)
  b <- seg_metrics(truths, spoilt(8), classes, ci = TRUE)
  both <- seg_compare(a = a, b = b)
  expect_s3_class(both[both$metric == "iou", ], "seg_comparison")
  expect_identical(class(both[, c("metric", "a")]), "data.frame")
  plain <- as.data.frame(both)
  expect_identical(class(plain), "data.frame")
  expect_equal(plain$label[plain$metric == "iou"], c(names(classes), NA)[1:2])
  shown <- compared_rows(both, NULL, NULL)
  expect_equal(shown$type, "difference")
  expect_equal(shown$rows$name, c("background", "cell", "mean"))
  expect_equal(shown$rows$value, both$difference[match(c("iou 0", "iou 1", "mean_iou NA"),
                                                       paste(both$metric, both$class))])
  withr::local_pdf(NULL)
  expect_invisible(plot(both))
  expect_silent(plot(both, "dice", type = "scores", main = "Dice"))
  expect_error(plot(both, "pq"), class = "maskr_error_argument")
  skip_if_not_installed("ggplot2")
  for (type in c("difference", "scores")) {
    expect_silent(ggplot2::ggplot_build(ggplot2::autoplot(both, type = type)))
  }
})
