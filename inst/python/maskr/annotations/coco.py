"""COCO's instances (https://cocodataset.org/#format-data): a JSON file of polygons and masks.

Coordinates are positions between pixels. Boxes are `[x, y, width, height]` in pixels, 0-based and
half-open. Class ids are COCO's categories. An annotation without segmentation is a box; keypoints
and captions are not read, and a message counts such keys of annotations; "info" and "licenses" of
the file are not kept either. A mask all of whose polygons have under three points becomes its box,
and a warning counts it. Files without "annotations" list images only.

Of folders, COCO's own are taken, with `annotations/instances_*.json`; Roboflow's, with
`_annotations.coco.json` among the images of each split; and those that `labelme2coco` makes, with
`annotations.json` beside the folder of images. Several files that are splits are one data set.
"""

from pathlib import Path

import numpy as np
import orjson

from maskr.annotations.coco_objects import coco_box, coco_rle, read_objects
from maskr.annotations.coco_splits import read_splits, splits_of
from maskr.annotations.coco_tables import (
    category_rows,
    distinct,
    files_of,
    image_rows,
    mentions,
    read_categories,
    read_images,
    report_splits,
    the_file,
)
from maskr.annotations.items import Item, items
from maskr.annotations.json_records import Records, load_object, no_collection
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import FormatError
from maskr.files import atomically

PATTERNS = (
    "annotations/instances_*.json",
    "instances_*.json",
    "_annotations.coco.json",
    "*/_annotations.coco.json",
    "annotations.json",
)


def matches(path: Path) -> bool:
    """Tell whether it is such a JSON file, or a folder that has some."""
    if path.is_dir():
        return any(map(is_coco, files_of(path, PATTERNS)))
    return is_coco(path)


def is_coco(path: Path) -> bool:
    """Tell a JSON file by its keys."""
    return mentions(path, (b"images", b"categories"), b"{")


@no_collection()
def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a file, or those of a folder, which are one or splits of a data set; nothing is drawn.

    Raises
    ------
    FormatError
        If it is damaged or incomplete; the error names the record.
    """
    files = files_of(path, PATTERNS) if path.is_dir() else []
    if splits_of(files):
        return read_splits(
            path, files, options.images, lambda *one: read_file(*one, report), report
        )
    return read_file(the_file(path, PATTERNS), options.images, report)


def read_file(file: Path, place: str | None, report: Report) -> Annotations:
    """Read one file; `place` is the folder of its images, None looks for it."""
    content = load_object(file)
    images, folder = read_images(content, file, place)
    classes = read_categories(content, file, report)
    records = Records.of(content.get("annotations", []), "annotations", file.name)
    if records.rows and "segments_info" in records.rows[0]:
        raise FormatError(
            f'{file} holds panoptic segments; read it with format = "coco_panoptic".',
            argument="format",
        )
    ids = records.whole("id")
    records.check_unique("id", ids)
    known = np.array([one.id for one in classes], dtype=np.int64)
    objects = read_objects(records, images, ids, known, report)
    classes = distinct(classes, set(objects.class_ids.tolist()), file, report)
    return Annotations("coco", folder, images, objects, classes, {"rasteriser": "coco"})


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write one JSON file. Polygons stay polygons, masks become run lengths, boxes stay boxes."""
    report_splits(annotations, report)
    rows: list[dict] = []
    for i in range(len(annotations.images)):
        rows += annotation_rows(annotations, i, len(rows) + 1, report)
        progress(i + 1, len(annotations.images))
    has_stuff = not all(one.isthing for one in annotations.classes)
    content = {
        "images": image_rows(annotations),
        "annotations": rows,
        "categories": category_rows(annotations, with_kind=has_stuff),
    }
    atomically(str(path), lambda part: Path(part).write_bytes(orjson.dumps(content)))


def annotation_rows(annotations: Annotations, i: int, first: int, report: Report) -> list[dict]:
    """Write the objects of one image; those of label images are numbered from `first`."""
    file = annotations.images.files[i]
    own, size = items(annotations, i, report)
    if annotations.images.mask_files[i]:
        for number, item in enumerate(own, start=first):
            item.id = number
    image = {"image_id": int(annotations.images.ids[i])}
    return [{"id": item.id} | image | object_row(item, size, file) for item in own]


def object_row(item: Item, size: tuple[int, int], file: str) -> dict:
    """Write one object; the image's size is needed for run lengths."""
    row = {
        "category_id": item.class_id,
        "segmentation": item.parts or (coco_rle(item, size) if item.rle else []),
        "area": item.area,
        "bbox": coco_box(item.box, file),
        "iscrowd": int(item.iscrowd),
    }
    if item.attributes:
        row["attributes"] = orjson.loads(item.attributes)
    if item.score == item.score:
        row["score"] = item.score
    return row
