"""Objects in an image: boxes, scores, and masks as COCO run lengths, overlaps kept.

A run-length string counts pixels column by column, as COCO defines it; encoding and decoding are
done in C by faster-coco-eval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskr.errors import DataError, ShapeError


@dataclass
class Instances:
    """Objects of one image.

    Parameters
    ----------
    size
        Height and width of the image in pixels.
    class_ids
        int32 `[N]`.
    scores
        float64 `[N]`; NaN where there is none.
    boxes
        float64 `[N, 4]`: xmin, ymin, xmax, ymax in pixels, 0-based and half-open.
    areas
        float64 `[N]` in pixels.
    rles
        COCO's compressed counts, one string each.
    """

    size: tuple[int, int]
    class_ids: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    rles: list[str]

    def __len__(self) -> int:
        return len(self.rles)

    @classmethod
    def from_masks(
        cls,
        masks: np.ndarray,
        class_ids: Sequence[int] | np.ndarray,
        scores: Sequence[float] | np.ndarray | None = None,
        boxes: np.ndarray | None = None,
    ) -> "Instances":
        """From bool masks `[N, H, W]`; without `boxes` those of the masks are taken.

        Raises
        ------
        ShapeError
            If the lengths differ.
        """
        masks = np.asarray(masks)
        if masks.ndim != 3:
            raise ShapeError(f"Masks must be [N, H, W], not {masks.shape}.")
        size = (masks.shape[1], masks.shape[2])
        rles = encode(masks)
        return cls.from_rles(rles, size, class_ids, scores, boxes)

    @classmethod
    def from_rles(
        cls,
        rles: list[str],
        size: tuple[int, int],
        class_ids: Sequence[int] | np.ndarray,
        scores: Sequence[float] | np.ndarray | None = None,
        boxes: np.ndarray | None = None,
    ) -> "Instances":
        """From run lengths; areas, and boxes where not given, are those of the masks."""
        n = len(rles)
        class_ids = np.asarray(class_ids, dtype=np.int32).reshape(-1)
        scores = np.full(n, np.nan) if scores is None else np.asarray(scores, float).reshape(-1)
        if len(class_ids) != n or len(scores) != n:
            raise ShapeError(f"{n} masks came with {len(class_ids)} classes, {len(scores)} scores.")
        areas, own_boxes = measure(rles, size)
        boxes = own_boxes if boxes is None else np.asarray(boxes, dtype=float).reshape(n, 4)
        return cls((int(size[0]), int(size[1])), class_ids, scores, boxes, areas, rles)

    @classmethod
    def from_labels(cls, labels: np.ndarray, class_id: int) -> "Instances":
        """From a label image `[H, W]`: 0 is background, each other number one object."""
        rles = encode_labels(np.asarray(labels))
        return cls.from_rles(rles, labels.shape, [class_id] * len(rles))

    @classmethod
    def from_r(cls, columns: dict, size: Sequence[int]) -> "Instances":
        """From the columns of R's data frame; the inverse of `to_r()`."""
        boxes = [column(columns, name, float) for name in ("xmin", "ymin", "xmax", "ymax")]
        rle = columns["rle"]
        return cls(
            (int(size[0]), int(size[1])),
            column(columns, "class", np.int32),
            column(columns, "score", float),
            np.stack(boxes, axis=1),
            column(columns, "area", float),
            [rle] if isinstance(rle, str) else list(rle),
        )

    def masks(self, which: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Bool masks `[N, H, W]` of all objects, or of those `which` (0-based)."""
        chosen = self.rles if which is None else [self.rles[i] for i in which]
        return decode(chosen, self.size)

    def to_r(self) -> dict:
        """Equal-length columns of R's data frame."""
        return {
            "class": self.class_ids,
            "score": self.scores,
            "xmin": self.boxes[:, 0],
            "ymin": self.boxes[:, 1],
            "xmax": self.boxes[:, 2],
            "ymax": self.boxes[:, 3],
            "area": self.areas,
            "rle": self.rles,
        }


def column(columns: dict, name: str, dtype: type) -> np.ndarray:
    return np.asarray(columns[name], dtype=dtype).reshape(-1)


def encode(masks: np.ndarray) -> list[str]:
    """COCO's compressed counts of masks `[N, H, W]`."""
    from faster_coco_eval.core import mask as coco

    if masks.shape[0] == 0:
        return []
    planes = np.asfortranarray(masks.transpose(1, 2, 0) != 0).astype(np.uint8, order="F")
    return [as_text(rle["counts"]) for rle in coco.encode(planes)]


def encode_labels(labels: np.ndarray) -> list[str]:
    """COCO's compressed counts of each label above 0 in `[H, W]`, in ascending order."""
    from faster_coco_eval.core import mask as coco

    height, width = labels.shape
    flat = labels.ravel(order="F")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1))
    ends = np.append(starts[1:], flat.size)
    value = flat[starts]
    order = np.argsort(value, kind="stable")
    order = order[value[order] > 0]
    if order.size == 0:
        return []
    cuts = np.flatnonzero(np.diff(value[order])) + 1
    counts = [
        run_counts(starts[runs], ends[runs], flat.size) for runs in np.split(order, cuts)
    ]
    objects = [{"counts": c, "size": [height, width]} for c in counts]
    return [as_text(rle["counts"]) for rle in coco.frPyObjects(objects, height, width)]


def run_counts(starts: np.ndarray, ends: np.ndarray, n: int) -> list[int]:
    """Alternating run lengths, background first, of `n` pixels."""
    edges = np.concatenate(([0], np.stack((starts, ends), axis=1).ravel(), [n]))
    counts = np.diff(edges).tolist()
    return counts[:-1] if counts[-1] == 0 else counts


def decode(rles: list[str], size: tuple[int, int]) -> np.ndarray:
    """Bool masks `[N, H, W]` of compressed counts.

    Raises
    ------
    DataError
        If a string is no run-length code of an image of this size.
    """
    from faster_coco_eval.core import mask as coco

    if not rles:
        return np.zeros((0, *size), dtype=bool)
    try:
        planes = coco.decode(as_objects(rles, size))
    except (RuntimeError, ValueError, TypeError) as error:
        raise DataError(f"An rle does not fit an image of {size[0]} x {size[1]} pixels.") from error
    return planes.transpose(2, 0, 1).astype(bool)


def measure(rles: list[str], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Areas `[N]` and boxes `[N, 4]` (xmin, ymin, xmax, ymax) of compressed counts."""
    from faster_coco_eval.core import mask as coco

    if not rles:
        return np.zeros(0), np.zeros((0, 4))
    objects = as_objects(rles, size)
    boxes = np.asarray(coco.toBbox(objects), dtype=float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return np.asarray(coco.area(objects), dtype=float).reshape(-1), boxes


def as_objects(rles: list[str], size: tuple[int, int]) -> list[dict]:
    return [{"counts": r.encode("ascii"), "size": [int(size[0]), int(size[1])]} for r in rles]


def as_text(counts: bytes | str) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts
