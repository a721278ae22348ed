# Guards and material for tests.

# Skips where no Python with maskr's packages can be started.
skip_if_no_python <- function(extras = NULL) {
  testthat::skip_if_not(seg_available(extras), "maskr's Python environment is not there")
}

# A file of the shared test material; skips where it is missing.
shared_data <- function(path) {
  root <- Sys.getenv("MASKR_TEST_DATA")
  if (!nzchar(root)) root <- find_shared_data(getwd())
  file <- file.path(root, path)
  testthat::skip_if_not(nzchar(root) && file.exists(file), paste("No shared test data:", path))
  file
}

# `shared/data` beside the project's root, which is some folders above where tests run.
find_shared_data <- function(folder) {
  repeat {
    candidate <- file.path(folder, "shared", "data")
    if (dir.exists(candidate)) return(candidate)
    parent <- dirname(folder)
    if (parent == folder) return("")
    folder <- parent
  }
}

# The Python module `maskr.<name>`, for tests that compare values with numpy.
python_module <- function(name) {
  skip_if_no_python()
  py_module(name)
}

# Runs R code in a fresh process with the installed package; returns what it printed.
fresh_r <- function(code, env = character(), arguments = character()) {
  script <- withr::local_tempfile(fileext = ".R", lines = code)
  libraries <- c(checkout_library(), .libPaths())
  libraries <- paste0("R_LIBS=", paste(libraries, collapse = .Platform$path.sep))
  out <- suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"), c("--vanilla", arguments, shQuote(script)),
    stdout = TRUE, stderr = TRUE, env = c(libraries, env)
  ))
  paste(out, collapse = "\n")
}

# A library with the package of the checkout that devtools::test() or testthat::test_local() has
# loaded, made once; NULL where the installed package is tested.
checkout_library <- function() {
  if (!"pkgload" %in% loadedNamespaces() || !pkgload::is_dev_package("maskr")) return(NULL)
  library <- file.path(tempdir(), "checkout-library")
  if (!dir.exists(library)) {
    dir.create(library)
    utils::install.packages(pkgload::pkg_path(), library, repos = NULL, type = "source",
                            INSTALL_opts = "--no-docs", quiet = TRUE)
  }
  library
}

# Gives processes that are started as many threads as this one has: the last digits of sums depend
# on their number.
local_own_threads <- function(env = parent.frame()) {
  threads <- reticulate::import("torch")$get_num_threads()
  withr::local_envvar(OMP_NUM_THREADS = threads, .local_envir = env)
}

# For snapshots of errors that name the working directory.
hide_folder <- function(lines) gsub(getwd(), "<folder>", lines, fixed = TRUE)

# Replaces functions of the package until the calling test ends.
local_replaced <- function(..., env = parent.frame()) {
  for (name in ...names()) {
    old <- get(name, asNamespace("maskr"))
    withr::defer(utils::assignInNamespace(name, old, "maskr"), envir = env)
    utils::assignInNamespace(name, list(...)[[name]], "maskr")
  }
}

# A Keras callback that acts as Ctrl-C does, in the first batch.
interrupting <- function() {
  reticulate::py_run_string("
import keras
class Interrupting(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt
", local = TRUE)$Interrupting()
}

# A data frame that warns of columns which are not there, as tibbles do.
strict_frame <- function(x, env = parent.frame()) {
  dollar <- function(x, name) {
    if (!name %in% names(x)) warning("Unknown or uninitialised column: ", name)
    x[[name]]
  }
  registerS3method("$", "strict_frame", dollar, envir = asNamespace("base"))
  class(x) <- c("strict_frame", setdiff(class(x), "strict_frame"))
  x
}
