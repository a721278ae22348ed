"""Our augmentation in front of ultralytics' (AGPL-3.0) own preparation of training images.

As `maskr.detectors.yolo_engine`, to be imported by `maskr.detectors.yolo.engine()` only.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from ultralytics.utils import ops
from ultralytics.utils.instance import Instances as Outlined

from maskr.annotations.polygons import by_coco, joined, trace
from maskr.augment import Pipeline, Sample
from maskr.instances import Instances

POINTS = 1000
"""All outlines of an image have the same number of points, by ultralytics at least this one."""


def replace_augmentation(
    dataset: Any, settings: SimpleNamespace, steps: Sequence[dict], seed: int
) -> None:
    """Let an ultralytics data set augment its images by our steps and by nothing else."""
    # ultralytics then only scales, pads and formats
    dataset.augment = False
    dataset.transforms = dataset.build_transforms(settings)
    dataset.transforms.insert(0, Step(dataset, steps, seed))
    # it would build its own transforms anew for the last epochs
    dataset.close_mosaic = lambda hyp: None


class Step:
    """One of the transforms of an ultralytics data set: takes and returns its labels.

    Images come scaled so that their longer side is the training's size.
    """

    def __init__(self, dataset: Any, steps: Sequence[dict], seed: int) -> None:
        self.dataset = dataset
        self.pipeline = Pipeline(steps)
        self.seed = seed
        self.calls = 0

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Augment the image and its objects."""
        rng = np.random.default_rng((self.seed, self.calls))
        self.calls += 1
        drawn = self.pipeline.apply(sample_of(labels), rng, self._other)
        return {**labels, **labels_of(drawn)}

    def _other(self, rng: np.random.Generator) -> Sample:
        return sample_of(self.dataset.get_image_and_label(int(rng.integers(len(self.dataset)))))


def sample_of(labels: dict[str, Any]) -> Sample:
    """Take a sample out of ultralytics' labels: BGR pixels of 8 bits, and outlines."""
    pixels = labels["img"][..., ::-1].transpose(2, 0, 1)
    size = pixels.shape[1:]
    outlined = labels["instances"]
    scale = np.float32([size[1], size[0]] if outlined.normalized else [1, 1])
    outlines = [[(segment * scale).ravel().tolist()] for segment in outlined.segments]
    objects = Instances.from_rles(by_coco(outlines, size), size, labels["cls"].astype(int))
    image = np.float32(pixels) / np.float32(255)
    return Sample.of(image, np.zeros(size, dtype=np.int32), objects)


def labels_of(sample: Sample) -> dict[str, Any]:
    """Give a sample as the entries of ultralytics' labels."""
    pixels = (sample.image * 255).round().astype(np.uint8).transpose(1, 2, 0)[..., ::-1]
    found = sample.instances()
    outlines = [outline(mask) for mask in found.masks()]
    points = max([POINTS, *(len(one) + 1 for one in outlines)])
    segments = np.zeros((0, points, 2), dtype=np.float32)
    if outlines:
        segments = np.stack(ops.resample_segments(outlines, n=points))
    boxes = found.boxes.astype(np.float32)
    return {
        "img": np.ascontiguousarray(pixels),
        "resized_shape": sample.size,
        "cls": found.class_ids.astype(np.float32)[:, None],
        "instances": Outlined(boxes, segments, bbox_format="xyxy", normalized=False),
    }


def outline(mask: np.ndarray) -> np.ndarray:
    """Trace a mask as one polygon `[n, 2]`, x and y in pixels."""
    parts, _ = trace(mask)
    return joined([np.float32(part).reshape(-1, 2) for part in parts])
