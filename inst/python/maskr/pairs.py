"""Images and their masks, matched by the names of their files."""

import re
from collections import Counter
from pathlib import Path

from maskr.errors import DataError

IMAGE_WORDS = "images?|img|im|raw|rgb|photo|input"

MASK_WORDS = (
    "masks?|labels?|lab|gt|l|ground_?truths?|truth|segs?|segm|segmentations?|annotations?|annot|"
    "anno|targets?|manual|gt_mask|gt_label"
)

IMAGE_FOLDERS = {
    "image", "images", "img", "imgs", "input", "inputs", "jpegimages", "raw",
}  # fmt: skip
MASK_FOLDERS = {
    "annotation", "annotations", "ground_truth", "groundtruth", "gt", "label", "labels", "mask",
    "masks", "segmentation", "segmentations",
}  # fmt: skip


def bare(stem: str, words: str) -> str:
    """Take words that tell images from masks off a file's stem: "gt_7" and "7_mask" are "7"."""
    stem = re.sub(rf"^(?:(?:{words})(?:[_. -]+|(?=\d)))+", "", stem, flags=re.IGNORECASE)
    return re.sub(rf"(?:(?:[_. -]+|(?<=\d))(?:{words}))+$", "", stem, flags=re.IGNORECASE)


def keyed(files: list[Path], root: Path, words: str) -> list[str]:
    """Make the names that files are matched by: inner folders and stem, without `words`."""
    inner = [path.relative_to(root).with_suffix("") for path in files]
    if not words:
        return [path.as_posix() for path in inner]
    return [(path.parent / bare(path.name, words)).as_posix() for path in inner]


def match_by_keys(
    images: list[Path], image_keys: list[str], masks: list[Path], mask_keys: list[str]
) -> list[tuple[Path, Path]]:
    """Pair images and masks whose keys are equal, in the order of the masks.

    Raises
    ------
    DataError
        If that is not one to one; it lists the first ones.
    """
    if not one_to_one(image_keys, mask_keys):
        raise no_match(images, masks, image_keys, mask_keys)
    places = dict(zip(image_keys, images, strict=True))
    return [(places[key], mask) for key, mask in zip(mask_keys, masks, strict=True)]


def one_to_one(a: list[str], b: list[str]) -> bool:
    """Tell whether two lists hold the same names, each once."""
    return len(set(a)) == len(a) == len(b) and set(a) == set(b)


def no_match(
    images: list[Path], masks: list[Path], image_keys: list[str], mask_keys: list[str]
) -> DataError:
    """Make the error that lists the first files without partner."""
    lonely = {
        "images without a mask": without(images, image_keys, mask_keys),
        "masks without an image": without(masks, mask_keys, image_keys),
    }
    said = [
        f"{len(files)} {kind} ({', '.join(file.name for file in files[:3])}"
        f"{', ...' if len(files) > 3 else ''})"
        for kind, files in lonely.items()
        if files
    ]
    return DataError(
        f"Images and masks do not match one to one by their names: {' and '.join(said)}.",
        hint="A mask has its image's name, which may end in a word such as _mask, or begin with "
        "one such as gt_.",
        argument="images",
    )


def without(files: list[Path], keys: list[str], others: list[str]) -> list[Path]:
    """Choose the files whose key is not among `others`, or is not theirs alone."""
    known, counts, partners = set(others), Counter(keys), Counter(others)
    return [
        file
        for file, key in zip(files, keys, strict=True)
        if key not in known or counts[key] > 1 or partners[key] > 1
    ]
