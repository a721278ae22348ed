test_that("an example holds images, masks, instances and classes of one size", {
  skip_if_no_python()
  scenes <- seg_example("shapes", n = 3, size = c(40, 64))
  expect_named(scenes, c("images", "masks", "instances", "classes"))
  expect_identical(
    scenes$classes, c(background = 0L, circle = 1L, rectangle = 2L, triangle = 3L)
  )
  for (i in 1:3) {
    image <- scenes$images[[i]]
    mask <- scenes$masks[[i]]
    expect_s3_class(image, "seg_image")
    expect_identical(dim(image), c(40L, 64L, 3L))
    expect_true(min(image) >= 0 && max(image) <= 1 && max(image) > 0.5)
    expect_s3_class(mask, "seg_mask")
    expect_identical(dim(mask), c(40L, 64L))
    expect_type(mask, "integer")
    expect_identical(attr(mask, "classes"), scenes$classes)
    expect_s3_class(scenes$instances[[i]], "seg_instances")
    expect_identical(attr(scenes$instances[[i]], "size"), c(40L, 64L))
  }
})

test_that("instances are the visible parts of the mask's objects", {
  skip_if_no_python()
  scenes <- seg_example("shapes", n = 4, size = c(50, 70), seed = 5)
  for (i in 1:4) {
    objects <- scenes$instances[[i]]
    mask <- unclass(scenes$masks[[i]])
    for (class in 1:3) {
      at <- which(mask == class, arr.ind = TRUE)
      mine <- objects[objects$class == class, ]
      expect_equal(sum(mine$area), nrow(at))
      if (nrow(at) == 0) next
      # boxes are 0-based and half-open; rows are y, columns are x
      expect_equal(c(min(mine$ymin), max(mine$ymax)), c(min(at[, 1]) - 1, max(at[, 1])))
      expect_equal(c(min(mine$xmin), max(mine$xmax)), c(min(at[, 2]) - 1, max(at[, 2])))
    }
    expect_identical(objects$label, names(scenes$classes)[objects$class + 1])
    expect_true(all(is.na(objects$score)))
  }
})

test_that("nuclei are grey and bright on a dark ground", {
  skip_if_no_python()
  scenes <- seg_example("nuclei", n = 2, size = 64)
  expect_identical(scenes$classes, c(background = 0L, nucleus = 1L))
  for (i in 1:2) {
    image <- scenes$images[[i]]
    mask <- unclass(scenes$masks[[i]])
    expect_identical(dim(image), c(64L, 64L, 1L))
    grey <- unclass(image)[, , 1]
    expect_gt(mean(grey[mask == 1]), 2 * mean(grey[mask == 0]))
  }
})

test_that("a scene depends on the seed and its place, not on R's generator", {
  skip_if_no_python()
  set.seed(1)
  before <- .Random.seed
  few <- seg_example("nuclei", n = 1, size = 40, seed = 3)
  more <- seg_example("nuclei", n = 2, size = 40, seed = 3)
  expect_identical(.Random.seed, before)
  expect_identical(few$images[[1]], more$images[[1]])
  expect_identical(few$instances[[1]], more$instances[[1]])
  expect_false(identical(few$images[[1]], seg_example("nuclei", 1, 40, seed = 4)$images[[1]]))
})

test_that("wrong arguments are named", {
  expect_snapshot(error = TRUE, seg_example("cats"))
  expect_snapshot(error = TRUE, seg_example("shapes", n = 0))
  expect_snapshot(error = TRUE, seg_example("shapes", size = c(20, 64)))
  expect_snapshot(error = TRUE, seg_example("shapes", seed = 1.5))
  for (bad in list(quote(seg_example("cats")), quote(seg_example(n = 1:2)),
                   quote(seg_example(size = "big")), quote(seg_example(seed = -1)))) {
    expect_error(eval(bad), class = "maskr_error_argument")
  }
})
