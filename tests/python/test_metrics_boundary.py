"""Boundary F1, boundary IoU and trimap IoU: by hand, by their published formulas, the contract."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from maskr import masks
from maskr.arrays import IGNORE
from maskr.errors import DataError, ShapeError
from maskr.metrics.accumulator import Accumulator
from maskr.metrics.boundary import NAMES, Boundary
from maskr.metrics.masks import Mask
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    distance_transform_edt,
    gaussian_filter,
)

TRUTH = np.zeros((9, 12), dtype=np.int32)
TRUTH[2:7, 2:7] = 1
PREDICTION = np.zeros((9, 12), dtype=np.int32)
PREDICTION[2:7, 4:9] = 1


def scores(truth, prediction, ids=(0, 1), tolerance=1.0, width=1, spacing=None) -> dict:
    """Scores by class, `[K]`, of one image."""
    family = Boundary(ids, tolerance, width)
    found = family.figures(family.count(Mask(truth, spacing), Mask(prediction, spacing)))
    return {name: found[f"{name}@class"].value for name in NAMES}


def blobs(rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> np.ndarray:
    fields = [gaussian_filter(rng.standard_normal(shape), 2.5) for _ in range(classes)]
    return np.argmax(fields, axis=0).astype(np.int32)


def masks_of(truth, prediction, class_id) -> list[np.ndarray]:
    return [(x == class_id) & (truth != IGNORE) for x in (truth, prediction)]


# by their formulas --------------------------------------------------------------------------------


def f1(truth, prediction, tolerance, spacing=None) -> float:
    """Csurka's score of two masks, by distance transforms."""
    edges = [x & ~binary_erosion(x) for x in (truth, prediction)]
    if not (edges[0].any() or edges[1].any()):
        return np.nan
    if not (edges[0].any() and edges[1].any()):
        return 0.0
    to_truth, to_prediction = (distance_transform_edt(~x, sampling=spacing) for x in edges)
    precision = (to_truth[edges[1]] <= tolerance).mean()
    recall = (to_prediction[edges[0]] <= tolerance).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def mask_to_boundary(mask: np.ndarray, d: int) -> np.ndarray:
    """The boundary region of Cheng et al.: the mask less the mask eroded d times, framed by 0."""
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=d)
    return mask & (eroded[1:-1, 1:-1] == 0)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum() if (a | b).any() else np.nan


def boundary_iou(truth, prediction, d) -> float:
    return iou(mask_to_boundary(truth, d), mask_to_boundary(prediction, d))


def trimap_iou(truth, prediction, d) -> float:
    square = np.ones((3,) * truth.ndim)
    around = binary_dilation(truth, square, d) & ~binary_erosion(truth, square, d)
    return iou(truth & around, prediction & around)


def same_as_formulas(truth, prediction, ids, tolerance, width) -> None:
    found = scores(truth, prediction, ids, tolerance, width)
    pairs = [masks_of(truth, prediction, one) for one in ids]
    expected = {
        "boundary_f1": [f1(*pair, tolerance) for pair in pairs],
        "boundary_iou": [boundary_iou(*pair, width) for pair in pairs],
        "trimap_iou": [trimap_iou(*pair, width) for pair in pairs],
    }
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize(("tolerance", "width"), [(0, 1), (1, 2), (2.5, 5), (30, 40)])
def test_blobs(rng, tolerance, width):
    truth = blobs(rng, (47, 64), 4)
    same_as_formulas(truth, blobs(rng, (47, 64), 4), range(5), tolerance, width)
    same_as_formulas(truth, np.roll(truth, (2, -1), (0, 1)), range(5), tolerance, width)


def test_noise(rng):
    truth, prediction = rng.integers(0, 4, (2, 47, 64), dtype=np.int32)
    same_as_formulas(truth, prediction, range(4), 1, 1)
    prediction[:, 5:] = 3
    same_as_formulas(truth, prediction, range(4), 3, 2)


def test_ignored_pixels_lie_outside(rng):
    truth, prediction = blobs(rng, (47, 64), 3), blobs(rng, (47, 64), 3)
    truth[10:20, 12:50] = IGNORE
    same_as_formulas(truth, prediction, range(3), 2, 3)
    expected = scores(truth, prediction, range(3))
    prediction[10:20, 12:50] = 1
    found = scores(truth, prediction, range(3))
    assert all((found[name] == expected[name]).all() for name in NAMES)


def test_nuclei(shared_data):
    paths = sorted(Path(shared_data("nuclei/valid/labels")).glob("*.png"))[:3]
    for path in paths:
        truth = (masks.load(str(path), ignore=None) > 0).astype(np.int32)
        height, width = truth.shape
        d = round(0.02 * np.hypot(height, width))
        prediction = np.roll(truth, (3, -2), (0, 1))
        same_as_formulas(truth, prediction, [0, 1], 0.0075 * np.hypot(height, width), d)
        by_shares = scores(truth, prediction, [0, 1], "0.75%", "2%")
        by_pixels = scores(truth, prediction, [0, 1], 0.0075 * np.hypot(height, width), d)
        assert all((by_shares[name] == by_pixels[name]).all() for name in NAMES)


def test_camvid(shared_data):
    paths = sorted(Path(shared_data("camvid/valannot")).glob("*.png"))[:2]
    truth, prediction = (masks.load(str(path), ignore=11) for path in paths)
    same_as_formulas(truth, np.maximum(prediction, 0), range(11), 4, 12)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 1.0, 0.5)])
def test_volumes(rng, spacing):
    truth, prediction = blobs(rng, (12, 31, 40), 3), blobs(rng, (12, 31, 40), 3)
    found = scores(truth, prediction, range(3), 2.0, 2.0, spacing)
    # 2 mm are half of a thick slice, which rounds to 0 and is taken as 1
    steps = [2, 2, 2] if spacing[0] == 1 else [1, 2, 4]
    box = np.ones([2 * n + 1 for n in steps])
    for k in range(3):
        g, p = masks_of(truth, prediction, k)
        inner = [x & ~binary_erosion(x, box) for x in (g, p)]
        around = binary_dilation(g, box) & ~binary_erosion(g, box)
        assert found["boundary_f1"][k] == pytest.approx(f1(g, p, 2.0, spacing), rel=1e-12)
        assert found["boundary_iou"][k] == pytest.approx(iou(*inner), rel=1e-12)
        assert found["trimap_iou"][k] == pytest.approx(iou(g & around, p & around), rel=1e-12)


# by hand ------------------------------------------------------------------------------------------


def test_scores_of_a_9x12_mask():
    # two rings of 16 pixels: 6 are shared, 2 of the rows and 2 of the columns are 1 off
    found = scores(TRUTH, PREDICTION)
    assert found["boundary_f1"][1] == pytest.approx(10 / 16)
    # the parts at most 1 pixel from the boundary are these rings
    assert found["boundary_iou"][1] == pytest.approx(6 / (32 - 6))
    # the band is the truth's ring and the one around it: 9 and 5 pixels of the prediction
    assert found["trimap_iou"][1] == pytest.approx(9 / (16 + 5))


def test_perfect_masks():
    found = scores(TRUTH, TRUTH)
    assert all((found[name] == 1).all() for name in NAMES)


def test_the_width_is_at_least_1_pixel():
    one = scores(TRUTH, PREDICTION, width=0)
    assert one["boundary_iou"][1] == scores(TRUTH, PREDICTION, width=1)["boundary_iou"][1]


@pytest.mark.parametrize("name", ["tolerance", "width"])
@pytest.mark.parametrize("value", [-1, np.inf, np.nan, "far", "2", "%", None])
def test_what_is_no_length_is_refused(name, value):
    with pytest.raises(DataError, match=f"`{name}` is") as caught:
        Boundary([0, 1], **{name: value})
    assert caught.value.argument == name


# the contract -------------------------------------------------------------------------------------


def test_a_class_that_neither_holds_is_undefined():
    family = Boundary([0, 1, 2])
    found = family.figures(family.count(TRUTH, PREDICTION))
    for name in NAMES:
        by_class = found[f"{name}@class"]
        assert np.isnan(by_class.value[2])
        assert by_class.n[2] == 0
        assert found[name].value == pytest.approx(by_class.value[:2].mean())


def test_a_class_that_only_one_holds_scores_0():
    empty = np.zeros_like(TRUTH)
    missed, invented = scores(TRUTH, empty), scores(empty, TRUTH)
    assert [missed[name][1] for name in NAMES] == [0, 0, 0]
    assert [invented[name][1] for name in NAMES[:2]] == [0, 0]
    assert np.isnan(invented["trimap_iou"][1])  # the truth has no boundary to look around


def test_all_background_is_perfect():
    found = scores(np.zeros_like(TRUTH), np.zeros_like(TRUTH))
    assert [found[name][0] for name in NAMES] == [1, 1, 1]
    assert all(np.isnan(found[name][1]) for name in NAMES)


def test_one_pixel():
    found = scores(np.array([[1]]), np.array([[1]]))
    assert [found[name][1] for name in NAMES] == [1, 1, 1]
    truth, prediction = np.zeros((2, 7, 9), dtype=np.int32)
    truth[1, 1] = prediction[1, 2] = 1
    found = scores(truth, prediction, tolerance=1)
    assert [found[name][1] for name in NAMES] == [1, 0, 0]


def test_all_ignored_is_undefined():
    found = scores(np.full_like(TRUTH, IGNORE), PREDICTION)
    assert all(np.isnan(found[name]).all() for name in NAMES)


def test_pixels_that_the_prediction_lacks_are_as_if_ignored():
    lost = np.zeros(TRUTH.shape, dtype=bool)
    lost[2:, 4:] = True
    found = scores(TRUTH, np.where(lost, IGNORE, PREDICTION))
    expected = scores(np.where(lost, IGNORE, TRUTH), PREDICTION)
    for name in NAMES:
        np.testing.assert_array_equal(found[name], expected[name])
        assert not np.array_equal(found[name], scores(TRUTH, PREDICTION)[name])


def test_bad_masks_are_refused():
    family = Boundary([0, 1])
    with pytest.raises(ShapeError, match="differ in size"):
        family.count(TRUTH, PREDICTION.T)
    with pytest.raises(DataError, match="class id 7, not among"):
        family.count(TRUTH, PREDICTION * 7)


def test_order_in_memory_and_of_ids_make_no_difference(rng):
    truth, prediction = blobs(rng, (7, 25, 31), 3) * 300, blobs(rng, (7, 25, 31), 3) * 300
    spacing = (2.0, 1.0, 0.5)
    expected = scores(truth, prediction, (0, 300, 600), "2%", "5%", spacing)
    for truth_order, prediction_order in ("FF", "FC", "CF"):
        arrays = np.array(truth, order=truth_order), np.array(prediction, order=prediction_order)
        found = scores(*arrays, (600, 0, 300), "2%", "5%", spacing)
        for name in NAMES:
            np.testing.assert_allclose(found[name][[1, 2, 0]], expected[name], rtol=1e-12)


def test_f1_is_averaged_over_images_and_ious_pool_pixels():
    truth = np.roll(TRUTH, 1, axis=1)
    counted = Accumulator([Boundary([0, 1], 0.5, 1)], keep=True)
    counted.update(TRUTH, PREDICTION)
    counted.update(truth, truth)
    found = counted.compute()
    one = scores(TRUTH, PREDICTION, tolerance=0.5)
    assert found["boundary_f1@class"].value[1] == pytest.approx((one["boundary_f1"][1] + 1) / 2)
    assert found["boundary_f1@class"].n[1] == 2
    assert found["boundary_iou@class"].value[1] == pytest.approx((6 + 16) / (26 + 16))
    assert found["boundary_iou@class"].n[1] == 42
    mean = counted.scores(aggregate="mean")["boundary_iou@class"].value[1]
    assert mean == pytest.approx((6 / 26 + 1) / 2)


def test_parts_merge_and_survive_as_plain_arrays(rng):
    pairs = [(blobs(rng, (15, 19), 3), blobs(rng, (15, 19), 3)) for _ in range(4)]
    whole, *halves = (Accumulator([Boundary(range(3), 1, "10%")]) for _ in range(3))
    for i, pair in enumerate(pairs):
        whole.update(*pair)
        halves[i % 2].update(*pair)
    halves[0].merge(Accumulator.from_state(halves[1].state()))
    for name, score in whole.compute().items():
        np.testing.assert_allclose(halves[0].compute()[name].value, score.value, rtol=1e-14)
