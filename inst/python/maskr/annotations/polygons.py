"""Polygons and masks, each by the rule that its programs draw polygons with.

COCO's rule ("coco", also of YOLO and CVAT) takes coordinates as positions between pixels: a mask's
outline follows the edges of its pixels. Pillow's rule ("pil", of LabelMe and VIA) takes them as
pixels, and the outline's own pixels belong to the object. An outline that is traced by one rule
and drawn by the same gives the mask again.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import orjson

from maskr.annotations.report import Report
from maskr.errors import DataError, FormatError
from maskr.instances import encode_planes, pixel_rings, rings

Polygon = np.ndarray
"""float64 `[N, 2]`, x and y in pixels."""

Parts = list[list[float]]
"""COCO's notation: of each part x1, y1, x2, y2, ... in pixels."""

FAR = 1e6
"""Coordinates beyond are taken for damage; drawing them would take memory without end."""


def parse(text: str) -> Parts:
    """Read a polygon column.

    Raises
    ------
    FormatError
        If it is not in COCO's notation.
    """
    try:
        parts = orjson.loads(text)
        if parts and all(len(part) >= 6 and len(part) % 2 == 0 for part in parts):
            return parts
    except (orjson.JSONDecodeError, TypeError):
        pass
    raise FormatError(
        f"This is not a polygon: {text[:60]}",
        hint="A polygon is written [[x1,y1,x2,y2,x3,y3,...],...] in pixels.",
        argument="polygon",
    )


def usable(parts: Sequence[Sequence[float]], where: str, report: Report) -> Parts:
    """Keep the parts that are polygons, and report the others.

    Raises
    ------
    FormatError
        If coordinates are no numbers.
    """
    kept = []
    for part in parts:
        try:
            points = np.asarray(part, dtype=float).reshape(-1)
        except (TypeError, ValueError) as error:
            raise FormatError(
                f"The polygon in {where} has a coordinate that is not a number."
            ) from error
        if not np.isfinite(points).all():
            report.skip("polygon with coordinates that are not finite", where)
        elif points.size % 2:
            report.skip("polygon with an odd number of coordinates", where)
        elif points.size < 6:
            report.skip("polygon of fewer than three points", where)
        elif np.abs(points).max() > FAR:
            report.skip("polygon far outside of its image", where)
        else:
            kept.append(points.tolist())
    return kept


def rectangle(box: Sequence[float]) -> list[float]:
    """Make the polygon of xmin, ymin, xmax, ymax."""
    xmin, ymin, xmax, ymax = box
    return [xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]


def lie_outside(boxes: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Tell which boxes `[N, 4]` have no pixel in their image: bool `[N]`; size 0 is unknown."""
    xmin, ymin, xmax, ymax = boxes.T
    outside = (xmin >= widths) | (ymin >= heights) | (xmax <= 0) | (ymax <= 0)
    return outside & (heights > 0) & (widths > 0)


def box_of(parts: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Find xmin, ymin, xmax, ymax."""
    points = np.concatenate([np.asarray(part, dtype=float).reshape(-1, 2) for part in parts])
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


def area_of(parts: Sequence[Sequence[float]]) -> float:
    """Add up the areas of the parts (Gauss's formula)."""
    total = 0.0
    for part in parts:
        x, y = np.asarray(part, dtype=float).reshape(-1, 2).T
        total += abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    return total


def rasterise(outlines: Sequence[Parts], size: tuple[int, int], rule: str = "coco") -> list[str]:
    """Draw polygons, a run-length string each; the parts of one are united.

    Parameters
    ----------
    outlines
        For each object its parts.
    size
        (H, W); what reaches beyond is cut off.
    rule
        "coco" or "pil".
    """
    if any(abs(value) > FAR for parts in outlines for part in parts for value in part):
        raise DataError(f"A polygon has coordinates beyond {FAR:g} pixels.", argument="polygon")
    if rule == "pil":
        return [by_pillow(parts, size) for parts in outlines]
    return by_coco(outlines, size)


def by_coco(outlines: Sequence[Parts], size: tuple[int, int]) -> list[str]:
    """Draw by COCO's rule."""
    from faster_coco_eval.core import mask as coco

    flat = [part for parts in outlines for part in parts]
    if not flat:
        return []
    drawn = coco.frPyObjects(flat, *size)
    counts, at = [], 0
    for parts in outlines:
        own = drawn[at : at + len(parts)]
        at += len(parts)
        counts.append((own[0] if len(own) == 1 else coco.merge(own))["counts"].decode("ascii"))
    return counts


def by_pillow(parts: Parts, size: tuple[int, int]) -> str:
    """Draw by Pillow's rule, outline and all, as LabelMe does."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (size[1], size[0]))
    draw = ImageDraw.Draw(canvas)
    for part in parts:
        draw.polygon(list(zip(part[::2], part[1::2], strict=True)), outline=1, fill=1)
    return encode_planes(np.asarray(canvas)[:, :, None])[0]


def trace(mask: np.ndarray, rule: str = "coco") -> tuple[Parts, int]:
    """Outline a bool mask `[H, W]`, and count its holes.

    Returns
    -------
    parts
        One closed polygon for each connected part. Holes are reached from their part's outline
        over bridges of no width.
    holes
        How many there are.
    """
    found, parents = pixel_rings(mask) if rule == "pil" else rings(mask)
    parts = []
    for number in np.flatnonzero(parents < 0):
        holes = [found[hole] for hole in np.flatnonzero(parents == number)]
        whole = joined([found[number], *holes]) if holes else found[number]
        # a line of pixels is a ring of two points
        whole = np.pad(whole, ((0, max(0, 3 - len(whole))), (0, 0)), mode="edge")
        parts.append(whole.ravel().tolist())
    return parts, int((parents >= 0).sum())


def joined(parts: list[Polygon]) -> Polygon:
    """Join parts into one closed polygon that visits them over bridges of no width.

    Each part is reached from the nearest corner visited before and left over the same bridge, so
    that by the even-odd rule the polygon covers what its parts cover.
    """
    points = np.concatenate(parts)
    ends = np.cumsum([len(part) for part in parts])
    starts = ends - [len(part) for part in parts]
    # the path as a linked list: of each step its point and the step after it
    visited = list(range(len(points)))
    after = [i + 1 for i in visited]
    after[ends[0] - 1] = -1
    for part, at, start in _bridges(points, starts, ends):
        n = len(visited)
        visited += [start, at]
        after[ends[part] - 1] = starts[part]
        before = ends[part] - 1 if start == starts[part] else start - 1
        after += [n + 1, after[at]]
        after[at], after[before] = start, n
    path, step = [], 0
    while step >= 0:
        path.append(visited[step])
        step = after[step]
    return points[path]


def _bridges(
    points: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> Iterator[tuple[int, int, int]]:
    """Yield the shortest bridges that connect all parts.

    Each is the part that it reaches, the corner that it comes from, and the corner of the part.
    """
    owner = np.repeat(np.arange(len(starts)), ends - starts)
    waiting = owner > 0
    distance = np.full(len(points), np.inf)
    source = np.zeros(len(points), dtype=int)
    newest = 0
    while waiting.any():
        rest = np.flatnonzero(waiting)
        own = np.arange(starts[newest], ends[newest])
        squares = ((points[rest, None] - points[None, own]) ** 2).sum(axis=2)
        nearest = squares.argmin(axis=1)
        closer = squares[np.arange(len(rest)), nearest] < distance[rest]
        source[rest[closer]] = own[nearest[closer]]
        distance[rest] = np.minimum(distance[rest], squares.min(axis=1))
        corner = int(rest[distance[rest].argmin()])
        newest = int(owner[corner])
        waiting[starts[newest] : ends[newest]] = False
        yield newest, int(source[corner]), corner
