# What R's own functions do with the handle of a model.

binary <- c(background = 0, nucleus = 1)

small_model <- function() {
  skip_if_no_python()
  seg_unet(1, binary, init_features = 2)
}

# What readRDS() gives back of a handle, in the session that saved it.
through_rds <- function(x) {
  path <- withr::local_tempfile(fileext = ".rds")
  saveRDS(x, path)
  readRDS(path)
}

test_that("arithmetic and indices of a model are refused in R's words", {
  model <- small_model()
  for (compute in list(
    \() model + 1, \() 1 + model, \() -model, \() model * 2, \() model > 1, \() !model,
    \() log(model), \() round(model), \() sum(model), \() range(model), \() model[1],
    \() model[[1]], \() model[1] <- 1, \() model[["spec"]] <- 1, \() mean(model),
    \() as.list(model), \() as.numeric(model), \() as.vector(model), \() as.data.frame(model),
    \() as.matrix(model), \() lapply(model, identity), \() unique(model)
  )) {
    expect_error(compute(), "not defined for a model.*predict", class = "maskr_error_argument")
  }
  expect_true(model == model)
  expect_false(model == small_model())
  expect_true(model != small_model())
  expect_identical(model$spec$in_channels, 1L)
})

test_that("a detector is refused alike", {
  skip_if_no_python("yolo")
  detector <- suppressMessages(seg_yolo("yolov8n-seg.yaml"))
  for (compute in list(
    \() detector + 1, \() log(detector), \() sum(detector), \() detector[[1]], \() mean(detector),
    \() detector[[1]] <- 1, \() as.list(detector), \() as.numeric(detector)
  )) {
    error <- expect_error(compute(), "not defined for a detector", class = "maskr_error_argument")
    expect_match(conditionMessage(error), "predict(detector, image)", fixed = TRUE)
    expect_no_match(conditionMessage(error), "type", fixed = TRUE)
  }
  expect_error(compile(detector), "fit\\(\\)", class = "maskr_error_argument")
  expect_error(predict(detector), "`x` is missing", class = "maskr_error_argument")
  expect_error(detector$nothing, "no attribute nothing", class = "maskr_error_argument")
  expect_error(plot(detector), "predict\\(detector, image\\)", class = "maskr_error_argument")
  expect_true(detector == detector)
  lost <- through_rds(detector)
  expect_error(lost$name, "seg_save", class = "maskr_error_session")
  expect_error(lost == detector, class = "maskr_error_session")
  expect_error(plot(lost), class = "maskr_error_session")
})

test_that("a name as a function is told, as.numeric() too", {
  model <- small_model()
  expect_error(as.numeric(model), "as.numeric()", fixed = TRUE)
  expect_error(model[[1]] <- 1, "[[<-", fixed = TRUE)
})

test_that("attributes that a model lacks are refused, and compile() named for the optimizer", {
  model <- small_model()
  expect_error(model$optimizer, "compile\\(\\)", class = "maskr_error_argument")
  expect_error(model$nothing, "no attribute nothing", class = "maskr_error_argument")
  expect_error(model$learning_rate <- 0.1, "no attribute learning_rate",
               class = "maskr_error_argument")
  compile(model, "sgd", learning_rate = 0.25)
  expect_equal(as.numeric(model$optimizer$learning_rate$numpy()), 0.25)
  model$trainable <- FALSE
  expect_false(model$trainable)
})

test_that("a model is called with tensors alone", {
  model <- small_model()
  image <- matrix(0, 32, 48)
  for (call in list(\() model(), \() model(image), \() model(x = list(image)))) {
    expect_error(call(), "predict\\(model, image\\)", class = "maskr_error_argument")
  }
  x <- reticulate::import("torch")$zeros(1L, 1L, 32L, 48L)
  expect_identical(dim(model(x)$detach()$numpy()), c(1L, 1L, 32L, 48L))
})

test_that("what readRDS() gives in the same session says that the model is lost", {
  model <- small_model()
  lost <- through_rds(model)
  scenes <- seg_example("nuclei", n = 2, size = c(32, 48), seed = 1)
  path <- withr::local_tempfile(fileext = ".keras")
  for (use in list(
    \() print(lost), \() summary(lost), \() plot(lost), \() lost$spec, \() lost == model,
    \() model == lost, \() lost + 1, \() lost[1], \() compile(lost), \() fit(lost, scenes),
    \() predict(lost, scenes$images), \() seg_save(lost, path), \() seg_clone(lost),
    \() seg_freeze(lost, "*"),
    \() seg_evaluate(lost, scenes), \() seg_lr_find(lost, scenes), \() seg_wrap(lost)
  )) {
    expect_error(use(), "saveRDS.*seg_save", class = "maskr_error_session")
  }
  expect_false(file.exists(path))
})

test_that("plot() draws the blocks of a network with what they give", {
  model <- small_model()
  withr::local_pdf(NULL)
  expect_invisible(blocks <- plot(model, size = c(48, 64)))
  expect_identical(blocks$name, c(
    paste0("encoder", 1:4), "bottleneck", paste0(c("upconv", "decoder"), rep(4:1, each = 2)), "conv"
  ))
  expect_identical(blocks$channels, c(2L, 4L, 8L, 16L, 32L, 16L, 16L, 8L, 8L, 4L, 4L, 2L, 2L, 1L))
  expect_identical(blocks$size[c(1, 2, 5, 6, 14)],
                   c("48 x 64", "24 x 32", "3 x 4", "6 x 8", "48 x 64"))
  expect_equal(sum(blocks$parameters), summary(model)$parameters)
  # sizes are rounded up to what the network takes
  expect_identical(plot(model, size = c(40, 50))$size[[1]], "48 x 64")
  expect_error(plot(model, size = c(8, 8, 8)), class = "maskr_error_shape")
  expect_error(plot(model, size = "large"), class = "maskr_error_argument")

  volumes <- plot(seg_unet3d(1, binary, init_features = 2), size = c(8, 16, 16))
  expect_identical(volumes$size[c(1, 4)], c("8 x 16 x 16", "1 x 2 x 2"))
})

test_that("networks of every family have blocks, at most 24 of them", {
  skip_if_no_python()
  withr::local_pdf(NULL)
  nn <- reticulate::import("torch")$nn
  built <- list(
    seg_unet(classes = binary, encoder = "mobilenet_v2"), seg_segformer(classes = binary),
    seg_wrap(nn$Sequential(nn$Conv2d(3L, 4L, 3L, padding = 1L), nn$ReLU(), nn$Conv2d(4L, 1L, 1L)))
  )
  blocks <- lapply(built, plot, size = c(64, 96))
  expect_true(all(vapply(blocks, nrow, 1L) <= 24))
  expect_identical(blocks[[3]]$channels, c(4L, 1L))
  for (one in blocks) expect_identical(utils::tail(one$channels, 1), 1L)
})

test_that("a network of one block is drawn, and one without parameters is refused", {
  skip_if_no_python()
  withr::local_pdf(NULL)
  nn <- reticulate::import("torch")$nn
  blocks <- plot(seg_wrap(nn$Conv2d(3L, 1L, 3L, padding = 1L), binary), size = c(5, 7))
  expect_identical(blocks[c("kind", "channels", "size")],
                   data.frame(kind = "Conv2d", channels = 1L, size = "5 x 7"))
  expect_error(plot(seg_wrap(nn$Sequential(nn$ReLU()), binary)), "no layer with parameters",
               class = "maskr_error_data")
})

test_that("autoplot() draws the same blocks by ggplot2, and refuses a detector", {
  skip_if_not_installed("ggplot2")
  withr::local_pdf(NULL)
  model <- small_model()
  picture <- ggplot2::autoplot(model, size = c(48, 64), main = "Mine")
  blocks <- plot(model, size = c(48, 64))
  expect_identical(picture$data[names(blocks)], blocks)
  expect_identical(picture$labels$title, "Mine")
  expect_silent(print(picture))
  expect_error(ggplot2::autoplot(model, sizes = 3), "Did you mean `size`",
               class = "maskr_error_argument")
  skip_if_no_python("yolo")
  detector <- suppressMessages(seg_yolo("yolov8n-seg.yaml"))
  expect_error(ggplot2::autoplot(detector), "no picture", class = "maskr_error_argument")
})
