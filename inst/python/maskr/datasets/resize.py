"""Images and their labels brought to another size."""

from collections.abc import Callable

import cv2
import numpy as np

from maskr.arrays import IGNORE


def resize(
    image: np.ndarray, target: np.ndarray, size: tuple[int, int], how: str
) -> tuple[np.ndarray, np.ndarray]:
    """Image `[C, H, W]` and target `[H, W]` to size, contiguous.

    "stretch" changes the aspect ratio; "pad" keeps it and leaves a border of zeros, ignored in
    the target, at the bottom or right; "crop" keeps it and cuts the centre.
    """
    height, width = target.shape
    if how == "stretch":
        inner = tuple(size)
    else:
        pick = min if how == "pad" else max
        scale = pick(size[0] / height, size[1] / width)
        inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    scaled, labels = scale_image(image, inner), scale_labels(target, inner)
    if how == "crop":
        top, left = ((inner[i] - size[i]) // 2 for i in (0, 1))
        scaled = scaled[:, top : top + size[0], left : left + size[1]]
        labels = labels[top : top + size[0], left : left + size[1]]
    padding = (size[0] - labels.shape[0], size[1] - labels.shape[1])
    if any(padding):
        scaled = np.pad(scaled, ((0, 0), (0, padding[0]), (0, padding[1])))
        labels = np.pad(labels, ((0, padding[0]), (0, padding[1])), constant_values=IGNORE)
    return np.ascontiguousarray(scaled), labels


def scale_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`[C, H, W]` to (H, W), bilinear, and by area when shrinking."""
    if image.shape[1:] == tuple(size):
        return image
    shrinking = size[0] * size[1] < image.shape[1] * image.shape[2]
    filtering = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return by_channels(
        image, lambda part: cv2.resize(part, tuple(size)[::-1], interpolation=filtering)
    )


def scale_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`[H, W]` to (H, W) by the nearest pixel, int32."""
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    if labels.shape == tuple(size):
        return labels
    # INTER_NEAREST_EXACT puts pixel centres where the bilinear image has them
    return cv2.resize(
        labels.view(np.float32), tuple(size)[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    ).view(np.int32)


def by_channels(image: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply an OpenCV function to `[C, H, W]`, at most four channels at a time.

    Some of its functions take no more. It is fastest with the channels of a pixel side by side; the
    result stays in that order, as a view.
    """
    pixels = image.transpose(1, 2, 0)
    parts = [
        function(np.ascontiguousarray(pixels[:, :, first : first + 4]))
        for first in range(0, pixels.shape[2], 4)
    ]
    # OpenCV drops the axis of a single channel
    parts = [part.reshape(*part.shape[:2], -1).transpose(2, 0, 1) for part in parts]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
