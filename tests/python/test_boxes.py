"""Overlap of boxes: worked out by hand, torchvision, properties."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from maskr.metrics.boxes import FUNCTIONS, overlap
from torchvision import ops

A = np.array([[0, 0, 2, 4]], dtype=float)
B = np.array([[1, 1, 5, 3]], dtype=float)


def boxes(smallest=1 / 16):
    """Boxes `[5, 4]` with sides of at least `smallest`, and one box twice."""
    corner = arrays(float, (5, 2), elements=st.floats(0, 50, width=32))
    side = arrays(float, (5, 2), elements=st.floats(smallest, 30, width=32))
    return st.tuples(corner, side).map(lambda x: np.hstack((x[0], x[0] + x[1]))[[0, 1, 2, 3, 0]])


def test_two_boxes_by_hand():
    # both of area 8, they share 1 x 2 pixels; 5 x 4 around both, centres (1, 2) and (3, 2)
    iou = 2 / 14
    assert overlap(A, B).tolist() == [[iou]]
    assert overlap(A, B, "giou")[0, 0] == pytest.approx(iou - 6 / 20)
    diou = iou - 4 / 41
    assert overlap(A, B, "diou")[0, 0] == pytest.approx(diou, abs=1e-8)
    v = 4 / math.pi**2 * (math.atan(1 / 2) - math.atan(2)) ** 2
    assert overlap(A, B, "ciou")[0, 0] == pytest.approx(diou - v**2 / (1 - iou + v), abs=1e-7)


def test_boxes_that_touch_or_lie_apart():
    apart = np.array([[2, 0, 4, 4], [8, 0, 10, 4]], dtype=float)
    assert overlap(A, apart).tolist() == [[0, 0]]
    np.testing.assert_allclose(overlap(A, apart, "giou"), [[0, -24 / 40]])


@settings(max_examples=30, deadline=None)
@given(boxes(), boxes())
def test_equal_to_torchvision_and_bounded(a, b):
    tensors = torch.from_numpy(a), torch.from_numpy(b)
    found = {kind: overlap(a, b, kind) for kind in FUNCTIONS}
    for kind, name in FUNCTIONS.items():
        np.testing.assert_array_equal(found[kind], getattr(ops, name)(*tensors).numpy())
        np.testing.assert_allclose(found[kind], overlap(b, a, kind).T, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(np.diag(overlap(a, a, kind)), 1, atol=1e-6)
    assert ((found["iou"] >= 0) & (found["iou"] <= 1 + 1e-12)).all()
    for kind, least in (("giou", -1), ("diou", -1), ("ciou", -1.5)):
        assert (found[kind] <= found["iou"] + 1e-9).all()
        assert (found[kind] >= least - 1e-9).all()
    assert (found["ciou"] <= found["diou"] + 1e-9).all()


def test_boxes_without_area():
    point, line = [1, 1, 1, 1], [0, 0, 2, 0]
    flat = np.array([point, line, [3, 3, 3, 3]], dtype=float)
    for kind in FUNCTIONS:
        assert (overlap(flat, flat, kind) == 0).all()
        with_area = overlap(flat, A, kind)
        assert np.isfinite(with_area).all()
        assert (with_area <= 0).all()
    np.testing.assert_array_equal(overlap(flat[[0]], A, "ciou"), overlap(flat[[0]], A, "diou"))


def test_no_boxes_and_whole_numbers():
    assert overlap(np.zeros((0, 4)), B).shape == (0, 1)
    assert overlap(A.astype(int), np.zeros((0, 4)), "ciou").shape == (1, 0)
    assert overlap(np.asfortranarray(A.astype(int)), B, "iou").tolist() == [[2 / 14]]
