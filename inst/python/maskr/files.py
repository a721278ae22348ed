"""Writing files so that they are there as a whole or not at all."""

import glob
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from maskr.errors import FileError, FormatError


def atomically(path: str, save: Callable[[str], None]) -> None:
    """Call `save` with a temporary name beside `path`, then move the file into place.

    Parameters
    ----------
    path
        The file; the temporary name has the same endings.
    save
        Writes the file that it is given the name of.

    Raises
    ------
    FormatError
        If the folder doesn't exist or can't be written to.
    """
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise FileError(f"The folder {folder} does not exist.", argument="path")
    try:
        prefix, ending = _around(path)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=ending)
        os.close(handle)
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        save(temporary)
        # only now: some writers put a file of their own in the place of this one
        os.chmod(temporary, _permitted(0o666))
        os.replace(temporary, path)
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def remove_leftovers(path: str) -> None:
    """Remove what processes left beside `path` that were killed while they wrote it."""
    prefix, ending = _around(path)
    for left in Path(path).parent.glob(f"{glob.escape(prefix)}????????{glob.escape(ending)}"):
        left.unlink(missing_ok=True)


def _around(path: str) -> tuple[str, str]:
    """What a temporary name of `path` begins and ends with."""
    # both endings of names such as "a.nii.gz", which tell writers what to do
    return f".{Path(path).stem}-", "".join(Path(path).suffixes[-2:])


def _permitted(mode: int) -> int:
    """The part of a mode that the process's umask leaves."""
    umask = os.umask(0)
    os.umask(umask)
    return mode & ~umask


def folder_atomically(path: str, save: Callable[[str], None]) -> None:
    """Call `save` with a temporary folder beside `path`, then move it into place.

    Parameters
    ----------
    path
        The folder; it must not exist yet, or be empty.
    save
        Fills the folder that it is given the name of.

    Raises
    ------
    FormatError
        If the folder holds files, or can't be written.
    """
    target = Path(path).resolve()
    if not target.parent.is_dir():
        raise FileError(f"The folder {target.parent} does not exist.", argument="path")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FormatError(
            f"{path} exists already, and holds files.",
            hint="Name a new folder, or empty this one.",
            argument="path",
        )
    temporary = None
    try:
        temporary = tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-")
        os.chmod(temporary, _permitted(0o777))
        save(temporary)
        if target.exists():
            target.rmdir()
        os.replace(temporary, target)
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
