"""What a model learns of the values of its training images: their window and their range."""

from collections.abc import Sequence
from dataclasses import replace

import keras

from maskr.datasets.loader import Loader
from maskr.spec import Spec
from maskr.units import check_window, window_of


class Seen(keras.callbacks.Callback):
    """Notes in the model's `spec.seen` between which values its images lie."""

    def __init__(self, loader: Loader) -> None:
        super().__init__()
        self.loader = loader

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Take in what was read for the first time."""
        known = [*self.loader.seen, *filter(None, [self.model.spec.seen])]
        self.loader.seen = []
        if known:
            lows, highs = zip(*known, strict=True)
            self.model.spec = replace(self.model.spec, seen=(min(lows), max(highs)))


def with_window_of(sources: Sequence[Sequence], spec: Spec) -> Spec:
    """The specification with the window of training data (the first of `sources`).

    Raises
    ------
    DataError
        If the model has another window, or validation data have.
    """
    window = window_of(sources[0])
    if window is not None and spec.preprocess.window is None:
        spec = replace(spec, preprocess=replace(spec.preprocess, window=window))
    for one in sources:
        check_window(one, spec)
    return spec
