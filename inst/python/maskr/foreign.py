"""Models of networks that others have written."""

from dataclasses import replace

from torch import nn

from maskr import device
from maskr.adapters import OneChannel, adapted
from maskr.errors import DataError
from maskr.model import SegModel
from maskr.spec import Spec
from maskr.trial import check_activation, first_channels, trial
from maskr.words import counted


def foreign_model(module: nn.Module, spec: Spec) -> SegModel:
    """The model of a module, once a trial run has shown that it does what `spec` says.

    A module that gives two classes a channel each gets one channel for both, as in all our models:
    the difference of the logits, whose sigmoid is the softmax of the two.

    Raises
    ------
    ShapeError
        If output and input differ in size, or `multiple` is too small.
    DataError
        If the number of channels is not that of the classes, the activation is another, or there
        is no such output.
    """
    module = device.laid_out(adapted(module, spec.output))
    given = spec.in_channels
    spec = replace(spec, in_channels=given or first_channels(module))
    if spec.in_channels is None:
        return SegModel(module, spec)
    out = trial(module, spec)
    if out is None:
        # it may want a size of its own; then its first use tells, and a guess must not stand
        return SegModel(module, replace(spec, in_channels=given))
    check_activation(module, out, spec)
    if spec.classes is None:
        return SegModel(module, spec)
    channels = out.shape[1]
    if len(spec.classes) == 2 and channels == 2:
        sigmoid = spec.activated == "softmax"
        return SegModel(OneChannel(module, sigmoid), spec)
    if channels != spec.out_channels:
        raise DataError(
            f"The network returns {counted(channels, 'channel')}, and {len(spec.classes)} classes "
            f"need {spec.out_channels}.",
            hint="Two classes take one channel or two; more take one each, in their order.",
            argument="classes",
        )
    return SegModel(module, spec)
