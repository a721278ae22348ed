"""One image of a dataset and its truth, decoded."""

from collections.abc import Sequence

import numpy as np

from maskr import images, masks
from maskr.arrays import IGNORE, image_from_r, mask_from_r
from maskr.datasets import volume
from maskr.datasets.spec import DataSpec
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances
from maskr.spec import Spec

UNKNOWN = -2
"""Class index of an id that is no class."""


def decode(
    data: DataSpec, i: int, spec: Spec, table: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Read sample `i`: float32 `[C, H, W]` and int32 `[H, W]`, or `[C, D, H, W]` and `[D, H, W]`.

    Raises
    ------
    ShapeError
        If the image and its mask differ in size.
    DataError
        If the mask holds an id that is no class.
    """
    image = load_image(data.images[i], spec)
    target = class_indices(target_ids(data, i), table, data.names[i])
    if image.shape[1:] != target.shape:
        raise ShapeError(
            f'The image "{data.names[i]}" has size {by_word(image.shape[1:])}, '
            f"and its mask {by_word(target.shape)}.",
            argument="targets",
        )
    return image, target


def by_word(size: Sequence[int]) -> str:
    """Write a size as "5 x 7"."""
    return " x ".join(map(str, size))


def load_image(source: str | dict | np.ndarray, spec: Spec) -> np.ndarray:
    """Read a source as float32 `[C, ...]` with the model's number of channels.

    A source is a path, an R array, a volume `[C, D, H, W]` or a part of one (`datasets.volume`).
    """
    if isinstance(source, str):
        image = images.load(source)
    elif isinstance(source, dict):
        image = volume.load_image(source)
    elif source.ndim == 4:
        image = np.ascontiguousarray(source, dtype=np.float32)
    else:
        image = image_from_r(source)
    return image if spec.in_channels is None else images.fit_channels(image, spec.in_channels)


def target_ids(data: DataSpec, i: int) -> np.ndarray:
    """The class ids of target `i`, whatever it is given as: int32 `[H, W]` with IGNORE.

    Volumes and boxes of them are `[D, H, W]`.
    """
    target = data.targets[i]
    if isinstance(target, str):
        known = [class_id for class_id in data.class_ids or () if class_id >= 0]
        return masks.load(target, data.ignore, data.values, data.explicit_ignore, known)
    if is_part(target):
        return volume.load_ids(target, data.values)
    if isinstance(target, dict):
        found = Instances.from_r(target["columns"], target["size"])
        return np.append(0, found.class_ids)[found.flatten()]
    if isinstance(target, int):
        return data.annotations.labels(target).classes
    return mask_from_r(target)


def is_part(target: object) -> bool:
    """Tell whether a target is a part of a label volume."""
    return isinstance(target, dict) and "volume" in target


def target_objects(data: DataSpec, i: int) -> Instances | None:
    """The objects of target `i`, classes as the targets have them; None for a mask."""
    target = data.targets[i]
    if isinstance(target, dict) and not is_part(target):
        return Instances.from_r(target["columns"], target["size"])
    if isinstance(target, int):
        return data.annotations.instances(target)[0]
    return None


def class_lookup(class_ids: Sequence[int]) -> np.ndarray:
    """A table from class id to class index; ids that are no class map to UNKNOWN."""
    table = np.full(max(class_ids) + 1, UNKNOWN, dtype=np.int32)
    for index, class_id in enumerate(class_ids):
        if class_id >= 0:
            table[class_id] = index
    return table


def class_indices(ids: np.ndarray, table: np.ndarray | None, name: str) -> np.ndarray:
    """Class ids as class indices; IGNORE stays, and all do where there is no table.

    Raises
    ------
    DataError
        If an id is not among the classes.
    """
    if table is None:
        return ids
    known = np.where((ids >= 0) & (ids < len(table)), ids, 0)
    indices = table[known]
    indices[(ids < 0) | (ids >= len(table))] = UNKNOWN
    indices[ids == IGNORE] = IGNORE
    if (indices == UNKNOWN).any():
        unknown = np.unique(ids[indices == UNKNOWN])[:5].tolist()
        expected = np.flatnonzero(table >= 0).tolist()
        raise DataError(
            f'The mask of "{name}" holds the class id {", ".join(map(str, unknown))}; '
            f"the classes have the ids {', '.join(map(str, expected))}.",
            hint="Name every class that the masks hold in `classes`, or set `ignore`.",
            argument="targets",
        )
    return indices
