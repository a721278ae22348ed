"""Losses outside any model: of one image's probabilities against its truth."""

import numpy as np
import torch

from maskr.arrays import channels_first, mask_from_r
from maskr.errors import DataError, ShapeError
from maskr.losses.terms import from_r

ROUNDING = 1e-3
"""How far from 1 the sum of a pixel's probabilities may lie."""


def value(terms: list[dict], truth: np.ndarray, probabilities: np.ndarray) -> float:
    """The loss of probabilities against the truth of one image, outside any model.

    Parameters
    ----------
    terms
        As in `SegLoss`.
    truth
        Class indices `[H, W]` or, of a volume, `[D, H, W]` from R; NA is ignored.
    probabilities
        Of the foreground in the same size, or `[H, W, K]` or `[D, H, W, K]` of all classes, in
        0..1. Those of two classes count as the foreground's, as in a model of two classes.

    Raises
    ------
    ShapeError
        If the sizes differ.
    DataError
        If a probability is missing or lies outside 0..1, those of a pixel do not sum to 1, or an
        index is negative or has no channel.
    """
    target = torch.from_numpy(mask_from_r(truth, "The truth")).long()[None]
    if probabilities.ndim == truth.ndim:
        probabilities = probabilities[..., None]
    # in double precision: the logits of probabilities near 0 and 1 would lose digits otherwise
    predicted = torch.from_numpy(channels_first(probabilities, "`prob`", np.float64))[None]
    if target.shape[1:] != predicted.shape[2:]:
        raise ShapeError(
            f"The truth has size {list(target.shape[1:])} and the probabilities "
            f"{list(predicted.shape[2:])}.",
            hint="Both must be of the same image.",
        )
    if predicted.min() < 0 or predicted.max() > 1:
        raise DataError("Probabilities must lie in 0..1.", hint="Apply the activation first.")
    if predicted.shape[1] > 1:
        check_sums(predicted)
    if predicted.shape[1] == 2:
        predicted = predicted[:, 1:]
    if target.max() >= max(2, predicted.shape[1]):
        raise DataError(
            f"The truth holds the class index {int(target.max())}, for which there is no "
            "probability channel."
        )
    return float(from_r(terms)(target, predicted))


def check_sums(probabilities: torch.Tensor) -> None:
    """Raise a DataError unless the probabilities `[1, K, ...]` of each pixel sum to 1."""
    sums = probabilities.sum(dim=1)
    farthest = float(sums.flatten()[(sums - 1).abs().argmax()])
    if abs(farthest - 1) > ROUNDING:
        raise DataError(
            f"The probabilities of a pixel must sum to 1, and some sum to {farthest:.4g}.",
            hint='predict(type = "prob") gives those of all classes; logits are not probabilities.',
            argument="prob",
        )
