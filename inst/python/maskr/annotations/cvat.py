"""CVAT for images 1.1: one XML file (https://docs.cvat.ai/docs/manual/advanced/xml_format/).

Coordinates are positions in pixels from the image's upper left corner, between pixels at whole
numbers, and polygons are drawn by COCO's rule. A mask's run lengths count the pixels of its window
row by row, beginning with those outside. Boxes and ellipses are turned clockwise by degrees about
their centre; turned boxes and all ellipses become polygons. Polylines, points, cuboids, skeletons
and tags have no area and are left out.

Polygons and ellipses of one label and group are one object, as in CVAT's own export to COCO.
Objects are in the order in which they are drawn (`z_order`). Attributes stay texts.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maskr.annotations.attributes import lifted
from maskr.annotations.class_names import Names
from maskr.annotations.columns import Images, ObjectTable
from maskr.annotations.cvat_writing import write as write
from maskr.annotations.cvat_writing import z_order
from maskr.annotations.image_names import find_image, side, size_at
from maskr.annotations.options import ReadOptions
from maskr.annotations.polygons import usable
from maskr.annotations.report import Report
from maskr.annotations.shapes import (
    LARGEST_MASK,
    Draft,
    ellipse,
    placed,
    turned_rectangle,
    usable_box,
)
from maskr.annotations.table import Annotations
from maskr.documents import beginning, xml_damage
from maskr.errors import FormatError

RULE = "coco"
PEEK = 2**12
"""Bytes at a file's beginning that tell its format."""
LEFT_OUT = ("polyline", "points", "cuboid", "skeleton", "tag")


def matches(path: Path) -> bool:
    """Tell a CVAT file, or the folder of an export, by the file's first element."""
    return any(is_cvat(file) for file in xml_files(path))


def xml_files(path: Path) -> list[Path]:
    """List the XML files of an export, which is a folder or the file itself."""
    if path.is_dir():
        return sorted(path.glob("*.xml"))
    return [path] if path.suffix.lower() == ".xml" else []


def is_cvat(path: Path) -> bool:
    """Tell a CVAT file by its first element."""
    return re.search(rb"<annotations[\s>]", beginning(path, PEEK)) is not None


@dataclass
class Reading:
    """What is collected while a file is read; `folder` is where the images are."""

    path: Path
    report: Report
    given: str | None
    folder: Path | None = None
    images: Images = field(default_factory=Images)
    table: ObjectTable = field(default_factory=ObjectTable)
    names: Names = field(default_factory=Names)

    def folder_of(self, names: list[str]) -> Path:
        """Find the folder of the images by the possible names of the first of them."""
        if self.folder is None:
            beside = self.path.parent
            places = [Path(self.given)] if self.given else [beside / "images", beside]
            there = (one for one in places if any(is_file(one / name) for name in names))
            self.folder = next(there, places[-1])
        return self.folder


def is_file(path: Path) -> bool:
    """Tell whether a file is there; no for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a file, or the one file in the folder of an export.

    Raises
    ------
    FormatError
        If it is damaged, or CVAT's format for videos.
    DataError
        If a label is not among the classes given.
    """
    files = [one for one in xml_files(path) if is_cvat(one)] if path.is_dir() else [path]
    if len(files) != 1:
        raise FormatError(
            f"{path} holds {len(files)} XML files of CVAT, not one.",
            hint="Name the file itself.",
            argument="path",
        )
    found = Reading(files[0], report, options.images)
    with xml_damage(files[0], "CVAT"):
        for element in elements(files[0]):
            if element.tag == "meta":
                read_labels(element, found.names)
            else:
                read_image(element, found)
    objects = found.table.finish()
    classes = found.names.settle(objects, options.classes, files[0])
    folder = found.folder or Path(options.images or files[0].parent)
    return Annotations("cvat", str(folder), found.images, objects, classes, {"rasteriser": RULE})


def elements(path: Path) -> Iterator[ET.Element]:
    """Yield the elements "meta" and "image" of a file one by one, and forget them after.

    Raises
    ------
    FormatError
        If it is another format.
    """
    from defusedxml.ElementTree import iterparse

    parents: list[ET.Element] = []
    with path.open("rb") as file:
        for event, element in iterparse(file, events=("start", "end")):
            if event == "start":
                parents.append(element)
                check_start(element.tag, len(parents), path)
                continue
            parents.pop()
            if len(parents) == 1:
                if element.tag in ("meta", "image"):
                    yield element
                parents[0].clear()


def check_start(tag: str, depth: int, path: Path) -> None:
    """Refuse files of other formats as soon as they show."""
    if depth == 1 and tag != "annotations":
        raise FormatError(
            f"{path} is not a file of CVAT: its element is <{tag[:30]}>, not <annotations>.",
            argument="path",
        )
    if depth == 2 and tag == "track":
        raise FormatError(
            f'{path} is in the format "CVAT for video 1.1", which holds tracks.',
            hint='Export the task from CVAT as "CVAT for images 1.1".',
            argument="path",
        )


def read_labels(meta: ET.Element, names: Names) -> None:
    """Take the task's labels, without the points of skeletons."""
    for label in meta.iter("label"):
        name = label.findtext("name")
        kind = label.findtext("type") or "any"
        if name and kind not in LEFT_OUT:
            names.place(name)
            colour = label.findtext("color") or ""
            if re.fullmatch("#[0-9A-Fa-f]{6}", colour):
                names.colours[name] = colour.upper()


def read_image(element: ET.Element, found: Reading) -> None:
    """Take an image and its objects."""
    name = element.get("name")
    if not name:
        raise FormatError(f"An image of {found.path} has no name.", argument="path")
    where = f'"{name}" in {found.path}'
    subset = element.get("subset", "")
    names = [name, f"{subset}/{name}"]
    folder = found.folder_of(names)
    file = find_image(names, folder, str(found.path))
    size = side(element.get("height"), where), side(element.get("width"), where)
    if min(size) == 0:
        size = size_at(folder / file)
    image_id = found.images.add(file, *size, split=subset)
    drafts: dict[Any, Draft] = {}
    for i, shape in enumerate(element):
        place = f"shape {i + 1} of {where}"
        label = shape.get("label")
        if shape.tag in LEFT_OUT:
            found.report.skip(f"shape of type {shape.tag}", place)
        elif not label:
            found.report.skip("shape without a label", place)
        else:
            add_shape(drafts, shape, i, place, size, found)
    for draft in sorted(drafts.values(), key=lambda one: z_order(one.extras["attributes"])):
        draft.add_to(found.table, image_id, size, RULE)


def add_shape(
    drafts: dict[Any, Draft],
    shape: ET.Element,
    i: int,
    where: str,
    size: tuple[int, int],
    found: Reading,
) -> None:
    """Add shape `i` to the objects of its image."""
    attributes = attributes_of(shape, where)
    group = attributes.get("group_id")
    key: Any = i
    if group and shape.tag in ("polygon", "ellipse"):
        key = (shape.get("label"), group)
    draft = drafts.get(key) or Draft(lifted(attributes))
    rotation = np.deg2rad(number(shape, "rotation", where, "0") % 360)
    if shape.tag == "polygon":
        draft.parts += (new := usable([points_of(shape, where)], where, found.report))
    elif shape.tag == "ellipse":
        cx, cy, rx, ry = (number(shape, key, where) for key in ("cx", "cy", "rx", "ry"))
        outline = ellipse(cx, cy, rx, ry, rotation)
        draft.parts += (new := usable([outline], where, found.report))
    elif shape.tag == "box":
        corners = [number(shape, key, where) for key in ("xtl", "ytl", "xbr", "ybr")]
        new = [box for box in [usable_box(corners, where, found.report)] if box]
        if new and rotation:
            outline = turned_rectangle(new[0], rotation)
            draft.parts += (new := usable([outline], where, found.report))
        else:
            draft.boxes += new
    elif shape.tag == "mask":
        draft.rles += (new := [one for one in [mask_of(shape, where, size, found.report)] if one])
    else:
        new = []
        found.report.skip(f"shape of type {shape.tag[:20]}", where)
    if new:
        draft.place = found.names.place(shape.get("label", ""))
        drafts[key] = draft


def attributes_of(shape: ET.Element, where: str) -> dict:
    """Collect a shape's attributes, and what CVAT says of it where that is not the usual."""
    found: dict[str, Any] = {
        one.get("name", ""): one.text or "" for one in shape.findall("attribute")
    }
    if shape.get("occluded", "0") == "1":
        found["occluded"] = True
    for key in ("z_order", "group_id"):
        value = number(shape, key, where, "0")
        if value and abs(value) < 2**53:
            found[key] = int(value)
    if shape.get("source", "manual") != "manual":
        found["source"] = shape.get("source")
    return found


def number(shape: ET.Element, key: str, where: str, default: str | None = None) -> float:
    """Take a number of a shape.

    Raises
    ------
    FormatError
        If it is missing, or no number.
    """
    text = shape.get(key, default)
    try:
        return float(text)
    except (TypeError, ValueError):
        problem = "is missing" if text is None else f'is "{text[:40]}", not a number'
        raise FormatError(f'"{key}" of {where} {problem}.', argument="path") from None


def points_of(shape: ET.Element, where: str) -> list[float]:
    """Parse "x,y;x,y".

    Raises
    ------
    FormatError
        If it is something else.
    """
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";") if pair.strip()]
    try:
        return [float(value) for x, y in pairs for value in (x, y)]
    except ValueError:
        raise FormatError(
            f"The points of {where} are not pairs x,y;x,y.", argument="path"
        ) from None


def mask_of(shape: ET.Element, where: str, size: tuple[int, int], report: Report) -> str:
    """Encode a mask, whose run lengths go row by row through its window.

    Raises
    ------
    FormatError
        If the run lengths are none, or do not fit the window.
    """
    left, top, width, height = (
        int(number(shape, key, where)) if np.isfinite(number(shape, key, where)) else -1
        for key in ("left", "top", "width", "height")
    )
    if min(size) == 0:
        report.skip("mask in an image of unknown size", where)
        return ""
    if not 0 < width * height <= LARGEST_MASK or width < 0 or size[0] * size[1] >= 2**31:
        raise FormatError(f"The window of {where} is {width} x {height} pixels.", argument="path")
    try:
        counts = np.array([int(one) for one in shape.get("rle", "").split(",")], dtype=np.int64)
    except (ValueError, OverflowError):
        raise FormatError(f'The "rle" of {where} are not run lengths.', argument="path") from None
    if counts.min() < 0 or counts.max() > LARGEST_MASK or counts.sum() > width * height:
        raise FormatError(
            f'The "rle" of {where} does not fit its window of {width} x {height} pixels.',
            argument="path",
        )
    mask = np.zeros(width * height, dtype=bool)
    mask[: counts.sum()] = np.repeat(np.arange(counts.size) % 2 == 1, counts)
    rle = placed(mask.reshape(height, width), left, top, size)
    if not rle:
        report.skip("mask without a pixel in its image", where)
    return rle
