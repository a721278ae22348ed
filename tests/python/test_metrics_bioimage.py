"""Scores of objects: hand-worked examples, StarDist's numbers, and laws that always hold."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from maskr.arrays import IGNORE, NA_INTEGER
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances
from maskr.metrics import Accumulator, runs
from maskr.metrics.bioimage import Bioimage
from maskr.metrics.matching import match
from maskr.metrics.objects import Objects
from maskr.metrics.overlaps import overlaps
from maskr.panoptic import Panoptic
from stardist.matching import matching, matching_dataset

# two true objects of 6 and 4 pixels; predictions of 4 in the first, 5 around the second, 2 of none
TRUTH = np.array([
    [1, 1, 1, 0, 0, 0, 0],
    [1, 1, 1, 0, 2, 2, 0],
    [0, 0, 0, 0, 2, 2, 0],
])
PREDICTION = np.array([
    [7, 7, 0, 0, 0, 0, 0],
    [7, 7, 0, 0, 4, 4, 4],
    [9, 9, 0, 0, 4, 4, 0],
])
COUNTS = ("missed", "false", "merged", "split", "poorly_outlined")


def values(truth, prediction, family: Bioimage | None = None) -> dict[str, float]:
    """Overall scores of one image."""
    family = family or Bioimage([1])
    scores = family.figures(family.count(truth, prediction))
    return {name: float(one.value) for name, one in scores.items() if not one.per_class}


def random_labels(rng: np.random.Generator, shape: tuple[int, ...], n: int) -> np.ndarray:
    """Boxes over each other; some labels may vanish."""
    labels = np.zeros(shape, dtype=np.int32)
    for label in rng.permutation(np.arange(1, n + 1)):
        corner = [rng.integers(0, side) for side in shape]
        labels[tuple(slice(c, c + rng.integers(2, 12)) for c in corner)] = label
    return labels


def spoiled(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """Labels moved a little, some gone, some fused."""
    out = np.roll(labels, rng.integers(-2, 3, labels.ndim), axis=range(labels.ndim))
    out[out % 7 == 1] = 0
    out[out % 11 == 2] = 3
    return out


# hand-worked --------------------------------------------------------------------------------------


def test_scores_of_two_objects():
    found = values(TRUTH, PREDICTION)
    iou = np.array([4 / 6, 4 / 5])
    # both are matched up to 0.65, the second alone up to 0.8
    ap = [2 / 3] * 4 + [1 / 4] * 3 + [0] * 3
    assert found["dsb_ap"] == pytest.approx(np.mean(ap))
    assert found["dsb_ap50"] == pytest.approx(2 / 3)
    assert found["dsb_ap75"] == pytest.approx(1 / 4)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == 1
    assert found["f1"] == pytest.approx(4 / 5)
    assert found["mean_iou"] == pytest.approx(iou.mean())
    assert found["pq"] == pytest.approx(4 / 5 * iou.mean())
    assert found["sq"] == found["mean_iou"]
    assert found["rq"] == found["f1"]
    assert found["seg"] == pytest.approx(iou.mean())
    assert found["aji"] == pytest.approx((4 + 4) / (6 + 5 + 2))
    assert [found[name] for name in COUNTS] == [0, 1, 0, 0, 0]


def test_panoptic_quality_counts_what_is_predicted_in_the_background():
    truth = np.zeros((40, 60), dtype=np.int32)
    truth[4:14, 4:14] = 1
    prediction = truth.copy()
    prediction[4:14, 14:24] = 1
    prediction[19:29, 29:39] = 2
    found = values(truth, prediction)
    # one pair of IoU 1/2, one false object
    assert [found[name] for name in ("rq", "sq", "pq")] == pytest.approx([2 / 3, 1 / 2, 1 / 3])
    stardist = matching(truth, prediction, thresh=0.5)
    assert found["pq"] == pytest.approx(stardist.panoptic_quality)
    nothing = np.zeros_like(truth)
    assert [values(truth, nothing)[name] for name in ("rq", "sq", "pq")] == [0, 0, 0]
    assert np.isnan([values(nothing, nothing)[name] for name in ("rq", "sq", "pq")]).all()


def test_classes_that_do_not_meet_are_counted_like_others():
    """Without a shared pixel there is nothing to match, and much to skip."""
    masks = np.zeros((4, 10, 12), dtype=bool)
    for i, mask in enumerate(masks):
        mask[i : i + 2, 3 * i : 3 * i + 3 - (i == 1)] = True
    truth = Objects(Instances.from_masks(masks[:3], [1, 1, 2]), np.array([False, False, True]))
    prediction = Instances.from_masks(masks[[3, 2]], [1, 2])
    family = Bioimage([1, 2, 9])
    found = overlaps(truth, prediction, [1, 2, 9])
    expected = [family.count_class(found.of_class(one)[0]) for one in (1, 2, 9)]
    np.testing.assert_array_equal(family.count(truth, prediction), expected)
    assert expected[0].any()
    apart = found.of_class(1)[0]
    np.testing.assert_array_equal(family.count_apart(apart), family.count_class(apart))


def test_seg_needs_more_than_half_of_the_true_object():
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2]])
    prediction = np.array([[5, 5, 0, 0, 0, 6, 6, 0]])
    found = values(truth, prediction)
    assert found["seg"] == pytest.approx((0 + 2 / 3) / 2)
    # half of the first suffices for a match at 0.5, an IoU equal to the threshold
    assert found["dsb_ap50"] == 1


def test_seg_takes_the_best_of_several_that_cover():
    masks = np.zeros((2, 1, 8), dtype=bool)
    masks[0, 0, :4] = True
    masks[1, 0, :3] = True
    truth = Instances.from_masks(masks[1:], [1])
    assert values(truth, Instances.from_masks(masks, [1, 1]))["seg"] == 1


def test_aji_lets_true_objects_choose_the_same_prediction():
    truth = np.array([[1, 1, 1, 0, 2, 2]])
    prediction = np.array([[3, 3, 3, 3, 3, 0]])
    # both choose the one: intersections 3 and 1, unions 5 and 6
    assert values(truth, prediction)["aji"] == pytest.approx(4 / 11)
    prediction = np.array([[0, 3, 3, 3, 0, 0]])
    # the second has none: its own area
    assert values(truth, prediction)["aji"] == pytest.approx(2 / (4 + 2))


def test_numbers_of_errors_and_correct_objects_add_up_to_the_true_ones(rng):
    truth, family = random_labels(rng, (60, 90), 40), Bioimage([1])
    scores = family.figures(family.count(truth, spoiled(rng, truth)))
    errors = sum(scores[name].value for name in COUNTS if name != "false")
    assert errors + scores["mean_iou"].n == np.unique(truth[truth > 0]).size
    assert all(scores[name].value > 0 for name in ("missed", "false", "poorly_outlined"))


def test_an_iou_equal_to_the_threshold_is_a_match():
    truth = np.array([[1] * 20])
    prediction = np.array([[1] * 11 + [0] * 9])
    thresholds = np.arange(0.5, 1, 0.05)  # the second is a little above 0.55
    family = Bioimage([1], thresholds)
    assert values(truth, prediction, family)["dsb_ap"] == pytest.approx(2 / 10)


def test_a_table_of_thresholds_over_all_and_of_each_class():
    family = Bioimage([1], [0.5, 0.7])
    table = family.details([family.count(TRUTH, PREDICTION)] * 2)["thresholds"]
    assert table["class"].tolist() == [NA_INTEGER] * 2 + [1] * 2
    assert table["threshold"].tolist() == [0.5, 0.7] * 2
    assert table["tp"].tolist() == [4, 2] * 2
    assert table["fp"].tolist() == [2, 4] * 2
    assert table["fn"].tolist() == [0, 2] * 2
    assert table["ap"] == pytest.approx([2 / 3, 1 / 4] * 2)
    assert table["precision"] == pytest.approx([2 / 3, 1 / 3] * 2)
    assert table["recall"] == pytest.approx([1, 1 / 2] * 2)
    assert table["f1"] == pytest.approx([4 / 5, 2 / 5] * 2)


# against StarDist ---------------------------------------------------------------------------------


def agrees_with_stardist(truth: np.ndarray, prediction: np.ndarray) -> None:
    family = Bioimage([1])
    theirs = matching(truth, prediction, thresh=family.thresholds)
    ours = family.details([family.count(truth, prediction)])["thresholds"]
    for name in ("tp", "fp", "fn"):
        assert ours[name][:10].tolist() == [getattr(one, name) for one in theirs]
    names = {"precision": "precision", "recall": "recall", "f1": "f1", "ap": "accuracy"}
    for name, their_name in names.items():
        expected = [getattr(one, their_name) for one in theirs]
        assert np.nan_to_num(ours[name][:10]) == pytest.approx(expected, abs=1e-12)
    found = values(truth, prediction, family)
    assert found["dsb_ap"] == pytest.approx(np.mean([one.accuracy for one in theirs]), abs=1e-12)
    # theirs are sums of float32
    assert np.nan_to_num(found["mean_iou"]) == pytest.approx(theirs[0].mean_matched_score, abs=1e-6)


@pytest.mark.parametrize("shape", [(40, 70), (70, 40), (11, 23, 30)])
def test_equals_stardist_on_random_labels(rng, shape):
    for _ in range(10):
        truth = random_labels(rng, shape, 30)
        agrees_with_stardist(truth, spoiled(rng, truth))
        agrees_with_stardist(truth, random_labels(rng, shape, 20))


@pytest.mark.parametrize("name", ["mask2d", "mask3d"])
def test_equals_stardist_on_its_own_labels(rng, shared_data, name):
    truth = tifffile.imread(shared_data(f"stardist/{name}.tif")).astype(np.int32)
    agrees_with_stardist(truth, spoiled(rng, truth))
    agrees_with_stardist(truth, np.roll(truth, 2, axis=-1))


def test_equals_stardist_on_a_data_set_of_nuclei(rng, shared_data):
    files = sorted(Path(shared_data("nuclei/valid/labels")).glob("*.png"))[:12]
    labels = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED).astype(np.int32) for file in files]
    predictions = [spoiled(rng, one) for one in labels]
    family = Bioimage([1])
    counted = Accumulator([family])
    counted.update_all(labels, predictions)
    theirs = matching_dataset(labels, predictions, thresh=family.thresholds, show_progress=False)
    found = counted.compute()
    assert found["dsb_ap"].value == pytest.approx(np.mean([one.accuracy for one in theirs]))
    assert found["f1"].value == pytest.approx(theirs[0].f1)
    assert found["recall"].n == theirs[0].n_true
    each = matching_dataset(labels, predictions, thresh=0.5, by_image=True, show_progress=False)
    kept = Accumulator([family], keep=True)
    kept.update_all(labels, predictions)
    assert kept.scores("mean")["dsb_ap50"].value == pytest.approx(each.accuracy)


def test_the_quick_way_and_the_assignment_agree_with_stardist_below_one_half(rng):
    for _ in range(20):
        truth = random_labels(rng, (24, 31), 25)
        prediction = spoiled(rng, random_labels(rng, (24, 31), 25))
        found = overlaps(truth, prediction, [1]).of_class(1)[0]
        for threshold in (0.05, 0.1, 0.3):
            expected = matching(truth, prediction, thresh=threshold).tp
            assert match(found, threshold).size == expected


def test_a_true_object_in_two_equal_halves_has_one_partner():
    truth = np.array([[1, 1, 1, 1]])
    prediction = np.array([[1, 1, 2, 2]])
    agrees_with_stardist(truth, prediction)
    found = values(truth, prediction)
    assert (found["dsb_ap50"], found["split"]) == (0.5, 0)


# forms of objects ---------------------------------------------------------------------------------


def as_instances(labels: np.ndarray) -> Instances:
    return Instances.from_labels(labels, 1)


def as_panoptic(labels: np.ndarray) -> Panoptic:
    numbers = np.append(np.unique(labels[labels > 0]), 50)[::-1].astype(np.int32)
    stuff = np.where(labels == 0, 50, labels).astype(np.int32)
    class_ids = np.where(numbers == 50, 0, 1)
    return Panoptic(stuff, numbers, class_ids, numbers != 50, np.full(numbers.size, np.nan))


def test_labels_instances_and_panoptic_things_score_alike(rng):
    truth = random_labels(rng, (40, 70), 30)
    prediction = spoiled(rng, truth)
    expected = Bioimage([1]).count(truth, prediction)
    forms = (np.asarray, as_instances, as_panoptic)
    for of_truth in forms:
        for of_prediction in forms:
            counts = Bioimage([1]).count(of_truth(truth), of_prediction(prediction))
            assert counts == pytest.approx(expected, abs=1e-9)


def test_shared_pixels_are_the_same_run_by_run_and_pair_by_pair(rng):
    for _ in range(10):
        a, b = (as_instances(random_labels(rng, (13, 22), 9)) for _ in range(2))
        areas = a.areas, b.areas
        for x, y in zip(runs.shared_pixels(a, b, areas), runs.of_each_pair(a, b, areas),
                        strict=True):
            assert x.tolist() == y.tolist()
        masks = a.masks()[:, None] & b.masks()[None]
        rows, columns, pixels = runs.shared_pixels(a, b, areas)
        assert (masks.sum(axis=(2, 3))[rows, columns] == pixels).all()
        assert pixels.sum() == masks.sum()


def test_empty_masks_are_objects_that_nothing_matches():
    masks = np.zeros((3, 4, 7), dtype=bool)
    masks[0, :2, 1:4] = masks[1, 1:3, 1:5] = True
    for some in ([0, 2], [0, 1, 2]):  # run by run, and pair by pair
        x = Instances.from_masks(masks[some], [1] * len(some))
        found = values(x, x)
        assert found["recall"] == found["precision"] == pytest.approx((len(some) - 1) / len(some))
        assert (found["missed"], found["false"], found["mean_iou"]) == (1, 1, 1)


def test_seg_and_aji_equal_loops_over_objects(rng):
    for _ in range(5):
        truth = random_labels(rng, (30, 41), 20)
        prediction = spoiled(rng, truth)
        seg, shared, union, used = [], 0, 0, set()
        for label in np.unique(truth[truth > 0]):
            own = truth == label
            others = [prediction == n for n in np.unique(prediction[prediction > 0])]
            iou = [(own & one).sum() / (own | one).sum() for one in others]
            covers = [2 * (own & one).sum() > own.sum() for one in others]
            seg.append(max(np.multiply(iou, covers)))
            best = int(np.argmax(iou))
            chosen = others[best] if iou[best] > 0 else np.zeros_like(own)
            used |= {best} if iou[best] > 0 else set()
            shared, union = shared + (own & chosen).sum(), union + (own | chosen).sum()
        union += sum(one.sum() for i, one in enumerate(others) if i not in used)
        found = values(truth, prediction)
        assert found["seg"] == pytest.approx(np.mean(seg))
        assert found["aji"] == pytest.approx(shared / union)


def test_objects_that_overlap_are_matched_one_to_one():
    masks = np.zeros((2, 5, 9), dtype=bool)
    masks[0, 1:4, 1:6] = True
    masks[1, 1:4, 2:7] = True
    truth = Instances.from_masks(masks, [1, 1])
    # the first fits both true objects, the second the first one alone
    masks = np.zeros((2, 5, 9), dtype=bool)
    masks[0, 1:4, 2:6] = True
    masks[1, 1:4, 1:4] = True
    prediction = Instances.from_masks(masks, [1, 1])
    found = values(truth, prediction)
    assert found["dsb_ap50"] == 1
    assert found["mean_iou"] == pytest.approx((12 / 15 + 9 / 15) / 2)


def test_only_objects_of_one_class_are_matched():
    masks = np.zeros((2, 4, 7), dtype=bool)
    masks[0, :2, :3] = True
    masks[1, 2:, 3:] = True
    truth = Instances.from_masks(masks, [3, 8])
    prediction = Instances.from_masks(masks, [3, 3])
    family = Bioimage([3, 8])
    scores = family.figures(family.count(truth, prediction))
    assert scores["recall"].value == 0.5
    assert scores["recall@class"].value.tolist() == [1, 0]
    assert scores["precision@class"].value[0] == 0.5
    assert np.isnan(scores["precision@class"].value[1])
    assert scores["missed@class"].value.tolist() == [0, 1]
    assert scores["recall@class"].n.tolist() == [1, 1]


def test_a_crowd_is_no_object_and_excuses_what_lies_in_it():
    masks = np.zeros((2, 6, 9), dtype=bool)
    masks[0, :, :5] = True
    masks[1, :2, 6:] = True
    truth = Objects(Instances.from_masks(masks, [1, 1]), np.array([True, False]))
    masks = np.zeros((3, 6, 9), dtype=bool)
    masks[0, 1:3, 1:4] = True
    masks[1, :2, 6:] = True
    masks[2, 3:, 4:9] = True
    found = values(truth, Instances.from_masks(masks, [1, 1, 1]))
    assert found["precision"] == 0.5
    assert found["recall"] == 1
    assert found["false"] == 1
    assert found["aji"] == pytest.approx(6 / (6 + 15))


def test_a_crowd_among_segments_excuses_too():
    truth, prediction = strip("111112233"), strip("444.55.66")
    segment_ids, three = np.array([1, 2, 3]), np.ones(3, dtype=bool)
    panoptic = Panoptic(
        truth, segment_ids, np.ones(3, int), three, np.full(3, np.nan), segment_ids == 1
    )
    for x in (prediction, as_instances(prediction)):
        found = values(panoptic, x)
        assert (found["precision"], found["recall"], found["false"]) == (0.5, 0.5, 0)


def strip(text: str) -> np.ndarray:
    """An image of three equal rows: one digit for each pixel, dots for the background."""
    return np.array([[int(one) for one in text.replace(".", "0")]] * 3)


# contract -----------------------------------------------------------------------------------------

NOTHING = np.zeros((3, 7), dtype=np.int32)


def test_both_empty_is_undefined():
    for empty in (NOTHING, Instances.from_labels(NOTHING, 1)):
        found = values(empty, empty)
        assert [found.pop(name) for name in COUNTS] == [0] * 5
        assert np.isnan(list(found.values())).all()


def test_an_empty_prediction_misses_everything():
    for prediction in (NOTHING, Instances.from_labels(NOTHING, 1)):
        found = values(TRUTH, prediction)
        assert found["missed"] == 2
        names = ("dsb_ap", "dsb_ap50", "recall", "f1", "seg", "aji")
        assert [found[name] for name in names] == [0] * 6
        assert np.isnan([found["precision"], found["mean_iou"]]).all()


def test_an_empty_truth_makes_every_object_false():
    for truth in (NOTHING, Instances.from_labels(NOTHING, 1)):
        found = values(truth, PREDICTION)
        assert found["false"] == 3
        assert [found[name] for name in ("dsb_ap", "precision", "f1", "aji")] == [0] * 4
        assert np.isnan([found["recall"], found["mean_iou"], found["seg"]]).all()


def test_ignored_pixels_belong_to_no_object():
    truth = TRUTH.copy()
    truth[0, :2] = IGNORE
    truth[2, :2] = NA_INTEGER
    prediction = PREDICTION.copy()
    without = truth < 0
    prediction[without] = 0
    expected = values(np.where(without, 0, truth), prediction)
    assert values(truth, PREDICTION) == expected
    assert expected["false"] == 0


def test_one_pixel():
    one = np.array([[4]])
    found = values(one, one)
    assert [found.pop(name) for name in COUNTS] == [0] * 5
    assert set(found.values()) == {1}


def test_what_is_wrong_is_said():
    with pytest.raises(ShapeError, match="3 x 7 and 3 x 6"):
        values(TRUTH, PREDICTION[:, :-1])
    with pytest.raises(ShapeError, match="3 x 7 and 7 x 3"):
        values(as_instances(TRUTH), as_instances(PREDICTION.T))
    with pytest.raises(ShapeError, match="2D only"):
        values(as_instances(TRUTH), PREDICTION[None])
    with pytest.raises(DataError, match="prediction holds -1, which is no"):
        values(TRUTH, np.full_like(TRUTH, IGNORE))
    with pytest.raises(DataError, match="whole labels"):
        values(TRUTH, PREDICTION.astype(float))
    with pytest.raises(DataError, match="class id 5, not among the classes 1, 2") as caught:
        values(as_instances(TRUTH), Instances.from_labels(TRUTH, 5), Bioimage([1, 2]))
    assert caught.value.argument == "prediction"
    with pytest.raises(DataError, match="which of 2 classes"):
        values(TRUTH, PREDICTION, Bioimage([1, 2]))
    for wrong in ([], [0], [0.5, 1.01], [np.nan]):
        with pytest.raises(DataError, match="above 0"):
            Bioimage([1], wrong)


# parts --------------------------------------------------------------------------------------------


def test_merged_parts_equal_the_whole_and_survive_their_state(rng):
    images = [random_labels(rng, (20, 33), 12) for _ in range(4)]
    predictions = [spoiled(rng, one) for one in images]
    whole, first, second = (Accumulator([Bioimage([1], [0.5])], keep=True) for _ in range(3))
    whole.update_all(images, predictions)
    first.update_all(images[:1], predictions[:1])
    second.update_all(images[1:], predictions[1:])
    first.merge(Accumulator.from_state(second.state()))
    for aggregate in ("pooled", "mean"):
        expected = whole.scores(aggregate)
        for name, score in first.scores(aggregate).items():
            np.testing.assert_allclose(score.value, expected[name].value, rtol=1e-12)
    resampled = whole.scores(weights=np.array([[1, 1, 1, 1], [0, 4, 0, 0]]))
    assert resampled["seg"].value[0] == pytest.approx(whole.compute()["seg"].value)
    assert resampled["seg"].value[1] == pytest.approx(values(images[1], predictions[1])["seg"])
    assert whole.table(per_image=True)["metric"].count("aji") == 2 * 5


# laws ---------------------------------------------------------------------------------------------

labels = hnp.arrays(np.int32, st.just((5, 8)), elements=st.integers(0, 4))
quick = settings(max_examples=60, deadline=None)


@quick
@given(labels, labels, st.permutations(range(1, 5)))
def test_labels_are_only_names(truth, prediction, order):
    renamed = np.array([0, *order])[prediction]
    expected, found = values(truth, prediction), values(truth, renamed)
    # the choice among equal IoUs follows the order of objects, and so do what is left of it
    for name in ("dsb_ap", "dsb_ap50", "dsb_ap75", "precision", "recall", "f1", "mean_iou", "seg"):
        assert found[name] == pytest.approx(expected[name], nan_ok=True)


@quick
@given(labels, labels)
def test_scores_lie_between_0_and_1(truth, prediction):
    found = values(truth, prediction)
    for name in COUNTS:
        assert found.pop(name) >= 0
    for value in found.values():
        assert np.isnan(value) or 0 <= value <= 1
    assert not found["dsb_ap75"] > found["dsb_ap50"]


@quick
@given(labels.filter(lambda x: x.any()))
def test_a_perfect_prediction_scores_1(truth):
    found = values(truth, truth)
    assert [found.pop(name) for name in COUNTS] == [0] * 5
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


@quick
@given(labels, labels)
def test_exchanging_truth_and_prediction_exchanges_precision_and_recall(truth, prediction):
    there, back = values(truth, prediction), values(prediction, truth)
    for name in ("dsb_ap", "dsb_ap50", "dsb_ap75", "f1", "mean_iou", "poorly_outlined"):
        assert there[name] == pytest.approx(back[name], nan_ok=True)
    assert there["precision"] == pytest.approx(back["recall"], nan_ok=True)
