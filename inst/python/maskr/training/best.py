"""The best epoch of a training."""

import math

import keras
import torch

from maskr.errors import DataError
from maskr.model import SegModel


class Best(keras.callbacks.Callback):
    """Keeps the best epoch's weights and buffers.

    Keras's own `restore_best_weights` forgets the statistics of batch normalisation.
    """

    def __init__(self, model: SegModel, monitor: str | None, restore_best: bool) -> None:
        super().__init__()
        self.network = model.module
        self.monitor = monitor
        self.restore_best = restore_best
        self.value = math.inf
        self.epoch = 0
        self.weights: dict[str, torch.Tensor] | None = None
        self.stopped = ""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Look once whether the monitored metric exists, before an epoch is spent."""
        if self.monitor is not None:
            require_metric(self.monitor, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Compare the epoch with the best so far."""
        if not all(math.isfinite(value) for value in logs.values()):
            self.stopped = "not finite"
            self.model.stop_training = True
            return
        if self.monitor is None:
            return
        # losses fall; every other metric of ours rises
        value = logs[self.monitor] * (1 if self.monitor.endswith("loss") else -1)
        if value < self.value:
            self.value = value
            self.epoch = epoch + 1
            self.weights = {k: v.detach().clone() for k, v in self.network.state_dict().items()}

    def restore(self) -> None:
        """Put the best epoch's weights back, if there are any."""
        if self.restore_best and self.weights is not None:
            self.network.load_state_dict(self.weights)

    def state(self) -> dict:
        """What `restore_state()` needs to go on judging."""
        return {"value": self.value, "epoch": self.epoch, "weights": self.weights}

    def restore_state(self, state: dict) -> None:
        """Go on where `state()` was asked for."""
        self.value, self.epoch = state["value"], state["epoch"]
        self.weights = state["weights"]


def require_metric(monitor: str, logs: dict) -> None:
    """Raise a DataError unless a batch's `logs` hold the metric "name" or "val_name"."""
    if monitor.removeprefix("val_") in logs:
        return
    names = ", ".join(f"{name}, val_{name}" for name in logs)
    raise DataError(
        f'There is no metric "{monitor}" to monitor.',
        hint=f"This model has {names}.",
        argument="monitor",
    )
