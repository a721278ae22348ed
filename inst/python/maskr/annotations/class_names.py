"""Names of classes: those with a meaning of their own, and ids for files that have names alone."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np

from maskr.annotations.columns import Category, Objects
from maskr.errors import DataError

BACKGROUND = ("background", "_background_", "unlabeled")
"""Names of classes for no object; LabelMe's converter and Cityscapes have their own."""

IGNORED = "__ignore__"
"""LabelMe's name for regions of no class: their pixels are ignored in masks, and no instances."""

IGNORED_ID = 255
"""Class id of what is to be ignored, where it is free."""


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
        ids = ids_of(list(self.places), given, path)
        if len(objects):
            objects.class_ids = np.array([ids[name] for name in self.places])[objects.class_ids]
        return categories(ids.items(), self.colours)


def is_background(name: str) -> bool:
    """Tell the class of no object by its name."""
    return name.lower() in BACKGROUND


def categories(
    pairs: Iterable[tuple[str, int]], colours: Mapping[str, str] | None = None
) -> list[Category]:
    """Make classes of names and ids, in the order of ids; of things, but for the background.

    Parameters
    ----------
    colours
        "#RRGGBB" by name.
    """
    return [
        Category(
            number,
            name,
            isthing=not is_background(name) and name != IGNORED,
            colour=(colours or {}).get(name, ""),
        )
        for name, number in sorted(pairs, key=lambda pair: pair[1])
    ]


def ids_of(names: Sequence[str], given: dict[str, int] | None, path: Path) -> dict[str, int]:
    """Give class ids to names: those `given`, else by `in_order()` of the sorted names.

    Raises
    ------
    DataError
        If a name is not among those `given`.
    """
    plain = sorted(set(names) - {IGNORED})
    if given is None:
        ids = in_order(plain)
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


def in_order(names: Iterable[str]) -> dict[str, int]:
    """Number classes 1, 2, ... in their order; the first that means the background is 0."""
    names = list(names)
    background = next((name for name in names if is_background(name)), None)
    numbers = count(1)
    return {name: 0 if name == background else next(numbers) for name in names}
