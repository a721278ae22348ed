# Checks of arguments. Each returns its (possibly coerced) argument or raises a classed error.

# The one door for errors: `kind` gives the class `maskr_error_<kind>`; every one of them is also a
# `maskr_error`. `message` is a cli bullet vector, interpolated in the caller's frame.
maskr_abort <- function(kind, message, arg = NULL, ..., call = rlang::caller_env(),
                        envir = parent.frame(), parent = NULL) {
  cli::cli_abort(
    message,
    class = c(paste0("maskr_error_", kind), "maskr_error"),
    arg = arg, ..., call = call, .envir = envir, parent = parent
  )
}

# What an R object is, in the few words that an error message needs.
describe <- function(x) {
  if (is.null(x)) return("NULL")
  if (is_integer64(x)) return("a vector of class integer64; as.numeric() makes numbers of it")
  if (is.data.frame(x)) return(cli::format_inline("a data frame of {nrow(x)} row{?s}"))
  if (!is.null(dim(x))) {
    kind <- if (inherits(x, "seg_image")) "image" else typeof(x)
    return(paste0("an array of type ", kind, " and size ", paste(dim(x), collapse = " x ")))
  }
  if (is.function(x)) return("a function")
  if (is.character(x) && length(x) == 1 && !is.na(x)) return(paste0("\"", x, "\""))
  if (is_numbers(x) && length(x) == 1) return(paste("the number", format(x)))
  if (is.atomic(x) && length(x) %in% 1:8) {
    values <- deparse(as.vector(x))
    if (length(values) == 1) return(values)
  }
  if (is.atomic(x)) return(paste0("a ", mode(x), " vector of length ", length(x)))
  if (is.list(x) && !is.object(x)) return(cli::format_inline("a list of length {length(x)}"))
  paste0("an object of class ", class(x)[[1]])
}

# An argument that its user left out: R's own error has no class, and no hint. The `hint` is
# interpolated in `envir`.
abort_missing <- function(arg, call, hint = NULL, envir = environment()) {
  maskr_abort("argument", c("{.arg {arg}} is missing, and has no default.", i = hint),
              arg = arg, call = call, envir = envir)
}

check_string <- function(x, null = FALSE, arg = rlang::caller_arg(x),
                         call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call)
  if (null && is.null(x)) return(x)
  if (is.character(x) && length(x) == 1 && !is.na(x) && nzchar(x)) return(unname(x))
  maskr_abort("argument", c(
    "{.arg {arg}} must be one string{if (null) ' or NULL'}, not {describe(x)}."
  ), arg = arg, call = call)
}

check_flag <- function(x, null = FALSE, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call)
  if (null && is.null(x)) return(x)
  if (is.logical(x) && length(x) == 1 && !is.na(x)) return(x)
  maskr_abort("argument", c(
    "{.arg {arg}} must be TRUE{if (null) ', FALSE or NULL' else ' or FALSE'}, not {describe(x)}."
  ), arg = arg, call = call)
}

# The `verbose` of every verb. NULL decides by itself; seg_cv() and seg_tune() give a function to
# the trainings inside them, whose progress they report.
check_verbose <- function(verbose, call = rlang::caller_env()) {
  if (!is.null(verbose) && !is.function(verbose)) check_flag(verbose, null = TRUE, call = call)
}

check_number <- function(x, min = -Inf, max = Inf, null = FALSE, arg = rlang::caller_arg(x),
                         call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call)
  if (null && is.null(x)) return(x)
  n <- plain_number(x)
  ok <- is_numbers(n) && length(n) == 1 && !is.na(n) && n >= min && n <= max
  if (ok) return(as.double(n))
  maskr_abort("argument", c(
    "{.arg {arg}} must be one number{range_words(min, max)}{if (null) ' or NULL'}.",
    x = "You supplied {describe(x)}."
  ), arg = arg, call = call)
}

# A finite number above 0.
check_positive <- function(x, max = Inf, arg = rlang::caller_arg(x),
                           call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call)
  n <- plain_number(x)
  if (is_numbers(n) && length(n) == 1 && is.finite(n) && n > 0 && n <= max) return(as.double(n))
  maskr_abort("argument", c(
    "{.arg {arg}} must be one number above 0{if (is.finite(max)) paste(' and at most', max)}.",
    x = "You supplied {describe(x)}."
  ), arg = arg, call = call)
}

# A whole number: users write 3, never 3L.
check_whole <- function(x, min = -Inf, max = Inf, null = FALSE, arg = rlang::caller_arg(x),
                        call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call)
  if (null && is.null(x)) return(x)
  n <- plain_number(x)
  whole <- is_numbers(n) && length(n) == 1 && is.finite(n) && n == round(n)
  large <- whole && abs(n) > .Machine$integer.max
  if (whole && !large && n >= min && n <= max) return(as.integer(n))
  maskr_abort("argument", c(
    "{.arg {arg}} must be one whole number{range_words(min, max)}{if (null) ' or NULL'}.",
    x = "You supplied {describe(x)}.",
    i = if (large) "R's whole numbers end at {(.Machine$integer.max)}."
  ), arg = arg, call = call)
}

range_words <- function(min, max) {
  if (is.finite(min) && is.finite(max)) return(paste0(" from ", min, " to ", max))
  if (is.finite(min)) return(paste0(" of at least ", min))
  if (is.finite(max)) return(paste0(" of at most ", max))
  ""
}

# One of `choices`; the whole vector of choices (an untouched default) means its first. `elsewhere`
# are choices by the names that other packages give them.
check_choice <- function(x, choices, arg = rlang::caller_arg(x), call = rlang::caller_env(),
                         elsewhere = NULL) {
  if (missing(x)) {
    abort_missing(arg, call, "It is one of {.or {.val {choices}}}.", environment())
  }
  if (identical(x, choices)) return(choices[[1]])
  if (is.character(x) && length(x) == 1 && x %in% choices) return(unname(x))
  maskr_abort("argument", c(
    "{.arg {arg}} must be one of {.or {.val {choices}}}, not {describe(x)}.",
    i = if (isTRUE(x %in% names(elsewhere))) "Here it is {.val {elsewhere[[x]]}}."
  ), arg = arg, call = call)
}

# Height and width in pixels; one number stands for a square.
check_size <- function(x, null = TRUE, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (null && is.null(x)) return(NULL)
  n <- plain_number(x)
  ok <- is_numbers(n) && length(n) %in% 1:2 && all(is.finite(n)) && all(n >= 1) &&
    all(n == round(n))
  if (ok) return(as.integer(check_extent(rep_len(n, 2), arg, call)))
  maskr_abort("argument", c(
    "{.arg {arg}} must be {.code c(height, width)} in whole pixels.",
    x = "You supplied {describe(x)}."
  ), arg = arg, call = call)
}

# What an image or a volume of whole lengths can hold at all, whatever the memory.
check_extent <- function(size, arg, call) {
  if (prod(size) <= .Machine$integer.max) return(size)
  maskr_abort("argument", c(
    "{.arg {arg}} asks for {paste(format(size, scientific = FALSE, trim = TRUE), collapse = ' x ')},
     which is more than an image can hold.",
    i = "Height times width (times depth) must be below 2^31."
  ), arg = arg, call = call)
}

# No argument may be left over in `...`.
check_no_dots <- function(..., call = rlang::caller_env()) {
  if (...length() == 0) return(invisible())
  given <- rlang::names2(list(...))
  if (!all(nzchar(given))) {
    maskr_abort("argument", c(
      "Arguments must be named here.",
      x = "Without a name is {describe(...elt(match('', given)))}."
    ), call = call)
  }
  known <- setdiff(names(formals(rlang::caller_fn())), "...")
  maskr_abort("argument", c(
    "There {cli::qty(given)}{?is no argument/are no arguments} {.arg {given}} here.",
    argument_hint(given[[1]], known)
  ), arg = given[[1]], call = call)
}

# What other packages call an argument that we have, and what they have as one where we don't.
names_elsewhere <- list(
  newdata = c("x", "dataset"), data = c("x", "dataset"), lr = "learning_rate",
  class_weight = "class_weights", val_data = "validation_data", valid_data = "validation_data"
)
hints_elsewhere <- c(
  validation_split = "Split the data: {.code parts <- seg_split(data)}, then
                      {.code fit(model, parts$train, validation_data = parts$valid)}.",
  learning_rate = "The learning rate is set by {.fn compile}.",
  optimizer = "The optimizer is set by {.fn compile}.",
  loss = "The loss is set by {.fn compile}.",
  metrics = "The metrics are set by {.fn compile}.",
  class_weights = "Classes are weighted by {.code fit(class_weights = )} or a {.fn seg_loss}.",
  shuffle = "{.fn seg_dataset} has {.arg shuffle}."
)

# What was meant by the argument `given`, among the `known` ones or elsewhere.
argument_hint <- function(given, known) {
  ours <- if (given %in% names(names_elsewhere)) names_elsewhere[[given]] else given
  near <- known[utils::adist(given, known) <= max(1, nchar(given) / 5)]
  meant <- c(intersect(ours, known), near)
  if (length(meant) > 0) return(c(i = paste0("Did you mean {.arg ", meant[[1]], "}?")))
  if (any(ours %in% names(hints_elsewhere))) c(i = hints_elsewhere[[ours]])
}

# The arguments of what was chosen by `name`, such as a loss. `known` holds a check for each, a
# function of its value, `arg` and `call`; NULL is "not given".
check_arguments <- function(arguments, known, what, name, call = rlang::caller_env()) {
  given <- rlang::names2(arguments)
  if (!all(nzchar(given))) {
    maskr_abort("argument", "The arguments of a {what} must be named.", call = call)
  }
  unknown <- setdiff(given, names(known))
  if (length(unknown) > 0) {
    maskr_abort("argument", c(
      "The {what} {.val {name}} has no argument {.arg {unknown}}.",
      i = if (length(known) > 0) "It has {.arg {names(known)}}." else "It has none."
    ), arg = unknown[[1]], call = call)
  }
  if (anyDuplicated(given)) {
    twice <- given[anyDuplicated(given)]
    maskr_abort("argument", "{.arg {twice}} is given twice.", arg = twice, call = call)
  }
  arguments <- Filter(Negate(is.null), arguments)
  Map(function(value, arg) known[[arg]](value, arg = arg, call = call), arguments,
      names(arguments))
}

# Files that must exist. `~` is expanded; the paths come back as they will be opened.
check_paths <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call)
  if (identical(x, character())) {
    maskr_abort("argument", c(
      "{.arg {arg}} holds no file.",
      i = "Did {.fn list.files} find any, with {.code full.names = TRUE}?"
    ), arg = arg, call = call)
  }
  if (!is.character(x) || length(x) == 0 || anyNA(x)) {
    maskr_abort("argument", "{.arg {arg}} must be file paths, not {describe(x)}.",
                arg = arg, call = call)
  }
  x <- path.expand(x)
  missing <- x[!file.exists(x)]
  if (length(missing) > 0) {
    maskr_abort("file", c(
      "{.arg {arg}} names {cli::qty(length(missing))}{?a file that does/files that do} not exist.",
      x = "{.path {utils::head(missing, 3)}}{if (length(missing) > 3) ', ...'}",
      i = "The working directory is {.path {getwd()}}."
    ), arg = arg, call = call)
  }
  if (any(dir.exists(x))) {
    maskr_abort("file", c(
      "{.arg {arg}} names a folder, and a file is needed: {.path {x[dir.exists(x)][[1]]}}.",
      i = "Its files are {.code list.files(folder, full.names = TRUE)}."
    ), arg = arg, call = call)
  }
  x
}

# A file or folder that must exist.
check_existing <- function(path, arg = rlang::caller_arg(path), call = rlang::caller_env()) {
  if (missing(path)) abort_missing(arg, call)
  force(arg)
  path <- path.expand(check_string(path, arg = arg, call = call))
  if (file.exists(path)) return(path)
  maskr_abort("file", c(
    "{.arg {arg}} must be a file or folder that exists, not {.path {path}}.",
    i = "The working directory is {.path {getwd()}}."
  ), arg = arg, call = call)
}

# A folder that must exist.
check_folder <- function(x, null = FALSE, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call)
  force(arg)
  if (null && is.null(x)) return(NULL)
  x <- check_existing(x, arg = arg, call = call)
  if (dir.exists(x)) return(x)
  maskr_abort("file", "{.arg {arg}} must be a folder, and {.path {x}} is a file.", arg = arg,
              call = call)
}

# A file or folder to be written, whose own folder must exist.
check_new_path <- function(path, arg = "path", call = rlang::caller_env()) {
  if (missing(path)) abort_missing(arg, call)
  path <- path.expand(check_string(path, arg = arg, call = call))
  if (dir.exists(dirname(path))) return(path)
  maskr_abort("file", c(
    "{.arg {arg}} must be in a folder that exists, and {.path {dirname(path)}} does not."
  ), arg = arg, call = call)
}

# Classes: a named vector of distinct whole class ids, such as c(background = 0, nucleus = 1).
check_classes <- function(x, min = 1, null = TRUE, arg = "classes", call = rlang::caller_env()) {
  if (missing(x)) abort_missing(arg, call, "For example, write c(background = 0, nucleus = 1).")
  if (null && is.null(x)) return(NULL)
  x <- plain_number(x)
  hint <- c(i = "For example, write {.code {arg} = c(background = 0, nucleus = 1)}.")
  if (!is_numbers(x) || is.null(names(x)) || anyNA(x) || any(x != round(x)) || any(x < 0)) {
    maskr_abort("argument", c(
      "{.arg {arg}} must be a named vector of class ids (whole numbers from 0 up).",
      x = "You supplied {describe(x)}{if (is.null(names(x))) ' without names'}.", hint
    ), arg = arg, call = call)
  }
  if (anyDuplicated(x) || anyDuplicated(names(x)) || !all(nzchar(names(x)))) {
    maskr_abort("argument", c(
      "{.arg {arg}} must give each class one name and one id of its own.",
      x = "You supplied {.code {deparse(x, width.cutoff = 80)[[1]]}}.", hint
    ), arg = arg, call = call)
  }
  if (length(x) < min) {
    maskr_abort("argument", c(
      "{.arg {arg}} must hold at least {min} classes, not {length(x)}.", hint
    ), arg = arg, call = call)
  }
  stats::setNames(as.integer(x), names(x))
}
