"""What is augmented: an image with everything that must move with it."""

from dataclasses import dataclass, replace

import numpy as np

from maskr.arrays import IGNORE
from maskr.instances import Instances, encode_labels

HIDDEN = -3
"""Marks pixels in the mask of classes that will be black and ignored; no mask holds it."""

SAMPLED = 2**12
"""About so many pixels of a channel settle its range of values."""


@dataclass(frozen=True)
class Sample:
    """An image or volume, its mask and its objects.

    Attributes
    ----------
    image
        float32 `[C, H, W]`, or `[C, D, H, W]` for a volume.
    labels
        int32 `[L, H, W]` or `[L, D, H, W]`. The first plane is the mask of classes, with IGNORE
        and, while steps run, HIDDEN: these pixels have values that do no harm to their
        neighbours, and turn black at the end (`finished()`). The others hold object numbers, 0 for
        none; objects that overlap lie in different planes.
    classes
        int32 `[n]`: the classes of the objects 1..n.
    limits
        The values of black and white, which none leaves.
    levels
        The values that count as dark and as bright (`levels_of()`).
    """

    image: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    limits: tuple[float, float]
    levels: np.ndarray

    @classmethod
    def of(
        cls, image: np.ndarray, mask: np.ndarray, objects: Instances | None = None
    ) -> "Sample":
        """Make a sample of an image, a mask `[H, W]` or `[D, H, W]` and objects, if there are any.

        Black and white are 0 and 1, or the image's own extremes where it reaches beyond these.
        """
        planes = mask[None].astype(np.int32)
        if objects is not None:
            planes = np.concatenate((planes, layers(objects)))
        classes = np.zeros(0, np.int32) if objects is None else objects.class_ids
        low, high = float(image.min()), float(image.max())
        limits = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
        return cls(image, planes, np.asarray(classes, dtype=np.int32), limits, levels_of(image))

    @property
    def mask(self) -> np.ndarray:
        """The mask of classes, int32 `[H, W]` or `[D, H, W]`."""
        return self.labels[0]

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width in pixels, before them the depth of a volume."""
        return self.labels.shape[1:]

    def with_image(self, image: np.ndarray) -> "Sample":
        """The same with another image."""
        return replace(self, image=image)

    def finished(self) -> "Sample":
        """The same with hidden pixels black in the image and ignored in the mask."""
        hidden = self.mask == HIDDEN
        if not hidden.any():
            return self
        labels = self.labels.copy()
        labels[0][hidden] = IGNORE
        black = np.float32(self.limits[0])
        return replace(self, image=np.where(hidden, black, self.image), labels=labels)

    def instances(self) -> Instances:
        """The objects that are left, with the boxes and areas of their masks."""
        rles: list[str] = []
        numbers: list[int] = []
        for plane in self.labels[1:]:
            rles += encode_labels(plane)
            found = np.unique(plane)
            numbers += found[found > 0].tolist()
        order = np.argsort(numbers, kind="stable")
        classes = self.classes[np.array(numbers, dtype=int)[order] - 1]
        return Instances.from_rles([rles[i] for i in order], self.size, classes)


def levels_of(image: np.ndarray) -> np.ndarray:
    """The values in an image that count as dark and as bright: its percentiles 0.1 and 99.9.

    Files of 16 bits often use a small part of their range; single pixels may be hot or dead. Three
    channels are colours and share their levels, others have their own.

    Returns
    -------
    np.ndarray
        float32 `[2, 1, 1, 1]` or `[2, C, 1, 1]`, of a volume with one axis more.
    """
    step = max(1, round((image[0].size / SAMPLED) ** (1 / (image.ndim - 1))))
    some = by_group(image[(slice(None), *(slice(None, None, step),) * (image.ndim - 1))])
    levels = np.percentile(some, (0.1, 99.9), axis=1)
    if (levels[1] <= levels[0]).any():
        every = by_group(image)
        levels = np.stack((every.min(axis=1), every.max(axis=1)))
    return levels.astype(np.float32).reshape(2, -1, *(1,) * (image.ndim - 1))


def by_group(image: np.ndarray) -> np.ndarray:
    """The values of an image `[groups, n]`: colours together, other channels each for itself."""
    return image.reshape(1 if len(image) == 3 else len(image), -1)


def layers(objects: Instances) -> np.ndarray:
    """Lay objects, numbered from 1, into as few planes as they need without overlap.

    Returns
    -------
    np.ndarray
        int32 `[L, H, W]` with L of at least 1.
    """
    planes = [np.zeros(objects.size, dtype=np.int32)]
    for number, (top, left, mask) in enumerate(objects.crops(), start=1):
        window = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        free = next((plane for plane in planes if not plane[window][mask].any()), None)
        if free is None:
            free = np.zeros(objects.size, dtype=np.int32)
            planes.append(free)
        free[window][mask] = number
    return np.stack(planes)
