"""Splitting a dataset into parts: by proportion, alike in their classes, groups kept together."""

import numpy as np

from maskr.datasets.spec import DataSpec
from maskr.datasets.statistics import Progress, count


def stratify(
    holds: np.ndarray, sizes: np.ndarray, proportions: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Give each unit to a part, so that each part gets its proportion of images and of each class.

    Iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011, On the stratification of
    multi-label data, https://doi.org/10.1007/978-3-642-23808-6_10): the rarest class that is left
    is dealt out first, each unit to the part that still wants most of it. Two things are added:
    large units go first, and a part that has its images gets no more while another lacks some, so
    that the proportions hold; and no part stays empty.

    Parameters
    ----------
    holds
        `[U, K]`: how many images of each unit (an image or a group of images) hold each class.
    sizes
        `[U]`: images of each unit.
    proportions
        `[P]`, adding up to 1; at most U of them.
    rng
        Decides the order, and between parts that want the same.

    Returns
    -------
    np.ndarray
        int64 `[U]`: the part of each unit, from 0.
    """
    dealer = Dealer(holds, sizes, proportions, rng)
    while dealer.left.any():
        units_with = (holds[dealer.left] > 0).sum(axis=0)
        if not (units_with > 0).any():
            dealer.deal(dealer.left, None)
            break
        rarest = int(np.where(units_with > 0, units_with, len(sizes) + 1).argmin())
        dealer.deal(dealer.left & (holds[:, rarest] > 0), rarest)
    return dealer.part


class Dealer:
    """Keeps count of what each part still wants while units are dealt out."""

    def __init__(
        self,
        holds: np.ndarray,
        sizes: np.ndarray,
        proportions: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        self.holds = holds
        self.sizes = sizes
        self.rng = rng
        self.left = np.ones(len(sizes), dtype=bool)
        self.part = np.zeros(len(sizes), dtype=np.int64)
        self.taken = np.zeros(len(proportions), dtype=np.int64)
        self.wants_images = proportions * sizes.sum()
        self.wants_class = np.outer(proportions, holds.sum(axis=0))

    def deal(self, chosen: np.ndarray, by_class: int | None) -> None:
        """Deal out the chosen units, a bool `[U]`, by what is wanted of a class or of all."""
        units = self.rng.permutation(np.flatnonzero(chosen))
        for unit in units[np.argsort(-self.sizes[units], kind="stable")]:
            part = self._neediest(unit, by_class)
            self.part[unit] = part
            self.left[unit] = False
            self.taken[part] += 1
            self.wants_images[part] -= self.sizes[unit]
            self.wants_class[part] -= self.holds[unit]

    def _neediest(self, unit: int, by_class: int | None) -> int:
        empty = self.taken == 0
        allowed = self.wants_images >= self.sizes[unit] / 2
        if self.left.sum() <= empty.sum():
            allowed = empty
        elif not allowed.any():
            allowed = np.ones_like(empty)
        parts = np.flatnonzero(allowed)
        wanted = [self.wants_images[parts].round(9)]
        if by_class is not None:
            wanted.append(self.wants_class[parts, by_class].round(9))
        # the last key decides first; equal parts are told apart by chance
        return int(parts[np.lexsort([self.rng.random(len(parts)), *wanted])[-1]])


def r_split(
    n: int,
    proportions: list[float],
    seed: int,
    groups: list[int] | None = None,
    presence: np.ndarray | None = None,
    data: dict | None = None,
    progress: Progress | None = None,
) -> list[int]:
    """Split `n` images for R.

    Parameters
    ----------
    proportions
        Of the parts, adding up to 1.
    groups
        The group of each image, numbered from 0; None where each image stands for itself.
    presence
        bool `[N, K]`: which image belongs to which class.
    data
        Fields of `DataSpec` whose targets are to be read for that instead.

    Returns
    -------
    list of int
        The part of each image, from 1.
    """
    if data is not None:
        presence = count(DataSpec.from_r(data), progress).presence
    if presence is None:
        presence = np.zeros((n, 0), dtype=bool)
    units = np.arange(n) if groups is None else np.asarray(groups)
    sizes = np.bincount(units)
    holds = np.zeros((len(sizes), presence.shape[1]), dtype=np.int64)
    np.add.at(holds, units, presence)
    parts = stratify(holds, sizes, np.asarray(proportions), np.random.default_rng(seed))
    return (parts[units] + 1).tolist()
