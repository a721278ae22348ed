#' Colours for classes
#'
#' The default begins with colours of Okabe and Ito, chosen to be told apart with every common form
#' of colour blindness (their black is left to the background). Lighter and darker shades of them
#' follow from the ninth on, and beyond 56 hues of even brightness. `"voc"` gives the palette of the
#' Pascal VOC files and of most index PNGs.
#'
#' @param n How many colours, a whole number from 0 up.
#' @param name `"okabe-ito"` or `"voc"`.
#' @param background Should the first colour be black, for a class that stands for the background?
#'   (VOC's palette always begins with black.)
#' @return A character vector of `n` colours `"#RRGGBB"`; VOC's palette begins anew after 256. A
#'   wrong argument is a `maskr_error_argument`.
#' @references Okabe, M. and Ito, K. (2008) Color Universal Design: how to make figures and
#'   presentations that are friendly to colorblind people.
#'
#'   Everingham, M. et al. (2010) The Pascal Visual Object Classes (VOC) challenge. International
#'   Journal of Computer Vision 88, 303-338. \doi{10.1007/s11263-009-0275-4}
#' @concept types
#' @export
#' @examples
#' seg_palette(4)
#' seg_palette(21, "voc")
seg_palette <- function(n, name = c("okabe-ito", "voc"), background = FALSE) {
  n <- check_whole(n, min = 0)
  name <- check_choice(name, c("okabe-ito", "voc"))
  background <- check_flag(background)
  if (name == "voc") return(voc_colours(n))
  if (!background) return(okabe_ito(n))
  utils::head(c("#000000", okabe_ito(max(n - 1, 0))), n)
}

# The palette of a mask: the background black, the other classes in their order.
mask_palette <- function(classes) {
  colours <- character(length(classes))
  background <- is_background(classes)
  colours[background] <- "#000000"
  colours[!background] <- okabe_ito(sum(!background))
  stats::setNames(colours, names(classes))
}

# Class id 0, unless its name says that it is a class like the others (as "sky" in CamVid).
is_background <- function(classes) {
  names <- c("0", "background", "_background_", "bg", "other", "unlabeled", "unlabelled", "void",
             "none", "nothing")
  unname(classes == 0 & tolower(names(classes)) %in% names)
}

# Okabe and Ito's colours with grey for black, in an order that keeps neighbours far apart; then
# mixtures of them with white and black; then hues a golden angle apart.
okabe_ito <- function(n) {
  if (n <= length(shades)) return(shades[seq_len(n)])
  more <- seq_len(n - length(shades))
  c(shades, grDevices::hcl(h = (137.508 * more) %% 360, c = 55, l = 45 + 10 * (more %% 5)))
}

mix <- function(colours, with, share) {
  rgb <- (1 - share) * grDevices::col2rgb(colours) + share * as.vector(grDevices::col2rgb(with))
  grDevices::rgb(t(round(rgb)), maxColorValue = 255)
}

# Mixed once, when the package is built: every mask has colours.
shades <- local({
  base <- c("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
  c(
    base, mix(base, "#FFFFFF", 0.5), mix(base, "#000000", 0.4), mix(base, "#FFFFFF", 0.75),
    mix(base, "#000000", 0.65), mix(base, "#FFFFFF", 0.25), mix(base, "#000000", 0.2)
  )
})

# Pascal VOC: the bits of the class id, three at a time, fill red, green and blue from the top.
voc_colours <- function(n) {
  if (n == 0) return(character())
  id <- (seq_len(n) - 1L) %% 256L
  channel <- function(offset) {
    bits <- vapply(0:7, \(i) bitwAnd(bitwShiftR(id, 3 * i + offset), 1), double(n))
    as.vector(matrix(bits, nrow = n) %*% 2^(7:0))
  }
  grDevices::rgb(channel(0), channel(1), channel(2), maxColorValue = 255)
}
