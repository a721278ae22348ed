"""Weights: where they come from, and whether they are what they claim to be.

Files are looked for in the folder that the environment variable MASKR_WEIGHTS names, among those
that come with the package, then in the cache, and only then downloaded. What has a published
checksum is verified by it (SHA-256).
"""

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException

from maskr.errors import DataError, WeightsError
from maskr.published import KNOWN, Published

TIMEOUT = 30
"""Seconds without an answer after which a download counts as failed."""


def table(cache: str | Sequence[str]) -> dict[str, list]:
    """List the known weights as columns.

    These are architecture, name, file, licence, cached, path ("" if not cached).
    """
    folders = _folders(cache)
    paths = [_find(known.file, folders) for known in KNOWN.values()]
    told = ("architecture", "name", "file", "licence")
    columns = {column: [getattr(known, column) for known in KNOWN.values()] for column in told}
    return columns | {
        "cached": [path is not None for path in paths],
        "path": [path or "" for path in paths],
    }


def locate(
    name: str,
    url: str = "",
    sha256: str | Sequence[str] = (),
    cache: str | Sequence[str] = (),
) -> str:
    """Path of a weights file, which is downloaded into the cache if it is nowhere yet.

    Parameters
    ----------
    name
        A key of `KNOWN`, which brings its own URL and checksum, or the name of a file.
    url
        Where to download a file that is not in `KNOWN`; "" only looks.
    sha256
        Accepted checksums of a file that is not in `KNOWN`, whole or their first characters.
    cache
        Folder for downloads; of several, all are searched and the last receives downloads.

    Raises
    ------
    WeightsError
        If the file is not there and cannot be downloaded, or is not what its checksum says.
    """
    known = KNOWN.get(name)
    if known is None:
        accepted = (sha256,) if isinstance(sha256, str) else tuple(sha256)
        accepted = tuple(filter(None, accepted))
        known = Published(name, os.path.basename(name), url, accepted, "", "")
    folders = _folders(cache)
    path = _find(known.file, folders)
    if path is not None:
        if _matches(path, known.sha256):
            return path
        # A damaged file in the cache is ours to replace; elsewhere it is the user's own.
        if os.path.dirname(path) != folders[-1]:
            raise WeightsError(
                f"The file {path} is not the published {known.file}: its SHA-256 differs.",
                hint="Give other weights by their path, or remove the file.",
                argument="weights",
            )
    target = os.path.join(folders[-1], known.file)
    _download(known, target)
    return target


def find(file: str, cache: str | Sequence[str] = ()) -> str | None:
    """Path of a file in the folders of weights, None if none of them has it."""
    return _find(file, _folders(cache))


def verify(path: str, sha256: str | Sequence[str]) -> None:
    """Check a file against its SHA-256 checksum, or against its first characters.

    Raises
    ------
    WeightsError
        If the checksum differs.
    """
    accepted = (sha256,) if isinstance(sha256, str) else tuple(sha256)
    if not _matches(path, accepted):
        raise WeightsError(
            f"The file {path} is damaged, or a different file: its SHA-256 is {_checksum(path)}, "
            f"expected {' or '.join(accepted)}.",
            argument="weights",
        )


def _folders(cache: str | Sequence[str]) -> list[str]:
    given = list(filter(None, [cache] if isinstance(cache, str) else cache))
    if not given:
        raise DataError("There is no folder for weights.", argument="cache")
    own = os.environ.get("MASKR_WEIGHTS")
    folders = [*given[:-1], *([own] if own else []), given[-1]]
    return [os.path.abspath(os.path.expanduser(folder)) for folder in folders]


def _find(file: str, folders: list[str]) -> str | None:
    paths = (os.path.join(folder, file) for folder in folders)
    return next((path for path in paths if os.path.isfile(path)), None)


def _checksum(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _matches(path: str, accepted: Sequence[str]) -> bool:
    return not accepted or _checksum(path).startswith(tuple(s.lower() for s in accepted))


def _download(known: Published, target: str) -> None:
    """Download to a temporary file beside `target`, verify it, and only then give it its name."""
    if not known.url:
        raise _unavailable(known, target, "no address is known for it")
    folder = os.path.dirname(target)
    try:
        os.makedirs(folder, exist_ok=True)
        handle, part = tempfile.mkstemp(suffix=".part", prefix=known.file, dir=folder)
    except OSError as error:
        raise WeightsError(
            f"The folder for weights, {folder}, cannot be written to: {error.strerror}.",
            hint="Set MASKR_CACHE to a folder that can be written to.",
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            _fetch(known.url, file)
        verify(part, known.sha256)
        os.chmod(part, 0o644)  # temporary files are private; a cache may be shared
        os.replace(part, target)
    except (OSError, HTTPException) as error:
        raise _unavailable(known, target, _reason(error)) from error
    finally:
        if os.path.exists(part):
            os.remove(part)


def _fetch(url: str, file) -> None:  # noqa: ANN001 (a binary file)
    request = urllib.request.Request(url, headers={"User-Agent": "maskr"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        expected = answer.headers.get("Content-Length")
        received = 0
        while block := answer.read(1 << 18):
            received += file.write(block)
    if expected is not None and received != int(expected):
        raise HTTPException(f"the connection broke after {received} of {expected} bytes")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} ({error.reason})"
    if isinstance(error, urllib.error.URLError):
        return f"the server could not be reached ({error.reason})"
    return str(error) or type(error).__name__


def _unavailable(known: Published, target: str, reason: str) -> WeightsError:
    source = f" from {known.url}" if known.url else ""
    first = known.sha256[0] if known.sha256 else ""
    words = "SHA-256" if len(first) == 64 else "SHA-256 begins with"
    checksum = f" ({words} {first})" if first else ""
    return WeightsError(
        f'The weights "{known.name}" are not on this machine and could not be downloaded: '
        f"{reason}.",
        hint=f"Get the file {known.file}{source}{checksum} and put it into the folder "
        f"{os.path.dirname(target)}, or into one that MASKR_WEIGHTS names.",
        argument="weights",
    )
