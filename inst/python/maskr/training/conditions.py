"""What can be found wrong with a training before it begins, and what is said after it."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence

import keras

from maskr import keras_losses, layers
from maskr.errors import DataError
from maskr.model import SegModel, require_trainable
from maskr.training.best import require_metric


def check_model(model: SegModel, monitor: str) -> None:
    """Raise a DataError where nothing can be trained, or the metric to monitor does not exist."""
    require_trainable(model.module)
    model.adopt()
    check_compiled(model)
    check_weights(model)
    if not model.trainable_variables:
        raise DataError(
            "All layers are frozen, so there is nothing to train.",
            hint="Thaw some of them with seg_unfreeze().",
            argument="object",
        )
    require_metric(monitor, metric_names(model))


def check_compiled(model: SegModel) -> None:
    """Raise a DataError where Keras's own `compile()` settled what can't be used here.

    What maskr's settled has been looked at already, and passes.
    """
    if model.loss is None:
        raise DataError(
            "The model was compiled without a loss.",
            hint="Compile it by maskr's `compile(model, ...)`, which has defaults.",
            argument="loss",
        )
    channels = model.spec.out_channels
    keras_losses.check(model.loss, channels, "loss")
    for metric in compiled_metrics(model):
        keras_losses.check(metric, channels, "metrics")


def compiled_metrics(model: SegModel) -> list:
    """The metrics that a model was compiled with, as they were given."""
    container = model._compile_metrics
    return [] if container is None else keras.tree.flatten(container._user_metrics)


def check_weights(model: SegModel) -> None:
    """Raise a DataError for weights that are not finite."""
    damaged = layers.not_finite(model.module)
    if damaged is not None:
        raise DataError(
            f"The model's weights hold NaN or infinite values (in `{damaged}`), from which no "
            "training can start.",
            hint="Load or build the model again.",
            argument="object",
        )


def metric_names(model: SegModel) -> list[str]:
    """The names of a compiled model's metrics, the loss among them."""
    given = compiled_metrics(model)
    names = [m if isinstance(m, str) else getattr(m, "name", None) or m.__name__ for m in given]
    return ["loss", *names]


def check_callbacks(
    callbacks: Sequence[keras.callbacks.Callback], monitor: str, has_schedule: bool
) -> None:
    """Raise a DataError for Keras's callbacks that could not do here what they promise."""
    setters = keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau
    for callback in callbacks:
        name = type(callback).__name__
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            raise DataError(
                f"Keras's {name} does not restore the order of data, nor random states.",
                hint="Use `resume`, which does.",
                argument="callbacks",
            )
        if has_schedule and isinstance(callback, setters):
            raise DataError(
                f"Both the model's `schedule` and the callback {name} set the learning rate.",
                hint="Leave one of them out.",
                argument="callbacks",
            )


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Give errors of torch, which users can do something about, words of ours."""
    try:
        yield
    except RuntimeError as error:
        if "deterministic implementation" not in str(error):
            raise
        operation = str(error).partition(" does not have")[0]
        raise DataError(
            f"On this device torch can't repeat the operation {operation} exactly.",
            hint="Train on the CPU (`seg_device(\"cpu\")`), or with `deterministic = FALSE`.",
            argument="deterministic",
        ) from error


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """Keep Python's warnings off the console; what callbacks say with them comes in the list."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        try:
            yield said
        finally:
            texts = [str(w.message) for w in caught if "/torch/" not in w.filename]
            said += dict.fromkeys(texts)
