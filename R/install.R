# Making the Python that maskr runs on, and a report on the one that is there.

#' Install the Python packages that maskr needs
#'
#' Makes a virtualenv, or brings an existing one up to date, with the packages of
#' [seg_requirements()]. maskr finds the default one, `r-maskr`, by itself in the next R session.
#' Without it nothing is lost: reticulate then prepares a temporary environment at first use.
#' Torch is large: expect several gigabytes, and minutes.
#'
#' To bring an environment of your own, install [seg_requirements()] into it and name its Python in
#' the environment variable `RETICULATE_PYTHON`, or pass its folder as `envname`.
#'
#' @param envname Name of a virtualenv in [reticulate::virtualenv_root()], or a path (with a slash)
#'   to its folder, which is made if it doesn't exist.
#' @param python Path to, or name of, the Python (3.10 or newer) that a new virtualenv is made from;
#'   `NULL` takes the one on the `PATH` if it is fit, else any that
#'   [reticulate::virtualenv_starter()] knows. An existing virtualenv keeps its own.
#' @param extras Names of optional groups, see [seg_requirements()]: `"yolo"` adds ultralytics,
#'   which is under the AGPL-3.0, `"volumes"` what reads NIfTI and DICOM, `"raster"` what undoes
#'   further compressions of TIFF, `"export"` what writes ONNX.
#' @param packages Further pip requirements, such as `"scikit-learn>=1.5"`, resolved together with
#'   maskr's own.
#' @return The absolute path of the virtualenv, invisibly.
#'
#'   A `maskr_error_missing` is raised where no fit Python or no `venv` module is found, and where
#'   pip fails (with its last lines); a `maskr_error_backend` where the torch and torchvision that
#'   pip chose don't work together.
#' @concept setup
#' @seealso [seg_sitrep()]
#' @export
#' @examplesIf interactive()
#' seg_install()
#' seg_install("~/environments/maskr", extras = c("yolo", "volumes"))
seg_install <- function(envname = "r-maskr", python = NULL, extras = NULL, packages = NULL) {
  path <- virtualenv_path(check_string(envname))
  python <- check_string(python, null = TRUE)
  requirements <- c(seg_requirements(extras), check_requirements(packages))
  is_new <- !reticulate::virtualenv_exists(path)
  if (is_new) {
    python <- fit_python(python)
    create_virtualenv(path, python)
  } else {
    check_virtualenv(path)
  }
  run_pip(reticulate::virtualenv_python(path), requirements)
  check_torch_pair(path)
  cli::cli_inform(c(
    v = "{if (is_new) 'Installed' else 'Updated'} {.path {path}}.",
    i = next_step(path)
  ))
  invisible(path)
}

virtualenv_path <- function(envname) {
  is_path <- grepl("[/\\\\]", envname)
  path <- if (is_path) envname else file.path(reticulate::virtualenv_root(), envname)
  normalizePath(path, winslash = "/", mustWork = FALSE)
}

check_requirements <- function(packages, call = rlang::caller_env()) {
  if (is.null(packages)) return(NULL)
  if (is.character(packages) && !anyNA(packages) && all(nzchar(packages))) return(packages)
  maskr_abort("argument", c(
    "{.arg packages} must be pip requirements such as {.val scikit-learn>=1.5}.",
    x = "You supplied {describe(packages)}."
  ), arg = "packages", call = call)
}

create_virtualenv <- function(path, python, call = rlang::caller_env()) {
  if (length(list.files(path, all.files = TRUE, no.. = TRUE)) > 0) {
    maskr_abort("argument", c(
      "{.arg envname} must name a virtualenv or a new folder.",
      x = "{.path {path}} holds other files."
    ), arg = "envname", call = call)
  }
  cli::cli_inform(c(i = "Making {.path {path}} with {.path {python}}."))
  result <- run_quietly(python, c("-m", "venv", path))
  if (result$status != 0) {
    unlink(path, recursive = TRUE)
    maskr_abort("missing", c(
      "{.path {python}} could not make a virtualenv in {.path {path}}.",
      as_bullets(result$output)
    ), call = call)
  }
}

check_virtualenv <- function(path, call = rlang::caller_env()) {
  problem <- python_problem(report_on_python(reticulate::virtualenv_python(path)))
  if (is.null(problem)) return(invisible())
  maskr_abort("missing", c(
    "The virtualenv {.path {path}} cannot be used.",
    x = "Its Python {problem}.",
    i = "Delete the folder, then call {.run maskr::seg_install()} again."
  ), call = call)
}

# A Python that can make the virtualenv: the user's choice, or the first fit one.
fit_python <- function(python, call = rlang::caller_env()) {
  candidates <- python %||% python_candidates()
  reasons <- character()
  for (candidate in candidates) {
    problem <- python_problem(report_on_python(candidate), new = TRUE)
    if (is.null(problem)) return(candidate)
    reasons <- c(reasons, x = paste0("{.path ", verbatim(candidate), "} ", verbatim(problem), "."))
  }
  maskr_abort("missing", c(
    if (is.null(python)) "No fit Python was found on this machine." else "This Python is not fit.",
    utils::head(reasons, 3),
    i = "maskr needs Python 3.10 or newer; name one as {.code seg_install(python = )}."
  ), arg = if (!is.null(python)) "python", call = call)
}

python_candidates <- function() {
  on_path <- Sys.which(c("python3", "python"))
  starters <- reticulate::virtualenv_starter(version = ">=3.10", all = TRUE)$path
  unique(c(on_path[nzchar(on_path)], starters))
}

# Why a Python is not fit, as the end of a sentence; NULL if it is.
python_problem <- function(report, new = FALSE) {
  version <- fact(report, "version")
  if (is.null(version)) return("does not run")
  if (package_version(sub("[^0-9.].*", "", version)) < "3.10") {
    return(paste("is Python", version, "and maskr needs 3.10 or newer"))
  }
  short <- sub("^([0-9]+\\.[0-9]+).*", "\\1", version)
  if (fact(report, "shared") == "no") {
    return(paste0("has no shared library, so R cannot embed it (on Debian and Ubuntu: ",
                  "sudo apt-get install libpython", short, ")"))
  }
  if (new && fact(report, "venv") == "no") {
    return("lacks the venv module (on Debian and Ubuntu: sudo apt-get install python3-venv)")
  }
  NULL
}

run_pip <- function(python, requirements, call = rlang::caller_env()) {
  file <- tempfile(fileext = ".txt")
  log <- tempfile(fileext = ".log")
  on.exit(unlink(c(file, log)))
  writeLines(requirements, file)
  cli::cli_inform(c(i = "Installing {length(requirements)} packages and what they need."))
  arguments <- c("-m", "pip", "install", "--log", log, "-r", file)
  # pip's own output goes straight to the user: this takes minutes.
  status <- suppressWarnings(
    system2(python, quote_arguments(arguments), env = python_environment())
  )
  if (status == 0) return(invisible())
  maskr_abort("missing", c(
    "pip could not install the packages that maskr needs into {.path {python}}.",
    pip_errors(if (file.exists(log)) readLines(log, warn = FALSE))
  ), call = call)
}

# What pip's log says went wrong, as bullets: its errors, or else its last lines.
pip_errors <- function(log) {
  lines <- trimws(sub("^[0-9T:,-]+ ", "", log))
  errors <- grep("^ERROR: (?!Ignored)", lines, value = TRUE, perl = TRUE)
  as_bullets(if (length(errors) > 0) errors else lines)
}

check_torch_pair <- function(path, call = rlang::caller_env()) {
  problems <- load_problems(report_on_python(reticulate::virtualenv_python(path), python_core))
  problems <- problems[names(problems) %in% c("torch", "torchvision")]
  if (length(problems) == 0) return(invisible())
  maskr_abort("backend", c(
    "The torch that pip installed in {.path {path}} does not work.",
    stats::setNames(verbatim(unname(problems)), rep("x", length(problems))),
    i = "Look whether pip's configuration offers other builds of torch than torchvision's."
  ), call = call)
}

next_step <- function(path) {
  if (path == normalizePath(own_virtualenv(), winslash = "/", mustWork = FALSE)) {
    return("Restart R; maskr then finds it by itself.")
  }
  line <- paste0("RETICULATE_PYTHON=", verbatim(reticulate::virtualenv_python(path)))
  paste0("Put {.code ", line, "} into your {.file ~/.Renviron}, then restart R.")
}

#' A report on maskr's Python
#'
#' Says which rule chose the Python, which versions are there, what is missing and the line that
#' mends it, which devices there are and why there is no GPU, and whether torch loads. The looking
#' is done in a process of its own, so that a broken torch can't crash R, and Python isn't started
#' in this session. It takes as long as importing torch, some seconds.
#'
#' Where torch is loaded in this session already (after a [predict()], say), the report also tells
#' how fast it multiplies matrices here and in a process without R, and what to do if that is more
#' than twice as fast: on Linux R's BLAS, which often is slow, computes for a torch that was loaded
#' before maskr.
#'
#' @return A list of class `seg_sitrep`, which prints as a report: `r` (named versions), `rule`,
#'   `python` (path, or `NULL`), `version`, `running` (in this session), `requirements` (data frame:
#'   requirement, package, version, state, optional), `devices` (data frame: device, name), `no_gpu`
#'   (why, or `NULL`), `gflops` (speed of a product of 512 x 512 matrices by one thread, in units
#'   of 1e9 operations a second: `session`, `NA` where torch is not loaded, and `alone`, in a
#'   process of Python alone), `problems` (data frame: problem, mend).
#' @concept setup
#' @seealso [seg_install()], [seg_device()], [seg_available()]
#' @export
#' @examples
#' seg_sitrep()
seg_sitrep <- function() {
  choice <- chosen_python()
  wanted <- seg_requirements(names(python_extras))
  report <- if (!is.null(choice$python)) report_on_python(choice$python, wanted)
  requirements <- installed_requirements(report)
  speed <- measured_speed(choice, report)
  structure(list(
    r = r_versions(),
    rule = choice$rule,
    python = choice$python,
    version = fact(report, "version"),
    running = choice$running,
    requirements = requirements,
    devices = facts(report, "device", c("device", "name")),
    no_gpu = fact(report, "no_gpu"),
    gflops = speed$gflops,
    problems = rbind(find_problems(choice, report, requirements), speed_problems(speed))
  ), class = "seg_sitrep")
}

r_versions <- function() {
  packages <- c("maskr", "reticulate", "keras3")
  packages <- packages[nzchar(vapply(packages, function(p) system.file(package = p), ""))]
  versions <- vapply(packages, function(p) format(utils::packageVersion(p)), "")
  c(R = format(getRversion()), versions)
}

# Which Python reticulate runs or would run, by which rule; without starting or downloading one.
chosen_python <- function() {
  running <- reticulate::py_available(initialize = FALSE)
  config <- tryCatch(
    if (running) reticulate::py_config() else reticulate::py_discover_config(),
    error = function(e) e
  )
  if (inherits(config, "error")) {
    return(list(rule = conditionMessage(config), running = FALSE, failed = TRUE))
  }
  if (is.null(config)) {
    return(list(rule = "reticulate's temporary environment (py_require)", running = FALSE))
  }
  list(rule = rule_words(config), python = config$python, running = running)
}

rule_words <- function(config) {
  folder <- dirname(dirname(config$python))
  if (identical(config$forced, "use_python(, required = FALSE)")) {
    if (same_folder(folder, own_virtualenv())) return("the virtualenv r-maskr of seg_install()")
    return("use_python() or use_virtualenv(), as a preference")
  }
  if (identical(config$forced, "py_require()")) {
    return("reticulate's temporary environment (py_require)")
  }
  if (!is.null(config$forced)) return(config$forced)
  if (basename(folder) == "r-reticulate") return("the virtualenv r-reticulate")
  "the first Python on the PATH"
}

same_folder <- function(a, b) {
  normalizePath(a, mustWork = FALSE) == normalizePath(b, mustWork = FALSE)
}

installed_requirements <- function(report) {
  all <- facts(report, "requirement", c("requirement", "package", "version", "state"))
  all$optional <- !all$requirement %in% python_core
  all
}

# Each problem with the one line that mends it.
find_problems <- function(choice, report, requirements) {
  mend <- install_line(choice$python, fact(report, "virtualenv"))
  found <- c(
    session_problems(choice, report, mend),
    package_problems(requirements, mend),
    import_problems(report, mend)
  )
  problem_table(found)
}

# Of mending lines that are named by their problem.
problem_table <- function(found) {
  data.frame(
    problem = as.character(names(found)), mend = as.character(unname(found)),
    stringsAsFactors = FALSE
  )
}

# These three give a vector of mending lines, named by problem.
session_problems <- function(choice, report, mend) {
  found <- character()
  if (isNamespaceLoaded("torch")) {
    found[["R's torch is loaded and cannot share a session with Python's"]] <-
      "restart R and do not load torch"
  }
  if (isTRUE(choice$failed)) {
    found[["The Python that was chosen does not exist"]] <-
      "Sys.unsetenv(c(\"RETICULATE_PYTHON\", \"RETICULATE_PYTHON_ENV\"))"
  } else if (is.null(choice$python)) {
    found[["There is no lasting Python for maskr; one is downloaded at first use"]] <- mend
  } else {
    problem <- python_problem(report)
    if (!is.null(problem)) found[[paste("The chosen Python", problem)]] <- "maskr::seg_install()"
  }
  found
}

package_problems <- function(requirements, mend) {
  core <- requirements[!requirements$optional & requirements$state != "ok", ]
  if (nrow(core) == 0) return(character())
  missing <- core$package[core$state == "missing"]
  other <- core[core$state == "other", ]
  parts <- c(
    if (length(missing) > 0) paste("missing:", paste(missing, collapse = ", ")),
    if (nrow(other) > 0) {
      paste("unfit:", paste0(other$package, " ", other$version, " (maskr needs ",
                             other$requirement, ")", collapse = ", "))
    }
  )
  stats::setNames(mend, paste("Python packages", paste(parts, collapse = "; ")))
}

import_problems <- function(report, mend) {
  problems <- load_problems(report)
  libraries <- c("libGL.so" = "libgl1", "libgthread" = "libglib2.0-0", "libglib" = "libglib2.0-0")
  mends <- vapply(problems, function(problem) {
    package <- libraries[vapply(names(libraries), grepl, NA, x = problem, fixed = TRUE)]
    if (length(package) > 0) paste("sudo apt-get install", package[[1]]) else mend
  }, "")
  stats::setNames(as.character(mends), problems)
}

# What doesn't load, named by Python package.
load_problems <- function(report) {
  found <- character()
  for (package in c("cv2", "torch", "torchvision")) {
    states <- Filter(function(line) line[[1]] == package, report)
    if (length(states) == 0) next
    last <- states[[length(states)]]
    if (last[[2]] == "error") found[[package]] <- paste0(package, " does not load: ", last[[3]])
    if (last[[2]] == "loading") found[[package]] <- paste(package, "crashes Python when it loads")
  }
  found
}

# Billions of operations a second: in this session if torch is loaded, in the report's process.
measured_speed <- function(choice, report) {
  # a Python that is too old is a problem that is told elsewhere
  here <- if (choice$running) tryCatch(python_file("blas")$speed(), error = function(e) NULL)
  alone <- fact(report, "gflops")
  list(
    gflops = c(session = here$gflops %||% NA_real_, alone = as.numeric(alone %||% NA)),
    replaced = isTRUE(here$replaced)
  )
}

speed_problems <- function(speed) {
  slow <- isTRUE(speed$gflops[["alone"]] > 2 * speed$gflops[["session"]])
  mend <- if (speed$replaced) {
    "start R without LD_PRELOAD, or without what replaces the allocator of memory"
  } else {
    "restart R, and call library(maskr) before anything uses Python"
  }
  problem_table(c("R's BLAS slows torch down in this session" = mend)[slow])
}

install_line <- function(python, is_virtualenv) {
  if (is.null(python) || is.null(is_virtualenv)) return("maskr::seg_install()")
  folder <- dirname(dirname(python))
  if (same_folder(folder, own_virtualenv())) return("maskr::seg_install()")
  if (is_virtualenv == "yes") return(paste0("maskr::seg_install(\"", folder, "\")"))
  file <- system.file("python", "requirements.txt", package = "maskr")
  paste0("\"", python, "\" -m pip install -r \"", file, "\"")
}

#' @export
format.seg_sitrep <- function(x, ...) {
  cli::cli_format_method({
    cli::cli_rule(left = "maskr on this machine")
    cli::cli_text("{paste(names(x$r), x$r, collapse = ', ')}")
    cli::cli_text("Python: {x$version %||% 'none yet'}{if (x$running) ' (running)'}, {x$rule}")
    if (!is.null(x$python)) cli::cli_text("{.path {x$python}}")
    list_packages(x$requirements)
    list_devices(x)
    list_speed(x$gflops)
    list_problems(x$problems)
  })
}

list_packages <- function(requirements) {
  if (nrow(requirements) == 0) return(invisible())
  marks <- c(ok = "v", missing = "x", other = "!")[requirements$state]
  marks[requirements$optional & requirements$state == "missing"] <- " "
  version <- ifelse(nzchar(requirements$version), requirements$version, "not installed")
  wanted <- ifelse(requirements$state == "other", paste0(" (", requirements$requirement, ")"), "")
  optional <- ifelse(requirements$optional, ", optional", "")
  lines <- paste0(requirements$package, " ", version, wanted, optional)
  cli::cli_bullets(stats::setNames(verbatim(lines), marks))
}

list_devices <- function(x) {
  if (nrow(x$devices) > 0) {
    cli::cli_text("Devices: {paste0(x$devices$device, ' (', x$devices$name, ')', collapse = ', ')}")
  }
  if (!is.null(x$no_gpu)) cli::cli_text("No GPU: {x$no_gpu}.")
}

list_speed <- function(gflops) {
  if (anyNA(gflops)) return(invisible())
  gflops <- prettyNum(signif(gflops, 2))
  cli::cli_text("Matrix products by one thread: {gflops[['session']]} GFLOPS in this session,
                 {gflops[['alone']]} in Python alone")
}

list_problems <- function(problems) {
  if (nrow(problems) == 0) {
    cli::cli_bullets(c(v = "All that maskr needs is there, and torch loads."))
    return(invisible())
  }
  for (i in seq_len(nrow(problems))) {
    cli::cli_bullets(c(
      x = "{problems$problem[[i]]}.",
      " " = "Mend it: {.code {problems$mend[[i]]}}"
    ))
  }
}

#' @export
print.seg_sitrep <- function(x, ...) {
  cat(format(x, ...), sep = "\n")
  invisible(x)
}

# ---- other processes -----------------------------------------------------------------------------

# What maskr/sitrep.py finds in a process of its own: a list of character vectors, the first element
# of each the key. Empty if this Python doesn't run.
report_on_python <- function(python, requirements = character()) {
  script <- system.file("python", "maskr", "sitrep.py", package = "maskr")
  result <- run_quietly(python, c(script, requirements), stderr = FALSE)
  strsplit(grep("\t", result$output, value = TRUE, fixed = TRUE), "\t", fixed = TRUE)
}

# The value of the first fact of this key, or NULL.
fact <- function(report, key) {
  lines <- Filter(function(line) line[[1]] == key, report)
  if (length(lines) > 0) lines[[1]][[2]]
}

# All facts of this key as a data frame.
facts <- function(report, key, columns) {
  lines <- Filter(function(line) line[[1]] == key, report)
  cells <- lapply(seq_along(columns), function(i) vapply(lines, function(line) line[[i + 1]], ""))
  as.data.frame(stats::setNames(cells, columns), stringsAsFactors = FALSE)
}

run_quietly <- function(command, arguments, stderr = TRUE) {
  output <- tryCatch(
    suppressWarnings(system2(
      command, quote_arguments(arguments),
      stdout = TRUE, stderr = stderr, env = python_environment()
    )),
    error = function(e) structure(conditionMessage(e), status = 127)
  )
  list(output = as.character(output), status = attr(output, "status") %||% 0)
}

# R puts the system's library folders in front, where a Python from elsewhere would find the
# system's libpython of another patch version instead of its own.
python_environment <- function() {
  folders <- strsplit(Sys.getenv("LD_LIBRARY_PATH"), ":", fixed = TRUE)[[1]]
  if (length(folders) == 0) return(character())
  own <- folders[!startsWith(folders, R.home()) & !grepl("^/(usr/)?lib(64)?(/|$)", folders)]
  paste0("LD_LIBRARY_PATH=", shQuote(paste(own, collapse = ":")))
}

quote_arguments <- function(arguments) {
  shQuote(arguments, type = if (.Platform$OS.type == "windows") "cmd" else "sh")
}

# The last few lines of another program's output.
as_bullets <- function(lines, n = 5) {
  lines <- utils::tail(lines[nzchar(lines)], n)
  stats::setNames(verbatim(as.character(cli::ansi_strtrim(lines, 300))), rep("x", length(lines)))
}
