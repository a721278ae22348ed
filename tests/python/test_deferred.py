"""Keras is imported without what hardly anybody uses, and nothing of that is lost."""

import os
import subprocess
import sys
import types
from pathlib import Path

import maskr
import pytest
from maskr import deferred

PYTHON_FOLDER = str(Path(maskr.__file__).parents[1])


def run(*code):
    """What a Python of its own prints."""
    env = {**os.environ, "PYTHONPATH": PYTHON_FOLDER, "KERAS_BACKEND": "torch"}
    out = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], env=env, capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


def test_a_model_brings_few_modules_beyond_torch():
    # 750 of them; 2,500 with the compiler, scikit-learn and matplotlib
    count = run(
        "import sys, torch; before = len(sys.modules)",
        "import maskr.model",
        "print(len(sys.modules) - before)",
    )
    assert int(count) < 1000


def test_building_predicting_training_and_saving_need_no_compiler():
    out = run(
        "import sys, tempfile, numpy as np",
        "from maskr import inference, storage, training",
        "from maskr.model import SegModel; from maskr.spec import Spec",
        "classes = {'a': 0, 'b': 1}",
        "model = SegModel.from_architecture(",
        "    Spec('unet', in_channels=1, classes=classes, arguments={'init_features': 2}))",
        "image, mask = np.ones((32, 48)), np.ones((32, 48), np.int32)",
        "inference.predict(model, [image])",
        "data = dict(images=[image] * 2, targets=[mask] * 2, names=['1', '2'], class_ids=[0, 1],",
        "            batch_size=2)",
        "training.fit(model, data, epochs=1)",
        "storage.save(model, tempfile.mkdtemp() + '/model.keras')",
        "found = {name.partition('.')[0] for name in sys.modules}",
        "print(sorted(found & {'sklearn', 'matplotlib', 'sympy'}), 'torch._dynamo' in sys.modules)",
    )
    assert out == "[] False"


def test_what_was_put_off_is_there_when_it_is_used():
    out = run(
        "import maskr, keras",
        "print(keras.wrappers.SKLearnClassifier.__module__)",
        "print(keras.visualization.plot_image_gallery.__module__)",
        "print(tuple(keras.random.normal((2, 3), seed=1).shape))",
        "import torch._dynamo",
        "print(torch._dynamo.__file__ is not None, callable(torch._dynamo.optimize))",
    )
    assert out.splitlines() == [
        "keras.src.wrappers.sklearn_wrapper", "keras.src.visualization.plot_image_gallery",
        "(2, 3)", "True True",
    ]  # fmt: skip


@pytest.fixture
def compiler(monkeypatch):
    """What stands for torch's compiler where it is imported; notes what is kept from it."""
    real = types.ModuleType(deferred.COMPILER)
    real.kept = []
    real.optimize = "optimize"

    def disable(function=None, **named):
        def decorate(function):
            real.kept.append((function.__name__, named))
            return function

        return decorate if function is None else decorate(function)

    real.disable = disable
    monkeypatch.setattr(deferred.importlib, "import_module", lambda name: real)
    monkeypatch.delitem(sys.modules, deferred.COMPILER, raising=False)
    return real


def test_functions_are_kept_from_the_compiler_once_there_is_one(compiler, monkeypatch):
    @deferred.StandIn(deferred.COMPILER).disable(recursive=False)
    def double(x, times=2):
        return times * x

    assert double(3) == 6 and compiler.kept == []
    monkeypatch.setitem(sys.modules, deferred.COMPILER, compiler)
    assert double(3, times=4) == 12
    assert compiler.kept == [("double", {"recursive": False})]
    assert double.__name__ == "double"


def test_other_uses_of_the_compiler_get_the_real_one(compiler, monkeypatch):
    stand_in = deferred.StandIn(deferred.COMPILER)
    monkeypatch.setitem(sys.modules, deferred.COMPILER, stand_in)
    assert stand_in.optimize == "optimize"
    assert deferred.COMPILER not in sys.modules
    assert stand_in.disable(len)("four") == 4
    assert compiler.kept == [("len", {})]


def test_the_stand_in_goes_when_the_module_is_run(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, deferred.COMPILER, raising=False)
    path = tmp_path / "decorated.py"
    path.write_text("import sys\nseen = sys.modules['torch._dynamo']\nassert False\n")
    module = types.ModuleType("decorated")
    with pytest.raises(AssertionError):
        deferred.WithoutCompiler("decorated", str(path)).exec_module(module)
    assert isinstance(module.seen, deferred.StandIn)
    assert deferred.COMPILER not in sys.modules


def test_nothing_else_is_put_off(monkeypatch):
    assert deferred.Finder.find_spec("keras.src.models") is None
    assert deferred.Finder.find_spec("keras.no_such_module", []) is None
    monkeypatch.setattr(sys, "meta_path", [])
    deferred.install()
    deferred.install()
    assert sys.meta_path == [deferred.Finder]
