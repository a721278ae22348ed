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


def keys(scores: Scores, class_ids: Sequence[int]) -> dict[str, np.ndarray | list[str]]:
    """Columns `metric` and `class`."""
    ids = np.asarray(class_ids, dtype=np.int32)
    none = np.array([NA_INTEGER], dtype=np.int32)
    blocks = [ids if one.per_class else none for one in scores.values()]
    names = [name.removesuffix(CLASS) for name in scores]
    return {
        "metric": [name for name, block in zip(names, blocks, strict=True) for _ in block],
        "class": np.concatenate(blocks),
    }


def values(scores: Scores, selections: int, field: str = "value") -> np.ndarray:
    """Values, or `n`, `[R, rows]` of scores with a leading axis of R, in the order of `keys()`."""
    columns = [
        np.broadcast_to(np.asarray(getattr(one, field), dtype=np.float64), np.shape(one.value))
        for one in scores.values()
    ]
    sizes = [int(np.prod(x.shape[1:])) for x in columns]
    return np.concatenate(
        [x.reshape(selections, size) for x, size in zip(columns, sizes, strict=True)], axis=1
    )


def rows(scores: Scores, class_ids: Sequence[int]) -> dict[str, np.ndarray | list[str]]:
    """Columns `metric`, `class`, `value` and `n` of scores without a leading axis."""
    once = {
        name: Score(np.asarray(one.value)[None], np.asarray(one.n)[None], one.per_class)
        for name, one in scores.items()
    }
    return keys(scores, class_ids) | {
        "value": values(once, 1)[0], "n": values(once, 1, "n")[0],
    }


def with_images(
    columns: dict, each: Scores, class_ids: Sequence[int], images: int
) -> dict[str, np.ndarray | list[str]]:
    """Columns over all images, followed by those of each; `image` counts from 1."""
    names = keys(each, class_ids)
    size = len(names["metric"])
    of_each = {
        "class": np.tile(names["class"], images),
        "value": values(each, images).ravel(),
        "n": values(each, images, "n").ravel(),
    }
    nothing = np.full(images * size, np.nan)
    numbers = np.repeat(np.arange(1, images + 1, dtype=np.int32), size)
    over_all = np.full(len(columns["metric"]), NA_INTEGER, dtype=np.int32)
    return {
        "image": np.concatenate([over_all, numbers]),
        "metric": columns["metric"] + names["metric"] * images,
        **{
            name: np.concatenate([column, of_each.get(name, nothing)])
            for name, column in columns.items()
            if name != "metric"
        },
    }
