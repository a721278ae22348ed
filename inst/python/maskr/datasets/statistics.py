"""Pixels and images of each class, counted in one pass over the targets of a dataset."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from maskr.arrays import IGNORE
from maskr.datasets.samples import class_indices, class_lookup, target_ids
from maskr.datasets.spec import DataSpec
from maskr.errors import DataError

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the number of samples that are done, and that of all."""

TABLE_END = 2**16
"""Class ids below this are counted by a table, larger ones by sorting."""


@dataclass(frozen=True)
class Counts:
    """What the targets of a dataset hold.

    Attributes
    ----------
    class_ids
        The K classes: those of the dataset, or, if it has none, the ids that were seen, ascending.
    per_image
        int64 `[N, K]`: pixels of each class in each image.
    ignored
        int64 `[N]`: pixels that don't count.
    """

    class_ids: list[int]
    per_image: np.ndarray
    ignored: np.ndarray

    @property
    def presence(self) -> np.ndarray:
        """Which image holds which class: bool `[N, K]`."""
        return self.per_image > 0

    @property
    def pixels(self) -> np.ndarray:
        """Pixels of each class: int64 `[K]`."""
        return self.per_image.sum(axis=0)

    @property
    def images(self) -> np.ndarray:
        """Images that hold each class: int64 `[K]`."""
        return self.presence.sum(axis=0)

    @property
    def pixels_around(self) -> np.ndarray:
        """Pixels that count in the images that hold each class: int64 `[K]`."""
        return self.per_image.sum(axis=1) @ self.presence


def each(
    n: int, work: Callable[[int], T], threads: int, progress: Progress | None = None
) -> Iterator[T]:
    """Yield `work(0)`, `work(1)`, ... in order, done by threads.

    `progress` is called from the caller's own thread, as R needs it.
    """
    with ThreadPoolExecutor(threads) as pool:
        try:
            for i, result in enumerate(pool.map(work, range(n))):
                if progress is not None:
                    progress(i + 1, n)
                yield result
        finally:
            pool.shutdown(cancel_futures=True)


def tally(ids: np.ndarray) -> dict[int, int]:
    """Pixels of each id in a target; IGNORE is one of them."""
    if ids.min() < IGNORE or ids.max() >= TABLE_END:
        values, pixels = np.unique(ids, return_counts=True)
        return dict(zip(values.tolist(), pixels.tolist(), strict=True))
    pixels = np.bincount(ids.ravel() - IGNORE)
    return {int(i) + IGNORE: int(pixels[i]) for i in np.flatnonzero(pixels)}


def count(data: DataSpec, progress: Progress | None = None) -> Counts:
    """Count the pixels of each class in each image.

    Raises
    ------
    FormatError, ShapeError, DataError
        If a target can't be read, or holds an id that is no class.
    """
    known = class_lookup(data.class_ids) if data.class_ids else None

    def one(i: int) -> dict[int, int]:
        found = tally(target_ids(data, i))
        if known is not None:
            class_indices(np.array(list(found)), known, data.names[i])
        return found

    tallies = list(each(len(data.targets), one, data.threads, progress))
    return collect(tallies, data.class_ids or [])


def collect(tallies: list[dict[int, int]], class_ids: list[int]) -> Counts:
    """Make the table of tallies; ids that are no class are left out."""
    if not class_ids:
        class_ids = sorted(set().union(*tallies) - {IGNORE})
    place = {class_id: k for k, class_id in enumerate(class_ids)}
    per_image = np.zeros((len(tallies), len(class_ids)), dtype=np.int64)
    for row, found in zip(per_image, tallies, strict=True):
        for class_id, pixels in found.items():
            if class_id in place:
                row[place[class_id]] = pixels
    ignored = np.array([found.get(IGNORE, 0) for found in tallies], dtype=np.int64)
    return Counts(list(class_ids), per_image, ignored)


def class_table(counts: Counts) -> dict:
    """Give R the columns class, pixels, images, around (see `Counts.pixels_around`)."""
    return {
        "class": list(counts.class_ids),
        "pixels": counts.pixels.astype(float).tolist(),
        "images": counts.images.tolist(),
        "around": counts.pixels_around.astype(float).tolist(),
    }


def r_count(data: dict, progress: Progress | None = None) -> dict:
    """Count for R, see `class_table()`."""
    return class_table(count(DataSpec.from_r(data), progress))


def repeat_factors(presence: np.ndarray, threshold: float) -> np.ndarray:
    """How often to draw each image so that rare classes are seen: float64 `[N]`, 1 or more.

    A class that the share f of the images holds asks for `sqrt(threshold / f)`, and an image gets
    the largest number of its classes (Gupta, Dollár & Girshick 2019, LVIS, section 4.1,
    https://arxiv.org/abs/1908.03195).
    """
    share = presence.mean(axis=0)
    factors = np.sqrt(threshold / np.where(share > 0, share, 1)).clip(min=1)
    return np.where(presence, factors, 1.0).max(axis=1, initial=1.0)


def r_repeat_factors(data: dict, threshold: float, progress: Progress | None = None) -> list:
    """Give R the repeat factors of a dataset's images.

    Raises
    ------
    DataError
        If no image holds any class.
    """
    presence = count(DataSpec.from_r(data), progress).presence
    if not presence.any():
        raise DataError("No image holds a pixel of any class.", argument="x")
    return repeat_factors(presence, threshold).tolist()
