# Progress, drawn by cli from what Python reports. `frame` is the call of the verb: a bar ends with
# it, whether the verb returns, fails or is interrupted.

# NULL (nothing is drawn) or a function of one event, see `maskr/training/recorder.py`.
progress_reporter <- function(verbose = NULL, frame = rlang::caller_env()) {
  if (inherits(verbose, "maskr_reporter")) return(unclass(verbose))
  if (!shows_progress(verbose, frame)) return(NULL)
  bar <- NULL
  started <- now()
  before <- 0
  function(event) {
    switch(
      event$event,
      begin = {
        started <<- now()
        before <<- event$epoch
      },
      batch = {
        if (is.null(bar)) bar <<- start_bar(event, frame)
        status <- paste(c(epoch_words(event), metric_words(event$metrics)), collapse = " ")
        cli::cli_progress_update(set = event$batch, extra = list(status = status), id = bar)
      },
      epoch = {
        cli::cli_progress_done(id = bar)
        bar <<- NULL
        say_progress(epoch_words(event), event$metrics,
                     time_left(started, event$epoch - before, event$epochs - event$epoch))
      }
    )
    invisible()
  }
}

# A function of how many of all were done, which draws a bar; or NULL. `total` is NA where only
# Python knows it.
counting_progress <- function(verbose, total, what, frame = rlang::caller_env()) {
  if (!shows_progress(verbose, frame) || total %in% 0:1) return(NULL)
  bar <- cli::cli_progress_bar(what, total = total, auto_terminate = FALSE, .envir = frame)
  function(done, all) cli::cli_progress_update(set = done, total = all, id = bar)
}

# `report` as the `verbose` of verbs inside another one, such as the trainings of seg_cv(): they
# draw nothing themselves, and fit() hands its events to it.
inner_reporter <- function(report) structure(report, class = c("maskr_reporter", "function"))

# Whether to draw anything. Without an answer, not in knitr documents and in tests, as in keras3.
shows_progress <- function(verbose, call = rlang::caller_env()) {
  if (inherits(verbose, "maskr_reporter")) return(FALSE)
  if (is.null(verbose)) return(is_talkative())
  check_flag(verbose, call = call)
}

is_talkative <- function() {
  !isTRUE(getOption("knitr.in.progress")) && !identical(Sys.getenv("TESTTHAT"), "true")
}

start_bar <- function(event, frame) {
  cli::cli_progress_bar(
    total = event$batches,
    format = paste("{cli::pb_extra$status} {cli::pb_bar}",
                   "{cli::pb_current}/{cli::pb_total} {cli::pb_eta_str}"),
    extra = list(status = epoch_words(event)), auto_terminate = FALSE, .envir = frame
  )
}

# A line of what was done, its metrics and the seconds that are left.
say_progress <- function(done, metrics, left) {
  line <- paste(c(
    done, metric_words(metrics), if (left > 0) paste0("(", format_seconds(left), " left)")
  ), collapse = " ")
  cli::cli_inform("{line}")
}

epoch_words <- function(event) paste0("Epoch ", event$epoch, "/", event$epochs)

metric_words <- function(metrics) {
  values <- vapply(metrics, function(v) formatC(v, digits = 4, format = "g"), character(1))
  paste(sub("^val_", "valid ", names(metrics)), values)
}

# Seconds of a clock that nobody sets.
now <- function() proc.time()[["elapsed"]]

# Seconds that `todo` more will take, after `done` of the kind since `started`.
time_left <- function(started, done, todo) (now() - started) / done * todo

format_seconds <- function(seconds) {
  if (seconds < 90) return(paste0(round(seconds), " s"))
  if (seconds < 5400) return(paste0(round(seconds / 60), " min"))
  paste0(round(seconds / 3600, 1), " h")
}
