"""A trial run, which shows whether a foreign network does what was said of it."""

import torch
from torch import nn

from maskr import members
from maskr.adapters import Script
from maskr.architectures import dims_of
from maskr.errors import DataError, MaskrError, ShapeError
from maskr.outputs import Output, described, take_tensor
from maskr.quiet import quiet
from maskr.spec import Spec
from maskr.words import counted


def first_channels(module: nn.Module) -> int | None:
    """Channels that the first convolution takes: the best guess at those of the image."""
    for inside in members.modules(module):
        if isinstance(inside, nn.Conv2d):
            return inside.in_channels
        # TorchScript keeps names of classes, but no numbers of channels
        if getattr(inside, "original_name", "") == "Conv2d":
            return inside.weight.shape[1]
    return None


def trial(module: nn.Module, spec: Spec) -> torch.Tensor | None:
    """What the module returns for a small image of noise, with its autograd history.

    Returns
    -------
    torch.Tensor or None
        `[1, K, H, W]`; None where the module can't run on images of this kind at all, as those of
        volumes can't.

    Raises
    ------
    ShapeError
        If the output's size is not the input's, or only a greater `multiple` would do.
    """
    if dims_of(module) == 3:  # of one channel, PyTorch would take the image for a volume
        return None
    first = None
    for multiple in [spec.multiple, *(m for m in (2, 4, 8, 16, 32, 64) if m > spec.multiple)]:
        ran = run_once(module, spec.in_channels, multiple)
        if ran is None:
            continue
        size, out = ran
        first = first or (size, out.shape[2:])
        if out.shape[2:] != size:
            continue
        if multiple == spec.multiple:
            return out
        raise ShapeError(
            f"The network doesn't take images of every size, and `multiple` is {spec.multiple}.",
            hint=f"Set `multiple = {multiple}`: images are padded to it, and results cropped back.",
            argument="multiple",
        )
    if first is None:
        return None
    raise ShapeError(
        "The network returns {1[0]} x {1[1]} pixels for an image of {0[0]} x {0[1]}.".format(
            *first
        ),
        hint="Put it into a module that enlarges the result to the size of the image.",
        argument="module",
    )


def run_once(
    module: nn.Module, channels: int, multiple: int
) -> tuple[torch.Size, torch.Tensor] | None:
    """Size of an image of noise, and what the module returns for it; None where that fails.

    The image's sides are different odd multiples; the module runs in evaluation mode.

    Raises
    ------
    DataError
        If the output is not a tensor `[N, K, H, W]`.
    """
    height = multiple * (max(3, -(-64 // multiple)) | 1)
    parameter = next(members.parameters(module), torch.empty(0))
    noise = torch.rand(1, channels, height, height + 2 * multiple, generator=torch.Generator())
    # no leaf, since networks that work in place on their input could not do so on one
    x = noise.to(parameter).requires_grad_() * 1
    try:
        with quiet(), torch.enable_grad(), members.evaluating(module):
            out = module(x)
    except MaskrError:
        raise
    except Exception:
        return None
    return x.shape[2:], require_tensor(out)


def require_tensor(out: Output) -> torch.Tensor:
    """The tensor `[N, K, H, W]` in a module's output."""
    tensor = take_tensor(out)
    if isinstance(tensor, torch.Tensor) and tensor.dim() == 4:
        return tensor
    raise DataError(
        f"The network returns {described(tensor)}, and must return a tensor [N, K, H, W].",
        hint="Put it into a module whose forward() does.",
        argument="module",
    )


def check_activation(module: nn.Module, out: torch.Tensor, spec: Spec) -> None:
    """Raise a DataError where the activation that the user named is not the network's."""
    ends = ends_in(module, out)
    if spec.activated == "none" and ends is not None:
        raise DataError(
            f"The network ends in a {ends} itself; another would follow.",
            hint=f'Set `activation = "{ends}"`.',
            argument="activation",
        )
    if spec.activated != "none" and (out.min() < 0 or out.max() > 1):
        raise DataError(
            f"The network returns values from {out.min():.3g} to {out.max():.3g}, which are not "
            f"probabilities of a {spec.activated}.",
            hint='Set `activation = "none"` for a network that returns logits.',
            argument="activation",
        )
    wrong = {"sigmoid": out.shape[1] > 1, "softmax": out.shape[1] == 1}
    if spec.classes is not None and wrong.get(spec.activated, False):
        raise DataError(
            f"The network returns {counted(out.shape[1], 'channel')}, which a {spec.activated} "
            "does not turn into probabilities of classes that exclude each other.",
            hint="Leave `classes` out to get its values as they are.",
            argument="activation",
        )


def ends_in(module: nn.Module, out: torch.Tensor) -> str | None:
    """The activation that a module ends in: "sigmoid", "softmax" or None."""
    if isinstance(module, Script) and isinstance(module.module, torch.jit.ScriptModule):
        # which leaves no history on its output, but tells its operations
        graph = module.module.inlined_graph
        last = next(graph.outputs()).node().kind().removeprefix("aten::")
    else:
        last = type(out.grad_fn).__name__.removesuffix("Backward0").lower()
    return last if last in ("sigmoid", "softmax") else None
