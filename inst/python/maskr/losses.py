"""Losses on logits. Each is a Keras loss whose value is a scalar over the whole batch; pixels
whose target is the ignore index do not count.

Targets are class indices (positions in the order of the model's classes, not class ids):
`[N, H, W]` or `[N, 1, H, W]`, with `maskr.arrays.IGNORE` for "ignore". Predictions are a model's
output `[N, K, H, W]`; K = 1 is a binary model, whose channel stands for index 1.
"""

from collections.abc import Callable

import keras
import numpy as np
import torch
import torch.nn.functional as F

from maskr.arrays import IGNORE, image_from_r, mask_from_r
from maskr.errors import DataError, ShapeError
from maskr.model import logits_of


@keras.saving.register_keras_serializable(package="maskr")
class SegLoss(keras.losses.Loss):
    """The loss `name` with its arguments, as Keras's `compile()` takes it.

    Parameters
    ----------
    name
        A name in `LOSSES`.
    **arguments
        The arguments of that function.

    Raises
    ------
    DataError
        If name or arguments are unknown, or per-pixel sample weights are given.
    """

    def __init__(self, name: str = "cross_entropy", **arguments: float | list) -> None:
        super().__init__(name=name)
        if name not in LOSSES:
            raise DataError(
                f'There is no loss "{name}".', hint=f"Losses are {', '.join(LOSSES)}."
            )
        self.arguments = arguments

    # Not `call()`: Keras would cast the targets to float and average a scalar.
    def __call__(
        self, y_true: torch.Tensor, y_pred: torch.Tensor, sample_weight: None = None
    ) -> torch.Tensor:
        """The loss of a batch, see the top of this file for its targets and predictions."""
        if sample_weight is not None:
            raise DataError(
                "Weights per sample or pixel have no meaning for this loss.",
                hint="Weigh classes by the loss's own `class_weights`, or draw rare samples more "
                "often by `seg_dataset(sample_weights = )`.",
            )
        target = target_indices(y_true)
        return LOSSES[self.name](logits_of(y_pred), target, **self.arguments)

    def get_config(self) -> dict:
        """Name and arguments."""
        return {"name": self.name, **self.arguments}


def target_indices(target: torch.Tensor) -> torch.Tensor:
    """Targets `[N, H, W]`, `[N, 1, H, W]` or `[N, D, H, W]` as int64 `[N, H, W]` or volumes."""
    target = torch.as_tensor(target)
    if target.ndim == 4 and target.shape[1] == 1:
        target = target[:, 0]
    if target.ndim not in (3, 4):
        raise ShapeError(
            "Targets must be class indices of size [N, H, W], [N, 1, H, W] or [N, D, H, W], not "
            f"{list(target.shape)}."
        )
    return target.long()


def bce(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, the mean over all pixels that count; 0 where none does."""
    if logits.shape[1] != 1:
        raise DataError(
            f"The binary cross-entropy is for two classes, and the model has {logits.shape[1]}.",
            hint='Use `loss = "cross_entropy"`.',
            argument="loss",
        )
    valid = (target != IGNORE).to(logits.dtype)
    # -1 is a valid target for the formula, so no NaN arises from pixels that are masked out
    terms = F.binary_cross_entropy_with_logits(
        logits[:, 0], target.to(logits.dtype), reduction="none"
    )
    return (terms * valid).sum() / valid.sum().clamp(min=1)


def cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, class_weights: list[float] | None = None
) -> torch.Tensor:
    """Cross-entropy: the mean over the pixels that count, weighted by their class's weight.

    As `torch.nn.CrossEntropyLoss(weight, ignore_index)`: with weights the sum is divided by the
    sum of weights. 0 where no pixel counts.
    """
    if logits.shape[1] == 1:
        # softmax over (0, z) is sigmoid(z): a binary model has the same loss
        logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
    weight = None
    if class_weights is not None:
        weight = torch.as_tensor(class_weights, dtype=logits.dtype, device=logits.device)
        if len(weight) != logits.shape[1]:
            raise DataError(
                f"`class_weights` has {len(weight)} values for {logits.shape[1]} classes.",
                argument="class_weights",
            )
    total = F.cross_entropy(logits, target, weight, ignore_index=IGNORE, reduction="sum")
    counted = target[target != IGNORE]
    mass = weight[counted].sum() if weight is not None else counted.numel()
    return total / max(float(mass), torch.finfo(logits.dtype).tiny)


def dice(logits: torch.Tensor, target: torch.Tensor, smooth: float = 1.0) -> torch.Tensor:
    """Soft Dice loss: one minus the mean over classes of Dice, each class over the whole batch.

    Dice of a class is `(2 sum(p g) + smooth) / (sum(p) + sum(g) + smooth)` with probabilities p
    and truth g (Milletari, Navab & Ahmadi 2016, https://arxiv.org/abs/1606.04797, with sums of
    p and g instead of their squares). A binary model has one class, its foreground. With
    `smooth = 0` a class that is neither there nor predicted is left out of the mean.
    """
    if logits.shape[1] == 1:
        probabilities = logits.sigmoid()
        truth = (target == 1)[:, None].to(logits.dtype)
    else:
        probabilities = logits.softmax(dim=1)
        classes = torch.arange(logits.shape[1], device=target.device)
        classes = classes.reshape(1, -1, *[1] * (target.ndim - 1))
        truth = (target[:, None] == classes).to(logits.dtype)
    probabilities = probabilities * (target != IGNORE)[:, None]
    dims = (0, *range(2, logits.ndim))
    overlap = 2 * (probabilities * truth).sum(dims) + smooth
    mass = probabilities.sum(dims) + truth.sum(dims) + smooth
    return 1 - (overlap[mass > 0] / mass[mass > 0]).mean() if (mass > 0).any() else overlap.sum()


def bce_dice(logits: torch.Tensor, target: torch.Tensor, smooth: float = 1.0) -> torch.Tensor:
    """Sum of binary cross-entropy and soft Dice loss."""
    return bce(logits, target) + dice(logits, target, smooth)


LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "bce": bce,
    "cross_entropy": cross_entropy,
    "dice": dice,
    "bce_dice": bce_dice,
}


def value(name: str, arguments: dict, truth: np.ndarray, probabilities: np.ndarray) -> float:
    """The loss of probabilities against the truth of one image, outside any model.

    Parameters
    ----------
    name, arguments
        As in `SegLoss`.
    truth
        Class indices `[H, W]` from R; NA is ignored.
    probabilities
        `[H, W]` of the foreground, or `[H, W, K]` of all classes, in 0..1.

    Raises
    ------
    ShapeError
        If the sizes differ.
    DataError
        If a probability lies outside 0..1, or an index has no channel.
    """
    target = torch.from_numpy(mask_from_r(truth)).long()[None]
    # in double precision: the logits of probabilities near 0 and 1 would lose digits otherwise
    predicted = torch.from_numpy(image_from_r(probabilities)).double()[None]
    if target.shape[1:] != predicted.shape[2:]:
        raise ShapeError(
            f"The truth has size {list(target.shape[1:])} and the probabilities "
            f"{list(predicted.shape[2:])}.",
            hint="Both must be of the same image.",
        )
    if predicted.min() < 0 or predicted.max() > 1:
        raise DataError("Probabilities must lie in 0..1.", hint="Apply the activation first.")
    if target.max() >= max(2, predicted.shape[1]):
        raise DataError(
            f"The truth holds the class index {int(target.max())}, for which there is no "
            "probability channel."
        )
    return float(SegLoss(name, **arguments)(target, predicted))
