"""Scores of semantic segmentation, all from one confusion matrix.

With n_ij pixels of class i predicted as class j, t_i = sum_j n_ij of the truth, p_j = sum_i n_ij
of the prediction and n of both:

pixel accuracy       sum_i n_ii / n
recall               n_ii / t_i
precision            n_ii / p_i
specificity          (n - t_i - p_i + n_ii) / (n - t_i), of a class that is in either
IoU                  n_ii / (t_i + p_i - n_ii)
Dice and F1          2 n_ii / (t_i + p_i), the same number for classes of pixels
mean accuracy        mean of the recalls; balanced accuracy is the same number
mean IoU             mean of the IoUs
frequency-weighted   sum_i t_i IoU_i / n
Cohen's kappa        (a - e) / (1 - e), a the pixel accuracy and e = sum_i t_i p_i / n^2
generalised Dice     2 sum_i w_i n_ii / sum_i w_i (t_i + p_i), w_i = 1 / t_i^2 where t_i > 0, else 0

A ratio whose denominator is 0 is NaN and enters no mean; so is kappa where both hold one and the
same class only, and specificity of that class. Sources: Long, Shelhamer and Darrell
(2015), Fully convolutional networks for semantic segmentation, section 5; Cohen (1960), A
coefficient of agreement for nominal scales; Sudre et al. (2017), Generalised Dice overlap as a
deep learning loss function, equation 1 for class labels. (For a class that the truth lacks, others
take the largest weight of the rest instead of 0.)
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from maskr.errors import images_called, in_image
from maskr.metrics import tables
from maskr.metrics.accumulator import Accumulator, from_description
from maskr.metrics.confusion import (
    Missing,
    Pairs,
    count_pairs,
    ids_seen,
    matrix,
    pairs_of_masks,
)
from maskr.metrics.family import (
    CLASS,
    Additive,
    Family,
    Score,
    Scores,
    mean_defined,
    ratio,
)
from maskr.metrics.masks import Mask
from maskr.metrics.results import Options, result

PER_CLASS = ("iou", "dice", "precision", "recall", "specificity", "f1")
OVERALL = {
    "pixel_accuracy": "pixel_accuracy",
    "mean_accuracy": "mean_accuracy",
    "balanced_accuracy": "mean_accuracy",
    "mean_iou": "mean_iou",
    "fw_iou": "fw_iou",
    "kappa": "kappa",
    "generalised_dice": "generalised_dice",
    "dice": "mean_dice",
    "precision": "mean_precision",
    "recall": "mean_recall",
    "specificity": "mean_specificity",
    "f1": "mean_f1",
}
"""Names of the overall rows in R, and of the scores that they hold."""

THREADS = 4
"""More would only wait for each other: part of the counting holds Python's lock."""


def scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Every score of confusion matrices.

    Parameters
    ----------
    confusion
        `[..., K, K]` pixels, rows are the truth, columns the prediction.

    Returns
    -------
    dict
        float64 `[...]` `pixel_accuracy`, `mean_accuracy`, `fw_iou`, `kappa`, `generalised_dice` and
        `mean_<name>` for each name in `PER_CLASS`; `[..., K]` `<name>`. NaN where undefined.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    truth = confusion.sum(axis=-1)
    prediction = confusion.sum(axis=-2)
    n = truth.sum(axis=-1)
    both = truth + prediction
    iou = ratio(hit, both - hit)
    dice = ratio(2 * hit, both)
    per_class = {
        "iou": iou,
        "dice": dice,
        "precision": ratio(hit, prediction),
        "recall": ratio(hit, truth),
        # a class that is nowhere would only raise the mean
        "specificity": np.where(
            both > 0, ratio(n[..., None] - both + hit, n[..., None] - truth), np.nan
        ),
        "f1": dice,
    }
    accuracy = ratio(hit.sum(axis=-1), n)
    return {
        "pixel_accuracy": accuracy,
        "mean_accuracy": mean_defined(per_class["recall"]),
        "fw_iou": ratio(np.nansum(truth * iou, axis=-1), n),
        "kappa": kappa(accuracy, ratio((truth * prediction).sum(axis=-1), n**2)),
        "generalised_dice": generalised_dice(hit, truth, prediction),
        **per_class,
        **{f"mean_{name}": mean_defined(values) for name, values in per_class.items()},
    }


def kappa(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Agreement beyond that of chance, by the shares that agree and that would by chance."""
    return ratio(observed - expected, 1 - expected)


def generalised_dice(hit: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Dice over all classes, each weighted by the inverse of its squared size in the truth."""
    weight = np.divide(1, truth**2, out=np.zeros_like(truth), where=truth > 0)
    return ratio(2 * (weight * hit).sum(axis=-1), (weight * (truth + prediction)).sum(axis=-1))


class Semantic(Additive):
    """The scores of one confusion matrix; its parts are those of the images, int64 `[K, K]`.

    Parameters
    ----------
    class_ids
        The K class ids that may occur.
    """

    name = "semantic"

    def __init__(self, class_ids: Sequence[int]) -> None:
        super().__init__(class_ids)
        self.shape = (len(self.class_ids),) * 2

    def arguments(self) -> dict:
        """The class ids."""
        return {"class_ids": list(self.class_ids)}

    def count(self, truth: Mask | np.ndarray, prediction: Mask | np.ndarray) -> np.ndarray:
        """Count an image's pixels.

        Raises
        ------
        ShapeError, DataError
            As `confusion.count()`.
        """
        truth, prediction = Mask.of(truth), Mask.of(prediction)
        missing = Missing(truth.ignore, prediction.ignore)
        return matrix(count_pairs(truth.ids, prediction.ids, missing), self.class_ids)

    def count_all(self, truths: Sequence, predictions: Sequence) -> list[np.ndarray]:
        """Count several images, some at once."""
        pairs = [[Mask.of(x) for x in masks] for masks in (truths, predictions)]
        counted = pairs_of_all(*pairs, self.class_ids)
        return [matrix(one, self.class_ids) for one in counted]

    def support(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Pixels of each class in the truth of each image."""
        return np.stack(parts).sum(axis=-1)

    def figures(self, counts: np.ndarray) -> Scores:
        """Scores of confusion matrices `[..., K, K]`."""
        found = scores(counts)
        support = np.asarray(counts).sum(axis=-1)
        pixels = support.sum(axis=-1)
        overall = {name: Score(found[key], pixels) for name, key in OVERALL.items()}
        return overall | {
            name + CLASS: Score(found[name], support, per_class=True) for name in PER_CLASS
        }


def table(confusion: np.ndarray, class_ids: Sequence[int]) -> dict:
    """The long form of the scores of one confusion matrix; columns as `Accumulator.table()`."""
    return tables.rows(Semantic(class_ids).figures(confusion), class_ids)


def compare(
    truth: list,
    prediction: list,
    ids: list[int] | None = None,
    more: Sequence[dict] = (),
    options: dict | None = None,
) -> dict:
    """The whole of R's `seg_metrics()` for masks: count pairs of masks and score them.

    Parameters
    ----------
    truth, prediction
        Equally many masks, as `Mask.from_r()` takes them.
    ids
        The class ids that may occur; None for those that are seen.
    more
        Names and arguments of further families, without their class ids.
    options
        Fields of `results.Options`.

    Returns
    -------
    dict
        As `results.result()`, with `confusion` float64 `[K, K]`, `ids` int32 `[K]`, and
        `confusions` float64 `[K, K, N]` or None.

    Raises
    ------
    ShapeError, DataError, FormatError
        As `confusion.count()` and `masks.load()`; the message says which image.
    """
    options = Options(**(options or {}))
    with images_called(options.names):
        counted = pairs_of_all(truth, prediction, ids)
        if ids is None:
            ids = ids_seen(counted).tolist()
        accumulator = Accumulator(families_of(ids, more), keep=options.keep)
        further = parts_of_all(accumulator.families[1:], truth, prediction)
    confusions = [matrix(one, ids) for one in counted]
    accumulator.add([confusions, *further])
    return scored(accumulator, options)


def families_of(ids: Sequence[int], more: Sequence[dict]) -> list[Family]:
    """The family of the confusion matrix, and those of other names and arguments."""
    return [Semantic(ids), *(from_description(one, ids) for one in more)]


def scored(accumulator: Accumulator, options: Options) -> dict:
    """`compare()`'s value, of an accumulator whose first family is `Semantic`."""
    first = accumulator.families[0]
    confusions = first.pack(accumulator.parts[0])
    return result(accumulator, options) | {
        "confusion": confusions.sum(axis=0),
        "ids": np.asarray(first.class_ids, dtype=np.int32),
        "confusions": confusions.transpose(1, 2, 0) if options.per_image else None,
    }


def pairs_of_all(truth: list, prediction: list, ids: Sequence[int] | None) -> list[Pairs]:
    """Count pairs of masks, several at once: numpy works outside Python's lock for the most part.

    With `ids`, others are an error that says which image holds them.
    """

    def one(number: int, *pair: Mask | np.ndarray | str | dict) -> Pairs:
        with in_image(number, len(truth)):
            masks = [Mask.from_r(x, ids) for x in pair]
            missing = Missing(*(one.ignore for one in masks))
            pairs = pairs_of_masks(*(one.ids for one in masks), missing)
            if ids is not None:
                matrix(pairs, ids)
        return pairs

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, range(1, len(truth) + 1), truth, prediction))


def parts_of_all(families: Sequence[Family], truth: list, prediction: list) -> list[list]:
    """What each family counts of each image, which is read once and forgotten."""
    parts: list[list] = [[] for _ in families]
    if not families:
        return parts
    ids = families[0].class_ids
    for number, pair in enumerate(zip(truth, prediction, strict=True), start=1):
        with in_image(number, len(truth)):
            of_truth, of_prediction = (Mask.from_r(x, ids) for x in pair)
            masks = of_truth.whole("truth"), of_prediction.whole("prediction")
            for family, found in zip(families, parts, strict=True):
                found.append(family.count(*masks))
    return parts
