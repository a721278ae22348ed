"""Gated-SCNN: the gate, the boundaries and the dual-task loss by hand; both streams learn."""

import math

import pytest
import torch
from maskr.architectures.gscnn import GatedConvolution, ImageGradient, gscnn
from maskr.architectures.gscnn_loss import (
    attention_loss,
    boundaries,
    boundary_strength,
    consistency_loss,
    dual_task_loss,
    edge_loss,
)
from maskr.arrays import IGNORE
from maskr.errors import DataError
from networks import check_gradients, check_model, count, losses_of_training

X = IGNORE
MASK = torch.tensor([[[0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, X, 1, 1], [0, 0, X, X, 1]]])
EDGES = torch.tensor([[0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]]).bool()


def test_the_gate_is_the_formula_of_the_paper():
    gate = GatedConvolution(2).eval()
    with torch.no_grad():
        gate.attention[0].weight[:] = torch.tensor([1.0, -2.0, 3.0])[None, :, None, None]
        gate.weight.weight[:] = torch.tensor([[1.0, 0.0], [10.0, 1.0]])[:, :, None, None]
        gate.weight.bias[:] = torch.tensor([0.0, 5.0])
        s = torch.tensor([0.5, 2.0])[None, :, None, None]
        r = torch.tensor([1.5])[None, :, None, None]
        # batch normalisation begins as the identity but for its epsilon
        z = (0.5 - 4.0 + 4.5) / math.sqrt(1 + 1e-5)
        a = 1 / (1 + math.exp(-z))
        u, v = 0.5 * a + 0.5, 2 * a + 2
        assert gate(s, r).flatten().tolist() == pytest.approx([u, 10 * u + v + 5], rel=1e-6)


def test_the_image_gradient_of_a_ramp_is_its_slope():
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    images = torch.stack((3 * x + 4 * y, 3 * x + 4 * y))[None]
    gradient = ImageGradient()(images)
    assert gradient.shape == (1, 1, 5, 7)
    assert gradient[0, 0, 1:-1, 1:-1].flatten().tolist() == pytest.approx([5] * 15, rel=1e-5)
    # beyond the border nothing changes, so no frame appears around the image
    assert ImageGradient()(torch.ones(1, 2, 4, 6)).max() < 1e-5


def test_boundaries_by_hand():
    assert torch.equal(boundaries(MASK)[0], EDGES)
    assert not boundaries(torch.full((1, 3, 4), IGNORE)).any()
    assert not boundaries(torch.full((1, 3, 4), 2)).any()


def test_edge_loss_by_hand():
    # 17 pixels count, 5 of them boundary: each of these weighs 12/17, each other 5/17
    flat = edge_loss(torch.zeros(1, 1, 4, 5), MASK)
    assert flat.item() == pytest.approx((5 * 12 + 12 * 5) / 17 / 17 * math.log(2), rel=1e-6)
    right = torch.where(EDGES, 30.0, -30.0)[None, None]
    assert edge_loss(right, MASK) < 1e-6
    right[0, 0, MASK[0] == IGNORE] = 30.0
    assert edge_loss(right, MASK) < 1e-6
    assert edge_loss(right, torch.full_like(MASK, IGNORE)) == 0


def test_boundary_strength_of_a_step_by_hand():
    target = (torch.arange(12) >= 6).long().expand(1, 5, 12)
    one_hot = torch.nn.functional.one_hot(target, 2).permute(0, 3, 1, 2).float()
    # the cumulated filter is 1, 5, 11, 15, 16 sixteenths; half of its differences over two pixels
    step = [0, 0, 0, 1, 5, 10, 10, 5, 1, 0, 0, 0]
    expected = torch.tensor(step).expand(5, 12) / 32
    torch.testing.assert_close(boundary_strength(one_hot)[0], expected, atol=1e-5, rtol=0)


def test_consistency_is_about_boundaries_alone():
    torch.manual_seed(1)
    target = (torch.arange(12) >= 6).long().expand(1, 9, 12)
    truth = torch.nn.functional.one_hot(target, 2).permute(0, 3, 1, 2).float()
    sure = 200 * truth
    assert consistency_loss(sure, target) < 1e-5
    # exchanged classes have the same boundaries
    assert consistency_loss(sure.flip(1), target) < 1e-5
    # one class everywhere misses strengths 1, 5, 10, 10, 5, 1 of 32
    nothing = torch.tensor([200.0, 0.0])[None, :, None, None].expand(1, 2, 9, 12)
    assert consistency_loss(nothing, target).item() == pytest.approx(1 / 6, rel=1e-4)
    # where all boundaries are within reach of an ignored pixel, nothing counts
    ignored = target.clone()
    ignored[:, ::3, 6] = IGNORE
    assert consistency_loss(nothing, ignored) == 0


def test_attention_loss_by_hand():
    logits = torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]])[None, :, None]
    target = torch.tensor([[[0, 1, IGNORE]]])
    edge = torch.logit(torch.tensor([0.7, 0.9, 0.9]))[None, None, None]
    # of the two pixels above 0.8 one counts
    value = attention_loss(logits, edge, target)
    assert value.item() == pytest.approx(math.log1p(math.exp(1)), rel=1e-6)
    assert attention_loss(logits, edge - 10, target) == 0


def test_a_binary_network_has_the_loss_of_its_two_classes():
    torch.manual_seed(2)
    z = torch.randn(2, 1, 9, 12)
    edge = torch.randn(2, 1, 9, 12)
    target = torch.randint(0, 2, (2, 9, 12))
    torch.manual_seed(3)
    one = dual_task_loss(z, edge, target)
    torch.manual_seed(3)
    two = dual_task_loss(torch.cat((torch.zeros_like(z), z), 1), edge, target)
    assert torch.equal(one, two)
    assert torch.isfinite(one)


def test_the_loss_is_finite_where_everything_is_ignored():
    logits = torch.randn(1, 3, 9, 12, requires_grad=True)
    target = torch.full((1, 9, 12), IGNORE)
    loss = dual_task_loss(logits, torch.full((1, 1, 9, 12), 5.0), target)
    loss.backward()
    assert loss == 0
    assert torch.isfinite(logits.grad).all()


def test_each_term_reaches_what_it_is_about():
    torch.manual_seed(9)
    logits = torch.randn(1, 3, 16, 20, requires_grad=True)
    edge = torch.randn(1, 1, 16, 20, requires_grad=True)
    target = torch.randint(0, 3, (1, 2, 2)).repeat_interleave(8, 1).repeat_interleave(10, 2)
    edge_loss(edge, target).backward()
    assert edge.grad.abs().sum() > 0
    edge.grad = None
    (consistency_loss(logits, target) + attention_loss(logits, edge + 3, target)).backward()
    assert edge.grad is None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0


def test_the_paper_s_parameters_beside_the_encoder():
    def conv(a, b, k=3):
        return a * b * k * k + 2 * b

    shape = 64 * 64 + 64
    for width, after in ((64, 32), (32, 16), (16, 8)):
        shape += 2 * conv(width, width) + width * after + after
        shape += (after + 1) + 2 + after * after + after
    shape += (512 + 1) + (1024 + 1) + (2048 + 1) + 8 + 1
    pyramid = conv(2048, 256, 1) + 3 * conv(2048, 256) + (2048 * 256 + 256)
    pyramid += conv(1, 256, 1) + conv(6 * 256, 256, 1)
    decoder = 256 * 48 + conv(304, 256) + conv(256, 256) + 257 * 19
    expected = 23_508_032 + shape + (2 + 1) + pyramid + decoder
    assert count(gscnn, 3, 19) == expected


def test_both_streams_learn_from_the_classes_and_from_the_boundaries():
    torch.manual_seed(5)
    check_gradients(gscnn(1, 3, encoder="resnet18"), (32, 48), 1)
    network = gscnn(1, 1, encoder="resnet18").train()
    outputs = network(torch.rand(1, 1, 32, 48))
    assert outputs["out"].shape == outputs["edge"].shape == (1, 1, 32, 48)
    target = torch.zeros(1, 32, 48, dtype=torch.long)
    target[:, 8:20, 10:30] = 1
    edge_loss(outputs["edge"], target).backward()
    reached = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None}
    assert reached == {"encoder", "shape"}


@pytest.mark.parametrize("encoder", ["resnet18", "mit_b0"])
def test_works_as_a_model(encoder):
    torch.manual_seed(6)
    check_model(gscnn(2, 3, encoder=encoder), 2, (64, 96))


def test_trains_with_the_dual_task_loss():
    loss = losses_of_training("gscnn", 3, encoder="resnet18")
    assert loss[-1] < loss[0]


def test_an_encoder_that_cannot_be_dilated_is_an_error():
    with pytest.raises(DataError, match="cannot be built on the encoder"):
        gscnn(3, 3, encoder="vgg16_bn")
