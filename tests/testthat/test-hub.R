# Networks of PyTorch Hub repositories, and modules of the user's own.

# A hub repository in a folder: two convolutions with batch normalisation and dropout.
make_repo <- function(env = parent.frame()) {
  repo <- withr::local_tempdir(.local_envir = env)
  writeLines(con = file.path(repo, "hubconf.py"), c(
    "import torch",
    "from torch import nn",
    "def net(in_channels=3, out_channels=1, features=4, rate=0.5, widths=(4,), note=''):",
    "    assert all(type(n) is int for n in (in_channels, out_channels, features, *widths))",
    "    assert type(rate) is float",
    "    torch.manual_seed(features)",
    "    return nn.Sequential(nn.Conv2d(in_channels, features, 3, padding=1),",
    "        nn.BatchNorm2d(features), nn.ReLU(), nn.Dropout2d(rate),",
    "        nn.Conv2d(features, out_channels, 1))",
    "def pooled():",
    "    return nn.Sequential(net(rate=0.1), nn.MaxPool2d(4), nn.Upsample(scale_factor=4))"
  ))
  repo
}

# An image that is not square, so that confused axes show.
image <- function(channels = 3) {
  withr::with_seed(7, array(stats::runif(11 * 17 * channels), c(11, 17, channels)))
}

binary <- c(background = 0, cell = 7)

test_that("a repository's code runs with trust only, and the error says how", {
  skip_if_no_python()
  error <- expect_error(seg_hub("owner/name", "net"), class = "maskr_error_trust")
  text <- paste(cli::ansi_strip(conditionMessage(error)), collapse = "\n")
  expect_match(text, "runs the Python code in it", fixed = TRUE)
  expect_match(text, "`trust = TRUE`", fixed = TRUE)
  expect_match(text, 'repo = "owner/name:commit"', fixed = TRUE)
  expect_error(seg_hub(make_repo(), "net"), class = "maskr_error_trust")
})

test_that("whole numbers arrive as int, others and marked ones as float", {
  skip_if_no_python()
  model <- seg_hub(make_repo(), "net", 3, features = 6, rate = 0.25, widths = c(2, 3),
                   note = "a", classes = binary, trust = TRUE)
  expect_s3_class(model, "seg_model")
  expect_equal(model$spec$arguments$kwargs$features, 6L)
  # 3 x 6 x 9 + 6, twice 6, 6 + 1
  expect_equal(summary(model)$parameters, 187)

  expect_identical(as_python_argument(c(a = 2, b = 3)), c(a = 2L, b = 3L))
  expect_identical(as_python_argument(list(1, 1.5, list("x", 4))), list(1L, 1.5, list("x", 4L)))
  expect_identical(as_python_argument(1e10), 1e10)
  expect_identical(as_python_argument(Inf), Inf)
  expect_identical(as_python_argument(NULL), NULL)
  expect_error(
    seg_hub(make_repo(), "net", rate = 0, trust = TRUE), "AssertionError",
    class = "maskr_error_data"
  )
  expect_s3_class(
    seg_hub(make_repo(), "net", rate = reticulate::r_to_py(0), trust = TRUE), "seg_model"
  )
})

test_that("a hub model predicts what the bare module does", {
  skip_if_no_python()
  repo <- make_repo()
  model <- seg_hub(repo, "net", classes = binary, trust = TRUE)
  x <- image()
  prob <- predict(model, x, type = "prob", precision = "float32")
  expect_equal(dimnames(prob)[[3]], c("background", "cell"))

  torch <- reticulate::import("torch")
  bare <- torch$hub$load(repo, "net", source = "local")$eval()
  tensor <- torch$tensor(array(aperm(x, c(3, 1, 2)), c(1, 3, 11, 17)), dtype = torch$float32)
  expected <- bare(tensor)$sigmoid()$detach()$numpy()[1, 1, , ]
  expect_equal(prob[, , 2], expected, tolerance = 1e-5)
  mask <- predict(model, x, precision = "float32")
  expect_equal(unclass(as.matrix(mask)), ifelse(expected >= 0.5, 7L, 0L), ignore_attr = TRUE)
})

test_that("without classes there are logits and probabilities, but no masks", {
  skip_if_no_python()
  model <- seg_hub(make_repo(), "net", out_channels = 2, trust = TRUE)
  prob <- predict(model, image(), type = "prob", precision = "float32")
  logit <- predict(model, image(), type = "logit", precision = "float32")
  expect_equal(dim(prob), c(11, 17, 2))
  expect_equal(prob[, , 1] + prob[, , 2], matrix(1, 11, 17), tolerance = 1e-6)
  expect_equal(stats::plogis(logit[, , 2] - logit[, , 1]), prob[, , 2], tolerance = 1e-5)
  expect_error(predict(model, image()), class = "maskr_error_data")
})

test_that("a saved hub model needs trust again, and then predicts the same", {
  skip_if_no_python()
  model <- seg_hub(make_repo(), "net", classes = binary, trust = TRUE,
                   preprocess = seg_preprocess(mean = 0.5, std = 0.25))
  path <- withr::local_tempfile(fileext = ".keras")
  seg_save(model, path)
  expect_error(seg_load(path), class = "maskr_error_trust")
  again <- seg_load(path, trust = TRUE)
  expect_identical(
    predict(again, image(), type = "logit", precision = "float32"),
    predict(model, image(), type = "logit", precision = "float32")
  )
})

test_that("a hub model trains: statistics move, and the loss falls", {
  skip_if_no_python()
  set.seed(1)
  model <- seg_hub(make_repo(), "net", classes = c(background = 0, dark = 1), trust = TRUE)
  x <- lapply(1:4, \(i) array(stats::runif(12 * 16 * 3), c(12, 16, 3)))
  y <- lapply(x, \(image) 1L * (image[, , 1] < 0.5))
  before <- model$module$state_dict()[["1.running_mean"]]$tolist()
  compile(model, learning_rate = 0.05)
  history <- as.data.frame(fit(model, x, y, epochs = 8, batch_size = 2))
  loss <- history$value[history$metric == "loss"]
  expect_lt(loss[8], loss[1])
  expect_false(identical(model$module$state_dict()[["1.running_mean"]]$tolist(), before))
})

test_that("a wrapped module is the module itself, and reloads with a module only", {
  skip_if_no_python()
  nn <- reticulate::import("torch")$nn
  build <- function() nn$Sequential(nn$Conv2d(4L, 3L, 3L, padding = 1L), nn$BatchNorm2d(3L))
  model <- seg_wrap(build(), classes = c(sky = 0, road = 4, tree = 9))
  x <- image(4)
  mask <- predict(model, x)
  expect_equal(dim(mask), c(11, 17))
  expect_true(all(mask %in% c(0, 4, 9)))

  path <- withr::local_tempfile(fileext = ".keras")
  seg_save(model, path)
  expect_error(seg_load(path), "module = ", class = "maskr_error_weights")
  again <- seg_load(path, module = build())
  expect_identical(
    predict(again, x, type = "logit", precision = "float32"),
    predict(model, x, type = "logit", precision = "float32")
  )
})

test_that("wrong arguments are classed errors that name the argument", {
  skip_if_no_python()
  repo <- make_repo()
  expect_arg <- function(expr, class, arg) {
    expect_equal(expect_error(expr, class = paste0("maskr_error_", class))$arg, arg)
  }
  expect_arg(seg_hub("nowhere", "net", trust = TRUE), "file", "repo")
  expect_arg(seg_hub("./no-such-folder", "net", trust = TRUE), "file", "repo")
  expect_error(seg_hub("./no-such-folder", "net"), 'There is no folder "./no-such-folder"')
  expect_arg(seg_hub(1, "net"), "argument", "repo")
  expect_arg(seg_hub(repo, "none", trust = TRUE), "data", "entry")
  expect_arg(seg_hub(repo, c("a", "b"), trust = TRUE), "argument", "entry")
  expect_arg(seg_hub(repo, "net", bad = 1, trust = TRUE), "data", "...")
  expect_arg(seg_hub(repo, "net", trust = NA), "argument", "trust")
  expect_arg(seg_hub(repo, "net", activation = "tanh", trust = TRUE), "argument", "activation")
  expect_arg(seg_hub(repo, "net", preprocess = list(), trust = TRUE), "argument", "preprocess")
  expect_arg(seg_hub(repo, "net", multiple = 0, trust = TRUE), "argument", "multiple")
  expect_arg(seg_hub(repo, "net", classes = c(a = 0), trust = TRUE), "argument", "classes")
  expect_arg(
    seg_hub(repo, "net", classes = c(a = 0, b = 1, c = 2), trust = TRUE), "data", "classes"
  )
  expect_arg(seg_hub(repo, "pooled", trust = TRUE), "shape", "multiple")
  expect_s3_class(seg_hub(repo, "pooled", multiple = 4, trust = TRUE), "seg_model")
  expect_arg(seg_hub(withr::local_tempdir(), "net", trust = TRUE), "format", "repo")
  expect_arg(seg_wrap("unet"), "file", "module")
  expect_arg(seg_wrap(c("a.pt", "b.pt")), "argument", "module")
  expect_arg(seg_wrap(1), "argument", "module")
  expect_arg(seg_wrap(reticulate::r_to_py(list(1))), "data", "module")
})

# A TorchScript file: of `module`, or of one with two outputs (object numbers of nuclei and cells,
# and their sum), which works in place on a weight and views its input's memory, as published ones
# do.
make_script <- function(module = NULL, env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  writeLines(con = file.path(folder, "hubconf.py"), c(
    "import torch, warnings",
    "from typing import Tuple",
    "class Labels(torch.nn.Module):",
    "    def __init__(self):",
    "        super().__init__()",
    "        self.scale = torch.nn.Parameter(torch.tensor([3.0]))",
    "    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:",
    "        high = (x.view(x.shape[0], -1) > 0.5).view(x.shape)",
    "        self.scale[0:1].mul_(1.0)",
    "        labels = high[:, :2].float() * self.scale",
    "        return labels, labels.sum(1, keepdim=True)",
    "def write(path, module):",
    "    with warnings.catch_warnings():",
    "        warnings.simplefilter('ignore')",
    "        torch.jit.script(module or Labels()).save(path)",
    "        return torch.jit.load(path)"
  ))
  path <- file.path(folder, "labels.pt")
  code <- reticulate::import_from_path("hubconf", folder, delay_load = FALSE)
  list(path = path, module = code$write(path, module))
}

test_that("TorchScript gives its own output, whichever of several is chosen", {
  skip_if_no_python()
  script <- make_script()
  x <- image()
  error <- expect_error(seg_wrap(script$path), class = "maskr_error_trust")
  expect_equal(error$arg, "trust")
  error <- expect_error(seg_wrap(script$path, in_channels = 3, trust = TRUE),
                        "a tuple of 1", class = "maskr_error_data")
  expect_equal(error$arg, "output")
  for (module in list(script$path, script$module)) {
    model <- seg_wrap(module, in_channels = 3, output = 1, trust = TRUE)
    out <- predict(model, x, type = "logit")
    expect_equal(dim(out), c(11, 17, 2))
    expect_equal(out, ifelse(x[, , 1:2] > 0.5, 3, 0), ignore_attr = TRUE)
  }
  objects <- as_seg_instances(out[, , 1])
  expect_equal(sum(objects$area), sum(x[, , 1] > 0.5))
  total <- seg_wrap(script$path, in_channels = 3, output = 2, trust = TRUE)
  expect_equal(predict(total, x, type = "logit")[, , 1], out[, , 1] + out[, , 2])
  expect_error(seg_wrap(script$path, output = 3, in_channels = 3, trust = TRUE),
               "no output 3", class = "maskr_error_data")
  expect_error(seg_wrap(script$path, output = 0.5), class = "maskr_error_argument")
})

test_that("TorchScript saves, reloads, clones and evaluates, but neither trains nor is exported", {
  skip_if_no_python()
  torch <- reticulate::import("torch")
  torch$manual_seed(1L)
  folder <- withr::local_tempdir()
  net <- torch$nn$Sequential(torch$nn$Conv2d(3L, 4L, 3L, padding = 1L), torch$nn$Conv2d(4L, 1L, 1L))
  path <- make_script(net)$path
  model <- seg_wrap(path, classes = binary, trust = TRUE)
  x <- image()
  mask <- predict(model, x)
  expect_true(all(mask %in% binary))
  score <- seg_evaluate(model, list(images = list(x), masks = list(mask)))
  expect_equal(score$value[score$metric == "pixel_accuracy"], 1)
  expect_equal(summary(model)$parameters, 117)

  saved <- file.path(folder, "net.keras")
  seg_save(model, saved)
  expect_error(seg_load(saved, module = path), class = "maskr_error_trust")
  expect_identical(predict(seg_load(saved, module = path, trust = TRUE), x), mask)
  expect_identical(predict(seg_clone(model), x), mask)

  expect_error(fit(model, list(x), list(mask)), "can't be trained", class = "maskr_error_data")
  expect_error(compile(model), "can't be trained", class = "maskr_error_data")
  expect_error(seg_freeze(model, "*"), "can't be trained", class = "maskr_error_data")
  expect_error(seg_lr_find(model, list(x), list(mask)), "can't be trained",
               class = "maskr_error_data")
  expect_error(seg_export(model, file.path(folder, "net.onnx")), "can't be exported",
               class = "maskr_error_data")
})
