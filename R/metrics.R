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
seg_metrics <- function(truth, prediction, classes = NULL, per_image = FALSE) {
  classes <- check_classes(classes)
  per_image <- check_flag(per_image)
  if (is_scenes(truth)) truth <- truth$masks
  truth <- as_mask_list(truth)
  prediction <- pair_masks(as_mask_list(prediction), truth)
  known <- classes %||% named_classes(c(truth, prediction))
  images <- names(truth) %||% names(prediction)
  truth <- unname(lapply(truth, countable_mask, classes = known, arg = "truth"))
  prediction <- unname(lapply(prediction, countable_mask, classes = known, arg = "prediction"))
  ids <- if (!is.null(classes)) as.list(unname(classes))
  result <- py_call("metrics.semantic", "compare", truth, prediction, ids, per_image)
  new_seg_metrics(
    result$columns, result$confusion, classes %||% name_ids(as.vector(result$ids), known),
    confusion_per_image = result$confusions, images = images
  )
}

# No checks. `columns` comes from Python's `table()`; `confusion` is a matrix [truth, prediction]
# of pixel counts in the order of `classes`, `confusion_per_image` an array with the images last.
new_seg_metrics <- function(columns, confusion, classes, confusion_per_image = NULL,
                            images = NULL) {
  columns <- lapply(columns, as.vector)
  columns$value[is.nan(columns$value)] <- NA
  if (!is.null(columns$image) && !is.null(images)) columns$image <- images[columns$image]
  names <- list(truth = names(classes), prediction = names(classes))
  size <- length(classes)
  if (!is.null(confusion_per_image)) {
    confusion_per_image <- array(
      confusion_per_image, dim = c(size, size, length(confusion_per_image) / max(size, 1)^2),
      dimnames = c(names, list(image = images))
    )
  }
  structure(
    as.data.frame(columns, stringsAsFactors = FALSE),
    confusion = array(confusion, dim = c(size, size), dimnames = names),
    confusion_per_image = confusion_per_image,
    classes = classes,
    class = c("seg_metrics", "data.frame")
  )
}

# One mask, several paths or a list of both, as a list.
as_mask_list <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (is.character(x) && is.null(dim(x))) {
    x <- check_paths(x, arg = arg, call = call)
    return(as.list(stats::setNames(x, names(x) %||% basename(x))))
  }
  if (!is.list(x) || is.object(x)) return(list(x))
  if (length(x) == 0) {
    maskr_abort("argument", "{.arg {arg}} holds no mask: it is an empty list.",
                arg = arg, call = call)
  }
  paths <- vapply(x, \(one) is.character(one) && is.null(dim(one)), logical(1))
  x[paths] <- lapply(x[paths], check_paths, arg = arg, call = call)
  if (all(lengths(x[paths]) == 1)) return(x)
  maskr_abort("argument", "Each element of {.arg {arg}} must be one mask or one path.",
              arg = arg, call = call)
}

# The predictions in the order of the truths: by name where both have the same names.
pair_masks <- function(prediction, truth, call = rlang::caller_env()) {
  if (length(prediction) != length(truth)) {
    maskr_abort("argument", c(
      "{.arg truth} and {.arg prediction} must hold equally many masks.",
      x = "{.arg truth} holds {length(truth)}, {.arg prediction} {length(prediction)}."
    ), arg = "prediction", call = call)
  }
  by_name <- !anyDuplicated(names(truth)) && setequal(names(truth), names(prediction))
  if (by_name && !is.null(names(truth))) prediction[names(truth)] else prediction
}

# The classes that the masks themselves name: those of `seg_mask`s, else the levels of factors.
named_classes <- function(masks, call = rlang::caller_env()) {
  known <- unlist(lapply(unname(masks), attr, "classes"))
  if (!is.null(known)) return(one_name_each(known, call))
  levels <- unique(unlist(lapply(masks, \(x) if (holds_names(x)) levels(as.factor(x)))))
  if (!is.null(levels)) stats::setNames(seq_along(levels) - 1L, levels)
}

# Named ids of all masks as one vocabulary. Names that were made up for want of better ones give
# way; two real names for one id mean that the masks speak of different things.
one_name_each <- function(known, call) {
  made_up <- names(known) == as.character(known) | names(known) %in% c("background", "foreground")
  known <- known[order(made_up)]
  real <- known[sort(!made_up, decreasing = TRUE)]
  pairs <- unique(data.frame(id = real, name = names(real)))
  twice <- pairs$id[duplicated(pairs$id)]
  if (length(twice) > 0) {
    words <- pairs$name[pairs$id == twice[[1]]]
    maskr_abort("data", c(
      "The masks disagree about the name of class {twice[[1]]}: {.or {.val {words}}}.",
      i = "Masks are compared by class id. If the ids mean the same, say so by {.arg classes}."
    ), arg = "classes", call = call)
  }
  known <- known[!duplicated(known)]
  sort(known[!duplicated(names(known))])
}

# Ids with their names where they have one.
name_ids <- function(ids, known) {
  name <- as.character(names(known))[match(ids, known)]
  stats::setNames(ids, ifelse(is.na(name), as.character(ids), name))
}

holds_names <- function(x) is.factor(x) || is.character(x) && !is.null(dim(x))

# What Python counts: an integer array as it lies in memory, or a path.
countable_mask <- function(x, classes, arg, call = rlang::caller_env(2)) {
  if (is.character(x) && is.null(dim(x))) return(unname(x))
  if (inherits(x, c("seg_image", "seg_instances", "seg_panoptic"))) {
    maskr_abort("argument", c(
      "{.arg {arg}} must hold masks, and holds an object of class {.cls {class(x)[[1]]}}.",
      i = if (!inherits(x, "seg_image")) "{.fn as_seg_mask} makes a mask of it."
    ), arg = arg, call = call)
  }
  if (holds_names(x)) x <- as_seg_mask(x, classes = classes)
  # a mask's other attributes stay behind at the border; to strip them here would copy it
  if (is.integer(x) && length(dim(x)) %in% 2:3 && length(x) > 0) return(x)
  bare_mask(x, arg = arg, call = call)
}

#' @export
`[.seg_metrics` <- function(x, i, j, drop = if (missing(i)) TRUE else NCOL(out) == 1) {
  out <- NextMethod(drop = FALSE)
  if (all(metrics_columns %in% names(out))) {
    for (kept in c("confusion", "confusion_per_image", "classes")) {
      attr(out, kept) <- attr(x, kept)
    }
    return(out)
  }
  class(out) <- "data.frame"
  if (drop && ncol(out) == 1) out[[1]] else out
}

metrics_columns <- c("metric", "class", "value", "n")

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

#' @export
format.seg_metrics <- function(x, n = 30, digits = 3, ...) {
  n <- check_number(n, min = 1)
  rows <- all_images(as.data.frame(x))
  overall <- rows[is.na(rows$class), ]
  scores <- summary(x)
  hidden <- max(nrow(scores) - n, 0)
  c(
    paste0("<seg_metrics> ", metrics_words(x)),
    format_overall(overall, shown = names(scores), digits = digits),
    if (nrow(scores) > 0) format_per_class(utils::head(scores, n), overall, digits),
    if (hidden > 0) paste0("... and ", hidden, " more classes; summary() has them all"),
    if (!is.null(x$image)) "The scores of single images are in the rows with an image."
  )
}

#' @export
print.seg_metrics <- function(x, n = 30, digits = 3, ...) {
  writeLines(format(x, n = n, digits = digits))
  invisible(x)
}

# "3 classes, 2 images, 1,024 pixels"
metrics_words <- function(x) {
  images <- unique(x$image[!is.na(x$image)])
  count <- length(attr(x, "classes"))
  paste(c(
    paste(count, if (count == 1) "class" else "classes"),
    if (length(images) > 0) paste(length(images), if (length(images) == 1) "image" else "images"),
    paste(format(sum(attr(x, "confusion")), big.mark = ",", scientific = FALSE), "pixels")
  ), collapse = ", ")
}

# The overall scores that no column of the table below has, four on a line.
format_overall <- function(rows, shown, digits) {
  rows <- rows[!sub("^mean_iou$", "iou", rows$metric) %in% shown, ]
  cells <- paste(rows$metric, trimws(format_score(rows$value, digits)))
  lines <- split(cells, (seq_along(cells) - 1) %/% 4)
  unlist(lapply(lines, paste, collapse = "   "), use.names = FALSE)
}

table_metrics <- c("iou", "dice", "precision", "recall", "f1")

# One line for each class, and one for the means over them.
format_per_class <- function(scores, overall, digits) {
  metrics <- intersect(table_metrics, names(scores))
  means <- overall$value[match(sub("^iou$", "mean_iou", metrics), overall$metric)]
  named <- !identical(scores$label, as.character(scores$class))
  cells <- c(
    list(class = c(scores$class, "mean")),
    if (named) list(label = c(scores$label, "")),
    Map(\(values, mean) format_score(c(values, mean), digits), scores[metrics], means),
    list(n = c(format(scores$n, big.mark = ",", scientific = FALSE, trim = TRUE), ""))
  )
  if (all(is.na(means))) cells <- lapply(cells, utils::head, -1)
  aligned <- Map(
    \(name, cell) format(c(name, cell), justify = if (name == "label") "left" else "right"),
    names(cells), cells
  )
  trimws(do.call(paste, c(unname(aligned), sep = "  ")), "right")
}

format_score <- function(x, digits) {
  formatC(ifelse(is.na(x), "NA", formatC(x, format = "f", digits = digits)), width = digits + 2)
}

#' Draw a confusion matrix
#'
#' A heat map of how the pixels of each true class (rows) were predicted (columns).
#'
#' @param x,object What [seg_metrics()] returned.
#' @param normalise What the shares in the cells refer to: `"truth"`, each class of the truth (the
#'   diagonal is the recall); `"prediction"`, each predicted class (the diagonal is the precision);
#'   or `"all"` pixels.
#' @param main Title.
#' @param ... Not used.
#' @return `plot()` returns `x` invisibly, `autoplot()` a ggplot. A class without pixels to refer to
#'   is left white.
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' truth <- matrix(c(0, 0, 1, 1, 2, 2), nrow = 2)
#' prediction <- matrix(c(0, 1, 1, 1, 2, 2), nrow = 2)
#' plot(seg_metrics(truth, prediction, classes = c(background = 0, cell = 1, border = 2)))
plot.seg_metrics <- function(x, normalise = c("truth", "prediction", "all"), main = NULL, ...) {
  normalise <- check_choice(normalise, c("truth", "prediction", "all"))
  share <- confusion_share(x, normalise)
  size <- nrow(share)
  # many classes: letters as small as is legible, then only every so manieth label
  fits <- 0.6 * min(graphics::par("din")) / size / graphics::strheight("M", units = "inches")
  cex <- min(1, max(fits, 0.5))
  labels <- short_labels(rownames(share))
  labels[seq_len(size) %% ceiling(cex / fits) != 1 %% ceiling(cex / fits)] <- ""
  room <- max(graphics::strwidth(labels, units = "inches", cex = cex)) + 0.45
  top <- room + if (is.null(main)) 0.05 else 0.35
  old <- graphics::par(mai = c(0.4, room, top, 0.2), pty = "s", xpd = NA)
  on.exit(graphics::par(old))
  graphics::plot.new()
  graphics::plot.window(c(0.5, size + 0.5), c(size + 0.5, 0.5), xaxs = "i", yaxs = "i")
  draw_cells(share)
  graphics::axis(2, seq_len(size), labels, las = 1, tick = FALSE, line = -0.8, cex.axis = cex,
                 gap.axis = -1)
  graphics::axis(3, seq_len(size), labels, las = 2, tick = FALSE, line = -0.8, cex.axis = cex,
                 gap.axis = -1)
  line <- room / graphics::par("csi") - 1.3
  graphics::mtext("truth", side = 2, line = line)
  graphics::mtext("prediction", side = 3, line = line)
  graphics::mtext(share_meaning[[normalise]], side = 1, line = 0.6, cex = 0.8)
  if (!is.null(main)) graphics::title(main, line = line + 1.5)
  invisible(x)
}

#' @rdname plot.seg_metrics
#' @exportS3Method ggplot2::autoplot
autoplot.seg_metrics <- function(object, normalise = c("truth", "prediction", "all"), ...) {
  normalise <- check_choice(normalise, c("truth", "prediction", "all"))
  share <- confusion_share(object, normalise)
  cells <- expand.grid(truth = rownames(share), prediction = colnames(share))
  cells$share <- as.vector(share)
  cells$words <- if (nrow(share) <= 30) share_words(share) else ""
  cells$strong <- !is.na(cells$share) & cells$share > 0.55
  column <- rlang::syms(stats::setNames(nm = names(cells)))
  ggplot2::ggplot(cells, ggplot2::aes(!!column$prediction, !!column$truth)) +
    ggplot2::geom_tile(ggplot2::aes(fill = !!column$share), colour = "grey85") +
    ggplot2::geom_text(
      ggplot2::aes(label = !!column$words, colour = !!column$strong),
      size = 3.5 * min(1, 16 / nrow(share)), show.legend = FALSE
    ) +
    ggplot2::scale_fill_gradientn(
      colours = share_palette(64), limits = c(0, 1), na.value = "white", labels = percent
    ) +
    ggplot2::scale_colour_manual(values = c("FALSE" = "grey20", "TRUE" = "white")) +
    ggplot2::scale_y_discrete(limits = rev) +
    ggplot2::scale_x_discrete(position = "top", guide = ggplot2::guide_axis(angle = 90)) +
    ggplot2::coord_equal() +
    ggplot2::labs(fill = NULL, caption = share_meaning[[normalise]]) +
    ggplot2::theme_minimal() +
    ggplot2::theme(
      panel.grid = ggplot2::element_blank(),
      plot.background = ggplot2::element_rect(fill = "white", colour = NA)
    )
}

# The confusion matrix as shares of what `normalise` names; NaN where that is empty.
confusion_share <- function(x, normalise, call = rlang::caller_env()) {
  confusion <- attr(x, "confusion")
  if (is.null(confusion) || length(confusion) == 0) {
    maskr_abort("data", "These scores have no confusion matrix: no pixel was counted.",
                arg = "x", call = call)
  }
  switch(
    normalise,
    truth = confusion / rowSums(confusion),
    prediction = t(t(confusion) / colSums(confusion)),
    all = confusion / sum(confusion)
  )
}

draw_cells <- function(share) {
  size <- nrow(share)
  cell <- expand.grid(truth = seq_len(size), prediction = seq_len(size))
  graphics::rect(cell$prediction - 0.5, cell$truth - 0.5, cell$prediction + 0.5, cell$truth + 0.5,
                 col = share_colour(share), border = if (size <= 40) "grey85" else NA)
  cex <- min(1, 0.8 / graphics::strwidth("100"))
  if (cex < 0.4) return(invisible())
  graphics::text(cell$prediction, cell$truth, share_words(share), cex = cex,
                 col = ifelse(!is.na(share) & share > 0.55, "white", "grey20"))
}

share_meaning <- c(
  truth = "per cent of the true class", prediction = "per cent of the predicted class",
  all = "per cent of all pixels"
)

share_palette <- function(n) grDevices::hcl.colors(n, "Blues 3", rev = TRUE)

share_colour <- function(share) {
  colours <- c("#FFFFFF", share_palette(99))[1 + ceiling(99 * share)]
  ifelse(is.na(colours), "#FFFFFF", colours)
}

# Shares in per cent; empty cells stay empty, small ones are told from none.
share_words <- function(share) {
  words <- ifelse(share < 0.005, "<1", as.character(round(100 * share)))
  as.vector(ifelse(is.na(share) | share == 0, "", words))
}

percent <- function(x) as.character(100 * x)

short_labels <- function(x, width = 18) {
  ifelse(nchar(x) > width, paste0(substr(x, 1, width - 3), "..."), x)
}
