"""What LabelMe's, VIA's and CVAT's files have in common.

They hold class names without ids, images by the name that the tool knew them by, the parts of an
object as records of one group, and attributes of the user's choosing.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import orjson

from maskr.annotations.items import Item, items
from maskr.annotations.report import Report
from maskr.annotations.table import (
    BACKGROUND,
    IGNORED,
    Annotations,
    Category,
    Objects,
    relative,
)
from maskr.errors import DataError, FormatError
from maskr.images import size_of
from maskr.instances import measure

IGNORED_ID = 255
"""Class id of what is to be ignored, where it is free."""

LARGEST = 1_000_000
"""Height or width in pixels beyond which an image's size is taken for damage."""


class Names:
    """Class names by the order in which they are met; ids are given when all are known."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.colours: dict[str, str] = {}

    def place(self, name: str) -> int:
        """Give the place of a name, which stands for its class until `settle()`."""
        return self.places.setdefault(name, len(self.places))

    def settle(self, objects: Objects, given: dict[str, int] | None, path: Path) -> list[Category]:
        """Replace places by class ids, and give the classes in the order of their ids.

        Raises
        ------
        DataError
            If a name is not among those `given`.
        """
        ids = numbered(list(self.places), given, path)
        if len(objects):
            objects.class_ids = np.array([ids[name] for name in self.places])[objects.class_ids]
        return [
            Category(
                id,
                name,
                isthing=name.lower() not in (*BACKGROUND, IGNORED),
                colour=self.colours.get(name, ""),
            )
            for name, id in sorted(ids.items(), key=lambda pair: pair[1])
        ]


def numbered(names: Sequence[str], given: dict[str, int] | None, path: Path) -> dict[str, int]:
    """Give class ids to names: those `given`, else the background 0 and the others from 1, sorted.

    Raises
    ------
    DataError
        If a name is not among those `given`.
    """
    plain = sorted(set(names) - {IGNORED})
    if given is None:
        background = next((name for name in plain if name.lower() in BACKGROUND), None)
        others = [name for name in plain if name != background]
        ids = {} if background is None else {background: 0}
        ids |= {name: i for i, name in enumerate(others, start=1)}
    else:
        ids = {name: int(i) for name, i in given.items()}
        unknown = [name for name in plain if name not in ids]
        if unknown:
            raise DataError(
                f'{path} holds the class "{unknown[0]}", which is not in `classes`.',
                hint="Name every class of the file, or leave `classes` out.",
                argument="classes",
            )
    if IGNORED in names and IGNORED not in ids:
        ids[IGNORED] = max(IGNORED_ID, max(ids.values(), default=0) + 1)
    return ids


def find_image(names: Iterable[str], folder: Path, record: str) -> str:
    """Find an image file under one of its possible names, relative to its folder.

    Parameters
    ----------
    names
        Names that it may have in the folder; the first is that of the annotation, which is given
        where there is no such file.

    Raises
    ------
    FormatError
        If the file is not there and its name leads out of the folder.
    """
    names = [slashed(str(name)) for name in names]
    for name in names:
        try:
            inside = relative(name, folder, record)
            if (folder / inside).is_file():
                return inside
        except (FormatError, OSError, ValueError):
            continue
    if "\0" in names[0]:
        raise FormatError(f"The file name in {record} holds a zero byte.", argument="path")
    return relative(names[0], folder, record)


def slashed(name: str) -> str:
    """Write a path with "/", one with a drive as an absolute one."""
    return ("/" if PureWindowsPath(name).drive else "") + name.replace("\\", "/")


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


def points_of(values: Any, where: str) -> np.ndarray:
    """Take points as float64 `[N, 2]`.

    Raises
    ------
    FormatError
        If they are no pairs of numbers.
    """
    try:
        points = np.asarray(values, dtype=float)
    except (TypeError, ValueError, OverflowError):
        points = np.zeros(())
    if points.size == 0 and points.ndim:
        return np.zeros((0, 2))
    if points.ndim == 2 and points.shape[1] == 2:
        return points
    raise FormatError(f"The points of {where} are no pairs of x and y.", argument="path")


def to_write(
    annotations: Annotations, i: int, report: Report
) -> tuple[list[Item], tuple[int, int], "Groups"]:
    """Take the objects of image `i` that have a shape, its size, and what numbers its groups.

    The size is (0, 0) where it is unknown and no object needs it.

    Raises
    ------
    DataError
        If it is needed and unknown.
    """
    found = items(annotations, i)
    size = int(annotations.images.heights[i]), int(annotations.images.widths[i])
    rles = [item.rle for item in found if item.parts is None and item.rle]
    if rles:
        size = annotations.size(i)
    areas = iter(measure(rles, size)[0])
    kept = []
    for item in found:
        if item.parts is not None:
            has_shape = True
        else:
            has_shape = next(areas) > 0 if item.rle else np.isfinite(item.box).all()
        if has_shape:
            kept.append(item)
        else:
            report.change("object without a pixel, left out", annotations.images.files[i])
    return kept, size, Groups(extras(item).get("group_id") for item in kept)


def extras(item: Item) -> dict:
    """Give all that an item holds beside its shape and class, as attributes."""
    found = parsed(item.attributes)
    if item.score == item.score:
        found["score"] = item.score
    if item.iscrowd:
        found["iscrowd"] = True
    return found


def parsed(attributes: str) -> dict:
    """Parse a column of attributes.

    Raises
    ------
    DataError
        If they are no JSON object.
    """
    try:
        found = orjson.loads(attributes) if attributes else {}
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict):
        return found
    raise DataError(
        f"These attributes of an object are no JSON object: {attributes[:60]}", argument="x"
    )


def lifted(attributes: dict) -> dict:
    """Undo `extras()`: arguments for `ObjectTable.add()`."""
    rest = dict(attributes)
    try:
        score = float(rest["score"])
    except (KeyError, TypeError, ValueError, OverflowError):
        score = float("nan")
    if np.isfinite(score):
        del rest["score"]
    iscrowd = str(rest.pop("iscrowd", False)).lower() in ("true", "1")
    return {"score": score, "iscrowd": iscrowd, "attributes": rest}


class Groups:
    """Hands out the group numbers of one image, by which the parts of an object are known.

    Parameters
    ----------
    wanted
        The numbers that its objects bring along.
    """

    def __init__(self, wanted: Iterable[Any]) -> None:
        self.highest = max((number for number in wanted if is_group(number)), default=0)
        self.given: set[tuple[str, int]] = set()

    def number(self, name: str, wanted: Any, parts: int, report: Report, where: str) -> int | None:
        """Give the number of an object of class `name`; None where it needs none."""
        if is_group(wanted) and (name, wanted) not in self.given:
            self.given.add((name, wanted))
            return wanted
        if is_group(wanted):
            report.change("group_id left out, by which objects would become one", where)
        if parts < 2:
            return None
        self.highest += 1
        self.given.add((name, self.highest))
        return self.highest


def is_group(number: Any) -> bool:
    """Tell a number that can be a group's."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0
