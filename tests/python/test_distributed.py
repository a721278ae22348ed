"""Two processes that share each batch learn what one process learns."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import two_heads
from maskr import builders, storage, training
from maskr.arrays import NA_INTEGER
from maskr.datasets.loader import FILLER, DataSpec, Loader, share_of
from maskr.training import distributed, script

BINARY = {"background": 0, "nucleus": 1}
def data(sizes, classes=2, seed=0, **options):
    """Images of many sizes, with ignored pixels, so that padding and shares matter."""
    rng = np.random.default_rng(seed)
    images = [rng.random(size) for size in sizes]
    targets = [np.minimum(image * classes, classes - 1).astype(np.int32) for image in images]
    targets[0][:, :7] = NA_INTEGER
    fields = {"images": images, "targets": targets, "names": [str(i) for i in range(len(sizes))],
              "class_ids": list(range(classes)), "batch_size": 4, "threads": 1, "seed": 1}
    return fields | options


def frozen_norms(model):
    model.set_trainable(["*norm*"], False)
    return model


def binary(**options):
    model = builders.build("unet", 1, BINARY, {"init_features": 2}, seed=1)
    training.compile(model, learning_rate=0.01, **options)
    return frozen_norms(model)


def values(folder):
    with (folder / "history.csv").open() as file:
        return [float(row["value"]) for row in csv.DictReader(file)]


def by_two(script_path, *arguments):
    """What two processes print that run a script."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc_per_node=2", str(script_path), *map(str, arguments)]
    out = subprocess.run(command, capture_output=True, text=True, timeout=600,
                         env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert out.returncode == 0, out.stderr
    return out.stdout


SETTINGS = {"epochs": 3, "seed": 7, "precision": "float32", "callbacks": [], "resume": ""}


def same_weights(folder, model):
    there = storage.load(str(folder / "trained.keras")).module.state_dict()
    for name, value in model.module.state_dict().items():
        torch.testing.assert_close(there[name], value, atol=1e-6, rtol=1e-5)


SIZES = [(24, 40), (32, 24), (16, 48), (24, 40), (40, 16)]


def test_two_processes_give_the_loss_and_the_weights_of_one(tmp_path):
    train, valid = data(SIZES), data(SIZES[:3], seed=5, shuffle=False)
    stop = {"kind": "early_stopping", "monitor": "val_loss", "patience": 1, "min_delta": 0.5}
    settings = SETTINGS | {"callbacks": [stop]}
    more = {"accumulate": 2, "ema": 0.5, "clip_norm": 0.1}
    script.write(binary(**more), train, valid, str(tmp_path / "go.py"), **settings)
    out = by_two(tmp_path / "go.py")
    assert "2 process(es)" in out and out.count("Epoch 2/3") == 1 and "Epoch 3/3" not in out

    model = binary(**more)
    result = training.fit(model, train, valid, **settings)
    assert max(result["epoch"]) == 2
    np.testing.assert_allclose(values(tmp_path / "go"), result["value"], atol=1e-5)
    same_weights(tmp_path / "go", model)


def test_outputs_by_name_and_layers_that_are_thawed_on_the_way(tmp_path):
    by_two(two_heads.__file__, tmp_path)
    expected = two_heads.train()
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found["metric"] == expected["metric"]
        np.testing.assert_allclose(found["value"], expected["value"], atol=1e-5)
        np.testing.assert_allclose(found["weights"], expected["weights"], atol=1e-6)


def test_shares_follow_each_other_and_are_equally_long():
    def parts(n, size):
        shares = [share_of(range(10, 10 + n), rank, size) for rank in range(size)]
        return [list(own) for own, _ in shares], [fillers for _, fillers in shares]

    assert parts(4, 2) == ([[10, 11], [12, 13]], [0, 0])
    assert parts(5, 2) == ([[10, 11, 12], [13, 14]], [0, 1])
    assert parts(1, 3) == ([[10], [], []], [0, 1, 1])
    assert parts(5, 4) == ([[10, 11], [12, 13], [14], []], [0, 0, 1, 2])


@pytest.mark.parametrize("size", [2, 3])
def test_the_shares_of_a_batch_are_the_batch(size):
    spec = binary().spec
    fields = data([(16, 32)] * 5, augment=None)
    with Loader(DataSpec(**fields), spec) as whole:
        batches = [whole[i] for i in range(len(whole))]
    shares = []
    for rank in range(size):
        with Loader(DataSpec(**fields, share=(rank, size)), spec) as loader:
            shares.append([loader[i] for i in range(len(loader))])
            loader.on_epoch_end()
    for i, (x, y) in enumerate(batches):
        assert len({share[i][0].shape for share in shares}) == 1
        targets = torch.cat([share[i][1] for share in shares])
        real = targets.flatten(1)[:, 0] != FILLER
        assert torch.equal(torch.cat([share[i][0] for share in shares])[real], x)
        assert torch.equal(targets[real], y)
        assert (targets[~real] == FILLER).all()


def test_a_script_without_torchrun_is_alone():
    model = binary()
    with distributed.joined(model) as place:
        assert place == (0, 1) and model.team is None
