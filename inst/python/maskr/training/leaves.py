"""Nested values as JSON takes them, from which arrays or tensors are put aside."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def put_aside(
    value: object, kind: type, mark: str, leaves: dict[str, Any], name: str = ""
) -> object:
    """The value with `{mark: name}` in the place of each leaf, which is put into `leaves`.

    Parameters
    ----------
    value
        Dicts and sequences of plain values and leaves.
    kind
        Class of the leaves.
    mark
        Key of what stands in their place.
    leaves
        Gets them, by their path in `value`, which begins with `name`.
    """
    if isinstance(value, kind):
        leaves[name] = value
        return {mark: name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {k: put_aside(one, kind, mark, leaves, f"{name}/{k}") for k, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [put_aside(one, kind, mark, leaves, f"{name}/{i}") for i, one in enumerate(value)]
    return value


def put_back(value: object, mark: str, leaves: dict[str, Any]) -> object:
    """The inverse of `put_aside()`; all sequences come back as lists."""
    if isinstance(value, dict):
        if set(value) == {mark} and isinstance(value[mark], str):
            return leaves[value[mark]]
        return {key: put_back(one, mark, leaves) for key, one in value.items()}
    if isinstance(value, list):
        return [put_back(one, mark, leaves) for one in value]
    return value
