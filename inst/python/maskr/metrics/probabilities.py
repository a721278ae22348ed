"""Scores of probabilities: where to cut them, and whether they can be believed.

A pixel belongs to a class at a threshold t where its probability is at least t. With TP, FP, FN and
TN counted over all pixels, class against rest:

precision      TP / (TP + FP)
recall         TP / (TP + FN)
Dice           2 TP / (2 TP + FP + FN)
IoU            TP / (TP + FP + FN)
specificity    TN / (TN + FP)
average precision   sum_j (R_j - R_{j+1}) P_j over the thresholds t_1 < ... < t_T, R_{T+1} = 0:
                    the area under the steps of the precision-recall curve

Expected calibration error: pixels are put into B bins of equal width ((b - 1) / B, b / B] by their
confidence, the largest of their probabilities. The error is the mean over the pixels of
|accuracy - confidence| of their bin. Of a binary model this is that of the two probabilities 1 - p
and p, so that confidence begins at one half.

Sources: Davis and Goadrich (2006), The relationship between precision-recall and ROC curves; Guo et
al. (2017), On calibration of modern neural networks, equation 3.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from maskr.errors import DataError
from maskr.metrics import confusion
from maskr.metrics.family import CLASS, Additive, Score, Scores, ratio
from maskr.metrics.masks import Mask, check_probabilities

CHUNK = 1 << 16
"""Pixels that are looked at together: little enough for a core's own cache."""

DEFAULT_THRESHOLDS = tuple(np.arange(21) / 20)


class Thresholds(Additive):
    """Scores at a series of thresholds. A part holds histograms of an image's probabilities,
    float64 `[K, 2, T + 1]`: of each class those of pixels that the truth has elsewhere and of those
    that it has there, by the number of thresholds that they reach.

    Parameters
    ----------
    class_ids
        The K class ids. Of two, only the second is looked at: the first is its mirror image.
    thresholds
        T probabilities, 0..1.

    Raises
    ------
    DataError
        If there is no threshold, or one outside 0..1.
    """

    name = "thresholds"
    needs_probabilities = True

    def __init__(
        self, class_ids: Sequence[int], thresholds: Sequence[float] = DEFAULT_THRESHOLDS
    ) -> None:
        super().__init__(class_ids)
        self.thresholds = np.unique(np.asarray(thresholds, dtype=np.float64))
        # NaN fails every comparison
        if not (self.thresholds.size and self.thresholds[0] >= 0 and self.thresholds[-1] <= 1):
            raise DataError(
                f"The thresholds are {np.asarray(thresholds).tolist()}.",
                hint="They must be probabilities between 0 and 1.",
                argument="thresholds",
            )
        self.shape = (len(self.class_ids), 2, self.thresholds.size + 1)

    @property
    def swept(self) -> range:
        """Positions of the classes that are looked at."""
        return range(1 if len(self.class_ids) == 2 else 0, len(self.class_ids))

    def arguments(self) -> dict:
        """The class ids and the thresholds."""
        return {"class_ids": list(self.class_ids), "thresholds": self.thresholds.tolist()}

    def count(self, truth: Mask | np.ndarray, prediction: Mask) -> np.ndarray:
        """Histograms of an image's probabilities.

        Raises
        ------
        ShapeError, DataError
            As `checked()`.
        """
        truth, prediction = checked(truth, prediction, self.class_ids)
        counted = truth.counted & prediction.counted
        out = np.zeros(self.shape)
        for k in self.swept:
            for ids, values in chunks(truth.ids, prediction.probabilities[..., k], counted):
                keys = np.searchsorted(self.thresholds, values, side="right")
                keys += (ids == self.class_ids[k]) * self.shape[-1]
                out[k] += np.bincount(keys, minlength=out[k].size).reshape(out[k].shape)
        return out

    def figures(self, counts: np.ndarray) -> Scores:
        """The best cut and the area of each class, of summed histograms; NaN for a class that the
        truth lacks. Of several best thresholds, the lowest.
        """
        curve = self.curve(counts)
        n = counts[..., 1, :].sum(axis=-1)
        steps = -np.diff(curve["recall"], axis=-1, append=0)
        area = (steps * np.nan_to_num(curve["precision"])).sum(axis=-1)
        dice = curve["dice"]
        best = self.thresholds[np.nan_to_num(dice, nan=-1).argmax(axis=-1)]
        values = {
            "average_precision": area, "best_dice": dice.max(axis=-1), "best_threshold": best,
        }
        return {
            name + CLASS: Score(np.where(n > 0, value, np.nan), n, per_class=True)
            for name, value in values.items()
        }

    def curve(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Scores `[..., K, T]` at each threshold, of summed histograms."""
        reached = np.cumsum(counts[..., ::-1], axis=-1)[..., -2::-1]
        fp, tp = reached[..., 0, :], reached[..., 1, :]
        negative, positive = np.moveaxis(counts.sum(axis=-1, keepdims=True), -2, 0)
        fn = positive - tp
        return {
            "precision": ratio(tp, tp + fp),
            "recall": ratio(tp, tp + fn),
            "dice": ratio(2 * tp, 2 * tp + fp + fn),
            "iou": ratio(tp, tp + fp + fn),
            "specificity": ratio(negative - fp, np.broadcast_to(negative, fp.shape)),
        }

    def details(self, parts: Sequence[np.ndarray]) -> dict[str, dict]:
        """The scores at each threshold: `curve`, a row for each class and threshold."""
        curve = self.curve(self.fold(parts)[0])
        ids = np.asarray(self.class_ids, dtype=np.int32)[self.swept]
        keys = {
            "class": np.repeat(ids, self.thresholds.size),
            "threshold": np.tile(self.thresholds, ids.size),
        }
        return {"curve": keys | {name: x[self.swept].ravel() for name, x in curve.items()}}


class Calibration(Additive):
    """Expected calibration error. A part holds, for each bin of confidence, pixels, the sum of
    their confidence, and how many were right: float64 `[3, B]`.

    Parameters
    ----------
    class_ids
        The K class ids.
    bins
        B, bins of equal width between 0 and 1.
    """

    name = "calibration"
    needs_probabilities = True

    def __init__(self, class_ids: Sequence[int], bins: int = 15) -> None:
        super().__init__(class_ids)
        self.bins = int(bins)
        self.shape = (3, self.bins)
        self.edges = np.linspace(0, 1, self.bins + 1)

    def arguments(self) -> dict:
        """The class ids and the number of bins."""
        return {"class_ids": list(self.class_ids), "bins": self.bins}

    def count(self, truth: Mask | np.ndarray, prediction: Mask) -> np.ndarray:
        """Put an image's pixels into the bins.

        Raises
        ------
        ShapeError, DataError
            As `checked()`.
        """
        truth, prediction = checked(truth, prediction, self.class_ids)
        right = truth.ids == prediction.ids
        confidences = prediction.probabilities.max(axis=-1)
        out = np.zeros(self.shape)
        counted = truth.counted & prediction.counted
        for hits, confidence in chunks(right, confidences, counted):
            place = np.searchsorted(self.edges[1:-1], confidence, side="left")
            out[0] += np.bincount(place, minlength=self.bins)
            out[1] += np.bincount(place, weights=confidence, minlength=self.bins)
            out[2] += np.bincount(place[hits], minlength=self.bins)
        return out

    def figures(self, counts: np.ndarray) -> Scores:
        """The error of summed bins `[..., 3, B]`."""
        pixels, confidence, right = np.moveaxis(counts, -2, 0)
        n = pixels.sum(axis=-1)
        return {"ece": Score(ratio(np.abs(right - confidence).sum(axis=-1), n), n)}

    def details(self, parts: Sequence[np.ndarray]) -> dict[str, dict]:
        """The reliability diagram: `calibration`, a row for each bin."""
        pixels, confidence, right = self.fold(parts)[0]
        bins = {
            "bin": np.arange(1, self.bins + 1, dtype=np.int32),
            "lower": self.edges[:-1],
            "upper": self.edges[1:],
            "confidence": ratio(confidence, pixels),
            "accuracy": ratio(right, pixels),
            "pixels": pixels,
        }
        return {"calibration": bins}


def checked(
    truth: Mask | np.ndarray, prediction: Mask | np.ndarray, ids: Sequence[int]
) -> tuple[Mask, Mask]:
    """Truth and prediction as masks of known classes, the latter with probabilities.

    Raises
    ------
    ShapeError
        If the sizes differ.
    DataError
        If there are no probabilities, or such as no class can have; or as `confusion.count()`.
    """
    truth, prediction = Mask.of(truth), Mask.of(prediction)
    if prediction.probabilities is None:
        raise DataError(
            "The prediction holds class ids, and these metrics need probabilities.",
            hint="Give an array with one more dimension, that of the classes.",
            argument="prediction",
        )
    confusion.count(truth.ids, prediction.ids, ids, truth.ignore)
    check_probabilities(prediction.probabilities, ids)
    return truth, prediction


def chunks(
    pixels: np.ndarray, values: np.ndarray, counted: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pixels that count and their values, a few at a time; all arrays are of one shape."""
    together = all(x.flags.f_contiguous for x in (pixels, values, counted))
    flat = [x.ravel("F" if together else "C") for x in (pixels, values, counted)]
    everywhere = counted.all()
    for start in range(0, pixels.size, CHUNK):
        of_pixels, of_values, kept = (x[start : start + CHUNK] for x in flat)
        yield (of_pixels, of_values) if everywhere else (of_pixels[kept], of_values[kept])
