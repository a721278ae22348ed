"""Average precision and recall of matched predictions, for any weights of the images.

Predictions are sorted by falling score. After each hit, recall is the share of objects found so
far and precision the share of hits among the predictions so far. Average precision is the mean, at
the recalls 0, 0.01, ..., 1, of the highest precision at that recall or beyond, 0 where it is not
reached. Between two hits precision only falls, so that it is needed at the hits alone: that is
what makes a thousand resamples affordable. Source: `COCOeval.accumulate()` of pycocotools.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from maskr.metrics.coco_matching import FALSE, HIT, SIZES, THRESHOLDS, Matches

RECALLS = np.linspace(0, 1, 101)
FIRST = (1, 10, 100)
"""How many predictions of an image and class count for recall: M of them."""

CHUNK = 2**22
"""Numbers that are computed with at once."""


@dataclass(frozen=True)
class Table:
    """The matches of N images, one after the other."""

    images: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray
    outcomes: np.ndarray
    wanted: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[Matches]) -> "Table":
        """Join images, at least one."""
        counts = [one.scores.size for one in parts]
        names = ("classes", "scores", "ranks", "outcomes")
        columns = (np.concatenate([getattr(one, name) for one in parts]) for name in names)
        return cls(
            np.repeat(np.arange(len(parts)), counts), *columns,
            np.stack([one.wanted for one in parts]),
        )


@dataclass(frozen=True)
class Hits:
    """All hits, curve by curve: there is one curve for each size, threshold and group.

    Attributes
    ----------
    images, ranks
        int64 `[E]` of the predictions that hit.
    misses
        Sparse `[E, N]`: false predictions of each image since the hit before.
    starts
        int64 `[A * T * S + 1]`: where the hits of each curve begin.
    """

    images: np.ndarray
    ranks: np.ndarray
    misses: sparse.csr_array
    starts: np.ndarray

    @classmethod
    def of(cls, table: Table, groups: np.ndarray, n: int) -> "Hits":
        """The hits of predictions that belong to S = `n` groups, int64 `[D]`."""
        order = np.lexsort((-table.scores, groups))
        groups, images = groups[order], table.images[order]
        outcomes = table.outcomes[order].reshape(order.size, len(SIZES) * THRESHOLDS.size)
        rows, owners, falses, starts = [], [], [], [np.zeros(1, dtype=np.int64)]
        total = 0
        for column in outcomes.T:
            hits, misses = np.flatnonzero(column == HIT), np.flatnonzero(column == FALSE)
            after = np.searchsorted(hits, misses)
            known = np.append(groups[hits], -1)[after] == groups[misses]
            owners.append(total + after[known])
            falses.append(images[misses[known]])
            starts.append(total + np.searchsorted(groups[hits], np.arange(1, n + 1)))
            rows.append(hits)
            total += hits.size
        rows, at = np.concatenate(rows), (np.concatenate(owners), np.concatenate(falses))
        shape = (total, table.wanted.shape[0])
        misses = sparse.csr_array((np.ones(at[0].size), at), shape=shape)
        return cls(images[rows], table.ranks[order][rows], misses, np.concatenate(starts))


def averages(
    hits: Hits, wanted: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Average precision and recall in R resamples.

    Parameters
    ----------
    hits
        Those of S groups.
    wanted
        float64 `[R, S, A]`: true objects that are asked for.
    weights
        float64 `[R, N]`: how often each image counts.

    Returns
    -------
    precision
        float64 `[R, A, T, S]`; NaN where nothing is asked for.
    recall
        float64 `[R, M, A, T, S]`, likewise.
    """
    step = max(1, CHUNK // max(hits.starts.size, hits.images.size))
    chunks = [
        curves(hits, wanted[i : i + step], weights[i : i + step])
        for i in range(0, len(weights), step)
    ]
    precision, recall = (np.concatenate(one) for one in zip(*chunks, strict=True))
    return precision, recall


def curves(hits: Hits, wanted: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`averages()` of few resamples."""
    shape = (len(wanted), len(SIZES), THRESHOLDS.size, wanted.shape[1])
    asked = np.broadcast_to(wanted.transpose(0, 2, 1)[:, :, None], shape).reshape(len(wanted), -1)
    lengths = np.diff(hits.starts)
    curve = np.repeat(np.arange(lengths.size), lengths)
    weight = weights[:, hits.images]
    found = running(weight, hits.starts, curve)
    missed = running((hits.misses @ weights.T).T, hits.starts, curve)
    precision = found / (found + missed + np.spacing(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        covered = np.searchsorted(RECALLS, np.nan_to_num(found / asked[:, curve]), side="right")
        gained = np.diff(covered, axis=1, prepend=0)
        begins = hits.starts[:-1][lengths > 0]
        gained[:, begins] = covered[:, begins]
        area = totals(best_beyond(precision, curve, lengths) * gained, begins, lengths > 0)
        defined = np.where(asked > 0, 1.0, np.nan)
        recalls = [totals(weight * (hits.ranks < m), begins, lengths > 0) / asked for m in FIRST]
    recall = np.stack(recalls, axis=1).reshape(len(wanted), len(FIRST), *shape[1:])
    return (area / RECALLS.size * defined).reshape(shape), recall


def running(values: np.ndarray, starts: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Sums `[R, E]` of whole numbers from the beginning of each curve on."""
    sums = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    return sums[:, 1:] - sums[:, starts[curve]]


def totals(values: np.ndarray, begins: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Sums `[R, curves]` over each curve, of which `some` have hits that start at `begins`."""
    out = np.zeros((len(values), some.size))
    if begins.size:
        out[:, some] = np.add.reduceat(values, begins, axis=1)
    return out


def best_beyond(values: np.ndarray, curve: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The highest value `[R, E]` of each curve from a place on: twice as far in every round."""
    step = 1
    while step < lengths.max(initial=0):
        same = curve[step:] == curve[:-step]
        further = np.where(same, values[:, step:], 0)
        values = np.concatenate((np.maximum(values[:, :-step], further), values[:, -step:]), axis=1)
        step *= 2
    return values
