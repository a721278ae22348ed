"""Steps that change values and move nothing.

Formulas are meant for values from 0 (black) to 1 (white); other images are brought there by their
`limits` and back. What leaves that range is cut off.
"""

from collections.abc import Callable

import cv2
import numpy as np

from maskr.augment.draws import Range, pick, pick_log, pick_whole
from maskr.augment.sample import Sample
from maskr.datasets.resize import by_channels


def brightness(sample: Sample, rng: np.random.Generator, factor: Range) -> Sample:
    """Multiply all values by a factor."""
    by = np.float32(pick(rng, factor))
    return valued(sample, lambda image: image * by)


def contrast(sample: Sample, rng: np.random.Generator, factor: Range) -> Sample:
    """Multiply the distances to the image's mean by a factor."""
    by = np.float32(pick(rng, factor))

    def change(image: np.ndarray) -> np.ndarray:
        mean = image.mean()
        return (image - mean) * by + mean

    return valued(sample, change)


def gamma(sample: Sample, rng: np.random.Generator, exponent: Range) -> Sample:
    """Raise all values to a power; above 1 darkens."""
    power = pick_log(rng, exponent)

    def change(image: np.ndarray) -> np.ndarray:
        # OpenCV wants two dimensions at most, and knows no negative base
        flat = np.maximum(image, 0).reshape(len(image), -1)
        return cv2.pow(flat, power).reshape(image.shape)

    return valued(sample, change)


def hue(sample: Sample, rng: np.random.Generator, shift: Range) -> Sample:
    """Turn the colour wheel of an RGB image by a share of a full turn."""
    degrees = np.float32(360 * pick(rng, shift))
    if len(sample.image) != 3:
        return sample

    def change(pixels: np.ndarray) -> np.ndarray:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + degrees) % 360
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)

    return valued(sample, lambda image: by_channels(image, change))


def saturation(sample: Sample, rng: np.random.Generator, factor: Range) -> Sample:
    """Multiply the distances of an RGB image to its grey by a factor."""
    by = np.float32(pick(rng, factor))
    if len(sample.image) != 3:
        return sample

    def change(pixels: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None]
        return (pixels - grey) * by + grey

    return valued(sample, lambda image: by_channels(image, change))


def blur(sample: Sample, rng: np.random.Generator, sigma: Range) -> Sample:
    """Blur by a Gaussian; its standard deviation is in pixels."""
    sd = pick(rng, sigma)
    if sd <= 0:
        return sample
    return sample.with_image(
        by_channels(sample.image, lambda pixels: cv2.GaussianBlur(pixels, (0, 0), sd))
    )


def noise(sample: Sample, rng: np.random.Generator, sd: Range) -> Sample:
    """Add independent normal noise; its standard deviation is a share of white."""
    strength = np.float32(pick(rng, sd))
    added = rng.standard_normal(sample.image.shape, dtype=np.float32) * strength
    return valued(sample, lambda image: image + added)


def jpeg(sample: Sample, rng: np.random.Generator, quality: Range) -> Sample:
    """Write as JPEG of a quality from 1 to 100 and read again; 8 bits are left."""
    options = [cv2.IMWRITE_JPEG_QUALITY, pick_whole(rng, quality)]

    def change(pixels: np.ndarray) -> np.ndarray:
        # the file has its colours in OpenCV's order, in which red and blue lose unequally
        bytes_ = (pixels.clip(0, 1) * 255).round().astype(np.uint8)[..., ::-1]
        _, file = cv2.imencode(".jpg", np.ascontiguousarray(bytes_), options)
        again = cv2.imdecode(file, cv2.IMREAD_UNCHANGED).reshape(bytes_.shape)
        return again[..., ::-1].astype(np.float32) / 255

    def each(image: np.ndarray) -> np.ndarray:
        if len(image) == 3:
            return change(image.transpose(1, 2, 0)).transpose(2, 0, 1)
        return np.stack([change(channel[:, :, None])[..., 0] for channel in image])

    return valued(sample, each)


def valued(sample: Sample, change: Callable[[np.ndarray], np.ndarray]) -> Sample:
    """Change an image in units of 0 (black) to 1 (white), and cut off what leaves them."""
    low, high = sample.limits
    if (low, high) == (0.0, 1.0):
        return sample.with_image(np.clip(change(sample.image), 0, 1))
    span = np.float32(max(high - low, np.finfo(np.float32).tiny))
    image = np.clip(change((sample.image - np.float32(low)) / span), 0, 1)
    return sample.with_image(image * span + np.float32(low))
