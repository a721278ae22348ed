"""How well boundaries are found: boundary F1, boundary IoU and trimap IoU.

Boundary F1 (BF score) of a class in an image is 2 P R / (P + R): P is the share of the prediction's
boundary pixels that are at most a tolerance away from the truth's boundary, R the share of the
truth's that are as near to the prediction's. `surface_points` says what a boundary pixel is; as
there, the image's frame ends a mask, and ignored pixels are as if they lay outside of it. A class
that neither mask holds is undefined (NaN), of one that only one of them holds the score is 0.
The score of several images is the mean over those in which it is defined.

Boundary IoU is the IoU of the parts of both masks of a class, G and P, that are at most d pixels
from their own boundaries: G_d is G less G eroded d times by a 3 x 3 square (3 x 3 x 3 cube), with
nothing outside of the frame, P_d likewise.

    |G_d and P_d| / |G_d or P_d|

Trimap IoU is the IoU of G and P among the pixels at most d from the truth's boundary, on either
side of it: T is G dilated d times, less G eroded d times.

    |T and G and P| / |T and (G or P)|

Both pool intersections and unions over the images, and are undefined where the union is empty: the
trimap IoU is so of a class that the truth lacks, since there is no boundary to look around.

Sources: Csurka et al. (2013), What is a good evaluation measure for semantic segmentation?,
section 2 (who demand a distance below the tolerance, not at it); Cheng et al. (2021), Boundary IoU,
equation 2, whose code rounds d as here and takes at least 1; Kohli, Ladicky and Torr (2009), Robust
higher order potentials for enforcing label consistency (trimaps).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import starmap

import numpy as np
from scipy.ndimage import find_objects

from maskr.metrics.family import Additive, Scores, ratio, with_means
from maskr.metrics.lengths import Length, checked, length
from maskr.metrics.masks import Mask
from maskr.metrics.surface_points import Pair, distances, within

NAMES = ("boundary_f1", "boundary_iou", "trimap_iou")


class Boundary(Additive):
    """Scores of boundaries.

    A part holds, for each class and score of an image, a numerator and a denominator: float64
    `[K, 3, 2]`, for F1 its value and whether it is defined, for the IoUs the pixels of intersection
    and union.

    Parameters
    ----------
    class_ids
        The K class ids that may occur, background included.
    tolerance
        Distance up to which boundaries agree, for F1: a number in units of the masks' spacing
        (pixels without), or a share of the image's diagonal such as "0.75%".
    width
        d of the IoUs, in the same manner; rounded to whole pixels along each axis, at least 1.

    Raises
    ------
    DataError
        If the tolerance or the width is neither.
    """

    name = "boundary"

    def __init__(
        self, class_ids: Sequence[int], tolerance: Length = "0.75%", width: Length = "2%"
    ) -> None:
        super().__init__(class_ids)
        self.tolerance = checked(tolerance, "tolerance")
        self.width = checked(width, "width")
        self.shape = (len(self.class_ids), len(NAMES), 2)

    def arguments(self) -> dict:
        """The class ids, the tolerance and the width."""
        return {
            "class_ids": list(self.class_ids), "tolerance": self.tolerance, "width": self.width
        }

    def count(self, truth: Mask | np.ndarray, prediction: Mask | np.ndarray) -> np.ndarray:
        """Compare an image's boundaries.

        Raises
        ------
        ShapeError, DataError
            As `surface_points.Pair.of()`.
        """
        pair = Pair.of(truth, prediction, self.class_ids)
        shape = pair.truth.shape
        tolerance = length(self.tolerance, shape, pair.spacing)
        width = length(self.width, shape, pair.spacing)
        steps = [max(1, round(width / step)) for step in pair.spacing]
        out = np.zeros(self.shape)
        for k, both in enumerate(distances(pair, tolerance)):
            out[k, 0] = f1(*both, tolerance)
        for k, truth_mask, predicted in crops(pair):
            out[k, 1:] = overlaps(truth_mask, predicted, steps)
        return out

    def figures(self, counts: np.ndarray) -> Scores:
        """Ratios of summed parts `[..., K, 3, 2]`."""
        n = counts[..., 1]
        return with_means(NAMES, ratio(counts[..., 0], n), n)


def f1(truth: np.ndarray, prediction: np.ndarray, tolerance: float) -> tuple[float, int]:
    """F1 from the distances of boundary pixels in both directions, and whether it is defined."""
    if truth.size == 0 or prediction.size == 0:
        return 0.0, int(truth.size + prediction.size > 0)
    recall = within(truth, tolerance) / truth.size
    precision = within(prediction, tolerance) / prediction.size
    both = precision + recall
    return (2 * precision * recall / both if both > 0 else 0.0), 1


def crops(pair: Pair) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Of each class that occurs its position and both masks, uint8, in the box around them."""
    # labels count from 1 there; those of ignored pixels come last
    boxes = [
        find_objects(x.astype(np.int32) + 1, pair.classes) for x in (pair.truth, pair.prediction)
    ]
    for k, found in enumerate(zip(*boxes, strict=True)):
        present = [box for box in found if box is not None]
        if present:
            box = tuple(starmap(span, zip(*present, strict=True)))
            yield k, *((x[box] == k).view(np.uint8) for x in (pair.truth, pair.prediction))


def span(*slices: slice) -> slice:
    """The slice that holds all."""
    return slice(min(one.start for one in slices), max(one.stop for one in slices))


def overlaps(
    truth: np.ndarray, prediction: np.ndarray, steps: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Intersection and union of boundary IoU, and of trimap IoU, in pixels.

    Parameters
    ----------
    truth, prediction
        Masks of a class: uint8 `[H, W]` or `[D, H, W]`, 0 and 1; beyond them there is none of it.
    steps
        How often they are eroded and dilated, along each axis.
    """
    inner, predicted = (x & ~eroded(x, steps) for x in (truth, prediction))
    outer = dilated(truth, steps) & ~truth
    return (
        (np.count_nonzero(inner & predicted), np.count_nonzero(inner | predicted)),
        (
            np.count_nonzero(inner & prediction),
            np.count_nonzero(inner) + np.count_nonzero(outer & prediction),
        ),
    )


def eroded(mask: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """A mask eroded along each axis, with nothing outside of it."""
    import cv2  # noqa: PLC0415, heavy

    return along_axes(mask, steps, cv2.erode)


def dilated(mask: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """A mask dilated along each axis."""
    import cv2  # noqa: PLC0415, heavy

    return along_axes(mask, steps, cv2.dilate)


def along_axes(mask: np.ndarray, steps: Sequence[int], change: Callable) -> np.ndarray:
    """Erode or dilate along one axis after the other: n steps are a line of 2 n + 1 pixels."""
    for axis, step in enumerate(steps):
        line = np.ones((2 * step + 1, 1), dtype=np.uint8)
        before, n = math.prod(mask.shape[:axis]), mask.shape[axis]
        if axis == mask.ndim - 1:
            changed = change(mask.reshape(before, n), line.T, borderType=0, borderValue=0)
        else:
            images = mask.reshape(before, n, -1)
            changed = np.stack([change(x, line, borderType=0, borderValue=0) for x in images])
        mask = changed.reshape(mask.shape)
    return mask
