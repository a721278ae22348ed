prob <- rbind(c(.9, .8, .1, 0), c(.7, .6, .2, .1), c(.1, .3, .1, 0), c(0, .1, 0, 0))
truth <- rbind(c(1, 1, 0, 0), c(1, 1, 1, 0), 0, 0)

test_that("the soft Dice loss of the worked example is 0.289", {
  skip_if_no_python()
  loss <- seg_loss("dice", smooth = 0)(truth, prob)
  expect_equal(loss, 1 - 2 * 3.2 / (4 + 5), tolerance = 1e-6)
  expect_equal(round(loss, 3), 0.289)
})

test_that("NA does not count, and a seg_mask's ids are translated", {
  skip_if_no_python()
  part <- truth
  part[3:4, ] <- NA
  expect_equal(seg_loss("dice", smooth = 0)(part, prob), 1 - 6.4 / (5 + 3.4), tolerance = 1e-6)
  mask <- seg_mask(matrix(as.integer(truth * 7), 4), classes = c(background = 0, nucleus = 7))
  expect_equal(seg_loss("bce")(mask, prob), seg_loss("bce")(truth, prob))
})

test_that("cross-entropy of several classes is minus the mean log probability", {
  skip_if_no_python()
  set.seed(1)
  p <- array(runif(2 * 3 * 4), c(2, 3, 4))
  p <- p / as.vector(rowSums(p, dims = 2))
  index <- matrix(c(0, 3, 1, 2, 2, 0), 2)
  picked <- p[cbind(c(row(index)), c(col(index)), c(index) + 1)]
  expect_equal(seg_loss("cross_entropy")(index, p), -mean(log(picked)), tolerance = 1e-6)
  w <- c(1, 2, 3, 4)
  expected <- -weighted.mean(log(picked), w[c(index) + 1])
  expect_equal(seg_loss("cross_entropy", class_weights = w)(index, p), expected, tolerance = 1e-6)
})

test_that("a loss is a plain object", {
  loss <- seg_loss("cross_entropy", class_weights = c(1, 2.5))
  expect_snapshot(loss)
  expect_snapshot(seg_loss("bce"))
  path <- withr::local_tempfile()
  saveRDS(loss, path)
  expect_equal(attributes(readRDS(path)), attributes(loss))
  expect_lt(file.size(path), 5000)
})

test_that("unknown names and arguments are errors", {
  expect_snapshot(error = TRUE, {
    seg_loss("hinge")
    seg_loss("bce", smooth = 1)
    seg_loss("dice", smoothing = 1)
    seg_loss("dice", 1)
    seg_loss("dice", smooth = -1)
    seg_loss("cross_entropy", class_weights = c(1, NA))
  })
  skip_if_no_python()
  expect_error(seg_loss("dice")(truth, prob[1:3, ]), class = "maskr_error_shape")
  expect_error(seg_loss("dice")(truth, prob + 1), class = "maskr_error_data")
})
