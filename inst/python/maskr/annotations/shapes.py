"""Shapes of labelling tools as polygons, boxes and run lengths."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from maskr.annotations.columns import ObjectTable
from maskr.annotations.polygons import FAR, Parts, rasterise, rectangle
from maskr.annotations.report import Report
from maskr.errors import FormatError
from maskr.instances import as_text, measure, run_counts

CORNERS = 96
"""Corners of an ellipse's polygon, which covers 99.9 % of it."""

LARGEST_MASK = 2**28
"""Pixels of a mask beyond which it is taken for damage."""

Box = Sequence[float]
"""xmin, ymin, xmax, ymax in pixels."""


def ellipse(cx: float, cy: float, rx: float, ry: float, angle: float = 0.0) -> list[float]:
    """Make the polygon of an ellipse of a centre and two radii, turned clockwise by radians."""
    if not np.isfinite([cx, cy, rx, ry, angle]).all():
        return [np.nan] * 6
    turn = np.arange(CORNERS) * (2 * np.pi / CORNERS)
    return turned(np.stack((rx * np.cos(turn), ry * np.sin(turn)), axis=1), (cx, cy), angle)


def turned_rectangle(box: Box, angle: float) -> list[float]:
    """Make the polygon of a box that is turned about its centre, clockwise by radians."""
    xmin, ymin, xmax, ymax = box
    x, y = (xmax - xmin) / 2, (ymax - ymin) / 2
    corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    return turned(corners, (xmin + x, ymin + y), angle)


def turned(corners: np.ndarray, centre: tuple[float, float], angle: float) -> list[float]:
    """Turn corners `[N, 2]` about the origin and move it to a centre.

    With y pointing down, a positive angle turns clockwise as the image is seen.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    return (corners @ np.array([[cosine, sine], [-sine, cosine]]) + centre).ravel().tolist()


def usable_box(corners: Sequence[float], where: str, report: Report) -> Box | None:
    """Order the corners of a box, x1, y1, x2, y2; None, and reported, where they make none."""
    x1, y1, x2, y2 = corners
    if not np.isfinite(corners).all():
        report.skip("box with coordinates that are not finite", where)
    elif np.abs(corners).max() > FAR:
        report.skip("box far outside of its image", where)
    elif x1 == x2 or y1 == y2:
        report.skip("box without area", where)
    else:
        return [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]
    return None


def placed(mask: np.ndarray, left: int, top: int, size: tuple[int, int]) -> str:
    """Encode a bool mask `[h, w]` that lies somewhere in an image, cut off at the image's edges.

    Returns
    -------
    str
        Compressed counts; "" where no pixel is inside.
    """
    from faster_coco_eval.core import mask as coco

    height, width = size
    mask = mask[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    columns, rows = np.nonzero(mask.T)
    if columns.size == 0:
        return ""
    pixels = (columns + max(0, left)) * height + rows + max(0, top)
    breaks = np.flatnonzero(np.diff(pixels) != 1)
    starts = pixels[np.concatenate(([0], breaks + 1))]
    ends = pixels[np.append(breaks, pixels.size - 1)] + 1
    counts = run_counts(starts, ends, height * width)
    return as_text(coco.frPyObjects([{"counts": counts, "size": list(size)}], *size)[0]["counts"])


@dataclass
class Draft:
    """An object that is put together of shapes: its polygons, boxes and masks.

    Attributes
    ----------
    extras
        Arguments for `ObjectTable.add()`.
    place
        Stands for its class, see `class_names.Names`.
    """

    extras: dict
    place: int = -1
    parts: Parts = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    rles: list[str] = field(default_factory=list)

    def add_to(self, table: ObjectTable, image_id: int, size: tuple[int, int], rule: str) -> None:
        """Append the object, if there is anything of it: one box, a polygon, or else a mask."""
        known = {"image_id": image_id, "class_id": self.place, **self.extras}
        parts = self.parts + [rectangle(box) for box in self.boxes]
        if self.rles:
            rle = union([*self.rles, *(rasterise([parts], size, rule) if parts else [])], size)
            areas, boxes = measure([rle], size)
            table.add(rle=rle, area=float(areas[0]), box=boxes[0].tolist(), **known)
        elif len(self.boxes) == 1 and not self.parts:
            table.add(box=self.boxes[0], **known)
        elif parts:
            table.add(polygon=parts, **known)


def union(rles: list[str], size: tuple[int, int]) -> str:
    """Unite masks."""
    from faster_coco_eval.core import mask as coco

    if len(rles) == 1:
        return rles[0]
    return as_text(coco.merge([{"counts": r.encode(), "size": list(size)} for r in rles])["counts"])


def points_of(values: Any, where: str) -> np.ndarray:
    """Take points as float64 `[N, 2]`.

    Raises
    ------
    FormatError
        If they are no pairs of numbers.
    """
    try:
        points = np.asarray(values, dtype=float)
    except (TypeError, ValueError, OverflowError):
        points = np.zeros(())
    if points.size == 0 and points.ndim:
        return np.zeros((0, 2))
    if points.ndim == 2 and points.shape[1] == 2:
        return points
    raise FormatError(f"The points of {where} are not pairs of x and y.", argument="path")
