# What is wrong with each object: the table, its summary and its pictures.

#' What is wrong with each object
#'
#' Compares predicted objects with true ones and gives each of both exactly one verdict, which tells
#' what to mend: a model that merges needs better borders, one that misses needs more sensitivity.
#' The rows can be filtered like any data frame, and `plot()` draws those that are there.
#'
#' Within each class, in this order:
#'
#' | error | meaning |
#' |---|---|
#' | `correct` | matched: the IoU of the pair reaches `iou` |
#' | `merged` | a predicted object that holds more than half of several true ones; and these |
#' | `split` | a true object that holds more than half of several predicted ones; and these |
#' | `poorly_outlined` | of the others, matched: the IoU of the pair reaches 0.1 |
#' | `missed` | any other true object |
#' | `false` | any other predicted object |
#'
#' Pairs are matched one to one: as many as possible, and of equally many those with the largest sum
#' of IoUs. A true object that vanished in its neighbour's outline is merged though the neighbour be
#' correct, and a crumb left over of a correct object is split. Of true objects, `correct`,
#' `missed`, `merged`, `split` and `poorly_outlined` add up to all; these are the numbers that
#' `seg_metrics(..., metrics = "bioimage")` gives.
#'
#' @param truth,prediction Objects of one image, or a list of several images' in the same order or
#'   with the same names: [seg_instances()], [seg_panoptic()] (its things; images or volumes), or
#'   matrices `[H, W]` or arrays `[D, H, W]` of object numbers, 0 for the background. Objects of
#'   matrices are of the class that the others have. What [seg_example()] returns stands for its
#'   objects. [seg_annotations] as read from files are taken too, as in [seg_metrics()].
#' @param iou The IoU from which on a pair is correct, above 0 and at most 1.
#' @param x,object A `seg_errors`.
#' @param image The image to draw under the outlines: as [plot()][plot.seg] of objects takes it.
#' @param which Number or name of the image to draw.
#' @param legend Draw the names of the kinds beside the picture?
#' @param limits,main As in [plot()][plot.seg] of objects.
#' @param slice Which slice of a volume; by default the middle.
#' @param n How many of the objects in error to print, from 0 up.
#' @param ... Must be empty in pictures, else not used.
#' @return A data frame of class `seg_errors` with a row for each object, the truth before the
#'   prediction of each image:
#'   - `image`: its name, or else its number.
#'   - `data`: `"truth"` or `"prediction"`.
#'   - `id`, `class`, `label`: the object's id, class id and class name.
#'   - `error`: the verdict, a factor.
#'   - `iou`: IoU with the partner; without one, the largest with any object of its class.
#'   - `partner`: id of the object on the other side that the verdict is about, or `NA`. Of several
#'     that were merged or split it is the one with the largest IoU.
#'   - `rle`: the mask, as in [seg_instances()]; `NA` in volumes.
#'
#'   Crowds (a column `iscrowd`) have no row, nor have predicted objects that match nothing and lie
#'   for more than half in one. `summary()` counts the kinds by class; `plot()` returns `x`
#'   invisibly and draws predicted objects with solid outlines and true ones that are not correct
#'   with dashed ones; `autoplot()` gives a bar chart of the kinds as a ggplot.
#'
#'   Images of different sizes are a `maskr_error_shape`, unequally many a `maskr_error_argument`.
#' @references Caicedo, J. C. et al. (2019) Evaluation of deep learning strategies for nucleus
#'   segmentation in fluorescence images. Cytometry Part A 95, 952-965. \doi{10.1002/cyto.a.23863}
#'
#'   Maska, M. et al. (2014) A benchmark for comparison of cell tracking algorithms. Bioinformatics
#'   30, 1609-1617. \doi{10.1093/bioinformatics/btu080}
#' @seealso [seg_metrics()] for scores.
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' scene <- seg_example("nuclei", n = 1, size = c(96, 128))
#' truth <- as.matrix(as_seg_panoptic(scene$instances[[1]]))
#' prediction <- truth
#' prediction[truth == 11] <- 0
#' prediction[5:12, 100:110] <- 99
#' prediction[truth %in% c(1, 4, 5, 22)] <- 1
#' prediction[truth == 9 & col(truth) > 71] <- 98
#' prediction[truth == 3 & row(truth) > 45] <- 0
#' errors <- seg_errors(truth, prediction)
#' errors
#' summary(errors)
#' plot(errors, image = scene$images[[1]])
#' plot(errors[errors$error == "merged", ], image = scene$images[[1]])
seg_errors <- function(truth, prediction, iou = 0.5) {
  if (missing(truth)) abort_missing("truth", rlang::current_env())
  if (missing(prediction)) abort_missing("prediction", rlang::current_env())
  iou <- check_positive(iou, max = 1)
  pairs <- paired_objects(truth, prediction)
  call <- rlang::current_env()
  classes <- classes_of_objects(pairs, call)
  columns <- py_call(
    "metrics.object_errors", "r_errors", counted_objects(pairs$truth, classes, "truth", call),
    counted_objects(pairs$prediction, classes, "prediction", call), as.list(unname(classes)), iou
  )
  new_seg_errors(columns, pairs, classes, iou)
}

# No checks. `columns` come from Python's `judge_all()`.
new_seg_errors <- function(columns, pairs, classes, iou) {
  image <- as.integer(columns$image)
  data <- as.character(unlist(columns$data))
  class <- as.integer(columns$class)
  own <- object_numbers(pairs, image, data, as.integer(columns$number))
  other <- ifelse(data == "truth", "prediction", "truth")
  structure(
    data.frame(
      image = if (is.null(pairs$images)) image else pairs$images[image],
      data = data, id = own$id, class = class, label = class_labels(class, classes),
      error = factor(unlist(columns$error), error_kinds), iou = as.double(columns$iou),
      partner = object_numbers(pairs, image, other, as.integer(columns$partner))$id,
      rle = own$rle
    ),
    images = pairs$images %||% seq_along(pairs$truth), sizes = lapply(pairs$truth, size_of_objects),
    volumes = kept_volumes(pairs), classes = classes, iou = iou,
    class = c("seg_errors", "data.frame")
  )
}

error_kinds <- c("correct", "missed", "false", "merged", "split", "poorly_outlined")
error_columns <- c("image", "data", "id", "class", "label", "error", "iou", "partner", "rle")
error_attributes <- c("images", "sizes", "volumes", "classes", "iou")

# Ids and masks of objects by Python's numbers: rows of instances (0 for none), labels of volumes.
object_numbers <- function(pairs, image, data, number) {
  id <- rep(NA_integer_, length(number))
  rle <- rep(NA_character_, length(number))
  for (group in split(seq_along(number), list(image, data), drop = TRUE)) {
    x <- pairs[[data[[group[[1]]]]]][[image[[group[[1]]]]]]
    at <- ifelse(number[group] == 0, NA, number[group])
    id[group] <- if (inherits(x, "seg_panoptic")) at else as.integer(x$id[at])
    if (!inherits(x, "seg_panoptic")) rle[group] <- x$rle[at]
  }
  list(id = id, rle = rle)
}

size_of_objects <- function(x) if (inherits(x, "seg_panoptic")) dim(x) else attr(x, "size")

# The labels of volumes, by image, for pictures of their slices.
kept_volumes <- function(pairs) {
  Map(function(truth, prediction) {
    if (inherits(truth, "seg_panoptic")) list(truth = bare(truth), prediction = bare(prediction))
  }, pairs$truth, pairs$prediction)
}

# what is given ------------------------------------------------------------------------------------

# Truths and predictions that belong together, as lists of instances or, for volumes, panoptic
# results; and the names of the images.
paired_objects <- function(truth, prediction, call = rlang::caller_env()) {
  truth <- object_list(truth, "truth", call)
  prediction <- object_list(prediction, "prediction", call)
  if (any(vapply(list(truth, prediction), inherits, NA, what = "seg_annotations"))) {
    return(paired_with_annotations(truth, prediction, call))
  }
  if (length(truth) != length(prediction)) {
    maskr_abort("argument", c(
      "{.arg truth} and {.arg prediction} must hold objects of equally many images.",
      x = "{.arg truth} holds {length(truth)}, {.arg prediction} {length(prediction)}."
    ), arg = "prediction", call = call)
  }
  prediction <- pair_masks(prediction, truth, call)
  images <- names(truth) %||% names(prediction)
  class <- class_of_labels(c(truth, prediction), call)
  truth <- lapply(unname(truth), as_objects, class, "truth", call)
  prediction <- lapply(unname(prediction), as_objects, class, "prediction", call)
  for (i in seq_along(truth)) {
    size <- size_of_objects(truth[[i]])
    if (identical(as.integer(size), as.integer(size_of_objects(prediction[[i]])))) next
    maskr_abort("shape", c(
      "{.arg truth} and {.arg prediction} of image {images[i] %||% i} differ in size.",
      x = "The sizes are {size_words(size)} and {size_words(size_of_objects(prediction[[i]]))}."
    ), arg = "prediction", call = call)
  }
  list(truth = truth, prediction = prediction, images = images)
}

# The same where one or both are annotations.
paired_with_annotations <- function(truth, prediction, call) {
  listed <- lapply(list(truth, prediction), \(x) {
    if (!inherits(x, "seg_annotations")) return(x)
    list(no_instances(c(1, 1), classes_of_things(x)))
  })
  class <- class_of_labels(unlist(listed, recursive = FALSE), call)
  as_listed <- function(x, arg) {
    if (inherits(x, "seg_annotations")) return(x)
    x <- lapply(x, as_objects, class, arg, call)
    if (all(vapply(x, is.data.frame, NA))) return(x)
    maskr_abort("shape", "Annotations are of images, and {.arg {arg}} holds a volume.", arg = arg,
                call = call)
  }
  pairs <- pair_scenes(as_listed(truth, "truth"), as_listed(prediction, "prediction"), call)
  pairs$prediction <- named_by_truth(pairs$prediction, pairs$truth)
  list(truth = instances_of_each(pairs$truth), prediction = instances_of_each(pairs$prediction),
       images = pairs$images)
}

instances_of_each <- function(x) {
  say_boxes(x)
  panoptic <- identical(x$format, "coco_panoptic")
  lapply(seq_len(nrow(x$images)), function(i) {
    one <- x[i, ]
    suppressMessages(
      as_seg_instances(if (panoptic) as_seg_panoptic(one) else one),
      classes = "maskr_message_changed"
    )
  })
}

object_list <- function(x, arg, call) {
  if (is_scenes(x)) return(x$instances)
  if (inherits(x, "seg_annotations")) {
    check_annotations(x, arg = arg, call = call)
    return(things_alone(x))
  }
  if (!is.list(x) || is.object(x)) return(list(x))
  if (length(x) > 0) return(x)
  maskr_abort("argument", "{.arg {arg}} holds no image: it is an empty list.", arg = arg,
              call = call)
}

# The class of objects in bare label images: the only one that the others have.
class_of_labels <- function(images, call) {
  named <- Filter(\(x) inherits(x, c("seg_instances", "seg_panoptic")), images)
  if (length(named) == 0) return(c(object = 1L))
  if (length(named) == length(images)) return(NULL)
  classes <- classes_of_things(named)
  seen <- labels_in(named)
  if (length(seen) == 0) seen <- unique(names(classes))
  if (length(seen) == 1) return(classes[match(seen, names(classes))])
  maskr_abort("data", c(
    "A matrix of object numbers does not say of which class its objects are.",
    x = "There are the classes {.val {seen}}.",
    i = "Make it objects with a class by {.fn as_seg_instances} or {.fn as_seg_panoptic}."
  ), arg = "prediction", call = call)
}

# Images as instances, volumes as panoptic results.
as_objects <- function(x, class, arg, call) {
  if (inherits(x, c("seg_instances", "data.frame"))) {
    check_instances(x, arg = arg, call = call)
    return(x)
  }
  if (!is_numbers(x) && !is.logical(x) || !length(dim(x)) %in% 2:3 || inherits(x, "seg_mask")) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be {.fn seg_instances}, {.fn seg_panoptic}, or an array of object numbers
       [H, W] or [D, H, W], a list of these, or {.cls seg_annotations}.",
      x = if (inherits(x, "seg_mask")) {
        "It is a mask of classes, which does not say where one object ends and the next begins."
      } else {
        "You supplied {describe(x)}."
      }
    ), arg = arg, call = call)
  }
  if (inherits(x, "seg_panoptic")) {
    return(if (length(dim(x)) == 2) as_seg_instances(x) else x)
  }
  if (length(dim(x)) == 2) as_seg_instances(x, class = class) else as_seg_panoptic(x, class = class)
}

# methods ------------------------------------------------------------------------------------------

#' @export
`[.seg_errors` <- function(x, ...) {
  out <- NextMethod()
  if (!is.data.frame(out)) return(out)
  if (!all(error_columns %in% names(out))) {
    class(out) <- "data.frame"
    return(out)
  }
  for (name in error_attributes) attr(out, name) <- attr(x, name)
  out
}

#' @export
as.data.frame.seg_errors <- function(x, ...) {
  attributes(x) <- attributes(x)[c("names", "row.names")]
  class(x) <- "data.frame"
  x
}

#' @export
format.seg_errors <- function(x, ...) {
  images <- length(unique(x$image))
  paste0(
    "<seg_errors> ", sum(x$data == "truth"), " true and ", sum(x$data == "prediction"),
    " predicted objects", if (images > 1) paste(" in", images, "images"),
    ", correct from IoU ", format(attr(x, "iou")), " on"
  )
}

#' @rdname seg_errors
#' @export
print.seg_errors <- function(x, n = 10, ...) {
  n <- check_whole(n, min = 0)
  cat(format(x), sep = "\n")
  if (nrow(x) == 0) return(invisible(x))
  counts <- table(data = factor(x$data, c("truth", "prediction")), x$error)
  print(as.data.frame.matrix(counts))
  wrong <- as.data.frame(x)[x$error != "correct", setdiff(error_columns, c("class", "rle"))]
  if (nrow(wrong) == 0 || n == 0) return(invisible(x))
  if (length(unique(x$image)) == 1) wrong$image <- NULL
  cat("\n")
  print(utils::head(wrong, n), row.names = FALSE, digits = 2)
  if (nrow(wrong) > n) cat("... and", nrow(wrong) - n, "more in error\n")
  invisible(x)
}

#' @rdname seg_errors
#' @export
summary.seg_errors <- function(object, ...) {
  classes <- attr(object, "classes")
  classes <- classes[classes %in% object$class]
  rows <- expand.grid(data = c("truth", "prediction"), class = unname(classes),
                      stringsAsFactors = FALSE)
  place <- match(paste(object$data, object$class), paste(rows$data, rows$class))
  counts <- table(factor(place, seq_len(nrow(rows))), object$error)
  data.frame(class = rows$class, label = class_labels(rows$class, classes), data = rows$data,
             objects = as.vector(rowSums(counts)), unclass(counts)[, error_kinds, drop = FALSE],
             row.names = NULL)
}

# pictures -----------------------------------------------------------------------------------------

#' @rdname seg_errors
#' @export
plot.seg_errors <- function(x, image = NULL, which = 1, legend = TRUE, limits = NULL, slice = NULL,
                            main = NULL, ...) {
  check_no_dots(...)
  at <- check_error_image(which, attr(x, "images"))
  legend <- check_flag(legend)
  objects <- drawn_objects(x, at, slice)
  size <- attr(objects, "size")
  depth <- length(attr(x, "sizes")[[at]]) == 3
  image <- image_under(image, attr(x, "sizes")[[at]])
  scene <- open_scene(size, key = if (legend) error_key(objects), main = main)
  on.exit(close_scene(scene))
  if (!is.null(image)) {
    draw_raster(scene, shown_image(scene, image, limits, if (depth) slice))
  } else {
    graphics::rect(0, size[[1]], size[[2]], 0, col = "grey20", border = NA)
  }
  if (nrow(objects) == 0) return(invisible(x))
  colours <- unname(error_colours[as.character(objects$error)])
  draw_objects(scene, instance_rings(objects), colours, alpha = 0.15,
               lty = ifelse(objects$data == "truth", "22", "solid"))
  invisible(x)
}

error_colours <- c(
  correct = "#009E73", missed = "#56B4E9", false = "#D55E00", merged = "#CC79A7",
  split = "#E69F00", poorly_outlined = "#F0E442"
)

check_error_image <- function(which, images, call = rlang::caller_env()) {
  if (is.character(which) && length(which) == 1 && which %in% images) return(match(which, images))
  if (is_numbers(which)) {
    return(check_whole(which, min = 1, max = length(images), arg = "which", call = call))
  }
  maskr_abort("argument", c(
    "{.arg which} must be the number or the name of an image.",
    x = "You supplied {describe(which)}.",
    i = if (is.character(images)) "The images are {.val {utils::head(images, 5)}}."
  ), arg = "which", call = call)
}

# The objects of one image that are drawn, as instances with the columns `data` and `error`: the
# predicted ones, and true ones that are not correct.
drawn_objects <- function(x, at, slice, call = rlang::caller_env()) {
  rows <- x[x$image == attr(x, "images")[[at]] & (x$data == "prediction" | x$error != "correct"), ]
  size <- attr(x, "sizes")[[at]]
  if (length(size) == 3) {
    rows <- in_slice(rows, attr(x, "volumes")[[at]], check_slice(slice, size[[1]], call))
  }
  n <- nrow(rows)
  # outlines follow from the run lengths alone
  nothing <- rep(0, n)
  objects <- new_seg_instances(
    list(id = rows$id, class = rows$class, score = rep(NA, n), xmin = nothing, ymin = nothing,
         xmax = nothing, ymax = nothing, area = nothing, rle = rows$rle),
    utils::tail(size, 2), attr(x, "classes")
  )
  objects$data <- rows$data
  objects$error <- rows$error
  objects
}

# The rows of the objects that one slice shows, with their masks in it.
in_slice <- function(rows, volumes, slice) {
  for (data in names(volumes)) {
    labels <- volumes[[data]]
    found <- as_seg_instances(array(labels[slice, , ], dim = dim(labels)[-1]))
    mine <- rows$data == data
    rows$rle[mine] <- found$rle[match(rows$id[mine], found$id)]
  }
  rows[!is.na(rows$rle), ]
}

# The legend: the kinds that occur, and which outlines are whose.
error_key <- function(objects) {
  counts <- table(objects$error)
  kinds <- names(counts)[counts > 0]
  dashed <- any(objects$data == "truth")
  list(
    labels = c(gsub("_", " ", kinds), if (dashed) c("solid: predicted", "dashed: true")),
    colours = c(unname(error_colours[kinds]), if (dashed) c(NA, NA))
  )
}

#' @rdname seg_errors
#' @exportS3Method ggplot2::autoplot
autoplot.seg_errors <- function(object, ...) {
  check_no_dots(...)
  counts <- summary(object)
  bars <- do.call(rbind, lapply(error_kinds, \(kind) {
    data.frame(counts[c("label", "data")], error = kind, objects = counts[[kind]])
  }))
  bars <- bars[!(bars$data == "truth" & bars$error == "false" |
                   bars$data == "prediction" & bars$error == "missed"), ]
  bars$error <- factor(gsub("_", " ", bars$error), gsub("_", " ", error_kinds))
  bars$data <- factor(bars$data, c("truth", "prediction"))
  colours <- stats::setNames(error_colours, gsub("_", " ", names(error_colours)))
  column <- rlang::syms(stats::setNames(nm = names(bars)))
  plot <- ggplot2::ggplot(bars, ggplot2::aes(!!column$error, !!column$objects)) +
    ggplot2::geom_col(ggplot2::aes(fill = !!column$error), show.legend = FALSE) +
    ggplot2::geom_text(ggplot2::aes(label = !!column$objects), vjust = -0.3, size = 3) +
    ggplot2::scale_fill_manual(values = colours) +
    ggplot2::scale_y_continuous(expand = ggplot2::expansion(c(0, 0.12))) +
    ggplot2::labs(x = NULL, y = "objects") +
    ggplot2::theme_minimal() +
    ggplot2::theme(
      panel.grid.major.x = ggplot2::element_blank(),
      plot.background = ggplot2::element_rect(fill = "white", colour = NA)
    )
  if (length(unique(bars$label)) > 1) {
    return(plot + ggplot2::facet_grid(ggplot2::vars(!!column$label), ggplot2::vars(!!column$data),
                                      scales = "free"))
  }
  plot + ggplot2::facet_wrap(ggplot2::vars(!!column$data), scales = "free_x")
}
