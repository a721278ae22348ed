"""What there is to say about a model."""

from collections.abc import Sequence

import torchinfo

from maskr.architectures import dims_of
from maskr.errors import ShapeError
from maskr.model import SegModel


def describe(model: SegModel) -> dict:
    """A few plain facts: architecture, parameters, trainable, channels, preprocessing, device."""
    parameters = list(model.module.parameters())
    return {
        "architecture": model.spec.architecture,
        "parameters": sum(p.numel() for p in parameters),
        "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "in_channels": model.spec.in_channels,
        "preprocess": model.spec.preprocess.to_dict(),
        "device": str(parameters[0].device) if parameters else "none",
    }


SIZES = {2: (224, 224), 3: (32, 32, 32)}
"""What tables are for, unless told otherwise: images (H, W), volumes (D, H, W)."""


def table(model: SegModel, size: Sequence[int] | None = None) -> dict:
    """torchinfo's table for one image or volume of `size`, and the numbers of parameters.

    The bare network is shown: in the Keras model each parameter appears twice.

    Raises
    ------
    ShapeError
        If `size` is that of an image where the network takes volumes, or of a volume.
    """
    dims, multiple = dims_of(model.module), model.spec.multiple
    size = SIZES[dims] if size is None else size
    if len(size) != dims:
        raise ShapeError(
            f"This network takes {'volumes' if dims == 3 else 'images'}.",
            hint=f"Give `size = {'c(depth, height, width)' if dims == 3 else 'c(height, width)'}`.",
            argument="size",
        )
    shape = (1, model.spec.in_channels or 3, *(-(-int(s) // multiple) * multiple for s in size))
    training = model.module.training
    info = torchinfo.summary(
        model.module, input_size=shape, verbose=0, depth=2, mode="eval", device=None
    )
    model.module.train(training)
    return {"text": str(info), "parameters": info.total_params, "trainable": info.trainable_params}
