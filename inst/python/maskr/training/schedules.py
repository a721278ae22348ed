"""Schedules: the factor by which the compiled learning rate is multiplied before each step."""

import math
from collections.abc import Callable
from functools import partial

from maskr.errors import DataError
from maskr.training.direction import falls


def constant(step: int, total: int) -> float:
    """1 all the time."""
    return 1.0


def cosine(step: int, total: int, floor: float = 0.0) -> float:
    """Half a cosine from 1 to `floor` (Loshchilov & Hutter 2017, arxiv.org/abs/1608.03983)."""
    return floor + (1 - floor) * (1 + math.cos(math.pi * step / total)) / 2


def polynomial(step: int, total: int, power: float = 0.9, floor: float = 0.0) -> float:
    """From 1 to `floor` by `(1 - step / total) ** power`, as DeepLab is trained."""
    return floor + (1 - floor) * (1 - step / total) ** power


def one_cycle(
    step: int, total: int, rise: float = 0.3, start: float = 0.04, floor: float = 4e-6
) -> float:
    """From `start` up to 1 during the share `rise` of the steps, then down to `floor` at the last.

    Both by half a cosine (Smith & Topin 2017, arxiv.org/abs/1708.07120).
    """
    peak = max(rise * total - 1, 0)
    if step < peak:
        return start + (1 - start) * (1 - math.cos(math.pi * step / peak)) / 2
    return cosine(step - peak, max(total - 1 - peak, 1), floor)


def steps(step: int, total: int, every: int, factor: float = 0.1) -> float:
    """Times `factor` after every `every` steps."""
    return factor ** (step // every)


class Schedule:
    """A pure function of the step, after a linear warm-up.

    Parameters
    ----------
    curve
        The factor at `(step, total)` after the warm-up.
    warmup, total
        Steps of the warm-up, and of all the training.
    """

    def __init__(self, curve: Callable[[int, int], float], warmup: int, total: int) -> None:
        self.curve = curve
        self.warmup = warmup
        self.total = total

    def factor(self, step: int) -> float:
        """The factor for step number `step`, from 0; the warm-up begins above 0 and ends at 1."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return self.curve(step - self.warmup, max(self.total - self.warmup, 1))

    def judge(self, logs: dict[str, float]) -> None:
        """See an epoch's metrics, which don't matter here."""

    def state(self) -> dict:
        """Nothing: the step tells all."""
        return {}

    def restore_state(self, state: dict) -> None:
        """Nothing to restore."""


class Plateau(Schedule):
    """Times `factor` whenever the metric has not become better for more than `patience` epochs.

    Better is by the share `min_delta` of the best value; after a reduction `cooldown` epochs are
    not judged.
    """

    def __init__(
        self,
        monitor: str,
        warmup: int,
        factor: float = 0.1,
        patience: int = 5,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        floor: float = 0.0,
    ) -> None:
        super().__init__(lambda step, total: self.level, warmup, warmup)
        self.monitor = monitor
        self.reduction = factor
        self.patience = patience
        self.min_delta = min_delta
        self.cooldown = cooldown
        self.floor = floor
        self.level = 1.0
        self.best: float | None = None
        self.waited = 0
        self.resting = 0

    def judge(self, logs: dict[str, float]) -> None:
        """Compare an epoch with the best so far, and reduce."""
        value = logs[self.monitor]
        if self._is_better(value):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.resting > 0:
            self.resting -= 1
            self.waited = 0
        if self.waited > self.patience:
            self.level = max(self.level * self.reduction, self.floor)
            self.waited, self.resting = 0, self.cooldown

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return True
        margin = abs(self.best) * self.min_delta
        return value < self.best - margin if falls(self.monitor) else value > self.best + margin

    def state(self) -> dict:
        """The reductions so far and what was seen."""
        return {"level": self.level, "best": self.best, "waited": self.waited,
                "resting": self.resting}

    def restore_state(self, state: dict) -> None:
        """The inverse of `state()`."""
        self.level, self.best = state["level"], state["best"]
        self.waited, self.resting = state["waited"], state["resting"]


CURVES = {
    "constant": constant,
    "cosine": cosine,
    "polynomial": polynomial,
    "one_cycle": one_cycle,
    "step": steps,
}
NAMES = (*CURVES, "plateau")


def make(schedule: dict, per_epoch: int, epochs: int, monitor: str) -> Schedule:
    """The schedule of a training.

    Parameters
    ----------
    schedule
        `{"name", "warmup", ...}`: the name in `NAMES`, epochs of warm-up (may be fractional), and
        arguments of the curve; "step" counts its `every` in epochs.
    per_epoch, epochs
        Optimizer's steps in an epoch, and epochs in all.
    monitor
        The metric that "plateau" watches.

    Raises
    ------
    DataError
        If there is no such schedule, or the warm-up takes all the training.
    """
    arguments = dict(schedule)
    name = arguments.pop("name")
    warmup = round(arguments.pop("warmup", 0) * per_epoch)
    if warmup >= per_epoch * epochs:
        raise DataError(
            f"The warm-up of {warmup} steps takes all the {per_epoch * epochs} of the training.",
            hint="Shorten `warmup`, or train more `epochs`.",
            argument="schedule",
        )
    if name == "plateau":
        return Plateau(monitor, warmup, **arguments)
    if name == "step":
        arguments["every"] = max(round(arguments.get("every", 10) * per_epoch), 1)
    return Schedule(partial(CURVES[name], **arguments), warmup, per_epoch * epochs)


def check(schedule: dict | None) -> None:
    """Raise a DataError unless the schedule's name is known."""
    if schedule is not None and schedule["name"] not in NAMES:
        raise DataError(
            f'There is no schedule "{schedule["name"]}".',
            hint=f"Schedules are {', '.join(NAMES)}.",
            argument="schedule",
        )
