"""Annotation files, one module for each format."""

import os
import tempfile


def write_atomically(path: str, content: str | bytes) -> None:
    """Write a file that is there as a whole or not at all: beside `path`, then renamed.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    path = os.path.abspath(os.path.expanduser(path))
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, part = tempfile.mkstemp(suffix=".part", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(part, 0o666 & ~_umask())  # temporary files are private, ours need not be
        os.replace(part, path)
    except BaseException:
        os.remove(part)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
