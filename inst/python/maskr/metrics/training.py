"""Keras metrics for `compile()`: exact over an epoch, since they add up one confusion matrix."""

import keras
import numpy as np
import torch

from maskr.arrays import IGNORE
from maskr.errors import DataError
from maskr.losses import target_indices
from maskr.metrics.family import mean_defined
from maskr.metrics.semantic import scores


@keras.saving.register_keras_serializable(package="maskr")
class ConfusionMetric(keras.metrics.Metric):
    """A figure of the confusion matrix of all pixels seen since the epoch began.

    Parameters
    ----------
    name
        "iou", "dice" (of the foreground in a binary model, else the mean over the classes that
        are there) or "pixel_accuracy".
    channels
        The model's output channels; 1 is a binary model.
    """

    def __init__(self, name: str = "iou", channels: int = 1, **kwargs: str) -> None:
        super().__init__(name=name, **kwargs)
        if name not in NAMES:
            raise DataError(
                f'There is no metric "{name}".',
                hint=f"Metrics during training are {', '.join(NAMES)}, and Keras's own objects.",
                argument="metrics",
            )
        self.channels = channels
        size = max(channels, 2)
        # whole numbers: float32 stops counting at 16.8 million pixels
        self.confusion = self.add_weight(
            shape=(size, size), initializer="zeros", dtype="int64", name="confusion"
        )

    def update_state(
        self, y_true: torch.Tensor, y_pred: torch.Tensor, sample_weight: None = None
    ) -> None:
        """Count one batch: targets as the losses take them, probabilities `[N, K, H, W]`."""
        truth = target_indices(y_true).to(y_pred.device)
        predicted = (y_pred[:, 0] >= 0.5).long() if self.channels == 1 else y_pred.argmax(dim=1)
        size = max(self.channels, 2)
        pairs = (truth * size + predicted)[truth != IGNORE]
        counts = torch.bincount(pairs, minlength=size * size).reshape(size, size)
        self.confusion.assign_add(counts)

    def result(self) -> float:
        """The figure so far; 0 where no pixel has been counted."""
        figure = scores(self.confusion.value.cpu().numpy())[self.name]
        if self.name != "pixel_accuracy":
            figure = figure[1] if self.channels == 1 else mean_defined(figure)
        return 0.0 if np.isnan(figure) else float(figure)

    def get_config(self) -> dict:
        """Name and channels."""
        return {"name": self.name, "channels": self.channels}


NAMES = ("iou", "dice", "pixel_accuracy")
