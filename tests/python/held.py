"""Annotations whose label images are arrays, for tests of writers."""

from pathlib import Path

import numpy as np
from maskr import annotations as formats
from maskr.annotations.columns import Category, Images, ObjectTable, no_objects
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.instances import encode
from PIL import Image


class Held(Annotations):
    """Label images that are held in memory."""

    held: list[Labels]

    def labels(self, i: int) -> Labels:
        return self.held[i]


def held(
    labels: list[Labels], classes: list[Category], folder: Path, names: list[str] | None = None
) -> Held:
    """Hold label images, and write an image for each."""
    names = names or [f"image{i}.png" for i in range(len(labels))]
    images = Images()
    for name, one in zip(names, labels, strict=True):
        height, width = one.classes.shape[-2:]
        images.add(name, height, width, mask_file="held")
        write_photo(folder / name, height, width)
    out = Held("held", str(folder), images, no_objects(), classes)
    out.held = labels
    return out


def write_photo(path: Path, height: int, width: int) -> None:
    """Write an RGB image with a gradient."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = np.zeros((height, width, 3), dtype=np.uint8)
    photo[..., 0] = np.arange(width) % 256
    Image.fromarray(photo).save(path)


def overlapping(folder: Path, class_ids: tuple[int, int] = (1, 1)) -> Annotations:
    """Two squares of 4 x 4 pixels in 8 x 10, the second one above 4 pixels of the first."""
    write_photo(folder / "a.png", 8, 10)
    objects = ObjectTable()
    for n, class_id in enumerate(class_ids):
        mask = np.zeros((1, 8, 10), dtype=bool)
        mask[0, 1 + 2 * n : 5 + 2 * n, 2 + 2 * n : 6 + 2 * n] = True
        box = (2 + 2 * n, 1 + 2 * n, 6 + 2 * n, 5 + 2 * n)
        objects.add(1, class_id, rle=encode(mask)[0], box=box, area=16)
    images = Images()
    images.add("a.png", 8, 10)
    classes = [Category(1, "car"), Category(2, "person")]
    return Annotations("coco", str(folder), images, objects.finish(), classes)


def read(path: Path | str, format: str = "auto", **options) -> tuple[Annotations, Report]:
    """Read annotations, and what was left out."""
    report = Report()
    return formats.read(str(path), format, formats.ReadOptions(**options), report), report


def write(annotations: Annotations, path: Path, format: str, copy_images: bool = True) -> Report:
    """Write annotations, and give what was changed."""
    report = Report()
    options = formats.WriteOptions(copy_images=copy_images)
    formats.write(annotations, str(path), format, options, report)
    return report


def across_the_border(annotations: Annotations) -> Annotations:
    """Hand annotations to R's tables and back."""
    return Annotations.from_r(annotations.to_r())
