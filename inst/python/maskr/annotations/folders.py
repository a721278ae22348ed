"""Finding images and their label images in folders."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from maskr.annotations.columns import Images
from maskr.annotations.report import Report, lines
from maskr.errors import FormatError
from maskr.images import SUFFIXES, size_of
from maskr.pairs import (
    IMAGE_FOLDERS,
    IMAGE_WORDS,
    MASK_FOLDERS,
    MASK_WORDS,
    bare,
    keyed,
    match_by_keys,
)

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of splits by names of folders."""

SEARCHED = 5000
"""Files that are looked at to tell a folder's format."""


@dataclass
class Pair:
    """An image and its label image; `split` as in `SPLITS`, or ""."""

    image: Path
    mask: Path
    split: str = ""


def files_in(folder: Path) -> Iterator[Path]:
    """Walk through a folder's files in the order of their names, hidden ones left out."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def image_files(folder: Path) -> list[Path]:
    """List the image files in a folder and the folders in it."""
    return [path for path in files_in(folder) if path.suffix.lower() in SUFFIXES]


def first_files(folder: Path) -> list[Path]:
    """List the first files of a folder, enough to tell its format."""
    return list(islice(files_in(folder), SEARCHED)) if folder.is_dir() else []


def subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    """Find the first folder in `folder` that is called one of `names`, in any case."""
    known = set(names)
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    return next((path for path in inner if path.name.lower() in known), None)


def split_of(path: Path, root: Path) -> str:
    """Tell the split of a file from the folders between it and `root`."""
    parts = path.relative_to(root).parts[:-1]
    return next((SPLITS[part.lower()] for part in parts if part.lower() in SPLITS), "")


def find_pairs(path: Path, images: str | None) -> list[Pair]:
    """Find the images of label images by their names.

    Parameters
    ----------
    path
        A label image, a folder of them, or a folder that holds one folder of images and one of
        label images, or such pairs of folders for each split.
    images
        Folder of the images, or one image; by default they are looked for beside.

    Raises
    ------
    FormatError
        If there are none.
    DataError
        If names do not match one to one; it lists the first ones.
    """
    if path.is_file():
        beside = Path(images) if images else path.parent
        return [lone_pair(path, beside)]
    if images is None and mask_folder(path) is None:
        splits = [inner for inner in sorted(path.iterdir()) if inner.name.lower() in SPLITS]
        splits = [inner for inner in splits if inner.is_dir() and mask_folder(inner) is not None]
        if splits:
            return [
                Pair(pair.image, pair.mask, SPLITS[inner.name.lower()])
                for inner in splits
                for pair in pairs_of(inner, None)
            ]
    return pairs_of(path, images)


def mask_folder(path: Path) -> Path | None:
    """Find the folder of label images in `path`."""
    return subfolder(path, MASK_FOLDERS)


def pairs_of(path: Path, images: str | None) -> list[Pair]:
    """Pair the files of one folder of images and one of label images."""
    masks = mask_folder(path) or path
    place = Path(images) if images else image_folder(path, masks)
    found = image_files(masks)
    if place == masks:
        if not images:
            return pairs_in_one_folder(masks, found)
        return [Pair(one, one, split_of(one, masks)) for one in found]
    photos = [file for file in image_files(place) if masks not in file.parents]
    return matched(photos, place, found, masks)


def image_folder(path: Path, masks: Path) -> Path:
    """Find the folder of images: in `path`, or beside the label images, else with them."""
    inside = subfolder(path, IMAGE_FOLDERS)
    if inside is not None or masks != path:
        return inside or path
    return subfolder(path.parent, IMAGE_FOLDERS) or path


def lone_pair(mask: Path, place: Path) -> Pair:
    """Find the image of one label image, in a folder or as a file."""
    if place.is_file():
        return Pair(place, mask)
    files = [one for one in sorted(place.iterdir()) if one.suffix.lower() in SUFFIXES]
    others = [one for one in files if one != mask]
    key = bare(mask.stem, MASK_WORDS)
    found = [one for one in others if one.stem == mask.stem]
    found = found or [one for one in others if bare(one.stem, IMAGE_WORDS) == key]
    if len(found) == 1:
        return Pair(found[0], mask)
    raise no_images(f"{len(found) or 'No'} files in {place} have the name of {mask.name}.")


def pairs_in_one_folder(folder: Path, files: list[Path]) -> list[Pair]:
    """Pair images and label images that lie side by side, by the words in their names."""
    stems = {path.with_suffix("") for path in files}
    masks = []
    for path in files:
        key = bare(path.stem, MASK_WORDS)
        if key != path.stem and {path.parent / key, path.parent / f"image_{key}"} & stems:
            masks.append(path)
    if not masks:
        raise no_images(f"There are no images beside the masks in {folder}.")
    taken = set(masks)
    return matched([path for path in files if path not in taken], folder, masks, folder)


def matched(images: list[Path], images_root: Path, masks: list[Path], root: Path) -> list[Pair]:
    """Pair images and label images one to one, by the names of their files and inner folders."""
    if not masks:
        raise FormatError(f"There is no mask image in {root}.", argument="path")
    if not images:
        raise no_images(f"There is no image in {images_root}.")
    plain = keyed(images, images_root, ""), keyed(masks, root, "")
    words = keyed(images, images_root, IMAGE_WORDS), keyed(masks, root, MASK_WORDS)
    best = max((plain, words), key=lambda keys: len(set(keys[0]) & set(keys[1])))
    found = match_by_keys(images, best[0], masks, best[1])
    return [Pair(image, mask, split_of(mask, root)) for image, mask in found]


def no_images(message: str) -> FormatError:
    """Make the error for label images without images."""
    return FormatError(
        message,
        hint="Name the folder of the images: seg_read_annotations(path, images = folder).",
        argument="images",
    )


def table_of(
    pairs: list[Pair], report: Report, measure: Callable[[str], tuple[int, int]] = size_of
) -> tuple[str, Images]:
    """Make the table of images, with the sizes that the heads of the files tell.

    Pairs of different sizes, and files that can't be read, are left out and reported.

    Parameters
    ----------
    measure
        Reads height and width of a mask.

    Returns
    -------
    folder
        What all images lie in.
    images
    """
    folder = common_folder([pair.image for pair in pairs])
    images = Images()
    for pair in pairs:
        try:
            size, other = measure(str(pair.mask)), size_of(str(pair.image))
        except FormatError as error:
            report.skip("file that is not a readable image", error.text)
            continue
        if size != other:
            report.skip("image and mask of different sizes", str(pair.mask))
            continue
        file = Path(os.path.relpath(pair.image, folder)).as_posix()
        images.add(file, *size, mask_file=os.path.abspath(pair.mask), split=pair.split)
    if not len(images):
        reasons = "; ".join(lines(report.skipped))
        raise FormatError(
            f"There is no image with a mask that can be used in {folder}: {reasons}.",
            argument="path",
        )
    return folder, images


def common_folder(files: list[Path]) -> str:
    """Find the folder that all files lie in."""
    return os.path.commonpath([os.path.abspath(file.parent) for file in files])
