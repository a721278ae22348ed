# Classes of several masks: matched by name, and refused where an id means two things.

# One vocabulary of the named ids in the list `all` (NULL for masks of bare ids), whose members are
# called `labels`: the ids of the first that names a class. Names that nobody chose give way.
one_vocabulary <- function(all, labels, arg, call = rlang::caller_env()) {
  made_up <- vapply(all, is_made_up, NA)
  known <- integer()
  from <- character()
  for (i in which(!made_up)) {
    new <- all[[i]][!names(all[[i]]) %in% names(known)]
    clash <- new[new %in% known]
    if (length(clash) > 0) {
      at <- match(clash[[1]], known)
      abort_two_names(clash[1], known[at], labels[[i]], from[[at]], arg, call)
    }
    known <- c(known, new)
    from <- c(from, rep(labels[[i]], length(new)))
  }
  check_bare_ids_are_clear(all, made_up, known, labels, arg, call)
  for (own in all[made_up]) {
    known <- c(known, own[!own %in% known & !names(own) %in% names(known)])
  }
  if (length(known) > 0) known
}

# Names that were made for want of better ones: numbers, and those of logical masks.
is_made_up <- function(classes) {
  all(names(classes) == as.character(classes)) ||
    identical(classes, c(background = 0L, foreground = 1L))
}

# Bare ids belong to no numbering, so there must be only one.
check_bare_ids_are_clear <- function(all, made_up, known, labels, arg, call) {
  if (!any(made_up)) return(invisible())
  for (i in which(!made_up)) {
    other <- all[[i]][all[[i]] != known[names(all[[i]])]]
    if (length(other) == 0) next
    name <- names(other)[[1]]
    maskr_abort("data", c(
      "The masks number their classes differently, and {.arg {labels[which(made_up)[[1]]]}} holds
       ids without names.",
      x = "{.val {name}} is {known[[name]]} in one mask and {other[[1]]} in {.arg {labels[[i]]}}.",
      i = "Make all of them masks with names, {.code seg_mask(x, classes = c(name = id))}."
    ), arg = arg, call = call)
  }
}

abort_two_names <- function(own, known, label, other, arg, call) {
  maskr_abort("data", c(
    "The masks disagree about the name of class {own}: {.or {.val {names(c(known, own))}}}.",
    x = "It is {.val {names(known)}} in {.arg {other}} and {.val {names(own)}} in {.arg {label}}.",
    i = "Masks are matched by the names of their classes. Name what is the same alike:
         {.code as_seg_mask(x, classes = c({names(known)} = {known}, ...))}.",
    i = if (arg == "classes") "If all ids mean the same, say so by {.arg classes}."
  ), arg = arg, call = call)
}

# The ids in `classes` of a mask's `own` classes, matched by name; NA for names that `classes`
# lacks. Names that nobody chose mean their ids; with `rename`, so do those that `classes` lacks.
ids_by_name <- function(own, classes, rename = FALSE) {
  ids <- unname(classes[names(own)])
  bare <- is.na(ids) & (rename | is_made_up(own))
  ids[bare] <- own[bare]
  ids
}

# Are a mask's ids those of `classes`, or without names?
keeps_its_ids <- function(x, classes) {
  own <- attr(x, "classes")
  is.null(own) || is.null(classes) || identical(own, classes) ||
    identical(ids_by_name(own, classes), unname(own))
}

# The bare ids of a mask, as `classes` has them. A class that `classes` lacks is an error where a
# pixel has it; so are two classes of the mask that would become one.
renumbered_ids <- function(x, classes, arg, rename = FALSE, call = rlang::caller_env()) {
  if (keeps_its_ids(x, classes)) return(bare_mask(x, arg = arg, call = call))
  own <- attr(x, "classes")
  x <- bare_mask(x, arg = arg, call = call)
  ids <- ids_by_name(own, classes, rename)
  doubtful <- is.na(ids) | ids %in% ids[duplicated(ids)]
  for (class in which(doubtful & !names(own) %in% names(classes))) {
    if (any(x == own[[class]], na.rm = TRUE)) abort_unknown_name(own[class], classes, arg, call)
  }
  at <- match(x, own)
  # ids without a name stay, for whoever knows the classes to complain of
  array(ifelse(is.na(at), x, ids[at]), dim(x))
}

abort_unknown_name <- function(own, classes, arg, call) {
  there <- names(classes)[match(own, classes)]
  maskr_abort("data", c(
    "{.arg {arg}} holds pixels of class {.val {names(own)}}, which the classes lack.",
    x = if (!is.na(there)) "Its id {own} means {.val {there}} there.",
    i = "The classes are {class_words(classes)}; they are matched by name.",
    i = "Name what is the same alike: {.code as_seg_mask(x, classes = )}."
  ), arg = arg, call = call)
}
