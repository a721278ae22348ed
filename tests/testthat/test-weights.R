# Weights that maskr knows, and the folders where it looks for them.

test_that("MASKR_WEIGHTS goes first, and the cache last", {
  withr::local_envvar(MASKR_CACHE = "/some/cache", MASKR_WEIGHTS = "")
  expect_equal(tail(weights_cache(), 1), "/some/cache")
  expect_false("" %in% weights_cache())
  withr::local_envvar(MASKR_WEIGHTS = "/my/weights")
  expect_equal(weights_cache()[c(1, length(weights_cache()))], c("/my/weights", "/some/cache"))
})

test_that("without MASKR_CACHE, the cache is R's own for the package", {
  withr::local_envvar(MASKR_CACHE = "", R_USER_CACHE_DIR = "/user/cache")
  expect_equal(tail(weights_cache(), 1), "/user/cache/R/maskr")
})

test_that("seg_weights() lists names, licences and what is here", {
  skip_if_no_python()
  cache <- withr::local_tempdir()
  withr::local_envvar(MASKR_CACHE = cache, MASKR_WEIGHTS = "")
  known <- seg_weights()
  expect_named(known, c("architecture", "name", "file", "licence", "cached", "path"))
  first <- c("nuclei", "brain-mri", "yolov8n-seg.pt")
  expect_equal(known$name[1:3], first)
  expect_equal(known$architecture[1:3], c("unet", "unet", "yolo"))
  expect_equal(known$licence[1:3], c("MIT", "MIT", "AGPL-3.0-only"))
  expect_equal(anyDuplicated(known$file), 0)
  expect_false(any(known$cached[-1]))
  expect_true(all(is.na(known$path[-1])))
  segformers <- known[known$architecture == "segformer", ]
  expect_equal(c(table(segformers$name)), c(ade20k = 6, cityscapes = 6))

  file.create(file.path(cache, "unet-e012d006.pt"))
  known <- seg_weights()
  expect_equal(known$name[known$cached], c("nuclei", "brain-mri"))
  expect_equal(basename(known$path[2]), "unet-e012d006.pt")
})

test_that("a folder that is named after Python has started is searched, too", {
  skip_if_no_python()
  own <- withr::local_tempdir()
  file.create(file.path(own, "yolov8n-seg.pt"))
  withr::local_envvar(MASKR_CACHE = withr::local_tempdir(), MASKR_WEIGHTS = own)
  known <- seg_weights()
  expect_true(known$cached[known$name == "yolov8n-seg.pt"])
})

test_that("weights that cannot be had are a maskr_error_weights that says what to do", {
  skip_if_no_python()
  cache <- withr::local_tempdir()
  error <- expect_error(
    py_call("weights", "locate", "a.pt", "http://127.0.0.1:9/a.pt", "0123abcd", cache),
    class = "maskr_error_weights"
  )
  text <- paste(cli::ansi_strip(conditionMessage(error)), collapse = "\n")
  for (part in c("a.pt", "could not be reached", "0123abcd", "MASKR_WEIGHTS")) {
    expect_match(text, part, fixed = TRUE)
  }
  expect_equal(error$arg, "weights")
  expect_length(list.files(cache), 0)
})

test_that("checkpoints and folders of other libraries are weights, and misfits are explained", {
  skip_if_no_python()
  torch <- reticulate::import("torch")
  smp <- reticulate::import("segmentation_models_pytorch")
  torch$manual_seed(1L)
  network <- smp$Unet("resnet18", encoder_weights = NULL, classes = 2L)$eval()
  folder <- withr::local_tempdir()
  network$save_pretrained(folder)
  classes <- c(background = 0, cell = 4)
  x <- withr::with_seed(2, array(stats::runif(32 * 64 * 3), c(32, 64, 3)))
  expected <- network(torch$tensor(aperm(x, c(3, 1, 2)), dtype = torch$float32)$unsqueeze(0L))
  expected <- expected$softmax(1L)$detach()$numpy()[1, 2, , ]

  model <- seg_unet(classes = classes, weights = folder)
  prob <- predict(model, x, type = "prob", precision = "float32")
  expect_equal(prob[, , 2], expected, tolerance = 1e-5, ignore_attr = TRUE)

  path <- file.path(folder, "last.ckpt")
  state <- network$state_dict()
  inside <- stats::setNames(lapply(names(state), \(name) state[[name]]),
                            paste0("model.", names(state)))
  torch$save(list(state_dict = inside, epoch = 3L), path)
  model <- seg_unet(classes = classes, weights = path, encoder = "resnet18")
  expect_equal(predict(model, x, type = "prob", precision = "float32"), prob)

  error <- expect_error(seg_unet(classes = classes, weights = path), class = "maskr_error_weights")
  text <- paste(cli::ansi_strip(conditionMessage(error)), collapse = "\n")
  for (part in c("segmentation-models-pytorch", "encoder.conv1.weight",
                 "encoder1.enc1conv1.weight", "`encoder = `")) {
    expect_match(text, part, fixed = TRUE)
  }
  expect_error(seg_unet(classes = classes, weights = withr::local_tempdir()), "holds no weights",
               class = "maskr_error_weights")
})
