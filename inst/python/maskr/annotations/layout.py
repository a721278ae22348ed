"""Names of images in flat folders, where images and labels are matched by name without ending."""

from collections import Counter
from pathlib import PurePosixPath

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
