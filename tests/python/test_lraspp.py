"""LR-ASPP: torchvision's parameters, names and output."""

import pytest
import torch
from maskr.architectures.lraspp import lraspp
from networks import check_gradients, check_model, count
from torchvision.models.segmentation import lraspp_mobilenet_v3_large


def torchvisions(classes):
    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)


def test_has_torchvisions_parameters():
    with torch.device("meta"):
        reference = torchvisions(21)
    assert count(lraspp, 3, 21) == 3_221_538
    assert sum(p.numel() for p in reference.parameters()) == 3_221_538
    # 16 filters of 3x3 for each channel
    assert count(lraspp, 5, 21) - count(lraspp, 3, 21) == 2 * 16 * 9


@pytest.mark.parametrize("size", [(64, 96), (37, 51)])
def test_gives_torchvisions_output(size):
    torch.manual_seed(1)
    reference = torchvisions(3).eval()
    network = lraspp(3, 3).eval()
    network.load_state_dict(reference.state_dict())
    x = torch.rand(2, 3, *size)
    with torch.no_grad():
        expected = reference(x)["out"]
        assert expected.std() > 0
        assert torch.equal(network(x), expected)


def test_every_parameter_learns():
    torch.manual_seed(2)
    check_gradients(lraspp(1, 1), (40, 56), 1)


def test_works_as_a_model():
    torch.manual_seed(3)
    check_model(lraspp(2, 3), 2, (48, 80))
