"""The peers of bench/metrics.R, each counting from its own kind of tensor, and masks to count."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import segmentation_models_pytorch as smp
import torch
from scipy.ndimage import gaussian_filter, zoom
from sklearn.metrics import confusion_matrix
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

# as many threads as maskr takes
THREADS = min(4, os.cpu_count() or 1)
torch.set_num_threads(THREADS)


def scenes(n, size, classes, seed):
    """`n` masks of smooth regions and predictions that are a little off, int32 `[H, W]`."""
    rng = np.random.default_rng(seed)
    truth = []
    for _ in range(n):
        fields = rng.standard_normal((classes, size // 4, size // 4)).astype(np.float32)
        smooth = np.stack([gaussian_filter(field, 6) for field in fields])
        truth.append(zoom(smooth.argmax(axis=0).astype(np.int32), 4, order=0))
    return {"truth": truth, "prediction": [np.roll(mask, (5, 3), (0, 1)) for mask in truth]}


def noise(n, size, classes, seed):
    """`n` masks without any structure."""
    rng = np.random.default_rng(seed)
    masks = rng.integers(0, classes, (2, n, size, size), dtype=np.int32)
    return {"truth": list(masks[0]), "prediction": list(masks[1])}


class Peers:
    """Other packages' confusion matrices of the same masks."""

    def __init__(self, truth, prediction, classes):
        self.classes = int(classes)
        self.masks = [*truth, *prediction]
        self.truth = torch.from_numpy(np.stack(truth)).long()
        self.prediction = torch.from_numpy(np.stack(prediction)).long()

    def torchmetrics(self, validate):
        metric = MulticlassConfusionMatrix(self.classes, validate_args=validate)
        return metric(self.prediction, self.truth).numpy()

    def jaccard(self, validate):
        metric = MulticlassJaccardIndex(self.classes, validate_args=validate)
        return float(metric(self.prediction, self.truth))

    def smp(self):
        stats = smp.metrics.get_stats(
            self.prediction, self.truth, mode="multiclass", num_classes=self.classes
        )
        return float(smp.metrics.iou_score(*stats, reduction="macro"))

    def sklearn(self):
        return confusion_matrix(self.truth.numpy().ravel(), self.prediction.numpy().ravel())

    def read(self):
        """Read every pixel of the masks once, where it lies, without counting."""
        with ThreadPoolExecutor(THREADS) as pool:
            bits = pool.map(lambda mask: int(np.bitwise_or.reduce(mask.ravel("K"))), self.masks)
            return max(bits)
