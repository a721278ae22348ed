"""Metrics: images are counted one by one by families, and scored together by `Accumulator`.

`score()` scores two files or folders. What else is exported serves images in memory:

>>> counted = Accumulator([Semantic(class_ids=[0, 1]), Boundary(class_ids=[0, 1], tolerance=2)])
>>> for truth, prediction in pairs:
...     counted.update(truth, prediction)
>>> counted.compute()["mean_iou"].value
"""

from importlib import import_module
from typing import Any

from maskr.metrics.accumulator import Accumulator

LATER = {
    "score": "files",
    "Options": "results",
    "Resampling": "uncertainty",
    # families, and what they are given
    "Semantic": "semantic",
    "Boundary": "boundary",
    "Surface": "surface",
    "Thresholds": "probabilities",
    "Calibration": "probabilities",
    "Mask": "masks",
    "Coco": "coco",
    "Bioimage": "bioimage",
    "Objects": "objects",
    "PanopticQuality": "panoptic_quality",
    "Segments": "segments",
}
"""Names that are imported when they are asked for, and their modules."""

__all__ = ["Accumulator", *LATER]


def __getattr__(name: str) -> Any:
    """Import one of `LATER`."""
    if name in LATER:
        return getattr(import_module(f"maskr.metrics.{LATER[name]}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")


def __dir__() -> list[str]:
    return sorted([*globals(), *LATER])
