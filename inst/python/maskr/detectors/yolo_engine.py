"""Ultralytics (AGPL-3.0), tamed.

Importing this module imports ultralytics: do so by `maskr.detectors.yolo.engine()` only, which
keeps the import from changing the session, and use what is in it within `session()`.
"""

import contextlib
import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.segment import SegmentationPredictor, SegmentationTrainer
from ultralytics.nn import tasks
from ultralytics.utils import DEFAULT_CFG_DICT, LOGGER, SETTINGS, events, ops
from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

from maskr import layers
from maskr.detectors.contained import contained
from maskr.detectors.yolo_augment import replace_augmentation
from maskr.errors import DataError, MissingPackageError
from maskr.instances import encode

INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")

PUBLISHED = GITHUB_ASSETS_NAMES
"""Names of the files that ultralytics publishes."""

MASK_BYTES = 2**26
"""Masks are made and encoded in portions of this many pixels."""


@contextlib.contextmanager
def session(trust: bool = False) -> Iterator[None]:
    """Use ultralytics within this.

    It then prints, reports, downloads and installs nothing, changes nothing of the session, and
    opens checkpoints by its restricted loader unless they are trusted.
    """
    require_restricted_loader()
    level, safe, telemetry = LOGGER.level, tasks.SAFE_LOAD, events.events.enabled
    # of the dictionary only: `SETTINGS.update()` would write the user's own file
    settings = dict(SETTINGS)
    dict.update(SETTINGS, {"sync": False, **dict.fromkeys(INTEGRATIONS, False)})
    LOGGER.setLevel(logging.CRITICAL + 1)
    tasks.SAFE_LOAD = not trust
    events.events.enabled = False
    try:
        with contained({"ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1", "YOLO_AUTOINSTALL": "0"}):
            yield
    finally:
        dict.update(SETTINGS, settings)
        LOGGER.setLevel(level)
        tasks.SAFE_LOAD, events.events.enabled = safe, telemetry


def require_restricted_loader() -> None:
    """Raise an error where this ultralytics would open checkpoints without restriction."""
    loader = getattr(tasks, "_SafeLoad", None)
    if not hasattr(tasks, "SAFE_LOAD") or not getattr(loader, "SUPPORTED", False):
        raise MissingPackageError(
            "This version of ultralytics or torch has no restricted loader for checkpoints.",
            hint='Update both: seg_install(extras = "yolo").',
        )


def read_checkpoint(path: str) -> torch.nn.Module:
    """Read the model of a `.pt` file, float32 and in evaluation mode."""
    return tasks.load_checkpoint(path)[0]


def build(config: dict, names: list[str], width: int | None = None) -> torch.nn.Module:
    """Build a segmentation model from its description, with fresh parameters.

    Parameters
    ----------
    width
        Channels inside the head's branch for classes. By itself it follows from the number of
        classes; a network trained on from another keeps that one's.
    """
    module = segmentation_model(config, len(names))
    if width is not None and width != class_width(module):
        module.load(segmentation_model(config, width), verbose=False)
    module.names = dict(enumerate(names))
    module.args = dict(DEFAULT_CFG_DICT)
    module.task = "segment"
    return module.eval()


def segmentation_model(config: dict, n_classes: int) -> torch.nn.Module:
    """Build ultralytics' own module; `config` stays as it is."""
    config = copy.deepcopy(config)
    return tasks.SegmentationModel(
        config, ch=config.get("channels", 3), nc=n_classes, verbose=False
    )


def class_width(module: torch.nn.Module) -> int:
    """Count the channels inside the head's branch for classes."""
    return int(module.model[-1].cv3[0][-1].in_channels)


def read_config(name: str) -> dict:
    """Read the description of an architecture: one of ultralytics' own by name, or a file."""
    return tasks.yaml_model_load(name)


def task_of(config: dict) -> str:
    """Tell the task of an architecture."""
    return tasks.guess_model_task(config)


class Predictor(SegmentationPredictor):
    """Finds objects in one image at a time; its results are encoded at the image's own size."""

    def __init__(self, module: torch.nn.Module, device: str, folder: str) -> None:
        options = {
            "device": device,
            "mode": "predict",
            "project": folder,
            "rect": True,  # pad to a multiple of the stride only, as `YOLO.predict()` does
            "retina_masks": True,
            "save": False,
            "task": "segment",
            "verbose": False,
        }
        super().__init__(overrides=options)
        self.copied_from = module
        threads = torch.get_num_threads()
        # makes a copy, with batch normalisation folded into the convolutions
        self.setup_model(module, verbose=False)
        torch.set_num_threads(threads)

    def inference(self, im: torch.Tensor, *args: Any, **options: Any) -> Any:
        """Run the network, whose numbers must be finite: else it would just find nothing."""
        found = super().inference(im, *args, **options)
        if all(bool(tensor.isfinite().all()) for tensor in tensors_in(found)):
            return found
        damaged = layers.not_finite(self.copied_from)
        if damaged is None:
            raise DataError(
                "The network returns values that are not finite, though its weights are.",
                hint="Look at the image's values.",
                argument="x",
            )
        raise DataError(
            "The network returns values that are not finite: its weights hold NaN or infinite "
            f"values (in `{damaged}`).",
            hint="Load or build the model again.",
        )

    def construct_result(
        self,
        pred: torch.Tensor,
        img: torch.Tensor,
        orig_img: np.ndarray,
        img_path: str,
        proto: torch.Tensor,
    ) -> SimpleNamespace:
        """Boxes, scores, channels and run lengths of one image's objects."""
        height, width = orig_img.shape[:2]
        pred[:, :4] = ops.scale_boxes(img.shape[2:], pred[:, :4], orig_img.shape)
        rles: list[str] = []
        for some in pred.split(max(1, MASK_BYTES // (height * width))) if len(pred) else ():
            masks = ops.process_mask_native(proto, some[:, 6:], some[:, :4], (height, width))
            rles += encode(masks.cpu().numpy())
        rows = pred[:, :6].cpu().numpy().astype(np.float64)
        return SimpleNamespace(boxes=rows[:, :4], scores=rows[:, 4], channels=rows[:, 5], rles=rles)


def tensors_in(found: Any) -> list[torch.Tensor]:
    """List the tensors in what a network returns, however deep."""
    if isinstance(found, torch.Tensor):
        return [found]
    if isinstance(found, dict):
        found = list(found.values())
    if not isinstance(found, list | tuple):
        return []
    return [tensor for part in found for tensor in tensors_in(part)]


class Trainer(SegmentationTrainer):
    """Trains in memory: no checkpoint, table or picture is written, and the best epoch is kept.

    Parameters
    ----------
    data
        Folders of images `train` and `val`, and `names` of the classes.
    validate
        Whether `val` is a validation set; if not, the last epoch counts as the best.
    report
        Called with each event as `maskr.training.recorder` describes them.
    augment
        Steps of a `maskr.augment.Pipeline` instead of ultralytics' own augmentation.
    """

    def __init__(
        self,
        options: dict[str, Any],
        data: dict[str, Any],
        validate: bool,
        report: Callable[[dict], Any] | None,
        augment: Sequence[dict] | None = None,
    ) -> None:
        self._augment = augment
        self._own_data = data
        self._validates = validate
        self._report = report
        self._batch = 0
        self.history: list[dict[str, dict[str, float]]] = []
        self.best_state: dict[str, torch.Tensor] | None = None
        self.best_number: int | None = None
        threads = torch.get_num_threads()
        super().__init__(overrides={**options, "val": validate, "mode": "train"})
        torch.set_num_threads(threads)
        self.add_callback("on_train_start", Trainer._begun)
        self.add_callback("on_train_epoch_start", Trainer._epoch_begun)
        self.add_callback("on_train_batch_end", Trainer._batch_ended)
        self.add_callback("on_fit_epoch_end", Trainer._epoch_ended)

    def get_dataset(self) -> dict[str, Any]:
        """Give the data that the trainer was made with; no description is read."""
        return {**self._own_data, "nc": len(self._own_data["names"])}

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Make the data set of a split, the training's with our augmentation if there is any."""
        dataset = super().build_dataset(img_path, mode, batch)
        if mode == "train" and self._augment:
            replace_augmentation(dataset, self.args, self._augment, self.args.seed)
        return dataset

    def validate(self) -> tuple[dict, float | None]:
        """Validate, if there is validation data."""
        return super().validate() if self._validates else ({}, None)

    def save_model(self) -> bool:
        """Write nothing."""
        return False

    def save_metrics(self, metrics: dict) -> None:
        """Write nothing."""

    def final_eval(self) -> None:
        """Leave out the validation of a written checkpoint: there is none."""

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if bool(self.loss.isfinite().all()):
            return False
        raise DataError(
            f"Training broke down: the loss is no longer a finite number in epoch {epoch + 1}.",
            hint="Try a smaller learning rate, such as lr0 = 0.0005.",
        )

    def _say(self, event: str, epoch: int, metrics: dict[str, float]) -> None:
        if self._report is None:
            return
        self._report(
            {
                "event": event,
                "epoch": epoch,
                "epochs": self.epochs,
                "batch": self._batch,
                "batches": len(self.train_loader),
                "metrics": metrics,
            }
        )

    def _begun(self) -> None:
        self._say("begin", self.start_epoch, {})

    def _epoch_begun(self) -> None:
        self._batch = 0

    def _batch_ended(self) -> None:
        self._batch += 1
        self._say("batch", self.epoch + 1, self._losses(self.tloss))

    def _epoch_ended(self) -> None:
        train = self._losses(self.tloss)
        valid = tidy(self.metrics) if self._validates else {}
        self.history.append({"train": train, "valid": valid})
        if not self._validates or self.fitness == self.best_fitness:
            state = self.ema.ema.state_dict()
            self.best_state = {name: value.cpu().clone() for name, value in state.items()}
            self.best_number = self.epoch + 1
        shown = {**train, **{f"val_{name}": value for name, value in valid.items()}}
        self._say("epoch", self.epoch + 1, shown)

    def _losses(self, items: Any) -> dict[str, float]:
        parts = self.label_loss_items(items, prefix="train")
        losses = {name.removeprefix("train/"): float(value) for name, value in parts.items()}
        return {"loss": sum(losses.values()), **losses}


def tidy(metrics: dict[str, float]) -> dict[str, float]:
    """Give validation metrics names of their own: `mask_ap50` for "metrics/mAP50(M)"."""
    names = {"mAP50-95": "ap", "mAP50": "ap50", "precision": "precision", "recall": "recall"}
    kinds = {"(B)": "box", "(M)": "mask"}
    out: dict[str, float] = {}
    for name, value in metrics.items():
        short = name.removeprefix("metrics/").removeprefix("val/")
        kind, base = kinds.get(short[-3:]), names.get(short[:-3])
        out[f"{kind}_{base}" if kind and base else short] = float(value)
    losses = [value for name, value in out.items() if name.endswith("_loss")]
    return {**({"loss": sum(losses)} if losses else {}), **out}


def train(trainer: Trainer, module: torch.nn.Module, names: list[str]) -> bool:
    """Run a trainer from the parameters of `module`; True if an interrupt ended it."""
    trainer.model = trainer.get_model(cfg=copy.deepcopy(module.yaml), weights=module, verbose=False)
    trainer.model.names = dict(enumerate(names))
    try:
        trainer.train()
    except KeyboardInterrupt:
        return True
    return False
