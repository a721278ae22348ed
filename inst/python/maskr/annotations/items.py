"""The objects of one image, one by one, as writers need them: whatever form they were read in."""

from dataclasses import dataclass

import numpy as np

from maskr.annotations.polygons import Parts, parse, trace
from maskr.annotations.report import Report
from maskr.annotations.table import BACKGROUND, Annotations, Labels
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


def items(annotations: Annotations, i: int) -> list[Item]:
    """Take the objects of image `i`; of a label image its objects, and its classes of stuff."""
    if annotations.images.mask_files[i]:
        return from_label_image(annotations, annotations.labels(i))
    take = annotations.objects
    return [
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


def from_label_image(annotations: Annotations, labels: Labels) -> list[Item]:
    """Make one item of each object, and of each class elsewhere, the background excepted.

    Where a class of things has pixels that belong to no single object, these are a crowd.
    """
    if labels.classes.ndim != 2:
        raise DataError("Objects of volumes can only be written as label volumes.", argument="x")
    numbers = np.zeros_like(labels.classes) if labels.objects is None else labels.objects
    background = [one.id for one in annotations.classes if one.name.lower() in BACKGROUND]
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
        xmin, ymin, xmax, ymax = item.box
        report.change("box written as a polygon of four corners", where)
        return [[xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]]
    xmin, ymin, xmax, ymax = measure([item.rle], size)[1][0].astype(int)
    mask = decode([item.rle], size)[ymin:ymax, xmin:xmax, 0]
    parts, holes = trace(mask, rule)
    if holes:
        report.change("hole joined to its object's outline", where, holes)
    offset = np.tile([xmin, ymin], max((len(part) for part in parts), default=0))
    return [(np.array(part) + offset[: len(part)]).tolist() for part in parts]
