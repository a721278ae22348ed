# Progress of training, drawn by cli from events that Python reports.

# NULL (nothing is drawn) or a function of one event, see `maskr/training.py`.
# A function is taken as it is: seg_cv() and seg_tune() report the trainings inside them themselves.
progress_reporter <- function(verbose = NULL) {
  if (is.function(verbose)) return(verbose)
  if (!(verbose %||% is_talkative())) return(NULL)
  bar <- NULL
  started <- Sys.time()
  before <- 0
  function(event) {
    switch(
      event$event,
      begin = {
        started <<- Sys.time()
        before <<- event$epoch
      },
      batch = {
        if (is.null(bar)) bar <<- start_bar(event)
        status <- paste(c(epoch_words(event), metric_words(event$metrics)), collapse = " ")
        cli::cli_progress_update(set = event$batch, extra = list(status = status), id = bar)
      },
      epoch = {
        cli::cli_progress_done(id = bar)
        bar <<- NULL
        seconds <- as.numeric(difftime(Sys.time(), started, units = "secs"))
        left <- seconds / (event$epoch - before) * (event$epochs - event$epoch)
        cli::cli_inform(paste(c(
          epoch_words(event), metric_words(event$metrics),
          if (left > 0) paste0("(", format_seconds(left), " left)")
        ), collapse = " "))
      },
      end = if (!is.null(bar)) cli::cli_progress_done(id = bar)
    )
    invisible()
  }
}

# Silent in knitr documents and in tests, like keras3.
is_talkative <- function() {
  !isTRUE(getOption("knitr.in.progress")) && !identical(Sys.getenv("TESTTHAT"), "true")
}

start_bar <- function(event) {
  cli::cli_progress_bar(
    total = event$batches,
    format = paste("{cli::pb_extra$status} {cli::pb_bar}",
                   "{cli::pb_current}/{cli::pb_total} {cli::pb_eta_str}"),
    extra = list(status = epoch_words(event)),
    .envir = the, .auto_close = FALSE
  )
}

epoch_words <- function(event) paste0("Epoch ", event$epoch, "/", event$epochs)

metric_words <- function(metrics) {
  values <- vapply(metrics, function(v) formatC(v, digits = 4, format = "g"), character(1))
  paste(sub("^val_", "valid ", names(metrics)), values)
}

format_seconds <- function(seconds) {
  if (seconds < 90) return(paste0(round(seconds), " s"))
  if (seconds < 5400) return(paste0(round(seconds / 60), " min"))
  paste0(round(seconds / 3600, 1), " h")
}
