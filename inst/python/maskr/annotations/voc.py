"""Pascal VOC (http://host.robots.ox.ac.uk/pascal/VOC/): masks of classes and objects, or boxes.

Where `SegmentationClass` holds PNGs, the data set is one of masks: its images are those with a mask
and those of the lists in ImageSets/Segmentation, and the objects are those of `SegmentationObject`,
whose numbers need not be the order of the boxes. XML files are then not read, and images that have
boxes alone are left out, since rectangles are no masks; the folder `Annotations` itself is read as
boxes. A PNG's pixels are class ids (index and grey PNGs: the index counts, not its colour) or
colours, those of VOC's palette or of a labelmap.txt; 255, or its colour, is void: no class and no
object. Objects that have no class are none either.

Classes are those of labelmap.txt or class_names.txt, else those that are given, else VOC's 20 with
the background 0; boxes of other names are numbered by their order.

Written are masks as index PNGs in VOC's palette (16-bit grey where an image has more than 254
objects), XML files, lists, labelmap.txt and images; data of boxes alone gets no masks. Where
objects overlap, that of the higher score, else the later one is on top.
"""

from pathlib import Path

import numpy as np

from maskr import masks
from maskr.annotations import voc_folders, voc_xml
from maskr.annotations.attributes import lifted
from maskr.annotations.class_names import categories, ids_of
from maskr.annotations.class_tables import ClassTable, numbered
from maskr.annotations.colours import (
    decode_colours,
    default_colour,
    is_coloured,
    packed,
)
from maskr.annotations.columns import Images, ObjectTable, no_objects
from maskr.annotations.image_names import find_image, size_at
from maskr.annotations.mask_ids import check_known, known_ids, load_ids
from maskr.annotations.options import ReadOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.annotations.voc_folders import INDEX, NAMES
from maskr.annotations.voc_writing import write as write
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError
from maskr.images import size_of


def matches(path: Path) -> bool:
    """Tell a data set's folder, a VOCdevkit, a folder of XML files of boxes, or one such file."""
    if path.is_file():
        return path.suffix.lower() == ".xml" and voc_folders.is_box_file(path)
    return path.is_dir() and (bool(voc_folders.roots(path)) or voc_folders.holds_boxes(path))


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a data set, see `voc_folders`.

    Raises
    ------
    FormatError
        If there is none, or an XML file or list is damaged or names files elsewhere.
    DataError
        If classes are not known.
    """
    layout = voc_folders.find(path, options.images)
    read_all = read_masks if layout.masks else read_boxes
    found = read_all(layout, path, options, report)
    if not len(found.images):
        raise FormatError(f"There is no image in {path}.", argument="path")
    return found


# masks -------------------------------------------------------------------------------------------


def read_masks(
    layout: voc_folders.Layout, path: Path, options: ReadOptions, report: Report
) -> Annotations:
    """Read a data set of masks."""
    table = table_of_masks(layout, path, options)
    images = Images()
    for name in sorted({*layout.masks, *layout.splits}):
        add_masked(images, name, layout, report)
    for name in sorted(set(layout.boxes) - {*layout.masks, *layout.splits}):
        report.change("image of boxes without a mask, left out among masks", name)
    reading = {
        "rasteriser": "coco",
        "ignore": options.ignore,
        "values": options.values,
        "ids": sorted(table.ids.values()),
        "colours": table.by_colour(),
        "palette": options.colours is not None,
    }
    classes = categories(table.ids.items(), table.colours)
    return Annotations("voc", str(layout.folder), images, no_objects(), classes, reading)


def table_of_masks(layout: voc_folders.Layout, path: Path, options: ReadOptions) -> ClassTable:
    """Find the classes of masks: those given, in a table beside them, or VOC's.

    Raises
    ------
    DataError
        If the boxes beside are of other classes, so that the masks' are not known.
    """
    table = voc_folders.table_beside(path, layout.folder)
    if options.classes or options.colours:
        ids = options.classes or (table.ids if table else numbered(options.colours))
        colours = options.colours or (table.colours if table else {})
        return ClassTable(ids, {name: one for name, one in colours.items() if name in ids})
    if table is not None:
        return table
    for name in sorted(set(layout.masks) & set(layout.boxes)):
        for one in voc_xml.read(layout.boxes[name], Report()).objects:
            if one.name not in NAMES:
                raise DataError(
                    f'{layout.boxes[name]} holds the class "{one.name}", which is none of '
                    "Pascal VOC, and no file tells the class ids of the masks.",
                    hint="Give classes = c(background = 0, ...).",
                    argument="classes",
                )
    return voc_folders.own_classes()


def add_masked(images: Images, name: str, layout: voc_folders.Layout, report: Report) -> None:
    """Add an image with its mask, or one of a list that has none."""
    image, mask = layout.images.get(name), layout.masks.get(name)
    if image is None and mask is None:
        report.skip("listed image that is not there", name)
        return
    try:
        sizes = {size_of(str(file)) for file in (image, mask) if file is not None}
    except FormatError as error:
        report.skip("file that is not a readable image", error.text)
        return
    if len(sizes) > 1:
        report.skip("image and mask of different sizes", str(mask))
        return
    file = layout.name_of(image or layout.pictures / f"{name}.jpg")
    split = layout.splits.get(name, "")
    images.add(file, *sizes.pop(), mask_file="" if mask is None else str(mask), split=split)


def labels(annotations: Annotations, i: int) -> Labels:
    """Decode the masks of image `i`.

    Raises
    ------
    FormatError
        If they cannot be read, or differ in size.
    DataError
        If they hold class ids or colours that are not known.
    """
    path = Path(annotations.images.mask_files[i])
    classes = class_ids(str(path), annotations.reading)
    other = voc_folders.objects_beside(path)
    if other is None:
        return Labels(classes)
    numbers = object_numbers(str(other))
    if numbers.shape != classes.shape:
        raise FormatError(
            f"{other} has {numbers.shape[0]} x {numbers.shape[1]} pixels, and the classes "
            f"{classes.shape[0]} x {classes.shape[1]}."
        )
    return Labels(classes, np.where(classes > 0, numbers, 0).astype(np.int32))


def class_ids(path: str, reading: dict) -> np.ndarray:
    """Decode a mask of classes."""
    known = known_ids(reading) | {0}
    if is_coloured(path, bool(reading.get("palette"))):
        own = {colour: int(number) for colour, number in (reading.get("colours") or {}).items()}
        void = {colour: IGNORE for colour in [default_colour(masks.IGNORE_8)] if colour not in own}
        return check_known(decode_colours(path, (own or INDEX) | void), known, path)
    # VOC's 255 is void by definition, also beside the background alone
    ids = load_ids(path, reading | {"explicit_ignore": True}, known)
    return check_known(one_page(ids, path), known, path)


def object_numbers(path: str) -> np.ndarray:
    """Decode a mask of objects, 0 for none; colours that are not VOC's are numbered."""
    if not is_coloured(path):
        raw, _ = masks.decode(path)
        numbers = one_page(masks.whole(raw, path), path)
        void = masks.IGNORE_8 if raw.dtype.itemsize == 1 else masks.IGNORE_16
        return np.where((numbers == void) | (numbers < 0), 0, numbers)
    pixels = masks.decode_colours(path)
    found, places = np.unique(packed(pixels), return_inverse=True)
    colours = [f"#{number:06X}" for number in found.tolist()]
    void = (default_colour(0), default_colour(masks.IGNORE_8))
    single = np.array([colour not in void for colour in colours])
    if all(colour in INDEX for colour in colours):
        numbers = np.where(single, [INDEX[colour] for colour in colours], 0)
    else:
        numbers = np.where(single, np.cumsum(single), 0)
    return numbers[places].reshape(pixels.shape[:2])


def one_page(pixels: np.ndarray, path: str) -> np.ndarray:
    """Give a mask `[H, W]` back."""
    if pixels.ndim == 2:
        return pixels
    raise FormatError(f"{path} holds several pages, and masks of Pascal VOC have one.")


# boxes -------------------------------------------------------------------------------------------


def read_boxes(
    layout: voc_folders.Layout, path: Path, options: ReadOptions, report: Report
) -> Annotations:
    """Read a data set of boxes."""
    images, table = Images(), ObjectTable()
    names: dict[str, int] = {}
    for name in sorted({*layout.boxes, *layout.splits}):
        if name not in layout.boxes:
            add_listed(images, name, layout, report)
            continue
        content = voc_xml.read(layout.boxes[name], report)
        number = add_boxed(images, name, content, layout)
        for one in content.objects:
            place = names.setdefault(one.name, len(names))
            table.add(number, place, box=one.box, **lifted(one.attributes))
    for name in sorted(set(layout.images) - {*layout.boxes, *layout.splits}):
        report.skip("image without an XML file", name)
    objects = table.finish()
    ids = ids_of_names(list(names), layout, path, options)
    order = np.array([ids.ids[name] for name in names], dtype=objects.class_ids.dtype)
    if len(objects):
        objects.class_ids = order[objects.class_ids]
    classes = categories(ids.ids.items(), ids.colours)
    reading = {"rasteriser": "coco"}
    return Annotations("voc", str(layout.folder), images, objects, classes, reading)


def add_listed(images: Images, name: str, layout: voc_folders.Layout, report: Report) -> None:
    """Add an image of a list that has no XML file, and so no objects."""
    image = layout.images.get(name)
    if image is None:
        report.skip("listed image that is not there", name)
        return
    try:
        size = size_of(str(image))
    except FormatError as error:
        report.skip("file that is not a readable image", error.text)
        return
    images.add(layout.name_of(image), *size, split=layout.splits[name])


def add_boxed(
    images: Images, name: str, content: voc_xml.Content, layout: voc_folders.Layout
) -> int:
    """Add an image with an XML file: the one of its name, else the one that the file names."""
    image = layout.images.get(name)
    if image is None:
        told = content.file or f"{name}.jpg"
        image = layout.pictures / find_image([told], layout.pictures, str(layout.boxes[name]))
    size = content.size if all(content.size) else size_at(image)
    return images.add(layout.name_of(image), *size, split=layout.splits.get(name, ""))


def ids_of_names(
    names: list[str], layout: voc_folders.Layout, path: Path, options: ReadOptions
) -> ClassTable:
    """Find the ids of classes: those given, in a table beside, VOC's, or by the names' order.

    Raises
    ------
    DataError
        If a name is in none of the first two.
    """
    table = voc_folders.table_beside(path, layout.folder)
    if options.classes or table is None:
        own = voc_folders.own_classes()
        if not options.classes and set(names) <= set(own.ids):
            return own
        return ClassTable(ids_of(names, options.classes, path), options.colours or {})
    strange = sorted(set(names) - set(table.ids))
    if strange:
        raise DataError(
            f'{path} holds boxes of the class "{strange[0]}", which its table of classes lacks.',
            hint="Give classes = c(background = 0, ...) with all of them.",
            argument="classes",
        )
    return table
