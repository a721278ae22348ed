# YOLO from R: what is found, what is learned, and what is said.

tiny <- function() seg_yolo("yolov8n-seg.yaml")

quietly <- function(expr) suppressMessages(expr, classes = "maskr_message_licence")

test_that("the bus and three persons are found with their published scores", {
  skip_if_no_python("yolo")
  weights <- shared_data("yolo/yolov8n-seg.pt")
  bus <- shared_data("yolo/bus.jpg")
  detector <- quietly(seg_yolo(weights))
  found <- predict(detector, bus, conf = 0.5)
  expect_s3_class(found, c("seg_instances", "data.frame"), exact = TRUE)
  expect_identical(found$label, c("person", "person", "person", "bus"))
  expect_identical(found$class, c(0L, 0L, 0L, 5L))
  expect_equal(round(found$score, 2), c(0.89, 0.85, 0.84, 0.81))
  expect_false(any(found$score == round(found$score, 4)))
  expect_identical(attr(found, "size"), c(1080L, 810L))
  expect_length(attr(found, "classes"), 80)
  expect_identical(dim(as.array(found)), c(1080L, 810L, 4L))
  expect_equal(found$area, apply(as.array(found), 3, sum))

  several <- predict(detector, c(bus, bus), conf = 0.5, classes = "bus")
  expect_identical(names(several), c("bus.jpg", "bus.jpg"))
  expect_identical(several[[2]]$label, "bus")
  expect_identical(predict(detector, seg_read_image(bus), conf = 0.5)$rle, found$rle)
})

test_that("a detector is trained, saved and loaded", {
  skip_if_no_python("yolo")
  withr::local_dir(withr::local_tempdir())
  detector <- quietly(tiny())
  scenes <- seg_example("shapes", n = 4, size = 64)
  set.seed(1)
  history <- fit(detector, scenes, validation_data = scenes, epochs = 2, size = 64, batch_size = 2)
  expect_s3_class(history, "seg_history")
  expect_setequal(history$epoch, 1:2)
  expect_true(all(c("loss", "seg_loss", "mask_ap") %in% history$metric))
  expect_identical(summary(detector)$classes, c(circle = 1L, rectangle = 2L, triangle = 3L))
  expect_identical(list.files(all.files = TRUE, no.. = TRUE), character())

  path <- seg_save(detector, "shapes.safetensors")
  again <- seg_load(path)
  expect_s3_class(again, "seg_detector")
  expect_identical(summary(again), summary(detector))
  found <- predict(detector, scenes$images[[1]], conf = 0.001)
  expect_identical(predict(again, scenes$images[[1]], conf = 0.001), found)
})

test_that("a dataset of scenes keeps their objects for detectors", {
  skip_if_no_python()
  scenes <- seg_example("shapes", n = 2, size = 64)
  expect_identical(detector_data(seg_dataset(scenes)), detector_data(scenes))
  given <- detector_data(seg_dataset(scenes$images, scenes$instances, classes = scenes$classes))
  expect_identical(detector_data(seg_dataset(scenes)), given)
})

test_that("datasets, label images and descriptions are data too", {
  skip_if_no_python("yolo")
  scenes <- seg_example("nuclei", n = 2, size = 64)
  labels <- lapply(scenes$instances, \(x) {
    masks <- as.array(x)
    apply(masks, 1:2, \(m) max(0, which(m)))
  })
  data <- seg_dataset(scenes$images, labels, classes = scenes$classes, size = 32, batch_size = 2)
  detector <- quietly(tiny())
  fit(detector, data, epochs = 1)
  expect_identical(summary(detector)$classes, c(nucleus = 1L))
  expect_identical(summary(detector)$size, 32L)

  files <- withr::local_tempdir()
  paths <- file.path(files, c("a.png", "b.png"))
  Map(seg_write_mask, labels, paths)
  expect_identical(
    detector_data(seg_dataset(scenes$images, paths, classes = scenes$classes))$instances,
    detector_data(data)$instances
  )
  expect_error(
    fit(detector, seg_dataset(scenes$images, scenes$masks, classes = scenes$classes)),
    "where one ends and the next begins", class = "maskr_error_data"
  )
})

test_that("untrained networks follow set.seed()", {
  skip_if_no_python("yolo")
  image <- seg_example("shapes", n = 1, size = 64)$images[[1]]
  scores <- function(seed) {
    set.seed(seed)
    predict(quietly(tiny()), image, conf = 1e-6, max_det = 5)$score
  }
  expect_identical(scores(1), scores(1))
  expect_false(identical(scores(1), scores(2)))
})

test_that("a file that is not there is the fault, not the network", {
  skip_if_no_python("yolo")
  withr::local_envvar(MASKR_CACHE = withr::local_tempdir(), MASKR_WEIGHTS = "")
  error <- expect_error(seg_yolo("nope.pt"), "There is no file nope.pt",
                        class = "maskr_error_file")
  expect_equal(error$arg, "weights")
})

test_that("a checkpoint that holds code is refused", {
  skip_if_no_python("yolo")
  folder <- withr::local_tempdir()
  marker <- file.path(folder, "ran")
  path <- file.path(folder, "evil.pt")
  reticulate::py_run_string(paste0(
    "import os, torch\n",
    "class Evil:\n",
    "    def __reduce__(self):\n",
    "        return os.system, ('touch ", marker, "',)\n",
    "torch.save({'model': Evil()}, '", path, "')\n"
  ))
  error <- expect_error(seg_yolo(path), "system", class = "maskr_error_trust")
  expect_match(conditionMessage(error), "trust = TRUE", fixed = TRUE)
  expect_false(file.exists(marker))
})

test_that("wrong arguments are classed errors", {
  skip_if_no_python("yolo")
  detector <- quietly(tiny())
  image <- matrix(0, 30, 40)
  expect_snapshot(error = TRUE, {
    seg_yolo(3)
    seg_yolo("no/such.pt")
    predict(detector, image, conf = 2)
    predict(detector, image, classes = TRUE)
    predict(detector, image, classes = "tram")
    predict(detector, image, treshold = 0.5)
    predict(detector, image * 255 + 200)
    fit(detector, image)
    fit(detector, seg_example("shapes", n = 1), learning_rate = 0.1)
    seg_save(detector, "detector.keras")
  })
})

test_that("a detector prints what it is", {
  skip_if_no_python("yolo")
  withr::defer(seg_device("auto"))
  seg_device("cpu")
  detector <- quietly(tiny())
  expect_snapshot({
    detector
    print(summary(detector)[c("parameters", "device", "size")])
  })
})

test_that("the licence is said once a session, and nothing else is printed", {
  skip_if_no_python("yolo")
  said <- the$said_yolo_licence
  withr::defer(the$said_yolo_licence <- said)
  the$said_yolo_licence <- NULL
  expect_message(tiny(), "AGPL-3.0", class = "maskr_message_licence")
  expect_silent(tiny())
})

test_that("a handle of another session says what to do", {
  skip_if_no_python("yolo")
  path <- withr::local_tempfile(fileext = ".rds")
  saveRDS(quietly(tiny()), path)
  old <- readRDS(path)
  expect_error(predict(old, matrix(0, 30, 40)), "seg_save", class = "maskr_error_session")
  expect_output(print(old), "model is lost")
})
