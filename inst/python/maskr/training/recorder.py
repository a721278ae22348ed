"""The history of a training, and its progress."""

import time
from collections.abc import Callable

import keras


class Recorder(keras.callbacks.Callback):
    """Writes the history down and reports progress.

    Parameters
    ----------
    progress
        Called with each event, a dict: `event` ("begin", "batch" or "epoch"), `epoch` and `batch`
        (from 1; with "begin" the epochs done before, 0 or those of a resumed run), `epochs` and
        `batches` (how many there are) and `metrics` (values by name). Detectors report alike.
    """

    def __init__(self, progress: Callable[[dict], None] | None) -> None:
        super().__init__()
        self.progress = progress
        self.logs: list[dict[str, float]] = []
        self.seconds: list[float] = []
        self.started = 0.0
        self.stopped = ""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Report how much there is to do, after what a resumed run has done."""
        self._report("begin", len(self.logs), 0, {})

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Look at the clock."""
        self.started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Report a batch."""
        self._report("batch", len(self.logs) + 1, batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note the epoch's metrics and report them."""
        self.logs.append({name: float(value) for name, value in logs.items()})
        self.seconds.append(time.monotonic() - self.started)
        self._report("epoch", epoch + 1, self.params["steps"], logs)

    def columns(self) -> dict:
        """The history in long form: columns epoch, metric, data, value; `seconds` an epoch."""
        rows = [
            (epoch, name.removeprefix("val_"), "valid" if name.startswith("val_") else "train", v)
            for epoch, logs in enumerate(self.logs, start=1)
            for name, v in logs.items()
        ]
        names = ("epoch", "metric", "data", "value")
        columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        return columns | {"seconds": list(self.seconds)}

    def state(self) -> dict:
        """What `restore_state()` needs to go on with the history."""
        return {"logs": self.logs, "seconds": self.seconds}

    def restore_state(self, state: dict) -> None:
        """Go on where `state()` was asked for."""
        self.logs, self.seconds = list(state["logs"]), list(state["seconds"])

    def _report(self, event: str, epoch: int, batch: int, logs: dict) -> None:
        if self.progress is None:
            return
        self.progress(
            {
                "event": event,
                "epoch": epoch,
                "epochs": self.params["epochs"],
                "batch": batch,
                "batches": self.params["steps"],
                "metrics": {name: float(value) for name, value in logs.items()},
            }
        )
