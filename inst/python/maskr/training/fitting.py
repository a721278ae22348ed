"""Training from data to history."""

import contextlib
from collections.abc import Callable, Sequence

import keras

from maskr import device
from maskr.datasets.loader import DataSpec, Loader
from maskr.errors import DataError, ShapeError
from maskr.model import SegModel
from maskr.training.best import Best
from maskr.training.compiling import compile
from maskr.training.recorder import Recorder


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
