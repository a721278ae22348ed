# Runs the R tests against the installed package. Usage: Rscript tools/test.R [FILTER]
# Files that build models run once more beside the methods of keras3, which change what comes from
# Python (tests/testthat/helper-keras3.R).
# Closes with "R: N passed, N failed", of both; fails if a test failed or none passed.
Sys.setenv(NOT_CRAN = "true")
# As in tests/python/conftest.py, for the two processes that test side by side.
Sys.setenv(OMP_NUM_THREADS = "1", OMP_WAIT_POLICY = "passive")

run <- function(filter, keras3) {
  # the processes that test inherit it
  Sys.setenv(MASKR_TEST_KERAS3 = if (keras3) "1" else "")
  results <- as.data.frame(testthat::test_dir(
    "tests/testthat",
    filter = filter, package = "maskr", load_package = "installed",
    reporter = testthat::SummaryReporter$new(max_reports = 100), stop_on_failure = FALSE
  ))
  c(passed = sum(results$passed), failed = sum(results$failed) + sum(results$error))
}

filter <- c(commandArgs(trailingOnly = TRUE), ".")[[1]]
files <- list.files("tests/testthat", "^test-.*\\.R$", full.names = TRUE)
builds <- vapply(files, \(file) any(grepl("seg_(unet|yolo|wrap|hub)\\(", readLines(file))), NA)
building <- grep(filter, sub("^test-(.*)\\.R$", "\\1", basename(files[builds])), value = TRUE)

counts <- run(filter, keras3 = FALSE)
if (length(building) > 0) {
  cat("\nBeside the methods of keras3:\n")
  counts <- counts + run(paste0("^(", paste(building, collapse = "|"), ")$"), keras3 = TRUE)
}
cat(sprintf("R: %d passed, %d failed\n", counts[["passed"]], counts[["failed"]]))
quit(status = if (counts[["failed"]] > 0 || counts[["passed"]] == 0) 1 else 0)
