"""YOLO: folders of images with a text file of objects for each (`yolo_folders` tells where).

A line is one object: the number of its class, counted from 0, then shares of the image's width and
height, 0..1 between its outer pixel edges (COCO's rule): x and y of three or more corners, or the
centre, width and height of a box; prediction tools append a confidence, see `yolo_lines`. Files
that mix polygons and boxes are read as they are. The four corners of oriented boxes are polygons.
Lines of poses are known by `kpt_shape` in the description alone; their boxes are kept.

Where a data set holds no class names and none are given, classes are called "class_0" and so on.
What the format can't hold is done the nearest way and reported: parts and holes are joined into one
polygon over bridges of no width, boxes become their corners, what lies outside the image is cut
off, class ids are renumbered from 0 without background; crowds, scores, attributes and pixels to be
ignored are left out.
"""

from pathlib import Path

import numpy as np

from maskr.annotations import yolo_description, yolo_folders, yolo_writing
from maskr.annotations.class_names import categories
from maskr.annotations.columns import Images, ObjectTable
from maskr.annotations.folders import common_folder
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.annotations.yolo_lines import Line, add_objects, read_lines
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
    lines: list[Line] = []
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
            lines += read_lines(label, known, number, size, layout.keypoints, report)
    if not images.ids:
        raise FormatError(f"There is no image in {path} that can be read.", argument="path")
    report_labels_alone(layout, used, report)
    add_objects(objects, lines, report)
    found = Annotations("yolo", str(folder), images, objects.finish(), [], {"rasteriser": "coco"})
    name_classes(found, layout.names, options.classes)
    return found


def images_folder(layout: yolo_folders.Layout) -> Path:
    """Find a folder that all images are in: the data set's, if possible."""
    files = [image for _, image, _ in layout.images]
    inside = all(file.is_relative_to(layout.root) for file in files)
    return layout.root if inside else Path(common_folder(files))


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
