# Loading maskr neither starts Python nor loads reticulate (which costs about a second): what
# reticulate must know of us is declared when it is loaded, by whomever.
.onLoad <- function(libname, pkgname) {
  if (isNamespaceLoaded("reticulate")) {
    declare_python()
  } else {
    setHook(packageEvent("reticulate", "onLoad"), function(...) declare_python())
  }
  refuse_on_handles()
  setHook("reticulate.onPyInit", function(...) protect_blas())
}
