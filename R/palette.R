#' Colours for classes
#'
#' The default holds the eight colours of Okabe and Ito, chosen to be told apart with every common
#' form of colour blindness; class 0, the background, is black. Beyond eight classes their lighter
#' and darker shades follow. `"voc"` gives the palette of the Pascal VOC files (and of most index
#' PNGs), which is defined for any number of classes.
#'
#' @param n How many colours, a whole number from 0 up.
#' @param name `"okabe-ito"` or `"voc"`.
#' @param background Should the first colour be black, for a class that stands for the background?
#'   (VOC's palette always begins with black.)
#' @return A character vector of `n` colours `"#RRGGBB"`, all different up to 56 (`"okabe-ito"`)
#'   or 255 colours (`"voc"`); then they repeat. A wrong argument is a `maskr_error_argument`.
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

# The palette of a mask: class id 0 black, the others in their order.
mask_palette <- function(classes) {
  colours <- character(length(classes))
  background <- classes == 0
  colours[background] <- "#000000"
  colours[!background] <- okabe_ito(sum(!background))
  stats::setNames(colours, names(classes))
}

# Okabe and Ito's colours without black and in an order that keeps neighbours far apart, then
# mixtures with white and black.
okabe_ito <- function(n) {
  base <- c("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
  shades <- c(
    base, mix(base, "#FFFFFF", 0.5), mix(base, "#000000", 0.4), mix(base, "#FFFFFF", 0.75),
    mix(base, "#000000", 0.65), mix(base, "#FFFFFF", 0.25), mix(base, "#000000", 0.2)
  )
  rep_len(shades, n)
}

mix <- function(colours, with, share) {
  rgb <- (1 - share) * grDevices::col2rgb(colours) + share * as.vector(grDevices::col2rgb(with))
  grDevices::rgb(t(round(rgb)), maxColorValue = 255)
}

# Pascal VOC: the bits of the class id, three at a time, fill red, green and blue from the top.
voc_colours <- function(n) {
  id <- (seq_len(n) - 1L) %% 256L
  channel <- function(offset) {
    value <- 0L
    for (i in 0:7) {
      bit <- bitwAnd(bitwShiftR(id, 3L * i + offset), 1L)
      value <- value + as.integer(bit) * 2L^(7 - i)
    }
    value
  }
  if (n == 0) return(character())
  grDevices::rgb(channel(0L), channel(1L), channel(2L), maxColorValue = 255)
}
