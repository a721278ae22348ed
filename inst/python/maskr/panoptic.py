"""Panoptic segmentations: segment ids, 0 for void, and what each segment is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskr.arrays import array_to_r
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances, encode_labels


@dataclass
class Panoptic:
    """Segments of one image or volume.

    Parameters
    ----------
    ids
        int32 `[H, W]` or `[D, H, W]` of segment ids; 0 is void.
    segment_ids
        int32 `[S]`, each above 0 and once.
    class_ids
        int32 `[S]`.
    isthing
        bool `[S]`: countable objects, as against stuff.
    scores
        float64 `[S]`; NaN where there is none.
    iscrowd
        bool `[S]`: regions of many things that were not told apart; None for none.
    """

    ids: np.ndarray
    segment_ids: np.ndarray
    class_ids: np.ndarray
    isthing: np.ndarray
    scores: np.ndarray
    iscrowd: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.iscrowd is None:
            self.iscrowd = np.zeros(len(self.segment_ids), dtype=bool)
        unknown = np.setdiff1d(self.ids, np.append(self.segment_ids, 0))
        if unknown.size > 0:
            raise DataError(f"Segment id {unknown[0]} has no entry among the segments.")

    @property
    def areas(self) -> np.ndarray:
        """Pixels of each segment, float64 `[S]`."""
        found, counts = np.unique(self.ids, return_counts=True)
        known = dict(zip(found.tolist(), counts.tolist(), strict=True))
        return np.array([known.get(int(i), 0) for i in self.segment_ids], dtype=float)

    @classmethod
    def from_instances(cls, instances: Instances) -> "Panoptic":
        """Make things of instances; overlaps as `Instances.flatten()` decides them."""
        n = len(instances)
        numbers = np.arange(1, n + 1, dtype=np.int32)
        isthing = np.ones(n, dtype=bool)
        return cls(instances.flatten(), numbers, instances.class_ids, isthing, instances.scores)

    def to_instances(self) -> Instances:
        """Make instances of the things that have pixels, in the order of their ids.

        Raises
        ------
        ShapeError
            If this is a volume.
        """
        if self.ids.ndim != 2:
            raise ShapeError("Instances are 2D only, and this is a volume.")
        labels = np.where(np.isin(self.ids, self.segment_ids[self.isthing]), self.ids, 0)
        numbers = np.unique(labels)
        place = {int(s): i for i, s in enumerate(self.segment_ids)}
        rows = [place[int(n)] for n in numbers if n > 0]
        return Instances.from_rles(
            encode_labels(labels), labels.shape, self.class_ids[rows], self.scores[rows]
        )

    def to_classes(self, void: int) -> np.ndarray:
        """Replace segment ids by class ids, int32; `void` stands where there is no segment."""
        classes = np.full(self.ids.shape, void, dtype=np.int32)
        for segment, class_id in zip(self.segment_ids, self.class_ids, strict=True):
            classes[self.ids == segment] = class_id
        return classes

    def to_r(self) -> dict:
        """Give `ids` and the columns of R's data frame of `segments`."""
        return {
            "ids": array_to_r(self.ids, np.int32),
            "segments": {
                "id": self.segment_ids,
                "class": self.class_ids,
                "isthing": self.isthing,
                "score": self.scores,
                "area": self.areas,
                "iscrowd": self.iscrowd,
            },
        }

    @classmethod
    def from_r(cls, ids: np.ndarray, segments: dict[str, Sequence]) -> "Panoptic":
        """Make a panoptic segmentation from R's array and data frame; the inverse of `to_r()`."""
        return cls(
            np.array(ids, dtype=np.int32, order="C"),
            np.asarray(segments["id"], dtype=np.int32).reshape(-1),
            np.asarray(segments["class"], dtype=np.int32).reshape(-1),
            np.asarray(segments["isthing"], dtype=bool).reshape(-1),
            np.asarray(segments["score"], dtype=float).reshape(-1),
            np.asarray(segments["iscrowd"], dtype=bool).reshape(-1)
            if "iscrowd" in segments
            else None,
        )
