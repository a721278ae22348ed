"""FastFCN: parameters counted by hand, the encoding's formula, and the presence of classes."""

import math

import pytest
import torch
from maskr.architectures.fastfcn import (
    ContextEncoding,
    JointPyramidUpsampling,
    fastfcn,
    separable,
)
from maskr.arrays import IGNORE
from maskr.errors import DataError
from networks import check_model, count, losses_of_training


def test_joint_pyramid_upsampling_has_the_parameters_of_the_paper():
    # three 3x3 convolutions to 512 with batch normalisation, then four depthwise 3x3 on 1536
    # channels and pointwise to 512, each with batch normalisation
    stages = 9 * 512 * (512 + 1024 + 2048) + 3 * 2 * 512
    branch = 9 * 1536 + 2 * 1536 + 1536 * 512 + 2 * 512
    assert count(JointPyramidUpsampling, [512, 1024, 2048]) == stages + 4 * branch == 19_735_552


def test_the_whole_network_has_the_parameters_counted_by_hand():
    encoder = 23_508_032
    squeeze, context = 2048 * 512 + 2 * 512, 512 * 512 + 2 * 512
    encoding = 32 * 512 + 32 + 2 * 32
    gate, per_class = 513 * 512, 2 * 513
    hand = encoder + 19_735_552 + squeeze + context + encoding + gate
    assert count(fastfcn, 3, 21) == hand + 21 * per_class
    assert count(fastfcn, 4, 1) == hand + per_class + 64 * 49


def test_features_of_all_stages_meet_at_the_size_of_the_first():
    torch.manual_seed(1)
    network = JointPyramidUpsampling([2, 3, 5]).eval()
    features = [torch.rand(1, c, 12 // s, 16 // s) for c, s in ((2, 1), (3, 2), (5, 4))]
    with torch.no_grad():
        assert network(features).shape == (1, 2048, 12, 16)
        before = network(features)
        features[2] = features[2] + 1
        assert not torch.equal(network(features), before)


def test_a_dilated_branch_sees_as_far_as_its_dilation():
    torch.manual_seed(2)
    branch = separable(1, 1, dilation=4).eval()
    x = torch.zeros(1, 1, 1, 13, 15)[0]
    x[0, 0, 6, 7] = 1
    with torch.no_grad():
        moved = branch[2](branch[0](x))[0, 0]
    rows, columns = torch.nonzero(moved, as_tuple=True)
    assert set(rows.tolist()) == {2, 6, 10} and set(columns.tolist()) == {3, 7, 11}


def test_context_encoding_is_the_formula():
    torch.manual_seed(3)
    layer = ContextEncoding(6).eval()
    with torch.no_grad():
        layer.smoothing.uniform_(0.1, 1)
        layer.codewords.uniform_(-1, 1)
        layer.norm.running_mean.uniform_(-1, 1)
        x = torch.rand(2, 6, 3, 5)
        pixels = x.flatten(2).transpose(1, 2)
        residuals = pixels[:, :, None] - layer.codewords
        assigned = (-layer.smoothing * residuals.square().sum(-1)).softmax(-1)
        encoded = (assigned[..., None] * residuals).sum(1)
        expected = layer.norm(encoded).relu().mean(1)
        torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_the_presence_of_classes_by_hand():
    network = fastfcn(1, 3, encoder="resnet18")
    target = torch.tensor([[[0, 0], [2, IGNORE]], [[IGNORE] * 2] * 2])
    logits = torch.tensor([[1.0, -2.0, 0.0], [0.0, 3.0, 0.0]])
    # classes 0 and 2 are in the first image, none in the second
    terms = [math.log1p(math.exp(z)) for z in (-1, -2, 0, 0, 3, 0)]
    loss = network.auxiliary_loss({"presence": logits}, target)
    assert loss.item() == pytest.approx(0.2 * sum(terms) / 6, rel=1e-6)
    # a binary network's one channel is about class 1
    binary = network.auxiliary_loss({"presence": torch.tensor([[2.0]])}, target[:1] // 2)
    assert binary.item() == pytest.approx(0.2 * math.log1p(math.exp(-2)), rel=1e-6)


def test_every_parameter_learns_from_one_image():
    torch.manual_seed(4)
    network = fastfcn(1, 3, encoder="resnet18").train()
    target = torch.zeros(1, 64, 96, dtype=torch.long)
    outputs = network(torch.rand(1, 1, 64, 96))
    assert outputs["out"].shape == (1, 3, 64, 96)
    (outputs["out"] * torch.rand(1, 3, 64, 96)).sum().backward()
    unreached = {name for name, p in network.named_parameters() if p.grad is None}
    assert unreached == {"presence.weight", "presence.bias"}
    network.auxiliary_loss(network(torch.rand(1, 1, 64, 96)), target).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_works_as_a_model():
    torch.manual_seed(5)
    check_model(fastfcn(2, 3, encoder="resnet18"), 2, (64, 96))


def test_trains_with_its_own_loss():
    loss = losses_of_training("fastfcn", 3, encoder="resnet18")
    assert loss[-1] < loss[0]


def test_an_unknown_encoder_is_an_error():
    with pytest.raises(DataError, match='no encoder "resnet5"'):
        fastfcn(3, 3, encoder="resnet5")
