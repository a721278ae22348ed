"""Label images from annotations of any kind, and what they cannot hold."""

import numpy as np

from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.errors import DataError


def flat_labels(annotations: Annotations, i: int, report: Report) -> Labels:
    """Make the class ids and object numbers of image `i`, and report what no label image holds."""
    labels = annotations.labels(i)
    if not annotations.images.mask_files[i]:
        report_losses(annotations, i, labels, report)
    return labels


def report_losses(annotations: Annotations, i: int, labels: Labels, report: Report) -> None:
    """Count hidden objects, scores and attributes of image `i`."""
    report_hidden(annotations, i, labels, report)
    report_left_out(annotations, i, report)


def report_left_out(annotations: Annotations, i: int, report: Report) -> None:
    """Count the scores and attributes of image `i`."""
    where, take, rows = annotations.images.files[i], annotations.objects, annotations.rows(i)
    losses = {
        "attributes left out": sum(bool(take.attributes[row]) for row in rows),
        "score left out": int(np.isfinite(take.scores[rows]).sum()),
    }
    for reason, count in losses.items():
        if count:
            report.change(reason, where, count)


def report_hidden(annotations: Annotations, i: int, labels: Labels, report: Report) -> None:
    """Count the objects of image `i` that others lie upon."""
    take, rows = annotations.objects, annotations.rows(i)
    found, _ = annotations.instances(i, crowds=False)
    visible = np.bincount(labels.objects.ravel(), minlength=len(rows) + 1)[1:]
    counted = list(annotations.things() - set(annotations.ignored()))
    things = np.isin(take.class_ids[rows], counted) & ~take.iscrowd[rows]
    hidden = int((visible[things] < found.areas[np.isin(found.class_ids, counted)]).sum())
    if hidden:
        report.change(
            "object partly or wholly under another one", annotations.images.files[i], hidden
        )


def report_merged(labels: Labels, where: str, report: Report) -> None:
    """Count the objects that a mask of classes does not tell apart any more."""
    if labels.objects is None:
        return
    objects = int(np.count_nonzero(np.unique(labels.objects)))
    if objects:
        report.change("object written as pixels of its class", where, objects)


def object_numbers(labels: Labels, annotations: Annotations, where: str) -> np.ndarray:
    """Give the numbers of objects, those of classes of things alone.

    Returns
    -------
    np.ndarray
        int32 in the shape of the image; 0 outside of things.

    Raises
    ------
    DataError
        If these annotations do not tell objects apart.
    """
    if labels.objects is None:
        raise DataError(
            f"{where} has a mask of classes, which does not tell objects apart.",
            hint='Write it as "masks" instead.',
            argument="x",
        )
    return np.where(np.isin(labels.classes, list(annotations.things())), labels.objects, 0)


def ranks(numbers: np.ndarray) -> np.ndarray:
    """Replace numbers by 1, 2, ... in their order; 0 stays."""
    return np.searchsorted(np.unique(np.append(numbers.ravel(), 0)), numbers).astype(np.int32)


def renamed(
    annotations: Annotations, ids: dict[str, int], format: str, report: Report
) -> dict[int, int]:
    """Find the ids that a format has for the classes' names, and report those that change.

    Parameters
    ----------
    ids
        The format's ids by name; names are compared in any case.
    format
        What to call the format.

    Raises
    ------
    DataError
        If the format does not have a class.
    """
    known = {name.lower(): class_id for name, class_id in ids.items()}
    kept = [one for one in annotations.classes if one.id not in annotations.ignored()]
    strange = [one.name for one in kept if one.name.lower() not in known]
    if strange:
        raise DataError(
            f"{format} has no class called {', '.join(strange[:5])}.",
            hint=f"Its classes are {', '.join(ids)}. Leave others out by x[, classes].",
            argument="classes",
        )
    mapping = {one.id: known[one.name.lower()] for one in kept}
    for one in kept:
        if mapping[one.id] != one.id:
            where = f'"{one.name}", {one.id} becomes {mapping[one.id]}'
            report.change(f"class id renumbered, since {format} has ids of its own", where)
    return mapping


def replaced(ids: np.ndarray, mapping: dict[int, int]) -> np.ndarray:
    """Replace class ids by others; those that are not named stay."""
    old = np.array(sorted(mapping), dtype=np.int32)
    new = np.array([mapping[one] for one in old.tolist()], dtype=np.int32)
    if not len(old):
        return ids
    places = np.searchsorted(old, ids).clip(max=len(old) - 1)
    return np.where(old[places] == ids, new[places], ids)


def without_ignore(ids: np.ndarray, where: str, report: Report) -> np.ndarray:
    """Replace pixels to be ignored by 0, and report their image."""
    ignored = ids == IGNORE
    if ignored.any():
        report.change("image whose pixels to be ignored were written as 0", where)
    return np.where(ignored, 0, ids)


def refuse_volume(labels: Labels, where: str, format: str) -> None:
    """Raise a DataError if `where` is no image."""
    if labels.classes.ndim != 2:
        raise DataError(f"{where} is a volume, and {format} holds images.", argument="x")
