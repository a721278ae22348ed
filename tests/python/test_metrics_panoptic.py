"""Panoptic quality: hand-worked scenes, panopticapi's rules, torchmetrics, shared results."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr import annotations
from maskr.annotations import ReadOptions
from maskr.annotations.report import Report
from maskr.errors import DataError, ShapeError
from maskr.metrics import Accumulator
from maskr.metrics.family import CLASS
from maskr.metrics.panoptic_quality import PanopticQuality
from maskr.metrics.segments import Segments, compare
from maskr.panoptic import Panoptic
from torchmetrics.detection import PanopticQuality as TorchPanopticQuality

CLASSES, THINGS = [4, 7, 9], [False, True, True]


def scene(ids, classes, crowd=()) -> Segments:
    """Segments whose classes are a dict by segment id."""
    numbers = np.array(list(classes), dtype=np.int32)
    return Segments(
        np.asarray(ids, dtype=np.int32), numbers,
        np.array(list(classes.values()), dtype=np.int32), np.isin(numbers, crowd),
    )


def scores(truth, prediction, classes=CLASSES, things=THINGS) -> dict:
    counted = Accumulator([PanopticQuality(classes, things)])
    counted.update(truth, prediction)
    return {name: score.value for name, score in counted.compute().items()}


def random_scene(rng, shape=(17, 23), segments=6, void=True, crowds=False) -> Segments:
    """Overlapping rectangles of random classes; stuff has one segment for each class."""
    ids = np.zeros(shape, dtype=np.int32)
    classes = {}
    for number in rng.permutation(np.arange(1, segments + 1)).tolist():
        at = [np.sort(rng.integers(0, size + 1, 2)) for size in shape]
        ids[tuple(slice(*one) for one in at)] = number
        classes[number] = int(rng.choice([7, 9] if number > 1 else [4]))
    if not void:
        ids[ids == 0] = 1
        classes[1] = 4
    there = {number: one for number, one in classes.items() if (ids == number).any()}
    is_crowd = [n for n, one in there.items() if crowds and one != 4 and rng.random() < 0.3]
    return scene(ids, there, is_crowd)


def by_rules(truth, prediction, classes=CLASSES) -> np.ndarray:
    """The rules of panopticapi's evaluator one by one: `[K, 4]` of iou, tp, fp, fn."""
    found = {one: np.zeros(4) for one in classes}
    t = {int(n): (truth.ids == n, int(c), bool(w)) for n, c, w in
         zip(truth.segment_ids, truth.class_ids, truth.iscrowd, strict=True)}
    p = {int(n): (prediction.ids == n, int(c)) for n, c in
         zip(prediction.segment_ids, prediction.class_ids, strict=True)}
    void, matched_t, matched_p, crowd_of = truth.ids == 0, set(), set(), {}
    for n, (mask, one, crowd) in t.items():
        if crowd:
            crowd_of[one] = mask
            continue
        for m, (other, its) in p.items():
            both = (mask & other).sum()
            union = mask.sum() + other.sum() - both - (other & void).sum()
            if its == one and both > 0 and both / union > 0.5:
                found[one] += (both / union, 1, 0, 0)
                matched_t.add(n)
                matched_p.add(m)
    for n, (_, one, crowd) in t.items():
        found[one][3] += n not in matched_t and not crowd
    for m, (mask, one) in p.items():
        ignored = (mask & void).sum() + (mask & crowd_of.get(one, np.zeros_like(mask))).sum()
        found[one][2] += m not in matched_p and ignored / mask.sum() <= 0.5
    return np.stack(list(found.values()))


def test_a_scene_by_hand():
    truth = scene([[1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2], [1, 1, 1, 3, 3, 3]],
                  {1: 4, 2: 7, 3: 7})
    prediction = scene([[5, 5, 5, 8, 8, 6], [5, 5, 5, 8, 8, 6], [5, 5, 8, 8, 8, 6]],
                       {5: 4, 8: 7, 6: 9})
    # stuff: 8 of 9 pixels; thing 8 and 2 share 4 of 9, no match: two missed and one too many
    part = PanopticQuality(CLASSES, THINGS).count(truth, prediction)
    assert part.tolist() == [[8 / 9, 1, 0, 0], [0, 0, 1, 2], [0, 0, 1, 0]]
    found = scores(truth, prediction)
    assert found["pq"] == pytest.approx(8 / 9 / 3)
    assert found["pq_stuff"] == found["sq_stuff"] == pytest.approx(8 / 9)
    assert found["pq_things"] == found["sq_things"] == found["rq_things"] == 0
    assert found["rq" + CLASS].tolist() == [1, 0, 0]


def test_void_of_the_truth_leaves_the_union_and_excuses_predictions():
    truth = scene([[2, 2, 0, 0, 0, 0, 0, 0]], {2: 7})
    prediction = scene([[3, 3, 3, 3, 5, 5, 0, 0]], {3: 7, 5: 7})
    part = PanopticQuality([7], [True]).count(truth, prediction)
    assert part.tolist() == [[1, 1, 0, 0]]
    # half of it in void is not more than half
    part = PanopticQuality([7], [True]).count(
        scene([[2, 2, 2, 2, 2, 0]], {2: 7}), scene([[0, 0, 0, 0, 5, 5]], {5: 7})
    )
    assert part.tolist() == [[0, 0, 1, 1]]


def test_void_of_the_prediction_counts_as_missed():
    part = PanopticQuality([7], [True]).count(scene([[2, 2, 2]], {2: 7}), scene([[0, 0, 0]], {}))
    assert part.tolist() == [[0, 0, 0, 1]]


def test_crowds_match_nothing_and_excuse_predictions_of_their_class():
    truth = scene([[2, 2, 2, 2, 3, 3, 3]], {2: 7, 3: 9}, crowd=[2])
    prediction = scene([[1, 1, 1, 1, 5, 5, 5]], {1: 7, 5: 9})
    family = PanopticQuality(CLASSES, THINGS)
    assert family.count(truth, prediction).tolist() == [[0, 0, 0, 0], [0] * 4, [1, 1, 0, 0]]
    other = scene([[1, 1, 1, 1, 5, 5, 5]], {1: 9, 5: 9})  # a crowd of another class is no excuse
    assert family.count(truth, other).tolist() == [[0, 0, 0, 0], [0] * 4, [1, 1, 1, 0]]
    # void and crowd together, and of two crowds of a class the last
    split = scene([[2, 2, 0, 3, 3, 3]], {2: 7, 3: 7}, crowd=[2, 3])
    assert family.count(split, scene([[1, 1, 1, 1, 1, 1]], {1: 7})).tolist()[1] == [0, 0, 0, 0]
    turned = scene([[2, 2, 0, 3, 3, 3]], {3: 7, 2: 7}, crowd=[2, 3])
    assert family.count(turned, scene([[1, 1, 1, 1, 1, 1]], {1: 7})).tolist()[1] == [0, 0, 1, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_random_scenes_follow_the_rules(seed):
    rng = np.random.default_rng(seed)
    truth = random_scene(rng, crowds=True)
    prediction = random_scene(rng)
    if rng.random() < 0.5:  # so that there are matches
        prediction = scene(np.roll(truth.ids, 1, axis=1),
                           dict(zip(truth.segment_ids.tolist(), truth.class_ids.tolist(),
                                    strict=True)))
    part = PanopticQuality(CLASSES, THINGS).count(truth, prediction)
    np.testing.assert_allclose(part, by_rules(truth, prediction), rtol=1e-12)
    # memory order, the segments' order and their numbers do not matter
    turned = Segments(
        np.asfortranarray(prediction.ids.astype(np.int64) * 70001),
        prediction.segment_ids[::-1] * 70001, prediction.class_ids[::-1],
        prediction.iscrowd[::-1],
    )
    np.testing.assert_allclose(PanopticQuality(CLASSES, THINGS).count(truth, turned), part)


def as_torch(x) -> torch.Tensor:
    """Class and segment id of every pixel, `[1, H, W, 2]`."""
    class_of = np.zeros(x.ids.max() + 1, dtype=np.int64)
    class_of[x.segment_ids] = x.class_ids
    return torch.from_numpy(np.stack((class_of[x.ids], x.ids), axis=-1))[None]


def test_equal_to_torchmetrics_where_nothing_is_void_in_the_prediction(rng):
    # torchmetrics knows no crowds, and takes void pixels of the prediction from the union too
    metric = TorchPanopticQuality({7, 9}, {4}, allow_unknown_preds_category=True,
                                  return_sq_and_rq=True)
    counted = Accumulator([PanopticQuality(CLASSES, THINGS)])
    for _ in range(12):
        truth = random_scene(rng)
        ids = np.where(rng.random(truth.ids.shape) < 0.1, 1, np.roll(truth.ids, 1, axis=0))
        ids[ids == 0] = 1
        classes = dict(zip(truth.segment_ids.tolist(), truth.class_ids.tolist(), strict=True))
        numbers = np.unique(ids).tolist()
        prediction = scene(ids, {n: (classes | {1: 4}).get(n, 9) for n in numbers})
        counted.update(truth, prediction)
        # 0 is none of its classes: void
        metric.update(as_torch(prediction), as_torch(truth))
    found = counted.compute()
    assert 0.1 < found["pq"].value < 0.99
    counts = np.array([counted.parts[0][0][i] for i in (1, 2, 0)])  # its order: things, stuff
    for i, name in enumerate(("true_positives", "false_positives", "false_negatives"), start=1):
        np.testing.assert_array_equal(counts[:, i], getattr(metric, name))
    # it divides in float32
    expected = metric.compute().tolist()
    np.testing.assert_allclose([found[n].value for n in ("pq", "sq", "rq")], expected, rtol=2e-7)


def read(path):
    return annotations.read(path, "coco_panoptic", ReadOptions(), Report())


def official(shared_data):
    truth = read(shared_data("panoptic/sample_data/panoptic_examples.json"))
    prediction = read(shared_data("panoptic/perturbed_pred/perturbed.json"))
    file = shared_data("panoptic/perturbed_pred/official_panopticapi_result.json")
    with open(file) as opened:
        return truth, prediction, json.load(opened)


def test_panopticapis_own_results(shared_data):
    truth, prediction, expected = official(shared_data)
    ids = [one.id for one in truth.classes]
    counted = Accumulator([PanopticQuality(ids, [one.isthing for one in truth.classes])])
    for i in range(2):
        counted.update(truth.panoptic(i), prediction.panoptic(i))
    found = counted.compute()
    for group, suffix in (("All", ""), ("Things", "_things"), ("Stuff", "_stuff")):
        for name in ("pq", "sq", "rq"):
            assert found[name + suffix].value == pytest.approx(expected[group][name], abs=1e-15)
    for one, values in expected["per_class"].items():
        for name, value in values.items():
            assert found[name + CLASS].value[ids.index(int(one))] == pytest.approx(value, abs=1e-15)
    assert np.sum(~np.isnan(found["pq" + CLASS].value)) == 8
    itself = Accumulator([PanopticQuality(ids, [one.isthing for one in truth.classes])])
    itself.update_all(*[[truth.panoptic(i) for i in range(2)]] * 2)
    values = itself.compute()
    assert values["pq"].value == values["pq_things"].value == values["pq_stuff"].value == 1
    assert np.nansum(values["pq" + CLASS].value) == 8


def test_volumes_count_as_images_do(rng):
    truth = random_scene(rng, shape=(5, 8, 11), crowds=True)
    prediction = random_scene(rng, shape=(5, 8, 11))
    part = PanopticQuality(CLASSES, THINGS).count(truth, prediction)
    np.testing.assert_allclose(part, by_rules(truth, prediction))


def test_images_without_segments():
    nothing, one = scene([[0, 0, 0]], {}), scene([[1, 1, 1]], {1: 7})
    assert all(np.isnan(value).all() for value in scores(nothing, nothing).values())
    missed = scores(one, nothing)
    assert missed["pq"] == missed["sq"] == missed["rq"] == 0
    assert np.isnan(missed["pq_stuff"])
    # nothing but void in the truth: the prediction is not judged
    assert np.isnan(scores(nothing, one)["pq"])
    pixel = scene([[1]], {1: 9})
    assert scores(pixel, pixel)["pq"] == 1
    # a segment of which no pixel is seen is none
    hidden = scene([[1, 1, 1]], {1: 7, 2: 9})
    assert scores(hidden, one)["pq"] == scores(one, hidden)["pq"] == 1


def test_wrong_input():
    family = PanopticQuality(CLASSES, THINGS)
    one = scene([[1, 1, 1]], {1: 7})
    with pytest.raises(ShapeError, match="1 x 3 and 3 x 1"):
        family.count(one, scene([[1], [1], [1]], {1: 7}))
    with pytest.raises(DataError, match="prediction holds segment id 2"):
        family.count(one, scene([[1, 2, 1]], {1: 7}))
    for truth, prediction in (([[-3, 1, 1]], [[1, 1, 1]]), ([[1, 1, 1]], [[-3, 1, 1]])):
        with pytest.raises(DataError, match="holds -3, which is not a segment id") as caught:
            family.count(scene(truth, {1: 7}), scene(prediction, {1: 7}))
        assert "void" in caught.value.hint
    with pytest.raises(DataError, match="truth holds class id 8, not among the classes 4, 7, 9"):
        family.count(scene([[1, 1, 1]], {1: 8}), one)
    with pytest.raises(DataError, match="whole"):
        family.count(one, Segments(np.ones((1, 3)), *([np.array([1])] * 2), np.array([False])))
    with pytest.raises(ShapeError, match="3 classes came with 2"):
        PanopticQuality(CLASSES, [True, False])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_properties(seed):
    rng = np.random.default_rng(seed)
    family = PanopticQuality(CLASSES, THINGS)
    pairs = [(random_scene(rng, crowds=True), random_scene(rng)) for _ in range(4)]
    found = family.pooled(family.count_all(*zip(*pairs, strict=True)))
    for name, score in found.items():
        value = score.value[~np.isnan(score.value)]
        assert ((value >= 0) & (value <= 1)).all(), name
    product = found["sq" + CLASS].value * found["rq" + CLASS].value
    np.testing.assert_allclose(found["pq" + CLASS].value, product)
    # without void and crowds neither side is privileged
    a, b = (random_scene(rng, void=False) for _ in range(2))
    np.testing.assert_allclose(
        family.count(a, b)[:, [0, 1, 3, 2]], family.count(b, a), rtol=1e-12
    )
    # parts make the whole, and so do their arrays that R keeps
    parts = [family.count(*pair) for pair in pairs]
    first, second = Accumulator([family], keep=True), Accumulator([family], keep=True)
    first.update_all(*zip(*pairs[:3], strict=True))
    second.update(*pairs[3])
    first.merge(Accumulator.from_state(second.state()))
    np.testing.assert_allclose(first.compute()["pq"].value, family.pooled(parts)["pq"].value)


def test_intervals_and_single_images(rng):
    family = PanopticQuality(CLASSES, THINGS)
    parts = [family.count(random_scene(rng, void=False), random_scene(rng, void=False))
             for _ in range(5)]
    each = family.per_image(parts)["pq"]
    resampled = family.pooled(parts, np.eye(5, dtype=np.int64))["pq"]
    np.testing.assert_allclose(each.value, resampled.value)
    np.testing.assert_array_equal(each.n, [part[:, [1, 3]].sum() for part in parts])


def columns(x: Segments) -> dict:
    return {"ids": np.asfortranarray(x.ids), "id": x.segment_ids, "class": x.class_ids,
            "iscrowd": x.iscrowd}


def test_compare_for_r(rng, shared_data):
    pairs = [(random_scene(rng, crowds=True), random_scene(rng)) for _ in range(3)]
    sides = [[columns(x) for x in side] for side in zip(*pairs, strict=True)]
    made = compare(*sides, [1, *CLASSES], [True, *THINGS], {"per_image": True}, every_class=False)
    family = PanopticQuality(CLASSES, THINGS)
    expected = family.pooled([family.count(*pair) for pair in pairs])
    assert made["ids"].tolist() == CLASSES
    assert made["columns"]["metric"][:3] == ["pq", "sq", "rq"]
    assert made["columns"]["value"][0] == expected["pq"].value
    assert compare(*sides, [1, *CLASSES], [True, *THINGS])["ids"].tolist() == [1, *CLASSES]
    with pytest.raises(ShapeError, match="3 truths came with 2"):
        compare(sides[0], sides[1][:2], CLASSES, THINGS)
    with pytest.raises(DataError, match="Image 2: .*class id"):
        sides[1][1]["class"] = sides[1][1]["class"] + 50
        compare(*sides, CLASSES, THINGS)


def test_compare_reads_annotations(shared_data):
    truth, prediction, expected = official(shared_data)
    ids = [one.id for one in truth.classes]
    new = [1000 + one for one in ids]
    given = [
        {"annotations": side.to_r(), "rows": [0, 1], "old": ids, "new": new}
        for side in (truth, prediction)
    ]
    made = compare(*given, new, [one.isthing for one in truth.classes], every_class=False)
    assert made["columns"]["value"][0] == pytest.approx(expected["All"]["pq"], abs=1e-15)
    assert made["ids"].size == 8
    with pytest.raises(DataError, match="Image 1: The annotations hold the class"):
        compare(given[0], given[1] | {"old": ids[:1], "new": ids[:1]}, new, [True] * len(new))


def test_panoptic_carries_crowds():
    made = Panoptic(np.array([[1, 2]]), np.array([1, 2]), np.array([7, 7]), np.ones(2, bool),
                    np.full(2, np.nan), np.array([False, True]))
    sent = made.to_r()
    assert Panoptic.from_r(sent["ids"], sent["segments"]).iscrowd.tolist() == [False, True]
    part = PanopticQuality([7], [True]).count(made, scene([[1, 2]], {1: 7, 2: 7}))
    assert part.tolist() == [[1, 1, 0, 0]]
