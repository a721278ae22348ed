"""Cross-entropy of the hardest pixels only. A pixel's loss is minus the logarithm of its true
class's probability, whether the model is binary or not; pixels are ranked over the whole batch,
by this loss without weights, and ignored pixels rank last and are never taken.
"""

import math

import torch

from maskr.losses.batch import TINY, Batch


def topk(
    batch: Batch, fraction: float = 0.1, class_weights: list[float] | None = None
) -> torch.Tensor:
    """Mean cross-entropy of that fraction of the counted pixels that has the largest.

    Their number is rounded up, so at least one pixel is taken. `class_weights` weigh the taken
    pixels as in `cross_entropy()`. Empty class: adds nothing.

    As Wu, Shen & van den Hengel (2016), https://arxiv.org/abs/1605.06885, with a fraction in
    place of their number of pixels.
    """
    # 0.7 * 10 is 7.000000000000001
    taken = math.ceil(fraction * int(batch.count) - 1e-6)
    return hardest(batch, taken, class_weights)


def ohem(
    batch: Batch,
    threshold: float = 0.7,
    min_kept: int | None = None,
    class_weights: list[float] | None = None,
) -> torch.Tensor:
    """Mean cross-entropy of the pixels whose true class has a probability below `threshold`.

    At least `min_kept` of the counted pixels of a batch are taken, those with the largest loss;
    None is a sixteenth of them, rounded up. `class_weights` weigh the taken pixels as in
    `cross_entropy()`. Empty class: adds nothing.

    Online hard example mining, Shrivastava, Gupta & Girshick (2016),
    https://arxiv.org/abs/1604.03540, for pixels.
    """
    count = int(batch.count)
    kept = -(-count // 16) if min_kept is None else min_kept
    hard = (batch.log_true < math.log(threshold)) * batch.valid
    if int(hard.sum()) >= kept:
        return batch.mean(-batch.log_true, class_weights, among=hard)
    return hardest(batch, min(kept, count), class_weights)


def hardest(batch: Batch, taken: int, class_weights: list[float] | None) -> torch.Tensor:
    """Mean cross-entropy of the `taken` hardest pixels; 0 if that is none."""
    values = -batch.log_true.flatten()
    ranks = values.detach().masked_fill(batch.valid.flatten() == 0, -1)
    which = ranks.topk(taken, sorted=False).indices
    if class_weights is None:
        return values[which].sum() / max(taken, 1)
    weights = batch.weights(class_weights)[batch.index.flatten()[which]]
    return (values[which] * weights).sum() / weights.sum().clamp(min=TINY)
