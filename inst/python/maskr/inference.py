"""Prediction and evaluation: one path from images to what the network says of them.

Sources are read and prepared by threads, neighbours of one padded size share a batch, the model's
own network runs, and each image's output is cut to its size. `predict()` collects what is made of
it, `evaluate()` scores it, so that both see the very same numbers.
"""

import collections
import contextlib
import io
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch

from maskr import device, images, layers, members
from maskr.arrays import IGNORE, NA_INTEGER, image_to_r, mask_to_r
from maskr.datasets import volume
from maskr.datasets.loader import DataSpec, Loader
from maskr.datasets.samples import check_dims, is_part, read_with_missing, with_channels
from maskr.errors import (
    DataError,
    DeviceError,
    ShapeError,
    images_called,
    in_image,
    memory_asked,
)
from maskr.metrics import Accumulator, semantic
from maskr.metrics.masks import Mask
from maskr.metrics.results import Options
from maskr.model import SegModel, activate, logits_of
from maskr.outputs import take_tensor
from maskr.padding import padded, rounded_up
from maskr.spec import Spec
from maskr.units import Units, check_values, check_window
from maskr.words import counted

PIXELS_PER_BATCH = {"cpu": 256 * 256, "cuda": 16 * 512 * 512, "mps": 4 * 512 * 512}
"""A CPU is fastest where a batch's activations stay in its cache; GPUs want to be filled."""


def predict(
    model: SegModel,
    sources: Sequence[str | np.ndarray],
    kind: str = "mask",
    threshold: float = 0.5,
    precision: str = "auto",
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    names: Sequence[str] = (),
) -> dict:
    """Segment images, or volumes where the network is one of volumes.

    Parameters
    ----------
    model
        The model; its mode and its weights stay as they are.
    sources
        Paths, R arrays `[H, W]`, `[H, W, C]` or `[D, H, W, C]`, or parts of volumes; any sizes.
    kind
        "mask" (class ids), "prob" or "logit".
    threshold
        Probability from which a binary model's mask holds its second class, 0..1.
    precision
        "auto", "float32", "bfloat16" or "float16".
    batch_size
        Images a batch; by default as many as `PIXELS_PER_BATCH` allows, whose voxels count alike.
    progress
        Called with (images done, images in all).
    names
        What errors call the images; without them their numbers.

    Returns
    -------
    dict
        `results`: an array per image: int32 `[H, W]`, or float32 `[H, W, K]`, with D before H for
        a volume; `geometry`: per image `spacing` and `affine` of a volume's file, else None;
        `precision`: the one that was used.

    Raises
    ------
    ShapeError
        If a source is an image where the network takes volumes, or a volume where it doesn't.
    DataError
        If the model has no classes and a mask is asked for, or the network returns NaN or infinity.
    DeviceError
        If the device runs out of memory.
    """
    if kind == "mask" and model.spec.classes is None:
        raise DataError(
            "This model has no classes, so it can't predict a mask.",
            hint='Build it with `classes = c(...)`, or ask for `type = "prob"` or "logit".',
            argument="type",
        )
    check_window(sources, model.spec)
    results: list[np.ndarray] = []
    geometry: list[dict | None] = []

    def prepare(i: int) -> Prepared:
        with images_called(names), in_image(i + 1, len(sources)):
            return load(sources[i], model)

    with ready(model, precision) as network:
        for one, out in network.outputs(prepare, len(sources), names, batch_size):
            results.append(without(decode(out, model.spec, kind, threshold), one.missing))
            geometry.append(one.geometry)
            if progress is not None:
                progress(len(results), len(sources))
    return {"results": results, "geometry": geometry, "precision": network.precision}


def evaluate(
    model: SegModel,
    data: dict,
    precision: str = "auto",
    more: Sequence[dict] = (),
    options: dict | None = None,
) -> dict:
    """Metrics of a model on a dataset, of which one batch at a time is in memory.

    Parameters
    ----------
    model
        The model.
    data
        Fields of `DataSpec`. Images are compared at the size that the model sees.
    precision
        As `predict()`.
    more, options
        As `metrics.semantic.compare()`.

    Returns
    -------
    dict
        As `metrics.semantic.compare()`.

    Raises
    ------
    DataError
        If the network returns NaN or infinity.
    """
    choices = Options(**(options or {}))
    counted = Accumulator(semantic.families_of(model.spec.class_ids, more), keep=choices.keep)
    probable = any(family.needs_probabilities for family in counted.families)
    spec = replace(DataSpec.from_r(data), shuffle=False, sample_weights=None, augment=None)
    check_window(spec.images, model.spec)
    n = len(spec.images)

    def prepare(i: int) -> Prepared:
        image, target, _ = loader.sample(i)
        return prepared(image, model.spec, truth=true_mask(target, model, spacing_of(spec, i)))

    opened = Loader(spec, model.spec, dims=model.dims, units=Units(model.spec))
    with opened as loader, ready(model, precision) as network:
        for one, out in network.outputs(prepare, n, spec.names):
            with in_image(counted.images + 1, n):
                counted.update(one.truth, predicted_mask(out, model.spec, probable))
    return semantic.scored(counted, choices)


def spacing_of(data: DataSpec, i: int) -> tuple[float, ...] | None:
    """The size of a pixel of target `i`, where it is a part of a volume in its own size."""
    part = data.targets[i]
    if not is_part(part) or data.size is not None:
        return None
    spacing = volume.opened(part["volume"], as_labels=True).spacing
    if spacing is None:
        return None
    # a slice lacks the axis that it lies across; a box lacks none, which -1 says
    return tuple(step for axis, step in enumerate(spacing) if axis != part["axis"])


def true_mask(indices: np.ndarray, model: SegModel, spacing: tuple[float, ...] | None) -> Mask:
    """The mask of a target of class indices with IGNORE."""
    # IGNORE is -1, the last entry
    ids = np.array([*model.spec.class_ids, IGNORE], dtype=np.int32)
    return Mask(ids[indices], spacing)


def predicted_mask(out: torch.Tensor, spec: Spec, probable: bool) -> Mask:
    """The mask of an image's output `[K, ...]`, with its probabilities if asked for."""
    ids = class_ids_of(out, spec)
    if not probable:
        return Mask(ids)
    return Mask(ids, probabilities=probabilities_of(out, spec).movedim(0, -1).cpu().numpy())


# --- What an output says --------------------------------------------------------------------------


def decode(out: torch.Tensor, spec: Spec, kind: str, threshold: float) -> np.ndarray:
    """One image's output `[K, ...]` as R gets it."""
    if kind == "mask":
        return mask_to_r(class_ids_of(out, spec, threshold))
    if kind == "prob":
        return image_to_r(probabilities_of(out, spec).cpu().numpy())
    return image_to_r((logits_of(out[None])[0] if is_activated(spec) else out).cpu().numpy())


def without(result: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    """A mask, or an array with a last dimension of channels, with NA where the image is missing."""
    if missing is not None:
        result[missing] = NA_INTEGER if result.dtype == np.int32 else np.nan
    return result


def class_ids_of(out: torch.Tensor, spec: Spec, threshold: float = 0.5) -> np.ndarray:
    """The class id of each pixel of an output `[K, ...]`: the one place where it is decided."""
    if out.shape[0] == 1:
        index = (activated(out, spec)[0] >= threshold).to(torch.uint8)
    else:
        # of several channels the order is that of their logits; argmax() takes ten times as long
        index = out.max(dim=0).indices
    return np.asarray(spec.class_ids, dtype=np.int32)[index.cpu().numpy()]


def probabilities_of(out: torch.Tensor, spec: Spec) -> torch.Tensor:
    """The probability of each class, of both where there are two: `[K, ...]`."""
    probabilities = activated(out, spec)
    if len(probabilities) == 1 and spec.classes is not None:
        probabilities = torch.cat((1 - probabilities, probabilities))
    return probabilities


def activated(out: torch.Tensor, spec: Spec) -> torch.Tensor:
    """An output `[K, ...]` behind the activation, which may be the network's own."""
    return out if is_activated(spec) else activate(out[None])[0]


def is_activated(spec: Spec) -> bool:
    """Does the network end in an activation of its own?"""
    return spec.activated != "none"


# --- From sources to batches ----------------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    """A preprocessed and padded image `[C, ...]`, and what goes with it past the network.

    Attributes
    ----------
    image
        As the network sees it.
    size
        Before padding.
    geometry
        `spacing` and `affine` of a volume's file.
    missing
        Where the source's pixels are missing; None where none are.
    truth
        What a prediction is scored against.
    """

    image: np.ndarray
    size: tuple[int, ...]
    geometry: dict | None = None
    missing: np.ndarray | None = None
    truth: Mask | None = None


def prepared(image: np.ndarray, spec: Spec, **beside: object) -> Prepared:
    """An image that was preprocessed, padded to the multiples that the network takes."""
    size = image.shape[1:]
    return Prepared(padded(image, rounded_up(size, spec.multiple)), size, **beside)


def batches(
    waiting: Iterator[Prepared], pixels: int, batch_size: int | None = None
) -> Iterator[list[Prepared]]:
    """Runs of neighbours of one padded size, of at most so many pixels or images."""
    for shape, group in itertools.groupby(waiting, key=lambda one: one.image.shape):
        most = batch_size or max(1, pixels // math.prod(shape[1:]))
        while batch := list(itertools.islice(group, most)):
            yield batch


def load(source: str | dict | np.ndarray, model: SegModel) -> Prepared:
    """A source with the model's channels, its missing pixels filled."""
    dims, spec, geometry = model.dims, model.spec, None
    if dims == 3 and isinstance(source, str):
        numbers, geometry = volume.load_whole(source, spec.preprocess.window)
        image, missing = images.filled(numbers)
    else:
        image, missing = read_with_missing(source, spec.preprocess.window)
    check_dims(image, dims)
    check_values(image, spec)
    image = spec.preprocess(with_channels(image, spec.in_channels))
    return prepared(image, spec, geometry=geometry, missing=missing)


def ahead(function: Callable[[int], Prepared], n: int, depth: int) -> Iterator[Prepared]:
    """`function` of 0 to n - 1 by two threads, at most `depth` results ahead of the reader."""
    if n == 1:  # a thread would only cost its start
        yield function(0)
        return
    waiting: collections.deque[Future] = collections.deque()
    pool = ThreadPoolExecutor(2)
    try:
        for i in range(n):
            waiting.append(pool.submit(function, i))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # R's arrays may only be let go by R's own thread, so none of ours may go on
        pool.shutdown(cancel_futures=True)


# --- The network ----------------------------------------------------------------------------------


@contextlib.contextmanager
def ready(model: SegModel, precision: str, where: str | None = None) -> Iterator["Network"]:
    """A model's network on a device, by default the session's, in evaluation mode meanwhile."""
    where = where or device.choose()
    if torch.accelerator.is_available():  # else all is where it has to be
        model.module.to(where)
    with members.evaluating(model.module):
        yield Network(model, where, precision_for(model, precision, where))


def precision_for(model: SegModel, wanted: str, where: str) -> str:
    """The precision to compute in; "auto" leaves TorchScript its own."""
    if wanted == "auto" and members.is_script(model.module):
        return "float32"
    return device.precision(wanted, where)


@dataclass(frozen=True)
class Network:
    """A model's own network, ready to run.

    No copy: whatever is done to a network, to its tensors, layers, attributes or hooks, counts in
    its next prediction.
    """

    model: SegModel
    where: str
    precision: str

    @property
    def module(self) -> torch.nn.Module:
        """The PyTorch network."""
        return self.model.module

    def outputs(
        self,
        prepare: Callable[[int], Prepared],
        n: int,
        names: Sequence[str] = (),
        batch_size: int | None = None,
    ) -> Iterator[tuple[Prepared, torch.Tensor]]:
        """Each of n images with its output `[K, ...]`, finite and cut to its size.

        Raises
        ------
        DataError
            If an output holds NaN or infinity; of the image called so in `names`.
        """
        # whole volumes wait in memory: fewer of them
        depth = 16 if self.model.dims == 2 else 1
        pixels = PIXELS_PER_BATCH[self.where.partition(":")[0]]
        number = itertools.count(1)
        with contextlib.closing(ahead(prepare, n, depth)) as waiting:
            for batch in batches(waiting, pixels, batch_size):
                for one, whole in zip(batch, self.run(stacked(batch)), strict=True):
                    out = whole[(slice(None), *map(slice, one.size))]
                    with images_called(names), in_image(next(number), n):
                        self.require_finite(out, one.image)
                    yield one, out

    def run(self, x: torch.Tensor) -> torch.Tensor:
        """What the network returns for a batch `[N, C, ...]`, as float32.

        Raises
        ------
        DeviceError
            If the device runs out of memory.
        ShapeError
            If the network fails on images of this size.
        """
        size = " x ".join(map(str, x.shape[2:]))
        of_images = x.ndim == 4
        x = x.to(self.where, memory_format=self.model.layout if of_images else None)
        # a network that torch.fx made prints the traceback where it fails
        silent = contextlib.redirect_stderr(io.StringIO())
        try:
            # inference mode would leave tensors that networks keep unfit for training
            with torch.no_grad(), device.autocast(self.where, self.precision), silent:
                return take_tensor(self.module(x)).float()
        except RuntimeError as error:
            asked = memory_asked(error)
            if asked is not None:
                raise DeviceError(
                    f"The device {self.where} ran out of memory on a batch of "
                    f"{counted(len(x), 'image')} of "
                    f"{size} {'pixels' if of_images else 'voxels'}"
                    f"{f', which asked for {asked} at once' if asked else ''}.",
                    hint="What helps is `batch_size = 1`, smaller images, or a smaller network.",
                ) from error
            raise ShapeError(
                f"The network can't take images of {x.shape[1]} x {size} "
                f"(C x {'H x W' if of_images else 'D x H x W'}): {str(error).splitlines()[0]}",
                argument="x",
            ) from error

    def require_finite(self, out: torch.Tensor, image: np.ndarray) -> None:
        """Raise a DataError where an output holds NaN or infinity; `image` is what it is of."""
        # a sum takes a single pass, but that of large numbers may be infinite itself
        if math.isfinite(out.sum()) or bool(out.isfinite().all()):
            return
        said = "The network returns values that are not finite"
        damaged = layers.not_finite(self.module)
        if damaged is not None:
            raise DataError(
                f"{said}: its weights hold NaN or infinite values (in `{damaged}`).",
                hint="Load or build the model again.",
            )
        if not np.isfinite(image).all():
            raise DataError(
                f"{said}: the image holds NaN or infinite values once it is preprocessed.",
                hint="Look at its values, and at those of seg_preprocess().",
                argument="preprocess",
            )
        where = f"for values from {image.min():.4g} to {image.max():.4g} in {self.precision}"
        raise DataError(
            f"{said} {where}, though its weights are.",
            hint="Give images in the units of training."
            if self.precision == "float32"
            else 'Set `precision = "float32"`, which takes larger numbers.',
            argument="x" if self.precision == "float32" else "precision",
        )


def stacked(batch: list[Prepared]) -> torch.Tensor:
    """The images of a batch as one tensor, of which a single image is only a view."""
    stack = np.stack([one.image for one in batch]) if len(batch) > 1 else batch[0].image[None]
    return torch.from_numpy(stack)
