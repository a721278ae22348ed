# Networks that gather context at several scales.

#' DeepLab
#'
#' DeepLabv3 and DeepLabv3+ of Chen et al. (2017, 2018): dilated convolutions keep the encoder's
#' features large, parallel ones of several rates see several scales at once, and version 3+ adds a
#' small decoder that sharpens outlines with early features.
#'
#' The first choice for natural images with large objects in context, such as street scenes.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @param version `"v3plus"` or `"v3"`.
#' @param output_stride Of the encoder's last features, 16 or 8: with 8 outlines are finer, at about
#'   three times the cost.
#' @param rates Three dilation rates of the parallel convolutions, whole numbers of at least 1.
#'   `NULL` is as in the papers: `c(6, 12, 18)` at `output_stride = 16`, and twice that,
#'   `c(12, 24, 36)`, at 8.
#' @references Chen, Papandreou, Schroff & Adam (2017) Rethinking Atrous Convolution for Semantic
#'   Image Segmentation, <https://arxiv.org/abs/1706.05587>.
#'
#'   Chen, Zhu, Papandreou, Schroff & Adam (2018) Encoder-Decoder with Atrous Separable Convolution
#'   for Semantic Image Segmentation, <https://arxiv.org/abs/1802.02611>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_deeplab(classes = c(sky = 0, road = 1, car = 2), encoder = "mobilenet_v2")
#' model
seg_deeplab <- function(in_channels = 3, classes = NULL, weights = NULL, ...,
                        version = c("v3plus", "v3"), encoder = "resnet34", encoder_weights = NULL,
                        output_stride = 16, rates = NULL, preprocess = NULL) {
  check_no_dots(...)
  build_model("deeplab", in_channels, classes, weights, said(
    version = check_choice(version, c("v3plus", "v3")),
    encoder = check_string(encoder),
    output_stride = check_one_of(output_stride, c(8, 16)),
    rates = check_wholes(rates, 3, null = TRUE)
  ), encoder_weights, preprocess)
}

#' PSPNet
#'
#' The pyramid scene parsing network of Zhao et al. (2017): features are pooled into grids of
#' 1, 2, 3 and 6 cells a side and joined to themselves, so that each pixel knows the whole scene.
#'
#' Choose it for scenes where context tells classes apart that look alike. It works on features of
#' stride 8 and has no decoder: fast, and coarse at outlines.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @references Zhao, Shi, Qi, Wang & Jia (2017) Pyramid Scene Parsing Network,
#'   <https://arxiv.org/abs/1612.01105>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_pspnet(classes = c(sky = 0, road = 1, car = 2), encoder = "mobilenet_v2")
#' model
seg_pspnet <- function(in_channels = 3, classes = NULL, weights = NULL, ..., encoder = "resnet34",
                       encoder_weights = NULL, preprocess = NULL) {
  check_no_dots(...)
  build_model("pspnet", in_channels, classes, weights, said(encoder = check_string(encoder)),
              encoder_weights, preprocess)
}

#' Feature pyramid network
#'
#' The panoptic feature pyramid network of Kirillov et al. (2019): a top-down path brings the
#' meaning of coarse features to finer ones, and the sum over all levels is segmented.
#'
#' Choose it for objects of many sizes at moderate cost.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @references Kirillov, Girshick, He & Dollár (2019) Panoptic Feature Pyramid Networks,
#'   <https://arxiv.org/abs/1901.02446>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_fpn(classes = c(sky = 0, road = 1, car = 2), encoder = "mobilenet_v2")
#' model
seg_fpn <- function(in_channels = 3, classes = NULL, weights = NULL, ..., encoder = "resnet34",
                    encoder_weights = NULL, preprocess = NULL) {
  check_no_dots(...)
  build_model("fpn", in_channels, classes, weights, said(encoder = check_string(encoder)),
              encoder_weights, preprocess)
}

#' UPerNet
#'
#' The unified perceptual parsing network of Xiao et al. (2018): a feature pyramid whose coarsest
#' level goes through pyramid pooling, and whose levels are segmented together.
#'
#' The usual head of modern encoders; choose it with `encoder = "convnext_tiny"` or
#' `encoder = "swin_tiny_patch4_window7_224"` where accuracy counts more than time.
#'
#' @section Published weights:
#' `"ade20k"` (150 classes of scenes; MIT) with the encoders `"convnext_tiny"`, `"convnext_small"`,
#' `"convnext_base"`, `"convnext_large"`, `"convnext_xlarge"`, `"swin_tiny_patch4_window7_224"`,
#' `"swin_small_patch4_window7_224"` and `"swin_large_patch4_window12_384"`.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @references Xiao, Liu, Zhou, Jiang & Sun (2018) Unified Perceptual Parsing for Scene
#'   Understanding, <https://arxiv.org/abs/1807.10221>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_upernet(classes = c(sky = 0, road = 1, car = 2), encoder = "resnet18")
#' model
seg_upernet <- function(in_channels = 3, classes = NULL, weights = NULL, ...,
                        encoder = "convnext_tiny", encoder_weights = NULL, preprocess = NULL) {
  check_no_dots(...)
  build_model("upernet", in_channels, classes, weights, said(encoder = check_string(encoder)),
              encoder_weights, preprocess)
}
