"""The `segmentation` of COCO's annotations: polygons, run lengths, or nothing, as columns."""

from itertools import chain

import numpy as np
import orjson

from maskr.annotations.json_records import NUMBERS, Records, kind_of, shortened
from maskr.annotations.polygons import FAR, usable
from maskr.annotations.report import Report
from maskr.instances import as_text, measure, pixel_counts

NUMERIC = b"0123456789.,+-eE[]"
"""What a list of lists of numbers is written with."""


def read_masks(records: Records, sizes: np.ndarray, report: Report) -> tuple[list[str], list[str]]:
    """Take the polygons and the compressed counts of all records; "" where there are none.

    Parameters
    ----------
    sizes
        int64 `[N, 2]`: height and width of each record's image; 0 where they are unknown.

    Raises
    ------
    FormatError
        If a segmentation is neither polygons nor run lengths, or its run lengths are not those of
        an image of that size.
    """
    found = records.optional("segmentation")
    records.check_types(
        "segmentation", found, {list, dict, type(None)}, "a list of polygons or run lengths"
    )
    polygons, rles = [""] * len(found), [""] * len(found)
    outlined = [i for i, one in enumerate(found) if type(one) is list and one]
    for i, text in zip(outlined, polygon_texts(records, outlined, report), strict=True):
        polygons[i] = text
    encoded = [i for i, one in enumerate(found) if type(one) is dict]
    for i, text in zip(encoded, counts_texts(records, encoded, sizes), strict=True):
        rles[i] = text
    return polygons, rles


def polygon_texts(records: Records, rows: list[int], report: Report) -> list[str]:
    """Write the polygons of some records as JSON; what is no polygon is left out and counted."""
    found = [records.rows[i]["segmentation"] for i in rows]
    text = orjson.dumps(found)
    if found and all_usable(found, text):
        return [f"[[{one}]]" for one in text[3:-3].decode("ascii").split("]],[[")]
    texts = []
    for i, parts in zip(rows, found, strict=True):
        if any(not isinstance(part, list) for part in parts):
            raise records.error(
                i,
                "has a segmentation that is not a list of polygons",
                hint="A polygon's own numbers are in a list again: [[x1,y1,x2,y2,x3,y3,...],...].",
            )
        kept = usable(parts, records.where(i), report)
        if not kept:
            report.skip("mask without any polygon; its object is a box now", records.where(i))
        texts.append(orjson.dumps(kept).decode() if kept else "")
    return texts


def all_usable(found: list[list], text: bytes) -> bool:
    """Tell whether all parts are polygons, without a look at each: they are lists of numbers, even
    in number, six at least and not too large.
    """
    if text.translate(None, NUMERIC):
        return False
    try:
        parts = list(chain.from_iterable(found))
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        values = np.fromiter(chain.from_iterable(parts), float, int(lengths.sum()))
    except (TypeError, ValueError):
        return False
    is_even = lengths.size > 0 and lengths.min() >= 6 and not (lengths % 2).any()
    return bool(is_even and values.max() <= FAR and values.min() >= -FAR)


def counts_texts(records: Records, rows: list[int], sizes: np.ndarray) -> list[str]:
    """Take the run lengths of some records, compressed."""
    found = [records.rows[i]["segmentation"] for i in rows]
    texts = []
    for i, one in zip(rows, found, strict=True):
        if one.get("size") != sizes[i].tolist():
            height, width = sizes[i]
            raise records.error(
                i,
                f'has run lengths of "size" {shortened(one.get("size"))}, and its image is '
                f"[{height}, {width}] (height, width)",
            )
        counts = one.get("counts")
        if isinstance(counts, list):
            counts = compressed(records, i, counts)
        if not isinstance(counts, str):
            kind = kind_of(counts)
            raise records.error(i, f'has a JSON {kind} as "counts", not a list or a string')
        texts.append(counts)
    wrong = np.flatnonzero(pixel_counts(texts) != sizes[rows].prod(axis=1)) if rows else ()
    if len(wrong):
        raise not_covering(records, rows[wrong[0]])
    return texts


def compressed(records: Records, i: int, counts: list) -> str:
    """Compress a list of run lengths by COCO's library."""
    from faster_coco_eval.core import mask as coco

    height, width = records.rows[i]["segmentation"]["size"]
    is_whole = not set(map(type, counts)) - NUMBERS and all(n >= 0 and n % 1 == 0 for n in counts)
    if not is_whole or sum(counts) != height * width:
        raise not_covering(records, i)
    one = {"counts": [int(n) for n in counts], "size": [height, width]}
    return as_text(coco.frPyObjects([one], height, width)[0]["counts"])


def not_covering(records: Records, i: int) -> Exception:
    """Make the error for run lengths that do not add up to their image."""
    height, width = records.rows[i]["segmentation"]["size"]
    return records.error(i, f"has run lengths that are not those of {height} x {width} pixels")


def sizes_of_rles(records: Records) -> np.ndarray:
    """Take the sizes that run lengths tell, int64 `[N, 2]`; 0 where there is none or a bad one."""
    sizes = np.zeros((len(records), 2), dtype=np.int64)
    for i, one in enumerate(records.optional("segmentation")):
        size = one.get("size") if isinstance(one, dict) else None
        if isinstance(size, list) and len(size) == 2 and set(map(type, size)) == {int}:
            sizes[i] = np.clip(size, 0, 2**31)
    return sizes


def measured(rles: list[str], sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find areas and boxes of run lengths in images of several sizes; as `instances.measure()`."""
    areas, boxes = np.zeros(len(rles)), np.zeros((len(rles), 4))
    kinds, kind = np.unique(sizes, axis=0, return_inverse=True)
    for number, size in enumerate(kinds):
        rows = np.flatnonzero(kind.ravel() == number)
        areas[rows], boxes[rows] = measure([rles[i] for i in rows], size.tolist())
    return areas, boxes
