"""Images and classes of two files or folders that belong together."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from maskr.annotations.columns import Category, Images
from maskr.annotations.table import Annotations
from maskr.errors import DataError, ShapeError
from maskr.words import counted


def partners(keys: list[list[Hashable]]) -> list[int]:
    """For each image of the truth the place of the prediction with its key.

    Raises
    ------
    DataError
        If they do not match one to one.
    """
    truth, prediction = keys
    places = {key: place for place, key in enumerate(prediction)}
    lonely = sorted(set(truth) ^ set(prediction), key=str)
    twice = [key for side in keys for key in side if side.count(key) > 1]
    if lonely or twice:
        said = "on one side only" if lonely else "there twice"
        raise DataError(
            "The images of truth and prediction do not match one to one: "
            f"{(lonely or twice)[0]} is {said}.",
            hint="Their files must have the same names, but for endings.",
            argument="prediction",
        )
    return [places[key] for key in truth]


def in_order_of_ids(images: Images) -> Images:
    """The same images in the order in which COCO's evaluation takes them."""
    order = np.argsort(images.ids)
    return Images(*([column[i] for i in order] for column in vars(images).values()))


def beside(prediction: Annotations, truth: Annotations) -> Annotations:
    """Predicted objects on the truth's images, with the truth's class ids.

    Raises
    ------
    DataError
        If an image or a class is not the truth's.
    ShapeError
        If an image has another size.
    """
    by_id = prediction.format == "coco_results"
    new_of = {} if by_id else new_ids(prediction.classes, truth.classes)
    rows = rows_in(truth.images, prediction.images, key=image_ids if by_id else image_names)
    check_sizes(truth.images, prediction.images, rows)
    places = dict(zip(prediction.images.ids, rows, strict=True))
    found = prediction.objects
    of_image = [truth.images.ids[places[one]] for one in found.image_ids.tolist()]
    class_ids = [one if by_id else new_of.get(one) for one in found.class_ids.tolist()]
    if None in class_ids:
        lost = prediction.names()[int(found.class_ids[class_ids.index(None)])]
        raise DataError(
            f"The prediction holds the class {lost}, which the truth lacks.",
            hint="Classes are matched by name.",
            argument="prediction",
        )
    moved = replace(
        found,
        image_ids=np.array(of_image, dtype=np.int64),
        class_ids=np.array(class_ids, dtype=np.int64),
    )
    return replace(prediction, images=truth.images, objects=moved)


def new_ids(old: Sequence[Category], new: Sequence[Category]) -> dict[int, int]:
    """New class ids by old ones, of the classes with the same names."""
    ids = {one.name: one.id for one in new}
    return {one.id: ids[one.name] for one in old if one.name in ids}


def image_ids(images: Images) -> list[Hashable]:
    """What images of COCO's results are matched by."""
    return list(images.ids)


def image_names(images: Images) -> list[Hashable]:
    """What other images are matched by: files without folder and ending, where these are unique."""
    stems = [Path(one).stem for one in images.files]
    return stems if len(set(stems)) == len(stems) else list(images.files)


def rows_in(
    truth: Images, prediction: Images, key: Callable[[Images], list[Hashable]]
) -> list[int]:
    """The truth's row of each predicted image.

    Raises
    ------
    DataError
        If the truth lacks one.
    """
    places = {one: row for row, one in enumerate(key(truth))}
    lost = [one for one in key(prediction) if one not in places]
    if lost:
        raise DataError(
            f"The prediction holds {counted(len(lost), 'image')} that the truth lacks, such as "
            f"{lost[0]}.",
            hint="Images of COCO's results are matched by id, others by the names of their files.",
            argument="prediction",
        )
    return [places[one] for one in key(prediction)]


def check_sizes(truth: Images, prediction: Images, rows: Sequence[int]) -> None:
    """Refuse images of which both sides tell different sizes."""
    for i, row in enumerate(rows):
        true = truth.heights[row], truth.widths[row]
        predicted = prediction.heights[i], prediction.widths[i]
        if min(*true, *predicted) > 0 and true != predicted:
            raise ShapeError(
                f"Truth and prediction differ in the size of {truth.files[row]}: "
                f"{true[0]} x {true[1]} and {predicted[0]} x {predicted[1]} pixels.",
                argument="prediction",
            )
