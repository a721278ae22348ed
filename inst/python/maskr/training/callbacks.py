"""Callbacks that R's `seg_callbacks` describe."""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from maskr import storage
from maskr.errors import DataError, MissingPackageError, refuse_class
from maskr.files import atomically, remove_leftovers
from maskr.training.best import Best, require_metric
from maskr.training.checkpoint import make_folder, save_best
from maskr.training.conditions import metric_names
from maskr.training.direction import falls
from maskr.training.pictures import Pictures

Painter = Callable[[int, np.ndarray], None]


@dataclass(frozen=True)
class Context:
    """What callbacks may need to know of their training.

    Attributes
    ----------
    best
        The judge of its epochs.
    validated
        Whether there is validation data.
    on_picture
        Called with each epoch's number, from 0, and its picture, uint8 `[H, W, 3]`.
    """

    best: Best
    validated: bool
    on_picture: list[Painter] = field(default_factory=list)


def from_r(value: object, context: Context) -> keras.callbacks.Callback:
    """Make a callback of its description `{"kind", ...}`; one of Keras's stays as it is.

    Raises
    ------
    DataError
        If it is neither, or describes what can't be.
    MissingPackageError
        If TensorBoard is asked for and not installed.
    """
    refuse_class(value, "callbacks")
    if isinstance(value, keras.callbacks.Callback):
        return value
    if not isinstance(value, dict) or value.get("kind") not in KINDS:
        raise DataError(
            f"A {type(value).__name__} is not a callback.",
            hint="Callbacks are those of ?seg_callbacks, and Keras's own.",
            argument="callbacks",
        )
    settings = dict(value)
    return KINDS[settings.pop("kind")](context, **settings)


class EarlyStopping(keras.callbacks.Callback):
    """Stops once the metric has not improved by more than `min_delta` for `patience` epochs.

    Unlike Keras's it knows which way a metric should go, looks whether there is such a metric
    before an epoch is spent, and leaves the best weights to `Best`.
    """

    def __init__(self, context: Context, monitor: str, patience: int, min_delta: float) -> None:
        super().__init__()
        if monitor.startswith("val_") and not context.validated:
            raise DataError(
                f'Early stopping watches "{monitor}", and there is no validation data.',
                hint=f'Give `validation_data`, or `monitor = "{monitor.removeprefix("val_")}"`.',
                argument="monitor",
            )
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.best = math.inf
        self.waited = 0

    @property
    def stopped(self) -> str:
        """Why training ended: "early stopping", or "" where it did not."""
        return "early stopping" if self.waited >= self.patience else ""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Look whether the monitored metric exists."""
        require_metric(self.monitor, metric_names(self.model))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Compare the epoch with the best so far."""
        value = logs[self.monitor] if falls(self.monitor) else -logs[self.monitor]
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.stopped:
            self.model.stop_training = True

    def state(self) -> dict:
        """What was seen so far."""
        return {"best": self.best, "waited": self.waited}

    def restore_state(self, state: dict) -> None:
        """The inverse of `state()`."""
        self.best, self.waited = state["best"], state["waited"]


class SavedModels(keras.callbacks.Callback):
    """Keeps `best.keras` and `last.keras` in a folder."""

    def __init__(self, context: Context, folder: str) -> None:
        super().__init__()
        self.judge = context.best
        folder = make_folder(folder)
        self.last, self.best = folder / "last.keras", folder / "best.keras"
        for path in (self.last, self.best):
            remove_leftovers(str(path))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write what is new."""
        storage.save(self.model, str(self.last))
        if self.judge.epoch == epoch + 1:
            save_best(self.model, self.judge, self.best)


class CsvLog(keras.callbacks.Callback):
    """Writes the metrics as a table with one row an epoch.

    A run that goes on keeps the rows of its finished epochs; any other begins a new file.
    """

    def __init__(self, context: Context, path: str) -> None:
        super().__init__()
        remove_leftovers(path)
        self.path = path
        self.rows: list[dict] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Read the rows of the epochs before, once."""
        if self.rows is None:
            self.rows = read_rows(self.path, epoch) if epoch > 0 else []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write all rows."""
        self.rows.append({"epoch": epoch + 1, **{k: float(v) for k, v in logs.items()}})
        atomically(self.path, self._write)

    def _write(self, path: str) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, names, lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)


def read_rows(path: str, epochs: int) -> list[dict]:
    """The rows of the first epochs in a file of `CsvLog`; none where there is no file."""
    if not Path(path).exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        return [row for row in rows if int(row["epoch"]) <= epochs]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"The file {path} is not a table of this run: it has no column of epochs.",
            hint="Name a new file, or remove this one.",
            argument="path",
        ) from error


class TensorBoard(keras.callbacks.Callback):
    """Writes metrics, learning rate and pictures for TensorBoard, by torch's own writer.

    Keras's callback of this name needs TensorFlow.
    """

    def __init__(self, context: Context, folder: str) -> None:
        super().__init__()
        try:
            import torch.utils.tensorboard  # noqa: F401 (asked for before an epoch is spent)
        except ImportError as error:
            raise MissingPackageError(
                "TensorBoard's files are written by the Python package tensorboard, which is not "
                "installed.",
                hint='Install it with seg_install(extras = "tensorboard"), then restart R.',
            ) from error
        self.folder = make_folder(folder)
        self.writer = None
        context.on_picture.append(self.add_picture)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Open a file, once; in a run that goes on, what came after its last epoch is hidden."""
        from torch.utils.tensorboard import SummaryWriter

        if self.writer is None:
            self.writer = SummaryWriter(
                str(self.folder), purge_step=epoch + 1 if epoch > 0 else None
            )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write an epoch's numbers."""
        rate = float(self.model.optimizer.learning_rate)
        for name, value in ({"learning_rate": rate} | logs).items():
            part = "valid" if name.startswith("val_") else "train"
            tag = name if name == "learning_rate" else f"{name.removeprefix('val_')}/{part}"
            self.writer.add_scalar(tag, float(value), epoch + 1)
        self.writer.flush()

    def add_picture(self, epoch: int, picture: np.ndarray) -> None:
        """Write an epoch's picture."""
        self.writer.add_image("samples", picture, epoch + 1, dataformats="HWC")
        self.writer.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()


def make_pictures(context: Context, **settings: object) -> Pictures:
    """Pictures that also go to whoever else of the training wants them."""
    return Pictures(context.on_picture, **settings)


KINDS = {
    "early_stopping": EarlyStopping,
    "checkpoint": SavedModels,
    "csv_log": CsvLog,
    "tensorboard": TensorBoard,
    "pictures": make_pictures,
}
