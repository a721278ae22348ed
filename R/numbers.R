# Numbers of the class integer64, which bit64 defines and packages such as data.table, arrow and DBI
# hand out: whole numbers in the bits of doubles. Taken for doubles, 1 would be 4.9e-324.

# R calls such a vector numeric. In this package that is asked by is_numbers(), for which it holds
# none; its values are taken by plain_number() where whole numbers are usual.
is_numbers <- function(x) is.numeric(x) && !is_integer64(x) # nolint: undesirable_function_linter.

is_integer64 <- function(x) inherits(x, "integer64")

# An integer64 as doubles, exact up to 2^53; anything else as it is. bit64 need not be installed.
plain_number <- function(x) {
  if (!is_integer64(x)) return(x)
  halves <- readBin(writeBin(as.vector(unclass(x)), raw(), endian = "little"), "integer",
                    2 * length(x), size = 4, endian = "little")
  halves <- matrix(halves, 2)
  # R's NA_integer_ is -2^31, which is also a lower half
  lower <- ifelse(is.na(halves[1, ]), 2^31, halves[1, ] %% 2^32)
  # that of the upper half is bit64's NA
  out <- halves[2, ] * 2^32 + lower
  attributes(out) <- attributes(x)[c("dim", "dimnames", "names")]
  out
}

# The same for the columns of a data frame.
narrow_columns <- function(x) {
  found <- vapply(x, is_integer64, NA)
  x[found] <- lapply(unclass(x)[found], plain_number)
  x
}

# What is wrong with a data frame that has such columns, in words; NULL if nothing is.
wide_column <- function(x) {
  wide <- names(x)[vapply(unclass(x), is_integer64, NA)]
  if (length(wide) == 0) return(NULL)
  paste0("its column `", wide[[1]], "` is of class integer64, and as.numeric() makes numbers of it")
}
