"""Image files as arrays: PNG, JPEG, TIFF, BMP and WebP, at their full bit depth.

Pillow decodes 8-bit files, OpenCV the 16-bit colour PNGs that Pillow would reduce to 8 bits, and
tifffile the TIFFs; OpenCV is asked again for TIFF compressions that tifffile cannot undo alone.
"""

import contextlib
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from maskr import volumes
from maskr.arrays import array_to_r
from maskr.errors import DataError, FormatError, ShapeError
from maskr.limits import DEFLATE, check_claim

if TYPE_CHECKING:
    import tifffile

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# tifffile reports damage on stderr, too
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""Endings of image files."""

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
ORIENTATION_TAG = 274
TIFF_DAMAGE = (
    ValueError,  # tifffile's own error is one
    RuntimeError,
    LookupError,
    OSError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
"""What tifffile raises on files that are damaged or that it cannot undo."""
TIFF_RATIOS = {1: 1, 8: DEFLATE, 32946: DEFLATE, 32773: 64, 5: 1400}
"""Times that a TIFF's compression can shrink data at most: none, deflate, PackBits, LZW."""


def read(path: str, scale: bool = True, pages: list[int] | None = None) -> dict:
    """Read an image or volume for R.

    Parameters
    ----------
    path
        File to read, its kind told by its content (NIfTI by its name), or the folder of a DICOM
        series.
    scale
        Divide integers by the maximum of their type.
    pages
        Pages of a multi-page TIFF, counted from 1; all of them when None.

    Returns
    -------
    dict
        `data`: float64 `[H, W, C]`, or `[D, H, W, C]` for a volume or more than one page;
        `range`: the two values that stand for black and white; `spacing` and `affine` as
        `volumes.Volume` has them, or None.

    Raises
    ------
    FormatError
        If the file cannot be read as an image.
    MissingPackageError
        If it needs nibabel or pydicom.
    """
    if volumes.is_volume(path):
        if pages is not None:
            raise FormatError(f"{path} is not a TIFF file and has no pages.", argument="pages")
        volume = volumes.open_volume(path)
        raw, unit, where = volume.whole(), volume.unit, volume.geometry()
    else:
        raw, where = decode(path, pages), {"spacing": None, "affine": None}
        unit = maximum(raw.dtype)
    data = array_to_r(raw, np.float64)
    if scale:
        data /= unit
    limits = black_and_white(raw, unit if scale else 1.0)
    return {"data": data, "range": np.array(limits, dtype=np.float64)} | where


def load(path: str, scale: bool = True) -> np.ndarray:
    """Read an image as float32 `[C, H, W]`, for models and datasets.

    Raises
    ------
    FormatError
        If the file cannot be read as an image.
    ShapeError
        If it holds several pages.
    DataError
        If it holds NaN or infinite values.
    """
    if volumes.is_volume(path):
        volume = volumes.open_volume(path)
        raw, unit = volume.whole(), volume.unit
        what, mend = "slices", "seg_read_image(path)[1, , , ]"
    else:
        raw = decode(path)
        unit, what, mend = maximum(raw.dtype), "pages", "seg_read_image(path, pages = 1)"
    if raw.ndim != 3:
        raise ShapeError(
            f"{Path(path).name} holds {raw.shape[0]} {what}, and one image is needed.",
            hint=f"Read the one that you want with {mend}; seg_data_volume() makes a dataset.",
        )
    # in one pass; the channels of a pixel stay side by side
    by = np.float32(unit if scale and raw.dtype.kind != "f" else 1)
    image = np.divide(raw.transpose(2, 0, 1), by, dtype=np.float32)
    if raw.dtype.kind == "f" and not np.isfinite(image).all():
        raise DataError(f"{Path(path).name} holds missing or infinite values.")
    return image


def fit_channels(image: np.ndarray, in_channels: int, what: str = "The image") -> np.ndarray:
    """Give a `[C, H, W]` image the number of channels that a model takes.

    Grey is replicated to three channels, three equal ones become one, and a fully opaque alpha is
    dropped. `what` begins the message of an error.

    Raises
    ------
    ShapeError
        For every other mismatch.
    """
    channels = image.shape[0]
    if channels == in_channels:
        return image
    if channels in (2, 4) and in_channels in (1, 3) and is_opaque(image[-1]):
        return fit_channels(image[:-1], in_channels, what)
    if channels == 1 and in_channels == 3:
        return np.repeat(image, 3, axis=0)
    if channels == 3 and in_channels == 1 and is_grey(image):
        return image[:1]
    if (channels, in_channels) in ((2, 1), (4, 3)):
        raise ShapeError(
            f"{what} has {channels} channels and the model takes {in_channels}: "
            "it has an alpha channel that is not opaque.",
            hint=f"Leave the last channel out with image[, , 1:{in_channels}], or build a model "
            f"with in_channels = {channels} if it is more than transparency.",
        )
    raise ShapeError(
        f"{what} has {channels} channel{'s' if channels > 1 else ''}, "
        f"and the model takes {in_channels}.",
        hint="Choose channels with image[, , k], or build a model with other in_channels.",
    )


def is_grey(image: np.ndarray) -> bool:
    """Tell whether the three channels of `[3, ...]` are equal: a grey image saved as RGB."""
    return len(image) == 3 and bool((image[1:] == image[:1]).all())


def is_opaque(alpha: np.ndarray) -> bool:
    """Tell whether an alpha channel is its maximum everywhere, in whatever unit it came."""
    return alpha.min() == alpha.max() and alpha.flat[0] in (1, 255, 65535)


def decode(path: str, pages: list[int] | None = None) -> np.ndarray:
    """Read a file's own numbers, upright, as `[H, W, C]` or `[D, H, W, C]`; palettes as colours.

    Where a TIFF counts from white to black, its numbers are turned round.
    """
    raw = decode_tiff(path, pages).as_picture() if is_tiff(path) else decode_single(path, pages)
    if raw.size == 0:
        raise FormatError(f"{path} holds no pixel.")
    return raw


def is_tiff(path: str) -> bool:
    """Tell a TIFF by its first bytes."""
    return first_bytes(path, 4) in TIFF_MAGIC


def first_bytes(path: str, n: int) -> bytes:
    """Read the first `n` bytes of a file."""
    try:
        with open(path, "rb") as file:
            return file.read(n)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}.") from error


def decode_single(path: str, pages: list[int] | None) -> np.ndarray:
    """Read any file but a TIFF, upright, as `[H, W, C]`."""
    if pages is not None and list(pages) != [1]:
        raise FormatError(f"{path} is not a TIFF file and has one page only.", argument="pages")
    with open_image(path) as image:
        pixels = decode_png16(path) if is_colour_png16(path) else image_pixels(image, path)
        # after decoding, since a PNG may hold its EXIF data behind the pixels
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    return np.ascontiguousarray(upright(with_channels(pixels), orientation))


def open_image(path: str) -> Image.Image:
    """Open a file with Pillow, which decodes the pixels later."""
    try:
        image = Image.open(path)
        if image.format == "PNG":
            check_claim(path, png_bytes(path), DEFLATE)
        return image
    except UnidentifiedImageError as error:
        raise FormatError(
            f"{path} is not an image that can be read.",
            hint="PNG, JPEG, TIFF, BMP and WebP are read.",
        ) from error
    except Image.DecompressionBombError as error:
        raise FormatError(f"{path} is too large to be read as a whole.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"{path} is damaged: {error}") from error


def png_bytes(path: str) -> int:
    """Find how many bytes the pixels of a PNG take, by its header."""
    head = first_bytes(path, 26)
    width, height = (int.from_bytes(head[i : i + 4], "big") for i in (16, 20))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(head[25], 1)
    return height * (width * channels * head[24] // 8)


def image_pixels(image: Image.Image, path: str) -> np.ndarray:
    """Decode an 8-bit, grey 16-bit or float image, colours as RGB."""
    keep = {"1", "L", "LA", "RGB", "RGBA", "I", "F", "I;16", "I;16B", "I;16L"}
    try:
        if image.mode in ("P", "PA"):
            has_alpha = image.mode == "PA" or "transparency" in image.info
            image = image.convert("RGBA" if has_alpha else "RGB")
        elif image.mode not in keep:
            image = image.convert("RGB")
        pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"{path} is damaged: {error}") from error
    # Pillow holds 16-bit grey in 32 bits in some of its modes
    if image.mode == "I" and first_bytes(path, 8) == PNG_MAGIC:
        pixels = pixels.astype(np.uint16)
    return pixels.astype(pixels.dtype.newbyteorder("="))


def is_colour_png16(path: str) -> bool:
    """Tell a PNG of 16 bits with more than a grey channel by its header."""
    head = first_bytes(path, 26)
    return head.startswith(PNG_MAGIC) and head[24] == 16 and head[25] != 0


def decode_png16(path: str) -> np.ndarray:
    """Decode a 16-bit colour PNG."""
    # libpng would write about damage to stderr, so it is looked for before
    try:
        with Image.open(path) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"{path} is damaged: {error}") from error
    pixels = opencv_pages(path)[0]
    # OpenCV expands 16-bit grey with alpha to four channels
    if first_bytes(path, 26)[25] == 4:
        return pixels[:, :, [0, 3]]
    return pixels


def opencv_pages(path: str) -> list[np.ndarray]:
    """Decode all pages of a file by OpenCV, channels in the file's order, printing nothing."""
    import cv2

    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
        ok, pages = cv2.imreadmulti(path, flags=flags)
    except cv2.error:
        ok, pages = False, []
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not ok or not pages:
        raise FormatError(
            f"{path} cannot be decoded.",
            hint="It is damaged, or compressed in a way that needs the Python package imagecodecs.",
        )
    return [swap_blue_red(page) for page in pages]


def swap_blue_red(page: np.ndarray) -> np.ndarray:
    """Turn OpenCV's BGR into RGB, further channels untouched."""
    if page.ndim == 2 or page.shape[2] < 3:
        return page
    return page[:, :, [2, 1, 0, *range(3, page.shape[2])]]


@dataclass(frozen=True)
class TiffPixels:
    """What a TIFF stores, upright.

    Attributes
    ----------
    stored
        `[H, W, C]`, or `[D, H, W, C]` for several pages.
    palette
        uint8 `[n, 3]`, or None.
    white_is_zero
        Whether 0 means white, as in scans of print.
    bits
        Bits of a number.
    """

    stored: np.ndarray
    palette: np.ndarray | None = None
    white_is_zero: bool = False
    bits: int = 8

    def as_picture(self) -> np.ndarray:
        """Turn stored numbers into colours, with 0 as black."""
        if self.palette is not None:
            return self.palette[self.stored[..., 0]]
        if not self.white_is_zero or self.stored.dtype.kind not in "bu":
            return self.stored
        if self.stored.dtype.kind == "b":
            return ~self.stored
        return self.stored.dtype.type(2**self.bits - 1) - self.stored


def decode_tiff(path: str, pages: list[int] | None = None) -> TiffPixels:
    """Read a TIFF's own numbers, upright, and what they mean.

    Raises
    ------
    FormatError
        If the file is damaged, claims more than it can hold, or has no such pages.
    """
    import tifffile

    orientation, meaning, count = 1, {}, count_pages(path)
    try:
        with tifffile.TiffFile(path) as file:
            first = file.pages[0]
            orientation = first.tags.valueof(ORIENTATION_TAG, 1)
            meaning = tiff_meaning(first)
            pixels = tiff_pages(file, path, pages) if pages is not None else tiff_series(file, path)
    except FormatError:
        raise
    except TIFF_DAMAGE:
        # compressions that tifffile leaves to imagecodecs, and files that break its rules
        decoded = opencv_pages(path)
        if len(decoded) < count:
            raise FormatError(f"{path} is damaged after {len(decoded)} of its pages.") from None
        orientation, pixels = 1, as_stored(chosen_pages(decoded, path, pages), **meaning)
    return TiffPixels(np.ascontiguousarray(upright(pixels, orientation)), **meaning)


def tiff_meaning(page: "tifffile.TiffPage") -> dict:
    """Find what the numbers of a page mean: fields of `TiffPixels`."""
    palette = (page.colormap.T >> 8).astype(np.uint8) if page.colormap is not None else None
    return {
        "palette": palette if page.photometric == 3 else None,
        "white_is_zero": page.photometric == 0,
        "bits": page.bitspersample,
    }


def as_stored(
    pixels: np.ndarray, white_is_zero: bool = False, bits: int = 8, **_: object
) -> np.ndarray:
    """Undo what OpenCV does to the numbers of a TIFF."""
    if bits == 1:
        pixels = pixels > 127
    if white_is_zero and pixels.dtype.itemsize == 1:
        return ~pixels
    return pixels


def count_pages(path: str) -> int:
    """Follow the pages of a TIFF to the last one, which decoders do only as far as they get.

    Raises
    ------
    FormatError
        If a page lies beyond the file's end.
    """
    head = first_bytes(path, 16)
    order = "<" if head.startswith(b"II") else ">"
    is_big = 43 in head[2:4]
    number, entry, place = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack_from(order + place, head, 8 if is_big else 4)
        with open(path, "rb") as file:
            while offset and offset not in seen:
                seen.add(offset)
                file.seek(offset)
                (tags,) = struct.unpack(order + number, file.read(struct.calcsize(number)))
                file.seek(tags * entry, 1)
                (offset,) = struct.unpack(order + place, file.read(struct.calcsize(place)))
    except (struct.error, OSError, OverflowError) as error:
        raise FormatError(f"{path} is damaged: it ends before page {len(seen)} does.") from error
    return len(seen)


def tiff_pages(file: "tifffile.TiffFile", path: str, pages: list[int]) -> np.ndarray:
    """Read the chosen pages of an open TIFF as `[H, W, C]` or `[D, H, W, C]`."""
    check_pages(pages, len(file.pages), path)
    chosen = [file.pages[i - 1].aspage() for i in pages]
    check_tiff_claim(path, sum(page.nbytes for page in chosen), chosen[0])
    return stack([channels_last(page.asarray(), page.axes) for page in chosen])


def tiff_series(file: "tifffile.TiffFile", path: str) -> np.ndarray:
    """Read the first series of an open TIFF as `[H, W, C]` or `[D, H, W, C]`."""
    series = file.series[0]
    check_tiff_claim(path, series.nbytes, file.pages[0])
    return channels_last(series.asarray(), series.axes, path)


def check_tiff_claim(path: str, claimed: int, page: "tifffile.TiffPage") -> None:
    """Compare what pages claim to hold with the file; tiles that are left out count for nothing."""
    held = sum(count > 0 for count in page.databytecounts)
    share = held / max(len(page.databytecounts), 1)
    check_claim(path, int(claimed * share), TIFF_RATIOS.get(page.compression))
    check_claim(path, claimed)


def channels_last(pixels: np.ndarray, axes: str, path: str = "The file") -> np.ndarray:
    """Order pixels with tifffile's named axes as `[H, W, C]` or `[D, H, W, C]`."""
    deep = [i for i, a in enumerate(axes) if a not in "YXSC" and pixels.shape[i] > 1]
    if len(deep) > 1:
        raise FormatError(
            f"{path} has {len(deep)} axes beside height, width and channels ({axes}).",
            hint="Choose pages: seg_read_image(path, pages = 1).",
            argument="pages",
        )
    order = deep + [axes.index(a) for a in "YX"] + [i for i, a in enumerate(axes) if a in "CS"]
    rest = [i for i in range(pixels.ndim) if i not in order]
    pixels = pixels.transpose(order + rest)
    lead = len(deep) + 2
    return pixels.reshape(*pixels.shape[:lead], -1)


def chosen_pages(all_pages: list[np.ndarray], path: str, pages: list[int] | None) -> np.ndarray:
    """Stack the chosen ones (counted from 1) of decoded pages."""
    pages = pages or list(range(1, len(all_pages) + 1))
    check_pages(pages, len(all_pages), path)
    return stack([with_channels(all_pages[i - 1]) for i in pages])


def check_pages(pages: list[int], n: int, path: str) -> None:
    """Raise a FormatError for pages that are not there."""
    if not pages or min(pages) < 1 or max(pages) > n:
        raise FormatError(
            f"{path} has {n} page{'s' if n > 1 else ''}, and {pages} were asked for.",
            argument="pages",
        )


def stack(pages: list[np.ndarray]) -> np.ndarray:
    """Make one image `[H, W, C]` of one page, a volume `[D, H, W, C]` of several."""
    if len(pages) == 1:
        return pages[0]
    if len({p.shape for p in pages}) > 1:
        raise FormatError(
            "The pages have different sizes and make no volume.",
            hint="Choose one: seg_read_image(path, pages = 1).",
            argument="pages",
        )
    return np.stack(pages)


def with_channels(pixels: np.ndarray) -> np.ndarray:
    """Give `[H, W]` a dimension of channels."""
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo EXIF's orientation (1 to 8) on `[..., H, W, C]`."""
    if orientation not in range(2, 9):
        return pixels
    if orientation >= 5:
        pixels = pixels.swapaxes(-3, -2)
    # after the transpose of 5 to 8, these are the flips that remain
    if orientation in (3, 4, 7, 8):
        pixels = np.flip(pixels, -3)
    if orientation in (2, 3, 6, 7):
        pixels = np.flip(pixels, -2)
    return pixels


def maximum(dtype: np.dtype) -> float:
    """Find what `scale` divides by: the largest value of an integer type, 1 for the others."""
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def black_and_white(raw: np.ndarray, divisor: float) -> tuple[float, float]:
    """Find the values of black and white: the type's, or the data's where it has none."""
    if raw.dtype.kind in "bu":
        return 0.0, maximum(raw.dtype) / divisor
    low, high = float(np.nanmin(raw)) / divisor, float(np.nanmax(raw)) / divisor
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def size_of(path: str) -> tuple[int, int]:
    """Read height and width of an image, upright, from the head of its file.

    Raises
    ------
    FormatError
        If the file cannot be read as an image.
    """
    if is_tiff(path):
        return tiff_size(path)
    with open_image(path) as image:
        # Pillow decodes a whole PNG to look for EXIF data behind the pixels
        whole = image.format != "PNG" or has_exif_chunk(path)
        exif = image.getexif() if whole else Image.Image.getexif(image)
        turned = exif.get(ORIENTATION_TAG, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def has_exif_chunk(path: str) -> bool:
    """Tell by the heads of its chunks whether a PNG holds EXIF data, even behind its pixels."""
    with open(path, "rb") as file:
        file.seek(len(PNG_MAGIC))
        while len(head := file.read(8)) == 8:
            if head[4:] == b"eXIf":
                return True
            # the chunk's content and its checksum
            file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def tiff_size(path: str) -> tuple[int, int]:
    """Read height and width of a TIFF's first page."""
    with open_tiff(path) as file:
        page = file.pages[0]
        return int(page.imagelength), int(page.imagewidth)


@contextlib.contextmanager
def open_tiff(path: str) -> Iterator["tifffile.TiffFile"]:
    """Open a TIFF to look at its head; damage is a FormatError."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except TIFF_DAMAGE as error:
        raise FormatError(f"{path} cannot be read as a TIFF: {error}") from error
