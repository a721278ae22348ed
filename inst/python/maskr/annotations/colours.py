"""Colours that stand for classes in label images."""

import numpy as np

from maskr import images, masks, tiff
from maskr.annotations.columns import Category
from maskr.errors import DataError, FormatError

SHOWN = 5
"""Unknown colours that an error names."""


def number_of(colour: str) -> int:
    """Pack "#RRGGBB" into a whole number.

    Raises
    ------
    DataError
        If it is no such colour.
    """
    try:
        if len(colour) == 7 and colour[0] == "#":
            return int(colour[1:], 16)
    except ValueError:
        pass
    raise DataError(f'"{colour}" is not a colour such as "#804080".', argument="colours")


def triple(colour: str) -> tuple[int, int, int]:
    """Split "#RRGGBB" into red, green and blue."""
    number = number_of(colour)
    return number >> 16, number >> 8 & 255, number & 255


def hexadecimal(red: int, green: int, blue: int) -> str:
    """Write a colour as "#RRGGBB"."""
    return f"#{int(red):02X}{int(green):02X}{int(blue):02X}"


def default_colour(class_id: int) -> str:
    """Give Pascal VOC's colour of a class id: its bits, dealt to red, green and blue in turn."""
    channels = [
        sum((class_id >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8))
        for channel in range(3)
    ]
    return hexadecimal(*channels)


def colour_of(one: Category) -> str:
    """Give a class's colour, or the default one of its id."""
    return one.colour or default_colour(one.id)


def is_coloured(path: str, palette: bool = False) -> bool:
    """Tell by the head of a file whether its pixels are colours; `palette` counts those of one."""
    if tiff.is_tiff(path):
        import tifffile

        with tiff.opened(path) as file:
            page = file.pages[0]
            indexed = page.photometric == tifffile.PHOTOMETRIC.PALETTE
            return palette if indexed else page.samplesperpixel >= 3
    with images.open_image(path) as image:
        return image.mode in ("RGB", "RGBA", *(("P", "PA") if palette else ()))


def decode_colours(path: str, table: dict[str, int]) -> np.ndarray:
    """Read a colour-coded label image.

    Parameters
    ----------
    table
        Class ids by "#RRGGBB"; IGNORE for colours to be ignored.

    Returns
    -------
    np.ndarray
        int32 `[H, W]` or `[D, H, W]` class ids.

    Raises
    ------
    FormatError
        If the file cannot be read, or has no colours of 8 bits.
    DataError
        If there are other colours; it names them and counts their pixels.
    """
    pixels = masks.decode_colours(path)
    if pixels.shape[-1] == 4:
        masks.check_alpha(pixels, path)
    if pixels.dtype != np.uint8 or pixels.shape[-1] not in (1, 3, 4):
        raise FormatError(f"{path} is not coded by colours of 8 bits.")
    return ids_of(packed(pixels), table, path)


def packed(pixels: np.ndarray) -> np.ndarray:
    """Pack uint8 colours `[..., C]` into int32 `[...]`."""
    wide = pixels.astype(np.int32)
    red, green, blue = (wide[..., min(c, pixels.shape[-1] - 1)] for c in range(3))
    if pixels.shape[-1] == 1:
        green = blue = red
    return red << 16 | green << 8 | blue


def ids_of(numbers: np.ndarray, table: dict[str, int], path: str) -> np.ndarray:
    """Look packed colours up in a table."""
    colours = np.array([number_of(colour) for colour in table], dtype=np.int32)
    ids = np.array(list(table.values()), dtype=np.int32)
    order = np.argsort(colours)
    places = np.searchsorted(colours[order], numbers).clip(max=len(colours) - 1)
    unknown = colours[order][places] != numbers
    if unknown.any():
        raise unknown_colours(numbers[unknown], path)
    return ids[order][places]


def unknown_colours(numbers: np.ndarray, path: str) -> DataError:
    """Make the error for colours that stand for no class."""
    found, counts = np.unique(numbers, return_counts=True)
    order = np.argsort(-counts)
    said = [f"#{found[n]:06X} ({counts[n]} pixels)" for n in order[:SHOWN]]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return DataError(
        f"{path} holds {'a colour' if len(found) == 1 else 'colours'} of no class: "
        f"{', '.join(said)}{more}.",
        hint='Name all colours: colours = c(road = "#804080", ...); a class called "ignore" is '
        "left out of training.",
        argument="colours",
    )
