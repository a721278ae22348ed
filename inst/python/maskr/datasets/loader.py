"""Batches for training and evaluation, read and prepared by threads ahead of the model."""

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import keras
import numpy as np
import torch

from maskr.arrays import IGNORE
from maskr.augment import Pipeline, Sample
from maskr.datasets.resize import resize
from maskr.datasets.samples import (
    check_dims,
    class_indices,
    class_lookup,
    decode,
    target_objects,
    with_channels,
)
from maskr.datasets.spec import DataSpec
from maskr.errors import DataError, ShapeError, label
from maskr.instances import Instances
from maskr.padding import padded, rounded_up
from maskr.spec import Spec
from maskr.units import Units, range_of

Kept = TypeVar("Kept")

FILLER = -2
"""Target of an image that only fills up a process's share of a batch; one index, all over."""
OUTSIDE = -3
"""Target beyond an image's end, where processes share a batch: `Team.even()` pads anew."""


class Loader(keras.utils.PyDataset):
    """Batches `(x, y)`: float32 `[N, C, H, W]` preprocessed, int64 `[N, H, W]` class indices.

    Volumes have a depth before H. Images are decoded, augmented, preprocessed and resized, in this
    order. Those of different size share a batch: they are padded to its largest as `padding` pads
    for prediction. Padded pixels are ignored, and so is whatever lies outside an image that
    `resize = "pad"` fitted into `size`.

    What augmentation draws depends on the seed, the epoch and the place in the epoch alone, so
    that any number of threads gives the same batches. `objects` keeps the objects of samples
    although no step needs them. `dims` is that of the model: 2 or 3; None takes both.
    `units` judges each image when it is first read; None takes all units.
    """

    def __init__(
        self,
        data: DataSpec,
        spec: Spec,
        objects: bool = False,
        dims: int | None = None,
        units: Units | None = None,
    ) -> None:
        super().__init__()
        self.data = data
        self.spec = spec
        self.dims = dims
        self.units = units
        self.pipeline = Pipeline(data.augment) if data.augment else None
        self.objects = objects or (self.pipeline is not None and self.pipeline.needs_objects)
        self.pool = ThreadPoolExecutor(data.threads)
        self.waiting: dict[int, Future] = {}
        self.table = None if data.class_ids is None else class_lookup(data.class_ids)
        # which images were read, and their least and largest values
        self.known: set[int] = set()
        self.seen: list[tuple[float, float]] = []
        self.cached: dict[int, tuple[np.ndarray, np.ndarray] | Sample] = {}
        self.rng = np.random.default_rng(data.seed)
        self.epoch = 0
        self.served = 0
        # where processes share batches, one may find none that count and the others some
        self.counts = data.share != (0, 1)
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
        self._forget_batches()
        self.epoch += 1
        self._draw_order()
        self._prepare(0)

    def state(self) -> dict:
        """What `restore_state()` needs to go on with the same batches."""
        return {
            "seed": self.data.seed,
            "rng": self.rng.bit_generator.state,
            "epoch": self.epoch,
            "order": torch.from_numpy(self.order),
        }

    def restore_state(self, state: dict) -> None:
        """Go on with the epoch that was next when `state()` was asked for."""
        self._forget_batches()
        self.data = replace(self.data, seed=state["seed"])
        self.rng.bit_generator.state = state["rng"]
        self.epoch = state["epoch"]
        self.order = state["order"].numpy()

    def sample(
        self, i: int, place: int = 0
    ) -> tuple[np.ndarray, np.ndarray, Instances | None]:
        """Sample `i` as the model sees it, and its objects; `place` is that in the epoch.

        Returns
        -------
        image
            float32 `[C, H, W]`, or `[C, D, H, W]`.
        target
            int32 `[H, W]` or `[D, H, W]`: class indices with IGNORE.
        objects
            Those after the same draw, their classes as indices; None where targets have none.
        """
        drawn = self._draw(i, place, self.epoch, self.order)
        return *self._finish(i, drawn.image, drawn.mask), self._finished_objects(drawn)

    # Keras has threads for this too, but starts and stops them with every epoch: a sixth of the
    # time of short epochs.
    def _prepare(self, first: int) -> None:
        size = self.data.batch_size
        for batch in range(first, min(first + self.data.threads + 1, len(self))):
            if batch not in self.waiting:
                self.waiting[batch] = self.pool.submit(
                    self._batch, batch * size, self.epoch, self.order
                )

    def _forget_batches(self) -> None:
        for future in self.waiting.values():
            future.cancel()
        self.waiting.clear()

    def _batch(
        self, first: int, epoch: int, order: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        places = range(first, min(first + self.data.batch_size, len(order)))
        own, fillers = share_of(places, *self.data.share)
        samples = [self._sample(int(order[p]), p, epoch, order) for p in own or places[:1]]
        if fillers:
            image, target = samples[-1]
            samples = samples[: len(own)] + [(image, np.full_like(target, FILLER))] * fillers
        return self._collate(samples)

    def _draw_order(self) -> None:
        n = len(self.data.images)
        if self.data.sample_weights is not None:
            weights = np.asarray(self.data.sample_weights, dtype=float)
            self.order = self.rng.choice(n, size=n, p=weights / weights.sum())
        elif self.data.shuffle:
            self.order = self.rng.permutation(n)
        else:
            self.order = np.arange(n)

    def _sample(
        self, i: int, place: int, epoch: int, order: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.pipeline is None:
            return self._kept(i, lambda: self._finish(i, *self._decode(i)))
        drawn = self._draw(i, place, epoch, order)
        return self._finish(i, drawn.image, drawn.mask)

    def _draw(self, i: int, place: int, epoch: int, order: np.ndarray) -> Sample:
        if self.pipeline is None:
            return self._whole(i)
        rng = np.random.default_rng((self.data.seed, epoch, place))
        return self.pipeline.apply(self._whole(i), rng, lambda rng: self._whole(rng.choice(order)))

    def _kept(self, i: int, make: Callable[[], Kept]) -> Kept:
        if i in self.cached:
            return self.cached[i]
        made = make()
        if self.data.cache:
            self.cached[i] = made
        return made

    def _decode(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        image, target = decode(self.data, i, self.table, self.spec.preprocess.window)
        what = f"Image {label(self.data.names[i])}"
        if self.dims is not None:
            check_dims(image, self.dims, what)
        if i not in self.known:
            if self.units is not None:
                self.units.check(image, what)
            self.seen.extend(filter(None, [range_of(image)]))
            self.known.add(i)
        return image, target

    def _whole(self, i: int) -> Sample:
        return self._kept(int(i), lambda: self._read(int(i)))

    def _read(self, i: int) -> Sample:
        objects = target_objects(self.data, i) if self.objects else None
        if objects is not None:
            objects.class_ids = class_indices(objects.class_ids, self.table, self.data.names[i])
        image, target = self._decode(i)
        others = self.pipeline is not None and self.pipeline.needs_others
        if others or len(image) > (self.spec.in_channels or len(image)):
            # pictures that meet must agree, and noise would make channels differ that are equal;
            # else grey stays one channel as long as possible
            image = self._with_channels(i, image)
        return Sample.of(image, target, objects)

    def _with_channels(self, i: int, image: np.ndarray) -> np.ndarray:
        return with_channels(image, self.spec.in_channels, f"Image {label(self.data.names[i])}")

    def _finish(
        self, i: int, image: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        image = self.spec.preprocess(self._with_channels(i, image))
        if self.data.size is None:
            return image, target
        if image.ndim == 4:
            raise ShapeError(
                "Volumes keep their size.", hint="Leave `size` out.", argument="size"
            )
        return resize(image, target, self.data.size, self.data.resize)

    def _finished_objects(self, drawn: Sample) -> Instances | None:
        planes = drawn.labels[1:]
        if len(planes) == 0:
            return None
        if self.data.size is not None:
            scaled = [resize(drawn.image, p, self.data.size, self.data.resize)[1] for p in planes]
            # what padding adds belongs to no object
            planes = np.maximum(scaled, 0)
        labels = np.concatenate((np.zeros_like(planes[:1]), planes))
        return replace(drawn, labels=labels).instances()

    def _collate(self, samples: list) -> tuple[torch.Tensor, torch.Tensor]:
        sizes = np.array([target.shape for _, target in samples])
        size = rounded_up(sizes.max(axis=0), self.spec.multiple)
        x = np.stack([padded(image, size) for image, _ in samples])
        outside = IGNORE if self.data.share == (0, 1) else OUTSIDE
        y = np.full((len(samples), *size), outside, dtype=np.int64)
        for n, (_, target) in enumerate(samples):
            y[(n, *map(slice, target.shape))] = target
            # looked at until the first pixel that counts, so it costs nothing later
            self.counts = self.counts or bool((target != IGNORE).any())
        return torch.from_numpy(x), torch.from_numpy(y)


def share_of(places: range, part: int, parts: int) -> tuple[range, int]:
    """Places of a batch that are this part's, and how many it lacks to be as long as the others.

    The parts follow each other, so that what is lacking lacks at the end of the batch.
    """
    length = math.ceil(len(places) / parts)
    own = places[part * length : (part + 1) * length]
    return own, length - len(own)
