"""Runs that can be resumed: all that a training needs to go on, in one file after each epoch.

`last.safetensors` holds tensors, and in its metadata plain values as JSON; nothing is pickled. A
run that is stopped at any moment goes on after its last finished epoch, and on a CPU ends with
the same weights, bit for bit, as one that was never stopped.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import keras
import torch

from maskr import checkpoints, storage
from maskr.errors import DataError, WeightsError
from maskr.files import atomically, remove_leftovers
from maskr.model import SegModel
from maskr.training.about import differences
from maskr.training.best import Best
from maskr.training.leaves import put_aside, put_back
from maskr.training.randomness import RandomStates

LAST, BEST = "last.safetensors", "best.keras"
FORMAT = "maskr run 1"


class Stateful(Protocol):
    """What goes on where it was when it is given its state back."""

    def state(self) -> dict:
        """Tensors, plain values, and lists and dicts of them."""

    def restore_state(self, state: dict) -> None:
        """Go on where `state()` was asked for."""


class Weights:
    """The weights and buffers of a network."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def state(self) -> dict:
        """The state dict."""
        return {"weights": self.network.state_dict()}

    def restore_state(self, state: dict) -> None:
        """Load the state dict."""
        self.network.load_state_dict(state["weights"])


class OptimizerVariables:
    """The variables of a model's optimizer: its steps, momenta and learning rate."""

    def __init__(self, model: SegModel) -> None:
        self.model = model

    def state(self) -> dict:
        """The variables in their order."""
        return {"variables": [variable.value for variable in self.model.optimizer.variables]}

    def restore_state(self, state: dict) -> None:
        """Assign the variables, made first where no step was taken yet."""
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        for variable, value in zip(optimizer.variables, state["variables"], strict=True):
            variable.assign(value)


def pieces_of(
    model: SegModel, loaders: Sequence[Stateful], callbacks: Sequence
) -> dict[str, Stateful]:
    """Everything of a training that has a state, by name; callbacks by class, numbered from 1."""
    stateful = [callback for callback in callbacks if hasattr(callback, "restore_state")]
    kinds = [type(callback).__name__ for callback in stateful]
    names = [f"{kind} {kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds)]
    return {
        **dict(zip(names, stateful, strict=True)),
        "weights": Weights(model.module),
        "optimizer": OptimizerVariables(model),
        **dict(zip(("train", "validation"), loaders, strict=False)),
        "random": RandomStates(),
    }


class Checkpoint(keras.callbacks.Callback):
    """Writes the run's folder after each epoch; the last of the callbacks.

    Parameters
    ----------
    folder
        Where the run lives; made if it isn't there.
    pieces
        What to keep, by name; restored in this order. One of them may be a `Best`.
    about
        Tells this run from others (`maskr.training.about`).
    writes
        Of the processes that train together, only the first writes; the others resume.

    Raises
    ------
    DataError
        If the folder can't be made.
    """

    def __init__(
        self, folder: str, pieces: dict[str, Stateful], about: dict, writes: bool = True
    ) -> None:
        super().__init__()
        self.writes = writes
        self.folder = make_folder(folder)
        self.pieces = pieces
        self.about = about
        self.best = next((piece for piece in pieces.values() if isinstance(piece, Best)), None)

    def resume(self) -> int:
        """Restore all pieces from the folder.

        Returns
        -------
        int
            The epochs done: 0 where the folder holds no run yet.

        Raises
        ------
        DataError
            If the folder holds something else, or a run of other data, model or settings.
        """
        if self.writes:
            for name in (LAST, BEST):
                remove_leftovers(str(self.folder / name))
        path = self.folder / LAST
        if not path.exists():
            return 0
        run = read_run(path)
        found = differences(run["about"], self.about)
        if found:
            raise DataError(
                f"The folder {self.folder} holds another run: {'; '.join(found)}.",
                hint="Go on with that run's model, data and settings, or name a new folder.",
                argument="resume",
            )
        for name, piece in self.pieces.items():
            # early stopping that is new to a run begins to count now
            if name in run["pieces"]:
                piece.restore_state(run["pieces"][name])
        return run["epochs"]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the epoch down, unless it is one to go back behind."""
        diverged = self.best is not None and self.best.stopped
        if not self.writes or diverged or not all(map(math.isfinite, logs.values())):
            return
        if self.best is None or self.best.epoch == epoch + 1:
            save_best(self.model, self.best, self.folder / BEST)
        run = {
            "epochs": epoch + 1,
            "about": self.about,
            "pieces": {name: piece.state() for name, piece in self.pieces.items()},
        }
        write_run(run, self.folder / LAST)


def make_folder(folder: str) -> Path:
    """The folder, made if it isn't there."""
    try:
        Path(folder).mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(
            f'The folder "{folder}" cannot be made: {error.strerror}.',
            hint="Its own folder must exist, and no file may have its name.",
        ) from error
    return Path(folder)


def save_best(model: SegModel, best: Best | None, path: Path) -> None:
    """Write the model with its best weights, as `storage.load()` reads it."""
    if best is None:
        storage.save(model, str(path))
        return
    # they are not the network's own where weights are averaged
    network = model.module
    own = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        network.load_state_dict(best.weights)
        storage.save(model, str(path))
    finally:
        network.load_state_dict(own)


def write_run(run: dict, path: Path) -> None:
    """Write nested dicts and lists of tensors and plain values."""
    from safetensors.torch import save_file

    leaves: dict[str, torch.Tensor] = {}
    values = json.dumps(put_aside(run, torch.Tensor, "tensor", leaves))
    metadata = {"maskr": FORMAT, "values": values}
    # copies of their own: tied weights share memory, which the format refuses
    tensors = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in leaves.items()}
    atomically(str(path), lambda temporary: save_file(tensors, temporary, metadata))


def read_run(path: Path) -> dict:
    """The inverse of `write_run()`.

    Raises
    ------
    DataError
        If the file is damaged or something else.
    """
    try:
        tensors, metadata = checkpoints.read_safetensors(str(path))
        # copies, for the file is replaced while they are in use
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        if metadata.get("maskr") != FORMAT:
            raise ValueError("it holds something else")
        return put_back(json.loads(metadata["values"]), "tensor", tensors)
    except (WeightsError, ValueError, KeyError) as error:
        raise DataError(
            f"The file {path} is damaged, or does not hold a training run.",
            hint="Name a new folder, or remove this file to start over.",
            argument="resume",
        ) from error
