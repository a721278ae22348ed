"""FCN: parameters, zero scores, bilinear upsampling, skips, weights of VGG16, torchvision's."""

import pytest
import torch
import torch.nn.functional as F
from maskr.architectures import fcn as family
from maskr.architectures.fcn import FCN, bilinear, encoder_state, fcn
from maskr.errors import DataError
from networks import check_gradients, check_model, count
from torch import nn
from torchvision.models import segmentation, vgg16


@pytest.fixture
def narrow(monkeypatch):
    """Fewer features where the paper's are many, for tests that run the network."""
    monkeypatch.setattr(family, "HIDDEN", 32)


def stirred(network):
    """With scores that are not zero, as after the first steps."""
    torch.manual_seed(3)
    for name, layer in network.named_modules():
        if name.startswith("score"):
            nn.init.normal_(layer.weight, std=0.05)
    return network


def test_has_the_published_networks_parameters():
    # VGG16 with convolutions for its first two fully connected layers, 4096 + 1 weights a score
    shared = 14_714_688 + 102_764_544 + 16_781_312 + 21 * 4097
    assert count(fcn, 3, 21, stride=32) == shared + 21 * 21 * 64**2
    assert count(fcn, 3, 21, stride=16) == shared + 21 * 513 + 21 * 21 * (4**2 + 32**2)
    assert count(fcn, 3, 21) == 134_489_759
    skips = 21 * (513 + 257)
    assert shared + skips + 21 * 21 * (4**2 + 4**2 + 16**2) == 134_489_759


@pytest.mark.parametrize("stride", [2, 8, 16, 32])
def test_transposed_convolutions_begin_as_bilinear_interpolation(stride):
    layer = bilinear(3, stride)
    x = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        out = layer(x)
    expected = F.interpolate(x, scale_factor=stride, mode="bilinear", align_corners=False)
    assert out.shape == expected.shape
    edge = stride // 2
    inside = (..., slice(edge, -edge), slice(edge, -edge))
    torch.testing.assert_close(out[inside], expected[inside], atol=1e-5, rtol=1e-5)
    assert layer.weight.requires_grad


def test_scores_begin_at_zero(narrow):
    network = fcn(1, 2, stride=16).eval()
    with torch.no_grad():
        assert (network(torch.rand(1, 1, 32, 64)) == 0).all()


def test_scores_of_finer_stages_are_added(narrow):
    network = stirred(fcn(1, 2, stride=8)).eval()
    x = torch.rand(1, 1, 64, 96)
    kept = {}
    for name in ("score", "score_pool4", "score_pool3"):
        layer = getattr(network, name)
        layer.register_forward_hook(lambda _, given, out, name=name: kept.update({name: out}))
    with torch.no_grad():
        out = network(x)
        assert kept["score"].shape == (1, 2, 2, 3)
        assert kept["score_pool4"].shape == (1, 2, 4, 6)
        assert kept["score_pool3"].shape == (1, 2, 8, 12)
        sixteen = network.upsample_pool4(kept["score"]) + kept["score_pool4"]
        eight = network.upsample_pool3(sixteen) + kept["score_pool3"]
        assert torch.equal(out, network.upsample_out(eight))


def test_takes_the_weights_of_vgg16():
    torch.manual_seed(2)
    vgg = vgg16(init_weights=False).eval()
    network = FCN(3, 2, stride=32).eval()
    network.load_encoder(vgg.state_dict())
    assert (network.score.weight == 0).all()
    x = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        # without padding, the convolution of 7x7 sees what the fully connected layer sees
        network.fc6.padding = (0, 0)
        features = x
        for stage in network.stages:
            features = network.pool(stage(features))
        out = network.fc7(network.fc6(features).relu()).flatten(1)
        expected = vgg.classifier[:4](vgg.features(x).flatten(1))
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)
    names = set(network.state_dict())
    assert set(encoder_state(vgg.state_dict())) <= names


def test_gradients_reach_all_and_any_size_works(narrow):
    network = stirred(fcn(2, 3))
    check_gradients(network, (32, 64), 2)
    check_model(network, 2, (32, 64))


def test_resnets_are_torchvisions():
    with torch.device("meta"):
        theirs = segmentation.fcn_resnet50(weights_backbone=None, num_classes=21)
        ours = fcn(3, 21, "resnet50")
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    assert count(fcn, 3, 21, "resnet50") == 32_957_013
    assert count(fcn, 3, 21, "resnet101") == 51_949_141
    network = fcn(5, 3, "resnet50")
    check_gradients(network, (32, 48), 5)
    check_model(network, 5, (32, 48))


def test_what_does_not_exist_is_an_error():
    with pytest.raises(DataError, match="no backbone"):
        fcn(backbone="resnet18")
    with pytest.raises(DataError, match="stride 8, not 16"):
        fcn(backbone="resnet50", stride=16)
    with pytest.raises(DataError, match="no stride 4"):
        fcn(stride=4)
