# Pictures of scores.

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
