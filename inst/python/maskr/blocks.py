"""The blocks of a network, as a picture of it shows them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from maskr import members
from maskr.errors import DataError
from maskr.model import SegModel
from maskr.summaries import device_of, image_size

MOST = 24
"""Blocks that a picture can hold."""

Named = list[tuple[str, nn.Module]]


@dataclass(frozen=True)
class Ran:
    """What a block gave the first time it ran: its channels, and its size where it has one."""

    channels: int
    size: tuple[int, ...]


def blocks(model: SegModel, size: Sequence[int] | None = None) -> dict:
    """The blocks of the network with parameters, in the order in which they run.

    They are its modules at the deepest level at which there are at most `MOST`.

    Parameters
    ----------
    model
        The model; it stays as it is.
    size
        Of the image or volume that goes through it; None for that of `summaries.table()`.

    Returns
    -------
    dict
        `name`, `kind` (the module's class), `parameters`, `channels`: columns of equal length;
        `size`: for each block the size of what it gives, empty where that has none (as tokens of
        a transformer); `input`: the size of the image; `architecture`: the network's name.

    Raises
    ------
    ShapeError
        If `size` is not of the network's number of dimensions.
    DataError
        If the network is TorchScript, whose modules can't be watched, or has no parameters.
    """
    if members.is_script(model.module):
        raise DataError(
            "A TorchScript network runs as it is, and its blocks can't be seen.",
            hint="Plot a prediction: `plot(predict(model, image), image)`.",
            argument="x",
        )
    size = image_size(model, size)
    shown = level(model.module)
    ran = watch(model, dict(shown), size)
    modules = dict(shown)
    names = [name for name in ran if is_block(modules[name])]
    if not names:
        raise DataError(
            "The network has no layer with parameters, and so no blocks to be drawn.",
            argument="x",
        )
    return {
        "name": names,
        "kind": [type(modules[name]).__name__ for name in names],
        "parameters": [counted(modules[name]) for name in names],
        "channels": [ran[name].channels for name in names],
        "size": [list(ran[name].size) for name in names],
        "input": list(size),
        "architecture": model.spec.architecture,
    }


def is_block(module: nn.Module) -> bool:
    """Has it parameters, and does more than normalise?"""
    return counted(module) > 0 and "Norm" not in type(module).__name__


def counted(module: nn.Module) -> int:
    """The number of a module's parameters."""
    return sum(p.numel() for p in members.parameters(module))


def level(network: nn.Module) -> Named:
    """The modules at the deepest level at which at most `MOST` have parameters, or at the first."""
    shown = list(parts("", network))
    while True:
        deeper = [part for name, module in shown for part in parts(name, module)]
        if dict(deeper) == dict(shown) or sum(counted(m) > 0 for _, m in deeper) > MOST:
            return shown
        shown = deeper


def parts(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """A module's children by their dotted names, or itself where it has none.

    Lists of modules don't run themselves, so their children take their places.
    """
    children = dict(nn.Module.named_children(module))
    if not children:
        yield name, module
    for child, inner in children.items():
        full = f"{name}.{child}" if name else child
        if isinstance(inner, nn.ModuleList | nn.ModuleDict):
            yield from parts(full, inner)
        else:
            yield full, inner


def watch(model: SegModel, shown: dict[str, nn.Module], size: tuple[int, ...]) -> dict[str, Ran]:
    """What each module gives for an image of zeros, in the order in which they first end."""
    ran: dict[str, Ran] = {}

    def hook(name: str) -> object:
        def note(_module: nn.Module, _inputs: tuple, out: object) -> None:
            tensor = tensor_in(out)
            if name not in ran and tensor is not None and tensor.ndim > 1:
                ran[name] = described(tensor, len(size))
        return note

    handles = [module.register_forward_hook(hook(name)) for name, module in shown.items()]
    training = model.module.training
    image = torch.zeros(1, model.spec.in_channels or 3, *size, device=device_of(model))
    try:
        with torch.no_grad():
            model.module.eval()(image)
    finally:
        model.module.train(training)
        for handle in handles:
            handle.remove()
    return ran


def tensor_in(out: object) -> torch.Tensor | None:
    """A tensor in a module's output: the first of a dict, else the last, an encoder's deepest."""
    if isinstance(out, torch.Tensor):
        return out
    if isinstance(out, dict):
        inside = list(out.values())
    else:
        inside = list(reversed(out)) if isinstance(out, list | tuple) else []
    return next((t for t in map(tensor_in, inside) if t is not None), None)


def described(tensor: torch.Tensor, dims: int) -> Ran:
    """Channels and size of `[N, C, ...]`, or the channels of tokens `[N, L, C]`."""
    if tensor.ndim == dims + 2:
        return Ran(tensor.shape[1], tuple(tensor.shape[2:]))
    return Ran(tensor.shape[-1], ())
