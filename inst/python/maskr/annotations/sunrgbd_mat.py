"""SUN RGB-D's truth in MATLAB files.

`seg.mat` of a scene holds `seglabel`, a number for each pixel, and `names`, what number n (from 1)
is called. `SUNRGBD2Dseg.mat` of the toolbox holds `seglabel`, the benchmark's 37 classes, of all
scenes, in the order of `SUNRGBDMeta.mat` beside it. MATLAB's files of version 7.3 are HDF5, read by
h5py, which Keras brings; older ones are read by scipy.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from maskr.errors import FormatError

BENCHMARK = "SUNRGBD2Dseg"
META = "SUNRGBDMeta"

Found = TypeVar("Found")


def read_scene(file: Path) -> tuple[np.ndarray, list[str]]:
    """Read the numbers `[H, W]` of a scene's seg.mat, and the names of 1, 2, ...

    Raises
    ------
    FormatError
        If it holds something else.
    """
    numbers, names = guarded(file, lambda: scene_of(file))
    numbers = np.asarray(numbers)
    if numbers.ndim != 2 or numbers.max(initial=0) > len(names):
        raise FormatError(f"{file} is damaged: its seglabel and its names do not fit.")
    return numbers.astype(np.int32), names


def scene_of(file: Path) -> tuple[np.ndarray, list[str]]:
    """Take `seglabel` and `names` out of a file of either version."""
    if is_hdf5(file):
        import h5py

        with h5py.File(file) as content:
            names = [text(content[one]) for one in np.ravel(content["names"])]
            return content["seglabel"][()].T, names
    from scipy.io import loadmat

    content = loadmat(file, variable_names=["seglabel", "names"])
    return content["seglabel"], [str(np.squeeze(one)) for one in content["names"].ravel()]


def count_benchmark(file: Path) -> int:
    """Count the scenes of SUNRGBD2Dseg.mat."""
    return guarded(file, lambda: len(labels_of(file, None)))


def read_benchmark(file: Path, number: int) -> np.ndarray:
    """Read the class ids `[H, W]` of a scene, counted from 0; 0 is none."""
    return guarded(file, lambda: np.asarray(labels_of(file, number))).astype(np.int32)


def labels_of(file: Path, number: int | None) -> np.ndarray:
    """Take one scene's `seglabel`, or what stands for those of all scenes."""
    if is_hdf5(file):
        import h5py

        with h5py.File(file) as content:
            scenes = np.ravel(content[BENCHMARK]["seglabel"])
            return scenes if number is None else content[scenes[number]][()].T
    from scipy.io import loadmat

    scenes = loadmat(file, variable_names=[BENCHMARK])[BENCHMARK]["seglabel"].ravel()
    return scenes if number is None else scenes[number]


def read_splits(file: Path) -> dict[str, list[str]]:
    """Read the scenes of "train" and "test" from the toolbox's allsplit.mat."""
    return guarded(file, lambda: splits_of(file))


def splits_of(file: Path) -> dict[str, list[str]]:
    """Take `alltrain` and `alltest` out of a file of scipy's versions."""
    from scipy.io import loadmat

    content = loadmat(file, variable_names=["alltrain", "alltest"], squeeze_me=True)
    scenes = {split: np.atleast_1d(content[f"all{split}"]) for split in ("train", "test")}
    return {split: list(map(str, own)) for split, own in scenes.items()}


def scenes_in_order(file: Path) -> list[tuple[str, str]]:
    """Read the folder and the photograph of each scene from SUNRGBDMeta.mat.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    return guarded(file, lambda: listed(file))


def listed(file: Path) -> list[tuple[str, str]]:
    """Take `sequenceName` and `rgbname` out of a file of either version."""
    if is_hdf5(file):
        import h5py

        with h5py.File(file) as content:
            fields = (np.ravel(content[META][name]) for name in ("sequenceName", "rgbname"))
            columns = [[text(content[one]) for one in field] for field in fields]
    else:
        from scipy.io import loadmat

        table = loadmat(file, variable_names=[META])[META]
        fields = (table[name].ravel() for name in ("sequenceName", "rgbname"))
        columns = [[str(np.squeeze(one)) for one in field] for field in fields]
    return list(zip(*columns, strict=True))


def is_hdf5(file: Path) -> bool:
    """Tell MATLAB's version 7.3."""
    import h5py

    return bool(h5py.is_hdf5(file))


def text(stored: np.ndarray) -> str:
    """Decode a text, which HDF5 holds as numbers of characters."""
    return "".join(map(chr, np.ravel(stored)))


def guarded(file: Path, read: Callable[[], Found]) -> Found:
    """Read a file; whatever its damage raises is a FormatError.

    Raises
    ------
    FormatError
        If it can't be read, or lacks what it should hold.
    """
    from scipy.io.matlab import MatReadError

    try:
        return read()
    except (OSError, ValueError, LookupError, TypeError, MatReadError, zlib.error) as error:
        raise FormatError(f"{file} is damaged, or not SUN RGB-D's: {error}.") from error
