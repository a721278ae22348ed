"""All families of metrics by name; their modules are imported when one is asked for."""

from collections.abc import Callable
from importlib import import_module

from maskr.metrics.family import Family


def at(module: str, name: str) -> Callable[[], type[Family]]:
    """A family that is imported when it is asked for."""
    return lambda: getattr(import_module(f"maskr.metrics.{module}"), name)


FAMILIES: dict[str, Callable[[], type[Family]]] = {
    "semantic": at("semantic", "Semantic"),
    "thresholds": at("probabilities", "Thresholds"),
    "calibration": at("probabilities", "Calibration"),
    "boundary": at("boundary", "Boundary"),
    "surface": at("surface", "Surface"),
    "coco": at("coco", "Coco"),
    "bioimage": at("bioimage", "Bioimage"),
    "panoptic": at("panoptic_quality", "PanopticQuality"),
}
