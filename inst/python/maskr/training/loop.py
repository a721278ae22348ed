"""The loop over epochs and batches, which calls Keras's callbacks."""

from collections.abc import Sequence

import keras
import torch

from maskr.datasets.loader import Loader
from maskr.model import SegModel


def run(
    model: SegModel,
    train: Loader,
    validation: Loader | None,
    epochs: int,
    first: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Train from epoch number `first`, from 0, up to `epochs`.

    Like `keras.Model.fit()`, but for what it does before the first epoch (it reads a batch, which
    no resumed training could repeat) and for its threads, from which no callback may call R.
    """
    for callback in callbacks:
        callback.set_model(model)
        callback.set_params({"epochs": epochs, "steps": len(train), "verbose": 0})
    model.stop_training = False
    logs: dict[str, float] = {}
    call(callbacks, "on_train_begin", {})
    for epoch in range(first, epochs):
        call(callbacks, "on_epoch_begin", epoch, {})
        logs = train_epoch(model, train, callbacks)
        if validation is not None:
            judged = evaluate(model, validation, callbacks)
            logs |= {f"val_{name}": value for name, value in judged.items()}
        if model.team is not None:
            logs = model.team.agree(logs)
        call(callbacks, "on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    call(callbacks, "on_train_end", logs)


def train_epoch(
    model: SegModel, loader: Loader, callbacks: Sequence[keras.callbacks.Callback]
) -> dict[str, float]:
    """Go through the training data once; the metrics of all of it."""
    model.reset_metrics()
    for batch in range(len(loader)):
        call(callbacks, "on_train_batch_begin", batch, {})
        logs = plain(model.train_step(loader[batch]))
        call(callbacks, "on_train_batch_end", batch, logs)
        if model.stop_training:
            break
    loader.on_epoch_end()
    return plain(model.get_metrics_result())


@torch.no_grad()
def evaluate(
    model: SegModel, loader: Loader, callbacks: Sequence[keras.callbacks.Callback]
) -> dict[str, float]:
    """Go through the validation data once; the metrics of all of it."""
    model.reset_metrics()
    call(callbacks, "on_test_begin", {})
    for batch in range(len(loader)):
        call(callbacks, "on_test_batch_begin", batch, {})
        logs = plain(model.test_step(loader[batch]))
        call(callbacks, "on_test_batch_end", batch, logs)
    loader.on_epoch_end()
    logs = plain(model.get_metrics_result())
    call(callbacks, "on_test_end", logs)
    return logs


def call(callbacks: Sequence[keras.callbacks.Callback], event: str, *arguments: object) -> None:
    """Tell all callbacks of an event, in their order."""
    for callback in callbacks:
        getattr(callback, event)(*arguments)


def plain(logs: dict) -> dict[str, float]:
    """Metrics as numbers."""
    return {name: float(value) for name, value in logs.items()}
