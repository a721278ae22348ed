"""Writing files so that they are there as a whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from maskr.errors import FormatError


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
        raise FormatError(f"The folder {folder} does not exist.", argument="path")
    try:
        # both endings of names such as "a.nii.gz", which tell writers what to do
        ending = "".join(Path(path).suffixes[-2:])
        handle, temporary = tempfile.mkstemp(
            dir=folder, prefix=f".{Path(path).stem}-", suffix=ending
        )
        os.close(handle)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        save(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


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
        raise FormatError(f"The folder {target.parent} does not exist.", argument="path")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FormatError(
            f"{path} exists already, and holds files.",
            hint="Name a new folder, or empty this one.",
            argument="path",
        )
    temporary = None
    try:
        temporary = tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-")
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o777 & ~umask)
        save(temporary)
        if target.exists():
            target.rmdir()
        os.replace(temporary, target)
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
