"""Writing files so that they are there as a whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from maskr.errors import FormatError


def atomically(path: str, save: Callable[[str], None]) -> None:
    """Call `save` with a temporary name beside `path`, then move the file into place.

    Parameters
    ----------
    path
        The file; the temporary name has the same suffix.
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
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=Path(path).suffix)
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
