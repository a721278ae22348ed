"""The lines of YOLO's label files: parsed, understood together, and made to objects.

A line of 4 numbers after the class is a box; of an even number from 6 up a polygon. Prediction
tools append a confidence: 5 numbers are a box with one, an odd number from 7 up is a polygon with
one. A line that lost a number looks alike. It is told by the others of its data set, since a tool
appends a confidence to all lines or to none: beside polygons without one, lines of an odd number
are damaged, and boxes must lie inside their image; beside boxes without one, polygons of an odd
number are damaged, and a file of boxes with and without one is an error.

What reaches out of its image by more than rounding is reported. Boxes are cut off there; polygons
stay as they are, like those of other formats, and are cut off where they are drawn.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from maskr.annotations.columns import ObjectTable
from maskr.annotations.polygons import usable
from maskr.annotations.report import Report
from maskr.documents import read_text
from maskr.errors import FormatError
from maskr.words import counted

BOX = 4
CORNERS = 6
"""Numbers of the smallest polygon."""
ROUNDING = 1e-4
"""What the edges of a box that was cut off at its image may lie outside, as a share of it."""


@dataclass(frozen=True)
class Line:
    """A line of a label file.

    Attributes
    ----------
    where
        File and number of the line.
    image_id, size
        Of its image; (H, W).
    values
        What stands behind the class.
    """

    where: str
    image_id: int
    size: tuple[int, int]
    class_id: int
    values: np.ndarray


def read_lines(
    label: Path,
    known: Container[int] | None,
    image_id: int,
    size: tuple[int, int],
    keypoints: int,
    report: Report,
) -> Iterator[Line]:
    """Yield the lines of a label file whose numbers can be coordinates; others are reported.

    Parameters
    ----------
    known, label
        As in `label_values()`, whose errors are raised.
    keypoints
        Numbers of a pose that stand behind a box.
    """
    for where, class_id, values in label_values(label, known):
        if keypoints and len(values) == BOX + keypoints:
            report.skip("keypoints of an object, whose box is kept", where)
            values = values[:BOX]
        if not np.isfinite(values).all():
            report.skip("line with numbers that are not finite", where)
        elif np.abs(values - 0.5).max(initial=0) > 1.5:
            report.skip("line with coordinates far outside 0..1 (pixels?)", where)
        elif len(values) < BOX:
            report.skip(damaged(values), where)
        else:
            yield Line(where, image_id, size, class_id, values)


def label_values(
    label: Path, known: Container[int] | None
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield the lines of a label file: where it is, its class, and its other numbers.

    Parameters
    ----------
    known
        The numbers of classes; None for any.

    Raises
    ------
    FormatError
        If a line holds what is no number, or its class is not among those `known`.
    """
    for number, text in enumerate(read_text(label).splitlines(), start=1):
        words = text.split()
        if words:
            where = f"Line {number} of {label}"
            yield where, *numbers_of(words, where, known)


def numbers_of(
    words: Sequence[str], where: str, known: Container[int] | None
) -> tuple[int, np.ndarray]:
    """Take the class and the other numbers of a line."""
    try:
        values = np.array(words, dtype=float)
    except ValueError as error:
        wrong = next(word for word in words if not is_number(word))
        raise FormatError(
            f'{where} holds "{wrong[:60]}", which is not a number.',
            hint="A line is the number of a class and the numbers of a box or polygon, with spaces "
            "between them.",
        ) from error
    class_id = values[0]
    if not 0 <= class_id < 2**31 or class_id % 1:
        raise FormatError(f"{where} has class {words[0]}: classes are counted from 0.")
    if known is not None and int(class_id) not in known:
        raise FormatError(
            f"{where} has class {words[0]}, which has no name in this data set.",
            hint="Classes are counted from 0, in the order of `names`.",
        )
    return int(class_id), values[1:]


def is_number(word: str) -> bool:
    """Tell a number, "nan" and "inf" included."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def add_objects(objects: ObjectTable, lines: Sequence[Line], report: Report) -> None:
    """Add the objects of all lines of a data set; damaged lines are reported.

    Raises
    ------
    FormatError
        If some boxes of a file have a confidence and others have none.
    """
    plain = {len(one.values) for one in lines if len(one.values) % 2 == 0}
    among_polygons = max(plain, default=0) >= CORNERS
    if not among_polygons:
        check_confidences(lines)
    for one in lines:
        n = len(one.values)
        if n % 2 and (among_polygons or (plain and n > BOX + 1)):
            report.skip(damaged(one.values), one.where)
        elif n <= BOX + 1:
            add_box(objects, one, among_polygons or n > BOX, report)
        else:
            add_polygon(objects, one, report)


def check_confidences(lines: Sequence[Line]) -> None:
    """Raise a FormatError where some boxes of a file have a confidence and others have none."""
    for _, own in groupby(lines, key=lambda one: one.image_id):
        boxes = [one for one in own if len(one.values) == BOX or is_scored_box(one)]
        # the first of those without and of those with
        first = {len(one.values): one for one in reversed(boxes)}
        if len(first) == 2:
            scored, bare = first[BOX + 1], first[BOX]
            raise FormatError(
                f"{scored.where} has a confidence, {scored.values[-1]:.6g}, and "
                f"{bare.where.split(' of ')[0].lower()} has none.",
                hint="Every line of a file has a confidence, or no line has one.",
            )


def is_scored_box(line: Line) -> bool:
    """Tell a box with a confidence from a damaged line."""
    scored = len(line.values) == BOX + 1 and score_of(line) is not None
    return scored and lies_inside(*edges(line))


def damaged(values: np.ndarray) -> str:
    """Say what a line holds that is neither a box nor a polygon."""
    return f"damaged line of a class and {counted(len(values), 'number')}"


def score_of(line: Line) -> float | None:
    """Take the confidence of a line of an odd number of values: NaN without, None if damaged."""
    if len(line.values) % 2 == 0:
        return float("nan")
    score = float(line.values[-1])
    return score if 0 <= score <= 1 else None


def add_box(objects: ObjectTable, line: Line, must_fit: bool, report: Report) -> None:
    """Add an object of centre, width and height, and perhaps confidence."""
    height, width = line.size
    score = score_of(line)
    low, high = edges(line)
    if (high <= low).any():
        report.skip("box without extent", line.where)
        return
    fits = lies_inside(low, high)
    if score is None or (must_fit and not fits):
        report.skip(damaged(line.values), line.where)
        return
    if not fits:
        low, high = low.clip(0, 1), high.clip(0, 1)
        if (high <= low).any():
            report.skip("box outside of its image", line.where)
            return
        report.change("box cut off at the edge of its image", line.where)
    box = np.concatenate((low, high)) * (width, height, width, height)
    objects.add(line.image_id, line.class_id, box=box.tolist(), score=score)


def edges(line: Line) -> tuple[np.ndarray, np.ndarray]:
    """Find the left and upper, and the right and lower edge of a box."""
    centre, extent = line.values[:2], line.values[2:BOX]
    return centre - extent / 2, centre + extent / 2


def lies_inside(low: np.ndarray, high: np.ndarray) -> bool:
    """Tell whether coordinates lie in 0..1, but for rounding."""
    return low.min() >= -ROUNDING and high.max() <= 1 + ROUNDING


def add_polygon(objects: ObjectTable, line: Line, report: Report) -> None:
    """Add an object of corners, and perhaps confidence."""
    height, width = line.size
    score = score_of(line)
    if score is None:
        report.skip(damaged(line.values), line.where)
        return
    corners = line.values[: len(line.values) // 2 * 2].reshape(-1, 2)
    if not lies_inside(corners, corners):
        report.change("polygon that reaches out of its image", line.where)
    corners = corners * (width, height)
    parts = usable([corners.ravel()], line.where, report)
    if parts:
        objects.add(line.image_id, line.class_id, polygon=parts, score=score)
