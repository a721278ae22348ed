"""What COCO's files have in common: images, categories, and where things lie."""

import mmap
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from maskr.annotations.colours import hexadecimal, triple
from maskr.annotations.columns import Category, Images
from maskr.annotations.image_names import base_name, find_image, is_absolute, relative
from maskr.annotations.json_records import NUMBERS, Records
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import FormatError
from maskr.images import size_of

LARGEST = 2**31 - 1
PIXELS = 2**32
"""Run lengths of COCO's library count up to here."""


def the_file(path: Path, patterns: Sequence[str]) -> Path:
    """Give the file itself, or the one file of a folder.

    Raises
    ------
    FormatError
        If the folder holds none, or several.
    """
    if not path.is_dir():
        return path
    found = files_of(path, patterns)
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(one.relative_to(path)) for one in found)
    raise FormatError(
        f"{path} holds several such files: {names}."
        if found
        else f"{path} holds none of these files: {', '.join(patterns)}.",
        hint="Name one file." if found else "Name the file itself.",
        argument="path",
    )


def files_of(path: Path, patterns: Sequence[str]) -> list[Path]:
    """List the files of a folder by the first pattern that some have."""
    found = (sorted(path.glob(pattern)) for pattern in patterns)
    return next(filter(None, found), [])


def mentions(path: Path, words: Iterable[bytes], start: bytes) -> bool:
    """Tell whether a JSON file begins with the bracket `start` and holds all words in quotes."""
    if not path.is_file() or path.suffix.lower() != ".json" or path.stat().st_size == 0:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        head = text[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
        return head.startswith(start) and all(text.find(b'"%b"' % word) >= 0 for word in words)


def read_images(content: dict, file: Path, folder: str | None) -> tuple[Images, str]:
    """Read the table of images, and find their folder.

    Parameters
    ----------
    folder
        Where the images are; None looks for them around the file.

    Raises
    ------
    FormatError
        If a record lacks its id or name, repeats an id, or leads out of the folder.
    """
    records = Records.of(content.get("images"), "images", file.name)
    ids = records.whole("id")
    records.check_unique("id", ids)
    names = records.texts("file_name")
    found = folder or image_folder(file, names)
    place = Path(found or file.parent)
    names = [inside(name, place, records, i) for i, name in enumerate(names)]
    sizes = np.stack([size_column(records, key) for key in ("height", "width")])
    too_large = np.flatnonzero(sizes.prod(axis=0) >= PIXELS)
    if too_large.size:
        height, width = sizes[:, too_large[0]]
        raise records.error(int(too_large[0]), f"claims to have {height} x {width} pixels")
    for i in np.flatnonzero(sizes.min(axis=0) == 0) if found else ():
        place = Path(found) / names[i]
        sizes[:, i] = size_of(str(place)) if place.is_file() else 0
    n = len(names)
    empty = ([""] * n, [""] * n)
    return Images(ids.tolist(), names, *sizes.tolist(), *empty), found


def inside(name: str, folder: Path, records: Records, i: int) -> str:
    """Give the name that an image has in its folder, where absolute paths are looked for."""
    if is_absolute(name):
        return find_image([name], folder, records.where(i))
    return relative(name, folder, records.where(i))


def size_column(records: Records, key: str) -> np.ndarray:
    """Take heights or widths; 0 where they are missing."""
    values = [value or 0 for value in records.optional(key)]
    sizes = records.whole(key, values, least=0)
    if sizes.max(initial=0) > LARGEST:
        i = int(sizes.argmax())
        raise records.error(i, f"has the {key} {sizes[i]}")
    return sizes


def image_folder(file: Path, names: list[str]) -> str:
    """Look for the first image where COCO's layouts put it; "" if it is nowhere."""
    near, above = file.parent, file.parent.parent
    split = file.stem.rpartition("_")[2]
    places = [near, near / "images", near / split, above / split, above / "images" / split]
    if not names:
        return ""
    first = base_name(names[0]) if is_absolute(names[0]) else names[0]
    found = (place for place in [*places, above / "images", above] if (place / first).is_file())
    return str(next(found, ""))


def read_categories(content: dict, file: Path, report: Report) -> list[Category]:
    """Read the classes.

    A class without objects that has the name of another is left out, since tools write such ones.

    Raises
    ------
    FormatError
        If a record lacks its id or name, or repeats one.
    """
    records = Records.of(content.get("categories"), "categories", file.name)
    ids = records.whole("id", least=0)
    records.check_unique("id", ids)
    if ids.max(initial=0) > LARGEST:
        raise records.error(int(ids.argmax()), f"has the id {ids.max()}")
    groups = records.texts("supercategory", [g or "" for g in records.optional("supercategory")])
    names, things = records.texts("name"), records.flags("isthing", True)
    colours = read_colours(records, report)
    columns = zip(ids.tolist(), names, groups, things.tolist(), colours, strict=True)
    return [Category(*one) for one in columns]


def read_colours(records: Records, report: Report) -> list[str]:
    """Write each class's [R, G, B] as "#RRGGBB"; "" where it has none."""
    texts = []
    for i, colour in enumerate(records.optional("color")):
        good = isinstance(colour, list) and len(colour) == 3 and set(map(type, colour)) <= NUMBERS
        good = good and min(colour) >= 0 and max(colour) <= 255
        texts.append(hexadecimal(*colour) if good else "")
        if colour is not None and not good:
            report.skip("colour that is not three numbers from 0 to 255", records.where(i))
    return texts


def distinct(classes: list[Category], used: set[int], file: Path, report: Report) -> list[Category]:
    """Leave out classes without objects that have the name of another.

    Raises
    ------
    FormatError
        If two classes of one name have objects.
    """
    kept: dict[str, Category] = {}
    for one in sorted(classes, key=lambda one: one.id not in used):
        other = kept.setdefault(one.name, one)
        if other is one:
            continue
        where = f'"categories" of {file.name}, ids {other.id} and {one.id}'
        if one.id in used:
            raise FormatError(
                f'Two classes with objects have the name "{one.name}": {where}.',
                hint="Give one of them another name.",
                argument="path",
            )
        report.skip("class without objects that has the name of another", where)
    return [one for one in classes if kept[one.name] is one]


def image_rows(annotations: Annotations) -> list[dict]:
    """Write the table of images; sizes that are not known are left out."""
    take = annotations.images
    columns = zip(take.ids, take.files, take.heights, take.widths, strict=True)
    return [
        {"id": int(number), "file_name": name}
        | ({"height": int(height), "width": int(width)} if min(height, width) > 0 else {})
        for number, name, height, width in columns
    ]


def category_rows(annotations: Annotations, with_kind: bool) -> list[dict]:
    """Write the classes; `with_kind` tells things from stuff."""
    return [
        {"id": int(one.id), "name": one.name, "supercategory": one.supercategory}
        | ({"isthing": int(one.isthing)} if with_kind else {})
        | ({"color": triple(one.colour[:7])} if one.colour else {})
        for one in annotations.classes
    ]


def report_splits(annotations: Annotations, report: Report) -> None:
    """Count the images whose split COCO would tell by separate files."""
    named = [i for i, split in enumerate(annotations.images.splits) if split]
    if len({annotations.images.splits[i] for i in named}) > 1:
        report.change(
            "image whose split is not written", annotations.images.files[named[0]], len(named)
        )
