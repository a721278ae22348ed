"""NIfTI files (https://nifti.nimh.nih.gov), read and written by nibabel.

`maskr.volumes` says how (i, j, k) become `[D, H, W]`.
"""

import functools
import logging
import zlib
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from maskr.errors import DataError, FormatError, MissingPackageError
from maskr.limits import DEFLATE, check_claim
from maskr.tiff_tags import IGNORE_KEY
from maskr.volumes import MM, Volume

if TYPE_CHECKING:
    import nibabel

TO_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}


@functools.cache
def load_nibabel() -> ModuleType:
    """Import nibabel, which may be missing, and keep it from printing."""
    try:
        import nibabel
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "NIfTI files are read by the Python package nibabel, which is not installed.",
            hint='Install it with seg_install(extras = "volumes"), then restart R.',
        ) from error
    nibabel.imageglobals.logger.setLevel(logging.CRITICAL + 1)
    return nibabel


def open_nifti(path: str) -> Volume:
    """Read the header of a NIfTI file.

    A fourth axis (time, modalities, vectors) becomes the channels, a file of two axes an image.

    Raises
    ------
    FormatError
        If the file is damaged, or claims more than it can hold.
    """
    image = load_image(path)
    shape = volume_shape(image, path)
    dtype = image.get_data_dtype()
    check_claim(path, int(np.prod(shape)) * dtype.itemsize, DEFLATE if is_packed(path) else 1)
    spacing, affine = geometry(image)
    stored_as_is = image.dataobj.slope == 1 and image.dataobj.inter == 0
    # colours are bytes, too
    whole_numbers = stored_as_is and dtype.kind in "iuV"
    unit = np.iinfo(dtype if dtype.kind in "iu" else np.uint8).max if whole_numbers else 1.0
    return Volume(
        path,
        shape,
        whole=lambda: guarded(path, lambda: turned(np.asanyarray(image.dataobj), shape)),
        box=None if is_packed(path) or len(shape) < 4 else functools.partial(read_box, image, path),
        unit=float(unit),
        spacing=spacing,
        affine=affine,
        ignore=noted_ignore(image),
    )


def noted_ignore(image: "nibabel.Nifti1Image") -> int | None:
    """Read the number for "ignore" that `save()` notes."""
    key, _, text = bytes(image.header["descrip"]).rstrip(b"\0").partition(b"=")
    return int(text) if key == IGNORE_KEY.encode() and text.isdigit() else None


def load_image(path: str) -> "nibabel.Nifti1Image":
    """Open a NIfTI file with nibabel."""
    nibabel = load_nibabel()
    image = guarded(path, lambda: nibabel.load(path))
    if not isinstance(image, nibabel.Nifti1Pair):
        raise FormatError(f"{path} is not a NIfTI file.")
    return image


def guarded(path: str, read: object) -> object:
    """Call `read`, and turn whatever a damaged file makes of it into a FormatError."""
    nibabel = load_nibabel()
    damage = (
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        OSError,
        EOFError,
        ValueError,
        ArithmeticError,
        LookupError,
        TypeError,
        zlib.error,
    )
    try:
        return read()
    except damage as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise FormatError(f"{path} is damaged, or no NIfTI file: {first}") from error
    except MemoryError as error:
        raise FormatError(f"{path} is too large to be read as a whole.") from error


def volume_shape(image: "nibabel.Nifti1Image", path: str) -> tuple[int, ...]:
    """Find (D, H, W, C), or (H, W, C) of a file of two axes."""
    size = tuple(map(int, image.shape))
    dtype = image.get_data_dtype()
    deep = [n for n in size[3:] if n != 1]
    if len(size) < 2 or min(size, default=0) < 1 or len(deep) > 1 or dtype.kind == "c":
        raise FormatError(
            f"{path} holds {'complex' if dtype.kind == 'c' else dtype.name} numbers on "
            f"{len(size)} axes ({' x '.join(map(str, size))}), and a volume has three, or four "
            "with channels.",
        )
    channels = (deep[0] if deep else 1) * len(dtype.names or "1")
    return (*size[2::-1], channels) if len(size) > 2 else (size[1], size[0], channels)


def is_packed(path: str) -> bool:
    """Tell whether the file is compressed."""
    return path.lower().endswith(".gz")


def geometry(image: "nibabel.Nifti1Image") -> tuple[tuple[float, ...] | None, np.ndarray | None]:
    """Find spacing (D, H, W) or (H, W) in mm, and the affine in mm if the file has one.

    A file whose header says nothing (no unit, no orientation, voxels of size 1) has neither.
    """
    header = image.header
    unit = header.get_xyzt_units()[0]
    axes = min(len(image.shape), 3)
    zooms = np.array(header.get_zooms()[:axes], dtype=np.float64) * TO_MM.get(unit, 1.0)
    oriented = header["qform_code"] > 0 or header["sform_code"] > 0
    if not oriented:
        silent = unit == "unknown" and (zooms == 1).all()
        return (None if silent else tuple(zooms[::-1].tolist())), None
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= TO_MM.get(unit, 1.0)
    measured = np.sqrt((affine[:3, :axes] ** 2).sum(axis=0))
    # the affine is what programs go by where the two disagree
    if not np.allclose(zooms, measured, rtol=MM) and (measured > 0).all():
        zooms = measured
    return tuple(zooms[::-1].tolist()), affine


def turned(stored: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Turn nibabel's (i, j, k, ...) into `shape`; colours (R, G, B) into channels."""
    if stored.dtype.names:
        stored = np.stack([stored[name] for name in stored.dtype.names], axis=-1)
    spatial = len(shape) - 1
    stored = stored.reshape(*stored.shape[:spatial], -1)
    return np.asarray(stored).transpose(*range(spatial)[::-1], spatial)


def read_box(
    image: "nibabel.Nifti1Image", path: str, part: tuple[slice, slice, slice]
) -> np.ndarray:
    """Read a part `[d, h, w, C]` of an uncompressed file, and nothing else of it."""
    stored = guarded(path, lambda: np.asanyarray(image.dataobj[part[::-1]]))
    return turned(stored, (0, 0, 0, 0))


def save(
    stored: np.ndarray,
    path: str,
    spacing: list[float] | None = None,
    affine: np.ndarray | None = None,
    void: int | None = None,
) -> None:
    """Write numbers `[D, H, W]` or `[H, W]` as NIfTI-1, whose spacing and affine are float32.

    `void` notes the number for "ignore".

    Raises
    ------
    DataError
        If spacing and affine contradict each other.
    """
    nibabel = load_nibabel()
    image = nibabel.Nifti1Image(np.ascontiguousarray(stored).T, affine)
    if affine is not None:
        check_agreement(spacing, affine, stored.ndim)
        image.set_qform(affine, code=0)
    if spacing is not None:
        image.header.set_zooms(tuple(spacing[::-1]))
    if spacing is not None or affine is not None:
        image.header.set_xyzt_units("mm")
    image.header["sform_code"] = 0 if affine is None else 2
    image.header["qform_code"] = 0
    if void is not None:
        image.header["descrip"] = f"{IGNORE_KEY}={void}"
    nibabel.save(image, path)


def check_agreement(spacing: list[float] | None, affine: np.ndarray, axes: int) -> None:
    """Raise a DataError unless the affine's voxels have the size that `spacing` says."""
    measured = np.sqrt((affine[:3, :axes] ** 2).sum(axis=0))[::-1]
    if spacing is None or np.allclose(spacing, measured, rtol=MM):
        return
    raise DataError(
        f"The spacing {' x '.join(f'{s:.4g}' for s in spacing)} mm contradicts the affine, whose "
        f"voxels are {' x '.join(f'{s:.4g}' for s in measured)} mm (D x H x W).",
        hint="Set the attribute `spacing` or `affine` right, or one of them to NULL.",
        argument="x",
    )
