"""Models as files that run without maskr: ONNX, and PyTorch's exported programs.

Such a file takes images as they are read and gives probabilities: preprocessing and activation are
part of its graph. What it can't hold in its graph it holds as JSON in its metadata.
"""

import contextlib
import copy
import importlib.util
import json
import logging
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from maskr import inference, members
from maskr.errors import DataError, FormatError, MissingPackageError
from maskr.files import atomically
from maskr.model import SegModel, activate
from maskr.outputs import take_tensor
from maskr.preprocess import ALMOST_NONE, Preprocess
from maskr.quiet import quiet
from maskr.units import unwindowed, windowed

TOLERANCE = 1e-4
"""Largest difference in probability between the file and the model."""

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What writing and checking ONNX takes."""


@dataclass(frozen=True)
class Shape:
    """What sizes a file takes.

    Attributes
    ----------
    least
        The smallest size of images, without N and C, or the only one.
    example, check
        Those of the images that the graph is recorded on, and that it is checked on.
    batch, sizes
        Whether any number of images, and any multiple of the model's `multiple`, goes.
    """

    least: tuple[int, ...]
    example: tuple[int, ...]
    check: tuple[int, ...]
    batch: bool
    sizes: bool

    @property
    def dynamic(self) -> list[str]:
        """The dimensions that are free, such as ["N", "H", "W"]."""
        names = axes(len(self.least)) if self.sizes else []
        return ["N", *names] if self.batch else names


def axes(dims: int) -> list[str]:
    """Names of the dimensions of an image: H and W, before them D in volumes."""
    return ["D", "H", "W"][-dims:]


def export(model: SegModel, path: str, size: list[int] | None = None) -> dict:
    """Write a model as a file that runs without maskr, and check it against the model.

    Parameters
    ----------
    model
        The model; it stays as it is.
    path
        File that ends in ".onnx" or ".pt2". It is there as a whole or not at all.
    size
        The one size of images, in pixels, that the file takes; None for every multiple of the
        model's `multiple`.

    Returns
    -------
    dict
        `difference`: the largest one in probability on random images; `dynamic`: the dimensions
        that are free; `least`: the smallest size of images, or the only one; `multiple`: of which
        free sizes must be multiples.

    Raises
    ------
    MissingPackageError
        If the packages that write ONNX are not installed.
    DataError
        If `size` is none that the network takes, or the network is TorchScript.
    FormatError
        If the network can't be exported, or the file gives other probabilities.
    """
    require_exportable(model)
    ending = Path(path).suffix.lower()
    if ending == ".onnx":
        require_onnx()
    for shape in attempts(model, size):
        difference = []
        try:
            atomically(path, lambda file, s=shape, d=difference: d.append(write(model, file, s)))
        except NotExportable as error:
            reason = error
        else:
            return {
                "difference": difference[0],
                "dynamic": shape.dynamic,
                "least": list(shape.least),
                "multiple": model.spec.multiple,
            }
    raise refused(ending, size, model, reason)


class NotExportable(Exception):
    """The network can't be written in the shape that was tried."""


def require_exportable(model: SegModel) -> None:
    """Raise a DataError for TorchScript, which torch.export doesn't take."""
    if members.is_script(model.module):
        raise DataError(
            "A TorchScript network can't be exported.",
            hint="Its own file runs without maskr already; export the module that it was made of.",
            argument="model",
        )


def require_onnx() -> None:
    """Raise a MissingPackageError unless all packages for ONNX are there."""
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingPackageError(
            f"Writing ONNX needs the Python packages {', '.join(missing)}.",
            hint='Install them: seg_install(extras = "export"), then restart R. A ".pt2" file '
            "needs no more than PyTorch.",
        )


def attempts(model: SegModel, size: list[int] | None) -> list[Shape]:
    """The shapes to try, the freest first."""
    dims, multiple = model.dims, model.spec.multiple
    if size is None:
        least = least_size(model)
        example = tuple(length + multiple * (i < 2) for i, length in enumerate(least))
        check = (*least[:-1], least[-1] + 2 * multiple)
        return [Shape(least, example, check, batch=True, sizes=True)]
    if len(size) != dims or any(length % multiple for length in size):
        raise DataError(
            f"`size` is {' x '.join(map(str, size))}, and this network takes {dims} lengths "
            f"({', '.join(axes(dims))}) that are multiples of {multiple}.",
            argument="size",
        )
    fixed = tuple(size)
    return [Shape(fixed, fixed, fixed, batch, sizes=False) for batch in (True, False)]


def least_size(model: SegModel) -> tuple[int, ...]:
    """The smallest image that a file for all sizes takes.

    The deepest features must have more than one pixel, since one pixel would be taken for a value
    that stands for all.
    """
    multiple = model.spec.multiple
    plane = multiple * max(2, math.ceil(32 / multiple))
    return (2 * multiple, plane, plane)[-model.dims :]


def refused(
    ending: str, size: list[int] | None, model: SegModel, reason: NotExportable
) -> FormatError:
    """The error that says why a network was not exported, and what else to try."""
    lengths = ", ".join(str(4 * length) for length in least_size(model))
    hints = []
    if size is None:
        hints.append(f"Give the size of your images, such as `size = c({lengths})`.")
    if ending == ".onnx":
        hints.append('PyTorch\'s own format takes more networks: a path that ends in ".pt2".')
    error = FormatError(
        f'This network ("{model.spec.architecture}") can\'t be exported as "{ending}" for images '
        f"of {'every' if size is None else 'this'} size: {reason}",
        hint=" ".join(hints),
        argument="size" if size is None else "model",
    )
    error.__cause__ = reason
    return error


def write(model: SegModel, path: str, shape: Shape) -> float:
    """Write the file and check it; returns the largest difference.

    Raises
    ------
    NotExportable
        If the graph can't be recorded or written, or gives other probabilities.
    """
    # one image: the commonest number, and not the one that the graph is recorded on
    images = sample(model, 1, shape.check)
    try:
        with silent():
            program = record(model, shape)
            save(program, path, json.dumps(about(model, shape)))
            found = run_file(path, images)
    except OSError:
        raise
    except Exception as error:  # tracers and converters raise whatever they like
        raise NotExportable(first_line(error)) from error
    difference = disagreement(found, model, images)
    if not difference <= TOLERANCE:  # NaN, too
        raise NotExportable(f"its probabilities differ by {difference:.2g} from the model's.")
    return difference


def disagreement(found: np.ndarray, model: SegModel, images: np.ndarray) -> float:
    """The largest difference of what a file gives from what the model itself gives.

    Where a network chooses, as SegNet does when it pools, rounding may turn the choice, in our
    float32 as in the file's: what is large is measured against double precision, too, and the
    smaller of the two counts.
    """
    expected = probabilities(model, images)
    if found.shape != expected.shape:
        raise NotExportable(f"it gives the shape {found.shape} for {expected.shape}.")
    difference = float(np.abs(found - expected).max())
    if difference > TOLERANCE:
        # networks that insist on single precision have only the first figure
        with contextlib.suppress(RuntimeError), torch.no_grad():
            exact = Standalone(model).double()(torch.from_numpy(images).double())
            difference = min(difference, float(np.abs(found - exact.numpy()).max()))
    return difference


def sample(model: SegModel, n: int, size: tuple[int, ...]) -> np.ndarray:
    """Random images `[n, C, *size]` in 0..1 (or the model's window), always the same."""
    shape = (n, model.spec.in_channels or 3, *size)
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    return unwindowed(image, model.spec.preprocess.window)


def probabilities(model: SegModel, images: np.ndarray) -> np.ndarray:
    """What the model itself gives for images, in float32 on the CPU."""
    steps = model.spec.preprocess
    if steps.window is not None:
        images = windowed(images, steps.window)
    x = torch.from_numpy(np.stack([steps(image) for image in images]))
    with inference.ready(model, "float32", "cpu") as network:
        out = network.run(x)
        network.require_finite(out, x.numpy())
    return (out if inference.is_activated(model.spec) else activate(out)).numpy()


def first_line(error: BaseException) -> str:
    """The first line with words of what an error says, or the one that caused it."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # torch goes on about its own environment variables
    return (lines or [type(error).__name__])[0].partition(" For more information")[0][:300]


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Swallow what torch.export and its converters print, warn and log."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


# --- The graph ------------------------------------------------------------------------------------


class Standalone(nn.Module):
    """A model from its images to its probabilities: an evaluation copy on the CPU.

    Input: float32 `[N, C, H, W]` (volumes `[N, C, D, H, W]`) before preprocessing.
    Output: probabilities `[N, K, H, W]`.
    """

    def __init__(self, model: SegModel) -> None:
        super().__init__()
        self.prepare = PreprocessTensor(model.spec.preprocess, model.dims)
        self.network = copy.deepcopy(model.module).cpu().eval()
        self.activated = model.spec.activated != "none"
        self.requires_grad_(False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Probabilities of images."""
        out = take_tensor(self.network(self.prepare(image)))
        return out if self.activated else activate(out)


class PreprocessTensor(nn.Module):
    """`Preprocess` on a batch of tensors `[N, C, ...]`, each image by itself."""

    def __init__(self, steps: Preprocess, dims: int) -> None:
        super().__init__()
        self.steps = steps
        for name in ("mean", "std"):
            values = getattr(steps, name)
            tensor = None if values is None else torch.tensor(values).reshape(1, -1, *[1] * dims)
            self.register_buffer(name, tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The images as the network sees them."""
        if self.steps.window is not None:
            low, high = self.steps.window
            x = ((x - low) / (high - low)).clamp(0, 1)
        if self.steps.channel_order == "bgr":
            x = x.flip(1)
        if self.steps.per_image == "standardise":
            inside = tuple(range(2, x.ndim))
            std = x.std(dim=inside, correction=0, keepdim=True)
            x = (x - x.mean(dim=inside, keepdim=True)) / std.clamp(min=ALMOST_NONE)
        elif self.steps.per_image == "percentile":
            low, high = percentiles(x, self.steps.percentiles)
            x = ((x - low) / (high - low).clamp(min=ALMOST_NONE)).clamp(0, 1)
        if self.mean is not None:
            x = x - self.mean
        if self.std is not None:
            x = x / self.std
        return x


def percentiles(x: torch.Tensor, percents: tuple[float, float]) -> list[torch.Tensor]:
    """Each image's percentiles with linear interpolation, `[N, 1, ...]`.

    Not `torch.quantile()`, which takes at most 16 million values and has no ONNX form.
    """
    values = x.flatten(1).double().sort(dim=1).values
    index = torch.arange(values.shape[1], dtype=torch.float64, device=x.device)
    shape = (-1, *[1] * (x.ndim - 1))
    found = []
    for percent in percents:
        # weights of the two neighbours of the place, 0 elsewhere
        weight = (1 - (index - index[-1] * (percent / 100)).abs()).clamp(min=0)
        found.append((values * weight).sum(dim=1).reshape(shape).to(x.dtype))
    return found


def record(model: SegModel, shape: Shape) -> torch.export.ExportedProgram:
    """The model as a graph that takes images of the `shape`."""
    # recorded on two images: a single one would fix their number
    example = torch.from_numpy(sample(model, 2 if shape.batch else 1, shape.example))
    free = {0: torch.export.Dim("N")} if shape.batch else {}
    if shape.sizes:
        multiple = model.spec.multiple
        names = axes(len(shape.least))
        for i, (name, least) in enumerate(zip(names, shape.least, strict=True), start=2):
            free[i] = multiple * torch.export.Dim(name, min=least // multiple)
    with torch.no_grad():
        return torch.export.export(
            Standalone(model), (example,), dynamic_shapes={"image": free}
        )


# --- The file -------------------------------------------------------------------------------------


def about(model: SegModel, shape: Shape) -> dict:
    """What a reader of the file must know: plain values."""
    spec = model.spec
    lengths = axes(len(shape.least)) if shape.sizes else list(shape.least)
    where = ", ".join(map(str, ["N" if shape.batch else 1, spec.in_channels or 3, *lengths]))
    units = (
        "values as maskr reads them: integer files divided by their type's maximum (0..1)"
        if spec.preprocess.window is None
        else "values in the file's own units, such as Hounsfield units"
    )
    return {
        "architecture": spec.architecture,
        "classes": spec.classes,
        "multiple": spec.multiple,
        "least": list(shape.least),
        "dynamic": shape.dynamic,
        "input": f"image: float32 [{where}], {units}; preprocessing is part of the graph",
        "output": "probabilities: float32 [N, K, ...] of the classes in their order; one channel "
        "stands for the second of two classes",
    }


def save(program: torch.export.ExportedProgram, path: str, about: str) -> None:
    """Write a graph and its metadata (JSON) to a ".onnx" or ".pt2" file."""
    if path.lower().endswith(".pt2"):
        torch.export.save(program, path, extra_files={"maskr.json": about})
        return
    converted = torch.onnx.export(
        program, (), dynamo=True, verbose=False, output_names=["probabilities"]
    )
    converted.model.metadata_props["maskr"] = about
    converted.save(path, external_data=False)


def run_file(path: str, images: np.ndarray) -> np.ndarray:
    """What the file gives for images, as somebody without maskr would run it."""
    if path.lower().endswith(".pt2"):
        with torch.no_grad():
            return torch.export.load(path).module()(torch.from_numpy(images)).numpy()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it writes past Python's own streams
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]
