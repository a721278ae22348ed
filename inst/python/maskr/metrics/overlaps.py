"""How much the objects of truth and prediction share, whatever form they come in.

Objects of `Instances` are compared by their run lengths, those of label images and volumes by
counting the pairs of labels that occur together. Only pairs that share a pixel are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from maskr.errors import DataError, ShapeError
from maskr.instances import Instances, measure
from maskr.metrics.confusion import Missing, count_pairs, ids_called, size_of
from maskr.metrics.objects import Objects, of_argument
from maskr.metrics.runs import shared_pixels
from maskr.panoptic import Panoptic

Image = Objects | Instances | Panoptic | np.ndarray
"""Objects of one image. An array `[H, W]` or `[D, H, W]` holds labels: 0 is the background, each
number above it one object; negative numbers in the truth leave a pixel out. Of a `Panoptic` the
things are the objects."""


@dataclass(frozen=True)
class Overlaps:
    """Objects of one class in one image, and the P pairs of them that share pixels.

    Parameters
    ----------
    truth, prediction
        Areas in pixels, float64 `[N]` and `[M]`; regions of crowds are no objects.
    rows, columns
        int `[P]`: which true and which predicted object, from 0.
    pixels
        float64 `[P]`: how many they share.
    excused
        bool `[M]`: predicted objects that lie for more than half in one region of a crowd; where
        they match nothing, they count as nothing.
    """

    truth: np.ndarray
    prediction: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    pixels: np.ndarray
    excused: np.ndarray

    @cached_property
    def unions(self) -> np.ndarray:
        """Pixels of either object of each pair, float64 `[P]`."""
        return self.truth[self.rows] + self.prediction[self.columns] - self.pixels

    @cached_property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair, float64 `[P]`."""
        return self.pixels / self.unions

    def pairs(self, which: np.ndarray) -> "Overlaps":
        """The same objects with some of the pairs: positions or bool `[P]`."""
        return Overlaps(
            self.truth, self.prediction, self.rows[which], self.columns[which], self.pixels[which],
            self.excused,
        )


@dataclass(frozen=True)
class Side:
    """All objects of one side: the truth or the prediction.

    Parameters
    ----------
    numbers
        int `[N]`: label of each object, or its position from 1.
    class_ids
        int `[N]`.
    areas
        float64 `[N]` in pixels.
    crowd
        bool `[N]`.
    """

    numbers: np.ndarray
    class_ids: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray


@dataclass(frozen=True)
class ImageOverlaps:
    """All objects of one image, and the pairs that share pixels: as `Overlaps`."""

    truth: Side
    prediction: Side
    rows: np.ndarray
    columns: np.ndarray
    pixels: np.ndarray

    @cached_property
    def class_ids(self) -> np.ndarray:
        """The classes of which there is an object."""
        return np.union1d(self.truth.class_ids, self.prediction.class_ids)

    def of_class(self, class_id: int) -> tuple[Overlaps, np.ndarray, np.ndarray]:
        """The objects of one class, with their positions among all: `[N]` and `[M]`."""
        truth, prediction = self.truth, self.prediction
        is_true = (truth.class_ids == class_id) & ~truth.crowd
        is_predicted = prediction.class_ids == class_id
        inside = is_true[self.rows] & is_predicted[self.columns]
        found = Overlaps(
            truth.areas[is_true],
            prediction.areas[is_predicted],
            (np.cumsum(is_true) - 1)[self.rows[inside]],
            (np.cumsum(is_predicted) - 1)[self.columns[inside]],
            self.pixels[inside],
            self.in_crowd(class_id)[is_predicted],
        )
        return found, np.flatnonzero(is_true), np.flatnonzero(is_predicted)

    def in_crowd(self, class_id: int) -> np.ndarray:
        """Which predicted objects lie for more than half in a crowd of a class; bool `[M]`."""
        is_crowd = (self.truth.class_ids == class_id) & self.truth.crowd
        most = 2 * self.pixels > self.prediction.areas[self.columns]
        excused = np.zeros(self.prediction.areas.size, dtype=bool)
        excused[self.columns[most & is_crowd[self.rows]]] = True
        return excused


def overlaps(truth: Image, prediction: Image, class_ids: Sequence[int]) -> ImageOverlaps:
    """Compare the objects of one image.

    Parameters
    ----------
    truth, prediction
        See `Image`.
    class_ids
        The classes that may occur; label arrays need exactly one, which all their objects have.

    Raises
    ------
    ShapeError
        If the sizes differ.
    DataError
        If an object has another class, or if there are several classes for labels that have none.
    """
    if isinstance(truth, Objects | Instances) or isinstance(prediction, Objects | Instances):
        found = of_objects(*(as_objects(x, class_ids) for x in (truth, prediction)))
    else:
        found = of_labels(truth, prediction, class_ids)
    check_classes(found.truth, class_ids, "truth")
    check_classes(found.prediction, class_ids, "prediction")
    return found


def as_objects(x: Image, class_ids: Sequence[int]) -> Objects:
    """Objects with run lengths; labels become positions."""
    if isinstance(x, np.ndarray):
        if x.ndim != 2:
            raise ShapeError(
                f"Instances are 2D only, and labels of size {size_of(x)} were to be compared with "
                "them.",
                hint="Give label arrays for both.",
                argument="prediction",
            )
        x = Instances.from_labels(x, only_class(class_ids))
    return Objects.of(x)


def of_objects(truth: Objects, prediction: Objects) -> ImageOverlaps:
    """Compare objects with run lengths, which may overlap."""
    a, b = truth.instances, prediction.instances
    if a.size != b.size:
        raise ShapeError(
            f"Truth and prediction differ in size: {a.size[0]} x {a.size[1]} and "
            f"{b.size[0]} x {b.size[1]}.",
            hint="Both must be objects of the same image.",
            argument="prediction",
        )
    # areas of masks, which those of a file need not be
    areas = []
    for instances, name in ((a, "truth"), (b, "prediction")):
        with of_argument(name):
            areas.append(measure(instances.rles, instances.size)[0])
    sides = [
        Side(np.arange(1, len(x) + 1), x.instances.class_ids, area, np.asarray(x.crowd, dtype=bool))
        for x, area in zip((truth, prediction), areas, strict=True)
    ]
    return ImageOverlaps(*sides, *shared_pixels(a, b, tuple(areas)))


def of_labels(
    truth: Panoptic | np.ndarray, prediction: Panoptic | np.ndarray, class_ids: Sequence[int]
) -> ImageOverlaps:
    """Compare objects of label images or volumes."""
    arrays = [x.ids if isinstance(x, Panoptic) else np.asarray(x) for x in (truth, prediction)]
    with ids_called("label", "the background"):
        found = count_pairs(*arrays, Missing(prediction=()))
    pixels = found.pixels.astype(np.float64)
    left, rows = side_of(truth, found.truth, pixels, class_ids)
    right, columns = side_of(prediction, found.prediction, pixels, class_ids)
    both = (rows >= 0) & (columns >= 0)
    return ImageOverlaps(left, right, rows[both], columns[both], pixels[both])


def side_of(
    x: Panoptic | np.ndarray, labels: np.ndarray, pixels: np.ndarray, class_ids: Sequence[int]
) -> tuple[Side, np.ndarray]:
    """The objects among `labels` `[P]`, and which of them each label is: -1 for none."""
    if isinstance(x, Panoptic):
        seen = np.flatnonzero(x.isthing & np.isin(x.segment_ids, labels))
        seen = seen[np.argsort(x.segment_ids[seen])]
        numbers, classes, crowd = x.segment_ids[seen], x.class_ids[seen], x.iscrowd[seen]
    else:
        numbers = np.unique(labels)
        numbers = numbers[numbers > 0]
        classes = np.full(numbers.size, only_class(class_ids) if numbers.size else 0)
        crowd = np.zeros(numbers.size, dtype=bool)
    place = np.searchsorted(numbers, labels)
    known = np.isin(labels, numbers)
    areas = np.bincount(place[known], weights=pixels[known], minlength=numbers.size)
    return Side(numbers, classes, areas.astype(float), crowd), np.where(known, place, -1)


def only_class(class_ids: Sequence[int]) -> int:
    """The class of labels, which do not tell it.

    Raises
    ------
    DataError
        If there are several.
    """
    if len(class_ids) == 1:
        return class_ids[0]
    raise DataError(
        f"A label image does not say of which of {len(class_ids)} classes its objects are.",
        hint="Give objects with classes, or one class.",
        argument="classes",
    )


def check_classes(side: Side, class_ids: Sequence[int], name: str) -> None:
    """Refuse objects of classes that are not among `class_ids`."""
    unknown = np.setdiff1d(side.class_ids, class_ids)
    if unknown.size > 0:
        raise DataError(
            f"The {name} holds objects of class id {unknown[0]}, not among the classes "
            f"{', '.join(map(str, class_ids))}.",
            hint="Add it to `classes`, or leave these objects out.",
            argument=name,
        )
