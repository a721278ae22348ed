"""The folders that YOLO detectors train from: made of images and objects, or linked to others'."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from maskr.annotations.polygons import joined
from maskr.annotations.yolo_description import load_description
from maskr.annotations.yolo_folders import described, label_path
from maskr.annotations.yolo_lines import label_values
from maskr.annotations.yolo_writing import label_line
from maskr.errors import DataError, FormatError
from maskr.instances import Instances, contours


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
        (labels / f"{i:06d}.txt").write_text("".join(lines))
    return str(images)


def label_lines(objects: Instances, channels: dict[int, int]) -> list[str]:
    """Make the lines of one image's label file; objects without a pixel have none."""
    lines = []
    for i, class_id in enumerate(objects.class_ids.tolist()):
        parts = contours(objects.masks([i])[0])
        if parts:
            lines.append(label_line(channels[class_id], joined(parts), objects.size))
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
    description = load_description(Path(path).absolute())
    description.check_names()
    names = description.names
    if not names or "train" not in description.entries:
        raise FormatError(
            f"{path} is not a description of a YOLO data set: it lacks `names` or `train`.",
            argument="data",
        )
    if sorted(names) != list(range(len(names))):
        raise FormatError(f"The names in {path} must be numbered 0, 1, ...", argument="data")
    layout = described(description)
    if layout.absent:
        raise FormatError(f"Not found is {layout.absent[0]}.", argument="data")
    files: dict[str, list[Path] | None] = {}
    for split in ("train", "val"):
        files[split] = [image for own, image, _ in layout.images if own == split]
        if split not in description.entries:
            files[split] = None
        elif not files[split]:
            where = description.entries[split]
            raise DataError(f"There is no image in {where}.", argument="data")
    return {"names": [names[i] for i in range(len(names))], **files}


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


def check_label_file(path: Path, n_classes: int) -> None:
    """Raise a FormatError unless every line is a polygon of a known class."""
    for where, _, values in label_values(path, range(n_classes)):
        if len(values) < 6 or len(values) % 2:
            raise FormatError(
                f"{where} is not a polygon: a class, then x and y of at least three points.",
                argument="data",
            )


def _folders(folder: str, split: str) -> tuple[Path, Path]:
    images, labels = (Path(folder) / kind / split for kind in ("images", "labels"))
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    return images, labels
