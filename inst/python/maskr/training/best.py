"""The best epoch of a training."""

import math
from collections.abc import Collection

import keras
import torch

from maskr import layers
from maskr.errors import DataError
from maskr.model import SegModel
from maskr.training.direction import falls


class Best(keras.callbacks.Callback):
    """Keeps the best epoch's weights and buffers; as epoch 0, those from before training.

    Keras's own `restore_best_weights` forgets the statistics of batch normalisation.
    """

    def __init__(self, model: SegModel, monitor: str | None, restore_best: bool) -> None:
        super().__init__()
        self.network = model.module
        self.monitor = monitor
        self.restore_best = restore_best
        self.value = math.inf
        self.epoch = 0
        self.weights = self._snapshot()
        self.last: dict[str, torch.Tensor] | None = None
        self.stopped = ""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Compare the epoch with the best so far."""
        if not all(map(math.isfinite, logs.values())) or layers.not_finite(self.network):
            self.stopped = "not finite"
            self.model.stop_training = True
            return
        value = self._judged(logs)
        if self.monitor is None or value < self.value:
            self.value = value
            self.epoch = epoch + 1
            self.weights = self._snapshot()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Keep the last epoch where it is the one that counts.

        Keras's early stopping puts weights back at this moment, without their statistics.
        """
        self.last = None if self.restore_best and self.epoch > 0 else self._snapshot()

    def restore(self) -> bool:
        """Put the best epoch's weights back, or those of the last where none is the best.

        Where training diverged, weights that are not finite are of no use: the best ones come back
        whatever `restore_best` says, those from before training if no epoch was any good.

        Returns
        -------
        bool
            Whether training diverged.
        """
        diverged = self.stopped == "not finite" or layers.not_finite(self.network) is not None
        if diverged or (self.restore_best and self.epoch > 0):
            self.network.load_state_dict(self.weights)
        elif self.last is not None:
            self.network.load_state_dict(self.last)
        self.last = None
        return diverged

    def _judged(self, logs: dict) -> float:
        """What is to be small; without validation data each finite epoch is better than before."""
        if self.monitor is None:
            return math.inf
        return logs[self.monitor] * (1 if falls(self.monitor) else -1)

    def _snapshot(self) -> dict[str, torch.Tensor]:
        return {k: v.detach().clone() for k, v in self.network.state_dict().items()}

    def state(self) -> dict:
        """What `restore_state()` needs to go on judging."""
        return {"value": self.value, "epoch": self.epoch, "weights": self.weights}

    def restore_state(self, state: dict) -> None:
        """Go on where `state()` was asked for."""
        self.value, self.epoch = state["value"], state["epoch"]
        self.weights = state["weights"]


def require_metric(monitor: str, metrics: Collection[str]) -> None:
    """Raise a DataError unless the metric "name" or "val_name" is among `metrics`."""
    if monitor.removeprefix("val_") in metrics:
        return
    names = ", ".join(f"{name}, val_{name}" for name in metrics)
    raise DataError(
        f'There is no metric "{monitor}" to monitor.',
        hint=f"This model has {names}.",
        argument="monitor",
    )
