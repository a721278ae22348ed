# Scores in words: a table with a line for each class, and what is not of classes above it.

#' @export
print.seg_metrics <- function(x, n = 30, digits = 3, ...) {
  writeLines(format(x, n = n, digits = digits))
  invisible(x)
}

#' @export
format.seg_metrics <- function(x, n = 30, digits = 3, ...) {
  n <- check_number(n, min = 1)
  over_all <- nrow(all_images(x)) > 0
  c(
    paste0("<seg_metrics> ", metrics_words(x)),
    if (over_all) format_over_all(x, n, digits) else format_rows(x, n, digits),
    if (any(!is.na(x$lower))) interval_words(x),
    if (over_all && any(!is.na(x$image))) {
      "The scores of single images are in the rows with an image."
    }
  )
}

# The scores over all images: those of classes as a table, others beside it.
format_over_all <- function(x, n, digits) {
  rows <- placed_rows(x, digits)
  lines <- intersect(attr(x, "classes"), rows$line[!is.na(rows$class)])
  groups <- unique(rows$line[is.na(rows$class) & !is.na(rows$line)])
  hidden <- max(length(lines) - n, 0)
  lines <- utils::head(lines, n)
  lines <- if (attr(x, "kind") == "masks") c(lines, groups) else c(groups, lines)
  c(
    format_overall(rows[is.na(rows$line), ]),
    if (length(lines) > 0) format_lines(rows[!is.na(rows$line), ], lines),
    if (hidden > 0) paste0("... and ", hidden, " more classes; summary() has them all")
  )
}

# Rows as they are, for selections that have none over all images.
format_rows <- function(x, n, digits) {
  if (nrow(x) == 0) return(NULL)
  rows <- utils::head(as.data.frame(x), n)
  columns <- list(image = rows$image, metric = rows$metric, class = class_words_of(rows),
                  value = value_words(rows, digits), n = count_digits(rows$n))
  c(
    aligned_columns(columns, left = c("image", "metric", "class")),
    if (nrow(x) > n) paste0("... and ", nrow(x) - n, " more rows")
  )
}

# Names of classes, or else their ids; empty in overall rows.
class_words_of <- function(rows) {
  ifelse(is.na(rows$class), "", ifelse(is.na(rows$label), rows$class, rows$label))
}

# Lines of a table with a header, of columns of text.
aligned_columns <- function(columns, left) {
  aligned <- Map(\(name, cells) {
    format(c(name, as.character(cells)), justify = if (name %in% left) "left" else "right")
  }, names(columns), columns)
  trimws(do.call(paste, c(unname(aligned), sep = "  ")), "right")
}

count_digits <- function(n) {
  ifelse(is.na(n), "", format(n, big.mark = ",", scientific = FALSE, trim = TRUE))
}

# The rows over all images, each with the `line` and `column` of the table where it is shown; `line`
# is NA where it is shown above. `words` is the score as it is printed.
placed_rows <- function(x, digits) {
  rows <- all_images(as.data.frame(x))
  kind <- attr(x, "kind")
  rows$words <- value_words(rows, digits)
  rows$column <- rows$metric
  rows$line <- if (kind == "masks") "mean" else "all"
  if (kind == "masks") rows$column[rows$metric == "mean_iou"] <- "iou"
  if (kind == "segments") {
    part <- grepl("_(things|stuff)$", rows$metric)
    rows$column <- sub("_(things|stuff)$", "", rows$metric)
    rows$line[part] <- sub(".*_", "", rows$metric[part])
  }
  of_class <- !is.na(rows$class)
  rows$line[of_class] <- rows$class[of_class]
  rows$line[!rows$column %in% rows$column[of_class]] <- NA
  rows
}

# "0.812", with an interval "0.812 [0.780, 0.843]"; counts without decimals.
value_words <- function(rows, digits) {
  digits <- ifelse(rows$metric %in% count_scores, 0, digits)
  number <- function(x) {
    # no sign of what is rounded to 0
    x <- ifelse(is.finite(x), round(x, digits), x) + 0
    ifelse(is.na(x), "NA", sprintf("%.*f", as.integer(digits), x))
  }
  words <- number(rows$value)
  if (is.null(rows$lower)) return(words)
  sure <- !is.na(rows$lower) & !is.na(rows$upper)
  ifelse(sure, paste0(words, " [", number(rows$lower), ", ", number(rows$upper), "]"), words)
}

count_scores <- c("missed", "false", "merged", "split", "poorly_outlined")

# "3 classes, 2 images, 1,024 pixels"
metrics_words <- function(x) {
  images <- attr(x, "n_images")
  support <- attr(x, "support")
  unit <- c(masks = "pixel", objects = "true object", segments = "true segment")[[attr(x, "kind")]]
  paste(c(
    count_words(length(attr(x, "classes")), "class", "classes"),
    if (!is.null(images)) count_words(images, "image"),
    if (!is.null(support)) count_words(sum(support), unit)
  ), collapse = ", ")
}

count_words <- function(n, one, many = paste0(one, "s")) {
  paste(format(n, big.mark = ",", scientific = FALSE), if (n == 1) one else many)
}

interval_words <- function(x) {
  level <- attr(x, "level")
  paste0("[", if (is.null(level)) "" else paste0(format(100 * level), " % "),
         "intervals: images drawn anew, with replacement]")
}

# Names and scores, as many on a line as have room; average precision and recall on lines of their
# own.
format_overall <- function(rows) {
  cells <- paste(rows$metric, rows$words)
  topic <- ifelse(grepl("^a[pr]([0-9_]|$)", rows$metric), substr(rows$metric, 1, 2), "")
  lines <- character()
  for (i in seq_along(cells)) {
    last <- lines[length(lines)]
    joined <- paste(last, cells[[i]], sep = "   ")
    fits <- i > 1 && topic[[i]] == topic[[i - 1]] && nchar(joined) <= getOption("width")
    if (fits) lines[length(lines)] <- joined else lines <- c(lines, cells[[i]])
  }
  lines
}

# One row of text for each of `lines`; what is too wide for the console goes on below.
format_lines <- function(rows, lines) {
  columns <- unique(rows$column[!is.na(rows$class)])
  at <- match(paste(rep(lines, length(columns)), rep(columns, each = length(lines))),
              paste(rows$line, rows$column))
  cells <- matrix(ifelse(is.na(at), "", rows$words[at]), length(lines))
  first <- rows[match(lines, rows$line), ]
  # families count different things: what is shown is what the first column rests on
  n <- rows$n[at[seq_along(lines)]]
  body <- apply(rbind(c(columns, "n"), cbind(cells, count_digits(n))), 2, format, justify = "right")
  left <- format(c("class", lines), justify = "right")
  named <- !is.na(first$label) & first$label != first$line
  if (any(named)) left <- paste0(left, "  ", format(c("label", ifelse(named, first$label, ""))))
  widths <- nchar(body[1, ]) + 2
  last <- length(widths)
  room <- getOption("width") - nchar(left[[1]]) - widths[[last]]
  blocks <- blocks_of(widths[-last], room)
  unlist(lapply(blocks, \(block) {
    shown <- c(TRUE, rowSums(cells[, block, drop = FALSE] != "") > 0)
    if (block[[1]] == 1) block <- c(block, last)
    text <- do.call(paste, c(list(left), asplit(body[, block, drop = FALSE], 2), sep = "  "))
    trimws(text[shown], "right")
  }))
}

# Columns of these widths in blocks that fit into `room`.
blocks_of <- function(widths, room) {
  block <- integer(length(widths))
  used <- 0
  current <- 1L
  for (i in seq_along(widths)) {
    used <- used + widths[[i]]
    if (used > room && i > 1) {
      current <- current + 1L
      used <- widths[[i]]
    }
    block[[i]] <- current
  }
  unname(split(seq_along(widths), block))
}

# Used for tables of scores in other places too.
format_score <- function(x, digits) {
  formatC(ifelse(is.na(x), "NA", formatC(x, format = "f", digits = digits)), width = digits + 2)
}
