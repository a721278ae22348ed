"""Scores of files: two mask files or folders of them, or two annotation files.

Everything is counted by what R's `seg_metrics()` calls, so that the same files have the same scores
from either language.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from maskr.annotations import read
from maskr.annotations.class_names import IGNORED
from maskr.annotations.columns import Category
from maskr.annotations.options import ReadOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError, FileError, FormatError
from maskr.images import SUFFIXES
from maskr.metrics import objects, segments, semantic
from maskr.metrics.file_pairs import beside, in_order_of_ids, new_ids, partners
from maskr.metrics.results import Options
from maskr.volumes import is_nifti

FAMILIES = {
    "masks": ("semantic", "boundary", "surface"),
    "objects": ("coco", "bioimage"),
    "segments": ("panoptic",),
}
"""The families of each kind of scores that files can have."""

Families = Mapping[str, Mapping] | None
Files = str | Path


def score(
    truth: Files,
    prediction: Files,
    class_ids: Sequence[int] | None = None,
    families: Families = None,
    options: Options | None = None,
) -> dict:
    """Score predicted masks, objects or panoptic segments against the truth.

    Parameters
    ----------
    truth, prediction
        Two mask files, or two folders whose files have the same names but for their endings, as
        `maskr.masks.load()` reads them; a COCO file and one of COCO's results, or two COCO files;
        or two COCO panoptic files, with their PNGs beside them. Images of results are matched by
        id, of other annotations by the names of their files; classes likewise by id or by name.
    class_ids
        The class ids that may occur. None for those that masks hold, or annotations name.
    families
        Which scores: arguments of families by their names, such as
        `{"boundary": {"tolerance": 2}}` or `{"coco": {"type": "box"}}`. Masks can have "semantic"
        (always), "boundary" and "surface"; objects "coco" (the default if every prediction has a
        score) and "bioimage"; panoptic files "panoptic".
    options
        How images make one score, and intervals.

    Returns
    -------
    dict
        What `maskr.metrics.results.result()` gives: `columns` is the table of scores. With `kind`
        ("masks", "objects" or "segments"), `files` (the names of the images), `classes` (names by
        id), and `skipped`: records of the files that could not be read, a line for each reason.

    Raises
    ------
    FormatError
        If a file is missing, damaged or of another kind.
    DataError, ShapeError
        If images or classes have no partner, or as the families' `count()`.

    Examples
    --------
    >>> found = score("instances.json", "results.json", families={"coco": {"type": "box"}})
    >>> table = found["columns"]
    >>> dict(zip(table["metric"], table["value"]))["ap50"]
    """
    truth, prediction = Path(truth), Path(prediction)
    options = asdict(options or Options())
    if all(one.suffix.lower() == ".json" for one in (truth, prediction)):
        return of_annotations(truth, prediction, class_ids, families, options)
    return of_masks(truth, prediction, class_ids, families, options)


def of_masks(
    truth: Path,
    prediction: Path,
    class_ids: Sequence[int] | None,
    families: Families,
    options: dict,
) -> dict:
    """Score mask files; see `score()`."""
    wanted = chosen(families, "masks", ["semantic"])
    pairs = [mask_files(truth, "truth"), mask_files(prediction, "prediction")]
    if truth.is_dir() or prediction.is_dir():
        places = partners([[bare_name(one) for one in side] for side in pairs])
        pairs[1] = [pairs[1][place] for place in places]
    more = [one for one in wanted if one["name"] != "semantic"]
    paths = [[str(one) for one in side] for side in pairs]
    ids = None if class_ids is None else [int(one) for one in class_ids]
    found = semantic.compare(*paths, ids, more, options)
    return found | {
        "kind": "masks", "files": [one.name for one in pairs[0]],
        "classes": {one: str(one) for one in found["ids"].tolist()}, "skipped": [],
    }


def mask_files(place: Path, argument: str) -> list[Path]:
    """A mask file, or all in a folder in the order of their names.

    Raises
    ------
    FormatError
        If there is none.
    """
    if not place.exists():
        raise FileError(f"{place} does not exist.", argument=argument)
    if not place.is_dir():
        return [place]
    files = [
        one for one in sorted(place.iterdir())
        if one.suffix.lower() in SUFFIXES or is_nifti(str(one))
    ]
    if not files:
        raise FormatError(f"{place} is a folder without mask files.", argument=argument)
    return files


def bare_name(file: Path) -> str:
    """The name of a file without its ending, such as ".png" or ".nii.gz"."""
    return Path(file.name.removesuffix(".gz")).stem


def of_annotations(
    truth: Path,
    prediction: Path,
    class_ids: Sequence[int] | None,
    families: Families,
    options: dict,
) -> dict:
    """Score annotation files; see `score()`."""
    report = Report()
    sides = [read(str(one), "auto", ReadOptions(), report) for one in (truth, prediction)]
    panoptic = [one.format == "coco_panoptic" for one in sides]
    if panoptic[0] != panoptic[1]:
        raise DataError(
            f"{(truth, prediction)[panoptic.index(True)].name} holds panoptic segments, and "
            f"{(truth, prediction)[panoptic.index(False)].name} holds objects.",
            hint="Both files must be of the same kind.",
            argument="prediction",
        )
    compare = of_segments if panoptic[0] else of_objects
    found = compare(*sides, class_ids, families, options)
    return found | {"skipped": report.to_r()["skipped"]}


def of_objects(
    truth: Annotations,
    prediction: Annotations,
    class_ids: Sequence[int] | None,
    families: Families,
    options: dict,
) -> dict:
    """Score objects; see `score()`."""
    truth = replace(truth, images=in_order_of_ids(truth.images))
    prediction = beside(prediction, truth)
    scored = not np.isnan(prediction.objects.scores).any()
    wanted = chosen(families, "objects", ["coco" if scored else "bioimage"])
    things = [one for one in among(truth.classes, class_ids) if one.id in truth.things()]
    classes = {one.id: one.name for one in things if one.name != IGNORED}
    found = objects.compare(truth.to_r(), prediction.to_r(), list(classes), wanted, options)
    return found | {"kind": "objects", "files": truth.images.files, "classes": classes}


def of_segments(
    truth: Annotations,
    prediction: Annotations,
    class_ids: Sequence[int] | None,
    families: Families,
    options: dict,
) -> dict:
    """Score panoptic segments; see `score()`."""
    chosen(families, "segments", ["panoptic"])
    classes = among(truth.classes, class_ids)
    names = {one.id: one.name for one in classes}
    places = partners([[Path(one).stem for one in x.images.files] for x in (truth, prediction)])
    new_of = new_ids(prediction.classes, classes)
    sides = [
        {"annotations": x.to_r(), "rows": rows, "old": list(new), "new": list(new.values())}
        for x, rows, new in (
            (truth, range(len(truth.images)), dict(zip(names, names, strict=True))),
            (prediction, places, new_of),
        )
    ]
    things = [one.isthing for one in classes]
    found = segments.compare(*sides, list(names), things, options, class_ids is not None)
    kept = {one: names[one] for one in found["ids"].tolist()}
    return found | {"kind": "segments", "files": truth.images.files, "classes": kept}


def chosen(families: Families, kind: str, default: list[str]) -> list[dict]:
    """Names and arguments of families.

    Raises
    ------
    DataError
        If one is of another kind.
    """
    families = dict.fromkeys(default, {}) if families is None else families
    unknown = [name for name in families if name not in FAMILIES[kind]]
    if unknown:
        raise DataError(
            f"{unknown[0]} gives no scores of files of {kind}.",
            hint=f"These have {', '.join(FAMILIES[kind])}.",
            argument="families",
        )
    return [{"name": name, "arguments": dict(given)} for name, given in families.items()]


def among(classes: Sequence[Category], class_ids: Sequence[int] | None) -> list[Category]:
    """The classes that may occur."""
    return [one for one in classes if class_ids is None or one.id in class_ids]
