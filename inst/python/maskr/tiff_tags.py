"""What the tags of a TIFF say of its numbers: colours, missing values, the size of a pixel.

Sizes come from OME's XML and ImageJ's description. The resolution tags of other files are those of
print, and are not read.
"""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from maskr.lossy_files import HEAD, is_lossy_stream

if TYPE_CHECKING:
    import tifffile

NODATA_TAG = 42113
IGNORE_KEY = "maskr_ignore"
"""Where `maskr.masks.write()` notes the number that stands for "ignore"."""
ALPHA = (1, 2)
STREAMS = (6, 7, 33003, 33004, 33005, 33007, 34712, 34892, 50001)
"""Compressions that may change numbers: JPEG, JPEG 2000, WebP."""
METRES = {"nm": 1e-9, "um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "inch": 0.0254}
"""Units of length that are known, in metres."""
UNITS = {
    "micron": "um", "microns": "um", "micrometer": "um", "nanometer": "nm", "millimeter": "mm",
    "centimeter": "cm", "meter": "m", "in": "inch",
}  # fmt: skip
"""Other names of them."""


def about(
    file: "tifffile.TiffFile", page: "tifffile.TiffPage", axes: str, shape: Sequence[int]
) -> dict:
    """Find what the numbers of an open file mean: fields of `tiff.TiffPixels`.

    Parameters
    ----------
    file, page
        The file, and the first of the pages that are read.
    axes, shape
        Those of what is read, in tifffile's letters.
    """
    has_palette = page.photometric == 3 and page.colormap is not None
    extra = tuple(page.extrasamples)
    spacing, unit = pixel_size(file, page, axes, shape)
    return {
        "palette": (page.colormap.T >> 8).astype(np.uint8) if has_palette else None,
        "indexed": has_palette and not file.is_imagej,
        "white_is_zero": page.photometric == 0,
        "bits": page.bitspersample,
        "alpha": bool(extra) and extra[-1] in ALPHA,
        "rgb": page.photometric in (2, 6),
        "lossy": is_lossy_page(file, page),
        "nodata": nodata(page),
        "ignore": noted_ignore(file),
        "spacing": spacing,
        "unit": unit,
    }


def nodata(page: "tifffile.TiffPage") -> float | None:
    """Read GDAL's number for "no value"; None for one that the page's type cannot hold."""
    text = page.tags.valueof(NODATA_TAG)
    try:
        value = float(str(text).strip("\0 "))
    except ValueError:
        return None
    if math.isnan(value):
        return None
    kind = page.dtype
    if kind.kind == "f":
        return value
    fits = value.is_integer() and kind.kind in "iu"
    return value if fits and np.iinfo(kind).min <= value <= np.iinfo(kind).max else None


def is_lossy_page(file: "tifffile.TiffFile", page: "tifffile.TiffPage") -> bool:
    """Tell whether the compression of a page changed its numbers."""
    if page.compression not in STREAMS or not page.dataoffsets:
        return False
    file.filehandle.seek(page.dataoffsets[0])
    return is_lossy_stream(file.filehandle.read(min(page.databytecounts[0], HEAD)))


def noted_ignore(file: "tifffile.TiffFile") -> int | None:
    """Read the number that stands for "ignore" in a mask that maskr wrote."""
    try:
        return int(json.loads(file.pages[0].description)[IGNORE_KEY])
    except (ValueError, LookupError, TypeError):
        return None


def pixel_size(
    file: "tifffile.TiffFile", page: "tifffile.TiffPage", axes: str, shape: Sequence[int]
) -> tuple[tuple[float, ...] | None, str | None]:
    """Find the size of a pixel along D (where it is one of space), H and W, and its unit."""
    sizes = ome_sizes(file.ome_metadata) if file.is_ome else imagej_sizes(file, page)
    letters = [a for a, n in zip(axes, shape, strict=True) if a not in "YXSC" and n > 1]
    wanted = [*letters, "Y", "X"]
    if not all(letter in sizes for letter in wanted):
        return None, None
    unit = sizes["X"][1]
    values = tuple(value * METRES[own] / METRES[unit] for value, own in map(sizes.get, wanted))
    return values, unit


def imagej_sizes(
    file: "tifffile.TiffFile", page: "tifffile.TiffPage"
) -> dict[str, tuple[float, str]]:
    """Read the sizes by axis, with their unit, that ImageJ notes."""
    noted = (file.imagej_metadata or {}) if file.is_imagej else {}
    unit = unit_of(noted.get("unit"))
    if unit is None:
        return {}
    found = {}
    # pixels of a unit of length, as a fraction
    for axis, tag in (("X", 282), ("Y", 283)):
        count, units = page.tags.valueof(tag) or (0, 1)
        if count > 0 and units > 0:
            found[axis] = (units / count, unit)
    if isinstance(noted.get("spacing"), (int, float)) and noted["spacing"] > 0:
        found["Z"] = (float(noted["spacing"]), unit)
    return found


def ome_sizes(text: str) -> dict[str, tuple[float, str]]:
    """Read the sizes by axis, with their unit, of the first image that OME's XML describes."""
    from defusedxml import DefusedXmlException
    from defusedxml import ElementTree as ET

    try:
        root = ET.fromstring(text)
    except (ET.ParseError, DefusedXmlException, ValueError):
        return {}
    pixels = next((one for one in root.iter() if one.tag.rpartition("}")[2] == "Pixels"), None)
    found = {}
    for axis in "XYZ" if pixels is not None else "":
        unit = unit_of(pixels.get(f"PhysicalSize{axis}Unit", "um"))
        try:
            size = float(pixels.get(f"PhysicalSize{axis}", 0))
        except ValueError:
            continue
        if unit is not None and 0 < size < math.inf:
            found[axis] = (size, unit)
    return found


def unit_of(name: str | None) -> str | None:
    """Give the short name of a unit of length in ASCII; None for pixels and what is not known."""
    if not isinstance(name, str):
        return None
    plain = name.strip().strip('"').replace("\\u00B5", "u").replace("\\u00b5", "u")
    # the micro sign and the Greek letter
    plain = plain.replace("\u00b5", "u").replace("\u03bc", "u")
    plain = UNITS.get(plain.lower(), plain)
    return plain if plain in METRES else None
