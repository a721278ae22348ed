# The handle of a model as an R object: what can't be done with it is refused in R's own words, and
# so is a handle that lost its model.

refuse_to_compute <- function(operation, x) {
  check_alive(x, "object", NULL)
  detector <- inherits(x, "seg_detector")
  maskr_abort("argument", c(
    "{.code {operation}} is not defined for a {if (detector) 'detector' else 'model'}.",
    i = if (detector) {
      "Compute with the objects that {.fn predict} returns: {.code predict(detector, image)}."
    } else {
      "Compute with what {.fn predict} returns: {.code predict(model, image, type = \"prob\")}."
    }
  ), call = NULL)
}

# Functions of base R that would take a handle for a vector, a list or a table.
refused <- c(
  "[", "[[", "[<-", "[[<-", "mean", "unique", "rep", "t", "as.list", "as.vector", "as.numeric",
  "as.integer", "as.logical", "as.matrix", "as.array", "as.data.frame"
)

refuse_on_handles <- function() {
  refuse <- function(name) {
    operation <- if (startsWith(name, "[")) name else paste0(name, "()")
    function(x, ...) refuse_to_compute(operation, x)
  }
  # methods of as.numeric() go by another name
  generics <- replace(refused, refused == "as.numeric", "as.double")
  for (class in c("seg_model", "seg_detector")) {
    Map(\(generic, name) registerS3method(generic, class, refuse(name)), generics, refused)
  }
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

# Python's attributes; of a lost model reticulate gives NULL.
#' @export
`$.seg_model` <- function(x, name) {
  check_alive(x, "object", NULL)
  check_attribute(x, name)
  NextMethod()
}

#' @export
`$.seg_detector` <- `$.seg_model`

# A name that nothing reads would be set without any effect.
#' @export
`$<-.seg_model` <- function(x, name, value) {
  check_alive(x, "object", NULL)
  check_attribute(x, name)
  NextMethod()
}

#' @export
`$<-.seg_detector` <- `$<-.seg_model`

check_attribute <- function(x, name) {
  if (reticulate::py_has_attr(x, name)) return(invisible())
  detector <- inherits(x, "seg_detector")
  maskr_abort("argument", c(
    "The {if (detector) 'detector' else 'model'} has no attribute {.field {name}} in Python.",
    i = if (!detector && name == "optimizer") "It has an optimizer once {.fn compile} was called."
  ), arg = name, call = NULL)
}

# Python can call a model, with tensors; R's arrays are for predict().
#' @exportS3Method reticulate::py_to_r_wrapper
py_to_r_wrapper.seg_model <- function(x) {
  function(...) {
    if (...length() > 0 && inherits(..1, "python.builtin.object")) return(x(...))
    maskr_abort("argument", c(
      "A model is not called like a function, except with tensors of Python.",
      i = "Segment images by {.fn predict}: {.code predict(model, image)}."
    ), call = NULL)
  }
}
