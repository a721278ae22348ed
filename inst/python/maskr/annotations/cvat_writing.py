"""The XML that `cvat` writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO
from xml.sax.saxutils import XMLGenerator

import numpy as np

from maskr.annotations.attributes import Groups, extras, parsed, text_of
from maskr.annotations.items import Item, items_with_shape, window
from maskr.annotations.lost_classes import report_named
from maskr.annotations.options import Progress, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.documents import xml_text
from maskr.files import atomically

OWN = ("occluded", "z_order", "group_id", "source")
"""Attributes of ours that CVAT has a place for."""


class Writing:
    """Writes elements one by one, an indented line each."""

    def __init__(self, file: TextIO) -> None:
        self.xml = XMLGenerator(file, encoding="utf-8", short_empty_elements=True)
        self.depth = 0

    def start(self, tag: str, **attributes: Any) -> None:
        """Open an element."""
        self.xml.ignorableWhitespace("\n" + "  " * self.depth)
        self.xml.startElement(tag, {key: xml_text(str(v)) for key, v in attributes.items()})
        self.depth += 1

    def end(self, tag: str) -> None:
        """Close an element that holds others."""
        self.depth -= 1
        self.xml.ignorableWhitespace("\n" + "  " * self.depth)
        self.xml.endElement(tag)

    def leaf(self, tag: str, text: str = "", **attributes: Any) -> None:
        """Write an element that holds a text."""
        self.start(tag, **attributes)
        self.depth -= 1
        self.xml.characters(xml_text(text))
        self.xml.endElement(tag)

    def document(self, annotations: Annotations, report: Report, progress: Progress) -> None:
        """Write everything."""
        self.xml.startDocument()
        self.start("annotations")
        self.leaf("version", "1.1")
        self.labels(annotations)
        names, count = annotations.names(), len(annotations.images)
        for i, file in enumerate(annotations.images.files):
            height, width = annotations.size(i)
            split = annotations.images.splits[i]
            subset = {"subset": split} if split else {}
            self.start("image", id=i, name=file, **subset, width=width, height=height)
            found, _ = items_with_shape(annotations, i, report)
            groups = Groups(found)
            for item in found:
                self.item(item, names[item.class_id], (height, width), groups, report, file)
            self.end("image")
            progress(i + 1, count)
        self.end("annotations")
        self.xml.ignorableWhitespace("\n")
        self.xml.endDocument()

    def labels(self, annotations: Annotations) -> None:
        """Write the task's labels with the attributes that their objects have."""
        attributes = attribute_names(annotations)
        for tag in ("meta", "task", "labels"):
            self.start(tag)
        for one in annotations.classes:
            self.start("label")
            self.leaf("name", one.name)
            if one.colour:
                self.leaf("color", one.colour)
            self.leaf("type", "any")
            self.start("attributes")
            for name in sorted(attributes.get(one.id, ())):
                self.start("attribute")
                for tag, text in (("name", name), ("mutable", "False"), ("input_type", "text")):
                    self.leaf(tag, text)
                self.leaf("default_value")
                self.leaf("values")
                self.end("attribute")
            self.end("attributes")
            self.end("label")
        for tag in ("labels", "task", "meta"):
            self.end(tag)

    def item(
        self,
        item: Item,
        label: str,
        size: tuple[int, int],
        groups: Groups,
        report: Report,
        where: str,
    ) -> None:
        """Write an object."""
        rest = extras(item)
        group = rest.pop("group_id", None)
        if item.parts is not None:
            group = groups.number(label, group or None, len(item.parts), report, where)
        known = {
            "label": label,
            "source": rest.pop("source", "manual"),
            "occluded": int(rest.pop("occluded", False) is True),
        }
        order = {"z_order": z_order(rest)} | ({"group_id": group} if group else {})
        rest.pop("z_order", None)
        for tag, shape in shapes_of(item, size):
            self.start(tag, **known, **shape, **order)
            for name, value in rest.items():
                self.leaf("attribute", text_of(value), name=name)
            self.end(tag)


def shapes_of(item: Item, size: tuple[int, int]) -> Iterator[tuple[str, dict]]:
    """Yield the tags of an object's shapes, and the attributes that hold their form."""
    if item.parts is not None:
        for part in item.parts:
            pairs = zip(part[::2], part[1::2], strict=True)
            yield "polygon", {"points": ";".join(f"{x!r},{y!r}" for x, y in pairs)}
    elif item.rle:
        yield "mask", runs(item.rle, size)
    else:
        yield "box", dict(zip(("xtl", "ytl", "xbr", "ybr"), item.box, strict=True))


def runs(rle: str, size: tuple[int, int]) -> dict:
    """Give a mask's window and its run lengths, row by row."""
    mask, left, top = window(rle, size)
    flat = mask.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    if flat.size and flat[0]:
        counts = [0, *counts]
    return {
        "rle": ", ".join(map(str, counts)),
        "left": left,
        "top": top,
        "width": mask.shape[1],
        "height": mask.shape[0],
    }


def attribute_names(annotations: Annotations) -> dict[int, set[str]]:
    """Collect the names of the attributes that objects of each class have."""
    found: dict[int, set[str]] = {}
    take = annotations.objects
    for row in range(len(take)):
        names = found.setdefault(int(take.class_ids[row]), set())
        if take.attributes[row]:
            names |= set(parsed(take.attributes[row])) - set(OWN)
        if take.scores[row] == take.scores[row]:
            names.add("score")
        if take.iscrowd[row]:
            names.add("iscrowd")
    return found


def z_order(attributes: dict) -> int:
    """Take the order in which an object is drawn."""
    value = attributes.get("z_order", 0)
    return value if isinstance(value, int) else 0


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write an XML file: polygons as polygons, boxes as boxes, and masks as masks.

    Raises
    ------
    FormatError
        If the file cannot be written.
    DataError
        If the size of an image is unknown, or a name holds characters that XML cannot hold.
    """

    def save(part: str) -> None:
        with open(part, "w", encoding="utf-8", newline="\n") as file:
            Writing(file).document(annotations, report, progress)

    atomically(str(path), save)
    report_named(annotations, annotations.names().values(), report)
