"""Cityscapes (https://www.cityscapes-dataset.com): gtFine beside leftImg8bit.

Of each image the best truth is read: instanceIds (class * 1000 + number where single objects are
told apart, else the class, which in a class of things is a group), else labelIds, else the polygons
of the JSON file, drawn by Pillow's rule in their order, the later above, objects "deleted" and
classes without an id left out. Class ids are Cityscapes' own, those that are not evaluated
included; 0 is "unlabeled". Where there are labelTrainIds alone, the classes are the 19 that are
evaluated, with their trainIds as ids, and 255 is ignored.

Written are labelIds, instanceIds (where objects are told apart) and color, with the ids of
Cityscapes' classes of the same names. There is no value for pixels to be ignored: they become 0,
which is not evaluated.
"""

import re
from pathlib import Path, PurePosixPath

import numpy as np

from maskr import masks
from maskr.annotations.cityscapes_classes import BY_NAME, IDS, LABELS, TRAINED, Label
from maskr.annotations.colours import triple
from maskr.annotations.columns import Category, no_objects
from maskr.annotations.folders import (
    Pair,
    files_in,
    first_files,
    no_images,
    split_of,
    table_of,
)
from maskr.annotations.image_writing import copy_image, each_image
from maskr.annotations.label_writing import (
    flat_labels,
    object_numbers,
    refuse_volume,
    renamed,
    replaced,
    without_ignore,
)
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.documents import read_json
from maskr.errors import DataError, FormatError
from maskr.files import folder_atomically
from maskr.images import SUFFIXES, size_of
from maskr.pairs import match_by_keys

TRUTHS = ("gtFine", "gtCoarse")
KINDS = ("instanceIds", "labelIds", "polygons", "labelTrainIds")
"""Kinds of truth, the best first."""

TRUTH = re.compile(rf"^(.+)_(?:gtFine|gtCoarse)_({'|'.join(KINDS)})\.(?:png|json)$")
PER_CLASS = 1000
"""Numbers that one class has for its objects."""


def matches(path: Path) -> bool:
    """Take folders that hold files called *_gtFine_*."""
    return any(TRUTH.match(file.name) for file in first_files(path))


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read the data set's folder, or gtFine or gtCoarse in it.

    Raises
    ------
    FormatError
        If there is no truth or no image.
    DataError
        If images and truth do not match by their names.
    """
    truth = next((path / name for name in TRUTHS if (path / name).is_dir()), path)
    kinds = chosen(truth)
    trained = all(kind == "labelTrainIds" for kind, _ in kinds.values())
    mixed = next((f for kind, f in kinds.values() if kind == "labelTrainIds"), None)
    if mixed is not None and not trained:
        raise FormatError(f"Other images than that of {mixed} have more than labelTrainIds.")
    images = images_of(truth, options.images, kinds)
    files = [file for _, file in kinds.values()]
    found = match_by_keys(list(images.values()), list(images), files, list(kinds))
    pairs = [Pair(image, mask, split_of(mask, truth)) for image, mask in found]
    place, table = table_of(pairs, report, size_of_truth)
    classes = [category(one, trained) for one in (TRAINED if trained else LABELS) if one.id >= 0]
    return Annotations("cityscapes", place, table, no_objects(), classes)


def category(one: Label, trained: bool) -> Category:
    """Make a class with its id, or its trainId."""
    class_id = one.train_id if trained else one.id
    return Category(class_id, one.name, one.category, one.has_instances, one.colour)


def chosen(truth: Path) -> dict[str, tuple[str, Path]]:
    """Choose the best truth of each image: its kind and file by "split/city/name"."""
    best: dict[str, tuple[str, Path]] = {}
    for file in files_in(truth):
        known = TRUTH.match(file.name)
        if not known:
            continue
        key = (file.parent.relative_to(truth) / known.group(1)).as_posix()
        kind = known.group(2)
        if key not in best or KINDS.index(kind) < KINDS.index(best[key][0]):
            best[key] = (kind, file)
    if not best:
        raise FormatError(f"There are no files called *_gtFine_* in {truth}.", argument="path")
    return best


def images_of(truth: Path, images: str | None, kinds: dict) -> dict[str, Path]:
    """Find the images in the folders that have truth, by "split/city/name"."""
    root = Path(images) if images else truth.parent
    inner = ("leftImg8bit", "imgsFine/leftImg8bit", "images")
    places = [root / name for name in inner if (root / name).is_dir()] or [root]
    folders = {PurePosixPath(key).parent for key in kinds}
    found: dict[str, Path] = {}
    for folder in sorted(folders):
        place = places[0] / folder
        for file in sorted(place.iterdir()) if place.is_dir() else []:
            if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
                found[(folder / file.stem.removesuffix("_leftImg8bit")).as_posix()] = file
    if not found:
        raise no_images(f"There are no images of {truth} in {places[0]}.")
    return found


def size_of_truth(path: str) -> tuple[int, int]:
    """Read height and width from the head of a PNG, or from a JSON file."""
    if not path.endswith(".json"):
        return size_of(path)
    content = polygons_of(path)
    return int(content["imgHeight"]), int(content["imgWidth"])


def labels(annotations: Annotations, i: int) -> Labels:
    """Decode the truth of image `i`.

    Raises
    ------
    FormatError
        If it cannot be read, or holds ids that Cityscapes does not have.
    """
    path = annotations.images.mask_files[i]
    kind = TRUTH.match(Path(path).name).group(2)
    if kind == "polygons":
        return drawn(path)
    raw, _ = masks.decode(path)
    ids = masks.whole(raw, path)
    if kind == "labelTrainIds":
        ids[ids == masks.IGNORE_8] = IGNORE
        return Labels(checked(ids, {IGNORE, *(one.train_id for one in TRAINED)}, path))
    if kind == "labelIds":
        return Labels(checked(ids, set(IDS.values()), path))
    single = ids >= PER_CLASS
    classes = np.where(single, ids // PER_CLASS, ids)
    return Labels(checked(classes, set(IDS.values()), path), np.where(single, ids, 0))


def checked(ids: np.ndarray, known: set[int], path: str) -> np.ndarray:
    """Give class ids back if Cityscapes has all of them."""
    fine = np.isin(ids, list(known))
    if fine.all():
        return ids
    strange = np.unique(ids[~fine])[:5].tolist()
    raise FormatError(
        f"{path} holds class ids that Cityscapes does not have: {', '.join(map(str, strange))}.",
        hint='Read it as "masks" with classes = c(...) if these are classes of your own.',
        argument="path",
    )


def polygons_of(path: str) -> dict:
    """Read a JSON file of polygons.

    Raises
    ------
    FormatError
        If it is none.
    """
    content = read_json(Path(path))
    try:
        sizes = (content["imgHeight"], content["imgWidth"])
        fine = all(isinstance(size, int) and size > 0 for size in sizes)
        if fine and isinstance(content["objects"], list):
            return content
    except (KeyError, TypeError) as error:
        raise FormatError(f"{path} is not Cityscapes JSON: {error}.", argument="path") from error
    raise FormatError(f"{path} is not Cityscapes JSON: no sizes or objects.", argument="path")


def drawn(path: str) -> Labels:
    """Draw the polygons of a JSON file as Cityscapes' own programs do."""
    from PIL import Image, ImageDraw

    content = polygons_of(path)
    size = (content["imgWidth"], content["imgHeight"])
    layers = Image.new("I", size), Image.new("I", size)
    draws = [ImageDraw.Draw(layer) for layer in layers]
    counts: dict[int, int] = {}
    for number, one in enumerate(content["objects"], start=1):
        label, points = shape_of(one, f"{path}, object {number}")
        if label is None or label.id < 0:
            continue
        single = label.has_instances and one["label"] == label.name
        count = counts.get(label.id, 0)
        counts[label.id] = count + single
        draws[0].polygon(points, fill=label.id)
        draws[1].polygon(points, fill=label.id * PER_CLASS + count if single else 0)
    classes, objects = (np.array(layer, dtype=np.int32) for layer in layers)
    return Labels(classes, objects)


def shape_of(one: dict, where: str) -> tuple[Label | None, list[tuple[float, float]]]:
    """Take the class of an object, None if it is deleted, and its corners."""
    try:
        name, points = one["label"], [(float(x), float(y)) for x, y in one["polygon"]]
        # a group of objects is called such as "cargroup"
        label = BY_NAME.get(name) or BY_NAME.get(name.removesuffix("group"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{where} lacks a label, or its polygon is damaged.") from error
    if not np.isfinite(points).all() or len(points) < 2:
        raise FormatError(f"{where} has a polygon that cannot be drawn.")
    if one.get("deleted"):
        return None, points
    if label is None:
        raise FormatError(f'{where} is of class "{name}", which Cityscapes does not have.')
    return label, points


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write leftImg8bit and gtFine into a new folder.

    Raises
    ------
    DataError
        If a class is not one of Cityscapes', or an image holds too many objects of one.
    """
    mapping = renamed(annotations, {**IDS, "background": 0}, "Cityscapes", report)

    def save(folder: str) -> None:
        root = Path(folder)
        for i, name in each_image(annotations, progress):
            place = place_of(name)
            truth = root / "gtFine" / place
            truth.parent.mkdir(parents=True, exist_ok=True)
            save_truth(annotations, i, mapping, f"{truth}_gtFine", report)
            if options.copy_images:
                stem = root / "leftImg8bit" / f"{place}_leftImg8bit"
                copy_image(annotations, i, stem, report)

    folder_atomically(str(path), save)


def place_of(name: PurePosixPath) -> PurePosixPath:
    """Give an image's split, city and name; the city is the name's beginning."""
    stem = name.name.removesuffix("_leftImg8bit")
    parts = [part for part in name.parts[:-1] if part not in ("leftImg8bit", "imgsFine")]
    split = parts[0] if parts else "train"
    city = parts[1] if len(parts) > 1 else stem.split("_")[0]
    return PurePosixPath(split, city, *parts[2:], stem)


def save_truth(
    annotations: Annotations, i: int, mapping: dict[int, int], stem: str, report: Report
) -> None:
    """Save labelIds, color, and instanceIds where objects are told apart."""
    where = annotations.images.files[i]
    found = flat_labels(annotations, i, report)
    refuse_volume(found, where, "Cityscapes")
    ids = without_ignore(replaced(found.classes, mapping), where, report)
    masks.save_png(ids.astype(np.uint8), None, f"{stem}_labelIds.png")
    colours = np.array([triple(one.colour) for one in LABELS if one.id >= 0], dtype=np.uint8)
    masks.save_png(colours[ids], None, f"{stem}_color.png")
    if found.objects is not None:
        numbers = object_numbers(found, annotations, where)
        stored = instance_ids(ids, numbers, where)
        masks.save_png(stored.astype(np.uint16), None, f"{stem}_instanceIds.png")


def instance_ids(ids: np.ndarray, numbers: np.ndarray, where: str) -> np.ndarray:
    """Number the objects of each class from 0, in the order of their numbers."""
    stored = ids.copy()
    for class_id in np.unique(ids[numbers > 0]).tolist():
        own = (ids == class_id) & (numbers > 0)
        values, places = np.unique(numbers[own], return_inverse=True)
        if len(values) > PER_CLASS:
            raise DataError(
                f"{where} has {len(values)} objects of class {class_id}, and Cityscapes holds "
                f"{PER_CLASS} of each.",
                argument="x",
            )
        stored[own] = class_id * PER_CLASS + places
    return stored
