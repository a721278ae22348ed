# Results side by side.

#' Compare scores
#'
#' Puts results of [seg_metrics()] or [seg_evaluate()] side by side: a row for each score and class,
#' a column for each result. Of two results it also tells the difference, and how sure that is where
#' single images were kept.
#'
#' The interval of a difference comes from scoring both results on the same resampled images, 1000
#' times. What makes an image hard for both does so on both sides and drops out, so that it is much
#' narrower than the two results' own intervals would suggest. An interval that leaves out 0 is the
#' sign of a difference that other images of the kind would show as well.
#'
#' @param ... Two or more results, named as they are to be called:
#'   `seg_compare(unet = a, fcn = b)`. They are of one kind, of the same classes and the same images
#'   in the same order, and made with the same settings: `aggregate`, and for the scores that are
#'   compared `tolerance`, `width`, `thresholds` and `type`.
#' @param ci Intervals for the difference of two results? `TRUE` for 95 per cent, or a level such as
#'   `0.9`. They need results that kept their images, by `per_image = TRUE` or `ci = TRUE`; the
#'   print says so where they did not.
#' @return A data frame of class `seg_comparison` with the scores that every result has: `metric`,
#'   `class`, `n` (of the first result), a column for each result; for two results also `difference`
#'   (the second less the first), and with intervals `lower` and `upper`. Between two infinite
#'   distances the difference is `NA`. `as.data.frame()` adds the names of the classes as `label`.
#'
#'   Anything but named results is a `maskr_error_argument`; results of different kinds, classes,
#'   settings, images or truths are a `maskr_error_data`. Whether truths are the same is told by how
#'   many pixels, objects or segments of each class they hold.
#' @references Efron, B. and Tibshirani, R. J. (1993) An introduction to the bootstrap. Chapman and
#'   Hall. Chapters 8 and 13.
#' @seealso [plot.seg_comparison()]
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' truth <- seg_example("nuclei", n = 6, size = c(48, 64))$masks
#' shifted <- function(by) lapply(truth, \(mask) mask[, c((1 + by):64, 1:by)])
#' near <- seg_metrics(truth, shifted(1), per_image = TRUE)
#' far <- seg_metrics(truth, shifted(4), per_image = TRUE)
#' seg_compare(near = near, far = far)
seg_compare <- function(..., ci = TRUE) {
  results <- list(...)
  level <- check_ci(ci)
  check_results(results)
  check_comparable(results)
  frame <- side_by_side(results)
  check_settings(results, frame$metric)
  if (length(results) == 2) {
    frame$difference <- defined(frame[[names(results)[[2]]]] - frame[[names(results)[[1]]]])
    if (!is.null(level)) frame <- with_intervals(frame, results, level)
  }
  new_seg_comparison(frame, results, level)
}

# No checks.
new_seg_comparison <- function(frame, results, level) {
  first <- results[[1]]
  structure(
    frame,
    results = names(results), classes = attr(first, "classes"), kind = attr(first, "kind"),
    level = level,
    left_out = attr(frame, "left_out"),
    class = c("seg_comparison", "data.frame")
  )
}

check_results <- function(results, call = rlang::caller_env()) {
  hint <- c(i = "For example, write {.code seg_compare(unet = a, fcn = b)}.")
  names <- rlang::names2(results)
  if (length(results) < 2 || !all(nzchar(names)) || anyDuplicated(names)) {
    maskr_abort("argument", c("Two or more results are needed, each with a name of its own.", hint),
                arg = "...", call = call)
  }
  taken <- intersect(names, c("metric", "class", "label", "n", "difference", "lower", "upper"))
  if (length(taken) > 0) {
    maskr_abort("argument", "A result cannot be called {.val {taken[[1]]}}, as a column is.",
                arg = taken[[1]], call = call)
  }
  other <- which(!vapply(results, inherits, NA, "seg_metrics"))
  if (length(other) == 0) return(invisible())
  maskr_abort("argument", c(
    "{.arg {names[other[[1]]]}} must be a result of {.fn seg_metrics} or {.fn seg_evaluate}, not
     {describe(results[[other[[1]]]])}."
  ), arg = names[other[[1]]], call = call)
}

check_comparable <- function(results, call = rlang::caller_env()) {
  for (name in names(results)[-1]) {
    check_like_first(results[[1]], results[[name]], names(results)[[1]], name, call)
  }
}

check_like_first <- function(a, b, first, name, call) {
  if (attr(a, "kind") != attr(b, "kind")) {
    maskr_abort("data", c(
      "{.arg {first}} is of {kind_words[[attr(a, 'kind')]]}, {.arg {name}} of
       {kind_words[[attr(b, 'kind')]]}."
    ), arg = name, call = call)
  }
  if (!identical(attr(a, "classes"), attr(b, "classes"))) {
    maskr_abort("data", c(
      "{.arg {first}} and {.arg {name}} are of different classes.",
      x = "{.arg {first}}: {classes_words(attr(a, 'classes'))}.",
      x = "{.arg {name}}: {classes_words(attr(b, 'classes'))}.",
      i = "Give {.arg classes} to {.fn seg_metrics} for both."
    ), arg = name, call = call)
  }
  check_same_images(a, b, first, name, call)
  check_same_truth(a, b, first, name, call)
}

check_same_images <- function(a, b, first, name, call) {
  images <- lapply(list(a, b), attr, "images")
  numbers <- as.integer(c(attr(a, "n_images"), attr(b, "n_images")))
  named <- all(lengths(images) > 0)
  same <- if (named) identical(images[[1]], images[[2]]) else identical(numbers[1], numbers[2])
  if (same) return(invisible())
  only <- c(setdiff(images[[1]], images[[2]]), setdiff(images[[2]], images[[1]]))
  maskr_abort("data", c(
    "{.arg {first}} and {.arg {name}} are of different images, or have them in another order.",
    x = if (named && length(only) > 0) "In one of them only: {first_names(only)}.",
    x = if (!named) {
      "{.arg {first}} is of {numbers[[1]]} image{?s}, {.arg {name}} of {numbers[[2]]}."
    }
  ), arg = name, call = call)
}

# What the truths hold of each class tells whether they are the same: image by image where both
# kept them, else in sum.
check_same_truth <- function(a, b, first, name, call) {
  held <- lapply(list(a, b), attr, "support")
  if (any(vapply(held, is.null, NA))) return(invisible())
  if (nrow(held[[1]]) != nrow(held[[2]])) held <- lapply(held, \(one) t(colSums(one)))
  differ <- which(held[[1]] != held[[2]], arr.ind = TRUE)
  if (nrow(differ) == 0) return(invisible())
  at <- differ[order(differ[, 1]), , drop = FALSE][1, ]
  counts <- vapply(held, \(one) format(one[at[[1]], at[[2]]], big.mark = ","), "")
  unit <- c(masks = "pixels", objects = "objects", segments = "segments")[[attr(a, "kind")]]
  images <- attr(a, "images") %||% attr(b, "images") %||% seq_len(nrow(held[[1]]))
  where <- if (nrow(held[[1]]) == 1) "The truth" else paste("The truth of image", images[at[[1]]])
  maskr_abort("data", c(
    "{.arg {first}} and {.arg {name}} have different truths.",
    x = "{where} holds {counts[[1]]} {unit} of class {names(attr(a, 'classes'))[[at[[2]]]]} in
         {.arg {first}} and {counts[[2]]} in {.arg {name}}.",
    i = "Score both against the same truth, its images in the same order."
  ), arg = name, call = call)
}

# Results must have been made alike, as far as that decides the scores of these metrics.
check_settings <- function(results, metrics, call = rlang::caller_env()) {
  kind <- attr(results[[1]], "kind")
  settings <- lapply(results, \(one) {
    settings <- attr(one, "settings")
    of_families <- settings$families[families_of(metrics, kind)]
    c(settings["aggregate"], unlist(unname(of_families), recursive = FALSE))
  })
  for (name in names(results)[-1]) {
    first <- settings[[1]]
    other <- settings[[name]]
    shared <- intersect(names(first), names(other))
    differ <- Filter(\(one) !identical(first[[one]], other[[one]]), shared)
    if (length(differ) == 0) next
    setting <- differ[[1]]
    maskr_abort("data", c(
      "{.arg {names(results)[[1]]}} and {.arg {name}} were made with different settings, which
       decide their scores.",
      x = "{.arg {setting}} is {setting_words(first[[setting]])} and
           {setting_words(other[[setting]])}.",
      i = "Score both with the same."
    ), arg = name, call = call)
  }
}

setting_words <- function(x, n = 6) {
  words <- if (is.character(x)) paste0("\"", x, "\"") else format(x, trim = TRUE, digits = 6)
  if (length(words) > n) words <- c(utils::head(words, n), "...")
  paste(words, collapse = ", ")
}

classes_words <- function(classes) {
  shown <- paste(utils::head(names(classes), 6), utils::head(classes, 6), sep = " = ")
  paste(c(shown, if (length(classes) > 6) "..."), collapse = ", ")
}

# Scores over all images that every result has, with a column for each result.
side_by_side <- function(results, call = rlang::caller_env()) {
  rows <- lapply(results, \(one) as.data.frame(all_images(one))[c("metric", "class", "value", "n")])
  keys <- lapply(rows, \(one) paste(one$metric, one$class))
  shared <- Reduce(intersect, keys)
  if (length(shared) == 0) {
    maskr_abort("data", "The results have no score in common.", arg = "...", call = call)
  }
  out <- rows[[1]][match(shared, keys[[1]]), c("metric", "class", "n")]
  for (name in names(rows)) out[[name]] <- rows[[name]]$value[match(shared, keys[[name]])]
  rownames(out) <- NULL
  attr(out, "left_out") <- setdiff(unlist(lapply(rows, `[[`, "metric")), out$metric)
  out
}

# With paired intervals, if both results kept what was counted of each image.
with_intervals <- function(frame, results, level, call = rlang::caller_env()) {
  states <- shared_states(results)
  if (is.null(states)) return(frame)
  found <- py_call("metrics.results", "compare", states[[1]], states[[2]],
                   attr(results[[1]], "settings")$aggregate, resampling(level), .call = call)
  found <- plain_columns(found)
  at <- match(paste(frame$metric, frame$class), paste(found$metric, found$class))
  at[is.na(frame$difference)] <- NA
  frame[c("lower", "upper")] <- found[at, c("lower", "upper")]
  frame
}

# NaN, as infinite less infinite, is NA in R.
defined <- function(x) replace(x, is.nan(x), NA)

# The states of both results, of the families that they share; NULL where there is nothing to
# compare image by image.
shared_states <- function(results) {
  states <- lapply(results, attr, "state")
  if (any(vapply(states, is.null, NA))) return(NULL)
  families <- lapply(states, `[[`, "families")
  at <- match(families[[1]], families[[2]])
  if (all(is.na(at))) return(NULL)
  states[[1]] <- some_families(states[[1]], which(!is.na(at)))
  states[[2]] <- some_families(states[[2]], at[!is.na(at)])
  states
}

some_families <- function(state, which) {
  state$families <- state$families[which]
  state$parts <- state$parts[which]
  state
}

#' @export
`[.seg_comparison` <- function(x, i, j, drop = if (missing(i)) TRUE else NCOL(out) == 1) {
  out <- NextMethod(drop = FALSE)
  if (all(c("metric", "class", attr(x, "results")) %in% names(out))) {
    for (kept in c("results", "classes", "kind", "level", "left_out")) {
      attr(out, kept) <- attr(x, kept)
    }
    return(out)
  }
  class(out) <- "data.frame"
  if (drop && ncol(out) == 1) out[[1]] else out
}

#' @export
as.data.frame.seg_comparison <- function(x, ...) as.data.frame.seg_metrics(x, ...)

#' @export
format.seg_comparison <- function(x, n = 40, digits = 3, ...) {
  n <- check_number(n, min = 1)
  rows <- utils::head(as.data.frame(x), n)
  columns <- lapply(attr(x, "results"), \(name) {
    value_words(data.frame(metric = rows$metric, value = rows[[name]]), digits)
  })
  names(columns) <- attr(x, "results")
  if (!is.null(rows$difference)) columns$difference <- difference_words(rows, digits)
  cells <- c(list(metric = rows$metric, class = class_words_of(rows)), columns)
  c(
    paste0("<seg_comparison> ", paste(attr(x, "results"), collapse = ", ")),
    aligned_columns(cells, left = c("metric", "class")),
    if (nrow(x) > n) paste0("... and ", nrow(x) - n, " more rows"),
    left_out_words(attr(x, "left_out")),
    comparison_words(x)
  )
}

# Differences as "+0.031 [0.010, 0.052]"; small ones with as many digits as show them.
difference_words <- function(rows, digits) {
  rows$value <- rows$difference
  bounds <- rows[intersect(c("value", "lower", "upper"), names(rows))]
  widest <- do.call(pmax, c(lapply(unname(bounds), abs), na.rm = TRUE))
  # a digit that is not 0, but for what is 0 up to the computer's precision
  some <- is.finite(widest) & widest > 1e-12
  digits <- ifelse(some, pmax(digits, -floor(log10(widest))), digits)
  words <- value_words(rows, digits)
  ifelse(!is.na(rows$value) & round(rows$value, digits) > 0, paste0("+", words), words)
}

left_out_words <- function(metrics, n = 4) {
  if (length(metrics) == 0) return(NULL)
  paste0("not in every result: ", paste(utils::head(metrics, n), collapse = ", "),
         if (length(metrics) > n) ", ...")
}

# What the columns mean, and how to get intervals that were asked for and are not there.
comparison_words <- function(x) {
  names <- attr(x, "results")
  level <- attr(x, "level")
  if (length(names) > 2) return("Two results at a time have a difference.")
  meaning <- paste("difference:", names[[2]], "less", names[[1]])
  if (is.null(level)) return(meaning)
  if (!is.null(x$lower)) {
    return(paste0(meaning, ", with paired ", format(100 * level), " % intervals over images"))
  }
  c(meaning,
    "Its intervals need results that kept their images: `per_image = TRUE` or `ci = TRUE`.")
}

#' @export
print.seg_comparison <- function(x, n = 40, digits = 3, ...) {
  writeLines(format(x, n = n, digits = digits))
  invisible(x)
}
