"""From gradients to steps: accumulation, the schedule, layers' own rates, and the average."""

import keras
import torch

from maskr import layers
from maskr.model import SegModel
from maskr.training.averaging import Averaging
from maskr.training.recipe import Recipe
from maskr.training.schedules import Schedule


class Update(keras.callbacks.Callback):
    """What happens after each batch's backward pass.

    Gradients add up in the parameters themselves until `recipe.accumulate` batches or the epoch's
    last one; their mean is then one step of the optimizer. (Keras's own accumulation runs on into
    the next epoch, and divides by the full number always.)

    Parameters
    ----------
    model
        The model, on its device.
    recipe
        What `compile()` settled.
    batches
        Batches in an epoch.
    schedule
        The factor of the learning rate; None leaves it to the optimizer and the callbacks.
    averaging
        The average that takes in each step; None averages nothing.
    """

    def __init__(
        self,
        model: SegModel,
        recipe: Recipe,
        batches: int,
        schedule: Schedule | None = None,
        averaging: Averaging | None = None,
    ) -> None:
        super().__init__()
        self.network = model
        self.optimizer = model.optimizer
        self.accumulate = recipe.accumulate
        self.batches = batches
        self.schedule = schedule
        self.averaging = averaging
        self.factors = layer_factors(model.module, recipe.layer_rates)
        self.base = float(self.optimizer.learning_rate) if schedule is not None else None
        self.step = 0
        self.batch = 0
        self.waiting = 0
        if not self.optimizer.built:
            self.optimizer.build(model.trainable_variables)

    @torch.no_grad()
    def __call__(self) -> None:
        """Count a batch whose gradients are there, and make a step if one is due."""
        self.batch += 1
        self.waiting += 1
        if self.waiting < self.accumulate and self.batch < self.batches:
            return
        variables = [v for v in self.network.trainable_variables if v.value.grad is not None]
        if self.schedule is not None:
            self.optimizer.learning_rate = self.base * self.schedule.factor(self.step)
        self._apply(self.gradients(variables), variables)
        for variable in variables:
            variable.value.grad = None
        self.step += 1
        self.waiting = 0
        if self.averaging is not None:
            self.averaging.update()

    def gradients(self, variables: list[keras.Variable]) -> list[torch.Tensor]:
        """The mean gradient of each variable over the batches that have waited."""
        gradients = [variable.value.grad for variable in variables]
        if self.network.team is not None:
            self.network.team.add(gradients)
        if self.waiting > 1:
            torch._foreach_div_(gradients, self.waiting)
        return gradients

    def _apply(self, gradients: list[torch.Tensor], variables: list[keras.Variable]) -> None:
        # Any optimizer's update times a factor: the slow layers go that share of their way.
        slow: dict[float, list[torch.Tensor]] = {}
        for variable in variables:
            factor = self.factors.get(id(variable.value), 1.0)
            if factor != 1:
                slow.setdefault(factor, []).append(variable.value.detach())
        before = {factor: torch._foreach_clone(group) for factor, group in slow.items()}
        self.optimizer.apply(gradients, variables)
        for factor, group in slow.items():
            torch._foreach_lerp_(group, before[factor], 1 - factor)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Count the batches of a new epoch."""
        self.batch = self.waiting = 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Show the schedule the epoch, and note the learning rate of its last step."""
        if self.schedule is not None:
            self.schedule.judge(logs)
            logs["learning_rate"] = float(self.optimizer.learning_rate)

    def finish(self) -> None:
        """Leave no gradients, and the learning rate that was compiled."""
        for variable in self.network.variables:
            variable.value.grad = None
        if self.schedule is not None:
            self.optimizer.learning_rate = self.base

    def state(self) -> dict:
        """The number of steps so far, and what the schedule saw."""
        schedule = self.schedule.state() if self.schedule is not None else {}
        return {"step": self.step, "schedule": schedule}

    def restore_state(self, state: dict) -> None:
        """The inverse of `state()`."""
        self.step = state["step"]
        if self.schedule is not None:
            self.schedule.restore_state(state["schedule"])


def layer_factors(network: torch.nn.Module, rates: dict[str, float]) -> dict[int, float]:
    """Factors of the learning rate by the `id()` of parameters; the later of two patterns wins."""
    modules = dict(network.named_modules())
    return {
        id(parameter): factor
        for pattern, factor in rates.items()
        for name in layers.find(network, pattern, "layer_rates")
        for parameter in modules[name].parameters()
    }
