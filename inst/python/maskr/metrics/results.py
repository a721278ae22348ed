"""What R's `seg_metrics()` and `seg_compare()` get."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskr.errors import DataError
from maskr.metrics import tables
from maskr.metrics.accumulator import Accumulator, describe
from maskr.metrics.uncertainty import Resampling, interval
from maskr.words import counted


@dataclass(frozen=True)
class Options:
    """How R wants its scores.

    Parameters
    ----------
    aggregate
        "pooled" or "mean", as `Accumulator.table()`.
    per_image
        Score every image too?
    resampling
        Fields of `Resampling` for intervals, or None.
    names
        What the images are called; empty where only by their numbers.
    """

    aggregate: str = "pooled"
    per_image: bool = False
    resampling: dict | None = None
    names: Sequence[str] = ()

    @property
    def keep(self) -> bool:
        """Is more needed of an image than its share in the sum?"""
        return self.per_image or self.resampling is not None or self.aggregate == "mean"


def result(accumulator: Accumulator, options: Options) -> dict:
    """What R makes a `seg_metrics` of.

    Returns
    -------
    dict
        `columns` of `Accumulator.table()`; `details` of the families, by name; `settings`; the
        number of `images`; `support` of `support()`, or None; `state`, which `compare()` takes, or
        None where single images were not kept.
    """
    resampling = None if options.resampling is None else Resampling(**options.resampling)
    columns = accumulator.table(options.aggregate, options.per_image, resampling)
    details = {
        name: table
        for family, parts in zip(accumulator.families, accumulator.parts, strict=True)
        for name, table in family.details(parts).items()
    }
    state = accumulator.state() if accumulator.keep else None
    return {
        "columns": columns, "details": details, "settings": settings(accumulator, options),
        "images": accumulator.images, "support": support(accumulator), "state": state,
    }


def settings(accumulator: Accumulator, options: Options) -> dict:
    """What decides the numbers: `aggregate`, and by the name of each family its arguments."""
    arguments = {family.name: family.arguments() for family in accumulator.families}
    for one in arguments.values():
        del one["class_ids"]
    return {"aggregate": options.aggregate, "families": arguments}


def support(accumulator: Accumulator) -> np.ndarray | None:
    """What the truth holds of each class in each image: float64 `[N, K]`.

    It is `[1, K]`, of all images together, where single ones were not kept, and None where no
    family counts it.
    """
    for family, parts in zip(accumulator.families, accumulator.parts, strict=True):
        counts = family.support(parts) if parts else None
        if counts is not None:
            counts = counts.astype(np.float64)
            return counts if accumulator.keep else counts.sum(axis=0, keepdims=True)
    return None


def compare(a: dict, b: dict, aggregate: str, resampling: dict) -> dict:
    """Paired intervals of the differences between two results on the same images.

    Both are scored on the same resamples of images, so that what is hard in an image for both does
    not count as a difference.

    Parameters
    ----------
    a, b
        What `Accumulator.state()` gave, with what was counted of every image.
    aggregate
        As `Accumulator.table()`.
    resampling
        Fields of `Resampling`.

    Returns
    -------
    dict
        `metric`, `class`, and `lower` and `upper` of b less a, in the order of the table.

    Raises
    ------
    DataError
        If the results are of other metrics or classes, or of unequally many images.
    """
    first, second = Accumulator.from_state(a), Accumulator.from_state(b)
    if describe(first.families) != describe(second.families):
        raise DataError(
            "The results are of different metrics or classes.",
            hint="Compute both with the same arguments.",
            argument="b",
        )
    if first.images != second.images:
        raise DataError(
            f"The results are of {first.images} and {counted(second.images, 'image')}.",
            hint="Only results on the same images can be compared image by image.",
            argument="b",
        )
    drawing = Resampling(**resampling)
    weights = drawing.weights(first.images)
    before, after = (one.resampled(weights, aggregate) for one in (first, second))
    with np.errstate(invalid="ignore"):  # infinite less infinite
        lower, upper = interval(after - before, drawing.level)
    keys = tables.keys(first.scores(aggregate), first.families[0].class_ids)
    return keys | {"lower": lower, "upper": upper}
