"""YOLO's folders: descriptions, splits, and where the label file of an image is.

Three layouts are read. ultralytics': a `data.yaml` with `names`, `path`, `train`, `val` and `test`.
Darknet's: an `obj.data` with `names`, `train` and `valid`. And folders without description, where
`labels` stands beside `images` (with or without a folder for each split, which may also be around
both), or label files stand beside their images; their names may be in `classes.txt` or `obj.names`.

The paths in a description are the user's own words and may lead anywhere. The names of images in
list files are data, and must stay in the data set's folder.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskr.annotations.folders import SUFFIXES, image_files
from maskr.annotations.image_names import relative
from maskr.errors import FormatError

SPLITS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}
NAME_FILES = ("classes.txt", "obj.names")
NO_LABELS = {*NAME_FILES, "train.txt", "val.txt", "valid.txt", "test.txt"}
"""Text files that may stand among label files."""

LARGEST = 1_000_000
"""Bytes of a description, of which the largest known, with 1,203 classes, has 26,000."""


@dataclass
class Description:
    """What a `data.yaml` or `obj.data` says.

    Attributes
    ----------
    path
        The file.
    root
        The folder that its paths start from.
    names
        Class names by number; None where it has none.
    entries
        For each split folders, list files or images.
    keypoints
        Numbers of a pose after the box, 0 for data without poses.
    """

    path: Path
    root: Path
    names: dict[int, str] | None
    entries: dict[str, list[str]]
    keypoints: int = 0


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


def description_in(folder: Path) -> Path | None:
    """Find the description in a folder: by its usual name, else by its content."""
    for name in ("data.yaml", "data.yml", "obj.data"):
        if (folder / name).is_file():
            return folder / name
    others = sorted(file for file in folder.iterdir() if file.suffix in (".yaml", ".yml"))
    return next((file for file in others if is_description(file)), None)


def is_description(path: Path) -> bool:
    """Tell whether a file describes a YOLO data set."""
    try:
        description = load_description(path)
    except FormatError:
        return False
    return bool(description.entries) and description.names is not None


def load_description(path: Path) -> Description:
    """Read a `data.yaml` or `obj.data`. Nothing is downloaded and no code is run.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    if path.suffix not in (".yaml", ".yml"):
        return read_darknet(path)
    content = load_yaml(path)
    known = {"names", "nc", *(key for keys in SPLITS.values() for key in keys)}
    if not isinstance(content, dict) or not known & set(content):
        raise FormatError(
            f"{path} is no description of a YOLO data set: it lacks `names` and `train`.",
        )
    root = Path(os.path.abspath(path.parent / scalar(content.get("path"), "path", path)))
    return Description(
        path,
        # data sets get moved, and their description with them
        root if os.path.isdir(root) else path.parent,
        named(content.get("names"), path),
        {
            split: entries(content[key], key, path)
            for split, keys in SPLITS.items()
            if (key := next((key for key in keys if content.get(key)), None))
        },
        pose_length(content.get("kpt_shape"), path),
    )


def load_yaml(path: Path) -> Any:
    """Read a small YAML file without aliases, which a few lines make to grow without end."""
    import yaml

    class Plain(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases (*name) are not read")
            return super().compose_node(parent, index)

    try:
        return yaml.load(read_text(path, LARGEST), Loader=Plain)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise FormatError(f"{path} cannot be read as YAML: {reason[:200]}") from error
    # what PyYAML raises for tags and values that are not what they claim to be
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path} cannot be read as YAML.") from error


def read_text(path: Path, largest: int | None = None) -> str:
    """Read a text file.

    Raises
    ------
    FormatError
        If it is larger than `largest` bytes, not UTF-8, or cannot be read.
    """
    try:
        if largest is not None and path.stat().st_size > largest:
            raise FormatError(f"{path} is larger than {largest:,} bytes, too large for what it is.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is no text in UTF-8: {error.reason}.") from error


def scalar(value: Any, key: str, path: Path) -> str:
    """Give a value as text, "" if there is none."""
    if value is None or isinstance(value, (str, int, float)):
        return "" if value is None else str(value)
    raise FormatError(f"`{key}` in {path} must be a text, not a {type(value).__name__}.")


def entries(value: Any, key: str, path: Path) -> list[str]:
    """Give the folders or files of a split."""
    several = value if isinstance(value, list) else [value]
    return [scalar(one, key, path) for one in several]


def named(value: Any, path: Path) -> dict[int, str] | None:
    """Give class names by number, from a list or a mapping."""
    if value is None or value == []:
        return None
    several = value if isinstance(value, list) else [value]
    pairs = value.items() if isinstance(value, dict) else enumerate(several)
    try:
        names = {int(number): scalar(name, "names", path).strip() for number, name in pairs}
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"`names` in {path} must have numbers, such as 0: person.") from error
    if min(names, default=0) < 0 or max(names, default=0) >= 2**31:
        raise FormatError(f"`names` in {path} must have numbers from 0 up.")
    return names


def pose_length(value: Any, path: Path) -> int:
    """Count the numbers of a pose: `kpt_shape` is points and numbers of each."""
    if value is None:
        return 0
    if isinstance(value, list) and len(value) == 2 and all(isinstance(n, int) for n in value):
        return value[0] * value[1]
    raise FormatError(f"`kpt_shape` in {path} must be two numbers, such as [17, 3].")


def read_darknet(path: Path) -> Description:
    """Read an `obj.data`: lines of `key = value`."""
    lines = (line.partition("=") for line in read_text(path, LARGEST).splitlines())
    content = {key.strip(): value.strip() for key, equals, value in lines if equals}
    if "names" not in content and "train" not in content:
        raise FormatError(f"{path} is no description of a YOLO data set: it lacks `names`.")
    names = None
    if "names" in content:
        file = within(content["names"], path.parent, f"`names` of {path}")
        names = numbered(file)
    found = {
        split: [str(within(content[key], path.parent, f"`{key}` of {path}"))]
        for split, keys in SPLITS.items()
        if (key := next((key for key in keys if content.get(key)), None))
    }
    return Description(path, path.parent, names, found)


def within(name: str, root: Path, record: str) -> Path:
    """Find a file of a data set; darknet's paths begin with `data/` wherever it lies."""
    file = root / relative(name, root, record)
    if not os.path.exists(file) and name.startswith("data/"):
        return root / relative(name[len("data/") :], root, record)
    return file


def listed_names(root: Path) -> dict[int, str] | None:
    """Read class names, one a line, beside the folders or among the labels."""
    places = [folder / name for folder in (root, root / "labels") for name in NAME_FILES]
    file = next((place for place in places if place.is_file()), None)
    return numbered(file) if file else None


def numbered(file: Path) -> dict[int, str]:
    """Read names of one line each, numbered from 0."""
    names = (line.strip() for line in read_text(file, LARGEST).splitlines())
    return dict(enumerate(name for name in names if name))


def described(description: Description) -> Layout:
    """Find the files that a description names."""
    layout = Layout(description.root, description.names)
    for split, several in description.entries.items():
        for entry in several:
            place = located(entry, description.root)
            if place is None:
                layout.absent.append(f"{split}: {entry}")
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
    """Find what a description names. Exports often write `../train` for `train`."""
    names = (entry, entry.removeprefix("../"))
    places = [Path(os.path.abspath(root / name)) for name in names]
    return next((place for place in places if os.path.exists(place)), None)


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
        raise FormatError(f"{place} is no folder, no list of images (.txt), and no image.")


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
    word = re.sub(r"[\d_-]+$", "", folder.lower())
    return next((split for split, keys in SPLITS.items() if word in keys), "")


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
