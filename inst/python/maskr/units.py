"""Units of images: windows of raw values, and values that can't be those of training."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from maskr.errors import DataError
from maskr.spec import Spec

Window = tuple[float, float]

UNIT = 1.5
"""Images of fractions of their type's maximum stay below this, some filters' overshoot included."""
RAW = 10.0
"""Images in units of a file or a device reach beyond this."""


def windowed(image: np.ndarray, window: Sequence[float]) -> np.ndarray:
    """Raw values with those of the window as 0 and 1, and what lies beyond cut off."""
    low, high = window
    return np.clip((image - np.float32(low)) / np.float32(high - low), 0, 1)


def unwindowed(image: np.ndarray, window: Window | None) -> np.ndarray:
    """Raw values that `windowed()` turns into these; as they are where there is no window."""
    return image if window is None else image * (window[1] - window[0]) + window[0]


def is_raw(image: np.ndarray) -> bool:
    """Tell whether values are no fractions of a type's maximum; single hot pixels don't count."""
    size = np.abs(image)
    return bool(size.max() > UNIT and (size.mean() > UNIT or (image == np.rint(image)).all()))


def is_scaled(image: np.ndarray) -> bool:
    """Tell whether values are fractions of a type's maximum; black and white could be either."""
    return bool(np.abs(image).max() <= UNIT and (image != np.rint(image)).any())


def range_of(image: np.ndarray) -> Window | None:
    """Least and largest value; None where a few hot pixels would pass for other units."""
    if np.abs(image).max() > UNIT and not is_raw(image):
        return None
    return float(image.min()), float(image.max())


def check_not_scaled(image: np.ndarray, window: Window) -> None:
    """Raise a DataError where values for a window are divided already.

    Raises
    ------
    DataError
        If they are fractions, and the window isn't one of fractions.
    """
    known = image[np.isfinite(image)]
    if max(map(abs, window)) > RAW and known.size and is_scaled(known):
        raise DataError(
            f"The model's window is {window[0]:g} to {window[1]:g}, in units of the file, and the "
            f"image has values from {known.min():.3g} to {known.max():.3g}.",
            hint="Give the file's path, or read it by seg_read_image(path, scale = FALSE).",
            argument="x",
        )


def check_values(
    image: np.ndarray,
    spec: Spec,
    what: str = "The image",
    others: str = "the model was trained on values",
) -> None:
    """Raise a DataError where an image is in other units than those that the model has seen.

    `what` and `others` say in the message whose values differ from whose.

    Raises
    ------
    DataError
        If it has raw values, such as 0..255, and the model was trained on fractions, or the other
        way round.
    """
    if spec.seen is None or spec.preprocess.per_image != "none":
        return
    most = max(map(abs, spec.seen))
    raw = most <= UNIT and is_raw(image)
    if not raw and not (most > RAW and is_scaled(image)):
        return
    raise DataError(
        f"{what} has values from {image.min():.4g} to {image.max():.4g}, and {others} "
        f"from {spec.seen[0]:.4g} to {spec.seen[1]:.4g}.",
        hint="Divide by the largest value that its kind can have, such as 255, as "
        "seg_read_image() does."
        if raw
        else "Give values in the units of training: seg_read_image(path, scale = FALSE).",
        argument="x",
    )


class Units:
    """The units that all images of a call must share: the model's, or else the first image's.

    A model that was never trained has none, and takes those of the first image that shows its own;
    training and validation data share one object. Threads may check at the same time.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.trained = spec.seen is not None
        self.lock = threading.Lock()

    def check(self, image: np.ndarray, what: str) -> None:
        """Raise a DataError where an image, called `what`, is in other units than those before.

        Raises
        ------
        DataError
            As `check_values()`.
        """
        with self.lock:
            if self.trained:
                check_values(image, self.spec, what)
                return
            check_values(image, self.spec, what, "images read before have values")
            if is_raw(image) or is_scaled(image):
                known = [one for one in (self.spec.seen, range_of(image)) if one is not None]
                lows, highs = zip(*known, strict=True)
                self.spec = replace(self.spec, seen=(min(lows), max(highs)))


def window_of(sources: Sequence) -> Window | None:
    """The window that the sources of a dataset have, if any.

    Raises
    ------
    DataError
        If they differ.
    """
    found = {
        None if source.get("window") is None else tuple(map(float, source["window"]))
        for source in sources
        if isinstance(source, dict) and "volume" in source
    }
    if len(found) > 1:
        raise DataError(
            "The parts of one dataset have different windows.",
            hint="Make the dataset by one seg_data_volume().",
            argument="x",
        )
    return next(iter(found), None)


def check_window(sources: Sequence, spec: Spec) -> None:
    """Raise a DataError where sources have a window that isn't the model's."""
    theirs, own = window_of(sources), spec.preprocess.window
    if theirs is None or theirs == own:
        return
    words = "c({:g}, {:g})".format(*theirs)
    raise DataError(
        f"The dataset's window is {words}, and the model's is "
        f"{'c({:g}, {:g})'.format(*own) if own else 'not set'}.",
        hint=f"Give the model this window: preprocess = seg_preprocess(window = {words}), when it "
        "is built, or by seg_load() where it was trained so. fit() sets it where there is none.",
        argument="window",
    )
