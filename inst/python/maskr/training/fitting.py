"""Training from data to history."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import keras

from maskr import device
from maskr.datasets.loader import DataSpec, Loader
from maskr.errors import DataError
from maskr.model import SegModel
from maskr.training import about, conditions, loop, schedules
from maskr.training import callbacks as described
from maskr.training.averaging import Averaging
from maskr.training.best import Best
from maskr.training.checkpoint import Checkpoint, pieces_of
from maskr.training.compiling import compile
from maskr.training.freezing import Freezing
from maskr.training.recipe import Recipe
from maskr.training.recorder import Recorder
from maskr.training.reproducible import deterministic as repeating
from maskr.training.seen import Seen, with_window_of
from maskr.training.updating import Update
from maskr.units import Units


def fit(
    model: SegModel,
    train: dict,
    validation: dict | None = None,
    epochs: int = 10,
    monitor: str = "val_loss",
    restore_best: bool = True,
    precision: str = "auto",
    seed: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback | dict] = (),
    progress: Callable[[dict], None] | None = None,
    class_weights: list[float] | None = None,
    freeze_epochs: int = 0,
    resume: str = "",
    deterministic: bool = False,
) -> dict:
    """Train, and leave the model at its best epoch.

    Parameters
    ----------
    model
        The model, changed in place; compiled with the defaults if it isn't.
    train, validation
        The data: the fields of `DataSpec`.
    epochs
        Times to go through the training data.
    monitor
        The metric that judges epochs, such as "val_loss" or "val_iou". Without validation data
        the last epoch with finite metrics counts as the best.
    restore_best
        False keeps the last epoch's weights.
    precision
        "auto" (bfloat16 where the hardware computes in it, but float32 for volumes on the CPU),
        "float32" or "bfloat16".
    seed
        Makes order, dropout and whatever else is random repeatable.
    callbacks
        Further Keras callbacks, or descriptions of ours (`callbacks.from_r()`).
    progress
        Called with one dict an event.
    class_weights
        Weights of the classes in the loss, for this training only.
    freeze_epochs
        Epochs at the beginning in which the encoder stays as it is.
    resume
        Folder in which the run is kept, and from which it goes on; "" keeps nothing.
    deterministic
        Whether torch may use deterministic algorithms only.

    Returns
    -------
    dict
        `epoch, metric, data, value`: columns of equal length; `best_epoch`, 0 where no epoch ended
        with finite metrics; `diverged`: whether loss or weights were not finite at the end, so that
        the best epoch's weights, or else those from before, were put back; `monitor`, which is
        "epoch" without validation data;
        `stopped`: "" or why training ended early: "interrupted", "not finite", "early stopping";
        `warnings`: what callbacks warned of.

    Raises
    ------
    DataError
        If an argument does not fit the model or the data.
    ShapeError
        If batches are too small for batch normalisation.
    """
    if not model.compiled:
        compile(model)
    conditions.check_model(model, monitor)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    best = Best(model, monitor if validation is not None else None, restore_best)
    recorder = Recorder(progress)
    run = {"epochs": epochs, "monitor": monitor, "freeze_epochs": freeze_epochs,
           "precision": precision, "class_weights": class_weights}
    with conditions.collected() as said, contextlib.ExitStack() as stack:
        stack.enter_context(conditions.translated())
        stack.enter_context(repeating(deterministic))
        stack.enter_context(weighted(model, class_weights))
        stack.enter_context(placed(model, precision))
        loaders = open_data(model, train, validation, stack)
        training = Training(model, loaders, best, recorder, callbacks, resume, run)
        training.run()
    return recorder.columns() | {
        "best_epoch": best.epoch,
        "diverged": training.diverged,
        "monitor": "epoch" if validation is None else monitor,
        "stopped": training.stopped,
        "warnings": said,
    }


class Training:
    """The callbacks of one training, in their order, and what they leave behind."""

    def __init__(
        self,
        model: SegModel,
        loaders: list[Loader],
        best: Best,
        recorder: Recorder,
        callbacks: Sequence[keras.callbacks.Callback | dict],
        resume: str,
        run: dict,
    ) -> None:
        self.model = model
        self.loaders = loaders
        self.best = best
        self.epochs = run["epochs"]
        recipe = model.recipe or Recipe()
        watched = best.monitor or "loss"
        schedule = make_schedule(recipe, len(loaders[0]), self.epochs, watched)
        self.averaging = Averaging(model.module, recipe.ema) if recipe.ema is not None else None
        self.update = Update(model, recipe, len(loaders[0]), schedule, self.averaging)
        self.freezing = Freezing(model, run["freeze_epochs"]) if run["freeze_epochs"] else None
        context = described.Context(best=best, validated=len(loaders) > 1)
        theirs = [described.from_r(callback, context) for callback in callbacks]
        conditions.check_callbacks(theirs, watched, schedule is not None)
        first = [c for c in (self.freezing, self.averaging) if c is not None]
        seen = Seen(loaders[0])
        self.callbacks = [*first, self.update, seen, recorder, best, *theirs]
        self.recorder = recorder
        self.done = 0
        self.diverged = False
        if resume:
            self.keep(resume, run)

    def keep(self, folder: str, run: dict) -> None:
        """Keep the run in a folder, and go on from what is kept there."""
        data = [loader.data for loader in self.loaders]
        validation = data[1] if len(data) > 1 else None
        recipe = vars(self.model.recipe or Recipe())
        description = about.describe(self.model, data[0], validation, **run, **recipe)
        pieces = pieces_of(self.model, self.loaders, self.callbacks)
        team = self.model.team
        checkpoint = Checkpoint(folder, pieces, description, team is None or team.rank == 0)
        self.done = checkpoint.resume()
        self.callbacks.append(checkpoint)

    def run(self) -> None:
        """Go through the epochs, and leave the best weights, trainable and without gradients.

        The network is in evaluation mode then, so that predictions need not change it.
        """
        train, validation = [*self.loaders, None][:2]
        self.model.update = self.update
        # a run that had stopped early is at its end
        epochs = self.done if self.stopped else self.epochs
        try:
            loop.run(self.model, train, validation, epochs, self.done, self.callbacks)
        except KeyboardInterrupt:
            self.recorder.stopped = "interrupted"
        finally:
            self.model.update = None
            self.model.network.eval()
            self.update.finish()
            if self.freezing is not None:
                self.freezing.finish()
            if self.averaging is not None:
                self.averaging.show(True)
            self.diverged = self.best.restore()
            if self.diverged:
                self.model.renew_optimizer()

    @property
    def stopped(self) -> str:
        """Why training ended early, or ""."""
        reasons = [getattr(callback, "stopped", "") for callback in self.callbacks]
        return next((r for r in reasons if isinstance(r, str) and r), "")


def make_schedule(
    recipe: Recipe, batches: int, epochs: int, monitor: str
) -> schedules.Schedule | None:
    """The schedule over the optimizer's steps, if one was compiled."""
    if recipe.schedule is None:
        return None
    return schedules.make(
        recipe.schedule, math.ceil(batches / recipe.accumulate), epochs, monitor
    )


@contextlib.contextmanager
def weighted(model: SegModel, class_weights: list[float] | None) -> Iterator[None]:
    """The model with these class weights in its loss."""
    if class_weights is None:
        yield
        return
    loss = model.loss
    if not hasattr(loss, "with_class_weights"):
        raise DataError(
            "`class_weights` weigh maskr's own losses, and this model has one of Keras's.",
            hint="Compile it with seg_loss(), or leave `class_weights` out.",
            argument="class_weights",
        )
    model.loss = loss.with_class_weights(class_weights)
    try:
        yield
    finally:
        model.loss = loss


@contextlib.contextmanager
def placed(model: SegModel, precision: str) -> Iterator[None]:
    """The model on the session's device, computing in the wanted precision."""
    where = device.choose()
    model.precision = device.precision(precision, where, model.dims)
    try:
        with keras.device(where):
            model.module.to(where)
            yield
    finally:
        model.precision = "float32"


def open_data(
    model: SegModel, train: dict, validation: dict | None, stack: contextlib.ExitStack
) -> list[Loader]:
    """The loaders of the training and, if there are any, of the validation data.

    A model without a window takes over that of the training data.
    """
    dims = model.dims
    given = [DataSpec.from_r(data) for data in (train, validation) if data is not None]
    model.spec = with_window_of([data.images for data in given], model.spec)
    units = Units(model.spec)
    return [
        stack.enter_context(Loader(data, model.spec, dims=dims, units=units)) for data in given
    ]
