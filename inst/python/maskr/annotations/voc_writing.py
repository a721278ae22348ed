"""Writing Pascal VOC's folders, see `voc`."""

import re
from pathlib import Path

import numpy as np

from maskr import masks
from maskr.annotations import voc_xml
from maskr.annotations.class_names import is_background
from maskr.annotations.colours import colour_of, default_colour, triple
from maskr.annotations.columns import Category
from maskr.annotations.image_writing import copy_image, stems
from maskr.annotations.items import Item, from_label_image, items
from maskr.annotations.label_writing import refuse_volume, report_hidden
from maskr.annotations.mask_ids import check_known
from maskr.annotations.options import Progress, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.annotations.voc_folders import (
    BOXES,
    INDEX,
    MASKS,
    NAMES,
    OBJECTS,
    PICTURES,
    TOP,
)
from maskr.arrays import IGNORE
from maskr.errors import DataError
from maskr.files import folder_atomically


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write a data set's folder. Images of no split are listed as "train".

    Raises
    ------
    DataError
        If a class id does not fit, or two images would share a name.
    """
    take = annotations.objects
    with_masks = any(annotations.images.mask_files) or any(take.rles) or any(take.polygons)
    if with_masks or fits(annotations):
        check_ids(annotations)
    names = stems(annotations)
    splits = [check_split(split or "train") for split in annotations.images.splits]

    def save(folder: str) -> None:
        root = Path(folder)
        kinds = [f"ImageSets/{kind}" for kind in ("Main", *(("Segmentation",) * with_masks))]
        masked = (MASKS, OBJECTS) if with_masks else ()
        for inner in (BOXES, PICTURES, *kinds, *masked):
            (root / inner).mkdir(parents=True)
        for i, name in enumerate(names):
            write_image(annotations, i, name, root, with_masks, report)
            if options.copy_images:
                copy_image(annotations, i, root / PICTURES / name, report)
            progress(i + 1, len(names))
        for split in dict.fromkeys(splits):
            own = [name for name, other in zip(names, splits, strict=True) if other == split]
            for kind in kinds:
                (root / kind / f"{split}.txt").write_text("".join(f"{name}\n" for name in own))
        write_table(annotations, root, report)

    folder_atomically(str(path), save)


def fits(annotations: Annotations) -> bool:
    """Tell whether class ids could be those of VOC's palette."""
    return all(0 < one.id <= TOP for one in coloured(annotations))


def coloured(annotations: Annotations) -> list[Category]:
    """Take the classes that have ids in masks: all but the background and what is ignored."""
    ignored = annotations.ignored()
    return [
        one for one in annotations.classes if not is_background(one.name) and one.id not in ignored
    ]


def check_ids(annotations: Annotations) -> None:
    """Refuse class ids that an index PNG with background 0 cannot hold.

    Raises
    ------
    DataError
        If one is 0 or beyond 254, or a name cannot be written.
    """
    for one in coloured(annotations):
        if not 0 < one.id <= TOP:
            raise DataError(
                f'Class ids of Pascal VOC are 1 to {TOP} beside the background 0, and "{one.name}" '
                f"has {one.id}.",
                hint="Give classes = c(background = 0, ...) with other ids.",
                argument="classes",
            )
    for one in annotations.classes:
        if re.search(r"[:\r\n]|^\s*#|^\s|\s$|^$", one.name):
            raise DataError(f"labelmap.txt cannot hold the class name {one.name!r}.", argument="x")


def check_split(split: str) -> str:
    """Refuse splits that are no names of lists."""
    if re.fullmatch(r"\w[\w.-]*", split):
        return split
    raise DataError(f'"{split}" cannot be the name of a list of images.', argument="x")


def write_image(
    annotations: Annotations, i: int, name: str, root: Path, with_masks: bool, report: Report
) -> None:
    """Write the masks and the XML file of an image."""
    where = annotations.images.files[i]
    found = None
    if with_masks:
        found = annotations.labels(i)
        refuse_volume(found, where, "Pascal VOC")
        if not annotations.images.mask_files[i]:
            report_hidden(annotations, i, found, report)
            report_boxes(annotations, i, report)
        save_masks(found, annotations, root, name, report, where)
    objects = single_objects(annotations, i, found, report)
    names = annotations.names()
    size = (int(annotations.images.heights[i]), int(annotations.images.widths[i]))
    content = voc_xml.build(
        f"{name}{Path(where).suffix}",
        size if found is None else found.classes.shape,
        [(item, names[item.class_id]) for item in objects],
        with_masks,
        report,
        where,
    )
    target = root / BOXES / f"{name}.xml"
    target.write_bytes(content)


def report_boxes(annotations: Annotations, i: int, report: Report) -> None:
    """Count the objects whose mask is only the rectangle of their box."""
    take = annotations.objects
    count = sum(not take.rles[row] and not take.polygons[row] for row in annotations.rows(i))
    if count:
        report.change("box drawn as a rectangle", annotations.images.files[i], count)


def single_objects(
    annotations: Annotations, i: int, found: Labels | None, report: Report
) -> list[Item]:
    """Take the objects that are told apart."""
    if not annotations.images.mask_files[i]:
        own, _ = items(annotations, i, report)
        return [item for item in own if item.class_id in annotations.names()]
    things = annotations.things()
    if found is None or found.objects is None:
        return []
    single = Labels(np.where(found.objects > 0, found.classes, IGNORE), found.objects)
    return [item for item in from_label_image(annotations, single) if item.class_id in things]


def save_masks(
    found: Labels, annotations: Annotations, root: Path, name: str, report: Report, where: str
) -> None:
    """Save the PNGs of classes and, where objects are told apart, of objects."""
    background = [one.id for one in annotations.classes if is_background(one.name)]
    ignored = np.isin(found.classes, [*annotations.ignored(), IGNORE])
    ids = np.where(ignored, IGNORE, np.where(np.isin(found.classes, background), 0, found.classes))
    known = {0, *(one.id for one in annotations.classes)}
    check_known(ids, known, where)
    palette = masks.palette_bytes(list(range(256)), list(INDEX))
    masks.save_png(masks.stored_values(ids, [], 8), palette, str(root / MASKS / f"{name}.png"))
    if found.objects is None:
        return
    numbers = np.where(ignored, IGNORE, found.objects)
    wide = int(numbers.max(initial=0)) > TOP
    if wide:
        report.change(f"image of more than {TOP} objects, whose numbers take 16 bits", where)
    stored = masks.stored_values(numbers, [], 16 if wide else 8)
    masks.save_png(stored, None if wide else palette, str(root / OBJECTS / f"{name}.png"))


def write_table(annotations: Annotations, root: Path, report: Report) -> None:
    """Write the labelmap.txt, where class ids are those of VOC's palette."""
    if not fits(annotations):
        report.change("class id left out, since XML files hold names alone", str(root.name))
        return
    own = (one.name for one in annotations.classes if is_background(one.name))
    background = Category(0, next(own, NAMES[0]))
    lines = ["# label:color_rgb:parts:actions\n"]
    for one in [background, *sorted(coloured(annotations), key=lambda one: one.id)]:
        own = default_colour(one.id)
        if one.id > 0 and colour_of(one).upper() != own:
            report.change("colour of a class replaced by that of VOC's palette", one.name)
        lines.append(f"{one.name}:{','.join(map(str, triple(own)))}::\n")
    (root / "labelmap.txt").write_text("".join(lines), encoding="utf-8")
