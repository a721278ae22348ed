"""Masks: class ids in files and arrays. Ids are those of the files and are never shifted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from maskr import images, tiff, volumes
from maskr.arrays import IGNORE, looked_up_for_r, mask_from_r, mask_to_r
from maskr.errors import DataError, FormatError
from maskr.files import atomically
from maskr.lossy_files import is_lossy
from maskr.tiff_tags import IGNORE_KEY

IGNORE_8, IGNORE_16, IGNORE_32 = 255, 65535, 2**32 - 1
VOIDS = (IGNORE_8, IGNORE_16, IGNORE_32)
"""Values that stand for "ignore" where nobody says otherwise, in files wide enough for them."""
IGNORE_COLOUR = (224, 224, 192)
"""Colour of the ignore index in the palette of an index PNG, as in Pascal VOC."""
FAR_APART = 128
"""Distance of two values that JPEG does not bridge."""
INTEGER_TOP = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Stored:
    """The numbers of a file of one channel, and what the file says of them.

    Attributes
    ----------
    numbers
        `[H, W]` or `[D, H, W]`, in the file's type.
    palette
        Colours "#RRGGBB" of the numbers from 0 up, or None.
    top
        The largest number of the file's type; None where it has none.
    ignore
        The number for "ignore", where maskr wrote the file; or None.
    nodata
        The number that a GeoTIFF declares to be no value; or None.
    lossy
        Whether saving changed the numbers.
    geometry
        As `images.Picture` has it.
    """

    numbers: np.ndarray
    palette: list[str] | None = None
    top: int | None = None
    ignore: int | None = None
    nodata: int | None = None
    lossy: bool = False
    geometry: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """What the numbers of a file mean: the arguments of `load()`."""

    ignore: int | None = IGNORE_8
    values: list[int] | None = None
    explicit: bool = False
    classes: list[int] | None = None


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
        Two values that lie far apart also separate the classes of a lossy file such as JPEG.
    explicit
        Was `ignore` chosen by the user, be it 255? If not, a file that holds only 0 and 255 (or
        65535, or the largest number of its type) is an error, wider files also use 65535 and
        2^32 - 1 for "ignore", and a file that maskr wrote knows its own value.
    classes
        Known class ids, which never mean "ignore" unless `explicit`.

    Returns
    -------
    np.ndarray
        int32 `[H, W]`, or `[D, H, W]` for a volume or a TIFF of several pages; IGNORE (-1) for
        "ignore", for NaN, and for the no-data value of a GeoTIFF unless that is 0.

    Raises
    ------
    FormatError
        If the file cannot be read, is lossy or colour-coded, or has several channels.
    DataError
        If its values are not whole, out of range, or two that do not say what they mean.
    """
    stored, rule = exact(open_mask(path), path, Rule(ignore, values, explicit, classes))
    found = distinct(stored.numbers, path)
    ids = ids_of(found, stored, path, rule)
    if is_small(stored.numbers):
        return table_of(found, ids, stored.numbers.dtype)[stored.numbers]
    ignored = ignored_values(found, stored, rule)
    return replaced(whole(stored.numbers, path), path, ignored, rule.values)


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
        colours "#RRGGBB" from class id 0 up, or None; `spacing`, `affine` and `unit` as
        `images.Picture.geometry` has them.
    """
    stored, rule = exact(open_mask(path), path, Rule(ignore, values, explicit, classes))
    found = distinct(stored.numbers, path)
    ids = ids_of(found, stored, path, rule)
    if is_small(stored.numbers):
        data = looked_up_for_r(stored.numbers, table_of(found, ids, stored.numbers.dtype))
    else:
        ignored = ignored_values(found, stored, rule)
        data = mask_to_r(replaced(whole(stored.numbers, path), path, ignored, values))
    seen = np.unique(ids)
    return {
        "data": data,
        "ids": seen[seen != IGNORE].astype(np.int32),
        "palette": None if values is not None else stored.palette,
    } | stored.geometry


def decode(path: str) -> tuple[np.ndarray, list[str] | None]:
    """Read the numbers `[H, W]` or `[D, H, W]` of a file of one channel, and its palette if any.

    Raises
    ------
    FormatError
        As `load()`.
    """
    stored = open_mask(path)
    refuse_lossy(stored.lossy, path)
    return stored.numbers, stored.palette


def open_mask(path: str) -> Stored:
    """Read the numbers of a file of one channel, and what it says of them."""
    if volumes.is_volume(path):
        volume = volumes.open_volume(path)
        numbers = one_channel(volume.whole(), path)
        geometry = volume.geometry() | {"unit": None}
        return Stored(numbers, None, top_of(numbers), volume.ignore, geometry=geometry)
    if tiff.is_tiff(path):
        return from_tiff(path)
    with images.open_image(path) as image:
        ignore = noted_ignore(image.info)
        if image.mode in ("P", "PA"):
            try:
                index = np.asarray(image if image.mode == "P" else image.getchannel(0))
            except (OSError, SyntaxError) as error:
                raise FormatError(f"{path} is damaged: {error}") from error
            palette = hex_colours(np.array(image.getpalette("RGB")).reshape(-1, 3))
            return Stored(index, palette, IGNORE_8, ignore, geometry=dict(images.NOWHERE))
    picture = images.open_picture(path)
    numbers = one_channel(picture.raw, path, alpha=picture.raw.shape[-1] in (2, 4))
    return Stored(
        numbers, None, top_of(numbers), ignore, lossy=is_lossy(path), geometry=picture.geometry
    )


def from_tiff(path: str) -> Stored:
    """Read a TIFF as `open_mask()` does."""
    found = tiff.decode(path)
    palette = None if found.palette is None else hex_colours(found.palette)
    numbers = one_channel(found.stored, path, found.alpha)
    whole_top = numbers.dtype.kind in "iu" and not found.indexed
    return Stored(
        numbers, palette, int(found.top) if whole_top else top_of(numbers), found.ignore,
        # rasterised objects often declare their background, 0, to be no data
        int(found.nodata) if found.nodata else None,
        found.lossy, images.geometry_of(found),
    )  # fmt: skip


def noted_ignore(info: dict) -> int | None:
    """Read the number for "ignore" that `save_png()` notes."""
    text = str(info.get(IGNORE_KEY, ""))
    return int(text) if text.isdigit() else None


def top_of(numbers: np.ndarray) -> int | None:
    """Find the largest number of a type."""
    return int(np.iinfo(numbers.dtype).max) if numbers.dtype.kind in "iu" else None


def hex_colours(palette: np.ndarray) -> list[str]:
    """Write colours `[n, 3]` as "#RRGGBB"."""
    return ["#{:02X}{:02X}{:02X}".format(*map(int, colour)) for colour in palette]


def one_channel(pixels: np.ndarray, path: str, alpha: bool = False) -> np.ndarray:
    """Take the one channel of `[..., C]`; equal colour channels count as grey.

    With `alpha` the last channel is transparency, which must be the same everywhere.
    """
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    colours = pixels
    if alpha:
        check_alpha(pixels, path)
        colours = pixels[..., :-1]
    first = colours[..., :1]
    if colours.shape[-1] in (1, 3) and (colours == first).all():
        return first[..., 0]
    n = pixels.shape[-1]
    if n == 2 or n == 3 and (first == colours[..., :2]).all():
        raise FormatError(
            f"{path} holds {n} channels, and a mask has one.",
            hint="Choose one: seg_mask(seg_read_image(path, scale = FALSE)[, , 1, drop = TRUE]).",
        )
    raise FormatError(
        f"{path} is a picture of {n} channels, not a mask of class ids.",
        hint="Masks are index PNGs, or grey PNGs or TIFFs whose values are class ids.",
    )


def check_alpha(pixels: np.ndarray, path: str) -> None:
    """Raise a FormatError where transparency, the last channel of `[..., C]`, tells of objects."""
    transparency = pixels[..., -1]
    if (transparency == transparency.flat[0]).all():
        return
    n = pixels.shape[-1]
    raise FormatError(
        f"{path} has an alpha channel that is not the same everywhere, and a mask has one channel: "
        "the objects may be drawn by transparency.",
        hint=f"If they are: as_seg_mask(seg_read_image(path)[, , {n}, drop = TRUE] > 0.5). If not, "
        "save the mask without alpha.",
    )


def decode_colours(path: str) -> np.ndarray:
    """Read a picture whose colours stand for ids, as `images.decode()` does.

    Raises
    ------
    FormatError
        If it cannot be read, or saving it changed its colours.
    """
    pixels = images.decode(path)
    refuse_lossy(tiff.is_lossy(path) if tiff.is_tiff(path) else is_lossy(path), path)
    return pixels


def refuse_lossy(lossy: bool, path: str) -> None:
    """Raise a FormatError for a file whose numbers are not those that were saved."""
    if lossy:
        raise FormatError(
            f"{path} is compressed with loss, as JPEG is: its numbers are no longer the class ids "
            "that were saved.",
            hint="Save masks as PNG or TIFF. Two classes that were drawn far apart can still be "
            "separated by seg_read_mask(values = c(0, 255)).",
            argument="values",
        )


def exact(stored: Stored, path: str, rule: Rule) -> tuple[Stored, Rule]:
    """Undo what saving with loss did, where that is possible; take the file's own word on "ignore".

    Raises
    ------
    FormatError
        If it is not.
    """
    values = rule.values
    if stored.lossy:
        far = values is not None and len(values) == 2 and abs(values[1] - values[0]) >= FAR_APART
        refuse_lossy(not far or rule.explicit, path)
        numbers = stored.numbers.astype(np.int64)
        nearer = abs(numbers - values[1]) < abs(numbers - values[0])
        levels = np.array(values, dtype=np.int32)[nearer.astype(np.uint8)]
        return replace(stored, numbers=levels, ignore=None), replace(rule, ignore=None)
    if stored.ignore is not None and values is None and not rule.explicit:
        rule = replace(rule, ignore=stored.ignore, explicit=True)
    return stored, rule


def is_small(numbers: np.ndarray) -> bool:
    """Tell whether a table of all numbers of a type is small."""
    return numbers.dtype.kind == "u" and numbers.dtype.itemsize <= 2


def distinct(raw: np.ndarray, path: str) -> np.ndarray:
    """Find the whole numbers that a file holds, int64 in rising order; NaN is left out.

    Raises
    ------
    DataError
        If some are fractions.
    """
    if is_small(raw):
        # several times as fast as sorting
        return np.flatnonzero(counts_of(raw))
    found = np.unique(raw)
    if raw.dtype.kind == "f":
        found = found[~np.isnan(found)]
        if not (found == np.round(found)).all():
            raise DataError(
                f"{path} holds fractions, not whole class ids.",
                hint="Read it with seg_read_image() and apply a threshold.",
            )
        # infinite ones stay too large
        found = found.clip(-(2.0**62), 2.0**62)
    return found.astype(np.int64)


def counts_of(raw: np.ndarray) -> np.ndarray:
    """Count each number of a small type."""
    flat = raw.ravel()
    size = int(np.iinfo(raw.dtype).max) + 1
    # pieces that stay in the cache, once they are widened
    pieces = (flat[i : i + 2**16] for i in range(0, flat.size, 2**16))
    return sum(np.bincount(piece, minlength=size) for piece in pieces)


def table_of(found: np.ndarray, ids: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Make a table from all numbers of a small type to class ids."""
    table = np.full(np.iinfo(kind).max + 1, IGNORE, dtype=np.int32)
    table[found] = ids
    return table


def ids_of(found: np.ndarray, stored: Stored, path: str, rule: Rule) -> np.ndarray:
    """Find the class ids of the numbers that were `found` in a file, IGNORE for some.

    Raises
    ------
    DataError
        If that can't be told, or there are numbers which can't be class ids.
    """
    ignored = meaning_of(found, stored, path, rule)
    return replaced(within(found), path, ignored, rule.values)


def within(found: np.ndarray) -> np.ndarray:
    """Whole numbers as int32; what is larger, which only "ignore" may be, as IGNORE."""
    return np.where(found > INTEGER_TOP, IGNORE, found).astype(np.int32)


def meaning_of(found: np.ndarray, stored: Stored, path: str, rule: Rule) -> set[int]:
    """Find which values of a file mean "ignore", from all that were `found` in it.

    Raises
    ------
    DataError
        If that can't be told, or there are values which can't be class ids.
    """
    ignored = ignored_values(found, stored, rule)
    if rule.values is not None and rule.explicit and ignored & set(rule.values):
        raise DataError("ignore must not be among values.", argument="ignore")
    if rule.values is not None and not rule.explicit:
        check_listed(found, stored, path, rule.values, ignored)
    told = rule.explicit or rule.ignore is None or rule.values is not None
    top = binary_top(found, stored.top)
    if top and not told and top != stored.nodata and top not in (rule.classes or []):
        raise two_values(path, top)
    odd = [int(one) for one in found[[0, -1]] if one not in ignored] if found.size else []
    if odd and odd[0] < 0:
        raise DataError(f"{path} holds negative values ({odd[0]}), which are not class ids.")
    if odd and odd[-1] > INTEGER_TOP:
        raise DataError(f"{path} holds values of {odd[-1]}, too large for class ids.")
    return ignored


def check_listed(
    found: np.ndarray, stored: Stored, path: str, values: list[int], ignored: set[int]
) -> None:
    """Refuse to ignore, unasked, what a file holds in place of the `values` that were listed.

    Raises
    ------
    DataError
        If the file holds such values, and none of the listed ones after the first.
    """
    present = set(found.tolist())
    unlisted = sorted(present & ignored - {stored.nodata, stored.ignore})
    if not unlisted or present & set(values[1:]):
        return
    shown = ", ".join(map(str, unlisted))
    raise DataError(
        f"{path} holds {shown}, not among values, and none of {', '.join(map(str, values[1:]))}.",
        hint=f"For example, write values = c({values[0]}, {unlisted[0]}) if {unlisted[0]} is an "
        f"object, or ignore = {unlisted[0]} if those pixels are to be left out.",
        argument="values",
    )


def two_values(path: str, top: int) -> DataError:
    """Make the error for a file that holds 0 and `top`, which may be an object or "ignore"."""
    hint = (
        f"Write values = c(0, {top}) if {top} is the object (it becomes class 1), or ignore = {top}"
        " if those pixels are to be left out."
    )
    if top > INTEGER_TOP:
        hint = "If that is the object: as_seg_mask(seg_read_image(path)[, , 1, drop = TRUE] > 0)."
    return DataError(f"{path} holds only the values 0 and {top}.", hint=hint, argument="values")


def binary_hint(unknown: Sequence[int]) -> str:
    """What to do about ids that are no classes, if they are the object of a binary mask; or ""."""
    if len(unknown) != 1 or unknown[0] not in VOIDS:
        return ""
    return (
        f"If {unknown[0]} is the object of a binary mask, divide by it (x / {unknown[0]}), or read "
        f"files by seg_read_mask(path, values = c(0, {unknown[0]})); it becomes class 1."
    )


def binary_top(found: np.ndarray, top: int | None) -> int | None:
    """Give the number that a file holds beside 0, if that is how binary masks are stored.

    Programs store them as 0 and 255, 0 and 65535, or 0 and the largest number of the type, `top`.
    """
    others = found[found != 0]
    if others.size != 1 or int(others[0]) == 1:
        return None
    return int(others[0]) if int(others[0]) in {*VOIDS, top} else None


def replaced(
    mask: np.ndarray, path: str, ignored: set[int], values: list[int] | None
) -> np.ndarray:
    """Turn a file's whole numbers into class ids, those that are `ignored` into IGNORE."""
    if values is None:
        for value in ignored:
            mask[mask == value] = IGNORE
        return mask
    unknown = np.setdiff1d(mask, [*values, *ignored, IGNORE])
    if len(unknown) > 0:
        shown = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise DataError(f"{path} also holds {shown}, not among values.", argument="values")
    out = np.full(mask.shape, IGNORE, dtype=np.int32)
    for class_id, value in enumerate(values):
        out[mask == value] = class_id
    return out


def whole(raw: np.ndarray, path: str) -> np.ndarray:
    """Turn numbers into a new int32 array, if that is exact; NaN and 2^32 - 1 become IGNORE."""
    missing = None
    if raw.dtype.kind == "f":
        missing = np.isnan(raw)
        raw = np.where(missing, 0, raw)
    elif raw.dtype == np.uint32:
        missing = raw == IGNORE_32
        raw = np.where(missing, np.uint32(0), raw)
    if raw.dtype.kind == "f" and not (raw == np.round(raw)).all():
        raise DataError(
            f"{path} holds fractions, not whole class ids.",
            hint="Read it with seg_read_image() and apply a threshold.",
        )
    if raw.dtype.itemsize > 2 and (raw.max() > INTEGER_TOP or raw.min() < -INTEGER_TOP):
        raise DataError(f"{path} holds values of {raw.max()}, too large for class ids.")
    ids = raw.astype(np.int32, order="C")
    if missing is not None:
        ids[missing] = IGNORE
    return ids


def ignored_values(found: np.ndarray, stored: Stored, rule: Rule) -> set[int]:
    """Find the values that mean "ignore" in a file that holds those that were `found`."""
    named = set() if stored.nodata is None else {stored.nodata}
    named -= set(rule.values or [])
    if rule.ignore is None:
        return named
    if rule.explicit or rule.ignore != IGNORE_8:
        return named | {int(rule.ignore)}
    top = stored.top or IGNORE_16
    beside = found[found != top]
    # a file that counts beyond 255 uses 255 as one id among others
    last = int(beside[-1]) if beside.size else 0
    voids = {void for void in VOIDS if void <= top and (void == top or last <= void)}
    return named | voids - {*(rule.classes or []), *(rule.values or [])}


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
        8, 16 or 32 (not PNG); None takes the fewest that every id fits into.
    spacing, affine
        Those of the mask, for NIfTI.

    Raises
    ------
    FormatError
        If the ending is another one, or a volume or 32 bits are to become a PNG.
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
    if stored.dtype == np.uint32 and suffix == ".png":
        raise FormatError(
            "Class ids beyond 65535 need 32 bits, and a PNG file holds 16.",
            hint="Write a .tif, or volumes as .nii.gz.",
            argument="path",
        )
    if volumes.is_nifti(path):
        save_nifti(stored, path, spacing, affine)
        return
    colours = palette_bytes(ids, palette) if stored.dtype == np.uint8 else None
    save = save_png if suffix == ".png" else save_tiff
    atomically(path, lambda temporary: save(stored, colours, temporary, top_of(stored)))


def stored_values(mask: np.ndarray, ids: list[int], bits: int | None) -> np.ndarray:
    """Make the numbers that go to the file, IGNORE replaced by the type's maximum."""
    known = set(ids) | set(np.unique(mask).tolist())
    known.discard(IGNORE)
    top = max(known, default=0)
    bits = bits or next(n for n in (8, 16, 32) if top < 2**n)
    void, more = 2**bits - 1, {8: 16, 16: 32}.get(bits)
    if top > void:
        raise DataError(
            f"Class id {top} does not fit into {bits} bits.",
            hint=f"Write with bits = {32 if top > IGNORE_16 else 16}.",
        )
    if void in known:
        raise DataError(
            f"{void} stands for NA in a file of {bits} bits and is a class id here.",
            hint=f"Write with bits = {more}.",
        )
    return np.where(mask == IGNORE, np.int64(void), mask).astype(f"u{bits // 8}")


def palette_bytes(ids: list[int], palette: list[str]) -> np.ndarray:
    """Make a palette uint8 `[256, 3]`; ids without a colour are black."""
    table = np.zeros((256, 3), dtype=np.uint8)
    table[IGNORE_8] = IGNORE_COLOUR
    for class_id, colour in zip(ids, palette, strict=True):
        table[class_id] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return table


def save_png(
    stored: np.ndarray, colours: np.ndarray | None, path: str, void: int | None = None
) -> None:
    """Save an index PNG (with `colours`) or a grey one; `void` notes the number for "ignore"."""
    from PIL import Image, PngImagePlugin

    image = Image.fromarray(stored)
    if colours is not None:
        image.putpalette(colours.tobytes())
    notes = PngImagePlugin.PngInfo()
    if void is not None:
        notes.add_text(IGNORE_KEY, str(void))
    image.save(path, format="PNG", pnginfo=notes)


def save_tiff(
    stored: np.ndarray, colours: np.ndarray | None, path: str, void: int | None = None
) -> None:
    """Save a TIFF, compressed without loss, with a palette if `colours` are given.

    `void` notes the number for "ignore".
    """
    import tifffile

    options: dict = {"photometric": "minisblack"}
    if colours is not None:
        # TIFF palettes are 16 bit: 257 maps 255 to 65535
        table = colours.T.astype(np.uint16) * 257
        options = {"photometric": "palette", "colormap": table}
    notes = {} if void is None else {IGNORE_KEY: void}
    tifffile.imwrite(path, stored, compression="zlib", metadata=notes, **options)


def save_nifti(
    stored: np.ndarray, path: str, spacing: list[float] | None, affine: np.ndarray | None
) -> None:
    """Save a label volume, by way of a temporary file."""
    from maskr import nifti

    atomically(
        path, lambda temporary: nifti.save(stored, temporary, spacing, affine, top_of(stored))
    )
