"""All registered architectures, their encoders, and published weights of both; no internet."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from maskr import (
    adapting,
    architectures,
    builders,
    finding,
    inference,
    pretrained,
    storage,
    weights,
)
from maskr.architectures import REGISTRY, encoders
from maskr.asked import Asked
from maskr.errors import DataError, FileError, ShapeError, WeightsError
from maskr.model import take_tensor
from maskr.published import IMAGENET, KNOWN
from safetensors.torch import save_file

SMALL = {
    "unet": {"init_features": 4},
    "unetpp": {"encoder": "mobilenet_v2", "decoder_channels": [16, 16, 8, 8, 8]},
    "resunet": {"init_features": 4},
    "attention_unet": {"init_features": 4},
    "unet3d": {"init_features": 4},
    "fcn": {"backbone": "resnet50"},
    "segnet": {},
    "deeplab": {"encoder": "mobilenet_v2"},
    "pspnet": {"encoder": "mobilenet_v2"},
    "fpn": {"encoder": "mobilenet_v2"},
    "linknet": {"encoder": "mobilenet_v2"},
    "upernet": {"encoder": "convnext_atto"},
    "fastfcn": {"encoder": "mobilenet_v2"},
    "gscnn": {"encoder": "mobilenet_v2"},
    "segformer": {"variant": "b0"},
    "lraspp": {},
    "dpt": {"encoder": "vit_tiny_patch16_224"},
}
ALSO = {
    "unet-encoder": ("unet", {"encoder": "mobilenet_v2", "attention": "scse"}),
    "unet-bilinear": ("unet", {"encoder": "convnext_atto", "upsample": "bilinear"}),
    "deeplab-v3": ("deeplab", {"version": "v3", "encoder": "mobilenet_v2", "output_stride": 8}),
    "upernet-swin": ("upernet", {"encoder": "swin_tiny_patch4_window7_224"}),
}
EVERY = {name: (name, SMALL.get(name, {})) for name in REGISTRY} | ALSO
THREE = {"sky": 0, "tree": 3, "road": 7}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing may reach for the internet, not even in vain."""
    monkeypatch.delenv("MASKR_WEIGHTS", raising=False)
    tried = []

    def refuse(_, address):
        tried.append(address)
        raise OSError("no internet in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield tried
    assert tried == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


def built(case, channels=5, classes=THREE):
    name, arguments = EVERY[case]
    return builders.build(name, channels, classes, arguments, seed=3)


def is_volume(model):
    return architectures.dims_of(model.module) == 3


def image(shape, channels=5):
    return np.random.default_rng(4).random((*shape, channels))


def predicted(model, shape, kind="prob"):
    array = image(shape, model.spec.in_channels)
    return inference.predict(model, [array], kind, precision="float32")["results"][0]


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("case", EVERY)
def test_builds_trains_predicts_and_saves(case, folder):
    model = built(case)
    module, volume = model.module, is_volume(model)
    assert module.multiple == model.spec.multiple
    size = (16, 16, 48) if volume else (32, 96)
    y = torch.zeros(2, *size, dtype=torch.long)
    y[..., 20:] += 1
    y[..., 60:] += 1
    torch.manual_seed(5)
    x = torch.rand(2, 5, *size) + y[:, None]

    def loss():
        torch.manual_seed(6)  # the same dropout each time
        out = module.train()(x)
        extra = module.auxiliary_loss(out, y) if hasattr(module, "auxiliary_loss") else 0
        assert take_tensor(out).shape == (2, 3, *size)
        return torch.nn.functional.cross_entropy(take_tensor(out), y) + extra

    optimizer = torch.optim.Adam(module.parameters(), 1e-4)
    before = loss()
    for _ in range(3):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    with torch.no_grad():
        assert loss() < before.detach()

    if volume:
        assert predicted(model, (11, 31, 21), "mask").shape == (11, 31, 21)
    else:
        assert predicted(model, (317, 211), "mask").shape == (317, 211)
    storage.save(model, str(folder / f"{case}.keras"))
    np.save(folder / f"{case}.npy", predicted(model, (9, 17, 21) if volume else (37, 45)))


RELOAD = """
import sys
from pathlib import Path
import numpy as np
sys.path[:0] = {paths}
from maskr import backend
backend.prepare()
from maskr import storage
from test_architectures import predicted, is_volume
for path in sorted(Path({folder!r}).glob("*.keras")):
    model = storage.load(str(path))
    shape = (9, 17, 21) if is_volume(model) else (37, 45)
    same = np.array_equal(predicted(model, shape), np.load(path.with_suffix(".npy")))
    print(path.stem, "same" if same else "differs")
"""


def test_all_load_in_a_new_process_with_identical_output(folder):
    here = Path(__file__).resolve()
    paths = [str(here.parents[2] / "inst" / "python"), str(here.parent)]
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RELOAD.format(paths=paths, folder=str(folder))],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    saved = {f"{path.stem} same" for path in folder.glob("*.keras")}
    assert saved
    assert set(run.stdout.splitlines()) == saved


@pytest.mark.parametrize("case", [case for case in EVERY if "unet3d" not in case])
def test_trains_on_a_single_image(case):
    model = built(case, 1)
    torch.manual_seed(12)
    out = model(torch.rand(1, 1, 64, 64), training=True)
    (out * torch.rand_like(out)).sum().backward()
    gradients = [p.grad for p in model.module.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_a_single_pixel_of_features_is_an_error_that_says_so():
    model = built("unet", 1)
    with pytest.raises(ShapeError, match="one value per channel"):
        model(torch.rand(1, 1, 16, 16), training=True)


def smps(kind, encoder, **arguments):
    return lambda: getattr(smp, kind)(encoder, encoder_weights=None, classes=21, **arguments)


def on_torchvision(name):
    from torchvision.models import segmentation

    return lambda: getattr(segmentation, name)(
        weights=None, weights_backbone=None, num_classes=21
    )


REFERENCES = {
    "unet": (
        {"encoder": "resnet34", "upsample": "bilinear", "attention": "scse"},
        smps("Unet", "resnet34", decoder_attention_type="scse"),
    ),
    "unetpp": ({}, smps("UnetPlusPlus", "resnet34")),
    "linknet": ({}, smps("Linknet", "resnet34")),
    "fpn": ({}, smps("FPN", "resnet34")),
    "deeplab": ({}, smps("DeepLabV3Plus", "resnet34")),
    "pspnet": ({}, smps("PSPNet", "resnet34", encoder_depth=5, output_stride=8)),
    "upernet": ({}, smps("UPerNet", "tu-convnext_tiny", decoder_channels=512)),
    "dpt": ({}, smps("DPT", "tu-vit_base_patch16_224.augreg_in21k", num_classes=0)),
    "fcn": ({"backbone": "resnet101"}, on_torchvision("fcn_resnet101")),
    "lraspp": ({}, on_torchvision("lraspp_mobilenet_v3_large")),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_has_the_reference_implementations_parameters(name):
    arguments, reference = REFERENCES[name]
    with torch.device("meta"):
        own, other = architectures.build(name, 3, 21, **arguments), reference()
    assert count(own) == count(other)
    assert {k for k, _ in own.named_parameters()} == {k for k, _ in other.named_parameters()}


@pytest.mark.parametrize("version", ["v3", "v3plus"])
def test_deeplab_has_rates_and_strides(version):
    with torch.device("meta"):
        network = architectures.build(
            "deeplab", 3, 2, version=version, output_stride=8, rates=[2.0, 4.0, 6.0]
        )
        features = network.encoder(torch.empty(1, 3, 64, 96))
    assert features[-1].shape[2:] == (8, 12)
    dilations = {m.dilation[0] for m in network.decoder.modules() if hasattr(m, "dilation")}
    assert dilations == {1, 2, 4, 6}


@pytest.mark.parametrize(("stride", "rates"), [(8, {12, 24, 36}), (16, {6, 12, 18})])
def test_deeplab_has_the_papers_rates(stride, rates):
    with torch.device("meta"):
        network = architectures.build("deeplab", 3, 2, output_stride=stride)
    dilations = {m.dilation[0] for m in network.decoder.modules() if hasattr(m, "dilation")}
    assert dilations == {1} | rates


@pytest.mark.parametrize("name", ["deeplab", "pspnet", "gscnn"])
def test_mix_transformers_take_any_size_in_dilated_networks(name):
    model = builders.build(name, 3, THREE, {"encoder": "mit_b0"})
    assert model.spec.multiple == 32
    image = np.random.default_rng(1).random((9, 40, 3), dtype=np.float32)
    found = inference.predict(model, [image], "prob", 0.5, "float32", 1)["results"][0]
    assert found.shape[:2] == (9, 40)


@pytest.mark.parametrize("variant", ["b0", "b1", "b2", "b3", "b4", "b5"])
def test_segformer_has_the_parameters_of_transformers(variant, monkeypatch):
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    depths = {"b2": [3, 4, 6, 3], "b3": [3, 4, 18, 3], "b4": [3, 8, 27, 3], "b5": [3, 6, 40, 3]}
    config = SegformerConfig(
        depths=depths.get(variant, [2, 2, 2, 2]),
        hidden_sizes=[32, 64, 160, 256] if variant == "b0" else [64, 128, 320, 512],
        decoder_hidden_size=256 if variant in ("b0", "b1") else 768,
        num_labels=19,
    )
    linspace = torch.linspace
    monkeypatch.setattr(torch, "linspace", lambda *a: linspace(*a, device="cpu"))
    with torch.device("meta"):
        own = architectures.build("segformer", 3, 19, variant=variant)
        other = SegformerForSemanticSegmentation(config)
    assert count(own) == count(other)


def test_sees_the_same_as_smp():
    torch.manual_seed(7)
    reference = smp.Segformer("mit_b0", encoder_weights=None, classes=3).eval()
    network = architectures.build("segformer", 3, 3).eval()
    network.load_state_dict(reference.state_dict())
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(network(x), reference(x))


def test_all_of_the_registry_say_where_they_are_from():
    urls = {entry.url for entry in REGISTRY.values()}
    assert all(url.startswith("https://arxiv.org/abs/") for url in urls)
    assert len(urls) == len(REGISTRY)
    families = {"encoder-decoder", "fully convolutional", "pyramid", "transformer"}
    assert {entry.family for entry in REGISTRY.values()} == families
    for entry in REGISTRY.values():
        for encoder in entry.encoders:
            encoders.resolve(encoder)


def test_unknown_architectures_arguments_and_encoders_are_clear_errors():
    with pytest.raises(DataError, match='no architecture "unett"'):
        builders.build("unett", 3, THREE)
    with pytest.raises(DataError, match="FPN has no argument `variant`") as error:
        builders.build("fpn", 3, THREE, {"variant": "b0"})
    assert error.value.argument == "variant"
    with pytest.raises(DataError, match='no encoder "resnet35"') as error:
        builders.build("fpn", 3, THREE, {"encoder": "resnet35"})
    assert "resnet34" in error.value.hint
    assert error.value.argument == "encoder"
    with pytest.raises(DataError) as error:
        builders.build("fpn", 3, THREE, {"encoder": "resnet50.a1_in1"})
    assert "resnet50.a1_in1k" in error.value.hint
    with pytest.raises(DataError) as error:
        builders.build("fpn", 3, THREE, {"encoder": "Resnet-34"})
    close = error.value.hint.partition(".")[0].removeprefix("Close are ").split(", ")
    assert close[0] == "resnet34"
    assert len(close) == len(set(close))
    for name, encoder in (
        ("deeplab", "vgg16_bn"),
        ("deeplab", "swin_tiny_patch4_window7_224"),
        ("gscnn", "swin_tiny_patch4_window7_224"),
        ("dpt", "beit_base_patch16_224"),
        ("linknet", "mit_b0"),
        ("fpn", "vit_tiny_patch16_224"),
        ("dpt", "resnet34"),
        ("dpt", "vit_small_patch14_dinov2"),
    ):
        with pytest.raises(DataError) as error:
            builders.build(name, 3, THREE, {"encoder": encoder})
        assert error.value.argument == "encoder"
        assert "__init__" not in str(error.value)
        assert ("dilated" in str(error.value)) == (name in ("deeplab", "gscnn"))
        assert name != "dpt" or "resnet34" not in error.value.hint
    for name, argument, value in (
        ("segformer", "variant", "b9"),
        ("deeplab", "version", "v4"),
        ("deeplab", "output_stride", 32),
        ("deeplab", "rates", [6, 12]),
    ):
        with pytest.raises(DataError) as error:
            builders.build(name, 3, THREE, {argument: value})
        assert error.value.argument == argument


class TestAdapting:
    def test_by_hand(self):
        weight = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
        for channels, expected in (
            (1, [6.0]),
            (2, [1.5, 3.0]),
            (3, [1.0, 2.0, 3.0]),
            (5, [0.6, 1.2, 1.8, 0.6, 1.2]),
        ):
            found = adapting.adapt_input(weight, channels).flatten()
            torch.testing.assert_close(found, torch.tensor(expected))

    @pytest.mark.parametrize("channels", [1, 2, 4, 5])
    def test_is_the_rule_of_smp_and_timm(self, channels):
        from segmentation_models_pytorch.encoders._utils import patch_first_conv
        from timm.models import adapt_input_conv

        torch.manual_seed(8)
        first = torch.nn.Conv2d(3, 4, 3)
        found = adapting.adapt_input(first.weight.detach(), channels)
        torch.testing.assert_close(found, adapt_input_conv(channels, first.weight.detach()))
        patch_first_conv(torch.nn.Sequential(first), channels)
        torch.testing.assert_close(found, first.weight.detach())

    @pytest.mark.parametrize("case", [case for case in EVERY if case != "upernet-swin"])
    def test_fits_any_network_to_other_channels_and_classes(self, case, tmp_path):
        name, arguments = EVERY[case]
        held = built(case, 3).module.state_dict()
        path = str(tmp_path / "weights.safetensors")
        save_file({k: v.contiguous() for k, v in held.items()}, path)
        four = THREE | {"car": 9}
        model = builders.build(name, 1, four, arguments, path, seed=9)
        assert (model.spec.in_channels, model.spec.classes) == (1, four)
        assert list(model.notes) == [
            "The first convolution was adapted from 3 to 1 channels.",
            "The last layer has other classes than the weights, and begins untrained.",
        ]
        own = model.module.state_dict()
        other = [key for key in own if own[key].shape != held[key].shape]
        assert all(torch.equal(own[key], held[key]) for key in own if key not in other)
        first = [key for key in other if own[key].shape[1:2] == (1,) and held[key].ndim >= 4]
        assert len(first) >= 1
        torch.testing.assert_close(own[first[0]], held[first[0]].sum(1, keepdim=True))
        # unchanged, the file says nothing and gives all; the channels are its own
        if count(model.module) < 10e6:
            same = builders.build(name, None, THREE, arguments, path)
            assert (same.spec.in_channels, same.notes) == (3, ())
            assert all(torch.equal(v, held[k]) for k, v in same.module.state_dict().items())

    def test_a_file_of_another_network_or_size_is_an_error(self, tmp_path):
        path = str(tmp_path / "weights.pt")
        torch.save(built("segformer", 3).module.state_dict(), path)
        with pytest.raises(WeightsError, match="do not fit the model") as error:
            builders.build("segformer", 3, THREE, {"variant": "b1"}, path)
        assert error.value.argument == "weights"
        with pytest.raises(WeightsError, match="not those of this FPN"):
            builders.build("fpn", 3, THREE, {"encoder": "mobilenet_v2"}, path)
        with pytest.raises(WeightsError, match='no weights "nuclei" of FPN'):
            builders.build("fpn", 3, THREE, weights_name="nuclei")

    @pytest.mark.parametrize("name", ["unet", "resunet", "attention_unet", "unet3d"])
    def test_features_are_read_off_a_file(self, name, tmp_path):
        held = built(name, 3).module.state_dict()
        path = str(tmp_path / "weights.pt")
        torch.save(held, path)
        own = builders.build(name, None, THREE, weights_name=path).module.state_dict()
        assert all(torch.equal(own[key], held[key]) for key in held)
        with pytest.raises(DataError, match="init_features = 4, and 8") as error:
            builders.build(name, 3, THREE, {"init_features": 8}, path)
        assert error.value.argument == "init_features"

    def test_the_way_of_upsampling_is_read_off_a_file(self, tmp_path):
        arguments = {"init_features": 4, "upsample": "bilinear"}
        path = str(tmp_path / "weights.pt")
        torch.save(architectures.build("unet", 3, 3, **arguments).state_dict(), path)
        assert builders.build("unet", None, THREE, weights_name=path).spec.arguments == arguments
        with pytest.raises(DataError, match='upsample = "bilinear", and "transposed"'):
            builders.build("unet", 3, THREE, {"upsample": "transposed"}, path)

    @pytest.mark.parametrize("path", ["no/such", "weights.pt"])
    def test_a_file_that_is_not_there_is_said(self, path):
        with pytest.raises(FileError) as error:
            builders.build("unet", 3, THREE, weights_name=path)
        assert str(error.value) == f'There is no file or folder "{path}".'

    @pytest.mark.parametrize(
        ("name", "published", "arguments", "choice"),
        [
            ("upernet", "ade20k", {"encoder": "resnet50"}, "swin_tiny_patch4_window7_224"),
            ("fcn", "coco", {"backbone": "vgg16"}, "resnet50, resnet101"),
            ("fcn", "coco", {"stride": 16}, ""),
            ("dpt", "ade20k", {"encoder": "vit_tiny_patch16_224"}, ""),
        ],
    )
    def test_contradictions_are_said_before_a_download(self, name, published, arguments, choice):
        with pytest.raises(DataError) as error:
            builders.build(name, None, None, arguments, published, cache="nowhere")
        assert error.value.argument in arguments
        assert choice in error.value.hint

    def test_a_file_that_describes_another_architecture_is_an_error(self, tmp_path):
        model = built("unet")
        path = str(tmp_path / "weights.safetensors")
        header = {"maskr": json.dumps({"spec": model.spec.to_dict()})}
        state = {name: value.contiguous() for name, value in model.module.state_dict().items()}
        save_file(state, path, metadata=header)
        with pytest.raises(WeightsError, match='of the architecture "unet", not "resunet"'):
            builders.build("resunet", weights_name=path)
        with pytest.raises(WeightsError, match="whole model"):
            (tmp_path / "model.keras").touch()
            builders.build("unet", weights_name=str(tmp_path / "model.keras"))


def test_files_of_earlier_versions_still_load(tmp_path):
    # they said the features always, and multiples of 16
    model = built("unet")
    config = {"init_features": 4}
    assert model.spec.arguments == config
    storage.save(model, str(tmp_path / "a.keras"))
    assert storage.load(str(tmp_path / "a.keras")).spec == model.spec


def random_like(state):
    torch.manual_seed(10)
    return {
        key: torch.rand_like(value) if value.is_floating_point() else value
        for key, value in state.items()
    }


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on the disk: takes a repository, a revision and a state dict."""
    monkeypatch.setattr(encoders, "HUB", (tmp_path / "hub").as_uri())

    def publish(repository, revision, state):
        path = tmp_path / "hub" / repository / "resolve" / revision
        path.mkdir(parents=True)
        save_file({k: v.contiguous() for k, v in state.items()}, path / "model.safetensors")

    return publish


class TestEncoderWeights:
    def publish_mobilenet(self, hub):
        settings = smp.encoders.encoders["mobilenet_v2"]["pretrained_settings"]["imagenet"]
        state = random_like(smp.encoders.get_encoder("mobilenet_v2", weights=None).state_dict())
        hub(settings["repo_id"], settings["revision"], state)
        return state

    @pytest.mark.parametrize("name", ["unet", "deeplab", "fastfcn", "gscnn"])
    def test_of_smp_come_with_their_preprocessing(self, hub, tmp_path, name):
        state = self.publish_mobilenet(hub)
        cache = str(tmp_path / "cache")
        ask = {"arguments": {"encoder": "mobilenet_v2"}, "encoder_weights": "imagenet"}
        model = builders.build(name, classes=THREE, **ask, cache=cache)
        own = model.module.encoder.state_dict()
        assert all(torch.equal(own[key], state[key]) for key in own)
        assert model.spec.preprocess == IMAGENET
        assert list(model.notes) == []
        assert os.listdir(cache) == ["mobilenet_v2.imagenet.safetensors"]
        given = builders.build(
            name, classes=THREE, **ask, cache=cache, preprocess={"per_image": "standardise"}
        )
        assert given.spec.preprocess.mean is None

    def test_of_smp_fit_other_channels(self, hub, tmp_path):
        state = self.publish_mobilenet(hub)
        model = builders.build(
            "fpn",
            1,
            THREE,
            {"encoder": "mobilenet_v2"},
            encoder_weights="imagenet",
            cache=str(tmp_path / "cache"),
        )
        first = "features.0.0.weight"
        torch.testing.assert_close(
            model.module.encoder.state_dict()[first], state[first].sum(1, keepdim=True)
        )
        assert model.spec.preprocess.mean is None
        note = "The encoder's first convolution was adapted from 3 to 1 channels."
        assert list(model.notes) == [note]

    @pytest.mark.parametrize("channels", [3, 2])
    def test_of_timm(self, hub, tmp_path, channels):
        settings = timm.get_pretrained_cfg("convnext_atto")
        classifier = timm.create_model("convnext_atto")
        classifier.load_state_dict(random_like(classifier.state_dict()))
        hub(settings.hf_hub_id, "main", classifier.state_dict())
        model = builders.build(
            "upernet",
            channels,
            THREE,
            {"encoder": "convnext_atto"},
            encoder_weights="imagenet",
            cache=str(tmp_path),
        )
        encoder = model.module.encoder.model
        assert torch.equal(encoder.stages_1.blocks[0].mlp.fc1.weight,
                           classifier.stages[1].blocks[0].mlp.fc1.weight)
        held = classifier.stem[0].weight.detach()
        expected = held if channels == 3 else adapting.adapt_input(held, channels)
        torch.testing.assert_close(encoder.stem_0.weight.detach(), expected)
        assert len(model.notes) == (0 if channels == 3 else 1)
        assert model.spec.preprocess.mean == (settings.mean if channels == 3 else None)

    def test_of_a_vision_transformer(self, hub, tmp_path):
        settings = timm.get_pretrained_cfg("vit_tiny_patch16_224")
        classifier = timm.create_model("vit_tiny_patch16_224")
        hub(settings.hf_hub_id, "main", classifier.state_dict())
        model = builders.build(
            "dpt",
            3,
            THREE,
            SMALL["dpt"],
            encoder_weights=settings.tag,
            cache=str(tmp_path),
        )
        own = model.module.encoder.model.state_dict()
        held = classifier.state_dict()
        assert all(torch.equal(own[key], held[key]) for key in own)
        assert model.spec.preprocess.mean == (0.5, 0.5, 0.5)

    @pytest.mark.parametrize(
        ("name", "arguments", "classifier", "file", "pair"),
        [
            (
                "fcn",
                {"backbone": "resnet50"},
                "resnet50",
                "resnet50-0676ba61.pth",
                ("backbone.layer2.0.conv2.weight", "layer2.0.conv2.weight"),
            ),
            (
                "lraspp",
                {},
                "mobilenet_v3_large",
                "mobilenet_v3_large-8738ca79.pth",
                ("backbone.4.block.0.0.weight", "features.4.block.0.0.weight"),
            ),
            (
                "segnet",
                {},
                "vgg16_bn",
                "vgg16_bn-6c64b313.pth",
                ("encoder.1.3.weight", "features.10.weight"),
            ),
        ],
    )
    def test_of_torchvision(
        self, tmp_path, monkeypatch, name, arguments, classifier, file, pair
    ):
        import torchvision

        with torch.device("meta"):
            state = getattr(torchvision.models, classifier)().state_dict()
        state = {key: torch.rand(value.shape).to(value.dtype) for key, value in state.items()}
        torch.save(state, tmp_path / file)
        monkeypatch.setattr(weights, "_matches", lambda path, accepted: True)
        model = builders.build(
            name, 4, THREE, arguments, encoder_weights="imagenet", cache=str(tmp_path)
        )
        own = model.module.state_dict()
        assert torch.equal(own[pair[0]], state[pair[1]])
        note = "The encoder's first convolution was adapted from 3 to 4 channels."
        assert list(model.notes) == [note]
        monkeypatch.undo()
        with pytest.raises(WeightsError, match="expected|internet|reached|not on this machine"):
            weights.locate(file, "file:///nowhere", file[-12:-4], str(tmp_path))

    def test_what_is_not_there_is_a_clear_error(self, hub, tmp_path):
        def ask(name, arguments, encoder_weights):
            return lambda: builders.build(
                name,
                3,
                THREE,
                arguments,
                encoder_weights=encoder_weights,
                cache=str(tmp_path),
            )

        with pytest.raises(WeightsError, match="mobilenet_v2.imagenet.*not on this machine"):
            ask("fpn", {"encoder": "mobilenet_v2"}, "imagenet")()
        with pytest.raises(WeightsError, match='has no weights "imagenot"') as error:
            ask("fpn", {"encoder": "mobilenet_v2"}, "imagenot")()
        assert "imagenet" in error.value.hint
        with pytest.raises(WeightsError, match='has no weights "jft"') as error:
            ask("fpn", {"encoder": "convnext_tiny"}, "jft")()
        assert "fb_in1k" in error.value.hint
        with pytest.raises(DataError, match="no encoder with published weights") as error:
            ask("unet", {}, "imagenet")()
        assert error.value.argument == "encoder_weights"
        with pytest.raises(DataError, match="no encoder with published weights"):
            ask("resunet", {}, "imagenet")()
        with pytest.raises(DataError, match="bring those of its encoder"):
            builders.build("unet", weights_name="nuclei", encoder_weights="imagenet")

    def test_weights_of_another_encoder_are_an_error(self, hub, tmp_path):
        settings = smp.encoders.encoders["mobilenet_v2"]["pretrained_settings"]["imagenet"]
        state = smp.encoders.get_encoder("resnet18", weights=None).state_dict()
        hub(settings["repo_id"], settings["revision"], state)
        with pytest.raises(WeightsError, match="do not fit the encoder"):
            builders.build(
                "fpn",
                3,
                THREE,
                {"encoder": "mobilenet_v2"},
                encoder_weights="imagenet",
                cache=str(tmp_path),
            )

    def test_a_licence_against_commerce_is_said(self):
        source = pretrained.source_of("segformer", {}, "imagenet")
        assert source.file == "mit_b0.imagenet.safetensors"
        notes = pretrained.said_of_licence("The encoder's weights", source.licence)
        assert notes == [
            "The encoder's weights come under LicenseRef-NVIDIA-non-commercial: no commercial use."
        ]
        assert pretrained.said_of_licence("They", "MIT") == []
        assert len(pretrained.said_of_licence("They", "cc-by-nc-4.0")) == 1


class TestPublishedNetworks:
    @pytest.fixture
    def segformer(self, tmp_path, monkeypatch):
        """SegFormer-B0 as smp writes it, in the place of the published one."""
        torch.manual_seed(11)
        network = smp.Segformer("mit_b0", encoder_weights=None, classes=150).eval()
        network.save_pretrained(tmp_path / "hub")
        file = "segformer-b0-512x512-ade-160k.safetensors"
        url = (tmp_path / "hub" / "model.safetensors").as_uri()
        monkeypatch.setitem(KNOWN, file, dataclasses.replace(KNOWN[file], url=url))
        return network

    def test_bring_classes_and_preprocessing(self, segformer, tmp_path):
        model = builders.build("segformer", weights_name="ade20k", cache=str(tmp_path))
        assert len(model.spec.classes) == 150
        assert model.spec.classes["wall"] == 1
        assert (model.spec.preprocess, model.spec.multiple) == (IMAGENET, 32)
        assert model.spec.arguments == {"variant": "b0"}
        assert list(model.notes) == [
            "The weights come under LicenseRef-NVIDIA-non-commercial: no commercial use."
        ]
        x = torch.rand(1, 3, 64, 96)
        with torch.no_grad():
            assert torch.equal(model.module.eval()(x), segformer(x))

    def test_are_adapted_to_other_classes_and_channels(self, segformer, tmp_path):
        model = builders.build(
            "segformer", 2, THREE, weights_name="ade20k", cache=str(tmp_path), seed=1
        )
        assert model.spec.classes == THREE
        assert model.spec.preprocess.mean is None
        assert len(model.notes) == 4
        own, held = model.module.state_dict(), segformer.state_dict()
        assert torch.equal(own["decoder.fuse_stage.0.weight"], held["decoder.fuse_stage.0.weight"])
        first = "encoder.patch_embed1.proj.weight"
        torch.testing.assert_close(own[first], held[first][:, :2] * 1.5)

    @pytest.mark.parametrize(
        ("name", "weights_name", "arguments", "file"),
        [
            ("segformer", "ade20k", {}, "segformer-b0-512x512-ade-160k.safetensors"),
            ("segformer", "ade20k", {"variant": "b5"}, "segformer-b5-640x640-ade-160k.safetensors"),
            (
                "segformer",
                "cityscapes",
                {"variant": "b2"},
                "segformer-b2-1024x1024-city-160k.safetensors",
            ),
            ("fcn", "coco", {}, "fcn_resnet50_coco-1167a1af.pth"),
            ("fcn", "coco", {"backbone": "resnet101"}, "fcn_resnet101_coco-7ecb50ca.pth"),
            ("lraspp", "coco", {}, "lraspp_mobilenet_v3_large-d234d4ea.pth"),
            ("upernet", "ade20k", {}, "upernet-convnext-tiny.safetensors"),
            (
                "upernet",
                "ade20k",
                {"encoder": "swin_small_patch4_window7_224"},
                "upernet-swin-small.safetensors",
            ),
            ("dpt", "ade20k", {}, "dpt-large-ade20k.safetensors"),
        ],
    )
    def test_of_several_sizes_the_one_that_was_asked_for(
        self, name, weights_name, arguments, file
    ):
        asked = Asked(name, arguments=arguments)
        known = [k for k in KNOWN.values() if (k.architecture, k.name) == (name, weights_name)]
        assert finding.chosen(known, asked).file == file

    def test_of_torchvision_load_without_auxiliary_head(self, tmp_path, monkeypatch):
        from torchvision.models import segmentation

        file = "lraspp_mobilenet_v3_large-d234d4ea.pth"
        lraspp = on_torchvision("lraspp_mobilenet_v3_large")()
        fcn = segmentation.fcn_resnet50(weights=None, weights_backbone=None, aux_loss=True)
        torch.save(lraspp.state_dict(), tmp_path / file)
        torch.save(fcn.state_dict(), tmp_path / "fcn_resnet50_coco-1167a1af.pth")
        monkeypatch.setattr(weights, "_matches", lambda path, accepted: True)
        for name, network in (("lraspp", lraspp), ("fcn", fcn)):
            model = builders.build(name, weights_name="coco", cache=str(tmp_path))
            assert model.spec.classes["person"] == 15
            held = network.state_dict()
            own = model.module.state_dict()
            assert all(torch.equal(own[key], held[key]) for key in own)
        with pytest.raises(DataError, match='backbone = "resnet50", and "vgg16"') as error:
            builders.build(
                "fcn", arguments={"backbone": "vgg16"}, weights_name="coco", cache=str(tmp_path)
            )
        assert error.value.argument == "backbone"

    def test_a_classifier_that_dpt_leaves_out_may_be_in_the_file(self, tmp_path):
        network = smp.DPT(
            "tu-vit_tiny_patch16_224", encoder_weights=None, classes=3, dynamic_img_size=True
        )
        save_file(network.state_dict(), tmp_path / "a.safetensors")
        model = builders.build(
            "dpt", 3, THREE, SMALL["dpt"], str(tmp_path / "a.safetensors")
        )
        held = network.state_dict()
        own = model.module.state_dict()
        assert all(torch.equal(own[key], held[key]) for key in own)
