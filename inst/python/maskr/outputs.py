"""What a network returns, and which of it counts."""

import torch

from maskr.errors import DataError
from maskr.words import as_r

Output = torch.Tensor | dict | list | tuple
"""What networks return."""


def take_tensor(out: Output) -> torch.Tensor:
    """The logits of a module's output; torchvision's networks return them under "out".

    Raises
    ------
    DataError
        If it returns several outputs, none of which has that name.
    """
    out = out["out"] if isinstance(out, dict) and "out" in out else out
    if isinstance(out, dict | list | tuple):
        raise unclear(out)
    return out


def by_name(out: Output) -> dict[str | int, object]:
    """The outputs by their names, or by their places, which count from 1."""
    if isinstance(out, dict):
        return dict(out)
    return dict(enumerate(out if isinstance(out, list | tuple) else [out], start=1))


def chosen(out: Output, output: str | int) -> object:
    """The output of a name or place.

    Raises
    ------
    DataError
        If there is none.
    """
    outputs = by_name(out)
    if output not in outputs:
        raise DataError(
            f"The network has no output {as_r(output)}. It returns {described(out)}.",
            hint=f"Choose one of {', '.join(map(as_r, outputs))}.",
            argument="output",
        )
    return outputs[output]


def unclear(out: Output) -> DataError:
    """The error of a network whose outputs leave open which is meant."""
    names = list(by_name(out))
    return DataError(
        f"The network returns {described(out)}, and `output` does not say which of them counts.",
        hint=f"Name it, such as `output = {as_r(names[0])}`." if names else "",
        argument="output",
    )


def described(out: object) -> str:
    """A few words about an output: its size, or those of its parts."""
    if isinstance(out, torch.Tensor):
        return f"a tensor of size {' x '.join(map(str, out.shape))}"
    if isinstance(out, dict | list | tuple):
        kind = "dictionary" if isinstance(out, dict) else type(out).__name__
        parts = [f"{as_r(name)} ({described(part)})" for name, part in by_name(out).items()]
        return f"a {kind} of {', '.join(parts)}" if parts else f"an empty {kind}"
    return f"an object of class {type(out).__name__}"
