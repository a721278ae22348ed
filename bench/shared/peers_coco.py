"""The peer of bench/coco.R, pycocotools, with a large file and masks for it."""

import contextlib
import io
import json

import numpy as np
from maskr import instances
from pycocotools import mask
from pycocotools.coco import COCO


def write_file(path, n, seed):
    """A file of `n` objects, seven an image, outlines of 4 to 200 corners as long as COCO's."""
    rng = np.random.default_rng(seed)
    n = int(n)
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "height": 480, "width": 640, "license": 1}
        for i in range(1, n // 7 + 1)
    ]
    corners = np.clip(rng.lognormal(3, 0.6, n).astype(int), 4, 200)
    annotations = [annotation(i + 1, len(images), k, rng) for i, k in enumerate(corners)]
    categories = [{"id": i, "name": f"class {i}", "supercategory": "any"} for i in range(1, 81)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    with open(path, "w") as file:
        json.dump(content, file)


def annotation(number, images, corners, rng):
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(20, 40, corners)
    points = np.stack((300 + radius * np.cos(angle), 240 + radius * np.sin(angle)), axis=1).round(2)
    low, high = points.min(axis=0), points.max(axis=0)
    return {
        "segmentation": [points.ravel().tolist()],
        "area": round(float(np.prod(high - low)), 4),
        "iscrowd": 0,
        "image_id": int(rng.integers(1, images + 1)),
        "bbox": [*low.tolist(), *(high - low).round(2).tolist()],
        "category_id": int(rng.integers(1, 81)),
        "id": number,
    }


def read(path):
    """pycocotools' reader; the number of objects."""
    with contextlib.redirect_stdout(io.StringIO()):
        return len(COCO(path).anns)


class Masks:
    """`n` round objects as masks uint8 `[H, W, N]` in the memory order that pycocotools takes."""

    def __init__(self, n, size, seed):
        rng = np.random.default_rng(seed)
        n, size = int(n), int(size)
        y, x = np.ogrid[:size, :size]
        self.planes = np.zeros((size, size, n), dtype=np.uint8, order="F")
        for i in range(n):
            (top, left), radius = rng.uniform(0, size, 2), rng.uniform(20, size / 4)
            wave = 1 + 0.1 * np.sin(rng.integers(3, 20) * np.arctan2(y - top, x - left))
            self.planes[:, :, i] = np.hypot(y - top, x - left) < radius * wave
        self.bools = self.planes.astype(bool)

    def planes_for_r(self):
        """The same for R, a logical array."""
        return self.bools

    def round_trip(self, times):
        """Masks to run lengths and back by pycocotools."""
        for _ in range(times):
            mask.decode(mask.encode(self.planes))

    def round_trip_of_maskr(self, times):
        """The same by maskr."""
        size = self.bools.shape[:2]
        for _ in range(times):
            instances.decode(instances.encode_planes(self.bools), size)

    def is_same_as_maskr(self):
        """Whether both give the same run lengths."""
        theirs = [one["counts"].decode() for one in mask.encode(self.planes)]
        return theirs == list(instances.encode_planes(self.bools))
