"""Which way a metric should go."""

FALLING = (
    "loss", "error", "entropy", "crossentropy", "deviance", "divergence", "distance", "hinge",
    "logcosh", "poisson", "mae", "mse", "mape", "msle", "hausdorff", "false_positives",
    "false_negatives",
)
"""Endings of the names of metrics that are better the lower they are."""


def falls(metric: str) -> bool:
    """Whether a lower value of the metric is better: losses and errors fall, all others rise."""
    return metric.lower().endswith(FALLING)
