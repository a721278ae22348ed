"""CamVid (http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/), in its usual layouts.

- SegNet's: `train/`, `trainannot/` and so on, index PNGs of 11 classes with 11 for void, which is
  ignored; where there are lists such as train.txt, they choose the files.
- The original: `701_StillsRaw_full/` with `LabeledApproved_full/*_L.png`, coded by the colours of
  32 classes, or those of a label_colors.txt beside; also as `train/` and `train_labels/`. These
  files have no class ids: classes are numbered 1, 2, ... in the order of their names, and Void is
  ignored.

Written is SegNet's layout: index PNGs where all classes are SegNet's by name, else PNGs of colours
with a label_colors.txt.
"""

from itertools import count
from pathlib import Path, PurePosixPath

import numpy as np

from maskr import masks
from maskr.annotations.camvid_classes import COLOURS, SEGNET, SEGNET_VOID, VOID_COLOUR
from maskr.annotations.class_names import BACKGROUND
from maskr.annotations.class_tables import ClassTable, find_table, numbered
from maskr.annotations.colours import (
    colour_of,
    decode_colours,
    default_colour,
    is_coloured,
    triple,
)
from maskr.annotations.columns import Category, no_objects
from maskr.annotations.folders import SPLITS, Pair, image_files, no_images, table_of
from maskr.annotations.image_writing import copy_image, each_image, split_off
from maskr.annotations.label_writing import (
    flat_labels,
    refuse_volume,
    renamed,
    replaced,
    report_merged,
)
from maskr.annotations.mask_ids import check_known, known_ids
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.documents import read_text
from maskr.errors import FormatError
from maskr.files import folder_atomically
from maskr.pairs import match_by_keys

ORIGINAL = ("701_StillsRaw_full", "LabeledApproved_full")
ENDINGS = ("annot", "_labels")
"""What the folders of masks are called after that of their images."""


def matches(path: Path) -> bool:
    """Take folders with images and masks in one of CamVid's layouts."""
    return path.is_dir() and bool(layouts(path))


def layouts(path: Path) -> list[tuple[str, Path, Path]]:
    """List the splits of a folder, each with its folders of images and of masks."""
    images, truth = (path / name for name in ORIGINAL)
    if truth.is_dir():
        return [("", images, truth)]
    return [
        (folder.name, folder, path / f"{folder.name}{ending}")
        for folder in sorted(path.iterdir())
        if folder.name.lower() in SPLITS
        for ending in ENDINGS
        if (path / f"{folder.name}{ending}").is_dir()
    ]


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a data set's folder.

    Raises
    ------
    FormatError
        If there are no images and masks in CamVid's layout.
    DataError
        If they do not match by their names.
    """
    if not path.is_dir():
        raise FormatError(
            f"{path} is a file, and CamVid is a folder.",
            hint='Name the folder that holds train and trainannot. A single mask is of "masks".',
            argument="path",
        )
    found = layouts(path)
    if not found:
        raise FormatError(
            f"{path} holds neither train/ and trainannot/ nor {' and '.join(ORIGINAL)}.",
            argument="path",
        )
    pairs = [pair for one in found for pair in pairs_of(path, *one, options.images, report)]
    place, images = table_of(pairs, report)
    coloured = is_coloured(images.mask_files[0], options.colours is not None)
    table = coloured_classes(path, options) if coloured else index_classes(options)
    reading = {
        "ids": sorted(table.ids.values()),
        "colours": table.by_colour() if coloured else {},
        "palette": options.colours is not None,
        "ignore": options.ignore if options.explicit_ignore else SEGNET_VOID,
    }
    return Annotations("camvid", place, images, no_objects(), table.categories(), reading)


def coloured_classes(path: Path, options: ReadOptions) -> ClassTable:
    """Find the classes of colour-coded masks."""
    table = find_table(path)
    colours = options.colours or (table.colours if table else None) or COLOURS
    return ClassTable(options.classes or numbered(colours), colours)


def index_classes(options: ReadOptions) -> ClassTable:
    """Find the classes of index PNGs."""
    if options.classes:
        return ClassTable(options.classes)
    return ClassTable({name: class_id for class_id, name in enumerate(SEGNET)}, SEGNET)


def pairs_of(
    root: Path, name: str, folder: Path, truth: Path, images: str | None, report: Report
) -> list[Pair]:
    """Pair the images and masks of one split."""
    place = Path(images) if images else folder
    if images and (place / name).is_dir():
        place = place / name
    photos, masks_ = image_files(place) if place.is_dir() else [], image_files(truth)
    if not photos:
        raise no_images(f"There is no image in {place}.")
    listed = list_of(root / f"{name}.txt") if name else None
    if listed is not None:
        photos = chosen(photos, listed, report)
        masks_ = [mask for mask in masks_ if key_of(mask) in listed]
    keys = [photo.stem for photo in photos], [key_of(mask) for mask in masks_]
    found = match_by_keys(photos, keys[0], masks_, keys[1])
    return [Pair(image, mask, SPLITS.get(name.lower(), "")) for image, mask in found]


def key_of(mask: Path) -> str:
    """Give the name of the image of a mask."""
    return mask.stem.removesuffix("_L")


def list_of(path: Path) -> set[str] | None:
    """Read the names of images from SegNet's lists, whose lines are paths of image and mask."""
    if not path.is_file():
        return None
    lines = read_text(path).splitlines()
    return {PurePosixPath(line.split()[0]).stem for line in lines if line.strip()}


def chosen(photos: list[Path], listed: set[str], report: Report) -> list[Path]:
    """Keep the images that are listed, and report those that are missing."""
    kept = [photo for photo in photos if photo.stem in listed]
    for name in sorted(listed - {photo.stem for photo in kept}):
        report.skip("image that a list names and that is not there", name)
    return kept


def labels(annotations: Annotations, i: int) -> Labels:
    """Decode the mask of image `i`.

    Raises
    ------
    FormatError
        If it cannot be read, or others are coded in another way.
    DataError
        If it holds ids or colours of no class.
    """
    path, reading = annotations.images.mask_files[i], annotations.reading
    table = reading.get("colours") or {}
    coloured = is_coloured(path, bool(reading.get("palette")))
    if coloured != bool(table):
        raise FormatError(
            f"{path} is {'' if coloured else 'not '}coded by colours, unlike the first mask."
        )
    if table:
        return Labels(decode_colours(path, {key: int(one) for key, one in table.items()}))
    raw, _ = masks.decode(path)
    ids = masks.whole(raw, path)
    if reading.get("ignore") is not None:
        ids[ids == int(reading["ignore"])] = IGNORE
    known = known_ids(reading)
    return Labels(check_known(ids, known, path))


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write splits of images and masks into a new folder.

    Raises
    ------
    DataError
        If two images would have one name, or an image is a volume.
    """
    kept = [one for one in annotations.classes if one.id not in annotations.ignored()]
    segnet = all(one.name.lower() in SEGNET for one in kept)
    colours = {} if segnet else distinct_colours(annotations, kept)
    ids = {name: class_id for class_id, name in enumerate(SEGNET)}
    mapping = renamed(annotations, ids, "SegNet's CamVid", report) if segnet else {}

    def save(folder: str) -> None:
        root = Path(folder)
        lists: dict[str, list[str]] = {}
        for i, plain in each_image(annotations, progress):
            split, inner = split_off(plain)
            name = "_".join(inner.parts)
            found = flat_labels(annotations, i, report)
            refuse_volume(found, annotations.images.files[i], "CamVid")
            report_merged(found, annotations.images.files[i], report)
            target = root / f"{split}annot" / f"{name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            if segnet:
                save_index(found, mapping, target)
                report_void(found, mapping, annotations.images.files[i], report)
            else:
                save_colours(found, colours, target)
            if options.copy_images:
                copy_image(annotations, i, root / split / name, report)
            ending = Path(annotations.images.files[i]).suffix
            lists.setdefault(split, []).append(f"{split}/{name}{ending} {split}annot/{name}.png\n")
        for split, lines in lists.items():
            (root / f"{split}.txt").write_text("".join(lines))
        if not segnet:
            (root / "label_colors.txt").write_text(colour_lines(kept, colours))

    folder_atomically(str(path), save)


def save_index(found: Labels, mapping: dict[int, int], path: Path) -> None:
    """Save SegNet's class ids; void where there is no class."""
    known = np.isin(found.classes, list(mapping))
    stored = np.where(known, replaced(found.classes, mapping), SEGNET_VOID).astype(np.uint8)
    palette = masks.palette_bytes([*range(SEGNET_VOID), SEGNET_VOID], [*SEGNET.values(), "#000000"])
    masks.save_png(stored, palette, str(path))


def report_void(found: Labels, mapping: dict[int, int], where: str, report: Report) -> None:
    """Report an image with pixels of no object."""
    if not np.isin(found.classes, [*mapping, IGNORE]).all():
        report.change("image whose pixels of no object were written as void", where)


def save_colours(found: Labels, colours: dict[int, str], path: Path) -> None:
    """Save the colours of the classes."""
    top = max(colours, default=0)
    table = np.zeros((top + 2, 3), dtype=np.uint8)
    for class_id, colour in colours.items():
        table[class_id] = triple(colour)
    # IGNORE is -1: the last row, black
    masks.save_png(table[found.classes], None, str(path))


def distinct_colours(annotations: Annotations, kept: list[Category]) -> dict[int, str]:
    """Give each class a colour of its own by id; black stands for void."""
    taken = {VOID_COLOUR}
    colours: dict[int, str] = {}
    for one in sorted(kept, key=lambda one: one.id):
        wanted = colour_of(one).upper()
        colours[one.id] = spare_colour(taken) if wanted in taken else wanted
        taken.add(colours[one.id])
    if 0 not in colours and annotations.void() == 0:
        colours[0] = spare_colour(taken)
    return colours


def spare_colour(taken: set[str]) -> str:
    """Find a colour that no class has."""
    return next(colour for colour in map(default_colour, count(1)) if colour not in taken)


def colour_lines(kept: list[Category], colours: dict[int, str]) -> str:
    """Write label_colors.txt: the classes in the order of their ids."""
    names = {one.id: one.name for one in kept}
    rows = [(names.get(key, BACKGROUND[0]), colours[key]) for key in sorted(colours)]
    rows.append(("Void", VOID_COLOUR))
    return "".join(f"{' '.join(map(str, triple(colour)))}\t{name}\n" for name, colour in rows)
