"""maskr: the Python side of the R package. Importing it loads nothing heavy."""

from maskr import deferred

deferred.install()
