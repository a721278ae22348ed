# Weights that make rare classes count in the loss.

#' Weights of classes for the loss
#'
#' Counts the pixels of each class and gives rare classes a larger weight, for
#' `seg_loss("cross_entropy", class_weights = )`, which finds each class's weight by its name.
#'
#' With \eqn{n_c} pixels of class c, \eqn{N} pixels of all K classes, and ignored pixels left out:
#'
#' * `"median"`, median-frequency balancing: \eqn{m / f_c}, where \eqn{f_c} is \eqn{n_c} divided by
#'   the pixels of the images that hold class c, and m the median of all \eqn{f_c}.
#' * `"inverse"`: \eqn{N / (K n_c)}.
#' * `"effective"`, the effective number of samples:
#'   \eqn{(1 - \beta) / (1 - \beta^{n_c})}{(1 - beta) / (1 - beta^n[c])}, scaled to a mean of 1.
#'   Classes of more than about \eqn{1 / (1 - \beta)}{1 / (1 - beta)} pixels then count alike, and
#'   below that the weights approach the inverse frequency.
#'
#' A class that no pixel has is left out of all formulas and gets the weight 1, with a warning of
#' class `maskr_warning_absent`: its weight has no effect on training with these data.
#'
#' @param x A [seg_dataset()], what [seg_example()] returns, or a [seg_annotations].
#' @param method `"median"`, `"inverse"` or `"effective"`.
#' @param beta Of `"effective"`: a number from 0 (all weights are equal) to below 1 (towards
#'   inverse frequencies). `NULL` is \eqn{1 - K / N}, which bends at the pixels of an average class.
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @return A numeric vector named by class, in the order of the dataset's classes, with the
#'   attribute `counts`: a data frame `class, label, pixels, share, images`.
#' @references Eigen & Fergus (2015) Predicting depth, surface normals and semantic labels,
#'   section 6.3.2, \url{https://arxiv.org/abs/1411.4734}. Cui, Jia, Lin, Song & Belongie (2019)
#'   Class-balanced loss based on effective number of samples,
#'   \url{https://arxiv.org/abs/1901.05555}.
#' @seealso [seg_oversample()] draws images with rare classes more often instead.
#' @concept data
#' @export
#' @examplesIf seg_available()
#' scenes <- seg_example("shapes", n = 4, size = c(48, 64))
#' weights <- seg_class_weights(scenes)
#' weights
#' seg_loss("cross_entropy", class_weights = weights)
seg_class_weights <- function(x, method = c("median", "inverse", "effective"), beta = NULL,
                              verbose = NULL) {
  check_verbose(verbose)
  method <- check_choice(method, c("median", "inverse", "effective"))
  beta <- check_beta(beta, method)
  counts <- class_counts(counted_dataset(x), verbose)
  weights <- stats::setNames(rep(1, nrow(counts)), counts$label)
  there <- counts$pixels > 0
  if (!any(there)) {
    maskr_abort("data", "No pixel of {.arg x} belongs to any class.", arg = "x")
  }
  if (!all(there)) {
    cli::cli_warn(c(
      "No pixel belongs to {.val {counts$label[!there]}}.",
      i = "{cli::qty(sum(!there))}{?It gets/They get} the weight 1."
    ), class = "maskr_warning_absent")
  }
  weights[there] <- class_weights(counts[there, ], method, beta)
  structure(weights, counts = counts[c("class", "label", "pixels", "share", "images")])
}

class_weights <- function(counts, method, beta) {
  n <- counts$pixels
  frequency <- n / counts$around
  switch(
    method,
    median = stats::median(frequency) / frequency,
    inverse = sum(n) / (length(n) * n),
    effective = {
      beta <- beta %||% (1 - length(n) / sum(n))
      # 1 - beta^n, exact for beta near 1
      weights <- -1 / expm1(n * log(beta))
      weights / mean(weights)
    }
  )
}

check_beta <- function(beta, method, call = rlang::caller_env()) {
  if (is.null(beta)) return(NULL)
  if (method != "effective") {
    maskr_abort("argument", "{.arg beta} belongs to {.code method = \"effective\"}.",
                arg = "beta", call = call)
  }
  if (is_numbers(beta) && length(beta) == 1 && !is.na(beta) && beta >= 0 && beta < 1) return(beta)
  maskr_abort("argument", "{.arg beta} must be one number from 0 to below 1, not {describe(beta)}.",
              arg = "beta", call = call)
}

# Pixels and images of each class; `around` are the pixels of the images that hold it.
class_counts <- function(x, verbose) {
  columns <- py_call(
    "datasets.statistics", "r_count", truth_for_python(x),
    counting_progress(verbose, length(x), "Reading masks")
  )
  table <- as.data.frame(lapply(columns, unlist))
  table$label <- names(x$classes)[match(table$class, x$classes)] %||% as.character(table$class)
  table$share <- table$pixels / sum(table$pixels)
  table
}
