# What R adds to export: checks, what is said, and a file that runs elsewhere.

nuclei <- c(background = 0, nucleus = 7)

small <- function() {
  set.seed(1)
  seg_unet(in_channels = 1, classes = nuclei, init_features = 2,
           preprocess = seg_preprocess(per_image = "standardise"))
}

# Runs Python code in a process of its own; returns what it printed.
elsewhere <- function(..., arguments = character()) {
  script <- withr::local_tempfile(fileext = ".py", lines = c(...))
  system2(reticulate::py_exe(), c(shQuote(script), shQuote(arguments)), stdout = TRUE)
}

test_that("a file of ONNX gives predict()'s probabilities in a process without maskr", {
  skip_if_no_python("export")
  model <- small()
  folder <- withr::local_tempdir()
  path <- file.path(folder, "model.onnx")
  expect_message(done <- seg_export(model, path), "multiples of 16, from 32 x 32 pixels on") |>
    expect_message("Exporting to")
  expect_equal(done$dynamic, c("N", "H", "W"))
  expect_lt(done$difference, 1e-5)
  expect_equal(list.files(folder), "model.onnx")

  set.seed(2)
  image <- matrix(runif(48 * 80), 48, 80)
  pixels <- file.path(folder, "pixels")
  writeBin(as.numeric(t(image)), pixels, size = 4)
  out <- elsewhere(
    "import json, sys",
    "import numpy, onnxruntime",
    "x = numpy.fromfile(sys.argv[2], 'float32').reshape(1, 1, 48, 80)",
    "session = onnxruntime.InferenceSession(sys.argv[1])",
    "y = session.run(['probabilities'], {'image': x})[0]",
    "assert 'maskr' not in sys.modules and 'torch' not in sys.modules",
    "y[0, 0].tofile(sys.argv[2])",
    "about = json.loads(session.get_modelmeta().custom_metadata_map['maskr'])",
    "print(y.shape, about['classes'], about['multiple'])",
    arguments = c(path, pixels)
  )
  expect_equal(out, "(1, 1, 48, 80) {'background': 0, 'nucleus': 7} 16")
  found <- matrix(readBin(pixels, "numeric", 48 * 80, size = 4), 48, 80, byrow = TRUE)
  expected <- predict(model, image, type = "prob", precision = "float32")[, , "nucleus"]
  expect_equal(found, expected, tolerance = 1e-5, ignore_attr = TRUE)
})

test_that("a file for PyTorch takes one size where that is asked for", {
  skip_if_no_python()
  path <- withr::local_tempfile(fileext = ".pt2")
  expect_message(done <- seg_export(small(), path, size = c(32, 48)), "images of 32 x 48 pixels")
  expect_equal(done$dynamic, "N")
  expect_equal(done$least, c(32, 48))
  out <- elsewhere(
    "import json, sys, torch",
    "files = {'maskr.json': ''}",
    "program = torch.export.load(sys.argv[1], extra_files=files)",
    "y = program.module()(torch.rand(3, 1, 32, 48))",
    "print(tuple(y.shape), json.loads(files['maskr.json'])['dynamic'])",
    arguments = path
  )
  expect_equal(out, "(3, 1, 32, 48) ['N']")
})

test_that("bad arguments are errors that say how to mend them", {
  skip_if_no_python()
  model <- small()
  folder <- withr::local_tempdir()
  file <- file.path(folder, "model.onnx")
  expect_error(seg_export(model, file.path(folder, "model.pt")), class = "maskr_error_argument")
  expect_error(seg_export(model, "nowhere/model.pt2"), class = "maskr_error_file")
  expect_error(seg_export(model, file, size = 32), class = "maskr_error_argument")
  expect_error(seg_export(model, file, size = c(32.5, 48)), class = "maskr_error_argument")
  expect_error(seg_export(model, file, sizes = c(32, 48)), class = "maskr_error_argument")
  expect_error(seg_export("model", file), class = "maskr_error_argument")
  detector <- structure(list(), class = "seg_detector")
  expect_error(seg_export(detector, file), "is a detector", class = "maskr_error_argument")
  error <- expect_error(seg_export(model, sub("onnx$", "pt2", file), size = c(30, 48)),
                        class = "maskr_error_data")
  expect_match(conditionMessage(error), "multiples of 16")
  expect_equal(error$arg, "size")
  expect_equal(list.files(folder), character())
})
