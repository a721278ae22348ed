"""What R's `seg_metrics()` and `seg_compare()` get."""

from dataclasses import dataclass

import numpy as np

from maskr.errors import DataError
from maskr.metrics import tables
from maskr.metrics.accumulator import Accumulator, describe
from maskr.metrics.uncertainty import Resampling, interval


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
    """

    aggregate: str = "pooled"
    per_image: bool = False
    resampling: dict | None = None

    @property
    def keep(self) -> bool:
        """Is more needed of an image than its share in the sum?"""
        return self.per_image or self.resampling is not None or self.aggregate == "mean"


def result(accumulator: Accumulator, options: Options) -> dict:
    """What R makes a `seg_metrics` of.

    Returns
    -------
    dict
        `columns` of `Accumulator.table()`; `details` of the families, by name; `state`, which
        `compare()` takes, or None where single images were not kept.
    """
    resampling = None if options.resampling is None else Resampling(**options.resampling)
    columns = accumulator.table(options.aggregate, options.per_image, resampling)
    details = {
        name: table
        for family, parts in zip(accumulator.families, accumulator.parts, strict=True)
        for name, table in family.details(parts).items()
    }
    state = accumulator.state() if accumulator.keep else None
    return {"columns": columns, "details": details, "state": state}


def compare(a: dict, b: dict, aggregate: str, resampling: dict) -> dict:
    """Differences of two results on the same images, with paired intervals.

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
        `metric`, `class`, `difference` (b less a), `lower`, `upper`, in the order of the table.

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
            f"The results are of {first.images} and {second.images} images.",
            hint="Only results on the same images can be compared image by image.",
            argument="b",
        )
    drawing = Resampling(**resampling)
    weights = drawing.weights(first.images)
    columns = tables.rows(first.scores(aggregate), first.families[0].class_ids)
    before = tables.values(first.scores(aggregate, weights), len(weights))
    after = tables.values(second.scores(aggregate, weights), len(weights))
    there = tables.rows(second.scores(aggregate), first.families[0].class_ids)["value"]
    with np.errstate(invalid="ignore"):  # infinite less infinite
        lower, upper = interval(after - before, drawing.level)
        difference = there - columns["value"]
    return {
        "metric": columns["metric"], "class": columns["class"], "difference": difference,
        "lower": lower, "upper": upper,
    }

