tumour <- c(background = 0, tumour = 1)

test_that("the network has the published number of parameters", {
  skip_if_no_python()
  model <- seg_unet(in_channels = 3, classes = tumour)
  expect_s3_class(model, "seg_model")
  expect_s3_class(model, "keras.src.models.model.Model")
  expect_equal(summary(model)$parameters, 7763041)
  expect_snapshot(model)
})

test_that("set.seed() decides the initial weights", {
  skip_if_no_python()
  weight <- function(seed) {
    set.seed(seed)
    seg_unet(1, tumour, init_features = 2)$module$conv$weight$detach()$numpy()
  }
  expect_identical(weight(1), weight(1))
  expect_false(identical(weight(1), weight(2)))
})

test_that("the shipped network segments nuclei at once", {
  skip_if_no_python()
  model <- seg_unet(weights = "nuclei")
  scene <- seg_example("nuclei", n = 1, size = c(128, 160))
  mask <- predict(model, scene$images[[1]])
  expect_equal(dim(mask), c(128, 160))
  metrics <- seg_metrics(scene$masks[[1]], mask)
  dice <- metrics$value[metrics$metric == "dice" & metrics$class %in% 1]
  expect_gt(dice, 0.8)
})

test_that("bad arguments are errors that say how to mend them", {
  skip_if_no_python()
  expect_snapshot(error = TRUE, {
    seg_unet()
    seg_unet(classes = c(nucleus = 1))
    seg_unet(classes = c(0, 1))
    seg_unet(in_channels = 2.5, classes = tumour)
    seg_unet(init_features = 32, weights = "nuclei")
    seg_unet(weights = "nothere.pt")
    seg_unet(classes = tumour, encoder_weights = "imagenet")
    seg_unet(classes = tumour, init_feature = 3)
    seg_unet(3, tumour, NULL, "resnet34")
    seg_unet(classes = tumour, encoder = "resnet18", decoder_channels = c(64, 32, 16, 8, 0))
    seg_unet(classes = tumour, encoder = "resnet18", decoder_channels = c(64, 32, 16, 16, 8),
             attention = "scse")
    seg_unet(classes = tumour, preprocess = seg_preprocess(mean = c(.5, .5)))
  })
  expect_error(seg_unet(), class = "maskr_error_data")
  expect_error(seg_unet(weights = "nothere.pt"), class = "maskr_error_file")
})
