"""Stanford 2D-3D-S (https://github.com/alexsax/2D-3D-Semantics): images of six office areas.

`area_1` to `area_6` (the fifth as `area_5a` and `area_5b`) hold `data/` (views) and `pano/`
(panoramas), each with `rgb/*_rgb.png` and `semantic/*_semantic.png`. A semantic image's pixel is
the number R * 65536 + G * 256 + B, counted from 0, of a name in `assets/semantic_labels.json`, such
as "beam_6_hallway_1_1": class, object, kind and number of the room, area. "<UNK>", and numbers
beyond the list (#0D0D0D stands for missing data), are ignored.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from maskr.annotations.colours import packed
from maskr.annotations.columns import Category, Images, no_objects
from maskr.annotations.options import ReadOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.documents import read_json
from maskr.errors import FileError, FormatError
from maskr.images import size_of
from maskr.masks import decode_colours

STRUCTURE = ("ceiling", "floor", "wall", "beam", "column", "window", "door")
MOVABLE = ("table", "chair", "sofa", "bookcase", "board", "clutter")
STUFF = {"wall", "floor", "ceiling"}
UNKNOWN = "<UNK>"

NAMES = ("assets/semantic_labels.json", "semantic_labels.json")
KINDS = ("data", "pano")


def matches(path: Path) -> bool:
    """Tell whether a folder holds areas of the dataset."""
    return path.is_dir() and any(
        (area / kind / "semantic").is_dir() for area in areas_in(path) for kind in KINDS
    )


def areas_in(path: Path) -> list[Path]:
    """List the folders of areas; an area's own folder is one itself."""
    areas = sorted(area for area in path.glob("area_*") if area.is_dir())
    return areas or [path]


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read the dataset's folder, or that of one area; views and panoramas alike.

    Raises
    ------
    FormatError
        If there is no image, one without its semantic image, or no list of names.
    """
    path = Path(os.path.abspath(path))
    names = names_file(path)
    ids = options.classes or {name: i for i, name in enumerate((*STRUCTURE, *MOVABLE), start=1)}
    class_table(str(names), tuple(ids.items()))
    images = Images()
    for area in areas_in(path):
        for kind in KINDS:
            add_images(images, path, area, kind)
    if len(images) == 0:
        raise FormatError(
            f"{path} holds no image of Stanford 2D-3D-S.",
            hint="It should hold area_1/data/rgb/*_rgb.png and area_1/data/semantic/, and so on.",
            argument="path",
        )
    classes = [
        Category(i, name, "structure" if name in STRUCTURE else "movable", name not in STUFF)
        for name, i in ids.items()
    ]
    reading = {"names": str(names), "ids": dict(ids)}
    return Annotations("s3dis2d", str(path), images, no_objects(), classes, reading)


def labels(annotations: Annotations, i: int) -> Labels:
    """Read the semantic image of image `i`; an object's number is that of its name in the list."""
    file = annotations.images.mask_files[i]
    pixels = decode_colours(file)
    if pixels.shape[-1] not in (3, 4) or pixels.dtype != np.uint8:
        raise FormatError(f"{file} is not a semantic image of Stanford 2D-3D-S: they are RGB PNGs.")
    numbers = packed(pixels)
    ids = class_table(annotations.reading["names"], tuple(annotations.reading["ids"].items()))
    classes = ids[np.minimum(numbers, len(ids) - 1)]
    return Labels(classes, np.where(classes == IGNORE, 0, numbers))


def names_file(path: Path) -> Path:
    """Find the list of names beside or above the areas."""
    places = [place / name for place in (path, *list(path.parents)[:2]) for name in NAMES]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise FormatError(
            f"{path} lacks {NAMES[0]}, which tells what the numbers in semantic images mean.",
            hint="Take it from https://github.com/alexsax/2D-3D-Semantics, folder assets.",
            argument="path",
        )
    return found


# Read once, not once an image: it names ten thousand objects.
@lru_cache(maxsize=4)
def class_table(names: str, ids: tuple[tuple[str, int], ...]) -> np.ndarray:
    """Give the class id of each number; the last stands for all numbers beyond the list."""
    objects = read_json(Path(names))
    try:
        classes = [name.split("_")[0] for name in objects]
    except (AttributeError, TypeError) as error:
        raise FormatError(f"{names} is not a list of names such as beam_6_hallway_1_1.") from error
    table = np.array([dict(ids).get(name, IGNORE) for name in classes] + [IGNORE], dtype=np.int32)
    strange = set(classes) - {UNKNOWN, *STRUCTURE, *MOVABLE}
    if strange:
        raise FormatError(f"{names} names classes that are not known: {sorted(strange)[:5]}.")
    return table


def add_images(images: Images, path: Path, area: Path, kind: str) -> None:
    """Append the images of one kind in one area."""
    folder = area / kind / "semantic"
    for photograph in sorted((area / kind / "rgb").glob("*_rgb.png")):
        mask_file = folder / f"{photograph.name.removesuffix('rgb.png')}semantic.png"
        if not mask_file.is_file():
            raise FileError(
                f"{photograph} has no semantic image: {mask_file} does not exist.", argument="path"
            )
        images.add(
            photograph.relative_to(path).as_posix(),
            *size_of(str(mask_file)),
            mask_file=str(mask_file),
            split=area.name,
        )
