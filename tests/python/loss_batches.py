"""Batches on which the losses are tested."""

import torch
from maskr.arrays import IGNORE
from maskr.losses import LOSSES
from maskr.losses.batch import Batch

# Given a 2 x 3 image, what each loss is can be worked out by hand. The last pixel is ignored.
TRUTH = torch.tensor([[[1, 0, 0], [1, 1, IGNORE]]])
PROBABILITIES = torch.tensor([[[[0.9, 0.2, 0.1], [0.6, 0.3, 0.8]]]], dtype=torch.float64)

# Every loss with a number of channels that it is for.
CASES = [(name, 1) for name in LOSSES] + [
    (name, 4) for name in LOSSES if name not in ("bce", "bce_dice")
]


def by_hand(name, **arguments):
    """The loss of the 2 x 3 image."""
    return float(LOSSES[name](Batch(torch.logit(PROBABILITIES), TRUTH), **arguments))


def drawn(k, seed=0, ignored=False, size=(3, 5, 7), dtype=torch.float64):
    """Logits `[N, k, ...]` and targets `[N, ...]` that hold every class."""
    generator = torch.Generator().manual_seed(seed)
    n, *rest = size
    logits = 3 * torch.randn(n, k, *rest, generator=generator, dtype=dtype)
    target = torch.randint(0, max(k, 2), size, generator=generator)
    if ignored:
        target[:, 1, 2:5] = IGNORE
    return logits, target


def loss_of(name, logits, target, **arguments):
    """The loss `name` as a tensor."""
    return LOSSES[name](Batch(logits, target), **arguments)
