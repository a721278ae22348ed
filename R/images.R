# Images: numeric arrays [H, W, C], volumes [D, H, W, C].

# No checks. `range` are the values that stand for black and white.
new_seg_image <- function(x, path = NULL, spacing = NULL, affine = NULL, range = c(0, 1)) {
  structure(x, path = path, spacing = spacing, affine = affine, range = range,
            class = "seg_image")
}
