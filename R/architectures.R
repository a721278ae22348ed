# Semantic architectures: what all of their builders share, and the table of them.

#' The semantic architectures of maskr
#'
#' Lists the networks that maskr builds by name: where each comes from, how large it is, and what
#' it costs. All figures are of the builder's default arguments with 3 channels in and 21 classes
#' out; nothing is computed, and Python is not started.
#'
#' Multiply-adds and seconds tell different things: wide convolutions on large feature maps run
#' near the speed of the processor, many narrow ones do not. Measure on your own machine before
#' you decide by seconds.
#'
#' @return A data frame of class `seg_architectures` with one row per architecture:
#'   - `name`: the function that builds it, such as `"seg_unet"`;
#'   - `family`: `"encoder-decoder"`, `"fully convolutional"`, `"pyramid"` or `"transformer"`;
#'   - `paper`, `url`: authors and year of the paper that introduced it, and where it is;
#'   - `parameters`: their number;
#'   - `multiply_adds`: of one image of 512 x 512 pixels, in billions (10^9). For [seg_unet3d()] of
#'     one volume of 64 x 64 x 64 voxels, which are as many;
#'   - `seconds_per_megapixel`: time of a forward pass in float32 over 2^20 pixels (voxels),
#'     measured on images of 512 x 512 on two cores of an AMD EPYC processor of 2022 (with AVX-512)
#'     by PyTorch without compilation;
#'   - `encoders`: examples of the encoders that it takes, the default first ([seg_unet()] has
#'     none by default); `""` where it has only its own;
#'   - `weights`: names of published weights for its argument `weights`, see [seg_weights()];
#'   - `licence`: the licences of these, in their order.
#' @seealso [seg_weights()] for weights and where they are.
#' @concept architectures
#' @export
#' @examples
#' networks <- seg_architectures()
#' networks
#' networks$name[networks$parameters < 5e6]
seg_architectures <- function() {
  path <- system.file("extdata", "architectures.csv", package = "maskr", mustWork = TRUE)
  table <- utils::read.csv(path, encoding = "UTF-8", colClasses = architecture_columns,
                           na.strings = character())
  structure(table, class = c("seg_architectures", "data.frame"))
}

architecture_columns <- c(
  name = "character", family = "character", paper = "character", url = "character",
  parameters = "numeric", multiply_adds = "numeric", seconds_per_megapixel = "numeric",
  encoders = "character", weights = "character", licence = "character"
)

#' @export
format.seg_architectures <- function(x, ...) {
  if (!all(names(architecture_columns) %in% names(x))) return(format(as.data.frame(x), ...))
  width <- max(nchar(x$name) + 2, nchar(x$family), 0)
  row <- function(first, ...) paste0(formatC(first, width = -width), ...)
  right <- function(text) formatC(text, width = 10)
  cells <- row(
    paste0("  ", x$name, recycle0 = TRUE),
    " ", right(sprintf("%.1f M", x$parameters / 1e6)), right(sprintf("%.1f G", x$multiply_adds)),
    right(sprintf("%.1f s", x$seconds_per_megapixel)), "  ", short_paper(x$paper),
    recycle0 = TRUE
  )
  head <- function(family) row(family, " parameters", right("mult-adds"), right("Mpixel"))
  families <- split(cells, factor(x$family, unique(x$family)))
  c(
    paste0("<seg_architectures> ", nrow(x), if (nrow(x) == 1) " network" else " networks"),
    unlist(lapply(names(families), \(family) c(head(family), families[[family]]))),
    if (nrow(x) > 0) "Multiply-adds at 512 x 512; CPU time of a megapixel; see ?seg_architectures."
  )
}

#' @export
print.seg_architectures <- function(x, ...) {
  if (all(names(architecture_columns) %in% names(x))) {
    writeLines(format(x))
  } else {
    print(as.data.frame(x), ...)
  }
  invisible(x)
}

#' @export
as.data.frame.seg_architectures <- function(x, ...) {
  class(x) <- "data.frame"
  x
}

# "Xiao, Liu, Zhou, Jiang & Sun (2018)" becomes "Xiao et al. 2018".
short_paper <- function(paper) {
  year <- sub(".*\\((\\d+)\\)$", "\\1", paper)
  authors <- sub(" \\(\\d+\\)$", "", paper)
  several <- grepl("&", authors, fixed = TRUE)
  authors[several] <- paste(sub("[ ,].*", "", authors[several]), "et al.", recycle0 = TRUE)
  paste(authors, year, recycle0 = TRUE)
}

# Builds a registered architecture. `call` is the frame of the exported builder, whose formals
# `in_channels`, `classes`, ... are sent only where its user gave them: named weights decide the
# others.
build_model <- function(architecture, in_channels, classes, weights, arguments = list(),
                        encoder_weights = NULL, preprocess = NULL, call = rlang::caller_env()) {
  in_channels <- check_whole(in_channels, min = 1, call = call)
  weights <- check_string(weights, null = TRUE, call = call)
  encoder_weights <- check_string(encoder_weights, null = TRUE, call = call)
  built <- py_call(
    "builders", "r_build", architecture,
    in_channels = if (is_said("in_channels", call)) in_channels,
    classes = classes_for_python(classes, call = call),
    arguments = as_dict(arguments),
    weights_name = if (!is.null(weights)) path.expand(weights),
    encoder_weights = if (!is.null(encoder_weights)) path.expand(encoder_weights),
    preprocess = preprocess_for_python(check_preprocess(preprocess, null = TRUE, call = call)),
    cache = as.list(weights_cache()),
    seed = draw_seed(),
    .call = call
  )
  notes <- unlist(built$notes)
  if (length(notes) > 0) {
    cli::cli_inform(stats::setNames(verbatim(notes), rep("i", length(notes))),
                    class = "maskr_message_adapted")
  }
  built$model
}

# Of the arguments of the calling builder, named as there and checked: those that its user gave.
said <- function(...) {
  frame <- rlang::caller_env()
  names <- names(rlang::enexprs(...))
  given <- Filter(\(i) is_said(names[[i]], frame), seq_along(names))
  values <- stats::setNames(lapply(given, \(i) ...elt(i)), names[given])
  Filter(Negate(is.null), values)
}

is_said <- function(name, frame) !eval(call("missing", as.name(name)), frame)

# A vector of whole numbers, as a list so that one of them stays a list in Python.
check_wholes <- function(x, n, min = 1, null = FALSE, arg = rlang::caller_arg(x),
                         call = rlang::caller_env()) {
  if (null && is.null(x)) return(NULL)
  ok <- is_numbers(x) && length(x) == n && all(is.finite(x)) && all(x == round(x)) && all(x >= min)
  if (ok) return(as.list(as.integer(x)))
  maskr_abort("argument", c(
    "{.arg {arg}} must be {n} whole numbers of at least {min}{if (null) ', or NULL'}.",
    x = "You supplied {describe(x)}."
  ), arg = arg, call = call)
}

# One of a few whole numbers.
check_one_of <- function(x, choices, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (is_numbers(x) && length(x) == 1 && x %in% choices) return(as.integer(x))
  maskr_abort("argument", "{.arg {arg}} must be {.or {choices}}, not {describe(x)}.",
              arg = arg, call = call)
}

# Arguments that another one rules out: `given` tells of each whether it was given.
check_left_out <- function(given, hint, call = rlang::caller_env()) {
  wrong <- names(given)[given]
  if (length(wrong) == 0) return(invisible())
  maskr_abort("argument", c(
    "{.arg {wrong}} must be left out here.",
    i = hint
  ), arg = wrong[[1]], call = call)
}
