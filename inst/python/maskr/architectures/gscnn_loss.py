"""The dual-task loss of Gated-SCNN (Takikawa et al. 2019, https://arxiv.org/abs/1907.05740, section
3.3), apart from its cross-entropy of the classes, which is the model's own loss.

Targets are class indices `[N, H, W]` with IGNORE; a binary network's one channel stands for index
1. The paper sums the regularisers over pixels; here each is the mean over the pixels it is about,
so that weights mean the same at every image size.
"""

import torch
import torch.nn.functional as F

from maskr.arrays import IGNORE

EDGE_WEIGHT = 20.0
"""Lambda 1, of the boundaries' cross-entropy."""

CONSISTENCY_WEIGHT = 1.0
"""Lambda 3, of the boundaries of the predicted classes being those of the truth."""

ATTENTION_WEIGHT = 1.0
"""Lambda 4, of the classes' cross-entropy at predicted boundaries."""

EDGE_THRESHOLD = 0.8
"""Probability from which a pixel counts as a predicted boundary."""

BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""The Gaussian filter G, binomial and of standard deviation 1."""

REACH = 3
"""Pixels from which `boundary_strength()` sees: two of the filter, one of the gradient."""

VISIBLE = 1e-3
"""Boundary strength that is more than rounding."""


def dual_task_loss(
    logits: torch.Tensor, edge: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Weighted sum of the three terms.

    Parameters
    ----------
    logits, edge
        Float `[N, K, H, W]` of the classes and `[N, 1, H, W]` of the boundaries.
    target
        Class indices `[N, H, W]` with IGNORE.
    """
    if logits.shape[1] == 1:
        # softmax over (0, z) is sigmoid(z)
        logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
    return (
        EDGE_WEIGHT * edge_loss(edge, target)
        + CONSISTENCY_WEIGHT * consistency_loss(logits, target)
        + ATTENTION_WEIGHT * attention_loss(logits, edge, target)
    )


def boundaries(target: torch.Tensor) -> torch.Tensor:
    """Pixels with another class among their eight neighbours: bool `[N, H, W]`.

    Ignored pixels are no boundary and make none.
    """
    ids = target.float()[:, None]
    ignored = ids == IGNORE
    highest = F.max_pool2d(ids.masked_fill(ignored, -torch.inf), 3, stride=1, padding=1)
    lowest = -F.max_pool2d((-ids).masked_fill(ignored, -torch.inf), 3, stride=1, padding=1)
    return ((highest != lowest) & ~ignored)[:, 0]


def edge_loss(edge: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Class-balanced binary cross-entropy of the boundaries, the mean over pixels that count.

    A boundary pixel weighs as much as the share of other pixels in the batch, and conversely.
    """
    valid = target != IGNORE
    truth = boundaries(target)
    count = valid.sum().clamp(min=1)
    share = truth.sum() / count
    weight = torch.where(truth, 1 - share, share) * valid
    terms = F.binary_cross_entropy_with_logits(edge[:, 0], truth.to(edge.dtype), reduction="none")
    return (terms * weight).sum() / count


def consistency_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of boundary strength between prediction and truth.

    The prediction is a draw by Gumbel-softmax (temperature 1), whose gradient passes straight
    through. Counted are pixels where either has a boundary and no pixel in reach is ignored.
    """
    classes = torch.arange(logits.shape[1], device=target.device)[:, None, None]
    truth = (target[:, None] == classes).to(logits.dtype)
    predicted = F.gumbel_softmax(logits, tau=1.0, hard=True, dim=1)
    expected, found = boundary_strength(truth), boundary_strength(predicted)
    ignored = (target == IGNORE).to(logits.dtype)[:, None]
    near = F.max_pool2d(ignored, 2 * REACH + 1, stride=1, padding=REACH)[:, 0] > 0
    counted = ((expected > VISIBLE) | (found > VISIBLE)) & ~near
    return ((expected - found).abs() * counted).sum() / counted.sum().clamp(min=1)


def boundary_strength(one_hot: torch.Tensor) -> torch.Tensor:
    """Strength of the boundaries `[N, H, W]` of classes `[N, K, H, W]` (equation 5).

    The Euclidean norm over classes and directions of the central differences of the blurred
    classes, divided by the root of two, since two classes meet at a boundary.
    """
    filters = torch.tensor(BLUR, dtype=one_hot.dtype, device=one_hot.device)
    planes = one_hot.flatten(0, 1)[:, None]
    padded = F.pad(planes, (REACH, REACH, REACH, REACH), mode="replicate")
    blurred = F.conv2d(F.conv2d(padded, filters[None, None, :, None]), filters[None, None, None])
    dy = (blurred[:, :, 2:, 1:-1] - blurred[:, :, :-2, 1:-1]) / 2
    dx = (blurred[:, :, 1:-1, 2:] - blurred[:, :, 1:-1, :-2]) / 2
    squares = (dy.square() + dx.square()).reshape(one_hot.shape).sum(dim=1)
    # the root has no gradient at 0
    return ((squares + 1e-12) / 2).sqrt()


def attention_loss(
    logits: torch.Tensor, edge: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of the classes, the mean over predicted boundaries; 0 where there is none."""
    counted = (edge.detach()[:, 0].sigmoid() > EDGE_THRESHOLD) & (target != IGNORE)
    terms = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
    return (terms * counted).sum() / counted.sum().clamp(min=1)
