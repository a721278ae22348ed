"""COCO's results (https://cocodataset.org/#format-results): a JSON list of what a model found.

Each entry has an image id, a class id, a box `[x, y, width, height]` or run lengths or both, and a
score. The file names neither images nor classes: images are found by the number that is their
file's name where their folder is given, and `classes` gives names.
"""

from pathlib import Path

import numpy as np
import orjson

from maskr.annotations.coco_objects import coco_box, coco_rle, read_objects
from maskr.annotations.coco_tables import LARGEST, mentions
from maskr.annotations.columns import Category, Images
from maskr.annotations.items import items
from maskr.annotations.json_records import Records, kind_of, no_collection
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.polygons import rasterise
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.documents import read_json
from maskr.errors import DataError, FormatError
from maskr.files import atomically


def matches(path: Path) -> bool:
    """Tell whether it is a JSON list with scores."""
    return mentions(path, (b"image_id", b"category_id", b"score"), b"[")


@no_collection()
def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a file; the sizes of images are those of their run lengths.

    Raises
    ------
    FormatError
        If it is damaged or incomplete; the error names the record.
    """
    rows = read_json(path)
    if not isinstance(rows, list):
        raise FormatError(
            f"{path} holds a JSON {kind_of(rows)}, where a list of results was expected.",
            argument="path",
        )
    records = Records.of(rows, "results", path.name)
    records.required("score")
    image_ids, class_ids = records.whole("image_id"), records.whole("category_id", least=0)
    if class_ids.max(initial=0) > LARGEST:
        raise records.error(int(class_ids.argmax()), f"has the category_id {class_ids.max()}")
    images = images_of(image_ids, options.images)
    classes = classes_of(class_ids, options.classes)
    known = np.array([one.id for one in classes], dtype=np.int64)
    ids = np.arange(1, len(rows) + 1)
    objects = read_objects(records, images, ids, known, report)
    reading = {"rasteriser": "coco", "boxed": bool(rows and rows[0].get("bbox"))}
    return Annotations("coco_results", options.images or "", images, objects, classes, reading)


def images_of(ids: np.ndarray, folder: str | None) -> Images:
    """List the images in the order of their ids, by their file's name where it is found."""
    files = sorted(Path(folder).iterdir()) if folder else []
    names = {int(file.stem): file.name for file in files if is_number(file.stem)}
    images = Images()
    for number in np.unique(ids).tolist():
        images.add(names.get(number, str(number)), id=number)
    return images


def is_number(text: str) -> bool:
    """Tell whether a file's name is a plain number, such as "000000000139"."""
    return text.isascii() and text.isdigit()


def classes_of(ids: np.ndarray, names: dict[str, int] | None) -> list[Category]:
    """Name the classes; those without a name are called by their id.

    Raises
    ------
    DataError
        If names are given, and a class has none.
    """
    found = np.unique(ids).tolist()
    if names is None:
        return [Category(number, str(number)) for number in found]
    known = {int(number): name for name, number in names.items()}
    lost = [number for number in found if number not in known]
    if lost:
        raise DataError(
            f"`classes` has no name for the class id {lost[0]} of the results.", argument="classes"
        )
    return [Category(number, name) for number, name in known.items()]


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write one JSON file, scores at full precision. Polygons become run lengths.

    Raises
    ------
    DataError
        If an object has no score.
    """
    rows: list[dict] = []
    for i in range(len(annotations.images)):
        rows += result_rows(annotations, i, report)
        progress(i + 1, len(annotations.images))
    atomically(str(path), lambda part: Path(part).write_bytes(orjson.dumps(rows)))


def result_rows(annotations: Annotations, i: int, report: Report) -> list[dict]:
    """Write the objects of one image."""
    image, file = int(annotations.images.ids[i]), annotations.images.files[i]
    rule = annotations.reading.get("rasteriser", "coco")
    rows = []
    found, size = items(annotations, i, report)
    for item in found:
        if item.score != item.score:
            raise DataError(
                f"Results need a score for every object, and one of {file} has none.",
                hint="Scores come from a model's predictions.",
                argument="x",
            )
        row = {"image_id": image, "category_id": item.class_id, "bbox": coco_box(item.box, file)}
        if item.parts and not item.rle:
            report.change("polygon written as run lengths", file)
            size = annotations.size(i)
            (item.rle,) = rasterise([item.parts], size, rule)
        if item.rle:
            row["segmentation"] = coco_rle(item, size)
        rows.append(row | {"score": item.score})
    return rows
