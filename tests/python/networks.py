"""What every network has to keep to, for the tests of single networks."""

import fnmatch
from collections.abc import Callable

import numpy as np
import torch
from maskr import inference
from maskr.model import SegModel
from maskr.spec import Spec
from torch import nn


def count(build: Callable[..., nn.Module], *arguments, **named) -> int:
    """The number of parameters, without allocating them."""
    with torch.device("meta"):
        return sum(p.numel() for p in build(*arguments, **named).parameters())


def check_gradients(network: nn.Module, size: tuple[int, ...], channels: int) -> None:
    """Every parameter must be reached, and all but biases by more than rounding."""
    torch.manual_seed(5)
    network.train()
    out = network(torch.rand(2, channels, *size))
    out = out["out"] if isinstance(out, dict) else out
    (out * torch.rand_like(out)).sum().backward()
    assert out.shape[2:] == size
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0 or name.endswith("bias"), name


def check_model(network: nn.Module, channels: int, size: tuple[int, ...]) -> None:
    """Any size must go through a model, which must agree with the bare network."""
    torch.manual_seed(6)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    spec = Spec("wrapped", {}, channels, {"a": 0, "b": 1, "c": 2}, multiple=network.multiple)
    model = SegModel(network, spec)
    odd = tuple(length - n for n, length in enumerate(size, start=1))
    image = np.random.default_rng(7).random((*odd, channels))
    out = inference.predict(model, [image], "logit", precision="float32")["results"][0]
    assert out.shape == (*odd, 3)
    x = torch.rand(1, channels, *size)
    network.eval()
    with torch.no_grad():
        expected = network(x)
        expected = expected["out"] if isinstance(expected, dict) else expected
    with inference.ready(model, "float32", "cpu") as ready:
        actual = ready.run(x)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-3)
    with inference.ready(model, "bfloat16", "cpu") as ready:
        rough = ready.run(x)
    assert torch.isfinite(rough).all()
    modules = [name for name, _ in network.named_modules()]
    for pattern in network.encoder_layers:
        assert fnmatch.filter(modules, pattern), pattern


def losses_of_training(architecture: str, epochs: int, **arguments: object) -> list[float]:
    """The loss of each epoch on one grey image of a disc, by `training.fit()`."""
    from maskr import builders, training

    y, x = torch.meshgrid(torch.arange(24), torch.arange(40), indexing="ij")
    target = ((y - 10) ** 2 + (x - 25) ** 2 < 60).int().numpy()
    image = target * 0.6 + np.random.default_rng(8).random((24, 40))
    data = {"images": [image], "targets": [target], "names": ["disc"], "class_ids": [0, 1],
            "batch_size": 1, "threads": 1, "seed": 1}
    model = builders.build(architecture, 1, {"background": 0, "disc": 1}, arguments, seed=8)
    training.compile(model, learning_rate=3e-4)
    result = training.fit(model, data, epochs=epochs, precision="float32", seed=1)
    rows = zip(result["metric"], result["value"], strict=True)
    return [value for metric, value in rows if metric == "loss"]
