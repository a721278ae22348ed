"""COCO's scores: hand-worked examples, pycocotools' numbers, and laws that always hold."""

import contextlib
import io

import cv2
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr import annotations
from maskr.annotations.options import ReadOptions
from maskr.annotations.report import Report
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances
from maskr.metrics import Accumulator
from maskr.metrics.coco import Coco, boundaries, run_lengths
from maskr.metrics.objects import Objects, compare, objects_from_r
from maskr.metrics.results import compare as compare_results
from maskr.panoptic import Panoptic
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

TWELVE = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100", "ar_small",
    "ar_medium", "ar_large",
)
REFERENCE = {"mask": "segm", "box": "bbox"}
SIZE = (60, 90)
IDS = [1, 3, 7]


def objects(masks: list[np.ndarray], ids: list[int], scores=None, crowd=None) -> Objects:
    """Objects of an image of `SIZE`."""
    stacked = np.array(masks, dtype=bool).reshape(-1, *SIZE)
    found = Instances.from_masks(stacked, ids, scores)
    return Objects(found, np.zeros(len(ids), bool) if crowd is None else np.array(crowd, bool))


def block(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def scene(rng: np.random.Generator, n: int = 12) -> tuple[Objects, Objects]:
    """Ellipses and rectangles of all sizes, some crowds; predictions near them, ties in scores."""
    masks, ids = [], []
    for _ in range(rng.integers(0, n)):
        canvas = np.zeros(SIZE, np.uint8)
        centre = (int(rng.integers(90)), int(rng.integers(60)))
        cv2.ellipse(canvas, centre, tuple(rng.integers(2, 45, 2).tolist()), 30, 0, 360, 1, -1)
        masks.append(canvas > 0)
        ids.append(int(rng.choice(IDS)))
    crowd = rng.random(len(masks)) < 0.2
    near = [i for i in range(len(masks)) for _ in range(rng.integers(0, 4))]
    moved = [np.roll(masks[i], rng.integers(-2, 3, 2), axis=(0, 1)) for i in near]
    classes = [ids[i] if rng.random() < 0.9 else int(rng.choice(IDS)) for i in near]
    scores = np.round(rng.random(len(near)), 1)
    return objects(masks, ids, crowd=crowd), objects(moved, classes, scores)


def as_coco(
    scenes: list[tuple[Objects, Objects]], type: str = "mask"
) -> tuple[COCO, COCO]:
    """The same scenes for pycocotools, results with their boxes where these are compared."""
    left_out = ("area",) if type == "box" else ("area", "bbox")
    truth, results = COCO(), []
    truth.dataset = {
        "images": [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(len(scenes))],
        "categories": [{"id": one, "name": str(one)} for one in IDS],
        "annotations": [],
    }
    for image, (true, predicted) in enumerate(scenes):
        for i, row in enumerate(rows_of(true, image)):
            row |= {"id": len(truth.dataset["annotations"]) + 1, "iscrowd": int(true.crowd[i])}
            truth.dataset["annotations"].append(row)
        scores = predicted.instances.scores.tolist()
        rows = zip(rows_of(predicted, image), scores, strict=True)
        results += [
            {k: v for k, v in row.items() if k not in left_out} | {"score": score}
            for row, score in rows
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        return truth, truth.loadRes(results)


def rows_of(x: Objects, image: int) -> list[dict]:
    take = x.instances
    extents = take.boxes - np.tile(take.boxes[:, :2], 2) * [0, 0, 1, 1]
    return [
        {
            "image_id": image, "category_id": int(take.class_ids[i]), "bbox": extents[i].tolist(),
            "area": float(take.areas[i]),
            "segmentation": {"size": list(take.size), "counts": take.rles[i]},
        }
        for i in range(len(x))
    ]


class ByBoundary(COCOeval):
    """Cheng's overlap by the definition, with pixels: the rim is what `d` erosions take away."""

    def computeIoU(self, image: int, category: int) -> np.ndarray | list:  # noqa: N802
        masks = super().computeIoU(image, category)
        if len(masks) == 0:
            return masks
        d = sorted(self._dts[image, category], key=lambda one: -one["score"])
        g = self._gts[image, category]
        rims = [[rim(self.cocoGt.annToMask(x)) for x in side] for side in (d[: len(masks)], g)]
        for i, one in enumerate(rims[0]):
            for j, other in enumerate(rims[1]):
                if not g[j]["iscrowd"]:
                    iou = (one & other).sum() / (one | other).sum()
                    masks[i, j] = min(masks[i, j], iou)
        return masks


def rim(mask: np.ndarray, share: float = 0.02) -> np.ndarray:
    d = max(1, round(share * float(np.hypot(*mask.shape))))
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=d)[1:-1, 1:-1]
    return mask.astype(bool) & ~inner.astype(bool)


def reference(
    truth: COCO, found: COCO, type: str, images: list[int] | None = None
) -> tuple[np.ndarray, COCOeval]:
    """The twelve numbers of pycocotools, NaN where they are undefined."""
    kind = ByBoundary if type == "boundary" else COCOeval
    with contextlib.redirect_stdout(io.StringIO()):
        judge = kind(truth, found, REFERENCE.get(type, "segm"))
        if images is not None:
            judge.params.imgIds = images
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return np.where(judge.stats < 0, np.nan, judge.stats), judge


def twelve(scores: dict) -> np.ndarray:
    return np.array([scores[name].value for name in TWELVE])


def score(scenes: list[tuple[Objects, Objects]], type: str = "mask") -> dict:
    family = Coco(IDS, type)
    return family.pooled(family.count_all(*zip(*scenes, strict=True)))


def scenes_of(seed: int, n: int = 8) -> list[tuple[Objects, Objects]]:
    rng = np.random.default_rng(seed)
    return [scene(rng) for _ in range(n)]


@pytest.mark.parametrize("type", ["mask", "box", "boundary"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_random_scenes_score_as_pycocotools_scores_them(type, seed):
    scenes = scenes_of(seed)
    expected, judge = reference(*as_coco(scenes, type), type)
    found = score(scenes, type)
    np.testing.assert_allclose(twelve(found), expected, rtol=0, atol=1e-12)
    precision, recall = judge.eval["precision"], judge.eval["recall"]
    for k in range(len(IDS)):
        each = [
            precision[:, :, k, 0, -1], precision[0, :, k, 0, -1], precision[5, :, k, 0, -1],
            recall[:, k, 0, -1],
        ]
        expected = [np.nan if one.min() < 0 else one.mean() for one in each]
        mine = [found[f"{name}@class"].value[k] for name in ("ap", "ap50", "ap75", "ar100")]
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-12)


def ring(top: int, left: int, side: int) -> np.ndarray:
    """A frame one pixel wide: much smaller than its box."""
    mask = block(top, left, side, side)
    mask[top + 1 : top + side - 1, left + 1 : left + side - 1] = False
    return mask


@pytest.mark.parametrize(("type", "small"), [("box", 1.0), ("mask", 0.5), ("boundary", 0.5)])
def test_false_objects_are_sized_by_what_is_compared(type, small):
    true = objects([block(20, 60, 10, 10)], [1])
    # a false ring of 156 pixels in a box of 40 x 40, ahead of the hit
    found = objects([ring(2, 2, 40), block(20, 60, 10, 10)], [1, 1], [0.9, 0.8])
    scores = score([(true, found)], type)
    assert scores["ap_small"].value == pytest.approx(small)
    assert scores["ap"].value == pytest.approx(0.5)
    expected, _ = reference(*as_coco([(true, found)], type), type)
    np.testing.assert_allclose(twelve(scores), expected, rtol=0, atol=1e-12)


def test_results_without_boxes_keep_the_sizes_that_coco_gives_them(tmp_path):
    true = objects([block(20, 60, 10, 10)], [1])
    found = objects([ring(2, 2, 40), block(20, 60, 10, 10)], [1, 1], [0.9, 0.8])
    truth, _ = as_coco([(true, found)])
    truth.dataset["images"][0]["file_name"] = "0.png"
    rows = [
        {k: v for k, v in row.items() if k not in ("bbox", "area")} | {"score": 0.9 - 0.1 * i}
        for i, row in enumerate(rows_of(found, 0))
    ]
    files = [tmp_path / "truth.json", tmp_path / "results.json"]
    for file, content in zip(files, (truth.dataset, rows), strict=True):
        file.write_bytes(orjson.dumps(content))
    with contextlib.redirect_stdout(io.StringIO()):
        expected, _ = reference(truth, truth.loadRes(rows), "box")
    assert expected[3] == pytest.approx(0.5)
    np.testing.assert_allclose(compare_files(*map(str, files), "box"), expected, atol=1e-12)


@pytest.mark.parametrize("type", ["mask", "box"])
def test_more_than_a_hundred_predictions_of_an_image_are_cut_off(rng, type):
    masks = [block(y, x, 6, 8) for y in range(0, 54, 5) for x in range(0, 80, 5)]
    truth = objects(masks[::3], [1] * len(masks[::3]))
    scores = np.round(rng.random(len(masks)), 2)
    scenes = [(truth, objects(masks, [1] * len(masks), scores))] * 2
    assert len(masks) > 100
    expected, _ = reference(*as_coco(scenes, type), type)
    np.testing.assert_allclose(twelve(score(scenes, type)), expected, rtol=0, atol=1e-12)


def test_a_hit_and_a_miss_score_as_by_hand():
    truth = objects([block(0, 0, 10, 10), block(30, 30, 10, 10)], [1, 1])
    # an IoU of 8/12 reaches the thresholds .5, .55, .6 and .65
    found = objects([block(50, 80, 5, 5), block(0, 2, 10, 10)], [1, 1], [0.9, 0.8])
    scores = score([(truth, found)])
    # one of two objects found at a precision of 1/2: 51 of 101 recalls
    at_one = 0.5 * 51 / 101
    assert scores["ap50"].value == pytest.approx(at_one)
    assert scores["ap75"].value == 0
    assert scores["ap"].value == pytest.approx(0.4 * at_one)
    assert scores["ar1"].value == 0
    assert scores["ar100"].value == pytest.approx(0.4 * 0.5)
    assert scores["ap"].n == 2 and scores["ap_large"].n == 0
    assert np.isnan(scores["ap_large"].value)
    np.testing.assert_array_equal(scores["ap@class"].n, [2, 0, 0])


def test_predictions_inside_a_crowd_count_for_nothing():
    truth = objects([block(0, 0, 20, 40), block(40, 0, 10, 10)], [1, 1], crowd=[True, False])
    found = objects(
        [block(0, 0, 9, 9), block(5, 12, 9, 9), block(40, 0, 10, 10)], [1] * 3, [0.9, 0.8, 0.7]
    )
    scores = score([(truth, found)])
    assert scores["ap"].value == pytest.approx(1)
    assert scores["ap"].n == 1


@pytest.mark.parametrize("type", ["mask", "box", "boundary"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_truth_itself_is_perfect(type, seed):
    scenes = [(truth, _perfect(truth)) for truth, _ in scenes_of(seed, 4)]
    found = score(scenes, type)
    if type == "mask" and found["ap"].n:
        # several boxes may coincide, and then compete for one object only
        assert found["ap"].value == pytest.approx(1)
        assert found["ar100"].value == pytest.approx(1)


def _perfect(truth: Objects) -> Objects:
    own = truth.instances
    kept = np.flatnonzero(~truth.crowd)
    scores = np.linspace(0.9, 0.5, len(kept))
    return objects(own.masks(kept), own.class_ids[kept].tolist(), scores)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_images_and_objects_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    scenes = scenes_of(seed, 5)
    total = sum(len(found) for _, found in scenes)
    distinct = np.split(rng.permutation(total) / total, np.cumsum([len(f) for _, f in scenes])[:-1])
    for (_, found), scores in zip(scenes, distinct, strict=True):
        found.instances.scores[:] = scores
    shuffled = [(shuffle(rng, t), shuffle(rng, p)) for t, p in scenes]
    shuffled = [shuffled[i] for i in rng.permutation(len(scenes))]
    np.testing.assert_allclose(twelve(score(shuffled)), twelve(score(scenes)), rtol=0, atol=1e-12)


def shuffle(rng: np.random.Generator, x: Objects) -> Objects:
    order = rng.permutation(len(x))
    own = x.instances
    return objects(
        own.masks(order), own.class_ids[order].tolist(), own.scores[order], x.crowd[order]
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_scores_lie_between_0_and_1_and_fall_with_the_threshold(seed):
    found = score(scenes_of(seed, 3))
    values = twelve(found)
    values = values[~np.isnan(values)]
    assert ((values >= 0) & (values <= 1)).all()
    if found["ap"].n:
        assert found["ap50"].value + 1e-12 >= found["ap"].value
        assert found["ap50"].value + 1e-12 >= found["ap75"].value
        assert found["ar1"].value <= found["ar10"].value <= found["ar100"].value


@pytest.mark.parametrize("type", ["mask", "box"])
def test_weights_score_resampled_images_as_pycocotools_scores_copies(type):
    rng = np.random.default_rng(4)
    scenes = [scene(rng) for _ in range(6)]
    for _, found in scenes:
        found.instances.scores[:] = rng.random(len(found))
    family = Coco(IDS, type)
    parts = family.count_all(*zip(*scenes, strict=True))
    weights = rng.multinomial(6, [1 / 6] * 6, size=5)
    scores = family.pooled(parts, weights)
    for r, times in enumerate(weights):
        copies = [scenes[i] for i in np.repeat(np.arange(6), times)]
        expected, _ = reference(*as_coco(copies, type), type)
        found = np.array([scores[name].value[r] for name in TWELVE])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        again = twelve(family.pooled(np.repeat(np.array(parts, dtype=object), times).tolist()))
        np.testing.assert_allclose(found, again, rtol=0, atol=1e-12)


def test_single_images_score_as_they_do_alone():
    scenes = scenes_of(11)
    family = Coco(IDS)
    parts = family.count_all(*zip(*scenes, strict=True))
    each = family.per_image(parts)
    for i, part in enumerate(parts):
        alone = family.pooled([part])
        for name, one in alone.items():
            np.testing.assert_allclose(each[name].value[i], one.value, rtol=0, atol=1e-12)
            np.testing.assert_array_equal(each[name].n[i], one.n)


def test_parts_merge_and_survive_their_state():
    scenes = scenes_of(5)
    whole, *halves = (Accumulator([Coco(IDS, "box")], keep=True) for _ in range(3))
    whole.update_all(*zip(*scenes, strict=True))
    halves[0].update_all(*zip(*scenes[:3], strict=True))
    for pair in scenes[3:]:
        halves[1].update(*pair)
    halves[0].merge(halves[1])
    again = Accumulator.from_state(halves[0].state())
    for made in (halves[0], again):
        np.testing.assert_array_equal(twelve(made.compute()), twelve(whole.compute()))
    resampling = {"level": 0.9, "replicates": 20, "seed": 1}
    bounds = compare_results(whole.state(), again.state(), "pooled", resampling)
    assert np.nanmax(np.abs([bounds["lower"], bounds["upper"]])) == 0


def test_empty_sides():
    nothing = objects([], [], [])
    some = objects([block(0, 0, 9, 9)], [1], [0.5])
    assert np.isnan(twelve(score([(nothing, nothing)]))).all()
    assert np.isnan(twelve(score([(nothing, some)]))).all()
    missed = score([(some, nothing)])
    assert missed["ap"].value == 0 and missed["ar100"].value == 0
    np.testing.assert_array_equal(np.isnan(missed["ap@class"].value), [False, True, True])
    assert Coco(IDS).count_all([], []) == []
    assert np.isnan(twelve(Coco(IDS).pooled([]))).all()
    untouched = Accumulator.from_state(Accumulator([Coco(IDS)]).state())
    assert np.isnan(twelve(untouched.compute())).all()


def test_one_pixel_is_an_object():
    pixel = objects([block(59, 89, 1, 1)], [3], [0.5])
    for type in ("mask", "box", "boundary"):
        assert score([(pixel, pixel)], type)["ap_small"].value == pytest.approx(1)


def test_what_cannot_be_compared_is_refused():
    one = objects([block(0, 0, 9, 9)], [1], [0.5])
    small = Objects.of(Instances.from_masks(np.ones((1, 5, 6), bool), [1], [0.5]))
    with pytest.raises(ShapeError, match="Image 2.*60 x 90 pixels.*5 x 6"):
        score([(one, one), (one, small)])
    with pytest.raises(DataError, match="class id 2.*1, 3, 7") as caught:
        score([(one, objects([block(0, 0, 9, 9)], [2], [0.5]))])
    assert caught.value.argument == "prediction"
    with pytest.raises(DataError, match="object 1 has no score"):
        score([(one, objects([block(0, 0, 9, 9)], [1]))])
    broken = objects([block(0, 0, 9, 9)], [1], [0.5])
    broken.instances.rles[0] = small.instances.rles[0]
    with pytest.raises(DataError, match="`prediction`: Image 2: The rle of object 1 ") as caught:
        score([(one, one), (one, broken)])
    assert caught.value.argument == "prediction"
    assert "seg_instances" in caught.value.hint
    with pytest.raises(DataError, match="mask, box, boundary"):
        Coco(IDS, "keypoints")
    options = {"aggregate": "mean"}
    with pytest.raises(DataError, match="not a mean over images"):
        compare([], [], IDS, [{"name": "coco", "arguments": {"type": "mask"}}], options)


@pytest.mark.parametrize(("column", "value", "words"), [
    ("boxes", np.nan, "Object 2 of `{}` has the box 20.0, NA, 29.0, 9.0"),
    ("areas", np.inf, "Object 2 of `{}` has the area inf"),
    ("scores", np.inf, "Object 2 of `{}` has the score inf"),
])
@pytest.mark.parametrize("side", ["truth", "prediction"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_numbers_that_count_must_be_finite(column, value, words, side):
    pair = [objects([block(0, 0, 9, 9), block(0, 20, 9, 9)], [1, 1], [0.5, 0.6]) for _ in "tp"]
    broken = pair[side == "prediction"].instances
    if column == "boxes":
        broken.boxes[1, 1] = value
        assert score([pair], "mask")["ap"].value == pytest.approx(1)
    else:
        getattr(broken, column)[1] = value
    if column == "scores" and side == "truth":
        assert score([pair], "box")["ap"].value == pytest.approx(1)
        return
    with pytest.raises(DataError, match=words.format(side)) as caught:
        score([pair], "box")
    assert caught.value.argument == side


def test_things_of_segments_are_objects():
    ids = np.zeros(SIZE, np.int32)
    ids[:9, :9], ids[20:30, 20:50], ids[40:, :] = 4, 2, 9
    segments = Panoptic(
        ids, np.array([9, 4, 2], np.int32), np.array([7, 1, 3], np.int32),
        np.array([False, True, True]), np.array([np.nan, 0.9, 0.8]), np.array([0, 0, 1], bool),
    )
    found = Objects.of(segments)
    np.testing.assert_array_equal(found.instances.class_ids, [3, 1])
    np.testing.assert_array_equal(found.crowd, [True, False])
    with pytest.raises(ShapeError):
        Objects.of(Panoptic(np.zeros((2, 3, 4), np.int32), *(np.zeros(0, np.int32),) * 4))


def test_boundaries_are_those_that_erosions_leave(rng):
    for _ in range(10):
        true, _ = scene(rng)
        for i, one in enumerate(boundaries(run_lengths([true], [true])[0])):
            mask = true.instances.masks([i])[0].astype(np.uint8)
            np.testing.assert_array_equal(coco_masks.decode(one).astype(bool), rim(mask))


FILES = {
    "segm": ("coco_eval/instances_val2014_100.json",
             "coco_eval/instances_val2014_fakesegm100_results.json"),
    "bbox": ("coco_eval/instances_val2014_100.json",
             "coco_eval/instances_val2014_fakebbox100_results.json"),
    "yolo": ("coco/annotations/instances_val2017.json", "yolo/pred_coco_tiny_a_val2017.json"),
}
PUBLISHED = {
    ("segm", "mask"): (.320, .562, .299, .387, .310, .327, .268, .415, .417, .469, .377, .381),
    ("segm", "box"): None,
    ("bbox", "box"): (.505, .697, .573, .586, .519, .501, .387, .594, .595, .640, .566, .564),
    ("yolo", "mask"): (.3119, .4893),
    ("yolo", "box"): None,
}


def read(path: str) -> annotations.Annotations:
    return annotations.read(path, "auto", ReadOptions(), Report())


@pytest.mark.parametrize(("name", "type"), PUBLISHED)
def test_files_score_as_published_and_as_pycocotools_scores_them(shared_data, name, type):
    paths = [shared_data(path) for path in FILES[name]]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(paths[0])
        expected, _ = reference(truth, truth.loadRes(paths[1]), type)
    found = compare_files(*paths, type)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    published = PUBLISHED[name, type] or ()
    digits = 4 if name == "yolo" else 3
    np.testing.assert_array_equal(np.round(found[: len(published)], digits), published)


def compare_files(truth: str, prediction: str, type: str) -> np.ndarray:
    """The twelve numbers of two files."""
    left, right = read(truth), read(prediction)
    order = np.argsort(left.images.ids)
    drawn = type != "box"
    place = {number: i for i, number in enumerate(right.images.ids)}
    family = Coco([one.id for one in left.classes], type)
    counted = Accumulator([family])
    pairs = []
    for i in order:
        true = Objects.annotated(left, int(i), drawn)
        at = place.get(left.images.ids[i])
        empty = Instances.from_rles([], true.instances.size, [])
        if at is None:
            found = Objects.of(empty)
        else:
            right.images.heights[at], right.images.widths[at] = true.instances.size
            found = Objects.annotated(right, at, drawn)
        pairs.append((true, found))
    counted.update_all(*zip(*pairs, strict=True))
    return twelve(counted.compute())


@pytest.mark.parametrize("type", ["mask", "box"])
def test_results_with_masks_and_boxes_are_sized_by_their_boxes(tmp_path, rng, type):
    truth, found = as_coco([scene(rng) for _ in range(6)])
    rows = [
        {**{k: one[k] for k in ("image_id", "category_id", "segmentation", "score")},
         "bbox": (np.array(one["bbox"]) + rng.uniform(0, 5, 4)).tolist()}
        for one in found.dataset["annotations"]
    ]
    for row in rows:
        counts = row["segmentation"]["counts"]
        row["segmentation"]["counts"] = counts if isinstance(counts, str) else counts.decode()
    files = [tmp_path / "truth.json", tmp_path / "results.json"]
    for image in truth.dataset["images"]:
        image["file_name"] = f"{image['id']}.png"
    for file, content in zip(files, (truth.dataset, rows), strict=True):
        file.write_bytes(orjson.dumps(content))
    with contextlib.redirect_stdout(io.StringIO()):
        expected, _ = reference(truth, truth.loadRes(rows), type)
    found = compare_files(*map(str, files), type)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_annotations_from_r_keep_areas_and_crowds(shared_data):
    given = read(shared_data(FILES["yolo"][0]))
    made = objects_from_r(given.to_r(), drawn=True)
    assert sum(one.crowd.sum() for one in made) == 11
    np.testing.assert_array_equal(
        np.sort(np.concatenate([one.instances.areas for one in made])),
        np.sort(given.objects.areas),
    )
