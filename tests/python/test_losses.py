"""What holds for every loss; sums of losses; losses in Keras and outside any model."""

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_batches import CASES, drawn, loss_of
from maskr import losses
from maskr.arrays import IGNORE, NA_INTEGER
from maskr.errors import DataError, ShapeError
from maskr.losses import LOSSES, SegLoss
from maskr.losses.batch import Batch
from maskr.losses.registry import takes_class_weights

# A worked example of the literature: intersection 3.2, sums 4.0 and 5.0, Dice 0.711
P = np.array([[0.9, 0.8, 0.1, 0], [0.7, 0.6, 0.2, 0.1], [0.1, 0.3, 0.1, 0], [0, 0.1, 0, 0]])
G = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0] * 4, [0] * 4], dtype=np.int32)
EVERY_LOSS = pytest.mark.parametrize(("name", "k"), CASES)


def terms(name, weight=1, **arguments):
    return [{"name": name, "arguments": arguments, "weight": weight}]


def output(logits):
    """What a model returns for an image of these logits."""
    probabilities = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)
    probabilities._keras_logits = logits
    return probabilities


# ---- every loss

@EVERY_LOSS
def test_gradients_are_right(name, k):
    logits, target = drawn(k, ignored=True, size=(2, 3, 4))
    assert torch.autograd.gradcheck(lambda z: loss_of(name, z, target), logits.requires_grad_())


@EVERY_LOSS
def test_gradients_are_right_in_volumes_and_with_a_class_absent(name, k):
    logits, target = drawn(k, size=(1, 2, 3, 3), seed=3)
    target[target == max(k, 2) - 1] = 0
    target[0, 1, 1] = IGNORE
    assert torch.autograd.gradcheck(lambda z: loss_of(name, z, target), logits.requires_grad_())


@pytest.mark.parametrize("arguments", [
    ("bce", 1, {"pos_weight": 3.0, "label_smoothing": 0.1, "class_weights": [1.0, 2.0]}),
    ("cross_entropy", 4, {"class_weights": [1.0, 0.0, 2.0, 1.0], "label_smoothing": 0.1}),
    ("focal", 1, {"alpha": 0.25, "gamma": 0.5}), ("dice", 4, {"smooth": 0.0}),
    ("focal_tversky", 4, {"gamma": 3.0, "smooth": 0.0}), ("lovasz", 4, {"per_image": True}),
    ("topk", 4, {"fraction": 0.5, "class_weights": [1.0, 0.0, 2.0, 1.0]}),
    ("ohem", 1, {"threshold": 0.2, "min_kept": 5}), ("hausdorff", 4, {"alpha": 1.0}),
], ids=lambda case: case[0])
def test_gradients_are_right_with_arguments(arguments):
    name, k, arguments = arguments
    logits, target = drawn(k, ignored=True, size=(2, 3, 4), seed=1)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss_of(name, z, target, **arguments), logits)


@EVERY_LOSS
def test_a_batch_that_is_all_ignored_has_the_loss_0_and_no_gradient(name, k):
    logits, target = drawn(k)
    logits.requires_grad_()
    value = loss_of(name, logits, torch.full_like(target, IGNORE))
    value.backward()
    assert float(value.detach()) == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", ["mixed", "right", "wrong", "absent", "ignored"])
def test_extreme_logits_in_half_precision_stay_finite(name, k, dtype, case):
    _, target = drawn(k, ignored=True, size=(2, 8, 9))
    sign = torch.sign(torch.randn(2, k, 8, 9, generator=torch.Generator().manual_seed(9)))
    truth = torch.stack([target == c for c in ([1] if k == 1 else range(k))], dim=1)
    if case in ("right", "wrong"):
        sign = torch.where(truth == (case == "right"), 1.0, -1.0)
    if case == "absent":
        target = torch.zeros_like(target)
    if case == "ignored":
        target = torch.full_like(target, IGNORE)
    logits = (60000 * sign).to(dtype).requires_grad_()
    value = loss_of(name, logits, target)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()
    if case == "right" and name != "boundary":
        assert float(value.detach()) == pytest.approx(0, abs=1e-6)


@EVERY_LOSS
def test_half_precision_is_computed_in_single(name, k):
    logits, target = drawn(k, ignored=True)
    half = logits.half()
    with torch.autocast("cpu", torch.bfloat16):
        value = SegLoss(terms(name))(target, output(half))
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(float(loss_of(name, half.double(), target)), rel=1e-5)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31), where=st.lists(st.integers(0, 104), min_size=1, max_size=60))
def test_what_is_under_ignored_pixels_does_not_matter(seed, where):
    for name, k in CASES:
        logits, target = drawn(k, seed=seed)
        target.view(-1)[where] = IGNORE
        other = torch.where((target == IGNORE)[:, None], 20 * torch.randn_like(logits), logits)
        a, b = loss_of(name, logits, target), loss_of(name, other, target)
        assert float(a) == pytest.approx(float(b), rel=1e-9, abs=1e-12), name


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), order=st.permutations(range(3)))
def test_the_order_of_images_does_not_matter(seed, order):
    for name, k in CASES:
        logits, target = drawn(k, seed=seed, ignored=True)
        a, b = loss_of(name, logits, target), loss_of(name, logits[order], target[order])
        assert float(a) == pytest.approx(float(b), rel=1e-9, abs=1e-12), name


@EVERY_LOSS
def test_memory_order_does_not_matter(name, k):
    logits, target = drawn(k, ignored=True)
    last = logits.contiguous(memory_format=torch.channels_last)
    a, b = loss_of(name, logits, target), loss_of(name, last, target)
    assert float(a) == pytest.approx(float(b), rel=1e-12)


@pytest.mark.parametrize("name", takes_class_weights())
def test_equal_class_weights_change_nothing_and_a_weight_of_0_hides_a_class(name):
    k = 1 if name.startswith("bce") else 4
    logits, target = drawn(k, ignored=True)
    plain = loss_of(name, logits, target)
    assert float(loss_of(name, logits, target, class_weights=[2.0] * max(k, 2))) == pytest.approx(
        float(plain), rel=1e-12
    )
    if name in ("bce", "cross_entropy", "focal"):
        hidden = loss_of(name, logits, target, class_weights=[0.0] + [1.0] * (max(k, 2) - 1))
        without = loss_of(name, logits, target.masked_fill(target == 0, IGNORE))
        assert float(hidden) == pytest.approx(float(without), rel=1e-12)


def test_counts_beyond_single_precision_are_exact():
    # one running sum of ones in float32 stops at 2**24
    target = torch.zeros(1, 4097, 4100, dtype=torch.int64)
    batch = Batch(torch.zeros(1, 1, 1, 1).expand(1, 2, 4097, 4100), target)
    counts = batch.sum_by_class(torch.ones(()).expand(1, 4097, 4100))
    assert counts.tolist() == [4097 * 4100, 0]


# ---- sums

@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CASES), st.floats(0, 5)), min_size=1, max_size=4))
def test_sums_are_weighted_sums(parts):
    k = parts[0][0][1]
    parts = [(name, weight) for (name, channels), weight in parts if channels == k]
    logits, target = drawn(k, ignored=True)
    summed = losses.from_r([{"name": n, "arguments": {}, "weight": w} for n, w in parts])
    expected = sum(weight * float(loss_of(name, logits, target)) for name, weight in parts)
    assert float(summed(target, output(logits))) == pytest.approx(expected, rel=1e-9)


def test_weights_and_arguments_may_be_left_out():
    logits, target = drawn(4)
    short = SegLoss([{"name": "dice"}])(target, output(logits))
    assert float(short) == float(loss_of("dice", logits, target))


def test_class_weights_go_to_every_term_that_takes_them():
    loss = SegLoss([*terms("cross_entropy", 0.5, label_smoothing=0.1), *terms("dice", 2),
                    *terms("focal", class_weights=[9, 9, 9])])
    weighted = loss.with_class_weights([1, 2, 3])
    assert weighted.terms == [
        *terms("cross_entropy", 0.5, label_smoothing=0.1, class_weights=[1.0, 2.0, 3.0]),
        *terms("dice", 2.0),
        *terms("focal", class_weights=[1.0, 2.0, 3.0]),
    ]
    assert "class_weights" not in loss.terms[0]["arguments"]
    with pytest.raises(DataError, match="to dice_iou") as error:
        SegLoss([*terms("dice"), *terms("iou")]).with_class_weights([1, 2])
    for name in ("bce", "cross_entropy", "focal", "topk", "ohem", "bce_dice"):
        assert name in error.value.hint


# ---- Keras

def test_keras_can_save_and_rebuild_a_sum():
    loss = SegLoss(terms("cross_entropy", 0.5, class_weights=[1.0, 2.0, 1.0]) + terms("dice"))
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.terms == loss.terms
    logits, target = drawn(3)
    assert float(again(target, output(logits))) == float(loss(target, output(logits)))


def test_targets_with_a_channel_axis_are_accepted_and_others_not():
    logits, target = drawn(1)
    loss = SegLoss(terms("bce"))
    assert float(loss(target[:, None], output(logits))) == float(loss(target, output(logits)))
    with pytest.raises(ShapeError, match="class indices"):
        loss(target[0], output(logits))
    with pytest.raises(ShapeError, match=r"needs \[3, 5, 7\]"):
        loss(target[:, 1:], output(logits))


def test_a_volume_of_one_slice_is_a_volume():
    logits, target = drawn(3, size=(2, 1, 4, 5))
    flat = SegLoss(terms("dice"))(target[:, 0], output(logits[:, :, 0]))
    assert float(SegLoss(terms("dice"))(target, output(logits))) == pytest.approx(float(flat))


def test_what_makes_no_sense_is_an_error():
    logits, target = drawn(3)
    with pytest.raises(DataError, match="no loss"):
        SegLoss(terms("hinge"))
    with pytest.raises(DataError, match="has no argument `gamma`") as error:
        SegLoss(terms("tversky", gamma=2))
    assert error.value.hint == "It has alpha, beta, smooth."
    with pytest.raises(DataError, match="two classes"):
        SegLoss(terms("bce"))(target, output(logits))
    with pytest.raises(DataError, match="Weights per sample"):
        SegLoss(terms("dice"))(target, output(logits), sample_weight=torch.ones(3))


# ---- outside any model

def test_dice_of_the_worked_example():
    value = losses.value(terms("dice", smooth=0.0), G, P)
    assert value == pytest.approx(1 - 2 * 3.2 / 9, abs=1e-6)
    assert losses.value(terms("dice"), G, P) == pytest.approx(1 - 7.4 / 10, abs=1e-6)


def test_bce_and_cross_entropy_of_the_worked_example():
    p = np.where(G == 1, P, 1 - P)
    expected = -np.log(np.clip(p, 2.3e-16, 1)).mean()
    assert losses.value(terms("bce"), G, P) == pytest.approx(expected, rel=1e-6)
    assert losses.value(terms("cross_entropy"), G, P) == pytest.approx(expected, rel=1e-6)
    both = losses.value(terms("bce") + terms("dice", 0.5, smooth=0.0), G, P)
    assert both == pytest.approx(expected + 0.5 * (1 - 6.4 / 9), rel=1e-6)


def test_missing_truth_does_not_count():
    truth = G.copy()
    truth[2:] = NA_INTEGER
    expected = 1 - 2 * 3.2 / (5 + P[:2].sum())
    value = losses.value(terms("dice", smooth=0.0), truth, P)
    assert value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in LOSSES if not name.startswith("bce")])
def test_volumes_are_taken_as_they_are(name):
    logits, target = drawn(3, size=(1, 2, 4, 5), seed=2)
    p = logits.softmax(1)[0].movedim(0, -1).numpy()
    truth = target[0].numpy().astype(np.int32)
    expected = float(loss_of(name, logits, target))
    assert losses.value(terms(name), truth, p) == pytest.approx(expected, rel=1e-4)
    binary = losses.value(terms(name), (truth == 1).astype(np.int32), p[..., 1])
    expected = loss_of(name, torch.logit(logits.softmax(1)[:, 1:2]), (target == 1).long())
    assert binary == pytest.approx(float(expected), rel=1e-4)


def test_probabilities_that_do_not_fit_are_errors():
    with pytest.raises(ShapeError, match="has size"):
        losses.value(terms("dice"), G, P[:2])
    with pytest.raises(ShapeError, match="has size"):
        losses.value(terms("dice"), np.stack([G, G]), np.stack([P, P])[:, 1:])
    with pytest.raises(DataError, match="in 0..1"):
        losses.value(terms("dice"), G, P + 1)
    with pytest.raises(DataError, match="class index 2"):
        losses.value(terms("dice"), 2 * G, P)
    with pytest.raises(DataError, match="holds -2"):
        losses.value(terms("dice"), -2 * G, P)
    with pytest.raises(DataError, match="`prob` holds missing"):
        losses.value(terms("dice"), G, np.where(G == 1, np.nan, P))


def test_probabilities_keep_double_precision_up_to_the_clip():
    for truth, probability, expected in [(0, 1 - 1e-9, 20.7233), (1, 1e-50, 52 * np.log(2))]:
        value = losses.value(terms("bce"), np.full((1, 2), truth), np.full((1, 2), probability))
        assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.filterwarnings("error")
def test_probabilities_of_one_row_are_copied_from_r():
    probabilities = np.array([[0.2, 0.7]], order="F")
    probabilities.flags.writeable = False
    value = losses.value(terms("bce"), np.array([[0, 1]]), probabilities)
    assert value == pytest.approx(-np.log([0.8, 0.7]).mean())
