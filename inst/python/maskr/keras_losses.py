"""Keras's own losses and metrics beside targets `[N, H, W]` that are class indices.

With one channel many of them would broadcast, and compare each image with the targets of all.
"""

import keras
import torch

from maskr.arrays import IGNORE
from maskr.errors import DataError

MISFITS = (ValueError, RuntimeError, IndexError, TypeError)
"""What Keras and torch raise for shapes that don't go together."""


def is_of_keras(judge: object) -> bool:
    """Whether a loss or metric is Keras's own; its wrappers hold functions, perhaps the user's.

    So is everything that only has a name, which `keras.Model.compile()` takes as well.
    """
    if isinstance(judge, str):
        return True
    written = getattr(judge, "fn", judge if hasattr(judge, "__name__") else type(judge))
    return (getattr(written, "__module__", None) or "").startswith("keras.")


def counted(
    targets: torch.Tensor, predicted: torch.Tensor, weights: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The M pixels that are not ignored, for Keras's losses beside one channel.

    Takes `[N, H, W]`, `[N, 1, H, W]` and weights of images `[N]`; gives `[M, 1]`, `[M, 1]` and the
    weights `[M]`.
    """
    where = targets != IGNORE
    weights = None if weights is None else weights.reshape(-1)[where.nonzero()[:, 0]]
    return targets[where][:, None].float(), predicted[:, 0][where][:, None], weights


def check(judge: object, channels: int, argument: str) -> None:
    """Raise a DataError where a loss or metric of Keras itself misreads our shapes.

    Parameters
    ----------
    judge
        A loss or metric; what users wrote themselves is theirs.
    channels
        Those of the model.
    argument
        "loss" or "metrics".
    """
    if not is_of_keras(judge):
        return
    if isinstance(judge, str):
        judge = named(judge, argument)
    if argument == "loss" and channels == 1:
        return  # `counted()` gives it what it takes
    # what compares pixel by pixel takes targets of as many images, and no others
    fits = _takes(judge, channels, images=2) and not _takes(judge, channels, images=3)
    if isinstance(judge, keras.metrics.Metric):
        judge.reset_state()
    if fits:
        return
    name = getattr(judge, "__name__", type(judge).__name__)
    own = '`loss = "cross_entropy"`' if argument == "loss" else '`metrics = "iou"`'
    raise DataError(
        f"Keras's {name} does not fit targets that are class indices [N, H, W], beside "
        f"probabilities [N, {channels}, H, W].",
        hint=f"Use maskr's own, such as {own}.",
        argument=argument,
    )


def named(name: str, argument: str) -> object:
    """The loss or metric that Keras calls by this name.

    Raises
    ------
    DataError
        If there is none.
    """
    try:
        return (keras.losses if argument == "loss" else keras.metrics).get(name)
    except ValueError as error:
        kind = argument.removesuffix("s")
        raise DataError(f'Keras has no {kind} called "{name}".', argument=argument) from error


def _takes(judge: object, channels: int, images: int) -> bool:
    """Whether it takes targets of some images beside the probabilities of two."""
    targets = torch.zeros(images, 4, 6, dtype=torch.int64)
    targets[0, :2] = 1
    try:
        judge(targets, torch.full((2, channels, 4, 6), 1 / (channels + 1)))
    except MISFITS:
        return False
    return True
