"""Networks of hub repositories and modules of the user's, as models."""

import sys
import urllib.error

import numpy as np
import pytest
import torch
from maskr import hub, wrapping
from maskr.errors import (
    DataError,
    FileError,
    FormatError,
    MissingPackageError,
    ShapeError,
    TrustError,
    WeightsError,
)
from maskr.spec import Spec
from torch import nn

CLASSES = {"background": 0, "cell": 7}
THREE = {"sky": 0, "road": 4, "tree": 9}

HUBCONF = '''
dependencies = ["torch"]
import sys
import torch
from parts import Net, MARK

def net(in_channels=3, out_channels=1, features=4, sigmoid=False, rate=0.5, seed=0):
    """A small network."""
    print("printed by the entry")
    print("and a complaint", file=sys.stderr)
    torch.manual_seed(seed)
    return Net(in_channels, out_channels, features, sigmoid, rate)

def mark():
    module = torch.nn.Conv2d(1, 1, 1)
    module.mark = MARK
    return module

def pair():
    return net(), "processor"

def failing(size):
    raise ValueError("size is wrong: {}".format(size))

def importing():
    import no_such_package_of_python

def downloading():
    return torch.hub.load_state_dict_from_url("http://127.0.0.1:9/weights.pt")
'''

PARTS = """
import torch
from torch import nn
MARK = "{mark}"

class Net(nn.Module):
    def __init__(self, in_channels, out_channels, features, sigmoid, rate):
        super().__init__()
        self.first = nn.Conv2d(in_channels, features, 3, padding=1)
        self.norm = nn.BatchNorm2d(features)
        self.drop = nn.Dropout2d(rate)
        self.last = nn.Conv2d(features, out_channels, 1)
        self.sigmoid = sigmoid

    def forward(self, x):
        out = self.last(self.drop(torch.relu(self.norm(self.first(x)))))
        return torch.sigmoid(out) if self.sigmoid else out
"""


@pytest.fixture
def make_repo(tmp_path):
    """Writes a hub repository into a folder and returns its path."""

    def make(name="repo", mark="a", hubconf=HUBCONF):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "hubconf.py").write_text(hubconf)
        (folder / "parts.py").write_text(PARTS.format(mark=mark))
        return str(folder)

    return make


@pytest.fixture
def repo(make_repo):
    return make_repo()


class TestTrust:
    def test_code_does_not_run_without_it(self, repo, tmp_path):
        trace = tmp_path / "trace"
        with open(f"{repo}/hubconf.py", "a") as file:
            file.write(f"\nopen({str(trace)!r}, 'w').close()\n")
        with pytest.raises(TrustError, match="runs the Python code in it") as caught:
            hub.hub(repo, "net", classes=CLASSES)
        assert caught.value.hint == "If you trust that code, write `trust = TRUE`."
        assert not trace.exists()
        hub.hub(repo, "net", classes=CLASSES, trust=True)
        assert trace.exists()

    def test_error_names_the_pinned_form_and_nothing_is_asked_or_fetched(self, monkeypatch):
        monkeypatch.setattr(torch.hub, "load", lambda *a, **k: pytest.fail("reached"))
        for repo in ("owner/name", "owner/name:main"):
            with pytest.raises(TrustError) as caught:
                hub.hub(repo, "net")
            assert 'repo = "owner/name:commit"' in caught.value.hint
            assert caught.value.argument == "trust"
        with pytest.raises(TrustError) as caught:
            hub.hub("owner/name:" + "0123456789" * 4, "net")
        assert "commit" not in caught.value.hint

    def test_a_whole_commit_needs_no_branch_at_it(self, monkeypatch):
        calls = []

        def load(repo, entry, *args, **options):
            calls.append(options)
            return nn.Conv2d(3, 1, 1)

        monkeypatch.setattr(torch.hub, "load", load)
        for ref in ("", ":main", ":0123456", ":" + "0123456789" * 4):
            hub.module_from_hub("owner/name" + ref, "net", trust=True)
        assert [c["skip_validation"] for c in calls] == [False, False, False, True]
        assert all(c["source"] == "github" and c["trust_repo"] is True for c in calls)


class TestHub:
    def test_values_are_those_of_the_bare_module(self, repo):
        model = hub.hub(repo, "net", kwargs={"seed": 3}, classes=CLASSES, trust=True)
        bare = torch.hub.load(repo, "net", source="local", seed=3).eval()
        x = torch.rand(2, 3, 9, 14)
        with torch.no_grad():
            np.testing.assert_allclose(model(x).cpu(), bare(x).sigmoid(), atol=1e-6)

    def test_positional_and_named_arguments_reach_the_entry(self, repo):
        model = hub.hub(repo, "net", [2, 3], {"features": 5}, classes=THREE, trust=True)
        assert model.module.first.weight.shape == (5, 2, 3, 3)
        assert model.module.last.weight.shape == (3, 5, 1, 1)
        assert model.spec.in_channels == 2
        assert model.spec.arguments == {
            "repo": repo,
            "entry": "net",
            "args": [2, 3],
            "kwargs": {"features": 5},
        }

    def test_nothing_is_printed(self, repo, capfd):
        hub.hub(repo, "net", classes=CLASSES, trust=True)
        assert capfd.readouterr() == ("", "")

    def test_modules_of_equal_names_are_each_repository_s_own(self, make_repo):
        one, two = make_repo("one", "a"), make_repo("two", "b")
        for path, mark in ((one, "a"), (two, "b"), (one, "a")):
            assert hub.module_from_hub(path, "mark", trust=True).mark == mark
        assert sys.modules["parts"].__file__.startswith(one)

    def test_spec_survives_a_file(self, repo):
        model = hub.hub(repo, "net", kwargs={"seed": 3}, classes=CLASSES, trust=True)
        spec = Spec.from_dict(model.spec.to_dict())
        again = wrapping.reload(spec, trust=True)
        assert again.spec == model.spec
        with pytest.raises(TrustError):
            wrapping.reload(spec)


class TestHubErrors:
    def test_bad_repository(self):
        for repo in ("nowhere", "a/b/c", "", "owner/name:"):
            with pytest.raises(FileError, match="neither a folder nor") as caught:
                hub.hub(repo, "net", trust=True)
            assert caught.value.argument == "repo"

    def test_folders_that_are_not_there_are_not_looked_for_on_github(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.hub, "load", lambda *a, **k: pytest.fail("reached"))
        for repo in ("./nowhere", "../a/b", "/no/where", "~/nets", "C:/nets", r"nets\unet"):
            with pytest.raises(FileError, match="There is no folder") as caught:
                hub.hub(repo, "net", trust=True)
            assert caught.value.argument == "repo"
        file = tmp_path / "hubconf.py"
        file.write_text(HUBCONF)
        with pytest.raises(FileError, match="is a file, and a folder"):
            hub.hub(str(file), "net", trust=True)

    def test_folder_without_hubconf(self, tmp_path):
        with pytest.raises(FormatError, match="holds no hubconf.py"):
            hub.hub(str(tmp_path), "net", trust=True)

    @pytest.mark.parametrize(
        ("entry", "error", "match"),
        [
            ("none", DataError, 'no entry "none"'),
            ("pair", DataError, "returns a tuple, not a module"),
            ("failing", DataError, r"failed: TypeError: failing\(\) missing 1 required"),
            ("importing", MissingPackageError, "not installed: no_such_package_of_python"),
            ("downloading", WeightsError, "could not be downloaded"),
        ],
    )
    def test_entries(self, repo, entry, error, match):
        with pytest.raises(error, match=match):
            hub.hub(repo, entry, trust=True)

    def test_entry_s_own_words_are_kept(self, repo):
        with pytest.raises(DataError, match="failed: ValueError: size is wrong: 3"):
            hub.hub(repo, "failing", [3], trust=True)

    def test_missing_dependencies(self, make_repo):
        path = make_repo(hubconf=HUBCONF.replace('["torch"]', '["torch", "no_a", "no_b"]'))
        with pytest.raises(MissingPackageError, match="not installed: no_a, no_b") as caught:
            hub.hub(path, "net", trust=True)
        assert 'py_require(c("no_a", "no_b"))' in caught.value.hint

    @pytest.mark.parametrize(
        ("raised", "error", "match"),
        [
            (urllib.error.URLError("Name or service not known"), WeightsError, "not known"),
            (TimeoutError("timed out"), WeightsError, "timed out"),
            (RuntimeError("It looks like there is no internet connection"), WeightsError, "no int"),
            (urllib.error.HTTPError("u", 404, "Not Found", {}, None), DataError, "GitHub has no"),
            (ValueError("Cannot find abc in https://github.com/o/n"), DataError, "GitHub has no"),
            (KeyError("Authorization"), DataError, "GitHub has no o/n"),
        ],
    )
    def test_unreachable(self, monkeypatch, raised, error, match):
        def load(*args, **options):
            raise raised

        monkeypatch.setattr(torch.hub, "load", load)
        with pytest.raises(error, match=match) as caught:
            hub.hub("o/n", "net", trust=True)
        assert caught.value.argument == "repo"
        assert "no folder o/n here" in caught.value.text
        if error is WeightsError:
            assert "copy the repository's folder" in caught.value.hint

    def test_arguments_must_survive_a_file(self, repo):
        with pytest.raises(DataError, match="argument norm of the entry is a type") as caught:
            hub.hub(repo, "net", kwargs={"norm": nn.BatchNorm2d}, trust=True)
        assert "seg_wrap()" in caught.value.hint


def same_size(in_channels=3, out_channels=1):
    torch.manual_seed(1)
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class Then(nn.Module):
    """A module, and a function of its output."""

    def __init__(self, module, function):
        super().__init__()
        self.module = module
        self.function = function

    def forward(self, x):
        return self.function(self.module(x))


class Pooling(nn.Module):
    """Halves and doubles twice, and adds: sides must be multiples of four."""

    def __init__(self, add=True):
        super().__init__()
        self.conv = same_size(3, 1)
        self.add = add

    def forward(self, x):
        x = self.conv(x)
        small = nn.functional.max_pool2d(x, 4)
        big = nn.functional.interpolate(small, scale_factor=4)
        return x + big if self.add else big


class TestWrap:
    def test_channels_are_found_or_given(self):
        assert wrapping.wrap(same_size(5)).spec.in_channels == 5
        assert wrapping.wrap(nn.Identity()).spec.in_channels is None
        assert wrapping.wrap(nn.Identity(), in_channels=4).spec.in_channels == 4
        # a first convolution that is not the one that sees the image
        odd = Then(same_size(2), lambda x: x)
        odd.forward = lambda x: odd.module(x[:, :2])
        assert wrapping.wrap(odd, in_channels=3).spec.in_channels == 3

    def test_a_guess_that_cannot_run_does_not_stand(self):
        fixed = Then(same_size(4), lambda x: x)
        fixed.forward = lambda x: fixed.module(torch.cat((x, x[:, :1]), 1))
        assert wrapping.wrap(fixed).spec.in_channels is None

    def test_trial_changes_nothing(self):
        module = nn.Sequential(same_size(3, 4), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 1, 1))
        module[1].eval()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        torch.manual_seed(5)
        wrapping.wrap(module, CLASSES)
        state = torch.rand(3)
        torch.manual_seed(5)
        assert torch.equal(state, torch.rand(3))
        for name, value in module.state_dict().items():
            assert torch.equal(value.cpu(), before[name]), name
        assert all(p.grad is None for p in module.parameters())

    def test_dictionaries_are_taken_by_out(self):
        module = Then(same_size(3, 3), lambda x: {"aux": x * 0, "out": x})
        model = wrapping.wrap(module, THREE)
        x = torch.rand(1, 3, 8, 11)
        with torch.no_grad():
            np.testing.assert_allclose(model(x).cpu(), module.module(x).softmax(1).cpu(), atol=1e-6)

    def test_two_channels_of_two_classes_become_one(self):
        x = torch.rand(1, 3, 8, 11)
        two = same_size(3, 2)
        expected = two(x).softmax(1)[:, 1:].detach()
        cases = [(two, "none"), (Then(two, lambda x: x.softmax(1)), "softmax")]
        for module, activation in cases:
            model = wrapping.wrap(module, CLASSES, activation)
            with torch.no_grad():
                out = model(x).cpu()
            assert out.shape == (1, 1, 8, 11)
            np.testing.assert_allclose(out, expected, atol=1e-6)

    def test_number_of_channels_must_be_that_of_the_classes(self):
        with pytest.raises(DataError, match=r"returns 2 channels, and 3 classes need 3"):
            wrapping.wrap(same_size(3, 2), THREE)
        with pytest.raises(DataError, match=r"returns 3 channels, and 2 classes need 1"):
            wrapping.wrap(same_size(3, 3), CLASSES)
        assert wrapping.wrap(same_size(3, 2)).spec.classes is None

    def test_a_second_activation_is_refused(self):
        for name, channels, classes in (("sigmoid", 1, CLASSES), ("softmax", 3, THREE)):
            last = torch.sigmoid if name == "sigmoid" else lambda x: x.softmax(1)
            module = Then(same_size(3, channels).requires_grad_(False), last)
            with pytest.raises(DataError, match=f"ends in a {name} itself") as caught:
                wrapping.wrap(module, classes)
            assert caught.value.hint == f'Set `activation = "{name}"`.'
            model = wrapping.wrap(module, classes, name)
            x = torch.rand(1, 3, 8, 11)
            with torch.no_grad():
                np.testing.assert_allclose(model(x).cpu(), module(x).cpu(), atol=1e-6)

    def test_an_activation_that_is_not_there_is_refused(self):
        module = Then(same_size(), lambda x: x * 100)
        with pytest.raises(DataError, match="which are not probabilities of a sigmoid"):
            wrapping.wrap(module, CLASSES, "sigmoid")
        with pytest.raises(DataError, match="classes that exclude each other"):
            wrapping.wrap(Then(same_size(3, 3), torch.sigmoid), THREE, "sigmoid")

    @pytest.mark.parametrize("add", [True, False])
    def test_sides_that_must_be_multiples_are_found(self, add):
        with pytest.raises(ShapeError, match="`multiple` is 1") as caught:
            wrapping.wrap(Pooling(add), CLASSES)
        assert "Set `multiple = 4`" in caught.value.hint
        assert wrapping.wrap(Pooling(add), CLASSES, multiple=4).spec.multiple == 4
        assert wrapping.wrap(Pooling(add), CLASSES, multiple=20).spec.multiple == 20

    def test_smaller_results_are_refused(self):
        module = nn.Conv2d(3, 1, 3, padding=1, stride=4)
        with pytest.raises(ShapeError, match="returns 17 x 17 pixels for an image of 65 x 67"):
            wrapping.wrap(module, CLASSES)

    @pytest.mark.parametrize(
        ("function", "match"),
        [
            (lambda x: [x], "returns a list"),
            (lambda x: {"logits": x}, "returns a dictionary of \"logits\""),
            (lambda x: x.mean((2, 3)), "returns a tensor of size 1 x 1"),
        ],
    )
    def test_other_results_are_refused(self, function, match):
        with pytest.raises(DataError, match=match):
            wrapping.wrap(Then(same_size(), function), CLASSES)

    def test_only_modules_are_wrapped(self):
        import keras

        with pytest.raises(DataError, match="`module` is a dict"):
            wrapping.wrap({})
        with pytest.raises(DataError, match="is a Keras model"):
            wrapping.wrap(keras.Sequential([keras.layers.Dense(1)]))
        with pytest.raises(DataError, match="is a Keras model"):
            wrapping.wrap(wrapping.wrap(same_size()))

    def test_a_wrapped_model_reloads_with_its_module_only(self):
        spec = wrapping.wrap(same_size(), CLASSES).spec
        with pytest.raises(WeightsError, match="not the module itself") as caught:
            wrapping.reload(spec)
        assert "seg_load(path, module = )" in caught.value.hint
        assert wrapping.reload(spec, same_size()).spec == spec
