"""Networks by name. Each returns logits; `SegModel` applies the activation."""

import torch

from maskr import members
from maskr.architectures.registry import REGISTRY, Architecture, build, entry

__all__ = ["REGISTRY", "Architecture", "build", "dims_of", "entry"]


def dims_of(module: torch.nn.Module) -> int:
    """Whether a network takes images (2) or volumes (3): what it says, or what its kernels are."""
    said = getattr(module, "dims", None)
    if said in (2, 3):
        return said
    return 3 if any(parameter.ndim == 5 for parameter in members.parameters(module)) else 2
