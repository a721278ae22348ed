"""YOLO: folders of images with a text file of objects for each (`yolo_folders` tells where).

A line is one object: the number of its class, counted from 0, then shares of the image's width and
height, 0..1 between its outer pixel edges (COCO's rule): x and y of three or more corners, or the
centre, width and height of a box; a fifth number after a box is a detector's confidence. Files that
mix polygons and boxes are read as they are. The four corners of oriented boxes are polygons. Lines
of poses are known by `kpt_shape` in the description alone; their boxes are kept.

Where a data set holds no class names and none are given, classes are called "class_0" and so on.
What the format can't hold is done the nearest way and reported: parts and holes are joined into one
polygon over bridges of no width, boxes become their corners, what lies outside the image is cut
off, class ids are renumbered from 0 without background; crowds, scores, attributes and pixels to be
ignored are left out.
"""

from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np

from maskr.annotations import yolo_description, yolo_folders, yolo_writing
from maskr.annotations.class_names import categories
from maskr.annotations.columns import Images, ObjectTable
from maskr.annotations.folders import common_folder
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.polygons import usable
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.documents import read_text
from maskr.errors import DataError, FormatError
from maskr.images import size_of


def matches(path: Path) -> bool:
    """Tell a description, or a folder of images with text files for labels."""
    if path.is_file():
        described = path.name == "obj.data" or path.suffix in (".yaml", ".yml")
        return described and yolo_description.is_description(path)
    if yolo_description.description_in(path) is not None:
        return True
    places = [path / "labels", *(folder / "labels" for folder in path.iterdir())]
    return any(next(place.rglob("*.txt"), None) for place in places if place.is_dir())


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a `data.yaml`, an `obj.data`, or a folder.

    Raises
    ------
    FormatError
        If a description is damaged, there is no image, or a line holds what is no number or the
        number of a class that there is not.
    DataError
        If `options.classes` lacks a class.
    """
    layout = yolo_folders.find(path, options.images)
    if layout.absent and not layout.images:
        raise FormatError(
            f"There is no image in {path}: not found is {layout.absent[0]}.",
            hint="Paths start at `path` in the file, and without it, or if it is not there, at the "
            "folder of the file.",
            argument="path",
        )
    if layout.names is None and not any(label.is_file() for _, _, label in layout.images):
        raise FormatError(
            f"There is no label file of an image in {path}.",
            hint="They are in a folder `labels` beside `images`, or beside the images.",
            argument="path",
        )
    for name in layout.absent:
        report.skip("image or split that is not there", name)
    folder = images_folder(layout)
    known = layout.names
    if known is None and options.classes:
        known = {number: name for name, number in options.classes.items()}
    images, objects = Images(), ObjectTable()
    used: set[Path] = set()
    for split, image, label in layout.images:
        if label in used:
            report.skip("image that an earlier split has too", str(image))
            continue
        used.add(label)
        try:
            size = size_of(str(image))
        except FormatError:
            report.skip("image that cannot be read", str(image))
            continue
        number = images.add(image.relative_to(folder).as_posix(), *size, split=split)
        if label.is_file():
            add_objects(objects, number, label, known, size, layout.keypoints, report)
    if not images.ids:
        raise FormatError(f"There is no image in {path} that can be read.", argument="path")
    report_labels_alone(layout, used, report)
    found = Annotations("yolo", str(folder), images, objects.finish(), [], {"rasteriser": "coco"})
    name_classes(found, layout.names, options.classes)
    return found


def images_folder(layout: yolo_folders.Layout) -> Path:
    """Find a folder that all images are in: the data set's, if possible."""
    files = [image for _, image, _ in layout.images]
    inside = all(file.is_relative_to(layout.root) for file in files)
    return layout.root if inside else Path(common_folder(files))


def add_objects(
    objects: ObjectTable,
    image_id: int,
    label: Path,
    known: Container[int] | None,
    size: tuple[int, int],
    keypoints: int,
    report: Report,
) -> None:
    """Add the objects of a label file."""
    for where, class_id, values in label_values(label, known):
        if keypoints and len(values) == 4 + keypoints:
            report.skip("keypoints of an object, whose box is kept", where)
            values = values[:4]
        if not np.isfinite(values).all():
            report.skip("line with numbers that are not finite", where)
        elif np.abs(values - 0.5).max(initial=0) > 1.5:
            report.skip("line with coordinates far outside 0..1 (pixels?)", where)
        elif len(values) in (4, 5):
            add_box(objects, image_id, class_id, values, size, where, report)
        elif len(values) < 4 or len(values) % 2:
            report.skip(f"line of a class and {len(values)} numbers", where)
        else:
            points = values.reshape(-1, 2) * (size[1], size[0])
            parts = usable([points.ravel()], where, report)
            if parts:
                objects.add(image_id, class_id, polygon=parts)


def add_box(
    objects: ObjectTable,
    image_id: int,
    class_id: int,
    values: np.ndarray,
    size: tuple[int, int],
    where: str,
    report: Report,
) -> None:
    """Add an object of centre, width and height, and perhaps confidence."""
    height, width = size
    x, y, w, h = (values[:4] * (width, height, width, height)).tolist()
    if w <= 0 or h <= 0:
        report.skip("box without extent", where)
        return
    score = float(values[4]) if len(values) == 5 else float("nan")
    box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    objects.add(image_id, class_id, box=box, score=score)


def label_values(
    label: Path, known: Container[int] | None
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield the lines of a label file: where it is, its class, and its other numbers.

    Raises
    ------
    FormatError
        If a line holds what is no number, or its class is not among those `known`.
    """
    for number, line in enumerate(read_text(label).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        where = f"Line {number} of {label}"
        try:
            values = np.array(words, dtype=float)
        except ValueError as error:
            raise FormatError(f'{where} holds what is no number: "{line[:60]}".') from error
        class_id = values[0]
        if not 0 <= class_id < 2**31 or class_id % 1:
            raise FormatError(f"{where} has class {words[0]}: classes are counted from 0.")
        if known is not None and int(class_id) not in known:
            raise FormatError(
                f"{where} has class {words[0]}, which has no name in this data set.",
                hint="Classes are counted from 0, in the order of `names`.",
            )
        yield where, int(class_id), values[1:]


def report_labels_alone(layout: yolo_folders.Layout, used: set[Path], report: Report) -> None:
    """Report label files that no image belongs to."""
    for folder in sorted(layout.label_folders):
        for label in sorted(folder.rglob("*.txt")):
            if label not in used and label.name not in yolo_folders.NO_LABELS:
                report.skip("label file without an image", str(label))


def name_classes(
    annotations: Annotations, names: dict[int, str] | None, classes: dict[str, int] | None
) -> None:
    """Set the classes: by the data set's names, with the ids of `classes` if those are given."""
    ids = annotations.objects.class_ids
    if names is not None and classes:
        lacking = [names[i] for i in np.unique(ids).tolist() if names[i] not in classes]
        if lacking:
            raise DataError(
                f"`classes` lacks {', '.join(lacking[:5])}, which objects here have.",
                argument="classes",
            )
        new = {i: classes.get(name, -1) for i, name in names.items()}
        annotations.objects.class_ids = np.array([new[i] for i in ids.tolist()], dtype=ids.dtype)
    if classes:
        names = {number: name for name, number in classes.items()}
    elif names is None:
        names = {i: f"class_{i}" for i in np.unique(ids).tolist()}
    annotations.classes = categories((name, number) for number, name in names.items())


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write a folder: `data.yaml`, `images/<split>` and `labels/<split>`.

    Images of no split are written as "train". ultralytics wants a split "val" too.

    Raises
    ------
    DataError
        If an object's class is unknown, or two images would share a label file.
    """
    yolo_writing.write(annotations, path, options, report, progress, yolo_writing.polygon)
