"""The U-Net and its builder."""

import dataclasses
import hashlib
import json

import pytest
import torch
from maskr import builders, weights
from maskr.architectures.unet import UNet
from maskr.errors import DataError, WeightsError
from maskr.model import SegModel
from maskr.spec import Spec
from safetensors.torch import save_file

BINARY = {"background": 0, "tumour": 1}


def test_has_the_published_networks_parameters_and_names():
    network = UNet(in_channels=3, out_channels=1, init_features=32)
    assert sum(p.numel() for p in network.parameters()) == 7_763_041
    names = set(network.state_dict())
    assert {
        "encoder1.enc1conv1.weight",
        "encoder1.enc1norm1.running_mean",
        "encoder4.enc4norm2.num_batches_tracked",
        "bottleneck.bottleneckconv2.weight",
        "upconv4.weight",
        "upconv4.bias",
        "decoder4.dec4conv1.weight",
        "decoder1.dec1norm2.bias",
        "conv.weight",
        "conv.bias",
    } <= names
    assert "encoder1.enc1conv1.bias" not in names


def test_concatenates_upsampled_features_before_the_encoders():
    # with the upsampled half of decoder1's first weights at 0, the bottleneck has no influence
    torch.manual_seed(1)
    network = UNet(1, 1, 2).eval()
    x = torch.rand(1, 1, 32, 48)
    with torch.no_grad():
        network.decoder1.dec1conv1.weight[:, :2] = 0
        before = network(x)
        network.bottleneck.bottleneckconv1.weight.mul_(3)
        network.decoder2.dec2conv1.weight.mul_(5)
        assert torch.equal(network(x), before)
        network.encoder1.enc1conv2.weight.mul_(2)
        assert not torch.equal(network(x), before)


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = builders.build("unet", classes=BINARY, arguments={"init_features": 2}, seed=7)
    assert torch.equal(torch.rand(1), expected)
    two = builders.build("unet", classes=BINARY, arguments={"init_features": 2}, seed=7)
    other = builders.build("unet", classes=BINARY, arguments={"init_features": 2}, seed=8)
    weight = "encoder1.enc1conv1.weight"
    assert torch.equal(one.module.state_dict()[weight], two.module.state_dict()[weight])
    assert not torch.equal(one.module.state_dict()[weight], other.module.state_dict()[weight])


def test_two_classes_share_a_channel_and_more_have_one_each():
    three = BINARY | {"oedema": 4}
    for classes, channels in ((BINARY, 1), (three, 3)):
        model = builders.build("unet", classes=classes, arguments={"init_features": 2})
        assert model.module.conv.out_channels == channels


def test_one_class_or_none_is_an_error():
    with pytest.raises(DataError, match="at least two classes"):
        builders.build("unet", classes={"nucleus": 1})
    with pytest.raises(DataError, match="needs to know its classes"):
        builders.build("unet")


def test_reads_a_bare_state_dict_and_infers_channels_and_features(tmp_path):
    torch.manual_seed(2)
    network = UNet(2, 3, 4)
    path = tmp_path / "weights.pt"
    torch.save(network.state_dict(), path)
    classes = {"sky": 0, "tree": 3, "road": 7}
    model = builders.build("unet", classes=classes, weights_name=str(path))
    assert (model.spec.in_channels, model.spec.arguments) == (
        2,
        {"init_features": 4, "upsample": "transposed"},
    )
    for name, tensor in network.state_dict().items():
        assert torch.equal(model.module.state_dict()[name], tensor)


def test_other_channels_and_classes_than_the_weights_are_adapted_and_said(tmp_path):
    torch.manual_seed(4)
    path = tmp_path / "weights.pt"
    held = UNet(2, 1, 4).state_dict()
    torch.save(held, path)
    three = BINARY | {"oedema": 2}
    model = builders.build("unet", 3, three, weights_name=str(path))
    own = model.module.state_dict()
    first = held["encoder1.enc1conv1.weight"]
    expected = first[:, [0, 1, 0]] * 2 / 3
    torch.testing.assert_close(own["encoder1.enc1conv1.weight"], expected)
    assert own["conv.weight"].shape[0] == 3
    same = set(own) - {"encoder1.enc1conv1.weight", "conv.weight", "conv.bias"}
    assert all(torch.equal(own[name], held[name]) for name in same)
    assert list(model.notes) == [
        "The first convolution was adapted from 2 to 3 channels.",
        "The last layer has other classes than the weights, and begins untrained.",
    ]


def test_features_that_contradict_the_weights_are_an_error(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(UNet(2, 1, 4).state_dict(), path)
    with pytest.raises(DataError, match="init_features = 4, and 8") as error:
        builders.build(
            "unet", classes=BINARY, arguments={"init_features": 8}, weights_name=str(path)
        )
    assert error.value.argument == "init_features"


def test_nuclei_for_other_channels_and_classes():
    model = builders.build("unet", 1, {"empty": 0, "cell": 5}, weights_name="nuclei", seed=1)
    nuclei = builders.build("unet", weights_name="nuclei")
    own, held = model.module.state_dict(), nuclei.module.state_dict()
    first = "encoder1.enc1conv1.weight"
    torch.testing.assert_close(own[first], held[first].sum(1, keepdim=True))
    assert torch.equal(own["upconv1.weight"], held["upconv1.weight"])
    # as many classes, but others
    assert not torch.equal(own["conv.weight"], held["conv.weight"])
    assert len(model.notes) >= 2
    # the same names under other ids are the same classes
    other_ids = {"background": 1, "nucleus": 2}
    renumbered = builders.build("unet", classes=other_ids, weights_name="nuclei")
    assert torch.equal(renumbered.module.conv.weight, nuclei.module.conv.weight)
    assert (renumbered.notes, nuclei.notes) == ((), ())


def test_weights_with_a_specification_bring_their_classes_and_preprocessing(tmp_path):
    model = builders.build(
        "unet",
        2,
        {"off": 3, "on": 9},
        {"init_features": 2},
        preprocess={"per_image": "standardise"},
        seed=1,
    )
    path = str(tmp_path / "weights.safetensors")
    header = {"maskr": json.dumps({"spec": model.spec.to_dict()})}
    state = {name: value.contiguous() for name, value in model.module.state_dict().items()}
    save_file(state, path, metadata=header)
    again = builders.build("unet", weights_name=path)
    assert again.spec == model.spec


def test_weights_that_are_nowhere_say_so():
    with pytest.raises(WeightsError, match='no weights "nothere"'):
        builders.build("unet", classes=BINARY, weights_name="nothere")


def test_weights_of_another_network_say_so(tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(WeightsError, match="not those of this U-Net. They hold"):
        builders.build("unet", classes=BINARY, weights_name=str(path))


def test_brain_mri_loads_the_published_file_with_its_preprocessing(tmp_path, monkeypatch):
    # the real file cannot be had offline: one of the same shapes and name, first with a checksum
    # that differs, then with its own declared to be the published one
    torch.manual_seed(3)
    network = UNet(3, 1, 32)
    torch.save(network.state_dict(), tmp_path / "unet-e012d006.pt")
    monkeypatch.setenv("MASKR_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        builders.build("unet", weights_name="brain-mri", cache=str(tmp_path / "cache"))
    digest = hashlib.sha256((tmp_path / "unet-e012d006.pt").read_bytes()).hexdigest()
    known = dataclasses.replace(weights.KNOWN["brain-mri"], sha256=(digest,))
    monkeypatch.setitem(weights.KNOWN, "brain-mri", known)
    model = builders.build("unet", weights_name="brain-mri", cache=str(tmp_path / "cache"))
    assert model.spec.preprocess.per_image == "standardise"
    assert model.spec.classes == BINARY
    assert model.count_params() == 7_763_041


def test_the_shipped_network_finds_nuclei():
    model = builders.build("unet", weights_name="nuclei")
    assert isinstance(model, SegModel)
    assert isinstance(model.spec, Spec)
    assert model.spec.classes == {"background": 0, "nucleus": 1}


def test_bilinear_upsampling_leaves_no_checkerboard_and_other_names_as_they_were():
    network = UNet(1, 2, 4, "bilinear")
    names, default = set(network.state_dict()), set(UNet(1, 2, 4).state_dict())
    assert {name for name in names ^ default if not name.startswith("upconv")} == set()
    step = network.upconv4
    # a constant image stays constant, which a transposed convolution need not keep
    constant = step(torch.ones(1, 64, 3, 5))
    assert constant.shape == (1, 32, 6, 10)
    torch.testing.assert_close(constant, constant[..., :1, :1].expand_as(constant))
    with pytest.raises(DataError, match='no way "cubic"'):
        UNet(1, 2, 4, "cubic")


def test_arguments_of_the_wrong_kind_of_u_net_are_errors():
    for arguments, argument in (
        ({"attention": "scse"}, "attention"),
        ({"decoder_channels": [8, 8, 8, 8, 8]}, "decoder_channels"),
        ({"encoder": "mobilenet_v2", "init_features": 8}, "init_features"),
        ({"encoder": "mobilenet_v2", "decoder_channels": [8, 8]}, "decoder_channels"),
        ({"encoder": "mobilenet_v2", "attention": "cbam"}, "attention"),
        ({"encoder": "mobilenet_v2", "upsample": "cubic"}, "upsample"),
        ({"features": 8}, "features"),
    ):
        with pytest.raises(DataError) as error:
            builders.build("unet", classes=BINARY, arguments=arguments)
        assert error.value.argument == argument


def test_an_encoder_with_learned_upsampling_halves_channels_before_the_skip():
    channels = [48, 32, 24, 16, 8]
    model = builders.build(
        "unet", 3, BINARY, {"encoder": "mobilenet_v2", "decoder_channels": channels}
    )
    blocks = model.module.decoder.blocks
    assert [block.upsample.out_channels for block in blocks] == channels
    assert [block.upsample.in_channels for block in blocks] == [1280, *channels[:-1]]
    inside = [block.conv1[0].in_channels for block in blocks]
    assert inside == [48 + 96, 32 + 32, 24 + 24, 16 + 16, 8]
