# What the benchmark scripts share.

# Seconds of each expression of `...`, run in turn `runs` times after a warm-up; one column each.
alternate <- function(..., runs = 5) {
  tasks <- rlang::enquos(...)
  seconds <- function(task) system.time(rlang::eval_tidy(task))[["elapsed"]]
  for (task in tasks) seconds(task)
  t(replicate(runs, vapply(tasks, seconds, numeric(1))))
}

# Median seconds, and how many times as fast as the first column: the median of paired ratios.
report <- function(title, times, unit = "s") {
  cat("\n", title, "\n", sep = "")
  ratio <- apply(times[, 1] / times, 2, stats::median)
  median <- apply(times, 2, stats::median)
  for (name in colnames(times)) {
    cat(sprintf("  %-38s %9.3f %s   %6.2f times\n", name, median[[name]], unit, ratio[[name]]))
  }
  invisible(ratio)
}

peer <- function(name) reticulate::import_from_path(name, path = "bench/shared")
