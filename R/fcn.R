# Networks that are convolutions from end to end, without a decoder of the encoder's depth; and
# SegNet, whose decoder has nothing of the encoder but where its maxima were.

#' Fully convolutional networks
#'
#' The FCN of Long, Shelhamer & Darrell (2015): a classification network whose last layers became
#' convolutions, with scores of coarser and finer levels added on the way up by transposed
#' convolutions that start as bilinear interpolation. With a ResNet it is torchvision's variant, on
#' features of stride 8.
#'
#' The network that began it all, and a baseline to compare with. VGG16's two large convolutions
#' make it the largest network here.
#'
#' @section Published weights:
#' `"coco"`: torchvision's networks on ResNets, trained on images of COCO with the 21 classes of
#' Pascal VOC (BSD-3-Clause).
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @param stride Of the finest features that scores are made from: 32 (FCN-32s), 16 or 8, whose
#'   outlines are the finest. ResNets have 8 only.
#' @param backbone `"vgg16"`, `"resnet50"` or `"resnet101"`.
#' @param encoder_weights `NULL` (fresh weights), or `"imagenet"`: the backbone's, trained on
#'   ImageNet (downloaded once). They bring preprocessing; with other than three channels the first
#'   convolution is adapted, and it is said.
#' @references Long, Shelhamer & Darrell (2015) Fully Convolutional Networks for Semantic
#'   Segmentation, <https://arxiv.org/abs/1411.4038>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_fcn(classes = c(sky = 0, road = 1, car = 2), backbone = "resnet50")
#' model
seg_fcn <- function(in_channels = 3, classes = NULL, weights = NULL, ..., stride = 8,
                    backbone = c("vgg16", "resnet50", "resnet101"), encoder_weights = NULL,
                    preprocess = NULL) {
  check_no_dots(...)
  arguments <- said(
    stride = check_one_of(stride, c(8, 16, 32)),
    backbone = check_choice(backbone, c("vgg16", "resnet50", "resnet101"))
  )
  if (startsWith(arguments$backbone %||% "vgg16", "resnet") && !is.null(arguments$stride) &&
        arguments$stride != 8) {
    maskr_abort("argument", c(
      "{.arg stride} must be 8 with {.code backbone = \"{arguments$backbone}\"}, not {stride}.",
      i = "Strides 16 and 32 are of {.code backbone = \"vgg16\"}."
    ), arg = "stride")
  }
  build_model("fcn", in_channels, classes, weights, arguments, encoder_weights, preprocess)
}

#' SegNet
#'
#' The network of Badrinarayanan, Kendall & Cipolla (2015): VGG16's convolutions as the encoder, and
#' a decoder that puts features back to where max pooling took them from, by the pooling indices
#' alone.
#'
#' Made for street scenes on little memory: it keeps indices instead of the encoder's features.
#' Outlines are sharp, thin objects suffer.
#'
#' @inheritParams seg_fcn
#' @inherit seg_unet return
#' @param encoder_weights `NULL` (fresh weights), or `"imagenet"`: those of VGG16 with batch
#'   normalisation, trained on ImageNet (downloaded once). They bring preprocessing; with other
#'   than three channels the first convolution is adapted, and it is said.
#' @references Badrinarayanan, Kendall & Cipolla (2015) SegNet: A Deep Convolutional
#'   Encoder-Decoder Architecture for Image Segmentation, <https://arxiv.org/abs/1511.00561>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_segnet(classes = c(sky = 0, road = 1, car = 2))
#' model
seg_segnet <- function(in_channels = 3, classes = NULL, weights = NULL, ...,
                       encoder_weights = NULL, preprocess = NULL) {
  check_no_dots(...)
  build_model("segnet", in_channels, classes, weights, list(), encoder_weights, preprocess)
}

#' FastFCN
#'
#' The network of Wu et al. (2019): joint pyramid upsampling makes features of stride 8 from those
#' of strides 8, 16 and 32, so that the encoder needs no dilated convolutions on large maps. Its
#' head, that of EncNet, weighs the features by what the whole image holds.
#'
#' Choose it instead of a dilated network ([seg_deeplab()] with `output_stride = 8`) where time or
#' memory is short. In training, the loss has one term more: which classes are in the image.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @references Wu, Zhang, Huang, Liang & Yu (2019) FastFCN: Rethinking Dilated Convolution in the
#'   Backbone for Semantic Segmentation, <https://arxiv.org/abs/1903.11816>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_fastfcn(classes = c(sky = 0, road = 1, car = 2), encoder = "resnet18")
#' model
seg_fastfcn <- function(in_channels = 3, classes = NULL, weights = NULL, ..., encoder = "resnet50",
                        encoder_weights = NULL, preprocess = NULL) {
  check_no_dots(...)
  build_model("fastfcn", in_channels, classes, weights, said(encoder = check_string(encoder)),
              encoder_weights, preprocess)
}

#' Gated-SCNN
#'
#' The network of Takikawa et al. (2019): beside the encoder runs a narrow stream at full size that
#' sees shapes only, gated by the encoder's deeper layers and trained to find the outlines of the
#' masks. Both meet in a pyramid of dilated convolutions.
#'
#' Choose it where outlines and thin objects (poles, signs) matter. In training, the loss has two
#' terms more, for the outlines and for their agreement with the masks; they are computed from the
#' masks by itself.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @references Takikawa, Acuna, Jampani & Fidler (2019) Gated-SCNN: Gated Shape CNNs for Semantic
#'   Segmentation, <https://arxiv.org/abs/1907.05740>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_gscnn(classes = c(sky = 0, road = 1, car = 2), encoder = "resnet18")
#' model
seg_gscnn <- function(in_channels = 3, classes = NULL, weights = NULL, ..., encoder = "resnet50",
                      encoder_weights = NULL, preprocess = NULL) {
  check_no_dots(...)
  build_model("gscnn", in_channels, classes, weights, said(encoder = check_string(encoder)),
              encoder_weights, preprocess)
}

#' LR-ASPP
#'
#' The light head of MobileNetV3 (Howard et al. 2019), "lite reduced atrous spatial pyramid
#' pooling", on MobileNetV3-Large: one gate from pooled features and one skip connection.
#'
#' Choose it for telephones and other small machines, and for first experiments: it is the fastest
#' network here.
#'
#' @section Published weights:
#' `"coco"`: torchvision's network, trained on images of COCO with the 21 classes of Pascal VOC
#' (BSD-3-Clause).
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @param encoder_weights `NULL` (fresh weights), or `"imagenet"`: those of MobileNetV3-Large,
#'   trained on ImageNet (downloaded once). They bring preprocessing; with other than three channels
#'   the first convolution is adapted, and it is said.
#' @references Howard et al. (2019) Searching for MobileNetV3, <https://arxiv.org/abs/1905.02244>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_lraspp(classes = c(background = 0, person = 1))
#' model
seg_lraspp <- function(in_channels = 3, classes = NULL, weights = NULL, ...,
                       encoder_weights = NULL, preprocess = NULL) {
  check_no_dots(...)
  build_model("lraspp", in_channels, classes, weights, list(), encoder_weights, preprocess)
}
