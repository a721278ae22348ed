#' Write a model that runs without maskr
#'
#' Writes a file that takes images and gives probabilities: preprocessing and activation are part of
#' its graph. Before it is put in its place it is run on a random image and compared with the model.
#'
#' The file's input is called `image`: float32 `[N, C, H, W]` (volumes `[N, C, D, H, W]`), in the
#' values as maskr reads them, which for integer files means divided by their type's maximum, so 0
#' to 1. Its output is called `probabilities`: float32 `[N, K, H, W]` of the classes in their order;
#' two classes share one channel, which is the second's. Unlike [predict()][predict.seg_model()]
#' the file does not pad: height and width are multiples of the network's `multiple`, and a message
#' says what else is free. As metadata the file holds JSON with the classes, the multiple, the least
#' size, and a description of input and output.
#'
#' Recording the graph takes seconds to minutes, the longest for transformers in ONNX: `size` makes
#' it faster.
#'
#' @param model A [`seg_model`][seg_model]; it stays as it is. Detectors cannot be exported.
#' @param path File to write. `".onnx"` is for ONNX Runtime and others (it takes
#'   `seg_install(extras = "export")`), `".pt2"` for PyTorch. Its folder must exist; an existing
#'   file is replaced.
#' @param size `c(height, width)` in pixels (volumes `c(depth, height, width)`), multiples of the
#'   network's `multiple`: the one size that the file takes. `NULL` is for every size, which a few
#'   networks don't allow; the error then says so.
#' @param ... Must be empty.
#' @return A list, invisibly: `path`; `difference`, the largest absolute difference in probability
#'   between the file and the model in float32 (where rounding turns a choice of the network, as in
#'   SegNet, in double precision); `dynamic`, the names of the dimensions that are free, among
#'   `"N"`, `"D"`, `"H"` and `"W"`; and `least`, the smallest size of images, or the only one.
#'
#'   No file is left where the network can't be exported or the difference is above 1e-4, both a
#'   `maskr_error_format`. Packages that are missing are a `maskr_error_missing`.
#' @references ONNX, <https://onnx.ai>. PyTorch's `torch.export`,
#'   <https://docs.pytorch.org/docs/stable/export.html>.
#' @concept models
#' @export
#' @examplesIf seg_available("export")
#' model <- seg_unet(weights = "nuclei")
#' path <- tempfile(fileext = ".onnx")
#' done <- seg_export(model, path)
#' done$difference
#'
#' # In Python, without maskr:
#' #   import json, numpy, onnxruntime
#' #   session = onnxruntime.InferenceSession("nuclei.onnx")
#' #   image = numpy.random.rand(1, 1, 128, 160).astype("float32")
#' #   nucleus = session.run(["probabilities"], {"image": image})[0][0, 0] > 0.5
#' #   json.loads(session.get_modelmeta().custom_metadata_map["maskr"])["classes"]
#'
#' # A file for PyTorch, in Python:
#' #   import json, torch
#' #   files = {"maskr.json": ""}
#' #   program = torch.export.load("nuclei.pt2", extra_files=files)
#' #   probabilities = program.module()(torch.rand(1, 1, 128, 160))
#' #   json.loads(files["maskr.json"])["classes"]
#' seg_export(model, tempfile(fileext = ".pt2"), size = c(128, 160))
seg_export <- function(model, path, size = NULL, ...) {
  check_no_dots(...)
  check_exportable(model)
  path <- check_export_path(path)
  size <- check_lengths(size)
  cli::cli_inform(c(i = "Exporting to {.file {basename(path)}}."))
  done <- py_call("export", "export", model, path, size = if (!is.null(size)) as.list(size))
  result <- list(path = path, difference = done$difference, dynamic = as.character(done$dynamic),
                 least = as.integer(unlist(done$least)))
  say_sizes(result, done$multiple)
  invisible(result)
}

check_exportable <- function(model, call = rlang::caller_env()) {
  if (missing(model)) abort_missing("model", call)
  if (inherits(model, "seg_detector")) {
    maskr_abort("argument", c(
      "{.arg model} is a detector, and only models such as {.fn seg_unet} makes can be exported.",
      i = "What a detector does after its network cannot be put into a graph."
    ), arg = "model", call = call)
  }
  check_model(model, arg = "model", call = call)
}

check_export_path <- function(path, call = rlang::caller_env()) {
  path <- check_new_path(path, call = call)
  if (grepl("[.](onnx|pt2)$", path, ignore.case = TRUE)) return(path)
  maskr_abort("argument", c(
    "{.arg path} must end in {.val .onnx} or {.val .pt2}, not {.path {basename(path)}}."
  ), arg = "path", call = call)
}

# Two or three lengths in pixels; how many, the network knows.
check_lengths <- function(size, call = rlang::caller_env()) {
  if (is.null(size)) return(NULL)
  ok <- is_numbers(size) && length(size) %in% 2:3 && all(is.finite(size)) && all(size >= 1) &&
    all(size == round(size))
  if (ok) return(as.integer(check_extent(size, "size", call)))
  maskr_abort("argument", c(
    "{.arg size} must be {.code c(height, width)} in whole pixels, or NULL.",
    x = "You supplied {describe(size)}."
  ), arg = "size", call = call)
}

say_sizes <- function(done, multiple) {
  number <- if ("N" %in% done$dynamic) "any number of images" else "one image at a time"
  least <- paste(done$least, collapse = " x ")
  sizes <- if (!"H" %in% done$dynamic) {
    "of {least} pixels"
  } else if (multiple > 1) {
    "whose sides are multiples of {multiple}, from {least} pixels on"
  } else {
    "of any size from {least} pixels on"
  }
  cli::cli_inform(c(i = paste0("{.file {basename(done$path)}} takes {number} ", sizes, ".")))
}
