"""What metrics of segments are given, and R's `seg_metrics()` for them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from maskr.errors import DataError, ShapeError, images_called, in_image
from maskr.metrics.accumulator import Accumulator
from maskr.metrics.panoptic_quality import PanopticQuality
from maskr.metrics.results import Options, result
from maskr.metrics.semantic import THREADS

if TYPE_CHECKING:
    from maskr.annotations.table import Annotations


@dataclass(frozen=True)
class Segments:
    """The segments of an image or volume as `Panoptic` has them, in any memory order.

    Nothing is copied or checked before it is counted.

    Parameters
    ----------
    ids
        Segment ids `[H, W]` or `[D, H, W]`: integers, 0 for void.
    segment_ids
        int `[S]`, each above 0 and once.
    class_ids
        int `[S]`.
    iscrowd
        bool `[S]`: regions of many things that were not told apart.
    """

    ids: np.ndarray
    segment_ids: np.ndarray
    class_ids: np.ndarray
    iscrowd: np.ndarray

    @classmethod
    def from_r(cls, x: dict) -> "Segments":
        """Make segments of R's array `ids` and the columns `id`, `class` and `iscrowd`."""
        columns = (np.asarray(x[name]).reshape(-1) for name in ("id", "class", "iscrowd"))
        return cls(np.asarray(x["ids"]), *columns)


Source = Callable[[], Segments]
"""Gives the segments of an image when they are needed: files are read one by one."""


def compare(
    truth: list | dict,
    prediction: list | dict,
    ids: Sequence[int],
    things: Sequence[bool],
    options: dict | None = None,
    every_class: bool = True,
) -> dict:
    """The whole of R's `seg_metrics()` for panoptic segmentations.

    Parameters
    ----------
    truth, prediction
        Lists for `Segments.from_r()`, or what `sources()` takes; in the same order.
    ids, things
        The class ids that may occur, and which of them are things.
    options
        Fields of `results.Options`.
    every_class
        Score classes that do not occur, too?

    Returns
    -------
    dict
        As `results.result()`, with `ids` int32 `[K]` of the classes that are scored.

    Raises
    ------
    ShapeError, DataError, FormatError
        As `PanopticQuality.count()` and the readers of files; the message says which image.
    """
    options = Options(**(options or {}))
    ids, things = np.atleast_1d(ids), np.atleast_1d(things)
    family = PanopticQuality(ids, things)
    with images_called(options.names):
        parts = count_sources(family, sources(truth), sources(prediction))
    seen = family.occurs(sum(parts, start=np.zeros(family.shape)))
    if not every_class and seen.any():
        family = PanopticQuality(ids[seen], things[seen])
        parts = [part[seen] for part in parts]
    accumulator = Accumulator([family], keep=options.keep)
    accumulator.add([parts])
    return result(accumulator, options) | {"ids": np.array(family.class_ids, dtype=np.int32)}


def sources(given: list | dict) -> list[Source]:
    """Where the segments of each image come from.

    `given` is a list for `Segments.from_r()`, or a dict of R's `annotations`, the `rows` of their
    images (from 0), and the class ids `old` that become those of `new`.
    """
    if isinstance(given, list):
        return [partial(Segments.from_r, one) for one in given]
    from maskr.annotations.table import Annotations

    annotations = Annotations.from_r(given["annotations"])
    new_of = dict(zip(given["old"], given["new"], strict=True))
    return [partial(annotated, annotations, int(row), new_of) for row in given["rows"]]


def annotated(annotations: "Annotations", row: int, new_of: dict[int, int]) -> Segments:
    """The segments of an annotated image, with new class ids.

    Raises
    ------
    DataError
        If a class has no new id.
    """
    found = annotations.panoptic(row)
    lost = np.setdiff1d(found.class_ids, list(new_of))
    if lost.size > 0:
        name = annotations.names().get(int(lost[0]), f"id {lost[0]}")
        raise DataError(
            f"The annotations hold the class {name}, which is not in `classes`.",
            hint="Name it too, or leave it out of the annotations.",
            argument="classes",
        )
    classes = np.array([new_of[one] for one in found.class_ids.tolist()], dtype=np.int32)
    return Segments(found.ids, found.segment_ids, classes, found.iscrowd)


def count_sources(
    family: PanopticQuality, truths: Sequence[Source], predictions: Sequence[Source]
) -> list[np.ndarray]:
    """Count images, several at once: numpy works outside Python's lock for the most part."""

    def one(number: int, truth: Source, prediction: Source) -> np.ndarray:
        with in_image(number, len(truths)):
            return family.count(truth(), prediction())

    if len(truths) != len(predictions):
        raise ShapeError(
            f"{len(truths)} truths came with {len(predictions)} predictions.",
            argument="prediction",
        )
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, range(1, len(truths) + 1), truths, predictions))
