"""Fitting published weights to images with other channels, and to other classes."""

import fnmatch
import itertools

import torch

from maskr import architectures
from maskr.errors import WeightsError


def adapt_input(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """A first convolution's weights `[O, C, ...]` for images of other channels.

    One channel gets the sum over the C that there were; of more, the i-th gets those of channel i
    modulo C, times C / channels. So an image whose channels all show the same still gives what it
    gave (for one channel exactly, for others where they are multiples of C). This is the rule of
    segmentation-models-pytorch and of timm, `adapt_input_conv()`.
    """
    held = weight.shape[1]
    weight = weight.float()  # files may hold half precision, whose sums would be coarse
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    return weight[:, torch.arange(channels) % held] * (held / channels)


def ends(
    architecture: str, in_channels: int, out_channels: int, arguments: dict
) -> tuple[list[str], list[str]]:
    """Names of the tensors whose sizes follow from the channels of images, and of logits."""
    one = shapes(architecture, in_channels, out_channels, arguments)
    other = shapes(architecture, in_channels + 1, out_channels + 2, arguments)
    growth = {
        name: {b - a for a, b in zip(shape, other[name], strict=True)}
        for name, shape in one.items()
    }
    return ([k for k, by in growth.items() if 1 in by], [k for k, by in growth.items() if 2 in by])


def shapes(
    architecture: str, in_channels: int, out_channels: int, arguments: dict
) -> dict[str, torch.Size]:
    """The sizes of a network's tensors."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                module = architectures.build(architecture, in_channels, out_channels, **arguments)
        except (RuntimeError, NotImplementedError):
            # some builders compute with their tensors, which those without values can't
            module = architectures.build(architecture, in_channels, out_channels, **arguments)
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def known_tensors(
    module: torch.nn.Module, state: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The weights without those that the network says it leaves out.

    The counters of batch normalisation, which files of early PyTorch lack, are added.
    """
    unused = getattr(module, "unused_weights", ())
    used = {
        name: tensor
        for name, tensor in state.items()
        if not any(fnmatch.fnmatch(name, pattern) for pattern in unused)
    }
    own = module.state_dict().items()
    return {name: value for name, value in own if name.endswith("num_batches_tracked")} | used


def fitted(
    module: torch.nn.Module,
    state: dict[str, torch.Tensor],
    first: list[str],
    last: list[str],
    keep_last: bool,
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Weights of the module's sizes, and what there is to say about them.

    Parameters
    ----------
    module
        The network, freshly initialised.
    state
        Published weights; only those of the first and last layers may have other sizes.
    first, last
        Names of their tensors, see `ends()`.
    keep_last
        Whether the last layer is wanted where its size is right.

    Raises
    ------
    WeightsError
        If the first layers can't be adapted.
    """
    own, state, notes = module.state_dict(), dict(state), []
    there = [name for name in first if name in state and name in own]
    for name in there:
        held, channels = state[name].shape, own[name].shape
        if held != channels:
            check_only_channels(name, held, channels)
            state[name] = adapt_input(state[name], channels[1])
            notes.append(
                f"The first convolution was adapted from {held[1]} to {channels[1]} channels."
            )
    there = [name for name in last if name in state and name in own]
    if keep_last and all(is_pair(state[name].shape, own[name].shape) for name in there):
        # the softmax of two channels is the sigmoid of their difference
        state |= {name: state[name][1:] - state[name][:1] for name in there}
    if not keep_last or any(state[name].shape != own[name].shape for name in there):
        state |= {name: own[name] for name in there}
        notes.append("The last layer has other classes than the weights, and begins untrained.")
    return state, list(dict.fromkeys(notes))


def is_pair(held: torch.Size, own: torch.Size) -> bool:
    """Are these the sizes of a layer with two channels, and of one with a single channel?"""
    return held[:1] == (2,) and own[:1] == (1,) and held[1:] == own[1:]


def check_only_channels(name: str, held: torch.Size, channels: torch.Size) -> None:
    """Raise a WeightsError where two sizes differ in more than the second number."""
    differ = [i for i, (a, b) in enumerate(itertools.zip_longest(held, channels)) if a != b]
    if differ != [1]:
        raise WeightsError(
            f"The weights do not fit the model: {name} is {tuple(held)} there and "
            f"{tuple(channels)} in the model.",
            hint="Only the channels of images and the classes can differ: arguments of the "
            "network, such as its features, must be those that it was trained with.",
            argument="weights",
        )
