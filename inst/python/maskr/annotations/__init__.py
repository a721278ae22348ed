"""Annotation files: one module for each format, all meeting in `table.Annotations`.

`formats` says what such a module has, and lists them. Functions whose name begins with `r_` serve
one call from R.
"""

from pathlib import Path

import numpy as np

from maskr.annotations.consistency import settled
from maskr.annotations.formats import module_of
from maskr.annotations.lossy import report_common
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.strangers import described, format_of
from maskr.annotations.table import Annotations
from maskr.arrays import IGNORE, mask_from_r, mask_to_r
from maskr.errors import FileError, FormatError
from maskr.instances import labelled


def detect(path: Path) -> str:
    """Find the format of a file or folder.

    Raises
    ------
    FormatError
        If no format knows it.
    """
    found = format_of(path)
    if found is not None:
        return found
    what, hint = described(path)
    if not what:
        hint = 'Name it, such as format = "coco"; the help of seg_read_annotations() lists them.'
    raise FormatError(
        f"The format of {path} is not known by its content. {what}".strip(),
        hint=hint or "The help of seg_read_annotations() lists the formats that are read.",
        argument="format",
    )


def read(path: str, format: str, options: ReadOptions, report: Report) -> Annotations:
    """Read a file or folder; `format` "auto" looks at its content.

    Raises
    ------
    FormatError
        If it is not there, not of the format, or damaged.
    """
    place = Path(path)
    if not place.exists():
        raise FileError(f"{path} does not exist.", argument="path")
    name = detect(place) if format == "auto" else format
    return settled(module_of(name).read(place, options, report), path, report)


def write(
    annotations: Annotations,
    path: str,
    format: str,
    options: WriteOptions,
    report: Report,
    progress: Progress | None = None,
) -> None:
    """Write a file or folder, whole or not at all.

    Raises
    ------
    FormatError
        If it cannot be written there, or the format is only read.
    DataError
        If the annotations lack what the format needs.
    """
    module = module_of(format)
    if not hasattr(module, "write"):
        raise FormatError(
            f'The format "{format}" is only read: nothing but the data set itself has its form.',
            hint='Write "masks" for masks of classes, or "coco" for objects.',
            argument="format",
        )
    report_common(annotations, format, report)
    module.write(annotations, Path(path), options, report, progress or no_progress)


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


def r_read(path: str, format: str, options: dict) -> dict:
    """Read for R: the tables of `Annotations.to_r()`, with `report`."""
    report = Report()
    found = read(path, format, ReadOptions(**options), report)
    return {**found.to_r(), "report": report.to_r()}


def r_write(
    tables: dict, path: str, format: str, options: dict, progress: Progress | None = None
) -> dict:
    """Write R's tables, and give the report."""
    report = Report()
    write(Annotations.from_r(tables), path, format, WriteOptions(**options), report, progress)
    return report.to_r()


def r_instances(tables: dict, i: int) -> dict:
    """Give R the objects of one image: `columns` of `Instances.to_r()` with `id`, and `size`."""
    found, ids = Annotations.from_r(tables).instances(i)
    return {"columns": {"id": ids.astype(float), **found.to_r()}, "size": list(found.size)}


def r_mask(tables: dict, i: int) -> dict:
    """Give R the class ids of one image, of volumes `spacing` and `affine` too."""
    annotations = Annotations.from_r(tables)
    out = {"data": mask_to_r(annotations.labels(i).classes)}
    if not annotations.images.mask_files[i]:
        return out
    place = getattr(module_of(annotations.format), "geometry", None)
    return out if place is None else out | place(annotations, i)


def r_panoptic(tables: dict, i: int) -> dict:
    """Give R the segments of one image, as `Panoptic.to_r()`."""
    return Annotations.from_r(tables).panoptic(i).to_r()


def r_encode(labels: list[np.ndarray]) -> list[dict]:
    """Encode R's matrices of object numbers: columns of `labelled()` for each."""
    return [labelled(mask_from_r(one), 0) for one in labels]


def r_encode_parts(masks: list[np.ndarray], background: list[int]) -> list[dict]:
    """Encode the connected parts of each class but the background in R's masks, as `r_encode()`."""
    import cv2

    found = []
    for ids in map(mask_from_r, masks):
        numbers, classes = np.zeros(ids.shape, dtype=np.int32), []
        for class_id in np.setdiff1d(ids, [IGNORE, *background]).tolist():
            n, parts = cv2.connectedComponents((ids == class_id).astype(np.uint8), connectivity=8)
            numbers = np.where(parts > 0, parts + len(classes), numbers)
            classes += [class_id] * (n - 1)
        found.append({**labelled(numbers, 0), "class": np.array(classes, dtype=np.int32)})
    return found


def r_count(tables: dict, progress: Progress | None = None) -> dict:
    """Count the objects and pixels of each class in label images.

    Returns
    -------
    dict
        Of equal-length columns `image` (row, from 0), `class`, `objects` and `pixels`.
    """
    annotations = Annotations.from_r(tables)
    show = progress or no_progress
    rows: list[tuple[int, int, int, int]] = []
    for i in range(len(annotations.images)):
        labels = annotations.labels(i)
        numbers = labels.objects if labels.objects is not None else np.zeros_like(labels.classes)
        pairs = np.unique(np.stack((labels.classes.ravel(), numbers.ravel())), axis=1)
        ids, counts = np.unique(labels.classes, return_counts=True)
        for class_id, pixels in zip(ids.tolist(), counts.tolist(), strict=True):
            objects = int(((pairs[0] == class_id) & (pairs[1] > 0)).sum())
            rows.append((i, class_id, objects, pixels))
        show(i + 1, len(annotations.images))
    columns = zip(*rows, strict=True) if rows else ((),) * 4
    return dict(zip(("image", "class", "objects", "pixels"), map(list, columns), strict=True))
