"""YOLO instance segmentation, run by the package ultralytics.

That package is licensed under the AGPL-3.0 and is not part of maskr. YOLO: Redmon et al. 2016,
https://arxiv.org/abs/1506.02640; masks by prototypes and coefficients: Bolya et al. 2019,
https://arxiv.org/abs/1904.02689.

A network's channels are classes without a background. Class ids are those of the checkpoint or of
the data that it was trained on; they become channels in here only.
"""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from maskr import arrays, device, images, state_dicts, weights
from maskr.annotations import yolo_training as folders
from maskr.annotations.table import Annotations
from maskr.detectors import yolo_files
from maskr.detectors.base import Detector
from maskr.detectors.unchanged import Snapshot
from maskr.errors import (
    DataError,
    FileError,
    FormatError,
    MissingPackageError,
    ShapeError,
    WeightsError,
    in_image,
)
from maskr.instances import Instances

if TYPE_CHECKING:
    import torch

RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.4.0"
"""Where ultralytics publishes its checkpoints."""

ENVIRONMENT = {
    "ULTRALYTICS_SAFE_LOAD": "1",
    "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
    "YOLO_AUTOINSTALL": "0",
    "YOLO_OFFLINE": "1",
    "YOLO_VERBOSE": "0",
}
"""What ultralytics reads while it is imported."""

SMALLEST = 10
"""Height and width in pixels below which ultralytics leaves out an image without a word."""


def engine() -> ModuleType:
    """Import `maskr.detectors.yolo_engine` so that the session stays as it is.

    Raises
    ------
    MissingPackageError
        If ultralytics is not installed, or too old.
    """
    name = "maskr.detectors.yolo_engine"
    if name in sys.modules:
        return sys.modules[name]
    mend = 'Install it with seg_install(extras = "yolo"), then restart R.'
    if importlib.util.find_spec("ultralytics") is None:
        raise MissingPackageError("YOLO needs the Python package ultralytics.", hint=mend)
    from maskr.detectors.contained import contained

    # ultralytics writes a settings file; not into the user's configuration
    folder = tempfile.mkdtemp(prefix="maskr-ultralytics-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with contained({**ENVIRONMENT, "YOLO_CONFIG_DIR": folder}):
        try:
            return import_module(name)
        except ImportError as error:
            if "libGL" in str(error):
                raise
            raise MissingPackageError(
                "The installed version of ultralytics cannot be used.", hint=mend
            ) from error


def create(source: str, trust: bool, cache: str | Sequence[str], seed: int = 0) -> "Yolo":
    """Make a detector from a checkpoint or from the description of an architecture.

    Parameters
    ----------
    source
        A `.pt` file, by its path or by its published name; a `.yaml` file or the name of one of
        ultralytics' own, for an untrained network; or a file of `maskr.detectors.save()`.
    trust
        Whether code in the checkpoint may run.
    cache
        Folder for downloads, as in `maskr.weights.locate()`.
    seed
        Of the parameters of an untrained network.

    Raises
    ------
    WeightsError
        If the file is not there, damaged, or not a YOLO segmentation model.
    TrustError
        If the restricted loader refuses the file and `trust` is False.
    """
    if source.endswith(".safetensors"):
        from maskr.detectors import load

        return load(source)
    if source.endswith((".yaml", ".yml")):
        return untrained(source, seed)
    path = os.path.abspath(os.path.expanduser(source))
    if not os.path.isfile(path):
        path = by_name(source, cache)
    return from_checkpoint(path, trust)


def by_name(source: str, cache: str | Sequence[str]) -> str:
    """Find a checkpoint in the folders of weights, or download it if ultralytics publishes it."""
    published = engine().PUBLISHED
    if source in published:
        return weights.locate(source, f"{RELEASE}/{source}", cache=cache)
    path = weights.find(source, cache) if os.path.basename(source) == source else None
    if path is None:
        raise yolo_files.missing(source, published)
    return path


def untrained(source: str, seed: int) -> "Yolo":
    """Make a network with random parameters, for COCO's number of classes until it is trained."""
    import torch

    if os.path.dirname(source) and not os.path.isfile(os.path.expanduser(source)):
        raise FileError(f"There is no file {source}.", argument="weights")
    with engine().session():
        torch.manual_seed(seed)
        try:
            config = engine().read_config(source)
            task = engine().task_of(config)
        except (OSError, ValueError, NotImplementedError, AttributeError, TypeError) as error:
            raise WeightsError(
                f"There is no architecture {source}.",
                hint='One is "yolov8n-seg.yaml".',
                argument="weights",
            ) from error
        check_task(task, source)
        names = [f"class_{i}" for i in range(int(config.get("nc", 80)))]
        module = engine().build(config, names)
    return Yolo(module, {name: i for i, name in enumerate(names)}, Path(source).stem, 640)


def from_checkpoint(path: str, trust: bool) -> "Yolo":
    """Read a detector from a `.pt` file, by ultralytics' restricted loader if not trusted."""
    yolo_files.require_checkpoint(path)
    with engine().session():
        try:
            module = engine().read_checkpoint(path)
        except Exception as error:
            reason = yolo_files.refused(error)
            if reason is None:
                raise yolo_files.unopened(path) from error
            if not trust:
                raise yolo_files.untrusted(path, reason) from error
            module = None
    if module is None:
        with engine().session(trust=True):
            try:
                module = engine().read_checkpoint(path)
            except Exception as error:
                raise yolo_files.unopened(path) from error
    check_task(getattr(module, "task", ""), path)
    size = (getattr(module, "args", None) or {}).get("imgsz", 640)
    size = int(max(size)) if isinstance(size, list | tuple) else int(size)
    return Yolo(module, distinct(module.names), Path(path).stem, size)


def check_task(task: str, source: str) -> None:
    """Raise a WeightsError unless the model segments instances."""
    if task != "segment":
        raise WeightsError(
            f"{source} is a model for another task ({task or 'unknown'}) and gives no masks.",
            hint='Models for instance segmentation have "-seg" in their names, such as '
            '"yolov8n-seg.pt".',
            argument="weights",
        )


def distinct(names: dict[int, str]) -> dict[str, int]:
    """Turn names by id into ids by name; a name that comes twice gets its id added."""
    classes: dict[str, int] = {}
    for number, name in sorted(names.items()):
        classes[f"{name} ({number})" if name in classes else str(name)] = int(number)
    return classes


def restore(config: dict, state: dict[str, "torch.Tensor"]) -> "Yolo":
    """Build a detector from what `Yolo.config()` and `Yolo.state()` gave."""
    try:
        classes = {str(name): int(number) for name, number in config["classes"]}
        with engine().session():
            width = int(config["class_width"])
            module = engine().build(config["architecture"], list(classes), width)
        name, size = str(config["name"]), int(config["size"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(
            "The file describes no YOLO model that can be built.", argument="path"
        ) from error
    state_dicts.into(module, state)
    return Yolo(module, classes, name, size)


class Yolo(Detector):
    """An Ultralytics segmentation model.

    Parameters
    ----------
    module
        `ultralytics.nn.tasks.SegmentationModel`.
    classes
        Class ids by name, in the order of the module's channels.
    name
        What it is called.
    size
        Length in pixels that the longer side of images is scaled to.
    """

    family = "yolo"

    def __init__(
        self, module: "torch.nn.Module", classes: dict[str, int], name: str, size: int
    ) -> None:
        self.module = module
        self.classes = classes
        self.name = name
        self.size = size
        self._predictor: Any = None

    def config(self) -> dict:
        """Describe the network, its classes, name and image size."""
        return {
            "architecture": self.module.yaml,
            "class_width": engine().class_width(self.module),
            "classes": list(self.classes.items()),
            "name": self.name,
            "size": self.size,
        }

    def describe(self) -> dict:
        """Give also the image size."""
        return {**super().describe(), "size": self.size}

    def predict(
        self,
        images: Sequence[str | np.ndarray],
        conf: float = 0.25,
        iou: float = 0.7,
        classes: Sequence[str | int] | None = None,
        max_det: int = 300,
        size: Sequence[int] | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> list[Instances]:
        """Find the objects in each image, independently of the other images.

        Parameters
        ----------
        images
            Paths, or arrays as R hands them over: RGB or grey, 0 to 1.
        conf
            Least score.
        iou
            Overlap of boxes above which the one with the lower score is dropped.
        classes
            Names or ids of the classes to look for; None for all.
        max_det
            Most objects in an image.
        size
            Height and width that the image is scaled to fit; None for `self.size`.
        progress
            Called after each image with the number done and the number of all.

        Returns
        -------
        list of Instances
            By falling score, boxes as the model gives them, masks at the image's own size.

        Raises
        ------
        DataError
            If the model knows no such class, or the network returns NaN or infinity.
        """
        channels = self.channels_of(classes)
        with engine().session():
            predictor = self._ready()
            vars(predictor.args).update(
                conf=conf,
                iou=iou,
                classes=channels,
                max_det=max_det,
                imgsz=list(size) if size is not None else self.size,
            )
            found = []
            for number, image in enumerate(images, start=1):
                with in_image(number, len(images)):
                    found.append(self._find(predictor, image))
                if progress is not None:
                    progress(len(found), len(images))
        return found

    def _ready(self) -> Any:
        where = device.choose()
        ready = self._predictor
        if ready is None or ready.wanted != where or not ready.copied.still_shows(self.module):
            self._predictor = engine().Predictor(self.module, where, tempfile.gettempdir())
            self._predictor.wanted = where
            self._predictor.copied = Snapshot(self.module)
        return self._predictor

    def _find(self, predictor: Any, image: str | np.ndarray) -> Instances:
        pixels = pixels_of(image, self.in_channels)
        # ultralytics takes colours in OpenCV's order
        found = predictor(source=[np.ascontiguousarray(pixels[:, :, ::-1])])[0]
        ids = np.array(list(self.classes.values()), dtype=np.int32)
        objects = Instances.from_rles(
            found.rles,
            pixels.shape[:2],
            ids[found.channels.astype(int)],
            found.scores,
            found.boxes,
        )
        return seen(objects)

    @property
    def in_channels(self) -> int:
        """Number of channels of the images that the network takes."""
        return int(self.module.yaml.get("channels", 3))

    def fit(
        self,
        train: dict,
        valid: dict | None,
        settings: dict[str, Any],
        progress: Callable[[dict], Any] | None = None,
    ) -> dict:
        """Train on images with objects; the detector takes over the best epoch.

        Parameters
        ----------
        train, valid
            `images`, `instances` (each `columns` and `size`) or `annotations` (the
            `Annotations` of those images), `class_names` and `class_ids`, or `path` of a YOLO
            description. `augment`, of `train` only: steps of a `maskr.augment.Pipeline` that take
            the place of ultralytics' own. Without `valid`, the last epoch is the best.
        settings
            `epochs`, `size` (None for the detector's), `batch_size`, `seed`, and further settings
            of ultralytics by its names.
        progress
            Called with a dict for each event.

        Returns
        -------
        dict
            `columns` (epoch, metric, data, value), `best_epoch` (0 for none), `interrupted`.
        """
        options = dict(settings)
        augment = train.get("augment")
        if augment:
            check_no_augmentation(options)
        size, batch = options.pop("size", None) or self.size, int(options.pop("batch_size"))
        # ultralytics by itself gathers the gradients of 64 images for a step, which leaves a small
        # data set with next to no steps
        options = {"nbs": batch, **options, "imgsz": int(size), "batch": batch}
        with tempfile.TemporaryDirectory(prefix="maskr-yolo-") as folder:
            data, classes, validated = write_data(folder, train, valid, self.in_channels)
            with engine().session():
                trainer = engine().Trainer(
                    {**TRAINING, **options, **places(folder)}, data, validated, progress, augment
                )
                interrupted = engine().train(trainer, self.module, list(classes))
                if trainer.best_state is not None:
                    self._take_over(trainer, classes)
        return {
            "columns": long_form(trainer.history),
            "best_epoch": trainer.best_number or 0,
            "validated": validated,
            "interrupted": interrupted,
        }

    def _take_over(self, trainer: Any, classes: dict[str, int]) -> None:
        width = engine().class_width(trainer.ema.ema)
        module = engine().build(self.module.yaml, list(classes), width)
        state_dicts.into(module, trainer.best_state)
        self.module, self.classes, self._predictor = module, classes, None
        self.size = int(trainer.args.imgsz)


TRAINING = {
    "amp": False,  # its check downloads a model
    "pretrained": False,  # the parameters come from the detector itself
    "plots": False,
    "save": False,
    "verbose": False,
    "workers": 0,  # forked processes can hang under R
}
"""Settings of ultralytics' trainer that users do not choose."""


AUGMENTATION = {
    "bgr", "close_mosaic", "copy_paste", "cutmix", "degrees", "fliplr", "flipud", "hsv_h", "hsv_s",
    "hsv_v", "mixup", "mosaic", "perspective", "scale", "shear", "translate",
}  # fmt: skip
"""Settings of ultralytics' own augmentation."""


def check_no_augmentation(options: dict[str, Any]) -> None:
    """Raise a DataError where ultralytics' augmentation is set beside that of the data set."""
    given = sorted(AUGMENTATION & set(options))
    if given:
        raise DataError(
            f"The data set has its own `augment`, which replaces ultralytics' {', '.join(given)}.",
            hint="Leave these settings out, or make the data set without `augment`.",
            argument=given[0],
        )


def places(folder: str) -> dict[str, Any]:
    """Say where training happens: folder, device, run."""
    return {
        "data": folder,
        "device": device.choose(),
        "exist_ok": True,
        "model": "maskr.yaml",  # never opened: the trainer is given its module
        "name": "run",
        "project": folder,
    }


def fit(
    detector: Yolo,
    train: dict,
    valid: dict | None,
    settings: dict[str, Any],
    progress: Callable[[dict], Any] | None = None,
) -> dict:
    """Train for R, see `Yolo.fit()`."""
    for data in (train, valid):
        if data is not None and "annotations" in data:
            data["annotations"] = Annotations.from_r(data["annotations"])
    return detector.fit(train, valid, settings, progress)


def seen(objects: Instances) -> Instances:
    """Keep those objects that have a pixel."""
    keep = np.flatnonzero(objects.areas > 0)
    if len(keep) == len(objects):
        return objects
    return Instances(
        objects.size,
        objects.class_ids[keep],
        objects.scores[keep],
        objects.boxes[keep],
        objects.areas[keep],
        [objects.rles[i] for i in keep],
    )


def pixels_of(image: str | np.ndarray, in_channels: int) -> np.ndarray:
    """Convert an image to uint8 `[H, W, C]`, RGB.

    Raises
    ------
    DataError
        If an array's values are not between 0 and 1.
    """
    chw, _ = images.filled(
        images.load(image) if isinstance(image, str) else arrays.image_from_r(image)
    )
    low, high = float(chw.min()), float(chw.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise DataError(
            f"Images must have values from 0 to 1; these go from {low:g} to {high:g}.",
            hint="Divide by the largest value that their kind can have, such as 255.",
            argument="x",
        )
    chw = images.fit_channels(chw, in_channels)
    return np.ascontiguousarray((chw.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))


def write_data(
    folder: str, train: dict, valid: dict | None, in_channels: int
) -> tuple[dict[str, Any], dict[str, int], bool]:
    """Write a YOLO folder of the data.

    Returns
    -------
    tuple
        The description that the trainer takes, class ids by name in the order of channels, and
        whether there is validation data.
    """
    if "path" in train:
        if valid is not None:
            raise DataError(
                "A YOLO description names its own validation data.", argument="validation_data"
            )
        content = folders.read_description(train["path"])
        names = content["names"]
        used = {key: content[key] for key in ("train", "val") if content[key]}
        split = {k: folders.link_split(folder, k, v, len(names)) for k, v in used.items()}
        classes = distinct(dict(enumerate(names)))
    else:
        classes = object_classes(train, valid)
        channels = {number: i for i, number in enumerate(classes.values())}
        used = {"train": train, **({"val": valid} if valid is not None else {})}
        split = {
            key: folders.write_split(folder, key, pairs(one, in_channels), channels)
            for key, one in used.items()
        }
    data = {
        "path": folder,
        "train": split["train"],
        # ultralytics wants one; without any, the trainer never looks at it
        "val": split.get("val", split["train"]),
        "names": dict(enumerate(classes)),
        "channels": in_channels,
    }
    return data, classes, "val" in split


def object_classes(train: dict, valid: dict | None) -> dict[str, int]:
    """Find the classes that objects can have: all but a background that no object belongs to."""
    classes = dict(zip(train["class_names"], train["class_ids"], strict=True))
    used: set[int] = set()
    for one in (train, valid):
        used |= used_classes(one) if one else set()
    unknown = sorted(used - set(classes.values()))
    if unknown:
        raise DataError(
            f"Objects have class {', '.join(map(str, unknown[:3]))}, which `classes` lacks.",
            argument="data",
        )
    if not used:
        raise DataError("There is no object to learn from.", argument="data")
    return {n: i for n, i in classes.items() if i in used or n.casefold() != "background"}


def used_classes(data: dict) -> set[int]:
    """Collect the class ids of all objects; of label images, those of all things."""
    if "annotations" in data:
        annotations = data["annotations"]
        listed = set(annotations.objects.class_ids.tolist()) - set(annotations.ignored())
        return listed if not any(annotations.images.mask_files) else annotations.things()
    columns = (objects["columns"]["class"] for objects in data["instances"])
    return {int(i) for column in columns for i in np.asarray(column).reshape(-1)}


def objects_of(data: dict) -> Iterator[Instances]:
    """Yield the objects of each image; crowds are no single objects and are left out."""
    if "annotations" in data:
        annotations = data["annotations"]
        for i in range(len(annotations.images)):
            yield annotations.instances(i, crowds=False)[0]
    else:
        for objects in data["instances"]:
            yield Instances.from_r(objects["columns"], objects["size"])


def pairs(data: dict, in_channels: int) -> Iterator[tuple[np.ndarray, Instances]]:
    """Yield images and their objects."""
    for image, found in zip(data["images"], objects_of(data), strict=True):
        pixels = pixels_of(image, in_channels)
        if pixels.shape[:2] != found.size:
            raise ShapeError(
                f"An image of {pixels.shape[0]} x {pixels.shape[1]} pixels came with objects of "
                f"{found.size[0]} x {found.size[1]}.",
                argument="data",
            )
        if min(found.size) < SMALLEST:
            raise ShapeError(
                f"YOLO trains on images of at least {SMALLEST} x {SMALLEST} pixels, not "
                f"{found.size[0]} x {found.size[1]}.",
                argument="data",
            )
        yield pixels, found


def long_form(history: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Make columns with one row for each epoch, kind of data and metric."""
    rows = [
        (epoch, metric, data, value)
        for epoch, entry in enumerate(history, start=1)
        for data, metrics in entry.items()
        for metric, value in metrics.items()
    ]
    return {
        "epoch": np.array([row[0] for row in rows], dtype=np.int32),
        "metric": [row[1] for row in rows],
        "data": [row[2] for row in rows],
        "value": np.array([row[3] for row in rows], dtype=float),
    }
