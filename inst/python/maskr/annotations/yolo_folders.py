"""YOLO's folders: where images and their label files are, and of which split.

Three layouts are read. ultralytics': a `data.yaml` with `names`, `path`, `train`, `val` and `test`.
Darknet's: an `obj.data` with `names`, `train` and `valid`. And folders without description, where
`labels` stands beside `images` (with or without a folder for each split, which may also be around
both), or label files stand beside their images; their names may be in `classes.txt` or `obj.names`.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from maskr.annotations.folders import SPLITS, image_files
from maskr.annotations.image_names import ends, is_absolute, slashed
from maskr.annotations.yolo_description import (
    NAME_FILES,
    Description,
    description_in,
    listed_names,
    load_description,
    within,
)
from maskr.documents import read_text
from maskr.errors import FormatError
from maskr.images import SUFFIXES

NO_LABELS = {*NAME_FILES, "train.txt", "val.txt", "valid.txt", "test.txt"}
"""Text files that may stand among label files."""


@dataclass
class Layout:
    """A data set's files.

    Attributes
    ----------
    images
        Of each image its split, its file, and its label file, which may not be there.
    absent
        What is named and not there.
    label_folders
        Folders in which every label file should have an image.
    """

    root: Path
    names: dict[int, str] | None
    images: list[tuple[str, Path, Path]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    label_folders: set[Path] = field(default_factory=set)
    keypoints: int = 0


def find(path: Path, images: str | None) -> Layout:
    """Find images and label files of a description or folder.

    Parameters
    ----------
    path
        `data.yaml`, `obj.data`, or a folder.
    images
        Folder of the images, where they are not beside the labels.

    Raises
    ------
    FormatError
        If a description is damaged, or a list names images outside of the data set.
    """
    path = Path(os.path.abspath(path))
    file = description_in(path) if path.is_dir() else path
    root = path if path.is_dir() else path.parent
    description = load_description(file) if file else None
    if description is not None:
        description.check_names()
    names = description.names if description else listed_names(root)
    keypoints = description.keypoints if description else 0
    if images is not None:
        layout = with_images(root, Path(os.path.abspath(images)), names)
    elif description is not None:
        layout = described(description)
    else:
        layout = undescribed(root, names)
    layout.keypoints = keypoints
    return layout


def described(description: Description) -> Layout:
    """Find the files that a description names."""
    layout = Layout(description.root, description.names)
    for split, several in description.entries.items():
        for entry in several:
            place = located(entry, description.root)
            if place is None:
                looked = " and ".join(map(str, places_of(entry, description.root)))
                key = f"`{description.keys[split]}: {entry}` of {description.path}"
                layout.absent.append(f"{key}, looked for at {looked}")
                continue
            if place.is_dir():
                layout.label_folders.add(label_of(place / "x").parent)
            for image in images_at(place, description.root):
                if os.path.isfile(image):
                    layout.images.append((split, image, label_of(image)))
                else:
                    layout.absent.append(str(image))
    return layout


def located(entry: str, root: Path) -> Path | None:
    """Find what a description names."""
    return next((place for place in places_of(entry, root) if os.path.exists(place)), None)


def places_of(entry: str, root: Path) -> list[Path]:
    """List where a description's entry may lie.

    Exports often write `../train` for `train`, or the path that a folder had on another machine.
    """
    name = slashed(entry)
    elsewhere = ends(name) if is_absolute(entry) else []
    names = dict.fromkeys((name, name.removeprefix("../"), *elsewhere))
    return [Path(os.path.abspath(root / name)) for name in names]


def images_at(place: Path, root: Path) -> Iterator[Path]:
    """Yield the images of a folder, of a list in a text file, or the one that it is itself."""
    if place.is_dir():
        yield from image_files(place)
    elif place.suffix == ".txt":
        for number, line in enumerate(read_text(place).splitlines(), start=1):
            if line.strip():
                yield listed(line.strip(), place, root, number)
    elif place.suffix.lower() in SUFFIXES:
        yield place
    else:
        raise FormatError(f"{place} is not a folder, a list of images (.txt) or an image.")


def listed(line: str, place: Path, root: Path, number: int) -> Path:
    """Find an image of a list."""
    # "./" means beside the list, other relative paths start at the data set's root
    beside = line.startswith("./")
    return within(line, place.parent if beside else root, f"line {number} of {place}")


def undescribed(root: Path, names: dict[int, str] | None) -> Layout:
    """Find the files of a folder without description."""
    layout = Layout(root, names)
    around = [folder / "images" for folder in sorted(root.iterdir()) if split_of(folder.name)]
    inside = [root / "images", *around]
    for folder in [place for place in inside if place.is_dir()] or [root]:
        layout.label_folders.add(label_of(folder / "x").parent)
        for image in image_files(folder):
            below = image.relative_to(root).parts[:-1]
            split = next(filter(None, map(split_of, below)), "")
            layout.images.append((split, image, label_of(image)))
    return layout


def with_images(root: Path, folder: Path, names: dict[int, str] | None) -> Layout:
    """Match label files below `root` to images elsewhere: by path, else by their name alone."""
    layout = Layout(folder, names)
    labels = root / "labels" if (root / "labels").is_dir() else root
    files = [file for file in sorted(labels.rglob("*.txt")) if file.name not in NO_LABELS]
    by_path = {file.relative_to(labels).with_suffix(""): file for file in files}
    by_name: dict[str, list[Path]] = {}
    for file in files:
        by_name.setdefault(file.stem, []).append(file)
    for image in image_files(folder):
        same = by_name.get(image.stem, [])
        path = image.relative_to(folder).with_suffix("")
        label = by_path.get(path, same[0] if len(same) == 1 else labels / path.with_suffix(".txt"))
        below = label.relative_to(root).parts[:-1]
        layout.images.append((next(filter(None, map(split_of, below)), ""), image, label))
    layout.label_folders.add(labels)
    return layout


def split_of(folder: str) -> str:
    """Tell the split that a folder is named for, such as "val" of "val2017"; "" if none."""
    return SPLITS.get(re.sub(r"[\d_-]+$", "", folder.lower()), "")


def label_path(image: Path) -> Path:
    """Find the label file of an image: `labels` for the last folder `images`, and `.txt`."""
    parts = list(image.parts)
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def label_of(image: Path) -> Path:
    """Find the label file of an image: as `label_path()`, or beside it without folder `labels`."""
    usual = label_path(image)
    return usual if usual.parent.is_dir() else image.with_suffix(".txt")
