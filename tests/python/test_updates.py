"""Steps of the optimizer, number by number against plain PyTorch loops."""

import copy
import math

import keras
import numpy as np
import pytest
import torch
from maskr import storage, training
from maskr.datasets.loader import DataSpec, Loader
from maskr.errors import DataError
from maskr.model import SegModel
from maskr.spec import Spec
from maskr.training.compiling import OPTIMIZERS
from torch import nn
from torch.optim.swa_utils import AveragedModel

BINARY = {"background": 0, "nucleus": 1}


class Small(nn.Module):
    """An encoder with statistics, and a head."""

    encoder_layers = ("stem",)

    def __init__(self):
        super().__init__()
        # no bias: before batch normalisation its gradient is noise, which Adam makes large
        convolution = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        self.stem = nn.Sequential(convolution, nn.BatchNorm2d(3), nn.Tanh())
        self.head = nn.Conv2d(3, 1, 1)

    def forward(self, x):
        return self.head(self.stem(x))


def data(n=10, **options):
    rng = np.random.default_rng(3)
    images = [rng.random((8, 12)) for _ in range(n)]
    fields = {"images": images, "targets": [(x > 0.6).astype(np.int32) for x in images],
              "names": [str(i) for i in range(n)], "class_ids": [0, 1], "batch_size": 2,
              "threads": 1, "seed": 1, "shuffle": False}
    return fields | options


def model_of(module=None):
    torch.manual_seed(1)
    return SegModel(module or Small(), Spec("wrapped", in_channels=1, classes=BINARY))


def plain_loop(model, optimizer_of, epochs, accumulate=1, clip=None, after=lambda module: None):
    """The module trained by PyTorch alone; `after` is called after each step."""
    module = copy.deepcopy(model.module).to(memory_format=torch.channels_last).train()
    optimizer = optimizer_of(module)
    with Loader(DataSpec(**data()), model.spec) as loader:
        batches = [loader[i] for i in range(len(loader))]
    groups = [batches[i : i + accumulate] for i in range(0, len(batches), accumulate)]
    for group in groups * epochs:
        optimizer.zero_grad()
        for x, y in group:
            loss = nn.functional.binary_cross_entropy_with_logits(module(x)[:, 0], y.float())
            (loss / len(group)).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
        after(module)
    return module


def fitted(model, epochs, fit_options=None, **options):
    terms = [{"name": "bce"}]
    training.compile(model, loss=terms, metrics=[], **options)
    result = training.fit(model, data(), epochs=epochs, precision="float32", **(fit_options or {}))
    return model.module, result


def assert_equal(ours, theirs, tolerance=2e-5):
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.allclose(a.float(), b.float(), atol=tolerance), name


def sgd(rate=0.2, **options):
    return lambda m: torch.optim.SGD(m.parameters(), rate, **options)


def test_optimizers_step_as_torchs():
    # Keras's epsilon acts before the correction of the bias, and torch's after it
    pairs = {
        "sgd": lambda m: torch.optim.SGD(m.parameters(), 0.01),
        "adam": lambda m: torch.optim.Adam(m.parameters(), 0.01),
        "adamw": lambda m: torch.optim.AdamW(m.parameters(), 0.01, weight_decay=0.3),
        "adamax": lambda m: torch.optim.Adamax(m.parameters(), 0.01),
    }
    for name, theirs in pairs.items():
        model = model_of()
        expected = plain_loop(model, theirs, 3)
        decay = {"weight_decay": 0.3} if name == "adamw" else {}
        ours, _ = fitted(model, 3, optimizer=name, learning_rate=0.01, **decay)
        assert_equal(ours, expected, 1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns_with_all_settings(name):
    model = model_of()
    before = [p.detach().clone() for p in model.module.parameters()]
    _, result = fitted(model, 2, optimizer=name, learning_rate=0.01, weight_decay=1e-4,
                       clip_norm=1.0, accumulate=2, ema=0.5, layer_rates={"encoder": 0.5},
                       schedule={"name": "cosine"})
    assert result["stopped"] == "" and result["warnings"] == []
    pairs = zip(before, model.module.parameters(), strict=True)
    assert all(not torch.equal(a, b) for a, b in pairs)


def test_accumulation_is_the_mean_also_at_the_end_of_an_epoch():
    # five batches: steps of two, two and one
    model = model_of()
    expected = plain_loop(model, sgd(), 2, accumulate=2)
    ours, _ = fitted(model, 2, optimizer="sgd", learning_rate=0.2, accumulate=2)
    assert_equal(ours, expected)


def test_gradients_are_clipped_by_the_norm_of_all_of_them():
    model = model_of()
    expected = plain_loop(model, sgd(), 2, accumulate=2, clip=0.05)
    ours, _ = fitted(model, 2, optimizer="sgd", learning_rate=0.2, accumulate=2, clip_norm=0.05)
    assert_equal(ours, expected)


def groups(module, rate):
    return [{"params": module.stem.parameters(), "lr": rate * 0.1},
            {"params": module.head.parameters(), "lr": rate}]


@pytest.mark.parametrize("pattern", ["encoder", "stem", "ste*"])
def test_layers_rates_are_torchs_groups_for_sgd_with_momentum(pattern):
    model = model_of()
    expected = plain_loop(model, lambda m: torch.optim.SGD(groups(m, 0.1), momentum=0.9), 3)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    ours, _ = fitted(model, 3, optimizer=optimizer, layer_rates={pattern: 0.1})
    assert_equal(ours, expected)


def test_layers_rates_are_torchs_groups_for_adamw_decay_included():
    model = model_of()
    theirs = plain_loop(
        model, lambda m: torch.optim.AdamW(groups(m, 0.02), eps=1e-7, weight_decay=0.5), 3
    )
    ours, _ = fitted(model, 3, optimizer="adamw", learning_rate=0.02, weight_decay=0.5,
                     layer_rates={"*": 1, "encoder": 0.1})
    assert_equal(ours, theirs)


def test_a_schedule_sets_the_rate_before_each_step_and_leaves_it_as_it_was():
    model = model_of()

    def scheduled(module):
        optimizer = torch.optim.SGD(module.parameters(), 0.2)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 15)
        optimizer.register_step_post_hook(lambda *_: scheduler.step())
        return optimizer

    expected = plain_loop(model, scheduled, 3)
    ours, result = fitted(model, 3, optimizer="sgd", learning_rate=0.2,
                          schedule={"name": "cosine", "warmup": 0})
    assert_equal(ours, expected)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.2)
    rates = [v for m, v in zip(result["metric"], result["value"], strict=True)
             if m == "learning_rate"]
    last = [0.1 * (1 + math.cos(math.pi * step / 15)) for step in (4, 9, 14)]
    assert rates == pytest.approx(last, rel=1e-5)


def test_plateau_reduces_the_rate_when_the_loss_stays():
    model = model_of()
    _, result = fitted(model, 5, optimizer="sgd", learning_rate=0.0,
                       schedule={"name": "plateau", "patience": 0, "factor": 0.5})
    assert model.optimizer.learning_rate == 0
    model = model_of()
    _, result = fitted(model, 4, optimizer="sgd", learning_rate=1e-12,
                       schedule={"name": "plateau", "patience": 0, "factor": 0.5})
    rates = [v for m, v in zip(result["metric"], result["value"], strict=True)
             if m == "learning_rate"]
    # the batches' loss stays as it is, so that every epoch after the first reduces
    assert rates == pytest.approx([1e-12, 1e-12, 5e-13, 2.5e-13])


def test_the_average_is_torchs_and_is_what_gets_judged_and_kept():
    model = model_of()
    # torch's average begins with a copy of the first step's weights, ours with the initial ones
    averaged = AveragedModel(
        model.module, use_buffers=True,
        avg_fn=lambda a, b, n: a + (b - a) * (1 - min(0.9, (1 + n) / (10 + n)))
        if a.is_floating_point() else b,
    )
    averaged.n_averaged += 1
    expected = plain_loop(model, sgd(), 4, after=averaged.update_parameters)

    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(self.model.module.head.weight.detach().clone())

    terms = [{"name": "bce"}]
    training.compile(model, loss=terms, metrics=[], optimizer="sgd", learning_rate=0.2, ema=0.9)
    valid = data(4)
    result = training.fit(model, data(), valid, epochs=4, precision="float32", callbacks=[Look()])
    assert result["best_epoch"] == 4
    assert_equal(model.module, averaged.module)
    assert not torch.allclose(model.module.head.weight, expected.head.weight, atol=1e-4)
    # the epochs train on with the weights themselves
    three = plain_loop(model_of(), sgd(), 3)
    assert torch.allclose(seen[3], three.head.weight, atol=2e-5)
    losses = [v for m, d, v in zip(result["metric"], result["data"], result["value"], strict=True)
              if (m, d) == ("loss", "valid")]
    again = model.evaluate(Loader(DataSpec.from_r(valid), model.spec), verbose=0)
    assert float(np.ravel(again)[0]) == pytest.approx(losses[-1], abs=1e-5)


def test_an_interrupted_training_ends_with_the_average_too():
    model = model_of()

    def progress(event):
        if event["event"] == "batch" and event["batch"] == 4:
            raise KeyboardInterrupt

    averaged = AveragedModel(model.module, use_buffers=True)
    averaged.n_averaged += 1
    fitted(model, 1, {"progress": progress}, optimizer="sgd", learning_rate=0.5, ema=0.9999)
    fresh = model_of()
    plain = plain_loop(fresh, sgd(0.5), 1)
    distance = (model.module.head.weight - fresh.module.head.weight).abs().max()
    assert 0 < distance < (plain.head.weight - fresh.module.head.weight).abs().max()


def test_the_encoder_waits_and_the_heads_momentum_goes_on():
    model = model_of()
    initial = copy.deepcopy(model.module.state_dict())
    states = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            states.append(copy.deepcopy(self.model.module.state_dict()))

    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    ours, _ = fitted(model, 3, {"freeze_epochs": 2, "callbacks": [Look()]}, optimizer=optimizer)
    moved = [{k for k in s if not torch.equal(s[k], initial[k])} for s in states]
    # neither weights nor statistics of the encoder
    assert moved[:2] == [{"head.weight", "head.bias"}] * 2
    assert len(moved[2]) == len(initial)
    assert model.frozen == frozenset()
    assert all(p.requires_grad for p in ours.parameters())

    # the same by torch, where one optimizer goes through all three epochs
    def frozen(module):
        optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
        steps = [0]

        def thaw(*_):
            steps[0] += 1
            if steps[0] == 10:
                module.stem.requires_grad_(True)
                module.train()

        module.stem.requires_grad_(False).eval()
        optimizer.register_step_post_hook(thaw)
        return optimizer

    assert_equal(ours, plain_loop(model_of(), frozen, 3))


def test_layers_that_were_frozen_before_stay_so():
    model = model_of()
    model.set_trainable(["stem.0"], False)
    before = model.module.stem[0].weight.detach().clone()
    ours, _ = fitted(model, 2, {"freeze_epochs": 1}, optimizer="sgd", learning_rate=0.5)
    assert torch.equal(ours.stem[0].weight, before)
    assert not ours.stem[0].weight.requires_grad
    assert ours.stem[1].weight.requires_grad
    assert not torch.equal(ours.stem[1].running_mean, torch.zeros(3))


def test_a_network_without_an_encoder_says_so():
    model = model_of(nn.Sequential(nn.Conv2d(1, 1, 1)))
    with pytest.raises(DataError, match="which of its layers are the encoder"):
        fitted(model, 1, {"freeze_epochs": 1})
    with pytest.raises(DataError, match='No layer is called "encoder"') as error:
        fitted(model, 1, layer_rates={"encoder": 0.1})
    assert error.value.argument == "layer_rates"


class Auxiliary(Small):
    """Returns a second output in training, with a loss of its own."""

    def forward(self, x):
        features = self.stem(x)
        out = self.head(features)
        return {"out": out, "edges": features} if self.training else out

    def auxiliary_loss(self, outputs, target):
        assert outputs["edges"].dtype == torch.float32
        assert target.shape == outputs["edges"][:, 0].shape
        return 0.3 * outputs["edges"].square().mean()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_networks_auxiliary_loss_is_added_in_training(precision):
    model = model_of(Auxiliary())
    training.compile(model, loss=[{"name": "bce"}], metrics=[], optimizer="sgd",
                     learning_rate=0.1)
    x, y = torch.rand(2, 1, 8, 12), torch.randint(0, 2, (2, 8, 12))
    twin = copy.deepcopy(model.module).train()
    outputs = twin(x.to(memory_format=torch.channels_last))
    loss = nn.functional.binary_cross_entropy_with_logits(outputs["out"][:, 0], y.float())
    total = loss + twin.auxiliary_loss(outputs, y)
    total.backward()
    model.precision = precision
    gradients = []

    def keep():
        gradients.extend(p.grad.clone() for p in model.module.parameters())

    model.update = keep
    model.train_step((x, y))
    for ours, theirs in zip(gradients, twin.parameters(), strict=True):
        tolerance = 1e-6 if precision == "float32" else 2e-2
        assert torch.allclose(ours, theirs.grad, atol=tolerance)


def test_a_clone_is_trained_by_the_same_recipe():
    model = model_of()
    training.compile(model, ema=0.9, accumulate=3, layer_rates={"encoder": 0.1})
    assert storage.clone(model).recipe == model.recipe
