# Overlap of boxes.

#' Overlap of boxes
#'
#' The IoU of every box of `a` with every box of `b`, or one of the variants that also tell how far
#' apart boxes are that do not overlap.
#'
#' With the intersection \eqn{I} and union \eqn{U} of two boxes, the smallest box around both of
#' area \eqn{C} and diagonal \eqn{c}, the distance \eqn{d} of their centres, and their widths and
#' heights \eqn{w} and \eqn{h}:
#'
#' | type | definition | range |
#' |---|---|---|
#' | `"iou"` | \eqn{J = I / U} | 0 to 1 |
#' | `"giou"` | \eqn{J - (C - U) / C} | -1 to 1 |
#' | `"diou"` | \eqn{D = J - d^2 / c^2} | -1 to 1 |
#' | `"ciou"` | \eqn{D - v^2 / (1 - J + v)} | -1.5 to 1 |
#'
#' where \eqn{v = \frac{4}{\pi^2} (\arctan(w_1 / h_1) - \arctan(w_2 / h_2))^2}{v = 4 / pi^2
#' (atan(w1 / h1) - atan(w2 / h2))^2} tells how much the aspect ratios differ. They are computed by
#' torchvision in double precision; its terms of 1e-7 against division by 0 are part of `"diou"` and
#' `"ciou"`.
#'
#' @param a,b [seg_instances()], whose boxes are taken, or a numeric matrix or data frame `[N, 4]`
#'   of `xmin, ymin, xmax, ymax` in pixels, by their names, or in this order where the columns have
#'   no names; other names are an error. Without `b` the boxes of `a` are compared with each other.
#' @param type `"iou"`, `"giou"`, `"diou"` or `"ciou"`.
#' @return A numeric matrix with one row for each box of `a` and one column for each of `b`, named
#'   by the ids of instances or the row names. Two boxes without area have 0. A box that ends
#'   before it begins, and missing values, are a `maskr_error_data`; what is not a table of boxes is
#'   `maskr_error_argument`.
#' @references Rezatofighi, H., Tsoi, N., Gwak, J., Sadeghian, A., Reid, I. and Savarese, S. (2019)
#'   Generalized intersection over union. CVPR, 658-666. \doi{10.1109/CVPR.2019.00075}
#'
#'   Zheng, Z., Wang, P., Liu, W., Li, J., Ye, R. and Ren, D. (2020) Distance-IoU loss: faster and
#'   better learning for bounding box regression. AAAI, 12993-13000.
#'   \doi{10.1609/aaai.v34i07.6999}
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' a <- rbind(left = c(0, 0, 2, 4), right = c(8, 0, 10, 4))
#' b <- rbind(wide = c(1, 1, 5, 3))
#' seg_box_iou(a, b)
#' seg_box_iou(a, b, "giou")
seg_box_iou <- function(a, b = a, type = c("iou", "giou", "diou", "ciou")) {
  if (missing(a)) abort_missing("a", rlang::current_env())
  type <- check_choice(type, c("iou", "giou", "diou", "ciou"))
  a <- box_matrix(a)
  b <- box_matrix(b)
  found <- py_call("metrics.boxes", "overlap", a, b, type)
  found <- matrix(found, nrow(a), nrow(b))
  names <- list(rownames(a), rownames(b))
  if (any(lengths(names) > 0)) dimnames(found) <- names
  found
}

# Columns with other names are no corners: x, y, w and h would pass for them.
check_box_columns <- function(x, arg, call) {
  given <- colnames(x)
  # as.data.frame() calls the columns of a matrix V1 to V4
  unnamed <- is.null(given) || identical(given, paste0("V", 1:4))
  if (unnamed || all(box_columns %in% given)) return(invisible())
  maskr_abort("argument", c(
    "The columns of {.arg {arg}} must be {.field {box_columns}}, or have no names.",
    x = "They are {.field {given}}.",
    i = "Boxes of x, y, width and height become such by {.code cbind(x, y, x + w, y + h)}; take
         the names of corners off by {.code unname(as.matrix({arg}))}."
  ), arg = arg, call = call)
}

box_columns <- c("xmin", "ymin", "xmax", "ymax")

# Boxes as a double matrix [N, 4] with row names where there are some.
box_matrix <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  force(arg)
  x <- if (is.data.frame(x)) narrow_columns(x) else plain_number(x)
  names <- box_names(x)
  if (length(dim(x)) == 2 && ncol(x) == 4) check_box_columns(x, arg, call)
  if (all(box_columns %in% colnames(x))) x <- x[, box_columns, drop = FALSE]
  if (is.data.frame(x) && all(vapply(x, is_numbers, NA))) {
    x <- matrix(as.double(unlist(x)), nrow(x), ncol(x))
  }
  if (!is_numbers(x) || !is.matrix(x) || ncol(x) != 4) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be instances, or a numeric matrix or data frame with the columns
       {.field xmin}, {.field ymin}, {.field xmax} and {.field ymax}.",
      x = "You supplied {describe(x)}."
    ), arg = arg, call = call)
  }
  check_box_order(x, arg, call)
  x <- matrix(as.double(x), ncol = 4)
  if (nrow(x) > 0) rownames(x) <- names
  x
}

# Row names of data frames are mostly their numbers, which say nothing.
box_names <- function(x) {
  if (inherits(x, "seg_instances")) return(x$id)
  if (is.data.frame(x) && .row_names_info(x) < 0) NULL else rownames(x)
}

check_box_order <- function(x, arg, call) {
  wrong <- which(rowSums(!is.finite(x)) > 0 | x[, 3] < x[, 1] | x[, 4] < x[, 2])
  if (length(wrong) == 0) return(invisible())
  first <- wrong[[1]]
  values <- format(x[first, ], trim = TRUE)
  maskr_abort("data", c(
    "Boxes are finite, and end where they begin or after: {.field xmin} <= {.field xmax} and
     {.field ymin} <= {.field ymax}.",
    x = "Row {first} of {.arg {arg}} is {paste(values, collapse = ', ')}.",
    i = "Boxes of x, y, width and height become such by {.code cbind(x, y, x + w, y + h)}."
  ), arg = arg, call = call)
}
