"""Steps that hide parts of an image or put parts of others in."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from maskr.augment.draws import Range, pick, pick_log, pick_start, pick_whole
from maskr.augment.geometry import cut, flip_horizontal
from maskr.augment.sample import HIDDEN, Sample, levels_of
from maskr.datasets.resize import scale_image, scale_labels
from maskr.errors import DataError
from maskr.images import fit_channels

Others = Callable[[np.random.Generator], Sample]
"""Draws another sample, as it was before any step."""


def cutout(sample: Sample, rng: np.random.Generator, holes: Range, size: Range) -> Sample:
    """Hide rectangles; `size` is a share of the height and of the width, drawn for each.

    DeVries & Taylor 2017, https://arxiv.org/abs/1708.04552. What nobody can see is ignored.
    """
    labels = sample.labels.copy()
    for _ in range(pick_whole(rng, holes)):
        inner = [max(1, round(n * pick(rng, size))) for n in sample.size]
        top, left = (pick_start(rng, n - m) for n, m in zip(sample.size, inner, strict=True))
        hole = labels[:, top : top + inner[0], left : left + inner[1]]
        hole[0], hole[1:] = HIDDEN, 0
    return replace(sample, labels=labels)


def mosaic(sample: Sample, rng: np.random.Generator, others: Others, scale: Range) -> Sample:
    """Lay the image and three others into the quarters of one, which meet at a random point.

    Each is scaled by a factor of its own, enough to fill its quarter, and cut at a random place.
    Bochkovskiy et al. 2020, https://arxiv.org/abs/2004.10934.
    """
    middle = [max(1, round(n * pick(rng, (0.3, 0.7)))) for n in sample.size]
    rows, columns = ((slice(0, m), slice(m, n)) for m, n in zip(middle, sample.size, strict=True))
    places = [(row, column) for row in rows for column in columns]
    tiles = [sample, *(alike(others(rng), sample) for _ in range(3))]
    sizes = [tuple(side.stop - side.start for side in place) for place in places]
    tiles = [tile_of(one, rng, size, scale) for one, size in zip(tiles, sizes, strict=True)]

    planes = max(len(tile.labels) for tile in tiles)
    image = np.empty_like(sample.image)
    labels = np.zeros((planes, *sample.size), dtype=np.int32)
    known = 0
    for tile, place in zip(tiles, places, strict=True):
        image[:, place[0], place[1]] = tile.image
        labels[: len(tile.labels), place[0], place[1]] = tile.labels
        numbers = labels[1:, place[0], place[1]]
        numbers[numbers > 0] += known
        known += len(tile.classes)
    classes = np.concatenate([tile.classes for tile in tiles])
    limits = (min(t.limits[0] for t in tiles), max(t.limits[1] for t in tiles))
    return Sample(image, labels, classes, limits, levels_of(image))


def alike(donor: Sample, sample: Sample) -> Sample:
    """The donor with as many channels as the sample; colours become their mean where it is grey.

    Only needed where no model has settled the number of channels.
    """
    if len(sample.image) == len(donor.image):
        return donor
    if len(sample.image) == 1:
        image = donor.image[:3].mean(axis=0, keepdims=True)
    else:
        image = fit_channels(donor.image, len(sample.image))
    return replace(donor, image=image, levels=levels_of(image))


def tile_of(
    sample: Sample, rng: np.random.Generator, size: tuple[int, ...], scale: Range
) -> Sample:
    """Scale a sample, at least so that it covers `size`, and cut that out of it."""
    covering = max(want / have for want, have in zip(size, sample.size, strict=True))
    return cut(scaled(sample, max(covering, pick_log(rng, scale)), size), rng, list(size))


def scaled(sample: Sample, factor: float, least: tuple[int, ...] = (1, 1)) -> Sample:
    """Scale by a factor, to no less than a size."""
    size = tuple(max(m, round(n * factor)) for m, n in zip(least, sample.size, strict=True))
    if size == sample.size:
        return sample
    labels = np.stack([scale_labels(plane, size) for plane in sample.labels])
    return replace(sample, image=scale_image(sample.image, size), labels=labels)


def copy_paste(
    sample: Sample, rng: np.random.Generator, others: Others, share: Range, scale: Range
) -> Sample:
    """Put objects of another image on top, each at a place of its own.

    That image is flipped half of the time and scaled; `share` is how many of its objects are
    pasted, without what lies under other objects, of which the later is on top. What they cover is
    hidden, and so are objects that are covered as a whole. Ghiasi et al. 2021,
    https://arxiv.org/abs/2012.07177.
    """
    check_objects(sample)
    donor = alike(others(rng), sample)
    if rng.random() < 0.5:
        donor = flip_horizontal(donor, rng)
    donor = scaled(donor, pick_log(rng, scale))
    owner = donor.labels[1:].max(axis=0)
    numbers = np.unique(owner)
    numbers = rng.permutation(numbers[numbers > 0])
    chosen = numbers[: round(len(numbers) * pick(rng, share))]
    result = replace(
        sample,
        image=sample.image.copy(),
        labels=sample.labels.copy(),
        classes=np.concatenate((sample.classes, donor.classes[chosen - 1])),
    )
    for new, number in enumerate(chosen, start=len(sample.classes) + 1):
        paste(result, donor.image, owner == number, new, rng)
    return result


def paste(
    onto: Sample, image: np.ndarray, mask: np.ndarray, new: int, rng: np.random.Generator
) -> None:
    """Put the pixels `mask` of an image onto a sample as object `new`, in place."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    mask, pixels = mask[box], image[(slice(None), *box)]
    # one that is larger than the image loses its bottom and right
    mask = mask[: onto.size[0], : onto.size[1]]
    pixels = pixels[:, : onto.size[0], : onto.size[1]]
    top, left = (pick_start(rng, n - m) for n, m in zip(onto.size, mask.shape, strict=True))
    window = np.s_[:, top : top + mask.shape[0], left : left + mask.shape[1]]
    onto.image[window][:, mask] = pixels[:, mask]
    onto.labels[window][:, mask] = 0
    onto.labels[window][0, mask] = onto.classes[new - 1]
    onto.labels[window][1, mask] = new


def check_objects(sample: Sample) -> None:
    """Raise a DataError where objects are not told apart."""
    if len(sample.labels) == 1:
        raise DataError(
            "The step copy_paste needs objects, and a mask of classes does not tell them apart.",
            hint="Give seg_instances or annotations as `targets`, or leave the step out.",
            argument="augment",
        )
