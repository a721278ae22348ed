"""Metrics that are counted image by image: what streams, merges and is scored at the end."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from maskr.errors import DataError, MaskrError, ShapeError
from maskr.metrics import tables
from maskr.metrics.families import FAMILIES
from maskr.metrics.family import Family, Scores
from maskr.metrics.uncertainty import Resampling, interval

AGGREGATES = ("pooled", "mean")
"""How several images make one score."""


class Accumulator:
    """Counts images one by one and scores all of them.

    Parameters
    ----------
    families
        What to count; all of the same class ids.
    keep
        Keep what was counted of every image, for scores of single images and for intervals? By
        default only what the scores of all images together need.

    Raises
    ------
    DataError
        If there is no family.

    Examples
    --------
    >>> counted = Accumulator([Semantic(class_ids=[0, 1])])
    >>> for truth, prediction in pairs:
    ...     counted.update(truth, prediction)
    >>> counted.compute()["mean_iou"].value
    """

    def __init__(self, families: Sequence[Family], keep: bool = False) -> None:
        self.families = list(families)
        if not self.families:
            raise DataError(
                "Nothing was named to be counted.",
                hint="Give one or more families, such as [Semantic(class_ids=[0, 1])].",
                argument="families",
            )
        self.keep = keep
        self.images = 0
        self.parts: list[list] = [[] for _ in self.families]

    def update(self, truth: Any, prediction: Any) -> None:
        """Count one image. What is wrong with it is raised before anything is counted."""
        self.update_all([truth], [prediction])

    def update_all(self, truths: Sequence, predictions: Sequence) -> None:
        """Count several images; faster than one by one for families that count together.

        Raises
        ------
        ShapeError, DataError
            As the families' `count()`.
        """
        if len(truths) != len(predictions):
            raise ShapeError(
                f"{len(truths)} truths came with {len(predictions)} predictions.",
                argument="prediction",
            )
        if len(truths) > 0:
            self.add([family.count_all(truths, predictions) for family in self.families])

    def add(self, parts: Sequence[list]) -> None:
        """Add what each family counted, one part of each image."""
        self.images += len(parts[0])
        self._add(parts)

    def merge(self, other: "Accumulator") -> None:
        """Add what another accumulator of the same families counted.

        Raises
        ------
        MaskrError
            If its families differ.
        """
        if describe(self.families) != describe(other.families):
            raise MaskrError("Only accumulators of the same metrics and classes can be merged.")
        self.images += other.images
        self.keep = self.keep and other.keep
        self._add(other.parts)

    def _add(self, more: Sequence[list]) -> None:
        for i, family in enumerate(self.families):
            self.parts[i] += more[i]
            if not self.keep and self.parts[i]:
                self.parts[i] = family.fold(self.parts[i])

    def gathered(self) -> "Accumulator":
        """What all processes of `torch.distributed` counted, the first one's images first.

        Every process must ask; each is given the whole. One process alone has the whole already.
        """
        import torch.distributed as dist  # noqa: PLC0415, counting needs no torch

        states = [self.state()]
        if dist.is_available() and dist.is_initialized():
            states = [None] * dist.get_world_size()
            dist.all_gather_object(states, self.state())
        whole, *others = map(Accumulator.from_state, states)
        for other in others:
            whole.merge(other)
        return whole

    def compute(self) -> Scores:
        """The scores of all images together, by name."""
        return self.scores()

    def scores(self, aggregate: str = "pooled", weights: np.ndarray | None = None) -> Scores:
        """Scores of all images.

        Parameters
        ----------
        aggregate
            "pooled" scores all images together; "mean" gives the mean of the images' scores, over
            those in which a score is defined. Needs `keep`.
        weights
            `[R, N]`: how often each image counts in each of R resamples; values then have a first
            axis of length R. Needs `keep`.

        Raises
        ------
        MaskrError
            If single images were not kept.
        DataError
            If `aggregate` is another word.
        """
        if aggregate not in AGGREGATES:
            raise DataError(
                f'Images are aggregated as {" or ".join(AGGREGATES)}, not "{aggregate}".',
                argument="aggregate",
            )
        if aggregate != "pooled" or weights is not None:
            self._check_kept()
        return tables.joined(
            tables.overall(family, parts, aggregate, weights)
            for family, parts in zip(self.families, self.parts, strict=True)
        )

    def per_image(self) -> Scores:
        """Scores of each image: values `[N, ...]`. Needs `keep`."""
        self._check_kept()
        return tables.joined(
            family.per_image(parts)
            for family, parts in zip(self.families, self.parts, strict=True)
        )

    def resampled(self, weights: np.ndarray, aggregate: str = "pooled") -> np.ndarray:
        """Values of resamples, float64 `[R, rows]` in the order of `table()`; see `scores()`.

        NaN are those of scores that fewer than two images define: one image alone does not tell
        how much they vary.
        """
        values = tables.values(self.scores(aggregate, weights), len(weights))
        defined = ~np.isnan(tables.values(self.per_image(), self.images))
        values[:, defined.sum(axis=0) < 2] = np.nan
        return values

    def table(
        self,
        aggregate: str = "pooled",
        per_image: bool = False,
        resampling: Resampling | None = None,
    ) -> dict:
        """The scores in long form, for R's data frame of class `seg_metrics`.

        Parameters
        ----------
        aggregate
            As in `scores()`.
        per_image
            Score every image too? Needs `keep`.
        resampling
            How to resample images for intervals; None for no intervals. Needs `keep`.

        Returns
        -------
        dict
            Columns `metric`, `class` (int32, R's NA in overall rows), `value` (NaN where
            undefined), `n`; with `resampling` also `lower` and `upper`; with `per_image` also
            `image` (int32 from 1, R's NA in the rows over all images, which come first).
        """
        ids = self.families[0].class_ids
        columns = tables.rows(self.scores(aggregate), ids)
        if resampling is not None:
            values = self.resampled(resampling.weights(self.images), aggregate)
            columns["lower"], columns["upper"] = interval(values, resampling.level)
        if not per_image:
            return columns
        return tables.with_images(columns, self.per_image(), ids, self.images)

    def _check_kept(self) -> None:
        if not self.keep:
            raise MaskrError(
                "Single images were not kept, only what they add up to.",
                hint="Make the accumulator with keep=True.",
            )

    def state(self) -> dict:
        """Plain arrays that R can keep; `from_state()` makes the accumulator again."""
        packed = [
            family.pack(parts) if parts else None
            for family, parts in zip(self.families, self.parts, strict=True)
        ]
        return {
            "families": describe(self.families), "parts": packed, "images": self.images,
            "keep": self.keep,
        }

    @classmethod
    def from_state(cls, state: dict) -> "Accumulator":
        """The accumulator whose `state()` it was."""
        made = cls([from_description(one) for one in state["families"]], bool(state["keep"]))
        made.images = int(state["images"])
        made.parts = [
            [] if packed is None else family.unpack(packed)
            for family, packed in zip(made.families, state["parts"], strict=True)
        ]
        return made


def describe(families: Sequence[Family]) -> list[dict]:
    """Names and arguments of families."""
    return [{"name": family.name, "arguments": family.arguments()} for family in families]


def from_description(one: dict, class_ids: Sequence[int] | None = None) -> Family:
    """A family by its name and arguments, or by those beside its class ids."""
    arguments = dict(one["arguments"] or {})
    if class_ids is not None:
        arguments["class_ids"] = class_ids
    return FAMILIES[one["name"]]()(**arguments)
