"""One image of a dataset and its truth, decoded."""

from collections.abc import Sequence

import numpy as np

from maskr import images, masks
from maskr.annotations.table import from_labels
from maskr.arrays import IGNORE, image_from_r, mask_from_r, volume_from_r
from maskr.datasets import volume
from maskr.datasets.spec import DataSpec
from maskr.errors import DataError, MaskrError, ShapeError, images_called, in_image, label
from maskr.instances import Instances
from maskr.units import Window, check_not_scaled, windowed

UNKNOWN = -2
"""Class index of an id that is no class."""


def decode(
    data: DataSpec, i: int, table: np.ndarray | None, window: Window | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read sample `i`: float32 `[C, H, W]` and int32 `[H, W]`, or `[C, D, H, W]` and `[D, H, W]`.

    The image has its own channels, and the target is in class indices. Where the image has missing
    pixels, they are filled by `images.filled()`, and the target is IGNORE. `window` is the model's.

    Raises
    ------
    ShapeError
        If the image and its mask differ in size.
    DataError
        If the mask holds an id that is no class.
    """
    with images_called(data.names), in_image(i + 1, len(data.images)):
        image, missing = read_with_missing(data.images[i], window)
    target = class_indices(target_ids(data, i), table, data.names[i], data.lacking)
    if image.shape[1:] != target.shape:
        raise ShapeError(
            f"Image {label(data.names[i])} has size {by_word(image.shape[1:])}, "
            f"and its mask {by_word(target.shape)}.",
            argument="targets",
        )
    if missing is not None:
        target = np.where(missing, np.int32(IGNORE), target)
    return image, target


def by_word(size: Sequence[int]) -> str:
    """Write a size as "5 x 7"."""
    return " x ".join(map(str, size))


def read_image(source: str | dict | np.ndarray, window: Window | None = None) -> np.ndarray:
    """Read a source as float32 `[C, ...]` with its own channels, missing pixels filled.

    Parameters
    ----------
    source
        A path of an image, an R array, `pixels` that were divided by a `divisor`, or a part of a
        volume (`datasets.volume`).
    window
        The model's: raw values that become 0 and 1. Bare arrays hold raw values, then.

    Raises
    ------
    DataError
        If an array for a window was divided by what isn't known.
    """
    return read_with_missing(source, window)[0]


def read_with_missing(
    source: str | dict | np.ndarray, window: Window | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a source, and where its pixels are missing: as `images.filled()` gives both."""
    return images.filled(read_numbers(source, window))


def read_numbers(source: str | dict | np.ndarray, window: Window | None) -> np.ndarray:
    """Read a source as float32 `[C, ...]`, NaN where a value is missing."""
    if isinstance(source, str):
        image = images.load(source, scale=window is None)
        return image if window is None else windowed(image, window)
    if isinstance(source, dict) and "volume" in source:
        return volume.load_image(source, window)
    pixels, divisor = source, 1
    if isinstance(source, dict):
        pixels, divisor = source["pixels"], source["divisor"]
    image = volume_from_r(pixels) if pixels.ndim == 4 else image_from_r(pixels)
    if window is None:
        return image
    image = image * np.float32(divisor)
    check_not_scaled(image, window)
    return windowed(image, window)


def r_check_image(path: str) -> None:
    """Raise a ShapeError if a file holds several images; other faults may be its own alone."""
    try:
        read_image(path)
    except ShapeError:
        raise
    except MaskrError:
        return


def r_check_samples(fields: dict) -> None:
    """Raise the error of the first sample if not one of those given can be read.

    Parameters
    ----------
    fields
        Of `DataSpec`, with a few samples of a dataset.
    """
    data = DataSpec.from_r(fields)
    table = None if data.class_ids is None else class_lookup(data.class_ids)
    errors: list[MaskrError] = []
    for i in range(len(data.images)):
        try:
            decode(data, i, table)
            return
        except MaskrError as error:
            errors.append(error)
    raise errors[0]


def with_channels(
    image: np.ndarray, in_channels: int | None, what: str = "The image"
) -> np.ndarray:
    """Give an image the number of channels that a model takes; None for any."""
    return image if in_channels is None else images.fit_channels(image, in_channels, what)


def check_dims(image: np.ndarray, dims: int, what: str = "The image") -> None:
    """Raise a ShapeError unless `[C, ...]` is an image (2) or a volume (3), as a model takes it."""
    if image.ndim - 1 == dims:
        return
    if dims == 3:
        raise ShapeError(
            f"{what} has two dimensions ({by_word(image.shape[1:])}), and the model takes volumes.",
            hint='Volumes are images of four dimensions, seg_image(array [D, H, W, C]), and '
            'datasets seg_data_volume(as = "patches").',
            argument="x",
        )
    raise ShapeError(
        f"{what} is a volume of {by_word(image.shape[1:])} voxels, and the model takes 2D images.",
        hint='Take a slice, x[d, , , ], or all as seg_data_volume(as = "slices") does; or build a '
        "model of volumes such as seg_unet3d().",
        argument="x",
    )


def target_ids(data: DataSpec, i: int) -> np.ndarray:
    """The class ids of target `i`, whatever it is given as: int32 `[H, W]` with IGNORE.

    Volumes and boxes of them are `[D, H, W]`.
    """
    target = data.targets[i]
    if isinstance(target, str):
        known = [class_id for class_id in data.class_ids or () if class_id >= 0]
        known += (data.lacking or {}).values()
        return masks.load(target, data.ignore, data.values, data.explicit_ignore, known)
    if is_part(target):
        return volume.load_ids(target, data.values)
    if isinstance(target, dict):
        found = Instances.from_r(target["columns"], target["size"])
        return np.append(0, found.class_ids)[found.flatten()]
    if isinstance(target, int):
        return data.annotations.labels(target).classes
    return mask_from_r(target, f"The mask of image {label(data.names[i])}")


def is_part(target: object) -> bool:
    """Tell whether a target is a part of a label volume."""
    return isinstance(target, dict) and "volume" in target


def target_objects(data: DataSpec, i: int) -> Instances | None:
    """The objects of target `i`, without crowds, classes as the targets have them.

    None for a mask of classes and for volumes.
    """
    target = data.targets[i] if data.objects is None else data.objects[i]
    if isinstance(target, dict) and not is_part(target):
        return Instances.from_r(target["columns"], target["size"])
    if not isinstance(target, int):
        return None
    annotations = data.annotations
    if annotations.images.mask_files[target]:
        labels = annotations.labels(target)
        if labels.objects is None or labels.objects.ndim != 2:
            return None
        return from_labels(labels, annotations.things())[0]
    return annotations.instances(target, crowds=False)[0]


def class_lookup(class_ids: Sequence[int]) -> np.ndarray:
    """A table from class id to class index.

    Ids that are no class map to UNKNOWN. The last entry is that of IGNORE, which counts from the
    end.
    """
    table = np.full(max(class_ids) + 2, UNKNOWN, dtype=np.int32)
    table[IGNORE] = IGNORE
    for index, class_id in enumerate(class_ids):
        if class_id >= 0:
            table[class_id] = index
    return table


def class_indices(
    ids: np.ndarray, table: np.ndarray | None, name: str, lacking: dict[str, int] | None = None
) -> np.ndarray:
    """Class ids as class indices; IGNORE stays, and all do where there is no table.

    Parameters
    ----------
    lacking
        Classes that the model lacks, as `DataSpec` has them.

    Raises
    ------
    DataError
        If an id is not among the classes.
    """
    if table is None or ids.size == 0:
        return ids
    inside = ids.min() >= IGNORE and ids.max() < len(table) - 1
    indices = np.take(table, ids, mode="wrap") if inside else np.full_like(ids, UNKNOWN)
    if not inside or indices.min() == UNKNOWN:
        expected = np.flatnonzero(table >= 0).tolist()
        unknown = np.setdiff1d(ids, [*expected, IGNORE])[:5].tolist()
        held = [f'"{one}"' for one, class_id in (lacking or {}).items() if class_id in ids]
        if held:
            raise DataError(
                f"The mask of image {label(name)} holds pixels of {', '.join(held)}, which the "
                "model lacks.",
                hint="Build a model that has all classes; they are matched by name.",
                argument="targets",
            )
        raise DataError(
            f"The mask of image {label(name)} holds the class id {', '.join(map(str, unknown))}; "
            f"the classes have the ids {', '.join(map(str, expected))}.",
            hint=masks.binary_hint(unknown)
            or "Name every class that the masks hold in `classes`, or set `ignore`.",
            argument="targets",
        )
    return indices
