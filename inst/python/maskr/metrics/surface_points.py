"""Surfaces of the classes of a truth and of its prediction, and the distances between them.

A pixel of a class lies on its surface if one of its direct neighbours (4 in an image, 6 in a
volume) does not belong to the class: what is left of a mask without its erosion. The image's frame
ends a mask, as in MONAI and DeepMind's surface-distance. Ignored pixels are as if they lay outside
of the frame: they belong to no class, in the truth and in the prediction, and a class ends where
they begin. So a truth whose objects are ringed by ignored pixels keeps its surfaces, and what is
predicted under ignored pixels alone is neither found nor missed.

A distance is that of centres of pixels, in units of the spacing, from a pixel of the one surface
to the nearest of the other; exact, in float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from maskr.errors import DataError, ShapeError
from maskr.metrics import confusion
from maskr.metrics.confusion import size_of, whole_numbers
from maskr.metrics.masks import Mask

NEAR = 3
"""How many of the smallest pixel sides around a pixel are searched before a tree is built."""

MANY = 25
"""A query of a tree costs up to so many times a pixel of a distance transform."""

SLACK = 1e-9
"""A distance that is a tolerance but for rounding (3 x 0.1 and 0.3) is within it."""


@dataclass(frozen=True)
class Pair:
    """Truth and prediction of an image, ready for geometry.

    Parameters
    ----------
    truth, prediction
        Positions of the classes among the class ids, 0 to K - 1, and K in ignored pixels: uint8 or
        uint16 `[H, W]` or `[D, H, W]` in C order; arrays in R's order come with their axes
        reversed, which no distance minds.
    spacing
        Size of a pixel along each axis.
    classes
        K.
    """

    truth: np.ndarray
    prediction: np.ndarray
    spacing: tuple[float, ...]
    classes: int

    @classmethod
    def of(
        cls, truth: Mask | np.ndarray, prediction: Mask | np.ndarray, ids: Sequence[int]
    ) -> "Pair":
        """Check two masks and look up their classes.

        Raises
        ------
        ShapeError
            If their sizes differ, or a spacing is not one of their axes.
        DataError
            As `confusion.count()`; or if the spacings differ or are not above 0.
        """
        masks = Mask.of(truth), Mask.of(prediction)
        arrays = [whole_numbers(one.ids, name) for one, name in zip(masks, NAMES, strict=True)]
        confusion.count(*arrays, ids, masks[0].ignore)
        spacing = spacing_of(*masks)
        counted = masks[0].counted & masks[1].counted
        if arrays[0].flags.f_contiguous:
            arrays, counted, spacing = [x.T for x in arrays], counted.T, spacing[::-1]
        return cls(*(positions(x, ids, counted) for x in arrays), spacing, len(ids))


NAMES = ("truth", "prediction")


def positions(x: np.ndarray, ids: Sequence[int], counted: np.ndarray) -> np.ndarray:
    """Each pixel's place among `ids`, or their number where it does not count."""
    order = np.argsort(ids)
    dtype = np.uint8 if len(ids) < np.iinfo(np.uint8).max else np.uint16
    place = np.searchsorted(np.asarray(ids, dtype=x.dtype)[order], x)
    found = np.ascontiguousarray(order.astype(dtype).take(place, mode="clip"))
    if not counted.all():
        found[~counted] = len(ids)
    return found


def spacing_of(truth: Mask, prediction: Mask) -> tuple[float, ...]:
    """The spacing of both masks: that of either, and 1 where neither has one."""
    given = [one.spacing for one in (truth, prediction) if one.spacing is not None]
    dimensions = truth.ids.ndim
    for one, name in zip((truth, prediction), NAMES, strict=True):
        if one.spacing is not None and len(one.spacing) != dimensions:
            raise ShapeError(
                f"The {name} of {size_of(one.ids)} pixels has a spacing of {len(one.spacing)} "
                f"numbers instead of {dimensions}.",
                hint="The spacing holds the size of a pixel along each axis.",
                argument=name,
            )
        if one.spacing is not None and not all(0 < step < np.inf for step in one.spacing):
            raise DataError(
                f"The {name} has the spacing {one.spacing}; sizes of pixels are above 0.",
                argument=name,
            )
    if len(given) == 2 and not np.allclose(*given, rtol=1e-3):
        raise DataError(
            f"Truth and prediction differ in spacing: {given[0]} and {given[1]}.",
            hint="Give them the same spacing, or the prediction none.",
            argument="prediction",
        )
    return tuple(map(float, given[0])) if given else (1.0,) * dimensions


def distances(pair: Pair, limit: float = np.inf) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Distances between the surfaces of each class.

    Parameters
    ----------
    pair
        Truth and prediction.
    limit
        Distances above this need not be known: they are Inf.

    Yields
    ------
    tuple
        For each of the K classes, float64: from each pixel of the truth's surface to the
        prediction's, and from each of the prediction's to the truth's. Inf where the other is
        empty.
    """
    reach = NEAR * min(pair.spacing)
    margin = [int(reach / step + SLACK) for step in pair.spacing]
    both = [
        Surfaces.of(x, pair.classes, margin, pair.spacing) for x in (pair.truth, pair.prediction)
    ]
    near = list(shells(both[0].labels.shape, margin, pair.spacing, reach))
    for k in range(pair.classes):
        yield nearest(*both, k, near, limit), nearest(*both[::-1], k, near, limit)


@dataclass(frozen=True)
class Surfaces:
    """The surfaces of all classes of a mask.

    Parameters
    ----------
    labels
        The class of each pixel that lies on its surface, K elsewhere and in a margin around the
        image.
    points
        Flat indices into `labels` of the pixels of each class, ascending.
    spacing
        Size of a pixel along each axis.
    """

    labels: np.ndarray
    points: list[np.ndarray]
    spacing: tuple[float, ...]

    @classmethod
    def of(
        cls, x: np.ndarray, classes: int, margin: Sequence[int], spacing: tuple[float, ...]
    ) -> "Surfaces":
        """The surfaces of a mask of `Pair`."""
        on_surface = np.where(inside(x), x.dtype.type(classes), x)
        labels = np.pad(on_surface, [(n, n) for n in margin], constant_values=classes)
        where = np.flatnonzero(labels != classes)
        found = labels.ravel()[where]
        order = np.argsort(found, kind="stable")
        points = np.split(where[order], np.searchsorted(found[order], range(1, classes)))
        return cls(labels, points, spacing)

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """Where flat indices lie, float64 `[N, axes]` in units of the spacing."""
        return np.stack(np.unravel_index(points, self.labels.shape), axis=1) * self.spacing


def inside(labels: np.ndarray) -> np.ndarray:
    """Which pixels have only neighbours of their own label, within the frame."""
    out = np.ones(labels.shape, dtype=bool)
    for axis in range(labels.ndim):
        along, keep = np.moveaxis(labels, axis, 0), np.moveaxis(out, axis, 0)
        same = along[1:] == along[:-1]
        keep[1:] &= same
        keep[:-1] &= same
        keep[0] = keep[-1] = False
    return out


def shells(
    shape: Sequence[int], margin: Sequence[int], spacing: Sequence[float], reach: float
) -> Iterator[tuple[float, np.ndarray]]:
    """Distances up to `reach`, ascending, and the steps in flat indices that lead so far."""
    steps = np.stack(
        np.meshgrid(*(np.arange(-n, n + 1) for n in margin), indexing="ij"), axis=-1
    ).reshape(-1, len(margin))
    length = np.sqrt(((steps * spacing) ** 2).sum(axis=1))
    flat = steps @ (np.cumprod([1, *shape[:0:-1]])[::-1])
    order = np.argsort(length, kind="stable")
    length, flat = length[order], flat[order]
    # equal but for rounding
    starts = np.flatnonzero(np.diff(length, prepend=-reach) > SLACK * reach)
    for i, together in zip(starts, np.split(flat, starts[1:]), strict=True):
        if length[i] <= reach * (1 + SLACK):
            yield float(length[i]), together


def nearest(
    surfaces: Surfaces,
    others: Surfaces,
    k: int,
    near: Sequence[tuple[float, np.ndarray]],
    limit: float,
) -> np.ndarray:
    """Distance of each pixel of a class's surface to the nearest of another surface of it.

    Most surfaces lie close together, so that looking around each pixel finds the other one; the
    pixels that are far off are left for `nearest_far()`.
    """
    points = surfaces.points[k]
    out = np.full(points.size, np.inf)
    if others.points[k].size == 0:
        return out
    left, flat = np.arange(points.size), others.labels.ravel()
    for distance, steps in near:
        if left.size == 0 or distance > limit * (1 + SLACK):
            return out
        start = points[left]
        hit = np.zeros(left.size, dtype=bool)
        for step in steps:
            hit |= flat.take(start + step) == k
        out[left[hit]] = distance
        left = left[~hit]
    if left.size > 0:
        out[left] = nearest_far(surfaces, others, k, points[left], limit)
    return out


def nearest_far(
    surfaces: Surfaces, others: Surfaces, k: int, points: np.ndarray, limit: float
) -> np.ndarray:
    """Distance of each of `points` to the nearest pixel of another surface of class `k`."""
    if points.size * MANY > others.labels.size:
        found = distance_transform_edt(others.labels != k, sampling=others.spacing)
        found = found.ravel()[points]
        return np.where(found <= limit * (1 + SLACK), found, np.inf)
    # points of a grid make good trees without balancing, in half the time
    tree = cKDTree(
        others.coordinates(others.points[k]), leafsize=32, compact_nodes=False, balanced_tree=False
    )
    return tree.query(surfaces.coordinates(points), distance_upper_bound=limit * (1 + SLACK))[0]


def within(found: np.ndarray, tolerance: float) -> int:
    """How many distances are at most the tolerance."""
    return int(np.count_nonzero(found <= tolerance * (1 + SLACK)))
