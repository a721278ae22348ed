"""From gradients to steps: accumulation, the schedule, layers' own rates, and the average."""

import keras
import torch

from maskr import layers, members
from maskr.model import SegModel
from maskr.training import adam
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
        # asking Keras's variables for their parameters takes longer than some small steps
        self.pairs = [(variable, variable.value) for variable in model.network.variables]
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
        # frozen parameters, and those that took no part, have no gradients
        pairs = [(variable, p) for variable, p in self.pairs if p.grad is not None]
        if self.schedule is not None:
            self.optimizer.learning_rate = self.base * self.schedule.factor(self.step)
        self._apply(self.gradients([p for _, p in pairs]), pairs)
        for _, parameter in pairs:
            parameter.grad = None
        self.step += 1
        self.waiting = 0
        if self.averaging is not None:
            self.averaging.update()

    def gradients(self, parameters: list[torch.nn.Parameter]) -> list[torch.Tensor]:
        """The mean gradient of each parameter over the batches that have waited."""
        gradients = [parameter.grad for parameter in parameters]
        if self.network.team is not None:
            self.network.team.add(gradients)
        if self.waiting > 1:
            torch._foreach_div_(gradients, self.waiting)
        return gradients

    def _apply(
        self,
        gradients: list[torch.Tensor],
        pairs: list[tuple[keras.Variable, torch.nn.Parameter]],
    ) -> None:
        # Any optimizer's update times a factor: the slow layers go that share of their way.
        slow: dict[float, list[torch.Tensor]] = {}
        for _, parameter in pairs:
            factor = self.factors.get(id(parameter), 1.0)
            if factor != 1:
                slow.setdefault(factor, []).append(parameter.detach())
        before = {factor: torch._foreach_clone(group) for factor, group in slow.items()}
        with adam.fused(self.optimizer):
            self.optimizer.apply(gradients, [variable for variable, _ in pairs])
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
        for _, parameter in self.pairs:
            parameter.grad = None
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
    modules = dict(members.named_modules(network))
    return {
        id(parameter): factor
        for pattern, factor in rates.items()
        for name in layers.find(network, pattern, "layer_rates")
        for parameter in members.parameters(modules[name])
    }
