# Every example of the help, as somebody at the console runs it: what tests leave unsaid is said,
# what is visible is printed, and progress is drawn.

pages <- function() {
  folder <- testthat::test_path("..", "..", "man")
  if (dir.exists(folder)) tools::Rd_db(dir = dirname(folder)) else tools::Rd_db("maskr")
}

# The file of a page's examples, or NULL.
example_of <- function(page) {
  file <- tempfile(fileext = ".R")
  tools::Rd2ex(page, file)
  if (file.exists(file)) file
}

# Runs a file; its warnings and errors go on to the caller.
run_at_console <- function(file) {
  withr::local_envvar(TESTTHAT = "")
  withr::local_options(rlang_interactive = TRUE, cli.progress_show_after = 0)
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  withr::local_pdf(NULL)
  withr::local_par(ask = FALSE)
  withr::local_seed(1)
  utils::capture.output(suppressMessages(
    source(file, local = new.env(parent = globalenv()), print.eval = TRUE)
  ))
  list.files(folder)
}

skip_on_cran()

examples <- Filter(Negate(is.null), lapply(pages(), example_of))

test_that("there are examples", {
  expect_gt(length(examples), 70)
})

for (page in names(examples)) {
  test_that(paste("the examples of", page, "run"), {
    expect_no_warning(left <- run_at_console(examples[[page]]))
    expect_identical(left, character())
  })
}
