"""What `compile()` settles beside optimizer, loss and metrics."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Recipe:
    """How gradients become steps.

    Attributes
    ----------
    schedule
        `{"name", "warmup", ...}`, see `schedules.make()`; None leaves the learning rate alone.
    accumulate
        Batches whose mean gradient makes one step.
    ema
        Decay of the averaged weights, see `averaging.Averaging`; None averages nothing.
    layer_rates
        Factors of the learning rate by layer name or pattern; the later of two that match wins.
    """

    schedule: dict | None = None
    accumulate: int = 1
    ema: float | None = None
    layer_rates: dict[str, float] = field(default_factory=dict)
