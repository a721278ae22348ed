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
#' @param output Which output of a network that returns several is meant: its name in a dictionary,
#'   or its place in a list or tuple, counted from 1. `NULL` takes the only one, or that of the name
#'   `"out"`, as torchvision's networks have it.
#' @param trust `TRUE` to run the repository's code.
#' @return A [`seg_model`][seg_model]. A trial run on a small image of noise checks the arguments
#'   against the network. Errors: `maskr_error_trust` without `trust`; `maskr_error_weights` if the
#'   repository cannot be downloaded; `maskr_error_missing` if it needs Python packages that are not
#'   installed; `maskr_error_file` for a folder that does not exist, `maskr_error_format` for one
#'   without `hubconf.py`; `maskr_error_data` if the entry does not exist, fails or returns no
#'   module, or if classes or activation are not those of the network; `maskr_error_shape` if its
#'   result has another size than the image, or `multiple` is too small.
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
                    preprocess = seg_preprocess(), multiple = 1, output = NULL, trust = FALSE) {
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
    output = check_output(output),
    trust = check_flag(trust)
  )
}

#' Models from any PyTorch module
#'
#' Makes a model of a `torch.nn.Module` that you have built through reticulate, for example by
#' segmentation-models-pytorch or torchvision, or of a TorchScript file. The module is used as it
#' is, not copied.
#'
#' A saved file of such a model holds its weights and the arguments below, but not the module:
#' `seg_load(path, module = )` needs one of the same architecture.
#'
#' @section TorchScript:
#' A TorchScript file (`.pt`) holds a network with its code, as bioimage.io, InstanSeg and others
#' distribute them. That code runs on this machine, so it takes `trust = TRUE`. A module that
#' `torch$jit$load()` has opened is taken as well.
#'
#' Such a network runs as it is: `predict()`, [seg_evaluate()], [seg_save()] and [seg_clone()] work;
#' it can't be trained, frozen or exported. Without `classes`, `predict(type = "logit")` gives its
#' own output, whatever that is, as an array `[H, W, K]`: InstanSeg's, for example, are images of
#' object numbers, one of nuclei and one of cells, which [as_seg_instances()] takes.
#'
#' @param module A Python object of a class derived from `torch.nn.Module`, which takes images
#'   `[N, C, H, W]` and returns `[N, K, H, W]`; or the path of a TorchScript file.
#' @inheritParams seg_hub
#' @param in_channels Number of channels of the images, at least 1; `NULL` finds it in the module's
#'   first convolution.
#' @param trust `TRUE` to run the code in a TorchScript file.
#' @return A [`seg_model`][seg_model]. Errors: `maskr_error_argument` if `module` is neither a
#'   Python object nor a path; `maskr_error_file` if there is no such file, `maskr_error_format` if
#'   it is not a TorchScript file, `maskr_error_trust` if it is one, without `trust`;
#'   `maskr_error_data` if the module returns several outputs and `output` does not say which one
#'   is meant; otherwise those of [seg_hub()].
#' @concept models
#' @export
#' @examplesIf seg_available()
#' nn <- reticulate::import("torch")$nn
#' module <- nn$Sequential(nn$Conv2d(3L, 8L, 3L, padding = 1L), nn$ReLU(), nn$Conv2d(8L, 1L, 1L))
#' model <- seg_wrap(module, classes = c(background = 0, nucleus = 1))
#' model
#'
#' # a TorchScript file
#' path <- tempfile(fileext = ".pt")
#' reticulate::import("torch")$jit$script(module)$save(path)
#' model <- seg_wrap(path, classes = c(background = 0, nucleus = 1), trust = TRUE)
seg_wrap <- function(module, classes = NULL, activation = c("none", "sigmoid", "softmax"),
                     preprocess = seg_preprocess(), multiple = 1, in_channels = NULL,
                     output = NULL, trust = FALSE) {
  py_call(
    "wrapping", "wrap", check_module(module),
    classes = classes_for_python(classes),
    activation = check_choice(activation, c("none", "sigmoid", "softmax")),
    preprocess = preprocess_for_python(check_preprocess(preprocess)),
    multiple = check_whole(multiple, min = 1),
    in_channels = check_whole(in_channels, min = 1, null = TRUE),
    output = check_output(output),
    trust = check_flag(trust)
  )
}

# A PyTorch module in Python, or the path of a TorchScript file.
check_module <- function(module, call = rlang::caller_env()) {
  if (missing(module)) abort_missing("module", call, "It is a PyTorch module in Python.")
  if (is.character(module)) {
    return(check_paths(check_string(module, arg = "module", call = call), "module", call))
  }
  if (!inherits(module, "python.builtin.object")) {
    maskr_abort("argument", c(
      "{.arg module} must be a PyTorch module in Python or the path of a TorchScript file, not
       {describe(module)}.",
      i = "Build it by {.code reticulate::import(\"torch\")$nn}, or use {.fn seg_unet}."
    ), arg = "module", call = call)
  }
  check_alive(module, "module", call)
}

# One of a network's outputs: a name, or a place.
check_output <- function(output, call = rlang::caller_env()) {
  if (is.null(output)) return(NULL)
  one <- length(output) == 1 && !is.na(output)
  if (one && is.character(output)) return(output)
  if (one && is_numbers(output) && output >= 1 && output == round(output)) {
    return(as.integer(output))
  }
  maskr_abort("argument", c(
    "{.arg output} must be the name of an output, its place from 1, or NULL, not
     {describe(output)}."
  ), arg = "output", call = call)
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
