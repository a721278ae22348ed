# A Python stand-in that prints the given facts, whatever it is asked.
fake_python <- function(..., env = parent.frame()) {
  skip_on_os("windows")
  folder <- withr::local_tempdir(.local_envir = env)
  file <- file.path(folder, "python")
  facts <- vapply(list(...), paste, "", collapse = "\\t")
  writeLines(c("#!/bin/sh", paste0("printf '", facts, "\\n'")), file)
  Sys.chmod(file, "755")
  file
}

fit_facts <- list(
  c("version", "3.11.2"), c("virtualenv", "yes"), c("shared", "yes"), c("venv", "yes")
)

requirement_fact <- function(requirement, version, state) {
  c("requirement", requirement, sub("[^A-Za-z-].*", "", requirement), version, state)
}

# ---- one list of requirements --------------------------------------------------------------------

test_that("the requirements file holds what seg_requirements() holds", {
  lines <- readLines(system.file("python", "requirements.txt", package = "maskr"))
  expect_identical(lines[!startsWith(lines, "#")], seg_requirements())
})

test_that("every requirement is a range with a comma, which keras3 leaves alone", {
  expect_match(seg_requirements(names(python_extras)), "^[a-z-]+>=[0-9.]+,<[0-9]+$")
  expect_named(extra_modules, names(python_extras))
})

# ---- seg_install ---------------------------------------------------------------------------------

test_that("an environment is a name below reticulate's root, or a path", {
  withr::local_envvar(WORKON_HOME = "/somewhere/envs")
  expect_identical(virtualenv_path("mine"), "/somewhere/envs/mine")
  withr::local_dir(withr::local_tempdir())
  expect_identical(virtualenv_path("./mine"), normalizePath("./mine", "/", mustWork = FALSE))
})

test_that("seg_install() checks its arguments", {
  expect_error(seg_install(3), class = "maskr_error_argument")
  expect_error(seg_install(python = NA), class = "maskr_error_argument")
  expect_error(seg_install(extras = "nothing"), class = "maskr_error_argument")
  expect_error(seg_install(packages = 1), class = "maskr_error_argument")
})

test_that("seg_install() leaves a folder alone that holds other files", {
  folder <- withr::local_tempdir()
  file.create(file.path(folder, "precious"))
  python <- do.call(fake_python, fit_facts)
  error <- expect_error(seg_install(folder, python = python), class = "maskr_error_argument")
  expect_identical(error$arg, "envname")
  expect_true(file.exists(file.path(folder, "precious")))
})

test_that("an unfit Python is refused, and the error says why", {
  install_with <- function(...) {
    seg_install(file.path(tempdir(), "none", "env"), python = fake_python(...))
  }
  refused <- function(..., why) {
    error <- expect_error(install_with(...), why, class = "maskr_error_missing")
    expect_identical(error$arg, "python")
  }
  refused(c("version", "3.9.2"), why = "Python 3.9.2 and maskr needs 3.10")
  refused(c("nothing", "at all"), why = "does not run")
  refused(c("version", "3.12.1"), c("shared", "no"), why = "libpython3.12")
  refused(c("version", "3.12.1"), c("shared", "yes"), c("venv", "no"), why = "python3-venv")
})

test_that("an environment with a Python too old is refused", {
  expect_identical(
    python_problem(list(c("version", "3.8.10"))), "is Python 3.8.10 and maskr needs 3.10 or newer"
  )
  expect_null(python_problem(list(c("version", "3.13.0rc1"), c("shared", "yes"), c("venv", "no"))))
})

test_that("pip's failure is an error with pip's own words", {
  skip_if_no_python()
  withr::local_envvar(
    PIP_QUIET = "1", PIP_NO_INDEX = "1", PIP_FIND_LINKS = NA, PIP_CONFIG_FILE = nullfile()
  )
  expect_error(
    suppressMessages(run_pip(
      reticulate::py_exe(), "no-such-package-of-maskr>=7,<8"
    )),
    "No matching distribution found for no-such-package-of-maskr",
    class = "maskr_error_missing"
  )
})

test_that("errors of pip are told from its other words", {
  log <- c(
    "2026-01-01T10:00:00,000 Collecting a",
    "2026-01-01T10:00:00,000 ERROR: Ignored the following versions: 1 2 3",
    "2026-01-01T10:00:00,000 ERROR: No matching distribution found for a {b}"
  )
  expect_identical(
    pip_errors(log), c(x = "ERROR: No matching distribution found for a {{b}}")
  )
  expect_identical(pip_errors(log[1]), c(x = "Collecting a"))
})

test_that("the next step is a restart, or a line for ~/.Renviron", {
  withr::local_envvar(WORKON_HOME = withr::local_tempdir())
  expect_match(next_step(virtualenv_path("r-maskr")), "^Restart R")
})

test_that("a virtualenv that has everything is left as it is, without a network", {
  skip_if_no_python()
  folder <- dirname(dirname(reticulate::py_exe()))
  skip_if_not(reticulate::virtualenv_exists(folder), "Python is not in a virtualenv")
  withr::local_envvar(PIP_QUIET = "1", PIP_NO_INDEX = "1")
  expect_message(path <- seg_install(folder), "RETICULATE_PYTHON=")
  expect_identical(path, normalizePath(folder))
})

# ---- seg_sitrep ----------------------------------------------------------------------------------

test_that("a Python that does not run gives an empty report", {
  expect_identical(report_on_python("/no/such/python"), list())
  expect_identical(nrow(installed_requirements(list())), 0L)
})

test_that("facts are read by key", {
  report <- report_on_python(fake_python(
    c("version", "3.11.2"), c("device", "cuda:0", "A GPU"), c("device", "cpu", "2 threads")
  ))
  expect_identical(fact(report, "version"), "3.11.2")
  expect_null(fact(report, "no_gpu"))
  expect_identical(
    facts(report, "device", c("device", "name")),
    data.frame(device = c("cuda:0", "cpu"), name = c("A GPU", "2 threads"))
  )
})

test_that("a crash while loading is told from an error and from success", {
  expect_identical(load_problems(list(c("torch", "loading"), c("torch", "ok"))), character())
  expect_identical(
    load_problems(list(c("torch", "loading"))), c(torch = "torch crashes Python when it loads")
  )
  expect_identical(
    load_problems(list(c("torch", "loading"), c("torch", "error", "no libc10.so"))),
    c(torch = "torch does not load: no libc10.so")
  )
})

test_that("each problem comes with the line that mends it", {
  report <- c(fit_facts, list(
    requirement_fact("numpy>=2.0,<3", "1.26.4", "other"),
    requirement_fact("torch>=2.6,<3", "", "missing"),
    requirement_fact("scipy>=1.13,<2", "1.14.0", "ok"),
    requirement_fact("ultralytics>=8.3.200,<9", "", "missing"),
    c("cv2", "loading"), c("cv2", "error", "libGL.so.1: cannot open shared object file")
  ))
  choice <- list(rule = "RETICULATE_PYTHON", python = "/an/env/bin/python", running = FALSE)
  requirements <- installed_requirements(report)
  requirements$optional <- startsWith(requirements$package, "ultra")
  problems <- find_problems(choice, report, requirements)
  expect_identical(problems$problem, c(
    "Python packages missing: torch; unfit: numpy 1.26.4 (maskr needs numpy>=2.0,<3)",
    "cv2 does not load: libGL.so.1: cannot open shared object file"
  ))
  expect_identical(
    problems$mend, c("maskr::seg_install(\"/an/env\")", "sudo apt-get install libgl1")
  )
})

test_that("the line that mends suits the kind of environment", {
  withr::local_envvar(WORKON_HOME = "/somewhere/envs")
  expect_identical(install_line(NULL, NULL), "maskr::seg_install()")
  expect_identical(
    install_line("/somewhere/envs/r-maskr/bin/python", "yes"), "maskr::seg_install()"
  )
  expect_match(install_line("/usr/bin/python3", "no"), "^\"/usr/bin/python3\" -m pip install -r ")
})

test_that("the rule that chose the Python is said in words", {
  withr::local_envvar(WORKON_HOME = "/somewhere/envs")
  rule <- function(python, forced = NULL) rule_words(list(python = python, forced = forced))
  expect_identical(rule("/x/bin/python", "RETICULATE_PYTHON"), "RETICULATE_PYTHON")
  preferred <- "use_python(, required = FALSE)"
  expect_match(rule("/somewhere/envs/r-maskr/bin/python", preferred), "r-maskr of seg_install")
  expect_match(rule("/x/bin/python", preferred), "as a preference")
  expect_match(rule("/somewhere/envs/r-reticulate/bin/python"), "r-reticulate")
  expect_match(rule("/usr/bin/python3"), "PATH")
})

test_that("the report prints versions, devices, problems and their mending", {
  sitrep <- structure(list(
    r = c(R = "4.2.2", maskr = "0.0.1"), rule = "RETICULATE_PYTHON",
    python = "/an/env/bin/python", version = "3.11.2", running = FALSE,
    requirements = data.frame(
      requirement = c("numpy>=2.0,<3", "torch>=2.6,<3", "scipy>=1,<2", "ultralytics>=8.3.200,<9"),
      package = c("numpy", "torch", "scipy", "ultralytics"),
      version = c("1.26.4", "", "1.14.0", ""), state = c("other", "missing", "ok", "missing"),
      optional = c(FALSE, FALSE, FALSE, TRUE)
    ),
    devices = data.frame(device = "cpu", name = "2 threads"),
    no_gpu = "this build of torch is for the CPU only",
    gflops = c(session = 57.31, alone = 59.02),
    problems = data.frame(problem = "Python packages missing: torch", mend = "maskr::seg_install()")
  ), class = "seg_sitrep")
  local_reproducible_output(unicode = FALSE)
  expect_snapshot(print(sitrep))
  sitrep$problems <- sitrep$problems[0, ]
  expect_match(format(sitrep), "All that maskr needs is there", all = FALSE)
})

test_that("a session in which torch is slower than twice is a problem with its cure", {
  problem <- function(session, alone, replaced = FALSE) {
    speed_problems(list(gflops = c(session = session, alone = alone), replaced = replaced))
  }
  expect_identical(nrow(problem(30, 59)), 0L)
  expect_identical(nrow(problem(NA, 59)), 0L)
  expect_identical(nrow(problem(4, NA_real_)), 0L)
  slow <- problem(4, 57)
  expect_match(slow$problem, "R's BLAS")
  expect_match(slow$mend, "restart R, and call library(maskr)", fixed = TRUE)
  expect_match(problem(4, 57, replaced = TRUE)$mend, "LD_PRELOAD")
})

test_that("speed is measured where torch is loaded, and in Python alone", {
  skip_if_no_python()
  python_module("device")
  choice <- list(running = TRUE)
  speed <- measured_speed(choice, list(c("gflops", "57.5")))
  expect_gt(speed$gflops[["session"]], 0)
  expect_identical(speed$gflops[["alone"]], 57.5)
  nowhere <- measured_speed(list(running = FALSE), list())
  expect_identical(nowhere$gflops, c(session = NA_real_, alone = NA_real_))
})

test_that("the report finds this Python complete, and starts none in its session", {
  skip_if_no_python()
  withr::local_envvar(RETICULATE_PYTHON = reticulate::py_exe())
  code <- "x <- maskr::seg_sitrep()
    cat(x$rule, reticulate::py_available(initialize = FALSE), nrow(x$problems),
        x$devices$device[nrow(x$devices)], x$gflops[['alone']] > 0, sep = '|')"
  output <- system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code)), stdout = TRUE)
  expect_identical(utils::tail(output, 1), "RETICULATE_PYTHON|FALSE|0|cpu|TRUE")
})

test_that("a RETICULATE_PYTHON that does not exist is a problem, not an error", {
  code <- "x <- maskr::seg_sitrep(); cat(x$problems$problem, is.null(x$python), sep = '|')"
  withr::local_envvar(RETICULATE_PYTHON = "/no/such/python")
  output <- system2(
    file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code)), stdout = TRUE, stderr = FALSE
  )
  expect_identical(utils::tail(output, 1), "The Python that was chosen does not exist|TRUE")
})
