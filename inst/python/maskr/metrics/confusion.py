"""Confusion matrices: how many pixels of class i were predicted as class j.

Pixels are counted where they lie in memory, R's column-major masks included, in chunks that stay
in the cache. Class ids and ignore index are checked in the same pass. A chunk that consists of
long runs, as masks of real scenes do, is counted run by run; a noisy one pixel by pixel.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from maskr.arrays import IGNORE, NA_INTEGER, ids_from_doubles, same_order
from maskr.errors import DataError, ShapeError
from maskr.masks import binary_hint
from maskr.metrics.masks import is_known

CHUNK = 1 << 18
"""Pixels that are counted at once: little enough for a core's own cache."""

EVERY = 256
"""One pixel in so many is looked at to decide whether a chunk consists of runs."""

DENSE_BITS = 8
"""Class ids of up to so many bits are counted in a table, larger ones by sorting."""

HISTOGRAM_BITS = 7
"""Up to so many bits OpenCV's histograms are faster than numpy's."""

MAX_CLASSES = 2048
"""More ids than this are labels of objects rather than of classes; the matrix would be huge."""

Ignored = tuple[int, ...]


class Missing(NamedTuple):
    """Values of truth and of prediction that stand for no class id: such pixels do not count.

    A prediction lacks the pixels that its image lacks.
    """

    truth: Ignored = (IGNORE, NA_INTEGER)
    prediction: Ignored = (IGNORE, NA_INTEGER)


@dataclass(frozen=True)
class Pairs:
    """Class ids that occur together, sorted and without repetition, and in how many pixels."""

    truth: np.ndarray
    prediction: np.ndarray
    pixels: np.ndarray


def count(
    truth: np.ndarray,
    prediction: np.ndarray,
    ids: Sequence[int],
    ignore: Ignored = (IGNORE, NA_INTEGER),
) -> np.ndarray:
    """The confusion matrix of one mask, or of any number stacked into one array.

    Parameters
    ----------
    truth, prediction
        Class ids: integer or bool arrays of one shape, in any memory order.
    ids
        The class ids that may occur, in the order of the matrix.
    ignore
        Values in `truth` whose pixels are not counted; of the prediction these are IGNORE and
        NA_INTEGER.

    Returns
    -------
    np.ndarray
        int64 `[K, K]` pixels: rows are the truth, columns the prediction.

    Raises
    ------
    ShapeError
        If the shapes differ.
    DataError
        If an id is not among `ids`.
    """
    return matrix(count_pairs(truth, prediction, Missing(ignore)), ids)


def count_pairs(truth: np.ndarray, prediction: np.ndarray, missing: Missing) -> Pairs:
    """Which class ids occur together, and how often; arguments and errors as `count()`."""
    truth = whole_numbers(truth, "truth")
    return pairs_of_masks(truth, whole_numbers(prediction, "prediction"), missing)


@contextmanager
def ids_called(noun: str, zero: str) -> Iterator[None]:
    """Let errors of `count_pairs()` speak of other ids than those of classes.

    Parameters
    ----------
    noun
        What an id is called.
    zero
        What 0 means.
    """
    try:
        yield
    except DataError as error:
        if "class id" in error.text:
            error.text = error.text.replace("class id", noun)
            error.args = (error.text,)
            error.hint = f"{noun.capitalize()}s are whole numbers from 0 up; 0 is {zero}."
        raise


def pairs_of_masks(truth: np.ndarray, prediction: np.ndarray, missing: Missing) -> Pairs:
    """As `count_pairs()`, of integers or of R's class ids in float64, which are checked here."""
    if truth.dtype != np.float64:
        truth = whole_numbers(truth, "truth")
    if prediction.dtype != np.float64:
        prediction = whole_numbers(prediction, "prediction")
    if truth.shape != prediction.shape:
        raise ShapeError(
            f"Truth and prediction differ in size: {size_of(truth)} and {size_of(prediction)}.",
            hint="Resize the one to the other's size first, without interpolation.",
            argument="prediction",
        )
    truth, prediction = same_order(truth, prediction)
    tables: dict[int, np.ndarray] = {}
    found: list[Pairs] = []
    for start in range(0, truth.size, CHUNK):
        end = start + CHUNK
        count_chunk(truth[start:end], prediction[start:end], missing, tables, found)
    return merge(found + [pairs_of_table(table, bits) for bits, table in tables.items()])


def count_chunk(
    truth: np.ndarray,
    prediction: np.ndarray,
    missing: Missing,
    tables: dict[int, np.ndarray],
    found: list[Pairs],
) -> None:
    """Add the pixels of a chunk to `tables` (by bits of the largest id) or to `found`."""
    truth, prediction, lengths = runs(truth, prediction)
    if truth.dtype == np.float64:
        truth = ids_from_doubles(truth, "truth")
    if prediction.dtype == np.float64:
        prediction = ids_from_doubles(prediction, "prediction")
    largest = largest_bits(truth, prediction)
    if largest > np.iinfo(np.int32).max:
        truth, prediction, lengths = without_ignored(truth, prediction, lengths, missing)
        if truth.size == 0:
            return
        largest = largest_bits(truth, prediction)
    bits = largest.bit_length()
    if bits > DENSE_BITS:
        found.append(pairs_of_keys(joined(truth, prediction, 32, np.int64), lengths))
        return
    keys = joined(truth, prediction, bits, np.int32)
    table = tables.setdefault(bits, np.zeros(1 << (2 * bits), dtype=np.int64))
    if lengths is None and bits <= HISTOGRAM_BITS:
        table += histogram(keys, table.size)
        return
    # exact: float64 holds whole numbers up to 2^53
    pixels = np.bincount(keys, weights=lengths).astype(np.int64, copy=False)
    table[: pixels.size] += pixels


def histogram(keys: np.ndarray, size: int) -> np.ndarray:
    """How often each key below `size` occurs: int64 `[size]`."""
    import cv2  # noqa: PLC0415, five times as fast as numpy's bincount; masks of runs need none

    # as one row: OpenCV is slow on columns; its float32 is exact up to 2^24, more than a chunk
    row = keys.astype(np.uint16).reshape(1, -1)
    return cv2.calcHist([row], [0], None, [size], [0, size]).ravel().astype(np.int64)


def runs(
    truth: np.ndarray, prediction: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Ids of runs in which both stay the same, and their lengths.

    Where runs are short, as a sample of neighbours tells, these are the pixels themselves and None.
    """
    if any(8 * changes_sampled(x) > x.size // EVERY for x in (truth, prediction)):
        return truth, prediction, None
    changes = truth[1:] != truth[:-1]
    changes |= prediction[1:] != prediction[:-1]
    edges = np.concatenate(([0], np.flatnonzero(changes) + 1, [truth.size]))
    starts = edges[:-1]
    return truth.take(starts), prediction.take(starts), edges[1:] - starts


def changes_sampled(x: np.ndarray) -> int:
    """How often a pixel differs from the one before it, looking at one in `EVERY`."""
    return np.count_nonzero(x[1::EVERY] != x[: x.size - 1 : EVERY])


def largest_bits(truth: np.ndarray, prediction: np.ndarray) -> int:
    """A number with as many bits as the largest id; above int32's if any value is negative."""
    together = int(np.bitwise_or.reduce(truth)) | int(np.bitwise_or.reduce(prediction))
    return together & np.iinfo(np.uint32).max


def joined(truth: np.ndarray, prediction: np.ndarray, bits: int, dtype: type) -> np.ndarray:
    """Both ids in one number, the prediction in the lower bits."""
    keys = np.left_shift(truth, bits, dtype=dtype)
    return np.bitwise_or(keys, prediction, out=keys)


def pairs_of_keys(keys: np.ndarray, lengths: np.ndarray | None) -> Pairs:
    """Count 64-bit keys by sorting."""
    values, position = np.unique(keys, return_inverse=True)
    pixels = np.bincount(position, weights=lengths).astype(np.int64, copy=False)
    return Pairs(values >> 32, values & 0xFFFFFFFF, pixels)


def pairs_of_table(table: np.ndarray, bits: int) -> Pairs:
    """What a table holds whose index is the joined key."""
    keys = np.flatnonzero(table)
    return Pairs(keys >> bits, keys & ((1 << bits) - 1), table[keys])


def merge(found: list[Pairs]) -> Pairs:
    """All pairs in one."""
    if len(found) == 1:
        return found[0]
    if not found:
        nothing = np.empty(0, dtype=np.int64)
        return Pairs(nothing, nothing, nothing)
    keys = np.concatenate([(one.truth << 32) | one.prediction for one in found])
    return pairs_of_keys(keys, np.concatenate([one.pixels for one in found]))


def without_ignored(
    truth: np.ndarray, prediction: np.ndarray, lengths: np.ndarray | None, missing: Missing
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The pixels or runs that count in both; a negative id that is left is an error."""
    counted = counted_in(truth, missing.truth, "truth")
    # predictions that lack pixels are rare
    if prediction.min() < 0:
        counted &= counted_in(prediction, missing.prediction, "prediction")
    lengths = None if lengths is None else lengths[counted]
    return truth[counted], prediction[counted], lengths


def counted_in(x: np.ndarray, missing: Ignored, name: str) -> np.ndarray:
    """Which class ids count; a negative one among them is an error."""
    counted = is_known(x, missing)
    negative = counted & (x < 0)
    if negative.any():
        lowest = x[negative].min()
        said = "NA" if lowest == NA_INTEGER else lowest
        raise DataError(
            f"The {name} holds {said}, which is not a class id.",
            hint="Class ids are whole numbers from 0 up; NA leaves a pixel out.",
            argument=name,
        )
    return counted


def matrix(pairs: Pairs, ids: Sequence[int]) -> np.ndarray:
    """Pairs as an int64 `[K, K]` matrix in the order of `ids`; an id beyond them is an error."""
    ids = np.asarray(ids, dtype=np.int64)
    order = np.argsort(ids)
    position = {}
    for name in ("truth", "prediction"):
        values = getattr(pairs, name)
        place = order.take(np.searchsorted(ids, values, sorter=order), mode="clip")
        unknown = np.unique(values[ids[place] != values])
        if unknown.size > 0:
            raise DataError(
                f"The {name} holds class id{'s' * (unknown.size > 1)} {listing(unknown)}, "
                f"not among the classes {listing(ids)}.",
                hint=hint_for_unknown(unknown),
                argument=name,
            )
        position[name] = place
    out = np.zeros((ids.size, ids.size), dtype=np.int64)
    out[position["truth"], position["prediction"]] = pairs.pixels
    return out


def hint_for_unknown(ids: np.ndarray) -> str:
    """What to do about ids that are no classes."""
    return binary_hint(ids) or (
        "Add it to `classes`, or set its pixels in the truth to NA to leave them out."
    )


def ids_seen(found: Sequence[Pairs]) -> np.ndarray:
    """The class ids in any of the pairs, ascending.

    Raises
    ------
    DataError
        If there are too many for classes.
    """
    ids = np.unique(np.concatenate([x for one in found for x in (one.truth, one.prediction)]))
    if ids.size > MAX_CLASSES:
        raise DataError(
            f"The masks hold {ids.size} different ids, too many for classes.",
            hint="Are these labels of single objects? Masks of classes are needed here.",
            argument="truth",
        )
    return ids


def whole_numbers(x: np.ndarray, name: str) -> np.ndarray:
    """Class ids in a dtype that can be counted as int32."""
    x = np.asarray(x)
    if x.dtype.kind not in "biu":
        raise DataError(
            f"The {name} must hold whole class ids, not {x.dtype} numbers.", argument=name
        )
    if x.dtype == bool:
        return x.view(np.uint8)
    if np.can_cast(x.dtype, np.int32):
        return x
    if x.size > 0 and (x.max() > np.iinfo(np.int32).max or x.min() < np.iinfo(np.int32).min):
        raise DataError(f"The {name} holds {x.max()}, too large for a class id.", argument=name)
    return x.astype(np.int32)


def size_of(x: np.ndarray) -> str:
    """Dimensions in words: "480 x 640"."""
    return " x ".join(map(str, x.shape))


def listing(ids: np.ndarray) -> str:
    """The ids, or the first ten of more."""
    shown = ", ".join(map(str, ids[:10].tolist()))
    more = f", ... ({ids.size} in all)" if ids.size > 10 else ""
    return shown + more
