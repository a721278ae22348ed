# Networks whose encoders are transformers.

#' SegFormer
#'
#' The network of Xie et al. (2021): a hierarchical transformer without positional encoding, which
#' works at any image size, and a decoder of a few linear layers over its four levels.
#'
#' Choose it where objects need far context and accuracy for its cost counts: `"b0"` is among the
#' smallest networks here, `"b5"` among the most accurate. Transformers want many images or
#' pretrained weights.
#'
#' @section Published weights:
#' `"ade20k"` (150 classes of scenes) and `"cityscapes"` (19 classes of streets), both of all
#' variants. NVIDIA's licence allows research and evaluation only.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @param variant Size of the network, `"b0"` (3.7 million parameters) to `"b5"` (84.6 million).
#' @param encoder_weights `NULL` (fresh weights), or `"imagenet"`: the encoder's, trained on
#'   ImageNet (downloaded once). They bring preprocessing; with other than three channels the first
#'   convolution is adapted, and it is said. NVIDIA's licence allows research and evaluation only.
#' @references Xie, Wang, Yu, Anandkumar, Alvarez & Luo (2021) SegFormer: Simple and Efficient
#'   Design for Semantic Segmentation with Transformers, <https://arxiv.org/abs/2105.15203>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_segformer(classes = c(sky = 0, road = 1, car = 2), variant = "b0")
#' model
seg_segformer <- function(in_channels = 3, classes = NULL, weights = NULL, ...,
                          variant = c("b0", "b1", "b2", "b3", "b4", "b5"), encoder_weights = NULL,
                          preprocess = NULL) {
  check_no_dots(...)
  build_model("segformer", in_channels, classes, weights, said(
    variant = check_choice(variant, c("b0", "b1", "b2", "b3", "b4", "b5"))
  ), encoder_weights, preprocess)
}

#' Dense prediction transformer
#'
#' The network of Ranftl, Bochkovskiy & Koltun (2021): a plain vision transformer whose tokens of
#' four depths become feature maps again and are fused by convolutions.
#'
#' Choose it to use a vision transformer that somebody pretrained. It is large and wants pretrained
#' weights: from scratch it learns little on small data sets.
#'
#' @section Published weights:
#' `"ade20k"` (150 classes of scenes) with `encoder = "vit_large_patch16_384"` (MIT).
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @param encoder Name of a vision transformer of the Python package timm, with patches of 8, 16 or
#'   32 pixels.
#' @references Ranftl, Bochkovskiy & Koltun (2021) Vision Transformers for Dense Prediction,
#'   <https://arxiv.org/abs/2103.13413>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_dpt(classes = c(sky = 0, road = 1), encoder = "vit_tiny_patch16_224")
#' model
seg_dpt <- function(in_channels = 3, classes = NULL, weights = NULL, ...,
                    encoder = "vit_base_patch16_224.augreg_in21k", encoder_weights = NULL,
                    preprocess = NULL) {
  check_no_dots(...)
  build_model("dpt", in_channels, classes, weights, said(encoder = check_string(encoder)),
              encoder_weights, preprocess)
}
