"""Which predicted object stands for which true one."""

import numpy as np

from maskr.metrics.overlaps import Overlaps


def match(found: Overlaps, threshold: float) -> np.ndarray:
    """Pair true and predicted objects one to one.

    As many pairs as possible are made of those whose IoU reaches the threshold (an IoU equal to it
    counts), and of equally many pairs those with the largest sum of IoUs: the rule of StarDist's
    `matching`. Masks that do not overlap their like have at most one partner each above one half,
    and nothing has to be chosen.

    Parameters
    ----------
    found
        The objects.
    threshold
        Above 0, at most 1.

    Returns
    -------
    np.ndarray
        int, ascending: positions among the pairs of `found`.
    """
    good = np.flatnonzero(found.iou >= threshold)
    rows, columns = found.rows[good], found.columns[good]
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    if alone.all():
        return good
    return np.sort(np.concatenate((good[alone], assigned(found, good[~alone]))))


def assigned(found: Overlaps, pairs: np.ndarray) -> np.ndarray:
    """The best assignment among pairs that compete for objects."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415, seldom needed

    rows, row = np.unique(found.rows[pairs], return_inverse=True)
    columns, column = np.unique(found.columns[pairs], return_inverse=True)
    gain = np.zeros((rows.size, columns.size))
    # all IoUs together weigh less than one more pair
    gain[row, column] = 1 + found.iou[pairs] / (2 * min(gain.shape))
    chosen = np.zeros(gain.shape, dtype=bool)
    chosen[linear_sum_assignment(gain, maximize=True)] = True
    return pairs[chosen[row, column]]
