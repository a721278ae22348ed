# Pictures of scores.

#' Plot scores
#'
#' Draws what [seg_metrics()] found:
#' - `"confusion"`, the default for masks: a heat map of how the pixels of each true class (rows)
#'   were predicted (columns).
#' - `"scores"`: one score by class, with its interval where `ci` was asked for, a circle for each
#'   image where `per_image` was, and the value over all classes. Infinite distances stand at the
#'   edge. Of very many classes every so manieth has its name, on a taller device each.
#' - `"curve"`, where probabilities came with `thresholds`: precision against recall, with the
#'   threshold of the best Dice marked. Of more than six classes the six with the lowest best Dice
#'   have colours, the others are grey.
#' - `"calibration"`, for probabilities: how often the predicted class is right against how probable
#'   it was said to be, where the area of a point is its share of the pixels. Points below the
#'   diagonal are too confident.
#' - `"thresholds"`, the default for the scores of objects in microscopy: how they fall as the IoU
#'   that makes a match rises.
#' - `"errors"`: how many objects were missed, false, merged, split or poorly outlined, by class if
#'   there are up to six.
#'
#' @param x,object What [seg_metrics()] returned.
#' @param type What to draw; by default the first of the above that the result has.
#' @param metric For `"scores"`, a score such as `"dice"` (by default the first that classes have);
#'   for `"thresholds"`, one of `"ap"`, `"precision"`, `"recall"` and `"f1"`, to see it by class.
#' @param normalise For `"confusion"`, what the shares in the cells refer to: `"truth"`, each class
#'   of the truth (the diagonal is the recall); `"prediction"`, each predicted class (the diagonal
#'   is the precision); or `"all"` pixels. A class without pixels to refer to is left white.
#' @param main Title.
#' @param ... Must be empty.
#' @return `plot()` returns `x` invisibly, `autoplot()` a ggplot. A picture that the result has no
#'   material for is a `maskr_error_data` that says how to get it.
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' truth <- matrix(c(0, 0, 1, 1, 2, 2), nrow = 2)
#' prediction <- matrix(c(0, 1, 1, 1, 2, 2), nrow = 2)
#' scores <- seg_metrics(truth, prediction, classes = c(background = 0, cell = 1, border = 2))
#' plot(scores)
#' plot(scores, "scores", metric = "dice")
plot.seg_metrics <- function(x, type = NULL, metric = NULL,
                             normalise = c("truth", "prediction", "all"), main = NULL, ...) {
  check_no_dots(...)
  shown <- shown_scores(x, type, metric, normalise)
  switch(
    shown$type,
    confusion = draw_confusion(shown, main),
    scores = draw_intervals(shown, main),
    curve = draw_curve(shown, main),
    calibration = draw_calibration(shown, main),
    thresholds = draw_thresholds(shown, main),
    errors = draw_errors(shown, main)
  )
  invisible(x)
}

#' @rdname plot.seg_metrics
#' @exportS3Method ggplot2::autoplot
autoplot.seg_metrics <- function(object, type = NULL, metric = NULL,
                                 normalise = c("truth", "prediction", "all"), ...) {
  check_no_dots(...)
  shown <- shown_scores(object, type, metric, normalise)
  switch(
    shown$type,
    confusion = gg_confusion(shown),
    scores = gg_intervals(shown),
    curve = gg_curve(shown),
    calibration = gg_calibration(shown),
    thresholds = gg_thresholds(shown),
    errors = gg_errors(shown)
  )
}

# What is drawn, and which kind of picture it is.
shown_scores <- function(x, type, metric, normalise, call = rlang::caller_env()) {
  has <- pictures_of(x)
  nothing <- if (attr(x, "kind") == "masks") "confusion" else "scores"
  type <- check_choice(type %||% c(names(has)[has], nothing)[[1]], names(has), arg = "type",
                       call = call)
  if (!has[[type]]) {
    maskr_abort("data", paste0("These scores have ", picture_needs[[type]], "."), arg = "type",
                call = call)
  }
  classes <- attr(x, "classes")
  tables <- attr(x, "tables")
  shown <- switch(
    type,
    confusion = {
      normalise <- check_choice(normalise, c("truth", "prediction", "all"), "normalise", call)
      list(share = confusion_share(x, normalise), normalise = normalise)
    },
    scores = score_rows(x, metric, call),
    curve = curve_rows(tables$curve, classes),
    calibration = calibration_rows(tables$calibration),
    thresholds = threshold_rows(tables$thresholds, classes, metric, call),
    errors = error_rows(x)
  )
  c(list(type = type), shown)
}

# Which pictures there is material for, the default first.
pictures_of <- function(x) {
  tables <- attr(x, "tables")
  rows <- all_images(x)
  c(
    confusion = length(attr(x, "confusion")) > 0, thresholds = !is.null(tables$thresholds),
    scores = any(!is.na(rows$value)), curve = !is.null(tables$curve),
    calibration = !is.null(tables$calibration), errors = any(rows$metric %in% count_scores)
  )
}

picture_needs <- c(
  confusion = "no confusion matrix: they are not of masks, or no pixel was counted",
  scores = "no value that is defined: neither truth nor prediction holds what they rest on",
  curve = "no curve: it needs probabilities and {.code seg_metrics(thresholds = )}",
  calibration = "no calibration: it needs probabilities as {.arg prediction}",
  thresholds = "no thresholds of IoU: {.code seg_metrics(metrics = \"bioimage\")} has them",
  errors = "no counts of errors: {.code seg_metrics(metrics = \"bioimage\")} has them"
)

# one score by class -------------------------------------------------------------------------------

# As `draw_intervals()` takes it: a row for each class and for all of them, points for images.
score_rows <- function(x, metric, call) {
  all <- as.data.frame(x)
  kind <- attr(x, "kind")
  metric <- check_choice(metric %||% first_metric(all), unique(all$metric), "metric", call)
  overall <- if (kind == "masks" && metric == "iou") "mean_iou" else metric
  all <- all[all$metric == metric & !is.na(all$class) | all$metric == overall & is.na(all$class), ]
  name <- if (kind == "masks" && any(!is.na(all$class))) "mean" else "all"
  all$name <- ifelse(is.na(all$class), name, all$label)
  all <- all[!is.na(all$value), ]
  rows <- all_images(all)
  rows <- rows[order(is.na(rows$class)), ]
  points <- if (is.null(all$image)) all[0, ] else all[!is.na(all$image), ]
  points$row <- match(points$name, rows$name)
  none <- rep(NA_real_, nrow(rows))
  list(
    metric = metric, points = points, note = marks_words(x),
    summary = data.frame(name = rows$name, mean = rows$value, lower = rows$lower %||% none,
                         upper = rows$upper %||% none)
  )
}

# What the marks beside the scores are.
marks_words <- function(x) {
  words <- c(
    if (any(!is.na(x$lower))) paste0("bars: ", format(100 * attr(x, "level")), " % intervals"),
    if (any(!is.na(x$image))) "circles: images"
  )
  if (length(words) > 0) paste(words, collapse = "; ")
}

first_metric <- function(rows) {
  defined <- rows[!is.na(rows$value), ]
  c(defined$metric[!is.na(defined$class)], defined$metric)[[1]]
}

# precision and recall -----------------------------------------------------------------------------

# A line for each class that has one; `best` are the points of the best Dice, and `key` tells the
# lines apart, those of the lowest Dice first.
curve_rows <- function(curve, classes) {
  curve$label <- names(classes)[match(curve$class, classes)]
  curve <- curve[!is.na(curve$precision) & !is.na(curve$recall), ]
  curve <- curve[order(match(curve$class, classes), curve$threshold), ]
  best <- lapply(split(curve, factor(curve$label, unique(curve$label))),
                 \(one) one[which.max(one$dice), ])
  best <- do.call(rbind, best)
  words <- sprintf("%s: %.3f at %s", short_labels(best$label), best$dice,
                   format(signif(best$threshold, 3)))
  list(lines = curve, best = best, key = line_key(best$label, words, order(best$dice)))
}

draw_curve <- function(shown, main) {
  best <- shown$best
  key <- shown$key
  old <- open_square(key, main)
  on.exit(graphics::par(old))
  graphics::plot(NULL, xlim = 0:1, ylim = 0:1, xlab = "recall", ylab = "precision", bty = "l",
                 main = main)
  colours <- key$colours[key$entry]
  for (i in rev(order(key$entry))) {
    one <- shown$lines[shown$lines$label == best$label[[i]], ]
    graphics::lines(one$recall, one$precision, lwd = 2, col = colours[[i]])
    graphics::points(best$recall[[i]], best$precision[[i]], pch = 16, cex = 1.4, col = colours[[i]])
  }
  side_legend(key, title = "best Dice")
}

gg_curve <- function(shown) {
  best <- shown$best
  best$entry <- shown$key$entry
  lines <- shown$lines
  lines$entry <- best$entry[match(lines$label, best$label)]
  # the last is drawn on top
  lines <- lines[order(lines$entry, decreasing = TRUE), ]
  lines$label <- factor(lines$label, unique(lines$label))
  ggplot2::ggplot(lines, ggplot2::aes(.data$recall, .data$precision, colour = .data$entry)) +
    ggplot2::geom_path(ggplot2::aes(group = .data$label), linewidth = 0.8) +
    ggplot2::geom_point(data = best, size = 2.5) +
    ggplot2::scale_colour_manual(values = shown$key$colours) +
    ggplot2::coord_equal(xlim = 0:1, ylim = 0:1) +
    ggplot2::labs(colour = "best Dice")
}

# Colours that are told apart as lines on white.
okabe_lines <- function(n) {
  colours <- c("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
  rep_len(colours, n)
}

# What tells lines apart: the `entry` of each in a legend, a factor, and the `colours` of the
# entries, of which there are few. The other lines, by their order of importance, share a grey one.
line_key <- function(names, words = names, importance = seq_along(names), most = 6) {
  chosen <- if (length(names) > most) utils::head(importance, most) else seq_along(names)
  others <- if (length(names) > most) paste(length(names) - most, "others")
  entry <- rep(others %||% "", length(names))
  entry[chosen] <- words[chosen]
  levels <- c(words[chosen], others)
  colours <- c(okabe_lines(length(chosen)), if (!is.null(others)) "grey75")
  list(entry = factor(entry, levels), colours = stats::setNames(colours, levels))
}

# Margins of a square picture with its legend on the right; returns the settings that it changed.
open_square <- function(key, main, pty = "s") {
  legend <- max(graphics::strwidth(names(key$colours), units = "inches")) * 0.9 + 0.7
  legend <- min(legend, graphics::par("din")[[1]] / 2)
  graphics::par(mai = c(0.7, 0.75, if (is.null(main)) 0.2 else 0.5, legend), mgp = c(2, 0.6, 0),
                las = 1, pty = pty)
}

side_legend <- function(key, title = NULL) {
  edges <- graphics::par("usr")
  graphics::legend(edges[[2]], edges[[4]], names(key$colours), col = key$colours, lwd = 2, pch = 16,
                   bty = "n", xpd = NA, cex = 0.9, title = title, title.adj = 0)
}

# calibration --------------------------------------------------------------------------------------

calibration_rows <- function(bins) {
  bins <- bins[bins$pixels > 0, ]
  share <- bins$pixels / sum(bins$pixels)
  list(bins = cbind(bins, share = share), ece = sum(share * abs(bins$accuracy - bins$confidence)))
}

draw_calibration <- function(shown, main) {
  bins <- shown$bins
  old <- graphics::par(mar = c(3.4, 3.6, if (is.null(main)) 1.6 else 3, 0.8),
                       mgp = c(2, 0.6, 0), las = 1, pty = "s")
  on.exit(graphics::par(old))
  graphics::plot(NULL, xlim = 0:1, ylim = 0:1, xlab = "probability of the predicted class",
                 ylab = "share of right pixels", bty = "l", main = main)
  graphics::abline(0, 1, lty = 2, col = "grey50")
  graphics::segments(bins$confidence, bins$confidence, y1 = bins$accuracy, col = "#D55E00", lwd = 2)
  graphics::points(bins$confidence, bins$accuracy, pch = 21, bg = "#0072B2", col = "white",
                   cex = 0.8 + 4 * sqrt(bins$share), xpd = NA)
  graphics::mtext(ece_words(shown), line = 0.1, cex = 0.9, adj = 0)
}

gg_calibration <- function(shown) {
  ggplot2::ggplot(shown$bins, ggplot2::aes(.data$confidence, .data$accuracy)) +
    ggplot2::geom_abline(linetype = 2, colour = "grey50") +
    ggplot2::geom_segment(ggplot2::aes(xend = .data$confidence, yend = .data$confidence),
                          colour = "#D55E00") +
    ggplot2::geom_point(ggplot2::aes(size = .data$share), shape = 21, fill = "#0072B2",
                        colour = "white") +
    ggplot2::scale_size_area(max_size = 10) +
    ggplot2::coord_equal(xlim = 0:1, ylim = 0:1) +
    ggplot2::labs(x = "probability of the predicted class", y = "share of right pixels",
                  size = "share of pixels", subtitle = ece_words(shown))
}

ece_words <- function(shown) sprintf("expected calibration error %.3f", shown$ece)

# objects ------------------------------------------------------------------------------------------

# Long rows of `name`, `threshold`, `value`: the scores over all classes, or one score by class.
threshold_rows <- function(table, classes, metric, call) {
  scores <- c("ap", "f1", "precision", "recall")
  if (is.null(metric)) {
    table <- table[is.na(table$class), ]
    rows <- data.frame(name = rep(scores, each = nrow(table)), threshold = table$threshold,
                       value = unlist(table[scores], use.names = FALSE))
  } else {
    scores <- check_choice(metric, scores, "metric", call)
    name <- ifelse(is.na(table$class), "all", names(classes)[match(table$class, classes)])
    rows <- data.frame(name = name, threshold = table$threshold, value = table[[scores]])
  }
  rows <- rows[!is.na(rows$value), ]
  rows$name <- factor(rows$name, unique(rows$name))
  height <- tapply(rows$value, rows$name, mean)
  key <- line_key(levels(rows$name), importance = order(names(height) != "all", height))
  list(rows = rows, key = key, ylab = if (length(scores) == 1) scores else "score")
}

draw_thresholds <- function(shown, main) {
  rows <- shown$rows
  key <- shown$key
  old <- open_square(key, main, pty = "m")
  on.exit(graphics::par(old))
  graphics::plot(NULL, xlim = range(rows$threshold), ylim = 0:1, xlab = "IoU of a match",
                 ylab = shown$ylab, bty = "l", main = main)
  for (i in rev(order(key$entry))) {
    one <- rows[as.integer(rows$name) == i, ]
    graphics::lines(one$threshold, one$value, type = "o", pch = 16, cex = 0.7, lwd = 2,
                    col = key$colours[[key$entry[[i]]]])
  }
  side_legend(key)
}

gg_thresholds <- function(shown) {
  rows <- shown$rows
  rows$entry <- shown$key$entry[as.integer(rows$name)]
  ggplot2::ggplot(rows, ggplot2::aes(.data$threshold, .data$value, colour = .data$entry,
                                     group = .data$name)) +
    ggplot2::geom_line(linewidth = 0.8) +
    ggplot2::geom_point() +
    ggplot2::scale_colour_manual(values = shown$key$colours) +
    ggplot2::coord_cartesian(ylim = 0:1) +
    ggplot2::labs(x = "IoU of a match", y = shown$ylab, colour = NULL)
}

# Counts of each error by class, or over all where there are none or too many to be told apart.
error_rows <- function(x) {
  rows <- all_images(as.data.frame(x))
  rows <- rows[rows$metric %in% count_scores & !is.na(rows$value), ]
  n <- length(unique(rows$class[!is.na(rows$class)]))
  by_class <- n > 0 && (n <= 6 || !anyNA(rows$class))
  rows <- rows[is.na(rows$class) != by_class, ]
  rows$name <- ifelse(is.na(rows$class), "all", rows$label)
  list(rows = data.frame(
    error = factor(gsub("_", " ", rows$metric), gsub("_", " ", count_scores)),
    name = factor(rows$name, unique(rows$name)), count = rows$value
  ))
}

draw_errors <- function(shown, main) {
  counts <- tapply(shown$rows$count, shown$rows[c("name", "error")], sum)
  old <- graphics::par(mar = c(3.4, 3.6, if (is.null(main)) 0.8 else 2.4, 0.8),
                       mgp = c(2, 0.6, 0), las = 1)
  on.exit(graphics::par(old))
  graphics::barplot(
    counts, beside = TRUE, col = okabe_lines(nrow(counts)), border = NA, ylab = "objects",
    main = main, axes = FALSE, legend.text = if (nrow(counts) > 1) rownames(counts),
    args.legend = list(x = "topright", bty = "n", border = NA)
  )
  graphics::axis(2, whole_ticks(c(0, counts)))
}

gg_errors <- function(shown) {
  ggplot2::ggplot(shown$rows, ggplot2::aes(.data$error, .data$count, fill = .data$name)) +
    ggplot2::geom_col(position = "dodge", show.legend = nlevels(shown$rows$name) > 1) +
    ggplot2::scale_fill_manual(values = okabe_lines(nlevels(shown$rows$name))) +
    ggplot2::scale_y_continuous(breaks = whole_ticks) +
    ggplot2::labs(x = NULL, y = "objects", fill = NULL)
}

# confusion matrix ---------------------------------------------------------------------------------

draw_confusion <- function(shown, main) {
  share <- shown$share
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
  graphics::mtext(share_meaning[[shown$normalise]], side = 1, line = 0.6, cex = 0.8)
  if (!is.null(main)) graphics::title(main, line = line + 1.5)
}

gg_confusion <- function(shown) {
  share <- shown$share
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
    ggplot2::scale_x_discrete(position = "top") +
    ggplot2::coord_equal() +
    ggplot2::labs(fill = NULL, caption = share_meaning[[shown$normalise]]) +
    ggplot2::theme_minimal() +
    ggplot2::theme(
      panel.grid = ggplot2::element_blank(),
      axis.text.x.top = ggplot2::element_text(angle = 90, hjust = 0, vjust = 0.5),
      axis.title.x.top = ggplot2::element_text(margin = ggplot2::margin(b = 8)),
      plot.background = ggplot2::element_rect(fill = "white", colour = NA)
    )
}

# The confusion matrix as shares of what `normalise` names; NaN where that is empty.
confusion_share <- function(x, normalise) {
  confusion <- attr(x, "confusion")
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
