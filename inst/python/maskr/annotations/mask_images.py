"""Folders of mask images: pixels are class ids (index and grey PNGs, TIFFs) or classes' colours.

Masks have the names of their images, perhaps with a word such as "_mask" or "gt_". Names, ids and
colours of the classes come from `classes` and `colours`, or from a table beside the masks:
dataset_meta.json, label_colors.txt, class_dict.csv, CVAT's labelmap.txt, or a list of names. The
files themselves do not tell them, and are not searched.

Written are `images/`, `masks/` as index PNGs (16-bit grey ones for class ids beyond 254, TIFFs for
volumes), and dataset_meta.json; pixels to be ignored are 255 or 65535.
"""

from pathlib import Path

import numpy as np
import orjson

from maskr import masks
from maskr.annotations.class_tables import ClassTable, find_table, has_table, numbered
from maskr.annotations.colours import colour_of, decode_colours, is_coloured, triple
from maskr.annotations.columns import Category, no_objects
from maskr.annotations.folders import (
    SPLITS,
    Pair,
    find_pairs,
    first_files,
    mask_folder,
    table_of,
)
from maskr.annotations.image_writing import copy_image, each_image
from maskr.annotations.label_writing import flat_labels, report_merged
from maskr.annotations.mask_ids import check_known, known_ids, load_ids
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.errors import DataError, FormatError
from maskr.files import folder_atomically
from maskr.images import SUFFIXES

LOOKED_AT = 5
"""Masks that are decoded to say which ids they hold, where classes are missing."""


def matches(path: Path) -> bool:
    """Take image files, and folders with a folder of masks, or of images and a table of classes."""
    if path.is_file():
        return path.suffix.lower() in SUFFIXES
    folders = [path, *(path / name for name in SPLITS if (path / name).is_dir())]
    places = [mask_folder(folder) or (folder if has_table(folder) else None) for folder in folders]
    files = (file for place in places if place for file in first_files(place))
    return any(file.suffix.lower() in SUFFIXES for file in files)


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a mask or a folder of masks.

    Raises
    ------
    FormatError
        If there are no masks or no images.
    DataError
        If names do not match, or classes are not known.
    """
    pairs = find_pairs(path, options.images)
    folder = path if path.is_dir() else path.parent
    table = class_table(options, folder, pairs)
    place, images = table_of(pairs, report)
    explicit = options.explicit_ignore or table.ignore is not None
    reading = {
        "ignore": options.ignore if options.explicit_ignore or not explicit else table.ignore,
        "explicit_ignore": explicit,
        "values": options.values,
        "ids": sorted(table.ids.values()),
        "colours": table.by_colour(),
        "palette": options.colours is not None,
    }
    return Annotations("masks", place, images, no_objects(), table.categories(), reading)


def class_table(options: ReadOptions, folder: Path, pairs: list[Pair]) -> ClassTable:
    """Combine what the user gave with the table beside the masks.

    Raises
    ------
    DataError
        If there is neither.
    """
    table = find_table(folder, folder.parent)
    colours = options.colours or (table.colours if table else {})
    if options.classes:
        known = {*options.classes, *(options.colours or ())}
        kept = {name: colour for name, colour in colours.items() if name in known}
        return ClassTable(options.classes, kept, table.ignore if table else None)
    if options.colours:
        return ClassTable(numbered(options.colours), options.colours)
    if table:
        return table
    raise DataError(
        f"The classes of the masks in {folder} are not known.",
        hint=f"Give classes = c(background = 0, ...). {ids_seen(pairs, options)}Images whose "
        'pixels are object numbers are of format "labels".',
        argument="classes",
    )


def ids_seen(pairs: list[Pair], options: ReadOptions) -> str:
    """Say which ids the first masks hold."""
    seen: set[int] = set()
    for pair in pairs[:LOOKED_AT]:
        try:
            seen.update(np.unique(masks.decode(str(pair.mask))[0]).tolist())
        except FormatError:
            return "The masks are coded by colours: give colours, too. "
    shown = ", ".join(str(value) for value in sorted(seen)[:20])
    return f"The first masks hold the values {shown}. "


def labels(annotations: Annotations, i: int) -> Labels:
    """Decode the mask of image `i`.

    Raises
    ------
    FormatError
        If it cannot be read.
    DataError
        If it holds class ids or colours that are not known, or only 0 and 255 without `values`
        or `ignore`.
    """
    path, reading = annotations.images.mask_files[i], annotations.reading
    table = reading.get("colours") or {}
    known = known_ids(reading) | {0}
    if table and is_coloured(path, bool(reading.get("palette"))):
        ids = decode_colours(path, {colour: int(one) for colour, one in table.items()})
        return Labels(ids)
    ids = load_ids(path, reading, known)
    return Labels(check_known(ids, known, path))


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write images, masks and the table of classes into a new folder.

    Raises
    ------
    DataError
        If two images would have one name, or a class id does not fit into 16 bits.
    """
    classes = with_background(annotations)
    bits = bits_for(classes)

    def save(folder: str) -> None:
        root = Path(folder)
        for i, name in each_image(annotations, progress):
            labels = flat_labels(annotations, i, report)
            report_merged(labels, annotations.images.files[i], report)
            save_mask(labels.classes, root / "masks" / name, classes, bits)
            if options.copy_images:
                copy_image(annotations, i, root / "images" / name, report)
        (root / "dataset_meta.json").write_bytes(table_as_json(classes, bits))

    folder_atomically(str(path), save)


def with_background(annotations: Annotations) -> list[Category]:
    """Add the class of pixels that belong to no object, where they are 0 and have no class."""
    kept = [one for one in annotations.classes if one.id not in annotations.ignored()]
    classes = sorted(kept, key=lambda one: one.id)
    if all(one.id != 0 for one in classes):
        return [Category(0, "background", isthing=False), *classes]
    return classes


def bits_for(classes: list[Category]) -> int:
    """Find how wide the numbers must be; the highest one means "ignore"."""
    return 8 if max(one.id for one in classes) < masks.IGNORE_8 else 16


def save_mask(ids: np.ndarray, stem: Path, classes: list[Category], bits: int) -> None:
    """Save class ids `[H, W]` as PNG, or `[D, H, W]` as TIFF, with the classes' colours."""
    numbers = [one.id for one in classes]
    stored = masks.stored_values(ids, numbers, bits)
    colours = None
    if bits == 8:
        colours = masks.palette_bytes(numbers, [colour_of(one) for one in classes])
    stem.parent.mkdir(parents=True, exist_ok=True)
    if ids.ndim == 3:
        masks.save_tiff(stored, colours, f"{stem}.tif", masks.top_of(stored))
    else:
        masks.save_png(stored, colours, f"{stem}.png", masks.top_of(stored))


def table_as_json(classes: list[Category], bits: int) -> bytes:
    """Write the dataset_meta.json."""
    content = {
        "label_map": {str(one.id): one.name for one in classes},
        "segmentation_colors": [triple(colour_of(one)) for one in classes],
        "background_label": "0",
        "ignore_index": masks.IGNORE_8 if bits == 8 else masks.IGNORE_16,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)
