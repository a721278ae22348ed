"""Runs that are broken off and resumed end as if they had never been."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from maskr import files, storage, training
from maskr.errors import DataError, FormatError
from maskr.model import SegModel
from maskr.spec import Spec
from maskr.training.checkpoint import read_run, write_run
from runs import BINARY, EARLY, Net, data, fit, model_of


def interrupted(epoch):
    def progress(event):
        if event["event"] == "batch" and event["epoch"] == epoch and event["batch"] == 2:
            raise KeyboardInterrupt

    return progress


def same(model, other):
    ours, theirs = model.module.state_dict(), other.module.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


def without_times(history):
    return {name: value for name, value in history.items() if name != "seconds"}


SETTINGS = {
    "cosine, averaged": {"schedule": {"name": "cosine", "warmup": 0.5}, "ema": 0.9},
    "plateau, clipped, accumulated": {
        "optimizer": "adamw", "weight_decay": 0.01, "clip_norm": 0.5, "accumulate": 3,
        "schedule": {"name": "plateau", "patience": 0, "min_delta": 9.0, "factor": 0.5},
    },
    "momentum, slow encoder": {"optimizer": "sgd", "layer_rates": {"encoder": 0.1}},
    "nadam": {"optimizer": "nadam"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_broken_run_ends_as_the_unbroken_one(name, tmp_path):
    whole = model_of(**SETTINGS[name])
    history = fit(whole, restore_best=False, freeze_epochs=1)
    broken = model_of(**SETTINGS[name])
    first = fit(broken, tmp_path, progress=interrupted(3), restore_best=False, freeze_epochs=1)
    assert first["stopped"] == "interrupted" and max(first["epoch"]) == 2
    torch.manual_seed(99)
    again = model_of(**SETTINGS[name])
    with torch.no_grad():
        again.module.head.bias.add_(1)  # whatever it was, the run's weights replace it
    # neither the data's seed nor that of chance matters any more
    second = fit(again, tmp_path, seed=77, train=data(seed=0) | {"seed": 1},
                 restore_best=False, freeze_epochs=1)
    assert same(again, whole)
    assert without_times(second) == without_times(history)
    assert len(second["seconds"]) == 4


def test_two_epochs_may_become_four(tmp_path):
    whole, broken = model_of(), model_of()
    history = fit(whole)
    fit(broken, tmp_path, epochs=2)
    again = model_of()
    assert without_times(fit(again, tmp_path)) == without_times(history)
    assert same(again, whole)
    scheduled = {"schedule": {"name": "cosine"}}
    fit(model_of(**scheduled), tmp_path / "b", epochs=1)
    with pytest.raises(DataError, match="epochs is 1 there and 2 here"):
        fit(model_of(**scheduled), tmp_path / "b", epochs=2)


def test_a_finished_run_returns_its_history_at_once(tmp_path):
    model = model_of()
    history = fit(model, tmp_path, epochs=2)
    again = model_of()
    events = []
    assert fit(again, tmp_path, epochs=2, progress=events.append) == history
    assert [(event["event"], event["epoch"]) for event in events] == [("begin", 2)]
    assert same(again, model)
    # the model beside it is the best one
    best = SegModel(Net(), model.spec)
    assert same(storage.load(str(tmp_path / "best.keras"), best.module), model)


def test_a_run_that_stopped_early_stays_so_until_more_patience_is_had(tmp_path):
    hasty = EARLY | {"patience": 1, "min_delta": 10.0}
    first = fit(model_of(), tmp_path, callbacks=[hasty], epochs=5)
    assert first["stopped"] == "early stopping" and max(first["epoch"]) == 2
    assert fit(model_of(), tmp_path, callbacks=[hasty], epochs=5) == first
    patient = fit(model_of(), tmp_path, callbacks=[hasty | {"patience": 3}], epochs=5)
    assert max(patient["epoch"]) == 4
    assert patient["value"][: len(first["value"])] == first["value"]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_saving_leaves_a_model_in_the_order_of_memory_that_it_trains_in(tmp_path, layout):
    model = model_of()
    model.layout = layout
    model.module.to(memory_format=layout)
    before = [(weight.stride(), weight.data_ptr()) for weight in model.module.parameters()]
    storage.save(model, str(tmp_path / "a.keras"))
    after = [(weight.stride(), weight.data_ptr()) for weight in model.module.parameters()]
    assert after == before


def test_keeping_a_run_changes_nothing(tmp_path):
    kept, free = model_of(), model_of()
    assert without_times(fit(kept, tmp_path)) == without_times(fit(free))
    assert same(kept, free)


def test_without_validation_the_last_epoch_is_kept(tmp_path):
    whole = model_of()
    fit(whole, validation=None, callbacks=[])
    fit(model_of(), tmp_path, 2, validation=None, callbacks=[])
    again = model_of()
    fit(again, tmp_path, validation=None, callbacks=[])
    assert same(again, whole)
    best = storage.load(str(tmp_path / "best.keras"), Net())
    assert same(best, whole)


def test_a_killed_run_ends_as_the_unbroken_one(tmp_path):
    """Another process is killed by the system in the middle of its third epoch."""
    code = "import test_checkpoint as t, sys; t.train_until_killed(sys.argv[1])"
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[1] / "inst" / "python")])
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": paths, "KERAS_BACKEND": "torch"},
    )
    for line in child.stdout:
        if line.strip() == "3 2":
            child.send_signal(signal.SIGKILL)
            break
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    assert read_run(tmp_path / "run" / "last.safetensors")["epochs"] == 2

    settings = SETTINGS["cosine, averaged"]
    whole, again = model_of(**settings), model_of(**settings)
    history = fit(whole)
    assert without_times(fit(again, tmp_path / "run")) == without_times(history)
    assert same(again, whole)


def train_until_killed(folder):
    def progress(event):
        if event["event"] == "batch":
            print(event["epoch"], event["batch"], flush=True)
            if (event["epoch"], event["batch"]) == (3, 2):
                signal.pause()

    fit(model_of(**SETTINGS["cosine, averaged"]), folder, progress=progress)


def test_a_run_that_is_killed_while_it_writes_keeps_the_epoch_before(tmp_path, monkeypatch):
    whole, again = model_of(), model_of()
    fit(whole)

    class Killed(BaseException):
        """Nothing may catch it, like the end of a process."""

    def killed(source, target):
        raise Killed

    fit(model_of(), tmp_path, 2)
    before = (tmp_path / "last.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", killed)
        patch.setattr(files.os, "unlink", lambda path: None)  # nor would anything tidy up
        with pytest.raises(Killed):
            fit(model_of(), tmp_path)
    assert (tmp_path / "last.safetensors").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3
    fit(again, tmp_path)
    assert same(again, whole)
    assert {path.name for path in tmp_path.iterdir()} == {"last.safetensors", "best.keras"}


@pytest.mark.parametrize(("change", "words"), [
    ({"model": {"optimizer": "sgd"}}, 'optimizer is "Adam" there and "SGD" here'),
    ({"model": {"learning_rate": 0.5}}, "learning_rate is 0.0"),
    ({"model": {"loss": [{"name": "dice", "arguments": {}, "weight": 1.0}]}}, "loss"),
    ({"train": {"batch_size": 3}}, "batch_size is 2 there and 3 here"),
    ({"train": {"augment": None}}, "augment is"),
    ({"n": 6}, r"images is \"7 \(\w+\)\" there and \"6"),
    ({"seed": 1}, "images is"),
    ({"fit": {"monitor": "val_iou"}}, 'monitor is "val_loss" there and "val_iou" here'),
    ({"fit": {"validation": None, "callbacks": []}}, "validation_data is 3 there and null"),
    ({"fit": {"freeze_epochs": 1}}, "freeze_epochs is 0 there and 1 here"),
])
def test_another_run_is_an_error_that_names_what_differs(change, words, tmp_path):
    fit(model_of(), tmp_path, epochs=1)
    before = (tmp_path / "last.safetensors").read_bytes()
    train = data(change.get("n", 7), change.get("seed", 0), **change.get("train", {}))
    with pytest.raises(DataError, match="holds another run") as error:
        fit(model_of(**change.get("model", {})), tmp_path, 2, train=train,
            **change.get("fit", {}))
    assert error.match(words)
    assert error.value.argument == "resume"
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_other_frozen_layers_and_metrics_are_another_run(tmp_path):
    fit(model_of(), tmp_path, epochs=1)
    frozen = model_of()
    frozen.set_trainable(["encoder"], False)
    before = {name: value.clone() for name, value in frozen.module.state_dict().items()}
    with pytest.raises(DataError, match=r"frozen is \[\] there and \[\"encoder\""):
        fit(frozen, tmp_path, 2)
    ours = frozen.module.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in before.items())
    with pytest.raises(DataError, match=r'metrics is \["iou"\] there and \["dice"\] here'):
        fit(model_of(metrics=["dice"]), tmp_path, 2)
    trained = model_of()
    trained.module.encoder[0].weight.requires_grad_(False)
    with pytest.raises(DataError, match="encoder.0.weight"):
        fit(trained, tmp_path, 2)


def test_another_network_is_an_error(tmp_path):
    fit(model_of(), tmp_path, epochs=1)
    module = Net()
    module.head = torch.nn.Sequential(torch.nn.Conv2d(6, 4, 1), torch.nn.Conv2d(4, 1, 1))
    model = SegModel(module, Spec("wrapped", in_channels=1, classes=BINARY))
    training.compile(model, learning_rate=0.02, metrics=["iou"])
    with pytest.raises(DataError, match="layers is"):
        fit(model, tmp_path, 2)


@pytest.mark.parametrize("content", [b"", b"no tensors", "short", "foreign"])
def test_a_damaged_folder_is_an_error(content, tmp_path):
    path = tmp_path / "last.safetensors"
    if content == "foreign":
        from safetensors.torch import save_file

        save_file({"weight": torch.ones(2)}, path)
    elif content == "short":
        fit(model_of(), tmp_path, epochs=1)
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match="damaged, or does not hold a training run"):
        fit(model_of(), tmp_path, 2)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    for folder in (tmp_path / "no" / "run", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(DataError, match="cannot be made"):
            fit(model_of(), folder)


def test_values_and_tensors_come_back_as_they_were(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    run = {"a": [1, None, float("inf"), "x", {"big": 2**100}], "b": {"tensor": shared},
           "c": [shared.T, torch.tensor(3), torch.ones(2, dtype=torch.bool), shared]}
    write_run(run, tmp_path / "run.safetensors")
    again = read_run(tmp_path / "run.safetensors")
    assert again["a"] == run["a"]
    assert torch.equal(again["b"]["tensor"], shared)
    for one, other in zip(again["c"], run["c"], strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype
    with pytest.raises(FormatError):
        write_run(run, tmp_path / "no" / "run.safetensors")


def test_no_pickle_is_written(tmp_path):
    fit(model_of(), tmp_path, epochs=1)
    content = (tmp_path / "last.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert json.loads(header["__metadata__"]["values"])["epochs"] == 1


def test_all_sources_of_chance_go_on_where_they_were():
    import random

    from maskr.training.randomness import RandomStates

    def draw():
        return [random.random(), random.gauss(), np.random.random(), np.random.normal(),
                torch.rand(1).item(), float(keras.random.uniform((1,))[0])]

    keras.utils.set_random_seed(1)
    draw()
    states = RandomStates()
    state = json.loads(json.dumps(states.state(), default=lambda tensor: tensor.tolist()))
    state["torch"] = torch.tensor(state["torch"], dtype=torch.uint8)
    expected = draw()
    keras.utils.set_random_seed(2)
    assert draw() != expected
    states.restore_state(state)
    assert draw() == expected
    keras.utils.set_random_seed(3)  # removes Keras's generator
    states.restore_state(state)
    assert draw() == expected
