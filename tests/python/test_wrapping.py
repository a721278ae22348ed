"""Foreign modules of uncommon kinds: TorchScript, several outputs, attributes that hide methods."""

import warnings

import numpy as np
import pytest
import torch
from maskr import export, hub, inference, members, storage, summaries, training, wrapping
from maskr.errors import DataError, FormatError, ShapeError, TrustError, WeightsError
from torch import nn

CLASSES = {"background": 0, "cell": 7}
SIZE = (10, 14)


class Small(nn.Module):
    """Statistics and weights that show whether the right ones are used."""

    def __init__(self, channels: int = 2) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout2d(0.5)
        self.head = nn.Conv2d(4, channels, 1)
        nn.init.uniform_(self.norm.running_mean, -0.5, 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits(x)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(torch.relu(self.norm(self.conv(x)))))


class Labels(Small):
    """As InstanSeg: a view of the input's memory, work in place on a weight, whole numbers out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.view(x.shape[0], 3, -1)  # not possible with channels last
        high = (flat > 0.5).view(x.shape[0], 3, x.shape[2], x.shape[3])
        self.head.weight[0:1].add_(0.0)  # not possible while gradients are recorded
        nuclei = high[:, :1].float() * 3.0
        cells = high[:, 1:2].float() * 5.0
        return torch.cat([nuclei, cells], dim=1)


class Two(Small):
    """Several outputs."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.logits(x)
        return out[:, :1], torch.cat([out, out + 1.0], dim=1)


class Named(Small):
    """Outputs by name, none of which is "out"."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        out = self.logits(x)
        return {"logits": out, "aux": out[:, :1]}


def script(module: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(module.eval())


def frozen(module: nn.Module | None = None) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.freeze(script(module or Small()))


def traced() -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(Small().eval(), torch.rand(1, 3, *SIZE))


@pytest.fixture
def image(rng):
    return rng.random((*SIZE, 3))


@pytest.fixture
def write(tmp_path):
    """Writes a TorchScript module and returns the file's path."""

    def write(module):
        path = str(tmp_path / "script.pt")
        module.save(path)
        return path

    return write


def predicted(model, image, kind="logit", **options):
    return inference.predict(model, [image], kind, **options)["results"][0]


def expected(module, image):
    """What the bare module gives, `[H, W, K]`."""
    x = torch.from_numpy(image).float().movedim(-1, 0)[None]
    with torch.no_grad():
        return module(x)[0].movedim(0, -1).numpy()


class TestScript:
    @pytest.mark.parametrize("make", [lambda: script(Small()), traced, frozen])
    def test_values_are_those_of_the_bare_module(self, image, make):
        module = make()
        model = wrapping.wrap(module, in_channels=3)
        np.testing.assert_array_equal(predicted(model, image), expected(module, image))

    def test_auto_leaves_the_script_its_own_precision(self, image, monkeypatch):
        monkeypatch.setattr(inference.device, "_cpu_has", lambda precision: True)
        module = script(Small())
        out = inference.predict(wrapping.wrap(module), [image], "logit")
        assert out["precision"] == "float32"
        np.testing.assert_array_equal(out["results"][0], expected(module, image))

    def test_in_place_work_and_views_are_possible(self, image):
        module = script(Labels())
        model = wrapping.wrap(module)
        out = predicted(model, image)
        np.testing.assert_array_equal(out[..., 0], 3 * (image[..., 0].astype("float32") > 0.5))
        np.testing.assert_array_equal(out[..., 1], 5 * (image[..., 1].astype("float32") > 0.5))
        x = torch.rand(2, 3, *SIZE)
        assert not model(x, training=True).requires_grad

    def test_the_module_itself_is_used_and_stays_as_it_is(self, image):
        module = script(Small())
        before = {name: value.clone() for name, value in module.state_dict().items()}
        model = wrapping.wrap(module, CLASSES)
        predicted(model, image, "mask")
        assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
        assert all(p.requires_grad and p.grad is None for p in module.parameters())
        with torch.no_grad():  # a change is seen at once
            module.head.bias[1] += 40
        assert (predicted(model, image, "mask") == 7).all()

    def test_channels_of_the_image_are_found(self):
        assert wrapping.wrap(script(nn.Conv2d(5, 2, 3, padding=1))).spec.in_channels == 5
        assert wrapping.wrap(frozen()).spec.in_channels is None

    def test_two_channels_of_two_classes_become_one(self, image):
        module = script(Small())
        out = predicted(wrapping.wrap(module, CLASSES), image, "prob")
        logits = torch.from_numpy(expected(module, image))
        np.testing.assert_allclose(out, logits.softmax(-1), atol=1e-6)

    @pytest.mark.parametrize("name", ["sigmoid", "softmax"])
    def test_a_second_activation_is_refused(self, name):
        last = nn.Sigmoid() if name == "sigmoid" else nn.Softmax(dim=1)
        module = script(nn.Sequential(Small(), last))
        with pytest.raises(DataError, match=f"ends in a {name} itself"):
            wrapping.wrap(module)
        assert wrapping.wrap(module, activation=name).spec.activated == name

    def test_sizes_are_checked_as_those_of_other_modules(self):
        with pytest.raises(ShapeError, match="`multiple` is 1"):
            pooled = nn.Sequential(Small(), nn.MaxPool2d(4), nn.Upsample(scale_factor=4.0))
            wrapping.wrap(script(pooled))

    def test_training_and_freezing_are_refused(self):
        model = wrapping.wrap(script(Small()), CLASSES)
        for act in (
            lambda: training.compile(model),
            lambda: model.set_trainable(["*"], False),
            lambda: training.fit(model, {"images": [], "targets": []}),
        ):
            with pytest.raises(DataError, match="can't be trained"):
                act()
        model.compile("sgd", "mse")  # by Keras itself
        with pytest.raises(DataError, match="can't be trained"):
            training.fit(model, {"images": [], "targets": []})
        assert summaries.describe(model)["trainable"] == 0

    def test_export_is_refused_with_a_reason(self, tmp_path):
        model = wrapping.wrap(script(Small()), CLASSES)
        with pytest.raises(DataError, match="TorchScript network can't be exported"):
            export.export(model, str(tmp_path / "a.pt2"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("make", [lambda: script(Small()), frozen])
    def test_summary_and_clone(self, image, make):
        model = wrapping.wrap(make(), CLASSES, in_channels=3)
        assert "Script" in summaries.table(model)["text"]
        copied = storage.clone(model)
        np.testing.assert_array_equal(predicted(copied, image), predicted(model, image))
        with torch.no_grad():
            for parameter in members.parameters(copied.module):
                assert parameter.is_leaf
                parameter.zero_()
        assert predicted(model, image).std() > 0

    def test_a_saved_model_reloads_with_module_or_file(self, image, tmp_path, write):
        module = script(Small())
        path, file = str(tmp_path / "m.keras"), write(module)
        model = wrapping.wrap(file, CLASSES, trust=True)
        with torch.no_grad():
            next(members.parameters(model.module)).mul_(1.5)
        storage.save(model, path)
        with pytest.raises(TrustError):
            storage.load(path, file)
        for again in (storage.load(path, script(Small())), storage.load(path, file, trust=True)):
            np.testing.assert_array_equal(predicted(again, image), predicted(model, image))


    def test_a_module_that_does_not_fit_is_told_apart(self, tmp_path):
        path = str(tmp_path / "m.keras")
        storage.save(wrapping.wrap(nn.Sequential(nn.Conv2d(3, 1, 1))), path)
        for module, words in (
            (nn.Sequential(nn.Conv2d(3, 2, 1)), r"0\.weight \(1 x 3 x 1 x 1 in the weights, 2 x 3"),
            (nn.Sequential(nn.ReLU(), nn.Conv2d(3, 1, 1)), r"1\.weight, 1\.bias missing; 0\.bias,"),
        ):
            with pytest.raises(WeightsError, match=words) as caught:
                storage.load(path, module)
            assert "`module = `" in caught.value.hint


class TestScriptFile:
    def test_opens_with_trust_only(self, image, write):
        path = write(script(Small()))
        with pytest.raises(TrustError, match="holds code") as caught:
            wrapping.wrap(path)
        assert caught.value.argument == "trust"
        model = wrapping.wrap(path, trust=True)
        np.testing.assert_array_equal(predicted(model, image), expected(Small().eval(), image))

    def test_published_network_gives_its_published_output(self, shared_data):
        folder = "bioimageio/unet2d_nuclei_broad"
        x = np.load(shared_data(f"{folder}/test_input.npy"))[0, 0]
        known = np.load(shared_data(f"{folder}/test_output.npy"))[0, 0]
        model = wrapping.wrap(
            shared_data(f"{folder}/weights.pt"),
            CLASSES,
            preprocess={"per_image": "standardise"},
            multiple=16,
            in_channels=1,
            trust=True,
        )
        out = predicted(model, x[..., None], "prob")
        np.testing.assert_allclose(out[..., 1], known, atol=1e-5)

    def test_other_files_are_named(self, tmp_path):
        torch.save(Small().state_dict(), tmp_path / "state.pt")
        torch.save(Small(), tmp_path / "module.pt")
        storage.save(wrapping.wrap(Small()), str(tmp_path / "m.keras"))
        (tmp_path / "text.pt").write_bytes(b"hello")
        (tmp_path / "page.pt").write_bytes(b"<!DOCTYPE html>")
        (tmp_path / "lfs.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        said = {
            "state.pt": "is a pickle",
            "module.pt": "is a pickle",
            "m.keras": "is a Keras model",
            "text.pt": "is damaged or of no kind that maskr knows",
            "page.pt": "is a web page",
            "lfs.pt": "is a Git LFS pointer",
        }
        for name, words in said.items():
            with pytest.raises(FormatError, match=f"{name} {words}"):
                wrapping.wrap(str(tmp_path / name), trust=True)

    def test_seg_load_says_what_else_a_file_is(self, tmp_path, write):
        weights = str(tmp_path / "state.pt")
        torch.save(Small().state_dict(), weights)
        detector = str(tmp_path / "page.safetensors")
        (tmp_path / "page.safetensors").write_bytes(b"<!DOCTYPE html>")
        for path, words, hint in (
            (write(script(Small())), "is a TorchScript file, not a model", "seg_wrap"),
            (weights, "is a pickle of PyTorch's, not a model", "`weights`"),
            (detector, "is a web page, not a detector", ""),
            (str(tmp_path / "none.safetensors"), "There is no file", ""),
        ):
            with pytest.raises(FormatError, match=words) as caught:
                storage.load(path)
            assert hint in caught.value.hint

    def test_damaged_script(self, write, tmp_path):
        import zipfile

        whole, broken = write(script(Small())), tmp_path / "broken.pt"
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(broken, "w") as new:
            for name in old.namelist():
                new.writestr(name, b"" if name.endswith("data.pkl") else old.read(name))
        with pytest.raises(FormatError, match="broken.pt is damaged"):
            wrapping.wrap(str(broken), trust=True)


class TestOutputs:
    @pytest.mark.parametrize("make", [lambda module: module, script])
    def test_several_must_be_told_apart(self, image, make):
        two, named = make(Two().eval()), make(Named().eval())
        with pytest.raises(DataError, match=r"returns a tuple of 1 \(a tensor of") as caught:
            wrapping.wrap(two)
        assert caught.value.text.endswith("`output` does not say which of them counts.")
        assert caught.value.argument == "output"
        assert "`output = 1`" in caught.value.hint
        with pytest.raises(DataError, match='dictionary of "logits"'):
            wrapping.wrap(named)
        plain = expected(Small().eval(), image)
        options = {"precision": "float32"}
        out = predicted(wrapping.wrap(named, output="logits"), image, **options)
        np.testing.assert_allclose(out, plain, atol=1e-5)
        out = predicted(wrapping.wrap(two, output=2), image, **options)
        np.testing.assert_allclose(out[..., 2:], plain + 1, atol=1e-5)

    def test_one_that_is_not_there(self):
        with pytest.raises(DataError, match="has no output 3") as caught:
            wrapping.wrap(Two(), output=3)
        assert caught.value.hint == "Choose one of 1, 2."
        with pytest.raises(DataError, match='has no output "out"'):
            wrapping.wrap(Small(), output="out")

    def test_without_a_trial_the_first_use_tells(self, image):
        model = wrapping.wrap(frozen(Two()))
        with pytest.raises(DataError, match="returns a tuple of 1"):
            predicted(model, image)

    def test_it_is_saved(self, image, tmp_path):
        model = wrapping.wrap(Two(), CLASSES, output=1)
        storage.save(model, str(tmp_path / "m.keras"))
        again = storage.load(str(tmp_path / "m.keras"), Two())
        assert again.spec.output == 1
        np.testing.assert_array_equal(predicted(again, image), predicted(model, image))

    def test_a_chosen_output_trains(self):
        model = wrapping.wrap(Two(), CLASSES, output=1)
        images = [np.random.default_rng(i).random((*SIZE, 3)) for i in range(2)]
        targets = [(image[..., 0] < 0.5).astype("int32") for image in images]
        before = model.module.module.head.weight.detach().clone()
        data = {"images": images, "targets": targets, "names": ["a", "b"], "class_ids": [0, 1],
                "batch_size": 2, "threads": 1, "seed": 1}
        training.fit(model, data, epochs=1, precision="float32", seed=1)
        assert not torch.equal(model.module.module.head.weight.detach(), before)

    def test_of_a_repository(self, tmp_path):
        (tmp_path / "hubconf.py").write_text(
            "import torch\n"
            "class Pair(torch.nn.Conv2d):\n"
            "    def forward(self, x):\n"
            "        return super().forward(x), x\n"
            "def net():\n"
            "    return Pair(3, 1, 1)\n"
        )
        with pytest.raises(DataError, match="returns a tuple of 1"):
            hub.hub(str(tmp_path), "net", trust=True)
        model = hub.hub(str(tmp_path), "net", output=1, trust=True)
        assert wrapping.reload(model.spec, trust=True).spec == model.spec


class Hiding(Small):
    """Attributes under the names of methods, in the network and in a part of it."""

    def __init__(self) -> None:
        super().__init__(1)
        for module in (self, self.head):
            module.modules = []
            module.parameters = {"depth": 2}


class TestHidden:
    """`nn.Module`'s own methods do what attributes of a network hide."""

    def test_a_whole_life(self, image, tmp_path):
        model = wrapping.wrap(Hiding(), CLASSES)
        assert model.spec.in_channels == 3
        plain = expected(Hiding().eval(), image)
        np.testing.assert_allclose(
            predicted(model, image, precision="float32"), plain, atol=1e-5
        )
        table = summaries.table(model)
        assert table["parameters"] == table["trainable"] == 125
        model.set_trainable(["head"], False)
        assert summaries.describe(model)["trainable"] == 120
        model.set_trainable(["*"], True)
        images = [image, image[::-1].copy()]
        targets = [(image[..., 0] < 0.5).astype("int32") for image in images]
        data = {"images": images, "targets": targets, "names": ["a", "b"], "class_ids": [0, 1],
                "batch_size": 2, "threads": 1, "seed": 1}
        training.compile(model, ema=0.9, layer_rates={"head": 0.5})
        training.fit(model, data, epochs=1, precision="float32", seed=1)
        after = predicted(model, image, precision="float32")
        assert abs(after - plain).max() > 1e-4
        np.testing.assert_array_equal(
            predicted(storage.clone(model), image, precision="float32"), after
        )
        storage.save(model, str(tmp_path / "m.keras"))
        again = storage.load(str(tmp_path / "m.keras"), Hiding())
        np.testing.assert_array_equal(predicted(again, image, precision="float32"), after)
        assert export.export(model, str(tmp_path / "m.pt2"))["difference"] < 1e-4
