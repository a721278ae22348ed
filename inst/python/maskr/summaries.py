"""What there is to say about a model."""

from collections.abc import Sequence

import torchinfo

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


def table(model: SegModel, size: Sequence[int]) -> dict:
    """torchinfo's table for one image of `size` (H, W), and the numbers of parameters.

    The bare network is shown: in the Keras model each parameter appears twice.
    """
    multiple = model.spec.multiple
    height, width = (-(-int(s) // multiple) * multiple for s in size)
    shape = (1, model.spec.in_channels or 3, height, width)
    training = model.module.training
    info = torchinfo.summary(
        model.module, input_size=shape, verbose=0, depth=2, mode="eval", device=None
    )
    model.module.train(training)
    return {"text": str(info), "parameters": info.total_params, "trainable": info.trainable_params}
