"""Steps for volumes `[C, D, H, W]`; those that move or blur go through torchio.

Turning and shifting stay within slices, whose distance is often far from their pixels' size.
torchio's own random transforms draw from a global generator, so only its fixed ones are used.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskr.augment import colour, geometry
from maskr.augment.draws import Range, pick, pick_log
from maskr.augment.sample import HIDDEN, Sample
from maskr.errors import MissingPackageError

if TYPE_CHECKING:
    from types import ModuleType

    import torchio

LEAST_POINTS = 7
"""torchio's splines of third order need four control points; two more at each end stay fixed."""


def rotate(sample: Sample, rng: np.random.Generator, degrees: Range) -> Sample:
    """Turn within slices about the centre."""
    return moved(sample, affine_transform(pick(rng, degrees), (0.0, 0.0), 1.0))


def affine(
    sample: Sample,
    rng: np.random.Generator,
    degrees: Range,
    translate: Range,
    scale: Range,
    shear: Range,
) -> Sample:
    """Turn and shift within slices, and scale in all directions; there is no shear."""
    _, height, width = sample.size
    shift = (pick(rng, translate) * height, pick(rng, translate) * width)
    return moved(sample, affine_transform(pick(rng, degrees), shift, pick_log(rng, scale)))


def affine_transform(
    degrees: float, shift: tuple[float, float], scale: float
) -> "torchio.Transform":
    """Make torchio's transform; shift in pixels down and right."""
    return package().Affine(
        scales=(scale,) * 3, degrees=(degrees, 0, 0), translation=(0, *shift)
    )


def elastic(
    sample: Sample, rng: np.random.Generator, displacement: Range, spacing: Range
) -> Sample:
    """Shift voxels by a smooth random field, by splines between control points.

    Shifts are limited to 0.4 of the points' distance, below which nothing folds (Choi & Lee 2000,
    https://doi.org/10.1002/cav.288).
    """
    sd, step = pick(rng, displacement), pick(rng, spacing)
    points = [max(LEAST_POINTS, round(n / step) + 3) for n in sample.size]
    largest = [0.4 * n / (m - 3) for n, m in zip(sample.size, points, strict=True)]
    field = np.clip(rng.standard_normal((*points, 3)) * sd, np.negative(largest), largest)
    for axis in range(3):
        np.moveaxis(field, axis, 0)[[0, 1, -2, -1]] = 0
    return moved(sample, package().ElasticDeformation(field, tuple(largest)))


def blur(sample: Sample, rng: np.random.Generator, sigma: Range) -> Sample:
    """Blur by a Gaussian; its standard deviation is in voxels."""
    import torch

    tio = package()
    image = tio.ScalarImage(tensor=torch.from_numpy(np.ascontiguousarray(sample.image)))
    return sample.with_image(tio.Blur((pick(rng, sigma),) * 3)(image).data.numpy())


def moved(sample: Sample, transform: "torchio.Transform") -> Sample:
    """Apply a transform to image and labels, and mark what comes from outside as HIDDEN."""
    import torch

    tio = package()
    labels = np.concatenate((sample.labels, np.ones((1, *sample.size), dtype=np.int32)))
    subject = tio.Subject(
        image=tio.ScalarImage(tensor=torch.from_numpy(np.ascontiguousarray(sample.image))),
        labels=tio.LabelMap(tensor=torch.from_numpy(labels)),
    )
    subject = transform(subject)
    image = subject["image"].data.numpy().astype(np.float32)
    labels = subject["labels"].data.numpy().astype(np.int32)
    labels[0][labels[-1] == 0] = HIDDEN
    return replace(sample, image=filled(image, labels[0] == HIDDEN), labels=labels[:-1])


def filled(image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Give hidden voxels, in place, the values of the nearest visible ones of their slice.

    A slice without any is that of the nearest slice with some.
    """
    shown = np.flatnonzero(~hidden.all(axis=(1, 2)))
    if len(shown) == 0:
        return image
    for at in shown:
        if hidden[at].any():
            image[:, at] = image[:, at].reshape(len(image), -1)[:, nearest_visible(hidden[at])]
    for at in np.flatnonzero(hidden.all(axis=(1, 2))):
        image[:, at] = image[:, shown[np.abs(shown - at).argmin()]]
    return image


def nearest_visible(hidden: np.ndarray) -> np.ndarray:
    """For each pixel `[H, W]` the place, row by row, of the nearest that is not hidden."""
    _, number = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(number.max() + 1, dtype=np.intp)
    place[number[~hidden]] = np.flatnonzero(~hidden)
    return place[number]


def package() -> "ModuleType":
    """Import torchio.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    try:
        import torchio
    except ImportError as error:
        raise MissingPackageError(
            "Turning, scaling, bending and blurring volumes needs the Python package torchio.",
            hint='Install it with seg_install(extras = "volumes"), then restart R.',
            argument="augment",
        ) from error
    return torchio


STEPS = {
    "flip_horizontal": geometry.flip_horizontal,
    "flip_vertical": geometry.flip_vertical,
    "rotate": rotate,
    "affine": affine,
    "elastic": elastic,
    "brightness": colour.brightness,
    "contrast": colour.contrast,
    "gamma": colour.gamma,
    "blur": blur,
    "noise": colour.noise,
}
"""What there is for volumes, by name."""
