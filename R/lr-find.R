# The learning-rate range test.

#' Find a learning rate
#'
#' Trains a copy of the model for some batches, the learning rate rising exponentially from batch to
#' batch, and notes the loss (Smith 2017). It ends early where the loss diverges: becomes infinite,
#' or its running mean more than four times its least. Too small a learning rate leaves the loss
#' where it is, a good one makes it fall, too large a one makes it rise. Model and optimizer stay as
#' they are.
#'
#' The suggestion is the learning rate at which the smoothed loss falls most steeply against the
#' logarithm of the learning rate, left of its lowest point. Where the loss still falls most steeply
#' at the end, the range is too short to see that: then a message says so, and the suggestion is a
#' tenth of the largest learning rate tried. `smoothed` is the loss under a Gaussian
#' whose standard deviation is 4 % of the steps; it looks both ways, and so delays nothing.
#'
#' @param object A [`seg_model`][seg_model]; one that was not compiled is tried with the defaults of
#'   [compile()][compile.seg_model()].
#' @param x A [seg_dataset()], what [seg_example()] returns, or images (paths or a list).
#' @param y Masks, where `x` is images.
#' @param ... For `seg_lr_find()` it must be empty; for `plot()`, arguments of
#'   [graphics::plot.default()].
#' @param from,to The learning rates of the first and the last step, above 0, `from` the smaller.
#' @param steps How many batches, at least 25.
#' @param batch_size Images per batch, where `x` is not a dataset, which has its own.
#' @param precision As in [fit()][fit.seg_model()].
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @return A data frame of class `seg_lr_find` with columns `learning_rate`, `loss` (of the batch,
#'   before its step) and `smoothed`. Attributes: `suggestion`, the suggested learning rate;
#'   `still_falling`, whether the loss still falls most steeply at `to`; `diverged`, whether it
#'   ended early. `print()` and `plot()` return their argument invisibly, `autoplot()` a ggplot.
#'   [set.seed()] before makes it repeatable. A loss that falls nowhere is a `maskr_error_data`.
#' @references Smith (2017) Cyclical learning rates for training neural networks,
#'   \url{https://arxiv.org/abs/1506.01186}.
#' @concept training
#' @export
#' @examplesIf seg_available()
#' set.seed(1)
#' scenes <- seg_example("nuclei", n = 6, size = c(64, 64))
#' model <- seg_unet(in_channels = 1, classes = scenes$classes, init_features = 4)
#' found <- seg_lr_find(model, scenes, to = 10, steps = 30, batch_size = 2)
#' found
#' plot(found)
#' model |> compile(learning_rate = attr(found, "suggestion"))
seg_lr_find <- function(object, x, y = NULL, ..., from = 1e-6, to = 1, steps = 100, batch_size = 8,
                        precision = c("auto", "float32", "bfloat16"), verbose = NULL) {
  check_verbose(verbose)
  check_no_dots(...)
  check_model(object)
  classes <- check_has_classes(object)
  check_rates(from, to)
  steps <- check_whole(steps, min = 25)
  train <- as_dataset(x, y, check_whole(batch_size, min = 1), classes)
  precision <- check_choice(precision, c("auto", "float32", "bfloat16"))
  say_slow_precision(precision)
  found <- py_call(
    "training.finder", "find", object, dataset_for_python(train, classes), as.double(from),
    as.double(to), steps, precision,
    seed = draw_seed(), progress = counting_progress(verbose, steps, "Trying learning rates")
  )
  frame <- data.frame(
    learning_rate = as.double(unlist(found$learning_rate)), loss = as.double(unlist(found$loss)),
    smoothed = as.double(unlist(found$smoothed))
  )
  found <- structure(frame, suggestion = found$suggestion, still_falling = found$still_falling,
                     diverged = found$diverged, class = c("seg_lr_find", "data.frame"))
  if (attr(found, "still_falling")) {
    cli::cli_inform(c("!" = "{suggestion_words(found)}"), class = "maskr_message_range")
  }
  found
}

suggestion_words <- function(x) {
  suggestion <- attr(x, "suggestion")
  if (attr(x, "still_falling")) {
    paste0("The loss still falls at the largest learning rate, ",
           format_rate(max(x$learning_rate)), "; the suggestion is about a tenth of it, ",
           format_rate(suggestion), ". A larger `to` may find a better one.")
  } else {
    loss <- x$smoothed[x$learning_rate == suggestion]
    paste0("suggestion: learning_rate = ", format_rate(suggestion), ", where the loss (",
           format(loss, digits = 3), ") falls most steeply")
  }
}

check_rates <- function(from, to, call = rlang::caller_env()) {
  ok <- is_numbers(from) && is_numbers(to) && length(from) == 1 && length(to) == 1 &&
    is.finite(from) && is.finite(to) && from > 0 && to > from
  if (ok) return(invisible())
  maskr_abort("argument", c(
    "{.arg from} and {.arg to} must be two learning rates above 0, the smaller first.",
    x = "They are {describe(from)} and {describe(to)}."
  ), arg = "from", call = call)
}

#' @rdname seg_lr_find
#' @export
print.seg_lr_find <- function(x, ...) {
  cat("<seg_lr_find> ", nrow(x), " steps, tried ",
      paste(format_rate(range(x$learning_rate)), collapse = " to "),
      if (attr(x, "diverged")) ", then the loss diverged", "\n", sep = "")
  cat(suggestion_words(x), "\n", sep = "")
  invisible(x)
}

format_rate <- function(rate) format(signif(rate, 2), trim = TRUE)

#' @rdname seg_lr_find
#' @export
plot.seg_lr_find <- function(x, y, ...) {
  suggestion <- attr(x, "suggestion")
  old <- graphics::par(mar = c(4, 4, 2.2, 0.8), mgp = c(2.6, 0.6, 0), las = 1)
  on.exit(graphics::par(old))
  graphics::plot(x$learning_rate, x$loss, log = "x", type = "l", col = "grey70", bty = "l",
                 xaxt = "n", xlab = "learning rate", ylab = "loss", ylim = shown_losses(x), ...)
  powers <- 10^seq(ceiling(log10(min(x$learning_rate))), floor(log10(max(x$learning_rate))))
  graphics::axis(1, powers, parse(text = paste0("10^", round(log10(powers)))))
  graphics::lines(x$learning_rate, x$smoothed, col = "#0072B2", lwd = 2)
  graphics::abline(v = suggestion, lty = 3, col = "#D55E00", lwd = 1.5)
  graphics::points(suggestion, x$smoothed[x$learning_rate == suggestion], pch = 16, cex = 1.4,
                   col = "#D55E00")
  graphics::mtext(format_rate(suggestion), at = suggestion, col = "#D55E00", cex = 0.9)
  invisible(x)
}

#' @rdname seg_lr_find
#' @exportS3Method ggplot2::autoplot
autoplot.seg_lr_find <- function(object, ...) {
  check_no_dots(...)
  frame <- data.frame(
    learning_rate = rep(object$learning_rate, 2), loss = c(object$loss, object$smoothed),
    kind = rep(c("each batch", "smoothed"), each = nrow(object))
  )
  suggestion <- attr(object, "suggestion")
  ggplot2::ggplot(frame, ggplot2::aes(.data$learning_rate, .data$loss, colour = .data$kind)) +
    ggplot2::geom_line() +
    ggplot2::scale_x_log10() +
    ggplot2::coord_cartesian(ylim = shown_losses(object)) +
    ggplot2::scale_colour_manual(values = c("each batch" = "grey70", smoothed = "#0072B2")) +
    ggplot2::labs(x = "learning rate", y = "loss", colour = NULL) +
    ggplot2::geom_vline(xintercept = suggestion, linetype = 3, colour = "#D55E00")
}

# Diverging losses would press what matters to the ground: up to twice the first is shown.
shown_losses <- function(x) {
  low <- min(x$loss, x$smoothed)
  c(low, max(min(max(x$loss), low + 2 * (x$smoothed[[1]] - low)), x$smoothed[[1]]))
}
