"""Image files as arrays: PNG, JPEG, TIFF, BMP and WebP, at their full bit depth.

Pillow decodes 8-bit files, OpenCV the 16-bit colour PNGs that Pillow would reduce to 8 bits, and
`maskr.tiff` the TIFFs. Pixels without a value are NaN: those of floating-point files that are, and
those that hold the number which a GeoTIFF declares to be none.
"""

import contextlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from maskr import tiff, volumes
from maskr.arrays import numbers_to_r
from maskr.errors import DataError, FormatError, ShapeError
from maskr.limits import DEFLATE, check_claim
from maskr.tiff import ORIENTATION_TAG, first_bytes, opencv_pages, upright, with_channels
from maskr.words import counted

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""Endings of image files."""

NOWHERE = {"spacing": None, "affine": None, "unit": None}
"""Geometry of a file that does not tell it."""

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """The numbers of an image file.

    Attributes
    ----------
    raw
        `[H, W, C]`, or `[D, H, W, C]`.
    unit
        What divides numbers so that they lie in 0..1 (-1..1 where they are signed); 1 for floats.
    missing
        Where a GeoTIFF says that there is no value, bool `[..., C]` or `[..., 1]`; or None.
    geometry
        `spacing` and `affine` as `volumes.Volume` has them, and `unit`, that of the spacing; None
        where the file does not tell.
    """

    raw: np.ndarray
    unit: float
    missing: np.ndarray | None
    geometry: dict

    def numbers(self) -> np.ndarray:
        """Give the file's own numbers, as float32 with NaN where some are missing."""
        if self.missing is None:
            return self.raw
        return np.where(self.missing, np.float32(np.nan), self.raw.astype(np.float32))


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
        `range`: the two values that stand for black and white; `divisor`: what the file's numbers
        were divided by; `missing`, `infinite`: pixels with such values; `spacing`, `affine` and
        `unit` as `Picture.geometry` has them.

    Raises
    ------
    FormatError
        If the file cannot be read as an image.
    MissingPackageError
        If it needs nibabel or pydicom.
    """
    if volumes.is_volume(path) and pages is not None:
        raise FormatError(f"{path} is not a TIFF file and has no pages.", argument="pages")
    picture = open_volume(path) if volumes.is_volume(path) else open_picture(path, pages)
    divisor = float(picture.unit) if scale else 1.0
    data = numbers_to_r(picture.raw, divisor, picture.missing)
    return {
        "data": data,
        "range": np.array(black_and_white(picture, divisor), dtype=np.float64),
        "divisor": divisor,
        **count_odd(data if may_miss(picture) else None),
    } | picture.geometry


def open_volume(path: str) -> Picture:
    """Read NIfTI or DICOM whole."""
    volume = volumes.open_volume(path)
    return Picture(volume.whole(), volume.unit, None, volume.geometry() | {"unit": None})


def open_picture(path: str, pages: list[int] | None = None) -> Picture:
    """Read an image file, upright: its own numbers, with palettes as colours and 0 as black.

    Raises
    ------
    FormatError
        If it cannot be read as an image.
    """
    if not tiff.is_tiff(path):
        raw = decode_single(path, pages)
        return Picture(raw, maximum(raw.dtype), None, dict(NOWHERE))
    found = tiff.decode(path, pages)
    if found.stored.size == 0:
        raise FormatError(f"{path} holds no pixel.")
    return Picture(found.as_picture(), found.top, found.missing(), geometry_of(found))


def geometry_of(found: tiff.TiffPixels) -> dict:
    """Give the size of a TIFF's pixels as `Picture` has it."""
    if found.spacing is None:
        return dict(NOWHERE)
    return NOWHERE | {"spacing": np.array(found.spacing), "unit": found.unit}


def may_miss(picture: Picture) -> bool:
    """Tell whether a picture can hold missing or infinite values."""
    return picture.missing is not None or picture.raw.dtype.kind == "f"


def count_odd(data: np.ndarray | None) -> dict[str, int]:
    """Count the pixels of `[..., C]` with a missing value, and those with an infinite one."""
    if data is None or np.isfinite(data).all():
        return {"missing": 0, "infinite": 0}
    return {
        "missing": int(np.isnan(data).any(axis=-1).sum()),
        "infinite": int(np.isinf(data).any(axis=-1).sum()),
    }


def load(path: str, scale: bool = True) -> np.ndarray:
    """Read an image as float32 `[C, H, W]` with NaN for what is missing, for models and datasets.

    Raises
    ------
    FormatError
        If the file cannot be read as an image.
    ShapeError
        If it holds several pages.
    DataError
        If it holds infinite values.
    """
    if volumes.is_volume(path):
        picture, what, cure = open_volume(path), "slices", "seg_read_image(path)[1, , , ]"
    else:
        picture, what, cure = open_picture(path), "pages", "seg_read_image(path, pages = 1)"
    raw = picture.raw
    if raw.ndim != 3:
        raise ShapeError(
            f"{Path(path).name} holds {raw.shape[0]} {what}, and one image is needed.",
            hint=f"Read the one that you want with {cure}; seg_data_volume() makes a dataset.",
        )
    # in one pass; the channels of a pixel stay side by side
    by = np.float32(picture.unit if scale else 1)
    image = np.divide(raw.transpose(2, 0, 1), by, dtype=np.float32)
    if picture.missing is not None:
        image[np.broadcast_to(picture.missing, raw.shape).transpose(2, 0, 1)] = np.nan
    if raw.dtype.kind == "f":
        check_infinite(image, Path(path).name)
    return image


def check_infinite(image: np.ndarray, name: str) -> None:
    """Raise a DataError where an image `[C, ...]` is infinite; NaN may be there."""
    # the sum is finite if all are, and costs one pass
    if np.isfinite(image.sum(dtype=np.float64)):
        return
    n = int(np.isinf(image).any(axis=0).sum())
    if n > 0:
        raise DataError(
            f"{name} holds infinite values in {counted(n, 'pixel')}.",
            hint="Replace them, for example x[is.infinite(x)] <- NA: missing pixels are left out.",
        )


def filled(image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Fill the missing values of an image `[C, ...]` by the mean of their channel.

    The mean is that of the values that are known, or 0 if none is: a network then sees neither a
    hole nor an edge brighter or darker than the image.

    Returns
    -------
    np.ndarray
        The image, the same one where nothing is missing.
    np.ndarray | None
        Where a channel is missing, bool `[...]`; None where none is.
    """
    if not np.isnan(image.sum(dtype=np.float64)):
        return image, None
    holes = np.isnan(image)
    image = image.copy()
    for channel, hole in zip(image, holes, strict=True):
        known = channel[~hole]
        channel[hole] = known.mean(dtype=np.float64) if known.size else 0
    return image, holes.any(axis=0)


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
    several = " Images [N, H, W] of one channel need its dimension: array(x, c(dim(x), 1))."
    raise ShapeError(
        f"{what} has {counted(channels, 'channel')}, and the model takes {in_channels}.",
        hint="Choose channels with image[, , k], or build a model with other in_channels."
        + (several if channels > 4 else ""),
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
    return open_picture(path, pages).raw


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
        with contextlib.ExitStack() as closing:
            image = closing.enter_context(Image.open(path))
            if image.format == "PNG":
                check_claim(path, png_bytes(path), DEFLATE)
            closing.pop_all()
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
    pixels = opencv_pages(path, 1)[0]
    # OpenCV expands 16-bit grey with alpha to four channels
    if first_bytes(path, 26)[25] == 4:
        return pixels[:, :, [0, 3]]
    return pixels


def maximum(dtype: np.dtype) -> float:
    """Find what `scale` divides by: the largest value of an integer type, 1 for the others."""
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def black_and_white(picture: Picture, divisor: float) -> tuple[float, float]:
    """Find the values of black and white: the type's, or the data's where it has none."""
    raw = picture.raw
    if raw.dtype.kind in "bu":
        return 0.0, picture.unit / divisor
    known = raw if picture.missing is None else raw[~np.broadcast_to(picture.missing, raw.shape)]
    if raw.dtype.kind == "f":
        known = known[np.isfinite(known)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = float(known.min()) / divisor, float(known.max()) / divisor
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def size_of(path: str) -> tuple[int, int]:
    """Read height and width of an image, upright, from the head of its file.

    Raises
    ------
    FormatError
        If the file cannot be read as an image.
    """
    if tiff.is_tiff(path):
        return tiff.size_of(path)
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
