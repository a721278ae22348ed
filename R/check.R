# Looking through datasets for what would spoil training.

#' Check datasets before training
#'
#' Reads every image and every mask once and lists what would spoil training: files that cannot be
#' read, masks that do not fit their images or their classes, and images that are in two datasets.
#' A file that cannot be read is noted, and the check goes on.
#'
#' | check | severity | what was found |
#' |---|---|---|
#' | `image`, `mask` | error | a file that cannot be read, or not as an image or mask |
#' | `size` | error | an image and a mask of different size |
#' | `class ids` | error | ids in a mask that are not classes |
#' | `values` | error | a mask in memory that holds only 0 and 255 |
#' | `class names` | error | a class id with one name here and another in an earlier dataset |
#' | `units` | error | an image of 0..255 among others of 0..1; a warning where all are so |
#' | `object numbers` | error | object numbers in place of classes; a warning without class names |
#' | `leak` | error | the same pixels in two datasets |
#' | `duplicate` | warning | the same pixels twice in a dataset; an error where the masks differ |
#' | `alike` | warning | a scaled, compressed or brightened copy; a note in one dataset |
#' | `group` | warning | a group, such as a volume's slices, that another dataset has parts of too |
#' | `ignored` | warning | a mask without a pixel that counts, or most pixels of a dataset |
#' | `absent class` | warning | a class that no pixel of a dataset has |
#' | `channels` | warning | an image with another number of channels; an error where no model fits |
#' | `odd size` | warning | an image eight times larger or smaller than the median |
#' | `parts` | warning | an object of ten or more parts, as of a mask of classes read as objects |
#' | `empty` | note | a mask that holds only background: class "background", or the first of two |
#' | `rare class` | note | a class with less than a thousandth of the pixels |
#' | `grey` | note | grey images of three channels |
#' | `sizes` | note | images of different size and no `size` for the dataset |
#'
#' Images are the same where all decoded pixels are; they are alike where the slopes of their
#' 17 x 17 thumbnails have a cosine of at least 0.95. Within a dataset that has groups,
#' such as the slices of volumes, likeness is not a finding.
#'
#' @param ... A [seg_dataset()], or what makes one: [seg_example()], [seg_annotations]. Several of
#'   them, or a named list such as [seg_split()] returns, are also searched for images that are in
#'   more than one. In methods not used.
#' @param verbose Whether to show progress; `NULL` decides by itself.
#' @param object What `seg_check()` returned.
#' @return A data frame of class `seg_check`, a row for each finding, errors first: `severity`
#'   (`"error"`, `"warning"`, `"note"`), `check` (see the table), `split` (the dataset's name),
#'   `file` (`NA` where it is about a whole dataset) and `message`. The attribute `classes` is a
#'   data frame `split, class, label, pixels, share, images`; `images` are the datasets' lengths.
#'   `summary()` counts the findings.
#' @concept data
#' @export
#' @examplesIf seg_available()
#' scenes <- seg_example("shapes", n = 6, size = c(48, 64))
#' data <- seg_dataset(scenes)
#' seg_check(train = data[1:4], valid = data[4:6])
seg_check <- function(..., verbose = NULL) {
  check_verbose(verbose)
  written <- as.list(substitute(list(...)))[-1]
  symbols <- vapply(written, \(e) if (is.symbol(e)) as.character(e) else "", "")
  datasets <- named_datasets(list(...), symbols)
  n <- lengths(datasets)
  drawn <- lapply(datasets, on_background)
  found <- py_call(
    "datasets.check", "check", as.list(names(datasets)), unname(lapply(drawn, truth_for_python)),
    unname(lapply(drawn, background_id)), counting_progress(verbose, sum(n), "Checking")
  )
  classes <- Map(checked_classes, found$classes, datasets, drawn, names(datasets))
  findings <- data.frame(lapply(found$findings, as.character))
  # ids that were merely seen are not worth a word each
  named <- classes[!vapply(datasets, \(data) is.null(data$classes), NA)]
  # parts of one group, such as a volume's slices, are alike by nature
  grouped <- names(datasets)[!vapply(datasets, \(data) is.null(data$groups), NA)]
  natural <- findings$check == "alike" & findings$severity == "note" & findings$split %in% grouped
  findings <- rbind(findings[!natural, ], contrary_names(datasets), torn_groups(datasets),
                    numbered_classes(datasets), absent_classes(named), rare_classes(named))
  findings$file[!nzchar(findings$file)] <- NA
  findings <- findings[order(match(findings$severity, severities)), ]
  rownames(findings) <- NULL
  structure(findings, classes = do.call(rbind, unname(classes)), images = n,
            class = c("seg_check", "data.frame"))
}

severities <- c("error", "warning", "note")

# The datasets with their names, or those that the caller's variables have.
named_datasets <- function(given, symbols, call = rlang::caller_env()) {
  is_list <- length(given) == 1 && is.list(given[[1]]) && !is.object(given[[1]]) &&
    !is_scenes(given[[1]])
  if (is_list) {
    given <- given[[1]]
    symbols <- rep("", length(given))
  }
  if (length(given) == 0) {
    maskr_abort("argument", "There is no dataset to check.", arg = "...", call = call)
  }
  names <- ifelse(nzchar(rlang::names2(given)), rlang::names2(given), symbols)
  numbered <- if (length(given) == 1) "data" else paste("dataset", seq_along(given))
  names <- ifelse(nzchar(names), names, numbered)
  datasets <- lapply(unname(given), counted_dataset, arg = "...", call = call)
  stats::setNames(datasets, make.unique(names, sep = " "))
}

# Objects are drawn on a background to be looked at, which detectors' classes don't have. Classes
# are matched by name, so that their ids may be others meanwhile.
on_background <- function(x) {
  has_objects <- is.list(x$targets) && !inherits(x$targets, "seg_annotations") &&
    any(vapply(x$targets, inherits, NA, "seg_instances"))
  if (has_objects && !any(is_background_name(names(x$classes)))) {
    x$classes <- c(background = 0L, stats::setNames(seq_along(x$classes), names(x$classes)))
  }
  x
}

# The class that holds nothing to be found: by its name, or the first of two.
background_id <- function(x) {
  named <- x$classes[is_background_name(names(x$classes))]
  if (length(named) > 0) return(unname(named[[1]]))
  if (length(x$classes) == 2) unname(x$classes[[1]])
}

# The table of a dataset's classes, with its own ids.
checked_classes <- function(columns, x, drawn, split) {
  table <- as.data.frame(lapply(columns, \(column) as.double(unlist(column))))
  label <- names(drawn$classes)[match(table$class, drawn$classes)] %||% as.character(table$class)
  class <- if (is.null(x$classes)) table$class else unname(x$classes[label])
  data.frame(
    split = rep(split, nrow(table)), class = as.integer(class), label = label,
    pixels = table$pixels, share = table$pixels / max(1, sum(table$pixels)),
    images = as.integer(table$images)
  )
}

# Class ids that mean something else in an earlier dataset.
contrary_names <- function(datasets) {
  named <- Filter(\(data) length(data$classes) > 0 && !is_made_up(data$classes), datasets)
  found <- lapply(seq_along(named)[-1], \(i) {
    own <- named[[i]]$classes
    lapply(seq_len(i - 1), \(j) {
      other <- named[[j]]$classes
      new <- own[!names(own) %in% names(other) & own %in% other]
      if (length(new) == 0) return(NULL)
      there <- names(other)[match(new, other)]
      data.frame(
        severity = "error", check = "class names", split = names(named)[[i]], file = "",
        message = paste0("Class id ", new, " is \"", names(new), "\", and \"", there, "\" in ",
                         names(named)[[j]], ".")
      )
    })
  })
  do.call(rbind, as.list(unlist(found, recursive = FALSE)))
}

# Groups that are in an earlier dataset too.
torn_groups <- function(datasets) {
  found <- lapply(seq_along(datasets)[-1], \(i) {
    before <- unlist(lapply(datasets[seq_len(i - 1)], \(data) unique(data$groups)))
    shared <- intersect(datasets[[i]]$groups, before)
    if (length(shared) == 0) return(NULL)
    data.frame(severity = "warning", check = "group", split = names(datasets)[[i]], file = "",
               message = paste0("Another dataset has images of the same group: ",
                                count_names(shared, "groups"), "."))
  })
  do.call(rbind, found)
}

# Classes that have their ids for names are what labels held, which may be numbers of objects.
numbered_classes <- function(datasets) {
  found <- lapply(names(datasets), \(split) {
    ids <- setdiff(datasets[[split]]$classes, 0)
    bare <- names(datasets[[split]]$classes) == datasets[[split]]$classes
    if (length(ids) < 5 || !all(bare)) return(NULL)
    data.frame(severity = "warning", check = "object numbers", split = split, file = "",
               message = paste0("Its ", length(ids), " classes have no names but their ids, up to ",
                                max(ids), ": are these numbers of objects? ",
                                "seg_data_volume(class = c(cell = 1)) makes one class of them."))
  })
  do.call(rbind, found)
}

absent_classes <- function(tables) {
  everywhere <- do.call(rbind, unname(tables))
  seen <- unique(everywhere$label[everywhere$pixels > 0])
  class_findings(tables, "warning", "absent class", function(table) {
    # a background that was only drawn for the check is no class of the dataset
    absent <- table$label[table$pixels == 0 & !is.na(table$class)]
    if (length(absent) == 0 || all(table$pixels == 0)) return(NULL)
    elsewhere <- if (length(tables) > 1) intersect(absent, seen)
    c(
      if (length(elsewhere) > 0) {
        paste0("No pixel belongs to ", count_names(elsewhere), ", which another dataset has.")
      },
      if (length(setdiff(absent, elsewhere)) > 0) {
        paste0("No pixel belongs to ", count_names(setdiff(absent, elsewhere)), ".")
      }
    )
  })
}

rare_classes <- function(tables) {
  class_findings(tables, "note", "rare class", function(table) {
    rare <- table[table$pixels > 0 & table$share < 0.001, ]
    if (nrow(rare) == 0) return(NULL)
    rare <- rare[order(rare$share), ]
    paste0("Less than a thousandth of the pixels belongs to ", count_names(rare$label),
           ". seg_class_weights() and seg_oversample() help.")
  })
}

class_findings <- function(tables, severity, check, judge) {
  found <- lapply(tables, \(table) {
    message <- judge(table)
    data.frame(severity = rep(severity, length(message)), check = rep(check, length(message)),
               split = rep(table$split[1], length(message)), file = rep("", length(message)),
               message = as.character(message))
  })
  do.call(rbind, unname(found))
}

# "cat", or "12 classes (cat, dog, cow, ...)"
count_names <- function(x, what = "classes", n = 5) {
  shown <- paste(utils::head(x, n), collapse = ", ")
  if (length(x) == 1) return(shown)
  paste0(length(x), " ", what, " (", shown, if (length(x) > n) ", ...", ")")
}

# Some rows or columns are a plain data frame: no verdict on the whole belongs to them.
#' @export
`[.seg_check` <- function(x, ...) {
  x <- as.data.frame(x)
  x[...]
}

#' @export
as.data.frame.seg_check <- function(x, ...) {
  class(x) <- "data.frame"
  attr(x, "classes") <- NULL
  attr(x, "images") <- NULL
  x
}

#' @rdname seg_check
#' @export
summary.seg_check <- function(object, ...) {
  rows <- as.data.frame(object)
  key <- paste(rows$severity, rows$check, rows$split)
  key <- factor(key, unique(key))
  out <- rows[!duplicated(key), c("severity", "check", "split")]
  out$n <- as.vector(table(key))
  rownames(out) <- NULL
  out
}

#' @export
format.seg_check <- function(x, n = 3, ...) {
  images <- attr(x, "images")
  sizes <- paste0(names(images), " (", images, ifelse(images == 1, " image", " images"), ")")
  checks <- unique(paste(x$severity, x$check))
  c(
    paste0("<seg_check> ", paste(sizes, collapse = ", ")),
    verdict_of(x$severity),
    unlist(lapply(checks, \(check) {
      rows <- as.data.frame(x)[paste(x$severity, x$check) == check, ]
      c("", format_findings(rows, n, alone = length(images) == 1))
    })),
    "", format_shares(attr(x, "classes"), names(images))
  )
}

#' @export
print.seg_check <- function(x, n = 3, ...) {
  writeLines(format(x, n = n))
  invisible(x)
}

verdict_of <- function(severity) {
  counts <- vapply(severities, \(one) sum(severity == one), 1L)
  if (sum(counts) == 0) return(paste(mark_of("good"), "Nothing was found."))
  words <- paste0(counts, " ", severities, ifelse(counts == 1, "", "s"))[counts > 0]
  verdict <- if (counts[["error"]] > 0) {
    "mend the errors before training."
  } else if (counts[["warning"]] > 0) {
    "nothing stops training, but look at the warnings."
  } else {
    "nothing stops training."
  }
  worst <- names(counts)[counts > 0][[1]]
  paste0(mark_of(worst), " ", sub(", ([^,]*)$", " and \\1", paste(words, collapse = ", ")), ": ",
         verdict)
}

mark_of <- function(severity) {
  switch(
    severity,
    error = cli::col_red(cli::symbol$cross), warning = cli::col_yellow("!"),
    note = cli::col_cyan(cli::symbol$info), good = cli::col_green(cli::symbol$tick)
  )
}

# The first findings of one check.
format_findings <- function(rows, n, alone) {
  shown <- utils::head(rows, n)
  several <- length(unique(rows$split)) > 1
  file <- basename(shown$file)
  at <- if (alone) file else ifelse(is.na(file), shown$split, paste(shown$split, file, sep = "/"))
  lines <- strwrap(paste0(ifelse(is.na(at), "", paste0(at, ": ")), shown$message),
                   width = getOption("width"), indent = 2, exdent = 4)
  more <- nrow(rows) - nrow(shown)
  counts <- table(factor(rows$split, unique(rows$split)))
  where <- if (several) paste0(" (", paste(names(counts), counts, collapse = ", "), ")")
  c(
    paste0(mark_of(rows$severity[[1]]), " ", cli::style_bold(rows$check[[1]]),
           if (nrow(rows) > 1) paste0(": ", nrow(rows), where)),
    lines,
    if (more > 0) paste0("  ... and ", more, " more")
  )
}

# Per cent of the pixels of each class, a column for each dataset.
format_shares <- function(classes, splits, n = 15) {
  labels <- unique(classes$label)
  if (length(labels) == 0) return("No mask could be read.")
  shown <- utils::head(labels, n)
  columns <- lapply(splits, \(split) {
    rows <- classes[classes$split == split, ]
    at <- match(shown, rows$label)
    share <- ifelse(is.na(at), "", formatC(100 * rows$share[at], format = "f", digits = 2))
    images <- ifelse(is.na(at), "", format(rows$images[at], big.mark = ","))
    list(c(paste(split, "%"), share), c("images", images))
  })
  columns <- lapply(unlist(columns, recursive = FALSE), format, justify = "right")
  table <- do.call(paste, c(list(format(c("class", shown))), columns, sep = "  "))
  hidden <- length(labels) - length(shown)
  c(table, if (hidden > 0) paste0("... and ", hidden, " more classes: attr(x, \"classes\")"))
}
