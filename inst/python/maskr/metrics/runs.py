"""Which objects share pixels, from their run lengths."""

from dataclasses import dataclass

import numpy as np

from maskr.instances import Instances, packed, run_lengths, starts_of

Shared = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Pairs that share a pixel: which object of either side, from 0, and how many pixels."""


@dataclass(frozen=True)
class Runs:
    """Runs of pixels of objects, counted column by column, in ascending order.

    Parameters
    ----------
    owner
        int `[R]`: the object, from 0.
    start, end
        int `[R]`: its first pixel, and the one after the last.
    """

    owner: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, x: Instances) -> "Runs":
        """The runs of all objects, whose codes are known to be good; there is at least one."""
        counts, per_object = run_lengths(x.rles)
        owner = np.repeat(np.arange(len(x)), per_object)
        end = np.cumsum(counts) - owner * (x.size[0] * x.size[1])
        place = np.arange(counts.size) - np.repeat(starts_of(per_object), per_object)
        # every second run is the object's, and the last may be empty
        own = np.flatnonzero((place % 2 == 1) & (counts > 0))
        own = own[np.argsort((end - counts)[own], kind="stable")]
        return cls(owner[own], (end - counts)[own], end[own])

    @property
    def overlap(self) -> bool:
        """Do objects share pixels with each other?"""
        return bool((self.start[1:] < self.end[:-1]).any())

    def owner_of(self, pixels: np.ndarray) -> np.ndarray:
        """The object that owns each of some pixels, -1 for none; objects must not overlap."""
        run = np.searchsorted(self.start, pixels, side="right") - 1
        inside = (run >= 0) & (pixels < np.append(self.end, 0)[run])
        return np.where(inside, np.append(self.owner, -1)[run], -1)


def shared_pixels(a: Instances, b: Instances, areas: tuple[np.ndarray, np.ndarray]) -> Shared:
    """Which objects of two sides share pixels, and how many.

    Parameters
    ----------
    a, b
        Objects of images of one size, whose codes are known to be good.
    areas
        Pixels of the masks of both.
    """
    if len(a) == 0 or len(b) == 0:
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0)
    left, right = Runs.of(a), Runs.of(b)
    if left.overlap or right.overlap:
        return of_each_pair(a, b, areas)
    edges = np.concatenate((left.start, left.end, right.start, right.end))
    edges.sort(kind="stable")  # fast for pieces in order
    rows, columns = left.owner_of(edges[:-1]), right.owner_of(edges[:-1])
    both = (rows >= 0) & (columns >= 0)
    keys, place = np.unique(rows[both] * len(b) + columns[both], return_inverse=True)
    pixels = np.bincount(place, weights=np.diff(edges)[both], minlength=keys.size)
    return keys // len(b), keys % len(b), pixels.astype(float)


def of_each_pair(a: Instances, b: Instances, areas: tuple[np.ndarray, np.ndarray]) -> Shared:
    """The same for objects that overlap: COCO's library looks at each pair whose boxes meet."""
    from faster_coco_eval.core import mask as coco  # noqa: PLC0415, seldom needed

    codes = packed(b.rles, b.size), packed(a.rles, a.size)
    iou = np.asarray(coco.iou(*codes, [0] * len(a))).T
    # from I / (A + B - I); a whole number of pixels again
    pixels = np.rint(iou * (areas[0][:, None] + areas[1]) / (1 + iou))
    rows, columns = np.nonzero(pixels)
    return rows, columns, pixels[rows, columns]
