"""Class ids in mask files, read by what `Annotations.reading` says of them."""

import numpy as np

from maskr import masks
from maskr.arrays import IGNORE
from maskr.errors import DataError

SHOWN = 5
"""Unknown class ids that an error names."""


def known_ids(reading: dict) -> set[int]:
    """Take the class ids of `reading`, which R gives back as a scalar if there is one."""
    return set(np.atleast_1d(reading["ids"]).astype(int).tolist())


def load_ids(path: str, reading: dict, known: set[int]) -> np.ndarray:
    """Read a mask by `masks.load()` with `ignore`, `values` and `explicit_ignore` of `reading`."""
    values = reading.get("values")
    if values is not None:
        values = np.atleast_1d(values).astype(int).tolist()
    explicit = bool(reading.get("explicit_ignore"))
    return masks.load(path, reading.get("ignore"), values, explicit, sorted(known))


def check_known(ids: np.ndarray, known: set[int], path: str) -> np.ndarray:
    """Give class ids `[H, W]` back if all of them are known.

    Raises
    ------
    DataError
        If others are there; it names them and counts their pixels.
    """
    fine = np.isin(ids, [*known, IGNORE])
    if fine.all():
        return ids
    found, counts = np.unique(ids[~fine], return_counts=True)
    said = [
        f"{number} ({count} pixels)"
        for number, count in zip(found[:SHOWN].tolist(), counts[:SHOWN].tolist(), strict=True)
    ]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise DataError(
        f"{path} holds class ids that are not known: {', '.join(said)}{more}.",
        hint="Name them in classes = c(...). Images whose pixels are object numbers are of format "
        '"labels".',
        argument="classes",
    )
