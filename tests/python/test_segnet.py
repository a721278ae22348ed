"""SegNet: parameters, unpooling by hand, and VGG16's weights in its encoder."""

import torch
from maskr.architectures.segnet import encoder_state, segnet
from networks import check_gradients, check_model, count
from torch import nn
from torchvision.models import vgg16_bn


def test_has_the_published_networks_parameters():
    vgg, decoder = 14_723_136, 14_719_872
    for classes in (1, 12):
        assert count(segnet, 3, classes) == vgg + decoder + 577 * classes
    assert count(segnet, 3, 12) == 29_449_932
    with torch.device("meta"):
        assert sum(p.numel() for p in vgg16_bn().features.parameters()) == vgg


def test_the_decoder_mirrors_the_encoder():
    with torch.device("meta"):
        network = segnet(3, 12)
    widths = [
        (layer.in_channels, layer.out_channels)
        for part in (network.encoder, network.decoder)
        for layer in part.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert len(widths) == 13 + 12
    widths[0] = (12, 64)
    down, up = widths[:13], [*widths[13:], (64, 12)]
    assert up == [pair[::-1] for pair in down[::-1]]


def test_unpooling_by_hand():
    network = segnet(1, 1)
    x = torch.tensor([[1.0, 7, 2, 2], [3, 4, 9, 8]])[None, None]
    pooled, places = network.pool(x)
    assert pooled.tolist() == [[[[7, 9]]]]
    back = network.unpool(pooled * 10, places)
    assert back.tolist() == [[[[0, 70, 0, 0], [0, 0, 90, 0]]]]


def test_each_unpooling_uses_the_places_of_its_own_pooling():
    torch.manual_seed(1)
    network = segnet(1, 2).eval()
    seen = []
    network.unpool.register_forward_hook(lambda _, given, out: seen.append((given[1], out)))
    pooled = []
    network.pool.register_forward_hook(lambda _, given, out: pooled.append((given[0], out[1])))
    with torch.no_grad():
        network(torch.rand(1, 1, 32, 64))
    for (before, kept), (used, out) in zip(pooled, seen[::-1], strict=True):
        assert used is kept
        assert out.shape == before.shape
        # values stand where the maxima were, and nowhere else
        mask = torch.zeros_like(out).flatten(2).scatter(2, kept.flatten(2), 1.0).view_as(out)
        assert (out[mask == 0] == 0).all()


def test_takes_the_weights_of_vgg16():
    torch.manual_seed(2)
    vgg = vgg16_bn(init_weights=False).eval()
    for buffer in vgg.features.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 1.5)
    network = segnet(3, 4).eval()
    assert set(encoder_state(vgg.state_dict())) == set(network.encoder.state_dict())
    network.load_encoder(vgg.state_dict())
    x = expected = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        expected = vgg.features(expected)
        for stage in network.encoder:
            x, _ = network.pool(stage(x))
    torch.testing.assert_close(x, expected)


def test_gradients_reach_all_and_any_size_works():
    check_gradients(segnet(2, 3), (32, 64), 2)
    check_model(segnet(2, 3), 2, (32, 64))
