"""What a training run is, in values that tell it from another."""

import hashlib
import json
import os
from collections.abc import Sequence

import keras
import numpy as np

from maskr import layers
from maskr.datasets.spec import DataSpec
from maskr.model import SegModel
from maskr.training.conditions import metric_names

SPANNING = ("cosine", "polynomial", "one_cycle")
"""Schedules that depend on the number of epochs, which else may grow while a run goes on."""

DATA_FIELDS = ("size", "resize", "batch_size", "shuffle", "augment", "ignore", "values")


def describe(
    model: SegModel, train: DataSpec, validation: DataSpec | None, **settings: object
) -> dict[str, object]:
    """What decides how a training goes on, by the names that users know.

    Parameters
    ----------
    model
        The compiled model, with the precision that it will compute in.
    train, validation
        The data.
    **settings
        Further arguments of `fit()` that decide it; plain values.

    Returns
    -------
    dict
        Plain values as JSON would give them back. Data are told apart by their names, sizes and
        values, files by their names and lengths.
    """
    about = about_model(model) | about_compiled(model) | about_data(train, "")
    settings["precision"] = model.precision  # what "auto" means differs between machines
    if (settings.get("schedule") or {}).get("name") not in SPANNING:
        settings.pop("epochs", None)
    about["validation_data"] = None
    if validation is not None:
        about |= about_data(validation, "validation ")
        about["validation_data"] = len(validation.images)
    return json.loads(json.dumps(about | settings, default=str))


def about_model(model: SegModel) -> dict:
    """The network: its specification, and its layers' names and sizes."""
    spec = model.spec.to_dict()
    layers = [(name, list(value.shape)) for name, value in model.module.state_dict().items()]
    return {
        "architecture": spec["architecture"],
        "arguments": spec["arguments"],
        "in_channels": spec["in_channels"],
        "classes": spec["classes"],
        "preprocess": spec["preprocess"],
        "layers": digest(layers),
        "frozen": frozen_names(model),
    }


def frozen_names(model: SegModel) -> list[str]:
    """The modules that keep their weights, and the parameters that do so by themselves."""
    return sorted(model.frozen.union(layers.fixed(model.module)))


def about_compiled(model: SegModel) -> dict:
    """Loss, optimizer and metrics."""
    config = model.optimizer.get_config()
    del config["name"]  # Keras numbers them: "adam_1"
    return {
        "optimizer": type(model.optimizer).__name__,
        "learning_rate": config.pop("learning_rate"),
        "optimizer's settings": config,
        "loss": settings_of(model.loss),
        "metrics": metric_names(model)[1:],
    }


def settings_of(thing: object) -> object:
    """The settings of a Keras object, or the name of anything else."""
    if isinstance(thing, keras.losses.Loss):
        return thing.get_config()
    return thing if isinstance(thing, str) else getattr(thing, "__name__", type(thing).__name__)


def about_data(data: DataSpec, before: str) -> dict:
    """A dataset, each field's name with `before` put before it."""
    fields = {name: getattr(data, name) for name in DATA_FIELDS}
    fields["images"] = f"{len(data.images)} ({digest([data.names, data.images])})"
    fields["targets"] = f"{len(data.targets)} ({digest(data.targets)})"
    fields["sample_weights"] = None if data.sample_weights is None else digest(data.sample_weights)
    return {before + name: value for name, value in fields.items()}


def digest(content: object) -> str:
    """A short word that almost surely differs where the content does."""
    made = hashlib.sha256()
    _digest(made, content)
    return made.hexdigest()[:8]


def _digest(made: "hashlib._Hash", content: object) -> None:
    if isinstance(content, np.ndarray):
        made.update(repr((content.shape, content.dtype.str)).encode())
        made.update(content.tobytes())
    elif isinstance(content, str):
        # a file may have moved with its folder
        length = os.path.getsize(content) if os.path.isfile(content) else None
        made.update(repr((os.path.basename(content), length)).encode())
    elif isinstance(content, dict):
        _digest(made, sorted(content))
        _digest(made, [content[key] for key in sorted(content)])
    elif isinstance(content, Sequence):
        made.update(repr(len(content)).encode())
        for item in content:
            _digest(made, item)
    else:
        made.update(repr(content).encode())


def differences(before: dict, now: dict, most: int = 3) -> list[str]:
    """What two descriptions differ in, each in words."""
    found = []
    for name in before | now:
        there, here = before.get(name), now.get(name)
        if there != here and isinstance(there, dict) and isinstance(here, dict):
            found += [f"{name}: {part}" for part in differences(there, here)]
        elif there != here:
            found.append(f"{name} is {brief(there)} there and {brief(here)} here")
    return found if len(found) <= most else [*found[:most], f"and {len(found) - most} more"]


def brief(value: object, most: int = 60) -> str:
    """A value in few characters."""
    text = json.dumps(value)
    return text if len(text) <= most else text[: most - 3] + "..."
