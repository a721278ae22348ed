"""Polygons of masks.

They follow the edges of pixels: the mask is enlarged twice before it is contoured, and the
coordinates are halved. Rasterised by COCO's rule, and by OpenCV's for truncated coordinates, they
give the mask again, where contours of the mask itself lose half a pixel all round.
"""

from collections.abc import Iterator

import numpy as np

Polygon = np.ndarray
"""float64 `[N, 2]`, x and y in pixels."""


def contours(mask: np.ndarray) -> list[Polygon]:
    """Outline all parts of a bool mask `[H, W]`, and the holes in them."""
    import cv2

    twice = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    found, _ = cv2.findContours(twice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [outline[:, 0, :] / 2 for outline in found]


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
