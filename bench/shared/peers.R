# Peers run in a Python process of their own: inside R they would not be what their users have.

# A process for the functions of bench/shared/<module>.py:
#   $time("f", x)  seconds of f(x), for alternate()
#   $ask("f", x)   its value
#   $make("F", x)  an object, whose methods are then called before the module's functions
peer <- function(module) {
  process <- processx::process$new(
    reticulate::py_exe(), c("bench/shared/worker.py", module), stdin = "|", stdout = "|",
    stderr = "", env = plain_environment(), cleanup = TRUE
  )
  stopifnot(answer_of(process) == "ready")
  call <- function(what, name, arguments, keep = "") {
    given <- pickled(arguments)
    on.exit(unlink(given))
    process$write_input(paste0(paste(what, name, given, keep, sep = "\t"), "\n"))
    answer <- answer_of(process)
    if (answer == "failed") stop(module, ".", name, " failed in Python", call. = FALSE)
    seconds <- as.numeric(strsplit(answer, " ")[[1]])
    structure(seconds, names = c("elapsed", "cpu"), class = "seconds")
  }
  list(
    time = function(name, ...) call("call", name, list(...)),
    make = function(name, ...) invisible(call("make", name, list(...))),
    ask = function(name, ...) {
      kept <- tempfile(fileext = ".pickle")
      on.exit(unlink(kept))
      call("call", name, list(...), kept)
      reticulate::py_load_object(kept)
    },
    pid = process$get_pid,
    close = function() invisible(process$kill())
  )
}

answer_of <- function(process) {
  repeat {
    process$poll_io(-1)
    line <- process$read_output_lines(1)
    if (length(line) > 0) return(line)
    if (!process$is_alive()) stop("the peers' Python process has ended", call. = FALSE)
  }
}

# R arrays become numpy's, as they do on any way into Python.
pickled <- function(arguments) {
  file <- tempfile(fileext = ".pickle")
  reticulate::py_save_object(reticulate::r_to_py(arguments), file)
  file
}

# Without the folders that R puts before the system's, and with maskr's Python module.
plain_environment <- function() {
  folders <- strsplit(Sys.getenv("LD_LIBRARY_PATH"), ":", fixed = TRUE)[[1]]
  own <- folders[!startsWith(folders, R.home()) & !grepl("^/(usr/)?lib(64)?(/|$)", folders)]
  python <- system.file("python", package = "maskr")
  c("current", LD_LIBRARY_PATH = paste(own, collapse = ":"), PYTHONPATH = python,
    KERAS_BACKEND = "torch")
}

# The peak of a process's resident memory in MiB.
peak_of <- function(pid) {
  status <- grep("VmHWM", readLines(file.path("/proc", pid, "status")), value = TRUE)
  as.numeric(gsub("[^0-9]", "", status)) / 1024
}

# The process of a peer that trains or runs the same network.
peer_of <- function(module, model) {
  file <- tempfile(fileext = ".keras")
  seg_save(model, file)
  process <- peer(module)
  process$make("Network", file)
  process
}
