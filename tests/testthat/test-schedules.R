test_that("a schedule is a plain description that shows itself", {
  schedule <- seg_schedule("cosine", warmup = 0.5, floor = 0.1)
  expect_s3_class(schedule, "seg_schedule")
  expect_output(print(schedule), '<seg_schedule("cosine", floor = 0.1, warmup = 0.5)>',
                fixed = TRUE)
  expect_equal(format(seg_schedule("constant")), 'seg_schedule("constant")')
  path <- withr::local_tempfile()
  saveRDS(schedule, path)
  expect_identical(readRDS(path), schedule)
})

test_that("what crosses to Python holds the arguments by name", {
  expect_null(schedule_for_python(NULL))
  expect_identical(schedule_for_python("cosine"), list(name = "cosine", warmup = 0))
  expect_identical(
    schedule_for_python(seg_schedule("plateau", patience = 2, factor = 0.5, warmup = 1)),
    list(name = "plateau", warmup = 1, patience = 2L, factor = 0.5)
  )
})

test_that("every schedule and argument of R is known to Python", {
  make <- python_module("training.schedules")$make
  values <- list(floor = 0.1, power = 2, rise = 0.5, start = 0.1, every = 2, factor = 0.5,
                 patience = 2, min_delta = 0.1, cooldown = 1)
  for (name in names(schedule_arguments)) {
    arguments <- values[names(schedule_arguments[[name]])]
    schedule <- do.call(seg_schedule, c(list(name), arguments))
    made <- make(schedule_for_python(schedule), 5L, 4L, "val_loss")
    expect_gt(made$factor(10L), 0)
    expect_lte(made$factor(10L), 1)
  }
})

test_that("what cannot be is a classed error", {
  expect_snapshot(error = TRUE, {
    seg_schedule("cosin")
    seg_schedule("cosine", 0.1)
    seg_schedule("cosine", power = 2)
    seg_schedule("constant", floor = 0.1)
    seg_schedule("polynomial", power = 0)
    seg_schedule("cosine", floor = 2)
    seg_schedule("cosine", warmup = -1)
    seg_schedule("one_cycle", warmup = 1)
    seg_schedule("plateau", patience = 1.5)
    schedule_for_python(3)
  })
  expect_error(seg_schedule("cosine", power = 2), class = "maskr_error_argument")
})
