# Runs the R tests against the installed package. Usage: Rscript tools/test.R [FILTER]
# With the environment variable MASKR_TEST_KERAS3=1 they run beside the methods of keras3, which
# change what comes from Python (tests/testthat/helper-keras3.R).
# Closes with "R: N passed, N failed"; fails if a test failed or none passed.
Sys.setenv(NOT_CRAN = "true")
# As in tests/python/conftest.py, for the two processes that test side by side.
Sys.setenv(OMP_NUM_THREADS = "1", OMP_WAIT_POLICY = "passive")
filter <- c(commandArgs(trailingOnly = TRUE), list(NULL))[[1]]
results <- as.data.frame(testthat::test_dir(
  "tests/testthat",
  filter = filter, package = "maskr", load_package = "installed",
  reporter = testthat::SummaryReporter$new(max_reports = 100), stop_on_failure = FALSE
))
failed <- sum(results$failed) + sum(results$error)
passed <- sum(results$passed)
cat(sprintf("R: %d passed, %d failed\n", passed, failed))
quit(status = if (failed > 0 || passed == 0) 1 else 0)
