"""One sample of a dataset, looked at without trust: what it is like, and what is wrong with it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from maskr.arrays import IGNORE
from maskr.datasets.samples import by_word, read_with_missing, target_ids, target_objects
from maskr.datasets.spec import DataSpec
from maskr.datasets.statistics import tally
from maskr.errors import MaskrError
from maskr.images import is_grey, is_opaque
from maskr.masks import binary_top
from maskr.units import is_raw, is_scaled
from maskr.words import counted

T = TypeVar("T")

SHOWN = 3
"""How many ids a message lists."""
OBJECT_NUMBERS = 5
"""So many ids that are no classes, in a row from 1, look like numbers of objects."""
PARTS = 10
"""An object in so many separate parts looks like a class."""
GRID = 16
"""Squares a side of the thumbnail that tells whether images look alike."""


@dataclass
class Probe:
    """What one image and its truth are like; None where they couldn't be read.

    Attributes
    ----------
    name, file
        What to call the sample, and its file (the name again for images in memory).
    problems
        (severity, check, message) of whatever is wrong with this sample alone.
    size, channels, grey
        Of the image; `grey`: are its three channels equal?
    largest, raw
        The image's largest value; whether its values are raw rather than fractions of a type's
        maximum, None where they could be either.
    content
        Digest of the image's pixels.
    look
        float16 `[2 * GRID * GRID]` of length 1: the slopes of its thumbnail.
    pixels, truth
        Of the target: pixels of each id (with IGNORE), and a digest.
    """

    name: str
    file: str
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    size: tuple[int, ...] | None = None
    channels: int = 0
    grey: bool = False
    largest: float = 0.0
    raw: bool | None = None
    content: bytes | None = None
    look: np.ndarray | None = None
    pixels: dict[int, int] | None = None
    truth: bytes | None = None


def probe(data: DataSpec, i: int, background: int | None) -> Probe:
    """Look at sample `i`; whatever goes wrong with it becomes one of its problems.

    Parameters
    ----------
    background
        The class id that holds nothing to be found, or None.
    """
    source = data.images[i]
    file = source if isinstance(source, str) else data.names[i]
    found = Probe(data.names[i], file)
    image, missing = attempt(found, "image", source, lambda: read_with_missing(source)) or (
        None,
        None,
    )
    ids = attempt(found, "mask", data.targets[i], lambda: target_ids(data, i))
    if image is not None:
        describe(found, image)
    if missing is not None:
        judge_missing(found, missing)
    if ids is not None:
        found.pixels = tally(ids)
        found.truth = digest(ids)
        judge_ids(found, data, isinstance(data.targets[i], np.ndarray), background)
        judge_objects(found, data, i)
    if image is not None and ids is not None and ids.shape != image.shape[1:]:
        judge_sizes(found, image.shape[1:], ids.shape)
    return found


def attempt(found: Probe, check: str, source: object, read: Callable[[], T]) -> T | None:
    """Read something from `source`; an error is noted, and None comes back."""
    try:
        return read()
    except MaskrError as error:
        kept = f"{error.text} {error.hint}".strip()
    # a check that stops at the worst file is of no use
    except Exception as error:
        kept = f"It cannot be read: {error or type(error).__name__}"
    if isinstance(source, str):
        kept = kept.replace(source, Path(source).name)
    note(found, "error", check, kept)
    return None


def describe(found: Probe, image: np.ndarray) -> None:
    """Note what the image `[C, ...]` is like."""
    if len(image) in (2, 4) and is_opaque(image[-1]):
        image = image[:-1]
    found.size = image.shape[1:]
    found.channels = len(image)
    found.grey = is_grey(image)
    found.largest = float(image.max())
    found.raw = True if is_raw(image) else False if is_scaled(image) else None
    found.content = digest(image)
    if image.ndim == 3:
        found.look = look_of(image)


def judge_missing(found: Probe, missing: np.ndarray) -> None:
    """Note pixels of the image without a value."""
    n = int(missing.sum())
    share = "all of it" if n == missing.size else f"{100 * n / missing.size:.1f} %"
    lacks = f"Its image lacks {counted(n, 'pixel')} ({share})."
    message = f"{lacks} They are filled, and ignored in its mask."
    note(found, "warning", "missing", message)


def digest(pixels: np.ndarray) -> bytes:
    """Give 16 bytes that only equal arrays of equal size share."""
    code = hashlib.blake2b(repr((pixels.shape, pixels.dtype.str)).encode(), digest_size=16)
    code.update(np.ascontiguousarray(pixels))
    return code.digest()


def look_of(image: np.ndarray) -> np.ndarray | None:
    """Give the slopes of a thumbnail of `[C, H, W]`; None for an image without any.

    Copies that were halved, compressed (JPEG, quality 50) or brightened (gamma 0.7) have nearly the
    same slopes, different images not: over CamVid, COCO and BBBC038 the cosine of a copy was at
    least 0.98, that of different images, neighbouring frames of a video too, at most 0.92.
    """
    import cv2

    small = cv2.resize(image.mean(axis=0), (GRID + 1, GRID + 1), interpolation=cv2.INTER_AREA)
    slopes = np.stack([small[:-1, 1:] - small[:-1, :-1], small[1:, :-1] - small[:-1, :-1]]).ravel()
    length = np.linalg.norm(slopes)
    return (slopes / length).astype(np.float16) if length > 0 else None


def judge_ids(found: Probe, data: DataSpec, in_memory: bool, background: int | None) -> None:
    """Note ids that are no classes, and masks without anything to be found."""
    ids = set(found.pixels) - {IGNORE}
    classes = set(data.class_ids or ())
    unknown = sorted(ids - classes) if classes else []
    if not ids:
        note(found, "warning", "ignored", "Every pixel of its mask is ignored.")
    elif ids == {background}:
        note(found, "note", "empty", "Its mask holds only background.")
    elif in_memory and (top := binary_top(np.array(sorted(ids)), None)) and top not in classes:
        note(
            found,
            "error",
            "values",
            f"Its mask holds only 0 and {top}. If {top} is the object, write mask / {top}; if it is"
            " to be left out, NA.",
        )
    elif is_numbering(unknown if data.class_ids else sorted(ids - {0})):
        note(
            found,
            "error" if data.class_ids else "warning",
            "object numbers",
            f"Its mask holds the numbers up to {max(ids)}, like a label image of objects. "
            "seg_read_instances() reads those.",
        )
    elif unknown:
        words = [f"{one} ({found.pixels[one]} pixels)" for one in unknown[:SHOWN]]
        words += ["..."] if len(unknown) > SHOWN else []
        message = f"Its mask holds {', '.join(words)}, no class of the dataset."
        note(found, "error", "class ids", message)


def is_numbering(ids: list[int]) -> bool:
    """Tell whether ids are many and without a gap, as numbers of objects are."""
    return len(ids) >= OBJECT_NUMBERS and ids[0] <= OBJECT_NUMBERS and ids[-1] - ids[0] < len(ids)


def judge_objects(found: Probe, data: DataSpec, i: int) -> None:
    """Note objects of many parts, which arise when a mask of classes is read as a label image."""
    objects = target_objects(data, i) if isinstance(data.targets[i], dict) else None
    if objects is None:
        return
    import cv2

    for number, (_, _, mask) in enumerate(objects.crops(), start=1):
        parts = cv2.connectedComponents(mask.astype(np.uint8))[0] - 1
        if parts >= PARTS:
            note(
                found,
                "warning",
                "parts",
                f"Its object {number} has {parts} separate parts: is it a class rather than an "
                "object?",
            )
            return


def judge_sizes(found: Probe, image: tuple[int, ...], mask: tuple[int, ...]) -> None:
    """Note an image and a mask of different size."""
    turned = ": it seems to be transposed" if image == mask[::-1] else ""
    note(
        found,
        "error",
        "size",
        f"The image has size {by_word(image)}, and its mask {by_word(mask)}{turned}.",
    )


def note(found: Probe, severity: str, check: str, message: str) -> None:
    """Add a problem."""
    found.problems.append((severity, check, message))
