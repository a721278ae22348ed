"""The Cell Tracking Challenge's truth for single slices of a volume, opened as a label volume.

`01_GT/SEG/man_seg_000_012.tif` holds the objects of slice 12 of the frame `01/t000.tif`. Slices
without a file were not annotated.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from maskr import tiff
from maskr.case_names import TRUTH
from maskr.errors import FormatError
from maskr.volumes import Volume, stem

UNANNOTATED = -1
"""What stands for the voxels of slices without a file."""


def is_slice(path: str) -> bool:
    """Tell the truth for one slice by its name."""
    known = TRUTH.match(stem(path))
    return known is not None and known.group(2) is not None


def open_slices(path: str, read: Callable[[str], np.ndarray]) -> Volume:
    """Open all slices of the frame of one of them.

    Parameters
    ----------
    read
        Reads the numbers `[H, W]` of a file.

    Raises
    ------
    FormatError
        If slices differ in size.
    """
    files = slices_beside(Path(path))
    shape = read(path).shape
    depth = max(depth_of_frame(Path(path)), max(files) + 1)

    def whole() -> np.ndarray:
        found = np.full((depth, *shape, 1), UNANNOTATED, dtype=np.int32)
        for z, file in files.items():
            numbers = read(file)
            if numbers.shape != shape:
                raise FormatError(f"The slices {path} and {file} of one frame differ in size.")
            found[z, ..., 0] = numbers
        return found

    return Volume(path, (depth, *shape, 1), whole)


def slices_beside(path: Path) -> dict[int, str]:
    """Find the files of a frame by the numbers of their slices."""
    time = TRUTH.match(stem(str(path))).group(1)
    known = ((TRUTH.match(stem(str(file))), file) for file in sorted(path.parent.iterdir()))
    return {
        int(found.group(2)): str(file)
        for found, file in known
        if found and found.group(1) == time and found.group(2)
    }


def depth_of_frame(path: Path) -> int:
    """Count the slices of the frame that a file of truth belongs to; 0 if it isn't there."""
    time = TRUTH.match(stem(str(path))).group(1)
    sequence = path.parents[1].name.rpartition("_")[0]
    for ending in (".tif", ".tiff"):
        frame = path.parents[2] / sequence / f"t{time}{ending}"
        if sequence and frame.is_file():
            return tiff.depth(str(frame))
    return 0
