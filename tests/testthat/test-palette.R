test_that("the default palette begins with Okabe and Ito's colours and never repeats", {
  expect_identical(seg_palette(3), c("#E69F00", "#56B4E9", "#009E73"))
  expect_identical(seg_palette(2, background = TRUE), c("#000000", "#E69F00"))
  expect_identical(anyDuplicated(seg_palette(200)), 0L)
  expect_length(seg_palette(0), 0)
  expect_match(seg_palette(90), "^#[0-9A-F]{6}$")
})

test_that("Pascal VOC's palette is the one of its files", {
  voc <- seg_palette(21, "voc")
  expect_identical(voc[1:8], c("#000000", "#800000", "#008000", "#808000", "#000080", "#800080",
                               "#008080", "#808080"))
  # person and tv monitor
  expect_identical(voc[c(16, 21)], c("#C08080", "#004080"))
  expect_identical(seg_palette(256, "voc")[[256]], "#E0E0C0")
})

test_that("only a background is black", {
  expect_identical(mask_palette(c(background = 0, cell = 1))[["background"]], "#000000")
  expect_identical(mask_palette(c(sky = 0, road = 1))[["sky"]], "#E69F00")
})

test_that("wrong palettes are argument errors", {
  expect_error(seg_palette(-1), class = "maskr_error_argument")
  expect_error(seg_palette(3, "jet"), class = "maskr_error_argument")
  expect_error(seg_palette(3, background = NA), class = "maskr_error_argument")
})
