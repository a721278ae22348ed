"""DICOM images (https://www.dicomstandard.org), read by pydicom.

A series becomes what its usual conversion to NIfTI holds (dcm2niix, dicom2nifti), so that labels
drawn on that fit: slices go along the normal of the image plane, rows from the bottom of the
picture to its top, and the affine maps (i, j, k) to mm in RAS+, while DICOM itself counts x and y
to the patient's left and back (part 3, C.7.6.2.1.1). Numbers are those after the modality's
rescaling, such as Hounsfield units. Files without position (X-rays, ultrasound, multi-frame files)
keep their rows and have no affine.
"""

import functools
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from maskr.errors import FormatError, MissingPackageError, unreadable
from maskr.images import SUFFIXES
from maskr.limits import check_claim
from maskr.volumes import Volume, is_nifti
from maskr.words import counted

if TYPE_CHECKING:
    import pydicom

UNEVEN = 0.05
"""Share by which the distances of slices may differ; a missing slice doubles one."""

TAGS = [
    "BitsAllocated", "BitsStored", "Columns", "ImageOrientationPatient", "ImagePositionPatient",
    "MaximumFractionalValue", "Modality", "ModalityLUTSequence", "NumberOfFrames",
    "PhotometricInterpretation", "PixelRepresentation", "PixelSpacing",
    "RedPaletteColorLookupTableDescriptor", "RescaleIntercept", "RescaleSlope", "Rows",
    "SamplesPerPixel", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "SliceThickness",
    "SpacingBetweenSlices",
]  # fmt: skip


@functools.cache
def load_pydicom() -> ModuleType:
    """Import pydicom, which may be missing, and keep it from warning on stderr."""
    try:
        import pydicom
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "DICOM files are read by the Python package pydicom, which is not installed.",
            hint='Install it with seg_install(extras = "volumes"), then restart R.',
        ) from error
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    return pydicom


@dataclass(frozen=True)
class Slice:
    """The header of one file, and where its picture lies."""

    path: str
    header: "pydicom.Dataset"

    @property
    def size(self) -> tuple[int, int, int]:
        """Rows, columns and channels; a palette becomes its colours."""
        channels = 3 if has_palette(self.header) else int(self.header.get("SamplesPerPixel", 1))
        return int(self.header.Rows), int(self.header.Columns), channels

    @property
    def axes(self) -> np.ndarray:
        """Unit vectors along a row and along a column, `[2, 3]`, in DICOM's coordinates."""
        return np.array(self.header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)

    @property
    def position(self) -> np.ndarray:
        """Centre of the first pixel in mm."""
        return np.array(self.header.ImagePositionPatient, dtype=np.float64)

    @property
    def has_place(self) -> bool:
        """Whether the file says where it lies."""
        fields = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing")
        return all(self.header.get(name) for name in fields)


def open_series(folder: str) -> Volume:
    """Read the headers of all DICOM images in a folder, which must be one series.

    Raises
    ------
    FormatError
        If there is none or more than one series, or a slice is missing or doubled.
    """
    slices = [one for one in map(read_slice, files_of(folder)) if one is not None]
    if not slices:
        raise FormatError(
            f"The folder {folder} holds no DICOM image{what_else(Path(folder))}.",
            hint=what_to_do(Path(folder)),
        )
    check_one_series(slices, folder)
    if len(slices) == 1:
        return as_one_slice(slices[0], folder)
    slices = sorted_slices(slices, folder)
    kind, unit = number_kind(slices)
    spacing, affine = geometry(slices)
    height, width, channels = slices[0].size
    shape = (len(slices), height, width, channels)
    check_claim(slices[0].path, int(np.prod(shape)) * kind.itemsize)
    # an open series holds no headers, so that many of them may stay open
    paths = [one.path for one in slices]

    def box(part: tuple[slice, slice, slice]) -> np.ndarray:
        return np.stack([pixels(path, kind, channels)[::-1][part[1:]] for path in paths[part[0]]])

    everything = (slice(None), slice(None), slice(None))
    return Volume(
        folder, shape, lambda: box(everything), box, True, unit, tuple(spacing), affine
    )


def open_file(path: str) -> Volume:
    """Read the header of one DICOM file: an image, or a volume if it has several frames.

    Raises
    ------
    FormatError
        If it is damaged or holds no image.
    """
    one = read_slice(path)
    if one is None:
        raise FormatError(f"{path} is a DICOM file without an image, or damaged.")
    frames = int(one.header.get("NumberOfFrames") or 1)
    kind, unit = number_kind([one])
    shape = (frames, *one.size) if frames > 1 else one.size
    check_claim(path, int(np.prod(shape)) * kind.itemsize)
    if frames == 1 and one.has_place:
        spacing, affine = geometry([one])
        spacing = spacing[1:]
    else:
        given = one.header.get("PixelSpacing")
        spacing = tuple(map(float, given)) if given and frames == 1 else None
        affine = None
    turn, channels = (-1 if affine is not None else 1), one.size[2]
    return Volume(
        path, shape, lambda: pixels(path, kind, channels)[::turn], unit=unit, spacing=spacing,
        affine=affine,
    )  # fmt: skip


def as_one_slice(one: Slice, folder: str) -> Volume:
    """Make a volume of a folder that holds one file."""
    volume = open_file(one.path)
    if len(volume.shape) == 4:
        return volume
    spacing = tuple(geometry([one])[0]) if one.has_place else None
    return Volume(
        folder, (1, *volume.shape), lambda: volume.whole()[None], unit=volume.unit,
        spacing=spacing, affine=volume.affine,
    )  # fmt: skip


def is_zarr(folder: Path) -> bool:
    """Tell a Zarr array or group, such as OME-Zarr, by its description."""
    return any((folder / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def what_else(folder: Path) -> str:
    """Say what a folder without DICOM images is: ": it is ..."."""
    if is_zarr(folder):
        return ": it is an OME-Zarr (or another Zarr) store"
    names = [one.name.lower() for one in folder.iterdir()]
    pictures = sum(name.endswith(SUFFIXES) for name in names)
    if pictures:
        return f": it is a folder of {counted(pictures, 'image file')}"
    if any(is_nifti(name) for name in names):
        return ": it is a folder of NIfTI files"
    return "" if names else ": it is empty"


def what_to_do(folder: Path) -> str:
    """Say how to read a folder without DICOM images."""
    if is_zarr(folder):
        return "Zarr is not read. Save the image as TIFF, for example with Fiji."
    if any(one.name.lower().endswith(SUFFIXES) or is_nifti(one.name) for one in folder.iterdir()):
        return "Name one file, or make a dataset of all by seg_dataset() or seg_data_volume()."
    return "Name the folder that holds the files of one series."


def files_of(folder: str) -> list[str]:
    """List the files of a folder, hidden ones left out."""
    try:
        found = sorted(Path(folder).iterdir())
    except OSError as error:
        raise unreadable(folder, error) from error
    return [str(one) for one in found if one.is_file() and not one.name.startswith(".")]


def read_slice(path: str) -> Slice | None:
    """Read the header of a file; None for what is not DICOM or holds no image."""
    pydicom = load_pydicom()
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
        whole = all(int(header.get(name, 0)) > 0 for name in ("Rows", "Columns", "BitsStored"))
        return Slice(path, header) if whole else None
    except pydicom.errors.InvalidDicomError:
        return None
    # pydicom raises whatever a damaged element leads it to
    except Exception as error:
        raise damaged(path, error) from error


def damaged(path: str, error: Exception) -> FormatError | MissingPackageError:
    """Make the error for a file that pydicom fails on; it lists what would decode it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = " ".join(lines[:1]) or type(error).__name__
    if "missing dependencies" in reason:
        return MissingPackageError(
            f"{path} cannot be decoded: {reason} {'; '.join(lines[1:])}.",
            hint='Install what decodes it with seg_install(extras = "volumes"), then restart R.',
        )
    return FormatError(f"{path} cannot be read: {reason}", hint="It is damaged.")


def check_one_series(slices: list[Slice], folder: str) -> None:
    """Raise a FormatError that lists the series of a folder unless there is one."""
    series: dict[str, list[Slice]] = {}
    for one in slices:
        series.setdefault(str(one.header.get("SeriesInstanceUID", "")), []).append(one)
    if len(series) > 1:
        listed = "; ".join(
            f"{name_of(group[0].header)} ({counted(len(group), 'file')}, the "
            f"first {Path(group[0].path).name})"
            for group in series.values()
        )
        raise FormatError(
            f"The folder {folder} holds {len(series)} DICOM series: {listed}.",
            hint="Move each series into a folder of its own.",
        )


def name_of(header: "pydicom.Dataset") -> str:
    """Name a series by its description, number and modality; by its UID where it has no words."""
    description = str(header.get("SeriesDescription") or "").strip()
    number = header.get("SeriesNumber")
    parts = [
        f'"{description}"' if description else "without description",
        str(header.get("Modality") or ""),
        "" if number is None else f"number {number}",
        "" if description else f"UID {header.get('SeriesInstanceUID', 'missing')}",
    ]
    return ", ".join(filter(None, parts))


def sorted_slices(slices: list[Slice], folder: str) -> list[Slice]:
    """Order slices along the normal of their plane, if they make one block.

    Raises
    ------
    FormatError
        If slices differ in size or direction, or their distances do.
    """
    first = slices[0]
    for one in slices:
        name = Path(one.path).name
        if int(one.header.get("NumberOfFrames") or 1) > 1 or not one.has_place:
            raise FormatError(
                f"{name} in {folder} does not say where its slice lies, so the series cannot be "
                "put in order.",
                hint="Read the files one by one.",
            )
        if one.size != first.size or not np.allclose(one.axes, first.axes, atol=1e-3):
            raise FormatError(
                f"{name} in {folder} has another size or direction than "
                f"{Path(first.path).name}: they make no volume.",
                hint="A localiser among the slices is the usual reason; move it elsewhere.",
            )
    normal = np.cross(*first.axes)
    heights = np.array([one.position @ normal for one in slices])
    order = np.argsort(heights, kind="stable")
    ordered = [slices[i] for i in order]
    check_distances(np.diff(heights[order]), ordered, folder)
    return ordered


def check_distances(gaps: np.ndarray, slices: list[Slice], folder: str) -> None:
    """Raise a FormatError where a slice is missing or doubled."""
    usual = float(np.median(gaps))
    off = np.flatnonzero(np.abs(gaps - usual) > UNEVEN * max(usual, 1e-6))
    if len(off) == 0 and usual > 0:
        return
    n = int(off[0]) if usual > 0 else int(np.argmin(gaps))
    names = " and ".join(Path(slices[i].path).name for i in (n, n + 1))
    what = "doubled" if gaps[n] < 0.5 * usual or usual == 0 else "missing or unevenly spaced"
    raise FormatError(
        f"The series in {folder} has slices that are {what}: {names} are {gaps[n]:.4g} mm apart, "
        f"and {usual:.4g} mm is usual.",
    )


def geometry(slices: list[Slice]) -> tuple[tuple[float, float, float], np.ndarray]:
    """Find spacing (D, H, W) in mm and the affine of slices in order."""
    first = slices[0]
    # distance of rows, then of columns
    down, across = (float(s) for s in first.header.PixelSpacing)
    along_row, along_column = first.axes
    if len(slices) > 1:
        step = (slices[-1].position - first.position) / (len(slices) - 1)
    else:
        given = first.header.get("SpacingBetweenSlices") or first.header.get("SliceThickness")
        step = np.cross(along_row, along_column) * float(given or 1)
    affine = np.eye(4)
    affine[:3, 0] = along_row * across
    # rows are counted from the bottom
    affine[:3, 1] = -along_column * down
    affine[:3, 2] = step
    affine[:3, 3] = first.position + along_column * down * (first.size[0] - 1)
    affine[:2] *= -1
    # no negative zeros
    return (float(np.linalg.norm(step)), down, across), affine + 0.0


def number_kind(slices: Iterable[Slice]) -> tuple[np.dtype, float]:
    """Find the type that holds rescaled numbers, and what `scale` divides them by.

    Whole numbers as they are stored are divided by the largest that their bits hold: 4095 of 12
    bits, 1 of a binary segmentation. Those that are rescaled to whole numbers count as signed
    16-bit ones, as they do in NIfTI files made from them.
    """
    headers = [one.header for one in slices]
    slopes = {float(h.get("RescaleSlope", 1)) for h in headers}
    intercepts = {float(h.get("RescaleIntercept", 0)) for h in headers}
    has_table = any("ModalityLUTSequence" in h for h in headers)
    if has_table or not all(x.is_integer() for x in slopes | intercepts):
        return np.dtype(np.float32), 1.0
    signed = any(int(h.get("PixelRepresentation", 0)) for h in headers)
    width = max(map(bits_of, headers))
    if slopes == {1.0} and intercepts == {0.0} and width <= 16:
        kind = np.dtype(f"{'i' if signed else 'u'}{1 if width <= 8 else 2}")
        # what fractional segmentations count as 1
        fraction = max(int(h.get("MaximumFractionalValue") or 0) for h in headers)
        return kind, float(fraction or 2 ** (width - signed) - 1)
    return np.dtype(np.int32), float(np.iinfo(np.int16).max)


def bits_of(header: "pydicom.Dataset") -> int:
    """Find how many bits a number has: of the allocated ones those that are used."""
    if has_palette(header):
        return int(header.RedPaletteColorLookupTableDescriptor[2])
    return int(header.BitsStored)


def has_palette(header: "pydicom.Dataset") -> bool:
    """Tell whether pixels are places in a table of colours."""
    return header.get("PhotometricInterpretation") == "PALETTE COLOR"


def pixels(path: str, kind: np.dtype, channels: int) -> np.ndarray:
    """Read a file's numbers, rescaled: `[H, W, C]`, or `[D, H, W, C]` of several frames."""
    pydicom = load_pydicom()
    try:
        full = pydicom.dcmread(path)
        values = pydicom.pixels.pixel_array(full)
        if full.PhotometricInterpretation == "MONOCHROME1":
            values = turned_round(values, full)
        elif has_palette(full):
            values = pydicom.pixels.apply_color_lut(values, full)
        values = pydicom.pixels.apply_modality_lut(values, full).astype(kind)
    # pydicom and its decoders raise whatever a damaged file leads them to
    except Exception as error:
        raise damaged(path, error) from error
    return values.reshape(*values.shape[: values.ndim - (channels > 1)], -1)


def turned_round(values: np.ndarray, header: "pydicom.Dataset") -> np.ndarray:
    """Make 0 black where a file counts from white to black."""
    ends = 2 ** int(header.BitsStored) - 1 - (2 ** int(header.BitsStored)) * int(
        header.PixelRepresentation
    )
    return (ends - values.astype(np.int64)).astype(values.dtype)
