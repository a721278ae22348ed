# Splitting data into training, validation and so on, and drawing rare classes more often.

#' Split data into parts
#'
#' Deals out images by proportion, so that every part has its share of each class, and images that
#' belong together, such as the slices of one patient, stay together.
#'
#' Classes are spread by iterative stratification: the images with the rarest class are dealt out
#' first, each to the part that still lacks most of that class. For that each mask is read once.
#' Without groups, sizes are off by at most one image from `prop`; whole groups come as close as
#' they can. No part is left empty. What is drawn by chance follows `set.seed()`.
#'
#' @param x A [seg_dataset()], what [seg_example()] returns, a [seg_annotations], paths of images,
#'   or a number of images.
#' @param prop Named proportions of the parts, which add up to 1.
#' @param group What keeps images together: one value per image, or a regular expression whose
#'   match in an image's name is its group (of a pattern with brackets, what the first brackets
#'   match): `"^patient[0-9]+"`. For patients that are folders, `basename(dirname(paths))`. By
#'   default the groups that the dataset has itself, if any: the slices of a volume are one.
#' @param stratify Whether to spread the classes evenly, or one value per image, such as its
#'   scanner, to spread these instead. Paths and numbers have no classes.
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @return A list of the same kind as `x`, named like `prop`; for a number, lists of whole numbers.
#'   The images keep their order. Too few images or groups, or names without a match for `group`,
#'   are a `maskr_error_data`.
#' @references Sechidis, Tsoumakas & Vlahavas (2011) On the stratification of multi-label data,
#'   \doi{10.1007/978-3-642-23808-6_10}.
#' @seealso [seg_check()] finds images that are in several parts.
#' @concept data
#' @export
#' @examplesIf seg_available()
#' set.seed(1)
#' scenes <- seg_example("shapes", n = 10, size = c(48, 64))
#' parts <- seg_split(seg_dataset(scenes), c(train = 0.8, valid = 0.2))
#' parts$valid
#' slices <- c("p1_1.png", "p1_2.png", "p2_1.png", "p2_2.png", "p3_1.png", "p3_2.png")
#' seg_split(slices, c(train = 0.7, test = 0.3), group = "^p[0-9]+")
seg_split <- function(x, prop = c(train = 0.8, valid = 0.2), group = NULL, stratify = TRUE,
                      verbose = NULL) {
  check_verbose(verbose)
  if (missing(x)) abort_missing("x", rlang::current_env())
  if (is_scenes(x)) x <- seg_dataset(x)
  x <- plain_number(x)
  if (is_numbers(x)) x <- seq_len(check_whole(x, min = 1))
  prop <- check_proportions(prop)
  parts <- deal_out(x, prop, group, stratify, verbose, call = rlang::current_env())
  lapply(stats::setNames(seq_along(prop), names(prop)), \(part) x[which(parts == part)])
}

# The part, from 1, that each image of `x` falls to.
deal_out <- function(x, prop, group, stratify, verbose, call) {
  force(call)
  names <- sample_names(x, call)
  if (is.null(group) && inherits(x, "seg_dataset")) group <- x$groups
  groups <- check_groups(group, names, call)
  check_enough(prop, groups %||% names, grouped = !is.null(groups), call = call)
  strata <- check_strata(stratify, names, call)
  read <- is.null(strata) && isTRUE(stratify)
  if (read && inherits(x, "seg_annotations") && !is_label_images(x)) {
    strata <- unclass(table(factor(x$objects$image_id, x$images$id), x$objects$class)) > 0
    read <- FALSE
  }
  data <- if (read && !is.character(x) && !is_numbers(x)) counted_dataset(x)
  parts <- py_call(
    "datasets.split", "r_split", length(names), as.list(unname(prop)), draw_seed(),
    if (!is.null(groups)) as.list(match(groups, unique(groups)) - 1L),
    if (!is.null(strata)) matrix(strata, nrow = length(names)),
    if (!is.null(data)) truth_for_python(data),
    if (!is.null(data)) counting_progress(verbose, length(names), "Reading masks"),
    .call = call
  )
  as.integer(parts)
}

#' Draw images with rare classes more often
#'
#' Sets a dataset's `sample_weights` so that images with rare classes come up more often in
#' training: a class that the share f of the images holds asks for the factor
#' \eqn{\sqrt{t / f}}{sqrt(t / f)}, at least 1, and an image gets the largest factor of its classes.
#'
#' @param x A [seg_dataset()] or what [seg_example()] returns.
#' @param threshold The share of images t below which a class is rare, above 0, up to 1.
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @return The dataset with `sample_weights`, 1 for images without a rare class; weights that it had
#'   are multiplied. An epoch still has as many images as before, drawn with replacement.
#' @references Gupta, Dollar & Girshick (2019) LVIS: a dataset for large vocabulary instance
#'   segmentation, section 4.1, \url{https://arxiv.org/abs/1908.03195}.
#' @seealso [seg_class_weights()] weighs pixels in the loss instead.
#' @concept data
#' @export
#' @examplesIf seg_available()
#' images <- rep(list(matrix(0.5, 4, 4)), 10)
#' masks <- c(list(matrix(1, 4, 4)), rep(list(matrix(0, 4, 4)), 9))
#' data <- seg_dataset(images, masks, classes = c(background = 0, defect = 1))
#' seg_oversample(data, threshold = 0.4)$sample_weights
seg_oversample <- function(x, threshold = 0.2, verbose = NULL) {
  check_verbose(verbose)
  x <- counted_dataset(x)
  threshold <- check_number(threshold, min = .Machine$double.eps, max = 1)
  factors <- py_call(
    "datasets.statistics", "r_repeat_factors", truth_for_python(x), threshold,
    counting_progress(verbose, length(x), "Reading masks")
  )
  x$sample_weights <- as.double(factors) * (x$sample_weights %||% 1)
  x
}

# A dataset of whatever has targets to be counted.
counted_dataset <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  force(arg)
  if (missing(x)) abort_missing(arg, call, "For example, give a {.fn seg_dataset}.")
  if (inherits(x, "seg_dataset")) return(x)
  if (is_scenes(x) || inherits(x, "seg_annotations")) return(seg_dataset(x))
  maskr_abort("argument", "{.arg {arg}} must be a {.fn seg_dataset}, not {describe(x)}.",
              arg = arg, call = call)
}

# A dataset as it lies in its files, to be counted and checked.
truth_for_python <- function(x) {
  x$augment <- NULL
  dataset_for_python(x, x$classes)
}

sample_names <- function(x, call = rlang::caller_env()) {
  if (inherits(x, "seg_dataset")) return(names(x$images))
  if (inherits(x, "seg_annotations")) return(basename(x$images$file))
  if (is_numbers(x)) return(as.character(x))
  if (is.character(x) && length(x) > 0 && !anyNA(x)) return(basename(x))
  maskr_abort("argument", c(
    "{.arg x} must be a {.fn seg_dataset}, annotations, paths or a number of images.",
    x = "You supplied {describe(x)}."
  ), arg = "x", call = call)
}

check_proportions <- function(prop, call = rlang::caller_env()) {
  names <- rlang::names2(prop)
  ok <- is_numbers(prop) && length(prop) > 1 && all(is.finite(prop)) && all(prop > 0) &&
    abs(sum(prop) - 1) < 1e-6 && all(nzchar(names)) && !anyDuplicated(names)
  if (ok) return(prop / sum(prop))
  maskr_abort("argument", c(
    "{.arg prop} must be named numbers above 0 that add up to 1.",
    x = "You supplied {describe(prop)}.",
    i = "For example, write {.code prop = c(train = 0.7, valid = 0.15, test = 0.15)}."
  ), arg = "prop", call = call)
}

# NULL, or the group of each image.
check_groups <- function(group, names, call = rlang::caller_env()) {
  if (is.null(group)) return(NULL)
  group <- plain_number(group)
  if (is.character(group) && length(group) == 1 && length(names) > 1) {
    return(matched_groups(group, names, call))
  }
  if (is.atomic(group) && length(group) == length(names) && !anyNA(group)) {
    return(as.character(group))
  }
  maskr_abort("argument", c(
    "{.arg group} must be one value for each of the {length(names)} images, or a regular
     expression.",
    x = "You supplied {describe(group)}."
  ), arg = "group", call = call)
}

matched_groups <- function(pattern, names, call) {
  found <- tryCatch(
    regmatches(names, regexec(pattern, names, perl = TRUE)),
    error = \(e) NULL, warning = \(w) NULL
  )
  if (is.null(found)) {
    maskr_abort("argument", "{.arg group} is not a regular expression: {.val {pattern}}.",
                arg = "group", call = call)
  }
  unmatched <- names[lengths(found) == 0]
  if (length(unmatched) > 0) {
    maskr_abort("data", c(
      "{.arg group} matches nothing in the name of {length(unmatched)} of {length(names)} images.",
      x = "The first of them: {first_names(unmatched)}", i = "The expression is {.val {pattern}}."
    ), arg = "group", call = call)
  }
  vapply(found, \(match) match[[min(2, length(match))]], "")
}

# NULL where there are none, or a logical matrix [image, stratum].
check_strata <- function(stratify, names, call = rlang::caller_env()) {
  if (rlang::is_bool(stratify)) return(NULL)
  stratify <- plain_number(stratify)
  if (is.atomic(stratify) && length(stratify) == length(names) && !anyNA(stratify)) {
    return(outer(as.character(stratify), unique(as.character(stratify)), "=="))
  }
  maskr_abort("argument", c(
    "{.arg stratify} must be TRUE, FALSE, or one value for each of the {length(names)} images.",
    x = "You supplied {describe(stratify)}."
  ), arg = "stratify", call = call)
}

check_enough <- function(prop, units, grouped, call = rlang::caller_env()) {
  n <- length(unique(units))
  if (!grouped) n <- length(units)
  if (n >= length(prop)) return(invisible())
  maskr_abort("data", c(
    "{length(prop)} parts need at least as many {if (grouped) 'groups' else 'images'}, and there
     {cli::qty(n)}{?is/are} {n}."
  ), arg = if (grouped) "group" else "x", call = call)
}
