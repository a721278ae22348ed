"""What every family of metrics has in common: images are counted one by one, scored together.

A family first counts an image: what it keeps of it (a part) is all that its scores need. Scores of
any selection of images follow from their parts alone, and so do those of resampled images, which
is what intervals are made of.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from maskr.errors import in_image

Part = TypeVar("Part")


@dataclass(frozen=True)
class Score:
    """One score, of one or of several selections of images.

    Parameters
    ----------
    value
        float64 `[...]` of an overall score, `[..., K]` of one for each class. NaN where undefined.
    n
        float64 of the same shape: how many pixels, objects or images the value rests on.
    per_class
        Is the last axis that of the classes?
    """

    value: np.ndarray
    n: np.ndarray
    per_class: bool = False


Scores = dict[str, Score]
"""Scores by name, in the order of the table. A name may stand for an overall score and, with the
suffix `CLASS`, for one of each class."""

CLASS = "@class"
"""Ends the key of a score per class whose name an overall score has too."""


class Family(ABC, Generic[Part]):
    """Metrics that are computed from the same counts.

    `name` is the family's in `families.FAMILIES`, `class_ids` are the K class ids of its scores;
    `needs_probabilities` says that predictions must be masks with probabilities.
    """

    name: str
    needs_probabilities: bool = False

    def __init__(self, class_ids: Sequence[int]) -> None:
        # R hands one class over as a number
        self.class_ids = tuple(int(one) for one in np.atleast_1d(class_ids))

    @abstractmethod
    def count(self, truth: Any, prediction: Any) -> Part:
        """What is kept of one image."""

    def count_all(self, truths: Sequence, predictions: Sequence) -> list[Part]:
        """`count()` of each image."""
        parts = []
        for i, pair in enumerate(zip(truths, predictions, strict=True), start=1):
            with in_image(i, len(truths)):
                parts.append(self.count(*pair))
        return parts

    @abstractmethod
    def pooled(self, parts: Sequence[Part], weights: np.ndarray | None = None) -> Scores:
        """Scores of all images together.

        Parameters
        ----------
        parts
            What `count()` gave for each of N images.
        weights
            `[R, N]`: how often each image counts in each of R resamples; the values then have a
            first axis of length R. None counts each image once, without that axis.
        """

    @abstractmethod
    def per_image(self, parts: Sequence[Part]) -> Scores:
        """Scores of each image: values `[N, ...]`."""

    @abstractmethod
    def fold(self, parts: Sequence[Part]) -> list[Part]:
        """As few parts as give the same pooled scores."""

    def details(self, parts: Sequence[Part]) -> dict[str, dict]:  # noqa: ARG002
        """Tables beside the scores, such as a curve, by name: each a dict of columns for R."""
        return {}

    def support(self, parts: Sequence[Part]) -> np.ndarray | None:  # noqa: ARG002
        """How many pixels, objects or segments of each class the truth of each image holds,
        `[N, K]`; None where the parts don't tell.
        """
        return None

    @abstractmethod
    def arguments(self) -> dict:
        """The plain values that make this family again: `Family(**arguments)`."""

    @abstractmethod
    def pack(self, parts: Sequence[Part]) -> Any:
        """Parts as arrays that R can keep."""

    @abstractmethod
    def unpack(self, packed: Any) -> list[Part]:
        """The inverse of `pack()`."""


class Additive(Family[np.ndarray]):
    """A family whose parts are arrays of one shape that add up: float64 or int64 `[*shape]`."""

    shape: tuple[int, ...]

    @abstractmethod
    def figures(self, counts: np.ndarray) -> Scores:
        """Scores of summed counts `[..., *shape]`: values `[...]` and `[..., K]`."""

    def pooled(self, parts: Sequence[np.ndarray], weights: np.ndarray | None = None) -> Scores:
        """Scores of the summed parts; see `Family.pooled()`."""
        if weights is None:
            return self.figures(self.fold(parts)[0])
        stacked = np.stack(parts).astype(np.float64, copy=False)
        return self.figures(np.tensordot(weights.astype(np.float64), stacked, axes=1))

    def per_image(self, parts: Sequence[np.ndarray]) -> Scores:
        """Scores of each part."""
        return self.figures(np.stack(parts))

    def fold(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The sum of the parts, as the only one."""
        return [sum(parts, start=np.zeros(self.shape))]

    def pack(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Parts as one float64 array `[N, *shape]`."""
        return np.stack(parts).astype(np.float64) if parts else np.zeros((0, *self.shape))

    def unpack(self, packed: np.ndarray) -> list[np.ndarray]:
        """The parts of `[N, *shape]`."""
        # R drops nothing but what has length 1 at the border
        return list(np.asarray(packed, dtype=np.float64).reshape(-1, *self.shape))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, NaN where `whole` is 0."""
    whole = np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.full_like(part + whole, np.nan), where=whole != 0)


def with_means(names: Sequence[str], values: np.ndarray, n: np.ndarray) -> Scores:
    """Scores of classes by S names, and their means over the classes.

    Parameters
    ----------
    names
        Of the scores.
    values, n
        `[..., K, S]`, as in `Score`; `n` of a mean is the sum over the classes.
    """
    overall = {
        name: Score(mean_defined(values[..., i]), n[..., i].sum(axis=-1))
        for i, name in enumerate(names)
    }
    return overall | {
        name + CLASS: Score(values[..., i], n[..., i], per_class=True)
        for i, name in enumerate(names)
    }


def mean_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is not NaN; NaN where there is nothing."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))
