# What the benchmark scripts share.
source("bench/shared/peers.R")

# Seconds of each expression of `...`, run in turn `runs` times after a warm-up; one column each.
# What a peer has timed itself, in its own process, counts as it says. On a busy machine the `clock`
# "cpu" tells more than "elapsed" does, for what runs in one thread.
alternate <- function(..., runs = 5, clock = "elapsed") {
  tasks <- rlang::enquos(...)
  seconds <- function(task) {
    value <- NULL
    time <- system.time(value <- rlang::eval_tidy(task))
    own <- c(elapsed = time[["elapsed"]], cpu = time[["user.self"]] + time[["sys.self"]])
    unclass(if (inherits(value, "seconds")) value else own)[[clock]]
  }
  for (task in tasks) seconds(task)
  t(replicate(runs, vapply(tasks, seconds, numeric(1))))
}

# Median seconds, and how many times as fast as the first column: the median of paired ratios.
report <- function(title, times, unit = "s") {
  cat("\n", title, "\n", sep = "")
  ratio <- apply(times[, 1] / times, 2, stats::median)
  median <- apply(times, 2, stats::median)
  for (name in colnames(times)) {
    cat(sprintf("  %-38s %9.4f %s   %6.2f times\n", name, median[[name]], unit, ratio[[name]]))
  }
  invisible(ratio)
}

# Instructions of this CPU that decide how fast networks are.
cpu_flags <- function() {
  info <- if (file.exists("/proc/cpuinfo")) readLines("/proc/cpuinfo")
  flags <- strsplit(grep("^flags", info, value = TRUE)[1], " ")[[1]]
  of <- c("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "avx512_fp16")
  name <- sub(".*: ", "", grep("^model name", info, value = TRUE)[1])
  paste0(name, ", ", paste(intersect(of, flags), collapse = " "))
}
