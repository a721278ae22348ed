"""What holds for annotations of every format once they are read."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, replace

import numpy as np

from maskr.annotations.columns import Objects
from maskr.annotations.polygons import lie_outside
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import FormatError


def settled(annotations: Annotations, path: str, report: Report) -> Annotations:
    """Leave out objects that lie wholly outside of their image.

    Raises
    ------
    FormatError
        If two images have one file, or two classes one name.
    """
    check_once(
        annotations.images.files, "image", path,
        hint="Paths of another machine are known by their ends: two of them may lead to one file "
        f"in {annotations.folder}. Give that folder the same folders inside, or leave one image "
        "out.",
    )  # fmt: skip
    check_once((one.name for one in annotations.classes), "class", path)
    outside = wholly_outside(annotations)
    if not outside.any():
        return annotations
    files = dict(zip(annotations.images.ids, annotations.images.files, strict=True))
    for image_id in annotations.objects.image_ids[outside].tolist():
        report.skip("object wholly outside of its image", files[image_id])
    return replace(annotations, objects=chosen(annotations.objects, ~outside))


def check_once(names: Iterable[str], what: str, path: str, hint: str = "") -> None:
    """Refuse names that repeat."""
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise FormatError(
            f'{path} has the {what} "{twice[0]}" twice.',
            hint=hint,
            argument="path",
        )


def wholly_outside(annotations: Annotations) -> np.ndarray:
    """Tell which objects have no pixel in their image: bool `[N]`."""
    images, objects = annotations.images, annotations.objects
    if len(objects) == 0:
        return np.zeros(0, dtype=bool)
    ids = np.array(images.ids)
    order = np.argsort(ids)
    place = order[np.searchsorted(ids, objects.image_ids, sorter=order)]
    height, width = (np.array(sides)[place] for sides in (images.heights, images.widths))
    return lie_outside(objects.boxes, height, width)


def chosen(objects: Objects, keep: np.ndarray) -> Objects:
    """Take the rows where `keep` is true."""
    columns = {one.name: getattr(objects, one.name) for one in fields(objects)}
    rows = np.flatnonzero(keep)
    return Objects(
        **{
            name: [column[row] for row in rows] if isinstance(column, list) else column[rows]
            for name, column in columns.items()
        }
    )
