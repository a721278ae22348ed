"""State dicts: finding them in what files hold, and loading them into networks."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from maskr import checkpoints, layouts
from maskr.errors import WeightsError

State = dict[str, torch.Tensor]

Sized = torch.Tensor | np.ndarray
"""What has a size."""

AVERAGED = ("ema", "swa")
"""Words by which files call the averages of weights, which are what is meant to be used."""


def load(path: str, anchors: Sequence[str] = ()) -> tuple[State, list[str]]:
    """Parameters and buffers by name, and what there is to say about them.

    A state dict may lie inside a checkpoint, as Lightning and others write them, and have a prefix
    before its names, such as the "module." of parallel training.

    Parameters
    ----------
    path
        A file of safetensors, or of `torch.save()`.
    anchors
        Names of tensors, one of which the network in question has.

    Raises
    ------
    TrustError
        If the file holds pickled objects other than tensors and plain values.
    WeightsError
        If it is not there, damaged, or holds no state dict.
    """
    content = checkpoints.read(path)
    held = state_dicts_in(content)
    if not held:
        kind = type(content).__name__
        raise WeightsError(
            f"The file {path} holds a {kind}{' without tensors' * (kind == 'dict')}, not a state "
            "dict.",
            hint="Save `module.state_dict()` instead.",
            argument="weights",
        )
    return fitting(held, anchors)


def state_dicts_in(content: object, name: str = "", depth: int = 3) -> dict[str, State]:
    """All dictionaries of tensors in a checkpoint, by where they are in it."""
    if not isinstance(content, dict) or depth == 0:
        return {}
    tensors = {k: v for k, v in content.items() if isinstance(v, torch.Tensor)}
    found = {name: tensors} if tensors and all(isinstance(k, str) for k in tensors) else {}
    for key, inside in content.items():
        if isinstance(key, str):
            found |= state_dicts_in(inside, f"{name}.{key}".lstrip("."), depth - 1)
    return found


def fitting(held: dict[str, State], anchors: Sequence[str]) -> tuple[State, list[str]]:
    """The state dict that has one of the anchors, without the prefix of its names."""
    options = [
        (place, prefix) for place, state in held.items() for prefix in prefixes(state, anchors)
    ]
    if not options:
        place = max(held, key=lambda place: len(held[place]))
        state = held[place]
        parallel = all(name.startswith("module.") for name in state)
        return without_prefix(state, "module." if parallel else ""), []
    place, prefix = max(options, key=lambda option: is_averaged("".join(option)))
    notes = []
    if len(options) > 1:
        others = ", ".join(f'"{words(option)}"' for option in options if option != (place, prefix))
        notes.append(
            f'The file holds several networks\' weights: those of "{words((place, prefix))}" are '
            f"used, not those of {others}."
        )
    left_out = [name for name in held[place] if not name.startswith(prefix)]
    if left_out and len(options) == 1:
        notes.append(f"Other tensors of the file are left out: {some(left_out)}.")
    return without_prefix(held[place], prefix), notes


def prefixes(state: State, anchors: Sequence[str]) -> list[str]:
    """What stands before an anchor's name in a state dict; of "a." and "a.b." only "a."."""
    found = {
        name.removesuffix(anchor)
        for anchor in anchors
        for name in state
        if name == anchor or name.endswith("." + anchor)
    }
    return sorted(
        prefix
        for prefix in found
        if not any(prefix != other and prefix.startswith(other) for other in found)
    )


def without_prefix(state: State, prefix: str) -> State:
    """The tensors whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def is_averaged(name: str) -> bool:
    """Does a name call weights averaged?"""
    return any(word in AVERAGED for word in re.split(r"[._]", name.lower()))


def words(option: tuple[str, str]) -> str:
    """A place in a file and a prefix as one name."""
    return ".".join(option).strip(".") or "the file itself"


def into(module: torch.nn.Module, state: State) -> None:
    """Load a state dict into a module, all of it and nothing else.

    Raises
    ------
    WeightsError
        If names are missing or unexpected, or sizes differ; the module is then unchanged.
    """
    different = differences(module, state)
    if different:
        raise WeightsError(
            f"The weights do not fit the model: {different}.",
            hint="Channels, classes and features of the model must be those of the weights.",
            argument="weights",
        )
    module.load_state_dict(state)


def differences(module: torch.nn.Module, state: Mapping[str, Sized]) -> str:
    """What keeps a state dict from fitting a module, in words; "" where nothing does."""
    own = module.state_dict()
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    different = [
        f"{name} ({size_of(value)} in the weights, {size_of(own[name])} in the model)"
        for name, value in state.items()
        if name in own and tuple(value.shape) != tuple(own[name].shape)
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another size": different}
    return "; ".join(f"{some(names)} {what}" for what, names in problems.items() if names)


def misfit(name: str, state: Iterable[str], title: str, expected: Iterable[str]) -> WeightsError:
    """The error of weights that are of another network, whose layout is named if it is known."""
    layout = layouts.recognised(state)
    return WeightsError(
        f'The weights "{name}" are not those of this {title}'
        f"{f', but look like those of {layout.title}' if layout else ''}. They hold "
        f"{some(list(state))}; the network has {some(list(expected))}.",
        hint=(layout and layout.advice)
        or "The arguments of the network must be those that it was trained with.",
        argument="weights",
    )


def size_of(tensor: Sized) -> str:
    """The size of a tensor in words."""
    return " x ".join(map(str, tensor.shape)) or "a single number"


def some(names: list[str], most: int = 3) -> str:
    """The first few of some names."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
