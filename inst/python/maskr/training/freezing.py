"""An encoder that waits for its head: frozen for the first epochs, then trained."""

import keras

from maskr import layers
from maskr.model import SegModel


class Freezing(keras.callbacks.Callback):
    """Freezes the encoder for the first `epochs` epochs, weights and statistics.

    Layers that were frozen before stay so. The optimizer knows all variables from the beginning,
    so that thawing changes nothing for the head.
    """

    def __init__(self, model: SegModel, epochs: int) -> None:
        super().__init__()
        self.network = model
        self.epochs = epochs
        self.names = [
            name for name in layers.encoder(model.module, "freeze_epochs")
            if name not in model.frozen
        ]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Freeze or thaw, as the epoch wants it."""
        self.network.set_trainable(self.names, epoch >= self.epochs)

    def finish(self) -> None:
        """Leave the encoder trainable."""
        self.network.set_trainable(self.names, True)
