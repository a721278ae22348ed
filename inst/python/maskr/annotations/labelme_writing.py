"""What `labelme` writes."""

import os
from pathlib import Path

import numpy as np
import orjson

from maskr.annotations.attributes import Groups, extras
from maskr.annotations.image_names import base_name
from maskr.annotations.image_writing import copy_image, stems
from maskr.annotations.items import Item, items_with_shape, outline
from maskr.annotations.lost_classes import report_named
from maskr.annotations.options import Progress, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError
from maskr.files import atomically, folder_atomically

RULE = "pil"
BACKGROUND_LABEL = "_background_"
VERSION = "5.5.0"


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write a folder of JSON files with their images, or one JSON file if `path` ends so.

    Raises
    ------
    FormatError
        If it cannot be written there.
    DataError
        If a single file is asked for several images, or the size of an image is needed and
        unknown.
    """
    if path.suffix.lower() == ".json":
        if len(annotations.images) != 1:
            raise DataError(
                f"LabelMe writes a file for each image, and there are {len(annotations.images)}.",
                hint="Name a folder.",
                argument="path",
            )
        content = content_of(annotations, 0, report)
        text = orjson.dumps(content, option=orjson.OPT_INDENT_2)
        atomically(str(path), lambda part: Path(part).write_bytes(text))
        report_named(annotations, labels_of(content), report)
        progress(1, 1)
        return
    names = stems(annotations)

    def save(folder: str) -> None:
        written: set[str] = set()
        for i, name in enumerate(names):
            content = content_of(annotations, i, report)
            written |= labels_of(content)
            if options.copy_images:
                content["imagePath"] = name + os.path.splitext(annotations.images.files[i])[1]
                copy_image(annotations, i, Path(folder) / name, report)
            target = Path(folder) / f"{name}.json"
            target.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
            progress(i + 1, len(names))
        report_named(annotations, written, report)

    folder_atomically(str(path), save)


def labels_of(content: dict) -> set[str]:
    """List the labels in the content of a file."""
    return {shape["label"] for shape in content["shapes"]}


def content_of(annotations: Annotations, i: int, report: Report) -> dict:
    """Make what LabelMe's file of image `i` holds."""
    found, size = items_with_shape(annotations, i, report)
    groups = Groups(found)
    names, where = annotations.names(), annotations.images.files[i]
    shapes = []
    for item in found:
        label = names[item.class_id]
        shapes += shapes_of(item, label, size, groups, report, where)
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": base_name(where),
        "imageData": None,
        "imageHeight": size[0] or None,
        "imageWidth": size[1] or None,
    }


def shapes_of(
    item: Item, label: str, size: tuple[int, int], groups: Groups, report: Report, where: str
) -> list[dict]:
    """Make the shapes of an object."""
    if item.parts is None and not item.rle:
        kind, parts = "rectangle", [list(item.box)]
    else:
        kind, parts = "polygon", outline(item, size, RULE, report, where)
    rest = extras(item)
    group = groups.number(label, rest.pop("group_id", None), len(parts), report, where)
    known = {
        "label": BACKGROUND_LABEL if label.lower() == "background" else label,
        "group_id": group,
        "description": str(rest.pop("description", "")),
        "shape_type": kind,
        "flags": flags_of(rest),
        "mask": None,
    }
    # LabelMe keeps the keys that it does not know
    known |= {key: rest.pop(key) for key in ("score", "iscrowd") if key in rest}
    if rest:
        known["attributes"] = rest
    return [{**known, "points": np.reshape(part, (-1, 2)).tolist()} for part in parts]


def flags_of(attributes: dict) -> dict:
    """Take LabelMe's flags out of attributes, if they are some."""
    flags = attributes.get("flags")
    return attributes.pop("flags") if isinstance(flags, dict) else {}
