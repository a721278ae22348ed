"""What `via` and `via_csv` write."""

from pathlib import Path
from typing import Any

import orjson

from maskr.annotations.attributes import Groups, extras
from maskr.annotations.items import Item, items_with_shape, outline
from maskr.annotations.lost_classes import report_named
from maskr.annotations.options import Progress, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError
from maskr.files import atomically

RULE = "pil"
SETTINGS = {
    "ui": {
        "annotation_editor_height": 25,
        "annotation_editor_fontsize": 0.8,
        "leftsidebar_width": 18,
        "image_grid": {
            "img_height": 80,
            "rshape_fill": "none",
            "rshape_fill_opacity": 0.3,
            "rshape_stroke": "yellow",
            "rshape_stroke_width": 2,
            "show_region_shape": True,
            "show_image_policy": "all",
        },
        "image": {
            "region_label": "class",
            "region_color": "class",
            "region_label_font": "10px Sans",
            "on_image_annotation_editor_placement": "NEAR_REGION",
        },
    },
    "core": {"buffer_size": 18, "filepath": {}, "default_filepath": ""},
}
"""What VIA wants to find in a project."""


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write a project, which VIA opens and whose annotations it can export.

    Raises
    ------
    FormatError
        If the file cannot be written.
    DataError
        If the size of an image with masks is unknown.
    """
    found = entries_of(annotations, report, progress)
    names = [one.name for one in annotations.classes]
    others = {key for one in found for r in one["regions"] for key in r["region_attributes"]}
    region = {key: {"type": "text", "description": "", "default_value": ""} for key in others}
    region["class"] = {
        "type": "dropdown",
        "description": "",
        "options": dict.fromkeys(names, ""),
        "default_options": {},
    }
    keyed = {f"{one['filename']}{one['size']}": one for one in found}
    if len(keyed) < len(found):
        raise DataError("VIA knows images by their names, and two have the same.", argument="x")
    project = {
        "_via_settings": {**SETTINGS, "project": {"name": path.stem}},
        "_via_img_metadata": keyed,
        "_via_attributes": {"region": region, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(keyed),
    }
    text = orjson.dumps(project, option=orjson.OPT_SORT_KEYS)
    atomically(str(path), lambda part: Path(part).write_bytes(text))


def entries_of(annotations: Annotations, report: Report, progress: Progress) -> list[dict]:
    """Make VIA's entry of each image."""
    names, count = annotations.names(), len(annotations.images)
    found = []
    for i, file in enumerate(annotations.images.files):
        entry = {"filename": file, "size": bytes_of(annotations.image_path(i))}
        entry |= {"regions": regions_for(annotations, i, names, report), "file_attributes": {}}
        found.append(entry)
        progress(i + 1, count)
    regions = [region for entry in found for region in entry["regions"]]
    report_named(annotations, {one["region_attributes"]["class"] for one in regions}, report)
    return found


def bytes_of(image: Path) -> int:
    """Give an image file's size, by which VIA knows it; -1, as VIA does, where it is not there."""
    return image.stat().st_size if image.is_file() else -1


def regions_for(
    annotations: Annotations, i: int, names: dict[int, str], report: Report
) -> list[dict]:
    """Make the regions of image `i`."""
    found, size = items_with_shape(annotations, i, report)
    groups = Groups(found)
    file = annotations.images.files[i]
    regions = []
    for item in found:
        shapes = shapes_of(item, size, report, file)
        rest, label = extras(item), names[item.class_id]
        group = groups.number(label, rest.pop("group_id", None), len(shapes), report, file)
        if rest.pop("class", label) != label:
            report.change('attribute "class" left out, which names the class', file)
        rest = {key: plain(value) for key, value in rest.items()} | {"class": label}
        rest |= {} if group is None else {"group_id": group}
        if len(shapes) > 1:
            report.change("object of several parts written as regions of one group_id", file)
        regions += [{"shape_attributes": one, "region_attributes": rest} for one in shapes]
    return regions


def plain(value: Any) -> Any:
    """Write a value as VIA's text fields can show it."""
    return orjson.dumps(value).decode() if isinstance(value, (dict, list, bool)) else value


def shapes_of(item: Item, size: tuple[int, int], report: Report, where: str) -> list[dict]:
    """Make the shapes of an object."""
    if item.parts is None and not item.rle:
        xmin, ymin, xmax, ymax = item.box
        return [{"name": "rect", "x": xmin, "y": ymin, "width": xmax - xmin, "height": ymax - ymin}]
    return [
        {"name": "polygon", "all_points_x": part[::2], "all_points_y": part[1::2]}
        for part in outline(item, size, RULE, report, where)
    ]
