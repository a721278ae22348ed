"""Metrics of probabilities: hand-worked examples and agreement with other packages."""

import numpy as np
import pytest
from maskr.arrays import IGNORE
from maskr.errors import DataError, ShapeError
from maskr.metrics import Accumulator, masks
from maskr.metrics.masks import of_probabilities
from maskr.metrics.probabilities import Calibration, Thresholds


def softmax(rng, shape, classes):
    logits = rng.standard_normal((*shape, classes)) * 2
    exponential = np.exp(logits)
    return exponential / exponential.sum(axis=-1, keepdims=True)


def binary(p):
    return of_probabilities(np.stack((1 - np.asarray(p), p), axis=-1), [0, 1])


def one_image(family, truth, prediction):
    accumulator = Accumulator([family])
    accumulator.update(truth, prediction)
    return accumulator.compute(), family.details(accumulator.parts[0])


# thresholds ---------------------------------------------------------------------------------------


def test_thresholds_of_a_2x3_image():
    truth = np.array([[0, 1, 1], [0, 1, IGNORE]])
    prediction = binary([[0.1, 0.5, 0.9], [0.6, 0.2, 0.9]])
    scores, details = one_image(Thresholds([0, 1], [0.9, 0.5, 0]), truth, prediction)
    curve = details["curve"]
    assert curve["class"].tolist() == [1, 1, 1]
    assert curve["threshold"].tolist() == [0, 0.5, 0.9]
    # a probability at the threshold is found
    assert curve["precision"] == pytest.approx([3 / 5, 2 / 3, 1])
    assert curve["recall"] == pytest.approx([1, 2 / 3, 1 / 3])
    assert curve["dice"] == pytest.approx([3 / 4, 2 / 3, 1 / 2])
    assert curve["iou"] == pytest.approx([3 / 5, 1 / 2, 1 / 3])
    assert curve["specificity"] == pytest.approx([0, 1 / 2, 1])
    assert scores["best_dice@class"].value == pytest.approx([np.nan, 3 / 4], nan_ok=True)
    assert scores["best_threshold@class"].value[1] == 0
    area = 1 / 3 * 3 / 5 + 1 / 3 * 2 / 3 + 1 / 3 * 1
    assert scores["average_precision@class"].value[1] == pytest.approx(area)
    assert scores["average_precision@class"].n[1] == 3


def test_a_class_that_the_truth_lacks_is_undefined(rng):
    truth = rng.integers(0, 2, (9, 7))
    prediction = of_probabilities(softmax(rng, (9, 7), 3), [0, 1, 2])
    scores, _ = one_image(Thresholds([0, 1, 2]), truth, prediction)
    for score in scores.values():
        assert np.isnan(score.value).tolist() == [False, False, True]


def test_curve_equals_scikit_learn(rng):
    sk = pytest.importorskip("sklearn.metrics")
    truth = rng.integers(0, 2, (31, 17))
    p = np.clip(np.round(rng.random((31, 17)) * 0.6 + truth * 0.3, 2), 0, 1)
    t, q = truth.ravel(), p.ravel()
    precision, recall, thresholds = sk.precision_recall_curve(t, q)
    family = Thresholds([0, 1], thresholds)
    scores, details = one_image(family, np.asfortranarray(truth), binary(p))
    curve = details["curve"]
    assert curve["threshold"].tolist() == thresholds.tolist()
    assert curve["precision"] == pytest.approx(precision[:-1], abs=1e-12)
    assert curve["recall"] == pytest.approx(recall[:-1], abs=1e-12)
    f1 = [sk.f1_score(t, q >= threshold) for threshold in thresholds]
    assert curve["dice"] == pytest.approx(f1, abs=1e-12)
    iou = [sk.jaccard_score(t, q >= threshold) for threshold in thresholds]
    assert curve["iou"] == pytest.approx(iou, abs=1e-12)
    assert scores["best_dice@class"].value[1] == pytest.approx(max(f1), abs=1e-12)
    assert scores["best_threshold@class"].value[1] == thresholds[np.argmax(f1)]
    area = sk.average_precision_score(t, q)
    assert scores["average_precision@class"].value[1] == pytest.approx(area, abs=1e-12)


def test_average_precision_equals_torchmetrics_at_the_same_thresholds(rng):
    tm = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    truth = rng.integers(0, 4, (2, 23, 19))  # a volume
    probabilities = softmax(rng, truth.shape, 4)
    thresholds = [0.1, 0.25, 0.5, 0.8]
    expected = tm.multiclass_average_precision(
        torch.from_numpy(probabilities.reshape(-1, 4)), torch.from_numpy(truth.ravel()), 4,
        average="none", thresholds=torch.tensor(thresholds, dtype=torch.float64),
    )
    prediction = of_probabilities(probabilities, range(4))
    scores, _ = one_image(Thresholds(range(4), thresholds), truth, prediction)
    found = scores["average_precision@class"].value
    assert found == pytest.approx(expected.numpy(), abs=1e-6)


def test_memory_orders_and_chunks_count_alike(rng):
    truth = rng.integers(-1, 3, (401, 399))
    probabilities = softmax(rng, truth.shape, 3)
    family = Thresholds([0, 1, 2])
    expected = family.count(truth, of_probabilities(probabilities, range(3)))
    assert expected.sum() == 3 * (truth >= 0).sum()
    in_r_order = of_probabilities(np.asfortranarray(probabilities), range(3))
    for mask in (truth, np.asfortranarray(truth)):
        assert (family.count(mask, in_r_order) == expected).all()
    counted = truth >= 0
    reached = (probabilities[counted][:, 2] >= 0.35) & (truth[counted] == 2)
    at = np.flatnonzero(np.isclose(family.thresholds, 0.35))[0]
    assert expected[2, 1, at + 1 :].sum() == reached.sum()


@pytest.mark.parametrize("thresholds", [[], [0.5, 1.5], [-0.1], [np.nan]])
def test_thresholds_are_probabilities(thresholds):
    with pytest.raises(DataError, match="The thresholds are"):
        Thresholds([0, 1], thresholds)


# calibration --------------------------------------------------------------------------------------


def test_calibration_of_four_pixels():
    truth = np.array([[0, 1, 1, 1]])
    prediction = binary([[0.25, 0.75, 1.0, 0.375]])  # confidence .75 .75 1 .625; the last is wrong
    scores, details = one_image(Calibration([0, 1], bins=4), truth, prediction)
    table = details["calibration"]
    assert table["bin"].tolist() == [1, 2, 3, 4]
    # a confidence at the edge belongs to the bin that ends there
    assert table["pixels"].tolist() == [0, 0, 3, 1]
    assert table["accuracy"] == pytest.approx([np.nan, np.nan, 2 / 3, 1], nan_ok=True)
    assert table["confidence"] == pytest.approx([np.nan, np.nan, 2.125 / 3, 1], nan_ok=True)
    assert table["upper"].tolist() == [0.25, 0.5, 0.75, 1]
    assert scores["ece"].value == pytest.approx((2.125 - 2) / 4)
    assert scores["ece"].n == 4


@pytest.mark.parametrize("classes", [2, 5])
def test_calibration_equals_torchmetrics(rng, classes):
    # there, a confidence of exactly 1 has a bin of its own
    tm = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    truth = rng.integers(-1, classes, (47, 31))
    probabilities = softmax(rng, truth.shape, classes).astype(np.float32)
    prediction = of_probabilities(probabilities, range(classes))
    scores, _ = one_image(Calibration(range(classes)), truth, prediction)
    expected = tm.multiclass_calibration_error(
        torch.from_numpy(probabilities.reshape(-1, classes)), torch.from_numpy(truth.ravel()),
        classes, n_bins=15, norm="l1", ignore_index=-1,
    )
    assert scores["ece"].value == pytest.approx(expected.item(), abs=1e-6)
    assert scores["ece"].n == (truth >= 0).sum()


# contract -----------------------------------------------------------------------------------------

FAMILIES = [Thresholds([0, 1, 2], [0.2, 0.5]), Calibration([0, 1, 2])]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.name)
def test_contract(family, rng):
    probabilities = softmax(rng, (6, 5), 3)
    good = of_probabilities(probabilities, range(3))
    nothing, _ = one_image(family, np.full((6, 5), IGNORE), good)
    assert all(np.isnan(score.value).all() and (score.n == 0).all() for score in nothing.values())
    pixel, _ = one_image(family, np.array([[2]]), of_probabilities(probabilities[:1, :1], range(3)))
    assert sum(np.sum(score.n) for score in pixel.values()) >= 1
    with pytest.raises(ShapeError, match="6 x 4 and 6 x 5"):
        family.count(np.zeros((6, 4), int), good)
    with pytest.raises(DataError, match="The truth holds class id 7"):
        family.count(np.full((6, 5), 7), good)
    with pytest.raises(DataError, match="holds class ids, and these metrics need probabilities"):
        family.count(np.zeros((6, 5), int), np.zeros((6, 5), int))
    with pytest.raises(DataError, match="values from 0 to 1.5"):
        wrong = np.where(probabilities == probabilities.max(), 1.5, 0)
        family.count(np.zeros((6, 5), int), masks.Mask(good.ids, probabilities=wrong))
    with pytest.raises(DataError, match="3 channels, and the number of classes is 2"):
        of_probabilities(probabilities, [0, 1])
    with pytest.raises(DataError, match="missing for a part of the classes"):
        of_probabilities(np.where(probabilities > 0.9, np.nan, probabilities), range(3))
