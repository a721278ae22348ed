"""Which predicted objects hit which true ones, by COCO's rules.

In every image and class the predictions are taken by falling score, at most 100 of them. Each takes
the object that it overlaps most among those that reach the threshold and are not taken yet; of
equal overlaps, the last. Objects that are not asked for (crowds, and those of another size) are
taken only where no other is left, a crowd any number of times; such a hit counts neither for nor
against, and nor does a prediction of another size that hits nothing. Source: `COCOeval` of
pycocotools, https://github.com/cocodataset/cocoapi.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from maskr.metrics.objects import Objects

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Overlaps from which a prediction counts as a hit: T of them."""
REACHED = np.minimum(THRESHOLDS, 1 - 1e-10)

SIZES = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
"""Areas in pixels, both ends included: A of them."""

MOST = 100
"""Predictions of an image and class that count."""

HIT, FALSE, NEITHER = 1, -1, 0

Overlap = Callable[[int, np.ndarray, np.ndarray], np.ndarray]
"""Gives the overlaps `[D, G]` in an image of some predictions with some true objects."""


@dataclass(frozen=True)
class Matches:
    """What is kept of an image.

    Parameters
    ----------
    wanted
        int64 `[K, A]`: true objects of each class and size that are asked for.
    classes
        int64 `[D]`: the predictions' places among the K classes.
    scores
        float64 `[D]`.
    ranks
        int64 `[D]`: place by score among the image's predictions of the class, from 0.
    outcomes
        int8 `[D, A, T]`: `HIT`, `FALSE` or `NEITHER`.
    """

    wanted: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray
    outcomes: np.ndarray


@dataclass(frozen=True)
class Rows:
    """Objects of all images, in the order of `key`, which is image * K + class."""

    key: np.ndarray
    place: np.ndarray
    score: np.ndarray
    crowd: np.ndarray
    fits: np.ndarray

    @classmethod
    def of(cls, images: Sequence[Objects], ids: np.ndarray) -> "Rows":
        """List objects, by falling score in each image and class; `fits` is bool `[N, A]`."""
        counts = [len(one) for one in images]
        classes = joined([one.instances.class_ids for one in images], np.int64)
        order_of_ids = np.argsort(ids)
        classes = order_of_ids[np.searchsorted(ids, classes, sorter=order_of_ids)]
        key = np.repeat(np.arange(len(images)), counts) * ids.size + classes
        score = joined([one.instances.scores for one in images], float)
        area = joined([one.instances.areas for one in images], float)[:, None]
        least, largest = np.array(list(SIZES.values()), dtype=float).T
        rows = cls(
            key,
            joined([np.arange(n) for n in counts], np.int64),
            score,
            joined([one.crowd for one in images], bool),
            (area >= least) & (area <= largest),
        )
        # without scores lexsort keeps the order, as for equal ones
        return rows.take(np.lexsort((-np.nan_to_num(score), key)))

    def take(self, which: np.ndarray) -> "Rows":
        """Some of the rows."""
        columns = (self.key, self.place, self.score, self.crowd, self.fits)
        return Rows(*(column[which] for column in columns))

    @property
    def ranks(self) -> np.ndarray:
        """Places among the rows of the same key, from 0."""
        return np.arange(self.key.size) - np.searchsorted(self.key, self.key)


@dataclass(frozen=True)
class Group:
    """Predictions and true objects of one image and class that overlap somewhere."""

    rows: np.ndarray
    overlaps: np.ndarray
    crowd: np.ndarray
    ignored: np.ndarray


def joined(arrays: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    """Arrays `[N]` one after the other."""
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype)


def match_all(
    truths: Sequence[Objects],
    predictions: Sequence[Objects],
    class_ids: Sequence[int],
    overlap: Overlap,
) -> list[Matches]:
    """Match the objects of N images.

    Parameters
    ----------
    truths, predictions
        The objects of each image.
    class_ids
        All K classes.
    overlap
        See `Overlap`.
    """
    if not truths:
        return []
    ids = np.asarray(class_ids, dtype=np.int64)
    true, found = Rows.of(truths, ids), Rows.of(predictions, ids)
    found = found.take(found.ranks < MOST)
    outcomes = np.where(found.fits, FALSE, NEITHER).astype(np.int8)
    outcomes = np.repeat(outcomes[:, :, None], THRESHOLDS.size, axis=2)
    for groups in by_width(overlapping(true, found, ids.size, overlap)):
        assign(groups, outcomes)
    wanted = np.zeros((len(truths) * ids.size, len(SIZES)), dtype=np.int64)
    np.add.at(wanted, true.key, true.fits & ~true.crowd[:, None])
    wanted = wanted.reshape(len(truths), ids.size, len(SIZES))
    ends = np.searchsorted(found.key, np.arange(1, len(truths)) * ids.size)
    columns = (found.key % max(ids.size, 1), found.score, found.ranks, outcomes)
    split = [np.split(column, ends) for column in columns]
    return [Matches(*parts) for parts in zip(wanted, *split, strict=True)]


def overlapping(true: Rows, found: Rows, classes: int, overlap: Overlap) -> list[Group]:
    """Groups of the predictions that overlap a true object far enough to hit it."""
    groups = []
    for key in np.intersect1d(true.key, found.key):
        objects = slice(*np.searchsorted(true.key, [key, key + 1]))
        first, end = np.searchsorted(found.key, [key, key + 1])
        overlaps = overlap(key // classes, found.place[first:end], true.place[objects])
        near = np.flatnonzero(overlaps.max(axis=1) >= REACHED[0])
        if near.size:
            crowd = true.crowd[objects]
            ignored = (~true.fits[objects] | crowd[:, None]).T
            groups.append(Group(first + near, overlaps[near], crowd, ignored))
    return groups


def by_width(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups of about equally many true objects, those of the most predictions first."""
    widths: dict[int, list[Group]] = {}
    for group in sorted(groups, key=lambda one: -one.rows.size):
        widths.setdefault(int(group.crowd.size - 1).bit_length(), []).append(group)
    return list(widths.values())


def assign(groups: Sequence[Group], outcomes: np.ndarray) -> None:
    """Match many groups side by side, prediction after prediction; writes into `outcomes`."""
    width = max(group.crowd.size for group in groups)
    overlaps, crowd, ignored = padded(groups, width)
    order = 1 + overlaps.argsort(axis=2, kind="stable").argsort(axis=2).astype(np.int32)
    lengths = np.array([group.rows.size for group in groups])
    free = np.ones((len(groups), len(SIZES), THRESHOLDS.size, width), dtype=bool)
    for step in range(lengths[0]):
        n = np.count_nonzero(lengths > step)
        near = overlaps[:n, step, None, None, :] >= REACHED[:, None]
        preference = order[:n, step, None, :] + width * ~ignored[:n]
        strength = np.where(near & free[:n], preference[:, :, None, :], 0)
        best = strength.argmax(axis=3)[..., None]
        hit = np.take_along_axis(strength, best, axis=3)[..., 0] > 0
        unasked = np.take_along_axis(ignored[:n, :, None, :], best, axis=3)[..., 0]
        again = np.take_along_axis(crowd[:n, None, None, :], best, axis=3)[..., 0]
        still = np.take_along_axis(free[:n], best, axis=3)[..., 0] & (~hit | again)
        np.put_along_axis(free[:n], best, still[..., None], axis=3)
        rows = [group.rows[step] for group in groups[:n]]
        outcomes[rows] = np.where(hit, np.where(unasked, NEITHER, HIT), outcomes[rows])


def padded(groups: Sequence[Group], width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlaps `[n, D, G]`, crowds `[n, G]` and what is not asked for `[n, A, G]` of groups."""
    n = len(groups)
    overlaps = np.full((n, groups[0].rows.size, width), -1.0)
    crowd = np.zeros((n, width), dtype=bool)
    ignored = np.ones((n, len(SIZES), width), dtype=bool)
    for i, group in enumerate(groups):
        rows, columns = group.overlaps.shape
        overlaps[i, :rows, :columns] = group.overlaps
        crowd[i, :columns] = group.crowd
        ignored[i, :, :columns] = group.ignored
    return overlaps, crowd, ignored
