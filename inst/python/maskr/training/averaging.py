"""An exponential moving average of the weights, which is what gets judged and kept."""

import keras
import torch

from maskr import members


class Averaging(keras.callbacks.Callback):
    """Averages a network's weights and statistics over the optimizer's steps.

    After step t the average moves by `1 - min(decay, (1 + t) / (10 + t))` of its distance to the
    weights, so that it forgets the initial ones quickly. The statistics of batch normalisation are
    averaged alike, since those of the raw weights don't fit averaged ones; counters are copied.

    From the end of an epoch's batches until the next epoch begins, the network holds the average:
    validation, the best epoch, saved files and whatever else looks at it see the same weights.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.step = 0
        self.shown = False
        tensors = [*members.parameters(network), *members.buffers(network)]
        self.floating = [t.detach() for t in tensors if t.is_floating_point()]
        self.averages = [t.clone() for t in self.floating]

    @torch.no_grad()
    def update(self) -> None:
        """Take one step's weights in."""
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.averages, self.floating, 1 - decay)

    def show(self, average: bool) -> None:
        """Have the network hold the average, or the weights that are trained."""
        if self.shown != average:
            for held, kept in zip(self.floating, self.averages, strict=True):
                other = held.clone()
                held.copy_(kept)
                kept.copy_(other)
            self.shown = average

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Train on with the trained weights."""
        self.show(False)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Judge the average."""
        self.show(True)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keep the average."""
        self.show(True)

    def state(self) -> dict:
        """What the network does not hold, at the end of an epoch: the weights that are trained."""
        kept = {f"trained.{i}": tensor for i, tensor in enumerate(self.averages)}
        return kept | {"step": self.step, "shown": self.shown}

    @torch.no_grad()
    def restore_state(self, state: dict) -> None:
        """The inverse of `state()`."""
        self.step, self.shown = state["step"], state["shown"]
        for i, tensor in enumerate(self.averages):
            tensor.copy_(state[f"trained.{i}"])
