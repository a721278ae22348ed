"""YOLO's folders: `images/<split>/*` with `labels/<split>/*.txt` beside them.

A line of a label file is one object: the number of its class, then x and y of its outline's points
as shares of the image's width and height. One object is one polygon.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from maskr.annotations.polygons import joined
from maskr.errors import DataError, FormatError
from maskr.instances import Instances, contours

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def write_split(
    folder: str,
    split: str,
    pairs: Iterable[tuple[np.ndarray, Instances]],
    channels: dict[int, int],
) -> str:
    """Write images and labels of one split.

    Parameters
    ----------
    pairs
        Images, uint8 `[H, W, 3]` (RGB) or `[H, W, 1]`, and their objects.
    channels
        The number in label files of each class id.

    Returns
    -------
    str
        The folder of the images.
    """
    from PIL import Image

    images, labels = _folders(folder, split)
    for i, (image, objects) in enumerate(pairs):
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
            images / f"{i:06d}.png", compress_level=1
        )
        lines = label_lines(objects, channels)
        (labels / f"{i:06d}.txt").write_text("".join(f"{line}\n" for line in lines))
    return str(images)


def label_lines(objects: Instances, channels: dict[int, int]) -> list[str]:
    """Make the lines of one image's label file; objects without a pixel have none."""
    scale = np.array([objects.size[1], objects.size[0]], dtype=float)
    lines = []
    for i, class_id in enumerate(objects.class_ids.tolist()):
        parts = contours(objects.masks([i])[0])
        if parts:
            points = (joined(parts) / scale).ravel()
            lines.append(" ".join([str(channels[class_id]), *(f"{p:.7g}" for p in points)]))
    return lines


def read_description(path: str) -> dict:
    """Read a `data.yaml`: class names, and the image files of its splits.

    Nothing is downloaded and no `download:` entry is run.

    Returns
    -------
    dict
        `names`: class names in order; `train` and `val`: image files, None for no such split.

    Raises
    ------
    FormatError
        If the file is no description of a YOLO data set, or names files that are not there.
    """
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FormatError(f"{path} cannot be read as YAML.", argument="data") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise FormatError(f"The names in {path} must be numbered 0, 1, ...", argument="data")
        names = [names[i] for i in range(len(names))]
    if not names or not content.get("train"):
        raise FormatError(
            f"{path} is no description of a YOLO data set: it lacks `names` or `train`.",
            argument="data",
        )
    root = Path(path).resolve().parent / str(content.get("path") or "")
    splits = {"train": content["train"], "val": content.get("val", content.get("validation"))}
    files = {key: _image_files(root, value) if value else None for key, value in splits.items()}
    return {"names": [str(name) for name in names], **files}


def link_split(folder: str, split: str, files: Sequence[Path], n_classes: int) -> str:
    """Make a split of links to images and labels, whose own folders stay as they are."""
    images, labels = _folders(folder, split)
    for i, file in enumerate(files):
        link(file, images / f"{i:06d}{file.suffix.lower()}")
        label = label_path(file)
        if label.exists():
            check_label_file(label, n_classes)
            link(label, labels / f"{i:06d}.txt")
    return str(images)


def link(source: Path, target: Path) -> None:
    """Link a file, or copy it where links cannot be made."""
    try:
        target.symlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def label_path(image: Path) -> Path:
    """Find the label file of an image: `labels` for the last folder `images`, and `.txt`."""
    parts = list(image.parts)
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def check_label_file(path: Path, n_classes: int) -> None:
    """Raise a FormatError unless every line is a polygon of a known class."""
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        values = line.split()
        if not values:
            continue
        try:
            numbers = [float(value) for value in values]
        except ValueError:
            numbers = []
        if len(numbers) < 7 or len(numbers) % 2 == 0:
            raise FormatError(
                f"Line {number} of {path} is no polygon: a class, then x and y of at least three "
                "points.",
                argument="data",
            )
        if numbers[0] not in range(n_classes):
            raise FormatError(
                f"Line {number} of {path} has class {values[0]}, and there are {n_classes} "
                "classes, counted from 0.",
                argument="data",
            )


def _folders(folder: str, split: str) -> tuple[Path, Path]:
    images, labels = (Path(folder) / kind / split for kind in ("images", "labels"))
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    return images, labels


def _image_files(root: Path, entry: str | list[str]) -> list[Path]:
    """List the image files of a split: folders, lists in text files, or both in a list."""
    files: list[Path] = []
    for one in entry if isinstance(entry, list) else [entry]:
        place = root / str(one)
        if place.is_dir():
            files += sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES)
        elif place.suffix == ".txt" and place.is_file():
            lines = place.read_text(encoding="utf-8-sig").split("\n")
            files += [_listed(line.strip(), place.parent, root) for line in lines if line.strip()]
        elif place.is_file():
            files.append(place)
        else:
            raise FormatError(f"There are no images at {place}.", argument="data")
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise FormatError(f"There is no image {missing}.", argument="data")
    if not files:
        raise DataError(f"There is no image in {entry}.", argument="data")
    return [Path(os.path.abspath(file)) for file in files]


def _listed(line: str, beside: Path, root: Path) -> Path:
    # "./" means beside the list, other relative paths start at the data set's root
    return beside / line[2:] if line.startswith("./") else root / line
