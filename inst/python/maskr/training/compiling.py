"""What a model is trained with: optimizer, loss and metrics."""

from collections.abc import Callable, Sequence

import keras
import torch

from maskr import keras_losses, layers
from maskr.errors import DataError, refuse_class
from maskr.losses import SegLoss, from_r
from maskr.metrics.training import ConfusionMetric
from maskr.model import SegModel, require_trainable
from maskr.training import schedules
from maskr.training.conditions import metric_names
from maskr.training.recipe import Recipe

METRICS = ("iou", "dice")
"""What training reports beside the loss, unless told otherwise."""


def compile(
    model: SegModel,
    optimizer: str | keras.optimizers.Optimizer = "adam",
    learning_rate: float | None = None,
    loss: list[dict] | Callable | str | None = None,
    metrics: Sequence = METRICS,
    schedule: dict | None = None,
    weight_decay: float | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    ema: float | None = None,
    layer_rates: dict[str, float] | None = None,
) -> None:
    """Set optimizer, loss and metrics, and how gradients become steps.

    Parameters
    ----------
    model
        The model, changed in place.
    optimizer
        A Keras optimizer or its name.
    learning_rate, weight_decay, clip_norm
        Of an optimizer given by name; None is that optimizer's own default. The decay is
        decoupled from the gradient, as in AdamW. `clip_norm` is the largest norm that the
        gradients of all parameters may have together.
    loss
        Terms of a `SegLoss` (`losses.from_r()`), a Keras loss, or None for the default:
        "bce_dice" for two classes, else "cross_entropy".
    metrics
        Names in `maskr.metrics.training.NAMES`, or Keras metrics.
    schedule, accumulate, ema, layer_rates
        See `Recipe`; they act in `fit()`.

    Raises
    ------
    DataError
        If a name is unknown, arguments contradict each other, or the model has no classes or
        can't be trained.
    """
    require_trainable(model.module)
    channels = model.spec.out_channels
    if model.spec.classes is None:
        raise DataError(
            "This model has no classes, so it can't be trained.",
            hint="Build it with `classes = c(...)`.",
        )
    if loss is None:
        loss = [{"name": "bce_dice" if channels == 1 else "cross_entropy"}]
    if isinstance(loss, list):
        loss = from_r(loss)
        check_fits(loss, channels)
    for argument, value in {"optimizer": optimizer, "loss": loss}.items():
        refuse_class(value, argument)
    schedules.check(schedule)
    for pattern in layer_rates or {}:
        layers.find(model.module, pattern, "layer_rates")
    named = {
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "clip_norm": clip_norm,
    }
    optimizer = make_optimizer(optimizer, named)
    check_settable(optimizer, schedule)
    keras_losses.check(loss, channels, "loss")
    metrics = [make_metric(metric, channels) for metric in metrics]
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics)
    model.recipe = Recipe(schedule, accumulate, ema, dict(layer_rates or {}))


def check_fits(loss: SegLoss, channels: int) -> None:
    """Raise the DataError that a loss would raise with the first batch of a model of `channels`."""
    probabilities = torch.full((1, channels, 8, 8), 1 / (channels + 1))
    loss(torch.zeros(1, 8, 8, dtype=torch.int64), probabilities)


def reported(model: SegModel) -> list[str]:
    """The names of what training reports, or would if the model were compiled with the defaults."""
    return metric_names(model) if model.compiled else ["loss", *METRICS]


OPTIMIZERS = {
    name.lower(): name
    for name in (
        "Adam", "AdamW", "SGD", "RMSprop", "Nadam", "Adamax", "Adagrad", "Adadelta", "Adafactor",
        "Ftrl", "Lamb", "Lion", "Muon",
    )
}
"""Keras's classes of optimizers by the names that users write."""


def make_metric(metric: str | keras.metrics.Metric, channels: int) -> keras.metrics.Metric:
    """One of maskr's metrics by name; one of Keras's as it is.

    Raises
    ------
    DataError
        If the name is unknown, or Keras's metric does not count what a model of ours returns.
    """
    if isinstance(metric, str):
        return ConfusionMetric(metric, channels)
    refuse_class(metric, "metrics")
    if isinstance(metric, keras.metrics.IoU | keras.metrics.MeanIoU):
        raise DataError(
            f"Keras's {type(metric).__name__} knows neither ignored pixels nor channels that come "
            "before height and width.",
            hint='Use `metrics = "iou"`.',
            argument="metrics",
        )
    keras_losses.check(metric, channels, "metrics")
    return metric


def make_optimizer(
    optimizer: str | keras.optimizers.Optimizer, named: dict[str, float | None]
) -> keras.optimizers.Optimizer:
    """A Keras optimizer by name, with those of its settings that are not None.

    Raises
    ------
    DataError
        If there is none of that name, or settings are given beside an optimizer.
    """
    said = {name: value for name, value in named.items() if value is not None}
    if not isinstance(optimizer, str):
        if said:
            argument = next(iter(said))
            raise DataError(
                f"`{argument}` is for an optimizer given by name; this one has its own.",
                argument=argument,
            )
        return optimizer
    if optimizer.lower() not in OPTIMIZERS:
        raise DataError(
            f'Keras has no optimizer "{optimizer}".',
            hint=f"It has {', '.join(OPTIMIZERS)}.",
            argument="optimizer",
        )
    config = {"global_clipnorm" if name == "clip_norm" else name: v for name, v in said.items()}
    return getattr(keras.optimizers, OPTIMIZERS[optimizer.lower()])(**config)


def check_settable(optimizer: keras.optimizers.Optimizer, schedule: dict | None) -> None:
    """Raise a DataError where a schedule meets an optimizer that has its own."""
    if schedule is not None and not isinstance(optimizer._learning_rate, keras.Variable):
        raise DataError(
            "The optimizer brings a schedule of its own, so `schedule` would be a second one.",
            hint="Give the optimizer a number as learning rate, or leave `schedule` out.",
            argument="schedule",
        )
