"""Naming and copying the images of a data set that is written into a new folder."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from maskr.annotations.folders import SPLITS
from maskr.annotations.options import Progress
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError
from maskr.pairs import IMAGE_FOLDERS

NOT_NAMES = {"..", ".", "/", "\\"}


def stems(annotations: Annotations) -> list[str]:
    """Name each image without folder and ending, distinct from all others.

    Images of one name in several folders are called by folder and name, such as "a_0001".

    Raises
    ------
    DataError
        If images differ by their endings alone.
    """
    files = [PurePosixPath(file) for file in annotations.images.files]
    seen = Counter(file.stem.casefold() for file in files)
    names = [
        file.stem
        if seen[file.stem.casefold()] == 1
        else str(file.with_suffix("")).strip("/").replace("/", "_")
        for file in files
    ]
    first: dict[str, PurePosixPath] = {}
    for name, file in zip(names, files, strict=True):
        other = first.setdefault(name.casefold(), file)
        if other is not file:
            raise DataError(
                f'The images "{other}" and "{file}" would share one name, "{name}".',
                hint="Rename one: the format matches images and labels by name without ending.",
                argument="x",
            )
    return names


def plain_names(annotations: Annotations) -> list[PurePosixPath]:
    """Give each image a name for a new folder: its split and inner folders, without ending.

    Raises
    ------
    DataError
        If two images would have the same.
    """
    names = []
    for i, file in enumerate(annotations.images.files):
        unwanted = IMAGE_FOLDERS | NOT_NAMES
        parts = [part for part in PurePosixPath(file).parts if part.lower() not in unwanted]
        split = annotations.images.splits[i]
        if split and split not in {SPLITS.get(part.lower(), part) for part in parts[:-1]}:
            parts = [split, *parts]
        names.append(PurePosixPath(*parts).with_suffix(""))
    check_distinct(names)
    return names


def check_distinct(names: Iterable[Any]) -> None:
    """Raise a DataError if two images would have one name."""
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(
            f'Two images would be called "{twice}", and masks have the names of their images.',
            hint="Rename one of them.",
            argument="x",
        )


def split_off(name: PurePosixPath) -> tuple[str, PurePosixPath]:
    """Split a plain name into its split, "train" if it has none, and the rest."""
    split = SPLITS.get(name.parts[0].lower()) if len(name.parts) > 1 else None
    return split or "train", PurePosixPath(*name.parts[1:]) if split else name


def copy_image(annotations: Annotations, i: int, stem: Path, report: Report) -> None:
    """Copy the file of image `i` to `stem` with its own ending, if it is there."""
    source = annotations.image_path(i)
    if not annotations.folder or not source.is_file():
        report.change("image that was not found, not copied", annotations.images.files[i])
        return
    stem.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, stem.with_name(stem.name + source.suffix))


def each_image(annotations: Annotations, progress: Progress) -> Iterator[tuple[int, PurePosixPath]]:
    """Yield the number and the plain name of each image, and show progress."""
    names = plain_names(annotations)
    for i, name in enumerate(names):
        yield i, name
        progress(i + 1, len(names))
