# Metrics of semantic segmentation: checks, the result's class, its printing and plots.

#' Scores of predicted masks
#'
#' Compares predicted masks with true ones pixel by pixel: pixel accuracy, IoU, Dice, precision,
#' recall and F1 of every class and over all classes, and the confusion matrix that they come
#' from. Several images are counted into one matrix, so that every pixel weighs the same; with
#' `per_image = TRUE` each image is scored too.
#'
#' With \eqn{n_{ij}}{n[i,j]} pixels of class i that were predicted as class j, \eqn{t_i}{t[i]}
#' pixels of class i in the truth and \eqn{p_i}{p[i]} in the prediction:
#'
#' | metric | rows | definition |
#' |---|---|---|
#' | `pixel_accuracy` | overall | \eqn{\sum_i n_{ii} / \sum_i t_i}{sum(n[i,i]) / sum(t[i])} |
#' | `mean_accuracy` | overall | the mean of `recall` over the classes |
#' | `mean_iou` | overall | the mean of `iou` over the classes |
#' | `fw_iou` | overall | the mean of `iou` weighted by \eqn{t_i}{t[i]} |
#' | `iou` | class | \eqn{n_{ii} / (t_i + p_i - n_{ii})}{n[i,i] / (t[i] + p[i] - n[i,i])} |
#' | `dice`, `f1` | class, overall | \eqn{2 n_{ii} / (t_i + p_i)}{2 n[i,i] / (t[i] + p[i])} |
#' | `precision` | class, overall | \eqn{n_{ii} / p_i}{n[i,i] / p[i]} |
#' | `recall` | class, overall | \eqn{n_{ii} / t_i}{n[i,i] / t[i]} |
#'
#' Overall rows of `dice`, `f1`, `precision` and `recall` are means over the classes. A ratio with
#' the denominator 0 is `NA` and enters no mean: all scores of a class that neither the truth nor
#' the prediction holds, the precision of a class that was never predicted, and the recall of a
#' class that the truth lacks. For pixels of one class, Dice and F1 are the same number.
#'
#' @param truth,prediction Masks of class ids: a [seg_mask()], a matrix `[H, W]` (or array
#'   `[D, H, W]`) of whole numbers, logical values (0 and 1) or factors, or the path of a mask file
#'   as [seg_read_mask()] reads it by default; for several images a list of these, or several
#'   paths. Each truth belongs to the prediction in the same place, unless both lists have the same
#'   names, and has its size. `NA` in the truth leaves a pixel out; in the prediction it is an
#'   error.
#' @param classes The classes that may occur, a named vector of ids such as
#'   `c(background = 0, nucleus = 1)`; another id in a pixel that counts is an error. By default the
#'   ids that are seen, named as the masks name them. Masks are compared by class id.
#' @param per_image Score every image too?
#' @return A data frame of class `seg_metrics`:
#'   - `image` (only with `per_image = TRUE`): names of the images, or else their numbers; `NA` in
#'     the rows over all images, which come first.
#'   - `metric`: the name of the score.
#'   - `class`: class id, `NA` in overall rows.
#'   - `value`: the score, from 0 to 1 (1 is perfect), or `NA` where it is undefined.
#'   - `n`: number of pixels: those of the class in the truth; in overall rows, all that count.
#'
#'   Attributes: `confusion`, the matrix of pixel counts (rows are the truth, columns the
#'   prediction); `classes`; with `per_image = TRUE` also `confusion_per_image`, an array
#'   `[truth, prediction, image]`. `summary()` gives one row for each class, `as.data.frame()` a
#'   plain data frame with a column `label` for the names of the classes.
#'
#'   Different sizes are a `maskr_error_shape`, unknown ids and missing predictions a
#'   `maskr_error_data`, unreadable files a `maskr_error_format`.
#' @references Long, J., Shelhamer, E. and Darrell, T. (2015) Fully convolutional networks for
#'   semantic segmentation. CVPR, 3431-3440. \doi{10.1109/CVPR.2015.7298965}
#'
#'   Dice, L. R. (1945) Measures of the amount of ecologic association between species. Ecology 26,
#'   297-302. \doi{10.2307/1932409}
#' @seealso [seg_evaluate()] for a model and a data set; [plot.seg_metrics()].
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' truth <- matrix(c(0, 0, 1, 1, 2, NA), nrow = 2)
#' prediction <- matrix(c(0, 1, 1, 1, 2, 2), nrow = 2)
#' scores <- seg_metrics(truth, prediction, classes = c(background = 0, cell = 1, border = 2))
#' scores
#' scores[scores$metric == "mean_iou", ]
#' attr(scores, "confusion")
#' plot(scores)
seg_metrics <- function(truth, prediction, classes = NULL, per_image = FALSE, ..., metrics = NULL,
                        aggregate = c("pooled", "mean"), ci = FALSE, tolerance = "0.75%",
                        width = "2%", thresholds = NULL, type = c("mask", "box", "boundary")) {
  check_no_dots(...)
  classes <- check_classes(classes)
  options <- metric_options(per_image, aggregate, ci)
  kind <- kind_of_scores(truth, prediction, metrics)
  metrics <- check_wanted(metrics, kind)
  call <- rlang::current_env()
  out <- switch(
    kind,
    masks = metrics_of_masks(truth, prediction, classes, options, metrics, tolerance, width,
                             thresholds, call),
    objects = metrics_of_objects(truth, prediction, classes, options, metrics, type, call),
    segments = metrics_of_segments(truth, prediction, classes, options, metrics, call)
  )
  chosen_rows(out, metrics, options)
}

# The rows of each kind's results, by the families that are computed together.
metric_families <- list(
  masks = list(
    semantic = c(
      "pixel_accuracy", "mean_accuracy", "balanced_accuracy", "mean_iou", "fw_iou", "kappa",
      "generalised_dice", "iou", "dice", "precision", "recall", "specificity", "f1"
    ),
    thresholds = c("average_precision", "best_dice", "best_threshold"),
    calibration = "ece",
    boundary = c("boundary_f1", "boundary_iou", "trimap_iou"),
    surface = c("hausdorff", "hd95", "assd", "nsd")
  ),
  objects = list(
    coco = c(
      "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100",
      "ar_small", "ar_medium", "ar_large"
    ),
    bioimage = c(
      "dsb_ap", "dsb_ap50", "dsb_ap75", "precision", "recall", "f1", "mean_iou", "seg", "aji",
      "missed", "false", "merged", "split", "poorly_outlined"
    )
  ),
  segments = list(
    panoptic = c(
      "pq", "sq", "rq", "pq_things", "sq_things", "rq_things", "pq_stuff", "sq_stuff", "rq_stuff"
    )
  )
)

# What is compared: "masks", "objects" or "segments".
kind_of_scores <- function(truth, prediction, metrics) {
  things <- setdiff(c(thing_in(truth), thing_in(prediction)), "scenes")
  if (any(things == "masks") || length(things) == 0) return("masks")
  if (any(things == "objects")) return("objects")
  # the things of a panoptic result are objects, for those who ask for scores of objects
  if (!is.null(metrics) && !any(metrics %in% score_words("segments")) &&
        any(metrics %in% score_words("objects"))) {
    return("objects")
  }
  "segments"
}

thing_in <- function(x) {
  if (is_scenes(x)) return("scenes")
  if (inherits(x, "seg_annotations")) {
    return(if (identical(x$format, "coco_panoptic")) "segments" else "objects")
  }
  one <- if (is.list(x) && !is.object(x) && length(x) > 0) x[[1]] else x
  if (inherits(one, "seg_instances")) return("objects")
  if (inherits(one, "seg_panoptic")) "segments" else "masks"
}

# Names of rows and of families.
score_words <- function(kind) {
  families <- metric_families[[kind]]
  unique(c(names(families), unlist(families, use.names = FALSE)))
}

# The families that hold the rows or families named by `metrics`.
families_of <- function(metrics, kind) {
  families <- metric_families[[kind]]
  holds <- vapply(names(families), \(name) any(metrics %in% c(name, families[[name]])), NA)
  names(families)[holds]
}

check_wanted <- function(metrics, kind, call = rlang::caller_env()) {
  if (is.null(metrics)) return(NULL)
  known <- score_words(kind)
  if (!is.character(metrics) || length(metrics) == 0 || anyNA(metrics)) {
    maskr_abort("argument", c(
      "{.arg metrics} must be names of scores, such as {.val {known[[2]]}}, not
       {describe(metrics)}."
    ), arg = "metrics", call = call)
  }
  unknown <- setdiff(metrics, known)
  if (length(unknown) == 0) return(unique(metrics))
  first <- unknown[[1]]
  elsewhere <- Filter(\(other) first %in% score_words(other), names(metric_families))
  distance <- utils::adist(first, known, ignore.case = TRUE)
  close <- utils::head(known[order(distance)], 3)
  near <- sort(distance)[seq_along(close)] <= max(2, nchar(first) / 3)
  maskr_abort("argument", c(
    "{.val {first}} is no score of {kind_words[[kind]]}.",
    x = if (length(elsewhere) > 0) "It is one of {kind_words[[elsewhere[[1]]]]}.",
    i = if (any(near) && length(elsewhere) == 0) "Did you mean {.or {.val {close[near]}}}?",
    i = if (!any(near)) "There {?is/are} {.val {known}}."
  ), arg = "metrics", call = call)
}

kind_words <- c(masks = "masks", objects = "objects", segments = "panoptic results")

# What becomes `results.Options` in Python.
metric_options <- function(per_image, aggregate, ci, call = rlang::caller_env()) {
  level <- check_ci(ci, call)
  list(
    aggregate = check_choice(aggregate, c("pooled", "mean"), arg = "aggregate", call = call),
    per_image = check_flag(per_image, arg = "per_image", call = call),
    resampling = if (!is.null(level)) resampling(level)
  )
}

# R's random numbers decide which images are drawn.
resampling <- function(level) list(level = level, replicates = 1000L, seed = draw_seed())

# The level of the intervals; NULL for none.
check_ci <- function(x, call = rlang::caller_env()) {
  if (isFALSE(x)) return(NULL)
  if (isTRUE(x)) return(0.95)
  if (is.numeric(x) && length(x) == 1 && !is.na(x) && x > 0 && x < 1) return(as.double(x))
  maskr_abort("argument", c(
    "{.arg ci} must be TRUE, FALSE or the level of the intervals, such as 0.9.",
    x = "It is {describe(x)}."
  ), arg = "ci", call = call)
}

# No checks. `result` is what Python's `results.result()` gives: `columns`, `details`, `state`, for
# masks also `confusion` [truth, prediction] in the order of `classes`, and `confusions` with the
# images last. `images` are the names of the images.
new_seg_metrics <- function(result, classes, images = NULL, kind = "masks") {
  columns <- plain_columns(result$columns)
  if (!is.null(columns$image) && !is.null(images)) columns$image <- images[columns$image]
  structure(
    columns,
    confusion = named_confusion(result$confusion, classes),
    confusion_per_image = named_confusion(result$confusions, classes, images),
    classes = classes, kind = kind, tables = lapply(result$details, plain_columns),
    state = result$state, images = images,
    class = c("seg_metrics", "data.frame")
  )
}

# Python's columns as a data frame; what is undefined is NA in R.
plain_columns <- function(columns) {
  columns <- lapply(columns, function(x) {
    x <- as.vector(x)
    if (is.double(x)) x[is.nan(x)] <- NA
    x
  })
  as.data.frame(columns, stringsAsFactors = FALSE)
}

# Pixel counts with the names of the classes: [truth, prediction] or [truth, prediction, image].
named_confusion <- function(counts, classes, images = NULL) {
  if (is.null(counts)) return(NULL)
  size <- length(classes)
  several <- length(dim(counts)) == 3
  array(
    counts,
    dim = c(size, size, if (several) dim(counts)[[3]]),
    dimnames = c(list(truth = names(classes), prediction = names(classes)),
                 if (several) list(image = images))
  )
}

# The rows that were asked for, and how they were made.
chosen_rows <- function(x, metrics, options) {
  attr(x, "aggregate") <- options$aggregate
  attr(x, "level") <- options$resampling$level
  if (is.null(metrics)) return(x)
  families <- metric_families[[attr(x, "kind")]]
  wanted <- unlist(c(setdiff(metrics, names(families)), families[intersect(metrics, names(families))]))
  x <- x[x$metric %in% wanted, ]
  rownames(x) <- NULL
  x
}

#' @export
`[.seg_metrics` <- function(x, i, j, drop = if (missing(i)) TRUE else NCOL(out) == 1) {
  out <- NextMethod(drop = FALSE)
  if (all(metrics_columns %in% names(out))) {
    for (kept in metrics_attributes) attr(out, kept) <- attr(x, kept)
    return(out)
  }
  class(out) <- "data.frame"
  if (drop && ncol(out) == 1) out[[1]] else out
}

metrics_columns <- c("metric", "class", "value", "n")
metrics_attributes <- c("confusion", "confusion_per_image", "classes", "kind", "tables", "state",
                        "images", "aggregate", "level")

#' @export
as.data.frame.seg_metrics <- function(x, row.names = NULL, optional = FALSE, ...) {
  classes <- attr(x, "classes")
  label <- names(classes)[match(x$class, classes)]
  after <- match("class", names(x))
  columns <- unclass(x)[names(x)]
  columns <- append(columns, list(label = label), after = after)
  as.data.frame(columns, row.names = row.names, optional = optional, stringsAsFactors = FALSE)
}

#' @export
summary.seg_metrics <- function(object, ...) {
  rows <- all_images(as.data.frame(object))
  per_class <- rows[!is.na(rows$class), ]
  classes <- attr(object, "classes")
  classes <- classes[classes %in% per_class$class]
  out <- data.frame(class = unname(classes), label = names(classes) %||% character())
  for (metric in unique(per_class$metric)) {
    one <- per_class[per_class$metric == metric, ]
    out[[metric]] <- one$value[match(classes, one$class)]
  }
  out$n <- per_class$n[match(classes, per_class$class)]
  out
}

# The rows over all images.
all_images <- function(rows) if (is.null(rows$image)) rows else rows[is.na(rows$image), ]
