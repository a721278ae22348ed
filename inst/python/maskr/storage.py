"""Saving and loading models: `.keras` files that hold a specification and weights, no pickle."""

import copy
import io
import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import h5py
import keras
import numpy as np
import torch

from maskr import checkpoints, detectors, state_dicts, wrapping
from maskr.errors import DataError, FormatError, WeightsError
from maskr.files import atomically
from maskr.model import SegModel, renewed
from maskr.preprocess import Preprocess
from maskr.spec import Spec

if TYPE_CHECKING:
    from maskr.detectors.base import Detector


def save(model: SegModel, path: str) -> None:
    """Write the model to `path` (.keras), whole or not at all.

    Weights and specification only: how the model was compiled, and the optimizer's moments, which
    take twice the room of the weights, would not be read again.

    Raises
    ------
    FormatError
        If the folder doesn't exist or can't be written to.
    """
    uncompiled = SegModel(model.module, model.spec)
    atomically(path, uncompiled.save)


def load(
    path: str,
    module: torch.nn.Module | str | None = None,
    trust: bool = False,
    preprocess: dict | None = None,
) -> "SegModel | Detector":
    """The model in a `.keras` file that `save()` wrote, or the detector in a `.safetensors` file.

    Parameters
    ----------
    path
        The file.
    module
        The network of a model that was made by wrapping one, or its TorchScript file; it gets the
        weights of `path`.
    trust
        Whether the code of a hub model's repository or a TorchScript file may run.
    preprocess
        Fields of a `Preprocess` that takes the place of the file's.

    Raises
    ------
    FormatError
        If the file is not such a model.
    WeightsError
        If a wrapped model is loaded without its module, or the weights don't fit.
    TrustError
        If code is to be loaded without trust.
    """
    if path.endswith(".safetensors"):
        if preprocess is not None:
            raise DataError("Detectors have no preprocessing to be set.", argument="preprocess")
        return detectors.load(path)
    spec = read_spec(path)
    if preprocess is not None:
        spec = replace(spec, preprocess=Preprocess(**preprocess))
    if spec.architecture in ("hub", "wrapped"):
        model = wrapping.reload(spec, module, trust)
    else:
        model = SegModel.from_architecture(spec)
    try:
        model.load_weights(path)
    except (ValueError, KeyError, RuntimeError) as error:
        different = state_dicts.differences(model.module, saved_weights(path))
        raise WeightsError(
            f'The weights in "{path}" do not fit the network: {different or "they are damaged"}.',
            hint="Give a module that is built as the saved one was: `module = `."
            if spec.architecture == "wrapped"
            else "",
            argument="path",
        ) from error
    return model


def saved_weights(path: str) -> dict[str, np.ndarray]:
    """The state dict in a `.keras` file; empty where it can't be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            weights = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(weights) as file:
            held = file["layers/torch_module_wrapper/vars"]
            return {name: values[()] for name, values in held.items()}
    except (OSError, KeyError, zipfile.BadZipFile):
        return {}


def read_spec(path: str) -> Spec:
    """The specification in a `.keras` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        return Spec.from_dict(config["config"]["spec"])
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        kind = checkpoints.kind_of(path)
        raise FormatError(
            f'The file "{path}" is not a model that maskr saved.'
            if kind in ("", checkpoints.KERAS)
            else checkpoints.is_not(path, "a model that maskr saved"),
            hint=checkpoints.instead(kind) if kind != checkpoints.KERAS else "",
            argument="path",
        ) from error


def clone(model: SegModel) -> SegModel:
    """An independent copy, frozen and compiled alike, but with a fresh optimizer.

    Raises
    ------
    DataError
        If a metric of the user's own does not tell how to make another one of its kind.
    """
    copied = SegModel(copy.deepcopy(model.module), model.spec)
    copied.frozen = model.frozen
    copied.notes = model.notes
    if model.compiled:
        # not by `get_compile_config()`, which knows classes by name and so none of the user's own
        settings = dict(model._compile_config.config)
        settings["optimizer"] = renewed(model.optimizer)
        for name in ("metrics", "weighted_metrics"):
            settings[name] = keras.tree.map_structure(another, settings[name])
        copied.compile(**settings)
        copied.recipe = model.recipe
    return copied


def another(metric: object) -> object:
    """A metric of the same settings that has seen nothing; names and functions stay as they are."""
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    try:
        return type(metric).from_config(metric.get_config())
    except (TypeError, ValueError, NotImplementedError) as error:
        raise DataError(
            f'The metric "{metric.name}" cannot be copied with the model: its class '
            f"{type(metric).__name__} has no get_config() that makes another one.",
            hint="Give the class a get_config(), or compile the model without this metric first.",
            argument="model",
        ) from error
