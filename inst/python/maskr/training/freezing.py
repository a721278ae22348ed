"""An encoder that waits for its head: frozen for the first epochs, then trained."""

import keras

from maskr import layers, members
from maskr.model import SegModel


def set_trainable(model: SegModel, patterns: list[str], trainable: bool) -> None:
    """`SegModel.set_trainable()` for R, without the names that it returns."""
    model.set_trainable(patterns, trainable)


class Freezing(keras.callbacks.Callback):
    """Freezes the encoder for the first `epochs` epochs, weights and statistics.

    Layers that were frozen before stay so. The optimizer knows all variables from the beginning,
    so that thawing changes nothing for the head.
    """

    def __init__(self, model: SegModel, epochs: int) -> None:
        super().__init__()
        self.network = model
        self.epochs = epochs
        modules = dict(members.named_modules(model.module))
        names = layers.encoder(model.module, "freeze_epochs")
        parameters = {id(p) for name in names for p in members.parameters(modules[name])}
        self.variables = [v for v in model.trainable_variables if id(v.value) in parameters]
        self.frozen_before = model.frozen
        self.frozen = model.frozen | layers.within(model.module, names)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Freeze or thaw, as the epoch wants it."""
        self._set(epoch >= self.epochs)

    def finish(self) -> None:
        """Leave the encoder as it was before."""
        self._set(True)

    def _set(self, trainable: bool) -> None:
        for variable in self.variables:
            variable.trainable = trainable
        self.network.frozen = self.frozen_before if trainable else self.frozen
