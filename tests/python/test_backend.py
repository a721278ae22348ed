"""Keras runs on torch, whatever was set or loaded before."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from maskr import backend
from maskr.errors import BackendError

PYTHON_FOLDER = str(Path(backend.__file__).parents[1])


@pytest.fixture
def no_keras(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)


def fake_keras(name):
    keras = types.ModuleType("keras")
    keras.config = types.SimpleNamespace(backend=lambda: name)
    return keras


def test_unset_backend_becomes_torch_silently(no_keras, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND")
    assert backend.prepare()["replaced"] == ""
    assert os.environ["KERAS_BACKEND"] == "torch"


def test_torch_stays(no_keras, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert backend.prepare()["replaced"] == ""


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_other_backend_is_replaced_and_named(no_keras, monkeypatch, name):
    monkeypatch.setenv("KERAS_BACKEND", name)
    assert backend.prepare()["replaced"] == name
    assert os.environ["KERAS_BACKEND"] == "torch"
    assert backend.prepare()["replaced"] == ""


def test_running_torch_is_fine_whatever_the_variable_says(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", fake_keras("torch"))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert backend.prepare()["replaced"] == ""
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_running_other_backend_is_an_error_that_says_how_to_mend_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", fake_keras("tensorflow"))
    with pytest.raises(BackendError, match="already runs on the tensorflow backend") as caught:
        backend.prepare()
    assert 'Sys.setenv(KERAS_BACKEND = "torch")' in caught.value.hint


def test_light_modules_import_nothing_heavy():
    code = (
        "import sys\n"
        "import maskr, maskr.backend, maskr.errors, maskr.arrays, maskr.weights, maskr.preprocess\n"
        "heavy = {'torch', 'keras', 'torchvision', 'ultralytics', 'cv2', 'skimage'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": PYTHON_FOLDER}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert out.stdout.strip() == "[]", out.stderr


def test_real_keras_follows():
    code = (
        "from maskr import backend; backend.prepare(); import keras; print(keras.backend.backend())"
    )
    env = {**os.environ, "PYTHONPATH": PYTHON_FOLDER, "KERAS_BACKEND": "tensorflow"}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert out.stdout.strip() == "torch", out.stderr
