a <- rbind(left = c(0, 0, 2, 4), right = c(8, 0, 10, 4))
b <- rbind(c(1, 1, 5, 3), c(0, 0, 2, 4), c(8, 0, 9, 4))

test_that("overlaps are those worked out by hand", {
  skip_if_no_python()
  expect_equal(
    seg_box_iou(a, b), matrix(c(2 / 14, 0, 1, 0, 0, 0.5), 2, dimnames = list(rownames(a), NULL))
  )
  giou <- seg_box_iou(a, b, "giou")
  expect_equal(giou[["left", 1]], 2 / 14 - 6 / 20)
  expect_equal(giou[["right", 2]], -24 / 40)
  expect_equal(seg_box_iou(a, b, "diou")[["left", 1]], 2 / 14 - 4 / 41, tolerance = 1e-7)
  v <- 4 / pi^2 * (atan(2 / 4) - atan(4 / 2))^2
  expect_equal(seg_box_iou(a, b, "ciou")[["left", 1]], 2 / 14 - 4 / 41 - v^2 / (1 - 2 / 14 + v),
               tolerance = 1e-6)
  expect_equal(seg_box_iou(a), diag(2), ignore_attr = TRUE)
  expect_identical(dimnames(seg_box_iou(a)), list(rownames(a), rownames(a)))
})

test_that("instances, data frames and named columns give the same", {
  skip_if_no_python()
  masks <- array(FALSE, c(4, 10, 2))
  masks[, 1:2, 1] <- TRUE
  masks[, 9:10, 2] <- TRUE
  x <- seg_instances(masks, class = 1, classes = c(cell = 1))
  found <- seg_box_iou(x, b)
  expect_identical(rownames(found), c("1", "2"))
  expect_equal(found, seg_box_iou(a, b), ignore_attr = TRUE)
  frame <- data.frame(ymax = a[, 4], xmin = a[, 1], ymin = a[, 2], xmax = a[, 3], n = 1)
  expect_identical(seg_box_iou(frame, b), seg_box_iou(a, b))
  expect_null(dimnames(seg_box_iou(as.data.frame(b), b)))
  expect_identical(seg_box_iou(a[1, , drop = FALSE], b), seg_box_iou(a, b)[1, , drop = FALSE])
  expect_identical(dim(seg_box_iou(a[0, ], b)), c(0L, 3L))
  expect_identical(dim(seg_box_iou(x, x[0, ])), c(2L, 0L))
})

test_that("boxes without area have no overlap", {
  skip_if_no_python()
  flat <- rbind(c(1, 1, 1, 1), c(0, 0, 2, 0))
  for (type in c("iou", "giou", "diou", "ciou")) {
    expect_identical(seg_box_iou(flat, type = type), matrix(0, 2, 2))
    expect_true(all(is.finite(seg_box_iou(flat, a, type))))
  }
})

test_that("columns with other names are no corners", {
  error <- expect_error(seg_box_iou(data.frame(x = 1, y = 1, w = 3, h = 3)),
                        class = "maskr_error_argument")
  expect_match(conditionMessage(error), "x, y, w, and h")
  expect_match(conditionMessage(error), "x + w", fixed = TRUE)
  expect_error(seg_box_iou(a, cbind(x = 1, y = 1, w = 3, h = 3)), class = "maskr_error_argument")
})

test_that("wrong boxes are classed errors", {
  expect_snapshot(error = TRUE, {
    seg_box_iou(a, b[, 1:3])
    seg_box_iou("a.png")
    seg_box_iou(a, rbind(c(0, 0, 4, 4), c(5, 5, 2, 7)))
    seg_box_iou(a, type = "hull")
  })
  expect_error(seg_box_iou(a, b[, 1:3]), class = "maskr_error_argument")
  expect_error(seg_box_iou(rbind(c(0, 0, NA, 1))), class = "maskr_error_data")
  expect_error(seg_box_iou(rbind(c(0, 0, 1, Inf))), class = "maskr_error_data")
})
