"""What is told of an object beside its shape and class: attributes, score, crowd and group."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from maskr.annotations.items import Item
from maskr.annotations.report import Report
from maskr.errors import DataError


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
        f"These attributes of an object are not a JSON object: {attributes[:60]}", argument="x"
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
    found
        The image's objects; the numbers that they bring along are kept free.
    """

    def __init__(self, found: Iterable[Item]) -> None:
        wanted = [extras(item).get("group_id") for item in found]
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


def text_of(value: Any) -> str:
    """Write an attribute's value, as JSON where it is no text."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
