# COCO's file of annotations and its run lengths against pycocotools in a Python process: each reads
# the same file into the form that it works on (R's data frames; Python's dictionaries), and turns
# masks into run lengths and back from its own kind of array.
library(maskr)
source("bench/shared/alternate.R")

others <- peer("peers_coco")

path <- tempfile(fileext = ".json")
invisible(others$time("write_file", path, 100000L, 1L))
stopifnot(nrow(seg_read_annotations(path, "coco")$objects) == others$ask("read", path))
report("COCO JSON, 100,000 objects", alternate(
  "pycocotools, COCO()" = others$time("read", path),
  "maskr, seg_read_annotations()" = seg_read_annotations(path, "coco")
))
unlink(path)

# A thousand masks of 1024 x 1024 take 4 GB in R; a hundred are turned ten times.
others$make("Masks", 100L, 1024L, 2L)
stopifnot(others$ask("is_same_as_maskr"))
report("masks to run lengths and back, 1000 of 1024 x 1024, Python's arrays", alternate(
  "pycocotools" = others$time("round_trip", 10L),
  "maskr" = others$time("round_trip_of_maskr", 10L),
  runs = 3
))
planes <- others$ask("planes_for_r")
stopifnot(identical(as.array(seg_instances(planes, class = "a", classes = c(a = 1))), planes))
report("masks to run lengths and back, 1000 of 1024 x 1024, R's arrays", alternate(
  "pycocotools, its own arrays" = others$time("round_trip", 10L),
  "maskr, seg_instances() and as.array()" = for (i in 1:10) {
    as.array(seg_instances(planes, class = "a", classes = c(a = 1)))
  },
  runs = 3
))
