"""What a model is trained with: optimizer, loss and metrics."""

from collections.abc import Callable, Sequence

import keras

from maskr.errors import DataError
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
