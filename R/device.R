#' The device that models run on
#'
#' Called without an argument, says which device is used; with one, chooses it for this session.
#' Models that already exist move at their next use.
#'
#' @param device `NULL` (only ask), `"auto"` (the first of CUDA, MPS and CPU that is there),
#'   `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`.
#' @return The device as a string, invisibly when it was set. An unknown or absent device is a
#'   `maskr_error_device`.
#' @concept setup
#' @export
#' @examplesIf seg_available()
#' seg_device()
#' seg_device("cpu")
seg_device <- function(device = NULL) {
  device <- check_string(device, null = TRUE)
  chosen <- py_call("device", "choose", device)
  if (is.null(device)) chosen else invisible(chosen)
}
