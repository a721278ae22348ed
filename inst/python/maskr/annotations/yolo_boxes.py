"""YOLO's folders for detection: a line is a class with the centre, width and height of a box.

Read and written as `yolo`, with masks and polygons reduced to their boxes, which is reported.
"""

from pathlib import Path

import numpy as np

from maskr.annotations import yolo, yolo_writing
from maskr.annotations.items import Item, has_extent
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.instances import measure

REDUCED = "mask reduced to its box"


def matches(path: Path) -> bool:
    """Tell nothing: `yolo` reads boxes too, and is asked before."""
    return False


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read as `yolo.read()`, boxes only."""
    found = yolo.read(path, options, report)
    objects = found.objects
    files = dict(zip(found.images.ids, found.images.files, strict=True))
    for row, polygon in enumerate(objects.polygons):
        if polygon:
            report.change(REDUCED, files[int(objects.image_ids[row])])
    objects.polygons = [""] * len(objects)
    objects.areas = np.prod(objects.boxes[:, 2:] - objects.boxes[:, :2], axis=1)
    found.format = "yolo_boxes"
    return found


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write a folder as `yolo.write()`, a box a line."""
    yolo_writing.write(annotations, path, options, report, progress, box)


def box(item: Item, size: tuple[int, int], report: Report, where: str) -> np.ndarray | None:
    """Make the centre and the extent of an object, `[2, 2]` in pixels."""
    if not has_extent(item, size):
        return None
    own = np.array(measure([item.rle], size)[1][0] if item.rle else item.box).reshape(2, 2)
    inside = own.clip(0, (size[1], size[0]))
    if (inside[1] <= inside[0]).any():
        return None
    if item.rle or item.parts:
        report.change(REDUCED, where)
    if yolo_writing.reaches_out(own, size):
        report.change(yolo_writing.CUT_OFF, where)
    return np.stack((inside.mean(axis=0), inside[1] - inside[0]))
