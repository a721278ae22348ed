"""Samples for looking at, as a model would see them."""

from collections.abc import Sequence

import numpy as np

from maskr.arrays import IGNORE, array_to_r, mask_to_r
from maskr.datasets.loader import Loader
from maskr.datasets.spec import DataSpec
from maskr.instances import Instances
from maskr.spec import Spec


def preview(data: dict, which: Sequence[int]) -> list[dict]:
    """Prepare samples for R: read, augmented and resized.

    Parameters
    ----------
    data
        The fields of `DataSpec`.
    which
        Numbers of the samples, from 0.

    Returns
    -------
    list of dict
        `image`: float64 `[H, W, C]` or `[D, H, W, C]`; `mask`: int32 `[H, W]` or `[D, H, W]` of
        class ids; `objects`: None, or the `columns` and `size` of a `seg_instances`.
    """
    spec = DataSpec.from_r(data)
    found = []
    with Loader(spec, Spec("none", in_channels=None), objects=True) as loader:
        for place, i in enumerate(which):
            image, target, objects = loader.sample(int(i), place)
            pixels = array_to_r(np.moveaxis(image, 0, -1), np.float64)
            mask = mask_to_r(ids_of(target, spec))
            found.append({"image": pixels, "mask": mask, "objects": as_columns(objects, spec)})
    return found


def ids_of(indices: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Class indices as the ids that the targets use."""
    if spec.class_ids is None:
        return indices
    return np.append(np.int32(spec.class_ids), IGNORE)[indices]


def as_columns(objects: Instances | None, spec: DataSpec) -> dict | None:
    """Objects as R takes them."""
    if objects is None:
        return None
    columns = objects.to_r() | {"class": ids_of(objects.class_ids, spec)}
    return {"columns": columns, "size": list(objects.size)}
