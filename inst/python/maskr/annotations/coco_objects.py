"""COCO's annotations and results as a table of objects."""

import numpy as np
import orjson

from maskr.annotations.coco_masks import measured, read_masks, sizes_of_rles
from maskr.annotations.columns import Images, Objects
from maskr.annotations.items import Item
from maskr.annotations.json_records import NUMBERS, Records
from maskr.annotations.polygons import FAR, area_of, box_of, lie_outside, parse
from maskr.annotations.report import Report
from maskr.errors import DataError

KEPT = {
    "area",
    "attributes",
    "bbox",
    "category_id",
    "id",
    "image_id",
    "iscrowd",
    "score",
    "segmentation",
}
"""Keys of an annotation that the table has a place for."""

NOTHING: tuple = (None, "", [], {})


def read_objects(
    records: Records, images: Images, ids: np.ndarray, classes: np.ndarray, report: Report
) -> Objects:
    """Make the table; images of unknown size get that of their run lengths.

    Parameters
    ----------
    ids
        int64 `[N]`: the number of each object.
    classes
        int64 `[K]`: the ids of all classes.

    Raises
    ------
    FormatError
        If a record lacks what it needs, holds what is no number, or names an image or class that
        is not there.
    """
    image_ids, class_ids = records.whole("image_id"), records.whole("category_id")
    rows = records.find("image_id", image_ids, np.array(images.ids, dtype=np.int64), "images")
    records.find("category_id", class_ids, classes, "categories")
    learn_sizes(records, images, rows)
    sizes = np.array([images.heights, images.widths], dtype=np.int64).reshape(2, -1).T[rows]
    polygons, rles = read_masks(records, sizes, report)
    boxes, areas = read_boxes(records), records.numbers("area")
    complete(boxes, areas, polygons, rles, sizes)
    keep = kept(records, boxes, sizes, report)
    report_keys(records, report)
    return Objects(
        ids[keep],
        image_ids[keep],
        class_ids[keep],
        records.numbers("score")[keep],
        boxes[keep],
        areas[keep],
        records.flags("iscrowd", False)[keep],
        *(chosen(one, keep) for one in (rles, polygons, read_attributes(records, report))),
    )


def learn_sizes(records: Records, images: Images, rows: np.ndarray) -> None:
    """Give images of unknown size the size of their first run lengths."""
    if min(images.heights, default=1) > 0 and min(images.widths, default=1) > 0:
        return
    sizes = sizes_of_rles(records)
    told = np.flatnonzero(sizes.min(axis=1, initial=2**31) > 0)
    for row, at in zip(*np.unique(rows[told], return_index=True), strict=True):
        if min(images.heights[row], images.widths[row]) == 0:
            images.heights[row], images.widths[row] = sizes[told[at]].tolist()


def read_boxes(records: Records) -> np.ndarray:
    """Take the boxes as xmin, ymin, xmax, ymax, float64 `[N, 4]`; NaN where there is none."""
    missing = [float("nan")] * 4
    found = [box or missing for box in records.optional("bbox")]
    wrong = [i for i, box in enumerate(found) if not (type(box) is list and len(box) == 4)]
    wrong = wrong or [i for i, box in enumerate(found) if set(map(type, box)) - NUMBERS]
    if wrong:
        raise records.error(wrong[0], 'has a "bbox" that is not [x, y, width, height]')
    boxes = np.array(found, dtype=float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def complete(
    boxes: np.ndarray, areas: np.ndarray, polygons: list[str], rles: list[str], sizes: np.ndarray
) -> None:
    """Fill in boxes and areas that are missing with those of masks, else of boxes."""
    lacking = np.flatnonzero(np.isnan(boxes[:, 0]) | np.isnan(areas))
    encoded = [i for i in lacking if rles[i]]
    for i, area, box in zip(
        encoded, *measured([rles[i] for i in encoded], sizes[encoded]), strict=True
    ):
        fill(boxes, areas, i, area, box)
    for i in lacking:
        if polygons[i]:
            parts = parse(polygons[i])
            fill(boxes, areas, i, area_of(parts), box_of(parts))
    bare = np.isnan(areas)
    areas[bare] = np.prod(boxes[bare, 2:] - boxes[bare, :2], axis=1)


def fill(boxes: np.ndarray, areas: np.ndarray, i: int, area: float, box: np.ndarray) -> None:
    """Fill in what is missing of one object."""
    areas[i] = area if np.isnan(areas[i]) else areas[i]
    boxes[i] = np.where(np.isnan(boxes[i]), box, boxes[i])


def kept(records: Records, boxes: np.ndarray, sizes: np.ndarray, report: Report) -> np.ndarray:
    """Find the records that can be objects, and report the others."""
    height, width = np.where(sizes > 0, sizes, np.inf).T
    xmin, ymin, xmax, ymax = boxes.T
    problems = {
        "annotation without box and mask": np.isnan(xmin),
        "box of negative size": (xmax < xmin) | (ymax < ymin),
        "box outside of its image": lie_outside(boxes, height, width),
        "box far outside of its image": np.abs(boxes).max(axis=1, initial=0) > FAR,
    }
    good = np.ones(len(boxes), dtype=bool)
    for problem, bad in problems.items():
        for i in np.flatnonzero(bad & good):
            report.skip(problem, records.where(int(i)))
        good &= ~bad
    return good


def report_keys(records: Records, report: Report) -> None:
    """Count what annotations hold under other keys, such as keypoints."""
    for key in sorted(set().union(*records.rows) - KEPT):
        found = [i for i, one in enumerate(records.optional(key)) if one not in NOTHING]
        if found:
            report.change(
                f'annotation\'s key "{key}", not kept', records.where(found[0]), len(found)
            )


def read_attributes(records: Records, report: Report) -> list[str]:
    """Take what else is said of each object, as JSON; "" where there is nothing."""
    found = records.optional("attributes")
    for i, one in enumerate(found):
        if one and not isinstance(one, dict):
            report.skip('"attributes" that are not a JSON object', records.where(i))
    return [orjson.dumps(one).decode() if one and type(one) is dict else "" for one in found]


def chosen(values: list[str], keep: np.ndarray) -> list[str]:
    """Take the values that are kept."""
    return values if keep.all() else [values[i] for i in np.flatnonzero(keep)]


def coco_box(box: tuple[float, float, float, float], where: str) -> list[float]:
    """Turn xmin, ymin, xmax, ymax into COCO's x, y, width, height.

    Raises
    ------
    DataError
        If it isn't finite.
    """
    if not np.isfinite(box).all():
        raise DataError(f"An object of {where} has no box: {box}.", argument="x")
    xmin, ymin, xmax, ymax = box
    # so that 258.15 + 348.26 - 258.15 is 348.26 again
    return [xmin, ymin, round(xmax - xmin, 9), round(ymax - ymin, 9)]


def coco_rle(item: Item, size: tuple[int, int]) -> dict:
    """Write an object's run lengths as COCO does."""
    return {"size": [int(size[0]), int(size[1])], "counts": item.rle}
