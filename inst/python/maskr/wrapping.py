"""Any module of the user's as a model, and foreign models again from their files."""

from typing import Any

from torch import nn

from maskr import checkpoints
from maskr.errors import DataError, WeightsError, refuse_class
from maskr.foreign import foreign_model
from maskr.hub import module_from_hub
from maskr.model import SegModel
from maskr.preprocess import Preprocess
from maskr.spec import Spec


def wrap(
    module: nn.Module | str,
    classes: dict[str, int] | None = None,
    activation: str = "none",
    preprocess: dict | None = None,
    multiple: int = 1,
    in_channels: int | None = None,
    output: str | int | None = None,
    trust: bool = False,
) -> SegModel:
    """A model around a module.

    Parameters
    ----------
    module
        The network, or the path of a TorchScript file that holds it.
    classes, preprocess, multiple, in_channels, output
        As in `Spec`.
    activation
        What the network itself ends with: "none", "sigmoid" or "softmax".
    trust
        Whether the code in a file may run.

    Raises
    ------
    DataError
        If it is not a PyTorch module, or a Keras one.
    FormatError
        If the file is not a TorchScript file.
    TrustError
        If it is one, without `trust`.
    """
    spec = Spec(
        "wrapped",
        in_channels=in_channels,
        classes=classes,
        activated=activation,
        multiple=multiple,
        preprocess=Preprocess(**(preprocess or {})),
        output=output,
    )
    return foreign_model(require_module(module, trust), spec)


def reload(spec: Spec, module: nn.Module | str | None = None, trust: bool = False) -> SegModel:
    """The model that `spec` describes, for a saved file's weights to be loaded into.

    Parameters
    ----------
    spec
        Of a model that `hub()` or `wrap()` made.
    module
        The network of a wrapped model, which no file of maskr's holds, or its TorchScript file.
    trust
        Whether the code of a hub repository or a TorchScript file may run.
    """
    if spec.architecture == "hub":
        return foreign_model(module_from_hub(**spec.arguments, trust=trust), spec)
    if module is None:
        raise WeightsError(
            "This file holds the weights of a module that was wrapped, not the module itself.",
            hint="Build the module as before and give it: `seg_load(path, module = )`.",
            argument="module",
        )
    return foreign_model(require_module(module, trust), spec)


def require_module(module: Any, trust: bool) -> nn.Module:
    """The module, if it is one or the path of a TorchScript file."""
    import keras

    if isinstance(module, str):
        return checkpoints.open_script(module, trust)
    refuse_class(module, "module")
    if isinstance(module, keras.Layer):  # on the torch backend these are nn.Modules, too
        raise DataError(
            "`module` is a Keras model, and a PyTorch module is needed.", argument="module"
        )
    if not isinstance(module, nn.Module):
        raise DataError(
            f"`module` is a {type(module).__name__}, and must be a PyTorch module.",
            hint="Give an object of a class derived from `torch.nn.Module`, such as "
            "`torch$nn$Conv2d(...)`.",
            argument="module",
        )
    return module
