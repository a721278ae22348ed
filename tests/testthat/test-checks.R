test_that("good arguments come back in the type that Python needs", {
  expect_identical(check_whole(3), 3L)
  expect_null(check_whole(NULL, null = TRUE))
  expect_identical(check_number(2L), 2)
  expect_identical(check_choice(c("a", "b"), c("a", "b")), "a")
  expect_identical(check_choice("b", c("a", "b")), "b")
  expect_identical(check_size(5), c(5L, 5L))
  expect_identical(check_size(c(4, 6)), c(4L, 6L))
  expect_identical(check_classes(c(background = 0, cat = 7)), c(background = 0L, cat = 7L))
  path <- withr::local_tempfile(lines = "x", pattern = "with space ")
  expect_identical(check_paths(path), path)
})

test_that("bad arguments say what was given and what was expected", {
  size <- 2.5
  expect_snapshot(error = TRUE, {
    check_string(c("a", "b"))
    check_flag(NA)
    check_number("1", min = 0)
    check_whole(size, min = 1, max = 9)
    check_choice("c", c("a", "b"), arg = "type")
    check_size(c(0, 5), arg = "size")
    check_paths(3, arg = "x")
    check_classes(c(cat = 1, dog = 1))
    check_classes(c(cat = -1))
    check_classes(c(cat = 1), min = 2)
    check_paths(character(), arg = "x")
    check_paths(tempdir(), arg = "x")
    check_no_dots(tresh = 0.4)
    check_no_dots(learning_rate = 0.1, size = 3)
    check_no_dots(size = 3, "resnet34")
  }, transform = function(x) gsub(tempdir(), "<folder>", x, fixed = TRUE))
  expect_error(check_flag(3), class = "maskr_error_argument")
  expect_error(check_flag(3), class = "maskr_error")
  expect_error(check_paths("nothere.png"), class = "maskr_error_file")
})

test_that("an argument that is left out is named, with what it could be", {
  skip_if_no_python()
  model <- seg_unet(1, c(a = 0, b = 1), init_features = 2)
  calls <- list(
    name = \() seg_loss(), name = \() seg_schedule(), repo = \() seg_hub(), path = \() seg_load(),
    model = \() seg_save(), path = \() seg_save(model), module = \() seg_wrap(),
    model = \() seg_clone(), model = \() seg_evaluate(), model = \() seg_export(),
    layers = \() seg_freeze(model), classes = \() seg_instances(), folder = \() seg_checkpoint(),
    path = \() seg_read_mask(), root = \() seg_data_yolo(), model_fn = \() seg_cv()
  )
  loss <- seg_loss("dice")
  truth <- matrix(c(0, 1, 1, 0, 0, 1), 2)
  calls <- c(calls, list(
    truth = \() loss(), prob = \() loss(truth), x = \() predict(model), x = \() fit(model),
    dataset = \() seg_evaluate(model), x = \() seg_lr_find(model), x = \() seg_train_script(model),
    dataset = \() seg_cv(\() model), grid = \() seg_tune(\() model),
    prediction = \() seg_errors(truth)
  ))
  for (i in seq_along(calls)) {
    error <- expect_error(calls[[!!i]](), "is missing", class = "maskr_error_argument")
    expect_identical(error$arg, names(calls)[[i]])
  }
  expect_error(seg_loss(), "bce.*tversky")
  expect_error(seg_schedule(), "cosine.*plateau")
})

test_that("every function whose first argument is needed says so", {
  skip_if_no_python()
  exported <- grep("^(as_)?seg_", getNamespaceExports("maskr"), value = TRUE)
  for (name in exported) {
    verb <- getExportedValue("maskr", name)
    first <- utils::head(formals(args(verb)), 1)
    needed <- names(first) != "..." && identical(first[[1]], rlang::missing_arg())
    if (!isTRUE(needed)) next
    expect_error(verb(), class = "maskr_error", info = name)
  }
})

test_that("every verb with `verbose` refuses what is neither TRUE, FALSE nor NULL", {
  methods <- c("fit.seg_model", "fit.seg_detector", "predict.seg_model", "predict.seg_detector")
  exported <- grep("^(as_)?seg_", getNamespaceExports("maskr"), value = TRUE)
  verbs <- mget(c(exported, methods), asNamespace("maskr"))
  verbs <- Filter(\(verb) "verbose" %in% names(formals(args(verb))), verbs)
  expect_gt(length(verbs), 13)
  for (name in names(verbs)) {
    for (verbose in list("yes", 2, NA, c(TRUE, FALSE))) {
      error <- expect_error(verbs[[!!name]](verbose = verbose), class = "maskr_error_argument")
      expect_identical(error$arg, "verbose", info = name)
    }
  }
})

test_that("sizes that no image can have are refused where they are given", {
  scenes <- list(images = list(matrix(0, 4, 6)), masks = list(matrix(0L, 4, 6)),
                 classes = c(a = 0L, b = 1L))
  for (size in list(c(1e6, 1e6), c(65536, 32768), c(1e10, 1))) {
    expect_error(seg_dataset(scenes, size = !!size), "size.*image can hold",
                 class = "maskr_error_argument")
    expect_error(seg_example("nuclei", size = !!size), class = "maskr_error_argument")
    expect_error(seg_augment(random_crop = list(size = !!size)), class = "maskr_error_argument")
  }
  expect_identical(seg_dataset(scenes, size = c(46340, 46340))$size, c(46340L, 46340L))
  expect_error(seg_data_volume(tempdir(), patch = c(2000, 2000, 2000)), "image can hold",
               class = "maskr_error_argument")
  skip_if_no_python()
  model <- seg_unet(1, scenes$classes, init_features = 2)
  expect_error(summary(model, size = c(1e6, 1e6)), "image can hold",
               class = "maskr_error_argument")
  expect_error(seg_export(model, tempfile(fileext = ".pt2"), size = c(1e6, 1e6)),
               "image can hold", class = "maskr_error_argument")
})

test_that("things are described in a few words", {
  expect_identical(describe(NULL), "NULL")
  expect_identical(describe(2), "the number 2")
  expect_identical(describe("a"), "\"a\"")
  expect_identical(describe(c(1, 2)), "c(1, 2)")
  expect_identical(describe(c(8, 8, 8, 4, 2)), "c(8, 8, 8, 4, 2)")
  expect_identical(describe(letters), "a character vector of length 26")
  expect_identical(describe(matrix(1L, 2, 3)), "an array of type integer and size 2 x 3")
  expect_identical(describe(data.frame(x = 1:3)), "a data frame of 3 rows")
  expect_identical(describe(data.frame(x = 1)), "a data frame of 1 row")
  expect_identical(describe(print), "a function")
  expect_identical(describe(list(1)), "a list of length 1")
})

test_that("arguments by the names of other packages are answered with ours", {
  skip_if_no_python()
  scenes <- seg_example("nuclei", n = 2, size = c(32, 48), seed = 1)
  image <- scenes$images[[1]]
  model <- seg_unet(1, scenes$classes, init_features = 2)
  calls <- list(
    "Did you mean `x`" = \() predict(model, newdata = image),
    "Did you mean `x`" = \() fit(model, data = scenes),
    "Did you mean `dataset`" = \() seg_evaluate(model, newdata = scenes),
    "Did you mean `learning_rate`" = \() compile(model, lr = 0.1),
    "rate is set by `compile()`" = \() fit(model, scenes, lr = 0.1),
    "optimizer is set by `compile()`" = \() fit(model, scenes, optimizer = "sgd"),
    "Did you mean `class_weights`" = \() fit(model, scenes, class_weight = c(a = 1)),
    "seg_split(data)" = \() fit(model, scenes, validation_split = 0.2),
    "seg_split(data)" = \() fit(model, scenes, validation_data = 0.2),
    "`validation_data` must be a `seg_dataset()`" = \() fit(model, scenes, validation_data = "x"),
    "Here it is \"mask\"" = \() predict(model, image, type = "class"),
    "Here it is \"prob\"" = \() predict(model, image, type = "response")
  )
  for (i in seq_along(calls)) {
    expect_error(calls[[!!i]](), names(calls)[[i]], fixed = TRUE, class = "maskr_error_argument")
  }
  error <- expect_error(predict(model, image, type = "x"), class = "maskr_error_argument")
  expect_no_match(conditionMessage(error), "Here it is")
})
