"""Training by Keras: compile, fit with the best epoch restored, and a history in plain values."""

from maskr.training.compiling import compile
from maskr.training.fitting import fit

__all__ = ["compile", "fit"]
