# Instances: a data frame with one row per object of an image.

#' Objects in an image
#'
#' `seg_instances` is a data frame with one row for each object of an image, masks included;
#' objects may overlap. It is a plain R object that can be sorted, filtered and given further
#' columns like any data frame. Volumes are [seg_panoptic()].
#'
#' | column | meaning |
#' |---|---|
#' | `id` | number of the object; in a label image its label |
#' | `class`, `label` | class id and class name |
#' | `score` | confidence from 0 to 1, `NA` where there is none |
#' | `xmin`, `ymin`, `xmax`, `ymax` | box in pixels, 0-based and half-open as in COCO |
#' | `area` | pixels of the mask |
#' | `rle` | the mask as COCO's compressed run lengths |
#'
#' An object in the upper left pixel alone has the box 0, 0, 1, 1; a detector's boxes are the
#' model's own and need not touch the mask. The attributes are `size = c(H, W)` of the image and
#' `classes`. A data frame that lost them or one of these columns on the way is brought back by
#' `as_seg_instances(x, size = , classes = )`.
#'
#' @param masks Logical array `[H, W, N]` with one mask for each object, or a list of logical
#'   matrices `[H, W]`; `NULL` for an image without objects.
#' @param class The class of each object, as ids or names; one value stands for all.
#' @param score Confidence of each object from 0 to 1, or `NULL`.
#' @param boxes Numeric matrix `[N, 4]` of `xmin, ymin, xmax, ymax`, or `NULL` for those of the
#'   masks.
#' @param classes A named vector of class ids, such as `c(person = 0, bus = 5)`.
#' @param size Height and width of the image, needed where `masks` is `NULL`.
#' @return A `seg_instances`. Masks of different sizes are a `maskr_error_shape`, unknown classes
#'   a `maskr_error_data`.
#' @seealso [as_seg_instances()], [seg_read_instances()]
#' @concept types
#' @export
#' @examplesIf seg_available()
#' masks <- array(FALSE, c(4, 6, 2))
#' masks[1:2, 1:3, 1] <- TRUE
#' masks[2:4, 3:6, 2] <- TRUE
#' x <- seg_instances(masks, class = c("cell", "debris"), score = c(0.9, 0.6),
#'                    classes = c(cell = 1, debris = 2))
#' x
#' x[x$score > 0.7, ]
#' as.array(x, which = 1)[, , 1]
seg_instances <- function(masks = NULL, class = NULL, score = NULL, boxes = NULL, classes,
                          size = NULL) {
  classes <- check_classes(classes, null = FALSE)
  if (is.null(masks)) return(no_instances(check_size(size, null = FALSE), classes))
  masks <- stack_masks(masks)
  n <- dim(masks)[[3]]
  ids <- check_object_classes(class, n, classes)
  score <- check_scores(score, n)
  boxes <- check_boxes(boxes, n)
  columns <- py_call("instances", "r_from_masks", masks, as.list(ids), score, boxes)
  new_seg_instances(columns, dim(masks)[1:2], classes)
}

no_instances <- function(size, classes) {
  empty <- list(class = integer(), score = double(), xmin = double(), ymin = double(),
                xmax = double(), ymax = double(), area = double(), rle = character())
  new_seg_instances(empty, size, classes)
}

# No checks. `columns` come from Python's `Instances.to_r()`, with ids where the objects have some.
new_seg_instances <- function(columns, size, classes) {
  class <- as.integer(columns$class)
  n <- length(class)
  structure(
    list(
      id = as.integer(columns$id %||% seq_len(n)), class = class,
      label = class_labels(class, classes), score = na_for_nan(columns$score),
      xmin = as.double(columns$xmin), ymin = as.double(columns$ymin),
      xmax = as.double(columns$xmax), ymax = as.double(columns$ymax),
      area = as.double(columns$area), rle = as.character(unlist(columns$rle))
    ),
    row.names = .set_row_names(n), size = as.integer(size), classes = classes,
    class = c("seg_instances", "data.frame")
  )
}

instance_fields <- c("id", "class", "label", "score", "xmin", "ymin", "xmax", "ymax", "area", "rle")

# The names of class ids; NA where an id has none.
class_labels <- function(ids, classes) names(classes)[match(ids, classes)]

na_for_nan <- function(x) {
  x <- as.double(x)
  x[is.nan(x)] <- NA
  x
}

# The masks as one logical array [H, W, N].
stack_masks <- function(masks, call = rlang::caller_env()) {
  if (is_foreign(masks)) {
    # frames are the first axis of a volume
    masks <- own_mask(masks, "masks", call)
    if (length(dim(masks)) == 3) masks <- aperm(bare(masks), c(2, 3, 1))
  }
  if (is.list(masks)) {
    masks <- lapply(masks, own_mask, arg = "masks", call = call)
    sizes <- unique(lapply(masks, dim))
    if (length(masks) == 0 || length(sizes) != 1 || length(sizes[[1]]) != 2) {
      maskr_abort("shape", "{.arg masks} must be a list of matrices of one size.",
                  arg = "masks", call = call)
    }
    masks <- array(unlist(lapply(masks, as.vector)), dim = c(sizes[[1]], length(masks)))
  }
  masks <- plain_number(masks)
  if (is.matrix(masks)) dim(masks) <- c(dim(masks), 1)
  ok <- (is.logical(masks) || is_numbers(masks)) && length(dim(masks)) == 3 && length(masks) > 0
  if (!ok) {
    maskr_abort("shape", c(
      "{.arg masks} must be a logical array [H, W, N] or a list of logical matrices.",
      x = "You supplied {describe(masks)}."
    ), arg = "masks", call = call)
  }
  if (anyNA(masks) || !is.logical(masks) && !all(masks %in% 0:1)) {
    maskr_abort("data", "{.arg masks} must hold TRUE and FALSE (or 0 and 1) without NA.",
                arg = "masks", call = call)
  }
  if (is.logical(masks) && !is.object(masks)) masks else array(as.logical(masks), dim = dim(masks))
}

check_object_classes <- function(class, n, classes, call = rlang::caller_env()) {
  class <- plain_number(class)
  ids <- if (is_numbers(class)) class else unname(classes[as.character(class)])
  if (!length(ids) %in% c(1, n) || anyNA(ids) || !all(ids %in% classes)) {
    maskr_abort("data", c(
      "{.arg class} must name one of {.arg classes} for each of the {n} objects.",
      x = "You supplied {describe(class)}.", i = "The classes are {class_words(classes)}."
    ), arg = "class", call = call)
  }
  rep_len(as.integer(ids), n)
}

check_scores <- function(score, n, call = rlang::caller_env()) {
  if (is.null(score)) return(NULL)
  if (is_numbers(score) && length(score) == n && !any(score < 0 | score > 1, na.rm = TRUE)) {
    return(as.list(as.double(score)))
  }
  maskr_abort("argument", c(
    "{.arg score} must be {n} number{?s} from 0 to 1, or NULL.",
    x = "You supplied {describe(score)}."
  ), arg = "score", call = call)
}

check_boxes <- function(boxes, n, call = rlang::caller_env()) {
  if (is.null(boxes)) return(NULL)
  if (is_numbers(boxes) && identical(dim(boxes), c(as.integer(n), 4L)) && !anyNA(boxes)) {
    return(matrix(as.double(boxes), n, 4))
  }
  maskr_abort("shape", c(
    "{.arg boxes} must be a numeric matrix of {n} row{?s}: xmin, ymin, xmax, ymax.",
    x = "You supplied {describe(boxes)}."
  ), arg = "boxes", call = call)
}

# Instances that can be used: complete, and in step with their attributes.
check_instances <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  problem <- instances_problem(x)
  if (is.null(problem)) return(invisible(x))
  maskr_abort("data", c(
    "{.arg {arg}} is not a complete set of instances: {problem}.",
    i = "Some data frame functions drop attributes or columns. Bring them back with
         {.code as_seg_instances({arg}, size = c(height, width), classes = c(name = id))}."
  ), arg = arg, call = call)
}

instances_problem <- function(x) {
  if (!is.data.frame(x)) return(paste("it is", describe(x)))
  lost <- setdiff(instance_fields, names(x))
  if (length(lost) > 0) return(paste("it lacks the column", paste(lost, collapse = ", ")))
  if (length(attr(x, "size")) != 2) return("it lost its attribute `size`")
  wide <- wide_column(x)
  if (!is.null(wide)) return(wide)
  if (is.null(attr(x, "classes"))) return("it lost its attribute `classes`")
  labels <- class_labels(x$class, attr(x, "classes"))
  if (anyNA(labels)) return("its column `class` holds ids that are not among its classes")
  if (!identical(as.character(x$label), labels)) return("`label` and `class` contradict each other")
  if (anyNA(x$rle)) return("its column `rle` has missing values")
  NULL
}

# What crosses to Python's `Instances.from_r()`.
instance_columns <- function(x, class = x$class) {
  columns <- lapply(unclass(x)[setdiff(instance_fields, c("id", "label"))], as.list)
  columns$class <- as.list(as.integer(class))
  columns
}

# The same with the size, and class ids as `classes` has them: classes are matched by name.
instances_for_python <- function(x, classes, call = rlang::caller_env()) {
  own <- attr(x, "classes")
  ids <- unname(classes[names(own)[match(x$class, own)]])
  if (anyNA(ids)) {
    maskr_abort("data", c(
      "The objects' classes {.val {unique(x$label[is.na(ids)])}} are not in {.arg classes}.",
      i = "The classes are {class_words(classes)}; they are matched by name."
    ), arg = "classes", call = call)
  }
  list(columns = instance_columns(x, ids), size = as.list(attr(x, "size")))
}

#' Read a label image
#'
#' Reads the objects of an image whose pixels hold object numbers: 0 is the background, each other
#' number one object. PNG (grey or index, 8 and 16 bit) and TIFF are read.
#'
#' @param path One file.
#' @param class The class of all objects: one named id.
#' @param ignore A value that is not an object, such as 255 for the borders in Pascal VOC's files;
#'   by default `NULL`.
#' @return A [seg_instances()] whose `id` is the object's number in the file. A file of several
#'   pages is a `maskr_error_shape`; one that holds only 0 and 255 is a binary mask and a
#'   `maskr_error_data`.
#' @concept types
#' @export
#' @examplesIf seg_available()
#' labels <- matrix(c(0, 1, 1, 0, 2, 2), 2)
#' file <- tempfile(fileext = ".png")
#' seg_write_mask(labels, file)
#' seg_read_instances(file, class = c(nucleus = 1))
seg_read_instances <- function(path, class = c(nucleus = 1), ignore = NULL) {
  path <- check_one_path(path)
  class <- check_one_class(class)
  out <- py_call("instances", "read", path, unname(class), check_whole(ignore, null = TRUE))
  new_seg_instances(out$columns, unlist(out$size), class)
}

check_one_class <- function(class, call = rlang::caller_env()) {
  class <- check_classes(class, null = FALSE, arg = "class", call = call)
  if (length(class) == 1) return(class)
  maskr_abort("argument", c(
    "{.arg class} must be one named class id, not {length(class)}.",
    i = "For example, write {.code class = c(nucleus = 1)}."
  ), arg = "class", call = call)
}

#' Objects from label images, panoptic results and data frames
#'
#' @param x An integer matrix `[H, W]` of object numbers (0 and `NA` are not objects), a
#'   [seg_panoptic()] image (its things become objects), a data frame with the columns of
#'   [seg_instances()], or a `seg_instances`. A [seg_mask()] holds classes, not objects, and is
#'   refused.
#' @param class The class of all objects of a label matrix: one named id.
#' @param size,classes For a data frame: height and width of the image, and the named class ids;
#'   by default its attributes. The columns `class` (or `label`) and `rle` must be there, the
#'   others are made where they are missing. For a `seg_instances`, `classes` gives new names to its
#'   class ids.
#' @param ... Must be empty.
#' @return A [seg_instances()]; `id` is the object's number in the matrix.
#' @concept types
#' @export
#' @examplesIf seg_available()
#' labels <- matrix(c(0, 1, 1, 0, 2, 2), 2)
#' as_seg_instances(labels, class = c(nucleus = 1))
as_seg_instances <- function(x, ...) UseMethod("as_seg_instances")

#' @rdname as_seg_instances
#' @export
as_seg_instances.default <- function(x, class = c(object = 1), ...) {
  check_no_dots(...)
  labels <- bare_mask(x)
  if (length(dim(labels)) != 2) {
    maskr_abort("shape", c(
      "{.arg x} must be a matrix [H, W] of object numbers; it is {describe(x)}.",
      i = "Objects in volumes are held by {.fn as_seg_panoptic}."
    ), arg = "x")
  }
  class <- check_one_class(class)
  columns <- py_call("instances", "r_from_labels", labels, unname(class))
  new_seg_instances(columns, dim(labels), class)
}

#' @export
as_seg_instances.seg_instances <- function(x, classes = NULL, ...) {
  check_no_dots(...)
  check_instances(x)
  if (is.null(classes)) return(x)
  classes <- check_classes(classes)
  check_object_classes(x$class, nrow(x), classes)
  attr(x, "classes") <- classes
  x$label <- class_labels(x$class, classes)
  x
}

#' @export
as_seg_instances.seg_mask <- function(x, ...) {
  maskr_abort("data", c(
    "{.arg x} is a mask of classes, which does not say where one object ends and the next begins.",
    i = "If its numbers are object numbers, use {.code as_seg_instances(as.matrix(x))}."
  ), arg = "x")
}

#' @rdname as_seg_instances
#' @export
as_seg_instances.seg_panoptic <- function(x, ...) {
  check_no_dots(...)
  if (length(dim(x)) != 2) {
    maskr_abort("shape", "Instances are 2D only, and {.arg x} is {size_words(dim(x))}.", arg = "x")
  }
  things <- attr(x, "segments")
  things <- things[things$isthing, ]
  labels <- bare(x)
  labels[!labels %in% things$id] <- 0L
  columns <- py_call("instances", "r_from_labels", labels, 0L)
  things <- things[match(columns$id, things$id), ]
  columns$class <- things$class
  columns$score <- things$score
  found <- new_seg_instances(columns, dim(x), attr(x, "classes"))
  found$iscrowd <- things$iscrowd
  found
}

#' @rdname as_seg_instances
#' @export
as_seg_instances.data.frame <- function(x, size = NULL, classes = NULL, ...) {
  check_no_dots(...)
  x <- narrow_columns(x)
  size <- check_size(size %||% attr(x, "size"), null = FALSE, arg = "size")
  classes <- check_classes(classes %||% attr(x, "classes"), null = FALSE)
  # tibbles warn of `$` with a column that is not there
  if (is.null(x[["rle"]]) || is.null(x[["class"]]) && is.null(x[["label"]])) {
    maskr_abort("data", c(
      "{.arg x} must have the columns {.field rle} and {.field class} or {.field label}.",
      x = "Its columns are {.field {names(x)}}."
    ), arg = "x")
  }
  if (nrow(x) == 0) return(no_instances(size, classes))
  ids <- check_object_classes(x[["class"]] %||% x[["label"]], nrow(x), classes)
  corners <- c("xmin", "ymin", "xmax", "ymax")
  boxes <- if (all(corners %in% names(x))) as.matrix(as.data.frame(x)[corners])
  columns <- py_call(
    "instances", "r_from_rles", as.list(as.character(x$rle)), as.list(size), as.list(ids),
    check_scores(x[["score"]], nrow(x)), check_boxes(unname(boxes), nrow(x))
  )
  columns$id <- x[["id"]]
  new_seg_instances(columns, size, classes)
}

#' The masks of instances
#'
#' @param x A [seg_instances()].
#' @param which Which objects: row numbers, or a logical vector; `NULL` for all.
#' @param ... Not used.
#' @return A logical array `[H, W, N]`. More than 2 GB are refused with a `maskr_error_shape`;
#'   `which` takes some at a time.
#' @concept types
#' @export
#' @examplesIf seg_available()
#' x <- as_seg_instances(matrix(c(0, 1, 1, 0, 2, 2), 2))
#' as.array(x, which = 2)[, , 1]
as.array.seg_instances <- function(x, ..., which = NULL) {
  check_instances(x)
  rows <- check_which(which, nrow(x))
  size <- attr(x, "size")
  # R stores a logical value in four bytes
  bytes <- prod(as.double(size)) * length(rows) * 4
  if (bytes > 2e9) {
    fit <- floor(2e9 / 4 / prod(as.double(size)))
    maskr_abort("shape", c(
      "The masks of {length(rows)} object{?s} of {size_words(size)} need
       {round(bytes / 1e9, 1)} GB, more than 2 GB.",
      i = if (fit >= 1) "Take at most {fit} at a time with {.arg which}."
    ), arg = "which")
  }
  if (length(rows) == 0) return(array(FALSE, dim = c(size, 0L)))
  py_call("instances", "r_masks", as.list(x$rle[rows]), as.list(size))
}

check_which <- function(which, n, call = rlang::caller_env()) {
  if (is.null(which)) return(seq_len(n))
  if (is.logical(which) && length(which) == n && !anyNA(which)) return(base::which(which))
  ok <- is_numbers(which) && all(is.finite(which)) && all(which == round(which)) &&
    all(which >= 1 & which <= n)
  if (ok) return(as.integer(which))
  maskr_abort("argument", c(
    "{.arg which} must be row numbers from 1 to {n}, or a logical vector of that length.",
    x = "You supplied {describe(which)}."
  ), arg = "which", call = call)
}

#' @export
`[.seg_instances` <- function(x, ...) {
  out <- NextMethod()
  if (!is.data.frame(out)) return(out)
  if (!all(instance_fields %in% names(out))) return(plain_frame(out))
  attr(out, "size") <- attr(x, "size")
  attr(out, "classes") <- attr(x, "classes")
  # a comparison with a missing score picks no object
  if (anyNA(out$id)) out[!is.na(out$id), ] else out
}

plain_frame <- function(x) {
  attr(x, "size") <- NULL
  attr(x, "classes") <- NULL
  class(x) <- "data.frame"
  x
}

#' @export
as.data.frame.seg_instances <- function(x, ...) plain_frame(x)

#' @export
rbind.seg_instances <- function(..., deparse.level = 1) {
  parts <- list(...)
  for (part in parts) check_instances(part, arg = "...")
  sizes <- unique(lapply(parts, attr, "size"))
  if (length(sizes) > 1) {
    maskr_abort("shape", c(
      "Only instances of images of one size can be combined.",
      x = "The sizes are {vapply(sizes, size_words, '')}."
    ))
  }
  classes <- unlist(unname(lapply(parts, attr, "classes")))
  classes <- classes[!duplicated(data.frame(names(classes), classes))]
  if (anyDuplicated(classes) || anyDuplicated(names(classes))) {
    maskr_abort("data", "The parts give one class id two names, or one class two ids.")
  }
  out <- do.call(rbind, lapply(parts, plain_frame))
  out$id <- seq_len(nrow(out))
  rownames(out) <- NULL
  structure(out, size = sizes[[1]], classes = classes, class = c("seg_instances", "data.frame"))
}

#' @export
c.seg_instances <- function(...) rbind.seg_instances(...)

#' @export
format.seg_instances <- function(x, ...) {
  n <- nrow(x)
  size <- attr(x, "size")
  paste0("<seg_instances> ", n, if (n == 1) " object" else " objects",
         if (length(size) == 2) paste0(" in ", size_words(size)))
}

#' @export
print.seg_instances <- function(x, n = 10, ...) {
  cat(format(x), sep = "\n")
  problem <- instances_problem(x)
  if (!is.null(problem)) {
    cat("incomplete: ", problem, "\n", sep = "")
    return(invisible(x))
  }
  if (nrow(x) == 0) return(invisible(x))
  shown <- utils::head(plain_frame(x)[c("id", "label", "score")], n)
  if (all(is.na(shown$score))) shown$score <- NULL
  shown$box <- utils::head(box_words(x), n)
  shown$area <- utils::head(x$area, n)
  print(shown, row.names = FALSE, digits = 3)
  if (nrow(x) > n) cat("... and", nrow(x) - n, "more\n")
  invisible(x)
}

box_words <- function(x) {
  number <- function(v) formatC(v, format = "f", digits = if (all(v == round(v))) 0 else 1)
  paste0("[", number(x$xmin), ", ", number(x$ymin), ", ", number(x$xmax), ", ", number(x$ymax),
         "]")
}

#' @export
summary.seg_instances <- function(object, ...) {
  check_instances(object)
  classes <- attr(object, "classes")
  classes <- classes[classes %in% object$class]
  mean_of <- function(column) {
    vapply(classes, function(id) mean(object[[column]][object$class == id]), double(1))
  }
  data.frame(
    class = unname(classes), label = names(classes),
    objects = tabulate(match(object$class, classes), length(classes)),
    score = unname(mean_of("score")), area = unname(mean_of("area"))
  )
}
