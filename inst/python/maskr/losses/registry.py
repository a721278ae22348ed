"""The losses by name."""

import inspect
from collections.abc import Callable

import torch

from maskr.losses import distance, lovasz, pixelwise, rank, region

LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "bce": pixelwise.bce,
    "cross_entropy": pixelwise.cross_entropy,
    "focal": pixelwise.focal,
    "dice": region.dice,
    "generalised_dice": region.generalised_dice,
    "iou": region.iou,
    "tversky": region.tversky,
    "focal_tversky": region.focal_tversky,
    "lovasz": lovasz.lovasz,
    "boundary": distance.boundary,
    "hausdorff": distance.hausdorff,
    "l1": pixelwise.l1,
    "l2": pixelwise.l2,
    "topk": rank.topk,
    "ohem": rank.ohem,
    "bce_dice": region.bce_dice,
}


def arguments_of(name: str) -> tuple[str, ...]:
    """The names of a loss's arguments."""
    return tuple(inspect.signature(LOSSES[name]).parameters)[1:]


def takes_class_weights() -> tuple[str, ...]:
    """The losses that have the argument `class_weights`."""
    return tuple(name for name in LOSSES if "class_weights" in arguments_of(name))
