# Attaching maskr in fresh R processes, without and with reticulate loaded before.
source("bench/shared/alternate.R")

rscript <- function(code) {
  system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code)), stdout = FALSE)
}
report("attach: whole R processes", alternate(
  "R alone" = rscript("1"),
  "library(maskr)" = rscript("library(maskr)"),
  "reticulate loaded" = rscript("loadNamespace('reticulate')"),
  "reticulate loaded, library(maskr)" = rscript("loadNamespace('reticulate'); library(maskr)"),
  "library(cli)" = rscript("library(cli)")
))
