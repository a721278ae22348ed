"""Prediction: an evaluation copy of the network, fed in batches while the next are being read."""

import contextlib
import copy
import io
import itertools
import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.fx.experimental.optimization import fuse

from maskr import device, images, members
from maskr.architectures import dims_of
from maskr.arrays import IGNORE, NA_INTEGER, image_to_r, mask_to_r
from maskr.datasets import volume
from maskr.datasets.loader import DataSpec, Loader
from maskr.datasets.samples import check_dims, is_part, read_with_missing, with_channels
from maskr.errors import DataError, DeviceError, ShapeError, images_called, in_image
from maskr.metrics import Accumulator, semantic
from maskr.metrics.masks import Mask
from maskr.metrics.results import Options
from maskr.model import SegModel, activate, logits_of, take_tensor
from maskr.units import check_values, check_window

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
        If the model has no classes and a mask is asked for.
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
    where = device.choose()
    precision = precision_for(model, precision, where)
    network = evaluation_copy(model, where)
    results: list[np.ndarray] = []
    geometry: list[dict | None] = []
    pixels = PIXELS_PER_BATCH[where.partition(":")[0]]
    for batch in batches(model, sources, batch_size, pixels, names):
        x = torch.from_numpy(np.stack([one.padded for one in batch])).to(where)
        out = run(network, x, where, precision)
        for n, one in enumerate(batch):
            inside = (slice(n, n + 1), slice(None), *map(slice, one.size))
            found = finish(out[inside], model, kind, threshold)
            results.append(without(found, one.missing))
            geometry.append(one.geometry)
        if progress is not None:
            progress(len(results), len(sources))
    return {"results": results, "geometry": geometry, "precision": precision}


def precision_for(model: SegModel, wanted: str, where: str) -> str:
    """The precision to compute in; "auto" leaves TorchScript its own."""
    if wanted == "auto" and members.is_script(model.module):
        return "float32"
    return device.precision(wanted, where)


def run(
    network: torch.nn.Module, x: torch.Tensor, where: str, precision: str
) -> torch.Tensor:
    """What the network returns for a batch, as float32."""
    size = " x ".join(map(str, x.shape[2:]))
    if x.ndim == 4:
        x = x.to(memory_format=torch.channels_last)
    try:
        # torch.fx prints the traceback of a network that fails
        silent = contextlib.redirect_stderr(io.StringIO())
        with torch.inference_mode(), device.autocast(where, precision), silent:
            return take_tensor(network(x)).float()
    except torch.OutOfMemoryError as error:  # a RuntimeError, too, so it comes first
        raise DeviceError(
            f"The device {where} ran out of memory on a batch of {len(x)} images of {size} "
            f"{'pixels' if x.ndim == 4 else 'voxels'}.",
            hint='Set `batch_size = 1`, or `seg_device("cpu")`.',
        ) from error
    except RuntimeError as error:
        raise ShapeError(
            f"The network can't take images of {x.shape[1]} x {size} "
            f"(C x {'H x W' if x.ndim == 4 else 'D x H x W'}): {str(error).splitlines()[0]}",
            argument="x",
        ) from error


def finish(out: torch.Tensor, model: SegModel, kind: str, threshold: float) -> np.ndarray:
    """One image's output `[1, K, H, W]` as R gets it."""
    activated = model.spec.activated != "none"
    if kind == "logit":
        return image_to_r((logits_of(out) if activated else out)[0].cpu().numpy())
    probabilities = out if activated else activate(out)
    if kind == "prob":
        if probabilities.shape[1] == 1 and model.spec.classes is not None:
            probabilities = torch.cat((1 - probabilities, probabilities), dim=1)
        return image_to_r(probabilities[0].cpu().numpy())
    if probabilities.shape[1] == 1:
        index = (probabilities[0, 0] >= threshold).to(torch.uint8)
    else:
        index = probabilities[0].argmax(dim=0)
    return mask_to_r(np.asarray(model.spec.class_ids, dtype=np.int32)[index.cpu().numpy()])


def without(result: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    """A mask, or an array with a last dimension of channels, with NA where the image is missing."""
    if missing is not None:
        result[missing] = NA_INTEGER if result.dtype == np.int32 else np.nan
    return result


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
    """
    choices = Options(**(options or {}))
    counted = Accumulator(semantic.families_of(model.spec.class_ids, more), keep=choices.keep)
    probable = any(family.needs_probabilities for family in counted.families)
    spec = replace(DataSpec.from_r(data), shuffle=False)
    check_window(spec.images, model.spec)
    for i, pair in enumerate(compared_masks(model, spec, precision, probable)):
        with in_image(i + 1, len(spec.images)):
            counted.update(*pair)
    return semantic.scored(counted, choices)


def compared_masks(
    model: SegModel, data: DataSpec, precision: str, probable: bool
) -> Iterator[tuple[Mask, Mask]]:
    """Truth and prediction of each image; `probable` keeps the probabilities."""
    where = device.choose()
    precision = precision_for(model, precision, where)
    network = evaluation_copy(model, where)
    place = itertools.count()
    with SizedLoader(data, model.spec, dims=dims_of(model.module)) as loader:
        for x, y, sizes in map(loader.__getitem__, range(len(loader))):
            out = run(network, x.to(where), where, precision)
            out = out if model.spec.activated != "none" else activate(out)
            for found, known, size in zip(out, y.numpy(), sizes, strict=True):
                inside = tuple(map(slice, size))
                truth = true_mask(known[inside], model, spacing_of(data, next(place)))
                yield truth, predicted_mask(found[(slice(None), *inside)], model, probable)


class SizedLoader(Loader):
    """Batches `(x, y, sizes)`: with the size of each image before it was padded."""

    def _decode(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        image, target = super()._decode(i)
        check_values(image, self.spec, f'The image "{self.data.names[i]}"')
        return image, target

    def _collate(self, samples: list) -> tuple[torch.Tensor, torch.Tensor, list[tuple[int, ...]]]:
        return *super()._collate(samples), [target.shape for _, target in samples]


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


def predicted_mask(out: torch.Tensor, model: SegModel, probable: bool) -> Mask:
    """The mask of an image's activated output `[K, ...]`, with its probabilities if asked for."""
    binary = out.shape[0] == 1
    index = (out[0] >= 0.5).int() if binary else out.argmax(dim=0)
    ids = np.asarray(model.spec.class_ids, dtype=np.int32)[index.cpu().numpy()]
    if not probable:
        return Mask(ids)
    probabilities = torch.cat((1 - out, out)) if binary else out
    return Mask(ids, probabilities=probabilities.movedim(0, -1).cpu().numpy())


@dataclass(frozen=True)
class Prepared:
    """A preprocessed and padded image `[C, ...]`, its size before padding, a file's geometry, and
    where pixels were missing, or None.
    """

    padded: np.ndarray
    size: tuple[int, ...]
    geometry: dict | None
    missing: np.ndarray | None


def batches(
    model: SegModel,
    sources: Sequence,
    batch_size: int | None,
    pixels: int,
    names: Sequence[str] = (),
) -> Iterator[list[Prepared]]:
    """Runs of neighbouring images of one padded size; errors call them by `names`, or number."""

    def prepare(numbered: tuple[int, str | dict | np.ndarray]) -> Prepared:
        number, source = numbered
        with images_called(names), in_image(number, len(sources)):
            image, geometry, missing = load(source, model)
        padded = pad(model.spec.preprocess(image), model.spec.multiple)
        return Prepared(padded, image.shape[1:], geometry, missing)

    def most(padded: np.ndarray) -> int:
        return batch_size or max(1, pixels // math.prod(padded.shape[1:]))

    # whole volumes wait in memory: fewer of them
    depth = 16 if dims_of(model.module) == 2 else 1
    with ThreadPoolExecutor(2) as pool:
        prepared = ahead(pool, prepare, enumerate(sources, start=1), depth)
        for _, group in itertools.groupby(prepared, key=lambda one: one.padded.shape):
            first = next(group)
            group = itertools.chain([first], group)
            while batch := list(itertools.islice(group, most(first.padded))):
                yield batch


def load(
    source: str | dict | np.ndarray, model: SegModel
) -> tuple[np.ndarray, dict | None, np.ndarray | None]:
    """A source as float32 `[C, ...]` with the model's channels, the geometry of a volume's file,
    and where pixels are missing (they are filled), or None.
    """
    dims, geometry = dims_of(model.module), None
    if dims == 3 and isinstance(source, str):
        numbers, geometry = volume.load_whole(source, model.spec.preprocess.window)
        image, missing = images.filled(numbers)
    else:
        image, missing = read_with_missing(source, model.spec.preprocess.window)
    check_dims(image, dims)
    check_values(image, model.spec)
    return with_channels(image, model.spec.in_channels), geometry, missing


def ahead(pool: ThreadPoolExecutor, function: Callable, items: Iterable, depth: int) -> Iterator:
    """`map(function, items)` by the pool's threads, at most `depth` results ahead of the reader."""
    waiting: list[Future] = []
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > depth:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def pad(image: np.ndarray, multiple: int) -> np.ndarray:
    """Image `[C, H, W]` or volume with sizes rounded up to the multiple, reflected at the ends."""
    for axis, size in enumerate(image.shape[1:], start=1):
        missing = math.ceil(size / multiple) * multiple - size
        if missing:
            widths = [(0, missing if a == axis else 0) for a in range(image.ndim)]
            # numpy reflects as often as it takes, but has nothing to reflect in a single line
            image = np.pad(image, widths, mode="reflect" if size > 1 else "edge")
    return image


_copies: "weakref.WeakKeyDictionary[SegModel, tuple]" = weakref.WeakKeyDictionary()


def evaluation_copy(model: SegModel, where: str) -> torch.nn.Module:
    """A copy of the network for inference: evaluation mode, batch normalisation folded into the
    convolutions, channels last. Kept until the weights change. TorchScript runs as it is.
    """
    if members.is_script(model.module):
        return model.module.eval().to(where)
    state = (where, fingerprint(model.module))
    if model not in _copies or _copies[model][0] != state:
        network = copy.deepcopy(model.module).eval()
        for parameter in members.parameters(network):
            parameter.requires_grad_(False)
        network = folded(network)
        device.place(network, where)
        _copies[model] = state, network
    return _copies[model][1]


def folded(network: torch.nn.Module) -> torch.nn.Module:
    """The network with each batch normalisation folded into the convolution before it.

    Foreign modules with control flow that torch.fx can't trace stay as they are.
    """
    try:
        return fuse(network)
    except Exception:
        return network


def fingerprint(network: torch.nn.Module) -> list[float]:
    """Tells whether any weight or buffer has changed, at the cost of reading them once."""
    tensors = itertools.chain(members.parameters(network), members.buffers(network))
    with torch.no_grad():
        return torch.stack([tensor.sum(dtype=torch.float64) for tensor in tensors]).tolist()
