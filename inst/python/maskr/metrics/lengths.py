"""Lengths that metrics take: in units of the spacing, or as a share of the image's diagonal."""

import math
from collections.abc import Sequence

from maskr.errors import DataError

Length = float | str
"""A number of 0 or more in units of the spacing, pixels where there is none; or a share of the
diagonal such as "0.75%"."""


def checked(value: Length, argument: str) -> Length:
    """The length as a float or a string, if it is one.

    Raises
    ------
    DataError
        If it is negative, infinite or missing, or text that is no percentage.
    """
    try:
        number = share(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (0 <= number < math.inf):
        raise DataError(
            f"`{argument}` is {value!r}.",
            hint="It must be a number of 0 or more, in pixels or in units of the masks' spacing, "
            'or a share of the image\'s diagonal such as "0.75%".',
            argument=argument,
        )
    return value if isinstance(value, str) else number


def share(text: str) -> float:
    """The number of "0.75%" as 0.0075."""
    if not text.endswith("%"):
        raise ValueError("no percentage")
    return float(text[:-1]) / 100


def length(value: Length, shape: Sequence[int], spacing: Sequence[float]) -> float:
    """A length in units of the spacing, for an image of so many pixels along each axis."""
    if not isinstance(value, str):
        return value
    return share(value) * math.hypot(*(n * step for n, step in zip(shape, spacing, strict=True)))
