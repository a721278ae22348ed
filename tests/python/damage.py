"""Damage to files and their content, for tests of readers."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


def mutilated(data: bytes, rng: np.random.Generator, words: Sequence[bytes]) -> bytes:
    """Change, remove, repeat some bytes, or insert one of `words`."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(0, len(out) + 1))
        kind = rng.integers(0, 4)
        if kind == 0 and at < len(out):
            out[at] = rng.integers(0, 256)
        elif kind == 1:
            del out[at : at + int(rng.integers(1, 20))]
        elif kind == 2:
            out[at:at] = out[at : at + 20]
        else:
            out[at:at] = words[rng.integers(0, len(words))]
    return bytes(out)


def spots(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yield the place of everything in nested content of JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*path, key)
        if isinstance(one, (dict, list)):
            yield from spots(one, (*path, key))


def spoiled(content: Any, spot: tuple, junk: Any, drop: bool) -> Any:
    """Copy content without what is at `spot`, or with `junk` there."""
    out = json.loads(json.dumps(content))
    inner = out
    for key in spot[:-1]:
        inner = inner[key]
    if drop:
        del inner[spot[-1]]
    else:
        inner[spot[-1]] = junk
    return out
