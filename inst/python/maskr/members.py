"""What is inside a network, by `nn.Module`'s own methods.

A foreign network may have an attribute called `modules` or `parameters`, which hides the method.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


def modules(network: nn.Module) -> Iterator[nn.Module]:
    """The network itself and all modules inside it."""
    return nn.Module.modules(network)


def named_modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules with their dotted names; that of the network itself is ""."""
    return nn.Module.named_modules(network)


def parameters(network: nn.Module) -> Iterator[nn.Parameter]:
    """All parameters."""
    return nn.Module.parameters(network)


def named_parameters(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """All parameters with their dotted names."""
    return nn.Module.named_parameters(network)


def buffers(network: nn.Module) -> Iterator[torch.Tensor]:
    """All buffers, such as the statistics of batch normalisation."""
    return nn.Module.buffers(network)


def trained(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes: those that are not frozen, of TorchScript none."""
    if is_script(network):
        return []
    return [parameter for parameter in parameters(network) if parameter.requires_grad]


def is_script(network: nn.Module) -> bool:
    """Is the network, or a part of it, a TorchScript module?

    Those run as they are: they are not traced, folded or trained.
    """
    return any(isinstance(module, torch.jit.ScriptModule) for module in modules(network))


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode; each module is put back into its own mode afterwards."""
    training = [module for module in modules(network) if getattr(module, "training", False)]
    if training:
        network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
