"""State dicts: finding them in files and folders, and loading them into networks."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from maskr import builders, inference, layouts, state_dicts
from maskr.errors import DataError, FileError, TrustError, WeightsError
from safetensors.torch import save_file

CLASSES = {"background": 0, "cell": 7}


def load(path, anchors=()):
    return state_dicts.load(path, anchors)[0]


def state_dict():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3)).state_dict()


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


class Code:
    """What a hostile file holds: a call that unpickling would make."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


class TestLoadStateDict:
    def test_safetensors(self, tmp_path):
        expected = state_dict()
        for name in ("a.safetensors", "a.pt"):
            save_file(expected, tmp_path / name)
            found = load(str(tmp_path / name))
            assert_equal(found, {name: expected[name] for name in found})
            assert set(found) == set(expected)

    @pytest.mark.parametrize("zipped", [True, False])
    def test_torch(self, tmp_path, zipped):
        path = str(tmp_path / "a.pt")
        torch.save(state_dict(), path, _use_new_zipfile_serialization=zipped)
        assert_equal(load(path), state_dict())

    @pytest.mark.parametrize(
        "key", ["state_dict", "model_state_dict", "model_state", "model", "net", "ema", "odd name"]
    )
    def test_checkpoint(self, tmp_path, key):
        path = str(tmp_path / "a.pt")
        moments = {0: {"exp_avg": torch.ones(9), "step": torch.tensor(1.0)}}
        optimizer = {"state": moments, "param_groups": [{"lr": 1e-3}]}
        torch.save({"epoch": 3, key: state_dict(), "optimizer": optimizer}, path)
        assert_equal(load(path), state_dict())

    @pytest.mark.parametrize("prefix", ["model.", "module.", "net.", "model.module.", "a.b.c."])
    def test_prefixes_are_found_by_a_name_of_the_network(self, tmp_path, prefix):
        path = str(tmp_path / "a.ckpt")
        inside = {f"{prefix}{name}": value for name, value in state_dict().items()}
        loss = {"loss.weight": torch.ones(3)}
        torch.save({"state_dict": inside | loss, "hyper_parameters": {"lr": 0.1}}, path)
        found, notes = state_dicts.load(path, ["0.weight"])
        assert_equal(found, state_dict())
        assert notes == ["Other tensors of the file are left out: loss.weight."]

    def test_averages_go_before_what_they_are_of_and_it_is_said(self, tmp_path):
        path = str(tmp_path / "a.pt")
        mean = {name: value + 1 for name, value in state_dict().items()}
        torch.save({"model": state_dict(), "model_ema": mean}, path)
        found, notes = state_dicts.load(path, ["0.weight"])
        assert_equal(found, mean)
        assert notes == [
            'The file holds several networks\' weights: those of "model_ema" are used, not those '
            'of "model".'
        ]
        both = {f"{at}.{k}": v for at, d in (("net", state_dict()), ("ema", mean))
                for k, v in d.items()}
        torch.save(both, path)
        assert_equal(load(path, ["0.weight"]), mean)

    def test_average_of_torch(self, tmp_path):
        network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
        network.load_state_dict(state_dict())
        averaged = torch.optim.swa_utils.AveragedModel(network)
        torch.save({"ema": averaged.state_dict()}, tmp_path / "a.pt")
        assert_equal(load(str(tmp_path / "a.pt"), ["0.weight"]), state_dict())

    def test_prefix_of_parallel_training(self, tmp_path):
        path = str(tmp_path / "a.pt")
        torch.save({f"module.{name}": value for name, value in state_dict().items()}, path)
        assert_equal(load(path), state_dict())

    def test_pickled_code_is_refused_and_does_not_run(self, tmp_path):
        path, trace = str(tmp_path / "a.pt"), tmp_path / "trace"
        for write in (torch.save, lambda x, path: Path(path).write_bytes(pickle.dumps(x))):
            write(Code(str(trace)), path)
            with pytest.raises(TrustError, match="maskr loads tensors only"):
                load(path)
            assert not trace.exists()

    def test_pickled_module_is_refused(self, tmp_path):
        path = str(tmp_path / "a.pt")
        torch.save(torch.nn.Linear(2, 2), path)
        with pytest.raises(TrustError) as caught:
            load(path)
        assert "state_dict()" in caught.value.hint

    def test_damaged_files_are_clear_errors(self, tmp_path):
        torch.save(state_dict(), tmp_path / "whole.pt")
        save_file(state_dict(), tmp_path / "whole.safetensors")
        whole, tensors = ((tmp_path / f"whole.{k}").read_bytes() for k in ("pt", "safetensors"))
        damaged = {
            "cut.pt": whole[: len(whole) // 2],
            "cut.safetensors": tensors[:-10],
            "empty.pt": b"",
            "text.pt": b"hello",
            "pickle.pt": b"\x80\x02",
        }
        for name, content in damaged.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(WeightsError, match=f"{name} is damaged"):
                load(str(tmp_path / name))

    def test_files_of_other_kinds_are_named(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            script = torch.jit.script(torch.nn.Conv2d(1, 1, 1))
            script.save(tmp_path / "script.pt")
        (tmp_path / "page.safetensors").write_bytes(b"<!DOCTYPE html>")
        (tmp_path / "pointer.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
        said = {
            "script.pt": "is a TorchScript file",
            "page.safetensors": "is a web page",
            "pointer.bin": "is a Git LFS pointer",
            "weights.h5": "is an HDF5 file",
        }
        for name, match in said.items():
            with pytest.raises(WeightsError, match=f"{name} {match}"):
                load(str(tmp_path / name))

    def test_refused_objects_are_named_without_being_imported(self, tmp_path):
        path = str(tmp_path / "a.pt")
        torch.save(torch.nn.Linear(2, 2), path)
        with pytest.raises(TrustError, match=r"torch\.nn\.modules\.linear\.Linear"):
            load(path)
        torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=False)
        with pytest.raises(TrustError, match=r"torch\.nn\.modules\.linear\.Linear"):
            load(path)

    def test_other_content_is_no_state_dict(self, tmp_path):
        path = str(tmp_path / "a.pt")
        for content, match in (([1, 2], "holds a list"), ({"x": 1}, "a dict without tensors")):
            torch.save(content, path)
            with pytest.raises(WeightsError, match=match):
                load(path)

    def test_missing_file(self):
        with pytest.raises(FileError, match="There is no file nowhere.pt"):
            load("nowhere.pt")


class TestInto:
    def test_loads_values_and_buffers(self):
        module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
        values = {name: value + 1 for name, value in state_dict().items()}
        state_dicts.into(module, values)
        assert_equal(module.state_dict(), values)

    def test_half_precision_becomes_the_module_s_own(self):
        module = torch.nn.Linear(2, 2)
        state_dicts.into(module, {k: v.half() for k, v in module.state_dict().items()})
        assert module.weight.dtype == torch.float32

    def test_misfits_are_named_and_change_nothing(self):
        module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
        before = {name: value.clone() for name, value in module.state_dict().items()}
        values = state_dict()
        del values["0.bias"]
        values["0.weight"] = torch.zeros(3, 4, 1, 1)
        values |= {f"head.{i}": torch.zeros(1) for i in range(5)}
        with pytest.raises(WeightsError) as caught:
            state_dicts.into(module, values)
        assert caught.value.text == (
            "The weights do not fit the model: 0.bias missing; head.0, head.1, head.2 and 2 more "
            "unexpected; 0.weight (3 x 4 x 1 x 1 in the weights, 3 x 2 x 1 x 1 in the model) "
            "of another size."
        )
        assert_equal(module.state_dict(), before)


def small(kind="Unet", classes=1, **arguments):
    torch.manual_seed(4)
    network = getattr(smp, kind)("resnet18", encoder_weights=None, classes=classes, **arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
    return network.eval()


def write_folder(network, folder):
    network.save_pretrained(folder)
    return str(folder)


def built(path, name="unet", classes=CLASSES, **arguments):
    return builders.build(name, classes=classes, arguments=arguments, weights_name=path, seed=1)


IMAGE = np.random.default_rng(6).random((32, 64, 3))


def logits(model):
    return inference.predict(model, [IMAGE], "logit", precision="float32")["results"][0]


def reference(network, scale=lambda x: x):
    x = torch.from_numpy(IMAGE).float().movedim(-1, 0)[None]
    with torch.no_grad():
        return network(scale(x))


def channels_last(out):
    return out[0].movedim(0, -1).numpy()


class TestFiles:
    """State dicts of whole networks, given to a builder by the path of a file."""

    def test_of_lightning_for_a_network_on_an_encoder(self, tmp_path):
        network, path = small(), str(tmp_path / "last.ckpt")
        inside = {f"model.{name}": value for name, value in network.state_dict().items()}
        torch.save({"state_dict": inside, "pytorch-lightning_version": "2.5"}, path)
        model = built(path, encoder="resnet18")
        # the file does not tell how features were enlarged; smp does so by nearest neighbours
        assert model.spec.arguments["upsample"] == "nearest"
        np.testing.assert_allclose(logits(model), channels_last(reference(network)), atol=1e-4)

    def test_two_channels_of_a_softmax_become_the_one_of_a_sigmoid(self, tmp_path):
        network, path = small(classes=2), str(tmp_path / "a.pt")
        torch.save(network.state_dict(), path)
        model = built(path, encoder="resnet18")
        out = channels_last(reference(network))
        np.testing.assert_allclose(logits(model), out[..., 1:] - out[..., :1], atol=1e-4)
        assert model.notes == ()

    def test_misfits_list_both_sides_and_name_the_layout(self, tmp_path):
        path = str(tmp_path / "a.pt")
        torch.save({"net": small().state_dict()}, path)
        with pytest.raises(WeightsError, match="not those of this U-Net, but look like") as caught:
            built(path)
        for part in (
            "those of U-Net of segmentation-models-pytorch",
            "They hold encoder.conv1.weight, encoder.bn1.weight, encoder.bn1.bias and",
            "the network has encoder1.enc1conv1.weight, ",
        ):
            assert part in caught.value.text
        assert "`encoder = `" in caught.value.hint

    def test_names_that_nobody_knows(self, tmp_path):
        path = str(tmp_path / "a.pt")
        torch.save({"x.weight": torch.ones(1)}, path)
        with pytest.raises(WeightsError, match=r"this U-Net\. They hold x.weight; the network has"):
            built(path)


class TestFolders:
    @pytest.mark.parametrize("how", ["nearest", "bilinear"])
    def test_of_smp_bring_their_arguments(self, tmp_path, how):
        network = small(in_channels=3, decoder_interpolation=how)
        model = built(write_folder(network, tmp_path / "u"))
        assert model.spec.arguments == {
            "encoder": "resnet18",
            "decoder_channels": [256, 128, 64, 32, 16],
            "attention": None,
            "upsample": how,
        }
        np.testing.assert_allclose(logits(model), channels_last(reference(network)), atol=1e-4)

    def test_rates_that_no_tensor_tells_are_those_of_the_description(self, tmp_path):
        network = small("DeepLabV3Plus", decoder_atrous_rates=(3, 5, 7))
        model = built(write_folder(network, tmp_path / "d"), "deeplab")
        assert model.spec.arguments["rates"] == [3, 5, 7]
        np.testing.assert_allclose(logits(model), channels_last(reference(network)), atol=1e-4)

    def test_contradictions_are_refused(self, tmp_path):
        folder = write_folder(small(), tmp_path / "u")
        with pytest.raises(DataError, match='have encoder = "resnet18", and "resnet34"'):
            built(folder, encoder="resnet34")
        with pytest.raises(WeightsError, match='holds the network "Unet" of segm') as caught:
            built(folder, "fpn")
        assert caught.value.hint == "Give it to `seg_unet()`."
        folder = write_folder(small("FPN", decoder_merge_policy="cat"), tmp_path / "f")
        with pytest.raises(WeightsError, match='setting decoder_merge_policy = "cat"'):
            built(folder, "fpn")
        with pytest.raises(WeightsError, match='holds the network "MAnet"') as caught:
            built(write_folder(small("MAnet"), tmp_path / "m"))
        assert caught.value.hint == ""

    def test_without_classes(self, tmp_path):
        with pytest.raises(DataError, match="needs to know its classes"):
            built(write_folder(small(), tmp_path / "u"), classes=None)

    def test_pickled_weights_and_other_names(self, tmp_path):
        network = small()
        for name in ("pytorch_model.bin", "best.ckpt"):
            folder = tmp_path / name.partition(".")[0]
            network.save_pretrained(folder)
            (folder / "model.safetensors").unlink()
            torch.save(network.state_dict(), folder / name)
            model = built(str(folder))
            np.testing.assert_allclose(logits(model), channels_last(reference(network)), atol=1e-4)

    def test_folders_without_weights(self, tmp_path):
        with pytest.raises(WeightsError, match="holds no weights") as caught:
            built(str(tmp_path))
        assert "model.safetensors or pytorch_model.bin" in caught.value.hint
        for name in ("a.pt", "b.pt"):
            torch.save(state_dict(), tmp_path / name)
        with pytest.raises(WeightsError, match=r"several files of weights: a\.pt, b\.pt"):
            built(str(tmp_path))
        (tmp_path / "model.safetensors").write_bytes(b"")
        (tmp_path / "config.json").write_text("{")
        with pytest.raises(WeightsError, match=r"config\.json is damaged"):
            built(str(tmp_path))

    def test_segformer_of_transformers(self, tmp_path):
        transformers = pytest.importorskip("transformers")
        torch.manual_seed(2)
        labels = {0: "sky", 1: "tree", 2: "tree"}
        config = transformers.SegformerConfig(id2label=labels)
        network = transformers.SegformerForSemanticSegmentation(config).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
        network.save_pretrained(tmp_path)
        mean, std = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
        (tmp_path / "preprocessor_config.json").write_text(
            json.dumps({"do_normalize": True, "image_mean": mean, "image_std": std})
        )
        model = built(str(tmp_path), "segformer", None)
        assert model.spec.classes == {"sky": 0, "tree": 1, "tree (2)": 2}
        assert model.spec.arguments == {"variant": "b0"}
        shift, scale = (torch.tensor(values)[:, None, None] for values in (mean, std))
        out = reference(lambda x: network(x).logits, lambda x: (x - shift) / scale)
        # segmentation-models-pytorch enlarges them by themselves
        out = torch.nn.UpsamplingBilinear2d(scale_factor=4)(out)
        np.testing.assert_allclose(logits(model), channels_last(out), atol=1e-4)
        with pytest.raises(WeightsError, match='network "segformer" of transformers') as caught:
            built(str(tmp_path))
        assert caught.value.hint == "Give it to `seg_segformer()`."

    def test_of_another_size_than_any_published(self, shared_data):
        folder = str(Path(shared_data("transformers/segformer_tiny_random/config.json")).parent)
        sizes = r"depths = c\(1, 1, 1, 1\) and hidden_sizes = c\(8, 16, 24, 32\), which none"
        with pytest.raises(WeightsError, match=sizes) as caught:
            built(folder, "segformer", None)
        assert "seg_wrap()" in caught.value.hint

    def test_of_known_depths_and_other_widths(self, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(b"")
        sizes = {"depths": [3, 4, 6, 3], "hidden_sizes": [8, 128, 320, 512]}
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "segformer"} | sizes))
        with pytest.raises(WeightsError, match=r"c\(8, 128, 320, 512\), which none"):
            built(str(tmp_path), "segformer", None)


class TestLayouts:
    @pytest.mark.parametrize(
        ("make", "title"),
        [
            (lambda: smp.Unet("resnet18", encoder_weights=None), "U-Net of segmentation-models"),
            (lambda: smp.FPN("resnet18", encoder_weights=None), "a network of segmentation-models"),
            (lambda: models().resnet18(), "a ResNet, a classifier"),
            (lambda: models().vgg11(), "a VGG, a classifier"),
            (lambda: models().segmentation.fcn_resnet50(weights_backbone=None), "FCN of torchv"),
            (
                lambda: models().segmentation.deeplabv3_resnet50(weights_backbone=None),
                "DeepLabV3 of torchvision",
            ),
            (
                lambda: models().segmentation.lraspp_mobilenet_v3_large(weights_backbone=None),
                "LR-ASPP of torchvision",
            ),
            (
                lambda: models().detection.maskrcnn_resnet50_fpn(weights_backbone=None),
                "Mask R-CNN of torchvision",
            ),
        ],
    )
    def test_networks_of_libraries(self, make, title):
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = list(make().state_dict())
        assert layouts.recognised(names).title.startswith(title)
        assert layouts.recognised([f"model.{name}" for name in names]).title.startswith(title)

    def test_of_files(self, shared_data):
        state = load(shared_data("sam/mobile_sam.pt"))
        assert layouts.recognised(state).title == "Segment Anything"
        state = load(shared_data("transformers/segformer_tiny_random/model.safetensors"))
        assert layouts.recognised(state).title == "SegFormer of transformers"

    def test_unknown(self):
        assert layouts.recognised(["a.weight", "b.bias"]) is None


def models():
    from torchvision import models

    return models
