"""Objects of one image as the metrics of objects count them, and R's `seg_metrics()` for them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from maskr.errors import DataError, MaskrError, images_called, in_image
from maskr.instances import Instances
from maskr.panoptic import Panoptic

if TYPE_CHECKING:
    from maskr.annotations.table import Annotations


@dataclass(frozen=True)
class Objects:
    """Objects, some of which may be crowds.

    Parameters
    ----------
    instances
        The objects; `areas` decide COCO's classes of size, and are those of the file where the
        objects were read from one.
    crowd
        bool `[N]`: regions of many objects that were not told apart.
    sized
        Whether the areas are those that COCO's reader of results has; else predicted boxes are
        sized by themselves.
    """

    instances: Instances
    crowd: np.ndarray
    sized: bool = False

    def __len__(self) -> int:
        return len(self.instances)

    def as_boxes(self) -> "Objects":
        """The same objects with the areas of their boxes, unless their areas are settled."""
        if self.sized:
            return self
        areas = box_areas(self.instances.boxes)
        return replace(self, instances=replace(self.instances, areas=areas))

    @classmethod
    def of(cls, x: "Objects | Instances | Panoptic") -> "Objects":
        """Objects as they are; instances as objects without crowds; the things of segments.

        Raises
        ------
        ShapeError
            If these are the segments of a volume.
        DataError
            If it is something else.
        """
        if isinstance(x, cls):
            return x
        if isinstance(x, Instances):
            return cls(x, np.zeros(len(x), dtype=bool))
        if not isinstance(x, Panoptic):
            raise DataError(
                f"Objects are Instances, Objects or Panoptic, not {type(x).__name__}.",
                hint="Instances.from_labels(labels, class_id) makes some of a label image.",
            )
        instances = x.to_instances()
        numbers = np.intersect1d(x.ids, x.segment_ids[x.isthing])
        return cls(instances, np.isin(numbers, x.segment_ids[x.iscrowd]))

    @classmethod
    def from_r(cls, x: dict) -> "Objects | Panoptic":
        """What R hands over: `columns`, `size` and `crowd`, or `ids` and `segments`."""
        if "ids" in x:
            return Panoptic.from_r(x["ids"], x["segments"])
        crowd = np.asarray(x["crowd"], dtype=bool).reshape(-1)
        return cls(Instances.from_r(x["columns"], x["size"]), crowd)

    @classmethod
    def annotated(cls, annotations: "Annotations", i: int, drawn: bool = True) -> "Objects":
        """The objects of annotated image `i` with the areas and boxes of the file.

        Parameters
        ----------
        drawn
            Are masks needed? Without them run lengths may be "", and the image's size unknown.
        """
        if annotations.images.mask_files[i]:
            # panoptic annotations know their crowds
            panoptic = annotations.format == "coco_panoptic"
            return cls.of(annotations.panoptic(i) if panoptic else annotations.instances(i)[0])
        table, rows = annotations.objects, annotations.object_rows(i)
        if drawn:
            instances, _ = annotations.instances(i)
        else:
            size = (int(annotations.images.heights[i]), int(annotations.images.widths[i]))
            classes, none = table.class_ids[rows].astype(np.int32), [""] * rows.size
            instances = Instances(
                size, classes, table.scores[rows], table.boxes[rows], table.areas[rows], none
            )
        boxes, areas = table.boxes[rows], table.areas[rows]
        if drawn:
            # outlines that lie outside of the image have none in the file
            areas = np.where(np.isnan(areas), instances.areas, areas)
        if annotations.reading.get("boxed"):
            # COCO's own reader of results takes the areas of boxes where a file has some
            areas = box_areas(boxes)
        sized = annotations.format == "coco_results"
        return cls(replace(instances, boxes=boxes, areas=areas), table.iscrowd[rows], sized)


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Areas of boxes `[N, 4]`."""
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def compare(
    truth: list | dict,
    prediction: list | dict,
    ids: Sequence[int],
    families: Sequence[dict],
    options: dict | None = None,
) -> dict:
    """The whole of R's `seg_metrics()` for objects: count pairs of images and score them.

    Parameters
    ----------
    truth, prediction
        Lists for `Objects.from_r()`, or tables for `Annotations.from_r()`; the same images in the
        same order.
    ids
        The class ids that may occur.
    families
        Names and arguments of the families, without their class ids.
    options
        Fields of `results.Options`.

    Returns
    -------
    dict
        As `results.result()`.

    Raises
    ------
    ShapeError, DataError, FormatError
        As the families' `count()` and the readers of label images; the message says which image.
        A DataError also if average precision is to be averaged over images.
    """
    from maskr.metrics.accumulator import Accumulator, from_description
    from maskr.metrics.results import Options, result

    options = Options(**(options or {}))
    ids = [int(one) for one in np.atleast_1d(ids)]
    if options.aggregate == "mean" and any(one["name"] == "coco" for one in families):
        raise DataError(
            "COCO's average precision is that of all images together, not a mean over images: "
            "objects of all images are ranked by their scores.",
            hint='Leave out aggregate = "mean"; per_image = TRUE shows the images\' own.',
            argument="aggregate",
        )
    made = [from_description(one, ids) for one in families]
    drawn = any(getattr(family, "type", None) != "box" for family in made)
    sides = []
    for given, name in ((truth, "truth"), (prediction, "prediction")):
        with of_argument(name):
            sides.append(objects_from_r(given, drawn))
    accumulator = Accumulator(made, keep=options.keep)
    with images_called(options.names):
        accumulator.update_all(*sides)
    return result(accumulator, options)


def objects_from_r(given: list | dict, drawn: bool) -> list[Objects | Panoptic]:
    """The objects of all images, from R."""
    if isinstance(given, list):
        return [Objects.from_r(one) for one in given]
    from maskr.annotations.table import Annotations

    annotations = Annotations.from_r(given)
    found, n = [], len(annotations.images)
    for i in range(n):
        with in_image(i + 1, n):
            found.append(Objects.annotated(annotations, i, drawn))
    return found


@contextmanager
def of_argument(name: str) -> Iterator[None]:
    """Let errors that name no argument say whether they are about truth or prediction."""
    try:
        yield
    except MaskrError as error:
        if not error.argument:
            error.argument = name
            error.text = f"In `{name}`: {error.text}"
            error.args = (error.text,)
        raise
