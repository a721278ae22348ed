# The handle of a model as an R object: what can't be done with it is refused in R's own words, and
# so is a handle that lost its model.

refuse_to_compute <- function(operation, x) {
  check_alive(x, "object", NULL)
  what <- if (inherits(x, "seg_detector")) "detector" else "model"
  maskr_abort("argument", c(
    "{.code {operation}} is not defined for a {what}.",
    i = "Compute with what {.fn predict} returns: {.code predict(model, image, type = \"prob\")}."
  ), call = NULL)
}

#' @export
Ops.seg_model <- function(e1, e2) {
  handles <- Filter(\(x) inherits(x, c("seg_model", "seg_detector")),
                    if (missing(e2)) list(e1) else list(e1, e2))
  for (one in handles) check_alive(one, "object", NULL)
  if (.Generic %in% c("==", "!=")) return(NextMethod())
  refuse_to_compute(.Generic, handles[[1]])
}

#' @export
Ops.seg_detector <- Ops.seg_model

#' @export
Math.seg_model <- function(x, ...) refuse_to_compute(paste0(.Generic, "()"), x)

#' @export
Math.seg_detector <- Math.seg_model

#' @export
Summary.seg_model <- function(..., na.rm = FALSE) refuse_to_compute(paste0(.Generic, "()"), ..1)

#' @export
Summary.seg_detector <- Summary.seg_model

#' @export
`[.seg_model` <- function(x, ...) refuse_to_compute("[", x)

#' @export
`[.seg_detector` <- `[.seg_model`

#' @export
`[[.seg_model` <- function(x, ...) refuse_to_compute("[[", x)

#' @export
`[[.seg_detector` <- `[[.seg_model`

# Python's attributes; of a lost model reticulate gives NULL.
#' @export
`$.seg_model` <- function(x, name) {
  check_alive(x, "object", NULL)
  NextMethod()
}

#' @export
`$.seg_detector` <- `$.seg_model`
