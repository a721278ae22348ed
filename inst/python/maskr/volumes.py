"""Volumes in files: NIfTI and DICOM, and how their axes become ours.

NIfTI counts voxels by (i, j, k), along x, y and z of its own grid. A volume here is `[D, H, W, C]`
with D = k, H = j and W = i: axes are turned round and nothing is flipped, so that
`data[k, j, i]` is NIfTI's voxel (i, j, k). `affine` stays that of the file: it maps (i, j, k, 1),
counted from 0, to mm in NIfTI's world, where x grows to the patient's right, y to the front and z
to the head (RAS+). `spacing` is (D, H, W) in mm.

DICOM is read as its usual conversion to NIfTI would give it (`maskr.dicom`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskr.errors import FormatError

MM = 1e-3
"""Accuracy in mm to which affines and spacings are compared, relative to a voxel's size."""


@dataclass(frozen=True)
class Volume:
    """A volume whose header was read, and how to read its voxels.

    Attributes
    ----------
    path
        The file or folder.
    shape
        (D, H, W, C); (H, W, C) for a file that holds an image.
    whole
        Reads all voxels, in an array of `shape`.
    box
        Reads a part `[d, h, w, C]`, given by three slices along D, H and W, where that costs less
        than reading the whole.
    by_page
        Whether `box` reads whole pages `[H, W]`.
    unit
        What divides numbers so that they lie in 0..1 (-1..1 where they are signed); 1 for floats.
    spacing
        Size of a voxel in mm along the axes of `shape`; None where the file does not tell.
    affine
        float64 `[4, 4]` from (i, j, k, 1) to mm in RAS+; None where the file does not tell.
    ignore
        The number for "ignore" in labels that maskr wrote; or None.
    """

    path: str
    shape: tuple[int, ...]
    whole: Callable[[], np.ndarray]
    box: Callable[[tuple[slice, slice, slice]], np.ndarray] | None = None
    by_page: bool = False
    unit: float = 1.0
    spacing: tuple[float, ...] | None = None
    affine: np.ndarray | None = None
    ignore: int | None = None

    def geometry(self) -> dict:
        """Give `spacing` and `affine` as arrays for R."""
        return {
            "spacing": None if self.spacing is None else np.array(self.spacing, dtype=np.float64),
            "affine": self.affine,
        }


def is_nifti(path: str) -> bool:
    """Tell a NIfTI file by its name, as the libraries that read it do."""
    return path.lower().endswith((".nii", ".nii.gz"))


def is_dicom(path: str) -> bool:
    """Tell a DICOM file by its content."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def is_volume(path: str) -> bool:
    """Tell whether `open_volume()` is for this path: NIfTI, DICOM or a folder."""
    return is_nifti(path) or Path(path).is_dir() or is_dicom(path)


def open_volume(path: str) -> Volume:
    """Read the header of a NIfTI file, a DICOM file or the folder of a DICOM series.

    Raises
    ------
    FormatError
        If it is damaged, not one volume, or claims more than file or memory can hold.
    MissingPackageError
        If nibabel or pydicom is not installed.
    """
    if is_nifti(path):
        from maskr import nifti

        return nifti.open_nifti(path)
    from maskr import dicom

    return dicom.open_series(path) if Path(path).is_dir() else dicom.open_file(path)


def stem(path: str) -> str:
    """Name of a volume without folder and endings: "case_1" of "a/case_1.nii.gz"."""
    name = Path(path).name
    for ending in (".nii.gz", ".nii", ".tiff", ".tif", ".dcm"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def check_same_grid(image: Volume, labels: Volume) -> None:
    """Raise a FormatError unless a volume and its labels have the same voxels in the same place.

    Affines are compared at the corners, where they may differ by half a voxel.
    """
    if image.shape[:-1] != labels.shape[:-1]:
        raise FormatError(
            f"{image.path} has {in_words(image.shape)} voxels (D x H x W), and its labels "
            f"{labels.path} have {in_words(labels.shape)}.",
            argument="targets",
        )
    if image.affine is None or labels.affine is None:
        return
    corners = np.array(np.meshgrid(*((0, n - 1) for n in image.shape[-2::-1]))).reshape(3, -1)
    corners = np.vstack((corners, np.ones(8)))
    apart = np.abs((image.affine - labels.affine)[:3] @ corners).max()
    if apart > 0.5 * min(image.spacing):
        raise FormatError(
            f"The labels {labels.path} lie up to {apart:.3g} mm beside {image.path}: their affines "
            "differ.",
            hint="They were made on another grid or turned. Bring them onto the image's grid, or, "
            "if only the header is wrong, write them again with the affine of the image.",
            argument="targets",
        )


def in_words(shape: tuple[int, ...]) -> str:
    """Write a shape without its channels: "30 x 101 x 122"."""
    return " x ".join(map(str, shape[:-1]))
