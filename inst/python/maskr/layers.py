"""Layers of a network by name."""

import fnmatch

import torch

from maskr import members
from maskr.errors import DataError


def find(network: torch.nn.Module, pattern: str, argument: str = "layers") -> list[str]:
    """Dotted names of the modules that a pattern such as "encoder*" matches, in their order.

    "encoder" stands for whatever the network names as its `encoder_layers`, unless a module has
    that very name.

    Raises
    ------
    DataError
        If nothing matches.
    """
    names = [name for name, _ in members.named_modules(network) if name]
    patterns = [pattern]
    if pattern == "encoder" and pattern not in names:
        patterns = list(getattr(network, "encoder_layers", ()))
    matched = {name for wanted in patterns for name in fnmatch.filter(names, wanted)}
    if not matched:
        tops = ", ".join(name for name, _ in network.named_children())
        raise DataError(
            f'No layer is called "{pattern}".',
            hint=f"The layers are {tops}; `*` stands for any characters.",
            argument=argument,
        )
    return [name for name in names if name in matched]


def encoder(network: torch.nn.Module, argument: str) -> list[str]:
    """Dotted names of the modules that make up the encoder.

    Raises
    ------
    DataError
        If the network does not tell which those are.
    """
    if not getattr(network, "encoder_layers", ()) and not hasattr(network, "encoder"):
        raise DataError(
            "This network does not tell which of its layers are the encoder.",
            hint="Freeze layers by name with seg_freeze().",
            argument=argument,
        )
    return find(network, "encoder", argument)


def within(network: torch.nn.Module, names: list[str]) -> set[str]:
    """The names of these modules and of all that are inside them."""
    return {
        inside for inside, _ in members.named_modules(network)
        for name in names if inside == name or inside.startswith(name + ".")
    }


def fixed(network: torch.nn.Module) -> list[str]:
    """Names of the parameters that are not trained."""
    return [name for name, p in members.named_parameters(network) if not p.requires_grad]


def not_finite(network: torch.nn.Module) -> str | None:
    """The name of the first parameter or buffer that holds NaN or infinity, or None."""
    state = torch.nn.Module.state_dict(network)
    return next((name for name, value in state.items() if not value.isfinite().all()), None)
