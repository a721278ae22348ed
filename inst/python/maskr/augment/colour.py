"""Steps that change values and move nothing.

They are relative to the image's own range of values (`Sample.levels`), so that they do the same to
a photograph and to a file of 16 bits that uses few of them. What leaves the `limits` is cut off.
"""

from collections.abc import Callable

import cv2
import numpy as np

from maskr.augment.draws import Range, pick, pick_log, pick_whole
from maskr.augment.sample import Sample, by_group
from maskr.datasets.resize import by_channels


def brightness(sample: Sample, rng: np.random.Generator, factor: Range) -> Sample:
    """Multiply the distances to dark by a factor."""
    by = np.float32(pick(rng, factor))
    return limited(sample, sample.image * by + sample.levels[0] * (1 - by))


def contrast(sample: Sample, rng: np.random.Generator, factor: Range) -> Sample:
    """Multiply the distances to the image's mean by a factor."""
    by = np.float32(pick(rng, factor))
    mean = by_group(sample.image).mean(axis=1).reshape(sample.levels[0].shape)
    return limited(sample, (sample.image - mean) * by + mean)


def gamma(sample: Sample, rng: np.random.Generator, exponent: Range) -> Sample:
    """Raise values, 0 for dark to 1 for bright, to a power; above 1 darkens."""
    power = pick_log(rng, exponent)

    def change(image: np.ndarray) -> np.ndarray:
        # OpenCV wants two dimensions at most
        return cv2.pow(image.reshape(len(image), -1), power).reshape(image.shape)

    return levelled(sample, change)


def hue(sample: Sample, rng: np.random.Generator, shift: Range) -> Sample:
    """Turn the colour wheel of an RGB image by a share of a full turn."""
    degrees = np.float32(360 * pick(rng, shift))
    if len(sample.image) != 3:
        return sample

    def change(pixels: np.ndarray) -> np.ndarray:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + degrees) % 360
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)

    return limited(sample, by_channels(sample.image, change))


def saturation(sample: Sample, rng: np.random.Generator, factor: Range) -> Sample:
    """Multiply the distances of an RGB image to its grey by a factor."""
    by = np.float32(pick(rng, factor))
    if len(sample.image) != 3:
        return sample

    def change(pixels: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None]
        return (pixels - grey) * by + grey

    return limited(sample, by_channels(sample.image, change))


def blur(sample: Sample, rng: np.random.Generator, sigma: Range) -> Sample:
    """Blur by a Gaussian; its standard deviation is in pixels."""
    sd = pick(rng, sigma)
    if sd <= 0:
        return sample
    return sample.with_image(
        by_channels(sample.image, lambda pixels: cv2.GaussianBlur(pixels, (0, 0), sd))
    )


def noise(sample: Sample, rng: np.random.Generator, sd: Range) -> Sample:
    """Add independent normal noise; its standard deviation is a share of the range."""
    strength = np.float32(pick(rng, sd))
    added = rng.standard_normal(sample.image.shape, dtype=np.float32) * strength
    return limited(sample, sample.image + added * (sample.levels[1] - sample.levels[0]))


def jpeg(sample: Sample, rng: np.random.Generator, quality: Range) -> Sample:
    """Write as JPEG of a quality from 1 to 100 and read again; 8 bits of the range are left."""
    options = [cv2.IMWRITE_JPEG_QUALITY, pick_whole(rng, quality)]

    def change(pixels: np.ndarray) -> np.ndarray:
        # the file has its colours in OpenCV's order, in which red and blue lose unequally
        bytes_ = (pixels * 255).round().astype(np.uint8)[..., ::-1]
        _, file = cv2.imencode(".jpg", np.ascontiguousarray(bytes_), options)
        again = cv2.imdecode(file, cv2.IMREAD_UNCHANGED).reshape(bytes_.shape)
        return again[..., ::-1].astype(np.float32) / 255

    def each(image: np.ndarray) -> np.ndarray:
        if len(image) == 3:
            return change(image.transpose(1, 2, 0)).transpose(2, 0, 1)
        return np.stack([change(channel[:, :, None])[..., 0] for channel in image])

    return levelled(sample, each)


def levelled(sample: Sample, change: Callable[[np.ndarray], np.ndarray]) -> Sample:
    """Change values in units of 0 (dark) to 1 (bright); those beyond keep their distance to it."""
    dark, bright = sample.levels
    span = np.where(bright > dark, bright - dark, np.float32(1))
    scaled = (sample.image - dark) / span
    inside = np.clip(scaled, 0, 1)
    return limited(sample, (change(inside) + (scaled - inside)) * span + dark)


def limited(sample: Sample, image: np.ndarray) -> Sample:
    """The sample with another image, in which values beyond black and white are cut off."""
    return sample.with_image(np.clip(image, *np.float32(sample.limits)))
