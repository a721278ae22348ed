"""Losses weighted by distances, in pixels, to a class's boundary, image by image. Distances are
constants of the gradient.

Ignored pixels belong neither to a class nor to its surroundings: a distance is that to the nearest
pixel that counts, across ignored ones. A class that none or all of an image's counted pixels
belong to has no boundary there, and its distances are 0.
"""

from collections.abc import Callable

import numpy as np
import torch

from maskr.losses.batch import Batch


def boundary(batch: Batch) -> torch.Tensor:
    """Boundary loss (Kervadec et al. 2019, https://arxiv.org/abs/1812.07032).

    The mean over the pixels that count and the output's channels of `p d`: probability times
    signed distance. Outside the class d is the distance to its nearest pixel, inside it is 1 minus
    the distance to the nearest pixel outside, as the authors and MONAI compute it. Below 0 for a
    good prediction; meant to be added to a loss of overlap, with a small weight.

    Empty class: adds nothing for an image without it.
    """
    distances = on_channels(batch, batch.target, signed_distances)
    return batch.mean((batch.probabilities * distances).mean(dim=1))


def hausdorff(batch: Batch, alpha: float = 2.0) -> torch.Tensor:
    """Hausdorff loss by distance transforms (Karimi & Salcudean 2019,
    https://arxiv.org/abs/1904.10030).

    The mean over the pixels that count and the output's channels of
    `(p - g)**2 (dp**alpha + dg**alpha)`, with the distances dg to the boundary of the class's truth
    g and dp to that of its prediction `p > 0.5`.

    Empty class: dg is 0, so its false positives count by dp alone.
    """
    truth = on_channels(batch, batch.target, distances)
    predicted = on_channels(batch, batch.probabilities.detach() > 0.5, distances)
    return batch.mean((batch.errors.square() * (truth**alpha + predicted**alpha)).mean(dim=1))


def on_channels(
    batch: Batch, x: torch.Tensor, field: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> torch.Tensor:
    """`field(inside, counted)` of each image and channel, `[N, K, S]` on the logits' device.

    `x` holds class indices `[N, S]` or, for each channel, what is inside: bool `[N, K, S]`.
    """
    out = np.zeros(batch.logits.shape, dtype=np.float32)
    counted = (batch.valid > 0).cpu().numpy()
    x = x.cpu().numpy()
    channel_classes = [1] if batch.binary else range(batch.classes)
    for image in range(len(out)):
        for channel, index in enumerate(channel_classes):
            inside = x[image, channel] if x.dtype == bool else x[image] == index
            inside = inside & counted[image]
            if inside.any() and (counted[image] & ~inside).any():
                out[image, channel] = field(inside, counted[image])
    return torch.from_numpy(out).to(batch.logits)


def signed_distances(inside: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Distances to `inside`, and 1 minus those to its surroundings within it."""
    return np.where(inside, 1 - distance_to(counted & ~inside), distance_to(inside))


def distances(inside: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Distances of each pixel to the nearest one on the other side."""
    return np.where(inside, distance_to(counted & ~inside), distance_to(inside))


def distance_to(pixels: np.ndarray) -> np.ndarray:
    """Exact Euclidean distance of every pixel or voxel to the nearest one of `pixels`."""
    if pixels.ndim == 2:
        import cv2

        # three times as fast as scipy's, which is needed for volumes
        elsewhere = (~pixels).astype(np.uint8)
        return cv2.distanceTransform(elsewhere, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(~pixels)
