# COCO's file of annotations and its run lengths against pycocotools: each reads the same file into
# the form that it works on (R's data frames; Python's dictionaries), and turns masks into run
# lengths and back from its own kind of array.
library(maskr)
source("bench/shared/alternate.R")

others <- peer("peers_coco")

path <- tempfile(fileext = ".json")
others$write_file(path, 100000L, 1L)
stopifnot(nrow(seg_read_annotations(path, "coco")$objects) == others$read(path))
report("COCO JSON, 100,000 objects", alternate(
  "pycocotools, COCO()" = others$read(path),
  "maskr, seg_read_annotations()" = seg_read_annotations(path, "coco")
))
unlink(path)

# A thousand masks of 1024 x 1024 take 4 GB in R; a hundred are turned ten times.
masks <- others$Masks(100L, 1024L, 2L)
python <- maskr:::py_module("instances")
stopifnot(masks$is_same(masks$encoded(python)))
report("masks to run lengths and back, 1000 of 1024 x 1024, Python's arrays", alternate(
  "pycocotools" = for (i in 1:10) masks$round_trip(),
  "maskr" = for (i in 1:10) masks$round_trip_of(python),
  runs = 3
))
planes <- masks$planes_for_r()
stopifnot(identical(as.array(seg_instances(planes, class = "a", classes = c(a = 1))), planes))
report("masks to run lengths and back, 1000 of 1024 x 1024, R's arrays", alternate(
  "pycocotools, its own arrays" = for (i in 1:10) masks$round_trip(),
  "maskr, seg_instances() and as.array()" = for (i in 1:10) {
    as.array(seg_instances(planes, class = "a", classes = c(a = 1)))
  },
  runs = 3
))
