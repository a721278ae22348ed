"""Folders of label images: a pixel is the number of the object it belongs to, 0 for none.

All objects are of one class. Label images have the names of their images, as masks do; since
object numbers and class ids look alike, this format is never found by itself.

Written are `images/` and `labels/` as 16-bit PNGs, or as TIFFs for volumes and for numbers from
65535 up. There is no number for pixels to be ignored.
"""

from pathlib import Path

import numpy as np

from maskr import masks
from maskr.annotations.class_names import is_background
from maskr.annotations.columns import Category, no_objects
from maskr.annotations.folders import find_pairs, table_of
from maskr.annotations.image_writing import copy_image, each_image
from maskr.annotations.label_writing import flat_labels, object_numbers, without_ignore
from maskr.annotations.lost_classes import report_unnamed
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.errors import DataError
from maskr.files import folder_atomically

READ_AS = Category(1, "object")
"""The class of all objects where none is named."""

PNG_TOP = 65534
"""The largest number for a PNG; 65535 alone would look like a binary mask."""


def matches(path: Path) -> bool:
    """Take nothing: object numbers look like class ids."""
    return False


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a label image or a folder of them; the one class is `object`, or that of `classes`.

    Raises
    ------
    FormatError
        If there are no label images or no images.
    DataError
        If names do not match, or several classes are given.
    """
    classes = one_class(options, READ_AS.name)
    place, images = table_of(find_pairs(path, options.images), report)
    reading = reading_of(classes, options)
    return Annotations("labels", place, images, no_objects(), classes, reading)


def one_class(options: ReadOptions, name: str) -> list[Category]:
    """Make the class of all objects, and that of the background if it is named.

    Raises
    ------
    DataError
        If there are several, or the class has id 0.
    """
    ids = options.classes or {name: 1}
    things = [one for one in ids if not is_background(one)]
    if len(things) != 1:
        raise DataError(
            f"Label images hold objects of one class, not of {len(things)}.",
            hint="Give it as classes = c(nucleus = 1).",
            argument="classes",
        )
    if ids[things[0]] == 0:
        raise DataError(
            f'Class id 0 is the background of label images, and here it is "{things[0]}".',
            hint=f"Give classes = c({things[0]} = 1).",
            argument="classes",
        )
    return [Category(class_id, one, isthing=one in things) for one, class_id in ids.items()]


def reading_of(classes: list[Category], options: ReadOptions) -> dict:
    """Tell how object numbers become classes."""
    return {
        "class": next(one.id for one in classes if one.isthing),
        "background": next((one.id for one in classes if not one.isthing), 0),
        "ignore": options.ignore if options.explicit_ignore else None,
    }


def labels(annotations: Annotations, i: int) -> Labels:
    """Decode the label image of image `i`.

    Raises
    ------
    FormatError
        If it cannot be read.
    DataError
        If it holds only 0 and 255, or numbers that are no objects.
    """
    return decode(annotations.images.mask_files[i], annotations.reading)


def decode(path: str, reading: dict, top_is_object: bool = False) -> Labels:
    """Decode a label image; `reading` as `reading_of()` gives it.

    `top_is_object` takes 65535 alone for the number of an object, as formats define it.
    """
    raw, _ = masks.decode(path)
    numbers = masks.whole(raw, path)
    ignore = reading.get("ignore")
    ignored = np.zeros(numbers.shape, dtype=bool) if ignore is None else numbers == int(ignore)
    numbers[ignored] = 0
    if numbers.min(initial=0) < 0:
        raise DataError(f"{path} holds negative numbers, which are not objects.")
    # a wider type may hold one object that has the number 255
    top = masks.binary_top(masks.distinct(numbers, path), masks.top_of(raw))
    if top and top == masks.top_of(raw) and not (top_is_object and top > masks.IGNORE_8):
        raise DataError(
            f"{path} holds only the values 0 and {top}: a binary mask, which does not say where "
            "one object ends and the next begins.",
            hint=f'Read it as format "masks" with values = c(0, {top}).',
            argument="format",
        )
    classes = np.where(numbers > 0, int(reading["class"]), int(reading["background"]))
    return Labels(np.where(ignored, IGNORE, classes).astype(np.int32), numbers)


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write images and label images into a new folder.

    Raises
    ------
    DataError
        If objects are not told apart, or two images would have one name.
    """

    def save(folder: str) -> None:
        root = Path(folder)
        for i, name in each_image(annotations, progress):
            found = flat_labels(annotations, i, report)
            numbers = numbers_of(found, annotations, annotations.images.files[i], report)
            save_numbers(numbers, root / "labels" / name)
            if options.copy_images:
                copy_image(annotations, i, root / "images" / name, report)

    folder_atomically(str(path), save)
    report_unnamed(annotations, READ_AS, report)


def numbers_of(found: Labels, annotations: Annotations, where: str, report: Report) -> np.ndarray:
    """Make the object numbers of an image, and report what they do not tell."""
    numbers = object_numbers(found, annotations, where)
    without_ignore(found.classes, where, report)
    background = {annotations.void(), IGNORE}
    background.update(one.id for one in annotations.classes if is_background(one.name))
    rest = np.unique(found.classes[numbers == 0])
    if set(rest.tolist()) - background:
        report.change("image with regions that are not single objects, written as 0", where)
    if len(annotations.things()) > 1 and numbers.any():
        report.change("object written without its class", where, len(np.unique(numbers)) - 1)
    return numbers


def save_numbers(numbers: np.ndarray, stem: Path) -> None:
    """Save `[H, W]` as a 16-bit PNG; `[D, H, W]`, and numbers that need 32 bits, as a TIFF."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    wide = int(numbers.max(initial=0)) > PNG_TOP
    stored = numbers.astype(np.uint32 if wide else np.uint16)
    if wide or numbers.ndim == 3:
        masks.save_tiff(stored, None, f"{stem}.tif")
    else:
        masks.save_png(stored, None, f"{stem}.png")
