"""The errors that cross into R, where each becomes a condition of class `maskr_error_<kind>`."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class MaskrError(Exception):
    """Base of all errors that maskr raises on purpose.

    Parameters
    ----------
    message
        What was wrong, in one sentence: what was given and what was expected.
    hint
        How to mend it, in one sentence; empty where there is nothing to say.
    argument
        Name of the argument at fault as the R user knows it; empty where none is.
    """

    def __init__(self, message: str, hint: str = "", argument: str = "") -> None:
        super().__init__(message)
        # not `message`: R's conditions have a field of that name, which would hide ours
        self.text = message
        self.hint = hint
        self.argument = argument


class ShapeError(MaskrError):
    """An array has the wrong number of dimensions, size or channels."""


class DataError(MaskrError):
    """Values are not what they should be: an unknown class id, a probability above 1."""


class FormatError(MaskrError):
    """A file cannot be read or written as what it claims to be."""


class FileError(FormatError):
    """A file or folder is not there, whoever needs it and whatever it should hold."""


class WeightsError(MaskrError):
    """Weights are missing, damaged, or do not fit the model."""


class TrustError(MaskrError):
    """Running foreign code was asked for without `trust = TRUE`."""


class DeviceError(MaskrError):
    """The device that was asked for does not exist here or ran out of memory."""


class BackendError(MaskrError):
    """Keras already runs on a backend other than torch."""


class MissingPackageError(MaskrError):
    """A Python package or system library that this function needs is not installed."""


EXHAUSTED = re.compile("(can't|cannot|not enough|out of|insufficient)( allocate)? memory", re.I)
ALLOCATION = re.compile(r"allocate ([0-9.]+) ?(bytes|[KMGTP]i?B)")


def memory_asked(error: BaseException) -> str | None:
    """How much memory was asked for in vain, such as "14 GB"; "" where an error doesn't say.

    None for errors of other kinds. Python has a class for it, torch on a CPU and OpenCV only words.
    """
    if not isinstance(error, MemoryError) and not EXHAUSTED.search(str(error)):
        return None
    found = ALLOCATION.search(str(error))
    if not found:
        return ""
    megabytes = float(found[1]) * 1024 ** "bKMGTP".index(found[2][0]) / 1e6
    return f"{megabytes / 1e3:,.0f} GB" if megabytes >= 1e4 else f"{max(1, megabytes):,.0f} MB"


def unreadable(path: object, error: OSError, argument: str = "") -> FormatError:
    """The error of a file that the system doesn't give: a FileError where it is not there."""
    gone = isinstance(error, FileNotFoundError | NotADirectoryError)
    kind = FileError if gone else FormatError
    return kind(f"{path} cannot be read: {error.strerror}.", argument=argument)


@contextmanager
def in_image(number: int, images: int) -> Iterator[None]:
    """Let errors say which of several images they are about."""
    try:
        yield
    except MaskrError as error:
        if images > 1:
            error.text = about(f"Image {number}", error.text)
            error.args = (error.text,)
            error.image = number
        raise


def about(image: str, text: str) -> str:
    """Begin a message by the image that it is about."""
    if text.startswith("The image ") and not text.startswith('The image "'):
        return image + text.removeprefix("The image")
    return f"{image}: {text}"


def label(image: str) -> str:
    """An image's name in quotes; the number of one that R numbers as "image 2"."""
    number = re.fullmatch(r"image (\d+)", image)
    return number[1] if number else f'"{image}"'


@contextmanager
def images_called(names: Sequence[str]) -> Iterator[None]:
    """Let errors of `in_image()` name the image; without `names` they keep its number."""
    try:
        yield
    except MaskrError as error:
        number = getattr(error, "image", None)
        if number is not None and len(names) >= number:
            rest = error.text.removeprefix(f"Image {number}")
            error.text = f"Image {label(names[number - 1])}{rest}"
            error.args = (error.text,)
        raise


def refuse_class(value: object, argument: str) -> None:
    """Raise a DataError for a Python class where an object of it is needed.

    Keras and torch would take many of them, and fail much later.
    """
    if isinstance(value, type):
        raise DataError(
            f"`{argument}` is the class {value.__name__} itself, and must be an object of it.",
            hint=f"Call the class: `{value.__name__}(...)`.",
            argument=argument,
        )
