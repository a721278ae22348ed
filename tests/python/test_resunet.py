"""The residual U-Net against its paper."""

import torch
from maskr.architectures.resunet import ResidualUnit, resunet
from networks import check_gradients, check_model
from torch import nn


def test_has_the_papers_convolutions():
    with torch.device("meta"):
        network = resunet(3, 1)
    of_size = {3: 0, 1: 0}
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            of_size[layer.kernel_size[0]] += layer.weight.numel()
    assert of_size[3] == 7_780_032  # "7.8 M"
    identity = 3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 768 * 256 + 384 * 128 + 192 * 64
    assert of_size[1] == identity + 64
    # normalised features: of the first unit's middle, then before and amid each other unit
    normalised = 64 + (64 + 128) + (128 + 256) + (256 + 512) + (768 + 256) + (384 + 128) + 192 + 64
    total = 7_780_032 + identity + 2 * normalised + 65
    assert sum(p.numel() for p in network.parameters()) == total == 8_216_769


def test_a_unit_normalises_before_it_convolves():
    torch.manual_seed(1)
    unit = ResidualUnit(2, 3, stride=2).eval()
    norm1, norm2 = unit.residual[0], unit.residual[3]
    conv1, conv2 = unit.residual[2], unit.residual[5]
    norm1.running_mean.copy_(torch.tensor([0.2, -0.1]))
    norm2.running_var.fill_(4)
    x = torch.randn(1, 2, 6, 8)
    with torch.no_grad():
        inner = conv1((x - torch.tensor([0.2, -0.1])[:, None, None]).relu())
        expected = conv2((inner / 2).relu()) + unit.identity(x[..., ::2, ::2])
        torch.testing.assert_close(unit(x), expected, atol=1e-5, rtol=1e-4)
    assert unit(x).shape == (1, 3, 3, 4)


def test_the_first_unit_takes_the_image_as_it_is():
    assert isinstance(resunet(1, 1, 2).encoder1.residual[0], nn.Conv2d)
    assert isinstance(resunet(1, 1, 2).encoder2.residual[0], nn.BatchNorm2d)


def test_gradients_reach_all_and_any_size_works():
    check_gradients(resunet(2, 3, 4), (24, 40), 2)
    check_model(resunet(2, 3, 4), 2, (24, 40))
