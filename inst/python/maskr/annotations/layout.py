"""Folder layouts that hold the images too: what to call them there, and how they get there."""

import shutil
from collections import Counter
from pathlib import Path, PurePosixPath

from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError


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


def copy_image(annotations: Annotations, i: int, target: Path, report: Report) -> None:
    """Copy the file of image `i`, or report that it is not there."""
    source = annotations.image_path(i)
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    else:
        report.change("image that was not found, not copied", annotations.images.files[i])
