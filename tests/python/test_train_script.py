"""Trainings as files: what is written is what is read, and the script is the training itself."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from maskr import builders, storage, training
from maskr.errors import DataError, FormatError
from maskr.training import script
from maskr.training.leaves import put_aside, put_back

BINARY = {"background": 0, "nucleus": 1}


def data(n=5, seed=0, **options):
    rng = np.random.default_rng(seed)
    images = [np.asfortranarray(rng.random((24, 40))) for _ in range(n)]
    targets = [np.asfortranarray((image > 0.5).astype(np.int32)) for image in images]
    fields = {"images": images, "targets": targets, "names": [str(i) for i in range(n)],
              "class_ids": [0, 1], "batch_size": 2, "threads": 1, "seed": 1}
    return fields | options


def model_of(seed=1, **options):
    model = builders.build("unet", 1, BINARY, {"init_features": 2}, seed=seed)
    training.compile(model, **({"learning_rate": 0.01} | options))
    return model


SETTINGS = {"epochs": 2, "seed": 7, "precision": "float32", "callbacks": [], "resume": ""}


def environment():
    # sums in another order differ in their last digits
    return os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}


def test_what_is_written_is_read_again(tmp_path):
    model = model_of(optimizer="sgd", learning_rate=0.3, accumulate=2, ema=0.9,
                     schedule={"name": "cosine", "warmup": 1}, layer_rates={"encoder1": 0.1},
                     loss=[{"name": "bce"}, {"name": "dice", "arguments": {"smooth": 0.5},
                                             "weight": 2.0}])
    model.set_trainable(["encoder*"], False)
    model.set_trainable(["encoder2"], True)
    script.write(model, data(), data(2, 3), str(tmp_path / "go.py"), **SETTINGS)
    job = script.read(str(tmp_path / "go"))
    assert job.model.optimizer.get_config() == model.optimizer.get_config()
    assert job.model.loss.get_config() == model.loss.get_config()
    assert job.model.recipe == model.recipe
    assert job.model.frozen == model.frozen
    trainable = {name for name, p in model.module.named_parameters() if p.requires_grad}
    assert trainable == {n for n, p in job.model.module.named_parameters() if p.requires_grad}
    assert [v.trainable for v in job.model.network.variables] == [
        v.trainable for v in model.network.variables
    ]
    assert all(torch.equal(v, job.model.module.state_dict()[k])
               for k, v in model.module.state_dict().items())
    assert all(map(np.array_equal, job.train["images"], data()["images"]))
    assert job.train["targets"][0].dtype == np.int32
    assert job.validation["names"] == ["0", "1"]
    assert job.settings == SETTINGS | {"resume": str(tmp_path / "go" / "run")}


def test_objects_and_files_stay_what_they_are():
    arrays = {}
    value = {"images": ["a.png", np.ones((2, 3))], "size": (4, 5), "none": None, "flag": True,
             "objects": [{"columns": {"id": np.arange(3)}}], "n": np.int32(4)}
    there = json.loads(json.dumps(put_aside(value, np.ndarray, "array", arrays)))
    back = put_back(there, "array", arrays)
    assert back["images"][0] == "a.png" and back["images"][1].shape == (2, 3)
    assert back["size"] == [4, 5] and back["none"] is None and back["flag"] is True
    assert back["objects"][0]["columns"]["id"].tolist() == [0, 1, 2] and back["n"] == 4


def test_the_script_is_the_training_itself_and_can_be_started_again(tmp_path):
    path = tmp_path / "folder with space" / "go.py"
    path.parent.mkdir()
    script.write(model_of(), data(), data(2, 3), str(path), **SETTINGS)
    out = subprocess.run([sys.executable, str(path)], env=environment(), capture_output=True,
                         text=True, check=True, cwd=tmp_path)
    assert "Epoch 2/2 loss" in out.stdout
    here = model_of()
    result = training.fit(here, data(), data(2, 3),
                          **{k: v for k, v in SETTINGS.items() if k != "resume"})
    folder = path.with_suffix("")
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == result["value"]
    assert [row["metric"] for row in rows] == result["metric"]
    there = storage.load(str(folder / "trained.keras"))
    assert all(torch.equal(v, there.module.state_dict()[k])
               for k, v in here.module.state_dict().items())
    assert (folder / "run" / "last.safetensors").exists()
    again = script.read(str(folder))
    repeated = training.fit(again.model, again.train, again.validation, **again.settings)
    assert repeated["value"] == result["value"]


def test_what_only_this_session_knows_is_refused(tmp_path):
    path = str(tmp_path / "go.py")
    with pytest.raises(DataError, match="TerminateOnNaN") as error:
        script.write(model_of(), data(), None, path,
                     **SETTINGS | {"callbacks": [keras.callbacks.TerminateOnNaN()]})
    assert error.value.argument == "callbacks"

    def mine(truth, predicted):
        return predicted.mean()

    with pytest.raises(DataError, match="can't be written down"):
        script.write(model_of(loss=mine), data(), None, path, **SETTINGS)
    assert not Path(path).exists() and not any(tmp_path.iterdir())


def test_a_folder_with_files_is_not_replaced(tmp_path):
    script.write(model_of(), data(), None, str(tmp_path / "go.py"), **SETTINGS)
    with pytest.raises(FormatError, match="holds files"):
        script.write(model_of(), data(), None, str(tmp_path / "go.py"), **SETTINGS)
    (tmp_path / "go" / "job.json").unlink()
    with pytest.raises(DataError, match="job.json"):
        script.read(str(tmp_path / "go"))
