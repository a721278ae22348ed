#' Published weights that maskr knows
#'
#' Lists weights that models can be built with by name, and whether their files are on this
#' machine. A file is looked for in the folder that the environment variable `MASKR_WEIGHTS` names,
#' among those that come with maskr (`"nuclei"`), then in the cache, and is downloaded into the
#' cache when a model first asks for it. What is downloaded is verified by its SHA-256 checksum
#' where one is published, and no file is opened in a way that could run code.
#'
#' The cache is `tools::R_user_dir("maskr", "cache")`, or the folder that the environment variable
#' `MASKR_CACHE` names. Without internet access, put the file into either folder by hand; the error
#' of the model that misses it gives address and checksum.
#'
#' Weights of encoders (`encoder_weights = "imagenet"`) are not listed: there are hundreds.
#'
#' @return A data frame with one row per file of weights:
#'   - `architecture`: the network that they are of, such as `"unet"` for [seg_unet()];
#'   - `name`: what its argument `weights` takes, such as `"brain-mri"`; where a network has
#'     several sizes, the same name stands for the file of each;
#'   - `file`: the name of its file;
#'   - `licence`: the SPDX identifier of the licence that its owner gives it. Mind it: maskr's own
#'     licence does not extend to weights;
#'   - `cached`: is the file on this machine (`TRUE` or `FALSE`)?
#'   - `path`: where, or `NA`.
#'
#'   It is a `maskr_error_missing` if Python cannot be started.
#' @references
#' Buda M, Saha A, Mazurowski MA (2019). Association of genomic subtypes of lower-grade gliomas
#' with shape features automatically extracted by a deep learning algorithm. *Computers in Biology
#' and Medicine* 109, 218-225. \doi{10.1016/j.compbiomed.2019.05.002} (`brain-mri`)
#' @concept models
#' @export
#' @examplesIf seg_available()
#' seg_weights()
seg_weights <- function() {
  columns <- py_call("weights", "table", as.list(weights_cache()))
  known <- as.data.frame(lapply(columns, unlist))
  known$path[!known$cached] <- NA
  known
}

# Folders of weights files, as `maskr/weights.py` takes them: the last is the cache, which receives
# downloads. Read here because Python sees environment variables as they were when it started.
weights_cache <- function() {
  cache <- Sys.getenv("MASKR_CACHE")
  if (!nzchar(cache)) cache <- tools::R_user_dir("maskr", "cache")
  folders <- c(Sys.getenv("MASKR_WEIGHTS"), system.file("weights", package = "maskr"), cache)
  path.expand(folders[nzchar(folders)])
}
