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
        values = extension(rows(errors, per_image), rows(batch.target == 1, per_image))
        there = counted.any(dim=1)
        return (values * there).sum() / there.sum().clamp(min=1)
    values, there = [], []
    for index in batch.index.unique().tolist():
        truth = batch.target == index
        errors = (truth.to(batch.dtype) - batch.probabilities[:, index]).abs() * batch.valid
        values.append(extension(rows(errors, per_image), rows(truth, per_image)))
        there.append(rows(truth, per_image).any(dim=1))
    values, there = torch.stack(values), torch.stack(there)
    images = (values * there).sum(0) / there.sum(0).clamp(min=1)
    return images.sum() / there.any(dim=0).sum().clamp(min=1)


def rows(x: torch.Tensor, per_image: bool) -> torch.Tensor:
    """`[N, S]` as one row of pixels per image, or one for the batch."""
    return x.flatten(1) if per_image else x.reshape(1, -1)


def extension(errors: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The Lovasz extension of `1 - IoU` at `errors` of at least 0, both `[R, M]`, for each row."""
    errors, order = errors.sort(dim=1, descending=True)
    truth = truth.gather(1, order)
    # whole numbers: float32 stops counting at 16.8 million pixels
    seen = truth.cumsum(dim=1)
    total = seen[:, -1:]
    position = torch.arange(1, truth.shape[1] + 1, device=truth.device)
    # IoU of the total with what is left when the first pixels are mistaken
    iou = (total - seen).to(errors.dtype) / (total + position - seen).to(errors.dtype)
    loss = 1 - iou
    steps = torch.cat((loss[:, :1], loss[:, 1:] - loss[:, :-1]), dim=1)
    return (errors * steps).sum(dim=1)
