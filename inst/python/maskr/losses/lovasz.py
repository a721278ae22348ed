"""Lovasz losses: the convex surrogate of IoU, by one sort per class."""

import torch

from maskr.losses.batch import Batch


def lovasz(batch: Batch, per_image: bool = False) -> torch.Tensor:
    """Lovasz hinge of a binary model, Lovasz softmax of several classes.

    Berman, Triki & Blaschko (2018, https://arxiv.org/abs/1705.08790): the Lovasz extension of
    `1 - IoU` at each pixel's error, which is the hinge `max(0, 1 - z s)` of logit z and sign s, or
    `|g - p|` of a class's probability p and truth g. Softmax: the mean over the classes that are in
    the truth. Over the whole batch or, with `per_image`, the mean over the images in which a pixel
    counts.

    Ignored pixels have the error 0, which sorts them behind all others and adds nothing.

    Empty class: softmax leaves it out; the hinge of a truth without foreground is its largest
    error.
    """
    counted = rows(batch.valid, per_image)
    if batch.binary:
        signs = 2 * batch.foreground - 1
        errors = (1 - batch.logits[:, 0] * signs).relu() * batch.valid
        values = extensions(rows(errors, per_image), rows(batch.target == 1, per_image))
        there = counted.any(dim=1)
        return (values * there).sum() / there.sum().clamp(min=1)
    values, there = [], []
    for index in batch.index.unique().tolist():
        truth = batch.target == index
        errors = (truth.to(batch.dtype) - batch.probabilities[:, index]).abs() * batch.valid
        values.append(extensions(rows(errors, per_image), rows(truth, per_image)))
        there.append(rows(truth, per_image).any(dim=1))
    values, there = torch.stack(values), torch.stack(there)
    images = (values * there).sum(0) / there.sum(0).clamp(min=1)
    return images.sum() / there.any(dim=0).sum().clamp(min=1)


def rows(x: torch.Tensor, per_image: bool) -> torch.Tensor:
    """`[N, S]` as one row of pixels per image, or one for the batch."""
    return x.flatten(1) if per_image else x.reshape(1, -1)


def extensions(errors: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The Lovasz extension of `1 - IoU` at `errors` of at least 0, for each row of `[R, M]`."""
    return torch.stack([extension(e, t) for e, t in zip(errors, truth, strict=True)])


def extension(errors: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The Lovasz extension of `1 - IoU` of one row of pixels."""
    order = descending(errors.detach())
    truth = truth[order]
    # whole numbers: float32 stops counting at 16.8 million pixels
    seen = truth.cumsum(0)
    total = seen[-1]
    position = torch.arange(1, len(truth) + 1, device=truth.device)
    # IoU of the total with what is left when the first pixels are mistaken
    loss = 1 - (total - seen).to(errors.dtype) / (total + position - seen).to(errors.dtype)
    return (errors[order] * loss.diff(prepend=loss.new_zeros(1))).sum()


def descending(x: torch.Tensor) -> torch.Tensor:
    """The order of `x`, all of it at least 0, from the largest to the smallest.

    The bits of such numbers are ordered as they are, and torch sorts whole numbers in ascending
    order about eight times as fast as floating-point numbers on a CPU.
    """
    whole = torch.int64 if x.dtype == torch.float64 else torch.int32
    return (-x.contiguous().view(whole)).sort().indices
