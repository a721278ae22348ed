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
  same <- seg_compare(one = a, two = a, ci = 0.5)
  expect_equal(same$lower, rep(0, nrow(same)))
})

test_that("without kept images, or of three, there is no interval and the print says how", {
  skip_if_no_python()
  a <- seg_metrics(truths, spoilt(2), classes)
  b <- seg_metrics(truths, spoilt(8), classes, metrics = c("iou", "mean_iou", "dice"))
  expect_named(seg_compare(a = a, b = b), c("metric", "class", "n", "a", "b"))
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
  a <- seg_metrics(panoptic, panoptic, ci = TRUE, classes = scenes$classes)
  b <- seg_metrics(panoptic, half, ci = TRUE, classes = scenes$classes)
  both <- seg_compare(a = a, b = b)
  expect_equal(both$difference, both$b - both$a)
  expect_error(seg_compare(a = a, b = all), class = "maskr_error_data")
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
    plot(seg_compare(a = a, b = a), type = "difference")
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
