# A dataset of `n` images of which every fifth holds the class "rare".
mixed <- function(n = 20, ...) {
  images <- rep(list(matrix(0.5, 4, 6)), n)
  names(images) <- sprintf("p%d_s%d.png", (seq_len(n) - 1) %/% 4 + 1, (seq_len(n) - 1) %% 4 + 1)
  masks <- lapply(seq_len(n), \(i) matrix(c(0, if (i %% 5 == 0) 2 else 0, 1, 1), 4, 6))
  seg_dataset(images, masks, classes = c(background = 0, cell = 1, rare = 2), ...)
}

is_rare <- function(data) vapply(data$targets, \(mask) any(mask == 2), NA)

test_that("parts have their share of images and of each class", {
  skip_if_no_python()
  data <- mixed(20, sample_weights = 1:20)
  for (seed in 1:3) {
    set.seed(seed)
    parts <- seg_split(data, c(train = 0.5, valid = 0.25, test = 0.25))
    expect_named(parts, c("train", "valid", "test"))
    expect_equal(lengths(parts), c(train = 10L, valid = 5L, test = 5L))
    rare <- vapply(parts, \(part) sum(is_rare(part)), 1L)
    expect_equal(rare, c(train = 2L, valid = 1L, test = 1L))
    expect_setequal(unlist(lapply(parts, \(part) names(part$images))), names(data$images))
  }
  expect_s3_class(parts$valid, "seg_dataset")
  expect_equal(parts$valid$classes, data$classes)
  expect_equal(parts$valid$sample_weights, match(names(parts$valid$images), names(data$images)))
})

test_that("chance follows set.seed()", {
  skip_if_no_python()
  draw <- function(seed) {
    set.seed(seed)
    seg_split(30, c(a = 0.5, b = 0.5))
  }
  expect_identical(draw(1), draw(1))
  expect_false(identical(draw(1), draw(2)))
  expect_setequal(unlist(draw(1)), 1:30)
  expect_equal(lengths(draw(1)), c(a = 15L, b = 15L))
})

test_that("groups stay together, by value, by pattern, and by the dataset's own", {
  skip_if_no_python()
  set.seed(2)
  data <- mixed(20)
  patient <- sub("_.*", "", names(data$images))
  together <- function(parts) {
    in_part <- lapply(parts, \(part) unique(sub("_.*", "", names(part$images))))
    expect_length(unlist(in_part), 5)
    expect_equal(lengths(parts), c(train = 16L, valid = 4L))
  }
  together(seg_split(data, group = patient))
  together(seg_split(data, group = "^p[0-9]+"))
  together(seg_split(data, group = "^(p[0-9]+)_s[0-9]+[.]png$"))
  data$groups <- patient
  together(seg_split(data))
  expect_equal(unique(seg_split(data)$valid$groups), seg_split(data)$valid$groups[[1]],
               ignore_attr = TRUE)
})

test_that("paths are split too, evenly in whatever is given", {
  skip_if_no_python()
  paths <- file.path("x", sprintf("%02d.png", 1:20))
  scanner <- rep(c("a", "b"), c(16, 4))
  parts <- seg_split(paths, c(train = 0.75, valid = 0.25), stratify = scanner)
  expect_equal(lengths(parts), c(train = 15L, valid = 5L))
  expect_equal(sum(parts$valid %in% paths[17:20]), 1)
})

test_that("what can't be split is an error", {
  data <- mixed(4)
  expect_snapshot(error = TRUE, {
    seg_split("a.png")
    seg_split(data, c(0.8, 0.2))
    seg_split(data, c(train = 0.8, valid = 0.3))
    seg_split(data, group = c("a", "b"))
    seg_split(data, group = "^case")
    seg_split(data, group = "(")
    seg_split(data, group = rep("a", 4))
    seg_split(data, stratify = "scanner")
    seg_split(mean)
  })
})

test_that("images with rare classes are drawn more often", {
  skip_if_no_python()
  data <- seg_oversample(mixed(20), threshold = 0.8)
  expect_equal(data$sample_weights, ifelse(is_rare(data), 2, 1))
  again <- seg_oversample(mixed(20, sample_weights = rep(3, 20)), threshold = 0.8)
  expect_equal(again$sample_weights, 3 * data$sample_weights)
  expect_equal(seg_oversample(mixed(20))$sample_weights, rep(1, 20))
  expect_error(seg_oversample(mixed(20), threshold = 0), class = "maskr_error_argument")
  expect_error(seg_oversample("a.png"), class = "maskr_error_argument")
})
