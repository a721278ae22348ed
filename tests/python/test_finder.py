"""The learning-rate range test: what it finds, and that it leaves no trace."""

import math
import random

import keras
import numpy as np
import pytest
import torch
from maskr import layers, training
from maskr.errors import DataError
from maskr.model import SegModel
from maskr.spec import Spec
from maskr.training import finder
from maskr.training.finder import find, smooth, suggest
from runs import BINARY, Net, data, fit, model_of


def found(model, **arguments):
    return find(model, data(), **({"precision": "float32", "seed": 1, "steps": 40} | arguments))


def calm(**settings):
    """A model whose loss falls without noise on STILL: there is no dropout, and one batch."""
    model = model_of(**settings)
    model.module.encoder[3].p = 0.0
    return model


STILL = data(4, batch_size=4, augment=None)


def test_the_learning_rate_rises_exponentially_and_the_loss_falls_then_diverges():
    result = found(model_of(optimizer="sgd"), lowest=1e-4, highest=1e4)
    rates = result["learning_rate"]
    assert rates[0] == pytest.approx(1e-4)
    steps = np.diff(np.log(rates))
    assert np.allclose(steps, math.log(1e8) / 39)
    assert result["diverged"] and len(rates) < 40
    assert len(rates) == len(result["loss"]) == len(result["smoothed"])
    assert 1e-4 < result["suggestion"] < rates[int(np.argmin(result["smoothed"]))]


def test_the_whole_range_is_tried_where_nothing_diverges():
    result = found(model_of(), lowest=1e-6, highest=1e-3, steps=12)
    assert not result["diverged"]
    assert result["learning_rate"][-1] == pytest.approx(1e-3)


@pytest.mark.parametrize("settings", [
    {}, {"optimizer": "sgd", "schedule": {"name": "cosine"}, "ema": 0.9, "accumulate": 2,
         "layer_rates": {"encoder": 0.1}},
])
def test_model_optimizer_and_chance_stay_as_they_were(settings):
    model = model_of(**settings)
    fit(model, epochs=1, callbacks=[])
    weights = {k: v.clone() for k, v in model.module.state_dict().items()}
    variables = [v.value.clone() for v in model.optimizer.variables]
    optimizer, training_mode = model.optimizer, model.module.training
    random.seed(3)
    torch.manual_seed(3)
    states = random.getstate(), torch.get_rng_state()
    found(model, highest=1e3)
    assert all(torch.equal(v, weights[k]) for k, v in model.module.state_dict().items())
    assert model.optimizer is optimizer and model.module.training == training_mode
    assert all(torch.equal(v.value, w) for v, w in
               zip(model.optimizer.variables, variables, strict=True))
    assert random.getstate() == states[0] and torch.equal(torch.get_rng_state(), states[1])
    assert all(v.value.grad is None for v in model.network.variables)
    assert model.update is None


def test_frozen_layers_stay_frozen_in_the_copy():
    model = model_of()
    model.set_trainable(["encoder"], False)
    twin = finder.trainable_copy(model, "cpu", "float32")
    before = {k: v.clone() for k, v in twin.module.state_dict().items()}
    x = torch.rand(2, 1, 8, 8)
    finder.step(twin, (x, (x[:, 0] > 0.5).long()))
    changed = {k for k, v in twin.module.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"head.weight", "head.bias"}


def test_slow_layers_are_slow_in_the_copy():
    model = model_of(optimizer="sgd", learning_rate=1.0, layer_rates={"encoder": 1e-9})
    twin = finder.trainable_copy(model, "cpu", "float32")
    before = twin.module.encoder[0].weight.detach().clone()
    x = torch.rand(2, 1, 8, 8)
    finder.step(twin, (x, (x[:, 0] > 0.5).long()))
    assert torch.allclose(twin.module.encoder[0].weight, before, atol=1e-7)
    assert layers.find(twin.module, "encoder")


def test_uncompiled_models_are_tried_with_the_defaults_and_stay_uncompiled():
    torch.manual_seed(1)
    model = SegModel(Net(), Spec("wrapped", in_channels=1, classes=BINARY))
    result = found(model, steps=12)
    assert not model.compiled
    training.compile(model)
    assert found(model, steps=12) == result


def test_it_repeats_with_its_seed():
    assert found(model_of(), steps=12) == found(model_of(), steps=12)
    assert found(model_of(), steps=12, seed=2) != found(model_of(), steps=12)


def test_losses_of_keras_and_progress():
    reported = []
    model = calm()
    model.compile(optimizer="sgd", loss=keras.losses.MeanSquaredError())
    result = find(model, STILL, 1e-4, 1e-2, 10, "float32", 1,
                  lambda *done: reported.append(done))
    assert reported == [(i, 10) for i in range(1, 11)]
    assert result["loss"][0] > 0


def test_losses_that_are_not_finite_are_an_error():
    model = model_of()
    model.module.head.register_forward_hook(lambda module, x, out: out * float("nan"))
    with pytest.raises(DataError, match="not a finite number from the first batch"):
        found(model)


def test_a_loss_that_falls_nowhere_is_an_error():
    with pytest.raises(DataError, match="falls nowhere between"):
        found(model_of(optimizer="sgd"), lowest=1e3, highest=1e5)


def test_the_suggestion_is_where_the_loss_falls_most_steeply():
    rates = np.geomspace(1e-6, 1, 121)
    # a step down whose middle is at 1e-3, then a rise
    losses = 1 / (1 + np.exp(3 * (np.log10(rates) + 3))) + 5 * np.maximum(0, np.log10(rates) + 1)
    smoothed = smooth(losses.tolist(), 121)
    assert suggest(rates.tolist(), smoothed) == pytest.approx(1e-3, rel=0.15)
    assert suggest(rates.tolist(), rates.tolist()) is None
    assert suggest([], []) is None and smooth([1.0], 10) == [1.0]


def test_where_the_loss_still_falls_a_tenth_of_the_end_is_suggested():
    result = find(calm(), STILL, 1e-6, 1e-2, 40, "float32", 1)
    assert result["still_falling"] and result["suggestion"] in result["learning_rate"]
    assert result["suggestion"] == pytest.approx(1e-3, rel=0.15)
    result = found(model_of(optimizer="sgd"), lowest=1e-4, highest=1e4)
    assert not result["still_falling"]


def test_weights_that_are_not_finite_are_named():
    model = model_of()
    name, parameter = next(iter(model.module.named_parameters()))
    parameter.data.flatten()[0] = float("nan")
    with pytest.raises(DataError, match=f"weights hold NaN .*`{name}`"):
        found(model)
