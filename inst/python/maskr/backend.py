"""Keras on its torch backend, and torch on its own BLAS, whatever was loaded before."""

import os
import sys

from maskr import blas
from maskr.errors import BackendError


def prepare() -> dict:
    """Make sure that Keras will run (or runs) on torch, and torch at its own speed.

    Returns
    -------
    dict
        `replaced`: the other backend that KERAS_BACKEND named before, or ""; `slow`: the packages
        for which it is too late, as `blas.slowed()` names them.

    Raises
    ------
    BackendError
        If Keras is already imported on another backend.
    """
    blas.protect()
    return {"replaced": choose_torch(), "slow": blas.slowed()}


def choose_torch() -> str:
    """Set Keras's backend; the other one that KERAS_BACKEND named before, or ""."""
    if "keras" in sys.modules:
        current = sys.modules["keras"].config.backend()
        if current != "torch":
            raise BackendError(
                f"Keras already runs on the {current} backend in this session; maskr needs torch.",
                hint='Restart R and set Sys.setenv(KERAS_BACKEND = "torch") before Keras is used.',
            )
        return ""
    previous = os.environ.get("KERAS_BACKEND", "torch")
    os.environ["KERAS_BACKEND"] = "torch"
    return "" if previous == "torch" else previous
