# Generated scenes with exact masks; the drawing is done by `maskr/synthetic.py`.

#' Generated images with exact masks
#'
#' Scenes to try things on without any data: in examples, in tests, and to see whether a network
#' learns at all before real images are spent on it.
#'
#' `"shapes"` are coloured circles, rectangles and triangles that overlap, on a textured ground and
#' with noise; each class keeps to a range of hues, so that small networks learn it within a
#' minute. `"nuclei"` look like a fluorescence micrograph: bright, often touching ellipses, blurred,
#' unevenly lit and noisy, in one grey channel.
#'
#' A pixel belongs to the topmost object that holds its centre; masks and instances are those of
#' the visible parts. A scene depends on `seed` and its place in the list alone: `n = 8` begins with
#' the scenes of `n = 4`, and [set.seed()] changes nothing.
#'
#' @param name `"shapes"` (classes background 0, circle 1, rectangle 2, triangle 3) or `"nuclei"`
#'   (background 0, nucleus 1).
#' @param n Number of scenes, at least 1.
#' @param size Height and width in pixels, each at least 32; one number stands for a square.
#' @param seed A whole number from 0 up.
#' @return A list, accepted whole by `seg_dataset()`:
#'   \describe{
#'     \item{`images`}{a list of `n` images of class `seg_image`, values 0 to 1, with three channels
#'       (`"shapes"`) or one (`"nuclei"`).}
#'     \item{`masks`}{a list of `n` masks of class `seg_mask`.}
#'     \item{`instances`}{a list of `n` data frames of class `seg_instances`, one row per object;
#'       later objects lie on top.}
#'     \item{`classes`}{the class ids, a named integer vector.}
#'   }
#'   A `maskr_error_argument` if an argument is not as described above.
#' @concept data
#' @export
#' @examplesIf seg_available()
#' scenes <- seg_example("shapes", n = 2)
#' scenes$classes
#' table(scenes$masks[[1]])
#' plot(scenes$masks[[1]], image = scenes$images[[1]])
seg_example <- function(name = c("shapes", "nuclei"), n = 4, size = c(128, 128), seed = 1) {
  name <- check_choice(name, c("shapes", "nuclei"))
  n <- check_whole(n, min = 1)
  size <- check_example_size(size)
  seed <- check_whole(seed, min = 0, max = .Machine$integer.max)

  scenes <- py_call("synthetic", "example", name, n, size[[1]], size[[2]], seed)
  classes <- unlist(scenes$classes)
  list(
    images = lapply(scenes$images, new_seg_image),
    masks = lapply(scenes$masks, new_seg_mask, classes = classes),
    instances = lapply(scenes$instances, new_seg_instances, size = size, classes = classes),
    classes = classes
  )
}

check_example_size <- function(size, call = rlang::caller_env()) {
  size <- check_size(size, null = FALSE, arg = "size", call = call)
  if (all(size >= 32)) return(size)
  maskr_abort("argument", c(
    "{.arg size} must be at least 32 pixels each way, to leave room for objects.",
    x = "You supplied {size[[1]]} x {size[[2]]}."
  ), arg = "size", call = call)
}
