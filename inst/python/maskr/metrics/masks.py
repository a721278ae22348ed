"""What metrics of masks are given: class ids, or the probabilities that they follow from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maskr.arrays import IGNORE, NA_INTEGER, ids_from_doubles
from maskr.errors import DataError
from maskr.words import counted


@dataclass(frozen=True)
class Mask:
    """A mask, in any memory order.

    Parameters
    ----------
    ids
        Class ids `[H, W]` or `[D, H, W]`: integer or bool; from R also float64, until `whole()`.
    spacing
        Size of a pixel along each axis, such as mm; None for 1.
    probabilities
        float64 `[H, W, K]` or `[D, H, W, K]`, in the order of the K classes; None where the mask
        holds ids only.
    ignore
        Values of `ids` whose pixels are not counted.
    """

    ids: np.ndarray
    spacing: tuple[float, ...] | None = None
    probabilities: np.ndarray | None = None
    ignore: tuple[int, ...] = (IGNORE, NA_INTEGER)

    @classmethod
    def of(cls, x: "Mask | np.ndarray") -> "Mask":
        """A mask as it is; an array as a mask of its ids."""
        return x if isinstance(x, cls) else cls(np.asarray(x))

    @classmethod
    def from_r(cls, x: np.ndarray | str | dict, ids: Sequence[int] | None) -> "Mask":
        """A mask as R hands it over.

        Parameters
        ----------
        x
            An array of whole numbers (NA is INT_MIN or NaN), the path of a mask file, or a dict of
            `array` and `spacing`, or of `probabilities` (and `spacing`).
        ids
            The class ids that may occur; needed for probabilities.
        """
        if isinstance(x, str):
            return cls(load(x, ids), spacing_of(x), ignore=(IGNORE,))
        if isinstance(x, cls):
            return x
        if not isinstance(x, dict):
            # in R's arrays -1 is a mistake, in those of files it is the ignore index
            return cls(x, ignore=(NA_INTEGER,))
        spacing = None if x.get("spacing") is None else tuple(np.atleast_1d(x["spacing"]).tolist())
        if "probabilities" in x:
            return of_probabilities(x["probabilities"], ids, spacing)
        return cls(x["array"], spacing, ignore=(NA_INTEGER,))

    def whole(self, name: str) -> "Mask":
        """The mask with ids that are integers; errors as `arrays.ids_from_doubles()`."""
        if self.ids.dtype != np.float64:
            return self
        return replace(self, ids=ids_from_doubles(self.ids, name))

    @property
    def counted(self) -> np.ndarray:
        """Which pixels count, bool in the memory order of `ids`."""
        return is_known(self.ids, self.ignore)


def is_known(ids: np.ndarray, missing: Sequence[int]) -> np.ndarray:
    """Which ids are none of the values in `missing`, bool in their memory order."""
    known = np.ones_like(ids, dtype=bool)
    for value in missing:
        known &= ids != value
    return known


def of_probabilities(
    probabilities: np.ndarray, ids: Sequence[int], spacing: tuple[float, ...] | None = None
) -> Mask:
    """The mask of the most probable classes; of two, the second from one half on.

    Pixels whose probabilities are all missing are missing.

    Raises
    ------
    DataError
        As `check_probabilities()`.
    """
    check_probabilities(probabilities, ids)
    missing = np.isnan(probabilities[..., 0])
    ids = np.asarray(ids, dtype=np.int32)
    if ids.size == 2:
        chosen = ids[(probabilities[..., 1] >= probabilities[..., 0]).view(np.uint8)]
    else:
        chosen = ids[probabilities.argmax(axis=-1)]
    chosen[missing] = NA_INTEGER
    return Mask(chosen, spacing, probabilities)


def check_probabilities(probabilities: np.ndarray, ids: Sequence[int]) -> None:
    """Refuse probabilities that are none, or not one for each class.

    Raises
    ------
    DataError
        If a value is outside 0..1, some but not all of a pixel's are missing, or there are not as
        many channels as classes.
    """
    if probabilities.shape[-1] != len(ids):
        raise DataError(
            f"The probabilities have {counted(probabilities.shape[-1], 'channel')}, and the number "
            f"of classes is {len(ids)}.",
            hint="The last dimension must hold one channel for each class, in their order.",
            argument="prediction",
        )
    if probabilities.size == 0:
        return
    lowest, highest = probabilities.min(), probabilities.max()
    if np.isnan(lowest):
        missing = np.isnan(probabilities)
        if (missing.any(axis=-1) != missing.all(axis=-1)).any():
            raise DataError(
                "The probabilities of some pixels are missing for a part of the classes.",
                hint="A pixel that is left out has NA for every class.",
                argument="prediction",
            )
        if missing.all():
            return
        lowest, highest = np.nanmin(probabilities), np.nanmax(probabilities)
    if not (lowest >= 0 and highest <= 1):
        raise DataError(
            f"The probabilities hold values from {lowest:g} to {highest:g}.",
            hint="They must lie between 0 and 1; logits become such by a sigmoid or softmax.",
            argument="prediction",
        )


def load(path: str, ids: Sequence[int] | None) -> np.ndarray:
    """The class ids of a mask file; 255 is "ignore", unless it is a class."""
    from maskr import masks  # noqa: PLC0415, arrays need no reader of files

    ignore = None if ids is not None and 255 in ids else 255
    try:
        return masks.load(path, ignore=ignore, classes=ids)
    except DataError as error:
        if error.argument == "values":
            error.hint = f"Read it with seg_read_mask(). {error.hint}"
        raise


def spacing_of(path: str) -> tuple[float, ...] | None:
    """The size of the voxels of a volume's file; None for other files."""
    from maskr import volumes  # noqa: PLC0415

    if not volumes.is_volume(path):
        return None
    spacing = volumes.open_volume(path).geometry()["spacing"]
    return None if spacing is None else tuple(np.asarray(spacing, dtype=float).tolist())
