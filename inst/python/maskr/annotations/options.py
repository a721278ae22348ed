"""What readers and writers are told beside the path."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int], None]
"""Called with the number of images that are done and of all."""


@dataclass
class ReadOptions:
    """What a reader is told beside the path.

    Attributes
    ----------
    images
        Folder of the images; None looks for them where the format puts them.
    classes
        Class ids by name, for formats that hold no names.
    colours
        "#RRGGBB" by class name, for label images that are colour-coded.
    ignore, values, explicit_ignore
        As in `maskr.masks.load()`.
    level
        Of ADE20K: 0 for whole objects, 1 for their parts, 2 for parts of parts, and so on.
    """

    images: str | None = None
    classes: dict[str, int] | None = None
    colours: dict[str, str] | None = None
    ignore: int | None = 255
    values: list[int] | None = None
    explicit_ignore: bool = False
    level: int = 0


@dataclass
class WriteOptions:
    """What a writer is told beside the path: whether image files go along."""

    copy_images: bool = True
