"""Losses that are a mean over pixels: cross-entropies, focal loss, L1 and L2."""

import torch
import torch.nn.functional as F

from maskr.errors import DataError
from maskr.losses.batch import TINY, Batch


def bce(
    batch: Batch,
    pos_weight: float = 1.0,
    label_smoothing: float = 0.0,
    class_weights: list[float] | None = None,
) -> torch.Tensor:
    """Binary cross-entropy, the mean over the pixels that count.

    A pixel's loss is `-(pos_weight y log p + (1 - y) log(1 - p))`, where label smoothing e makes
    the truth y `y (1 - e) + e / 2`. With two `class_weights` (w0, w1) its two terms are weighted
    by w1 and w0, and the sum is divided by the sum of the true classes' weights; `pos_weight`
    does not enter that divisor, as in `torch.nn.BCEWithLogitsLoss`.

    Empty class: every pixel counts alike, so the loss is that of the class that is there.

    Raises
    ------
    DataError
        If the model has more than two classes.
    """
    if not batch.binary:
        raise DataError(
            f"The binary cross-entropy is for two classes, and the model has {batch.classes}.",
            hint='Use seg_loss("cross_entropy"), or seg_loss("cross_entropy") + seg_loss("dice").',
            argument="loss",
        )
    logits, truth = batch.logits[:, 0], batch.foreground
    if pos_weight == 1 and label_smoothing == 0 and class_weights is None:
        total = F.binary_cross_entropy_with_logits(logits, truth, batch.valid, reduction="sum")
        return total / batch.count.clamp(min=1)
    truth = truth * (1 - label_smoothing) + label_smoothing / 2
    negative, positive = batch.weights([1.0, 1.0] if class_weights is None else class_weights)
    terms = -positive * pos_weight * truth * F.logsigmoid(logits)
    terms = terms - negative * (1 - truth) * F.logsigmoid(-logits)
    mass = torch.where(batch.target == 1, positive, negative) * batch.valid
    return (terms * batch.valid).sum() / mass.sum().clamp(min=TINY)


def cross_entropy(
    batch: Batch, class_weights: list[float] | None = None, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Cross-entropy, the mean over the pixels that count.

    As `torch.nn.CrossEntropyLoss(weight, ignore_index, label_smoothing)`: with class weights w a
    pixel of class y has the loss `-w[y] log p[y]`, and the sum is divided by the sum of `w[y]`;
    label smoothing e makes it `-(1 - e) w[y] log p[y] - e / K sum_c w[c] log p[c]`. A binary model
    has two classes here, which makes it `bce()`. (segmentation-models-pytorch's
    SoftCrossEntropyLoss differs: it divides by all pixels, ignored ones too.)

    Empty class: a class without pixels adds nothing.
    """
    if batch.binary:
        return bce(batch, label_smoothing=label_smoothing, class_weights=class_weights)
    total = batch.mean(-batch.log_true, class_weights)
    if label_smoothing == 0:
        return total
    if class_weights is None:
        others = batch.mean(-batch.log_probabilities.mean(dim=1))
    else:
        weights = batch.weights(class_weights)
        spread = -(batch.log_probabilities.movedim(1, -1) * weights).mean(dim=-1)
        mass = (weights[batch.index] * batch.valid).sum().clamp(min=TINY)
        others = (spread * batch.valid).sum() / mass
    return (1 - label_smoothing) * total + label_smoothing * others


def focal(
    batch: Batch,
    gamma: float = 2.0,
    alpha: float | None = None,
    class_weights: list[float] | None = None,
) -> torch.Tensor:
    """Focal loss (Lin et al. 2017, https://arxiv.org/abs/1708.02002), the mean over pixels.

    A pixel whose true class has probability p has the loss `-(1 - p)**gamma log p`, of a sigmoid
    in a binary model and of a softmax over several classes. (segmentation-models-pytorch's
    multi-class form and MONAI's default are one class against the rest, with sigmoids; MONAI's
    softmax form is this one divided by the number of classes.) In a binary model `alpha`
    multiplies the foreground's loss and `1 - alpha` the background's, without a change of the
    divisor, as in torchvision. `class_weights` weigh as in `cross_entropy()`.

    Empty class: a class without pixels adds nothing.

    Raises
    ------
    DataError
        If `alpha` is given for more than two classes.
    """
    if alpha is not None and not batch.binary:
        raise DataError(
            f"`alpha` of the focal loss is for two classes, and the model has {batch.classes}.",
            hint="Use `class_weights`.",
            argument="alpha",
        )
    # the power's gradient is infinite at 0 for gamma below 1; the clamp makes it 0
    doubt = (-torch.expm1(batch.log_true)).clamp(min=TINY)
    values = -(doubt**gamma) * batch.log_true
    if alpha is not None:
        values = values * torch.where(batch.target == 1, alpha, 1 - alpha)
    return batch.mean(values, class_weights)


def l1(batch: Batch) -> torch.Tensor:
    """Mean absolute error of the probabilities against 0 and 1.

    The mean over the pixels that count and the output's channels: one for a binary model, else
    one per class. Empty class: its channel counts like any other.
    """
    return batch.mean(batch.errors.abs().mean(dim=1))


def l2(batch: Batch) -> torch.Tensor:
    """Mean squared error of the probabilities against 0 and 1.

    The mean over the pixels that count and the output's channels: one for a binary model, else
    one per class (the Brier score divided by the number of classes). Empty class: its channel
    counts like any other.
    """
    return batch.mean(batch.errors.square().mean(dim=1))
