"""Networks by name. Each returns logits; `SegModel` applies the activation."""

from collections.abc import Callable

import torch

from maskr.architectures.unet import UNet

REGISTRY: dict[str, Callable[..., torch.nn.Module]] = {"unet": UNet}
"""Builders by name. Each takes `in_channels`, `out_channels` and arguments of its own."""


def build(name: str, in_channels: int, out_channels: int, **arguments: int) -> torch.nn.Module:
    """A freshly initialised network of the architecture `name`."""
    return REGISTRY[name](in_channels=in_channels, out_channels=out_channels, **arguments)
