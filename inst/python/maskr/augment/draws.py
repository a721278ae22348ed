"""Numbers drawn from a range."""

from collections.abc import Sequence

import numpy as np

Range = Sequence[float]
"""The least and the largest value, both possible."""


def pick(rng: np.random.Generator, between: Range) -> float:
    """A number from a range, each equally likely."""
    low, high = between
    return low + (high - low) * rng.random()


def pick_log(rng: np.random.Generator, between: Range) -> float:
    """A factor above 0 from a range, in which twice and half are equally likely."""
    low, high = between
    return float(low * (high / low) ** rng.random())


def pick_whole(rng: np.random.Generator, between: Range) -> int:
    """A whole number from a range."""
    return int(rng.integers(int(between[0]), int(between[1]) + 1))


def pick_start(rng: np.random.Generator, room: int) -> int:
    """Where a window begins that may slide by `room` pixels; 0 where there is none."""
    return int(rng.integers(max(room, 0) + 1))
