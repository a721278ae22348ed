test_that("the device can be asked for and set", {
  skip_if_no_python()
  withr::defer(seg_device("auto"))
  expect_equal(seg_device("cpu"), "cpu")
  expect_equal(seg_device(), "cpu")
  expect_snapshot(error = TRUE, {
    seg_device("gpu")
    seg_device(1)
  })
  expect_error(seg_device("cuda:99"), class = "maskr_error_device")
})

# As if the CPU had these flags, and nothing had been said of its speed.
local_cpu_flags <- function(..., env = parent.frame()) {
  device <- python_module("device")
  old <- list(flags = reticulate::py_get_attr(device, "_cpu_flags"), said = the$said_slow_precision)
  withr::defer({
    reticulate::py_set_attr(device, "_cpu_flags", old$flags)
    the$said_slow_precision <- old$said
    seg_device("auto")
  }, envir = env)
  flags <- list(...)
  reticulate::py_set_attr(device, "_cpu_flags", function() flags)
  the$said_slow_precision <- NULL
  seg_device("cpu")
}

test_that("a precision that this CPU computes in slowly is said once, before the work", {
  skip_if_no_python()
  scenes <- seg_example("nuclei", n = 2, size = c(32, 48), seed = 1)
  model <- seg_unet(1, scenes$classes, init_features = 2)
  slow <- "maskr_message_slow"
  use <- list(
    function(...) predict(model, scenes$images[[1]], ...),
    function(...) seg_evaluate(model, scenes, ...),
    function(...) fit(model, scenes, epochs = 1, verbose = FALSE, ...),
    # whether the loss falls is beside the point
    function(...) {
      tryCatch(seg_lr_find(model, scenes, steps = 25, verbose = FALSE, ...),
               maskr_error = identity, warning = identity)
    }
  )
  local_cpu_flags("avx2", "fma")
  for (verb in use) {
    expect_no_message(verb(precision = "auto"), class = slow)
    expect_message(verb(precision = "bfloat16"), "about ten times slower", class = slow)
    expect_no_message(verb(precision = "bfloat16"), class = slow)
    the$said_slow_precision <- NULL
  }
  expect_message(use[[1]](precision = "float16"), "no instructions for float16", class = slow)
})

test_that("a precision that this CPU has instructions for is nothing to speak of", {
  skip_if_no_python()
  local_cpu_flags("avx512_bf16")
  expect_no_message(say_slow_precision("bfloat16"))
  expect_no_message(say_slow_precision("float32"))
})
