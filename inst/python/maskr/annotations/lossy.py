"""What several formats lose in the same way, told before one of them is written."""

import numpy as np

from maskr.annotations.class_names import is_background
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations

DRAWN_BY = {
    "coco": "coco",
    "yolo": "coco",
    "cvat": "coco",
    "labelme": "pil",
    "via": "pil",
    "via_csv": "pil",
}
"""The rule by which programs of a polygon format draw, see `polygons`."""

ONLY_THINGS = {"yolo", "yolo_boxes", "cvat", "labelme", "via", "via_csv"}
"""Formats that do not tell stuff from things."""

CROWDS = {
    **dict.fromkeys(("voc", "ade20k", "masks", "nifti"), "crowd written as pixels of its class"),
    **dict.fromkeys(("labels", "ctc"), "crowd left out"),
}
"""What becomes of crowds in formats of label images."""


def report_common(annotations: Annotations, format: str, report: Report) -> None:
    """Count what `format` holds otherwise: polygons that its programs draw, stuff and crowds."""
    objects = annotations.objects
    crowds = np.flatnonzero(objects.iscrowd)
    if crowds.size and format in CROWDS:
        report.change(CROWDS[format], file_of(annotations, crowds[0]), crowds.size)
    polygons = [row for row, polygon in enumerate(objects.polygons) if polygon]
    rule = DRAWN_BY.get(format)
    if polygons and rule not in (None, annotations.reading.get("rasteriser", "coco")):
        reason = f'polygon whose edge pixels differ, since programs of "{format}" draw otherwise'
        report.change(reason, file_of(annotations, polygons[0]), len(polygons))
    stuff = [one.name for one in annotations.classes if not one.isthing]
    stuff = [name for name in stuff if not is_background(name)]
    if stuff and format in ONLY_THINGS:
        report.change("class of stuff, which comes back as one of things", stuff[0], len(stuff))


def file_of(annotations: Annotations, row: int) -> str:
    """Name the image of an object."""
    images = annotations.images
    return images.files[images.ids.index(int(annotations.objects.image_ids[row]))]
