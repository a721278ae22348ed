# Scores: the verb, what can be scored, and the result's class.

#' Scores of masks, objects and panoptic results
#'
#' Compares predictions with the truth. What they are decides what is computed: masks are compared
#' pixel by pixel, and on request by their boundaries, surfaces and probabilities; [seg_instances()]
#' object by object, as COCO or as microscopy does; [seg_panoptic()] results by their panoptic
#' quality. Every score equals that of the reference implementation named below. Intervals come from
#' resampling images.
#'
#' @section Masks:
#' With n(ij) pixels of class i that were predicted as class j, t(i) pixels of class i in the truth,
#' p(i) in the prediction, and n of both:
#'
#' | metric | rows | definition |
#' |---|---|---|
#' | `pixel_accuracy` | overall | sum of n(ii) / n |
#' | `mean_accuracy`, `balanced_accuracy` | overall | the mean of `recall` over the classes |
#' | `mean_iou` | overall | the mean of `iou` over the classes |
#' | `fw_iou` | overall | the mean of `iou` weighted by t(i) |
#' | `kappa` | overall | Cohen's (a - e) / (1 - e): a pixel accuracy, e sum of t(i) p(i) / n^2 |
#' | `generalised_dice` | overall | 2 sum of w(i) n(ii) / sum of w(i) (t(i) + p(i)) |
#' | `iou` | class | n(ii) / (t(i) + p(i) - n(ii)) |
#' | `dice`, `f1` | class, overall | 2 n(ii) / (t(i) + p(i)): for pixels the same number |
#' | `precision` | class, overall | n(ii) / p(i) |
#' | `recall` | class, overall | n(ii) / t(i) |
#' | `specificity` | class, overall | (n - t(i) - p(i) + n(ii)) / (n - t(i)) |
#'
#' The weights w(i) of the generalised Dice are 1 / t(i)^2, and 0 for a class that the truth lacks.
#' Overall rows of scores of classes are means over the classes. These scores are the default, the
#' family `"semantic"`. The others are computed where `metrics` names them or their family:
#'
#' | family | metric | rows | definition |
#' |---|---|---|---|
#' | `"boundary"` | `boundary_f1` | class, overall | 2 P R / (P + R), with P and R as below |
#' | `"boundary"` | `boundary_iou` | class, overall | IoU of the bands inside both boundaries |
#' | `"boundary"` | `trimap_iou` | class, overall | IoU in the band around the truth's boundary |
#' | `"surface"` | `hausdorff` | class, overall | the largest distance between surfaces |
#' | `"surface"` | `hd95` | class, overall | the larger of both directions' 95th percentiles |
#' | `"surface"` | `assd` | class, overall | the mean of both directions' distances |
#' | `"surface"` | `nsd` | class, overall | surface Dice: share within `tolerance` |
#' | `"calibration"` | `ece` | overall | expected calibration error, in 15 bins of confidence |
#' | `"thresholds"` | `average_precision` | class | area under the precision-recall curve's steps |
#' | `"thresholds"` | `best_dice` | class | the largest Dice of all `thresholds` |
#' | `"thresholds"` | `best_threshold` | class | the threshold that gives it |
#'
#' Surfaces and boundaries are the pixels of a class that have a neighbour (of 4 in an image, 6 in a
#' volume) outside of it or of the image. An ignored pixel lies outside of every class, so a class
#' ends where ignored pixels begin, in the prediction as well. P is the share of the prediction's
#' boundary pixels at most `tolerance` from the truth's boundary, R the share of the truth's as near
#' to the prediction's. Distances are Euclidean, in the units of the masks' attribute `spacing` (of
#' volumes, usually mm), else in pixels.
#'
#' The bands of `boundary_iou` and `trimap_iou` are not Euclidean distances, but steps along the
#' axes, diagonal ones too, as squares (in volumes cubes) erode and dilate: `width`, rounded to
#' whole pixels along each axis, and at least one. A `width` of 0 is thus one pixel.
#'
#' Boundary F1 and surfaces are means over the images; both IoUs of boundaries pool the pixels of
#' all images.
#'
#' Probabilities are looked at class by class: those of a pixel need not sum to 1. The calibration
#' error is the mean over pixels of the gap between confidence, the largest probability, and
#' accuracy in its bin; it comes with all probabilities. The precision-recall curve is computed at
#' the `thresholds` only (as torchmetrics does with thresholds), by default 0, 0.05, ..., 1: more of
#' them bring `average_precision` nearer to scikit-learn's, which takes every probability for one,
#' and a few say little about the area. Of two classes only the second has rows.
#' Other numbers equal those of scikit-learn, torchmetrics and MONAI.
#'
#' @section Objects:
#' Family `"coco"` is the default if every predicted object has a score. Predictions of a class, the
#' highest score first, find a true object if they overlap (`type`) by at least a threshold:
#'
#' | metric | definition |
#' |---|---|
#' | `ap` | precision averaged over 101 recalls, IoU thresholds 0.50, 0.55, ..., 0.95 and classes |
#' | `ap50`, `ap75` | the same at one threshold |
#' | `ap_small`, `ap_medium`, `ap_large` | objects of up to 32 x 32, 96 x 96 and more pixels |
#' | `ar1`, `ar10`, `ar100` | average recall of so many predictions of a class in an image |
#' | `ar_small`, `ar_medium`, `ar_large` | average recall by size |
#'
#' True objects are sized by their column `area` (of the file, else of the mask), predicted ones by
#' their boxes for `type = "box"` and else by their masks; COCO's results from a file as COCO's own
#' reader sizes them, by boxes where the file has some.
#'
#' Classes have `ap`, `ap50`, `ap75` and `ar100`. Numbers equal those of pycocotools. Where scores
#' are equal, the order of images and objects decides which comes first, as there.
#'
#' Family `"bioimage"` needs no scores and is the default without. With TP pairs matched one to one
#' within a class, FN true and FP predicted objects left over, at IoU 0.5 unless said:
#'
#' | metric | definition |
#' |---|---|
#' | `dsb_ap` | TP / (TP + FP + FN), the mean over thresholds 0.50, 0.55, ..., 0.95 |
#' | `dsb_ap50`, `dsb_ap75` | the same at one threshold |
#' | `precision`, `recall` | TP / (TP + FP), TP / (TP + FN) |
#' | `f1` | 2 TP / (2 TP + FP + FN) |
#' | `mean_iou` | mean IoU of the pairs |
#' | `sq`, `rq`, `pq` | `mean_iou` (0 without pairs), `f1`, and their product |
#' | `seg` | Cell Tracking Challenge, see below |
#' | `aji` | aggregated Jaccard index, see below |
#' | `missed`, `merged`, `split`, `poorly_outlined` | numbers of true objects, see [seg_errors()] |
#' | `false` | number of predicted objects that are none |
#'
#' `seg` is the mean over the true objects of the IoU with the predicted object that covers more
#' than half of it, 0 without one. `aji` divides the intersections of true objects with the
#' predicted ones of largest IoU by their unions and all other predicted pixels. Overall rows count
#' the objects of all classes together.
#'
#' @section Panoptic results:
#' A true and a predicted segment of a class match if their IoU is above 0.5. With TP matches, FN
#' and FP segments without one:
#'
#' | metric | definition |
#' |---|---|
#' | `sq` | segmentation quality: mean IoU of the matches |
#' | `rq` | recognition quality: TP / (TP + FP / 2 + FN / 2) |
#' | `pq` | panoptic quality: SQ times RQ |
#'
#' Overall rows are means over the classes that occur; those that end in `_things` and `_stuff` over
#' the classes of that kind. Void pixels and crowds count as in panopticapi: what is predicted in
#' void counts for nothing. Panoptic results of label images have no stuff and are void around their
#' objects, so that false objects there cost nothing; a warning of class `maskr_warning_void` says
#' so. To score the things as objects, in volumes too, ask for `metrics = "bioimage"`; its `pq` is
#' the product without void.
#'
#' @section What is undefined:
#' A ratio with the denominator 0 is `NA` and enters no mean. In short:
#'
#' | a class is in | pixels | boundaries, surfaces | objects | segments |
#' |---|---|---|---|---|
#' | neither | `NA` | `NA` | `NA` | `NA` |
#' | the truth only | 0, `precision` `NA` | 0, distances `Inf` | 0, precision `NA` | 0 |
#' | the prediction only | 0, `recall` `NA` | 0, distances `Inf` | 0, recall, AP `NA` | 0 |
#'
#' The trimap IoU of a class that the truth lacks is `NA`, as is the mean IoU of objects without
#' pairs.
#'
#' | given | result |
#' |---|---|
#' | `NA` in the truth | the pixel is left out, as are void pixels of panoptic results |
#' | `NA` in the prediction, as [predict()] gives it where the image is missing | the same |
#' | an id that is not among `classes`, or has two names | `maskr_error_data` |
#' | probabilities outside 0..1, or missing for some classes of a pixel only | `maskr_error_data` |
#' | names of images that cannot be paired | `maskr_error_data`, panoptic `maskr_error_argument` |
#' | different sizes | `maskr_error_shape` |
#' | `ci` with fewer than two images | `maskr_error_data` |
#'
#' One pixel and an image of nothing but background are not special cases. The background is a class
#' like others: leave its rows out of a mean of your own where it should not count.
#'
#' @param truth,prediction What is compared, for several images as lists. Where both have names
#'   (those of files are theirs), a truth belongs to the prediction of its name, with or without
#'   ending and words such as `mask` or `pred`, as in [seg_dataset()]; names that cannot be paired
#'   are an error. Otherwise it belongs to the one in the same place. Both have one size.
#'   - Masks of class ids: a [seg_mask()], a matrix `[H, W]` (or array `[D, H, W]`) of whole
#'     numbers or logical values (0 and 1), or the path of a mask file as [seg_read_mask()]
#'     reads it by default; also several paths, or a folder. `NA` in either leaves a pixel out;
#'     `n` counts those that are left.
#'   - Masks of class names: factors or character matrices, of the same sizes. Their ids are those
#'     of the names in `classes`, or in a [seg_mask()] beside them; if all masks hold names, 0, 1,
#'     and so on in the order of the levels, first those of the truth (characters are sorted).
#'   - Probabilities, as `prediction` of masks: arrays `[H, W, class]` (or `[D, H, W, class]`) of
#'     numbers from 0 to 1 as `predict(type = "prob")` gives them. Names of the last dimension are
#'     matched with `classes`. With `thresholds`, also a matrix of the probabilities of the second
#'     of two classes.
#'   - Objects: [seg_instances()], or [seg_annotations] as read from a file.
#'   - [seg_panoptic()] results, or such annotations.
#' @param classes The classes that may occur, a named vector of ids such as
#'   `c(background = 0, nucleus = 1)`; another id in a pixel that counts is an error. By default the
#'   ids that are seen, named as the masks name them. Classes are matched by name: a mask that names
#'   its classes is read by these names, whatever its ids, and bare ids are those of `classes`.
#'   Names that `classes` lacks mean their ids; without `classes`, an id that has two names is an
#'   error.
#'   Only COCO's results, which have no names, are matched by id.
#' @param per_image Score every image too?
#' @param ... Must be empty.
#' @param metrics Names of the scores to keep, or of families (see below), such as
#'   `c("iou", "surface")`. By default those of `"semantic"`, with probabilities also of
#'   `"calibration"`; of `"coco"` or `"bioimage"`; of `"panoptic"`.
#' @param aggregate How several images make one score: `"pooled"` scores all together, so that every
#'   pixel or object weighs the same; `"mean"` is the mean of the images' scores, over those in
#'   which a score is defined.
#' @param ci Add intervals? `TRUE` for 95 per cent, or a level such as `0.9`. Percentiles of 1000
#'   bootstrap samples of the images, of which there must be two or more; [set.seed()] makes them
#'   repeatable. A score that fewer than two images define has no interval (`NA`); samples in which
#'   it is undefined are left out. Bounds of distances may be `Inf`.
#' @param tolerance,width Lengths for boundaries and surfaces: numbers in pixels (or in units of the
#'   masks' `spacing`), or shares of the image's diagonal such as `"0.75%"`. `tolerance` is for
#'   `boundary_f1` and `nsd`, `width` for `boundary_iou` and `trimap_iou`.
#' @param thresholds Numbers from 0 to 1 at which to cut probabilities, such as `seq(0, 1, 0.05)`,
#'   which is the default where `metrics` asks for scores of thresholds. A pixel belongs to a class
#'   where its probability is at least the threshold.
#' @param type What of objects overlaps, for `"coco"`: their `"mask"`, `"box"`, or the `"boundary"`
#'   of their masks.
#' @return A data frame of class `seg_metrics`:
#'   - `image` (only with `per_image = TRUE`): names of the images, or else their numbers; `NA` in
#'     the rows over all images, which come first.
#'   - `metric`: the name of the score.
#'   - `class`: class id, `NA` in overall rows.
#'   - `value`: the score. 1 is perfect, or 0 for distances, errors and `ece`; `NA` where undefined.
#'   - `n`: what the value rests on. Of masks the pixels of the class in the truth (in overall rows
#'     all that count); for `boundary_f1` and surfaces the images in which it is defined, for
#'     `boundary_iou` and `trimap_iou` the pixels of the union. Of objects the true ones, for
#'     `precision` and `false` the predicted ones, for `mean_iou` the pairs. Of panoptic results the
#'     true segments. An overall row of a mean over classes has the sum of theirs.
#'   - `lower`, `upper` (only with `ci`): the interval; `NA` for single images.
#'
#'   Attributes: `classes`; `kind`, which is `"masks"`, `"objects"` or `"segments"`; `tables`, a
#'   list of data frames beside the scores: `curve` (with `thresholds`), `calibration` (of
#'   probabilities), `thresholds` (of `"bioimage"`). For masks also `confusion`, the matrix of pixel
#'   counts (rows are the truth, columns the prediction), and with `per_image = TRUE`
#'   `confusion_per_image`, an array `[truth, prediction, image]`. With `per_image` or `ci`, `state`
#'   holds what was counted of each image, for [seg_compare()], which also looks at `settings` (what
#'   decided the numbers), `support` (what the truth holds of each class) and `n_images`.
#'
#'   `summary()` gives one row for each class, `as.data.frame()` a plain data frame with a column
#'   `label` for the names of the classes.
#'
#'   Unknown names in `metrics`, scores that need what was not given, and arguments that cannot
#'   change any score are a `maskr_error_argument`, unreadable files a `maskr_error_format`; other
#'   errors are in the table above.
#' @references Masks: Long, J., Shelhamer, E. and Darrell, T. (2015) Fully convolutional networks
#'   for semantic segmentation. CVPR, 3431-3440. \doi{10.1109/CVPR.2015.7298965}
#'
#'   Dice, L. R. (1945) Measures of the amount of ecologic association between species. Ecology 26,
#'   297-302. \doi{10.2307/1932409}
#'
#'   Cohen, J. (1960) A coefficient of agreement for nominal scales. Educational and Psychological
#'   Measurement 20, 37-46. \doi{10.1177/001316446002000104}
#'
#'   Sudre, C. H. et al. (2017) Generalised Dice overlap as a deep learning loss function for highly
#'   unbalanced segmentations. DLMIA, 240-248. \doi{10.1007/978-3-319-67558-9_28}
#'
#'   Guo, C., Pleiss, G., Sun, Y. and Weinberger, K. Q. (2017) On calibration of modern neural
#'   networks. ICML, 1321-1330.
#'
#'   Boundaries: Csurka, G., Larlus, D. and Perronnin, F. (2013) What is a good evaluation measure
#'   for semantic segmentation? BMVC. \doi{10.5244/C.27.32}
#'
#'   Cheng, B. et al. (2021) Boundary IoU: improving object-centric image segmentation evaluation.
#'   CVPR, 15334-15342. \doi{10.1109/CVPR46437.2021.01508}
#'
#'   Kohli, P., Ladicky, L. and Torr, P. H. S. (2009) Robust higher order potentials for enforcing
#'   label consistency. International Journal of Computer Vision 82, 302-324.
#'   \doi{10.1007/s11263-008-0202-0}
#'
#'   Huttenlocher, D. P., Klanderman, G. A. and Rucklidge, W. J. (1993) Comparing images using the
#'   Hausdorff distance. IEEE Transactions on Pattern Analysis and Machine Intelligence 15, 850-863.
#'   \doi{10.1109/34.232073}
#'
#'   Nikolov, S. et al. (2021) Clinically applicable segmentation of head and neck anatomy for
#'   radiotherapy. Journal of Medical Internet Research 23, e26151. \doi{10.2196/26151}
#'
#'   Objects: Lin, T.-Y. et al. (2014) Microsoft COCO: common objects in context. ECCV, 740-755.
#'   \doi{10.1007/978-3-319-10602-1_48}
#'
#'   Caicedo, J. C. et al. (2019) Nucleus segmentation across imaging experiments: the 2018 Data
#'   Science Bowl. Nature Methods 16, 1247-1253. \doi{10.1038/s41592-019-0612-7}
#'
#'   Schmidt, U. et al. (2018) Cell detection with star-convex polygons. MICCAI, 265-273.
#'   \doi{10.1007/978-3-030-00934-2_30}
#'
#'   Maska, M. et al. (2014) A benchmark for comparison of cell tracking algorithms. Bioinformatics
#'   30, 1609-1617. \doi{10.1093/bioinformatics/btu080}
#'
#'   Kumar, N. et al. (2017) A dataset and a technique for generalized nuclear segmentation for
#'   computational pathology. IEEE Transactions on Medical Imaging 36, 1550-1560.
#'   \doi{10.1109/TMI.2017.2677499}
#'
#'   Panoptic: Kirillov, A. et al. (2019) Panoptic segmentation. CVPR, 9404-9413.
#'   \doi{10.1109/CVPR.2019.00963}
#'
#'   Intervals: Efron, B. and Tibshirani, R. J. (1993) An introduction to the bootstrap. Chapman and
#'   Hall. Chapter 13.
#' @seealso [seg_evaluate()] for a model and a data set; [seg_compare()] for several results;
#'   [seg_errors()] for single objects; [plot.seg_metrics()].
#' @concept metrics
#' @export
#' @examplesIf seg_available()
#' truth <- matrix(c(0, 0, 1, 1, 2, NA), nrow = 2)
#' prediction <- matrix(c(0, 1, 1, 1, 2, 2), nrow = 2)
#' scores <- seg_metrics(truth, prediction, classes = c(background = 0, cell = 1, border = 2))
#' scores
#' scores[scores$metric == "mean_iou", ]
#' attr(scores, "confusion")
#' plot(scores)
#'
#' # boundaries, and how sure the scores are
#' scenes <- seg_example("nuclei", n = 6, size = c(48, 64))
#' shifted <- lapply(scenes$masks, \(mask) mask[, c(2:64, 1)])
#' seg_metrics(scenes$masks, shifted, metrics = c("iou", "boundary_f1", "hd95"), tolerance = 1,
#'             ci = TRUE)
#'
#' # probabilities
#' probable <- matrix(c(0.1, 0.4, 0.7, 0.9, 0.8, 0.6), nrow = 2)
#' swept <- seg_metrics(truth > 0, probable, thresholds = seq(0, 1, 0.1),
#'                      metrics = c("best_dice", "best_threshold", "ece"))
#' swept
#' attr(swept, "tables")$curve
#'
#' # objects: the second of them is missed
#' cells <- scenes$instances[[1]]
#' seg_metrics(cells, cells[-2, ], metrics = c("dsb_ap", "f1", "missed"))
#'
#' # panoptic results; a background that were void would hide false objects
#' background <- seg_mask(matrix(0, 48, 64), c(background = 0))
#' seg_metrics(as_seg_panoptic(background, cells), as_seg_panoptic(background, cells[-2, ]))
seg_metrics <- function(truth, prediction, classes = NULL, per_image = FALSE, ..., metrics = NULL,
                        aggregate = c("pooled", "mean"), ci = FALSE, tolerance = "0.75%",
                        width = "2%", thresholds = NULL, type = c("mask", "box", "boundary")) {
  check_no_dots(...)
  check_both(missing(truth), missing(prediction))
  classes <- check_classes(classes)
  options <- metric_options(per_image, aggregate, ci)
  kind <- kind_of_scores(truth, prediction, metrics)
  metrics <- check_wanted(metrics, kind)
  given <- c(tolerance = !missing(tolerance), width = !missing(width),
             thresholds = !is.null(thresholds), type = !missing(type))
  check_matters(names(given)[given], metrics, kind)
  if (!given[["type"]]) type <- NULL
  call <- rlang::current_env()
  out <- switch(
    kind,
    masks = metrics_of_masks(truth, prediction, classes, options, metrics, tolerance, width,
                             thresholds, call),
    objects = metrics_of_objects(truth, prediction, classes, options, metrics, type, call),
    segments = metrics_of_segments(truth, prediction, classes, options, metrics, call)
  )
  chosen_rows(out, metrics, options)
}

# The rows of each kind's results, by the families that are computed together.
metric_families <- list(
  masks = list(
    semantic = c(
      "pixel_accuracy", "mean_accuracy", "balanced_accuracy", "mean_iou", "fw_iou", "kappa",
      "generalised_dice", "iou", "dice", "precision", "recall", "specificity", "f1"
    ),
    thresholds = c("average_precision", "best_dice", "best_threshold"),
    calibration = "ece",
    boundary = c("boundary_f1", "boundary_iou", "trimap_iou"),
    surface = c("hausdorff", "hd95", "assd", "nsd")
  ),
  objects = list(
    coco = c(
      "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100",
      "ar_small", "ar_medium", "ar_large"
    ),
    bioimage = c(
      "dsb_ap", "dsb_ap50", "dsb_ap75", "precision", "recall", "f1", "mean_iou", "pq", "sq", "rq",
      "seg", "aji", "missed", "false", "merged", "split", "poorly_outlined"
    )
  ),
  segments = list(
    panoptic = c(
      "pq", "sq", "rq", "pq_things", "sq_things", "rq_things", "pq_stuff", "sq_stuff", "rq_stuff"
    )
  )
)

check_both <- function(no_truth, no_prediction, call = rlang::caller_env()) {
  if (!no_truth && !no_prediction) return(invisible())
  lacking <- if (no_truth) "truth" else "prediction"
  maskr_abort("argument", c(
    "{.arg {lacking}} is missing: {.fn seg_metrics} compares {.arg truth} with {.arg prediction}."
  ), arg = lacking, call = call)
}

# What is compared: "masks", "objects" or "segments".
kind_of_scores <- function(truth, prediction, metrics) {
  check_read(truth, "truth")
  check_read(prediction, "prediction")
  things <- c(thing_in(truth), thing_in(prediction))
  # beside objects, what is no array at all is no mask
  if (any(things %in% c("objects", "segments"))) {
    things <- things[things != "masks" | c(holds_array(truth), holds_array(prediction))]
  }
  things <- setdiff(things, "scenes")
  if (any(things == "masks") || length(things) == 0) return("masks")
  if (any(things == "objects")) return("objects")
  # the things of a panoptic result are objects, for those who ask for scores of objects
  if (!is.null(metrics) && !any(metrics %in% score_words("segments")) &&
        any(metrics %in% score_words("objects"))) {
    return("objects")
  }
  "segments"
}

holds_array <- function(x) {
  one <- if (is.list(x) && !is.object(x) && length(x) > 0) x[[1]] else x
  !is.null(dim(one))
}

# Files of objects have no default way to be read.
check_read <- function(x, arg, call = rlang::caller_env(2)) {
  file <- if (is.list(x) && !is.object(x) && length(x) > 0) x[[1]] else x
  if (!is.character(file) || !is.null(dim(file)) || length(file) == 0) return(invisible())
  if (!grepl("[.](json|xml|ya?ml|csv)$", file[[1]], ignore.case = TRUE)) return(invisible())
  maskr_abort("argument", c(
    "{.arg {arg}} names a file of annotations, {.path {basename(file[[1]])}}, and not a mask.",
    i = "Read it first: {.code seg_read_annotations(\"{basename(file[[1]])}\")}."
  ), arg = arg, call = call)
}

thing_in <- function(x) {
  if (is_scenes(x)) return("scenes")
  if (inherits(x, "seg_annotations")) {
    return(if (identical(x$format, "coco_panoptic")) "segments" else "objects")
  }
  one <- if (is.list(x) && !is.object(x) && length(x) > 0) x[[1]] else x
  if (is.data.frame(one)) return("objects")
  if (inherits(one, "seg_panoptic")) "segments" else "masks"
}

# Names of rows and of families.
score_words <- function(kind) {
  families <- metric_families[[kind]]
  unique(c(names(families), unlist(families, use.names = FALSE)))
}

# The families that hold the rows or families named by `metrics`.
families_of <- function(metrics, kind) {
  families <- metric_families[[kind]]
  holds <- vapply(names(families), \(name) any(metrics %in% c(name, families[[name]])), NA)
  names(families)[holds]
}

check_wanted <- function(metrics, kind, call = rlang::caller_env()) {
  if (is.null(metrics)) return(NULL)
  known <- score_words(kind)
  if (!is.character(metrics) || length(metrics) == 0 || anyNA(metrics)) {
    maskr_abort("argument", c(
      "{.arg metrics} must be names of scores, such as
       {.val {metric_families[[kind]][[1]][[1]]}}, not {describe(metrics)}."
    ), arg = "metrics", call = call)
  }
  unknown <- setdiff(metrics, known)
  if (length(unknown) == 0) return(unique(metrics))
  first <- unknown[[1]]
  elsewhere <- Filter(\(other) first %in% score_words(other), names(metric_families))
  distance <- utils::adist(first, known, ignore.case = TRUE)
  close <- utils::head(known[order(distance)], 3)
  near <- sort(distance)[seq_along(close)] <= max(2, nchar(first) / 3)
  maskr_abort("argument", c(
    "{.val {first}} is not a score of {kind_words[[kind]]}.",
    x = if (length(elsewhere) > 0) "It is one of {.or {kind_words[elsewhere]}}.",
    i = if (kind == "masks" && "objects" %in% elsewhere) {
      "Make matrices of object numbers objects by {.fn as_seg_instances}; read files by
       {.code seg_read_annotations(path, format = \"labels\")}."
    },
    i = if (any(near) && length(elsewhere) == 0) "Did you mean {.or {.val {close[near]}}}?",
    i = if (!any(near) && length(elsewhere) == 0) {
      "There are {.val {cli::cli_vec(known, list(`vec-trunc` = Inf))}}."
    }
  ), arg = "metrics", call = call)
}

# Arguments that were given must matter for a score that is computed.
check_matters <- function(given, metrics, kind, call = rlang::caller_env()) {
  families <- metric_families[[kind]]
  # curves of thresholds come with any scores of probabilities
  rows <- c(wanted_rows(metrics, kind), families$thresholds)
  for (arg in given) {
    if (any(argument_rows[[arg]] %in% rows)) next
    maskr_abort("argument", c(
      "{.arg {arg}} cannot change any score that is computed.",
      i = paste("It is for", argument_words[[arg]]),
      i = if (arg %in% c("tolerance", "width") && kind == "masks") {
        "Name such scores in {.arg metrics}, or leave {.arg {arg}} out."
      }
    ), arg = arg, call = call)
  }
}

# The rows that are computed; by default those that may be, as far as `kind` tells.
wanted_rows <- function(metrics, kind) {
  families <- metric_families[[kind]]
  if (is.null(metrics)) {
    metrics <- switch(kind, masks = c("semantic", "calibration"), names(families))
  }
  named <- intersect(metrics, names(families))
  c(setdiff(metrics, named), unlist(families[named], use.names = FALSE))
}

# The rows that some arguments are for.
argument_rows <- list(
  tolerance = c("boundary_f1", "nsd"),
  width = c("boundary_iou", "trimap_iou"),
  thresholds = metric_families$masks$thresholds,
  type = metric_families$objects$coco
)

argument_words <- c(
  tolerance = "{.val boundary_f1} and {.val nsd} of masks.",
  width = "{.val boundary_iou} and {.val trimap_iou} of masks.",
  thresholds = "probabilities of pixels: arrays [H, W, class] as {.arg prediction}.",
  type = "average precision and recall of objects, the family {.val coco}."
)

kind_words <- c(masks = "masks", objects = "objects", segments = "panoptic results")

# What becomes `results.Options` in Python.
metric_options <- function(per_image, aggregate, ci, call = rlang::caller_env()) {
  level <- check_ci(ci, call)
  list(
    aggregate = check_choice(aggregate, c("pooled", "mean"), arg = "aggregate", call = call),
    per_image = check_flag(per_image, arg = "per_image", call = call),
    resampling = if (!is.null(level)) resampling(level)
  )
}

# R's random numbers decide which images are drawn.
resampling <- function(level) list(level = level, replicates = 1000L, seed = draw_seed())

# The level of the intervals; NULL for none.
check_ci <- function(x, call = rlang::caller_env()) {
  if (isFALSE(x)) return(NULL)
  if (isTRUE(x)) return(0.95)
  if (is_numbers(x) && length(x) == 1 && !is.na(x) && x > 0 && x < 1) return(as.double(x))
  maskr_abort("argument", c(
    "{.arg ci} must be TRUE, FALSE or the level of the intervals, such as 0.9.",
    x = "You supplied {describe(x)}."
  ), arg = "ci", call = call)
}

# No checks. `result` is what Python's `results.result()` gives: `columns`, `details`, `settings`,
# the number of `images`, `support` [image, class], `state`, for masks also `confusion`
# [truth, prediction] in the order of `classes`, and `confusions` with the images last. `images` are
# the names of the images.
new_seg_metrics <- function(result, classes, images = NULL, kind = "masks") {
  columns <- without_mirror_image(plain_columns(result$columns), classes)
  if (!is.null(columns$image) && !is.null(images)) columns$image <- images[columns$image]
  structure(
    columns,
    confusion = named_confusion(result$confusion, classes),
    confusion_per_image = named_confusion(result$confusions, classes, images),
    classes = classes, kind = kind, tables = lapply(result$details, plain_columns),
    settings = result$settings, support = result$support, n_images = result$images,
    state = result$state, images = images,
    class = c("seg_metrics", "data.frame")
  )
}

# Of two classes only the second is cut at thresholds.
without_mirror_image <- function(rows, classes) {
  if (length(classes) != 2) return(rows)
  mirrored <- rows$metric %in% metric_families$masks$thresholds & rows$class %in% classes[[1]]
  rows <- rows[!mirrored, ]
  rownames(rows) <- NULL
  rows
}

# Python's columns as a data frame; what is undefined is NA in R.
plain_columns <- function(columns) {
  columns <- lapply(columns, function(x) {
    x <- as.vector(x)
    if (is.double(x)) x[is.nan(x)] <- NA
    x
  })
  as.data.frame(columns, stringsAsFactors = FALSE)
}

# Pixel counts with the names of the classes: [truth, prediction] or [truth, prediction, image].
named_confusion <- function(counts, classes, images = NULL) {
  if (is.null(counts)) return(NULL)
  size <- length(classes)
  several <- length(dim(counts)) == 3
  array(
    counts,
    dim = c(size, size, if (several) dim(counts)[[3]]),
    dimnames = c(list(truth = names(classes), prediction = names(classes)),
                 if (several) list(image = images))
  )
}

# The rows that were asked for, and how they were made.
chosen_rows <- function(x, metrics, options) {
  attr(x, "level") <- options$resampling$level
  if (is.null(metrics)) return(x)
  x <- x[x$metric %in% wanted_rows(metrics, attr(x, "kind")), ]
  rownames(x) <- NULL
  x
}

#' @export
`[.seg_metrics` <- function(x, i, j, drop = if (missing(i)) TRUE else NCOL(out) == 1) {
  out <- NextMethod(drop = FALSE)
  if (all(metrics_columns %in% names(out))) {
    for (kept in metrics_attributes) attr(out, kept) <- attr(x, kept)
    return(out)
  }
  class(out) <- "data.frame"
  if (drop && ncol(out) == 1) out[[1]] else out
}

# Scores of different results have no confusion matrix in common.
#' @export
rbind.seg_metrics <- function(..., deparse.level = 1) {
  do.call(rbind, lapply(list(...), as.data.frame))
}

metrics_columns <- c("metric", "class", "value", "n")
metrics_attributes <- c("confusion", "confusion_per_image", "classes", "kind", "tables", "state",
                        "images", "n_images", "settings", "support", "level")

#' @export
as.data.frame.seg_metrics <- function(x, row.names = NULL, optional = FALSE, ...) {
  classes <- attr(x, "classes")
  label <- names(classes)[match(x$class, classes)]
  after <- match("class", names(x))
  columns <- unclass(x)[names(x)]
  columns <- append(columns, list(label = label), after = after)
  as.data.frame(columns, row.names = row.names, optional = optional, stringsAsFactors = FALSE)
}

#' @export
summary.seg_metrics <- function(object, ...) {
  rows <- as.data.frame(object)
  if (nrow(all_images(rows)) > 0) rows <- all_images(rows)[names(rows) != "image"]
  rows <- rows[!is.na(rows$class), ]
  at <- intersect(c("image", "class"), names(rows))
  key <- function(x) do.call(paste, c(x[at], sep = "\r"))
  out <- unique(rows[c(at, "label")])
  out <- out[order(match(out$class, attr(object, "classes"))), ]
  if ("image" %in% at) out <- out[order(match(out$image, rows$image)), ]
  rownames(out) <- NULL
  places <- match(key(out), key(rows))
  for (metric in unique(rows$metric)) {
    one <- rows[rows$metric == metric, ]
    out[[metric]] <- one$value[match(key(out), key(one))]
  }
  out$n <- rows$n[places]
  out
}

# The rows over all images.
all_images <- function(rows) if (is.null(rows$image)) rows else rows[is.na(rows$image), ]
