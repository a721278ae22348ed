"""Panoptic quality, counted as panopticapi's evaluator does.

A true and a predicted segment of one class match if their IoU is above 1/2, which no third segment
can dispute. With TP matches, FP and FN segments without one, for each class:

SQ    sum of the matches' IoU / TP
RQ    TP / (TP + FP / 2 + FN / 2)
PQ    SQ * RQ

Overall scores are means over the classes that occur (TP + FP + FN > 0). Void pixels of the truth
are taken from the union of a match. A crowd of the truth matches nothing and is no FN. A predicted
segment is no FP if more than half of it lies in void pixels and the crowd of its class; of several
crowds of a class in one image the last counts. Void pixels of the prediction are pixels like
others: a segment of the truth that nothing was predicted for is an FN.

Source: Kirillov, A., He, K., Girshick, R., Rother, C. and Dollar, P. (2019), Panoptic segmentation,
section 4; crowds as in the evaluator of COCO's panoptic task.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from maskr.errors import DataError, ShapeError
from maskr.metrics.confusion import Missing, Pairs, count_pairs, ids_called, listing
from maskr.metrics.family import CLASS, Additive, Score, Scores, mean_defined, ratio

if TYPE_CHECKING:
    from maskr.metrics.segments import Segments
    from maskr.panoptic import Panoptic

IOU, TP, FP, FN = range(4)
"""What is counted of a class: the sum of the matches' IoU, and numbers of segments."""


class PanopticQuality(Additive):
    """Panoptic, segmentation and recognition quality; parts are float64 `[K, 4]`.

    Parameters
    ----------
    class_ids
        The K class ids that may occur.
    things
        Of each class: are its objects counted, as against stuff?

    Raises
    ------
    ShapeError
        If the lengths differ.
    """

    name = "panoptic"

    def __init__(self, class_ids: Sequence[int], things: Sequence[bool]) -> None:
        super().__init__(class_ids)
        self.things = np.atleast_1d(things).astype(bool)
        if self.things.size != len(self.class_ids):
            raise ShapeError(
                f"{len(self.class_ids)} classes came with {self.things.size} values of things."
            )
        self.shape = (len(self.class_ids), 4)

    def arguments(self) -> dict:
        """The class ids and which of them are things."""
        return {"class_ids": list(self.class_ids), "things": self.things.tolist()}

    def count(
        self, truth: "Panoptic | Segments", prediction: "Panoptic | Segments"
    ) -> np.ndarray:
        """Match an image's segments.

        Raises
        ------
        ShapeError
            If the sizes differ.
        DataError
            If these are no segments, a segment has no entry, or its class is unknown.
        """
        check_segments(truth, "truth")
        check_segments(prediction, "prediction")
        pairs = pairs_of_segments(truth.ids, prediction.ids)
        t = rows_of(truth, pairs.truth, "truth")
        p = rows_of(prediction, pairs.prediction, "prediction")
        class_t = self.classes_of(truth, "truth")
        class_p = self.classes_of(prediction, "prediction")
        crowd_t = np.append(False, truth.iscrowd)
        shared = pairs.pixels
        area_t = np.bincount(t, weights=shared, minlength=len(class_t))
        area_p = np.bincount(p, weights=shared, minlength=len(class_p))
        # of each predicted segment: pixels that are void in the truth, and those in a crowd too
        void = np.bincount(p[t == 0], weights=shared[t == 0], minlength=len(class_p))
        in_crowd = (t > 0) & (last_crowds(class_t, crowd_t, self.shape[0])[class_p[p]] == t)
        ignored = void + np.bincount(
            p[in_crowd], weights=shared[in_crowd], minlength=len(class_p)
        )

        same = np.flatnonzero((t > 0) & (p > 0) & (class_t[t] == class_p[p]) & ~crowd_t[t])
        t, p, shared = t[same], p[same], shared[same]
        iou = shared / (area_t[t] + area_p[p] - shared - void[p])
        matched = iou > 0.5
        alone_t, alone_p = area_t > 0, area_p > 0
        alone_t[t[matched]] = alone_p[p[matched]] = False
        alone_t &= ~crowd_t
        alone_p &= ~(2 * ignored > area_p)
        return self.table(
            class_t[t[matched]], iou[matched], class_p[1:][alone_p[1:]], class_t[1:][alone_t[1:]]
        )

    def table(
        self, matches: np.ndarray, iou: np.ndarray, alone_p: np.ndarray, alone_t: np.ndarray
    ) -> np.ndarray:
        """The part `[K, 4]` of the classes of matches, and of segments without one."""
        size = self.shape[0]
        columns = [
            np.bincount(matches, weights=iou, minlength=size),
            *(np.bincount(one, minlength=size) for one in (matches, alone_p, alone_t)),
        ]
        return np.stack(columns, axis=1).astype(np.float64)

    def classes_of(self, x: "Panoptic | Segments", what: str) -> np.ndarray:
        """The places of the segments' classes; the first, of void, is K."""
        ids = np.asarray(self.class_ids, dtype=np.int64)
        order = np.argsort(ids)
        places = order.take(np.searchsorted(ids, x.class_ids, sorter=order), mode="clip")
        unknown = np.unique(x.class_ids[ids[places] != x.class_ids])
        if unknown.size > 0:
            raise DataError(
                f"The {what} holds class id{'s' * (unknown.size > 1)} {listing(unknown)}, "
                f"not among the classes {listing(ids)}.",
                hint="Add it to `classes`.",
                argument=what,
            )
        return np.append(ids.size, places)

    def support(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Segments of each class in the truth of each image, but for crowds."""
        counts = np.stack(parts)
        return counts[..., TP] + counts[..., FN]

    def occurs(self, counts: np.ndarray) -> np.ndarray:
        """Which classes have a segment that counts, bool `[..., K]`."""
        return counts[..., TP:].sum(axis=-1) > 0

    def figures(self, counts: np.ndarray) -> Scores:
        """Scores of counts `[..., K, 4]`."""
        iou, tp, fp, fn = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
        whole = tp + (fp + fn) / 2
        found = {
            "pq": ratio(iou, whole),
            # a class without a match has the SQ 0, as in panopticapi
            "sq": np.where((tp == 0) & (whole > 0), 0.0, ratio(iou, tp)),
            "rq": ratio(tp, whole),
        }
        support = tp + fn
        every = np.ones_like(self.things)
        groups = {"": every, "_things": self.things, "_stuff": ~self.things}
        overall = {
            name + suffix: Score(mean_defined(value[..., group]), support[..., group].sum(axis=-1))
            for suffix, group in groups.items()
            for name, value in found.items()
        }
        return overall | {
            name + CLASS: Score(value, support, per_class=True) for name, value in found.items()
        }


def pairs_of_segments(truth: np.ndarray, prediction: np.ndarray) -> Pairs:
    """As `count_pairs()`, of segment ids."""
    with ids_called("segment id", "void"):
        return count_pairs(truth, prediction, Missing((), ()))


def check_segments(x: "Panoptic | Segments", what: str) -> None:
    """Refuse arrays, which do not say of which classes their segments are."""
    if not hasattr(x, "segment_ids"):
        raise DataError(
            f"The {what} must hold segments (Panoptic or Segments), not {type(x).__name__}.",
            hint="Panoptic(ids, segment_ids, class_ids, ...) makes them of an array of segment "
            "ids.",
            argument=what,
        )


def last_crowds(classes: np.ndarray, iscrowd: np.ndarray, size: int) -> np.ndarray:
    """The row of the last crowd of each of `size` classes and of void, 0 where there is none."""
    rows = np.zeros(size + 1, dtype=np.int64)
    np.maximum.at(rows, classes[iscrowd], np.flatnonzero(iscrowd))
    return rows


def rows_of(x: "Panoptic | Segments", ids: np.ndarray, what: str) -> np.ndarray:
    """Rows of segment ids, counted from 1; 0 for void.

    Raises
    ------
    DataError
        If an id belongs to no segment.
    """
    known = np.append(0, x.segment_ids)
    order = np.argsort(known)
    rows = order.take(np.searchsorted(known, ids, sorter=order), mode="clip")
    unknown = ids[known[rows] != ids]
    if unknown.size > 0:
        raise DataError(
            f"The {what} holds segment id {unknown[0]}, which has no entry among its segments.",
            argument=what,
        )
    return rows
