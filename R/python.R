# The border to Python: what is required, how calls cross, and how errors come back.

#' Python packages that maskr needs
#'
#' The one list behind `py_require()`, [seg_install()], [seg_sitrep()] and the file
#' `python/requirements.txt` in the installed package.
#'
#' @param extras Names of optional groups to add: `"yolo"` (ultralytics, AGPL-3.0), `"volumes"`
#'   (NIfTI and DICOM files, and augmentation in 3D), `"tensorboard"` (for [seg_tensorboard()]),
#'   `"export"` (ONNX files, see [seg_export()]), `"raster"` (compressions of TIFF files beyond LZW,
#'   JPEG and Deflate, and those of many bands, by imagecodecs).
#' @return A character vector of pip requirements.
#' @concept setup
#' @export
#' @examples
#' seg_requirements()
#' seg_requirements("yolo")
seg_requirements <- function(extras = NULL) {
  unknown <- setdiff(extras, names(python_extras))
  if (length(unknown) > 0) {
    maskr_abort("argument", c(
      "{.arg extras} must be among {.val {names(python_extras)}}.",
      x = "It also holds {.val {unknown}}."
    ), arg = "extras")
  }
  c(python_core, unlist(python_extras[extras], use.names = FALSE))
}

# Ranges carry a comma: keras3 strips torch requirements that have none.
python_core <- c(
  "keras>=3.12,<4",
  "torch>=2.6,<3",
  "torchvision>=0.21,<1",
  "numpy>=2.0,<3",
  "scipy>=1.13,<2",
  "scikit-image>=0.25,<1",
  "segmentation-models-pytorch>=0.5,<1",
  "torchinfo>=1.8,<2",
  "faster-coco-eval>=1.7,<2",
  "opencv-python>=4.10,<6",
  "tifffile>=2024.8.30,<2028",
  "pillow>=11,<14",
  "safetensors>=0.5,<1",
  "orjson>=3.10,<4",
  "pyyaml>=6,<7",
  "defusedxml>=0.7,<1"
)
python_extras <- list(
  yolo = "ultralytics>=8.4.190,<9",
  tensorboard = "tensorboard>=2.17,<3",
  volumes = c("nibabel>=5.3,<6", "pydicom>=3,<4", "python-gdcm>=3.0.24,<4", "torchio>=0.20,<2"),
  export = c("onnx>=1.17,<2", "onnxscript>=0.5,<1", "onnxruntime>=1.20,<2"),
  raster = "imagecodecs>=2024.9.22,<2028"
)
# What tells that a group is installed; gdcm is needed by compressed DICOM files alone.
extra_modules <- list(yolo = "ultralytics", tensorboard = "tensorboard",
                      volumes = c("nibabel", "pydicom", "torchio"),
                      export = c("onnx", "onnxscript", "onnxruntime"), raster = "imagecodecs")

# What this session knows: loaded Python modules, and messages that are said once.
the <- new.env(parent = emptyenv())
the$modules <- list()
the$functions <- list()

declare_python <- function() {
  if (reticulate::py_available(initialize = FALSE)) protect_blas()
  reticulate::py_require(python_core)
  reticulate::register_class_filter(name_our_classes)
  # An environment that the user configured goes first; ours is only a preference.
  if (!nzchar(Sys.getenv("RETICULATE_PYTHON")) && dir.exists(own_virtualenv())) {
    reticulate::use_virtualenv(own_virtualenv(), required = FALSE)
  }
}

# Torch and OpenCV must be loaded with care (maskr/blas.py), whoever loads them: this is to run as
# soon as there is a Python. If it fails there, that is no business of those who started Python;
# maskr's own start says it.
protect_blas <- function() {
  tryCatch(python_file("blas")$protect(), error = function(e) NULL)
}

own_virtualenv <- function() file.path(reticulate::virtualenv_root(), "r-maskr")

# One stable S3 class in front of the Python class vector, before keras3's own.
name_our_classes <- function(classes) {
  if ("maskr.model.SegModel" %in% classes) return(c("seg_model", classes))
  if ("maskr.detectors.base.Detector" %in% classes) return(c("seg_detector", classes))
  classes
}

# Calls `fun` of the Python module `maskr.<module>`. Errors come back as `maskr_error_*`.
py_call <- function(module, fun, ..., .call = rlang::caller_env()) {
  f <- py_function(module, fun, call = .call)
  py_try(f(...), call = .call)
}

# Functions are kept: reticulate takes a tenth of a millisecond to make one of a module's.
py_function <- function(module, fun, call = rlang::caller_env()) {
  name <- paste(module, fun)
  if (is.null(the$functions[[name]])) {
    the$functions[[name]] <- py_module(module, call = call)[[fun]]
  }
  the$functions[[name]]
}

py_module <- function(module, call = rlang::caller_env()) {
  if (is.null(the$modules[[module]])) {
    start_python(call)
    the$modules[[module]] <- py_try(python_file(module), call = call)
  }
  the$modules[[module]]
}

python_file <- function(module) {
  path <- system.file("python", package = "maskr")
  reticulate::import_from_path(paste0("maskr.", module), path = path)
}

start_python <- function(call) {
  if (isTRUE(the$started)) return(invisible())
  if (r_torch_is_loaded()) {
    maskr_abort("backend", c(
      "R's {.pkg torch} package is loaded, and it cannot share a session with Python's torch.",
      i = "Restart R and use maskr without loading {.pkg torch}."
    ), call = call)
  }
  version <- tryCatch(
    running_version(),
    error = function(e) {
      maskr_abort("missing", c("Python could not be started.", i = how_to_mend),
                  call = call, parent = e)
    }
  )
  if (numeric_version(version) < "3.10") {
    maskr_abort("missing", c(
      "maskr needs Python 3.10 or newer; this session runs {version}.",
      i = "Run {.run maskr::seg_install()} once, then restart R."
    ), call = call)
  }
  found <- py_try(python_file("backend")$prepare(), call = call)
  the$started <- TRUE
  tell_backend(found$replaced)
  tell_slow(found$slow)
}

tell_backend <- function(replaced) {
  if (nzchar(replaced)) {
    cli::cli_inform(c(
      i = "maskr set {.envvar KERAS_BACKEND} from {.val {replaced}} to {.val torch} for this
           session."
    ))
  }
}

tell_slow <- function(packages) {
  if (length(packages) > 0) {
    cli::cli_inform(c(
      "!" = "Python's {.pkg {packages}} {?was/were} loaded before maskr, so R's BLAS computes
             {?its/their} matrix products: networks may run several times slower.",
      i = "Restart R, and call {.run library(maskr)} before anything uses Python."
    ))
  }
}

# The two facts about a session that tests replace.
r_torch_is_loaded <- function() isNamespaceLoaded("torch")
running_version <- function() reticulate::py_config()$version

# Evaluates `expr`, turning Python's errors into ours. An interrupt passes through untouched.
py_try <- function(expr, call = rlang::caller_env()) {
  tryCatch(expr, python.builtin.Exception = function(e) abort_from_python(e, call))
}

# By Python's class. The first that fits counts, and the base of all comes last.
python_error_kinds <- c(
  FileError = "file", ShapeError = "shape", DataError = "data", FormatError = "format",
  WeightsError = "weights", TrustError = "trust", DeviceError = "device", BackendError = "backend",
  MissingPackageError = "missing", MaskrError = "data"
)

abort_from_python <- function(error, call) {
  named <- paste0("maskr.errors.", names(python_error_kinds)) %in% class(error)
  if (any(named)) {
    text <- c(error$text, if (nzchar(error$hint)) c(i = error$hint))
    maskr_abort(python_error_kinds[named][[1]], verbatim(text),
                arg = if (nzchar(error$argument)) error$argument,
                call = call, python_error = error)
  }
  # reticulate's mark of an error that began in R: a callback of the user's
  if ("r_class" %in% names(error)) {
    maskr_abort("callback", c(
      "An R function that was called from Python stopped with an error:",
      x = verbatim(as.character(error$args[[1]]))
    ), call = call, python_error = error)
  }
  if ("python.builtin.ModuleNotFoundError" %in% class(error)) {
    package <- error$name
    maskr_abort("missing", c(
      "The Python package {.pkg {package}} is not installed in {.path {reticulate::py_exe()}}.",
      i = how_to_mend
    ), call = call, python_error = error)
  }
  if (grepl("libGL.so", conditionMessage(error), fixed = TRUE)) {
    maskr_abort("missing", c(
      "OpenCV needs the system library {.file libGL.so.1}, which this machine lacks.",
      i = "Install it; on Debian and Ubuntu: {.code apt-get install libgl1 libglib2.0-0}."
    ), call = call, python_error = error)
  }
  asked <- python_file("errors")$memory_asked(error)
  if (!is.null(asked)) {
    maskr_abort("device", c(
      "This does not fit into the memory of this machine.",
      x = if (nzchar(asked)) "At once, {asked} were asked for.",
      x = if (!nzchar(asked)) verbatim(conditionMessage(error)),
      i = "What helps is a smaller {.arg batch_size}, smaller images, such as by
           {.code seg_dataset(size = )}, or a smaller network."
    ), call = call, python_error = error)
  }
  # The one case in which Python's own words help: nobody foresaw it. (Python's condition itself
  # can't be the parent: rlang would look for its fields in the Python object.)
  maskr_abort("python", "Python stopped with an error that maskr did not foresee.",
              call = call, parent = simpleError(conditionMessage(error)), python_error = error)
}

# How a Python that lacks something is mended.
how_to_mend <- "Run {.run maskr::seg_install()} once, then restart R; {.run maskr::seg_sitrep()}
                says more."

# Text from elsewhere may hold braces, which cli would evaluate.
verbatim <- function(text) {
  text[] <- gsub("}", "}}", gsub("{", "{{", text, fixed = TRUE), fixed = TRUE)
  text
}

#' Is maskr's Python ready?
#'
#' Looks whether a Python with the packages that maskr needs can be started, and starts it if so.
#' Guards examples and tests; [seg_sitrep()] tells what is missing.
#'
#' @param extras Optional groups that must be there too, see [seg_requirements()].
#' @return `TRUE` or `FALSE`.
#' @concept setup
#' @export
#' @examples
#' seg_available()
seg_available <- function(extras = NULL) {
  modules <- c("keras", "torch", "torchvision", unlist(extra_modules[extras]))
  tryCatch({
    start_python(rlang::current_env())
    # asked for without being imported: ultralytics changes the process that imports it
    find <- reticulate::import("importlib.util")$find_spec
    all(vapply(modules, function(module) !is.null(find(module)), logical(1)))
  }, error = function(e) FALSE)
}
