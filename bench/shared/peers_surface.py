"""The peer of bench/surface.R, MONAI from its own kind of tensor, and volumes to measure."""

import warnings

import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.ndimage import gaussian_filter

# maskr takes one
torch.set_num_threads(1)
warnings.filterwarnings("ignore", message="the (ground truth|prediction) of class")
warnings.filterwarnings("ignore", category=FutureWarning, module="monai")

SHAPE = (64, 256, 256)


def fields(rng, classes, sigma):
    """Smooth random fields `[K, D, H, W]` of standard deviation 1, coarser along the slices."""
    smooth = [
        gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), (sigma / 3, sigma, sigma))
        for _ in range(classes)
    ]
    return np.stack([one / one.std() for one in smooth])


def organs(classes, seed):
    """A volume of blobs on background 0, int32, and one whose outlines wander off a little."""
    rng = np.random.default_rng(seed)
    shape = fields(rng, classes - 1, 12)
    wander = 0.15 * fields(rng, classes - 1, 8)
    return {"truth": blobs(shape), "prediction": blobs(shape + wander)}


def blobs(shape):
    """The strongest of the fields where that is strong, else 0."""
    return np.where(shape.max(axis=0) > 1.2, shape.argmax(axis=0) + 1, 0).astype(np.int32)


def shifted(classes, seed):
    """The same blobs, the prediction 6 pixels off."""
    truth = organs(classes, seed)["truth"]
    return {"truth": truth, "prediction": np.roll(truth, 6, axis=2)}


def noise(classes, seed):
    """Volumes without any structure."""
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(0, classes, (2, 32, 128, 128), dtype=np.int32)
    return {"truth": truth, "prediction": prediction}


class Peers:
    """MONAI's distances of the same volumes, by class."""

    def __init__(self, truth, prediction, classes, spacing):
        self.masks = [
            torch.from_numpy(np.stack([x == k for k in range(int(classes))])[None])
            for x in (prediction, truth)
        ]
        self.how = {"include_background": True, "spacing": tuple(spacing)}

    def hd95(self):
        return compute_hausdorff_distance(*self.masks, percentile=95, **self.how)[0].numpy()

    def assd(self):
        return compute_average_surface_distance(*self.masks, symmetric=True, **self.how)[0].numpy()

    def both(self):
        return np.stack([self.hd95(), self.assd()])
