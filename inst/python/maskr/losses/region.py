"""Losses of overlap. All are made of three sums for each class over the whole batch, ignored pixels
left out: the probability that lies inside the class's truth, outside of it, and what is missing
inside. A binary model has one class here, its foreground.
"""

import torch

from maskr.losses.batch import TINY, Batch
from maskr.losses.pixelwise import bce


def dice(batch: Batch, smooth: float = 1.0) -> torch.Tensor:
    """Soft Dice loss: one minus the mean over classes of Dice, each class over the whole batch.

    Dice of a class is `(2 sum(p g) + smooth) / (sum(p) + sum(g) + smooth)` with probabilities p
    and truth g (Milletari, Navab & Ahmadi 2016, https://arxiv.org/abs/1606.04797, with sums of
    p and g instead of their squares). segmentation-models-pytorch's `smooth` is half of this one.

    Empty class: its loss is `sum(p) / (sum(p) + smooth)`; with `smooth = 0` that is 1, and a class
    that is neither there nor predicted is left out of the mean.
    """
    return tversky(batch, 0.5, 0.5, smooth / 2)


def iou(batch: Batch, smooth: float = 1.0) -> torch.Tensor:
    """Soft IoU (Jaccard) loss: one minus the mean over classes of IoU, each over the whole batch.

    IoU of a class is `(sum(p g) + smooth) / (sum(p) + sum(g) - sum(p g) + smooth)` (Rahman & Wang
    2016, https://doi.org/10.1007/978-3-319-50835-1_22). Empty class: as `dice()`.
    """
    return tversky(batch, 1.0, 1.0, smooth)


def tversky(
    batch: Batch, alpha: float = 0.3, beta: float = 0.7, smooth: float = 1.0
) -> torch.Tensor:
    """Tversky loss (Salehi, Erdogmus & Gholipour 2017, https://arxiv.org/abs/1706.05721).

    One minus the mean over classes of `(TP + smooth) / (TP + alpha FP + beta FN + smooth)`, with
    the soft counts `TP = sum(p g)`, `FP = sum(p (1 - g))` and `FN = sum((1 - p) g)` of a class over
    the whole batch.

    Empty class: its loss is `alpha sum(p) / (alpha sum(p) + smooth)`; with `smooth = 0` a class
    whose divisor is 0 is left out of the mean.
    """
    values, there = shortfalls(batch, alpha, beta, smooth)
    return (values * there).sum() / there.sum().clamp(min=1)


def focal_tversky(
    batch: Batch,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 4 / 3,
    smooth: float = 1.0,
) -> torch.Tensor:
    """Focal Tversky loss (Abraham & Khan 2019, https://arxiv.org/abs/1810.07842).

    The mean over classes of `(1 - T)**(1 / gamma)`, where T is the class's Tversky index as in
    `tversky()` (the paper sums over classes and gives the weight of FN first). The exponent is
    1 / gamma, as in the paper. (segmentation-models-pytorch raises the mean instead.) An index
    within rounding of 1 has the loss 0, where the power's gradient would be infinite.

    Empty class: as `tversky()`, raised to 1 / gamma.
    """
    values, there = shortfalls(batch, alpha, beta, smooth)
    rounding = torch.finfo(batch.dtype).eps
    powers = values.clamp(min=rounding) ** (1 / gamma)
    powers = torch.where(values > rounding, powers, torch.zeros_like(powers))
    return (powers * there).sum() / there.sum().clamp(min=1)


def generalised_dice(batch: Batch) -> torch.Tensor:
    """Generalised Dice loss (Sudre et al. 2017, https://arxiv.org/abs/1707.03237).

    `1 - 2 sum_c w[c] sum(p g) / sum_c w[c] (sum(p) + sum(g))` with `w[c] = 1 / sum(g)**2`, all sums
    over the whole batch. A binary model has two classes here, with probabilities 1 - p and p.

    Empty class: it gets the weight of the rarest class that is there (as in MONAI), so that its
    false positives count.
    """
    inside, outside, missing = soft_counts(batch)
    missed = outside + missing
    mass = 2 * inside + missed
    truth = batch.sum_by_class(batch.valid)
    if batch.binary:
        missed = torch.cat((missed, missed))
        mass = torch.cat((2 * batch.count - mass, mass))
    rarest = truth.masked_fill(truth == 0, torch.inf).min()
    # 1 / truth**2, divided by the largest weight
    weights = torch.where(truth > 0, (rarest / truth.clamp(min=1)) ** 2, torch.ones_like(truth))
    return (weights * missed).sum() / (weights * mass).sum().clamp(min=TINY)


def bce_dice(
    batch: Batch, smooth: float = 1.0, class_weights: list[float] | None = None
) -> torch.Tensor:
    """Sum of binary cross-entropy, which takes the class weights, and soft Dice loss."""
    return bce(batch, class_weights=class_weights) + dice(batch, smooth)


def shortfalls(
    batch: Batch, alpha: float, beta: float, smooth: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """One minus each class's Tversky index, and 1 for each class whose index is defined."""
    inside, outside, missing = soft_counts(batch)
    missed = alpha * outside + beta * missing
    mass = inside + missed + smooth
    return missed / mass.clamp(min=TINY), (mass > TINY).to(batch.dtype)


def soft_counts(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """True positives, false positives and false negatives `[K]` of the probabilities."""
    probabilities = batch.probabilities * batch.valid[:, None]
    if batch.binary:
        probabilities, truth = probabilities[:, 0], batch.foreground
        inside = (probabilities * truth).sum()[None]
        return inside, probabilities.sum()[None] - inside, truth.sum()[None] - inside
    of_truth = batch.of_truth(probabilities)
    inside = batch.sum_by_class(of_truth)
    total = probabilities.sum((0, *range(2, probabilities.ndim)))
    return inside, total - inside, batch.sum_by_class(batch.valid - of_truth)
