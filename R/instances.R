# Instances: a data frame with one row per object of an image.

# No checks. `columns` come from Python's `Instances.to_r()`.
new_seg_instances <- function(columns, size, classes) {
  class <- as.integer(columns$class)
  n <- length(class)
  structure(
    list(
      id = seq_len(n), class = class, label = class_labels(class, classes),
      score = na_for_nan(columns$score),
      xmin = as.double(columns$xmin), ymin = as.double(columns$ymin),
      xmax = as.double(columns$xmax), ymax = as.double(columns$ymax),
      area = as.double(columns$area), rle = as.character(unlist(columns$rle))
    ),
    row.names = .set_row_names(n), size = as.integer(size), classes = classes,
    class = c("seg_instances", "data.frame")
  )
}

# The names of class ids; NA where an id has none.
class_labels <- function(ids, classes) names(classes)[match(ids, classes)]

na_for_nan <- function(x) {
  x <- as.double(x)
  x[is.nan(x)] <- NA
  x
}
