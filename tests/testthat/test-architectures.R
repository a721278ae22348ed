# Builders of all architectures, and the table of them.

tumour <- c(background = 0, tumour = 1)
street <- c(sky = 0, road = 1, car = 5)

builders <- function() {
  names <- seg_architectures()$name
  stats::setNames(lapply(names, \(name) getExportedValue("maskr", name)), names)
}

# A vector of strings as default means its first.
first_of_choices <- function(x) if (is.character(x)) x[[1]] else x

test_that("the table needs no Python and holds each builder once", {
  table <- seg_architectures()
  expect_s3_class(table, c("seg_architectures", "data.frame"), exact = TRUE)
  expect_named(table, c("name", "family", "paper", "url", "parameters", "multiply_adds",
                        "seconds_per_megapixel", "encoders", "weights", "licence"))
  expect_equal(anyDuplicated(table$name), 0)
  expect_true(all(table$name %in% getNamespaceExports("maskr")))
  expect_true(all(table$parameters > 0 & table$multiply_adds > 0))
  expect_true(all(table$seconds_per_megapixel > 0))
  expect_match(table$url, "^https://")
  expect_match(table$paper, "^[A-Z\u00c7].* \\([12][0-9]{3}\\)$")
})

test_that("the table prints within 80 columns, a part of its columns as a data frame", {
  table <- seg_architectures()
  # seconds are of the machine that last measured them
  table$seconds_per_megapixel <- 1
  lines <- format(table)
  expect_true(all(nchar(lines) <= 80))
  withr::local_options(cli.unicode = FALSE)
  expect_snapshot(print(table[table$name %in% c("seg_unet", "seg_fcn", "seg_upernet"), ]))
  expect_output(print(table[1:2, c("name", "family")]), "1 +seg_unet encoder-decoder")
})

test_that("the table says what the registry says", {
  skip_if_no_python()
  entries <- reticulate::py_to_r(python_module("architectures.registry")$REGISTRY)
  told <- function(field) {
    vapply(entries, \(one) toString(unlist(reticulate::py_to_r(one[[field]]))), "",
           USE.NAMES = FALSE)
  }
  table <- seg_architectures()
  expect_equal(table$name, paste0("seg_", names(entries)))
  expect_equal(table$family, told("family"))
  expect_equal(table$paper, paste0(told("authors"), " (", told("year"), ")"))
  expect_equal(table$url, told("url"))
  expect_equal(table$encoders, told("encoders"))
  known <- seg_weights()
  for (i in seq_len(nrow(table))) {
    of <- unique(known[known$architecture == names(entries)[[i]], c("name", "licence")])
    expect_equal(table$weights[[i]], paste(of$name, collapse = ", "))
    expect_equal(table$licence[[i]], paste(of$licence, collapse = ", "))
  }
})

test_that("a printed model and its summary tell its arguments", {
  skip_if_no_python()
  model <- seg_deeplab(classes = tumour, version = "v3", encoder = "mobilenet_v2")
  held <- "version = v3, encoder = mobilenet_v2, output_stride = 16"
  expect_output(print(model), paste0("\narguments:     ", held, "\n"))
  expect_output(print(summary(model, c(64, 64))), paste0("^deeplab [(]", held, "[)]\n"))
})

test_that("the table's parameters are those of the networks", {
  skip_if_no_python()
  build <- python_module("architectures.registry")$build
  torch <- reticulate::import("torch")
  counted <- vapply(sub("^seg_", "", seg_architectures()$name), \(name) {
    # without memory; SegFormer's builder computes with its tensors, which needs their values
    device <- torch$device(if (name == "segformer") "cpu" else "meta")
    network <- with(device, build(name, 3L, 21L))
    torch$nn$utils$parameters_to_vector(network$parameters())$numel()
  }, numeric(1), USE.NAMES = FALSE)
  expect_equal(counted, seg_architectures()$parameters)
})

test_that("the builders' defaults are the registry's", {
  skip_if_no_python()
  registry <- python_module("architectures.registry")
  signature <- reticulate::import("inspect")$signature
  shared <- c("in_channels", "classes", "weights", "...", "encoder_weights", "preprocess")
  for (name in names(builders())) {
    formals <- formals(builders()[[name]])
    expect_equal(names(formals)[1:4], shared[1:4], info = name)
    expect_equal(formals$in_channels, 3, info = name)
    ours <- lapply(formals[setdiff(names(formals), shared)], \(x) first_of_choices(eval(x)))
    entry <- registry$REGISTRY[[sub("^seg_", "", name)]]
    parameters <- reticulate::iterate(signature(entry$builder)$parameters$values())[-(1:2)]
    theirs <- stats::setNames(lapply(parameters, \(p) unlist(p$default)),
                              vapply(parameters, \(p) p$name, ""))
    # an encoder rules it out, so that it has no default in Python
    if (name == "seg_unet") theirs["init_features"] <- list(32)
    expect_equal(ours[order(names(ours))], theirs[order(names(theirs))], info = name)
  }
})

test_that("every builder refuses what it does not know, before Python is asked", {
  for (name in names(builders())) {
    build <- builders()[[name]]
    expect_error(build(classes = tumour, encodr = "resnet18"), class = "maskr_error_argument")
    expect_error(build(in_channels = 0, classes = tumour), class = "maskr_error_argument")
    expect_error(build(classes = c(nucleus = 1)), class = "maskr_error_argument")
    expect_error(build(weights = NA), class = "maskr_error_argument")
    expect_error(build(classes = tumour, preprocess = "no"), class = "maskr_error_argument")
    for (argument in c("encoder", "encoder_weights")) {
      if (!argument %in% names(formals(build))) next
      arguments <- stats::setNames(list(tumour, 34), c("classes", argument))
      error <- expect_error(do.call(build, arguments), class = "maskr_error_argument")
      expect_equal(error$arg, argument, info = name)
    }
  }
})

test_that("bad arguments are errors that say how to mend them", {
  expect_snapshot(error = TRUE, {
    seg_unet(classes = tumour, encoder = "resnet18", init_features = 8)
    seg_unet(classes = tumour, decoder_channels = 5:1, attention = "scse")
    seg_unet(classes = tumour, upsample = "cubic")
    seg_unetpp(classes = tumour, decoder_channels = c(64, 32))
    seg_unetpp(classes = tumour, decoder_channels = c(64, 32, 16, 8, 4), attention = "scse")
    seg_unetpp(classes = tumour, attention = "se")
    seg_resunet(classes = tumour, init_features = 0)
    seg_fcn(classes = tumour, stride = 4)
    seg_fcn(classes = tumour, backbone = "resnet50", stride = 16)
    seg_deeplab(classes = tumour, rates = c(6, 12.5, 18))
    seg_deeplab(classes = tumour, output_stride = 32)
    seg_segformer(classes = tumour, variant = "b6")
  })
})

test_that("each architecture builds and prints; a new image of any size gets classes", {
  skip_if_no_python()
  small <- list(
    seg_unet = list(encoder = "mobilenet_v2", decoder_channels = c(32, 32, 16, 16, 16),
                    attention = "scse", upsample = "bilinear"),
    seg_unetpp = list(encoder = "mobilenet_v2", decoder_channels = c(32, 16, 8, 8, 4)),
    seg_resunet = list(init_features = 4),
    seg_attention_unet = list(init_features = 4),
    seg_fcn = list(backbone = "resnet50"),
    seg_segnet = list(),
    seg_deeplab = list(encoder = "mobilenet_v2", version = "v3", rates = c(2, 4, 6)),
    seg_pspnet = list(encoder = "mobilenet_v2"),
    seg_fpn = list(encoder = "mobilenet_v2"),
    seg_linknet = list(encoder = "mobilenet_v2"),
    seg_upernet = list(encoder = "resnet18"),
    seg_fastfcn = list(encoder = "resnet18"),
    seg_gscnn = list(encoder = "resnet18"),
    seg_segformer = list(),
    seg_lraspp = list(),
    seg_dpt = list(encoder = "vit_tiny_patch16_224")
  )
  expect_setequal(c(names(small), "seg_unet3d"), names(builders()))
  image <- withr::with_seed(1, array(runif(45 * 67 * 2), c(45, 67, 2)))
  for (name in names(small)) {
    arguments <- c(list(in_channels = 2, classes = street), small[[name]])
    expect_silent(model <- do.call(builders()[[name]], arguments))
    expect_output(print(model), paste0("<seg_model> ", sub("seg_", "", name), ","), info = name)
    mask <- predict(model, image, precision = "float32")
    expect_s3_class(mask, "seg_mask")
    expect_equal(dim(mask), c(45, 67), info = name)
    expect_true(all(mask %in% street), info = name)
  }
})

test_that("a 3D U-Net segments volumes", {
  skip_if_no_python()
  model <- seg_unet3d(in_channels = 1, classes = street, init_features = 2)
  expect_output(print(model), "<seg_model> unet3d,")
  volume <- withr::with_seed(1, seg_image(array(runif(5 * 9 * 14), c(5, 9, 14, 1))))
  mask <- predict(model, volume, precision = "float32")
  expect_s3_class(mask, "seg_mask")
  expect_equal(dim(mask), c(5, 9, 14))
  expect_true(all(mask %in% street))
})

test_that("saved networks of any family load with the same logits", {
  skip_if_no_python()
  image <- withr::with_seed(1, array(runif(45 * 67 * 3), c(45, 67, 3)))
  models <- list(
    seg_unet(classes = street, encoder = "mobilenet_v2"),
    seg_fcn(classes = tumour, backbone = "resnet50"),
    seg_segformer(classes = street)
  )
  for (model in models) {
    path <- withr::local_tempfile(fileext = ".keras")
    seg_save(model, path)
    again <- seg_load(path)
    expect_equal(capture.output(print(again)), capture.output(print(model)))
    logits <- predict(model, image, type = "logit", precision = "float32")
    expect_identical(predict(again, image, type = "logit", precision = "float32"), logits)
  }
})

test_that("encoders that do not exist are errors that name the nearest", {
  skip_if_no_python()
  error <- expect_error(seg_fpn(classes = street, encoder = "resnet43"),
                        class = "maskr_error_data")
  expect_equal(error$arg, "encoder")
  text <- paste(cli::ansi_strip(conditionMessage(error)), collapse = "\n")
  expect_match(text, "resnet43")
  expect_match(text, "resnet34")
})

test_that("layers that are adapted to other channels or classes are said", {
  skip_if_no_python()
  expect_silent(seg_unet(weights = "nuclei"))
  expect_message(model <- seg_unet(classes = street, weights = "nuclei"),
                 class = "maskr_message_adapted")
  expect_output(print(model), "sky = 0, road = 1, car = 5")
  said <- expect_message(model <- seg_unet(in_channels = 1, weights = "nuclei"),
                         class = "maskr_message_adapted")
  expect_output(print(model), "channels:      1")
})
