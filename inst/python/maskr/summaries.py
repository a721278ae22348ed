"""What there is to say about a model."""

from collections.abc import Sequence

import torch
import torchinfo

from maskr import members
from maskr.architectures import REGISTRY
from maskr.errors import ShapeError
from maskr.model import SegModel


def facts(model: SegModel) -> dict:
    """What R's verbs ask of a model: `classes` (ids by name, or None), `dims` of its images (2, or
    3 for volumes).
    """
    classes = model.spec.classes
    return {"classes": None if classes is None else dict(classes), "dims": model.dims}


def same_network(one: SegModel, other: SegModel) -> bool:
    """Whether two models are of one network, which training either would change."""
    return one.module is other.module


def describe(model: SegModel) -> dict:
    """A few plain facts: the network, its parameters, channels, preprocessing, device."""
    parameters = list(members.parameters(model.module))
    return {
        "architecture": model.spec.architecture,
        "arguments": arguments(model),
        "parameters": sum(p.numel() for p in parameters),
        "trainable": sum(p.numel() for p in members.trained(model.module)),
        "in_channels": model.spec.in_channels,
        "preprocess": model.spec.preprocess.to_dict(),
        "device": str(device_of(model)) if parameters else "none",
    }


def device_of(model: SegModel) -> torch.device:
    """Where the network's parameters are."""
    return next(members.parameters(model.module), torch.empty(0)).device


def arguments(model: SegModel) -> str:
    """What a network of ours was built by, such as "encoder = resnet34"; "" for others."""
    entry = REGISTRY.get(model.spec.architecture)
    if entry is None:
        return ""
    held = (entry.defaults | model.spec.arguments).items()
    return ", ".join(f"{name} = {words(value)}" for name, value in held if value is not None)


def words(value: object) -> str:
    """A plain value as R would write it, without quotation marks."""
    return f"c({', '.join(map(str, value))})" if isinstance(value, list | tuple) else str(value)


SIZES = {2: (224, 224), 3: (32, 32, 32)}
"""What tables are for, unless told otherwise: images (H, W), volumes (D, H, W)."""


def image_size(model: SegModel, size: Sequence[int] | None = None) -> tuple[int, ...]:
    """A size that the network takes: `size` or the default, rounded up to its multiple.

    Raises
    ------
    ShapeError
        If `size` is that of an image where the network takes volumes, or of a volume.
    """
    dims, multiple = model.dims, model.spec.multiple
    size = SIZES[dims] if size is None else size
    if len(size) != dims:
        raise ShapeError(
            f"This network takes {'volumes' if dims == 3 else 'images'}.",
            hint=f"Give `size = {'c(depth, height, width)' if dims == 3 else 'c(height, width)'}`.",
            argument="size",
        )
    return tuple(-(-int(length) // multiple) * multiple for length in size)


def table(model: SegModel, size: Sequence[int] | None = None) -> dict:
    """torchinfo's table for one image or volume of `size`, and what `describe()` says of it.

    The bare network is shown: in the Keras model each parameter appears twice.

    Raises
    ------
    ShapeError
        As `image_size()`.
    """
    shape = (1, model.spec.in_channels or 3, *image_size(model, size))
    training = model.module.training
    info = torchinfo.summary(
        model.module, input_size=shape, verbose=0, depth=2, mode="eval", device=device_of(model)
    )
    model.module.train(training)
    return {"text": str(info)} | {
        fact: value
        for fact, value in describe(model).items()
        if fact in ("architecture", "arguments", "parameters", "trainable")
    }
