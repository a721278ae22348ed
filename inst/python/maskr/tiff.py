"""TIFF files: their numbers, and what they say of them.

tifffile decodes. What it leaves to imagecodecs (`seg_install(extras = "raster")`) is tried by
OpenCV, or by Pillow where numbers of 2 or 4 bits are packed, and only for compressions that they
are known to decode: of others OpenCV makes up pixels without an error.
"""

import contextlib
import logging
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskr.errors import FormatError, MissingPackageError, unreadable
from maskr.limits import DEFLATE, check_claim
from maskr.tiff_tags import about, is_lossy_page
from maskr.words import as_r, counted

if TYPE_CHECKING:
    import tifffile

# tifffile reports damage on stderr, too
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ORIENTATION_TAG = 274
DAMAGE = (
    ValueError,  # tifffile's own error is one
    RuntimeError,
    LookupError,
    OSError,
    TypeError,
    ArithmeticError,
    ImportError,  # of what newer Pythons bring
    struct.error,
    zlib.error,
)
"""What tifffile raises on files that are damaged or that it cannot undo."""
RATIOS = {1: 1, 8: DEFLATE, 32946: DEFLATE, 32773: 64, 5: 1400}
"""Times that a compression can shrink data at most: none, deflate, PackBits, LZW."""
ELSEWHERE = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946}
"""Compressions that OpenCV and Pillow decode: none, CCITT, LZW, JPEG, deflate, PackBits."""


MOST_CHANNELS = 4
"""Channels that OpenCV decodes at most."""
DAMAGED = "It is damaged, or breaks the rules of its format."


@dataclass(frozen=True)
class TiffPixels:
    """What a TIFF stores, upright.

    Attributes
    ----------
    stored
        `[H, W, C]`, or `[D, H, W, C]` for several pages.
    palette
        uint8 `[n, 3]`, or None.
    indexed
        Whether the numbers stand for the palette's colours; ImageJ's is for display only.
    white_is_zero
        Whether 0 means white, as in scans of print.
    bits
        Bits of a number.
    alpha
        Whether the last channel is transparency.
    rgb
        Whether the first three channels are a colour.
    lossy
        Whether the compression changed the numbers.
    nodata
        The number that GDAL's tag declares to be no value, as far as the type can hold it.
    ignore
        The number that stands for "ignore" where `maskr.masks.write()` made the file.
    spacing, unit
        Size of a pixel along the axes before the channels, and its unit; None where not known.
    """

    stored: np.ndarray
    palette: np.ndarray | None = None
    indexed: bool = False
    white_is_zero: bool = False
    bits: int = 8
    alpha: bool = False
    rgb: bool = False
    lossy: bool = False
    nodata: float | None = None
    ignore: int | None = None
    spacing: tuple[float, ...] | None = None
    unit: str | None = None

    @property
    def top(self) -> float:
        """What `scale` divides numbers by."""
        kind = self.stored.dtype
        if kind.kind not in "iu" or self.indexed:
            return 255.0 if self.indexed else 1.0
        packed = kind.kind == "u" and self.bits < 8 * kind.itemsize
        return float(2**self.bits - 1 if packed else np.iinfo(kind).max)

    def as_picture(self) -> np.ndarray:
        """Turn stored numbers into colours, with 0 as black."""
        if self.indexed:
            return self.palette[self.stored[..., 0]]
        if not self.white_is_zero or self.stored.dtype.kind not in "bu":
            return self.stored
        if self.stored.dtype.kind == "b":
            return ~self.stored
        return self.stored.dtype.type(2**self.bits - 1) - self.stored

    def missing(self) -> np.ndarray | None:
        """Find the pixels without a value, bool `[..., C]` or `[..., 1]`; None if none is.

        A colour is missing where all its channels say so, of other channels each for itself.
        """
        if self.nodata is None:
            return None
        found = self.stored == self.stored.dtype.type(self.nodata)
        if self.rgb:
            found = found[..., :3].all(axis=-1, keepdims=True)
        return found if found.any() else None


def is_tiff(path: str) -> bool:
    """Tell a TIFF by its first bytes."""
    return first_bytes(path, 4) in MAGIC


def first_bytes(path: str, n: int) -> bytes:
    """Read the first `n` bytes of a file."""
    try:
        with open(path, "rb") as file:
            return file.read(n)
    except OSError as error:
        raise unreadable(path, error) from error


@contextlib.contextmanager
def opened(path: str) -> Iterator["tifffile.TiffFile"]:
    """Open a TIFF to look at its head; damage is a FormatError."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except DAMAGE as error:
        raise FormatError(f"{path} cannot be read as a TIFF: {error}") from error


def size_of(path: str) -> tuple[int, int]:
    """Read height and width of the first page."""
    with opened(path) as file:
        page = file.pages[0]
        return int(page.imagelength), int(page.imagewidth)


def is_lossy(path: str) -> bool:
    """Tell whether the compression of the first page changed its numbers."""
    with opened(path) as file:
        return is_lossy_page(file, file.pages[0])


def depth_axes(axes: str, shape: Sequence[int]) -> list[int]:
    """Find the axes, by tifffile's letters, that are neither height, width nor channels."""
    return [i for i, a in enumerate(axes) if a not in "YXSC" and shape[i] > 1]


def depth(path: str) -> int:
    """Count the slices of a TIFF's image; thumbnails and smaller copies of it are none."""
    with opened(path) as file:
        series = file.series[0]
        return int(np.prod([series.shape[i] for i in depth_axes(series.axes, series.shape)]))


def slices(path: str) -> list[int]:
    """List the pages, counted from 1, that are the slices of a volume one by one, if they are."""
    with opened(path) as file:
        series = file.series[0]
        deep = depth_axes(series.axes, series.shape)
        pages = [page for page in series.pages if page is not None]
        if len(deep) != 1 or len(pages) != series.shape[deep[0]]:
            return []
        return [page.index + 1 for page in pages]


def decode(path: str, pages: list[int] | None = None) -> TiffPixels:
    """Read a TIFF's own numbers, upright, and what they mean.

    Parameters
    ----------
    path
        The file.
    pages
        Pages to read, counted from 1; by default those of its first image.

    Raises
    ------
    FormatError
        If the file is damaged, claims more than it can hold, or has no such pages.
    MissingPackageError
        If it is compressed in a way that needs imagecodecs.
    """
    import tifffile

    count = count_pages(path)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(tifffile.TiffFile(path))
            part = part_of(file, path, pages)
            meaning = about(file, part.first, part.axes, part.shape)
        except FormatError:
            raise
        except DAMAGE:
            # a file that breaks its rules
            return TiffPixels(chosen_pages(sound_pages(path, count), path, pages))
        try:
            pixels = channels_last(part.read(), part.axes, path)
        except DAMAGE as error:
            return TiffPixels(read_elsewhere(part, meaning, error), **meaning)
        orientation = part.first.tags.valueof(ORIENTATION_TAG, 1)
    return TiffPixels(np.ascontiguousarray(upright(pixels, orientation)), **meaning)


@dataclass(frozen=True)
class Part:
    """Pages of an open file: their places from 0, the first of them, and how to read them all.

    `axes` and `shape` are those of what `read()` gives, in tifffile's letters.
    """

    path: str
    indices: list[int]
    first: "tifffile.TiffPage"
    axes: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def part_of(file: "tifffile.TiffFile", path: str, pages: list[int] | None) -> Part:
    """Find the pages of the first image, or those that are asked for, and check their claim."""
    if pages is None:
        series = file.series[0]
        check_size(path, series.nbytes, series.keyframe)
        indices = [page.index for page in series.pages if page is not None]
        return Part(path, indices, series.keyframe, series.axes, series.shape, series.asarray)
    check_pages(pages, len(file.pages), path)
    chosen = [file.pages[i - 1].aspage() for i in pages]
    first, indices = chosen[0], [i - 1 for i in pages]
    check_size(path, sum(page.nbytes for page in chosen), first)
    if len(chosen) == 1:
        return Part(path, indices, first, first.axes, first.shape, first.asarray)
    check_alike([page.shape for page in chosen])
    shape = (len(chosen), *first.shape)
    return Part(path, indices, first, "I" + first.axes, shape,
                lambda: np.stack([page.asarray() for page in chosen]))  # fmt: skip


def read_elsewhere(part: Part, meaning: dict, error: Exception) -> np.ndarray:
    """Read `[H, W, C]` or `[D, H, W, C]` by OpenCV or Pillow where tifffile lacks a decoder.

    `error` is tifffile's: a file that it found damaged would come with holes from OpenCV.
    """
    page, count = part.first, max(part.indices) + 1
    known = page.compression in ELSEWHERE and page.samplesperpixel <= MOST_CHANNELS
    if not (known and lacks_decoder(error)):
        raise cannot_decode(part.path, error)
    read_pages = pillow_pages if page.bitspersample in (2, 4) else sound_pages
    decoded = read_pages(part.path, count)
    if len(decoded) < count:
        raise FormatError(f"{part.path} is damaged after {len(decoded)} of its pages.")
    pages = [as_stored(decoded[i], **meaning) for i in part.indices]
    if page.axes.startswith("S"):
        pages = [np.moveaxis(page, -1, 0) for page in pages]
    # the decoders know no axes beyond those of a page
    return channels_last(np.stack(pages).reshape(part.shape), part.axes, part.path)


def cannot_decode(path: str, error: Exception) -> FormatError | MissingPackageError:
    """Make the error for a file that nothing here decodes, from tifffile's reason."""
    if lacks_decoder(error):
        return MissingPackageError(
            f"{path} is compressed in a way that only the Python package imagecodecs can decode, "
            "which is not installed.",
            hint='Install it with seg_install(extras = "raster"), then restart R.',
        )
    return FormatError(f"{path} cannot be decoded.", hint=DAMAGED)


def lacks_decoder(error: Exception) -> bool:
    """Tell tifffile's lack of imagecodecs from damage."""
    return isinstance(error, ImportError) or "imagecodecs" in str(error)


def sound_pages(path: str, count: int) -> list[np.ndarray]:
    """Decode by OpenCV, which leaves holes where data are damaged, what Pillow finds sound.

    Raises
    ------
    FormatError
        If it fails, or if Pillow, which does not know all kinds of TIFF, finds damage.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow also warns of what it then raises
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                for i in range(count):
                    image.seek(i)
                    image.load()
    except (Image.UnidentifiedImageError, EOFError):
        pass
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"{path} cannot be decoded.", hint=DAMAGED) from error
    return opencv_pages(path, count)


def opencv_pages(path: str, count: int) -> list[np.ndarray]:
    """Decode the first pages of a file by OpenCV, channels in the file's order, printing nothing.

    Raises
    ------
    FormatError
        If it fails.
    """
    import cv2

    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
        ok, pages = cv2.imreadmulti(path, 0, count, flags=flags)
    except cv2.error:
        ok, pages = False, []
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not ok or not pages:
        raise FormatError(f"{path} cannot be decoded.", hint=DAMAGED)
    return [swap_blue_red(page) for page in pages]


def swap_blue_red(page: np.ndarray) -> np.ndarray:
    """Turn OpenCV's BGR into RGB, further channels untouched."""
    if page.ndim == 2 or page.shape[2] < 3:
        return page
    return page[:, :, [2, 1, 0, *range(3, page.shape[2])]]


def pillow_pages(path: str, count: int) -> list[np.ndarray]:
    """Decode the first pages of a file of 2 or 4 bits by Pillow.

    Raises
    ------
    FormatError
        If it fails.
    """
    from PIL import Image, ImageSequence

    pages = []
    try:
        with Image.open(path) as image:
            for page in ImageSequence.Iterator(image):
                pages.append(np.asarray(page))
                if len(pages) == count:
                    break
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"{path} cannot be decoded.", hint=DAMAGED) from error
    return pages


def as_stored(
    pixels: np.ndarray, *, bits: int, white_is_zero: bool, indexed: bool, **_: object
) -> np.ndarray:
    """Undo what OpenCV and Pillow do to the numbers of a TIFF."""
    if bits == 1:
        pixels = pixels > 127
    if white_is_zero and pixels.dtype.itemsize == 1:
        pixels = ~pixels
    if bits in (2, 4) and not indexed:
        # spread over 8 bits
        return pixels // (255 // (2**bits - 1))
    return pixels >> (16 - bits) if 8 < bits < 16 else pixels


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


def check_size(path: str, claimed: int, page: "tifffile.TiffPage") -> None:
    """Compare what pages claim to hold with the file; tiles that are left out count for nothing."""
    if page.dtype is None:
        raise ValueError("numbers of no known type")
    held = sum(count > 0 for count in page.databytecounts)
    share = held / max(len(page.databytecounts), 1)
    # numbers may be packed into fewer bits than those that hold them here
    share *= min(1, page.bitspersample / (8 * page.dtype.itemsize))
    check_claim(path, int(claimed * share), RATIOS.get(page.compression))
    check_claim(path, claimed)


def channels_last(pixels: np.ndarray, axes: str, path: str = "The file") -> np.ndarray:
    """Order pixels with tifffile's named axes as `[H, W, C]` or `[D, H, W, C]`."""
    deep = depth_axes(axes, pixels.shape)
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
    """Take the chosen ones (counted from 1) of decoded pages, as `[(D,) H, W, C]`."""
    pages = pages or list(range(1, len(all_pages) + 1))
    check_pages(pages, len(all_pages), path)
    chosen = [with_channels(all_pages[i - 1]) for i in pages]
    check_alike([page.shape for page in chosen])
    return chosen[0] if len(chosen) == 1 else np.stack(chosen)


def check_pages(pages: list[int], n: int, path: str) -> None:
    """Raise a FormatError for pages that are not there."""
    if not pages or min(pages) < 1 or max(pages) > n:
        raise FormatError(
            f"{path} has {counted(n, 'page')}, and `pages` is {as_r(pages)}.",
            argument="pages",
        )


def check_alike(shapes: Sequence[tuple[int, ...]]) -> None:
    """Raise a FormatError for pages of different sizes."""
    if len(set(shapes)) > 1:
        raise FormatError(
            "The pages have different sizes and make no volume.",
            hint="Choose one: seg_read_image(path, pages = 1).",
            argument="pages",
        )


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
