"""Distances between surfaces: hand-worked examples, MONAI's numbers, and the contract."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from maskr import masks
from maskr.arrays import IGNORE
from maskr.errors import DataError, ShapeError
from maskr.metrics.accumulator import Accumulator
from maskr.metrics.masks import Mask
from maskr.metrics.surface import NAMES, Surface
from maskr.metrics.surface_points import Pair, distances
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

TRUTH = np.zeros((7, 9), dtype=np.int32)
TRUTH[1:4, 1:4] = 1
PREDICTION = np.zeros((7, 9), dtype=np.int32)
PREDICTION[1:4, 3:7] = 1


def scores(truth, prediction, ids=(0, 1), tolerance=1.0, spacing=None) -> dict[str, np.ndarray]:
    """Scores by class, `[K]`, of one image."""
    family = Surface(ids, tolerance)
    part = family.count(Mask(truth, spacing), Mask(prediction, spacing))
    found = family.figures(part)
    return {name: found[f"{name}@class"].value for name in NAMES}


def blobs(rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> np.ndarray:
    fields = [gaussian_filter(rng.standard_normal(shape), 2.5) for _ in range(classes)]
    return np.argmax(fields, axis=0).astype(np.int32)


def monai(truth, prediction, ids, tolerance, spacing=None, ignore=None) -> dict[str, np.ndarray]:
    """The same scores by MONAI, `hd95` interpolated in float64.

    In float32 the place between two distances is off by some 1e-6 of the gap.
    """
    import torch
    from monai import metrics
    from monai.metrics.hausdorff_distance import _compute_percentile_hausdorff_distance
    from monai.metrics.utils import get_edge_surface_distance

    one_hot = [
        torch.from_numpy(np.stack([x == one for one in ids])[None]).float()
        for x in (truth, prediction)
    ]
    if ignore is not None:
        one_hot = [x * torch.from_numpy(truth != ignore) for x in one_hot]
    y, y_pred = one_hot
    of = {"y_pred": y_pred, "y": y, "include_background": True, "spacing": spacing}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            "hausdorff": metrics.compute_hausdorff_distance(**of),
            "hd95": metrics.compute_hausdorff_distance(percentile=95, **of),
            "assd": metrics.compute_average_surface_distance(symmetric=True, **of),
            "nsd": metrics.compute_surface_dice(class_thresholds=[tolerance] * len(ids), **of),
        }
        out = {name: value[0].numpy().astype(np.float64) for name, value in found.items()}
        for k in range(len(ids)):
            _, both, _ = get_edge_surface_distance(
                y_pred[0, k], y[0, k], spacing=spacing, symmetric=True
            )
            exact = max(
                float(_compute_percentile_hausdorff_distance(one.double(), 95)) for one in both
            )
            np.testing.assert_allclose(out["hd95"][k], exact, rtol=1e-5)
            out["hd95"][k] = exact
    return out


def same_as_monai(truth, prediction, ids, tolerance, spacing=None, ignore=None) -> None:
    ours = scores(truth, prediction, ids, tolerance, spacing)
    theirs = monai(truth, prediction, ids, tolerance, spacing, ignore)
    for name in NAMES:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, err_msg=name)


# by hand ------------------------------------------------------------------------------------------


def test_scores_of_a_7x9_mask():
    # truth's ring of 8 pixels: 3 shared (its last column), the others 1 (2) and 2 (3) off;
    # prediction's ring of 10: 3 shared, 1 (2), 2 (2) and 3 (3) off
    found = scores(TRUTH, PREDICTION)
    assert found["hausdorff"][1] == 3
    assert found["hd95"][1] == 3
    assert found["assd"][1] == pytest.approx((2 + 6 + 2 + 4 + 9) / 18)
    assert found["nsd"][1] == pytest.approx((3 + 2 + 3 + 2) / 18)


def test_spacing_is_that_of_each_axis():
    found = scores(TRUTH, PREDICTION, spacing=(5.0, 0.1), tolerance=0.1)
    assert found["hausdorff"][1] == pytest.approx(0.3)
    assert found["nsd"][1] == pytest.approx(10 / 18)
    found = scores(TRUTH.T, PREDICTION.T, spacing=(0.1, 5.0), tolerance=0.3)
    assert found["hausdorff"][1] == pytest.approx(0.3)
    assert found["nsd"][1] == 1  # 3 x 0.1 is within 0.3


def test_spacing_of_the_truth_is_enough():
    family = Surface([0, 1], 0.1)
    one = family.count(Mask(TRUTH, (5.0, 0.1)), PREDICTION)
    assert (one == family.count(TRUTH, Mask(PREDICTION, (5.0, 0.1)))).all()
    with pytest.raises(DataError, match="differ in spacing"):
        family.count(Mask(TRUTH, (5.0, 0.1)), Mask(PREDICTION, (1.0, 0.1)))
    with pytest.raises(ShapeError, match="spacing of 3 numbers instead of 2"):
        family.count(TRUTH, Mask(PREDICTION, (5.0, 0.1, 1.0)))
    with pytest.raises(DataError, match="above 0"):
        family.count(Mask(TRUTH, (0.0, 0.1)), PREDICTION)


def test_tolerance_may_be_a_share_of_the_diagonal():
    truth, prediction = np.zeros((2, 30, 40), dtype=np.int32)
    truth[5:20, 5:20] = prediction[5:20, 6:21] = 1
    # they are 1 pixel apart, 2 % of the diagonal of 50; 28 of the 56 pixels of each coincide
    assert scores(truth, prediction, tolerance="2%")["nsd"][1] == 1
    assert scores(truth, prediction, tolerance="1.9%")["nsd"][1] == 0.5
    assert scores(truth, prediction, tolerance="2%", spacing=(3.0, 3.0))["nsd"][1] == 1


@pytest.mark.parametrize("tolerance", [-1, np.inf, np.nan, "far", "2", "%", "-1%", None])
def test_what_is_no_tolerance_is_refused(tolerance):
    with pytest.raises(DataError, match="`tolerance` is") as caught:
        Surface([0, 1], tolerance)
    assert caught.value.argument == "tolerance"


# against MONAI ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((37, 53), None),
        ((37, 53), (0.7, 1.9)),
        ((13, 37, 29), None),
        ((13, 37, 29), (2.5, 0.8, 0.6)),
        ((13, 37, 29), (0.5, 0.5, 3.0)),
    ],
)
def test_blobs_equal_monai(rng, shape, spacing):
    truth, prediction = blobs(rng, shape, 4), blobs(rng, shape, 4)
    same_as_monai(truth, prediction, [0, 1, 2, 3], 1.25, spacing)
    same_as_monai(truth, np.roll(truth, 2, axis=1), [0, 1, 2, 3], 1.25, spacing)


@pytest.mark.parametrize("shape", [(37, 53), (9, 21, 17)])
def test_noise_equals_monai(rng, shape):
    truth, prediction = rng.integers(0, 5, (2, *shape), dtype=np.int32)
    same_as_monai(truth, prediction, range(5), 1.0)
    prediction[..., 3:] = 0  # far from it
    same_as_monai(truth, prediction, [0, 1, 2, 3, 4], 2.5)


def test_ignored_pixels_as_in_monai(rng):
    truth, prediction = blobs(rng, (37, 53), 3), blobs(rng, (37, 53), 3)
    truth[10:20, 12:40] = IGNORE
    same_as_monai(truth, prediction, [0, 1, 2], 1.0, ignore=IGNORE)
    ours = scores(truth, prediction, [0, 1, 2])
    # what is predicted there makes no difference
    prediction[12:18, 14:38] = 2
    again = scores(truth, prediction, [0, 1, 2])
    assert all((ours[name] == again[name]).all() for name in NAMES)


def test_nuclei_volume_equals_monai(shared_data):
    labels = masks.load(shared_data("stardist/mask3d.tif"), ignore=None)
    truth = (labels > 0).astype(np.int32)
    prediction = np.roll(truth, (1, -2, 3), (0, 1, 2))
    same_as_monai(truth, prediction, [0, 1], 2.0, (2.0, 1.0, 1.0))


def test_camvid_equals_monai(shared_data):
    paths = sorted(Path(shared_data("camvid/valannot")).glob("*.png"))[:2]
    truth, prediction = (masks.load(str(path), ignore=11) for path in paths)
    same_as_monai(truth, np.maximum(prediction, 0), range(11), 3.0, ignore=IGNORE)


# laws ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.1, 0.7, 0.4)])
@pytest.mark.parametrize("limit", [np.inf, 1.5, 6.0])
def test_distances_are_those_of_a_distance_transform(rng, spacing, limit):
    truth, prediction = blobs(rng, (11, 30, 41), 3), blobs(rng, (11, 30, 41), 3)
    prediction[prediction == 2] = 0
    prediction[0, 2:4, 2:9] = 2  # near in places, far in others
    pair = Pair.of(Mask(truth, spacing), Mask(prediction, spacing), [0, 1, 2])
    for k, found in enumerate(distances(pair, limit)):
        edges = [(x == k) & ~binary_erosion(x == k) for x in (truth, prediction)]
        for here, there, ours in zip(edges, edges[::-1], found, strict=True):
            expected = distance_transform_edt(~there, sampling=spacing)[here]
            expected[expected > limit] = np.inf
            np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_truth_and_prediction_may_be_exchanged(rng):
    truth, prediction = blobs(rng, (25, 31), 3), blobs(rng, (25, 31), 3)
    one, other = scores(truth, prediction, range(3)), scores(prediction, truth, range(3))
    for name in NAMES:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-14)


def test_order_in_memory_and_of_ids_make_no_difference(rng):
    truth, prediction = blobs(rng, (7, 25, 31), 3) * 300, blobs(rng, (7, 25, 31), 3) * 300
    spacing = (2.0, 1.0, 0.5)
    expected = scores(truth, prediction, (0, 300, 600), spacing=spacing)
    for truth_order, prediction_order in ("FF", "FC", "CF"):
        arrays = np.array(truth, order=truth_order), np.array(prediction, order=prediction_order)
        found = scores(*arrays, (600, 0, 300), spacing=spacing)
        for name in NAMES:
            np.testing.assert_allclose(found[name][[1, 2, 0]], expected[name], rtol=1e-12)


# the contract -------------------------------------------------------------------------------------


def test_a_class_that_neither_holds_is_undefined():
    family = Surface([0, 1, 2], 1.0)
    found = family.figures(family.count(TRUTH, PREDICTION))
    assert all(np.isnan(found[f"{name}@class"].value[2]) for name in NAMES)
    assert found["hausdorff@class"].n.tolist() == [1, 1, 0]
    both = found["assd@class"].value[:2]
    assert found["assd"].value == pytest.approx(both.mean())


@pytest.mark.parametrize("swap", [False, True])
def test_a_class_that_only_one_holds_is_infinitely_far(swap):
    pair = [TRUTH, np.zeros_like(TRUTH)]
    found = scores(*(pair[::-1] if swap else pair))
    assert [found[name][1] for name in NAMES] == [np.inf, np.inf, np.inf, 0]


def test_all_background_is_perfect():
    found = scores(np.zeros_like(TRUTH), np.zeros_like(TRUTH))
    assert [found[name][0] for name in NAMES] == [0, 0, 0, 1]
    assert all(np.isnan(found[name][1]) for name in NAMES)


def test_one_pixel():
    truth, prediction = np.zeros((2, 7, 9), dtype=np.int32)
    truth[1, 1] = prediction[4, 5] = 1
    found = scores(truth, prediction)
    assert [found[name][1] for name in NAMES] == [5, 5, 5, 0]
    found = scores(np.array([[1]]), np.array([[1]]))
    assert [found[name][1] for name in NAMES] == [0, 0, 0, 1]


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
    assert found["assd"][1] < scores(TRUTH, PREDICTION)["assd"][1]


def test_bad_masks_are_refused():
    family = Surface([0, 1])
    with pytest.raises(ShapeError, match="differ in size"):
        family.count(TRUTH, PREDICTION.T)
    with pytest.raises(DataError, match="class id 7, not among"):
        family.count(TRUTH, PREDICTION * 7)


def test_images_are_averaged_where_defined_and_one_infinite_makes_all_so():
    empty = np.zeros_like(TRUTH)
    counted = Accumulator([Surface([0, 1], 1.0)], keep=True)
    counted.update(TRUTH, PREDICTION)  # 3
    counted.update(TRUTH, TRUTH)  # 0
    counted.update(empty, empty)  # undefined
    assert counted.compute()["hausdorff@class"].value[1] == 1.5
    assert counted.compute()["hausdorff@class"].n.tolist() == [3, 2]
    counted.update(TRUTH, empty)
    assert counted.compute()["hausdorff@class"].value[1] == np.inf
    assert counted.compute()["nsd@class"].value[1] == pytest.approx((10 / 18 + 1 + 0) / 3)
    # resampled, the image that is left out takes its infinity with it
    weights = np.array([[1, 1, 1, 0], [0, 0, 0, 4], [0, 0, 4, 0]])
    found = counted.scores(weights=weights)["hausdorff@class"].value[:, 1]
    np.testing.assert_array_equal(found, [1.5, np.inf, np.nan])


def test_parts_merge_and_survive_as_plain_arrays(rng):
    pairs = [(blobs(rng, (15, 19), 3), blobs(rng, (15, 19), 3)) for _ in range(4)]
    whole, *halves = (Accumulator([Surface(range(3), "5%")]) for _ in range(3))
    for i, pair in enumerate(pairs):
        whole.update(*pair)
        halves[i % 2].update(*pair)
    halves[0].merge(Accumulator.from_state(halves[1].state()))
    for name, score in whole.compute().items():
        np.testing.assert_allclose(halves[0].compute()[name].value, score.value, rtol=1e-14)
