#' U-Net
#'
#' The U-Net of Ronneberger, Fischer & Brox (2015) with batch normalisation and padded
#' convolutions, as Buda, Saha & Mazurowski (2019) published it for brain MRI. Images of any height
#' and width work: they are padded to a multiple of 16 and the result is cropped back.
#'
#' @param in_channels Number of image channels, at least 1.
#' @param classes Named vector of class ids, such as `c(background = 0, nucleus = 1)`. Two classes
#'   share one sigmoid channel, which stands for the second; more have one softmax channel each.
#' @param weights `NULL` (fresh weights), `"nuclei"` (a small network for cell nuclei in microscopy
#'   that comes with maskr), `"brain-mri"` (the published network for low-grade gliomas; downloaded
#'   once, see [seg_weights()]), or the path of a state dict (`.pt`, `.safetensors`). Weights fix
#'   channels, classes and features; an argument that contradicts them is an error.
#' @param ... Must be empty.
#' @param encoder,encoder_weights Must be `NULL`: pretrained encoders are not part of this version.
#' @param init_features Features of the first level, doubled at each of the four levels below.
#' @param preprocess What happens to images before the network sees them, see [seg_preprocess()];
#'   named weights bring their own.
#' @return A [`seg_model`][seg_model]. Weights that are missing or do not fit are a
#'   `maskr_error_weights`.
#' @references Ronneberger, Fischer & Brox (2015) U-Net: Convolutional Networks for Biomedical Image
#'   Segmentation, \url{https://arxiv.org/abs/1505.04597}.
#'
#'   Buda, Saha & Mazurowski (2019) Association of genomic subtypes of lower-grade gliomas with
#'   shape features automatically extracted by a deep learning algorithm,
#'   \doi{10.1016/j.compbiomed.2019.05.002}.
#' @concept models
#' @export
#' @examplesIf seg_available()
#' model <- seg_unet(in_channels = 3, classes = c(background = 0, tumour = 1))
#' model
#'
#' nuclei <- seg_unet(weights = "nuclei")
#' scene <- seg_example("nuclei", n = 1)
#' mask <- predict(nuclei, scene$images[[1]])
#' plot(mask, image = scene$images[[1]])
seg_unet <- function(in_channels = 3, classes = NULL, weights = NULL, ..., encoder = NULL,
                     encoder_weights = NULL, init_features = 32, preprocess = NULL) {
  check_no_dots(...)
  if (!is.null(encoder) || !is.null(encoder_weights)) {
    maskr_abort("argument", c(
      "{.arg encoder} and {.arg encoder_weights} must be NULL.",
      i = "Pretrained encoders are not part of this version of maskr.",
      i = "{.fn seg_wrap} takes any network of {.pkg segmentation-models-pytorch}."
    ), arg = "encoder")
  }
  weights <- check_string(weights, null = TRUE)
  py_call(
    "builders", "build", "unet",
    in_channels = if (!missing(in_channels)) check_whole(in_channels, min = 1),
    classes = if (!is.null(classes)) as.list(check_classes(classes, min = 2)),
    arguments = list(
      init_features = if (!missing(init_features)) check_whole(init_features, min = 1)
    ),
    preprocess = preprocess_for_python(check_preprocess(preprocess, null = TRUE)),
    weights_name = if (!is.null(weights)) path.expand(weights),
    cache = weights_cache(),
    seed = draw_seed()
  )
}
