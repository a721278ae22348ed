# Pictures of many classes and of nothing.

test_that("every class has its name where there is room, else every so manieth", {
  withr::local_pdf(NULL, width = 7, height = 11)
  graphics::par(mai = c(0.7, 1, 0.2, 0.2))
  expect_equal(lines_shown(5), 1:5)
  expect_equal(lines_cex(5), 1)
  expect_equal(lines_shown(80), 1:80)
  expect_lt(lines_cex(80), 1)
  expect_gte(lines_cex(80), 0.6)
  # names of lines do not touch
  height <- graphics::strheight("M", units = "inches", cex = lines_cex(80))
  expect_lt(80 * height, graphics::par("pin")[[2]])
  shown <- lines_shown(1000)
  expect_equal(max(shown), 1000)
  expect_length(unique(diff(shown)), 1)
  expect_gte(lines_cex(1000), 0.6)
})

test_that("scores of objects without any value say so when they are drawn", {
  skip_if_no_python()
  none <- as_seg_instances(matrix(0L, 10, 12), class = c(cell = 1))
  scores <- seg_metrics(none, none, metrics = "coco")
  withr::local_pdf(NULL)
  expect_error(plot(scores), "no value that is defined", class = "maskr_error_data")
  expect_error(plot(scores, "confusion"), "no confusion matrix", class = "maskr_error_data")
})

test_that("the errors of many classes have one bar each", {
  skip_if_no_python()
  labels <- matrix(0L, 40, 60)
  for (i in 1:20) labels[2 * i - 1, 1:3] <- i
  many <- as_seg_instances(labels)
  many$class <- seq_len(nrow(many))
  many$label <- paste("class", many$class)
  attr(many, "classes") <- stats::setNames(many$class, many$label)
  scores <- seg_metrics(many, many[1:15, ], metrics = "bioimage")
  rows <- shown_scores(scores, "errors", NULL, "truth")$rows
  expect_equal(rows$count[rows$error == "missed"], 5)
  withr::local_pdf(NULL)
  expect_silent(plot(scores, "errors"))
})
