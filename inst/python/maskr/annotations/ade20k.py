"""ADE20K (https://groups.csail.mit.edu/vision/datasets/ADE20K/), whole or as scene parsing.

The whole data set has a PNG *_seg.png beside each image: class = R // 10 * 256 + G, and objects are
numbered by B, in ascending order from 1. Names of classes are those of the objects in the JSON
files (2020 and later) or *_atr.txt (2017, whose names have no ids: masks are decoded until each
name is found once; give `classes` to save that). All objects count as things, the sky too. Parts
of objects are in *_parts_1.png, parts of these in *_parts_2.png, and so on, written alike: one
level is read, as `ReadOptions.level` says. The masks of objects with their hidden regions are not
read.
Pixels that nobody labelled are 0, and become what `Annotations.void()` says.

The scene parsing benchmark (ADEChallengeData2016) has `images/<split>` and `annotations/<split>`
with the ids of 150 classes; 0 is everything else, and ignored.

Written is the whole data set's form with JSON files. It holds class ids up to 6655, numbers of
255 objects an image, and nothing for pixels to be ignored.
"""

import glob
import re
from pathlib import Path

import numpy as np
import orjson

from maskr import masks
from maskr.annotations.ade20k_classes import SCENE_CLASSES
from maskr.annotations.columns import Category, no_objects
from maskr.annotations.folders import (
    Pair,
    files_in,
    find_pairs,
    first_files,
    no_images,
    split_of,
    table_of,
)
from maskr.annotations.image_writing import copy_image, each_image, split_off
from maskr.annotations.label_writing import (
    flat_labels,
    object_numbers,
    ranks,
    refuse_volume,
    without_ignore,
)
from maskr.annotations.mask_ids import check_known, known_ids
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError
from maskr.files import folder_atomically
from maskr.images import SUFFIXES

ENDING = "_seg.png"
PARTS = "_parts_1.png"
FOLDERS = {"train": "training", "val": "validation", "test": "testing"}

CLASS_OF_RED = np.arange(256, dtype=np.int32) // 10 * 256
"""What red adds to the class id."""

TOP_CLASS = 25 * 256 + 255
"""The largest class id that red and green can hold."""

TOP_OBJECT = 255
"""The largest number of an object that blue can hold."""


def matches(path: Path) -> bool:
    """Take folders of *_seg.png with JSON or *_atr.txt, and the benchmark's folder."""
    if is_benchmark(path):
        return True
    segs = [file for file in first_files(path) if file.name.endswith(ENDING)]
    return any(description_of(file) is not None for file in segs[:20])


def is_benchmark(path: Path) -> bool:
    """Tell the scene parsing benchmark by its folders."""
    return (path / "annotations" / "training").is_dir() or (
        (path / "annotations" / "validation").is_dir()
    )


def ending_of(level: int) -> str:
    """Give the ending of masks of whole objects, or of a level of their parts."""
    return f"_parts_{level}.png" if level else ENDING


def stem_of(mask: Path) -> str:
    """Give the name that a mask shares with its image and its description."""
    return re.sub(r"_(?:seg|parts_\d+)\.png$", "", mask.name)


def description_of(mask: Path) -> Path | None:
    """Find the JSON or text that describes the objects of a mask."""
    stem = stem_of(mask)
    places = [mask.with_name(f"{stem}.json"), mask.with_name(f"{stem}_atr.txt")]
    return next((place for place in places if place.is_file()), None)


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a folder of either form.

    Raises
    ------
    FormatError
        If there are no masks or no images, or a description is damaged.
    """
    if is_benchmark(path):
        return read_benchmark(path, options, report)
    files, ending = list(files_in(path)), ending_of(options.level)
    found = [file for file in files if file.name.endswith(ending)]
    if not found:
        raise FormatError(
            f"There are no files called *{ending} in {path}.",
            argument="level" if options.level else "path",
        )
    report_unmasked(files, report)
    report_levels(files, options.level, report)
    pairs = [Pair(image_of(mask, path, options), mask, split_of(mask, path)) for mask in found]
    place, images = table_of(pairs, report)
    names = options.classes or class_ids(found, options.level, report)
    classes = [Category(class_id, name) for name, class_id in names.items()]
    reading = {"benchmark": False, "ids": sorted(names.values())}
    if 0 not in reading["ids"]:
        # what nobody labelled is 0 in the files, and void
        reading["renumber"] = [[0, -1], *([one, one] for one in reading["ids"])]
    return Annotations("ade20k", place, images, no_objects(), classes, reading)


def report_unmasked(files: list[Path], report: Report) -> None:
    """Report JPEG images that have no mask."""
    masked = {file.with_name(file.name.removesuffix(ENDING)) for file in files}
    for file in files:
        if file.suffix.lower() == ".jpg" and file.with_suffix("") not in masked:
            report.skip("image without a mask", str(file))


def report_levels(files: list[Path], level: int, report: Report) -> None:
    """Report parts that are left out, or images that have none of the level."""
    masks = [file for file in files if file.name.endswith(ENDING)]
    for mask in masks:
        stem = mask.with_name(stem_of(mask))
        if not level and Path(f"{stem}{PARTS}").is_file():
            report.change("image whose objects' parts are left out (level = 0)", str(mask))
        elif level and not Path(f"{stem}{ending_of(level)}").is_file():
            report.skip(f"image without parts of level {level}", str(mask))


def image_of(mask: Path, root: Path, options: ReadOptions) -> Path:
    """Find the image of a mask.

    Raises
    ------
    FormatError
        If there is none.
    """
    folder = mask.parent
    if options.images:
        folder = Path(options.images) / mask.parent.relative_to(root)
    stem = stem_of(mask)
    for suffix in SUFFIXES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    others = sorted(folder.glob(f"{glob.escape(stem)}.*"))  # such as .JPG
    found = [file for file in others if file.stem == stem and file.suffix.lower() in SUFFIXES]
    if found:
        return found[0]
    raise no_images(f"There is no image {stem}.jpg of {mask}.")


def read_benchmark(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read the scene parsing benchmark."""
    if options.level:
        raise FormatError(
            f"{path} is the scene parsing benchmark, which has no parts of objects.",
            hint="They are in the whole data set, ADE20K_2021_17_01.",
            argument="level",
        )
    place, images = table_of(find_pairs(path, options.images), report)
    names = options.classes or {name: i for i, name in enumerate(SCENE_CLASSES, start=1)}
    classes = [Category(class_id, name, isthing=False) for name, class_id in names.items()]
    reading = {"benchmark": True, "ids": sorted(names.values())}
    return Annotations("ade20k", place, images, no_objects(), classes, reading)


def class_ids(found: list[Path], level: int, report: Report) -> dict[str, int]:
    """Collect the ids of all classes by name; a name of two ids has the second one added."""
    names: dict[int, str] = {}
    known: set[str] = set()
    for mask in found:
        description = description_of(mask)
        if description is None:
            report.skip("mask without names of its classes", str(mask))
        elif description.suffix == ".json":
            for class_id, name in named_in_json(description, level, report):
                names.setdefault(class_id, name)
        else:
            rows = named_in_text(description, level)
            if {name for _, name in rows} - known:
                learn(mask, rows, names, report)
            known.update(name for _, name in rows)
    ids: dict[str, int] = {}
    for class_id in sorted(names):
        name = names[class_id]
        ids[f"{name} ({class_id})" if name in ids else name] = class_id
    return ids


def named_in_json(path: Path, level: int, report: Report) -> list[tuple[int, str]]:
    """Read the ids and names of the classes of whole objects, or of a level of parts.

    Raises
    ------
    FormatError
        If the file is damaged.
    """
    rows = []
    try:
        for number, one in enumerate(contents(path)["annotation"]["object"]):
            if int(one["parts"]["part_level"]) != level:
                continue
            if int(one["name_ndx"]) > 0:
                rows.append((int(one["name_ndx"]), str(one["name"])))
            else:
                report.skip("object without a class id", f"{path}, object {number}")
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} is not ADE20K JSON: {error}.", argument="path") from error
    return rows


def contents(path: Path) -> dict:
    """Parse a JSON file; older ones are in Latin-1."""
    raw = path.read_bytes()
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return orjson.loads(raw.decode("latin-1"))


def named_in_text(path: Path, level: int) -> list[tuple[int, str]]:
    """Read the numbers and class names of whole objects, or of a level of parts.

    A line is: number # level of part # is it occluded # class # raw name # "attributes".
    """
    rows = []
    for number, line in enumerate(path.read_bytes().decode("latin-1").splitlines(), start=1):
        fields = [field.strip() for field in line.split("#")]
        if not line.strip():
            continue
        if len(fields) < 5 or not fields[0].isdigit() or not fields[1].isdigit():
            raise FormatError(f"Line {number} of {path} describes no object.", argument="path")
        if int(fields[1]) == level:
            rows.append((int(fields[0]), fields[3]))
    return rows


def learn(mask: Path, rows: list[tuple[int, str]], names: dict[int, str], report: Report) -> None:
    """Find the class ids of the objects of one mask, which have only names."""
    found = decode(str(mask))
    numbers, places = np.unique(found.objects, return_index=True)
    ids = dict(zip(numbers.tolist(), found.classes.ravel()[places].tolist(), strict=True))
    for number, name in rows:
        class_id = ids.get(number, 0)
        if class_id > 0:
            names.setdefault(class_id, name)
        else:
            report.skip("object without pixels of a class", f"{mask}, object {number}")


def labels(annotations: Annotations, i: int) -> Labels:
    """Decode the mask of image `i`.

    Raises
    ------
    FormatError
        If it cannot be read.
    DataError
        If it holds class ids that are not known.
    """
    path, reading = annotations.images.mask_files[i], annotations.reading
    known = known_ids(reading) | {0}
    if not reading["benchmark"]:
        found = decode(path)
        check_known(found.classes, known, path)
        return found
    raw, _ = masks.decode(path)
    ids = check_known(masks.whole(raw, path), known, path)
    return Labels(np.where(ids == 0, IGNORE, ids))


def decode(path: str) -> Labels:
    """Decode a *_seg.png.

    Raises
    ------
    FormatError
        If it is not of that kind.
    """
    pixels = masks.decode_colours(path)
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or pixels.dtype != np.uint8:
        raise FormatError(f"{path} is not an RGB image of 8 bits, as ADE20K's masks are.")
    red, green, blue = (pixels[..., channel] for channel in range(3))
    classes = CLASS_OF_RED[red] + green
    used = np.bincount(blue.ravel(), minlength=256) > 0
    used[0] = True
    numbers = (np.cumsum(used) - 1).astype(np.int32)[blue]
    return Labels(classes, np.where(classes > 0, numbers, 0))


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write images, masks and JSON files into a new folder, by split.

    Raises
    ------
    DataError
        If a class has id 0 or one beyond 6655, or two images would have one name.
    """
    check_classes(annotations)

    def save(folder: str) -> None:
        for i, name in each_image(annotations, progress):
            split, inner = split_off(name)
            stem = Path(folder, FOLDERS[split], inner)
            stem.parent.mkdir(parents=True, exist_ok=True)
            save_image(annotations, i, stem, report)
            if options.copy_images:
                copy_image(annotations, i, stem, report)

    folder_atomically(str(path), save)


def check_classes(annotations: Annotations) -> None:
    """Refuse class ids that the colours cannot hold."""
    background = annotations.void()
    for one in annotations.classes:
        if one.id > TOP_CLASS or (one.id == 0 and background != 0):
            raise DataError(
                f'Class "{one.name}" has id {one.id}, and ADE20K holds 1 to {TOP_CLASS}.',
                hint="Give other ids: classes = c(...).",
                argument="classes",
            )


def save_image(annotations: Annotations, i: int, stem: Path, report: Report) -> None:
    """Save the mask and the JSON file of one image."""
    where = annotations.images.files[i]
    found = flat_labels(annotations, i, report)
    refuse_volume(found, where, "ADE20K")
    ids = without_ignore(found.classes, where, report)
    ids = np.where(ids == annotations.void(), 0, ids)
    numbers = np.zeros_like(ids)
    if found.objects is not None:
        numbers = ranks(object_numbers(found, annotations, where))
    beyond = int(numbers.max(initial=0)) - TOP_OBJECT
    if beyond > 0:
        report.change(f"object beyond {TOP_OBJECT} of its image, without number", where, beyond)
        numbers = np.where(numbers > TOP_OBJECT, 0, numbers)
    pixels = np.stack((ids // 256 * 10, ids % 256, numbers), axis=-1).astype(np.uint8)
    masks.save_png(pixels, None, f"{stem}{ENDING}")
    content = description(annotations, ids, numbers, stem.name)
    Path(f"{stem}.json").write_bytes(orjson.dumps(content))


def description(annotations: Annotations, ids: np.ndarray, numbers: np.ndarray, name: str) -> dict:
    """Describe the objects, and the regions without number, as the JSON files do."""
    names = annotations.names()
    pairs = np.unique(np.stack((numbers.ravel(), ids.ravel())), axis=1).T
    objects = [
        {
            "id": number,
            "name": names[class_id],
            "name_ndx": class_id,
            "parts": {"hasparts": [], "ispartof": [], "part_level": 0},
        }
        for number, (_, class_id) in enumerate(p for p in pairs.tolist() if p[1] > 0)
    ]
    return {"annotation": {"filename": name, "imsize": [*ids.shape, 3], "object": objects}}
