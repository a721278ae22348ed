"""Text, JSON and XML files, read with errors that name the file and what is wrong with it."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from maskr.errors import DataError, FormatError, unreadable

ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""


def beginning(path: Path, size: int) -> bytes:
    """Read the first bytes of a file; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError:
        return b""


def read_text(path: Path, largest: int | None = None) -> str:
    """Read a text file.

    Raises
    ------
    FormatError
        If it is larger than `largest` bytes, not UTF-8, or cannot be read.
    """
    try:
        if largest is not None and path.stat().st_size > largest:
            raise FormatError(f"{path} is larger than {largest:,} bytes, too large for what it is.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not text in UTF-8: {error.reason}.") from error


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises
    ------
    FormatError
        If it cannot be read or is no JSON.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        return orjson.loads(content)
    except OSError as error:
        raise unreadable(path, error, "path") from error
    except orjson.JSONDecodeError as error:
        special = any(word in content for word in (b"NaN", b"Infinity"))
        raise FormatError(
            f"{path} is not JSON: {error}.",
            hint="JSON has no NaN or Infinity; write null instead." if special else "",
            argument="path",
        ) from error


@contextmanager
def xml_damage(path: Path, program: str) -> Iterator[None]:
    """Turn what defusedxml raises into FormatErrors.

    Parameters
    ----------
    program
        Whose files these are; it does not declare entities.
    """
    from defusedxml import DefusedXmlException

    try:
        yield
    except DefusedXmlException as error:
        raise FormatError(
            f"{path} declares entities, which can be made to take memory without end.",
            hint=f"Files of {program} do not: is it from there?",
            argument="path",
        ) from error
    except OSError as error:
        raise unreadable(path, error, "path") from error
    except (ET.ParseError, LookupError, ValueError) as error:
        raise FormatError(f"{path} is not XML: {error}.", argument="path") from error


def xml_text(text: str) -> str:
    """Give a text that XML can hold.

    Raises
    ------
    DataError
        If it holds control characters.
    """
    if ILLEGAL.search(text):
        raise DataError(f"XML cannot hold the characters of {text[:40]!r}.", argument="x")
    return text
