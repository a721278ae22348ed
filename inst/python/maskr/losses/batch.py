"""Logits and truth of one batch, and what several losses need of them, computed once."""

from collections.abc import Sequence
from functools import cached_property

import torch
import torch.nn.functional as F

from maskr.arrays import IGNORE
from maskr.errors import DataError, ShapeError
from maskr.words import counted

TINY = 1e-30
"""The smallest divisor: 0 / TINY is 0, and no gradient through it overflows single precision."""


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


class Batch:
    """One batch as the losses see it; S stands for H, W or, in volumes, for D, H, W.

    Nothing here waits for a GPU, and no pixel is picked by a boolean index: ignored pixels stay
    in place and are multiplied by 0.

    Parameters
    ----------
    logits
        `[N, K, S]`; K = 1 is a binary model, whose channel stands for class index 1. Half
        precision is widened to float32, in which every loss is computed.
    target
        Class indices `[N, S]` (positions in the order of the model's classes, not class ids), with
        `maskr.arrays.IGNORE` for "ignore".

    Raises
    ------
    ShapeError
        If the sizes differ.
    """

    def __init__(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        half = logits.dtype in (torch.float16, torch.bfloat16)
        self.logits = logits.float() if half else logits
        shape = (len(logits), *logits.shape[2:])
        if target.shape[-2:] != shape[-2:] or target.numel() != logits[:, 0].numel():
            raise ShapeError(
                f"The targets have size {list(target.shape)}, and the model's output of size "
                f"{list(logits.shape)} needs {list(shape)}."
            )
        self.target = target.reshape(shape)  # a volume of one slice may have lost its axis

    @property
    def binary(self) -> bool:
        """Whether one channel stands for two classes."""
        return self.logits.shape[1] == 1

    @property
    def classes(self) -> int:
        """The number of classes, 2 in a binary model."""
        return max(self.logits.shape[1], 2)

    @cached_property
    def valid(self) -> torch.Tensor:
        """1 where a pixel counts and 0 where it is ignored, `[N, S]`."""
        return (self.target != IGNORE).to(self.logits.dtype)

    @cached_property
    def count(self) -> torch.Tensor:
        """The number of pixels that count."""
        return self.valid.sum()

    @cached_property
    def index(self) -> torch.Tensor:
        """The targets with 0 at ignored pixels, so that they can be used as an index."""
        return self.target.clamp(min=0)

    @cached_property
    def foreground(self) -> torch.Tensor:
        """1 where the target is class index 1, `[N, S]`: the truth of a binary model."""
        return (self.target == 1).to(self.logits.dtype)

    @cached_property
    def probabilities(self) -> torch.Tensor:
        """`[N, K, S]`: sigmoid of one channel, softmax of more."""
        return self.logits.sigmoid() if self.binary else self.logits.softmax(dim=1)

    @cached_property
    def log_probabilities(self) -> torch.Tensor:
        """`[N, K, S]`, of several channels."""
        return self.logits.log_softmax(dim=1)

    @cached_property
    def log_true(self) -> torch.Tensor:
        """The logarithm of the true class's probability, `[N, S]`."""
        if self.binary:
            logits = self.logits[:, 0]
            return F.logsigmoid(torch.where(self.target == 1, logits, -logits))
        return self.of_truth(self.log_probabilities)

    @cached_property
    def errors(self) -> torch.Tensor:
        """Probabilities minus the one-hot truth, `[N, K, S]`; meaningless at ignored pixels."""
        if self.binary:
            return self.probabilities - self.foreground[:, None]
        index = self.index[:, None]
        return self.probabilities.scatter_add(1, index, -torch.ones_like(index, dtype=self.dtype))

    @property
    def dtype(self) -> torch.dtype:
        """In which the losses are computed: float32, or float64 where the logits have it."""
        return self.logits.dtype

    def of_truth(self, values: torch.Tensor) -> torch.Tensor:
        """The channel of `values` `[N, K, S]` that is the true class, `[N, S]`."""
        return values.gather(1, self.index[:, None])[:, 0]

    def sum_by_class(self, values: torch.Tensor) -> torch.Tensor:
        """Sums of `values` `[N, S]`, which must be 0 at ignored pixels, by true class.

        Row by row first: one running sum in float32 would stop growing at 16.8 million pixels.
        """
        rows = self.index.reshape(-1, self.index.shape[-1])
        sums = values.new_zeros(len(rows), self.classes)
        return sums.scatter_add(1, rows, values.reshape(rows.shape)).sum(0)

    def weights(self, class_weights: Sequence[float]) -> torch.Tensor:
        """Class weights as a tensor.

        Raises
        ------
        DataError
            If they are not one per class.
        """
        if len(class_weights) != self.classes:
            raise DataError(
                f"`class_weights` has {counted(len(class_weights), 'value')} for {self.classes} "
                "classes.",
                argument="class_weights",
            )
        return torch.tensor(class_weights, dtype=self.dtype, device=self.logits.device)

    def mean(
        self,
        values: torch.Tensor,
        class_weights: Sequence[float] | None = None,
        among: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The mean of `values` `[N, S]` over the pixels that count; 0 where none does.

        `among`, 1 or 0 for each pixel, narrows them. With class weights the values are weighted by
        that of their true class, and the sum is divided by the sum of the weights, as PyTorch's
        cross-entropy does.
        """
        weights = self.valid if among is None else self.valid * among
        if class_weights is not None:
            weights = weights * self.weights(class_weights)[self.index]
        return (values * weights).sum() / weights.sum().clamp(min=TINY)
