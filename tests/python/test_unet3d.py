"""The 3D U-Net against its paper."""

import torch
from maskr.architectures.unet3d import unet3d
from networks import check_gradients, check_model
from torch import nn


def test_has_the_papers_parameters():
    with torch.device("meta"):
        network = unet3d(3, 3)
    scales = sum(m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm3d))
    assert scales == 2_336
    assert sum(p.numel() for p in network.parameters()) - scales == 19_069_955
    assert (network.dims, network.multiple) == (3, 8)


def test_doubles_features_before_each_pooling():
    with torch.device("meta"):
        network = unet3d(3, 3)
        out = network.pool(network.encoder1(torch.rand(1, 3, 8, 16, 24)))
    assert out.shape == (1, 64, 4, 8, 12)
    widths = [
        (layer.in_channels, layer.out_channels)
        for layer in network.modules()
        if isinstance(layer, nn.Conv3d)
    ]
    assert widths == [
        (3, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512),
        (768, 256), (256, 256), (384, 128), (128, 128), (192, 64), (64, 64), (64, 3),
    ]  # fmt: skip


def test_concatenates_upsampled_features_before_the_encoders():
    torch.manual_seed(1)
    network = unet3d(1, 1, 2).eval()
    x = torch.rand(1, 1, 8, 16, 24)
    with torch.no_grad():
        network.decoder1[0].weight[:, :8] = 0
        before = network(x)
        network.bottleneck[0].weight.mul_(3)
        assert torch.equal(network(x), before)
        network.encoder1[3].weight.mul_(2)
        assert not torch.equal(network(x), before)


def test_gradients_reach_all_and_any_size_works():
    check_gradients(unet3d(2, 3, 2), (16, 24, 32), 2)
    check_model(unet3d(2, 3, 2), 2, (8, 16, 24))
