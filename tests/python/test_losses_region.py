"""Losses of overlap against hand-worked values, segmentation-models-pytorch and MONAI."""

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from loss_batches import by_hand, drawn, loss_of
from maskr.arrays import IGNORE

# TP = .9 + .6 + .3 = 1.8, FP = .2 + .1 = 0.3, FN = .1 + .4 + .7 = 1.2


def test_dice_iou_and_tversky_by_hand():
    assert by_hand("dice", smooth=0) == pytest.approx(1 - 3.6 / 5.1)
    assert by_hand("dice") == pytest.approx(1 - 4.6 / 6.1)
    assert by_hand("iou", smooth=0) == pytest.approx(1 - 1.8 / 3.3)
    assert by_hand("iou") == pytest.approx(1 - 2.8 / 4.3)
    assert by_hand("tversky", smooth=0) == pytest.approx(1 - 1.8 / (1.8 + 0.3 * 0.3 + 0.7 * 1.2))
    assert by_hand("tversky", alpha=0.8, beta=0.1, smooth=0.5) == pytest.approx(
        1 - 2.3 / (2.3 + 0.8 * 0.3 + 0.1 * 1.2)
    )


def test_focal_tversky_by_hand():
    shortfall = 0.93 / (1.8 + 0.93)
    assert by_hand("focal_tversky", smooth=0) == pytest.approx(shortfall**0.75)
    assert by_hand("focal_tversky", gamma=2, smooth=0) == pytest.approx(shortfall**0.5)


def test_generalised_dice_by_hand():
    # background: 2 pixels, probabilities sum to 5 - 2.1; foreground: 3 pixels, 2.1
    w0, w1 = 1 / 4, 1 / 9
    expected = (w0 * 1.5 + w1 * 1.5) / (w0 * (2 + 2.9) + w1 * (3 + 2.1))
    assert by_hand("generalised_dice") == pytest.approx(expected)


def test_bce_dice_is_the_sum():
    assert by_hand("bce_dice") == pytest.approx(by_hand("bce") + by_hand("dice"))
    both = by_hand("bce", class_weights=[1, 3]) + by_hand("dice", smooth=0)
    assert by_hand("bce_dice", smooth=0, class_weights=[1, 3]) == pytest.approx(both)


def test_lovasz_hinge_by_hand():
    logits = torch.tensor([[[[2, -1, 0.5], [-0.25, 1, 9]]]], dtype=torch.float64)
    target = torch.tensor([[[1, 0, 0], [1, 1, IGNORE]]])
    # errors 1.5 (background) and 1.25 (foreground), then 0. IoU 3/4 after the first, 2/4 after both
    assert float(loss_of("lovasz", logits, target)) == pytest.approx(1.5 * 0.25 + 1.25 * 0.25)


def test_lovasz_softmax_by_hand():
    p = torch.tensor([[0.7, 0.2, 0.4], [0.3, 0.8, 0.6]], dtype=torch.float64)
    target = torch.tensor([[[0, 1, 0]]])
    first = 0.6 * 1 / 2 + 0.3 * 1 / 2
    second = 0.6 * 1 / 2 + 0.3 * (2 / 3 - 1 / 2) + 0.2 * 1 / 3
    ours = loss_of("lovasz", p.log().reshape(1, 2, 1, 3), target)
    assert float(ours) == pytest.approx((first + second) / 2)


@pytest.mark.parametrize(("k", "mode"), [(1, "binary"), (4, "multiclass")])
def test_dice_iou_and_tversky_equal_smp(k, mode):
    logits, target = drawn(k, seed=4)
    theirs = smp.losses.DiceLoss(mode, smooth=0.0, eps=1e-12)(logits, target)
    assert float(loss_of("dice", logits, target, smooth=0.0)) == pytest.approx(float(theirs))
    theirs = smp.losses.DiceLoss(mode, smooth=0.5)(logits, target)  # theirs counts half
    assert float(loss_of("dice", logits, target)) == pytest.approx(float(theirs))
    theirs = smp.losses.JaccardLoss(mode, smooth=1.0)(logits, target)
    assert float(loss_of("iou", logits, target)) == pytest.approx(float(theirs))
    theirs = smp.losses.TverskyLoss(mode, smooth=1.0, alpha=0.2, beta=0.9)(logits, target)
    ours = loss_of("tversky", logits, target, alpha=0.2, beta=0.9)
    assert float(ours) == pytest.approx(float(theirs))


@pytest.mark.parametrize(("k", "mode"), [(1, "binary"), (4, "multiclass")])
@pytest.mark.parametrize("per_image", [False, True])
def test_lovasz_equals_smp(k, mode, per_image):
    for ignored in (False, True):
        # smp computes the hinge in single precision
        logits, target = drawn(k, seed=5, ignored=ignored, dtype=torch.float32)
        theirs = smp.losses.LovaszLoss(mode, per_image, ignore_index=IGNORE)(logits, target)
        ours = loss_of("lovasz", logits, target, per_image=per_image)
        assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.parametrize("size", [(3, 5, 7), (2, 3, 4, 5)])
def test_tversky_and_generalised_dice_equal_monai(size):
    from monai.losses import GeneralizedDiceLoss, TverskyLoss

    several = {"softmax": True, "to_onehot_y": True, "batch": True}
    logits, target = drawn(4, seed=6, size=size)
    theirs = TverskyLoss(alpha=0.3, beta=0.7, smooth_nr=1, smooth_dr=1, **several)
    ours = loss_of("tversky", logits, target)
    assert float(ours) == pytest.approx(float(theirs(logits, target[:, None])))
    theirs = GeneralizedDiceLoss(smooth_nr=0, smooth_dr=0, **several)
    ours = loss_of("generalised_dice", logits, target)
    assert float(ours) == pytest.approx(float(theirs(logits, target[:, None])), rel=1e-6)
    # a class that is not there has the weight of the rarest one
    target[target == 2] = 1
    ours = loss_of("generalised_dice", logits, target)
    assert float(ours) == pytest.approx(float(theirs(logits, target[:, None])), rel=1e-6)


def test_generalised_dice_of_a_binary_model_is_that_of_two_classes():
    logits, target = drawn(1, ignored=True)
    both = torch.cat((torch.zeros_like(logits), logits), dim=1)
    one, two = (loss_of("generalised_dice", z, target) for z in (logits, both))
    assert float(one) == pytest.approx(float(two), rel=1e-12)


def test_focal_tversky_is_the_mean_of_each_classes_power():
    logits, target = drawn(4, ignored=True)
    counted = (target != IGNORE)[:, None]
    p = logits.softmax(1) * counted
    g = F.one_hot(target.clamp(min=0), 4).movedim(-1, 1) * counted
    tp, fp, fn = ((x * y).sum((0, 2, 3)) for x, y in ((p, g), (p, 1 - g), (1 - p, g)))
    index = (tp + 1) / (tp + 0.3 * fp + 0.7 * fn + 1)
    expected = float(((1 - index) ** 0.75).mean())
    assert float(loss_of("focal_tversky", logits, target)) == pytest.approx(expected)


def test_dice_is_over_the_batch_not_a_mean_over_images():
    target = torch.zeros(2, 1, 4, dtype=torch.long)
    target[0, 0, 0] = 1
    logits = torch.full((2, 1, 1, 4), -50.0)
    logits[0, 0, 0, 0] = logits[1, 0, 0, 3] = 50.0
    assert float(loss_of("dice", logits, target, smooth=0.0)) == pytest.approx(1 - 2 / 3)


@pytest.mark.parametrize("name", ["dice", "iou", "tversky", "focal_tversky", "generalised_dice"])
def test_a_class_that_is_nowhere_and_not_predicted_costs_nothing(name):
    target = torch.zeros(1, 2, 3, dtype=torch.long)
    logits = torch.full((1, 1, 2, 3), -1e4)
    assert float(loss_of(name, logits, target)) == 0
    if name != "generalised_dice":
        assert float(loss_of(name, logits, target, smooth=0)) == 0


def test_a_class_that_is_nowhere_but_predicted():
    target = torch.zeros(1, 2, 3, dtype=torch.long)
    p = torch.full((1, 1, 2, 3), 0.25, dtype=torch.float64)  # FP = 1.5
    logits = torch.logit(p)
    assert float(loss_of("dice", logits, target)) == pytest.approx(1.5 / 2.5)
    assert float(loss_of("iou", logits, target)) == pytest.approx(1.5 / 2.5)
    assert float(loss_of("tversky", logits, target)) == pytest.approx(0.45 / 1.45)
    assert float(loss_of("dice", logits, target, smooth=0)) == pytest.approx(1)
    # background: 6 pixels, probabilities sum to 4.5; both classes have the weight 1 / 36
    assert float(loss_of("generalised_dice", logits, target)) == pytest.approx(3 / (10.5 + 1.5))
    # hinge of every pixel: 1 + log(1/3)
    assert float(loss_of("lovasz", logits, target)) == pytest.approx(max(0, 1 + logits[0, 0, 0, 0]))


def test_dice_and_lovasz_leave_out_classes_that_are_nowhere():
    target = torch.zeros(1, 1, 2, dtype=torch.long)
    target[0, 0, 1] = 1
    logits = torch.tensor([[2.0, 1.0], [1.0, 2.0], [-1e4, -1e4]]).double().reshape(1, 3, 1, 2)
    for name, arguments in (("dice", {"smooth": 0}), ("lovasz", {})):
        with_third = loss_of(name, logits, target, **arguments)
        without = loss_of(name, logits[:, :2], target, **arguments)
        assert float(with_third) == pytest.approx(float(without))


def test_lovasz_per_image_is_a_mean_over_images_with_counted_pixels():
    logits, target = drawn(4, ignored=True)
    target[2] = IGNORE
    alone = [loss_of("lovasz", logits[i : i + 1], target[i : i + 1]) for i in range(2)]
    ours = loss_of("lovasz", logits, target, per_image=True)
    assert float(ours) == pytest.approx(float(sum(alone) / 2))
