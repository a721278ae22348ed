#' maskr: image segmentation with PyTorch models
#'
#' One set of verbs for segmenting images from R. Data are plain R objects ([seg_image()],
#' [seg_mask()], [seg_instances()], [seg_panoptic()]), models are built by functions such as
#' [seg_unet()] and [seg_yolo()], trained with `compile()` and `fit()`, applied with `predict()`
#' and judged with [seg_metrics()]. Computing happens in an embedded Python module; see
#' [seg_install()] and [seg_sitrep()] for its environment.
#'
#' @keywords internal
#' @importFrom grDevices as.raster
#' @importFrom rlang %||% .data
#' @importFrom stats predict
"_PACKAGE"

#' @importFrom generics compile
#' @export
generics::compile

#' @importFrom generics fit
#' @export
generics::fit
