"""The attention U-Net: its gates by hand, its parameters against the common network's."""

import math

import torch
from maskr.architectures.attention_unet import AttentionGate, attention_unet
from networks import check_gradients, check_model
from torch import nn


def test_has_the_common_networks_parameters_but_idle_biases():
    with torch.device("meta"):
        network = attention_unet(3, 1)
    idle = sum(
        layer.out_channels
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d) and layer.bias is None
    )
    assert idle == 7_812
    assert sum(p.numel() for p in network.parameters()) + idle == 34_878_573


def test_a_gate_by_hand():
    gate = AttentionGate(2).eval()  # batch normalisation is (nearly) the identity
    with torch.no_grad():
        gate.of_x[0].weight.copy_(torch.tensor([[1.0, -2.0]])[..., None, None])
        gate.of_gating[0].weight.copy_(torch.tensor([[0.5, 1.0]])[..., None, None])
        gate.psi[0].weight.fill_(-3)
    x = torch.tensor([[[[1.0, 2.0]], [[0.5, 3.0]]]])
    gating = torch.tensor([[[[2.0, 1.0]], [[0.0, 1.0]]]])
    # first pixel: relu(1 - 1 + 1 + 0) = 1; second: relu(2 - 6 + .5 + 1) = 0
    alpha = [1 / (1 + math.exp(3)), 0.5]
    expected = x * torch.tensor(alpha)
    torch.testing.assert_close(gate(x, gating), expected, atol=1e-5, rtol=1e-4)


def test_gates_weigh_the_encoder_and_never_the_decoder():
    torch.manual_seed(2)
    network = attention_unet(1, 1, 4).eval()
    x = torch.rand(1, 1, 16, 32)
    with torch.no_grad():
        for level in (1, 2, 3, 4):  # closed gates
            getattr(network, f"gate{level}").psi[1].bias.fill_(-50)
        closed = network(x)
        network.decoder1[0][0].weight[:, :4] = 0  # the gated half comes first
        torch.testing.assert_close(network(x), closed)
        network.gate1.psi[1].bias.fill_(50)  # an open gate
        network.decoder1[0][0].weight[:, :4] = 1
        assert not torch.allclose(network(x), closed)


def test_gradients_reach_all_and_any_size_works():
    check_gradients(attention_unet(2, 3, 4), (32, 48), 2)
    check_model(attention_unet(2, 3, 4), 2, (32, 48))
