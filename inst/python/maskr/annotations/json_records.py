"""Lists of records in JSON files, taken column by column, with errors that name the record."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from maskr.documents import read_json
from maskr.errors import FormatError

EXACT = 2**53
"""Whole numbers up to here are exact as R's numbers."""
NUMBERS = {int, float}


@contextmanager
def no_collection() -> Iterator[None]:
    """Switch Python's search for cycles off: among millions of parsed values it takes a quarter of
    the time, and JSON has no cycles.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load_object(path: Path) -> dict:
    """Parse a JSON file that holds one object; as `read_json()`."""
    content = read_json(path)
    if isinstance(content, dict):
        return content
    raise FormatError(
        f"{path} holds a JSON {kind_of(content)}, where an object with images, annotations and "
        "categories was expected.",
        argument="path",
    )


def kind_of(value: Any) -> str:
    """Name a JSON value's type."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


@dataclass
class Records:
    """Records of one list.

    Attributes
    ----------
    rows
        The records.
    file
        Name of their file, for errors.
    label
        What to call a record by its number from 0, such as "annotations[17]".
    """

    rows: list[dict]
    file: str
    label: Callable[[int], str]

    @classmethod
    def of(cls, rows: Any, name: str, file: str) -> "Records":
        """Take a JSON list of objects.

        Raises
        ------
        FormatError
            If it is something else, or holds something else.
        """
        if not isinstance(rows, list):
            raise FormatError(
                f'"{name}" of {file} is a JSON {kind_of(rows)}, not a list of objects.'
            )
        found = cls(rows, file, lambda i: f"{name}[{i}]")
        if set(map(type, rows)) - {dict}:
            i = next(i for i, row in enumerate(rows) if not isinstance(row, dict))
            raise found.error(i, f"is a JSON {kind_of(rows[i])}, not an object")
        return found

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, i: int) -> str:
        """Name a record for a report."""
        return f"{self.label(i)} of {self.file}"

    def error(self, i: int, problem: str, hint: str = "") -> FormatError:
        """Make the error that says what is wrong with a record."""
        return FormatError(f"{self.where(i)} {problem}.", hint=hint, argument="path")

    def optional(self, key: str) -> list:
        """Take a column; None where a record lacks the key."""
        return [row.get(key) for row in self.rows]

    def required(self, key: str) -> list:
        """Take a column that all records must have."""
        try:
            return [row[key] for row in self.rows]
        except KeyError:
            i = next(i for i, row in enumerate(self.rows) if key not in row)
            raise self.error(i, f'lacks "{key}"') from None

    def check_types(self, key: str, values: list, types: set[type], expected: str) -> None:
        """Refuse values of other types, the first by name."""
        if set(map(type, values)) - types:
            i = next(i for i, value in enumerate(values) if type(value) not in types)
            raise self.error(i, f"has the {key} {shortened(values[i])}, not {expected}")

    def whole(self, key: str, values: list | None = None, least: int = -EXACT) -> np.ndarray:
        """Take a column of whole numbers, int64; by default one that all records must have."""
        values = self.required(key) if values is None else values
        expected = "a whole number" if least < 0 else f"a whole number from {least} up"
        self.check_types(key, values, NUMBERS, expected)
        numbers = np.array(values, dtype=float)
        wrong = np.flatnonzero(
            ~((numbers == np.floor(numbers)) & (np.abs(numbers) <= EXACT) & (numbers >= least))
        )
        if wrong.size:
            raise self.error(int(wrong[0]), f"has the {key} {values[wrong[0]]}, not {expected}")
        return numbers.astype(np.int64)

    def numbers(self, key: str) -> np.ndarray:
        """Take a column of numbers, float64; NaN where a record has none."""
        values = self.optional(key)
        self.check_types(key, values, {*NUMBERS, type(None)}, "a number")
        return np.array(values, dtype=float)

    def flags(self, key: str, default: bool) -> np.ndarray:
        """Take a column of 0 and 1, or of false and true, as bool."""
        values = [default if value is None else value for value in self.optional(key)]
        self.check_types(key, values, {*NUMBERS, bool}, "0 or 1")
        numbers = np.array(values, dtype=float)
        wrong = np.flatnonzero((numbers != 0) & (numbers != 1))
        if wrong.size:
            raise self.error(int(wrong[0]), f"has the {key} {values[wrong[0]]}, not 0 or 1")
        return numbers.astype(bool)

    def texts(self, key: str, values: list | None = None) -> list[str]:
        """Take a column of strings; by default one that all records must have."""
        values = self.required(key) if values is None else values
        self.check_types(key, values, {str}, "a string")
        wrong = [i for i, value in enumerate(values) if "\0" in value]
        if wrong:
            raise self.error(wrong[0], f"has a null character in its {key}")
        return values

    def check_unique(self, key: str, *columns: np.ndarray) -> None:
        """Refuse records that agree with an earlier one in all columns; `key` names the first."""
        order = np.lexsort(columns)
        same = np.logical_and.reduce([np.diff(column[order]) == 0 for column in columns])
        if same.any():
            at = int(np.flatnonzero(same)[0])
            first, second = (int(i) for i in order[at : at + 2])
            number = columns[0][second]
            raise self.error(second, f"repeats the {key} {number} of {self.label(first)}")

    def find(self, key: str, values: np.ndarray, known: np.ndarray, place: str) -> np.ndarray:
        """Find the positions of ids among the `known` ones.

        Raises
        ------
        FormatError
            If an id isn't there; the error names its record.
        """
        order = np.argsort(known)
        at = np.searchsorted(known, values, sorter=order)
        rows = order[np.minimum(at, len(known) - 1)] if len(known) else np.zeros_like(at)
        wrong = np.flatnonzero(known[rows] != values) if len(known) else np.arange(len(values))
        if wrong.size:
            i = int(wrong[0])
            raise self.error(i, f'has the {key} {values[i]}, which is not in "{place}"')
        return rows


def shortened(value: Any) -> str:
    """Write a JSON value for an error message."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= 40 else text[:40] + "..."
