# The border to Python: loading, starting, errors on their way back, and S3 classes of handles.

# As if nothing had been asked of Python yet.
local_not_started <- function(env = parent.frame()) {
  old <- the$started
  withr::defer(the$started <- old, envir = env)
  the$started <- NULL
}

plain <- function(error) {
  gsub("\\s+", " ", paste(cli::ansi_strip(conditionMessage(error)), collapse = " "))
}

# --- Loading --------------------------------------------------------------------------------------

test_that("library(maskr) loads what it imports and nothing else, and starts no Python", {
  skip_on_cran()
  out <- fresh_r(c(
    "before <- loadedNamespaces()",
    "library(maskr)",
    "cat(setdiff(loadedNamespaces(), before))"
  ))
  imported <- c("cli", "generics", "rlang")
  expect_setequal(strsplit(out, " ")[[1]], c("maskr", imported))
  out <- fresh_r(c(
    "invisible(loadNamespace('reticulate'))", "library(maskr)",
    "cat(reticulate::py_available(initialize = FALSE))"
  ))
  expect_equal(out, "FALSE")
})

test_that("what maskr requires is declared whichever package is loaded first", {
  for (order in list(c("maskr", "reticulate"), c("reticulate", "maskr"))) {
    out <- fresh_r(c(
      sprintf("invisible(loadNamespace('%s'))", order),
      "cat(all(maskr::seg_requirements() %in% reticulate::py_require()$packages))"
    ))
    expect_equal(out, "TRUE")
  }
})

# --- Starting -------------------------------------------------------------------------------------

test_that("R's torch in the session is one clear error", {
  local_not_started()
  local_replaced(r_torch_is_loaded = function() TRUE)
  error <- expect_error(py_call("errors", "MaskrError", "a"), class = "maskr_error_backend")
  expect_match(plain(error), "R's torch package is loaded")
  expect_match(plain(error), "Restart R")
  expect_false(seg_available())
})

test_that("a Python that is too old is one clear error", {
  local_not_started()
  local_replaced(running_version = function() "3.9.18")
  error <- expect_error(py_call("errors", "MaskrError", "a"), class = "maskr_error_missing")
  expect_match(plain(error), "needs Python 3.10 or newer; this session runs 3.9.18")
  expect_match(plain(error), "seg_install()", fixed = TRUE)
  expect_false(seg_available())
})

test_that("a Python that cannot be started is one clear error, with the reason as parent", {
  local_not_started()
  local_replaced(running_version = function() stop("no Python at all"))
  error <- expect_error(py_call("errors", "MaskrError", "a"), class = "maskr_error_missing")
  expect_match(plain(error), "Python could not be started")
  expect_match(plain(error), "seg_sitrep()", fixed = TRUE)
  expect_equal(conditionMessage(error$parent), "no Python at all")
})

test_that("Keras on another backend is one clear error", {
  skip_if_no_python()
  out <- fresh_r(c(
    "reticulate::py_run_string('",
    "import sys, types",
    "keras = types.ModuleType(\"keras\")",
    "keras.config = types.SimpleNamespace(backend=lambda: \"tensorflow\")",
    "sys.modules[\"keras\"] = keras",
    "')",
    "tryCatch(maskr::seg_weights(), maskr_error_backend = function(e) cat(conditionMessage(e)))"
  ), env = paste0("RETICULATE_PYTHON=", reticulate::py_exe()))
  expect_match(out, "Keras already runs on the tensorflow backend")
  expect_match(out, "KERAS_BACKEND = \"torch\"")
})

test_that("another KERAS_BACKEND is replaced, and that is said once", {
  skip_if_no_python()
  out <- fresh_r(c(
    "for (i in 1:2) invisible(maskr::seg_weights())",
    "cat(reticulate::import('os')$environ['KERAS_BACKEND'])"
  ), env = c("KERAS_BACKEND=tensorflow", paste0("RETICULATE_PYTHON=", reticulate::py_exe())))
  expect_equal(lengths(regmatches(out, gregexpr("maskr set", out))), 1)
  expect_match(out, "from \"?tensorflow\"? to \"?torch\"?")
  expect_match(out, "torch$")
})

# --- R's BLAS and torch's -------------------------------------------------------------------------

# Which files answer the calls of sgemm_ inside torch and OpenCV, as the dynamic linker of glibc
# itself writes down when it is asked to.
answering <- function(code) {
  folder <- withr::local_tempdir()
  fresh_r(code, env = c("LD_DEBUG=bindings", paste0("LD_DEBUG_OUTPUT=", folder, "/log"),
                        paste0("RETICULATE_PYTHON=", reticulate::py_exe())))
  lines <- unlist(lapply(list.files(folder, full.names = TRUE), readLines, warn = FALSE))
  lines <- grep("symbol `sgemm_'", lines, value = TRUE, fixed = TRUE)
  pattern <- ".*binding file (\\S+) \\[.*\\] to (\\S+) \\[.*"
  from <- basename(sub(pattern, "\\1", lines))
  answers <- normalizePath(sub(pattern, "\\2", lines))
  split(answers, ifelse(from == "libtorch_cpu.so", "torch",
                        ifelse(grepl("opencv|cv2|openblas", from), "cv2", "others")))
}

skip_if_libraries_do_not_mix <- function() {
  skip_if_no_python()
  skip_on_cran()
  skip_if_not(nzchar(python_module("blas")$global_blas()), "R's BLAS is not global here")
}

test_that("torch and OpenCV use their own BLAS, whoever imports them once maskr is there", {
  skip_if_libraries_do_not_mix()
  of_r <- python_module("blas")$global_blas()
  by_the_user <- c("library(maskr)", "reticulate::import('torch')", "reticulate::import('cv2')")
  by_maskr <- c(
    "reticulate::py_run_string('Python = \"runs\"')",
    "model <- maskr::seg_unet(1, c(a = 0, b = 1), init_features = 2)"
  )
  for (code in list(by_the_user, by_maskr)) {
    answers <- answering(code)
    expect_gt(length(answers$torch), 0)
    expect_false(of_r %in% c(answers$torch, answers$cv2))
  }
})

test_that("a torch that was loaded before maskr is said once, with the cure", {
  skip_if_libraries_do_not_mix()
  blas <- python_module("blas")
  skip_if_not(blas$is_slow(blas$global_blas()), "R's BLAS is a fast one")
  python <- paste0("RETICULATE_PYTHON=", reticulate::py_exe())
  use <- "for (i in 1:2) invisible(maskr::seg_weights())"
  said <- fresh_r(c("invisible(reticulate::import('torch'))", use), env = python)
  said <- gsub("\\s+", " ", said)
  expect_equal(lengths(regmatches(said, gregexpr("was loaded before maskr", said))), 1)
  expect_match(said, "Restart R, and call `library(maskr)` before", fixed = TRUE)
  expect_equal(fresh_r(c("library(maskr)", "invisible(reticulate::import('torch'))", use),
                       env = python), "")
})

test_that("a Python that maskr can't use starts as it does without maskr", {
  local_replaced(python_file = function(module) stop("no Python for maskr"))
  expect_null(protect_blas())
})

# --- Errors ---------------------------------------------------------------------------------------

# Raises one of maskr's Python errors and returns the condition that R sees.
raised <- function(class, ...) {
  module <- python_module("errors")
  raise <- reticulate::py_eval("(lambda: [0]) and (lambda e: (_ for _ in ()).throw(e))")
  tryCatch(py_try(raise(module[[class]](...))), error = identity)
}

test_that("every error of maskr/errors.py has a class of its own in R", {
  module <- python_module("errors")
  classes <- names(module)
  defined <- grep("Error$", classes, value = TRUE)
  expect_setequal(names(python_error_kinds), defined)
  for (class in defined) {
    error <- raised(class, "What was {wrong}.", hint = "How to {mend} it.", argument = "x")
    kind <- paste0("maskr_error_", python_error_kinds[[class]])
    expect_s3_class(error, c(kind, "maskr_error"))
    expect_match(plain(error), "What was {wrong}. i How to {mend} it.", fixed = TRUE)
    expect_equal(error$arg, "x")
    expect_s3_class(error$python_error, paste0("maskr.errors.", class))
  }
})

test_that("an error without hint and argument has neither", {
  error <- raised("DataError", "Wrong.")
  expect_equal(plain(error), "Wrong.")
  expect_null(error$arg)
})

test_that("errors name the function that the user called", {
  skip_if_no_python()
  my_verb <- function() py_call("checkpoints", "read", "nowhere.pt")
  error <- expect_error(my_verb(), class = "maskr_error_file")
  expect_equal(error$call, quote(my_verb()))
})

run_python <- function(...) py_try(reticulate::py_run_string(paste(..., sep = "\n")))

test_that("a missing Python package is one clear error", {
  skip_if_no_python()
  error <- expect_error(run_python("import no_such_package"), class = "maskr_error_missing")
  expect_match(plain(error), "The Python package no_such_package is not installed in")
  expect_match(plain(error), "seg_install()", fixed = TRUE)
})

test_that("a missing libGL is one clear error that names the system package", {
  skip_if_no_python()
  error <- expect_error(
    run_python("raise ImportError('libGL.so.1: cannot open shared object file')"),
    class = "maskr_error_missing"
  )
  expect_match(plain(error), "OpenCV needs the system library")
  expect_match(plain(error), "apt-get install libgl1", fixed = TRUE)
})

test_that("errors that nobody foresaw keep Python's own words, braces and all", {
  skip_if_no_python()
  error <- expect_error(run_python("raise ValueError('odd {thing}')"), class = "maskr_error_python")
  expect_s3_class(error, "maskr_error")
  expect_match(conditionMessage(error$parent), "odd {thing}", fixed = TRUE)
  expect_s3_class(error$python_error, "python.builtin.ValueError")
  expect_match(plain(error), "did not foresee")
})

test_that("an interrupt in Python is an interrupt in R", {
  skip_if_no_python()
  caught <- tryCatch(run_python("raise KeyboardInterrupt"), interrupt = function(i) "interrupt")
  expect_equal(caught, "interrupt")
})

test_that("R errors in arguments are not taken for Python's", {
  skip_if_no_python()
  expect_error(py_call("weights", "verify", stop("mine")), "^mine$")
})

# --- Handles --------------------------------------------------------------------------------------

# The class vector of a subclass of keras.Model as reticulate gives it to keras3, which has methods
# for the second and later ones.
keras_classes <- c(
  "maskr.model.SegModel", "keras.src.models.model.Model",
  "keras.src.backend.torch.trainer.TorchTrainer",
  "keras.src.trainers.trainer.Trainer", "keras.src.layers.layer.Layer",
  "keras.src.backend.torch.layer.TorchLayer", "torch.nn.modules.module.Module",
  "keras.src.ops.operation.Operation", "keras.src.saving.keras_saveable.KerasSaveable",
  "python.builtin.object"
)

test_that("our models and detectors get one class in front, and others none", {
  expect_equal(name_our_classes(keras_classes), c("seg_model", keras_classes))
  detector <- c("maskr.detectors.yolo.Yolo", "maskr.detectors.base.Detector",
                "python.builtin.object")
  expect_equal(name_our_classes(detector), c("seg_detector", detector))
  expect_equal(name_our_classes(keras_classes[-1]), keras_classes[-1])
})

test_that("our methods go before keras3's", {
  verb <- function(x) UseMethod("verb")
  verb.seg_model <- function(x) c("maskr", NextMethod())
  verb.keras.src.models.model.Model <- function(x) "keras3"
  model <- structure(list(), class = name_our_classes(keras_classes))
  expect_equal(verb(model), c("maskr", "keras3"))
})

test_that("a model has the class vector that keras3 knows", {
  skip_if_no_python()
  model <- seg_unet(1, c(background = 0, cell = 1), init_features = 2)
  expect_equal(class(model)[1:2], c("seg_model", "maskr.model.SegModel"))
  expect_true(all(keras_classes %in% class(model)))
})

test_that("keras3, where it is installed, leaves our verbs alone", {
  skip_if_not_installed("keras3")
  skip_if_no_python()
  out <- fresh_r(c(
    "Sys.setenv(KERAS_BACKEND = 'torch')",
    "library(keras3); library(maskr)",
    "model <- seg_unet(1, c(background = 0, cell = 1), init_features = 2)",
    "model |> compile(learning_rate = 0.01)",
    "scenes <- seg_example('nuclei', n = 2, size = c(32, 48))",
    "history <- model |> fit(scenes, epochs = 1)",
    "cat(class(history)[1], class(predict(model, scenes$images[[1]]))[1])"
  ), env = paste0("RETICULATE_PYTHON=", reticulate::py_exe()))
  expect_match(out, "seg_history seg_mask$")
})

test_that("what does not fit into memory says so, whoever ran out of it", {
  skip_if_no_python()
  raised <- function(code) py_try(reticulate::py_run_string(code, local = TRUE))
  for (code in c(
    "raise MemoryError('no more')", "import numpy; numpy.empty((2**45,))",
    "raise RuntimeError(\"DefaultCPUAllocator: can't allocate memory: you tried\")"
  )) {
    expect_error(raised(!!code), "memory of this machine", class = "maskr_error_device")
  }
  words <- c(
    "1 MB" = "DefaultCPUAllocator: not enough memory: you tried to allocate 4090 bytes.",
    "21 GB" = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 8",
    "123 MB" = "(-4:Insufficient memory) Failed to allocate 123000000 bytes in function 'Alloc'"
  )
  for (asked in names(words)) {
    error <- expect_error(raised(paste0("raise RuntimeError(\"", words[[asked]], "\")")),
                          asked, fixed = TRUE, class = "maskr_error_device")
    expect_match(conditionMessage(error), "batch_size", fixed = TRUE)
    expect_no_match(conditionMessage(error), "tried|Tried|Failed")
  }
})

test_that("a network that asks for more than all memory says for how much", {
  skip_if_no_python()
  nn <- reticulate::import("torch")$nn
  grows <- nn$Sequential(nn$Conv2d(1L, 1L, 1L), nn$Upsample(scale_factor = 1e6))
  model <- seg_wrap(grows, c(background = 0, nucleus = 1))
  # 5e6 x 7e6 pixels of four bytes
  error <- expect_error(predict(model, matrix(0.5, 5, 7), precision = "float32"),
                        "1 image of 5 x 7 pixels, which asked for 140,000 GB",
                        class = "maskr_error_device")
  expect_match(conditionMessage(error), "batch_size", fixed = TRUE)
  expect_no_match(conditionMessage(error), "Allocator")
})

test_that("a file that is not there is one kind of error, whoever looks for it", {
  skip_if_no_python()
  withr::local_dir(withr::local_tempdir())
  classes <- c(background = 0, nucleus = 1)
  model <- seg_unet(1, classes, init_features = 2)
  mask <- seg_mask(matrix(0:1, 32, 48), classes)
  for (file in c("image.png", "gone.png")) seg_write_mask(mask, file)
  without_image <- seg_dataset("gone.png", "image.png", classes = classes)
  without_mask <- seg_dataset("image.png", "gone.png", classes = classes)
  unlink("gone.png")
  for (look in list(
    \() seg_read_image("no.png"), \() seg_read_mask("no.png"), \() seg_load("no.keras"),
    \() seg_load("no.safetensors"), \() seg_unet(weights = "no.pt"),
    \() seg_unet(weights = "no/no.pth"), \() seg_wrap("no.pt"),
    \() seg_hub("./no", "entry", trust = TRUE), \() seg_read_annotations("no.json"),
    \() predict(model, "no.png"), \() seg_metrics("no.png", "no.png"),
    \() fit(model, without_image, epochs = 1), \() fit(model, without_mask, epochs = 1),
    \() predict(model, without_image), \() seg_evaluate(model, without_mask),
    \() seg_class_weights(without_mask), \() seg_save(model, "no/model.keras"),
    \() seg_write_mask(mask, "no/mask.png"), \() seg_export(model, "no/model.pt2")
  )) {
    expect_error(look(), class = "maskr_error_file")
  }
  expect_error(seg_read_image("no.png"), "`path` names")
})

test_that("a detector's file that is not there is the same kind", {
  skip_if_no_python("yolo")
  for (name in c("./no.pt", "no/no.yaml", "no.safetensors")) {
    expect_error(seg_yolo(!!name), class = "maskr_error_file")
  }
})
