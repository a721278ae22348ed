"""Data sets in COCO's form whose splits are files of their own, read as one.

Roboflow has `train/_annotations.coco.json`, `valid/...` and `test/...` among the images of each
split, COCO itself `annotations/instances_train2017.json` beside `train2017`. Where files number
images and objects alike, both are numbered anew; classes must be the same in all of them.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from maskr.annotations.columns import Category, Images, Objects
from maskr.annotations.folders import SPLITS
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import FormatError

ROBOFLOW = "_annotations.coco.json"


@dataclass(frozen=True)
class Part:
    """One split, the folder of its images within the data set's, and what was read of it."""

    split: str
    inner: str
    found: Annotations


def splits_of(files: Sequence[Path]) -> list[str]:
    """Name the splits of several files; empty unless each has one of its own."""
    names = [file.parent.name if file.name == ROBOFLOW else file.stem for file in files]
    words = (re.sub(r"\d+$", "", name.rpartition("_")[2].lower()) for name in names)
    splits = [SPLITS.get(word, "") for word in words]
    return splits if len(files) > 1 and all(splits) and len(set(splits)) == len(splits) else []


def read_splits(
    root: Path,
    files: Sequence[Path],
    images: str | None,
    read: Callable[[Path, str | None], Annotations],
    report: Report,
) -> Annotations:
    """Read the files of all splits as one data set.

    Parameters
    ----------
    images
        Folder of the images, or of the folders of all splits' images; None for those beside.
    read
        Reads one file with the folder of its images, or None.

    Raises
    ------
    FormatError
        If the files have different classes.
    """
    place = Path(images) if images else root
    parts = []
    for split, file in zip(splits_of(files), files, strict=True):
        own = place / file.parent.name
        folder = str(own if own.is_dir() else place) if images else None
        found = read(file, folder)
        inner = os.path.relpath(found.folder or file.parent, place)
        parts.append(Part(split, Path(inner).as_posix(), found))
    check_classes(parts, files)
    renumber(parts, report)
    return Annotations(
        parts[0].found.format,
        str(place),
        joined_images(parts),
        joined_objects([part.found.objects for part in parts]),
        joined_classes(parts),
        parts[0].found.reading,
    )


def check_classes(parts: Sequence[Part], files: Sequence[Path]) -> None:
    """Raise a FormatError if an id or a name means different classes in two files."""
    by_id: dict[int, tuple[str, Path]] = {}
    by_name: dict[str, tuple[int, Path]] = {}
    for part, file in zip(parts, files, strict=True):
        for one in part.found.classes:
            name, first = by_id.setdefault(one.id, (one.name, file))
            number, other = by_name.setdefault(one.name, (one.id, file))
            if name != one.name or number != one.id:
                raise FormatError(
                    f'The class {one.id} "{one.name}" of {file} is '
                    + (f'"{name}" in {first}.' if name != one.name else f"{number} in {other}."),
                    hint="Name one file at a time.",
                    argument="path",
                )


def joined_classes(parts: Sequence[Part]) -> list[Category]:
    """Give the classes of all splits in the order of their ids."""
    found = {one.id: one for part in reversed(parts) for one in part.found.classes}
    return [found[number] for number in sorted(found)]


def renumber(parts: Sequence[Part], report: Report) -> None:
    """Number images and objects anew where two splits have the same numbers."""
    tables = [part.found.images for part in parts]
    if repeats([np.array(one.ids, dtype=np.int64) for one in tables]):
        start = 1
        for part, table in zip(parts, tables, strict=True):
            new = np.arange(start, start + len(table))
            order = np.argsort(table.ids)
            at = np.searchsorted(np.array(table.ids)[order], part.found.objects.image_ids)
            part.found.objects.image_ids = new[order][at]
            table.ids = new.tolist()
            start += len(table)
        first = tables[0].files[0] if len(tables[0]) else ""
        report.change("image id changed, since several splits have the same", first, start - 1)
    objects = [part.found.objects for part in parts]
    if repeats([one.ids for one in objects]):
        ends = np.cumsum([len(one) for one in objects])
        for one, end in zip(objects, ends.tolist(), strict=True):
            one.ids = np.arange(end - len(one) + 1, end + 1)


def repeats(numbers: Sequence[np.ndarray]) -> bool:
    """Tell whether numbers occur in several arrays."""
    whole = np.concatenate(numbers)
    return len(np.unique(whole)) < len(whole)


def joined_images(parts: Sequence[Part]) -> Images:
    """Join the tables of images, whose names begin with the folder of their split."""
    joined = Images()
    for part in parts:
        own = part.found.images
        before = "" if part.inner == "." else f"{part.inner}/"
        joined.files += [before + name for name in own.files]
        joined.splits += [part.split] * len(own)
        for column in ("ids", "heights", "widths", "mask_files"):
            getattr(joined, column).extend(getattr(own, column))
    return joined


def joined_objects(tables: Sequence[Objects]) -> Objects:
    """Join the tables of objects."""
    columns = {}
    for one in fields(Objects):
        values = [getattr(table, one.name) for table in tables]
        is_list = isinstance(values[0], list)
        columns[one.name] = sum(values, []) if is_list else np.concatenate(values)
    return Objects(**columns)
