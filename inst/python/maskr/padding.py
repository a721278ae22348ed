"""The one rule by which images are padded, wherever they go into a network."""

import math
from collections.abc import Sequence

import numpy as np


def rounded_up(size: Sequence[int], multiple: int) -> tuple[int, ...]:
    """The least size of multiples that holds `size`."""
    return tuple(math.ceil(length / multiple) * multiple for length in size)


def padded(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """An image `[C, ...]` reflected at the ends of its axes until it has a size.

    A network then sees no edge where the image ends, and nothing that the image doesn't hold.
    """
    for axis, (length, wanted) in enumerate(zip(image.shape[1:], size, strict=True), start=1):
        if length < wanted:
            widths = [(0, wanted - length if a == axis else 0) for a in range(image.ndim)]
            # numpy reflects as often as it takes, but has nothing to reflect in a single line
            image = np.pad(image, widths, mode="reflect" if length > 1 else "edge")
    return image
