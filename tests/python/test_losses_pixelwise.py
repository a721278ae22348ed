"""Means over pixels, and over the hardest of them, against hand-worked values, torch, torchvision,
segmentation-models-pytorch and MONAI."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from loss_batches import by_hand, drawn, loss_of
from maskr.arrays import IGNORE
from maskr.errors import DataError
from torchvision.ops import sigmoid_focal_loss

# of the true class, pixel by pixel: three of the foreground among them
P_TRUE, OF_ONE = [0.9, 0.8, 0.9, 0.6, 0.3], [1, 0, 0, 1, 1]
NLL = [-math.log(p) for p in P_TRUE]


def test_binary_cross_entropy_by_hand():
    assert by_hand("bce") == pytest.approx(sum(NLL) / 5)
    tripled = [loss * (3 if one else 1) for loss, one in zip(NLL, OF_ONE, strict=True)]
    assert by_hand("bce", pos_weight=3) == pytest.approx(sum(tripled) / 5)
    # the same weights as class weights: divided by 3 * 3 + 2 * 1
    assert by_hand("bce", class_weights=[1, 3]) == pytest.approx(sum(tripled) / 11)
    # with a smoothing of 0.2 the truth is 0.9 and 0.1
    smooth = [-0.9 * math.log(p) - 0.1 * math.log(1 - p) for p in P_TRUE]
    assert by_hand("bce", label_smoothing=0.2) == pytest.approx(sum(smooth) / 5)


def test_focal_by_hand():
    focal = [(1 - p) ** 2 * loss for p, loss in zip(P_TRUE, NLL, strict=True)]
    assert by_hand("focal") == pytest.approx(sum(focal) / 5)
    quarter = [loss * (0.25 if one else 0.75) for loss, one in zip(focal, OF_ONE, strict=True)]
    assert by_hand("focal", alpha=0.25) == pytest.approx(sum(quarter) / 5)
    tripled = [loss * (3 if one else 1) for loss, one in zip(focal, OF_ONE, strict=True)]
    assert by_hand("focal", class_weights=[1, 3]) == pytest.approx(sum(tripled) / 11)
    assert by_hand("focal", gamma=0) == pytest.approx(by_hand("bce"))


def test_l1_and_l2_by_hand():
    assert by_hand("l1") == pytest.approx((0.1 + 0.2 + 0.1 + 0.4 + 0.7) / 5)
    assert by_hand("l2") == pytest.approx((0.01 + 0.04 + 0.01 + 0.16 + 0.49) / 5)


def test_the_hardest_pixels_by_hand():
    # 0.4 of five pixels are two, 0.5 are three
    assert by_hand("topk", fraction=0.4) == pytest.approx((NLL[4] + NLL[3]) / 2)
    assert by_hand("topk", fraction=0.5) == pytest.approx((NLL[4] + NLL[3] + NLL[1]) / 3)
    assert by_hand("topk", fraction=1) == pytest.approx(by_hand("bce"))
    assert by_hand("ohem") == pytest.approx((NLL[4] + NLL[3]) / 2)
    assert by_hand("ohem", min_kept=3) == pytest.approx((NLL[4] + NLL[3] + NLL[1]) / 3)
    assert by_hand("ohem", min_kept=100) == pytest.approx(by_hand("bce"))
    # no pixel below the threshold: a sixteenth of five pixels is one
    assert by_hand("ohem", threshold=0.1) == pytest.approx(NLL[4])
    # weights do not choose, they weigh what was chosen: one pixel of each class
    weighted = (2 * NLL[4] + 2 * NLL[3] + 6 * NLL[1]) / 10
    for name, arguments in (("topk", {"fraction": 0.5}), ("ohem", {"min_kept": 3})):
        assert by_hand(name, class_weights=[6, 2], **arguments) == pytest.approx(weighted)


def test_ten_pixels_times_seven_tenths_are_seven():
    logits = torch.linspace(-2, 3, 10).double().reshape(1, 1, 2, 5)
    target = torch.ones(1, 2, 5, dtype=torch.long)
    losses = -F.logsigmoid(logits).flatten().sort(descending=True).values
    hardest = losses.sort(descending=True).values[:7].mean()
    assert float(loss_of("topk", logits, target, fraction=0.7)) == pytest.approx(float(hardest))


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0, 3.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_equals_torch(ignored, weights, smoothing):
    logits, target = drawn(4, ignored=ignored)
    ours = loss_of(
        "cross_entropy", logits, target, class_weights=weights, label_smoothing=smoothing
    )
    theirs = F.cross_entropy(
        logits,
        target,
        None if weights is None else torch.tensor(weights).double(),
        ignore_index=IGNORE,
        label_smoothing=smoothing,
    )
    assert float(ours) == pytest.approx(float(theirs), rel=1e-12)


def test_cross_entropy_is_not_divided_by_ignored_pixels_as_in_smp():
    logits, target = drawn(4, ignored=True)
    theirs = smp.losses.SoftCrossEntropyLoss(ignore_index=IGNORE, smooth_factor=0.0)(logits, target)
    counted = (target != IGNORE).double().mean()
    ours = loss_of("cross_entropy", logits, target)
    assert float(ours * counted) == pytest.approx(float(theirs))


@pytest.mark.parametrize("pos_weight", [1.0, 2.5])
def test_bce_equals_torch(pos_weight):
    logits, target = drawn(1)
    theirs = F.binary_cross_entropy_with_logits(
        logits[:, 0], target.double(), pos_weight=torch.tensor(pos_weight).double()
    )
    ours = loss_of("bce", logits, target, pos_weight=pos_weight)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-12)


def test_bce_is_the_cross_entropy_of_two_classes_in_all_arguments():
    logits, target = drawn(1, ignored=True)
    both = torch.cat((torch.zeros_like(logits), logits), dim=1)
    for arguments in ({}, {"class_weights": [0.5, 2.0]}, {"label_smoothing": 0.2},
                      {"class_weights": [0.5, 2.0], "label_smoothing": 0.2}):
        one = loss_of("bce", logits, target, **arguments)
        assert float(loss_of("cross_entropy", logits, target, **arguments)) == float(one)
        two = loss_of("cross_entropy", both, target, **arguments)
        assert float(two) == pytest.approx(float(one), rel=1e-12)


def test_binary_focal_equals_torchvision_and_smp():
    logits, target = drawn(1)
    theirs = sigmoid_focal_loss(logits[:, 0], target.double(), 0.25, 1.5, "mean")
    ours = loss_of("focal", logits, target, alpha=0.25, gamma=1.5)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-10)
    theirs = smp.losses.FocalLoss("binary", gamma=2.0)(logits, target)
    assert float(loss_of("focal", logits, target)) == pytest.approx(float(theirs))
    logits, target = drawn(1, ignored=True)
    theirs = smp.losses.FocalLoss("binary", gamma=2.0, ignore_index=IGNORE)(logits, target)
    assert float(loss_of("focal", logits, target)) == pytest.approx(float(theirs))


def test_focal_of_several_classes_is_that_of_a_softmax():
    from monai.losses import FocalLoss

    logits, target = drawn(4, ignored=True)
    counted = target != IGNORE
    p = logits.softmax(1).movedim(1, -1)[counted].gather(1, target[counted][:, None])[:, 0]
    plain = -((1 - p) ** 2) * p.log()
    assert float(loss_of("focal", logits, target)) == pytest.approx(float(plain.mean()))
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0]).double()[target[counted]]
    weighted = (plain * weights).sum() / weights.sum()
    ours = loss_of("focal", logits, target, class_weights=[0.5, 2.0, 1.0, 3.0])
    assert float(ours) == pytest.approx(float(weighted))
    logits, target = drawn(4)
    theirs = FocalLoss(use_softmax=True, to_onehot_y=True)(logits, target[:, None])
    assert float(loss_of("focal", logits, target)) == pytest.approx(4 * float(theirs), rel=1e-6)


@pytest.mark.parametrize("k", [1, 4])
def test_the_hardest_pixels_are_those_of_a_sorted_list(k):
    logits, target = drawn(k, ignored=True)
    counted = target != IGNORE
    if k == 1:
        p = logits.sigmoid()[:, 0][counted]
        p = torch.where(target[counted] == 1, p, 1 - p)
    else:
        p = logits.softmax(1).movedim(1, -1)[counted].gather(1, target[counted][:, None])[:, 0]
    losses = (-p.log()).sort(descending=True).values
    taken = math.ceil(0.15 * len(losses))
    expected = float(losses[:taken].mean())
    assert float(loss_of("topk", logits, target, fraction=0.15)) == pytest.approx(expected)
    expected = float(losses[losses > -math.log(0.4)].mean())
    assert float(loss_of("ohem", logits, target, threshold=0.4)) == pytest.approx(expected)


def test_l1_and_l2_of_several_classes_are_means_over_pixels_and_classes():
    logits, target = drawn(4)
    error = logits.softmax(1) - F.one_hot(target, 4).movedim(-1, 1)
    ours = loss_of("l1", logits, target)
    assert float(ours) == pytest.approx(float(error.abs().mean()))
    assert float(loss_of("l2", logits, target)) == pytest.approx(float((error**2).mean()))
    logits, target = drawn(4, ignored=True)
    error = (logits.softmax(1) - F.one_hot(target.clamp(min=0), 4).movedim(-1, 1)).movedim(1, -1)
    ours = loss_of("l1", logits, target)
    assert float(ours) == pytest.approx(float(error[target != IGNORE].abs().mean()))


def test_what_fits_no_number_of_classes_is_an_error():
    logits, target = drawn(3)
    with pytest.raises(DataError, match="two classes") as raised:
        loss_of("bce_dice", logits, target)
    assert 'seg_loss("cross_entropy") + seg_loss("dice")' in raised.value.hint
    with pytest.raises(DataError, match="`alpha` of the focal loss is for two classes"):
        loss_of("focal", logits, target, alpha=0.25)
    for name in ("cross_entropy", "focal", "topk", "ohem"):
        with pytest.raises(DataError, match="2 values for 3 classes"):
            loss_of(name, logits, target, class_weights=[1, 2])
    logits, target = drawn(1)
    for name in ("bce", "bce_dice"):
        with pytest.raises(DataError, match="3 values for 2 classes"):
            loss_of(name, logits, target, class_weights=[1, 2, 3])
