#' Losses
#'
#' A loss for [compile()][compile.seg_model()], where its name alone is short for
#' `seg_loss(name)`, and a function to compute it outside a model.
#'
#' Pixels that are `NA` in the truth never count. All losses are computed on the model's logits.
#'
#' * `"bce"`: binary cross-entropy, the mean over pixels; for two classes.
#' * `"cross_entropy"`: the mean over pixels of the negative logarithm of the true class's
#'   probability. Argument `class_weights`: one number per class, named by class as
#'   [seg_class_weights()] gives them, or without names in the order of the model's classes; the
#'   weighted sum is divided by the sum of the weights, as PyTorch does.
#' * `"dice"`: one minus the mean over classes of soft Dice
#'   \eqn{(2 \sum p g + s) / (\sum p + \sum g + s)}, each class summed over the whole batch; a
#'   binary model has one class, its foreground. Argument `smooth` (s), 1 by default: the Dice of a
#'   class that is neither there nor predicted is then 1; with `smooth = 0` it is left out.
#' * `"bce_dice"`: the sum of `"bce"` and `"dice"`, with `smooth`.
#'
#' @param name Name of the loss.
#' @param ... Arguments of that loss, named.
#' @return A function of class `seg_loss`, a plain R object. Called as `loss(truth, prob)` with
#'   class indices `[H, W]` (0 for the first class, `NA` ignored; a [seg_mask()] is translated) and
#'   probabilities, `[H, W]` of the second class or `[H, W, K]` of all, it gives one number.
#' @references Milletari, Navab & Ahmadi (2016) V-Net, \url{https://arxiv.org/abs/1606.04797}.
#' @concept training
#' @export
#' @examples
#' seg_loss("dice", smooth = 0)
#' @examplesIf seg_available()
#' prob <- rbind(c(.9, .8, .1, 0), c(.7, .6, .2, .1), c(.1, .3, .1, 0), c(0, .1, 0, 0))
#' truth <- rbind(c(1, 1, 0, 0), c(1, 1, 1, 0), 0, 0)
#' seg_loss("dice", smooth = 0)(truth, prob)
seg_loss <- function(name, ...) {
  name <- check_choice(name, names(loss_arguments))
  arguments <- list(...)
  known <- loss_arguments[[name]]
  if (length(arguments) > 0 && (is.null(names(arguments)) || !all(nzchar(names(arguments))))) {
    maskr_abort("argument", "The arguments of a loss must be named.")
  }
  unknown <- setdiff(names(arguments), known)
  if (length(unknown) > 0) {
    maskr_abort("argument", c(
      "The loss {.val {name}} has no argument {.arg {unknown}}.",
      i = if (length(known) > 0) "It has {.arg {known}}." else "It has none."
    ), arg = unknown[[1]])
  }
  if (!is.null(arguments$smooth)) check_number(arguments$smooth, min = 0, arg = "smooth")
  weights <- arguments$class_weights
  if (!is.null(weights)) {
    if (!is.numeric(weights) || anyNA(weights) || any(weights < 0) || !any(weights > 0)) {
      maskr_abort("argument", c(
        "{.arg class_weights} must be numbers of at least 0, one per class.",
        x = "It is {describe(weights)}."
      ), arg = "class_weights")
    }
    arguments$class_weights <- as.list(stats::setNames(as.double(weights), names(weights)))
  }
  new_seg_loss(name, arguments)
}

loss_arguments <- list(
  bce = character(), cross_entropy = "class_weights", dice = "smooth", bce_dice = "smooth"
)

# The function carries only what it needs, so that saveRDS() writes little.
new_seg_loss <- function(name, arguments) {
  fun <- function(truth, prob) {
    prob <- bare_image(prob)
    truth <- class_index(truth)
    py_call("losses", "value", name, as_dict(lapply(arguments, unname)), truth, prob)
  }
  structure(fun, name = name, arguments = arguments, class = c("seg_loss", "function"))
}

# What crosses to Python's `SegLoss`: class weights that have names, in the order of the model's.
loss_for_python <- function(loss, classes, call = rlang::caller_env()) {
  arguments <- attr(loss, "arguments")
  given <- names(arguments$class_weights)
  if (!is.null(given) && !is.null(classes)) {
    if (!setequal(given, names(classes))) {
      maskr_abort("data", c(
        "The {.arg class_weights} are of {.val {given}}.",
        x = "The model's classes are {.val {names(classes)}}; they are matched by name."
      ), arg = "class_weights", call = call)
    }
    arguments$class_weights <- unname(arguments$class_weights[names(classes)])
  }
  list(name = attr(loss, "name"), arguments = as_dict(arguments))
}

# Class ids of a seg_mask become indices in the order of its classes; plain matrices hold indices.
class_index <- function(truth, call = rlang::caller_env()) {
  bare <- bare_mask(truth, arg = "truth", call = call)
  classes <- attr(truth, "classes")
  if (is.null(classes)) return(bare)
  array(match(bare, classes) - 1L, dim = dim(bare))
}

#' @export
format.seg_loss <- function(x, ...) {
  arguments <- attr(x, "arguments")
  given <- vapply(arguments, function(a) paste(format(unlist(a)), collapse = ", "), character(1))
  inside <- paste(c(dQuote(attr(x, "name"), FALSE),
                    if (length(given)) paste(names(given), given, sep = " = ")), collapse = ", ")
  paste0("seg_loss(", inside, ")")
}

#' @export
print.seg_loss <- function(x, ...) {
  cat("<", format(x), ">\n", sep = "")
  invisible(x)
}
