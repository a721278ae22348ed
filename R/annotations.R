# Annotations: three data frames that every annotation format meets in.

#' Images with their objects and classes
#'
#' `seg_annotations` holds what an annotation file says, in three plain data frames that can be
#' looked at, filtered and changed. Nothing is drawn until the mask of one image is asked for, so
#' that annotations of a hundred thousand images are as handy as those of three.
#'
#' `images`: one row for each image.
#'
#' | column | meaning |
#' |---|---|
#' | `id` | number of the image |
#' | `file` | its name, relative to the field `folder` |
#' | `height`, `width` | pixels; `NA` where neither the file nor the image tells |
#' | `mask_file` | the label image of formats that have one (only there) |
#' | `split` | `"train"`, `"val"`, ... of formats that tell (only there) |
#'
#' `objects`: the columns of [seg_instances()] and
#'
#' | column | meaning |
#' |---|---|
#' | `image_id` | the image |
#' | `iscrowd` | a region of many objects that were not told apart |
#' | `polygon` | COCO's notation `[[x1,y1,x2,y2,...],...]`: a closed polygon a part, in pixels |
#' | `attributes` | what else the file says of the object, as JSON (only where there is some) |
#'
#' An object has a `polygon` or an `rle`, the other is `NA`; both are `NA` where the file has a box
#' only, or where the mask lies in a label image. Objects of label images are not listed: they are
#' found when an image is asked for.
#'
#' `classes`: `id`, `name`, `supercategory`, `isthing` (countable objects, as against stuff) and
#' `colour` (`"#RRGGBB"`).
#'
#' @param x,object A `seg_annotations`; for `as_seg_annotations()` a list of [seg_instances()],
#'   [seg_mask()]s or [seg_panoptic()]s, named by the images' files, such as `predict()` returns for
#'   several paths. Every connected part of a mask's classes but the background becomes one object.
#'   Where all names are numbers, such as `"000000000139.jpg"`, these are the image ids.
#' @param image The image: its id, or the name of its file (with or without folder and ending). Not
#'   needed where there is only one.
#' @param classes A named vector of class ids that the result shall have, such as
#'   `c(background = 0, person = 1)`, matched by name; by default those of `x`.
#' @param i Images: row numbers, a logical vector, or names of files.
#' @param j Classes to keep, by name or id. Pixels of the others become background.
#' @param folder Folder of the images' files.
#' @param ... Not used.
#' @return `as_seg_instances()`, `as_seg_mask()` and `as_seg_panoptic()` make the objects, the mask
#'   or the segments of one image. Objects of which the file has a box only get the box's rectangle
#'   as mask, and a message says so. Where objects overlap in a mask, the higher score wins, and of
#'   equal or missing scores the later object; crowds lie below all others. Pixels of no object are
#'   the class "background", else class id 0, which is added as background; where the id 0 belongs
#'   to a thing, `classes` must be given (`maskr_error_data`). An image that is not there is a
#'   `maskr_error_argument`. `x[i, j]` is a `seg_annotations` again. `summary()` returns a list of
#'   class `summary_seg_annotations`: `classes` (objects and images of each class, mean area),
#'   `sizes` and `empty` (files of images without objects); label images are read for it.
#' @seealso [seg_read_annotations()]
#' @name seg_annotations
#' @concept data
#' @examplesIf seg_available()
#' scenes <- seg_example("shapes", n = 3, size = c(64, 96))
#' x <- as_seg_annotations(stats::setNames(scenes$instances, c("a.png", "b.png", "c.png")))
#' x
#' summary(x)
#' as_seg_instances(x, "b")
#' as_seg_mask(x[, c("circle", "triangle")], "b")
NULL

# No checks. Missing text is NA here and "" in Python.
new_seg_annotations <- function(images, objects, classes, format, folder, reading) {
  structure(
    list(images = images, objects = objects, classes = classes, format = format, folder = folder,
         reading = reading),
    class = "seg_annotations"
  )
}

# From what Python's `Annotations.to_r()` gives.
annotations_from_python <- function(tables) {
  text <- function(x) {
    x <- as.character(unlist(x))
    x[!nzchar(x)] <- NA
    x
  }
  images <- data.frame(
    id = as.double(tables$images$id), file = as.character(unlist(tables$images$file)),
    height = as.integer(tables$images$height), width = as.integer(tables$images$width)
  )
  images[c("height", "width")][images[c("height", "width")] == 0] <- NA
  for (column in c("mask_file", "split")) images[[column]] <- text(tables$images[[column]])
  classes <- classes_table(tables$classes)
  found <- tables$objects
  # ids may be too large for integers
  columns <- new_seg_instances(found[names(found) != "id"], c(0, 0),
                               stats::setNames(classes$id, classes$name))
  objects <- plain_frame(columns)
  objects$id <- as.double(found$id)
  objects$rle <- text(found$rle)
  objects$image_id <- as.double(found$image_id)
  objects$iscrowd <- as.logical(found$iscrowd)
  objects$polygon <- text(found$polygon)
  objects$attributes <- text(found$attributes)
  new_seg_annotations(
    drop_empty(images, c("mask_file", "split")), drop_empty(objects, "attributes"), classes,
    tables$format, tables$folder, tables$reading
  )
}

# Columns that say nothing are left out.
drop_empty <- function(x, columns) {
  x[setdiff(names(x), columns[vapply(x[columns], function(v) all(is.na(v)), logical(1))])]
}

classes_table <- function(rows) {
  text <- vapply(rows, function(one) one$colour, "")
  data.frame(
    id = vapply(rows, function(one) as.integer(one$id), 1L),
    name = vapply(rows, function(one) one$name, ""),
    supercategory = vapply(rows, function(one) one$supercategory, ""),
    isthing = vapply(rows, function(one) one$isthing, TRUE),
    colour = ifelse(nzchar(text), text, NA_character_)
  )
}

# What crosses to Python's `Annotations.from_r()`.
annotations_for_python <- function(x) {
  text <- function(column, n) {
    column <- column %||% rep("", n)
    column[is.na(column)] <- ""
    as.list(column)
  }
  number <- function(column) {
    column[is.na(column)] <- 0L
    as.list(as.integer(column))
  }
  images <- x$images
  n <- nrow(images)
  objects <- unclass(x$objects)
  m <- nrow(x$objects)
  plain <- c("id", "class", "score", "xmin", "ymin", "xmax", "ymax", "area", "image_id", "iscrowd")
  classes <- lapply(seq_len(nrow(x$classes)), function(i) {
    one <- as.list(x$classes[i, ])
    one$colour <- if (is.na(one$colour)) "" else one$colour
    one
  })
  list(
    format = x$format, folder = x$folder, reading = x$reading,
    images = list(
      id = as.list(images$id), file = as.list(images$file), height = number(images$height),
      width = number(images$width), mask_file = text(images$mask_file, n),
      split = text(images$split, n)
    ),
    objects = c(
      lapply(objects[plain], function(column) array(column, dim = m)),
      list(rle = text(objects$rle, m), polygon = text(objects$polygon, m),
           attributes = text(objects$attributes, m))
    ),
    classes = classes
  )
}

# Annotations that can be used: complete, and in step with each other.
check_annotations <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  problem <- annotations_problem(x)
  if (is.null(problem)) return(invisible(x))
  maskr_abort("data", c(
    "{.arg {arg}} is not a complete set of annotations: {problem}.",
    i = "{.fn seg_read_annotations} and {.fn as_seg_annotations} make one."
  ), arg = arg, call = call)
}

annotations_problem <- function(x) {
  if (!inherits(x, "seg_annotations")) return(paste("it is", describe(x)))
  needed <- list(
    images = c("id", "file", "height", "width"),
    objects = c(instance_fields, "image_id", "iscrowd", "polygon"),
    classes = c("id", "name", "supercategory", "isthing", "colour")
  )
  for (table in names(needed)) {
    lost <- setdiff(needed[[table]], names(x[[table]]))
    if (length(lost) > 0) return(paste0("`", table, "` lacks the column ", lost[[1]]))
    wide <- wide_column(x[[table]])
    if (!is.null(wide)) return(paste0("of `", table, "` ", wide))
  }
  if (anyDuplicated(x$images$id)) return("`images` has an id twice")
  if (anyDuplicated(x$classes$id) || anyDuplicated(x$classes$name)) {
    return("`classes` has an id or a name twice")
  }
  if (!all(x$objects$class %in% x$classes$id)) return("`objects` has ids that are not in `classes`")
  if (!all(x$objects$image_id %in% x$images$id)) return("`objects` has images not in `images`")
  NULL
}

is_label_images <- function(x) !is.null(x$images$mask_file)

# Class ids by name.
annotation_classes <- function(x) stats::setNames(as.integer(x$classes$id), x$classes$name)

# Class ids by name as masks have them: with the background that pixels of no object are.
mask_classes <- function(x) {
  classes <- annotation_classes(x)
  classes <- classes[!is_ignored_name(names(classes))]
  if (any(is_background_name(names(classes))) || 0 %in% classes) return(classes)
  c(background = 0L, classes)
}

# Are there pixels of no object, and no class for them, since the id 0 is that of another?
lacks_background <- function(x) {
  classes <- mask_classes(x)
  0 %in% classes && !any(is_background_name(names(classes))) && any(x$classes$isthing) &&
    !identical(x$reading$void, "ignore")
}

is_background_name <- function(names) {
  tolower(names) %in% c("background", "_background_", "unlabeled")
}

# LabelMe's name for regions that are to be ignored: objects of it, but no class of a mask.
is_ignored_name <- function(names) names == "__ignore__"

image_paths <- function(x) {
  if (nzchar(x$folder)) file.path(x$folder, x$images$file) else x$images$file
}

# The files of all images, named as the annotations name them.
annotated_images <- function(x, call = rlang::caller_env()) {
  check_annotations(x, arg = "images", call = call)
  paths <- image_paths(x)
  lost <- which(!file.exists(paths))
  if (length(lost) == 0) return(stats::setNames(paths, x$images$file))
  maskr_abort("file", c(
    "{length(lost)} of {length(paths)} images of the annotations {cli::qty(length(lost))}{?was/were}
     not found.",
    x = "{.path {utils::head(paths[lost], 3)}}{if (length(lost) > 3) ', ...'}",
    i = "Name their folder: {.code seg_read_annotations(path, images = folder)}."
  ), arg = "images", call = call)
}

#' @export
length.seg_annotations <- function(x) nrow(x$images)

#' @rdname seg_annotations
#' @export
`[.seg_annotations` <- function(x, i, j, ...) {
  if (!missing(i)) {
    rows <- image_rows(x, i)
    x$images <- x$images[rows, ]
    rownames(x$images) <- NULL
    x$objects <- x$objects[x$objects$image_id %in% x$images$id, ]
  }
  if (!missing(j)) {
    dropped <- !x$classes$id %in% class_ids_of(x, j)
    if (is_label_images(x)) x <- renumbered_files(x, x$classes$id[dropped], -1L)
    x$objects <- x$objects[!x$objects$class %in% x$classes$id[dropped], ]
    kept <- !dropped | is_background_name(x$classes$name)
    x$classes <- x$classes[kept, ]
    rownames(x$classes) <- NULL
  }
  rownames(x$objects) <- NULL
  x
}

image_rows <- function(x, i, call = rlang::caller_env()) {
  i <- plain_number(i)
  if (is.character(i)) return(unique(find_images(i, x, arg = "i", call = call)))
  rows <- seq_len(nrow(x$images))
  if (is.logical(i) && length(i) == length(rows) && !anyNA(i)) return(rows[i])
  once <- is_numbers(i) && !anyNA(i) && !anyDuplicated(i) && (all(i > 0) || all(i < 0))
  if (once && all(abs(i) %in% rows)) return(rows[i])
  maskr_abort("argument", c(
    "{.arg i} must be row numbers from 1 to {length(rows)}, each once, a logical vector of that
     length, or names of files.",
    x = "You supplied {describe(i)}."
  ), arg = "i", call = call)
}

class_ids_of <- function(x, j, call = rlang::caller_env()) {
  ids <- if (is.character(j)) annotation_classes(x)[j] else plain_number(j)
  if (!anyNA(ids) && all(ids %in% x$classes$id)) return(ids)
  maskr_abort("data", c(
    "{.arg j} must be names or ids of classes.", x = "You supplied {describe(j)}.",
    i = "The classes are {class_words(annotation_classes(x))}."
  ), arg = "j", call = call)
}

# The row of an image, by its id, or by its file's name as far as it tells one image.
find_image <- function(image, x, arg = "image", call = rlang::caller_env()) {
  image <- plain_number(image)
  files <- x$images$file
  rows <- if (is_numbers(image) && length(image) == 1) {
    which(x$images$id == image)
  } else if (is.character(image) && length(image) == 1) {
    matches <- list(which(files == image), which(basename(files) == basename(image)),
                    which(stem(files) == stem(image)))
    c(Filter(length, matches), list(integer()))[[1]]
  }
  if (length(rows) == 1) return(rows)
  maskr_abort("argument", c(
    "{.arg {arg}} must be the id or the file name of one image.",
    x = "{describe(image)} names {length(rows)} image{?s}.",
    i = "Ids and files are in {.code x$images}; the first file is {.val {utils::head(files, 1)}}."
  ), arg = arg, call = call)
}

# The same for the names of many images, in time that grows with their number and not its square.
find_images <- function(images, x, arg, call = rlang::caller_env()) {
  rows <- rep(NA_integer_, length(images))
  for (key in list(identity, basename, stem)) {
    keys <- key(x$images$file)
    found <- match(key(images), keys)
    found[keys[found] %in% keys[duplicated(keys)]] <- 0L
    rows <- ifelse(is.na(rows), found, rows)
  }
  # for its error
  wrong <- which(is.na(rows) | rows == 0)
  if (length(wrong) > 0) find_image(images[[wrong[[1]]]], x, arg = arg, call = call)
  rows
}

stem <- function(file) tools::file_path_sans_ext(basename(file))

#' @export
format.seg_annotations <- function(x, ...) {
  n <- nrow(x$images)
  with <- length(unique(x$objects$image_id))
  crowds <- sum(x$objects$iscrowd)
  splits <- table(x$images$split %||% character())
  c(
    paste0("<seg_annotations> ", x$format, ", ", n, if (n == 1) " image" else " images"),
    paste0("classes: ", nrow(x$classes), " (", class_words(annotation_classes(x)), ")"),
    paste0("objects: ", if (nrow(x$objects) == 0 && is_label_images(x)) {
      "in label images, read when they are asked for"
    } else {
      paste0(nrow(x$objects), " in ", with, if (with == 1) " image" else " images",
             if (crowds > 0) paste0(", ", crowds, if (crowds == 1) " crowd" else " crowds"))
    }),
    paste0("images:  ", if (nzchar(x$folder)) x$folder else "folder unknown"),
    if (length(splits) > 0) {
      paste0("splits:  ", paste0(names(splits), " (", splits, ")", collapse = ", "))
    }
  )
}

#' @export
print.seg_annotations <- function(x, ...) {
  problem <- annotations_problem(x)
  if (is.null(problem)) {
    cat(format(x), sep = "\n")
  } else {
    cat("<seg_annotations>\nincomplete: ", problem, "\n", sep = "")
  }
  invisible(x)
}

#' @rdname seg_annotations
#' @export
summary.seg_annotations <- function(object, ...) {
  check_no_dots(...)
  check_annotations(object)
  counts <- if (is_label_images(object)) counts_in_files(object) else counts_in_table(object)
  ids <- object$classes$id
  sum_of <- function(what) {
    unname(tapply(what, factor(counts$class, ids), sum, default = 0))
  }
  size <- ifelse(is.na(object$images$height), "unknown",
                 paste(object$images$height, "x", object$images$width))
  structure(
    list(
      images = nrow(object$images),
      classes = data.frame(
        class = ids, label = object$classes$name, objects = sum_of(counts$objects),
        images = sum_of(counts$pixels > 0 | counts$objects > 0), pixels = sum_of(counts$pixels)
      ),
      sizes = sort(table(size), decreasing = TRUE),
      empty = object$images$file[!seq_len(nrow(object$images)) %in% used_images(object, counts)]
    ),
    class = "summary_seg_annotations"
  )
}

used_images <- function(x, counts) {
  background <- x$classes$id[is_background_name(x$classes$name)]
  empty <- c(background, if (length(background) == 0 && !0 %in% x$classes$id) 0)
  unique(counts$image[counts$class >= 0 & !counts$class %in% empty])
}

counts_in_files <- function(x) {
  out <- py_call("annotations", "r_count", annotations_for_python(x),
                 counting_progress(NULL, nrow(x$images), "Reading label images"))
  out <- as.data.frame(lapply(out, as.numeric))
  out$image <- out$image + 1
  out
}

counts_in_table <- function(x) {
  if (nrow(x$objects) == 0) {
    return(data.frame(image = 1, class = 1, objects = 0, pixels = 0)[0, ])
  }
  key <- list(image = match(x$objects$image_id, x$images$id), class = x$objects$class)
  counts <- stats::aggregate(
    data.frame(objects = rep(1, nrow(x$objects)), pixels = x$objects$area), key, sum
  )
  counts
}

#' @export
print.summary_seg_annotations <- function(x, ...) {
  cat("<seg_annotations> ", x$images, if (x$images == 1) " image" else " images", "\n", sep = "")
  print(x$classes, row.names = FALSE)
  shown <- utils::head(x$sizes, 5)
  cat("sizes: ", paste0(names(shown), " (", shown, ")", collapse = ", "),
      if (length(x$sizes) > 5) ", ...", "\n", sep = "")
  n <- length(x$empty)
  cat("images without objects: ", n, if (n > 0) {
    paste0(" (", paste(utils::head(x$empty, 3), collapse = ", "), if (n > 3) ", ...", ")")
  }, "\n", sep = "")
  invisible(x)
}

#' Draw annotated images
#'
#' @param x A [seg_annotations].
#' @param image The image: its id or the name of its file; by default the first.
#' @param ... Passed on to the plot method of [seg_instances()] or, for label images of classes,
#'   of [seg_mask()].
#' @return `x`, invisibly. The objects are drawn over the image where its file is found.
#' @concept plots
#' @export
#' @examplesIf seg_available()
#' scenes <- seg_example("shapes", n = 2)
#' plot(as_seg_annotations(stats::setNames(scenes$instances, c("a.png", "b.png"))), "b")
plot.seg_annotations <- function(x, image = NULL, ...) {
  one <- one_image(x, image %||% x$images$id[[1]])
  path <- image_paths(one)
  under <- if (file.exists(path)) seg_read_image(path)
  drawn <- if (is_label_images(one)) as_seg_panoptic(one) else as_seg_instances(one)
  plot(drawn, image = under, ...)
  invisible(x)
}
