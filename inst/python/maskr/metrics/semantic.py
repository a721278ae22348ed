"""Scores of semantic segmentation, all from one confusion matrix.

With n_ij pixels of class i predicted as class j, t_i = sum_j n_ij of the truth and p_j = sum_i n_ij
of the prediction:

pixel accuracy       sum_i n_ii / sum_i t_i
recall               n_ii / t_i
precision            n_ii / p_i
IoU                  n_ii / (t_i + p_i - n_ii)
Dice and F1          2 n_ii / (t_i + p_i), the same number for classes of pixels
mean accuracy        mean of the recalls
mean IoU             mean of the IoUs
frequency-weighted   sum_i t_i IoU_i / sum_i t_i

A ratio whose denominator is 0 is NaN and enters no mean. Source: Long, Shelhamer and Darrell
(2015), Fully convolutional networks for semantic segmentation, section 5.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from maskr.arrays import IGNORE, NA_INTEGER
from maskr.errors import DataError, MaskrError
from maskr.metrics.confusion import Pairs, count_pairs, ids_seen, matrix

PER_CLASS = ("iou", "dice", "precision", "recall", "f1")
OVERALL = {
    "pixel_accuracy": "pixel_accuracy",
    "mean_accuracy": "mean_accuracy",
    "mean_iou": "mean_iou",
    "fw_iou": "fw_iou",
    "dice": "mean_dice",
    "precision": "mean_precision",
    "recall": "mean_recall",
    "f1": "mean_f1",
}
"""Names of the overall rows in R, and of the scores that they hold."""

THREADS = 4
"""More would only wait for each other: part of the counting holds Python's lock."""


def scores(confusion: np.ndarray) -> dict[str, float | np.ndarray]:
    """Every score of a confusion matrix.

    Parameters
    ----------
    confusion
        `[K, K]` pixels, rows are the truth, columns the prediction.

    Returns
    -------
    dict
        Floats `pixel_accuracy`, `mean_accuracy`, `fw_iou` and `mean_<name>` for each name in
        `PER_CLASS`; float64 `[K]` `<name>`. NaN where undefined.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    hit = np.diagonal(confusion)
    truth = confusion.sum(axis=1)
    prediction = confusion.sum(axis=0)
    iou = ratio(hit, truth + prediction - hit)
    recall = ratio(hit, truth)
    dice = ratio(2 * hit, truth + prediction)
    per_class = {
        "iou": iou,
        "dice": dice,
        "precision": ratio(hit, prediction),
        "recall": recall,
        "f1": dice,
    }
    return {
        "pixel_accuracy": float(ratio(hit.sum(), truth.sum())),
        "mean_accuracy": mean_defined(recall),
        "fw_iou": float(ratio(np.nansum(truth * iou), truth.sum())),
        **per_class,
        **{f"mean_{name}": mean_defined(values) for name, values in per_class.items()},
    }


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, NaN where `whole` is 0."""
    with np.errstate(invalid="ignore"):
        return np.divide(part, whole)


def mean_defined(values: np.ndarray) -> float:
    """The mean of the values that are not NaN; NaN if there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def table(
    confusion: np.ndarray, class_ids: Sequence[int], per_image: np.ndarray | None = None
) -> dict[str, np.ndarray | list[str]]:
    """Scores in long form, for R's data frame of class `seg_metrics`.

    Parameters
    ----------
    confusion
        `[K, K]` pixels over all images.
    class_ids
        The K class ids.
    per_image
        `[N, K, K]` pixels of every image; None where only the whole is asked for.

    Returns
    -------
    dict
        Columns `metric`, `class` (int32, R's NA in overall rows), `value` (NaN where undefined),
        `n` (pixels: of the class in the truth; in overall rows all that count); with `per_image`
        also `image` (int32 from 1, R's NA in the rows over all images, which come first).
    """
    columns = rows(confusion, class_ids)
    if per_image is None:
        return columns
    blocks = [columns] + [rows(one, class_ids) for one in per_image]
    size = len(columns["metric"])
    image = np.repeat(np.array([NA_INTEGER, *range(1, len(blocks))], dtype=np.int32), size)
    joined = {
        name: np.concatenate([block[name] for block in blocks]) for name in ("class", "value", "n")
    }
    return {"image": image, "metric": columns["metric"] * len(blocks), **joined}


def rows(confusion: np.ndarray, class_ids: Sequence[int]) -> dict[str, np.ndarray | list[str]]:
    """The long form of one confusion matrix."""
    found = scores(confusion)
    support = np.asarray(confusion).sum(axis=1)
    overall = [found[name] for name in OVERALL.values()]
    ids = np.asarray(class_ids, dtype=np.int32)
    return {
        "metric": [*OVERALL] + [name for name in PER_CLASS for _ in ids],
        "class": np.concatenate(
            [np.full(len(overall), NA_INTEGER, dtype=np.int32), np.tile(ids, len(PER_CLASS))]
        ),
        "value": np.concatenate([overall, *(found[name] for name in PER_CLASS)]),
        "n": np.concatenate(
            [np.full(len(overall), support.sum()), np.tile(support, len(PER_CLASS))]
        ).astype(np.float64),
    }


def compare(
    truth: list[np.ndarray | str],
    prediction: list[np.ndarray | str],
    ids: list[int] | None = None,
    per_image: bool = False,
) -> dict:
    """The whole of R's `seg_metrics()`: count pairs of masks and score them.

    Parameters
    ----------
    truth, prediction
        Equally many masks: R's integer arrays (NA is INT_MIN) or paths of mask files.
    ids
        The class ids that may occur; None for those that are seen.
    per_image
        Should every image be scored too?

    Returns
    -------
    dict
        `columns` of `table()`, `confusion` float64 `[K, K]`, `ids` int32 `[K]`, and `confusions`
        float64 `[K, K, N]` or None.

    Raises
    ------
    ShapeError, DataError, FormatError
        As `confusion.count()` and `masks.load()`; the message says which image.
    """
    counted = count_all(list(zip(truth, prediction, strict=True)), ids)
    if ids is None:
        ids = ids_seen(counted).tolist()
    each = np.stack([matrix(one, ids) for one in counted])
    confusion = each.sum(axis=0)
    # int64 would cross as well, as double
    return {
        "columns": table(confusion, ids, each if per_image else None),
        "confusion": confusion.astype(np.float64),
        "ids": np.asarray(ids, dtype=np.int32),
        "confusions": each.transpose(1, 2, 0).astype(np.float64) if per_image else None,
    }


def count_all(masks: list[tuple], ids: list[int] | None) -> list[Pairs]:
    """Count pairs of masks, several at once: numpy works outside Python's lock for the most part.

    With `ids`, others are an error that says which image holds them.
    """

    def one(image: int, truth: np.ndarray | str, prediction: np.ndarray | str) -> Pairs:
        # in R's arrays -1 is a mistake, in those of `masks.load()` it is the ignore index
        ignore = (IGNORE,) if isinstance(truth, str) else (NA_INTEGER,)
        try:
            pairs = count_pairs(as_ids(truth, ids), as_ids(prediction, ids), ignore)
            if ids is not None:
                matrix(pairs, ids)
        except MaskrError as error:
            if len(masks) > 1:
                error.text = f"Image {image}: {error.text}"
                error.args = (error.text,)
            raise
        return pairs

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        numbered = enumerate(masks, start=1)
        return list(pool.map(lambda item: one(item[0], *item[1]), numbered))


def as_ids(x: np.ndarray | str, ids: list[int] | None) -> np.ndarray:
    """The class ids of an array or a mask file."""
    if not isinstance(x, str):
        return x
    from maskr import masks  # noqa: PLC0415, arrays need no reader of files

    try:
        return masks.load(x, ignore=masks_ignore(ids), classes=ids)
    except DataError as error:
        if error.argument == "values":
            error.hint = (
                "Read it with seg_read_mask(), which takes values = c(0, 255) if 255 is the "
                "object, or ignore = 255 if those pixels are to be left out."
            )
        raise


def masks_ignore(ids: list[int] | None) -> int | None:
    """The value that files use for "ignore", unless it is a class here."""
    return None if ids is not None and 255 in ids else 255
