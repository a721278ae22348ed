"""Keras's Adam by torch's kernel: the same numbers, whatever the order of memory."""

import keras
import pytest
import torch
from maskr.training import adam

SETTINGS = {
    "as it is": (keras.optimizers.Adam, {}),
    "rates and epsilon": (
        keras.optimizers.Adam,
        {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.99, "epsilon": 0.01},
    ),
    "amsgrad": (keras.optimizers.Adam, {"amsgrad": True, "learning_rate": 0.01}),
    "clipped": (keras.optimizers.Adam, {"global_clipnorm": 0.3}),
    "weight decay": (keras.optimizers.AdamW, {"weight_decay": 0.1, "learning_rate": 0.01}),
}


def weights(memory_format):
    """Parameters of all kinds of shapes, as Keras holds them."""
    torch.manual_seed(1)
    shapes = [(5, 3, 3, 2), (4, 6, 1, 1), (7,), (2, 3), (2, 2, 3, 2, 2), ()]
    tensors = [torch.randn(shape) for shape in shapes]
    tensors = [t.to(memory_format=memory_format) if t.ndim == 4 else t for t in tensors]
    return [keras.Variable(torch.nn.Parameter(tensor)) for tensor in tensors]


def trained(optimizer, variables, fused, steps=4, kept=None):
    """The weights after some steps; gradients come in the parameters' order of memory."""
    optimizer.build(variables)
    generator = torch.Generator().manual_seed(2)
    for step in range(steps):
        grads = [torch.randn(v.shape, generator=generator) for v in variables]
        pairs = list(zip(grads, variables, strict=True))
        if kept is not None and step % 2 == 0:
            pairs = pairs[::2]
        if fused:
            with adam.fused(optimizer):
                optimizer.apply(*zip(*pairs, strict=True))
        else:
            optimizer.apply(*zip(*pairs, strict=True))
    return [v.value.detach() for v in variables]


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("settings", SETTINGS)
def test_steps_are_those_of_keras(settings, order):
    kind, named = SETTINGS[settings]
    ours, theirs = (trained(kind(**named), weights(order), fused) for fused in (True, False))
    before = weights(order)
    for a, b, start in zip(ours, theirs, before, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
        assert not torch.equal(a, start.value)


def test_gradients_of_some_parameters_move_those_alone():
    ours, theirs = (
        trained(keras.optimizers.Adam(0.01), weights(torch.channels_last), fused, kept="half")
        for fused in (True, False)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_moments_go_over_to_keras_and_back():
    """Steps of both kinds in turn are those of one."""
    mixed, optimizer = weights(torch.channels_last), keras.optimizers.Adam(0.01)
    trained(optimizer, mixed, True, steps=2)
    trained(optimizer, mixed, False, steps=2)
    plain, keras_alone = weights(torch.channels_last), keras.optimizers.Adam(0.01)
    for _ in range(2):
        trained(keras_alone, plain, False, steps=2)
    for a, b in zip(mixed, plain, strict=True):
        torch.testing.assert_close(a.value, b.value, rtol=1e-5, atol=1e-6)
    assert int(optimizer.iterations) == 4


class Counting(keras.optimizers.Adam):
    """An Adam of the user's own."""

    steps = 0

    def update_step(self, *arguments):
        self.steps += 1
        return super().update_step(*arguments)


def test_other_optimizers_and_users_own_take_their_own_steps(monkeypatch):
    monkeypatch.setattr(adam, "adam", None)
    trained(keras.optimizers.SGD(0.1), weights(torch.contiguous_format), True)
    own = Counting(0.1)
    trained(own, weights(torch.contiguous_format), True, steps=1)
    assert own.steps == 6


def test_parameters_that_are_no_plain_row_of_numbers_are_left_to_keras(monkeypatch):
    monkeypatch.setattr(adam, "adam", None)
    view = keras.Variable(torch.nn.Parameter(torch.randn(4, 6)[:, ::2]))
    view._value = torch.nn.Parameter(torch.randn(4, 6)[:, ::2])
    assert not adam.suits(view.value)
    trained(keras.optimizers.Adam(), [view], True)
    assert not adam.suits(torch.zeros(3, dtype=torch.float64))
    assert not adam.suits(torch.zeros(1).expand(3))
    assert adam.suits(torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last))


def test_an_optimizer_is_left_as_it_was():
    optimizer = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="stop"), adam.fused(optimizer):
        raise ValueError("stop")
    assert "_parallel_update_step" not in vars(optimizer)
