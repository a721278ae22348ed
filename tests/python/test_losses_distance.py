"""Losses by distances against hand-worked values and MONAI."""

import math

import numpy as np
import pytest
import torch
from loss_batches import by_hand, drawn, loss_of
from maskr.arrays import IGNORE
from maskr.losses.distance import distance_to
from scipy.ndimage import distance_transform_edt


def test_boundary_by_hand():
    # signed distances 0, 1, sqrt 2 in the first row; 1 - sqrt 2, 0 and the ignored pixel below
    expected = 0.2 * 1 + 0.1 * math.sqrt(2) + 0.6 * (1 - math.sqrt(2))
    assert by_hand("boundary") == pytest.approx(expected / 5)


def test_hausdorff_by_hand():
    # squared distances of the truth 1 1 2 / 2 1 and of the prediction 1 1 4 / 1 1
    squares = 0.01 * (1 + 1) + 0.04 * (1 + 1) + 0.01 * (2 + 4) + 0.16 * (2 + 1) + 0.49 * (1 + 1)
    assert by_hand("hausdorff") == pytest.approx(squares / 5)
    plain = 0.01 * 2 + 0.04 * 2 + 0.01 * (2**0.5 + 2) + 0.16 * (2**0.5 + 1) + 0.49 * 2
    assert by_hand("hausdorff", alpha=1) == pytest.approx(plain / 5)


@pytest.mark.parametrize("size", [(3, 9, 13), (2, 5, 6, 7)])
@pytest.mark.parametrize("k", [1, 3])
def test_both_equal_monai(size, k):
    from monai.losses import BoundaryLoss, HausdorffDTLoss

    logits, target = drawn(k, size=size, seed=7)
    # larger pieces than single pixels
    target = target[..., ::3].repeat_interleave(3, dim=-1)[..., : size[-1]]
    target[0] = 0  # without a class that the other images hold
    form = {"sigmoid": True} if k == 1 else {"softmax": True, "to_onehot_y": True}
    # MONAI's distances to whole-number targets are cut to whole numbers
    theirs = HausdorffDTLoss(include_background=True, **form)(logits, target[:, None].double())
    assert float(loss_of("hausdorff", logits, target)) == pytest.approx(float(theirs), rel=1e-5)
    theirs = BoundaryLoss(**form)(logits, target[:, None])
    assert float(loss_of("boundary", logits, target)) == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.parametrize("shape", [(17, 31), (5, 7, 9)])
def test_distances_are_exact(shape, rng):
    pixels = rng.random(shape) > 0.95
    pixels.flat[3] = True
    assert np.allclose(distance_to(pixels), distance_transform_edt(~pixels), rtol=1e-6)


def test_distances_are_measured_across_ignored_pixels():
    target = torch.tensor([[[1, IGNORE, IGNORE, 0]]])
    logits = torch.zeros(1, 1, 1, 4, dtype=torch.float64)
    # 3 outside; inside 1 - 3
    assert float(loss_of("boundary", logits, target)) == pytest.approx((0.5 * 3 + 0.5 * -2) / 2)


@pytest.mark.parametrize("index", [0, 1])
def test_a_class_that_is_nowhere_or_everywhere_has_no_boundary(index):
    target = torch.full((1, 2, 3), index)
    target[0, 1, 1] = IGNORE
    logits = torch.tensor([[[[3, -1, -2], [-1, 4, -3]]]], dtype=torch.float64)
    assert float(loss_of("boundary", logits, target)) == 0
    # the prediction's own boundary remains: distances 1, 1, 2 / 1, ignored, sqrt 5
    p = logits.sigmoid()[0, 0]
    squares = torch.tensor([[1, 1, 4], [1, 0, 5]]) * (p - index) ** 2
    assert float(loss_of("hausdorff", logits, target)) == pytest.approx(float(squares.sum()) / 5)
