"""Scores in long form: a row for every score of every class."""

from collections.abc import Iterable, Sequence

import numpy as np

from maskr.arrays import NA_INTEGER
from maskr.metrics.family import CLASS, Family, Score, Scores


def joined(scores: Iterable[Scores]) -> Scores:
    """Scores of several families in one: overall scores first, then those of classes."""
    found = [(name, score) for one in scores for name, score in one.items()]
    overall = [item for item in found if not item[1].per_class]
    return dict(overall + [item for item in found if item[1].per_class])


def overall(
    family: Family, parts: Sequence, aggregate: str, weights: np.ndarray | None = None
) -> Scores:
    """Scores of all images, pooled or as means of the images' own; `weights` as in `pooled()`."""
    if aggregate == "pooled":
        return family.pooled(parts, weights)
    each = family.per_image(parts)
    once = np.ones((1, len(parts))) if weights is None else weights
    means = {name: mean_of_images(score, once) for name, score in each.items()}
    if weights is not None:
        return means
    return {
        name: Score(mean.value[0], mean.n[0], mean.per_class) for name, mean in means.items()
    }


def mean_of_images(score: Score, weights: np.ndarray) -> Score:
    """Weighted means `[R, ...]` over the images in which a score `[N, ...]` is defined.

    An infinite value, such as the distance to nothing, makes the mean infinite.
    """
    value, weights = score.value, weights.astype(np.float64)
    finite = np.isfinite(value)
    total = np.tensordot(weights, np.where(finite, value, 0), axes=1)
    count = np.tensordot(weights, finite.astype(np.float64), axes=1)
    infinite = np.tensordot(weights, np.isinf(value).astype(np.float64), axes=1) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(infinite, np.inf, total / count)
    return Score(mean, np.tensordot(weights, score.n, axes=1), score.per_class)


def rows(scores: Scores, class_ids: Sequence[int]) -> dict[str, np.ndarray | list[str]]:
    """Columns `metric`, `class`, `value` and `n` of scores without a leading axis."""
    ids = np.asarray(class_ids, dtype=np.int32)
    none = np.array([NA_INTEGER], dtype=np.int32)
    names = [name.removesuffix(CLASS) for name in scores]
    sizes = [ids.size if score.per_class else 1 for score in scores.values()]
    return {
        "metric": [name for name, size in zip(names, sizes, strict=True) for _ in range(size)],
        "class": np.concatenate([ids if one.per_class else none for one in scores.values()]),
        "value": flat([one.value for one in scores.values()], sizes),
        "n": flat([one.n for one in scores.values()], sizes),
    }


def flat(arrays: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """Arrays `[]` and `[K]` one after the other, float64."""
    broadcast = [
        np.broadcast_to(np.asarray(array, dtype=np.float64).reshape(-1), (size,))
        for array, size in zip(arrays, sizes, strict=True)
    ]
    return np.concatenate(broadcast)


def values(scores: Scores, replicates: int) -> np.ndarray:
    """Values `[R, rows]` of scores with a leading axis of R, in the order of `rows()`."""
    return np.concatenate(
        [np.asarray(one.value).reshape(replicates, -1) for one in scores.values()], axis=1
    )


def with_images(
    columns: dict, each: Scores, class_ids: Sequence[int], images: int
) -> dict[str, np.ndarray | list[str]]:
    """Columns over all images, followed by those of each; `image` counts from 1."""
    blocks = [
        rows({k: Score(s.value[i], s.n[i], s.per_class) for k, s in each.items()}, class_ids)
        for i in range(images)
    ]
    size = len(columns["metric"])
    numbers = np.array([NA_INTEGER, *range(1, images + 1)], dtype=np.int32)
    out = {
        "image": np.repeat(numbers, size),
        "metric": sum((block["metric"] for block in [columns, *blocks]), start=[]),
    }
    nothing = np.full(size, np.nan)
    for name in [name for name in columns if name != "metric"]:
        out[name] = np.concatenate([columns[name], *(b.get(name, nothing) for b in blocks)])
    return out
