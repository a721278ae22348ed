#' Write annotations and results
#'
#' Writes objects in images to a file in a format of other programs.
#'
#' The one format yet is `"coco_results"`: COCO's results of instance segmentation, as its
#' evaluation reads them. That is a JSON array with `image_id`, `category_id`, `bbox`,
#' `segmentation` (compressed run lengths) and `score` of each object.
#'
#' @param x A named list of [seg_instances()] with scores, as `predict()` gives it for several
#'   images; the names are those of the image files.
#' @param path File to write. Its folder must exist; an existing file is replaced, as a whole or not
#'   at all.
#' @param format The format: `"coco_results"`.
#' @param categories Category ids by class name, such as `c(person = 1, bus = 6)`, or the path of a
#'   COCO ground-truth JSON that holds them. Classes are matched by name, so that YOLO's person (0)
#'   becomes COCO's (1). `NULL` writes the class ids of `x`.
#' @param images Image ids by name, such as `c("bus.jpg" = 17)`, or the path of a COCO ground truth.
#'   An image is found by its full name, else by its file's name, else by that without extension.
#'   `NULL` takes those of the ground truth that `categories` names, else the number that is the
#'   file's name (`"000000000139.jpg"` has id 139).
#' @return `path`, invisibly. A class or image without an id, and objects without a score are a
#'   `maskr_error_data`; a file that is no ground truth is a `maskr_error_format`.
#' @references Lin T-Y et al. (2014). Microsoft COCO: common objects in context. *ECCV*.
#'   <https://arxiv.org/abs/1405.0312>; <https://cocodataset.org/#format-results>
#' @concept data
#' @export
#' @examplesIf seg_available()
#' found <- seg_instances(matrix(c(TRUE, FALSE, TRUE, FALSE), 2), class = "bus", score = 0.8,
#'                        classes = c(person = 0, bus = 5))
#' path <- tempfile(fileext = ".json")
#' seg_write_annotations(list("139.jpg" = found), path, categories = c(person = 1, bus = 6))
#' readLines(path, warn = FALSE)
seg_write_annotations <- function(x, path, format = "coco_results", categories = NULL,
                                  images = NULL) {
  x <- check_named_instances(x)
  path <- check_new_file(path)
  check_choice(format, "coco_results")
  categories <- check_ids(categories, null = TRUE)
  images <- check_ids(images, null = TRUE)
  if (is.null(images) && is.character(categories)) images <- categories
  objects <- lapply(unname(x), function(one) {
    list(columns = instance_columns(one), size = as.list(attr(one, "size")),
         classes = as.list(attr(one, "classes")))
  })
  py_call("annotations.coco", "write_results", path, as.list(names(x)), objects,
          ids_for_python(categories), ids_for_python(images))
  invisible(path)
}

check_named_instances <- function(x, arg = "x", call = rlang::caller_env()) {
  named <- is.list(x) && !is.data.frame(x) && length(names(x)) == length(x) && all(nzchar(names(x)))
  if (!named) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be a list of instances, named by the images' files.",
      x = "It is {describe(x)}{if (is.list(x) && !is.data.frame(x)) ' without names'}.",
      i = "{.code predict(detector, paths)} gives such a list for two or more paths; write
           {.code list(\"file.jpg\" = instances)} for one."
    ), arg = arg, call = call)
  }
  for (i in seq_along(x)) {
    check_instances(x[[i]], arg = paste0(arg, "[[", i, "]]"), call = call)
  }
  x
}

check_new_file <- function(path, call = rlang::caller_env()) {
  path <- path.expand(check_string(path, arg = "path", call = call))
  if (dir.exists(dirname(path)) && !dir.exists(path)) return(path)
  maskr_abort("file", c(
    "{.arg path} must be a file in a folder that exists, not {.path {path}}."
  ), arg = "path", call = call)
}

# A named vector of ids, or the path of a file that holds them.
check_ids <- function(x, null = FALSE, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (null && is.null(x)) return(NULL)
  if (is.character(x)) return(check_paths(check_string(x, arg = arg, call = call), arg, call))
  ok <- is.numeric(x) && length(x) > 0 && !is.null(names(x)) && all(nzchar(names(x))) &&
    !anyDuplicated(names(x)) && all(is.finite(x)) && all(x == round(x))
  if (ok) return(x)
  maskr_abort("argument", c(
    "{.arg {arg}} must be whole numbers with distinct names, or the path of a COCO ground truth.",
    x = "It is {describe(x)}."
  ), arg = arg, call = call)
}

# Image ids may exceed R's integers, so they cross as doubles.
ids_for_python <- function(x) {
  if (is.null(x) || is.character(x)) x else as.list(stats::setNames(as.double(x), names(x)))
}
