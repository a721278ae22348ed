"""The verdict on each object: hand-worked examples of every kind, and laws that always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from maskr.errors import ShapeError
from maskr.instances import Instances
from maskr.metrics.object_errors import KINDS, judge_all, r_errors
from maskr.metrics.objects import Objects


def rows(truth, prediction, class_ids=(1,), iou: float = 0.5) -> dict[tuple, tuple]:
    """Error, partner and IoU by side and number."""
    found = judge_all([truth], [prediction], list(class_ids), iou)
    return {
        key: (error, partner, round(iou, 6))
        for *key, error, partner, iou in zip(
            found["data"], found["number"].tolist(), found["error"], found["partner"].tolist(),
            found["iou"].tolist(), strict=True,
        )
        for key in [tuple(key)]
    }


def strip(text: str) -> np.ndarray:
    """An image of three equal rows: one digit for each pixel, dots for the background."""
    row = [int(one) for one in text.replace(".", "0")]
    return np.array([row] * 3)


def test_a_merge_is_told_of_all_three_objects():
    found = rows(strip("111.2222.."), strip("77777777.."))
    assert found == {
        ("truth", 1): ("merged", 7, 0.375),
        ("truth", 2): ("correct", 7, 0.5),
        ("prediction", 7): ("correct", 2, 0.5),
    }
    found = rows(strip("111.2222.."), strip("7777777777"))
    assert found == {
        ("truth", 1): ("merged", 7, 0.3),
        ("truth", 2): ("merged", 7, 0.4),
        ("prediction", 7): ("merged", 2, 0.4),
    }


def test_a_split_is_told_of_all_three_objects():
    found = rows(strip("111111111."), strip("333.4444.."))
    assert found == {
        ("truth", 1): ("split", 4, round(4 / 9, 6)),
        ("prediction", 3): ("split", 1, round(3 / 9, 6)),
        ("prediction", 4): ("split", 1, round(4 / 9, 6)),
    }


def test_a_crumb_of_a_correct_object_is_split():
    found = rows(strip("1111111111"), strip("33333333.4"))
    assert found == {
        ("truth", 1): ("correct", 3, 0.8),
        ("prediction", 3): ("correct", 1, 0.8),
        ("prediction", 4): ("split", 1, 0.1),
    }


def test_missed_false_and_poorly_outlined():
    found = rows(strip("111..22...44"), strip(".3333.55..4."))
    assert found == {
        ("truth", 1): ("poorly_outlined", 3, 0.4),
        ("truth", 2): ("poorly_outlined", 5, round(1 / 3, 6)),
        ("truth", 4): ("correct", 4, 0.5),
        ("prediction", 3): ("poorly_outlined", 1, 0.4),
        ("prediction", 4): ("correct", 4, 0.5),
        ("prediction", 5): ("poorly_outlined", 2, round(1 / 3, 6)),
    }
    # less than 0.1 of their union, or no pixel at all
    found = rows(strip("11111.......222"), strip("....33333333..."), iou=0.5)
    assert found == {
        ("truth", 1): ("missed", 0, round(1 / 12, 6)),
        ("truth", 2): ("missed", 0, 0),
        ("prediction", 3): ("false", 0, round(1 / 12, 6)),
    }


def test_an_object_next_to_a_correct_one_is_missed():
    found = rows(strip("1111122..."), strip("777777...."))
    assert found[("truth", 1)][0] == "correct"
    # half of it is no more than half
    assert found[("truth", 2)] == ("missed", 0, round(1 / 7, 6))


def test_the_threshold_decides_what_is_correct():
    truth, prediction = strip("1111111..."), strip("11111.....")
    assert rows(truth, prediction, iou=0.7)[("truth", 1)][0] == "correct"
    assert rows(truth, prediction, iou=0.75)[("truth", 1)][0] == "poorly_outlined"


def test_of_overlapping_holders_the_one_with_most_of_an_object_counts():
    masks = np.zeros((3, 4, 12), dtype=bool)
    masks[0, :, :12] = True  # holds all of both
    masks[1, :, :3] = True
    masks[2, :3, 5:12] = True  # matches the second
    truth = np.zeros((2, 4, 12), dtype=bool)
    truth[0, :, 1:4] = True
    truth[1, :, 5:12] = True
    found = rows(
        Instances.from_masks(truth, [1, 1]), Instances.from_masks(masks[[0, 2]], [1, 1]), iou=0.6
    )
    assert found[("truth", 1)] == ("merged", 1, 0.25)
    assert found[("truth", 2)] == ("correct", 2, 0.75)
    assert found[("prediction", 1)][:2] == ("merged", 2)


def test_objects_of_another_class_are_no_partners():
    masks = np.zeros((1, 3, 5), dtype=bool)
    masks[0, 1:, 1:4] = True
    found = rows(Instances.from_masks(masks, [4]), Instances.from_masks(masks, [6]), (4, 6))
    assert found == {("truth", 1): ("missed", 0, 0), ("prediction", 1): ("false", 0, 0)}


def test_crowds_and_what_they_excuse_have_no_row():
    masks = np.zeros((3, 6, 9), dtype=bool)
    masks[0, :, :5] = True
    masks[1, :2, 6:] = True
    masks[2, 1:3, 1:4] = True
    truth = Objects(Instances.from_masks(masks[:2], [1, 1]), np.array([True, False]))
    found = rows(truth, Instances.from_masks(masks[1:], [1, 1]))
    assert found == {("truth", 2): ("correct", 1, 1), ("prediction", 1): ("correct", 2, 1)}


def test_volumes_are_judged_alike():
    truth = np.stack([strip("11..222"), strip("11..222")])
    found = rows(truth, np.where(truth == 2, 8, 0))
    assert found == {
        ("truth", 1): ("missed", 0, 0), ("truth", 2): ("correct", 8, 1),
        ("prediction", 8): ("correct", 2, 1),
    }


def test_images_are_numbered_and_named_in_errors():
    one = strip("1.22")
    found = judge_all([one, one * 0, one], [one, one, one * 0], [1], 0.5)
    assert found["image"].tolist() == [1] * 4 + [2] * 2 + [3] * 2
    assert found["error"] == ["correct"] * 4 + ["false"] * 2 + ["missed"] * 2
    with pytest.raises(ShapeError, match="Image 2: .*3 x 4 and 3 x 3"):
        judge_all([one, one], [one, one[:, 1:]], [1], 0.5)


def test_no_object_anywhere_gives_columns_without_rows():
    found = judge_all([strip("....")], [strip("....")], [1], 0.5)
    assert {len(column) for column in found.values()} == {0}
    assert found["image"].dtype == found["partner"].dtype == np.int32


def test_r_hands_over_objects_and_segments():
    labels = strip("11.22")
    columns = {"columns": Instances.from_labels(labels, 1).to_r(), "size": [3, 5]}
    columns["crowd"] = [False, False]
    found = r_errors([columns], [columns], [1], 0.5)
    assert found["number"].tolist() == [1, 2, 1, 2]
    segments = {"id": [2, 1], "class": [1, 1], "isthing": [True, True], "score": [np.nan] * 2}
    found = r_errors([{"ids": labels, "segments": segments}], [columns], [1], 0.5)
    assert found["error"] == ["correct"] * 4
    found = r_errors([columns | {"crowd": [False, True]}], [columns], [1], 0.5)
    assert found["number"].tolist() == [1, 1]


labels = hnp.arrays(np.int32, st.just((5, 8)), elements=st.integers(0, 4))


@settings(max_examples=80, deadline=None)
@given(labels, labels)
def test_every_object_has_one_verdict_that_its_partner_shares(truth, prediction):
    found = rows(truth, prediction)
    numbers = [("truth", n) for n in np.unique(truth[truth > 0])]
    numbers += [("prediction", n) for n in np.unique(prediction[prediction > 0])]
    assert set(found) == set(numbers)
    back = rows(prediction, truth)
    other = {"truth": "prediction", "prediction": "truth"}
    for (data, number), (error, partner, _) in found.items():
        assert error in KINDS
        assert (partner == 0) == (error in ("missed", "false"))
        if error in ("correct", "poorly_outlined"):
            assert found[(other[data], partner)][:2] == (error, number)
    counts = [sum(one[0] in kinds for one in found.values()) for kinds in ({"correct"}, {"false"})]
    there = [sum(one[0] in kinds for one in back.values()) for kinds in ({"correct"}, {"missed"})]
    assert counts == there
