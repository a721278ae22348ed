#' Losses
#'
#' A loss for [compile()][compile.seg_model()], where its name alone is short for
#' `seg_loss(name)`, and a function to compute it outside a model. Losses can be added, and
#' multiplied by a number: `seg_loss("bce", weight = .5) + seg_loss("dice", weight = .5)` is
#' `.5 * seg_loss("bce") + .5 * seg_loss("dice")`.
#'
#' Below, p is a pixel's probability of a class by the model (sigmoid for two classes, softmax for
#' more), g its truth, 1 or 0, z the logit, and t the pixel's true class. Sums and means
#' over pixels are over the whole batch. "Classes" are all of the model's; for two classes the
#' model has one output, p of the second class, and the losses of overlap, distance, L1 and L2 are
#' of that class alone.
#'
#' **Ignored pixels**, `NA` in the truth, never count: they are left out of sums, means, ranks and
#' sorting, and distances are measured across them to the nearest pixel that counts. A batch in
#' which all pixels are ignored has the loss 0. All losses are computed on the model's logits, in
#' single precision or better, on images and volumes alike.
#'
#' Where probabilities are given, as in `loss(truth, prob)`, logits are computed from them in double
#' precision, and probabilities nearer than 2.2e-16 to 0 or 1 are moved to that distance, so that no
#' loss is infinite.
#'
#' ## Means over pixels
#'
#' The loss is the mean over the pixels that count of:
#'
#' | name | of a pixel | reference |
#' |---|---|---|
#' | `"bce"` | `-(w y log p + (1 - y) log(1 - p))`; two classes only | |
#' | `"cross_entropy"` | `-(1 - e) log p[t] - e / K sum(log p)` | |
#' | `"focal"` | `-a (1 - p[t])^gamma log p[t]` | Lin 2017 |
#' | `"topk"` | `-log p[t]`, of the hardest pixels only | Wu 2016 |
#' | `"ohem"` | `-log p[t]`, of pixels with `p[t]` below a threshold | Shrivastava 2016 |
#' | `"l1"` | `abs(p - g)`, the mean over classes | |
#' | `"l2"` | `(p - g)^2`, the mean over classes | |
#'
#' Their arguments, with defaults:
#'
#' * `"bce"`: `pos_weight = 1` (w), above 0; `label_smoothing = 0` (e), from 0 to 1, by which
#'   `y = g (1 - e) + e / 2`; `class_weights`.
#' * `"cross_entropy"`: `label_smoothing = 0` (e), from 0 to 1; `class_weights`. K is the number of
#'   classes.
#' * `"focal"`: `gamma = 2`, at least 0; `alpha = NULL`, from 0 to 1, for two classes only: a is
#'   `alpha` for the second class and `1 - alpha` for the first (`NULL`: a is 1); `class_weights`.
#'   The probabilities of more than two classes are those of a softmax.
#' * `"topk"`: `fraction = 0.1`, above 0 and at most 1: this part of the batch's pixels that count,
#'   rounded up, is taken; `class_weights`.
#' * `"ohem"`: `threshold = 0.7`, above 0 and at most 1; `min_kept = NULL`, a whole number of at
#'   least 1: that many pixels of the batch, the hardest, are taken at least (`NULL`: a sixteenth of
#'   those that count); `class_weights`.
#'
#' `class_weights` are one number of at least 0 per class, named by class as [seg_class_weights()]
#' gives them, or without names in the order of the model's classes. Each pixel's loss is multiplied
#' by the weight of its class, and the sum divided by the sum of these weights, as PyTorch does;
#' `pos_weight` and `alpha` do not change the divisor. `"topk"` and `"ohem"` choose pixels
#' without weights.
#'
#' *Empty class:* a class without pixels adds nothing, except to `"l1"` and `"l2"`, where every
#' class counts at every pixel.
#'
#' ## Overlap
#'
#' With the soft counts `TP = sum(p g)`, `FP = sum(p (1 - g))` and `FN = sum((1 - p) g)` of a class
#' over the batch, the loss is the mean over classes of:
#'
#' | name | of a class | reference |
#' |---|---|---|
#' | `"dice"` | `1 - (2 TP + s) / (2 TP + FP + FN + s)` | Milletari 2016 |
#' | `"iou"` (Jaccard) | `1 - (TP + s) / (TP + FP + FN + s)` | Rahman 2016 |
#' | `"tversky"` | `1 - T`, `T = (TP + s) / (TP + a FP + b FN + s)` | Salehi 2017 |
#' | `"focal_tversky"` | `(1 - T)^(1 / gamma)` | Abraham 2019 |
#' | `"lovasz"` | the convex surrogate of `1 - TP / (TP + FP + FN)` | Berman 2018 |
#'
#' * `"dice"`, `"iou"`: `smooth = 1` (s), at least 0.
#' * `"tversky"`: `alpha = 0.3` (a), at least 0; `beta = 0.7` (b), above 0; `smooth = 1` (s), at
#'   least 0.
#' * `"focal_tversky"`: the same, and `gamma = 4 / 3`, from 1 to 3.
#' * `"lovasz"`: `per_image = FALSE`; `TRUE` is the mean over images. Its errors are
#'   `max(0, 1 - z (2 g - 1))` for two classes and `abs(p - g)` for more.
#'
#' `"generalised_dice"` (Sudre 2017) has no arguments and is not a mean: it is
#' `1 - 2 sum(w TP) / sum(w (2 TP + FP + FN))`, sums over classes (both of two), with
#' `w = 1 / sum(g)^2`. `"bce_dice"` is the sum of `"bce"`, with its `class_weights`, and `"dice"`,
#' with its `smooth`.
#'
#' *Empty class:* with `smooth` above 0, a class that is not there has the Dice or IoU loss
#' `FP / (FP + s)`, which is 0 if it is not predicted either. With `smooth = 0` its loss is 1, and
#' it is left out of the mean if it is not predicted at all (FP = 0). `"tversky"` likewise, with
#' a FP in place of FP. In `"generalised_dice"` it has the weight of the rarest class that is there.
#' `"lovasz"` leaves it out; for two classes, without the second, it is the largest error.
#'
#' ## Distance
#'
#' The mean over classes and over the pixels that count, with Euclidean distances in pixels, image
#' by image. Meant to be added, with a small weight, to a loss of overlap.
#'
#' | name | of a pixel and class | reference |
#' |---|---|---|
#' | `"boundary"` | `p d` | Kervadec 2019 |
#' | `"hausdorff"` | `(p - g)^2 (dp^alpha + dg^alpha)` | Karimi 2019 |
#'
#' * `"boundary"`: outside the class d is the distance to its nearest pixel, inside it is 1 minus
#'   the distance to the nearest pixel outside. The loss of a good prediction is below 0. No
#'   arguments.
#' * `"hausdorff"`: dg is the distance to the nearest pixel on the other side of the truth's
#'   boundary, dp the same of the prediction `p > 0.5`. `alpha = 2`, above 0.
#'
#' *Empty class:* where none or all of an image's pixels are of a class, it has no boundary, and its
#' distances are 0.
#'
#' @param name Name of the loss.
#' @param ... Arguments of that loss, named.
#' @param weight What the loss is multiplied by, a number of at least 0.
#' @param e1,e2 Losses to add, or a loss and a number of at least 0 to multiply.
#' @return A function of class `seg_loss`, a plain R object. Called as `loss(truth, prob)` with
#'   class indices `[H, W]` (0 for the first class, `NA` ignored; a [seg_mask()] is translated) and
#'   probabilities, `[H, W]` of the second class or `[H, W, K]` of all, as
#'   `predict(type = "prob")` gives them, it gives one number. Of two classes both forms give the
#'   same, what training minimises. Names of the last dimension are matched to the classes of a
#'   [seg_mask()]. Probabilities of a pixel that do not sum to 1 are a `maskr_error_data`. Volumes
#'   are `[D, H, W]`, with probabilities `[D, H, W]` or `[D, H, W, K]`.
#' @references
#' Abraham & Khan (2019) A novel focal Tversky loss function,
#' \url{https://arxiv.org/abs/1810.07842}.
#'
#' Berman, Triki & Blaschko (2018) The Lovász-Softmax loss, \url{https://arxiv.org/abs/1705.08790}.
#'
#' Karimi & Salcudean (2019) Reducing the Hausdorff distance in medical image segmentation,
#' \url{https://arxiv.org/abs/1904.10030}.
#'
#' Kervadec et al. (2019) Boundary loss for highly unbalanced segmentation,
#' \url{https://arxiv.org/abs/1812.07032}.
#'
#' Lin et al. (2017) Focal loss for dense object detection, \url{https://arxiv.org/abs/1708.02002}.
#'
#' Milletari, Navab & Ahmadi (2016) V-Net, \url{https://arxiv.org/abs/1606.04797} (with sums of p
#' and g in place of their squares).
#'
#' Rahman & Wang (2016) Optimizing intersection-over-union in deep neural networks,
#' \doi{10.1007/978-3-319-50835-1_22}.
#'
#' Salehi, Erdogmus & Gholipour (2017) Tversky loss function,
#' \url{https://arxiv.org/abs/1706.05721}.
#'
#' Shrivastava, Gupta & Girshick (2016) Training region-based object detectors with online hard
#' example mining, \url{https://arxiv.org/abs/1604.03540}.
#'
#' Sudre et al. (2017) Generalised Dice overlap, \url{https://arxiv.org/abs/1707.03237}.
#'
#' Wu, Shen & van den Hengel (2016) Bridging category-level and instance-level semantic image
#' segmentation, \url{https://arxiv.org/abs/1605.06885}.
#' @concept training
#' @export
#' @examples
#' seg_loss("dice", smooth = 0)
#' seg_loss("bce", weight = .5) + seg_loss("dice", weight = .5)
#' seg_loss("dice") + .01 * seg_loss("boundary")
#' @examplesIf seg_available()
#' prob <- rbind(c(.9, .8, .1, 0), c(.7, .6, .2, .1), c(.1, .3, .1, 0), c(0, .1, 0, 0))
#' truth <- rbind(c(1, 1, 0, 0), c(1, 1, 1, 0), 0, 0)
#' seg_loss("dice", smooth = 0)(truth, prob)
seg_loss <- function(name, ..., weight = 1) {
  name <- check_choice(name, names(loss_arguments))
  weight <- check_at_least_0(weight, arg = "weight", call = rlang::current_env())
  arguments <- check_arguments(list(...), loss_arguments[[name]], "loss", name)
  new_seg_loss(list(list(name = name, arguments = arguments, weight = weight)))
}

check_at_least_0 <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (is_numbers(x) && length(x) == 1 && is.finite(x) && x >= 0) return(as.double(x))
  maskr_abort("argument", c(
    "{.arg {arg}} must be one number of at least 0.",
    x = "You supplied {describe(x)}."
  ), arg = arg, call = call)
}

# One number per class; names, where there are any, are matched to the model's classes later.
check_class_weights <- function(x, arg, call) {
  names <- names(x)
  if (!is_numbers(x) || length(x) < 2 || !all(is.finite(x)) || any(x < 0) || !any(x > 0)) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be numbers of at least 0, one per class.",
      x = "You supplied {describe(x)}."
    ), arg = arg, call = call)
  }
  if (!is.null(names) && (!all(nzchar(names)) || anyDuplicated(names))) {
    maskr_abort("argument", "{.arg {arg}} must name each class once, or none.",
                arg = arg, call = call)
  }
  as.list(stats::setNames(as.double(x), names))
}

# Each loss's arguments with their checks; defaults are those of Python's functions.
loss_arguments <- local({
  share <- \(x, arg, call) check_number(x, min = 0, max = 1, arg = arg, call = call)
  positive_share <- \(x, arg, call) check_positive(x, max = 1, arg = arg, call = call)
  tversky <- list(alpha = check_at_least_0, beta = check_positive, smooth = check_at_least_0)
  list(
    bce = list(
      pos_weight = check_positive, label_smoothing = share, class_weights = check_class_weights
    ),
    cross_entropy = list(class_weights = check_class_weights, label_smoothing = share),
    focal = list(gamma = check_at_least_0, alpha = share, class_weights = check_class_weights),
    dice = list(smooth = check_at_least_0),
    generalised_dice = list(),
    iou = list(smooth = check_at_least_0),
    tversky = tversky,
    focal_tversky = c(tversky, list(
      gamma = \(x, arg, call) check_number(x, min = 1, max = 3, arg = arg, call = call)
    )),
    lovasz = list(per_image = check_flag),
    boundary = list(),
    hausdorff = list(alpha = check_positive),
    l1 = list(),
    l2 = list(),
    topk = list(fraction = positive_share, class_weights = check_class_weights),
    ohem = list(
      threshold = positive_share,
      min_kept = \(x, arg, call) check_whole(x, min = 1, arg = arg, call = call),
      class_weights = check_class_weights
    ),
    bce_dice = list(smooth = check_at_least_0, class_weights = check_class_weights)
  )
})

# The function carries only what it needs, so that saveRDS() writes little.
new_seg_loss <- function(terms) {
  fun <- function(truth, prob) {
    call <- rlang::current_env()
    if (missing(truth)) abort_missing("truth", call, "It is a mask, such as {.fn seg_mask} makes.")
    if (missing(prob)) {
      abort_missing("prob", call, "It is what {.code predict(type = \"prob\")} returns.")
    }
    classes <- attr(truth, "classes")
    truth <- class_index(truth)
    prob <- bare_probabilities(channels_by_name(prob, classes), truth)
    py_call("losses", "value", terms_for_python(terms, classes), truth, prob)
  }
  structure(fun, terms = terms, class = c("seg_loss", "function"))
}

# Probabilities whose channels have names, in the order of the truth's classes.
channels_by_name <- function(prob, classes, call = rlang::caller_env()) {
  n <- length(dim(prob))
  channels <- dimnames(prob)[[n]]
  if (n < 3 || is.null(channels) || is.null(classes) || identical(channels, names(classes))) {
    return(prob)
  }
  if (!setequal(channels, names(classes)) || anyDuplicated(channels)) {
    maskr_abort("data", c(
      "The channels of {.arg prob} and the classes of {.arg truth} have different names.",
      x = "Channels: {.val {channels}}.", x = "Classes: {.val {names(classes)}}."
    ), arg = "prob", call = call)
  }
  order <- match(names(classes), channels)
  array(matrix(prob, ncol = length(channels))[, order], dim(prob))
}

# Probabilities of an image or, where the truth is a volume, of a volume.
bare_probabilities <- function(prob, truth, call = rlang::caller_env()) {
  if (length(dim(truth)) == 2) return(bare_image(prob, call = call))
  if (!is_numbers(prob) || !length(dim(prob)) %in% 3:4) {
    maskr_abort("shape", c(
      "{.arg prob} must be numbers of size [D, H, W] or [D, H, W, K], as {.arg truth} is a volume.",
      x = "You supplied {describe(prob)}."
    ), arg = "prob", call = call)
  }
  only_dim(prob)
}

# What crosses to Python's `losses.from_r()`.
loss_for_python <- function(loss, classes, call = rlang::caller_env()) {
  terms_for_python(attr(loss, "terms"), classes, call)
}

terms_for_python <- function(terms, classes, call = rlang::caller_env()) {
  lapply(terms, function(term) {
    weights <- term$arguments$class_weights
    if (!is.null(weights)) {
      term$arguments$class_weights <- weights_in_order(weights, classes, call)
    }
    term$arguments <- as_dict(term$arguments)
    term
  })
}

# Class weights that have names, in the order of the model's classes.
weights_in_order <- function(weights, classes, call) {
  given <- names(weights)
  if (is.null(given) || is.null(classes)) return(unname(weights))
  if (!setequal(given, names(classes))) {
    maskr_abort("data", c(
      "The {.arg class_weights} are of {.val {given}}.",
      x = "The model's classes are {.val {names(classes)}}; they are matched by name."
    ), arg = "class_weights", call = call)
  }
  unname(weights[names(classes)])
}

# Class ids of a seg_mask become indices in the order of its classes; plain matrices hold indices.
class_index <- function(truth, call = rlang::caller_env()) {
  bare <- bare_mask(truth, arg = "truth", call = call)
  classes <- attr(truth, "classes")
  if (is.null(classes)) return(check_index(bare, call))
  array(match(bare, classes) - 1L, dim = dim(bare))
}

check_index <- function(index, call) {
  if (!any(index < 0, na.rm = TRUE)) return(index)
  maskr_abort("data", c(
    "{.arg truth} must hold class indices from 0 up, and holds {min(index, na.rm = TRUE)}.",
    i = "Pixels that do not count are {.code NA}."
  ), arg = "truth", call = call)
}

#' @rdname seg_loss
#' @export
Ops.seg_loss <- function(e1, e2) {
  call <- rlang::current_env()
  losses <- c(inherits(e1, "seg_loss"), !missing(e2) && inherits(e2, "seg_loss"))
  if (.Generic == "+" && all(losses)) return(new_seg_loss(c(attr(e1, "terms"), attr(e2, "terms"))))
  if (.Generic == "*" && !all(losses) && !missing(e2)) {
    if (losses[[1]]) return(times(e1, e2, "e2", call))
    return(times(e2, e1, "e1", call))
  }
  maskr_abort("argument", c(
    "Losses can be added and be multiplied by a number; there is no {.code {(.Generic)}} of them.",
    i = "For example {.code .5 * seg_loss(\"bce\") + seg_loss(\"dice\")}."
  ), arg = "e1", call = call)
}

times <- function(loss, number, arg, call) {
  number <- check_at_least_0(number, arg, call)
  new_seg_loss(lapply(attr(loss, "terms"), function(term) {
    term$weight <- number * term$weight
    term
  }))
}

#' @export
format.seg_loss <- function(x, ...) {
  paste(vapply(attr(x, "terms"), format_term, character(1)), collapse = " + ")
}

format_term <- function(term) {
  arguments <- c(term$arguments, if (term$weight != 1) list(weight = term$weight))
  given <- vapply(arguments, format_argument, character(1))
  inside <- paste(c(dQuote(term$name, FALSE),
                    if (length(given)) paste(names(given), given, sep = " = ")), collapse = ", ")
  paste0("seg_loss(", inside, ")")
}

format_argument <- function(x) {
  words <- vapply(x, format, character(1), digits = 4)
  if (!is.null(names(words))) words <- paste(names(words), words, sep = " = ")
  if (length(words) == 1) words else paste0("c(", paste(words, collapse = ", "), ")")
}

#' @export
print.seg_loss <- function(x, ...) {
  cat("<", format(x), ">\n", sep = "")
  invisible(x)
}
