"""Schedules of the learning rate against torch's."""

import pytest
import torch
from maskr.errors import DataError
from maskr.training import schedules
from maskr.training.direction import falls
from torch.optim import lr_scheduler

TOTAL = 40


def ours(name, warmup=0, per_epoch=10, epochs=4, **arguments):
    fields = {"name": name, "warmup": warmup} | arguments
    schedule = schedules.make(fields, per_epoch, epochs, "val_loss")
    return [schedule.factor(step) for step in range(per_epoch * epochs)]


def theirs(make):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_cosine_is_torchs():
    expected = theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.1))
    assert ours("cosine", floor=0.1) == pytest.approx(expected)


def test_polynomial_is_torchs():
    expected = theirs(lambda o: lr_scheduler.PolynomialLR(o, TOTAL, power=0.9))
    assert ours("polynomial") == pytest.approx(expected)


def test_one_cycle_is_torchs():
    expected = theirs(
        lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=TOTAL + 1, cycle_momentum=False)
    )
    made = schedules.make({"name": "one_cycle"}, TOTAL + 1, 1, "loss")
    assert [made.factor(step) for step in range(TOTAL)] == pytest.approx(expected, abs=1e-9)
    assert made.factor(TOTAL) == pytest.approx(4e-6)


def test_step_is_torchs_and_counts_epochs():
    expected = theirs(lambda o: lr_scheduler.StepLR(o, 15, gamma=0.5))
    assert ours("step", every=1.5, factor=0.5) == pytest.approx(expected)


def test_the_warm_up_is_torchs_and_shortens_the_rest():
    rates = ours("cosine", warmup=0.5)
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5] == 1
    rest = schedules.make({"name": "cosine"}, 35, 1, "loss")
    assert rates[5:] == pytest.approx([rest.factor(step) for step in range(35)])
    linear = theirs(lambda o: lr_scheduler.LinearLR(o, 1 / 5, total_iters=4))
    assert ours("constant", warmup=0.5) == pytest.approx(linear)


@pytest.mark.parametrize(("monitor", "mode"), [("val_loss", "min"), ("val_iou", "max")])
def test_plateau_is_torchs(monitor, mode):
    values = [1, 0.9, 0.9, 0.95, 0.8999999, 0.8, 0.85, 0.81, 0.82, 0.9, 0.7, 0.71, 0.9, 0.8] * 2
    if mode == "max":
        values = [1 - v for v in values]
    options = {"factor": 0.5, "patience": 1, "cooldown": 1}
    schedule = schedules.make({"name": "plateau", "floor": 0.1} | options, 5, 9, monitor)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, mode, min_lr=0.1, **options)
    for step, value in enumerate(values):
        # half-way: what was saved goes on alike
        if step == 9:
            state = schedule.state()
            schedule = schedules.make({"name": "plateau", "floor": 0.1} | options, 5, 9, monitor)
            schedule.restore_state(state)
        schedule.judge({monitor: value})
        scheduler.step(value)
        assert schedule.factor(step) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert schedule.factor(0) < 0.2


def test_what_cannot_be_is_an_error():
    with pytest.raises(DataError, match='no schedule "cosin"'):
        schedules.check({"name": "cosin"})
    with pytest.raises(DataError, match="warm-up of 20 steps"):
        ours("cosine", warmup=2, epochs=2)


def test_losses_and_errors_fall_and_all_else_rises():
    fall = ["loss", "val_loss", "val_mean_squared_error", "binary_crossentropy", "kl_divergence"]
    rise = ["iou", "val_dice", "pixel_accuracy", "val_mean_iou", "r2_score", "auc"]
    assert all(falls(metric) for metric in fall)
    assert not any(falls(metric) for metric in rise)
