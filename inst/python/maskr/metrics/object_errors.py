"""What is wrong with each object: every true and every predicted object gets exactly one verdict.

Within each class, in this order:

correct           the pair is matched: its IoU reaches the threshold (`matching.match()`)
merged            a predicted object holds more than half of each of two or more true ones: it and
                  those of them that are not correct
split             the same the other way round: a true object holds more than half of each of two
                  or more predicted ones; it and those of them that are not correct
poorly outlined   of what is left, pairs whose IoU reaches 0.1 (matched again, one to one)
missed            other true objects
false             other predicted objects

So a true object of which another one took possession is merged though that other one be correct,
and the crumb that was left over of a correct object is split. "More than half" is the criterion
by which the Cell Tracking Challenge takes an object for detected (Maska et al. 2014, A benchmark
for comparison of cell tracking algorithms); merges and splits as objects that meet several others,
and IoU 0.1 as the least that counts as meeting, are those of Caicedo et al. (2019), Evaluation of
deep learning strategies for nucleus segmentation in fluorescence images; 0.1 is also where Bolya
et al. (2020), TIDE, begin to speak of a bad outline rather than of background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskr.errors import in_image
from maskr.metrics.matching import match
from maskr.metrics.objects import Objects
from maskr.metrics.overlaps import Image, Overlaps, Side, overlaps

KINDS = ("correct", "missed", "false", "merged", "split", "poorly_outlined")
CORRECT, MISSED, FALSE, MERGED, SPLIT, POORLY_OUTLINED = range(len(KINDS))

MET = 0.1
"""The least IoU of an object that was found, however badly."""


@dataclass(frozen=True)
class Verdicts:
    """What is wrong with N objects.

    Parameters
    ----------
    kind
        int `[N]`: position in `KINDS`.
    partner
        int `[N]`: the object of the other side that the verdict is about, from 0; -1 for none.
    iou
        float64 `[N]`: IoU with the partner, or, without one, the largest with any object.
    """

    kind: np.ndarray
    partner: np.ndarray
    iou: np.ndarray

    @classmethod
    def first(cls, n: int, kind: int, objects: np.ndarray, iou: np.ndarray) -> "Verdicts":
        """All of one kind; `objects` and `iou` `[P]` are those of the pairs."""
        best = np.zeros(n)
        np.maximum.at(best, objects, iou)
        return cls(np.full(n, kind), np.full(n, -1), best)

    def decide(
        self, objects: np.ndarray, kind: int | np.ndarray, partner: np.ndarray, iou: np.ndarray
    ) -> None:
        """Set the verdict of objects; of several for one, the last stays."""
        self.kind[objects] = kind
        self.partner[objects] = partner
        self.iou[objects] = iou


def judge(found: Overlaps, threshold: float) -> tuple[Verdicts, Verdicts]:
    """What is wrong with the true and with the predicted objects of one class.

    Predicted objects that a crowd excuses are neither merged, split nor poorly outlined; they are
    "false" here, and not to be counted.

    Parameters
    ----------
    found
        The objects.
    threshold
        The IoU from which on a pair is correct.
    """
    iou = found.iou
    truth = Verdicts.first(found.truth.size, MISSED, found.rows, iou)
    prediction = Verdicts.first(found.prediction.size, FALSE, found.columns, iou)
    pair_up(found, match(found, threshold), CORRECT, truth, prediction)
    found = found.pairs(~(found.excused & (prediction.kind == FALSE))[found.columns])
    sides = (truth, found.rows, found.truth), (prediction, found.columns, found.prediction)
    share_out(found, MERGED, *sides)
    share_out(found, SPLIT, *reversed(sides))
    free = (truth.kind == MISSED)[found.rows] & (prediction.kind == FALSE)[found.columns]
    left = found.pairs(free)
    pair_up(left, match(left, MET), POORLY_OUTLINED, truth, prediction)
    return truth, prediction


def pair_up(
    found: Overlaps, pairs: np.ndarray, kind: int, truth: Verdicts, prediction: Verdicts
) -> None:
    """Give both objects of some pairs the same verdict."""
    rows, columns, iou = found.rows[pairs], found.columns[pairs], found.iou[pairs]
    truth.decide(rows, kind, columns, iou)
    prediction.decide(columns, kind, rows, iou)


Half = tuple[Verdicts, np.ndarray, np.ndarray]
"""Verdicts of one side, which of its objects each pair is about, and the areas of its objects."""


def share_out(found: Overlaps, kind: int, inner: Half, outer: Half) -> None:
    """Find objects that hold more than half of each of two or more of the other side."""
    verdicts, objects, areas = inner
    held = np.flatnonzero(2 * found.pixels > areas[objects])
    # of several that hold one object, which must overlap then, the one with most of it
    held = held[np.argsort(found.pixels[held], kind="stable")]
    holder = np.full(areas.size, -1)
    holder[objects[held]] = outer[1][held]
    held = held[holder[objects[held]] == outer[1][held]]
    several = np.bincount(outer[1][held], minlength=outer[2].size) >= 2
    held = held[several[outer[1][held]]]
    held = held[np.argsort(found.iou[held], kind="stable")]
    decide_open(verdicts, objects[held], kind, outer[1][held], found.iou[held])
    decide_open(outer[0], outer[1][held], kind, objects[held], found.iou[held])


def decide_open(
    verdicts: Verdicts, objects: np.ndarray, kind: int, partner: np.ndarray, iou: np.ndarray
) -> None:
    """Set the verdict of those objects that have none yet."""
    free = np.isin(verdicts.kind[objects], (MISSED, FALSE))
    verdicts.decide(objects[free], kind, partner[free], iou[free])


def judge_all(
    truth: Sequence[Image], prediction: Sequence[Image], class_ids: Sequence[int], iou: float
) -> dict[str, np.ndarray | list[str]]:
    """One row for each object of some images: what R's `seg_errors()` shows.

    Parameters
    ----------
    truth, prediction
        Equally many images.
    class_ids
        The classes that may occur.
    iou
        The IoU from which on a pair is correct.

    Returns
    -------
    dict
        Columns `image` (int32, from 1), `data` ("truth" or "prediction"), `number` (int32: label,
        or position from 1), `class` (int32), `error`, `iou`, `partner` (int32: its number, 0 for
        none). Truth comes before prediction in each image. Crowds, and predicted objects that
        match nothing and that a crowd excuses, have no row.

    Raises
    ------
    ShapeError, DataError
        As `overlaps()`; the message says which image.
    """
    tables = []
    for i, pair in enumerate(zip(truth, prediction, strict=True), start=1):
        with in_image(i, len(truth)):
            tables += judge_image(i, *pair, class_ids, iou)
    out = {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}
    kinds = out.pop("kind")
    return out | {
        "data": out["data"].tolist(),
        "error": [KINDS[kind] for kind in kinds],
    }


def judge_image(
    image: int, truth: Image, prediction: Image, class_ids: Sequence[int], iou: float
) -> list[dict[str, np.ndarray]]:
    """Columns of the rows of one image: of the truth and of the prediction."""
    found = overlaps(truth, prediction, class_ids)
    sides = (found.truth, found.prediction)
    verdicts = [Verdicts.first(side.areas.size, LEFT_OUT, EMPTY, EMPTY) for side in sides]
    for class_id in found.class_ids:
        of_class, *positions = found.of_class(class_id)
        judged = judge(of_class, iou)
        judged[1].kind[of_class.excused & (judged[1].kind == FALSE)] = LEFT_OUT
        for i, one in enumerate(judged):
            other = np.append(positions[1 - i], -1)
            verdicts[i].decide(positions[i], one.kind, other[one.partner], one.iou)
    return [
        columns_of(image, data, side, other.numbers, judged)
        for data, side, other, judged in zip(
            ("truth", "prediction"), sides, reversed(sides), verdicts, strict=True
        )
    ]


LEFT_OUT = -1
"""Stands for the kind of crowds, and of predicted objects that they excuse."""

EMPTY = np.zeros(0, dtype=int)


def columns_of(
    image: int, data: str, side: Side, others: np.ndarray, verdicts: Verdicts
) -> dict[str, np.ndarray]:
    """Columns of the objects of one side; `others` are the numbers of the other side's."""
    shown = verdicts.kind != LEFT_OUT
    n = np.count_nonzero(shown)
    return {
        "image": np.full(n, image, dtype=np.int32),
        "data": np.full(n, data),
        "number": side.numbers[shown].astype(np.int32),
        "class": side.class_ids[shown].astype(np.int32),
        "kind": verdicts.kind[shown],
        "iou": verdicts.iou[shown],
        "partner": np.append(others, 0)[verdicts.partner[shown]].astype(np.int32),
    }


def r_errors(
    truth: list[dict], prediction: list[dict], class_ids: list[int], iou: float
) -> dict[str, np.ndarray | list[str]]:
    """`judge_all()` for R: images as `Objects.from_r()` takes them."""
    pairs = ([Objects.from_r(x) for x in side] for side in (truth, prediction))
    return judge_all(*pairs, [int(one) for one in class_ids], iou)
