"""What families, accumulators and boxes are not made for is refused in words."""

import numpy as np
import pytest
from maskr.errors import DataError
from maskr.metrics import Accumulator, Bioimage, Coco, PanopticQuality, Semantic
from maskr.metrics.boxes import overlap

LABELS = np.array([[0, 1, 1], [2, 2, 0]])


def test_an_accumulator_without_families():
    with pytest.raises(DataError, match="Nothing was named to be counted") as error:
        Accumulator([])
    assert "Semantic" in error.value.hint


@pytest.mark.parametrize("family", [Semantic([0, 1, 2]), Bioimage([1]), Coco([1])])
def test_scores_are_pooled_or_means(family):
    counted = Accumulator([family], keep=True)
    for ask in (counted.scores, counted.table):
        with pytest.raises(DataError, match='pooled or mean, not "median"') as error:
            ask("median")
        assert error.value.argument == "aggregate"


def test_arrays_are_no_objects_with_scores():
    counted = Accumulator([Coco([1])])
    with pytest.raises(DataError, match="not ndarray") as error:
        counted.update(LABELS, LABELS)
    assert "Instances.from_labels" in error.value.hint
    assert counted.images == 0


def test_arrays_are_no_segments():
    with pytest.raises(DataError, match="The truth must hold segments .* not ndarray") as error:
        Accumulator([PanopticQuality([1], [True])]).update(LABELS, LABELS)
    assert error.value.argument == "truth"


def test_boxes_overlap_in_four_ways():
    with pytest.raises(DataError, match="iou, giou, diou, ciou, not x"):
        overlap(np.zeros((1, 4)), np.zeros((1, 4)), kind="x")


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (LABELS / 2, LABELS, "The truth must hold whole labels, not float64 numbers"),
        (LABELS, LABELS - 3, "The prediction holds -3, which is not a label"),
        (LABELS - 3, LABELS, "The truth holds -3, which is not a label"),
    ],
)
def test_label_images_hold_labels(truth, prediction, message):
    with pytest.raises(DataError, match=message) as error:
        Bioimage([1]).count(truth, prediction)
    assert error.value.hint == "Labels are whole numbers from 0 up; 0 is the background."
