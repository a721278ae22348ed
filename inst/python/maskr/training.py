"""Training by Keras: compile, fit with the best epoch restored, and a history in plain values."""

import contextlib
import math
from collections.abc import Callable, Sequence

import keras
import torch

from maskr import device
from maskr.datasets.loader import DataSpec, Loader
from maskr.errors import DataError, ShapeError
from maskr.losses import SegLoss
from maskr.metrics.training import ConfusionMetric
from maskr.model import SegModel


def compile(
    model: SegModel,
    optimizer: str | keras.optimizers.Optimizer = "adam",
    learning_rate: float | None = None,
    loss: dict | Callable | str | None = None,
    metrics: Sequence = ("iou", "dice"),
) -> None:
    """Set optimizer, loss and metrics.

    Parameters
    ----------
    model
        The model, changed in place.
    optimizer
        A Keras optimizer or its name.
    learning_rate
        Of an optimizer given by name; None is that optimizer's own default.
    loss
        `{"name", "arguments"}` of a `SegLoss`, a Keras loss, or None for the default:
        "bce_dice" for two classes, else "cross_entropy".
    metrics
        Names in `maskr.metrics.training.NAMES`, or Keras metrics.

    Raises
    ------
    DataError
        If a name is unknown, or the model has no classes.
    """
    channels = model.spec.out_channels
    if model.spec.classes is None:
        raise DataError(
            "This model has no classes, so it can't be trained.",
            hint="Build it with `classes = c(...)`.",
        )
    if loss is None:
        loss = {"name": "bce_dice" if channels == 1 else "cross_entropy", "arguments": {}}
    if isinstance(loss, dict):
        loss = SegLoss(loss["name"], **loss["arguments"])
    metrics = [ConfusionMetric(m, channels) if isinstance(m, str) else m for m in metrics]
    model.compile(optimizer=make_optimizer(optimizer, learning_rate), loss=loss, metrics=metrics)


def make_optimizer(
    optimizer: str | keras.optimizers.Optimizer, learning_rate: float | None
) -> keras.optimizers.Optimizer:
    """A Keras optimizer by name, with its learning rate."""
    if not isinstance(optimizer, str):
        if learning_rate is not None:
            raise DataError(
                "`learning_rate` is for an optimizer given by name; this one has its own.",
                argument="learning_rate",
            )
        return optimizer
    config = {} if learning_rate is None else {"learning_rate": learning_rate}
    try:
        return keras.optimizers.get({"class_name": optimizer, "config": config})
    except ValueError as error:
        raise DataError(
            f'Keras has no optimizer "{optimizer}".',
            hint='Common ones are "adam", "adamw", "sgd" and "rmsprop".',
            argument="optimizer",
        ) from error


def fit(
    model: SegModel,
    train: dict,
    validation: dict | None = None,
    epochs: int = 10,
    monitor: str = "val_loss",
    restore_best: bool = True,
    precision: str = "auto",
    seed: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: Callable[[dict], None] | None = None,
) -> dict:
    """Train, and leave the model at its best epoch.

    Parameters
    ----------
    model
        The model, changed in place; compiled with the defaults if it isn't.
    train, validation
        The data: the fields of `DataSpec`.
    epochs
        Times to go through the training data.
    monitor
        The metric that judges epochs, such as "val_loss" or "val_iou". Without validation data
        the last epoch counts as the best.
    restore_best
        False keeps the last epoch's weights.
    precision
        "auto" (bfloat16 where the hardware computes in it), "float32" or "bfloat16".
    seed
        Makes order, dropout and whatever else is random repeatable.
    callbacks
        Further Keras callbacks.
    progress
        Called with one dict an event.

    Returns
    -------
    dict
        `epoch, metric, data, value`: columns of equal length; `best_epoch`; `monitor`, which is
        "epoch" without validation data;
        `stopped`: "" or why training ended early: "interrupted", "not finite".

    Raises
    ------
    DataError
        If `monitor` is not among the metrics.
    ShapeError
        If batches are too small for batch normalisation.
    """
    check_callbacks(callbacks)
    if not model.compiled:
        compile(model)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    best = Best(model, monitor if validation is not None else None, restore_best)
    recorder = Recorder(progress)
    try:
        train_by_keras(model, train, validation, epochs, precision, [recorder, best, *callbacks])
    except KeyboardInterrupt:
        recorder.stopped = "interrupted"
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ShapeError(
            "The images are so small that batch normalisation has one value to normalise.",
            hint="Use larger images, or batch_size = 2 or more.",
            argument="batch_size",
        ) from error
    finally:
        best.restore()
    return recorder.columns() | {
        "best_epoch": best.epoch or len(recorder.logs),
        "monitor": "epoch" if validation is None else monitor,
        "stopped": recorder.stopped or best.stopped,
    }


def check_callbacks(callbacks: Sequence) -> None:
    """Raise a DataError unless all are Keras's."""
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise DataError(
                f"A {type(callback).__name__} is no Keras callback.", argument="callbacks"
            )


def train_by_keras(
    model: SegModel,
    train: dict,
    validation: dict | None,
    epochs: int,
    precision: str,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Run Keras's loop on the session's device and in the wanted precision."""
    where = device.choose()
    given = [DataSpec.from_r(data) for data in (train, validation) if data is not None]
    model.precision = device.precision(precision, where)
    try:
        with keras.device(where), contextlib.ExitStack() as stack:
            device.place(model.module, where)
            loaders = [stack.enter_context(Loader(data, model.spec)) for data in given]
            model.fit(
                loaders[0],
                validation_data=loaders[1] if validation is not None else None,
                epochs=epochs,
                verbose=0,
                callbacks=callbacks,
            )
    finally:
        model.precision = "float32"


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
        self.state: dict[str, torch.Tensor] | None = None
        self.stopped = ""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Look once whether the monitored metric exists, before an epoch is spent."""
        if self.monitor is None or self.monitor.removeprefix("val_") in logs:
            return
        names = ", ".join(f"{name}, val_{name}" for name in logs)
        raise DataError(
            f'There is no metric "{self.monitor}" to monitor.',
            hint=f"This model has {names}.",
            argument="monitor",
        )

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
            self.state = {k: v.detach().clone() for k, v in self.network.state_dict().items()}

    def restore(self) -> None:
        """Put the best epoch's weights back, if there are any."""
        if self.restore_best and self.state is not None:
            self.network.load_state_dict(self.state)


class Recorder(keras.callbacks.Callback):
    """Writes the history down and reports progress."""

    def __init__(self, progress: Callable[[dict], None] | None) -> None:
        super().__init__()
        self.progress = progress
        self.logs: list[dict[str, float]] = []
        self.stopped = ""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Report how much there is to do."""
        self._report("begin", 0, 0, {})

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Report a batch."""
        self._report("batch", len(self.logs) + 1, batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note the epoch's metrics and report them."""
        self.logs.append({name: float(value) for name, value in logs.items()})
        self._report("epoch", epoch + 1, self.params["steps"], logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Report the end."""
        self._report("end", len(self.logs), self.params["steps"], {})

    def columns(self) -> dict:
        """The history in long form: columns epoch, metric, data, value."""
        rows = [
            (epoch, name.removeprefix("val_"), "valid" if name.startswith("val_") else "train", v)
            for epoch, logs in enumerate(self.logs, start=1)
            for name, v in logs.items()
        ]
        names = ("epoch", "metric", "data", "value")
        return {name: [row[i] for row in rows] for i, name in enumerate(names)}

    def _report(self, event: str, epoch: int, batch: int, logs: dict) -> None:
        if self.progress is None:
            return
        self.progress(
            {
                "event": event,
                "epoch": epoch,
                "epochs": self.params["epochs"],
                "batch": batch,
                "batches": self.params["steps"],
                "metrics": {name: float(value) for name, value in logs.items()},
            }
        )
