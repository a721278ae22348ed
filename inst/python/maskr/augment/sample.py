"""What is augmented: an image with everything that must move with it."""

from dataclasses import dataclass, replace

import numpy as np

from maskr.arrays import IGNORE
from maskr.instances import Instances, encode_labels


@dataclass(frozen=True)
class Sample:
    """An image or volume, its mask and its objects.

    Attributes
    ----------
    image
        float32 `[C, H, W]`, or `[C, D, H, W]` for a volume.
    labels
        int32 `[L, H, W]` or `[L, D, H, W]`. The first plane is the mask of classes, with IGNORE.
        The others hold object numbers, 0 for none; objects that overlap lie in different planes.
    classes
        int32 `[n]`: the classes of the objects 1..n.
    limits
        The values of black and white.
    """

    image: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    limits: tuple[float, float]

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
        return cls(image, planes, np.asarray(classes, dtype=np.int32), limits)

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

    def hidden(self, where: np.ndarray) -> "Sample":
        """The same, its own arrays changed, without the pixels `where` (bool, of its size).

        They are black in the image, ignored in the mask, and belong to no object.
        """
        if where.any():
            np.copyto(self.image, np.float32(self.limits[0]), where=where)
            np.copyto(self.labels, 0, where=where)
            np.copyto(self.labels[0], IGNORE, where=where)
        return self

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
