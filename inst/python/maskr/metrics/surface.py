"""Distances between the surfaces of truth and prediction, in images and volumes.

With S the surface of a class in the truth, S' that in the prediction, d(p, S) the distance of a
pixel p to the nearest of S, D = {d(p, S') : p in S} and D' = {d(p, S) : p in S'}:

Hausdorff distance        max(max D, max D')
HD95                      max(q(D), q(D')), q the 95th percentile, linearly interpolated
ASSD                      (sum D + sum D') / (|S| + |S'|)
surface Dice, NSD         (#{d in D: d <= t} + #{d in D': d <= t}) / (|S| + |S'|), t the tolerance

`surface_points` says what a surface is. A class that neither holds is undefined in an image (NaN)
and enters no mean; one that only one of them holds has infinite distances and a surface Dice of 0.
A score of several images is the mean over those in which it is defined, infinite if any of them is.

These are MONAI's definitions (compute_hausdorff_distance, compute_average_surface_distance with
symmetric = True, compute_surface_dice), in which every pixel of a surface counts as much as every
other. DeepMind's surface-distance puts surfaces between the pixels, weights their elements by area
and takes as percentile the first distance that reaches the share, so its numbers differ by a
fraction of a pixel. Others take the percentile of D and D' together, which is smaller than or equal
to the one here.

Sources: Huttenlocher, Klanderman and Rucklidge (1993), Comparing images using the Hausdorff
distance; Heimann et al. (2009), Comparison and evaluation of methods for liver segmentation from CT
datasets; Nikolov et al. (2021), Clinically applicable segmentation of head and neck anatomy.
"""

from collections.abc import Sequence

import numpy as np

from maskr.metrics.family import Additive, Scores, ratio, with_means
from maskr.metrics.lengths import Length, checked, length
from maskr.metrics.masks import Mask
from maskr.metrics.surface_points import Pair, distances, within

NAMES = ("hausdorff", "hd95", "assd", "nsd")


class Surface(Additive):
    """Distances between surfaces.

    A part holds, for each class and score of an image, its value if that is finite (else 0), and
    whether it is finite and whether it is infinite: float64 `[K, 4, 3]`.

    Parameters
    ----------
    class_ids
        The K class ids that may occur, background included.
    tolerance
        Distance up to which surfaces agree, for the surface Dice: a number in units of the masks'
        spacing (pixels without), or a share of the image's diagonal such as "0.75%".

    Raises
    ------
    DataError
        If the tolerance is neither.
    """

    name = "surface"

    def __init__(self, class_ids: Sequence[int], tolerance: Length = "0.75%") -> None:
        super().__init__(class_ids)
        self.tolerance = checked(tolerance, "tolerance")
        self.shape = (len(self.class_ids), len(NAMES), 3)

    def arguments(self) -> dict:
        """The class ids and the tolerance."""
        return {"class_ids": list(self.class_ids), "tolerance": self.tolerance}

    def count(self, truth: Mask | np.ndarray, prediction: Mask | np.ndarray) -> np.ndarray:
        """Measure an image's surfaces.

        Raises
        ------
        ShapeError, DataError
            As `surface_points.Pair.of()`.
        """
        pair = Pair.of(truth, prediction, self.class_ids)
        tolerance = length(self.tolerance, pair.truth.shape, pair.spacing)
        values = np.array([measures(*both, tolerance) for both in distances(pair)])
        finite, infinite = np.isfinite(values), np.isinf(values)
        return np.stack([np.where(finite, values, 0), finite, infinite], axis=-1)

    def figures(self, counts: np.ndarray) -> Scores:
        """Means over images `[..., K, 4, 3]`."""
        total, finite, infinite = np.moveaxis(counts, -1, 0)
        values = np.where(infinite > 0, np.inf, ratio(total, finite))
        return with_means(NAMES, values, finite + infinite)


def measures(truth: np.ndarray, prediction: np.ndarray, tolerance: float) -> tuple[float, ...]:
    """The scores `NAMES` of a class from its distances in both directions."""
    points = truth.size + prediction.size
    if points == 0:
        return (np.nan,) * len(NAMES)
    if truth.size == 0 or prediction.size == 0:
        return np.inf, np.inf, np.inf, 0.0
    return (
        max(truth.max(), prediction.max()),
        max(np.percentile(truth, 95), np.percentile(prediction, 95)),
        (truth.sum() + prediction.sum()) / points,
        (within(truth, tolerance) + within(prediction, tolerance)) / points,
    )
