# Reading, writing and converting annotation files; the formats are in `maskr/annotations/`.

annotation_formats <- c(
  "coco", "coco_panoptic", "coco_results", "yolo", "yolo_boxes", "labelme", "cvat", "via",
  "via_csv", "voc", "masks", "labels", "camvid", "cityscapes", "ade20k", "ctc", "nifti",
  "sunrgbd", "s3dis2d"
)

#' Read, write and convert annotations
#'
#' Every format is read into the same three tables, see [seg_annotations], and written from them.
#'
#' | format | what | path |
#' |---|---|---|
#' | `"coco"` | COCO instances: polygons, run lengths, crowds | JSON, or a folder with splits |
#' | `"coco_panoptic"` | COCO panoptic: segments in PNGs | JSON, PNGs in the folder of its name |
#' | `"coco_results"` | COCO results: what a model found, with scores | JSON |
#' | `"yolo"` | YOLO segmentation: normalised polygons | `data.yaml`, or its folder |
#' | `"yolo_boxes"` | YOLO detection: normalised boxes | `data.yaml`, or its folder |
#' | `"labelme"` | LabelMe | JSON, or a folder of them |
#' | `"cvat"` | CVAT for images 1.1 | XML |
#' | `"via"`, `"via_csv"` | VGG Image Annotator 2 | JSON, CSV, or its folder |
#' | `"voc"` | Pascal VOC: boxes, class and object PNGs | folder (`VOC2012`), or one XML |
#' | `"masks"` | images of class ids or of colours | folder or file |
#' | `"labels"` | images of object numbers | folder or file |
#' | `"camvid"` | CamVid | folder |
#' | `"cityscapes"` | Cityscapes gtFine | folder |
#' | `"ade20k"` | ADE20K, and its scene parsing benchmark | folder |
#' | `"ctc"` | Cell Tracking Challenge | folder |
#' | `"sunrgbd"` | SUN RGB-D (only read) | folder |
#' | `"s3dis2d"` | Stanford 2D-3D-S (only read) | folder |
#' | `"nifti"` | label volumes (extra package: `seg_install(extras = "volumes")`) | folder or file |
#'
#' Polygons keep their coordinates from format to format; only the programs that draw them differ,
#' by half a pixel at the edges: COCO, YOLO and CVAT take coordinates as positions between pixels,
#' LabelMe and VIA as pixels. Masks are traced so that the target's own program draws the same mask
#' again. What a format can't hold is done the nearest way, and a message counts it: holes and parts
#' are joined where only one outline is allowed, masks become boxes, overlaps go to the object that
#' is on top.
#'
#' @param path,from,to A file or folder. One that is written must be new, or a folder empty; an
#'   existing file is replaced. It appears as a whole or not at all.
#' @param format Name of the format; `"auto"` finds it by the content.
#' @param images Folder of the images, where it isn't the one that the format puts them in.
#' @param classes Class ids by name, such as `c(background = 0, nucleus = 1)`. Formats that hold
#'   neither ids nor names need them; for others classes are matched by name and take these ids.
#'   Classes of the annotations that are not named there are an error.
#' @param colours Colours by class name, such as `c(road = "#804080")`, for images in which colours
#'   stand for classes.
#' @param ignore,values How label images are read, see [seg_read_mask()].
#' @param x A [seg_annotations], or what [as_seg_annotations()] takes.
#' @param like Annotations, or a COCO file, whose image ids and class ids shall be used: images are
#'   matched by file name and classes by name. Results for COCO's evaluation need it.
#' @param copy_images Whether layouts that hold the images too (YOLO, VOC, LabelMe, Cityscapes,
#'   ADE20K, CamVid, CTC, masks) get copies of their files.
#' @param from_format Format of `from`.
#' @param ... For `seg_convert()`: `images`, `colours`, `ignore` and `values` for reading.
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @return `seg_read_annotations()` returns a [seg_annotations]. The others return the path that was
#'   written, invisibly. Files that are damaged, of another format, or name files outside their
#'   folder are a `maskr_error_format` that names file and record; records that had to be left out
#'   are counted by a warning of class `maskr_warning_skipped`, and what was changed in writing by a
#'   message of class `maskr_message_changed`. Annotations that lack what a format needs, such as
#'   scores or the ids of classes, are a `maskr_error_data`.
#' @references Lin T-Y et al. (2014). Microsoft COCO: common objects in context. *ECCV*.
#'   <https://arxiv.org/abs/1405.0312>. Kirillov A et al. (2019). Panoptic segmentation. *CVPR*.
#'   <https://arxiv.org/abs/1801.00868>. Everingham M et al. (2010). The Pascal visual object
#'   classes challenge. *IJCV* 88. Cordts M et al. (2016). The Cityscapes dataset. *CVPR*.
#'   <https://arxiv.org/abs/1604.01685>. Zhou B et al. (2017). Scene parsing through ADE20K. *CVPR*.
#'   Maška M et al. (2023). The Cell Tracking Challenge: 10 years of objective benchmarking.
#'   *Nature Methods* 20.
#' @seealso [seg_dataset()] takes annotations as they are.
#' @concept data
#' @export
#' @examplesIf seg_available()
#' scenes <- seg_example("shapes", n = 2, size = c(64, 96))
#' x <- as_seg_annotations(stats::setNames(scenes$instances, c("a.png", "b.png")))
#' coco <- tempfile(fileext = ".json")
#' seg_write_annotations(x, coco, "coco")
#' y <- seg_read_annotations(coco)
#' identical(as.array(as_seg_instances(y, "a")), as.array(scenes$instances[[1]]))
#'
#' cvat <- tempfile(fileext = ".xml")
#' seg_convert(coco, cvat, "cvat")
#' seg_read_annotations(cvat)
seg_read_annotations <- function(path, format = "auto", images = NULL, classes = NULL,
                                 colours = NULL, ignore = 255, values = NULL) {
  explicit <- !missing(ignore)
  classes <- classes_with_values(check_classes(classes), values)
  options <- list(
    images = check_folder(images, null = TRUE),
    classes = if (!is.null(classes)) as.list(classes),
    colours = check_colours(colours),
    ignore = check_whole(ignore, min = 0, null = TRUE),
    values = check_values(values),
    explicit_ignore = explicit
  )
  path <- check_existing(path)
  format <- check_choice(format, c("auto", annotation_formats))
  x <- read_annotations(path, format, options)
  if (is.null(classes)) x else renumber(x, classes)
}

# `options` are fields of Python's `ReadOptions`.
read_annotations <- function(path, format, options, call = rlang::caller_env()) {
  out <- py_call("annotations", "r_read", path, format, options, .call = call)
  warn_skipped(out$report, path)
  say_changed(out$report)
  annotations_from_python(out)
}

#' @rdname seg_read_annotations
#' @export
seg_write_annotations <- function(x, path, format, classes = NULL, like = NULL, copy_images = TRUE,
                                  verbose = NULL) {
  check_verbose(verbose)
  if (missing(x)) abort_missing("x", rlang::current_env())
  x <- as_seg_annotations(x)
  check_annotations(x)
  path <- check_new_path(path)
  format <- check_choice(format, annotation_formats)
  options <- list(copy_images = check_flag(copy_images))
  if (!is.null(classes)) x <- renumber(x, check_classes(classes))
  if (!is.null(like)) x <- with_ids_of(x, like)
  if (format == "coco_results" && is.null(like)) check_result_ids(x)
  report <- py_call("annotations", "r_write", annotations_for_python(x), path, format, options,
                    counting_progress(verbose, nrow(x$images), "Writing"))
  say_changed(report)
  invisible(path)
}

#' @rdname seg_read_annotations
#' @export
seg_convert <- function(from, to, format, from_format = "auto", ..., classes = NULL, like = NULL,
                        copy_images = TRUE, verbose = NULL) {
  check_verbose(verbose)
  from <- check_existing(from)
  to <- check_new_path(to, arg = "to")
  if (normalizePath(from) == normalizePath(to, mustWork = FALSE)) {
    maskr_abort("file", c(
      "{.arg to} must be another file or folder than {.arg from}.", x = "Both are {.path {from}}."
    ), arg = "to")
  }
  x <- seg_read_annotations(from, from_format, classes = classes, ...)
  seg_write_annotations(x, to, format, like = like, copy_images = copy_images, verbose = verbose)
}

# Colours by class name as "#RRGGBB".
check_colours <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (is.null(x)) return(NULL)
  rgb <- tryCatch(grDevices::col2rgb(x), error = function(e) NULL)
  if (is.character(x) && all(nzchar(rlang::names2(x))) && !is.null(rgb)) {
    return(as.list(stats::setNames(grDevices::rgb(t(rgb), maxColorValue = 255), names(x))))
  }
  maskr_abort("argument", c(
    "{.arg {arg}} must be colours named by class, such as {.code c(road = \"#804080\")}.",
    x = "You supplied {describe(x)}."
  ), arg = arg, call = call)
}

# Image ids and class ids as those annotations have them.
with_ids_of <- function(x, like, call = rlang::caller_env()) {
  if (is.character(like)) like <- seg_read_annotations(check_existing(like, call = call))
  check_annotations(like, arg = "like", call = call)
  x <- renumber(x, annotation_classes(like), arg = "like", call = call)
  rows <- find_images(x$images$file, like, arg = "like", call = call)
  ids <- like$images$id[rows]
  x$objects$image_id <- ids[match(x$objects$image_id, x$images$id)]
  x$images$id <- ids
  x
}

# Results name images by the ids of the truth, which predictions do not know.
check_result_ids <- function(x, call = rlang::caller_env()) {
  if (x$format != "memory" || !is.null(numbers_in_names(x$images$file))) return(invisible())
  maskr_abort("data", c(
    "Results name images by their ids, and {.val {x$images$file[[1]]}} has none: its name is not a
     number.",
    i = "Give the annotations that they are to be compared with:
         {.code like = \"instances.json\"}."
  ), arg = "like", call = call)
}

warn_skipped <- function(report, path) {
  if (length(report$skipped) == 0) return(invisible())
  lines <- stats::setNames(verbatim(unlist(report$skipped)), rep("x", length(report$skipped)))
  cli::cli_warn(c("Parts of {.path {path}} were left out.", lines), class = "maskr_warning_skipped")
}

say_changed <- function(report) {
  if (length(report$changed) == 0) return(invisible())
  lines <- stats::setNames(verbatim(unlist(report$changed)), rep("i", length(report$changed)))
  cli::cli_inform(lines, class = "maskr_message_changed")
}
