"""Refusing files whose headers claim more than the file, or the machine's memory, can hold."""

import math
import os

from maskr.errors import FormatError

DEFLATE = 1032
"""Times that zlib can shrink data at most (https://zlib.net/zlib_tech.html)."""


def check_claim(path: str, claimed: int, ratio: float | None = None) -> None:
    """Compare what a header claims with the file and the machine, before anything is allocated.

    Parameters
    ----------
    path
        The file.
    claimed
        Bytes that its content takes when decoded.
    ratio
        Times that its compression can shrink data at most; None where there is no useful limit.

    Raises
    ------
    FormatError
        If the file is too small for what it claims to hold, or the memory is.
    """
    size = os.path.getsize(path)
    if ratio is not None and claimed > size * ratio:
        raise FormatError(
            f"{path} claims to hold {in_words(claimed)}, and a file of {in_words(size)} cannot.",
            hint="It is damaged or was copied in part only.",
        )
    memory = memory_size()
    if memory is not None and claimed > memory:
        raise FormatError(
            f"{path} claims to hold {in_words(claimed)}, and this machine's memory is "
            f"{in_words(memory)}.",
            hint="It is damaged, or too large to be read as a whole.",
        )


def memory_size() -> int | None:
    """Bytes of memory of this machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def in_words(size: int) -> str:
    """Bytes for a message: "12.5 GB"."""
    power = min(int(math.log(max(size, 1), 1000)), 4)
    return f"{size / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
