# Panoptic results: an integer array of segment ids and a data frame of segments.

# No checks. `x` is a bare integer array [H, W] or [D, H, W], 0 is void; `segments` has the columns
# id, class, label, isthing, score, area.
new_seg_panoptic <- function(x, segments, classes) {
  structure(x, segments = segments, classes = classes, class = "seg_panoptic")
}
