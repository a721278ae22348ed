# The parts of tools/setup that are easier said in R.
# Usage: Rscript tools/setup.R VERB [ARGUMENT...]

# What the project's own tools need beside DESCRIPTION.
developer_packages <- c("lintr (>= 3.0.0)", "roxygen2 (>= 7.2.0)")

# "cli (>= 3.6.0), generics" to a data frame of package and oldest version that will do.
parse_requirements <- function(text) {
  entries <- trimws(unlist(strsplit(text, ",")))
  entries <- entries[nzchar(entries)]
  minimum <- ifelse(grepl("(", entries, fixed = TRUE), gsub(".*>=\\s*|\\)\\s*$", "", entries), "0")
  package <- trimws(sub("\\(.*", "", entries))
  data.frame(package, minimum)[package != "R", ]
}

is_missing <- function(package, minimum) {
  installed <- suppressWarnings(utils::packageDescription(package, fields = "Version"))
  is.na(installed) || package_version(installed) < minimum
}

# Names of the packages in `text` that are missing or too old.
missing_from <- function(text) {
  wanted <- parse_requirements(text)
  gone <- mapply(is_missing, wanted$package, wanted$minimum)
  wanted$package[as.logical(gone)]
}

field <- function(description, names) {
  present <- intersect(names, colnames(description))
  description[1, present]
}

missing_packages <- function(kind) {
  description <- read.dcf("DESCRIPTION")
  needed <- field(description, c("Depends", "Imports"))
  optional <- c(field(description, "Suggests"), developer_packages)
  missing_from(switch(kind, needed = needed, optional = optional, all = c(needed, optional)))
}

# R's own list of mirrors, unless the user or the system has chosen one already.
use_mirror <- function() {
  repos <- getOption("repos")
  if (identical(repos[["CRAN"]], "@CRAN@")) {
    repos[["CRAN"]] <- utils::getCRANmirrors(local.only = TRUE)$URL[[1]]
  }
  options(repos = repos, timeout = 10)
}

cran_answers <- function() {
  use_mirror()
  tryCatch(
    nrow(utils::available.packages(filters = list())) > 0,
    error = function(e) FALSE, warning = function(w) FALSE
  )
}

from_cran <- function(packages) {
  use_mirror()
  options(timeout = 600)
  utils::install.packages(packages, lib = .libPaths()[[1]], Ncpus = 2)
}

# What a source package needs to build that is not installed.
archive_needs <- function(archive) {
  folder <- tempfile()
  utils::untar(archive, exdir = folder)
  file <- Sys.glob(c(file.path(folder, "DESCRIPTION"), file.path(folder, "*", "DESCRIPTION")))[[1]]
  missing_from(field(read.dcf(file), c("Depends", "Imports", "LinkingTo")))
}

# The virtualenv, by the package's own installer.
install_python <- function() {
  lines <- trimws(readLines("tools/requirements-dev.txt"))
  maskr::seg_install(
    Sys.getenv("MASKR_VENV"),
    extras = c("yolo", "volumes", "tensorboard", "export", "raster"),
    packages = lines[nzchar(lines) & !startsWith(lines, "#")]
  )
}

arguments <- commandArgs(trailingOnly = TRUE)
switch(arguments[[1]],
  missing = writeLines(missing_packages(arguments[[2]])),
  "cran-answers" = quit(status = if (cran_answers()) 0 else 1),
  cran = from_cran(arguments[-1]),
  "archive-needs" = writeLines(archive_needs(arguments[[2]])),
  python = install_python()
)
