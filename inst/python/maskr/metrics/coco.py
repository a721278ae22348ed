"""COCO's scores of detected objects: average precision and recall for masks, boxes and boundaries.

Run lengths, overlaps and boundaries are computed by faster-coco-eval. The overlap of a predicted
object with a true one is the intersection over the union of their masks or boxes; with a crowd,
the share of the prediction that lies in it. For "boundary" it is the smaller of those of the masks
and of their boundaries, which are 2 % of the image's diagonal wide; in crowds, that of the masks.
Sources: Lin et al. (2014), Microsoft COCO: common objects in context; Cheng et al. (2021), Boundary
IoU: improving object-centric image segmentation evaluation.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from maskr.errors import DataError, ShapeError, in_image
from maskr.instances import bad_rle, packed, pixel_counts
from maskr.metrics.coco_matching import SIZES, THRESHOLDS, Matches, Overlap, match_all
from maskr.metrics.coco_precision import Hits, Table, averages
from maskr.metrics.family import CLASS, Family, Score, Scores, mean_defined
from maskr.metrics.objects import Objects, of_argument

TYPES = ("mask", "box", "boundary")


class Coco(Family[Matches]):
    """COCO's twelve scores, overall and some for each class.

    Sizes are judged by areas: at most 32 x 32 pixels for small and 96 x 96 for medium ones, both
    ends included. True objects have those that they come with (of their file, else of their masks,
    for boxes too), predictions those of what overlaps: their boxes for "box", else their masks. Of
    COCO's results from a file COCO's own reader decides: by boxes where the file has some. In each
    image the 100 predictions of a class with the highest scores count. Of equal scores in different
    images that of the earlier image is ranked higher, as in pycocotools, so that the order of
    images may decide.

    Parameters
    ----------
    class_ids
        The K class ids that may occur.
    type
        What overlaps: "mask", "box" or "boundary".

    Raises
    ------
    DataError
        If `type` is another word.
    """

    name = "coco"

    def __init__(self, class_ids: Sequence[int], type: str = "mask") -> None:
        super().__init__(class_ids)
        if type not in TYPES:
            raise DataError(f"Objects overlap by {', '.join(TYPES)}, not {type}.", argument="type")
        self.type = type

    def arguments(self) -> dict:
        """The class ids and what overlaps."""
        return {"class_ids": list(self.class_ids), "type": self.type}

    def count(self, truth: Objects, prediction: Objects) -> Matches:
        """Match the objects of one image; see `count_all()`."""
        return self.count_all([truth], [prediction])[0]

    def count_all(self, truths: Sequence, predictions: Sequence) -> list[Matches]:
        """Match the objects of each image.

        Raises
        ------
        ShapeError
            If truth and prediction are of images of different sizes.
        DataError
            If an object has an unknown class, a prediction no score, a number is not finite that
            counts, or a run-length code does not fit its image.
        """
        truths, predictions = ([Objects.of(x) for x in xs] for xs in (truths, predictions))
        for i, pair in enumerate(zip(truths, predictions, strict=True), start=1):
            with in_image(i, len(truths)):
                check(*pair, self.class_ids, boxed=self.type == "box")
        if self.type == "box":
            predictions = [one.as_boxes() for one in predictions]
        overlap = (of_boxes if self.type == "box" else of_masks)(truths, predictions)
        if self.type == "boundary":
            overlap = of_boundaries(truths, predictions, overlap)
        return match_all(truths, predictions, self.class_ids, overlap)

    def support(self, parts: Sequence[Matches]) -> np.ndarray:
        """Objects of each class in the truth of each image, but for crowds."""
        return np.stack([one.wanted[:, 0] for one in parts])

    def pooled(self, parts: Sequence[Matches], weights: np.ndarray | None = None) -> Scores:
        """Scores of all images together; see `Family.pooled()`."""
        if not parts:
            parts = [nothing(len(self.class_ids))]
            weights = None if weights is None else np.zeros((len(weights), 1))
        table = Table.of(parts)
        times = np.ones((1, len(parts))) if weights is None else weights.astype(np.float64)
        wanted = np.tensordot(times, table.wanted.astype(np.float64), axes=1)
        hits = Hits.of(table, table.classes, len(self.class_ids))
        scores = summary(*averages(hits, wanted, times), wanted)
        if weights is not None:
            return scores
        return {key: Score(s.value[0], s.n[0], s.per_class) for key, s in scores.items()}

    def per_image(self, parts: Sequence[Matches]) -> Scores:
        """Scores of each image alone."""
        table, k = Table.of(parts), len(self.class_ids)
        hits = Hits.of(table, table.images * k + table.classes, len(parts) * k)
        wanted = table.wanted.astype(np.float64)
        found = averages(hits, wanted.reshape(1, -1, len(SIZES)), np.ones((1, len(parts))))
        apart = (np.moveaxis(x[0].reshape(*x.shape[1:-1], -1, k), -2, 0) for x in found)
        return summary(*apart, wanted)

    def fold(self, parts: Sequence[Matches]) -> Sequence[Matches]:
        """All parts: the order of all predictions by their scores decides."""
        return parts

    def pack(self, parts: Sequence[Matches]) -> dict:
        """The images' matches one after the other, and how many each has."""
        table = Table.of(parts or [nothing(len(self.class_ids))])
        curves = len(SIZES) * THRESHOLDS.size
        return {
            "sizes": np.array([one.scores.size for one in parts], dtype=np.int32),
            "classes": table.classes.astype(np.int32),
            "scores": table.scores,
            "ranks": table.ranks.astype(np.int32),
            "outcomes": table.outcomes.astype(np.int32).reshape(-1, curves),
            "wanted": np.stack([one.wanted for one in parts]).astype(np.int32) if parts else [],
        }

    def unpack(self, packed: dict) -> list[Matches]:
        """The inverse of `pack()`."""
        sizes = np.asarray(packed["sizes"], dtype=np.int64).reshape(-1)
        if sizes.size == 0:
            return []
        shapes = {
            "classes": (np.int64, (-1,)),
            "scores": (np.float64, (-1,)),
            "ranks": (np.int64, (-1,)),
            "outcomes": (np.int8, (-1, len(SIZES), THRESHOLDS.size)),
        }
        columns = [
            np.split(np.asarray(packed[name]).astype(dtype).reshape(shape), np.cumsum(sizes)[:-1])
            for name, (dtype, shape) in shapes.items()
        ]
        wanted = np.asarray(packed["wanted"], dtype=np.int64)
        wanted = wanted.reshape(sizes.size, len(self.class_ids), len(SIZES))
        return [Matches(*one) for one in zip(wanted, *columns, strict=True)]


def nothing(classes: int) -> Matches:
    """The matches of an image without objects."""
    none = np.zeros(0, dtype=np.int64)
    outcomes = np.zeros((0, len(SIZES), THRESHOLDS.size), dtype=np.int8)
    return Matches(np.zeros((classes, len(SIZES)), np.int64), none, np.zeros(0), none, outcomes)


def check(
    truth: Objects, prediction: Objects, class_ids: Sequence[int], boxed: bool = False
) -> None:
    """Refuse objects that can't be compared."""
    sizes = truth.instances.size, prediction.instances.size
    if sizes[0] != sizes[1]:
        raise ShapeError(
            "The true objects are those of an image of {} x {} pixels, the predicted ones of "
            "{} x {}.".format(*sizes[0], *sizes[1]),
            argument="prediction",
        )
    for objects, argument in ((truth, "truth"), (prediction, "prediction")):
        unknown = np.setdiff1d(objects.instances.class_ids, class_ids)
        if unknown.size:
            raise DataError(
                f"An object has the class id {unknown[0]}, which is not among the classes "
                f"{', '.join(map(str, class_ids))}.",
                argument=argument,
            )
        check_finite(objects.instances.areas[:, None], "area", argument)
        if boxed:
            check_finite(objects.instances.boxes, "box", argument)
    without = np.flatnonzero(np.isnan(prediction.instances.scores))
    if without.size:
        raise DataError(
            f"Predicted object {without[0] + 1} has no score, and average precision needs the "
            "score of each.",
            hint='Give the objects scores, or ask for the metrics "bioimage", which need none.',
            argument="prediction",
        )
    check_finite(prediction.instances.scores[:, None], "score", "prediction")


def check_finite(values: np.ndarray, what: str, argument: str) -> None:
    """Refuse objects of which one of some numbers `[N, M]` is missing or infinite."""
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if wrong.size:
        numbers = ", ".join("NA" if np.isnan(x) else str(x) for x in values[wrong[0]].tolist())
        mend = "as_seg_instances() makes the boxes and areas that a data frame lacks."
        if what == "score":
            mend = "Scores say how sure a prediction is, usually from 0 to 1."
        raise DataError(
            f"Object {wrong[0] + 1} of `{argument}` has the {what} {numbers}, and needs finite "
            "numbers.",
            hint=mend,
            argument=argument,
        )


def of_boxes(truths: Sequence[Objects], predictions: Sequence[Objects]) -> Overlap:
    """Overlaps of boxes."""
    true, found = ([with_extent(x.instances.boxes) for x in xs] for xs in (truths, predictions))

    def overlap(image: int, d: np.ndarray, g: np.ndarray) -> np.ndarray:
        return iou(found[image][d], true[image][g], truths[image].crowd[g])

    return overlap


def with_extent(boxes: np.ndarray) -> np.ndarray:
    """Boxes `[N, 4]` as x, y, width and height."""
    return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)


def of_masks(truths: Sequence[Objects], predictions: Sequence[Objects]) -> Overlap:
    """Overlaps of masks."""
    true, found = both_run_lengths(truths, predictions)
    return of_run_lengths(truths, true, found)


def both_run_lengths(truths: Sequence[Objects], predictions: Sequence[Objects]) -> tuple:
    """The masks of both sides; see `run_lengths()`."""
    with of_argument("truth"):
        true = run_lengths(truths, predictions)
    with of_argument("prediction"):
        found = run_lengths(predictions, truths)
    return true, found


def run_lengths(images: Sequence[Objects], others: Sequence[Objects]) -> list[list[dict | None]]:
    """Masks as COCO's library takes them; None for objects of classes that the other side lacks.

    The library trusts their length, so it is checked here, of all images at once.
    """
    meets = [
        np.isin(one.instances.class_ids, other.instances.class_ids)
        for one, other in zip(images, others, strict=True)
    ]
    sizes = np.array([one.instances.size for one in images], dtype=np.int64).reshape(-1, 2)
    number = np.repeat(np.arange(len(images)), [np.count_nonzero(one) for one in meets])
    covered = pixel_counts([
        one.instances.rles[i]
        for one, compared in zip(images, meets, strict=True)
        for i in np.flatnonzero(compared)
    ])
    wrong = np.flatnonzero(covered != sizes.prod(axis=1)[number])
    if wrong.size:
        first = int(number[wrong[0]])
        place = np.flatnonzero(meets[first])[wrong[0] - np.searchsorted(number, first)]
        with in_image(first + 1, len(images)):
            raise bad_rle(sizes[first], place)
    return [
        [
            packed([rle], one.instances.size)[0] if needed else None
            for rle, needed in zip(one.instances.rles, compared, strict=True)
        ]
        for one, compared in zip(images, meets, strict=True)
    ]


def of_run_lengths(truths: Sequence[Objects], true: list, found: list) -> Overlap:
    """Overlaps of lists of run lengths, one list of each image."""

    def overlap(image: int, d: np.ndarray, g: np.ndarray) -> np.ndarray:
        predicted = [found[image][i] for i in d]
        return iou(predicted, [true[image][i] for i in g], truths[image].crowd[g])

    return overlap


def iou(predicted: list | np.ndarray, true: list | np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Overlaps `[D, G]` by COCO's library."""
    from faster_coco_eval.core import mask as coco

    return np.asarray(coco.iou(predicted, true, crowd.astype(int).tolist()))


def of_boundaries(
    truths: Sequence[Objects], predictions: Sequence[Objects], of_masks: Overlap
) -> Overlap:
    """The smaller overlap, of masks and of their boundaries."""
    true, found = (
        [boundaries(one) for one in side] for side in both_run_lengths(truths, predictions)
    )
    of_rims = of_run_lengths(truths, true, found)

    def overlap(image: int, d: np.ndarray, g: np.ndarray) -> np.ndarray:
        masks = of_masks(image, d, g)
        return np.where(truths[image].crowd[g], masks, np.minimum(masks, of_rims(image, d, g)))

    return overlap


def boundaries(masks: Sequence[dict | None]) -> list[dict | None]:
    """The boundaries of masks, as run lengths both."""
    from faster_coco_eval.core import mask as coco

    return [one and coco.rleToBoundary(one) for one in masks]


def summary(precision: np.ndarray, recall: np.ndarray, wanted: np.ndarray) -> Scores:
    """COCO's scores.

    Parameters
    ----------
    precision
        Average precision `[..., A, T, K]`.
    recall
        `[..., M, A, T, K]`.
    wanted
        True objects `[..., K, A]`.
    """
    ap = {"ap": precision[..., 0, :, :].mean(axis=-2)}
    ap |= {"ap50": precision[..., 0, 0, :], "ap75": precision[..., 0, 5, :]}
    ar = {f"ar{m}": recall[..., i, 0, :, :].mean(axis=-2) for i, m in enumerate((1, 10, 100))}
    for i, size in enumerate(SIZES):
        if size != "all":
            ap[f"ap_{size}"] = precision[..., i, :, :].mean(axis=-2)
            ar[f"ar_{size}"] = recall[..., -1, i, :, :].mean(axis=-2)
    of_size = {name: i for i, name in enumerate(SIZES)}
    objects = wanted.sum(axis=-2)
    scores = {}
    for name, values in chain(ap.items(), ar.items()):
        n = objects[..., of_size.get(name.partition("_")[2], 0)]
        scores[name] = Score(mean_defined(values), n)
    for name in ("ap", "ap50", "ap75", "ar100"):
        values = (ap | ar)[name]
        scores[name + CLASS] = Score(values, wanted[..., 0], per_class=True)
    return scores
