"""Keras on its torch backend, whatever order packages were loaded in."""

import os
import sys

from maskr.errors import BackendError


def prepare() -> str:
    """Make sure that Keras will run (or runs) on torch.

    Returns
    -------
    str
        The other backend that KERAS_BACKEND named before, or "" when there was none.

    Raises
    ------
    BackendError
        If Keras is already imported on another backend.
    """
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
