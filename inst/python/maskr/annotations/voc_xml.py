"""Pascal VOC's XML files: one for each image, with a box for each object.

Boxes count pixels from 1 and include their last pixels, so that xmin = 1, xmax = 3 are the first
three columns: here 0 and 3, 0-based and half-open. Numbers may have fractions. `difficult`,
`truncated`, `occluded`, `pose`, actions and whatever else is told of an object are its attributes;
its parts (`<part>`) are left out.
"""

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maskr.annotations.attributes import extras, text_of
from maskr.annotations.image_names import base_name
from maskr.annotations.items import Item
from maskr.annotations.polygons import FAR
from maskr.annotations.report import Report
from maskr.documents import xml_damage, xml_text
from maskr.errors import FormatError

SIDES = ("xmin", "ymin", "xmax", "ymax")
FLAGS = ("pose", "truncated", "occluded", "difficult")
"""Attributes that have elements of their own, in VOC's order."""

LARGEST = 1_000_000
"""Height or width in pixels beyond which an image's size is taken for unknown."""


@dataclass
class Box:
    """An object of an XML file; `box` is xmin, ymin, xmax, ymax, 0-based and half-open."""

    name: str
    box: tuple[float, float, float, float]
    attributes: dict


@dataclass
class Content:
    """What an XML file tells; height and width are 0 where it does not tell them."""

    file: str
    size: tuple[int, int]
    objects: list[Box] = field(default_factory=list)


def read(path: Path, report: Report) -> Content:
    """Read an XML file; boxes without extent are reported.

    Raises
    ------
    FormatError
        If it is damaged, declares entities, or an object lacks its name or box.
    """
    root = parse(path)
    size = root.find("size")
    sides = [side(size, name) for name in ("height", "width")] if size is not None else [0, 0]
    file = text(root, "filename") or base_name(text(root, "path"))
    content = Content(file, (sides[0], sides[1]) if all(sides) else (0, 0))
    for number, one in enumerate(root.iterfind("object"), start=1):
        where = f"object {number} of {path}"
        box = box_of(one, where)
        if not text(one, "name"):
            raise FormatError(f"The {where} has no name.", argument="path")
        if not all(map(math.isfinite, box)) or max(map(abs, box)) > FAR:
            report.skip("box far outside of its image, or not finite", where)
        elif box[0] >= box[2] or box[1] >= box[3]:
            report.skip("box without extent", where)
        else:
            content.objects.append(Box(text(one, "name"), box, attributes_of(one)))
    return content


def parse(path: Path) -> ET.Element:
    """Parse an XML file, and check that it is VOC's."""
    from defusedxml import ElementTree as Safe

    with xml_damage(path, "Pascal VOC"):
        root = Safe.parse(path).getroot()
    if root.tag == "annotation":
        return root
    raise FormatError(
        f"{path} is not a file of Pascal VOC: its element is <{root.tag[:30]}>, not <annotation>.",
        argument="path",
    )


def text(element: ET.Element, tag: str) -> str:
    """Give the text of an inner element, "" if there is none."""
    return (element.findtext(tag) or "").strip()


def side(size: ET.Element, tag: str) -> int:
    """Read a height or width, 0 if it is none."""
    try:
        number = float(text(size, tag))
    except ValueError:
        return 0
    return int(number) if 0 < number <= LARGEST else 0


def box_of(element: ET.Element, where: str) -> tuple[float, float, float, float]:
    """Read a box, 0-based and half-open.

    Raises
    ------
    FormatError
        If a side is missing or no number.
    """
    inner = element.find("bndbox")
    inner = ET.Element("bndbox") if inner is None else inner
    try:
        xmin, ymin, xmax, ymax = (float(text(inner, name)) for name in SIDES)
    except ValueError as error:
        raise FormatError(
            f"The {where} has no box of four numbers: <bndbox> with {', '.join(SIDES)}.",
            argument="path",
        ) from error
    return xmin - 1, ymin - 1, xmax, ymax


def attributes_of(element: ET.Element) -> dict:
    """Collect what else is told of an object; numbers of flags as such, the rest as text."""
    found: dict = {}
    for inner in element:
        if inner.tag in ("name", "bndbox", "part"):
            continue
        if inner.tag == "attributes":
            for one in inner.iterfind("attribute"):
                found[text(one, "name")] = text(one, "value")
        elif len(inner):
            found[inner.tag] = {one.tag: (one.text or "").strip() for one in inner}
        else:
            found[inner.tag] = (inner.text or "").strip()
    return {key: int(v) if v in ("0", "1") and key in FLAGS else v for key, v in found.items()}


def build(
    file: str,
    size: tuple[int, int],
    objects: list[tuple[Item, str]],
    segmented: bool,
    report: Report,
    where: str,
) -> bytes:
    """Make an XML file of objects and the names of their classes.

    Parameters
    ----------
    file
        Name of the image.
    size
        (H, W); (0, 0) leaves it out.
    where
        What to call the image in the report.
    """
    root = ET.Element("annotation")
    ET.SubElement(root, "filename").text = xml_text(file)
    if min(size) > 0:
        inner = ET.SubElement(root, "size")
        for tag, value in (("width", size[1]), ("height", size[0]), ("depth", 3)):
            ET.SubElement(inner, tag).text = str(value)
    ET.SubElement(root, "segmented").text = str(int(segmented))
    for item, name in objects:
        box = box_inside(item, size, report, where)
        if box is not None:
            add_object(root, item, name, box)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def box_inside(item: Item, size: tuple[int, int], report: Report, where: str) -> np.ndarray | None:
    """Cut a box off at the edges of its image, as far as those are known."""
    box = np.array(item.box, dtype=float)
    inside = box.clip(0, (size[1], size[0]) * 2) if min(size) > 0 else box
    if not (inside[:2] < inside[2:]).all():
        report.change("object without pixels in its image has no box", where)
        return None
    if (inside != box).any():
        report.change("box cut off at the edge of its image", where)
    return inside


def add_object(root: ET.Element, item: Item, name: str, box: np.ndarray) -> None:
    """Add an object's element."""
    element = ET.SubElement(root, "object")
    ET.SubElement(element, "name").text = xml_text(name)
    known = extras(item)
    for tag in FLAGS:
        if tag in known:
            ET.SubElement(element, tag).text = xml_text(text_of(known.pop(tag)))
    inner = ET.SubElement(element, "bndbox")
    for tag, value in zip(SIDES, (box + (1, 1, 0, 0)).tolist(), strict=True):
        ET.SubElement(inner, tag).text = f"{value:.10g}"
    if known:
        others = ET.SubElement(element, "attributes")
        for key, value in known.items():
            one = ET.SubElement(others, "attribute")
            ET.SubElement(one, "name").text = xml_text(key)
            ET.SubElement(one, "value").text = xml_text(text_of(value))
