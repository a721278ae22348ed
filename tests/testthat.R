library(testthat)
library(maskr)

test_check("maskr")
