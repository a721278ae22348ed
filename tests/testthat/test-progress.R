# What people see while they wait. Tests are silent by themselves, so each verb is asked to speak.

# A clock that is 10 seconds later each time somebody looks at it.
local_slow_clock <- function(env = parent.frame()) {
  seconds <- 0
  local_replaced(now = function() seconds <<- seconds + 10, env = env)
}

# The lines that are said about epochs, folds and combinations, without the metrics.
said <- function(expr) {
  lines <- character()
  withCallingHandlers(expr, message = function(m) {
    # the others draw the bar
    if (inherits(m, "rlang_message")) lines <<- c(lines, conditionMessage(m))
    invokeRestart("muffleMessage")
  })
  expect_match(lines, "^(Epoch|Fold|Combination) \\d+/\\d+:?( [a-z_ ]+ [-0-9.e]+)+( \\(.*\\))?$")
  sub("^(\\w+ \\d+/\\d+).*?( \\(.*\\))?$", "\\1\\2", lines, perl = TRUE)
}

# The numbers that a bar over images is told, as a matrix of two columns: done, of all.
counted <- function(expr) {
  real <- counting_progress
  told <- NULL
  local_replaced(counting_progress = function(verbose, total, what, frame = rlang::caller_env()) {
    draw <- real(verbose, total, what, frame)
    if (is.null(draw)) return(NULL)
    function(done, all) {
      told <<- rbind(told, c(done, all))
      draw(done, all)
    }
  })
  suppressMessages(expr)
  told
}

shapes <- function(n = 4) seg_example("shapes", n = n, size = c(32, 48), seed = 1)

small <- function() seg_unet(classes = shapes()$classes, init_features = 2)

volumes <- function(env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  paths <- file.path(folder, c("a.tif", "b.tif"))
  mask <- seg_mask(array(rep(0:1, 12), c(2, 3, 4)), c(none = 0, cell = 1))
  lapply(paths, seg_write_mask, x = mask)
  paths
}

outlines <- function() {
  as_seg_annotations(stats::setNames(shapes()$instances, paste0(letters[1:4], ".png")))
}

# Each verb that shows progress, called on little data.
training <- list(
  fit.seg_model = function(verbose) fit(small(), shapes(), epochs = 3, verbose = verbose),
  fit.seg_detector = function(verbose) {
    detector <- suppressMessages(seg_yolo("yolov8n-seg.yaml"))
    fit(detector, shapes(), epochs = 3, size = 32, batch_size = 2, verbose = verbose)
  }
)
comparing <- list(
  seg_cv = function(verbose, ...) {
    seg_cv(small, shapes(), folds = 2, epochs = 2, ..., verbose = verbose)
  },
  seg_tune = function(verbose, ...) {
    seg_tune(function(init_features) seg_unet(classes = shapes()$classes, init_features = 2),
             shapes(), list(init_features = 2:3), folds = 2, epochs = 1, ..., verbose = verbose)
  }
)
counting <- list(
  predict.seg_model = function(verbose) {
    predict(small(), shapes(), batch_size = 1, verbose = verbose)
  },
  predict.seg_detector = function(verbose) {
    detector <- suppressMessages(seg_yolo("yolov8n-seg.yaml"))
    predict(detector, shapes()$images, size = 32, verbose = verbose)
  },
  seg_check = function(verbose) {
    data <- seg_dataset(shapes())
    seg_check(train = data[1:3], valid = data[4], verbose = verbose)
  },
  seg_class_weights = function(verbose) seg_class_weights(seg_dataset(shapes()), verbose = verbose),
  seg_oversample = function(verbose) seg_oversample(seg_dataset(shapes()), verbose = verbose),
  seg_split = function(verbose) {
    seg_split(seg_dataset(shapes()), c(a = 0.5, b = 0.5), stratify = TRUE, verbose = verbose)
  },
  seg_data_volume = function(verbose) {
    paths <- volumes()
    seg_data_volume(paths, targets = paths, classes = c(none = 0, cell = 1), empty = TRUE,
                    verbose = verbose)
  },
  seg_write_annotations = function(verbose) {
    seg_write_annotations(outlines(), withr::local_tempdir(), "labelme",
                          copy_images = FALSE, verbose = verbose)
  },
  seg_convert = function(verbose) {
    file <- withr::local_tempfile(fileext = ".json")
    seg_write_annotations(outlines(), file, "coco", verbose = FALSE)
    seg_convert(file, withr::local_tempdir(), "labelme", copy_images = FALSE, verbose = verbose)
  },
  seg_lr_find = function(verbose) {
    seg_lr_find(small(), shapes(), steps = 25, precision = "float32", verbose = verbose)
  },
  seg_train_script = function(verbose) {
    seg_train_script(small(), seg_dataset(shapes()), class_weights = "median", verbose = verbose,
                     path = file.path(withr::local_tempdir(), "train.py"))
  }
)

test_that("every verb that shows progress is tried here", {
  space <- asNamespace("maskr")
  verbs <- c(getNamespaceExports(space), space$.__NAMESPACE__.$S3methods[, 3])
  verbs <- Filter(\(name) "verbose" %in% names(formals(get(name, space))), unique(verbs))
  expect_setequal(c(names(training), names(comparing), names(counting)), verbs)
})

for (name in names(training)) {
  test_that(paste(name, "says each epoch, and how long the others will take"), {
    skip_if_no_python(if (name == "fit.seg_detector") "yolo")
    local_slow_clock()
    expect_identical(said(training[[name]](TRUE)),
                     c("Epoch 1/3 (20 s left)", "Epoch 2/3 (10 s left)", "Epoch 3/3"))
  })
}

test_that("a resumed training counts what it does itself", {
  skip_if_no_python()
  folder <- withr::local_tempdir()
  model <- small()
  train <- function(verbose) {
    fit(model, shapes(), epochs = 3, seed = 1, precision = "float32", resume = folder,
        verbose = verbose)
  }
  suppressMessages(train(inner_reporter(function(event) {
    if (event$event == "batch" && event$epoch == 2) rlang::interrupt()
  })))
  local_slow_clock()
  expect_identical(said(train(TRUE)), c("Epoch 2/3 (10 s left)", "Epoch 3/3"))
})

for (name in names(comparing)) {
  test_that(paste(name, "says each part, and how long the others will take"), {
    skip_if_no_python()
    what <- c(seg_cv = "Fold", seg_tune = "Combination")[[name]]
    for (weights in list(NULL, "median")) {
      local_slow_clock()
      lines <- said(comparing[[name]](TRUE, class_weights = weights))
      expect_identical(lines, paste(what, c("1/2 (10 s left)", "2/2")))
    }
  })
}

for (name in names(counting)) {
  test_that(paste(name, "counts as far as it says"), {
    skip_if_no_python(if (name == "predict.seg_detector") "yolo")
    n <- switch(name, seg_data_volume = 2, seg_lr_find = 25, 4)
    expect_equal(counted(counting[[name]](TRUE)), cbind(1:n, n), ignore_attr = TRUE)
    expect_null(counted(counting[[name]](FALSE)))
  })
}

test_that("`verbose` is TRUE, FALSE or NULL", {
  skip_if_no_python()
  for (verb in c(training["fit.seg_model"], comparing, counting[-2])) {
    expect_error(verb("yes"), "`verbose` must be", class = "maskr_error_argument")
  }
})

test_that("people see progress, documents and tests do not", {
  expect_null(progress_reporter())
  withr::local_envvar(TESTTHAT = "")
  expect_true(shows_progress(NULL))
  expect_false(shows_progress(FALSE))
  withr::local_options(knitr.in.progress = TRUE)
  expect_false(shows_progress(NULL))
})

test_that("a bar ends with the call that it belongs to, also by an error", {
  bars <- function() length(asNamespace("cli")$clienv$progress)
  before <- bars()
  verb <- function(fail) {
    report <- counting_progress(TRUE, 3, "Segmenting")
    report(1, 3)
    expect_identical(bars(), before + 1L)
    if (fail) stop("broken")
  }
  verb(FALSE)
  expect_identical(bars(), before)
  expect_error(verb(TRUE), "broken")
  expect_identical(bars(), before)
})

test_that("metrics are said as they are called, whatever braces they hold", {
  report <- progress_reporter(TRUE)
  report(list(event = "begin", epoch = 0, epochs = 1, batch = 0, batches = 2, metrics = list()))
  report(list(event = "batch", epoch = 1, epochs = 1, batch = 1, batches = 2, metrics = list()))
  event <- list(event = "epoch", epoch = 1, epochs = 1, batch = 2, batches = 2,
                metrics = list(loss = 0.51239, val_iou = 0.25, `iou {nucleus}` = NaN))
  expect_message(report(event), "Epoch 1/1 loss 0.5124 valid iou 0.25 iou {nucleus} NaN",
                 fixed = TRUE)
})

test_that("times are said in words of their size", {
  expect_identical(format_seconds(89.4), "89 s")
  expect_identical(format_seconds(600), "10 min")
  expect_identical(format_seconds(9000), "2.5 h")
})
