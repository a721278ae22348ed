"""Tables of class names, ids and colours that lie beside mask images."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from maskr.annotations.class_names import IGNORED, in_order
from maskr.annotations.colours import hexadecimal, number_of
from maskr.annotations.columns import Category
from maskr.arrays import IGNORE
from maskr.documents import read_text
from maskr.errors import DataError, FormatError

LEFT_OUT = ("ignore", "void", IGNORED)
"""Names of colours that are no class but pixels to be ignored, unless they have an id."""


@dataclass
class ClassTable:
    """Class ids by name, "#RRGGBB" by name, and the value that means "ignore" if it is told."""

    ids: dict[str, int]
    colours: dict[str, str] = field(default_factory=dict)
    ignore: int | None = None

    def categories(self) -> list[Category]:
        """Make the classes; masks do not tell objects apart, so none is of things."""
        return [
            Category(class_id, name, isthing=False, colour=self.colours.get(name, ""))
            for name, class_id in self.ids.items()
        ]

    def by_colour(self) -> dict[str, int]:
        """Class ids by colour.

        Raises
        ------
        DataError
            If a colour's class has no id, or two have the same colour.
        """
        table: dict[str, int] = {}
        for name, colour in self.colours.items():
            if name not in self.ids and name.lower() not in LEFT_OUT:
                known = ", ".join(list(self.ids)[:10])
                raise DataError(
                    f'The class "{name}" of the colour {colour} has no id.',
                    hint=f"Classes are: {known}.",
                    argument="colours",
                )
            number = f"#{number_of(colour):06X}"
            class_id = self.ids.get(name, IGNORE)
            if table.setdefault(number, class_id) != class_id:
                raise DataError(f"Two classes have the colour {number}.", argument="colours")
        return table


def numbered(names: Iterable[str]) -> dict[str, int]:
    """Number the classes of colours by `in_order()`; "ignore" and "void" are none."""
    return in_order(name for name in names if name.lower() not in LEFT_OUT)


def find_table(*folders: Path) -> ClassTable | None:
    """Read the first table that lies in one of the folders."""
    for folder in folders:
        for name, parse in READERS.items():
            if (folder / name).is_file():
                return read_table(folder / name, parse)
    return None


def has_table(folder: Path) -> bool:
    """Tell whether a folder holds a table of classes."""
    return any((folder / name).is_file() for name in READERS)


def read_table(path: Path, parse: Callable[[str], ClassTable]) -> ClassTable:
    """Read one table.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    text = read_text(path)
    try:
        table = parse(text)
    except (LookupError, TypeError, ValueError, AttributeError) as bad:
        raise FormatError(f"{path} is not a table of classes: {bad}", argument="path") from bad
    if not table.ids:
        raise FormatError(f"{path} names no class.", argument="path")
    return table


def from_meta(text: str) -> ClassTable:
    """Parse a dataset_meta.json: names by id, and colours in the same order."""
    content = orjson.loads(text)
    names = {int(key): str(name) for key, name in content["label_map"].items()}
    colours = content.get("segmentation_colors") or []
    if colours and len(colours) != len(names):
        raise ValueError(f"{len(names)} classes have {len(colours)} colours")
    ignore = content.get("ignore_index")
    return ClassTable(
        {name: key for key, name in names.items()},
        {
            name: hexadecimal(*(int(value) for value in colour[:3]))
            for name, colour in zip(names.values(), colours, strict=False)
        },
        None if ignore is None else int(ignore),
    )


def from_names(text: str) -> ClassTable:
    """Parse names line by line, whose ids count from 0; LabelMe's lists begin with __ignore__."""
    names = [line.strip() for line in text.splitlines() if line.strip()]
    first = -1 if names and names[0] == IGNORED else 0
    ids = {name: number for number, name in enumerate(names, start=first) if number >= 0}
    if "_background_" in ids:
        ids = {"background": ids.pop("_background_")} | ids
    return ClassTable(ids)


def from_colour_lines(text: str) -> ClassTable:
    """Parse lines such as "64 128 64   Animal"."""
    rows = [line.split(maxsplit=3) for line in text.splitlines() if line.strip()]
    return from_rows([(row[3].strip(), *row[:3]) for row in rows])


def from_csv(text: str) -> ClassTable:
    """Parse the columns name, r, g, b."""
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    return from_rows([(row["name"].strip(), row["r"], row["g"], row["b"]) for row in rows])


def from_cvat(text: str) -> ClassTable:
    """Parse CVAT's lines "name:r,g,b:parts:actions"."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = [line.split(":")[:2] for line in lines]
    return from_rows([(name, *colour.split(",")) for name, colour in rows])


def from_rows(rows: list[tuple]) -> ClassTable:
    """Make a table of rows of name, red, green and blue."""
    colours = {name: hexadecimal(*(int(value) for value in rgb)) for name, *rgb in rows}
    return ClassTable(numbered(colours), colours)


READERS: dict[str, Callable[[str], ClassTable]] = {
    "dataset_meta.json": from_meta,
    "labelmap.txt": from_cvat,
    "label_colors.txt": from_colour_lines,
    "class_dict.csv": from_csv,
    "classes.txt": from_names,
    "codes.txt": from_names,
    "class_names.txt": from_names,
}
