classes <- c(background = 0, nucleus = 4)

# Bright squares of `n` images, `per` of each patient.
squares <- function(n = 12, per = 2, size = c(24, 32), ...) {
  set.seed(7)
  masks <- lapply(seq_len(n), \(i) {
    mask <- matrix(0, size[1], size[2])
    row <- sample(size[1] - 9, 1)
    col <- sample(size[2] - 9, 1)
    mask[row + 0:8, col + 0:9] <- 4
    mask
  })
  images <- lapply(masks, \(mask) mask / 5 + matrix(stats::runif(length(mask), 0, 0.1), size[1]))
  names(images) <- sprintf("p%d_%d.png", (seq_len(n) - 1) %/% per + 1, seq_len(n) %% per)
  seg_dataset(images, masks, classes, batch_size = 4, ...)
}

small <- function() {
  model <- seg_unet(1, classes, init_features = 2)
  compile(model, learning_rate = 0.01)
}

test_that("every image is held out once, and all pixels are counted", {
  skip_if_no_python()
  data <- squares(9)
  set.seed(1)
  result <- seg_cv(small, data, folds = 3, epochs = 1, precision = "float32")
  expect_s3_class(result, "seg_cv")
  expect_named(result, c("fold", "metric", "class", "value", "n"))
  expect_equal(as.vector(table(attr(result, "folds"))), c(3, 3, 3))
  expect_named(attr(result, "folds"), names(data$images))
  confusion <- attr(result, "confusion")
  expect_equal(dim(confusion), c(2, 2, 3))
  expect_equal(as.vector(rowSums(confusion)), c(9 * 24 * 32 - 9 * 90, 9 * 90))
  accuracy <- result$value[result$metric == "pixel_accuracy"]
  expect_equal(accuracy, as.vector(apply(confusion, 3, \(one) sum(diag(one)) / sum(one))))
})

test_that("the model of a fold is the one that fit() and seg_evaluate() give", {
  skip_if_no_python()
  data <- squares(6)
  folds <- c(1, 1, 2, 2, 2, 2)
  set.seed(3)
  result <- seg_cv(small, data, folds = folds, epochs = 2, precision = "float32")
  set.seed(3)
  model <- small()
  fit(model, data[folds != 1], epochs = 2, precision = "float32")
  alone <- seg_evaluate(model, data[folds == 1], precision = "float32")
  expect_equal(attr(result, "confusion")[, , 1], attr(alone, "confusion"))
  expect_equal(result$value[result$fold == 1], alone$value)
})

test_that("set.seed() makes it repeatable", {
  skip_if_no_python()
  data <- squares(6)
  run <- function(seed) {
    set.seed(seed)
    seg_cv(small, data, folds = 2, epochs = 1, precision = "float32", metrics = "iou")
  }
  first <- run(5)
  expect_identical(first, run(5))
  expect_false(identical(first, run(6)))
  expect_setequal(first$metric, "iou")
})

test_that("groups never straddle folds, nor the inner validation data", {
  skip_if_no_python()
  data <- squares(12)
  patient <- sub("_.*", "", names(data$images))
  seen <- list()
  local_replaced(
    train_once = function(model, train, valid, plan, progress) {
      seen[[length(seen) + 1]] <<- lapply(list(train, valid), \(part) names(part$images))
      list(model = model)
    }
  )
  set.seed(1)
  result <- seg_cv(small, data, folds = 3, group = "^p[0-9]+", valid = 0.3)
  expect_true(all(tapply(attr(result, "folds"), patient, \(fold) length(unique(fold))) == 1))
  expect_length(seen, 3)
  for (i in 1:3) {
    held <- names(data$images)[attr(result, "folds") == i]
    parts <- c(seen[[i]], list(held))
    expect_setequal(unlist(parts), names(data$images))
    patients <- lapply(parts, \(names) unique(sub("_.*", "", names)))
    expect_gte(length(patients[[2]]), 1)
    expect_false(anyDuplicated(unlist(patients)) > 0)
  }
})

test_that("the held-out fold is no validation data", {
  skip_if_no_python()
  validation <- list()
  local_replaced(
    train_once = function(model, train, valid, plan, progress) {
      validation[[length(validation) + 1]] <<- valid
      list(model = model)
    }
  )
  data <- squares(6)
  seg_cv(small, data, folds = 2, epochs = 1)
  expect_length(validation, 0)
  expect_error(seg_cv(small, data, validation_data = data), "valid = 0.1",
               class = "maskr_error_argument")
})

test_that("the summary is a t interval over folds, and pools all pixels", {
  skip_if_no_python()
  confusion <- list(matrix(c(80, 5, 10, 5), 2), matrix(c(60, 20, 0, 20), 2),
                    matrix(c(100, 0, 0, 0), 2))
  scores <- lapply(confusion, \(counts) {
    columns <- py_call("metrics.semantic", "table", matrix(as.integer(counts), 2), list(0L, 4L))
    new_seg_metrics(list(columns = columns, confusion = counts), c(background = 0L, nucleus = 4L))
  })
  result <- new_seg_cv(scores, c(1, 1, 2, 3), NULL, 0.9)
  rows <- summary(result)
  dice <- rows[rows$metric == "dice" & rows$label %in% "nucleus", ]
  values <- c(2 * 5 / (10 + 15), 2 * 20 / (40 + 20))
  expect_equal(dice$mean, mean(values))
  expect_equal(dice$sd, sd(values))
  half <- qt(0.95, 1) * sd(values) / sqrt(2)
  expect_equal(c(dice$lower, dice$upper),
               c(max(mean(values) - half, 0), min(mean(values) + half, 1)))
  expect_equal(dice$folds, 2)
  expect_equal(dice$pooled, 2 * 25 / (50 + 35))
  accuracy <- rows[rows$metric == "pixel_accuracy", ]
  t <- t.test(c(0.85, 0.8, 1), conf.level = 0.9)$conf.int
  expect_equal(c(accuracy$lower, accuracy$upper), c(t[1], min(t[2], 1)))
  expect_snapshot(print(result))
  expect_equal(as.data.frame(result)$label[7], c("background", "nucleus")[match(
    result$class[7], c(0, 4))])
})

test_that("plots are drawn", {
  skip_if_no_python()
  set.seed(1)
  result <- seg_cv(small, squares(6), folds = 2, epochs = 1)
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file)
  expect_identical(plot(result), result)
  plot(result, metric = "pixel_accuracy")
  grDevices::dev.off()
  expect_gt(file.size(file), 1000)
  expect_error(plot(result, metric = "hausdorff"), class = "maskr_error_argument")
  skip_if_not_installed("ggplot2")
  expect_s3_class(ggplot2::ggplot_build(ggplot2::autoplot(result))$plot, "ggplot")
})

test_that("an error names the fold and keeps its kind", {
  skip_if_no_python()
  calls <- 0
  broken <- function() {
    calls <<- calls + 1
    if (calls == 2) maskr_abort("data", "Nothing to learn here.", arg = "classes")
    small()
  }
  expect_error(seg_cv(broken, squares(6), folds = 3, epochs = 1), "Fold 2 of 3",
               class = "maskr_error_data")
  expect_error(seg_cv(\() stop("no {such} thing"), squares(6), folds = 2),
               class = "maskr_error_fold")
  expect_error(seg_cv(\() 7, squares(6), folds = 2), "model_fn", class = "maskr_error_argument")
})

test_that("wrong arguments are errors before anything is trained", {
  skip_if_no_python()
  data <- squares(6)
  never <- function() stop("was called")
  bad <- function(...) expect_error(seg_cv(never, data, ...), class = "maskr_error_argument")
  bad(folds = 1)
  bad(folds = c(1, 2))
  bad(folds = rep(1, 6))
  bad(level = 1)
  bad(valid = 1)
  bad(metrics = "hausdorff")
  expect_error(seg_cv(small(), data), "not\\s+a model", class = "maskr_error_argument")
  expect_error(seg_cv(never, data, folds = 7), class = "maskr_error_data")
  expect_error(seg_cv(never, data, folds = 4, group = "^p[0-9]+"), class = "maskr_error_data")
  expect_error(seg_cv(never, data, folds = c(1, 2, 1, 2, 1, 2), group = "^p[0-9]+"),
               "in several folds", class = "maskr_error_data")
})

test_that("a model that was trained before is refused", {
  skip_if_no_python()
  data <- squares(6)
  model <- small()
  error <- expect_error(seg_cv(\() model, data, folds = 2, epochs = 1), "Fold 2 of 2",
                        class = "maskr_error_same_model")
  expect_s3_class(error, "maskr_error_argument")
  expect_match(conditionMessage(error), "new model each time")
  expect_equal(as.character(error$call[[1]]), "seg_cv")
  untrained <- small()
  expect_s3_class(seg_cv(\() seg_clone(untrained), data, folds = 2, epochs = 1), "seg_cv")
})

test_that("what writes files is refused, since each fold would replace them", {
  skip_if_no_python()
  never <- function() stop("was called")
  bad <- function(text, ...) {
    expect_error(seg_cv(never, squares(4), folds = 2, ...), text, class = "maskr_error_argument")
  }
  bad("resume", resume = tempfile())
  bad("seg_csv_log", callbacks = list(seg_early_stopping("loss"), seg_csv_log(tempfile())))
  bad("seg_checkpoint", callbacks = seg_checkpoint(tempfile()))
  expect_error(plan_training(0, TRUE, list(callbacks = seg_early_stopping("loss"))), NA)
})

test_that("inner validation data are chosen as stratify says", {
  skip_if_no_python()
  asked <- list()
  original <- deal_out
  local_replaced(
    deal_out = function(x, prop, group, stratify, ...) {
      asked[[length(asked) + 1]] <<- stratify
      original(x, prop, group, stratify, ...)
    },
    train_once = function(model, train, valid, plan, progress) list(model = model)
  )
  scanner <- rep(c("a", "b"), 6)
  result <- seg_cv(small, squares(12), folds = 2, valid = 0.3, stratify = scanner)
  expect_equal(asked, list(scanner, scanner[attr(result, "folds") != 1],
                           scanner[attr(result, "folds") != 2]))
  asked <- list()
  seg_cv(small, squares(12), folds = 2, valid = 0.3, stratify = FALSE)
  expect_equal(asked, list(FALSE, FALSE, FALSE))
})

test_that("an interrupt ends the whole cross-validation", {
  skip_if_no_python()
  models <- 0
  counted <- function() {
    models <<- models + 1
    small()
  }
  end <- tryCatch(
    seg_cv(counted, squares(6), folds = 2, epochs = 2, callbacks = list(interrupting())),
    interrupt = \(i) "interrupted"
  )
  expect_equal(end, "interrupted")
  expect_equal(models, 1)
})

test_that("progress tells of every fold", {
  skip_if_no_python()
  withr::local_options(cli.dynamic = FALSE)
  said <- character()
  withCallingHandlers(
    seg_cv(small, squares(4), folds = 2, epochs = 1, verbose = TRUE),
    message = function(m) {
      said <<- c(said, conditionMessage(m))
      tryInvokeRestart("muffleMessage")
    }
  )
  expect_match(said, "^Fold 1/2: mean_iou [0-9.]+ \\(.* left\\)", all = FALSE)
  expect_match(said, "^Fold 2/2: mean_iou [0-9.]+\\s*$", all = FALSE)
})

test_that("progress goes with class weights that are counted in each fold", {
  skip_if_no_python()
  set.seed(1)
  scenes <- seg_example("nuclei", n = 3, size = c(32, 48), seed = 1)
  build <- \() seg_unet(1, scenes$classes, init_features = 2)
  said <- capture_messages(
    seg_cv(build, scenes, folds = 3, epochs = 1, class_weights = "median", verbose = TRUE)
  )
  expect_length(grep("^Fold \\d/3: mean_iou", said), 3)
})
