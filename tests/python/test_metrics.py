"""Metrics: hand-worked examples, agreement with other packages, and laws that always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from maskr import masks
from maskr.arrays import IGNORE, NA_INTEGER
from maskr.errors import DataError, ShapeError
from maskr.metrics import Accumulator, confusion, semantic
from maskr.metrics.semantic import Semantic

TRUTH = np.array([[0, 1, 2], [0, 1, IGNORE]])
PREDICTION = np.array([[0, 1, 2], [1, 1, 2]])
MATRIX = np.array([[1, 1, 0], [0, 2, 0], [0, 0, 1]])


def pair_of_masks(classes: int = 5):
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
    ids = st.integers(0, classes - 1)
    return shapes.flatmap(
        lambda shape: st.tuples(
            hnp.arrays(np.int32, shape, elements=ids), hnp.arrays(np.int32, shape, elements=ids)
        )
    )


def blobs(rng: np.random.Generator, classes: int, shape: tuple[int, int]) -> np.ndarray:
    """A mask of rectangles: long runs, as real masks have."""
    mask = np.zeros(shape, dtype=np.int32)
    for class_id in range(classes):
        top, left = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        mask[top : top + shape[0] // 3, left : left + shape[1] // 3] = class_id
    return mask


# counting -----------------------------------------------------------------------------------------


def test_counts_of_a_2x3_mask():
    assert (confusion.count(TRUTH, PREDICTION, [0, 1, 2]) == MATRIX).all()


def test_order_of_ids_is_the_order_of_the_matrix():
    assert (confusion.count(TRUTH, PREDICTION, [2, 0, 1]) == MATRIX[[2, 0, 1]][:, [2, 0, 1]]).all()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_integer_types_count_alike(dtype):
    counted = confusion.count(TRUTH.astype(dtype), PREDICTION.astype(np.uint8), [0, 1, 2])
    assert (counted == MATRIX).all()
    assert counted.dtype == np.int64


def test_bool_masks_are_0_and_1():
    truth = np.array([[True, False, True]])
    counted = confusion.count(truth, ~truth, [0, 1])
    assert (counted == [[0, 1], [2, 0]]).all()


def test_memory_orders_count_alike(rng):
    truth, prediction = rng.integers(0, 4, (2, 37, 53), dtype=np.int32)
    expected = confusion.count(truth, prediction, range(4))
    for t in (truth, np.asfortranarray(truth)):
        for p in (prediction, np.asfortranarray(prediction)):
            assert (confusion.count(t, p, range(4)) == expected).all()


def test_read_only_input_in_r_order_is_left_alone(rng):
    truth = np.asfortranarray(rng.integers(0, 4, (37, 53), dtype=np.int32))
    truth[3, 4] = NA_INTEGER
    truth.flags.writeable = False
    before = truth.copy()
    confusion.count(truth, np.abs(truth % 4), range(4))
    assert (truth == before).all()


@pytest.mark.parametrize("make", ["noise", "blobs", "smooth truth, noisy prediction"])
@pytest.mark.parametrize("step", [1, 12, 40, 3000])
def test_every_way_of_counting_agrees_with_a_plain_loop(rng, make, step):
    # several chunks; ids in one byte, and beyond
    shape = (401, 991)
    truth = blobs(rng, 9, shape) if make != "noise" else rng.integers(0, 9, shape, dtype=np.int32)
    prediction = np.roll(truth, 7) if make == "blobs" else rng.integers(0, 9, shape, np.int32)
    ignored = blobs(rng, 2, shape) == 1
    expected = np.zeros((9, 9), dtype=np.int64)
    np.add.at(expected, (truth[~ignored], prediction[~ignored]), 1)
    truth, prediction = truth * step, prediction * step
    truth[ignored] = IGNORE
    counted = confusion.count(truth, prediction, np.arange(9) * step)
    assert (counted == expected).all()


def test_unknown_ids_are_named():
    with pytest.raises(DataError, match="The prediction holds class id 9, not among") as caught:
        confusion.count(TRUTH, np.where(PREDICTION == 2, 9, PREDICTION), [0, 1, 2])
    assert caught.value.argument == "prediction"
    with pytest.raises(DataError, match="The truth holds class id 300"):
        confusion.count(np.full((2, 3), 300), np.zeros((2, 3), int), [0, 1])


@pytest.mark.parametrize("missing", [IGNORE, NA_INTEGER])
def test_pixels_that_the_prediction_lacks_do_not_count(missing):
    prediction = PREDICTION.copy()
    prediction[0, 1] = prediction[1, 2] = missing
    expected = confusion.count(np.where(prediction == missing, IGNORE, TRUTH), PREDICTION, range(3))
    assert (confusion.count(TRUTH, prediction, [0, 1, 2]) == expected).all()
    assert expected.sum() < MATRIX.sum()


def test_negative_ids_are_an_error():
    with pytest.raises(DataError, match="The truth holds -5"):
        confusion.count(TRUTH - 4 * (TRUTH == IGNORE), PREDICTION, [0, 1, 2])
    with pytest.raises(DataError, match="The prediction holds -3"):
        confusion.count(TRUTH, PREDICTION - 3, [0, 1, 2])


def test_sizes_must_agree():
    with pytest.raises(ShapeError, match="differ in size: 2 x 3 and 3 x 2"):
        confusion.count(TRUTH, PREDICTION.T, [0, 1, 2])


def test_what_is_not_whole_or_too_large_is_an_error():
    with pytest.raises(DataError, match="float64"):
        confusion.count(TRUTH.astype(float), PREDICTION, [0])
    with pytest.raises(DataError, match="too large"):
        confusion.count(TRUTH, PREDICTION.astype(np.int64) + 2**40, [0])


def test_labels_of_objects_are_not_classes():
    labels = np.arange(3000, dtype=np.int32).reshape(50, 60)
    with pytest.raises(DataError, match="3000 different ids"):
        semantic.compare([labels], [labels])


# scores -------------------------------------------------------------------------------------------


def test_scores_of_a_2x3_mask():
    scores = semantic.scores(MATRIX)
    assert scores["iou"] == pytest.approx([1 / 2, 2 / 3, 1])
    assert scores["dice"] == pytest.approx([2 / 3, 4 / 5, 1])
    assert scores["precision"] == pytest.approx([1, 2 / 3, 1])
    assert scores["recall"] == pytest.approx([1 / 2, 1, 1])
    assert scores["f1"] == pytest.approx([2 / 3, 4 / 5, 1])
    assert scores["pixel_accuracy"] == pytest.approx(4 / 5)
    assert scores["mean_accuracy"] == pytest.approx(2.5 / 3)
    assert scores["mean_iou"] == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert scores["mean_dice"] == pytest.approx((2 / 3 + 4 / 5 + 1) / 3)
    assert scores["fw_iou"] == pytest.approx((2 * 1 / 2 + 2 * 2 / 3 + 1 * 1) / 5)


def test_absent_classes_are_nan_and_enter_no_mean():
    padded = np.zeros((4, 4), dtype=int)
    padded[:3, :3] = MATRIX
    scores = semantic.scores(padded)
    for name in semantic.PER_CLASS:
        assert np.isnan(scores[name][3])
    for name in semantic.OVERALL.values():
        assert scores[name] == pytest.approx(semantic.scores(MATRIX)[name])


def test_class_in_one_of_the_two():
    # class 1 is true but never predicted, class 2 predicted but never true
    scores = semantic.scores(np.array([[4, 0, 1], [2, 0, 0], [0, 0, 0]]))
    assert scores["iou"] == pytest.approx([4 / 7, 0, 0])
    assert scores["precision"] == pytest.approx([4 / 6, np.nan, 0], nan_ok=True)
    assert scores["recall"] == pytest.approx([4 / 5, 0, np.nan], nan_ok=True)
    assert scores["mean_accuracy"] == pytest.approx(0.4)


def test_no_pixels_give_nan():
    result = semantic.compare([np.full((2, 3), NA_INTEGER)], [np.zeros((2, 3), np.int32)])
    assert np.isnan(result["columns"]["value"]).all()
    assert (result["columns"]["n"] == 0).all()


def test_hard_counterpart_of_the_soft_dice_example():
    # soft: intersection 3.2, sums 4.0 and 5.0, Dice 2 * 3.2 / 9 = 0.711 (see test_losses.py)
    probability = np.array(
        [[0.9, 0.8, 0.1, 0], [0.7, 0.6, 0.2, 0.1], [0.1, 0.3, 0.1, 0], [0, 0.1, 0, 0]]
    )
    truth = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert (probability * truth).sum() == pytest.approx(3.2)
    assert probability.sum() == pytest.approx(4.0)
    assert truth.sum() == 5
    # at a threshold of one half, four of the five pixels are found and none is wrong
    scores = semantic.scores(confusion.count(truth, probability > 0.5, [0, 1]))
    assert scores["dice"][1] == pytest.approx(2 * 4 / (4 + 5))
    assert scores["iou"][1] == pytest.approx(4 / 5)
    assert scores["precision"][1] == 1
    assert scores["recall"][1] == pytest.approx(4 / 5)
    assert scores["pixel_accuracy"] == pytest.approx(15 / 16)


# tables -------------------------------------------------------------------------------------------


def table(confusions, ids, **options):
    accumulator = Accumulator([Semantic(ids)], keep=True)
    accumulator.add([list(confusions)])
    return accumulator.table(**options)


def test_table_has_overall_rows_then_classes():
    columns = table([MATRIX], [0, 4, 7])
    overall = list(semantic.OVERALL)
    assert columns["metric"][: len(overall)] == overall
    rows = list(zip(columns["metric"], columns["class"].tolist(), columns["n"], strict=True))
    assert rows[0] == ("pixel_accuracy", NA_INTEGER, 5)
    assert ("iou", 4, 2) in rows
    assert ("recall", 7, 1) in rows
    assert len(rows) == 12 + 6 * 3
    assert columns["value"][rows.index(("iou", 4, 2))] == pytest.approx(2 / 3)


def test_per_image_rows_follow_those_of_all_images():
    second = np.diag([3, 0, 1])
    columns = table([MATRIX, second], [0, 1, 2], per_image=True)
    assert columns["image"].tolist() == [NA_INTEGER] * 30 + [1] * 30 + [2] * 30
    assert columns["metric"] == columns["metric"][:30] * 3
    assert columns["class"].tolist() == columns["class"][:30].tolist() * 3
    assert columns["value"][[0, 30, 60]] == pytest.approx([8 / 9, 4 / 5, 1])
    assert columns["n"][[0, 30, 60]].tolist() == [9, 5, 4]
    iou = columns["metric"].index("iou") + 1  # of class 1, which the second image lacks
    assert columns["value"][[iou, iou + 30, iou + 60]] == pytest.approx(
        [2 / 3, 2 / 3, np.nan], nan_ok=True
    )


def test_mean_of_images_leaves_out_those_without_the_class():
    second = np.diag([3, 0, 1])
    columns = table([MATRIX, second], [0, 1, 2], aggregate="mean")
    value = dict(zip(zip(columns["metric"], columns["class"].tolist(), strict=True),
                     columns["value"], strict=True))
    assert value["pixel_accuracy", NA_INTEGER] == pytest.approx((4 / 5 + 1) / 2)
    assert value["iou", 0] == pytest.approx((1 / 2 + 1) / 2)
    assert value["iou", 1] == pytest.approx(2 / 3)
    assert value["mean_iou", NA_INTEGER] == pytest.approx(((1 / 2 + 2 / 3 + 1) / 3 + 1) / 2)


def test_compare_says_which_image():
    good = np.zeros((2, 3), np.int32)
    with pytest.raises(ShapeError, match="Image 2: Truth and prediction differ"):
        semantic.compare([good, good], [good, good.T])
    with pytest.raises(DataError, match="Image 1: The truth holds class id 3"):
        semantic.compare([good + 3, good], [good, good], [0, 1])
    with pytest.raises(DataError, match="^The truth holds class id 3"):
        semantic.compare([good + 3], [good], [0, 1])


def test_minus_one_in_an_r_array_is_a_mistake():
    with pytest.raises(DataError, match="The truth holds -1"):
        semantic.compare([TRUTH], [PREDICTION])


def test_paths_and_arrays_mix(tmp_path):
    path = str(tmp_path / "truth.png")
    r_truth = np.where(TRUTH == IGNORE, NA_INTEGER, TRUTH).astype(np.int32)
    masks.write(r_truth, path, [0, 1, 2], ["#000000", "#ff0000", "#00ff00"])
    result = semantic.compare([path], [np.asfortranarray(PREDICTION)])
    assert (result["confusion"] == MATRIX).all()
    # what the file leaves out counts in neither of its roles
    assert (semantic.compare([path], [path])["confusion"] == np.diag(MATRIX.sum(axis=1))).all()


def test_binary_files_of_0_and_255(tmp_path):
    from PIL import Image

    path = str(tmp_path / "binary.png")
    Image.fromarray(np.array([[0, 255, 255]], dtype=np.uint8)).save(path)
    with pytest.raises(DataError) as caught:
        semantic.compare([path], [path])
    assert "seg_read_mask()" in caught.value.hint
    # where 255 is a class it is no ignore index
    result = semantic.compare([path], [path], [0, 255])
    assert (result["confusion"] == np.diag([1, 2])).all()


# agreement with others ----------------------------------------------------------------------------


def test_equals_scikit_learn(rng):
    sk = pytest.importorskip("sklearn.metrics")
    truth = rng.integers(0, 6, (83, 61), dtype=np.int32)
    prediction = np.where(rng.random((83, 61)) < 0.6, truth, rng.integers(0, 6, (83, 61)))
    t, p = truth.ravel(), prediction.ravel()
    counted = confusion.count(truth, prediction, range(6))
    assert (counted == sk.confusion_matrix(t, p)).all()
    scores = semantic.scores(counted)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(t, p)
    assert scores["precision"] == pytest.approx(precision)
    assert scores["recall"] == pytest.approx(recall)
    assert scores["f1"] == pytest.approx(f1)
    assert scores["iou"] == pytest.approx(sk.jaccard_score(t, p, average=None))
    assert scores["fw_iou"] == pytest.approx(sk.jaccard_score(t, p, average="weighted"))
    assert scores["mean_accuracy"] == pytest.approx(sk.balanced_accuracy_score(t, p))
    assert scores["mean_accuracy"] == scores["mean_recall"]
    assert scores["pixel_accuracy"] == pytest.approx(sk.accuracy_score(t, p))
    assert scores["kappa"] == pytest.approx(sk.cohen_kappa_score(t, p), abs=1e-12)
    # of one class against the rest it is the recall of the rest
    rest = [sk.recall_score(t == k, p == k, pos_label=False) for k in range(6)]
    assert scores["specificity"] == pytest.approx(rest)


def test_equals_torchmetrics_with_ignored_pixels(rng):
    tm = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    truth = rng.integers(-1, 6, (83, 61))
    prediction = np.where(rng.random((83, 61)) < 0.6, np.abs(truth), rng.integers(0, 6, (83, 61)))
    t, p = torch.from_numpy(truth), torch.from_numpy(prediction)
    options = {"num_classes": 6, "ignore_index": -1}
    counted = confusion.count(truth, prediction, range(6))
    assert (counted == tm.multiclass_confusion_matrix(p, t, **options).numpy()).all()
    scores = semantic.scores(counted)
    iou = tm.multiclass_jaccard_index(p, t, average="none", **options).numpy()
    assert scores["iou"] == pytest.approx(iou, abs=1e-6)
    f1 = tm.multiclass_f1_score(p, t, average="macro", **options).item()
    assert scores["mean_f1"] == pytest.approx(f1, abs=1e-6)


def test_specificity_equals_torchmetrics_and_leaves_out_absent_classes(rng):
    tm = pytest.importorskip("torchmetrics.functional.classification")
    truth, prediction = rng.integers(0, 6, (2, 40, 30))  # class 6 is nowhere
    scores = semantic.scores(confusion.count(truth, prediction, range(7)))
    expected = [
        tm.multiclass_specificity(*tensors(prediction, truth), num_classes=7, average=average)
        for average in ("none", "macro")
    ]
    assert scores["specificity"][:6] == pytest.approx(expected[0].numpy()[:6], abs=1e-6)
    assert scores["mean_specificity"] == pytest.approx(expected[1].item(), abs=1e-6)


def test_generalised_dice_equals_torchmetrics_and_monai(rng):
    # theirs differ for a class that the truth lacks: it gets the largest weight of the others
    torch = pytest.importorskip("torch")
    tm = pytest.importorskip("torchmetrics.functional.segmentation")
    monai = pytest.importorskip("monai.metrics")
    truth = rng.choice(4, (1, 40, 30), p=[0.6, 0.3, 0.08, 0.02])
    prediction = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, 4, truth.shape))
    one_hot = [
        torch.nn.functional.one_hot(x, 4).movedim(-1, 1) for x in tensors(prediction, truth)
    ]
    found = semantic.scores(confusion.count(truth, prediction, range(4)))["generalised_dice"]
    expected = tm.generalized_dice_score(*one_hot, num_classes=4, weight_type="square").item()
    assert found == pytest.approx(expected, abs=1e-6)
    expected = monai.compute_generalized_dice(
        *(x.float() for x in one_hot), sum_over_classes=True
    )
    assert found == pytest.approx(expected.item(), abs=1e-6)


def test_generalised_dice_weighs_by_the_truth_alone():
    # class 2 is predicted, but not in the truth: weights 1/25, 1/4, 0
    found = semantic.scores(np.array([[4, 0, 1], [0, 2, 0], [0, 0, 0]]))["generalised_dice"]
    assert found == pytest.approx(2 * (4 / 25 + 2 / 4) / (9 / 25 + 4 / 4))


def test_mean_of_images_equals_torchmetrics(rng):
    tm = pytest.importorskip("torchmetrics.functional.classification")
    truth = rng.integers(0, 3, (5, 16, 12))
    prediction = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, 3, truth.shape))
    accumulator = Accumulator([Semantic(range(3))], keep=True)
    accumulator.update_all(list(truth), list(prediction))
    found = accumulator.scores("mean")
    pairs = [tensors(*pair) for pair in zip(prediction, truth, strict=True)]
    for name, metric in (("iou@class", tm.multiclass_jaccard_index),
                         ("precision@class", tm.multiclass_precision)):
        expected = np.mean([metric(*pair, 3, average="none").numpy() for pair in pairs], axis=0)
        assert found[name].value == pytest.approx(expected, abs=1e-6)
    kappas = [tm.multiclass_cohen_kappa(*pair, 3).item() for pair in pairs]
    assert found["kappa"].value == pytest.approx(np.mean(kappas), abs=1e-6)


def tensors(*arrays):
    torch = pytest.importorskip("torch")
    return [torch.from_numpy(np.ascontiguousarray(x)) for x in arrays]


def test_equals_scikit_learn_on_real_masks(shared_data):
    sk = pytest.importorskip("sklearn.metrics")
    from pathlib import Path

    files = sorted(Path(shared_data("camvid/valannot")).glob("*.png"))[:3]
    if not files:
        pytest.skip("no CamVid masks")
    truth = [masks.load(str(file), ignore=11) for file in files]
    prediction = [np.where(mask == IGNORE, 0, np.roll(mask, 9, axis=1)) for mask in truth]
    prediction = [np.where(mask == IGNORE, 3, mask) for mask in prediction]
    known = np.concatenate([mask.ravel() for mask in truth]) != IGNORE
    expected = sk.confusion_matrix(
        np.concatenate([mask.ravel() for mask in truth])[known],
        np.concatenate([mask.ravel() for mask in prediction])[known],
        labels=range(11),
    )
    counted = sum(confusion.count(*pair, range(11)) for pair in zip(truth, prediction, strict=True))
    assert (counted == expected).all()


# laws ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(pair_of_masks())
def test_bounds_and_dice_from_iou(pair):
    scores = semantic.scores(confusion.count(*pair, range(5)))
    iou = scores["iou"]
    assert scores["dice"] == pytest.approx(2 * iou / (1 + iou), nan_ok=True)
    for name in semantic.PER_CLASS:
        defined = scores[name][~np.isnan(scores[name])]
        assert ((defined >= 0) & (defined <= 1)).all()
    assert scores["mean_iou"] <= scores["mean_dice"] + 1e-12
    assert 0 <= scores["fw_iou"] <= scores["pixel_accuracy"] + 1e-12


@settings(max_examples=60, deadline=None)
@given(pair_of_masks(), st.permutations(range(5)))
def test_new_names_for_the_classes_change_nothing(pair, permuted):
    new = np.array(permuted)
    before = confusion.count(*pair, range(5))
    after = confusion.count(new[pair[0]], new[pair[1]], range(5))
    assert (after[np.ix_(new, new)] == before).all()
    for name in semantic.OVERALL.values():
        assert semantic.scores(after)[name] == pytest.approx(
            semantic.scores(before)[name], nan_ok=True
        )


@settings(max_examples=60, deadline=None)
@given(pair_of_masks(), st.data())
def test_parts_add_up_to_the_whole(pair, data):
    truth, prediction = pair
    cut = data.draw(st.integers(0, truth.shape[1]))
    parts = [
        confusion.count(truth[:, part], prediction[:, part], range(5))
        for part in (slice(None, cut), slice(cut, None))
    ]
    assert (sum(parts) == confusion.count(truth, prediction, range(5))).all()


@settings(max_examples=30, deadline=None)
@given(pair_of_masks())
def test_swapping_the_two_transposes_the_matrix(pair):
    forward = confusion.count(*pair, range(5))
    assert (confusion.count(*pair[::-1], range(5)) == forward.T).all()
    both = semantic.scores(forward), semantic.scores(forward.T)
    assert both[0]["precision"] == pytest.approx(both[1]["recall"], nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(pair_of_masks())
def test_perfect_prediction_scores_one(pair):
    scores = semantic.scores(confusion.count(pair[0], pair[0], range(5)))
    alone = np.unique(pair[0]).size == 1
    for name in semantic.OVERALL.values():
        # nothing is left to agree on, or to keep apart from the class
        undefined = alone and name in ("kappa", "mean_specificity")
        assert scores[name] == pytest.approx(np.nan if undefined else 1, nan_ok=True)
