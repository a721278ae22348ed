"""The registry of annotation formats."""

import importlib
from types import ModuleType

MODULES: dict[str, str] = {
    "sunrgbd": "sunrgbd",
    "s3dis2d": "s3dis2d",
}
"""Modules by format, in the order in which they are asked whether a file is theirs."""


def module_of(name: str) -> ModuleType:
    """Import the module of a format."""
    return importlib.import_module(f"maskr.annotations.{MODULES[name]}")
