# Masks whose classes have other numbers or names: matched by name everywhere, or refused.

size <- c(12, 20)
truth_ids <- matrix(0, 12, 20)
truth_ids[2:5, 3:16] <- 1
straight <- c(background = 0, nucleus = 1)
turned <- c(background = 1, nucleus = 0)
mask <- seg_mask(truth_ids, straight)
# the same nucleus, in the other numbering
inverse <- seg_mask(1 - truth_ids, turned)
image <- truth_ids * 0.7 + 0.1

test_that("a dataset reads every mask by the names of its own classes", {
  skip_if_no_python()
  data <- seg_dataset(list(image, image), list(mask, inverse))
  expect_identical(data$classes, c(background = 0L, nucleus = 1L))
  expect_identical(bare(data[[1]]$mask), bare(data[[2]]$mask))
  reversed <- seg_dataset(list(image, image), list(inverse, mask))
  expect_identical(reversed$classes, c(background = 1L, nucleus = 0L))
  expect_identical(bare(reversed[[1]]$mask), bare(inverse))
  expect_identical(bare(reversed[[2]]$mask), bare(inverse))
  # explicit classes decide the numbers
  data <- seg_dataset(list(image), list(inverse), classes = c(nucleus = 5, background = 2))
  expect_identical(c(table(data[[1]]$mask)), c("2" = 184L, "5" = 56L))
})

test_that("training, validation and evaluation see the same truth in any numbering", {
  skip_if_no_python()
  run <- function(masks, valid) {
    set.seed(4)
    model <- seg_unet(in_channels = 1, classes = straight, init_features = 2)
    history <- fit(model, list(image, image * 0.8), masks, validation_data = list(list(image),
                   list(valid)), epochs = 1, batch_size = 2, verbose = FALSE, precision = "float32")
    list(history = history$value,
         scores = seg_evaluate(model, list(image, image), masks, precision = "float32")$value)
  }
  expected <- run(list(mask, mask), mask)
  expect_equal(run(list(mask, inverse), inverse), expected)
  expect_equal(run(list(inverse, mask), mask), expected)
})

test_that("classes are counted, weighed and dealt out by name", {
  skip_if_no_python()
  data <- seg_dataset(list(image, image), list(mask, inverse))
  same <- seg_dataset(list(image, image), list(mask, mask))
  expect_identical(seg_class_weights(data), seg_class_weights(same))
  expect_identical(attr(seg_check(d = data), "classes"),
                   attr(seg_check(d = same), "classes"))
  other <- seg_mask(truth_ids * 3, c(background = 0, rare = 3, nucleus = 1))
  weighed <- seg_oversample(seg_dataset(list(image, image, image), list(mask, inverse, other)), 0.5)
  expect_identical(weighed$sample_weights, c(1, 1, sqrt(0.5 / (1 / 3))))
})

test_that("cross-validation and tuning match classes by name", {
  skip_if_no_python()
  build <- function(n = 2) seg_unet(in_channels = 1, classes = straight, init_features = n)
  score <- function(masks) {
    set.seed(1)
    seg_cv(build, seg_dataset(list(image, image), masks), folds = 2:1, epochs = 1, verbose = FALSE,
           precision = "float32")$value
  }
  expect_equal(score(list(mask, inverse)), score(list(mask, mask)))
  tune <- function(masks) {
    set.seed(1)
    seg_tune(build, seg_dataset(list(image, image), masks), list(n = 2), folds = 2:1, epochs = 1,
             verbose = FALSE, precision = "float32")$value
  }
  expect_equal(tune(list(inverse, mask)), tune(list(mask, mask)))
})

test_that("an id of two names is refused, and so are bare ids beside two numberings", {
  skip_if_no_python()
  cell <- seg_mask(truth_ids, c(background = 0, cell = 1))
  sky <- seg_mask(truth_ids, c(sky = 0, nucleus = 1))
  model <- seg_unet(in_channels = 1, classes = straight, init_features = 2)
  images <- list(image, image)
  for (other in list(cell, sky)) {
    expect_error(seg_dataset(images, list(mask, other)), class = "maskr_error_data")
    expect_error(fit(model, images, list(mask, other)), class = "maskr_error_data")
    expect_error(seg_evaluate(model, images, list(mask, other)), class = "maskr_error_data")
    expect_error(seg_evaluate(model, list(image), list(other)), class = "maskr_error_data")
    expect_error(seg_dataset(list(image), list(other), classes = straight),
                 class = "maskr_error_data")
    expect_error(seg_metrics(mask, other), class = "maskr_error_data")
  }
  expect_error(fit(model, list(image), list(mask), validation_data = list(list(image), list(sky))),
               class = "maskr_error_data")
  expect_error(seg_dataset(list(image, image, image), list(mask, inverse, truth_ids)),
               class = "maskr_error_data")
  # where the user says what bare ids are, they are clear
  expect_silent(seg_dataset(list(image, image, image), list(mask, inverse, truth_ids), straight))
  expect_snapshot(error = TRUE, {
    seg_dataset(images, list(mask, cell))
    seg_dataset(list(image), list(sky), classes = straight)
    seg_dataset(list(image, image, image), list(mask, inverse, truth_ids))
    seg_metrics(mask, sky)
  })
})

test_that("objects whose classes have other ids are matched by name, or refused", {
  skip_if_no_python()
  one <- as_seg_instances(truth_ids, class = c(cell = 1))
  same <- as_seg_instances(truth_ids, class = c(cell = 7))
  other <- as_seg_instances(truth_ids, class = c(debris = 1))
  data <- seg_dataset(list(image, image), list(one, same), c(background = 0, cell = 2))
  expect_identical(bare(data[[1]]$mask), bare(data[[2]]$mask))
  expect_error(seg_dataset(list(image, image), list(one, other)), class = "maskr_error_data")
})

test_that("metrics match masks by the names of their classes, background too", {
  skip_if_no_python()
  expected <- seg_metrics(mask, mask)
  expect_equal(seg_metrics(mask, inverse), expected)
  expect_equal(seg_metrics(list(mask, inverse), list(inverse, mask))$value,
               seg_metrics(list(mask, mask), list(mask, mask))$value)
  expect_equal(seg_metrics(mask, inverse, classes = straight)$value, expected$value)
  # explicit classes may name anew what no name contradicts
  cell <- seg_mask(truth_ids, c(background = 0, cell = 1))
  expect_equal(seg_metrics(mask, cell, classes = c(background = 0, object = 1))$value,
               expected$value)
  crossed <- seg_mask(truth_ids, c(cell = 0, background = 1))
  expect_error(seg_metrics(mask, crossed, classes = straight), class = "maskr_error_data")
  expect_error(seg_metrics(list(mask, inverse), list(mask, truth_ids)), class = "maskr_error_data")
})

test_that("results of other names or numbers are not compared", {
  skip_if_no_python()
  a <- seg_metrics(mask, mask, per_image = TRUE)
  b <- seg_metrics(inverse, inverse, per_image = TRUE)
  expect_error(seg_compare(a = a, b = b), class = "maskr_error_data")
})

test_that("seg_check() finds ids that mean two things in two datasets", {
  skip_if_no_python()
  train <- seg_dataset(list(image), list(mask))
  valid <- seg_dataset(list(image * 0.5), list(seg_mask(truth_ids, c(background = 0, cell = 1))))
  found <- seg_check(train = train, valid = valid)
  wrong <- as.data.frame(found)[found$check == "class names", ]
  expect_identical(wrong$severity, "error")
  expect_identical(wrong$split, "valid")
  expect_match(wrong$message, "Class id 1 is \"cell\", and \"nucleus\" in train", fixed = TRUE)
  turned <- seg_dataset(list(image * 0.5), list(inverse))
  expect_false("class names" %in% seg_check(train = train, valid = turned)$check)
})

test_that("a detector's validation data are numbered as its training data", {
  skip_if_no_python()
  objects <- function(classes) {
    labels <- truth_ids
    labels[8:10, 4:9] <- 2
    list(seg_instances(list(labels == 1, labels == 2), class = c("cell", "dirt"),
                       classes = classes))
  }
  train <- detector_data(seg_dataset(list(image), objects(c(cell = 1, dirt = 2))))
  known <- named_ids(train$class_names, train$class_ids)
  valid <- detector_data(seg_dataset(list(image), objects(c(dirt = 1, cell = 2))), known)
  expect_identical(valid$instances, train$instances)
  annotated <- as_seg_annotations(list("a.png" = objects(c(dirt = 1, cell = 2))[[1]]))
  data <- seg_dataset(list("a.png" = image), annotated)
  expect_identical(detector_data(data, known)$annotations$objects$class,
                   array(1:2, dim = 2))
  other <- seg_dataset(list(image), objects(c(cell = 1, dirt = 2)))
  expect_error(detector_data(other, c(cell = 1L)),
               class = "maskr_error_data")
})

test_that("a class that the model lacks is refused by name where a pixel has it, else accepted", {
  skip_if_no_python()
  set.seed(8)
  model <- seg_unet(in_channels = 1, classes = straight, init_features = 2)
  more <- c(background = 3, cell = 9, nucleus = 0)
  unused <- seg_mask(ifelse(truth_ids == 1, 0, 3), more)
  expected <- seg_metrics(mask, predict(model, image))
  expect_equal(seg_metrics(unused, predict(model, image), straight)$value, expected$value)
  expect_equal(seg_evaluate(model, list(image), list(unused))$value, expected$value)
  fit(model, list(image), list(unused), epochs = 1, verbose = FALSE, class_weights = "median") |>
    expect_warning("cell", class = "maskr_warning_absent")
  used <- replace(unused, 7, 9L)
  refused <- \(expr) expect_error(expr, "lacks?: \"cell\"|of \"cell\"", class = "maskr_error_data")
  refused(seg_evaluate(model, list(image), list(used)))
  refused(fit(model, list(image), list(mask), validation_data = list(list(image), list(used)),
              epochs = 1, verbose = FALSE))
  # what files hold is only known once they are read
  file <- withr::local_tempfile(fileext = ".png")
  in_file <- \(mask) {
    seg_write_mask(mask, file)
    seg_dataset(list(image), list(file), classes = more)
  }
  expect_equal(seg_evaluate(model, in_file(unused))$value, expected$value)
  refused(seg_evaluate(model, in_file(used)))
})
