"""What is lost of classes in formats that know them by their names alone, or not at all."""

from collections.abc import Iterable
from pathlib import Path

from maskr.annotations.class_names import ids_of, is_background
from maskr.annotations.columns import Category
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations


def report_named(annotations: Annotations, written: Iterable[str], report: Report) -> None:
    """Count the classes that have another id, or none, when names alone are read again.

    Parameters
    ----------
    written
        The names of classes that the format holds.
    """
    ids = ids_of(list(written), None, Path())
    # a background is read as one, whatever its name
    ids |= {one.name: 0 for one in annotations.classes if is_background(one.name)}
    lost = [one.name for one in annotations.classes if one.name not in ids]
    other = [one.name for one in annotations.classes if ids.get(one.name, one.id) != one.id]
    if other:
        report.change("class whose id the format cannot hold", other[0], len(other))
    if lost:
        report.change("class without objects, which the format cannot hold", lost[0], len(lost))


def report_unnamed(annotations: Annotations, read_as: Category, report: Report) -> None:
    """Count the class that has another name or id when objects of one class are read again.

    That several classes become one is counted by their objects.
    """
    things = [one for one in annotations.classes if one.id in annotations.things()]
    if len(things) == 1 and (things[0].name, things[0].id) != (read_as.name, read_as.id):
        reason = f'class whose name and id the format cannot hold, read as "{read_as.name}"'
        report.change(reason, things[0].name)
