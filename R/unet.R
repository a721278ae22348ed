# Encoders and decoders with skip connections between levels of equal size.

#' U-Net
#'
#' The U-Net of Ronneberger, Fischer & Brox (2015): an encoder that halves the image level by level,
#' and a decoder that doubles it again and sees the encoder's features of the same size. Without
#' `encoder` it is the network with batch normalisation and padded convolutions that Buda, Saha &
#' Mazurowski (2019) published for brain MRI; with one it is that of segmentation-models-pytorch.
#'
#' The first choice where there are few images, and for microscopy and medical images, whose details
#' matter more than their context. A pretrained encoder helps most where images are natural
#' photographs.
#'
#' Images of any height and width work: they are padded to what the network needs and the result is
#' cropped back. `set.seed()` decides the initial weights.
#'
#' @section Published weights:
#' `"nuclei"` is a small network for cell nuclei in microscopy that comes with maskr; `"brain-mri"`
#' is the published network for low-grade gliomas (two classes, three MRI sequences), downloaded
#' once. They bring channels, classes and preprocessing.
#'
#' @section Files of weights:
#' `weights` takes the path of
#'   - a state dict (`.pt`, `.safetensors`), or a checkpoint of Lightning or another trainer that
#'     holds one, whatever it calls it, and whatever prefix (`"model."`) its names have. Of weights
#'     and their moving average, the average is taken, and it is said. A state dict tells
#'     `init_features` and, of the U-Net, `upsample`; other arguments of the network must be given
#'     as it was trained with;
#'   - a folder that `save_pretrained()` of segmentation-models-pytorch wrote; it brings the
#'     arguments of the network;
#'   - for [seg_segformer()], a folder of Hugging Face's transformers; it brings classes and
#'     preprocessing too.
#'
#' Nothing in these files can run code. Of networks with two channels for two classes, the
#' difference of the two becomes the one channel that maskr has.
#'
#' @param in_channels Number of image channels, at least 1.
#' @param classes Named vector of class ids, such as `c(background = 0, nucleus = 1)`. Two classes
#'   share one sigmoid channel, which stands for the second; more have one softmax channel each.
#' @param weights `NULL` (fresh weights), a name that [seg_weights()] lists for this architecture,
#'   or the path of a file or folder, see "Files of weights" in [seg_unet()]. Weights bring
#'   channels, classes and arguments of the network. Where you ask for other `in_channels` or
#'   `classes`, the first or the last layer is adapted, and it is said; other arguments that
#'   contradict them are an error.
#' @param ... Must be empty.
#' @param encoder Name of an encoder: one of segmentation-models-pytorch (`"resnet34"`,
#'   `"efficientnet-b0"`, `"mobilenet_v2"`, `"mit_b0"`) or of the Python package timm
#'   (`"convnext_tiny"`). An unknown name is a `maskr_error_data` that lists the nearest.
#' @param encoder_weights `NULL` (fresh weights), `"imagenet"` (weights that were trained on
#'   ImageNet, downloaded once), or another name that the package of the encoder has weights by.
#'   They bring preprocessing. With other than three channels the first convolution is adapted, and
#'   it is said. Mind their licence.
#' @param decoder_channels Channels of the decoder's five levels, coarse to fine: whole numbers of
#'   at least 1, with attention of at least 16. `NULL` is `c(256, 128, 64, 32, 16)`. Needs an
#'   encoder.
#' @param attention `NULL`, or `"scse"`: concurrent spatial and channel squeeze and excitation in
#'   the decoder (Roy, Navab & Wachinger 2018). Needs an encoder.
#' @param upsample How the decoder doubles its features: by `"transposed"` convolutions; by
#'   `"bilinear"` interpolation, which is the remedy where predictions show checkerboards; or by
#'   `"nearest"` neighbours, as segmentation-models-pytorch does.
#' @param init_features Features of the first level, doubled at each of the four levels below;
#'   a whole number of at least 1. An encoder has its own.
#' @param preprocess What happens to images before the network sees them, see [seg_preprocess()].
#'   `NULL` is nothing, or what published weights were trained with.
#' @return A [`seg_model`][seg_model]. Errors: `maskr_error_argument` for an argument that is no
#'   valid value; `maskr_error_data` without classes, for encoders that do not exist or do not fit
#'   the network, and for arguments that contradict the weights or each other;
#'   `maskr_error_file` for a file of weights that is not there; `maskr_error_weights` for weights
#'   that nobody publishes, can't be downloaded or do not fit.
#' @references Ronneberger, Fischer & Brox (2015) U-Net: Convolutional Networks for Biomedical Image
#'   Segmentation, <https://arxiv.org/abs/1505.04597>.
#'
#'   Buda, Saha & Mazurowski (2019) Association of genomic subtypes of lower-grade gliomas with
#'   shape features automatically extracted by a deep learning algorithm,
#'   \doi{10.1016/j.compbiomed.2019.05.002}.
#'
#'   Roy, Navab & Wachinger (2018) Concurrent Spatial and Channel Squeeze & Excitation in Fully
#'   Convolutional Networks, <https://arxiv.org/abs/1803.02579>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 3, classes = c(background = 0, tumour = 1))
#' model
#'
#' # With an encoder; encoder_weights = "imagenet" would download pretrained weights
#' seg_unet(classes = c(background = 0, tumour = 1), encoder = "mobilenet_v2")
#'
#' nuclei <- seg_unet(weights = "nuclei")
#' scene <- seg_example("nuclei", n = 1)
#' mask <- predict(nuclei, scene$images[[1]])
#' plot(mask, image = scene$images[[1]])
seg_unet <- function(in_channels = 3, classes = NULL, weights = NULL, ..., encoder = NULL,
                     encoder_weights = NULL, decoder_channels = NULL, attention = NULL,
                     upsample = c("transposed", "bilinear", "nearest"), init_features = 32,
                     preprocess = NULL) {
  check_no_dots(...)
  if (is.null(encoder)) {
    check_left_out(c(
      encoder_weights = !is.null(encoder_weights),
      decoder_channels = !is.null(decoder_channels),
      attention = !is.null(attention)
    ), "Only a network with an encoder has that: {.code encoder = \"resnet34\"}.")
  } else {
    check_left_out(
      c(init_features = !missing(init_features)),
      "An encoder has its own features: {.code decoder_channels} sets those of the decoder."
    )
  }
  build_model("unet", in_channels, classes, weights, said(
    encoder = check_string(encoder, null = TRUE),
    decoder_channels = check_decoder(decoder_channels, attention),
    attention = check_attention(attention),
    upsample = check_choice(upsample, c("transposed", "bilinear", "nearest")),
    init_features = check_whole(init_features, min = 1)
  ), encoder_weights, preprocess)
}

#' U-Net++
#'
#' The nested U-Net of Zhou et al. (2018): between encoder and decoder lie further convolutions on
#' every level, densely connected, so that the decoder meets features of like meaning.
#'
#' Choose it over [seg_unet()] where objects of very different sizes occur and time is at hand: it
#' costs about two to three times as much.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @param decoder_channels Channels of the decoder's five levels, coarse to fine: whole numbers of
#'   at least 1, with attention of at least 16. `NULL` is `c(256, 128, 64, 32, 16)`.
#' @param attention `NULL`, or `"scse"`: concurrent spatial and channel squeeze and excitation in
#'   the decoder.
#' @references Zhou, Siddiquee, Tajbakhsh & Liang (2018) UNet++: A Nested U-Net Architecture for
#'   Medical Image Segmentation, <https://arxiv.org/abs/1807.10165>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_unetpp(classes = c(background = 0, tumour = 1), encoder = "mobilenet_v2")
#' model
seg_unetpp <- function(in_channels = 3, classes = NULL, weights = NULL, ..., encoder = "resnet34",
                       encoder_weights = NULL, decoder_channels = NULL, attention = NULL,
                       preprocess = NULL) {
  check_no_dots(...)
  build_model("unetpp", in_channels, classes, weights, said(
    encoder = check_string(encoder),
    decoder_channels = check_decoder(decoder_channels, attention),
    attention = check_attention(attention)
  ), encoder_weights, preprocess)
}

#' LinkNet
#'
#' The network of Chaurasia & Culurciello (2017): a U-Net whose decoder adds the encoder's features
#' instead of concatenating them, with thin decoder blocks.
#'
#' Choose it where speed and memory matter: the decoder costs little beside the encoder.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @references Chaurasia & Culurciello (2017) LinkNet: Exploiting Encoder Representations for
#'   Efficient Semantic Segmentation, <https://arxiv.org/abs/1707.03718>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_linknet(classes = c(background = 0, road = 1), encoder = "mobilenet_v2")
#' model
seg_linknet <- function(in_channels = 3, classes = NULL, weights = NULL, ..., encoder = "resnet34",
                        encoder_weights = NULL, preprocess = NULL) {
  check_no_dots(...)
  build_model("linknet", in_channels, classes, weights, said(encoder = check_string(encoder)),
              encoder_weights, preprocess)
}

#' Residual U-Net
#'
#' The network of Zhang, Liu & Wang (2018): a U-Net of three levels and a bridge whose blocks are
#' residual, with normalisation and activation before each convolution and strides instead of
#' pooling.
#'
#' Made for roads in aerial images; choose it where thin, connected structures matter and a plain
#' U-Net of the same size trains slowly.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @param init_features Features of the first level, doubled at each level below; a whole number of
#'   at least 1.
#' @references Zhang, Liu & Wang (2018) Road Extraction by Deep Residual U-Net,
#'   <https://arxiv.org/abs/1711.10684>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_resunet(classes = c(background = 0, road = 1), init_features = 8)
#' model
seg_resunet <- function(in_channels = 3, classes = NULL, weights = NULL, ..., init_features = 64,
                        preprocess = NULL) {
  check_no_dots(...)
  build_model("resunet", in_channels, classes, weights, said(
    init_features = check_whole(init_features, min = 1)
  ), preprocess = preprocess)
}

#' Attention U-Net
#'
#' The network of Oktay et al. (2018): a U-Net whose skip connections pass through gates, in which
#' the coarser level tells where the finer one shall be listened to.
#'
#' Choose it where the object is small in a large, busy image, as organs in abdominal CT are.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @param init_features Features of the first level, doubled at each level below; a whole number of
#'   at least 1.
#' @references Oktay et al. (2018) Attention U-Net: Learning Where to Look for the Pancreas,
#'   <https://arxiv.org/abs/1804.03999>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_attention_unet(1, c(background = 0, pancreas = 1), init_features = 8)
#' model
seg_attention_unet <- function(in_channels = 3, classes = NULL, weights = NULL, ...,
                               init_features = 64, preprocess = NULL) {
  check_no_dots(...)
  build_model("attention_unet", in_channels, classes, weights, said(
    init_features = check_whole(init_features, min = 1)
  ), preprocess = preprocess)
}

#' 3D U-Net
#'
#' The network of Çiçek et al. (2016) for volumes: a U-Net of three-dimensional convolutions, which
#' doubles the features before each pooling. It takes volumes `[D, H, W, C]` (see [seg_image()]) and
#' gives masks `[D, H, W]`.
#'
#' Choose it for CT, MRI and image stacks where neighbouring slices tell something about each other.
#' It needs much memory: train on small volumes. Grey volumes want `in_channels = 1`.
#'
#' @inheritParams seg_unet
#' @inherit seg_unet return
#' @param in_channels Number of channels of the volumes, at least 1.
#' @param init_features Features of the first convolution, a whole number of at least 1; those of
#'   all others follow from it.
#' @references Çiçek, Abdulkadir, Lienkamp, Brox & Ronneberger (2016) 3D U-Net: Learning Dense
#'   Volumetric Segmentation from Sparse Annotation, <https://arxiv.org/abs/1606.06650>.
#' @seealso [seg_architectures()] compares all architectures.
#' @concept architectures
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet3d(in_channels = 1, classes = c(background = 0, vessel = 1), init_features = 4)
#' model
seg_unet3d <- function(in_channels = 3, classes = NULL, weights = NULL, ..., init_features = 32,
                       preprocess = NULL) {
  check_no_dots(...)
  build_model("unet3d", in_channels, classes, weights, said(
    init_features = check_whole(init_features, min = 1)
  ), preprocess = preprocess)
}

check_decoder <- function(decoder_channels, attention, call = rlang::caller_env()) {
  channels <- check_wholes(decoder_channels, 5, null = TRUE, arg = "decoder_channels", call = call)
  if (is.null(attention) || all(unlist(channels) >= 16)) return(channels)
  maskr_abort("argument", c(
    "{.arg decoder_channels} must be at least 16 with {.arg attention}, which divides them by 16.",
    x = "You supplied {describe(decoder_channels)}."
  ), arg = "decoder_channels", call = call)
}

check_attention <- function(attention, call = rlang::caller_env()) {
  if (is.null(attention) || identical(attention, "scse")) return(attention)
  maskr_abort("argument", c(
    "{.arg attention} must be {.val scse} or NULL, not {describe(attention)}."
  ), arg = "attention", call = call)
}
