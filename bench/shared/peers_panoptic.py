"""The peer of bench/panoptic.R, counting from its own kind of tensor, and scenes to score."""

import os

import numpy as np
import torch
from torchmetrics.detection import PanopticQuality

# as many threads as maskr takes
torch.set_num_threads(min(4, os.cpu_count() or 1))

STUFF, THINGS = range(8), range(8, 19)


def scene(rng, height, width, objects):
    """Segment ids `[H, W]` of bands of stuff and ellipses of things, and each segment's class."""
    x = np.linspace(0, 9, width)
    bands = np.sort(rng.uniform(0.1, 0.9, len(STUFF) - 1)) * height
    edges = bands[:, None] + 0.03 * height * np.sin(x + rng.uniform(0, 6, (len(bands), 1)))
    rows = np.arange(height)[:, None]
    ids = np.ones((height, width), dtype=np.int32)
    for edge in edges:
        ids += rows > edge
    classes = list(STUFF)
    for number in range(len(STUFF) + 1, len(STUFF) + objects + 1):
        (y, ry), (cx, rx) = (
            (rng.integers(0, n), rng.integers(n // 30, n // 6)) for n in (height, width)
        )
        ids[((rows - y) / ry) ** 2 + ((np.arange(width) - cx) / rx) ** 2 < 1] = number
        classes.append(int(rng.integers(THINGS.start, THINGS.stop)))
    return ids, classes


def scenes(n, height, width, segments, seed):
    """`n` true scenes with some void, and predictions that are a little off, as R takes them."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        ids, classes = scene(rng, height, width, segments - len(STUFF))
        truth = ids.copy()
        truth[: height // 20] = 0
        made.append((truth, np.roll(ids, (7, 5), (0, 1)), classes))
    truth, prediction, classes = zip(*made, strict=True)
    return {"truth": list(truth), "prediction": list(prediction), "classes": list(classes)}


class Peer:
    """torchmetrics on tensors `[H, W, 2]` of class and segment id."""

    def __init__(self, truth, prediction, classes):
        self.truth, self.prediction = (
            [self.tensor(ids, of) for ids, of in zip(side, classes, strict=True)]
            for side in (truth, prediction)
        )

    @staticmethod
    def tensor(ids, classes):
        # class 99 is none of its classes: void
        class_of = np.array([99, *classes])
        return torch.from_numpy(np.stack((class_of[ids], ids), axis=-1))[None]

    def torchmetrics(self):
        metric = PanopticQuality(
            set(THINGS), set(STUFF), allow_unknown_preds_category=True, return_sq_and_rq=True
        )
        for prediction, truth in zip(self.prediction, self.truth, strict=True):
            metric.update(prediction, truth)
        return metric.compute().tolist()
