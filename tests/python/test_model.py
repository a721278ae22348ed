"""SegModel: modes, activation, freezing, and saving."""

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
import torch
from maskr import builders, storage, summaries
from maskr.errors import DataError, FormatError
from maskr.model import SegModel, activate, logits_of
from maskr.spec import Spec
from torch import nn

BINARY = {"background": 0, "nucleus": 1}
THREE = {"background": 0, "circle": 1, "square": 5}


def small(classes=BINARY, in_channels=2, seed=1):
    return builders.build("unet", in_channels, classes, {"init_features": 2}, seed=seed)


class Dropping(nn.Module):
    """Batch normalisation and dropout in four lines."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, x):
        return self.head(self.dropout(self.norm(self.conv(x))))


def buffers(model):
    return {name: value.clone() for name, value in model.module.named_buffers()}


def changed(before, model):
    return any(not torch.equal(v, before[k]) for k, v in model.module.named_buffers())


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(4, 2, 32, 48, generator=generator)
    return x, (x[:, 0] > 0.5).long()


def test_is_a_keras_model_with_every_parameter_counted_once():
    model = builders.build("unet", 3, {"background": 0, "tumour": 1}, {"init_features": 32})
    assert isinstance(model, keras.Model)
    assert model.count_params() == 7_763_041
    parameters = list(model.module.parameters())
    assert {id(p) for p in parameters} == {id(v.value) for v in model.trainable_variables}


def test_calling_gives_probabilities_and_carries_logits():
    x, _ = batch()
    for classes in (BINARY, THREE):
        model = small(classes)
        out = model(x)
        with torch.no_grad():
            expected = model.module.eval()(x)
        assert torch.allclose(out, activate(expected), atol=1e-6)
        assert torch.allclose(logits_of(out), expected, atol=1e-5)
        if classes == THREE:
            assert torch.allclose(out.sum(dim=1), torch.ones(4, 32, 48), atol=1e-6)


def test_a_module_that_ends_in_a_sigmoid_is_not_activated_twice():
    module = nn.Sequential(nn.Conv2d(2, 1, 1), nn.Sigmoid())
    model = SegModel(module, Spec("wrapped", in_channels=2, classes=BINARY, activated="sigmoid"))
    x, _ = batch()
    assert torch.allclose(model(x), module(x), atol=1e-6)
    with torch.no_grad():
        assert torch.allclose(logits_of(model(x)), module[0](x), atol=1e-4)


def test_statistics_move_in_fit_and_nowhere_else():
    x, y = batch()
    model = SegModel(Dropping(), Spec("wrapped", in_channels=2, classes=BINARY))
    model.compile(optimizer="adam", loss="binary_crossentropy")
    before = buffers(model)
    model.predict(x, verbose=0)
    model.evaluate(x, y[:, None].float(), verbose=0)
    model(x)
    assert not changed(before, model)
    model.fit(x, y[:, None].float(), epochs=1, batch_size=2, verbose=0)
    assert changed(before, model)

    # straight after fit, and with dropout off: twice the same, and the bare module's in eval()
    first = model.predict(x, verbose=0)
    np.testing.assert_array_equal(first, model.predict(x, verbose=0))
    with torch.no_grad():
        bare = model.module.eval()(x).sigmoid().numpy()
    np.testing.assert_allclose(first, bare, atol=1e-5)
    after = buffers(model)
    model.evaluate(x, y[:, None].float(), verbose=0)
    assert not changed(after, model)


def test_keras_losses_see_probabilities():
    x, y = batch()
    model = small()
    model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy())
    with torch.no_grad():
        p = model(x)
    expected = nn.functional.binary_cross_entropy(p, y[:, None].float())
    loss = model.evaluate(x, y[:, None].float(), batch_size=4, verbose=0)
    assert loss == pytest.approx(float(expected), abs=1e-4)


def test_frozen_layers_keep_weights_and_statistics():
    x, y = batch()
    model = small()
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy")
    assert model.set_trainable(["encoder*"], False) == [f"encoder{i}" for i in range(1, 5)]
    state = {k: v.clone() for k, v in model.module.state_dict().items()}
    model.fit(x, y[:, None].float(), epochs=2, verbose=0)
    moved = {k for k, v in model.module.state_dict().items() if not torch.equal(v, state[k])}
    assert moved
    assert not any(name.startswith("encoder") for name in moved)
    assert any("running_mean" in name for name in moved)

    model.set_trainable(["*"], True)
    model.fit(x, y[:, None].float(), epochs=2, verbose=0)
    now = model.module.state_dict()
    assert not torch.equal(now["encoder1.enc1conv1.weight"], state["encoder1.enc1conv1.weight"])
    assert not torch.equal(
        now["encoder1.enc1norm1.running_mean"], state["encoder1.enc1norm1.running_mean"]
    )


def test_one_frozen_layer_thaws_alone():
    model = small()
    model.set_trainable(["encoder1", "encoder2"], False)
    model.set_trainable(["encoder1"], True)
    frozen = {n for n, p in model.module.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, _ in model.module.named_parameters() if n.startswith("encoder2")}


def test_an_unknown_layer_is_an_error_that_lists_layers():
    with pytest.raises(DataError, match='No layer is called "stem"') as error:
        small().set_trainable(["stem"], False)
    assert "encoder1" in error.value.hint


def test_saves_and_loads_in_a_new_process_without_pickle(tmp_path):
    x, y = batch()
    model = small(THREE)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    for p in model.module.buffers():
        p.add_(1) if p.is_floating_point() else None
    path = str(tmp_path / "a model.keras")
    storage.save(model, path)
    expected = model.predict(x, verbose=0)
    np.save(tmp_path / "x.npy", x.numpy())
    code = (
        "import sys, numpy as np\n"
        "from maskr import backend; backend.prepare()\n"
        "from maskr import storage\n"
        "model = storage.load(sys.argv[1])\n"
        "np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))\n"
        "assert model.spec.classes == {'background': 0, 'circle': 1, 'square': 5}\n"
    )
    files = [path, str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    subprocess.run(
        [sys.executable, "-c", code, *files], check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)


def test_a_file_that_is_no_model_says_so(tmp_path):
    path = tmp_path / "text.keras"
    path.write_text("no model")
    with pytest.raises(FormatError, match="not a model that maskr saved"):
        storage.load(str(path))


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    model = small()
    path = tmp_path / "model.keras"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SegModel, "save", fail)
    with pytest.raises(FormatError, match="No space left"):
        storage.save(model, str(path))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]


def test_a_clone_is_independent_and_compiled_alike():
    x, y = batch()
    model = small()
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy")
    copied = storage.clone(model)
    before = model.predict(x, verbose=0)
    copied.fit(x, y[:, None].float(), verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    assert not np.array_equal(copied.predict(x, verbose=0), before)
    assert float(copied.optimizer.learning_rate) == pytest.approx(0.05)


def test_a_clone_keeps_frozen_layers_with_their_statistics():
    x, y = batch()
    model = small()
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy")
    model.set_trainable(["encoder*"], False)
    copied = storage.clone(model)
    assert copied.frozen == model.frozen != frozenset()
    before = {k: v.clone() for k, v in copied.module.state_dict().items()}
    copied.fit(x, y[:, None].float(), verbose=0)
    moved = {k for k, v in copied.module.state_dict().items() if not torch.equal(v, before[k])}
    assert moved and not any(name.startswith("encoder") for name in moved)
    copied.set_trainable(["*"], True)
    assert copied.frozen == frozenset() != model.frozen


def test_a_clone_carries_notes_and_what_its_user_compiled():
    class Distance(keras.losses.Loss):
        def __init__(self, power):
            super().__init__()
            self.power = power

        def call(self, y_true, y_pred):
            return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** self.power)

    class Share(keras.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_pred > 0.5)

    x, y = batch()
    model = small()
    model.notes = ("adapted",)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=Distance(3), metrics=[Share("share")])
    before = model.evaluate(x, y[:, None].float(), verbose=0, return_dict=True)
    copied = storage.clone(model)
    assert copied.notes == ("adapted",)
    after = copied.evaluate(x, y[:, None].float(), verbose=0, return_dict=True)
    assert after == before and set(after) == {"loss", "share"}
    assert copied.metrics[1] is not model.metrics[1]
    assert copied.optimizer is not model.optimizer


def test_a_metric_that_cannot_be_copied_is_named():
    class Share(keras.metrics.Mean):
        def __init__(self, threshold):
            super().__init__(name="share")

    model = small()
    model.compile(optimizer="sgd", loss="mse", metrics=[Share(0.5)])
    with pytest.raises(DataError, match='The metric "share" cannot be copied'):
        storage.clone(model)


def test_a_file_holds_weights_alone(tmp_path):
    x, y = batch()
    model = small()
    storage.save(model, str(tmp_path / "before.keras"))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    model.fit(x, y[:, None].float(), verbose=0)
    storage.save(model, str(tmp_path / "after.keras"))
    sizes = [(tmp_path / name).stat().st_size for name in ("before.keras", "after.keras")]
    assert sizes[1] < 1.02 * sizes[0]
    assert model.compiled and model.optimizer.built
    again = storage.load(str(tmp_path / "after.keras"))
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_the_table_counts_the_bare_network():
    model = builders.build("unet", 3, {"background": 0, "tumour": 1}, {"init_features": 32})
    table = summaries.table(model, (224, 224))
    assert (table["parameters"], table["trainable"]) == (7_763_041, 7_763_041)
    assert "7,763,041" in table["text"]
    assert "15,526,082" not in table["text"]
    model.set_trainable(["encoder1"], False)
    frozen = sum(p.numel() for p in model.module.encoder1.parameters())
    assert summaries.describe(model)["trainable"] == 7_763_041 - frozen


def test_specifications_survive_a_round_trip():
    for classes, activated in itertools.product((None, BINARY, THREE), ("none", "sigmoid")):
        spec = Spec("unet", {"init_features": 4}, 2, classes, activated, 16)
        assert Spec.from_dict(spec.to_dict()) == spec
