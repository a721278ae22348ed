# Masks: integer matrices [H, W] of class ids, volumes [D, H, W]; NA is "ignore".

# No checks. `x` is a bare integer array, `classes` a named integer vector, `palette` one colour
# for each class.
new_seg_mask <- function(x, classes, palette = NULL, spacing = NULL, affine = NULL) {
  palette <- palette %||% mask_palette(classes)
  structure(x, classes = classes, palette = palette, spacing = spacing, affine = affine,
            class = "seg_mask")
}
