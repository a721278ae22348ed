"""Scores of objects as microscopy counts them, without confidences.

With TP pairs of objects matched one to one within a class at an IoU threshold (`matching.match()`),
FN true and FP predicted objects left over:

AP             TP / (TP + FP + FN), as the Data Science Bowl 2018 and StarDist define it; `dsb_ap`
               is its mean over the thresholds. The Bowl's own score is the mean over images of it.
precision      TP / (TP + FP); recall TP / (TP + FN); F1 2 TP / (2 TP + FP + FN); all at IoU 0.5
mean IoU       of the pairs matched at IoU 0.5
PQ             SQ times RQ at IoU 0.5: SQ is the mean IoU, or 0 where there are objects but no pair,
               and RQ is F1. The panoptic quality of HoVer-Net and StarDist: pixels of no object are
               background, and what is predicted there is false, whereas panopticapi leaves void
               pixels out
SEG            mean over the true objects of the IoU with the predicted object that covers more
               than half of it, 0 where there is none: the Cell Tracking Challenge's
AJI            sum of |G and P(G)| / (sum of |G or P(G)| + sum of |P'|) over true objects G, where
               P(G) is the predicted object with the largest IoU (of several the first) and P' are
               the predicted ones that no true object chose: the aggregated Jaccard index
missed, merged, split, poorly_outlined
               true objects with that verdict of `object_errors.judge()` at IoU 0.5; with the
               correct ones they add up to all true objects
false          predicted objects with the verdict "false"

Objects of all classes together give the overall scores, so that every object weighs the same; a
score whose denominator is 0 is NaN. So without any true and predicted object all scores but the
counts of errors are NaN; without predicted objects alone precision and mean IoU are NaN and the
other scores 0; without true objects recall and SEG are NaN and the other ones 0, but for mean IoU.
Crowds are no objects, and a predicted object that matches nothing and lies for more than half in
one counts as nothing.

Sources: Caicedo et al. (2019), Nucleus segmentation across imaging experiments: the 2018 Data
Science Bowl; Schmidt et al. (2018), Cell detection with star-convex polygons; Maska et al. (2014),
A benchmark for comparison of cell tracking algorithms; Kumar et al. (2017), A dataset and a
technique for generalized nuclear segmentation for computational pathology, algorithm 1; Graham et
al. (2019), HoVer-Net: simultaneous segmentation and classification of nuclei.
"""

from collections.abc import Sequence

import numpy as np

from maskr.arrays import NA_INTEGER
from maskr.errors import DataError
from maskr.metrics.family import CLASS, Additive, Score, Scores, mean_defined, ratio
from maskr.metrics.matching import match
from maskr.metrics.object_errors import FALSE, MERGED, MISSED, POORLY_OUTLINED, SPLIT, judge
from maskr.metrics.overlaps import Image, Overlaps, overlaps

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""IoU thresholds from 0.5 to 0.95."""

NAMED = (0.5, 0.75)
"""Thresholds that have scores of their own, and are counted first."""

ERRORS = {
    "missed": MISSED, "merged": MERGED, "split": SPLIT, "poorly_outlined": POORLY_OUTLINED,
}
"""Verdicts that are counted of true objects, in the order of their counts."""

TRUE, IOU, SEG, SHARED, UNION, FALSE_OBJECTS, FIRST_ERROR = range(7)
"""What the first counts of a class mean; then those of `ERRORS`, TP and FP at each threshold."""

HEAD = FIRST_ERROR + len(ERRORS)


class Bioimage(Additive):
    """Scores of objects; its parts are float64 `[K, HEAD + 2 T]` counts of each class.

    Parameters
    ----------
    class_ids
        The K classes of objects.
    thresholds
        IoU thresholds of `dsb_ap`, above 0 and at most 1; an IoU equal to one counts as match.

    Raises
    ------
    DataError
        If a threshold lies outside.
    """

    name = "bioimage"

    def __init__(
        self, class_ids: Sequence[int], thresholds: Sequence[float] = THRESHOLDS
    ) -> None:
        super().__init__(class_ids)
        # 0.1 * 3 is above 0.3, and no IoU of 0.3 would reach it
        self.thresholds = tuple(round(float(one), 10) for one in np.atleast_1d(thresholds))
        if not self.thresholds or not all(0 < one <= 1 for one in self.thresholds):
            raise DataError(
                f"IoU thresholds lie above 0 and are at most 1, not {list(self.thresholds)}.",
                argument="thresholds",
            )
        self.counted = NAMED + self.thresholds
        self.shape = (len(self.class_ids), HEAD + 2 * len(self.counted))

    def arguments(self) -> dict:
        """Class ids and thresholds."""
        return {"class_ids": list(self.class_ids), "thresholds": list(self.thresholds)}

    def count(self, truth: Image, prediction: Image) -> np.ndarray:
        """Count an image's objects.

        Parameters
        ----------
        truth, prediction
            `Objects`, `Instances`, or label images and volumes: see `overlaps.Image`.

        Raises
        ------
        ShapeError, DataError
            As `overlaps.overlaps()`.
        """
        found = overlaps(truth, prediction, self.class_ids)
        counts = np.zeros(self.shape)
        for row in np.flatnonzero(np.isin(self.class_ids, found.class_ids)):
            of_class = found.of_class(self.class_ids[row])[0]
            count = self.count_class if of_class.rows.size else self.count_apart
            counts[row] = count(of_class)
        return counts

    def count_apart(self, found: Overlaps) -> np.ndarray:
        """Counts of one class of which no true and predicted object share a pixel."""
        counts = np.zeros(self.shape[1])
        counts[[TRUE, FIRST_ERROR + list(ERRORS).index("missed")]] = found.truth.size
        false = ~found.excused
        counts[UNION] = found.truth.sum() + found.prediction[false].sum()
        counts[FALSE_OBJECTS] = np.count_nonzero(false)
        counts[HEAD + len(self.counted) :] = counts[FALSE_OBJECTS]
        return counts

    def support(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Objects of each class in the truth of each image."""
        return np.stack(parts)[..., TRUE]

    def count_class(self, found: Overlaps) -> np.ndarray:
        """Counts of one class, float64 `[HEAD + 2 T]`."""
        verdicts, predicted = judge(found, NAMED[0])
        false = np.count_nonzero((predicted.kind == FALSE) & ~found.excused)
        errors = [np.count_nonzero(verdicts.kind == kind) for kind in ERRORS.values()]
        matches = [match(found, threshold) for threshold in self.counted]
        iou = found.iou[matches[0]].sum()
        head = [found.truth.size, iou, covered(found), *aggregated(found), false, *errors]
        left_over = [np.ones(found.prediction.size, dtype=bool) for _ in matches]
        for is_left, pairs in zip(left_over, matches, strict=True):
            is_left[found.columns[pairs]] = False
        positives = [np.count_nonzero(is_left & ~found.excused) for is_left in left_over]
        return np.array([*head, *map(len, matches), *positives], dtype=np.float64)

    def figures(self, counts: np.ndarray) -> Scores:
        """Scores of summed counts `[..., K, HEAD + 2 T]`."""
        overall = figures_of(counts.sum(axis=-2))
        each = figures_of(counts)
        return {name: Score(*one) for name, one in overall.items()} | {
            name + CLASS: Score(*one, per_class=True) for name, one in each.items()
        }

    def details(self, parts: Sequence[np.ndarray]) -> dict[str, dict]:
        """The scores at each threshold, "thresholds": first over all classes, then of each.

        Columns `class` (int32, R's NA over all), `threshold`, `tp`, `fp`, `fn`, `ap`, `precision`,
        `recall`, `f1`.
        """
        counts = self.fold(parts)[0]
        rows = np.concatenate((counts.sum(axis=0, keepdims=True), counts))
        at = {name: x[:, len(NAMED) :] for name, x in at_thresholds(rows).items()}
        classes = np.array([NA_INTEGER, *self.class_ids], dtype=np.int32)
        return {
            "thresholds": {
                "class": np.repeat(classes, len(self.thresholds)),
                "threshold": np.tile(self.thresholds, classes.size),
                **{name: x.ravel() for name, x in at.items()},
            }
        }


def covered(found: Overlaps) -> float:
    """Sum of the IoUs that SEG is the mean of."""
    covers = 2 * found.pixels > found.truth[found.rows]
    best = np.zeros(found.truth.size)
    np.maximum.at(best, found.rows[covers], found.iou[covers])
    return best.sum()


def aggregated(found: Overlaps) -> tuple[float, float]:
    """Intersection and union of the aggregated Jaccard index in pixels."""
    order = np.lexsort((found.columns, -found.iou, found.rows))
    rows, first = np.unique(found.rows[order], return_index=True)
    chosen = order[first]
    left = ~found.excused
    left[found.columns[chosen]] = False
    missed = np.ones(found.truth.size, dtype=bool)
    missed[rows] = False
    unions = found.unions[chosen].sum() + found.truth[missed].sum() + found.prediction[left].sum()
    return found.pixels[chosen].sum(), unions


def at_thresholds(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Counts and scores at each threshold, `[..., T]`, of counts `[..., HEAD + 2 T]`."""
    tp, fp = np.split(counts[..., HEAD:], 2, axis=-1)
    fn = counts[..., TRUE, None] - tp
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "ap": ratio(tp, tp + fp + fn),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
    }


def figures_of(counts: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores `[...]` of counts `[..., HEAD + 2 T]`, and how many objects each rests on."""
    at = at_thresholds(counts)
    true, tp = counts[..., TRUE], at["tp"][..., 0]
    predicted = tp + at["fp"][..., 0]
    f1, iou = at["f1"][..., 0], ratio(counts[..., IOU], tp)
    sq = np.where((tp == 0) & (true + predicted > 0), 0.0, iou)
    errors = {
        name: (counts[..., FIRST_ERROR + i], true) for i, name in enumerate(ERRORS)
    }
    return {
        "dsb_ap": (mean_defined(at["ap"][..., len(NAMED) :]), true),
        "dsb_ap50": (at["ap"][..., 0], true),
        "dsb_ap75": (at["ap"][..., 1], true),
        "precision": (at["precision"][..., 0], predicted),
        "recall": (at["recall"][..., 0], true),
        "f1": (f1, true),
        "mean_iou": (iou, tp),
        "pq": (sq * f1, true),
        "sq": (sq, true),
        "rq": (f1, true),
        "seg": (ratio(counts[..., SEG], true), true),
        "aji": (ratio(counts[..., SHARED], counts[..., UNION]), true),
        "missed": errors.pop("missed"),
        "false": (counts[..., FALSE_OBJECTS], predicted),
        **errors,
    }
