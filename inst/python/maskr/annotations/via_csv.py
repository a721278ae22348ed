"""Annotations of the VGG Image Annotator as CSV, a line for each region; see `via`."""

import csv
import io
from pathlib import Path

import orjson

from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.annotations.via import files_of, from_entries, the_file
from maskr.annotations.via_writing import entries_of
from maskr.documents import beginning
from maskr.errors import FormatError
from maskr.files import atomically
from maskr.words import counted

COLUMNS = [
    "filename",
    "file_size",
    "file_attributes",
    "region_count",
    "region_id",
    "region_shape_attributes",
    "region_attributes",
]


def matches(path: Path) -> bool:
    """Tell a CSV file of VIA by its first line, and a folder that holds some."""
    return bool(files_of(path, ".csv", is_via))


def is_via(path: Path) -> bool:
    """Tell a CSV file of VIA by its first line, which VIA 1.0 began with "#"."""
    first = beginning(path, 1000).partition(b"\n")[0]
    return first.lstrip(b"\xef\xbb\xbf#").strip() == ",".join(COLUMNS).encode()


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a CSV file, or the one in a folder; errors as those of `via.read()`."""
    path = the_file(path, ".csv", is_via)
    if not is_via(path):
        raise FormatError(
            f"{path} is not a CSV file of VIA.",
            hint=f"Its first line is {','.join(COLUMNS)}.",
            argument="path",
        )
    entries: dict[tuple[str, str], dict] = {}
    for number, row in enumerate(rows_of(path), start=2):
        if len(row) != len(COLUMNS):
            raise FormatError(
                f"Line {number} of {path} has {counted(len(row), 'column')}, not {len(COLUMNS)}.",
                argument="path",
            )
        name, size = row[:2]
        entry = entries.setdefault((name, size), {"filename": name, "regions": []})
        shape, attributes = (parsed(text, number, path) for text in row[5:])
        if shape:
            entry["regions"].append({"shape_attributes": shape, "region_attributes": attributes})
    return from_entries(list(entries.values()), path, options, report, "via_csv")


def rows_of(path: Path) -> list[list[str]]:
    """List the rows below the first one.

    Raises
    ------
    FormatError
        If the file is no CSV.
    """
    limit = csv.field_size_limit(2**31 - 1)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return [row for row in csv.reader(io.StringIO(text, newline="")) if row][1:]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read as CSV: {error}.", argument="path") from error
    finally:
        csv.field_size_limit(limit)


def parsed(text: str, number: int, path: Path) -> dict:
    """Parse a JSON object in a column; an empty column holds an empty one.

    Raises
    ------
    FormatError
        If it is no JSON object.
    """
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict):
        return value
    raise FormatError(f"Line {number} of {path} holds no JSON: {text[:60]}", argument="path")


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write a CSV file; errors as those of `via.write()`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries_of(annotations, report, progress):
        regions = entry["regions"]
        head = [entry["filename"], entry["size"], "{}", len(regions)]
        for i, region in enumerate(regions):
            shape, attributes = region["shape_attributes"], region["region_attributes"]
            writer.writerow(
                [*head, i, *(orjson.dumps(one).decode() for one in (shape, attributes))]
            )
        if not regions:
            writer.writerow([*head, 0, "{}", "{}"])
    atomically(str(path), lambda part: Path(part).write_text(text.getvalue(), encoding="utf-8"))
