"""Batches for training and evaluation, read and prepared by threads ahead of the model."""

import dataclasses
import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import keras
import numpy as np
import torch

from maskr import images, masks
from maskr.arrays import IGNORE, image_from_r, mask_from_r
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances
from maskr.spec import Spec

UNKNOWN = -2
"""Class index of an id that is no class."""


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """What R's `seg_dataset()` describes, as it crosses the border.

    Attributes
    ----------
    images
        Paths, or arrays `[H, W, C]` from R.
    targets
        For each image a path, a matrix of class ids, or the columns of a `seg_instances`.
    names
        What to call each image in messages.
    class_ids
        The ids that the targets use for the model's classes, in their order; -1 for a class that
        the targets don't have.
    size
        (H, W) of what the model sees, or None for each image's own.
    resize
        "pad" (fit inside and pad), "crop" (cover and cut the centre) or "stretch".
    batch_size, shuffle, sample_weights, threads, cache, ignore, values
        As in `seg_dataset()`.
    explicit_ignore
        Whether the user wrote `ignore` out, which settles what 255 means in files of 0 and 255.
    seed
        Of the order.
    """

    images: Sequence
    targets: Sequence
    names: Sequence[str]
    class_ids: Sequence[int]
    size: tuple[int, int] | None = None
    resize: str = "pad"
    batch_size: int = 8
    shuffle: bool = True
    sample_weights: Sequence[float] | None = None
    threads: int = 2
    cache: bool = False
    ignore: int | None = 255
    values: Sequence[int] | None = None
    explicit_ignore: bool = False
    seed: int = 0


class Loader(keras.utils.PyDataset):
    """Batches `(x, y)`: float32 `[N, C, H, W]` preprocessed, int64 `[N, H, W]` class indices.

    Images of different size share a batch by padding to its largest; padded pixels are ignored,
    and so is whatever lies outside an image that `resize = "pad"` fitted into `size`.
    """

    def __init__(self, data: DataSpec, spec: Spec) -> None:
        super().__init__()
        self.data = data
        self.spec = spec
        self.pool = ThreadPoolExecutor(data.threads)
        self.waiting: dict[int, Future] = {}
        self.index_of = class_lookup(data.class_ids)
        self.cached: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.rng = np.random.default_rng(data.seed)
        self.served = 0
        self.counts = False
        self._draw_order()

    def __len__(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self.data.images) / self.data.batch_size)

    def __getitem__(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Batch number `batch`, from 0; the threads go on with those that follow."""
        self._prepare(batch)
        self.served += 1
        return self.waiting.pop(batch).result()

    def __enter__(self) -> "Loader":
        return self

    # R's arrays may only be let go by R's own thread, so none of ours may outlive the loader.
    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch, and begin with its first batches.

        Raises
        ------
        DataError
            If no pixel of the epoch counted: its loss of 0 would look like success.
        """
        # Keras also calls this before a validation, when nothing was read yet
        if self.served >= len(self) and not self.counts:
            raise DataError(
                "Every pixel of every mask is ignored, so there is nothing to learn or to judge.",
                hint="Look at the masks with seg_check(); the usual cause is `ignore` or NA.",
                argument="targets",
            )
        self.waiting.clear()
        self._draw_order()
        self._prepare(0)

    # Keras has threads for this too, but starts and stops them with every epoch: a sixth of the
    # time of short epochs.
    def _prepare(self, first: int) -> None:
        for batch in range(first, min(first + self.data.threads + 1, len(self))):
            if batch not in self.waiting:
                chosen = self.order[batch * self.data.batch_size :][: self.data.batch_size]
                self.waiting[batch] = self.pool.submit(self._batch, chosen)

    def _batch(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return self._collate([self._sample(int(i)) for i in chosen])

    def _draw_order(self) -> None:
        n = len(self.data.images)
        if self.data.sample_weights is not None:
            weights = np.asarray(self.data.sample_weights, dtype=float)
            self.order = self.rng.choice(n, size=n, p=weights / weights.sum())
        elif self.data.shuffle:
            self.order = self.rng.permutation(n)
        else:
            self.order = np.arange(n)

    def _sample(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        if i in self.cached:
            return self.cached[i]
        image = load_image(self.data.images[i], self.spec)
        target = self._target(i)
        if image.shape[1:] != target.shape:
            raise ShapeError(
                f'The image "{self.data.names[i]}" has size {image.shape[1]} x {image.shape[2]}, '
                f"and its mask {target.shape[0]} x {target.shape[1]}.",
                argument="targets",
            )
        image = self.spec.preprocess(image)
        if self.data.size is not None:
            image, target = resize(image, target, self.data.size, self.data.resize)
        if self.data.cache:
            self.cached[i] = image, target
        return image, target

    def _target(self, i: int) -> np.ndarray:
        return class_indices(target_ids(self.data, i), self.index_of, self.data.names[i])

    def _collate(self, samples: list) -> tuple[torch.Tensor, torch.Tensor]:
        multiple = self.spec.multiple
        height, width = (
            math.ceil(max(image.shape[axis] for image, _ in samples) / multiple) * multiple
            for axis in (1, 2)
        )
        channels = samples[0][0].shape[0]
        x = np.zeros((len(samples), channels, height, width), dtype=np.float32)
        y = np.full((len(samples), height, width), IGNORE, dtype=np.int64)
        for n, (image, target) in enumerate(samples):
            x[n, :, : image.shape[1], : image.shape[2]] = image
            y[n, : target.shape[0], : target.shape[1]] = target
            # looked at until the first pixel that counts, so it costs nothing later
            self.counts = self.counts or bool((target != IGNORE).any())
        return torch.from_numpy(x), torch.from_numpy(y)


def load_image(source: str | np.ndarray, spec: Spec) -> np.ndarray:
    """A path or an R array as float32 `[C, H, W]` with the model's number of channels."""
    image = images.load(source) if isinstance(source, str) else image_from_r(source)
    return image if spec.in_channels is None else images.fit_channels(image, spec.in_channels)


def target_ids(data: DataSpec, i: int) -> np.ndarray:
    """The class ids of target `i`, whatever it is given as: int32 `[H, W]` with IGNORE."""
    target = data.targets[i]
    if isinstance(target, str):
        known = [class_id for class_id in data.class_ids if class_id >= 0]
        return masks.load(target, data.ignore, data.values, data.explicit_ignore, known)
    if isinstance(target, dict):
        found = Instances.from_r(target["columns"], target["size"])
        return np.append(0, found.class_ids)[found.flatten()]
    return mask_from_r(target)


def class_lookup(class_ids: Sequence[int]) -> np.ndarray:
    """A table from class id to class index; ids that are no class map to UNKNOWN."""
    table = np.full(max(class_ids) + 1, UNKNOWN, dtype=np.int64)
    for index, class_id in enumerate(class_ids):
        if class_id >= 0:
            table[class_id] = index
    return table


def class_indices(ids: np.ndarray, table: np.ndarray, name: str) -> np.ndarray:
    """Class ids `[H, W]` as class indices; IGNORE stays.

    Raises
    ------
    DataError
        If an id is not among the classes.
    """
    known = np.where((ids >= 0) & (ids < len(table)), ids, 0)
    indices = table[known]
    indices[(ids < 0) | (ids >= len(table))] = UNKNOWN
    indices[ids == IGNORE] = IGNORE
    if (indices == UNKNOWN).any():
        unknown = np.unique(ids[indices == UNKNOWN])[:5].tolist()
        expected = np.flatnonzero(table >= 0).tolist()
        raise DataError(
            f'The mask of "{name}" holds the class id {", ".join(map(str, unknown))}; '
            f"the classes have the ids {', '.join(map(str, expected))}.",
            hint="Name every class that the masks hold in `classes`, or set `ignore`.",
            argument="targets",
        )
    return indices


def resize(
    image: np.ndarray, target: np.ndarray, size: tuple[int, int], how: str
) -> tuple[np.ndarray, np.ndarray]:
    """Image `[C, H, W]` (bilinear, by area when shrinking) and target `[H, W]` (nearest) to size.

    "stretch" changes the aspect ratio; "pad" keeps it and leaves a border of zeros, ignored in
    the target, at the bottom or right; "crop" keeps it and cuts the centre.
    """
    height, width = target.shape
    if how == "stretch":
        inner = size
    else:
        pick = min if how == "pad" else max
        scale = pick(size[0] / height, size[1] / width)
        inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    shrinking = inner[0] * inner[1] < height * width
    filtering = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    scaled = cv2.resize(image.transpose(1, 2, 0), inner[::-1], interpolation=filtering)
    scaled = scaled.reshape(*inner, len(image)).transpose(2, 0, 1)
    # INTER_NEAREST_EXACT puts pixel centres where the bilinear image has them
    labels = cv2.resize(
        target.astype(np.int32).view(np.float32), inner[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    ).view(np.int32)
    if how == "crop":
        top, left = ((inner[i] - size[i]) // 2 for i in (0, 1))
        scaled = scaled[:, top : top + size[0], left : left + size[1]]
        labels = labels[top : top + size[0], left : left + size[1]]
    padding = (size[0] - labels.shape[0], size[1] - labels.shape[1])
    scaled = np.pad(scaled, ((0, 0), (0, padding[0]), (0, padding[1])))
    labels = np.pad(labels, ((0, padding[0]), (0, padding[1])), constant_values=IGNORE)
    return np.ascontiguousarray(scaled), labels.astype(np.int64)
