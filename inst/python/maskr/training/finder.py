"""The learning-rate range test of Smith (2017), https://arxiv.org/abs/1506.01186."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import keras
import numpy as np
import torch

from maskr import device
from maskr.datasets.loader import Loader
from maskr.datasets.spec import DataSpec
from maskr.errors import DataError
from maskr.model import SegModel, require_trainable
from maskr.training.compiling import compile
from maskr.training.conditions import check_compiled, check_weights
from maskr.training.randomness import RandomStates
from maskr.training.recipe import Recipe
from maskr.training.seen import with_window_of
from maskr.training.updating import Update
from maskr.units import Units

DIVERGED = 4.0
"""The test stops once the running mean of the loss is this many times its least."""
MEMORY = 0.9
"""Weight of the past in that mean."""
WIDTH = 0.04
"""Standard deviation, as a share of all steps, of the Gaussian that smooths what is returned."""


def find(
    model: SegModel,
    data: dict,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    precision: str = "auto",
    seed: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Train a copy of the model with a learning rate that rises from batch to batch.

    Parameters
    ----------
    model
        Stays as it is, and so do its optimizer and all generators of chance.
    data
        The fields of `DataSpec`.
    lowest, highest
        The learning rates of the first and the last batch; between them it rises exponentially.
    steps
        Batches.
    precision, seed
        As in `fit()`.
    progress
        Called with (steps done, steps in all).

    Returns
    -------
    dict
        `learning_rate`, `loss`, `smoothed`: columns of equal length; `suggestion`: the learning
        rate where the loss falls most steeply, or, if that is at the end of the range, a tenth of
        the highest; `still_falling`: whether it is the latter; `diverged`: whether the test ended
        by that.

    Raises
    ------
    DataError
        If the loss falls nowhere, so that there is nothing to suggest, or weights are not finite.
    """
    check_weights(model)
    random = RandomStates()
    before = random.state()
    try:
        if seed is not None:
            keras.utils.set_random_seed(seed)
        rates = np.geomspace(lowest, highest, steps).tolist()
        losses, diverged = run(model, data, rates, precision, progress)
    finally:
        random.restore_state(before)
    rates = rates[: len(losses)]
    smoothed = smooth(losses, steps)
    suggestion = suggest(rates, smoothed)
    if suggestion is None:
        raise falls_nowhere(rates, lowest)
    still_falling = not diverged and falls_to_the_end(smoothed, rates, suggestion)
    if still_falling:
        suggestion = min(rates, key=lambda rate: abs(math.log(rate / (rates[-1] / 10))))
    return {
        "learning_rate": rates,
        "loss": losses,
        "smoothed": smoothed,
        "suggestion": suggestion,
        "still_falling": still_falling,
        "diverged": diverged,
    }


def falls_nowhere(rates: list[float], lowest: float) -> DataError:
    """What to say where no learning rate makes the loss fall."""
    if not rates:
        return DataError(
            "The loss is not a finite number from the first batch on.",
            hint="seg_check() looks for what is wrong with the data.",
        )
    return DataError(
        f"The loss falls nowhere between the learning rates {lowest:.2g} and {rates[-1]:.2g}.",
        hint="Try more `steps` or a smaller `from`; seg_check() looks for what is wrong with the "
        "data.",
    )


def run(
    model: SegModel,
    data: dict,
    rates: list[float],
    precision: str,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[float], bool]:
    """The loss of each batch before its step, and whether they came to an end by diverging."""
    where = device.choose()
    losses: list[float] = []
    mean, least = 0.0, math.inf
    given = DataSpec.from_r(data)
    spec = with_window_of([given.images], model.spec)
    opened = Loader(given, spec, dims=model.dims, units=Units(spec))
    with keras.device(where), opened as loader:
        twin = trainable_copy(model, where, precision)
        for rate, batch in zip(rates, batches(loader), strict=False):
            twin.optimizer.learning_rate = rate
            loss = step(twin, batch)
            if not math.isfinite(loss):
                return losses, True
            losses.append(loss)
            mean = MEMORY * mean + (1 - MEMORY) * loss
            now = mean / (1 - MEMORY ** len(losses))
            if now > DIVERGED * least:
                return losses, True
            least = min(least, now)
            if progress is not None:
                progress(len(losses), len(rates))
    return losses, False


def trainable_copy(model: SegModel, where: str, precision: str) -> SegModel:
    """An independent model with the same weights and loss, and a fresh optimizer of the kind."""
    require_trainable(model.module)
    twin = SegModel(copy.deepcopy(model.module), model.spec)
    twin.frozen = model.frozen
    twin.adopt()
    twin.precision = device.precision(precision, where, twin.dims)
    twin.module.to(where)
    if model.compiled:
        check_compiled(model)
        twin.compile(optimizer=fresh_optimizer(model.optimizer), loss=model.loss)
    else:
        compile(twin)
    recipe = replace(model.recipe or Recipe(), schedule=None, accumulate=1)
    twin.update = Update(twin, recipe, batches=1)
    return twin


def fresh_optimizer(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """An optimizer of the same settings, whose learning rate can be set."""
    config = optimizer.get_config() | {"learning_rate": 1.0}
    return type(optimizer).from_config(config)


def batches(loader: Loader) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of one epoch after the other, without an end."""
    while True:
        yield from map(loader.__getitem__, range(len(loader)))
        loader.on_epoch_end()


def step(model: SegModel, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Take one step; the loss before it."""
    model.reset_metrics()
    return float(model.train_step(batch)["loss"])


def smooth(losses: list[float], steps: int) -> list[float]:
    """The losses smoothed by a Gaussian, which delays nothing."""
    from scipy.ndimage import gaussian_filter1d

    if len(losses) < 2:
        return losses
    return gaussian_filter1d(np.asarray(losses), WIDTH * steps, mode="nearest").tolist()


def suggest(rates: list[float], smoothed: list[float]) -> float | None:
    """The learning rate at which the smoothed loss falls most steeply, before its least."""
    end = int(np.argmin(smoothed)) + 1 if smoothed else 0
    if end < 3:
        return None
    slopes = np.gradient(np.asarray(smoothed[:end]), np.log(rates[:end]))
    steepest = int(np.argmin(slopes))
    return rates[steepest] if slopes[steepest] < 0 else None


def falls_to_the_end(smoothed: list[float], rates: list[float], suggestion: float) -> bool:
    """Whether the range is too short: the least loss is the last, and falls most steeply there."""
    # within the smoothing's reach of the end the slope looks flatter than it is
    end = len(smoothed) * (1 - 3 * WIDTH) - 1
    return smoothed[-1] == min(smoothed) and rates.index(suggestion) >= end
