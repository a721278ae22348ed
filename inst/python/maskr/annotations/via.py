"""Project and annotation files of the VGG Image Annotator 2 (https://www.robots.ox.ac.uk/~vgg/software/via).

A project holds the annotations under "_via_img_metadata"; an exported annotation file is that
object alone. VIA 1 numbers the regions in an object, VIA 2 lists them. The same regions as CSV are
in `via_csv`.

Coordinates are pixels from the image's upper left corner. VIA itself makes no masks; its polygons
are drawn by Pillow here, so that the outline's own pixels belong to the object. Circles and
ellipses (turned clockwise by `theta` radians) become polygons. Polylines and points have no area
and are left out. Neither sizes of images nor ids of classes are in the file: sizes are read from
the images, and the class is the region attribute called "class" or so, or the only one. Regions
without any attribute are of the one class given, else of the class "object".
"""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from maskr.annotations.attributes import lifted
from maskr.annotations.class_names import Names, is_background
from maskr.annotations.columns import Images, ObjectTable
from maskr.annotations.image_names import base_name, find_image, size_at
from maskr.annotations.options import ReadOptions
from maskr.annotations.polygons import usable
from maskr.annotations.report import Report
from maskr.annotations.shapes import Draft, ellipse, points_of, usable_box
from maskr.annotations.table import Annotations
from maskr.annotations.via_writing import RULE
from maskr.annotations.via_writing import write as write
from maskr.documents import beginning, read_json
from maskr.errors import FormatError

PEEK = 2**16
"""Bytes at a file's beginning that tell its format."""
LOOKED_AT = 20
"""Files of a folder that are looked at."""
CLASS_NAMES = ("class", "label", "category", "type", "name")
"""Attributes that hold the class, the surest first; the last two only where they are alone."""
OWN = {"score", "iscrowd", "group_id"}
"""Attributes that our writer adds."""
NO_CLASS = "object"


def matches(path: Path) -> bool:
    """Tell a VIA file by the keys at its beginning, and a folder that holds some."""
    return bool(files_of(path, ".json", is_via))


def files_of(path: Path, ending: str, is_own: Callable[[Path], bool]) -> list[Path]:
    """List the file itself, or those of a folder, that `is_own` takes."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    named = (file for file in files if file.suffix.lower() == ending and file.is_file())
    return [file for file in islice(named, LOOKED_AT) if is_own(file)]


def is_via(path: Path) -> bool:
    """Tell a JSON file of VIA by the keys at its beginning."""
    text = beginning(path, PEEK)
    return b'"_via_' in text or (b'"filename"' in text and b'"regions"' in text)


def the_file(path: Path, ending: str, is_own: Callable[[Path], bool]) -> Path:
    """Give the file itself, or the one of a folder.

    Raises
    ------
    FormatError
        If the folder holds none, or several.
    """
    if not path.is_dir():
        return path
    found = files_of(path, ending, is_own)
    if len(found) == 1:
        return found[0]
    names = ": " + ", ".join(one.name for one in found[:5]) if found else ""
    raise FormatError(
        f"{path} holds {len(found)} {ending} files of VIA, not one{names}.",
        hint="Name one file." if found else "",
        argument="path",
    )


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a project or an exported annotation file, or the one in a folder.

    Raises
    ------
    FormatError
        If it is none, is damaged, or does not tell which attribute holds the class.
    DataError
        If a class is not among those given.
    """
    path = the_file(path, ".json", is_via)
    content = read_json(path)
    project = content if isinstance(content, dict) and "_via_img_metadata" in content else {}
    entries = project.get("_via_img_metadata", content)
    if not isinstance(entries, dict) or not all(map(is_entry, entries.values())):
        raise FormatError(
            f"{path} is not an annotation file of VIA 2.",
            hint='That is a JSON object with "filename" and "regions" for each image.',
            argument="path",
        )
    core = as_dict(as_dict(project.get("_via_settings")).get("core"))
    prefix = str(core.get("default_filepath") or "")
    return from_entries(list(entries.values()), path, options, report, "via", prefix)


def is_entry(entry: Any) -> bool:
    """Tell what may be the entry of an image."""
    return isinstance(entry, dict) and isinstance(entry.get("filename"), str)


def as_dict(value: Any) -> dict:
    """Take a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def from_entries(
    entries: list[dict],
    path: Path,
    options: ReadOptions,
    report: Report,
    format: str,
    prefix: str = "",
) -> Annotations:
    """Make annotations of VIA's entries, one for each image.

    Parameters
    ----------
    prefix
        Folder of the images as the project knows it.
    """
    folder = Path(options.images) if options.images else path.parent
    regions = [regions_of(entry, f'"{entry["filename"]}" in {path}') for entry in entries]
    attribute = class_attribute([region for some in regions for region in some], path)
    images, table, names = Images(), ObjectTable(), Names()
    default = default_class(options.classes)
    for entry, some in zip(entries, regions, strict=True):
        file = entry["filename"]
        where = f'"{file}" in {path}'
        places = [file, prefix + file, f"{prefix}/{file}", base_name(file)]
        name = find_image(places, folder, str(path))
        image_id = images.add(name, *size_at(folder / name))
        for draft in drafts_of(some, attribute, default, names, where, report):
            draft.add_to(table, image_id, (0, 0), RULE)
    objects = table.finish()
    classes = names.settle(objects, options.classes, path)
    return Annotations(format, str(folder), images, objects, classes, {"rasteriser": RULE})


def regions_of(entry: dict, where: str) -> list[dict]:
    """List an image's regions.

    Raises
    ------
    FormatError
        If they are no JSON objects with a shape.
    """
    regions = entry.get("regions") or []
    regions = list(regions.values()) if isinstance(regions, dict) else regions
    if not isinstance(regions, list):
        raise FormatError(f"The regions of {where} are not a list.", argument="path")
    for i, region in enumerate(regions):
        if not isinstance(region, dict) or not isinstance(region.get("shape_attributes"), dict):
            raise FormatError(f"Region {i} of {where} has no shape.", argument="path")
    return regions


def attributes_of(region: dict) -> dict:
    """Take a region's attributes that have a value, checkboxes as the names that are ticked."""
    found = {}
    for key, value in as_dict(region.get("region_attributes")).items():
        if isinstance(value, dict):
            ticked = [option for option, on in value.items() if on]
            value = ticked[0] if len(ticked) == 1 else ticked
        if value not in ("", None, []):
            found[key] = value
    return found


def class_attribute(regions: list[dict], path: Path) -> str | None:
    """Find the attribute that holds the class; None if no region has one.

    Raises
    ------
    FormatError
        If it could be any of several.
    """
    counts = Counter(key for region in regions for key in attributes_of(region) if key not in OWN)
    by_name = {key.strip().lower(): key for key in reversed(counts)}
    known = [by_name[name] for name in CLASS_NAMES if name in by_name]
    if known and (len(known) == 1 or known[0].strip().lower() in CLASS_NAMES[:3]):
        return known[0]
    if len(counts) <= 1:
        return next(iter(counts), None)
    raise FormatError(
        f"The regions of {path} have several attributes, and it is not clear which holds the "
        f"class: {', '.join(sorted(counts)[:8])}.",
        hint='Rename the one that holds the class to "class" in VIA, and export again.',
        argument="path",
    )


def default_class(given: dict[str, int] | None) -> str:
    """Name the class of regions without attributes."""
    plain = [name for name in given or {} if not is_background(name)]
    return plain[0] if len(plain) == 1 else NO_CLASS


def class_of(region: dict, attribute: str | None, default: str) -> str | None:
    """Take a region's class; None where it has none, or several."""
    if attribute is None:
        return default
    value = attributes_of(region).get(attribute)
    return None if value is None or isinstance(value, list) else str(value)


def drafts_of(
    regions: list[dict],
    attribute: str | None,
    default: str,
    names: Names,
    where: str,
    report: Report,
) -> list[Draft]:
    """Put the objects of an image together; regions of one class and group are one."""
    found: dict[Any, Draft] = {}
    for i, region in enumerate(regions):
        place = f"region {i} of {where}"
        label = class_of(region, attribute, default)
        if label is None:
            report.skip("region without one class", place)
            continue
        rest = {key: value for key, value in attributes_of(region).items() if key != attribute}
        key = (label, str(rest["group_id"])) if "group_id" in rest else i
        draft = found.get(key) or Draft(lifted(rest))
        if add_shape(draft, region["shape_attributes"], place, report):
            draft.place = names.place(label)
            found[key] = draft
    return list(found.values())


def add_shape(draft: Draft, shape: dict, where: str, report: Report) -> bool:
    """Add a region's shape to its object; False, and reported, if it has no area."""
    kind = shape.get("name")
    if kind == "polygon":
        draft.parts += (new := usable([polygon_of(shape, where).ravel()], where, report))
    elif kind == "rect":
        x, y, width, height = numbers_of(shape, ("x", "y", "width", "height"), where)
        box = usable_box([x, y, x + width, y + height], where, report)
        draft.boxes += (new := [] if box is None else [box])
    elif kind == "circle":
        cx, cy, r = numbers_of(shape, ("cx", "cy", "r"), where)
        draft.parts += (new := usable([ellipse(cx, cy, r, r)], where, report))
    elif kind == "ellipse":
        cx, cy, rx, ry = numbers_of(shape, ("cx", "cy", "rx", "ry"), where)
        (angle,) = numbers_of({"theta": 0.0, **shape}, ("theta",), where)
        draft.parts += (new := usable([ellipse(cx, cy, rx, ry, angle)], where, report))
    else:
        new = []
        report.skip(f"region of type {str(kind)[:20]}", where)
    return bool(new)


def polygon_of(shape: dict, where: str) -> np.ndarray:
    """Take a polygon's points as float64 `[N, 2]`."""
    x, y = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y):
        raise FormatError(
            f"{where} lacks as many all_points_x as all_points_y.",
            argument="path",
        )
    return points_of(list(zip(x, y, strict=True)), where)


def numbers_of(shape: dict, keys: tuple[str, ...], where: str) -> list[float]:
    """Take numbers of a shape.

    Raises
    ------
    FormatError
        If one is missing, or no number.
    """
    for key in keys:
        value = shape.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise FormatError(
                f'"{key}" of {where} is {str(value)[:40]!r}, not a number.', argument="path"
            )
    return [float(shape[key]) for key in keys]
