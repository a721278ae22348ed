"""Average precision by pycocotools and faster-coco-eval, and scenes for it."""

import contextlib
import io
from typing import Any

import numpy as np
from faster_coco_eval import COCO as FasterCOCO
from faster_coco_eval import COCOeval_faster
from maskr.instances import Instances
from maskr.metrics.coco import Coco
from maskr.metrics.objects import Objects
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

TWELVE = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100", "ar_small",
    "ar_medium", "ar_large",
)


class Peers:
    """The same objects for each package, in memory and ready to be evaluated.

    Parameters
    ----------
    truth, results
        Paths of COCO's annotations and of results.
    times
        How often the images are repeated.
    """

    def __init__(self, truth: str, results: str, times: int) -> None:
        with quiet():
            truth = COCO(truth)
            results = truth.loadRes(results)
        self.annotations = repeated(truth, times)
        self.results = repeated(results, times)
        self.class_ids = sorted(truth.getCatIds())
        for side in (self.annotations, self.results):
            with_run_lengths(side, truth)
        self.native = {
            (kind, type): self.indexed(kind, type)
            for kind in (COCO, FasterCOCO)
            for type in ("segm", "bbox")
        }
        self.objects = [objects_of(side) for side in (self.annotations, self.results)]

    def indexed(self, kind: type, type: str) -> tuple[Any, Any]:
        """Both sides as a package holds them; predicted boxes have their own areas."""
        sides = []
        for dataset in (self.annotations, self.results):
            annotations = [dict(one) for one in dataset["annotations"]]
            for one in annotations if type == "bbox" and dataset is self.results else ():
                one["area"] = one["bbox"][2] * one["bbox"][3]
            side = kind()
            side.dataset = {**dataset, "annotations": annotations}
            with quiet():
                side.createIndex()
            sides.append(side)
        return tuple(sides)

    def pycocotools(self, type: str) -> list[float]:
        """Evaluate, accumulate and summarise."""
        return self.judged(COCOeval(*self.native[COCO, type], type))

    def faster_coco_eval(self, type: str) -> list[float]:
        """The same by its own evaluation in C++."""
        return self.judged(COCOeval_faster(*self.native[FasterCOCO, type], type))

    def judged(self, judge: COCOeval | COCOeval_faster) -> list[float]:
        """The twelve numbers."""
        with quiet():
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        return [float(one) for one in judge.stats[:12]]

    def maskr(self, type: str) -> list[float]:
        """The twelve numbers by maskr from Python."""
        family = Coco(self.class_ids, {"segm": "mask", "bbox": "box"}[type])
        scores = family.pooled(family.count_all(*self.objects))
        return [float(scores[name].value) for name in TWELVE]

    def ids(self) -> list[int]:
        """The ids of the classes."""
        return self.class_ids

    def for_r(self) -> list[list[dict]]:
        """Both sides as columns of R's data frames, with the size of each image."""
        return [
            [{"columns": x.instances.to_r(), "size": list(x.instances.size),
              "crowd": x.crowd} for x in side]
            for side in self.objects
        ]


def quiet() -> contextlib.redirect_stdout:
    return contextlib.redirect_stdout(io.StringIO())


def repeated(side: COCO, times: int) -> dict:
    """Copies of all images under new ids."""
    images, annotations = [], []
    step = 1 + max(side.getImgIds())
    for copy in range(times):
        shift = copy * step
        images += [{**one, "id": one["id"] + shift} for one in side.dataset["images"]]
        annotations += [
            {**one, "image_id": one["image_id"] + shift, "id": len(annotations) + i}
            for i, one in enumerate(side.dataset["annotations"], start=1)
        ]
    return {**side.dataset, "images": images, "annotations": annotations}


def with_run_lengths(dataset: dict, coco: COCO) -> None:
    """Polygons as run lengths, so that no package measures how it draws them."""
    for one in dataset["annotations"]:
        original = {**one, "image_id": one["image_id"] % (1 + max(coco.getImgIds()))}
        rle = coco.annToRLE(original)
        one["segmentation"] = {"size": list(rle["size"]), "counts": rle["counts"]}


def objects_of(dataset: dict) -> list[Objects]:
    """The same objects as maskr holds them."""
    of_image = {one["id"]: [] for one in dataset["images"]}
    for one in dataset["annotations"]:
        of_image[one["image_id"]].append(one)
    return [
        objects_in(of_image[one["id"]], (one["height"], one["width"]))
        for one in sorted(dataset["images"], key=lambda one: one["id"])
    ]


def objects_in(rows: list[dict], size: tuple[int, int]) -> Objects:
    """The objects of one image."""
    boxes = np.array([one["bbox"] for one in rows], dtype=float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    counts = [one["segmentation"]["counts"] for one in rows]
    instances = Instances(
        size,
        np.array([one["category_id"] for one in rows], dtype=np.int32),
        np.array([one.get("score", np.nan) for one in rows], dtype=float),
        boxes,
        np.array([one["area"] for one in rows], dtype=float),
        [one if isinstance(one, str) else one.decode() for one in counts],
    )
    return Objects(instances, np.array([one.get("iscrowd", 0) for one in rows], dtype=bool))
