"""Losses against hand-worked values, torch and segmentation-models-pytorch."""

import keras
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from maskr import losses
from maskr.arrays import IGNORE, NA_INTEGER
from maskr.errors import DataError, ShapeError
from maskr.losses import SegLoss

# A worked example of the literature: intersection 3.2, sums 4.0 and 5.0, Dice 0.711
P = np.array([[0.9, 0.8, 0.1, 0], [0.7, 0.6, 0.2, 0.1], [0.1, 0.3, 0.1, 0], [0, 0.1, 0, 0]])
G = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0] * 4, [0] * 4], dtype=np.int32)


def drawn(k, seed=0, ignored=False, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(3, k, 5, 7, generator=generator, dtype=dtype)
    target = torch.randint(0, max(k, 2), (3, 5, 7), generator=generator)
    if ignored:
        target[:, 1, 2:5] = IGNORE
    return logits, target


def on_logits(name, logits, target, **arguments):
    probabilities = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)
    probabilities._keras_logits = logits
    return SegLoss(name, **arguments)(target, probabilities)


def test_dice_of_the_worked_example():
    assert losses.value("dice", {"smooth": 0.0}, G, P) == pytest.approx(1 - 2 * 3.2 / 9, abs=1e-6)
    assert losses.value("dice", {}, G, P) == pytest.approx(1 - 7.4 / 10, abs=1e-6)


def test_bce_and_cross_entropy_of_the_worked_example():
    p = np.where(G == 1, P, 1 - P)
    expected = -np.log(np.clip(p, 2.3e-16, 1)).mean()
    assert losses.value("bce", {}, G, P) == pytest.approx(expected, rel=1e-6)
    assert losses.value("cross_entropy", {}, G, P) == pytest.approx(expected, rel=1e-6)
    both = losses.value("bce_dice", {"smooth": 0.0}, G, P)
    assert both == pytest.approx(expected + 1 - 6.4 / 9, rel=1e-6)


def test_missing_truth_does_not_count():
    truth = G.copy()
    truth[2:] = NA_INTEGER
    expected = 1 - 2 * 3.2 / (5 + P[:2].sum())
    assert losses.value("dice", {"smooth": 0.0}, truth, P) == pytest.approx(expected, abs=1e-6)


def test_cross_entropy_equals_torch_with_ignore_and_weights():
    for ignored in (False, True):
        logits, target = drawn(4, ignored=ignored)
        weights = [0.5, 2.0, 1.0, 3.0]
        ours = on_logits("cross_entropy", logits, target, class_weights=weights)
        theirs = F.cross_entropy(logits, target, torch.tensor(weights).double(), ignore_index=-1)
        assert float(ours) == pytest.approx(float(theirs), rel=1e-12)
        plain = on_logits("cross_entropy", logits, target)
        assert float(plain) == pytest.approx(
            float(F.cross_entropy(logits, target, ignore_index=-1)), rel=1e-12
        )


def test_bce_equals_torch_and_the_binary_cross_entropy_too():
    logits, target = drawn(1)
    theirs = F.binary_cross_entropy_with_logits(logits[:, 0], target.double())
    assert float(on_logits("bce", logits, target)) == pytest.approx(float(theirs), rel=1e-12)
    ours = on_logits("cross_entropy", logits, target)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-12)


def test_bce_ignores_pixels_whatever_their_logit():
    logits, target = drawn(1, ignored=True)
    wild = logits.clone()
    wild[:, 0][target == IGNORE] = 1e4
    a, b = on_logits("bce", logits, target), on_logits("bce", wild, target)
    assert float(a) == pytest.approx(float(b), rel=1e-12)


@pytest.mark.parametrize(("k", "mode"), [(1, "binary"), (4, "multiclass")])
def test_dice_equals_segmentation_models_pytorch(k, mode):
    logits, target = drawn(k, seed=4)
    theirs = smp.losses.DiceLoss(mode, smooth=0.0, eps=1e-12)(logits, target)
    assert float(on_logits("dice", logits, target, smooth=0.0)) == pytest.approx(float(theirs))


def test_dice_is_over_the_batch_not_a_mean_over_images():
    target = torch.zeros(2, 1, 4, dtype=torch.long)
    target[0, 0, 0] = 1
    logits = torch.full((2, 1, 1, 4), -50.0)
    logits[0, 0, 0, 0] = logits[1, 0, 0, 3] = 50.0
    assert float(on_logits("dice", logits, target, smooth=0.0)) == pytest.approx(1 - 2 / 3)


def test_a_class_that_is_nowhere():
    target = torch.zeros(1, 2, 3, dtype=torch.long)
    logits = torch.full((1, 1, 2, 3), -1e4)
    assert float(on_logits("dice", logits, target)) == pytest.approx(0)
    assert float(on_logits("dice", logits, target, smooth=0.0)) == 0


@pytest.mark.parametrize(("name", "k"), [("bce", 1), ("cross_entropy", 3), ("dice", 1),
                                         ("dice", 3), ("bce_dice", 1)])
def test_gradients_are_right_and_finite_where_all_is_ignored(name, k):
    logits, target = drawn(k, ignored=True)
    logits = logits[:1, :, :3, :4].clone().requires_grad_()
    target = target[:1, :3, :4]
    function = losses.LOSSES[name]
    assert torch.autograd.gradcheck(lambda z: function(z, target), (logits,))
    nothing = torch.full_like(target, IGNORE)
    value = function(logits, nothing)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()


def test_targets_with_a_channel_axis_are_accepted_and_others_not():
    logits, target = drawn(1)
    with_axis = on_logits("bce", logits, target[:, None])
    assert float(with_axis) == float(on_logits("bce", logits, target))
    with pytest.raises(ShapeError, match="class indices"):
        on_logits("bce", logits, target[0])


def test_what_makes_no_sense_is_an_error():
    logits, target = drawn(3)
    with pytest.raises(DataError, match="no loss"):
        SegLoss("hinge")
    with pytest.raises(DataError, match="two classes"):
        on_logits("bce", logits, target)
    with pytest.raises(DataError, match="2 values for 3 classes"):
        on_logits("cross_entropy", logits, target, class_weights=[1, 2])
    with pytest.raises(DataError, match="Weights per sample"):
        SegLoss("dice")(target, logits.softmax(1), sample_weight=torch.ones(3))
    with pytest.raises(ShapeError, match="has size"):
        losses.value("dice", {}, G, P[:2])
    with pytest.raises(DataError, match="in 0..1"):
        losses.value("dice", {}, G, P + 1)
    with pytest.raises(DataError, match="class index 2"):
        losses.value("dice", {}, 2 * G, P)


def test_keras_can_save_and_rebuild_a_loss():
    loss = SegLoss("cross_entropy", class_weights=[1.0, 2.0, 1.0])
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    logits, target = drawn(3)
    p = logits.softmax(1)
    assert float(again(target, p)) == float(loss(target, p))
