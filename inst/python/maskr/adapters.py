"""Modules around a foreign network that make it give what a model expects."""

import copy

import torch
from torch import nn

from maskr import members
from maskr.outputs import Output, chosen, take_tensor


def adapted(network: nn.Module, output: str | int | None) -> nn.Module:
    """The network as it is; TorchScript, or one of several outputs, with a module around it."""
    if members.is_script(network):
        network = Script(network)
    return network if output is None else OneOutput(network, output)


class Script(nn.Module):
    """A TorchScript module as it is: in evaluation mode, without gradients.

    Input: what `module` takes, in the order of memory that scripts are written for.
    Output: what it returns.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def train(self, mode: bool = True) -> "Script":
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, x: torch.Tensor) -> Output:
        """Whatever the module returns."""
        with torch.no_grad():
            return self.module(x.contiguous())

    def __deepcopy__(self, memo: dict) -> "Script":
        # else PyTorch would record the copying, and the copy depend on the original's gradients
        with torch.no_grad():
            return Script(copy.deepcopy(self.module, memo))


class OneOutput(nn.Module):
    """One of the outputs of a module that returns several.

    Input: what `module` takes. Output: that of the name or place `output`.
    """

    def __init__(self, module: nn.Module, output: str | int) -> None:
        super().__init__()
        self.module = module
        self.output = output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output that was chosen."""
        return chosen(self.module(x), self.output)


class OneChannel(nn.Module):
    """Two channels of a module as one that stands for the second class.

    Input: what `module` takes. Output: `[N, 1, H, W]`, a logit, or a probability if `activated`.
    """

    def __init__(self, module: nn.Module, activated: bool) -> None:
        super().__init__()
        self.module = module
        self.activated = activated

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The second channel as a probability, or its logit minus the first's."""
        out = take_tensor(self.module(x))
        return out[:, 1:] if self.activated else out[:, 1:] - out[:, :1]
