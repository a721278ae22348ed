"""The registry of annotation formats."""

import importlib
from types import ModuleType

MODULES: dict[str, str] = {
    "coco_panoptic": "coco_panoptic",
    "coco_results": "coco_results",
    "coco": "coco",
    "cvat": "cvat",
    "via": "via",
    "via_csv": "via_csv",
    "labelme": "labelme",
    "voc": "voc",
    "yolo": "yolo",
    "yolo_boxes": "yolo_boxes",
    "cityscapes": "cityscapes",
    "ade20k": "ade20k",
    "ctc": "ctc",
    "camvid": "camvid",
    "sunrgbd": "sunrgbd",
    "s3dis2d": "s3dis2d",
    "nifti": "nifti",
    "labels": "label_images",
    "masks": "mask_images",
}
"""Modules by format, in the order in which they are asked whether a file is theirs."""


def module_of(name: str) -> ModuleType:
    """Import the module of a format."""
    return importlib.import_module(f"maskr.annotations.{MODULES[name]}")
