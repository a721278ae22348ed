"""Trainings as files: a script for Python or torchrun, and a folder with all that it needs.

The folder holds `model.keras`, `arrays.npz` (images and masks that are no files) and `job.json`:
how the model was compiled, what is frozen, the data, and the arguments of `fit()`.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

import maskr
from maskr import layers, members, storage
from maskr.errors import DataError
from maskr.files import atomically, folder_atomically
from maskr.model import SegModel
from maskr.training.leaves import put_aside, put_back
from maskr.training.recipe import Recipe

MODEL, ARRAYS, JOB = "model.keras", "arrays.npz", "job.json"

SCRIPT = '''"""Train a model, as maskr's seg_train_script() wrote it down.

One process:       python {name}
Four GPUs:         torchrun --nproc_per_node=4 {name}
Two such machines: torchrun --nnodes=2 --nproc_per_node=4 --rdzv_backend=c10d \\
                       --rdzv_endpoint=<host>:29400 {name}      (on each)

Batches are those of the training, shared by all processes. Started again after it was stopped,
it goes on after the last epoch that was finished.
"""

import os
import sys
from pathlib import Path

# The model, the data's description and the settings; trained.keras and history.csv go there.
JOB = Path(__file__).resolve().with_suffix("")
# The folder of maskr's Python code: system.file("python", package = "maskr") in R.
MASKR = os.environ.get("MASKR_PYTHON", {maskr!r})
# Where relative paths of images and masks begin.
DATA = os.environ.get("MASKR_DATA", {data!r})

os.environ["KERAS_BACKEND"] = "torch"
sys.path.insert(0, MASKR)

from maskr.training import distributed  # noqa: E402

if __name__ == "__main__":
    if os.path.isdir(DATA):
        os.chdir(DATA)
    distributed.main(str(JOB), report=lambda line: print(line, flush=True))
'''


@dataclass
class Job:
    """A training that was written down.

    Attributes
    ----------
    folder
        Where it is.
    model
        The model, compiled and frozen as it was, with a fresh optimizer.
    train, validation
        The data: the fields of `DataSpec`.
    settings
        Further arguments of `fit()`.
    """

    folder: Path
    model: SegModel
    train: dict
    validation: dict | None
    settings: dict


def write(
    model: SegModel, train: dict, validation: dict | None, path: str, **settings: object
) -> None:
    """Write the script `path` (.py), and its folder, of the same name without the ending.

    Parameters
    ----------
    model
        The model, compiled or not.
    train, validation
        The data: the fields of `DataSpec`.
    **settings
        All further arguments of `fit()`; `resume` "" is a folder beside the script's data.

    Raises
    ------
    DataError
        If the model, its loss, metrics or callbacks exist in this session only.
    FormatError
        If the folder holds files already, or can't be written.
    """
    check_rebuildable(model)
    arrays: dict[str, np.ndarray] = {}
    crossing = {"train": train, "validation": validation, "settings": plain(settings)}
    crossing = put_aside(crossing, np.ndarray, "array", arrays, "job")
    job = compiled(model) | frozen(model) | crossing
    text = json.dumps(job, indent=1)

    def fill(folder: str) -> None:
        storage.save(model, str(Path(folder) / MODEL))
        np.savez(Path(folder) / ARRAYS, **arrays)
        (Path(folder) / JOB).write_text(text, encoding="utf-8")

    folder_atomically(str(Path(path).with_suffix("")), fill)
    home = Path(maskr.__file__).resolve().parents[1]
    code = SCRIPT.format(name=Path(path).name, maskr=str(home), data=os.getcwd())
    atomically(path, lambda temporary: Path(temporary).write_text(code, encoding="utf-8"))


def check_rebuildable(model: SegModel) -> None:
    """Raise a DataError where no file can hold the network."""
    if model.spec.architecture in ("hub", "wrapped"):
        raise DataError(
            "The network's code is not maskr's, so a script can't build it.",
            hint="Take one of the networks that seg_architectures() lists.",
            argument="model",
        )


def compiled(model: SegModel) -> dict:
    """How the model was compiled; the learning rate is the one that is set now."""
    if not model.compiled:
        return {"compile": None, "recipe": None}
    config = model.get_compile_config()
    try:
        keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    except (TypeError, ValueError) as error:
        raise DataError(
            "A loss, metric or optimizer of the model can't be written down.",
            hint="Take one of maskr's or Keras's own, by name.",
            argument="model",
        ) from error
    recipe = None if model.recipe is None else vars(model.recipe)
    return {"compile": config, "recipe": recipe}


def frozen(model: SegModel) -> dict:
    """What is not to be trained: modules, and parameters by name."""
    fixed = layers.fixed(model.module)
    return {"frozen": {"modules": sorted(model.frozen), "parameters": fixed}}


def plain(settings: dict) -> dict:
    """The settings, whose callbacks must be descriptions, without what calls back to R."""
    callbacks = settings["callbacks"]
    for callback in callbacks:
        if not isinstance(callback, dict):
            raise DataError(
                f"The callback {type(callback).__name__} exists in this session only.",
                hint="A script takes maskr's own, see ?seg_callbacks.",
                argument="callbacks",
            )
    silent = [{k: None if callable(v) else v for k, v in one.items()} for one in callbacks]
    return settings | {"callbacks": silent}


def read(folder: str) -> Job:
    """The inverse of `write()`.

    Raises
    ------
    DataError
        If the folder holds no training.
    """
    where = Path(folder)
    missing = [name for name in (MODEL, ARRAYS, JOB) if not (where / name).exists()]
    if missing:
        raise DataError(
            f"The folder {where} lacks {', '.join(missing)}, so there is nothing to train.",
            hint="seg_train_script() writes it beside the script; they must stay together.",
        )
    job = json.loads((where / JOB).read_text(encoding="utf-8"))
    with np.load(where / ARRAYS) as file:
        arrays = dict(file)
    model = storage.load(str(where / MODEL))
    freeze(model, **job["frozen"])
    if job["compile"] is not None:
        model.compile_from_config(job["compile"])
        model.recipe = None if job["recipe"] is None else Recipe(**job["recipe"])
    train, validation, settings = put_back(
        [job["train"], job["validation"], job["settings"]], "array", arrays
    )
    settings["resume"] = settings["resume"] or str(where / "run")
    return Job(where, model, train, validation, settings)


def freeze(model: SegModel, modules: list[str], parameters: list[str]) -> None:
    """Freeze modules and parameters as they were."""
    named = dict(members.named_parameters(model.module))
    for name in parameters:
        named[name].requires_grad_(False)
    model.frozen = frozenset(modules)
    model.adopt()
