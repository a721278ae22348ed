prob <- rbind(c(.9, .8, .1, 0), c(.7, .6, .2, .1), c(.1, .3, .1, 0), c(0, .1, 0, 0))
truth <- rbind(c(1, 1, 0, 0), c(1, 1, 1, 0), 0, 0)

test_that("the soft Dice loss of the worked example is 0.289", {
  skip_if_no_python()
  loss <- seg_loss("dice", smooth = 0)(truth, prob)
  expect_equal(loss, 1 - 2 * 3.2 / (4 + 5), tolerance = 1e-6)
  expect_equal(round(loss, 3), 0.289)
})

test_that("NA does not count, and a seg_mask's ids are translated", {
  skip_if_no_python()
  part <- truth
  part[3:4, ] <- NA
  expect_equal(seg_loss("dice", smooth = 0)(part, prob), 1 - 6.4 / (5 + 3.4), tolerance = 1e-6)
  mask <- seg_mask(matrix(as.integer(truth * 7), 4), classes = c(background = 0, nucleus = 7))
  expect_equal(seg_loss("bce")(mask, prob), seg_loss("bce")(truth, prob))
})

test_that("class indices below 0 are errors", {
  expect_error(seg_loss("dice")(matrix(c(-1, -2, NA, 1), 2), matrix(.5, 2, 2)), "holds -2",
               class = "maskr_error_data")
})

test_that("probabilities keep double precision", {
  skip_if_no_python()
  loss <- seg_loss("bce")(matrix(0, 2, 2), matrix(1 - 1e-9, 2, 2))
  expect_equal(loss, -log(1e-9), tolerance = 1e-6)
})

test_that("every loss of a 2 x 3 image is what one works out by hand", {
  skip_if_no_python()
  truth <- rbind(c(1, 0, 0), c(1, 1, NA))
  prob <- rbind(c(.9, .2, .1), c(.6, .3, .8))
  nll <- -log(c(.9, .8, .9, .6, .3))
  tp <- 1.8
  fp <- .3
  fn <- 1.2
  hinge <- c(1 - qlogis(.3), 1 - qlogis(.6))
  expected <- c(
    bce = mean(nll), cross_entropy = mean(nll), focal = mean(c(.1, .2, .1, .4, .7)^2 * nll),
    dice = 1 - (2 * tp + 1) / (2 * tp + fp + fn + 1),
    generalised_dice = 1.5 * (1 / 4 + 1 / 9) / (4.9 / 4 + 5.1 / 9),
    iou = 1 - (tp + 1) / (tp + fp + fn + 1),
    tversky = 1 - (tp + 1) / (tp + .3 * fp + .7 * fn + 1),
    focal_tversky = (1 - (tp + 1) / (tp + .3 * fp + .7 * fn + 1))^(3 / 4),
    # each foreground pixel wrong costs a third of IoU; all others are right by more than 1
    lovasz = sum(hinge) / 3,
    boundary = (.2 + .1 * sqrt(2) + .6 * (1 - sqrt(2))) / 5,
    hausdorff = (.01 * 2 + .04 * 2 + .01 * 6 + .16 * 3 + .49 * 2) / 5,
    l1 = .3, l2 = .71 / 5, topk = nll[5], ohem = mean(nll[4:5]),
    bce_dice = mean(nll) + 1 - (2 * tp + 1) / (2 * tp + fp + fn + 1)
  )
  expect_setequal(names(expected), names(loss_arguments))
  given <- vapply(names(expected), \(name) seg_loss(name)(truth, prob), 0)
  expect_equal(given, expected, tolerance = 1e-5)
})

test_that("arguments reach the loss", {
  skip_if_no_python()
  truth <- rbind(c(1, 0, 0), c(1, 1, NA))
  prob <- rbind(c(.9, .2, .1), c(.6, .3, .8))
  nll <- -log(c(.9, .8, .9, .6, .3))
  w <- c(3, 1, 1, 3, 3)
  expect_equal(seg_loss("bce", pos_weight = 3)(truth, prob), sum(w * nll) / 5, tolerance = 1e-5)
  weighted <- seg_loss("focal", gamma = 0, class_weights = c(1, 3))
  expect_equal(weighted(truth, prob), sum(w * nll) / 11, tolerance = 1e-5)
  expect_equal(seg_loss("ohem", min_kept = 3)(truth, prob), mean(nll[c(2, 4, 5)]),
               tolerance = 1e-5)
  expect_equal(seg_loss("topk", fraction = .4)(truth, prob), mean(nll[4:5]), tolerance = 1e-5)
  expect_equal(seg_loss("focal_tversky", gamma = 1, smooth = 0)(truth, prob), .93 / 2.73,
               tolerance = 1e-5)
  # NULL is the default
  expect_equal(seg_loss("focal", alpha = NULL)(truth, prob), seg_loss("focal")(truth, prob))
})

test_that("arguments of every loss are those of Python's function", {
  skip_if_no_python()
  registry <- py_module("losses.registry")
  expect_setequal(names(loss_arguments), names(registry$LOSSES))
  for (name in names(loss_arguments)) {
    expect_setequal(as.character(names(loss_arguments[[name]])),
                    as.character(unlist(registry$arguments_of(name))))
  }
})

test_that("cross-entropy of several classes is minus the mean log probability", {
  skip_if_no_python()
  set.seed(1)
  p <- array(runif(2 * 3 * 4), c(2, 3, 4))
  p <- p / as.vector(rowSums(p, dims = 2))
  index <- matrix(c(0, 3, 1, 2, 2, 0), 2)
  picked <- p[cbind(c(row(index)), c(col(index)), c(index) + 1)]
  expect_equal(seg_loss("cross_entropy")(index, p), -mean(log(picked)), tolerance = 1e-6)
  w <- c(1, 2, 3, 4)
  expected <- -weighted.mean(log(picked), w[c(index) + 1])
  expect_equal(seg_loss("cross_entropy", class_weights = w)(index, p), expected, tolerance = 1e-6)
})

test_that("both forms of two classes' probabilities give the same number, which training has", {
  skip_if_no_python()
  part <- truth
  part[2, 3:4] <- NA
  both <- array(c(1 - prob, prob), c(4, 4, 2))
  for (name in names(loss_arguments)) {
    loss <- seg_loss(name)
    expect_equal(loss(part, both), loss(part, prob), tolerance = 1e-12, info = name)
  }
  weighed <- seg_loss("bce_dice", class_weights = c(1, 3))
  expect_equal(weighed(part, both), weighed(part, prob))
  set.seed(2)
  model <- seg_unet(1, c(background = 0, nucleus = 1), init_features = 2)
  image <- matrix(runif(16 * 32), 16)
  mask <- seg_mask((image > 0.6) + 0, c(background = 0, nucleus = 1))
  p <- predict(model, image, type = "prob", precision = "float32")
  logit <- predict(model, image, type = "logit", precision = "float32")
  trained_by <- python_module("losses")
  torch <- reticulate::import("torch")
  for (name in c("dice", "lovasz", "bce", "focal", "tversky", "boundary")) {
    minimised <- trained_by$from_r(list(list(name = name)))(
      torch$tensor(array(as.integer(mask), c(1, 16, 32))),
      torch$tensor(array(logit, c(1, 1, 16, 32)))$sigmoid()
    )$item()
    expect_equal(seg_loss(name)(mask, p), minimised, tolerance = 1e-4, info = name)
  }
})

test_that("channels with names are matched to the classes of the mask", {
  skip_if_no_python()
  mask <- seg_mask(truth, c(background = 0, nucleus = 1))
  channels <- list(NULL, NULL, c("nucleus", "background"))
  named <- function(...) array(c(...), c(4, 4, 2), dimnames = channels)
  expect_equal(seg_loss("dice")(mask, named(prob, 1 - prob)), seg_loss("dice")(truth, prob))
  other <- seg_mask(truth, c(background = 0, cell = 1))
  expect_error(seg_loss("dice")(other, named(prob, 1 - prob)), "different names",
               class = "maskr_error_data")
})

test_that("probabilities that do not sum to 1 are an error", {
  skip_if_no_python()
  twice <- array(c(prob, prob), c(4, 4, 2))
  expect_error(seg_loss("dice")(truth, twice), "sum to 1", class = "maskr_error_data")
  three <- array(0.3, c(4, 4, 3))
  expect_error(seg_loss("cross_entropy")(truth, three), "sum to 0.9", class = "maskr_error_data")
  rounded <- round(array(c(0.3333, 0.3333, 0.3334), c(1, 1, 3)), 4)
  expect_type(seg_loss("cross_entropy")(matrix(0, 1, 1), rounded), "double")
})

test_that("class weights are matched by name to the classes of a mask", {
  skip_if_no_python()
  mask <- seg_mask(matrix(as.integer(truth), 4), classes = c(background = 0, nucleus = 1))
  in_order <- seg_loss("bce", class_weights = c(1, 3))(mask, prob)
  turned <- seg_loss("bce", class_weights = c(nucleus = 3, background = 1))
  expect_equal(turned(mask, prob), in_order)
  expect_error(seg_loss("bce", class_weights = c(a = 1, b = 2))(mask, prob), "matched by name",
               class = "maskr_error_data")
})

test_that("a volume is one image", {
  skip_if_no_python()
  volume <- array(truth, c(4, 2, 2))
  expect_equal(seg_loss("dice")(volume, array(prob, c(4, 2, 2))), seg_loss("dice")(truth, prob))
  both <- array(c(1 - prob, prob), c(4, 2, 2, 2))
  expect_equal(seg_loss("cross_entropy")(volume, both), seg_loss("bce")(truth, prob),
               tolerance = 1e-6)
  expect_error(seg_loss("dice")(volume, prob), class = "maskr_error_shape")
})

test_that("losses are added and multiplied", {
  skip_if_no_python()
  value <- function(loss) loss(truth, prob)
  bce <- seg_loss("bce")
  dice <- seg_loss("dice", smooth = 0)
  expected <- .25 * value(bce) + 2 * value(dice)
  expect_equal(value(seg_loss("bce", weight = .25) + 2 * dice), expected)
  expect_equal(value((bce * .125 + dice) * 2), expected)
  expect_equal(value(bce + dice + dice), value(bce) + 2 * value(dice))
  expect_equal(value(0 * bce + dice), value(dice))
  expect_equal(value(seg_loss("bce_dice", smooth = 0)), value(bce + dice))
})

test_that("a sum can be compiled, and class weights reach its terms by name", {
  loss <- seg_loss("focal", gamma = 1, class_weights = c(b = 2, a = 1), weight = 3) +
    seg_loss("dice")
  terms <- loss_for_python(loss, c(a = 0, b = 1))
  expect_equal(terms[[1]], list(
    name = "focal", arguments = list(gamma = 1, class_weights = list(1, 2)), weight = 3
  ))
  skip_if_no_python()
  model <- seg_unet(in_channels = 1, classes = c(a = 0, b = 1), init_features = 2)
  expect_no_error(compile(model, loss = loss))
  expect_equal(model$loss$name, "focal_dice")
  copy <- seg_clone(model)
  expect_equal(copy$loss$terms, model$loss$terms)
})

test_that("a loss is a plain object", {
  loss <- seg_loss("cross_entropy", class_weights = c(1, 2.5))
  expect_snapshot({
    loss
    seg_loss("bce")
    seg_loss("bce", weight = .5) + seg_loss("dice", smooth = 0, weight = .5)
    2 * seg_loss("lovasz", per_image = TRUE)
    seg_loss("focal", class_weights = c(background = 1 / 3, nucleus = 20))
  })
  path <- withr::local_tempfile()
  saveRDS(loss + seg_loss("dice"), path)
  expect_equal(attributes(readRDS(path)), attributes(loss + seg_loss("dice")))
  expect_lt(file.size(path), 5000)
})

test_that("unknown names and arguments are errors", {
  expect_snapshot(error = TRUE, {
    seg_loss("hinge")
    seg_loss("generalised_dice", smooth = 1)
    seg_loss("dice", smoothing = 1)
    seg_loss("dice", 1)
    seg_loss("dice", smooth = 1, smooth = 2)
    seg_loss("dice", weight = -1)
    seg_loss("dice") - seg_loss("bce")
    seg_loss("dice") + 1
    -seg_loss("dice")
    "2" * seg_loss("dice")
  })
  skip_if_no_python()
  expect_error(seg_loss("dice")(truth, prob[1:3, ]), class = "maskr_error_shape")
  expect_error(seg_loss("dice")(truth, prob + 1), class = "maskr_error_data")
  expect_error(seg_loss("dice")(truth, prob / NA), "`prob` holds missing",
               class = "maskr_error_data")
})

test_that("every argument's type and range are checked", {
  expect_snapshot(error = TRUE, {
    seg_loss("dice", smooth = -1)
    seg_loss("cross_entropy", class_weights = c(1, NA))
    seg_loss("bce", pos_weight = 0)
    seg_loss("ohem", min_kept = .5)
    seg_loss("focal_tversky", gamma = .75)
    seg_loss("topk", fraction = 0)
  })
  wrong <- list(
    list("bce", pos_weight = c(1, 2)), list("bce", label_smoothing = 1.1),
    list("bce", class_weights = list(1, 2)), list("bce", class_weights = c(0, 0)),
    list("bce", class_weights = 3), list("bce", class_weights = c(a = 1, a = 2)),
    list("bce", class_weights = c(1, Inf)), list("cross_entropy", class_weights = c(-1, 1)),
    list("cross_entropy", label_smoothing = "a"), list("focal", gamma = -1),
    list("focal", gamma = Inf), list("focal", alpha = 2), list("iou", smooth = NA),
    list("tversky", alpha = -.1), list("tversky", beta = 0), list("tversky", smooth = "1"),
    list("focal_tversky", gamma = 4), list("lovasz", per_image = 1),
    list("lovasz", per_image = NA), list("hausdorff", alpha = 0), list("topk", fraction = 1.5),
    list("ohem", threshold = 0), list("ohem", min_kept = 0), list("bce_dice", smooth = TRUE)
  )
  for (arguments in wrong) {
    error <- expect_error(do.call(seg_loss, arguments), class = "maskr_error_argument")
    expect_equal(error$arg, names(arguments)[[2]])
  }
})
