"""Export: files run in a process without maskr, give the model's probabilities, and say what they
are; what can't be exported leaves no file.
"""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from maskr import builders, export, wrapping
from maskr.errors import DataError, FormatError, MissingPackageError
from maskr.preprocess import Preprocess
from torch import nn

BINARY = {"background": 0, "nucleus": 4}
THREE = {"sky": 0, "tree": 3, "road": 7}
PREPROCESSES = [
    {},
    {"channel_order": "bgr", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]},
    {"per_image": "standardise"},
    {"per_image": "percentile", "percentiles": [5.0, 97.5], "mean": [0.5]},
]

ELSEWHERE = """
import json, sys
import numpy as np
path, image, out = sys.argv[1:]
x = np.load(image)
if path.endswith(".onnx"):
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    result = session.run(["probabilities"], {"image": x})[0]
    about = session.get_modelmeta().custom_metadata_map["maskr"]
else:
    import torch
    files = {"maskr.json": ""}
    program = torch.export.load(path, extra_files=files)
    result = program.module()(torch.from_numpy(x)).numpy()
    about = files["maskr.json"]
assert not any(name.split(".")[0] in ("maskr", "keras") for name in sys.modules)
np.save(out, result)
print(json.dumps(json.loads(about)))
"""


def lively(model):
    """Weights with which probabilities differ from 1 / K, and statistics that are not fresh."""
    torch.manual_seed(11)
    for module in model.module.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 2)
    return model


def unet(classes=BINARY, channels=3, **options):
    return lively(builders.build("unet", channels, classes, {"init_features": 4}, seed=1,
                                 **options))


def run_elsewhere(path, images, folder):
    """Probabilities and metadata, from a process that knows nothing of maskr."""
    np.save(folder / "x.npy", images)
    command = [sys.executable, "-c", ELSEWHERE, str(path), str(folder / "x.npy"),
               str(folder / "y.npy")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True)
    return np.load(folder / "y.npy"), json.loads(done.stdout)


@pytest.mark.parametrize(("ending", "classes"), [(".onnx", BINARY), (".pt2", THREE)])
def test_the_file_gives_the_models_probabilities_elsewhere(tmp_path, ending, classes, rng):
    preprocess = PREPROCESSES[3] if classes is BINARY else PREPROCESSES[1]
    model = unet(classes, preprocess=preprocess)
    path = tmp_path / f"model{ending}"
    result = export.export(model, str(path))
    assert result["dynamic"] == ["N", "H", "W"]
    assert result["least"] == [32, 32]
    assert result["difference"] <= 1e-5
    images = rng.random((3, 3, 80, 48), dtype=np.float32)
    found, about = run_elsewhere(path, images, tmp_path)
    expected = export.probabilities(model, images)
    assert found.shape == (3, 1 if classes is BINARY else 3, 80, 48)
    assert expected.std() > 0.005
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert about["classes"] == classes
    assert (about["multiple"], about["least"]) == (16, [32, 32])
    assert "float32 [N, 3, H, W]" in about["input"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, "x.npy", "y.npy"]


@pytest.mark.parametrize("values", PREPROCESSES)
@pytest.mark.parametrize("dims", [2, 3])
def test_preprocessing_of_tensors_is_that_of_images(values, dims, rng):
    steps = Preprocess(**values)
    images = rng.random((2, 3, 4, 5, 6)[: 2 + dims], dtype=np.float32)
    images[1] *= 5
    expected = np.stack([steps(image) for image in images])
    found = export.PreprocessTensor(steps, dims)(torch.from_numpy(images))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_preprocessing_of_flat_images_stays_finite():
    image = np.full((1, 3, 4, 5), 0.25, dtype=np.float32)
    for values in PREPROCESSES:
        expected = Preprocess(**values)(image[0])
        found = export.PreprocessTensor(Preprocess(**values), 2)(torch.from_numpy(image))
        np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)


def test_volumes_have_three_free_lengths(tmp_path):
    model = lively(builders.build("unet3d", 1, BINARY, {"init_features": 2}, seed=1))
    result = export.export(model, str(tmp_path / "volume.onnx"))
    assert result["dynamic"] == ["N", "D", "H", "W"]
    assert result["difference"] <= 1e-5


def test_wrapped_networks_of_volumes_are_exported(tmp_path):
    model = wrapping.wrap(nn.Conv3d(1, 3, 3, padding=1), classes=THREE, in_channels=1)
    done = export.export(model, str(tmp_path / "model.pt2"), [4, 6, 8])
    assert done["least"] == [4, 6, 8]


def test_a_network_with_pooling_to_one_pixel_takes_every_size(tmp_path):
    model = builders.build("deeplab", 3, THREE, {"encoder": "resnet18"}, seed=1)
    result = export.export(model, str(tmp_path / "model.onnx"))
    assert result["dynamic"] == ["N", "H", "W"]
    assert result["difference"] <= 1e-4


def test_a_network_that_ends_in_its_own_activation_gets_no_second_one(tmp_path, rng):
    module = nn.Sequential(nn.Conv2d(2, 1, 3, padding=1), nn.Sigmoid())
    model = wrapping.wrap(module, classes=BINARY, activation="sigmoid", in_channels=2)
    path = tmp_path / "model.pt2"
    export.export(model, str(path))
    x = rng.random((1, 2, 33, 47), dtype=np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(export.run_file(str(path), x), expected, atol=1e-6)


def test_choices_that_rounding_turns_are_no_disagreement(monkeypatch, rng):
    model = unet(THREE)
    images = rng.random((1, 3, 32, 48), dtype=np.float32)
    right = export.probabilities(model, images)
    # as if rounding had turned a choice: in our float32, or in the file
    monkeypatch.setattr(export, "probabilities", lambda *_: right + np.float32(0.01))
    assert export.disagreement(right, model, images) <= 1e-5
    assert export.disagreement(right + np.float32(0.01), model, images) == 0
    other = right - np.float32(0.01)
    assert export.disagreement(other, model, images) == pytest.approx(0.01, rel=1e-3)


class OneSize(nn.Module):
    """Takes images of 32 x 48 only, as transformers without interpolated positions do."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.rand(1, 2, 32, 48))

    def forward(self, x):
        return x[:, :2] + self.place


def test_a_network_of_one_size_asks_for_it(tmp_path):
    model = wrapping.wrap(OneSize(), classes=dict(BINARY, other=5), in_channels=2)
    path = tmp_path / "model.pt2"
    with pytest.raises(FormatError, match="images of every size") as error:
        export.export(model, str(path))
    assert "size = c(128, 128)" in error.value.hint
    assert list(tmp_path.iterdir()) == []
    result = export.export(model, str(path), [32, 48])
    assert (result["dynamic"], result["least"]) == (["N"], [32, 48])
    with pytest.raises(FormatError, match="of this size"):
        export.export(model, str(tmp_path / "other.pt2"), [48, 32])


class Flat(nn.Module):
    """Takes one image at a time."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return torch.cat((x.reshape(1, 2, *x.shape[-2:]), x[:, :1] * self.scale), dim=1)


def test_a_network_for_single_images_is_exported_for_them(tmp_path):
    model = wrapping.wrap(Flat(), classes=THREE, in_channels=2)
    result = export.export(model, str(tmp_path / "model.pt2"), [32, 48])
    assert result["dynamic"] == []


@pytest.mark.parametrize("size", [[30, 48], [32], [32, 48, 64]])
def test_sizes_that_the_network_cannot_take_are_errors(tmp_path, size):
    with pytest.raises(DataError, match="multiples of 16") as error:
        export.export(unet(), str(tmp_path / "model.pt2"), size)
    assert error.value.argument == "size"


@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
def test_a_file_that_gives_other_probabilities_is_an_error_and_no_file(
    tmp_path, monkeypatch, ending
):
    path = tmp_path / f"model{ending}"
    path.write_text("before")
    right = export.run_file
    monkeypatch.setattr(export, "run_file", lambda *a: right(*a) + np.float32(2e-4))
    with pytest.raises(FormatError, match=r"probabilities differ by 0\.0002"):
        export.export(unet(), str(path))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "before"


def test_weights_that_are_not_finite_are_named_and_leave_no_file(tmp_path):
    model = unet()
    with torch.no_grad():
        model.module.conv.bias.fill_(torch.nan)
    with pytest.raises(DataError, match=r"weights hold NaN .*`conv\.bias`"):
        export.export(model, str(tmp_path / "model.pt2"))
    assert list(tmp_path.iterdir()) == []


class Foreign(nn.Module):
    """Uses what ONNX has no word for."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        shift = torch.special.bessel_j0(x.mean(dim=1, keepdim=True) * self.scale)
        return torch.cat((x, shift), dim=1)


def test_what_onnx_cannot_say_is_an_error_that_names_the_other_format(tmp_path):
    model = wrapping.wrap(Foreign(), classes=THREE, in_channels=2)
    with pytest.raises(FormatError, match="bessel_j0") as error:
        export.export(model, str(tmp_path / "model.onnx"))
    assert ".pt2" in error.value.hint
    assert list(tmp_path.iterdir()) == []
    assert export.export(model, str(tmp_path / "model.pt2"))["difference"] <= 1e-5


def test_missing_packages_are_named(tmp_path, monkeypatch):
    find = export.importlib.util.find_spec
    monkeypatch.setattr(export.importlib.util, "find_spec",
                        lambda name: None if name == "onnxscript" else find(name))
    with pytest.raises(MissingPackageError, match="onnxscript") as error:
        export.export(unet(), str(tmp_path / "model.onnx"))
    assert 'seg_install(extras = "export")' in error.value.hint


def test_nothing_is_said_and_the_model_stays_as_it_is(tmp_path, capfd):
    model = unet()
    model.module.train()
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    generator = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export.export(model, str(tmp_path / "model.onnx"))
    assert capfd.readouterr() == ("", "")
    assert model.module.training
    assert torch.equal(torch.get_rng_state(), generator)
    for name, tensor in model.module.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FormatError, match="does not exist"):
        export.export(unet(), str(tmp_path / "nowhere" / "model.pt2"))
