"""Preprocessing: what happens to an image before a model sees it, in training and in prediction."""

from dataclasses import asdict, dataclass

import numpy as np

from maskr.errors import DataError
from maskr.words import counted

ALMOST_NONE = 1e-6
"""The least spread that an image is divided by."""


@dataclass(frozen=True)
class Preprocess:
    """Steps applied in this order to an image of `[C, H, W]` (or `[C, D, H, W]`), usually in 0..1.

    Attributes
    ----------
    channel_order
        "rgb" keeps the channels, "bgr" reverses them.
    per_image
        "none"; "standardise" (per channel: subtract the image's mean, divide by its standard
        deviation); "percentile" (over all channels: stretch the image's percentiles to 0..1 and
        clip).
    percentiles
        The lower and upper percentile, 0..100, of "percentile".
    mean, std
        Subtracted from and divided into each channel, in the image's units; None for neither.
    window
        Two raw values, in units of the file, that become 0 and 1, with what lies beyond cut off.
        It belongs to the reading of images (`datasets.samples.read_image()`), before augmentation,
        and so is no part of `__call__()`. None leaves files divided by their type's maximum.
    """

    channel_order: str = "rgb"
    per_image: str = "none"
    percentiles: tuple[float, float] = (1.0, 99.8)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("percentiles", "mean", "std", "window"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, tuple(float(v) for v in np.atleast_1d(value)))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The image as the model sees it: float32 `[C, H, W]`, contiguous."""
        self.check_channels(len(image))
        if self.channel_order == "bgr":
            image = image[::-1]
        if self.per_image == "standardise":
            inside = tuple(range(1, image.ndim))
            std = image.std(axis=inside, keepdims=True)
            image = (image - image.mean(axis=inside, keepdims=True)) / np.maximum(std, ALMOST_NONE)
        elif self.per_image == "percentile":
            low, high = np.percentile(image, self.percentiles)
            image = np.clip((image - low) / max(high - low, ALMOST_NONE), 0, 1)
        if self.mean is not None:
            image = image - per_channel(self.mean, image.ndim)
        if self.std is not None:
            image = image / per_channel(self.std, image.ndim)
        return np.ascontiguousarray(image, dtype=np.float32)

    def to_dict(self) -> dict:
        """Plain values that survive JSON."""
        return asdict(self)

    def check_channels(self, channels: int) -> None:
        """Raise a DataError unless `mean` and `std` are one value each, or one per channel."""
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None and len(values) not in (1, channels):
                raise DataError(
                    f"The preprocessing's `{name}` has {len(values)} values for "
                    f"{counted(channels, 'channel')}.",
                    hint="Give one value, or one per channel.",
                    argument="preprocess",
                )


def per_channel(values: tuple[float, ...], ndim: int) -> np.ndarray:
    """Values as an array that goes with an image of `ndim` dimensions, channels first."""
    return np.asarray(values, dtype=np.float32).reshape(-1, *[1] * (ndim - 1))
