#' Models from PyTorch Hub
#'
#' Makes a model of a network that a PyTorch Hub repository publishes, loaded by `torch.hub.load()`
#' with the repository's own code. It can then be trained, applied, evaluated and saved as any
#' other model of maskr.
#'
#' @section Trust:
#' A hub repository is Python code, which runs with all that you may do on this machine. It runs
#' only with `trust = TRUE`, also in [seg_load()]. Name the repository with the commit that you
#' have looked at, as all of its 40 characters (`"owner/name:commit"`): a branch or tag can change,
#' and then a saved model may get other code than it was made with.
#'
#' @param repo `"owner/name"` of a GitHub repository, best as `"owner/name:commit"` (a branch or
#'   tag works, too); or an existing folder with the file `hubconf.py`. Downloads stay in
#'   PyTorch's own cache, so that a repository is fetched once.
#' @param entry Name of the function in `hubconf.py` that makes the network.
#' @param ... Arguments of that function, named or in its order: numbers, strings, `TRUE`, `FALSE`,
#'   `NULL`, and vectors or lists of them. Numbers without a fraction arrive in Python as `int`, so
#'   `in_channels = 3` is right; a Python `float` of such a value is `reticulate::r_to_py(3)`. An
#'   argument that has the name of one of those below can only be given in its order.
#' @param classes `NULL`, or a named vector of class ids in the order of the network's channels,
#'   such as `c(background = 0, tumour = 1)`. Two classes take one channel, which stands for the
#'   second, or two channels; more take one channel each. Without classes the model predicts
#'   probabilities and logits (`predict(type = "prob")`), but neither masks nor trains.
#' @param activation What the network itself ends with: `"none"` if it returns logits, `"sigmoid"`
#'   or `"softmax"` if it returns probabilities.
#' @param preprocess What happens to images before the network sees them, see [seg_preprocess()].
#' @param multiple Height and width of what the network sees must be multiples of this whole number
#'   of at least 1; images are padded to it and results cropped back. Networks that halve the image
#'   `n` times usually need `2^n`.
#' @param trust `TRUE` to run the repository's code.
#' @return A [`seg_model`][seg_model]. A trial run on a small image of noise checks the arguments
#'   against the network. Errors: `maskr_error_trust` without `trust`; `maskr_error_weights` if the
#'   repository cannot be downloaded; `maskr_error_missing` if it needs Python packages that are not
#'   installed; `maskr_error_format` for a folder without `hubconf.py`; `maskr_error_data` if the
#'   entry does not exist, fails or returns no module, or if classes or activation are not those of
#'   the network; `maskr_error_shape` if its result has another size than the image, or `multiple`
#'   is too small.
#' @references <https://pytorch.org/docs/stable/hub.html>
#' @seealso [seg_wrap()] for a module of your own; [seg_unet()] with `weights = "brain-mri"` for the
#'   network of the example without foreign code.
#' @concept models
#' @export
#' @examples
#' \dontrun{
#' model <- seg_hub(
#'   "mateuszbuda/brain-segmentation-pytorch", "unet",
#'   in_channels = 3, out_channels = 1, init_features = 32, pretrained = TRUE,
#'   classes = c(background = 0, tumour = 1), activation = "sigmoid",
#'   preprocess = seg_preprocess(per_image = "standardise"), multiple = 16, trust = TRUE
#' )
#' }
#' @examplesIf seg_available()
#' # A repository of one's own is a folder with a file hubconf.py:
#' repo <- tempfile()
#' dir.create(repo)
#' writeLines(c(
#'   "import torch",
#'   "def linear(channels):",
#'   "    return torch.nn.Conv2d(channels, 1, 1)"
#' ), file.path(repo, "hubconf.py"))
#' model <- seg_hub(repo, "linear", channels = 3, trust = TRUE)
#' dim(predict(model, array(0.5, c(5, 7, 3)), type = "prob"))
seg_hub <- function(repo, entry, ..., classes = NULL, activation = c("none", "sigmoid", "softmax"),
                    preprocess = seg_preprocess(), multiple = 1, trust = FALSE) {
  arguments <- lapply(list(...), as_python_argument)
  named <- nzchar(names(arguments) %||% character(length(arguments)))
  py_call(
    "hub", "hub",
    repo = path.expand(check_string(repo)),
    entry = check_string(entry),
    args = unname(arguments[!named]),
    kwargs = as_dict(arguments[named]),
    classes = classes_for_python(classes),
    activation = check_choice(activation, c("none", "sigmoid", "softmax")),
    preprocess = preprocess_for_python(check_preprocess(preprocess)),
    multiple = check_whole(multiple, min = 1),
    trust = check_flag(trust)
  )
}

#' Models from any PyTorch module
#'
#' Makes a model of a `torch.nn.Module` that you have built through reticulate, for example by
#' segmentation-models-pytorch or torchvision. The module is used as it is, not copied. Modules
#' that return a dictionary, as torchvision's do, are taken by its entry `"out"`.
#'
#' A saved file of such a model holds its weights and the arguments below, but not the module:
#' `seg_load(path, module = )` needs one of the same architecture.
#'
#' @param module A Python object of a class derived from `torch.nn.Module`, which takes images
#'   `[N, C, H, W]` and returns `[N, K, H, W]`.
#' @inheritParams seg_hub
#' @param in_channels Number of channels of the images, at least 1; `NULL` finds it in the module's
#'   first convolution.
#' @return A [`seg_model`][seg_model]. Errors: `maskr_error_argument` if `module` is no Python
#'   object; otherwise those of [seg_hub()].
#' @concept models
#' @export
#' @examplesIf seg_available()
#' nn <- reticulate::import("torch")$nn
#' module <- nn$Sequential(nn$Conv2d(3L, 8L, 3L, padding = 1L), nn$ReLU(), nn$Conv2d(8L, 1L, 1L))
#' model <- seg_wrap(module, classes = c(background = 0, nucleus = 1))
#' model
seg_wrap <- function(module, classes = NULL, activation = c("none", "sigmoid", "softmax"),
                     preprocess = seg_preprocess(), multiple = 1, in_channels = NULL) {
  if (!inherits(module, "python.builtin.object")) {
    maskr_abort("argument", c(
      "{.arg module} must be a PyTorch module in Python, not {describe(module)}.",
      i = "Build it by {.code reticulate::import(\"torch\")$nn}, or use {.fn seg_unet}."
    ), arg = "module")
  }
  check_alive(module, "module", rlang::current_env())
  py_call(
    "hub", "wrap", module,
    classes = classes_for_python(classes),
    activation = check_choice(activation, c("none", "sigmoid", "softmax")),
    preprocess = preprocess_for_python(check_preprocess(preprocess)),
    multiple = check_whole(multiple, min = 1),
    in_channels = check_whole(in_channels, min = 1, null = TRUE)
  )
}

classes_for_python <- function(classes, call = rlang::caller_env()) {
  if (!is.null(classes)) as.list(check_classes(classes, min = 2, call = call))
}

# Numbers that foreign code will see: R's 3 is a double, and Python code that counts wants an int.
as_python_argument <- function(x) {
  if (is.list(x) && !is.object(x)) return(lapply(x, as_python_argument))
  whole <- is.double(x) && !is.object(x) && all(is.finite(x)) && all(x == round(x)) &&
    all(abs(x) <= .Machine$integer.max)
  if (whole) storage.mode(x) <- "integer"
  x
}
