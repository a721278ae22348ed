# Training over a grid of settings.

#' Train over a grid of settings
#'
#' Trains a model for each combination of settings and ranks them by a score of images that it was
#' not trained on: of a validation set, or of the held-out folds of a cross-validation. All
#' combinations meet the same folds, and start from the same random numbers, so that their
#' differences are due to the settings as far as can be.
#'
#' The best of many scores is too good by selection alone: judge the chosen model once more on
#' images that played no part here.
#'
#' @param model_fn A function whose arguments are what is tuned, such as
#'   `function(learning_rate, init_features)`, and which returns a new [`seg_model`][seg_model].
#' @param dataset A [seg_dataset()], what [seg_example()] returns, or a [seg_annotations].
#' @param grid A named list, of which all combinations are tried, or a data frame with one row for
#'   each: `list(learning_rate = c(1e-3, 1e-4), init_features = c(16, 32))`.
#' @param folds Number of folds, or the fold of each image, as in [seg_cv()]; `NULL` where
#'   `validation_data` are given, else 5.
#' @param validation_data What each model is scored on, as in [fit()][fit.seg_model()], which then
#'   also chooses the epoch by them.
#' @param metric The score: one of [seg_metrics()] (over all classes, unless `class` is given), or
#'   what training reports on validation data, such as `"loss"`. Losses are best when small.
#' @param class Name of the class whose score counts, for `"iou"`, `"dice"`, `"precision"`,
#'   `"recall"` and `"f1"`.
#' @param ... Arguments of [fit()][fit.seg_model()], such as `epochs`.
#' @param x What `seg_tune()` returns.
#' @inheritParams seg_cv
#' @return A data frame of class `seg_tune`: the columns of the grid, then `value` (the mean over
#'   folds), `sd`, `lower`, `upper` (as in [seg_cv()]; `NA` with validation data), `folds` (the
#'   number of folds that count), `seconds`, `rank` (1 is the best) and `error`, the message of a
#'   combination that failed, which is a warning of class `maskr_warning_failed`. Attributes:
#'   `values`, the score of each combination and fold, for paired comparisons; `metric`, `class`,
#'   `level`.
#'
#'   A class that is neither in the truth nor in the prediction of a fold has no score there. Only
#'   folds in which every combination that was trained has a score count, so that all are compared
#'   by the same images.
#'
#'   Ctrl-C ends the search; what was finished is returned. `seg_best()` gives the best combination
#'   as a list, for `do.call(model_fn, seg_best(result))`.
#' @seealso [seg_cv()]
#' @concept training
#' @export
#' @examplesIf seg_available()
#' set.seed(1)
#' scenes <- seg_example("nuclei", n = 6, size = c(48, 64))
#' build <- function(learning_rate, init_features) {
#'   seg_unet(in_channels = 1, classes = scenes$classes, init_features = init_features) |>
#'     compile(learning_rate = learning_rate)
#' }
#' grid <- list(learning_rate = c(0.01, 0.001), init_features = 2)
#' tuned <- seg_tune(build, scenes, grid, folds = 2, metric = "dice", class = "nucleus",
#'                   epochs = 2, batch_size = 2)
#' tuned
#' seg_best(tuned)
seg_tune <- function(model_fn, dataset, grid, folds = NULL, validation_data = NULL,
                     metric = "mean_iou", class = NULL, ..., group = NULL, stratify = TRUE,
                     valid = 0, level = 0.95, verbose = NULL) {
  check_verbose(verbose)
  check_function(model_fn)
  grid <- check_grid(grid, model_fn)
  dataset <- counted_dataset(dataset)
  class <- check_string(class, null = TRUE)
  check_tuned_class(class, dataset$classes)
  score <- list(metric = check_tuned(metric, class), class = class)
  level <- check_level(level)
  plan <- plan_training(valid, stratify, list(...))
  groups <- groups_of(dataset, group)
  fold <- check_judges(dataset, folds, validation_data, groups, stratify, plan$valid, score$metric,
                       verbose)
  seeds <- replicate(if (is.null(fold)) 1 else length(unique(fold)), draw_seed())
  progress <- fold_progress(verbose, length(grid$rows), "Combination", length(seeds))
  try_one <- function(arguments, events) {
    trained <- function(i) {
      with_seed(seeds[[i]], {
        model <- rlang::exec(model_fn, !!!arguments)
        held_out <- if (!is.null(fold)) fold == i
        judge(model, dataset, held_out, validation_data, groups, plan, score, events)
      })
    }
    vapply(seq_along(seeds), trained, 0)
  }
  new_seg_tune(run_grid(grid$rows, try_one, progress, score), grid$columns, score, level)
}

#' @rdname seg_tune
#' @export
seg_best <- function(x) {
  if (missing(x)) abort_missing("x", rlang::current_env())
  if (!inherits(x, "seg_tune")) {
    maskr_abort("argument", "{.arg x} must be what {.fn seg_tune} returns, not {describe(x)}.",
                arg = "x")
  }
  best <- which(x$rank == 1)
  if (length(best) == 0) {
    maskr_abort("data", c(
      "No combination has a score.",
      x = if (all(is.na(x$error))) "In no fold do all combinations have one.",
      i = "See the column {.field error} and {.code attr(x, \"values\")}."
    ), arg = "x")
  }
  lapply(unclass(x)[attr(x, "grid")], \(column) column[[best[[1]]]])
}

# Each row of the grid tried: its values, its seconds, and its error.
run_grid <- function(rows, try_one, progress, score, call = rlang::caller_env()) {
  tried <- vector("list", length(rows))
  for (i in seq_along(rows)) {
    progress$begin(i)
    started <- Sys.time()
    outcome <- tryCatch(
      list(values = try_one(rows[[i]], progress$events), error = NA_character_),
      error = function(e) {
        # no setting is at fault, and all that follow would fail alike
        if (inherits(e, "maskr_error_same_model")) {
          e$call <- rlang::error_call(call)
          rlang::cnd_signal(e)
        }
        list(values = NA_real_, error = plain_message(e))
      },
      interrupt = \(e) NULL
    )
    if (is.null(outcome)) break
    outcome$seconds <- as.numeric(difftime(Sys.time(), started, units = "secs"))
    progress$end(i, stats::setNames(list(mean(outcome$values)), score$metric))
    tried[[i]] <- outcome
  }
  done <- lengths(tried) > 0
  if (!all(done)) {
    cli::cli_inform(c(i = "Interrupted: {sum(!done)} of {length(rows)} combination{?s} not tried."),
                    class = "maskr_message_interrupted")
    tried[!done] <- list(list(values = NA_real_, error = "not tried", seconds = NA_real_))
  }
  warn_failed(vapply(tried[done], `[[`, "", "error"), call)
  tried
}

warn_failed <- function(errors, call) {
  failed <- errors[!is.na(errors)]
  if (length(failed) == 0) return(invisible())
  cli::cli_warn(c(
    "{length(failed)} of {length(errors)} combination{?s} failed.", x = "{failed[[1]]}",
    i = "The column {.field error} has all messages."
  ), class = "maskr_warning_failed", call = call)
}

# What went wrong, without colours, in one line.
plain_message <- function(error) {
  text <- cli::ansi_strip(c(conditionMessage(error),
                            if (!is.null(error$parent)) conditionMessage(error$parent)))
  gsub("\\s*\n\\s*", " ", paste(text, collapse = " "))
}

# The score of one model: of the images held out, or of the validation data.
judge <- function(model, dataset, held_out, validation_data, groups, plan, score, events) {
  own <- score$metric %in% score_names()
  if (!own) check_reported(model, score$metric)
  if (is.null(held_out)) {
    trained <- train_once(model, dataset, validation_data, plan, events)
    if (!own) return(reported(trained$history, score, attr(trained$history, "best_epoch")))
    return(chosen(evaluate_by(plan, model, validation_data), score))
  }
  if (own) {
    return(chosen(score_held_out(model, dataset, held_out, groups, plan, events), score))
  }
  # only the last epoch's value is looked at, so the held-out images choose nothing
  plan$arguments$restore_best <- FALSE
  history <- train_once(model, dataset[!held_out], dataset[held_out], plan, events)$history
  reported(history, score, max(history$epoch))
}

check_reported <- function(model, metric, call = rlang::caller_env()) {
  check_model(model, arg = "model_fn", call = call)
  known <- unlist(py_call("training.compiling", "reported", model))
  if (metric %in% known) return(invisible())
  maskr_abort("data", c(
    "Training reports no {.arg metric} {.val {metric}} of validation data.",
    i = "It reports {.val {known}}; {.fn seg_metrics} has {.val {score_names()}}."
  ), arg = "metric", call = call)
}

# What training reported of an epoch; a training that diverged has failed.
reported <- function(history, score, epoch) {
  value <- history$value[history$metric == score$metric & history$data == "valid" &
                           history$epoch == epoch]
  if (isTRUE(is.finite(value))) return(value)
  maskr_abort("data", "Training diverged: {.val {score$metric}} is {value} in epoch {epoch}.")
}

chosen <- function(scores, score) {
  if (is.null(score$class)) return(overall(scores, score$metric))
  classes <- attr(scores, "classes")
  if (!score$class %in% names(classes)) {
    maskr_abort("data", c(
      "There is no {.arg class} {.val {score$class}}.", i = "The model has {.val {names(classes)}}."
    ), arg = "class")
  }
  scores$value[scores$metric == score$metric & scores$class %in% classes[[score$class]]]
}

# No checks. `tried` is what run_grid() gives, `columns` the columns of the grid.
new_seg_tune <- function(tried, columns, score, level) {
  values <- lapply(tried, `[[`, "values")
  folds <- max(lengths(values))
  values <- do.call(rbind, lapply(values, rep_len, folds))
  own <- score$metric %in% score_names()
  limits <- if (own) c(0, 1) else c(-Inf, Inf)
  errors <- vapply(tried, `[[`, "", "error")
  counts <- colSums(is.na(values[is.na(errors), , drop = FALSE])) == 0
  each <- do.call(rbind, apply(values[, counts, drop = FALSE], 1, interval, level, limits,
                               simplify = FALSE))
  falls <- !own && py_call("training.direction", "falls", score$metric)
  frame <- cbind(
    columns,
    data.frame(
      value = each$mean, sd = each$sd, lower = each$lower, upper = each$upper, folds = each$folds,
      seconds = vapply(tried, `[[`, 0, "seconds"),
      rank = rank(if (falls) each$mean else -each$mean, na.last = "keep", ties.method = "min"),
      error = errors
    )
  )
  structure(frame, values = values, grid = names(columns), metric = score$metric,
            class_name = score$class, level = level, class = c("seg_tune", "data.frame"))
}

# `rows`: for each combination its arguments; `columns`: a data frame of them.
check_grid <- function(grid, model_fn, call = rlang::caller_env()) {
  if (missing(grid)) {
    abort_missing("grid", call, "For example, write {.code list(learning_rate = c(0.01, 0.001))}.")
  }
  names <- rlang::names2(grid)
  reserved <- c("value", "sd", "lower", "upper", "folds", "seconds", "rank", "error")
  known <- names(formals(args(model_fn)))
  ok <- is.list(grid) && length(grid) > 0 && all(lengths(grid) > 0) && all(nzchar(names)) &&
    !anyDuplicated(names)
  unknown <- if (!"..." %in% known) setdiff(names, known)
  if (!ok || length(unknown) > 0 || any(names %in% reserved)) {
    maskr_abort("argument", c(
      "{.arg grid} must be a data frame or a named list of values of the arguments of
       {.arg model_fn}.",
      x = if (!ok) "You supplied {describe(grid)}.",
      x = if (length(unknown) > 0) "{.arg model_fn} has no argument {.arg {unknown}}.",
      x = if (any(names %in% reserved)) {
        "{.val {intersect(names, reserved)}} {?is a column/are columns} of the result."
      },
      i = "For example, write {.code list(learning_rate = c(1e-3, 1e-4))}."
    ), arg = "grid", call = call)
  }
  if (!is.data.frame(grid)) {
    index <- expand.grid(lapply(grid, seq_along))
    grid <- Map(\(values, i) values[i], grid, index)
  }
  columns <- lapply(grid, \(column) if (is.list(column)) I(unname(column)) else unname(column))
  list(
    rows = lapply(seq_along(grid[[1]]), \(i) lapply(grid, \(column) column[[i]])),
    columns = as.data.frame(columns, stringsAsFactors = FALSE)
  )
}

check_tuned <- function(metric, class, call = rlang::caller_env()) {
  metric <- check_string(metric, call = call)
  of_class <- c("iou", "dice", "precision", "recall", "f1")
  if (!is.null(class) && !metric %in% of_class) {
    maskr_abort("argument", c(
      "{.arg class} is for the metrics {.val {of_class}}, not {.val {metric}}."
    ), arg = "class", call = call)
  }
  if (metric == "iou" && is.null(class)) {
    maskr_abort("argument", c(
      "{.val iou} is of one class.",
      i = "Name the {.arg class}, or take {.code metric = \"mean_iou\"}."
    ), arg = "metric", call = call)
  }
  metric
}

check_tuned_class <- function(class, classes, call = rlang::caller_env()) {
  if (is.null(class) || is.null(names(classes)) || class %in% names(classes)) return(invisible())
  maskr_abort("argument", c(
    "There is no {.arg class} {.val {class}}.", i = "The dataset has {.val {names(classes)}}."
  ), arg = "class", call = call)
}

# The fold of each image, or NULL where validation data judge.
check_judges <- function(dataset, folds, validation_data, groups, stratify, valid, metric, verbose,
                         call = rlang::caller_env()) {
  if (!is.null(validation_data)) {
    if (is.null(folds) && valid == 0) return(NULL)
    maskr_abort("argument", c(
      "{.arg validation_data} judge the models, so there is nothing for {.arg folds} or {.arg valid}
       to do.", i = "Leave one of them out."
    ), arg = "validation_data", call = call)
  }
  if (valid > 0 && !metric %in% score_names()) {
    maskr_abort("argument", c(
      "With {.arg valid}, {.arg metric} must be among {.val {score_names()}}, not {.val {metric}}."
    ), arg = "metric", call = call)
  }
  deal_folds(dataset, folds %||% 5, groups, stratify, verbose, call)
}

#' @export
format.seg_tune <- function(x, digits = 3, n = 20, ...) {
  score <- paste(c(attr(x, "metric"), if (!is.null(attr(x, "class_name"))) {
    paste("of", attr(x, "class_name"))
  }), collapse = " ")
  folds <- ncol(attr(x, "values"))
  shown <- utils::head(x[order(x$rank), , drop = FALSE], n)
  failed <- !is.na(shown$error)
  cells <- data.frame(rank = ifelse(is.na(shown$rank), "-", shown$rank))
  for (name in attr(x, "grid")) cells[[name]] <- column_words(shown[[name]])
  cells[[attr(x, "metric")]] <- ifelse(failed, "failed", trimws(format_score(shown$value, digits)))
  if (folds > 1) {
    for (name in c("sd", "lower", "upper")) {
      cells[[name]] <- ifelse(failed, "", trimws(format_score(shown[[name]], digits)))
    }
  }
  seconds <- formatC(shown$seconds, digits = 3, format = "g")
  cells$seconds <- ifelse(is.na(shown$seconds), "", seconds)
  aligned <- Map(\(name, cell) format(c(name, cell), justify = "right"), names(cells), cells)
  hidden <- nrow(x) - nrow(shown)
  c(
    paste0("<seg_tune> ", nrow(x), " combinations by ", score, ", ",
           if (folds > 1) fold_words(x$folds, folds) else "on validation data"),
    trimws(do.call(paste, c(unname(aligned), sep = "  ")), "right"),
    if (hidden > 0) paste0("... and ", hidden, " more")
  )
}

fold_words <- function(counted, folds) {
  if (max(counted) == folds) return(paste(folds, "folds"))
  paste(max(counted), "of", folds, "folds, those in which all combinations have a score")
}

# Values of the grid in few letters.
column_words <- function(x) {
  if (!is.list(x)) return(format(x))
  vapply(x, \(one) paste(if (is.character(one)) one else format(one), collapse = ", "), "")
}

#' @export
print.seg_tune <- function(x, digits = 3, n = 20, ...) {
  if (all(c(attr(x, "grid"), "rank", "error") %in% names(x))) {
    writeLines(format(x, digits = digits, n = n))
  } else {
    print(as.data.frame(x))
  }
  invisible(x)
}

#' @export
as.data.frame.seg_tune <- function(x, ...) {
  attributes(x)[c("values", "grid", "metric", "class_name", "level")] <- NULL
  class(x) <- "data.frame"
  x
}

#' Plot a search over settings
#'
#' The combinations from best to worst: a point for each fold, and the mean over folds with its
#' interval.
#'
#' @param x,object What [seg_tune()] returns.
#' @param main Title.
#' @param ... Must be empty.
#' @return `plot()` returns `x` invisibly, `autoplot()` a ggplot.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' scenes <- seg_example("nuclei", n = 4, size = c(32, 48))
#' build <- function(init_features) {
#'   seg_unet(in_channels = 1, classes = scenes$classes, init_features = init_features)
#' }
#' plot(seg_tune(build, scenes, list(init_features = c(2, 4)), folds = 2, epochs = 1))
plot.seg_tune <- function(x, main = NULL, ...) {
  check_no_dots(...)
  draw_intervals(tune_rows(x), main)
  invisible(x)
}

#' @rdname plot.seg_tune
#' @exportS3Method ggplot2::autoplot
autoplot.seg_tune <- function(object, ...) {
  check_no_dots(...)
  gg_intervals(tune_rows(object))
}

# The combinations that have a score, as draw_intervals() takes them.
tune_rows <- function(x, call = rlang::caller_env()) {
  there <- which(!is.na(x$value))
  there <- there[order(x$rank[there])]
  if (length(there) == 0) maskr_abort("data", "No combination was scored.", call = call)
  varied <- Filter(\(name) length(unique(unclass(x[[name]]))) > 1, attr(x, "grid"))
  if (length(varied) == 0) varied <- attr(x, "grid")
  words <- lapply(varied, \(name) paste(name, column_words(x[[name]][there])))
  summary <- data.frame(name = do.call(paste, c(words, sep = ", ")), mean = x$value[there],
                        lower = x$lower[there], upper = x$upper[there])
  values <- attr(x, "values")[there, , drop = FALSE]
  points <- data.frame(row = as.vector(row(values)), value = as.vector(values))
  points <- points[!is.na(points$value), ]
  points$name <- summary$name[points$row]
  list(metric = attr(x, "metric"), summary = summary, points = points)
}
