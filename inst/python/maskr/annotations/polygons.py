"""Polygons of masks.

They follow the edges of pixels: the mask is enlarged twice before it is contoured, and the
coordinates are halved. Rasterised by COCO's rule, and by OpenCV's for truncated coordinates, they
give the mask again, where contours of the mask itself lose half a pixel all round.
"""

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

    Each part is reached from the nearest point visited before and left over the same bridge, so
    that by the even-odd rule the polygon covers what its parts cover.
    """
    path = parts[0]
    waiting = list(parts[1:])
    while waiting:
        nearest = [_bridge(path, part) for part in waiting]
        k = int(np.argmin([length for length, _, _ in nearest]))
        _, at, start = nearest[k]
        loop = np.roll(waiting.pop(k), -start, axis=0)
        path = np.concatenate((path[: at + 1], loop, loop[:1], path[at:]))
    return path


def _bridge(path: Polygon, part: Polygon) -> tuple[float, int, int]:
    """Find the shortest bridge between two polygons' corners: squared length and its ends."""
    distances = ((path[:, None, :] - part[None, :, :]) ** 2).sum(axis=2)
    at, start = np.unravel_index(int(distances.argmin()), distances.shape)
    return float(distances[at, start]), int(at), int(start)
