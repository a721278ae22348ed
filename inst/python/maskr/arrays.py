"""The border for arrays: the only file that knows R's memory order and R's missing values.

R hands over `[H, W]` and `[H, W, C]` in column-major order, read-only and as float64, int32, bool
or uint8 (raw). Here they become contiguous arrays in the order that Python libraries expect; on
the way back `[H, W]` stays `[H, W]`, since reticulate itself restores R's order.
"""

import numpy as np

from maskr.errors import DataError, ShapeError

NA_INTEGER = np.iinfo(np.int32).min
"""R's integer NA as it arrives here."""

NA_REAL = np.uint64(0x7FF80000000007A2)
"""The bits of R's numeric NA, which is one NaN among others: R knows it by its lower half."""

TRANSPOSED = {np.dtype(kind) for kind in ("u1", "i1", "u2", "i2", "i4", "f4", "f8")}
"""Types that OpenCV transposes, several times as fast as numpy."""

IGNORE = -1
"""Ignore index inside Python: no file and no model uses a negative class id."""


def image_from_r(x: np.ndarray) -> np.ndarray:
    """An R image `[H, W]` or `[H, W, C]` as contiguous float32 `[C, H, W]`; NA is NaN.

    Raises
    ------
    ShapeError
        If the array has neither 2 nor 3 dimensions, or no pixel.
    DataError
        If it holds infinite values.
    """
    x = np.asarray(x)
    if x.ndim == 2:
        x = x[:, :, None]
    if x.ndim != 3 or x.size == 0:
        raise ShapeError(
            f"An image must be a matrix [H, W] or an array [H, W, C] with at least one pixel, "
            f"not an array of size {' x '.join(map(str, x.shape))}."
        )
    return channels_first(x, missing=True)


def volume_from_r(x: np.ndarray) -> np.ndarray:
    """An R volume `[D, H, W, C]` as contiguous float32 `[C, D, H, W]`; NA is NaN.

    Raises
    ------
    DataError
        If it holds infinite values.
    """
    return channels_first(np.asarray(x), missing=True)


def channels_first(
    x: np.ndarray, what: str = "The image", dtype: type = np.float32, missing: bool = False
) -> np.ndarray:
    """Values of `[..., C]` as contiguous `[C, ...]`; `what` names them in errors.

    Raises
    ------
    DataError
        If there are infinite values, or NA and NaN unless `missing` values may be there.
    """
    with np.errstate(invalid="ignore"):  # NaN is found below
        image = np.array(np.moveaxis(x, -1, 0), dtype=dtype, order="C")  # R's memory is read-only
    if x.dtype == np.int32 and (absent := np.moveaxis(x, -1, 0) == NA_INTEGER).any():
        image[absent] = np.nan
    if np.isfinite(image).all():
        return image
    lost, endless = (int(test(image).any(axis=0).sum()) for test in (np.isnan, np.isinf))
    if endless > 0 or not missing:
        n, kind = (endless, "infinite values") if endless else (lost, "missing values (NA, NaN)")
        raise DataError(
            f"{what} holds {kind} in {n:,} pixel{'' if n == 1 else 's'}.",
            hint="Replace them first.",
        )
    return image


def mask_from_r(x: np.ndarray, what: str = "The mask") -> np.ndarray:
    """An R matrix or volume of class ids as contiguous int32 in the same shape; NA is IGNORE.

    Raises
    ------
    DataError
        If an id is negative: -1 is no "ignore" to R. `what` names the mask.
    """
    mask = np.array(x, dtype=np.int32, order="C")
    missing = mask == NA_INTEGER
    mask[missing] = 0
    if mask.size > 0 and mask.min() < 0:
        raise DataError(
            f"{what} holds {mask.min()}, and class ids are whole numbers from 0 up.",
            hint="Pixels that do not count are NA.",
            argument="targets",
        )
    mask[missing] = IGNORE
    return mask


def ids_from_doubles(x: np.ndarray, name: str) -> np.ndarray:
    """Class ids that R holds as float64, of any shape, as int32; NaN becomes `NA_INTEGER`.

    Raises
    ------
    DataError
        If a number is not whole or too large; it calls the array by its `name`.
    """
    with np.errstate(invalid="ignore"):  # NaN is found below
        ids = x.astype(np.int32)
    # what int32 cannot hold is equal to nothing, or becomes its lowest number
    if np.array_equal(ids, x) and (ids.size == 0 or ids.min() > NA_INTEGER):
        return ids
    known = ~np.isnan(x)
    # R's NA is a NaN that arithmetic warns of
    numbers = x[known]
    if (np.rint(numbers) != numbers).any():
        raise DataError(
            f"`{name}` must hold whole class ids, and holds fractions.",
            hint="Probabilities become a mask by a threshold: `x > 0.5`. As `prediction` they may "
            "stay, where `thresholds` are given.",
            argument=name,
        )
    large = numbers[np.abs(numbers) > np.iinfo(np.int32).max]
    if large.size > 0:
        raise DataError(
            f"`{name}` must hold class ids below 2^31, not {large[0]:.15g}.", argument=name
        )
    return np.where(known, ids, np.int32(NA_INTEGER))


def mask_to_r(mask: np.ndarray) -> np.ndarray:
    """Class ids as the int32 array that R stores; IGNORE is NA."""
    out = np.array(mask, dtype=np.int32, order="F")
    out[out == IGNORE] = NA_INTEGER
    return out


def looked_up_for_r(numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Class ids of an array of small numbers by a `table`, as `mask_to_r()` gives them."""
    import cv2

    table = np.where(table == IGNORE, np.int32(NA_INTEGER), table)
    turned = cv2.transpose(numbers) if numbers.ndim == 2 else np.ascontiguousarray(numbers.T)
    return table[turned].T


def image_to_r(image: np.ndarray) -> np.ndarray:
    """A `[C, H, W]` image as the `[H, W, C]` array that R users see, in its own dtype.

    Volumes keep the order of their axes, too.
    """
    return np.asfortranarray(np.moveaxis(image, 0, -1))


def same_order(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of one shape as flat arrays whose elements correspond.

    For work in which the order of elements does not matter, such as counting: arrays of the same
    memory order, R's or numpy's, are only viewed; otherwise one of them is copied.
    """
    order = "F" if a.flags.f_contiguous and b.flags.f_contiguous else "C"
    return a.ravel(order), b.ravel(order)


def array_to_r(x: np.ndarray, dtype: type | None = None) -> np.ndarray:
    """Give an array of any shape in R's memory order, so that handing it over costs one copy."""
    return np.array(x, dtype=dtype, order="F")


def numbers_to_r(
    raw: np.ndarray, unit: float = 1.0, missing: np.ndarray | None = None
) -> np.ndarray:
    """Give numbers `[..., C]`, divided by `unit`, as float64 in R's memory order.

    NaN becomes NA, and so does what is `missing`: bool `[..., C]` or `[..., 1]`.
    """
    data = np.empty(raw.shape[::-1]).T
    if raw.ndim == 3 and raw.dtype in TRANSPOSED:
        import cv2

        for channel in range(raw.shape[-1]):
            np.divide(cv2.transpose(raw[..., channel]), unit, out=data.T[channel])
    else:
        np.divide(raw, unit, out=data)
    if raw.dtype.kind == "f" and np.isnan(data.sum()):
        data.view(np.uint64)[np.isnan(data)] = NA_REAL
    if missing is not None:
        data.view(np.uint64)[np.broadcast_to(missing, raw.shape)] = NA_REAL
    return data
