"""Masks: class ids in files and arrays. Ids are those of the files and are never shifted."""

from pathlib import Path

import numpy as np

from maskr import images, tiff, volumes
from maskr.arrays import IGNORE, mask_from_r, mask_to_r
from maskr.errors import DataError, FormatError
from maskr.files import atomically

IGNORE_8 = 255
IGNORE_16 = 65535
IGNORE_COLOUR = (224, 224, 192)
"""Colour of the ignore index in the palette of an index PNG, as in Pascal VOC."""


def load(
    path: str,
    ignore: int | None = IGNORE_8,
    values: list[int] | None = None,
    explicit: bool = False,
    classes: list[int] | None = None,
) -> np.ndarray:
    """Read the class ids of a mask file.

    Parameters
    ----------
    path
        Index PNG, grey PNG or TIFF, another image of one channel, or a NIfTI label volume.
    ignore
        The file's value for "ignore"; None where every value is a class.
    values
        The file's values for the classes 0, 1, ...; None where they are the class ids themselves.
    explicit
        Was `ignore` chosen by the user? If not, a file that holds only 0 and 255 is an error,
        and 16-bit files also use 65535 for "ignore".
    classes
        Known class ids, used only to tell whether 255 in a 16-bit file is one of them.

    Returns
    -------
    np.ndarray
        int32 `[H, W]`, or `[D, H, W]` for a volume or a TIFF of several pages; IGNORE (-1) for
        "ignore".

    Raises
    ------
    FormatError
        If the file cannot be read or is colour-coded.
    DataError
        If its values are not whole, out of range, or only 0 and 255 without further word.
    """
    raw, _ = decode(path)
    return to_ids(raw, path, ignore, values, explicit, classes)


def read(
    path: str,
    ignore: int | None = IGNORE_8,
    values: list[int] | None = None,
    explicit: bool = False,
    classes: list[int] | None = None,
) -> dict:
    """Read a mask for R; arguments and errors as `load()`.

    Returns
    -------
    dict
        `data`: int32 array with R's NA; `ids`: the class ids seen, ascending; `palette`: the file's
        colours "#RRGGBB" from class id 0 up, or None; `spacing` and `affine` as
        `volumes.Volume` has them, or None.
    """
    where: dict = {"spacing": None, "affine": None}
    if volumes.is_volume(path):
        volume = volumes.open_volume(path)
        raw, palette, where = one_channel(volume.whole(), path), None, volume.geometry()
    else:
        raw, palette = decode(path)
    mask = to_ids(raw, path, ignore, values, explicit, classes)
    ids = np.unique(mask)
    return {
        "data": mask_to_r(mask),
        "ids": ids[ids != IGNORE].astype(np.int32),
        "palette": None if values is not None else palette,
    } | where


def decode(path: str) -> tuple[np.ndarray, list[str] | None]:
    """Read the numbers `[H, W]` or `[D, H, W]` of a file of one channel, and its palette if any."""
    if volumes.is_volume(path):
        return one_channel(volumes.open_volume(path).whole(), path), None
    if tiff.is_tiff(path):
        found = tiff.decode(path)
        colours = None if found.palette is None else hex_colours(found.palette)
        return one_channel(found.stored, path), colours
    with images.open_image(path) as image:
        if image.mode in ("P", "PA"):
            try:
                index = np.asarray(image if image.mode == "P" else image.getchannel(0))
            except (OSError, SyntaxError) as error:
                raise FormatError(f"{path} is damaged: {error}") from error
            return index, hex_colours(np.array(image.getpalette("RGB")).reshape(-1, 3))
    return one_channel(images.decode(path), path), None


def hex_colours(palette: np.ndarray) -> list[str]:
    """Write colours `[n, 3]` as "#RRGGBB"."""
    return ["#{:02X}{:02X}{:02X}".format(*map(int, colour)) for colour in palette]


def one_channel(pixels: np.ndarray, path: str) -> np.ndarray:
    """Take the one channel of `[..., C]`; equal colour channels count as grey."""
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    colours = pixels[..., :-1] if pixels.shape[-1] in (2, 4) else pixels
    first = colours[..., :1]
    if colours.shape[-1] <= 3 and (colours == first).all():
        return first[..., 0]
    raise FormatError(
        f"{path} is a picture of {pixels.shape[-1]} channels, not a mask of class ids.",
        hint="Masks are index PNGs, or grey PNGs or TIFFs whose values are class ids.",
    )


def to_ids(
    raw: np.ndarray,
    path: str,
    ignore: int | None,
    values: list[int] | None,
    explicit: bool,
    classes: list[int] | None,
) -> np.ndarray:
    """Turn a file's numbers into int32 class ids with IGNORE."""
    mask = whole(raw, path)
    found = distinct(raw, mask)
    ignored = meaning_of(found, raw.dtype.itemsize, path, ignore, values, explicit, classes)
    return replaced(mask, path, ignored, values)


def distinct(raw: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Find the values of a mask, given also as its file holds them, in rising order."""
    if raw.dtype.itemsize > 2 or raw.dtype.kind != "u":
        return np.unique(mask)
    # several times as fast as sorting
    return np.flatnonzero(np.bincount(raw.ravel()))


def meaning_of(
    found: np.ndarray,
    width: int,
    path: str,
    ignore: int | None,
    values: list[int] | None,
    explicit: bool,
    classes: list[int] | None,
) -> set[int]:
    """Find which values of a file mean "ignore", from all that were `found` in it.

    Raises
    ------
    DataError
        If that can't be told, or there are values which can't be class ids.
    """
    ignored = ignored_values(found, width, ignore, explicit, classes)
    if values is not None:
        if explicit and ignored & set(values):
            raise DataError("ignore must not be among values.", argument="ignore")
        return ignored - set(values)
    if not explicit and set(found.tolist()) <= {0, IGNORE_8} and IGNORE_8 in ignored & set(found):
        raise DataError(
            f"{path} holds only the values 0 and 255.",
            hint="Write values = c(0, 255) if 255 is the object (it becomes class 1), or "
            "ignore = 255 if those pixels are to be left out.",
            argument="values",
        )
    if found[0] < 0 and int(found[0]) not in ignored:
        raise DataError(f"{path} holds negative values ({found[0]}), which are no class ids.")
    return ignored


def replaced(
    mask: np.ndarray, path: str, ignored: set[int], values: list[int] | None
) -> np.ndarray:
    """Turn a file's whole numbers into class ids, those that are `ignored` into IGNORE."""
    if values is None:
        for value in ignored:
            mask[mask == value] = IGNORE
        return mask
    unknown = np.setdiff1d(mask, [*values, *ignored])
    if len(unknown) > 0:
        shown = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise DataError(f"{path} also holds {shown}, not among values.", argument="values")
    out = np.full(mask.shape, IGNORE, dtype=np.int32)
    for class_id, value in enumerate(values):
        out[mask == value] = class_id
    return out


def whole(raw: np.ndarray, path: str) -> np.ndarray:
    """Turn numbers into a new int32 array, if that is exact."""
    if raw.dtype.kind == "f" and not (raw == np.round(raw)).all():
        raise DataError(
            f"{path} holds fractions, not whole class ids.",
            hint="Read it with seg_read_image() and apply a threshold.",
        )
    if raw.dtype.itemsize > 2 and (raw.max() > np.iinfo(np.int32).max or raw.min() < -(2**31) + 1):
        raise DataError(f"{path} holds values of {raw.max()}, too large for class ids.")
    return raw.astype(np.int32, order="C")


def ignored_values(
    found: np.ndarray, width: int, ignore: int | None, explicit: bool, classes: list[int] | None
) -> set[int]:
    """Find the values that mean "ignore" in a file whose numbers are `width` bytes wide."""
    if ignore is None:
        return set()
    if explicit or width == 1:
        return {int(ignore)}
    # a file that counts beyond 255 uses 255 as one id among others
    beyond = found[(found > IGNORE_8) & (found != IGNORE_16)].size > 0
    return {IGNORE_16} if beyond or IGNORE_8 in (classes or []) else {IGNORE_16, int(ignore)}


def write(
    mask: np.ndarray,
    path: str,
    ids: list[int],
    palette: list[str],
    bits: int | None = None,
    spacing: list[float] | None = None,
    affine: np.ndarray | None = None,
) -> None:
    """Write an R mask to an index PNG (8 bit), grey PNG (16 bit), TIFF or NIfTI, or not at all.

    Parameters
    ----------
    mask
        Class ids `[H, W]` or `[D, H, W]` (not PNG) as R holds them.
    path
        File name ending in .png, .tif, .tiff, .nii or .nii.gz.
    ids, palette
        The class ids, and the colour "#RRGGBB" of each.
    bits
        8 or 16; None takes 8 where every id fits.
    spacing, affine
        Those of the mask, for NIfTI.

    Raises
    ------
    FormatError
        If the ending is another one, or a volume is to become a PNG.
    DataError
        If an id does not fit, or is the value that stands for NA.
    """
    mask = mask_from_r(mask)
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".tif", ".tiff") and not volumes.is_nifti(path):
        raise FormatError(
            f"Masks are written as .png or .tif, volumes also as .nii or .nii.gz, and not "
            f"{suffix or 'without an ending'}.",
            argument="path",
        )
    if mask.ndim == 3 and suffix == ".png":
        raise FormatError("A volume does not fit into a PNG file.", hint="Write a .nii.gz or .tif.")
    stored = stored_values(mask, ids, bits)
    if volumes.is_nifti(path):
        save_nifti(stored, path, spacing, affine)
        return
    colours = palette_bytes(ids, palette) if stored.dtype == np.uint8 else None
    save = save_png if suffix == ".png" else save_tiff
    atomically(path, lambda temporary: save(stored, colours, temporary))


def stored_values(mask: np.ndarray, ids: list[int], bits: int | None) -> np.ndarray:
    """Make the numbers that go to the file, IGNORE replaced by the type's maximum."""
    known = set(ids) | set(np.unique(mask).tolist())
    known.discard(IGNORE)
    top = max(known, default=0)
    bits = bits or (8 if top <= IGNORE_8 else 16)
    void = IGNORE_8 if bits == 8 else IGNORE_16
    if top > void:
        raise DataError(
            f"Class id {top} does not fit into {bits} bits.",
            hint="Write with bits = 16." if bits == 8 else "",
        )
    if void in known:
        raise DataError(
            f"{void} stands for NA in a file of {bits} bits and is a class id here.",
            hint="Write with bits = 16." if bits == 8 else "Give that class another id.",
        )
    return np.where(mask == IGNORE, void, mask).astype(np.uint8 if bits == 8 else np.uint16)


def palette_bytes(ids: list[int], palette: list[str]) -> np.ndarray:
    """Make a palette uint8 `[256, 3]`; ids without a colour are black."""
    table = np.zeros((256, 3), dtype=np.uint8)
    table[IGNORE_8] = IGNORE_COLOUR
    for class_id, colour in zip(ids, palette, strict=True):
        table[class_id] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return table


def save_png(stored: np.ndarray, colours: np.ndarray | None, path: str) -> None:
    """Save an index PNG (with `colours`) or a grey one."""
    from PIL import Image

    image = Image.fromarray(stored)
    if colours is not None:
        image.putpalette(colours.tobytes())
    image.save(path, format="PNG")


def save_tiff(stored: np.ndarray, colours: np.ndarray | None, path: str) -> None:
    """Save a TIFF, compressed without loss, with a palette if `colours` are given."""
    import tifffile

    options: dict = {"photometric": "minisblack"}
    if colours is not None:
        # TIFF palettes are 16 bit: 257 maps 255 to 65535
        table = colours.T.astype(np.uint16) * 257
        options = {"photometric": "palette", "colormap": table}
    tifffile.imwrite(path, stored, compression="zlib", **options)


def save_nifti(
    stored: np.ndarray, path: str, spacing: list[float] | None, affine: np.ndarray | None
) -> None:
    """Save a label volume, by way of a temporary file."""
    from maskr import nifti

    atomically(path, lambda temporary: nifti.save(stored, temporary, spacing, affine))
