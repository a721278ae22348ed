"""Pascal VOC's folders: where images, masks, boxes and lists are, and what the classes are called.

Taken are `VOC2012`, a `VOCdevkit` that holds one such folder, and for boxes also a folder of XML
files with the images among them or in `JPEGImages` beside it, or one of these files.
"""

import os
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from maskr.annotations.class_tables import ClassTable, find_table, numbered
from maskr.annotations.colours import default_colour
from maskr.annotations.folders import image_files
from maskr.annotations.image_names import relative
from maskr.documents import beginning, read_text
from maskr.errors import FormatError
from maskr.images import SUFFIXES

NAMES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""The classes of Pascal VOC (Everingham et al. 2010) by their ids."""

MASKS, OBJECTS, BOXES, PICTURES = (
    "SegmentationClass",
    "SegmentationObject",
    "Annotations",
    "JPEGImages",
)
INDEX = {default_colour(i): i for i in range(256)}
"""Numbers by VOC's colours."""

TOP = 254
"""The largest class id of an index PNG, whose 255 is void."""

ORDER = {"train": 0, "val": 1, "test": 2, "trainval": 4}
"""Lists in the order in which an image's split is looked for; others come between."""

LOOKED_AT = 3
"""XML files that are looked at to tell a folder's format."""

HEAD = 20_000
"""Bytes of them that are looked at."""


@dataclass
class Layout:
    """A data set's files by name, without ending.

    Attributes
    ----------
    folder
        Where images are named from: the data set's folder, or that of images elsewhere.
    pictures
        The folder of the images, whose names are given within it.
    masks
        PNGs of classes; empty where there are boxes alone.
    splits
        Those of the lists, by name.
    """

    folder: Path
    pictures: Path
    images: dict[str, Path]
    masks: dict[str, Path]
    boxes: dict[str, Path]
    splits: dict[str, str] = field(default_factory=dict)

    def name_of(self, file: Path) -> str:
        """Name an image from `folder`."""
        return file.relative_to(self.folder).as_posix()


def roots(path: Path) -> list[Path]:
    """Find the data set in a folder, or those in a VOCdevkit."""
    for place in (path, path / "VOCdevkit"):
        if is_root(place):
            return [place]
        inner = [one for one in sorted(place.glob("VOC*")) if is_root(one)]
        if inner:
            return inner
    return []


def is_root(path: Path) -> bool:
    """Tell a data set's folder by its masks or boxes."""
    return (path / MASKS).is_dir() or any((path / BOXES).glob("*.xml"))


def holds_boxes(path: Path) -> bool:
    """Tell whether a folder holds XML files of boxes."""
    return any(map(is_box_file, islice(path.glob("*.xml"), LOOKED_AT)))


def is_box_file(path: Path) -> bool:
    """Tell an XML file of boxes by its elements."""
    head = beginning(path, HEAD)
    return b"<annotation>" in head and (b"<bndbox>" in head or b"<segmented>" in head)


def of_one_file(path: Path, images: str | None) -> Layout:
    """Find the image of one XML file: beside it, or in `JPEGImages` beside its folder."""
    beside = path.parent.parent / PICTURES
    pictures = beside if beside.is_dir() else path.parent
    pictures = Path(os.path.abspath(images)) if images else pictures
    found = (pictures / f"{path.stem}{suffix}" for suffix in SUFFIXES)
    image = next((file for file in found if file.is_file()), None)
    return Layout(
        pictures, pictures, {path.stem: image} if image else {}, {}, {path.stem: path}
    )


def find(path: Path, images: str | None) -> Layout:
    """Find the files of a data set.

    Raises
    ------
    FormatError
        If there is none, or several years' lie in one folder.
    """
    path = Path(os.path.abspath(path))
    if path.is_file():
        return of_one_file(path, images)
    found = roots(path)
    if len(found) > 1:
        raise FormatError(
            f"{path} holds {len(found)} data sets: {', '.join(one.name for one in found)}.",
            hint="Name the folder of one.",
            argument="path",
        )
    if not found and not any(path.glob("*.xml")):
        raise FormatError(
            f"{path} is not a folder of Pascal VOC: it holds neither {MASKS} nor XML files.",
            argument="path",
        )
    root = found[0] if found else path
    boxes = root / BOXES if found else path
    pictures = root / PICTURES
    if not found:
        beside = path.parent / PICTURES
        pictures = beside if beside.is_dir() else path
        root = pictures.parent if beside.is_dir() else path
    pictures = Path(os.path.abspath(images)) if images else pictures
    masks = named(sorted((root / MASKS).rglob("*.png")), root / MASKS) if found else {}
    layout = Layout(
        root if pictures.is_relative_to(root) else pictures,
        pictures,
        named(image_files(pictures), pictures),
        masks,
        named(sorted(boxes.rglob("*.xml")), boxes),
    )
    kinds = ("Segmentation", "Main") if masks else ("Main", "Segmentation")
    layout.splits = splits_of([root / "ImageSets" / kind for kind in kinds], layout.pictures)
    return layout


def named(files: list[Path], folder: Path) -> dict[str, Path]:
    """Name files without ending; of images that differ by it alone, the first is taken."""
    found: dict[str, Path] = {}
    for file in files:
        found.setdefault(file.relative_to(folder).with_suffix("").as_posix(), file)
    return found


def splits_of(folders: list[Path], pictures: Path) -> dict[str, str]:
    """Read the lists of the first folder that has some; an image of several is of the first.

    Lists of one class, such as cat_train.txt beside train.txt, are not read.
    """
    for folder in folders:
        lists = {file.stem: file for file in folder.glob("*.txt")}
        whole = [one for one in lists if not any(one.endswith(f"_{other}") for other in lists)]
        found: dict[str, str] = {}
        for split in sorted(whole, key=lambda name: (ORDER.get(name, 3), name)):
            for name in listed(lists[split], pictures):
                found.setdefault(name, split)
        if found:
            return found
    return {}


def listed(file: Path, pictures: Path) -> list[str]:
    """Read the names in a list.

    Raises
    ------
    FormatError
        If it is no text, or a name leads out of the folder of images.
    """
    names = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        name = line.strip().strip('"')
        if name and not name.startswith("#"):
            inside = relative(name, pictures, f"line {number} of {file}")
            ending = Path(inside).suffix.lower() in SUFFIXES
            names.append(inside.rsplit(".", 1)[0] if ending else inside)
    return names


def objects_beside(mask: Path) -> Path | None:
    """Find the PNG of objects that belongs to one of classes, if it is there."""
    parts = list(mask.parts)
    places = [i for i, part in enumerate(parts) if part == MASKS]
    if not places:
        return None
    parts[places[-1]] = OBJECTS
    file = Path(*parts)
    return file if file.is_file() else None


def table_beside(path: Path, folder: Path) -> ClassTable | None:
    """Read the table of classes in a data set, with ids as its colours tell them.

    A table in VOC's own colours numbers its classes by them, so that 255 is no class; any other
    numbers them in its order.
    """
    table = find_table(folder, path)
    if table is None or not table.colours:
        return table
    colours = {name: colour for name, colour in table.colours.items() if INDEX.get(colour) != 255}
    by_colour = all(colour in INDEX for colour in colours.values())
    ids = {name: INDEX[colour] for name, colour in colours.items()} if by_colour else None
    return ClassTable(ids or numbered(colours), colours)


def own_classes() -> ClassTable:
    """Give the classes of Pascal VOC."""
    ids = {name: i for i, name in enumerate(NAMES)}
    return ClassTable(ids, {name: default_colour(i) for name, i in ids.items()})
