"""The objects of one image, one by one, as writers need them: whatever form they were read in."""

from dataclasses import dataclass

import numpy as np

from maskr.annotations.class_names import is_background
from maskr.annotations.polygons import Parts, parse, rectangle, trace
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.errors import DataError
from maskr.instances import decode, encode_labels, measure


@dataclass
class Item:
    """An object: its polygon or its run lengths, or only a box.

    Attributes
    ----------
    parts
        The polygon that it was read with, else None.
    rle
        Compressed counts of its mask, else "".
    box
        xmin, ymin, xmax, ymax in pixels.
    attributes
        JSON text, or "".
    """

    id: int
    class_id: int
    box: tuple[float, float, float, float]
    area: float
    parts: Parts | None = None
    rle: str = ""
    score: float = float("nan")
    iscrowd: bool = False
    attributes: str = ""


def items(annotations: Annotations, i: int, report: Report) -> tuple[list[Item], tuple[int, int]]:
    """Take the objects of image `i`, and its size.

    Of a label image these are its objects and its classes of stuff; pixels to be ignored, which
    no object stands for, are reported. The size is (0, 0) where it is unknown and no run lengths
    need it.

    Raises
    ------
    DataError
        If it is unknown and they do.
    """
    if annotations.images.mask_files[i]:
        labels = annotations.labels(i)
        if (labels.classes == IGNORE).any():
            where = annotations.images.files[i]
            report.change("image whose pixels to be ignored become background", where)
        return from_label_image(annotations, labels), labels.classes.shape
    take = annotations.objects
    found = [
        Item(
            int(take.ids[row]),
            int(take.class_ids[row]),
            tuple(take.boxes[row].tolist()),
            float(take.areas[row]),
            parse(take.polygons[row]) if take.polygons[row] else None,
            take.rles[row],
            float(take.scores[row]),
            bool(take.iscrowd[row]),
            take.attributes[row],
        )
        for row in annotations.rows(i)
    ]
    if any(item.rle and not item.parts for item in found):
        return found, annotations.size(i)
    return found, (int(annotations.images.heights[i]), int(annotations.images.widths[i]))


def items_with_shape(
    annotations: Annotations, i: int, report: Report
) -> tuple[list[Item], tuple[int, int]]:
    """Take what `items()` gives, and leave out and report objects without a pixel."""
    found, size = items(annotations, i, report)
    kept = [item for item in found if has_extent(item, size)]
    lost = len(found) - len(kept)
    if lost:
        report.change("object without a pixel, left out", annotations.images.files[i], lost)
    return kept, size


def has_extent(item: Item, size: tuple[int, int]) -> bool:
    """Tell whether an object has pixels, or a polygon or box that it could have some in."""
    if item.rle and not item.parts:
        return bool(measure([item.rle], size)[0][0] > 0)
    xmin, ymin, xmax, ymax = item.box
    return bool(item.parts) or (xmax > xmin and ymax > ymin)


def from_label_image(annotations: Annotations, labels: Labels) -> list[Item]:
    """Make one item of each object, and of each class elsewhere, the background excepted.

    Where a class of things has pixels that belong to no single object, these are a crowd.
    """
    if labels.classes.ndim != 2:
        raise DataError("Objects of volumes can only be written as label volumes.", argument="x")
    numbers = np.zeros_like(labels.classes) if labels.objects is None else labels.objects
    background = [one.id for one in annotations.classes if is_background(one.name)]
    empty = [IGNORE, *(background or [annotations.void()])]
    stuff = (numbers == 0) & ~np.isin(labels.classes, empty)
    first = int(numbers.max(initial=0)) + 1
    whole = np.where(stuff, labels.classes + first, numbers)
    ids, places = np.unique(whole, return_index=True)
    ids, places = ids[ids > 0], places[ids > 0]
    rles = encode_labels(whole)
    areas, boxes = measure(rles, whole.shape)
    classes = labels.classes.ravel()[places]
    crowds = (ids >= first) & np.isin(classes, list(annotations.things()))
    crowds &= labels.objects is not None
    return [
        Item(
            int(ids[n]),
            int(classes[n]),
            tuple(boxes[n].tolist()),
            float(areas[n]),
            rle=rles[n],
            iscrowd=bool(crowds[n]),
        )
        for n in range(len(rles))
    ]


def outline(item: Item, size: tuple[int, int], rule: str, report: Report, where: str) -> Parts:
    """Give an object's polygon: its own, or that of its mask, or the rectangle of its box.

    What is no polygon of its own is reported.

    Parameters
    ----------
    rule
        How the format to be written draws polygons, "coco" or "pil".
    where
        What to call the image in the report.
    """
    if item.parts is not None:
        return item.parts
    if not item.rle:
        report.change("box written as a polygon of four corners", where)
        return [rectangle(item.box)]
    mask, left, top = window(item.rle, size)
    parts, holes = trace(mask, rule)
    report.change("mask written as a polygon", where)
    if holes:
        report.change("hole joined to its object's outline", where, holes)
    return [(np.reshape(part, (-1, 2)) + (left, top)).ravel().tolist() for part in parts]


def window(rle: str, size: tuple[int, int]) -> tuple[np.ndarray, int, int]:
    """Cut a mask out of its image: bool `[h, w]`, and the column and row where it begins."""
    left, top, right, bottom = measure([rle], size)[1][0].astype(int).tolist()
    return decode([rle], size)[top:bottom, left:right, 0], left, top
