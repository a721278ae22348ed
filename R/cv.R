# Cross-validation of a model.

#' Cross-validate a model
#'
#' Deals the images out into folds, trains a fresh model on all folds but one, evaluates it on that
#' one, and so on, so that every image is predicted once by a model that never saw it.
#'
#' The held-out fold plays no part in training, not even in the choice of the best epoch: by default
#' the last epoch counts. With `valid` a share of each fold's training images is set aside, by whose
#' loss (or another `monitor`) [fit()][fit.seg_model()] then chooses the epoch or stops early.
#' Images of one group are never on both sides, here as there.
#'
#' # Intervals
#' `lower` and `upper` are of Student's t over the folds' values: mean \eqn{\pm}{+/-}
#' \eqn{t_{k-1} s / \sqrt{k}}{t(k - 1) * sd / sqrt(k)}, cut to 0 and 1. They treat the k folds as
#' independent, which they are not, since any two share most of their training images; no unbiased
#' estimate of the variance exists (Bengio & Grandvalet 2004). Read them as a rough measure of
#' scatter, which rather claims too much certainty.
#'
#' @param model_fn A function without arguments that returns a new [`seg_model`][seg_model],
#'   compiled or not. One that returns the model of the fold before, which has seen the images that
#'   it would be judged by, is a `maskr_error_argument`.
#' @param dataset A [seg_dataset()], what [seg_example()] returns, or a [seg_annotations].
#' @param folds Number of folds, at least 2, or the fold of each image, such as
#'   `folds = scans$hospital`.
#' @param group,stratify What stays together, and what is spread evenly over the folds; see
#'   [seg_split()].
#' @param valid Share of each fold's training images, below 1, that becomes its validation data,
#'   chosen by `group` and `stratify` too.
#' @param ... Arguments of [fit()][fit.seg_model()], such as `epochs`; not `resume`, nor callbacks
#'   that write files, which the next training would replace.
#' @param metrics Names of the scores to keep, see [seg_metrics()]; `NULL` for all.
#' @param level Of the intervals, between 0 and 1.
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @return A data frame of class `seg_cv` with the columns `fold`, `metric`, `class`, `value` and
#'   `n`, as [seg_metrics()] gives them. Attributes: `confusion`, the pixel counts
#'   `[truth, prediction, fold]`; `folds`, the fold of each image; `classes`, `level`.
#'
#'   `summary()` has one row for each score: `metric`, `class`, `label`, `mean`, `sd`, `lower`,
#'   `upper`, `pooled` (the score of the sum of all confusion matrices, where every pixel counts
#'   alike) and `folds`, the number of folds in which it is defined. An error in a fold names it.
#' @references Bengio & Grandvalet (2004) No unbiased estimator of the variance of K-fold
#'   cross-validation, Journal of Machine Learning Research 5, 1089-1105.
#' @seealso [seg_tune()] compares models by it.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' set.seed(1)
#' scenes <- seg_example("nuclei", n = 6, size = c(48, 64))
#' result <- seg_cv(
#'   \() seg_unet(in_channels = 1, classes = scenes$classes, init_features = 2),
#'   scenes, folds = 3, epochs = 2, batch_size = 2
#' )
#' result
#' plot(result)
seg_cv <- function(model_fn, dataset, folds = 5, group = NULL, stratify = TRUE, valid = 0, ...,
                   metrics = NULL, level = 0.95, verbose = NULL) {
  check_verbose(verbose)
  check_function(model_fn)
  dataset <- counted_dataset(dataset)
  metrics <- check_metric_names(metrics)
  level <- check_level(level)
  plan <- plan_training(valid, stratify, list(...))
  groups <- groups_of(dataset, group)
  fold <- deal_folds(dataset, folds, groups, stratify, verbose)
  k <- length(unique(fold))
  progress <- fold_progress(verbose, k, "Fold")
  call <- rlang::current_env()
  scores <- lapply(seq_len(k), function(i) {
    in_fold(i, k, call = call, {
      progress$begin(i)
      scored <- score_held_out(model_fn(), dataset, fold == i, groups, plan, progress$events)
      progress$end(i, list(mean_iou = overall(scored, "mean_iou")))
      scored
    })
  })
  new_seg_cv(scores, stats::setNames(fold, names(dataset$images)), metrics, level)
}

# No checks. `scores` holds one seg_metrics for each fold.
new_seg_cv <- function(scores, folds, metrics, level) {
  rows <- lapply(seq_along(scores), function(i) {
    cbind(fold = i, all_images(as.data.frame(scores[[i]]))[c("metric", "class", "value", "n")])
  })
  frame <- do.call(rbind, rows)
  if (!is.null(metrics)) frame <- frame[frame$metric %in% metrics, ]
  rownames(frame) <- NULL
  confusion <- lapply(scores, attr, "confusion")
  names <- c(dimnames(confusion[[1]]), list(fold = seq_along(scores)))
  structure(
    frame,
    confusion = array(unlist(confusion), c(dim(confusion[[1]]), length(scores)), names),
    folds = folds, classes = attr(scores[[1]], "classes"), level = level,
    class = c("seg_cv", "data.frame")
  )
}

#' @export
as.data.frame.seg_cv <- function(x, row.names = NULL, optional = FALSE, ...) {
  classes <- attr(x, "classes")
  columns <- append(unclass(x)[names(x)],
                    list(label = names(classes)[match(x$class, classes)]), match("class", names(x)))
  as.data.frame(columns, row.names = row.names, optional = optional, stringsAsFactors = FALSE)
}

#' @export
summary.seg_cv <- function(object, ...) {
  rows <- as.data.frame(object)
  key <- paste(rows$metric, rows$class)
  each <- lapply(split(rows, factor(key, unique(key))), function(one) {
    limits <- c(if (one$metric[[1]] == "kappa") -1 else 0, 1)
    interval(one$value, attr(object, "level"), limits)
  })
  classes <- attr(object, "classes")
  pooled <- py_call("metrics.semantic", "table", rowSums(attr(object, "confusion"), dims = 2),
                    as.list(unname(classes)))
  at <- match(unique(key), paste(as.vector(pooled$metric), as.vector(pooled$class)))
  out <- cbind(
    rows[match(unique(key), key), c("metric", "class", "label")],
    do.call(rbind, each),
    pooled = as.vector(pooled$value)[at]
  )
  out$pooled[is.nan(out$pooled)] <- NA
  out <- out[c("metric", "class", "label", "mean", "sd", "lower", "upper", "pooled", "folds")]
  rownames(out) <- NULL
  out
}

# Mean, standard deviation and t interval of the values that are there, cut to `limits`.
interval <- function(values, level, limits) {
  values <- values[!is.na(values)]
  k <- length(values)
  mean <- if (k > 0) mean(values) else NA
  half <- if (k > 1) stats::qt((1 + level) / 2, k - 1) * stats::sd(values) / sqrt(k) else NA
  data.frame(mean = mean, sd = if (k > 1) stats::sd(values) else NA,
             lower = max(mean - half, limits[1]), upper = min(mean + half, limits[2]), folds = k)
}

#' @export
format.seg_cv <- function(x, digits = 3, ...) {
  rows <- summary(x)
  folds <- attr(x, "folds")
  words <- paste0(rows$metric, ifelse(is.na(rows$class), "", paste0(" (", rows$label, ")")))
  columns <- c("mean", "sd", "lower", "upper", "pooled")
  cells <- vapply(rows[columns], \(column) format_score(column, digits), character(nrow(rows)))
  cells <- rbind(columns, matrix(cells, nrow = nrow(rows)))
  cells <- apply(cells, 2, format, justify = "right")
  c(
    cli::pluralize("<seg_cv> {length(unique(folds))} folds, {length(folds)} image{?s}"),
    paste(format(c("", words)), apply(cells, 1, paste, collapse = "  ")),
    paste0("lower and upper: ", 100 * attr(x, "level"), " % over folds, which are not ",
           "independent; pooled: all pixels in one count")
  )
}

#' @export
print.seg_cv <- function(x, digits = 3, ...) {
  writeLines(format(x, digits = digits))
  invisible(x)
}

#' Plot a cross-validation
#'
#' One row for each class and their mean: a point for each fold, and the mean over folds with its
#' interval.
#'
#' @param x,object What [seg_cv()] returns.
#' @param metric A score that it holds, such as `"iou"` or `"dice"`.
#' @param main Title.
#' @param ... Must be empty.
#' @return `plot()` returns `x` invisibly, `autoplot()` a ggplot.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' scenes <- seg_example("nuclei", n = 4, size = c(32, 48))
#' build <- \() seg_unet(in_channels = 1, classes = scenes$classes, init_features = 2)
#' plot(seg_cv(build, scenes, folds = 2, epochs = 1), metric = "dice")
plot.seg_cv <- function(x, metric = NULL, main = NULL, ...) {
  check_no_dots(...)
  draw_intervals(cv_rows(x, metric), main)
  invisible(x)
}

#' @rdname plot.seg_cv
#' @exportS3Method ggplot2::autoplot
autoplot.seg_cv <- function(object, metric = NULL, ...) {
  check_no_dots(...)
  gg_intervals(cv_rows(object, metric))
}

# What is drawn: a summary row for each class and their mean, and the values of the folds.
cv_rows <- function(x, metric, call = rlang::caller_env()) {
  rows <- summary(x)
  metric <- check_choice(metric %||% intersect(c("iou", rows$metric), rows$metric)[[1]],
                         unique(rows$metric), call = call)
  wanted <- if (metric == "iou") c("iou", "mean_iou") else metric
  rows <- rows[rows$metric %in% wanted & !is.na(rows$mean), ]
  rows$name <- ifelse(is.na(rows$class), "mean", rows$label)
  if (all(is.na(rows$class))) rows$name <- "all pixels"
  rows <- rows[order(is.na(rows$class)), ]
  points <- as.data.frame(x)
  points$row <- match(paste(points$metric, points$class), paste(rows$metric, rows$class))
  points <- points[!is.na(points$row) & !is.na(points$value), ]
  points$name <- rows$name[points$row]
  list(metric = metric, summary = rows, points = points)
}

# The fold of each image, numbered from 1.
deal_folds <- function(dataset, folds, groups, stratify, verbose, call = rlang::caller_env()) {
  if (length(folds) > 1) return(given_folds(folds, dataset, groups, call))
  folds <- check_whole(folds, min = 2, call = call)
  deal_out(dataset, rep(1 / folds, folds), groups, stratify, verbose, call)
}

given_folds <- function(folds, dataset, groups, call) {
  if (!is.atomic(folds) || length(folds) != length(dataset) || anyNA(folds) ||
        length(unique(folds)) < 2) {
    maskr_abort("argument", c(
      "{.arg folds} must be a number, or the fold of each of the {length(dataset)} images, at least
       two different ones.",
      x = "You supplied {describe(folds)}."
    ), arg = "folds", call = call)
  }
  if (!is.null(groups)) {
    torn <- tapply(as.character(folds), groups, \(fold) length(unique(fold))) > 1
    if (any(torn)) {
      maskr_abort("data", c(
        "{sum(torn)} group{?s} of images {?is/are} in several folds.",
        x = "The first: {.val {utils::head(names(torn)[torn], 3)}}."
      ), arg = "folds", call = call)
    }
  }
  match(folds, sort(unique(folds)))
}

groups_of <- function(dataset, group, call = rlang::caller_env()) {
  check_groups(group %||% dataset$groups, names(dataset$images), call)
}

check_function <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call, "It is a function that returns a new model.")
  # handles of Python's models are functions too
  if (is.function(x) && !inherits(x, "python.builtin.object")) return(x)
  maskr_abort("argument", c(
    "{.arg {arg}} must be a function that returns a new model, not
     {if (inherits(x, 'seg_model')) 'a model' else describe(x)}.",
    i = "For example, write {.code \\() seg_unet(classes = c(background = 0, cell = 1))}."
  ), arg = arg, call = call)
}

# The scores that seg_evaluate() gives by default.
score_names <- function() metric_families$masks$semantic

check_metric_names <- function(x, arg = "metrics", call = rlang::caller_env()) {
  if (is.null(x) || is.character(x) && length(x) > 0 && all(x %in% score_names())) return(x)
  maskr_abort("argument", "{.arg {arg}} must be among {.val {score_names()}}, not {describe(x)}.",
              arg = arg, call = call)
}

check_level <- function(x, call = rlang::caller_env()) {
  x <- check_number(x, min = 0, max = 1, arg = "level", call = call)
  if (x > 0 && x < 1) return(x)
  maskr_abort("argument", "{.arg level} must lie between 0 and 1, such as 0.95.", arg = "level",
              call = call)
}

# How each model is trained: the arguments of fit(), the share of inner validation data and how it
# is chosen, and in `before` the model that was trained last.
plan_training <- function(valid, stratify, arguments, call = rlang::caller_env()) {
  valid <- check_number(valid, min = 0, max = 1, call = call)
  given <- rlang::names2(arguments)
  taken <- intersect(given, c("object", "x", "y", "validation_data"))
  if (length(taken) > 0 || !all(nzchar(given)) || valid == 1) {
    maskr_abort("argument", c(
      "{.arg ...} must be named arguments of {.fn fit}, other than its data, and {.arg valid} less
       than 1.",
      x = if (length(taken) > 0) "It holds {.arg {taken}}.",
      i = if ("validation_data" %in% taken) {
        "{.code valid = 0.1} sets a tenth of the training images aside to choose the epoch by."
      }
    ), arg = if (length(taken) > 0) taken[[1]] else "valid", call = call)
  }
  check_no_files(arguments, call)
  list(valid = valid, stratify = stratify, arguments = arguments, before = new.env())
}

# All trainings would write to the same files.
check_no_files <- function(arguments, call) {
  callbacks <- as_callbacks(arguments$callbacks)
  kinds <- unlist(lapply(callbacks, \(one) if (inherits(one, "seg_callback")) one$kind))
  writers <- setdiff(kinds, "early_stopping")
  if (is.null(arguments$resume) && length(writers) == 0) return(invisible())
  maskr_abort("argument", c(
    "Many models are trained here, and the files of one would replace those of another.",
    x = if (length(writers) > 0) "{.fn {paste0('seg_', writers)}} writes files.",
    x = if (!is.null(arguments$resume)) "{.arg resume} keeps one run, and here are many.",
    i = "Leave it out, or train the folds by {.fn fit} and {.fn seg_evaluate}."
  ), arg = if (length(writers) > 0) "callbacks" else "resume", call = call)
}

# Trains on the images that are not held out, and scores those that are.
score_held_out <- function(model, dataset, held_out, groups, plan, progress) {
  model <- train_without(model, dataset, held_out, groups, plan, progress)$model
  evaluate_by(plan, model, dataset[held_out])
}

# In the precision that the model was trained in.
evaluate_by <- function(plan, model, dataset) {
  seg_evaluate(model, dataset, precision = plan$arguments$precision %||% "auto")
}

train_without <- function(model, dataset, held_out, groups, plan, progress) {
  parts <- list(train = dataset[!held_out])
  if (plan$valid > 0) {
    prop <- c(1 - plan$valid, plan$valid)
    stratify <- if (length(plan$stratify) == 1) plan$stratify else plan$stratify[!held_out]
    part <- deal_out(parts$train, prop, groups[!held_out], stratify, FALSE, rlang::current_env())
    parts <- list(train = parts$train[part == 1], valid = parts$train[part == 2])
  }
  train_once(model, parts$train, parts$valid, plan, progress)
}

# One training. An interrupt ends everything, not only this one.
train_once <- function(model, train, valid, plan, progress) {
  check_new_model(model, plan)
  history <- tryCatch(
    rlang::exec(fit, model, train, validation_data = valid, !!!plan$arguments,
                verbose = progress),
    maskr_message_interrupted = \(message) rlang::interrupt()
  )
  list(model = model, history = history)
}

# A model that was trained before has seen what it would be judged by.
check_new_model <- function(model, plan) {
  check_model(model, arg = "model_fn", call = NULL)
  before <- plan$before$model
  if (!is.null(before) && py_call("summaries", "same_network", model, before)) {
    maskr_abort(c("same_model", "argument"), c(
      "{.arg model_fn} must build a new model each time, and it returned the last one again.",
      x = "That model was trained on images that would now judge it.",
      i = "Build it inside of the function, or copy an untrained one:
           {.code \\() seg_clone(model)}."
    ), arg = "model_fn", call = NULL)
  }
  plan$before$model <- model
}

# The overall row of a score.
overall <- function(scores, metric) {
  scores$value[scores$metric == metric & is.na(scores$class)][1]
}

# Evaluates `expr`; an error names the fold, and stays of its kind.
in_fold <- function(i, k, expr, call = rlang::caller_env()) {
  tryCatch(expr, error = function(e) {
    kind <- sub("^maskr_error_", "", grep("^maskr_error_", class(e), value = TRUE))
    maskr_abort(if (length(kind) > 0) kind else "fold", "Fold {i} of {k} failed.", arg = e$arg,
                fold = i, call = call, parent = e)
  })
}

# One bar over the epochs of `total` folds or combinations, each of `parts` trainings, and a line
# for each. `what` is what to call them.
fold_progress <- function(verbose, total, what, parts = 1, frame = rlang::caller_env()) {
  if (!shows_progress(verbose, frame)) {
    return(list(begin = \(i) NULL, events = FALSE, end = \(i, metrics) NULL))
  }
  started <- now()
  at <- c(whole = 0, part = 0)
  bar <- NULL
  events <- function(event) {
    if (event$event == "begin") at[["part"]] <<- at[["part"]] + 1
    if (event$event != "epoch") return(invisible())
    if (is.null(bar)) bar <<- start_fold_bar(total, what, frame)
    done <- at[["whole"]] - 1 + (at[["part"]] - 1 + event$epoch / event$epochs) / parts
    status <- paste(c(paste0(what, " ", at[["whole"]], "/", total, ","), epoch_words(event),
                      metric_words(event$metrics)), collapse = " ")
    cli::cli_progress_update(set = done, extra = list(status = status), id = bar)
  }
  end <- function(i, metrics) {
    say_progress(paste0(what, " ", i, "/", total, ":"), metrics, time_left(started, i, total - i))
  }
  list(begin = \(i) at <<- c(whole = i, part = 0), events = inner_reporter(events), end = end)
}

start_fold_bar <- function(total, what, frame) {
  cli::cli_progress_bar(
    total = total, clear = TRUE, extra = list(status = what), auto_terminate = FALSE,
    format = "{cli::pb_extra$status} {cli::pb_bar} {cli::pb_eta_str}", .envir = frame
  )
}
