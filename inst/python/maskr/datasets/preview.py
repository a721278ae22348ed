"""Samples for looking at, as a model would see them."""

from collections.abc import Sequence

import numpy as np

from maskr.arrays import IGNORE, array_to_r, mask_to_r
from maskr.datasets.loader import Loader
from maskr.datasets.spec import DataSpec
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
        class ids.
    """
    spec = DataSpec.from_r(data)
    found = []
    with Loader(spec, Spec("none", in_channels=None)) as loader:
        for place, i in enumerate(which):
            image, target = loader.sample(int(i), place)
            if spec.class_ids is not None:
                target = np.append(np.int32(spec.class_ids), IGNORE)[target]
            pixels = array_to_r(np.moveaxis(image, 0, -1), np.float64)
            found.append({"image": pixels, "mask": mask_to_r(target)})
    return found
