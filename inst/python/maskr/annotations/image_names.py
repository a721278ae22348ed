"""Images by the names that annotations give them: found, kept inside their folder, and measured."""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import Any

from maskr.errors import FormatError
from maskr.images import size_of

PLAIN = re.compile(r"[\w-][\w .-]*(?:/[\w-][\w .-]*)*")
"""Names that lead nowhere else: no part of them begins with a dot or is empty."""

LARGEST = 1_000_000
"""Height or width in pixels beyond which an image's size is taken for damage."""


def find_image(names: Iterable[str], folder: Path, record: str) -> str:
    """Find an image file under one of its possible names, relative to its folder.

    Parameters
    ----------
    names
        Names that it may have in the folder; the first is that of the annotation, which is given
        where there is no such file. Absolute paths, such as other machines have, are also looked
        for by their ends: "C:/data/x/1.png" may be "x/1.png" or "1.png" here.

    Raises
    ------
    FormatError
        If the file is not there and its name leads out of the folder.
    """
    given = [str(name) for name in names]
    candidates = [slashed(name) for name in given]
    candidates += [end for name in given if is_absolute(name) for end in ends(name)]
    for name in candidates:
        try:
            inside = relative(name, folder, record)
            if (folder / inside).is_file():
                return inside
        except (FormatError, OSError, ValueError):
            continue
    if "\0" in given[0]:
        raise FormatError(f"The file name in {record} holds a zero byte.", argument="path")
    try:
        return relative(given[0], folder, record)
    except FormatError as error:
        if is_absolute(given[0]):
            error.hint = (
                f"It was looked for in {folder} as {listed(ends(given[0]))}. Put the image there, "
                "or name the folder where it is: seg_read_annotations(path, images = folder)."
            )
        raise


def listed(ends: list[str]) -> str:
    """Write the ends of a path, of many the longest and the shortest."""
    shown = ends if len(ends) <= 3 else [ends[0], "...", ends[-1]]
    return ", ".join(shown)


def slashed(name: str) -> str:
    """Write a path with "/", one with a drive as an absolute one where there are no drives."""
    has_drive = bool(PureWindowsPath(name).drive) and os.name != "nt"
    return ("/" if has_drive else "") + name.replace("\\", "/")


def is_absolute(name: str) -> bool:
    """Tell an absolute path, be it one of Windows."""
    return name.startswith("/") or bool(PureWindowsPath(name).root)


def ends(name: str) -> list[str]:
    """Give the ends of a path, the longest first: "b/c.png" and "c.png" of "/a/b/c.png"."""
    parts = slashed(name).strip("/").split("/")
    return ["/".join(parts[i:]) for i in range(1, len(parts))] or parts


def base_name(name: str) -> str:
    """Take a file's name without its folder, of Windows too."""
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def size_at(path: Path) -> tuple[int, int]:
    """Read an image's height and width, (0, 0) where it is not there."""
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    return size_of(str(path)) if there else (0, 0)


def side(value: Any, where: str) -> int:
    """Take a height or width; 0 where there is none.

    Raises
    ------
    FormatError
        If it is no whole number of pixels.
    """
    try:
        number = float(value or 0)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if 0 <= number <= LARGEST and number == int(number):
        return int(number)
    raise FormatError(
        f"The size of the image in {where} is {str(value)[:40]!r}, not a number of pixels.",
        argument="path",
    )


def relative(name: str, folder: Path, record: str) -> str:
    """Give a file name of an annotation with "/", if it stays inside its folder.

    Raises
    ------
    FormatError
        If it leaves the folder by ".." or is an absolute path elsewhere.
    """
    # a look at the file system's rules takes long, and among 100,000 images few names need it
    if PLAIN.fullmatch(str(name)):
        return str(name)
    # links are not followed: the image that they lead to may lie anywhere, under any name
    full = Path(os.path.abspath(folder / slashed(str(name))))
    root = Path(os.path.abspath(folder))
    if full.is_relative_to(root) and full != root:
        return full.relative_to(root).as_posix()
    raise FormatError(
        f'The file name "{name}" in {record} leads out of the folder {folder}.',
        hint="Name the folder of the images: seg_read_annotations(path, images = folder).",
        argument="path",
    )
