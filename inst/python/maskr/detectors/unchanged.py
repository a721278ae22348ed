"""Whether a network is still what it was, for those of which others keep a copy."""

import itertools
from typing import TYPE_CHECKING, Any

from maskr import members

if TYPE_CHECKING:
    import torch

SETTINGS = (bool, int, float, str, tuple, type(None))
"""Attributes of modules that tell by their values whether they changed."""


class Snapshot:
    """A network at one moment: its modules, their settings and hooks, and all its numbers.

    Everything is compared itself, not by a digest of it. What it can't see are changes inside
    other objects that modules keep, such as lists.

    Parameters
    ----------
    network
        The network; of its tensors copies are kept.
    """

    def __init__(self, network: "torch.nn.Module") -> None:
        self.parts = parts_of(network)
        self.tensors = [tensor.detach().clone() for tensor in tensors_of(network)]

    def still_shows(self, network: "torch.nn.Module") -> bool:
        """Tell whether the network is as it was."""
        import torch

        parts, tensors = parts_of(network), tensors_of(network)
        return (
            len(parts) == len(self.parts)
            and all(a is b or is_same_setting(a, b) for a, b in zip(parts, self.parts, strict=True))
            and len(tensors) == len(self.tensors)
            and all(map(torch.equal, tensors, self.tensors))
        )


def parts_of(network: "torch.nn.Module") -> list[Any]:
    """List a network's modules, each with its settings and hooks."""
    parts: list[Any] = []
    for module in members.modules(network):
        parts.append(module)
        for name, value in vars(module).items():
            if name.endswith("hooks") and value:
                parts += value.values()
            elif isinstance(value, SETTINGS) and name != "training":
                parts.append((name, value))
    return parts


def is_same_setting(a: Any, b: Any) -> bool:
    """Tell whether two parts are settings of one name and value."""
    return isinstance(a, tuple) and isinstance(b, tuple) and a == b


def tensors_of(network: "torch.nn.Module") -> list["torch.Tensor"]:
    """List a network's parameters and buffers."""
    return list(itertools.chain(members.parameters(network), members.buffers(network)))
