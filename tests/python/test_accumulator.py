"""What holds of every family of metrics, streaming and merging, intervals, several processes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import two_accumulators
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr.arrays import IGNORE
from maskr.errors import DataError, MaskrError, ShapeError
from maskr.instances import Instances
from maskr.metrics import Accumulator, results, tables
from maskr.metrics.accumulator import describe, from_description
from maskr.metrics.families import FAMILIES
from maskr.metrics.family import CLASS, Score
from maskr.metrics.masks import of_probabilities
from maskr.metrics.semantic import Semantic
from maskr.metrics.uncertainty import Resampling, interval

CLASSES = [0, 1, 2]
MORE = {"panoptic": {"things": [False, True, True]}}
UNBOUNDED = {"hausdorff", "hd95", "assd", "missed", "false", "merged", "split", "poorly_outlined"}


def family(name):
    return from_description(
        {"name": name, "arguments": {"class_ids": CLASSES, **MORE.get(name, {})}}
    )


# images to count ----------------------------------------------------------------------------------


def masks(rng):
    """A true mask of two rectangles with ignored pixels, and one that is shifted and noisy."""
    truth = np.zeros((23, 31), dtype=np.int32)
    for class_id in rng.permutation([1, 2]):
        top, left = rng.integers(0, 14), rng.integers(0, 20)
        truth[top : top + 9, left : left + 11] = class_id
    prediction = np.roll(truth, rng.integers(-2, 3, 2), (0, 1))
    noise = rng.random(truth.shape) < 0.02
    prediction[noise] = rng.integers(0, 3, noise.sum())
    return np.where(rng.random(truth.shape) < 0.03, IGNORE, truth).astype(np.int32), prediction


def probabilities(rng):
    truth, prediction = masks(rng)
    p = rng.random((*truth.shape, 3)) + np.eye(3)[prediction]
    return truth, of_probabilities(p / p.sum(axis=-1, keepdims=True), CLASSES)


def objects(rng):
    """Up to five boxes and slightly other ones; at times there is none."""
    def instances(boxes, scores):
        rows, columns = np.mgrid[:40, :50]
        found = [
            (rows >= y) & (rows < y + h) & (columns >= x) & (columns < x + w)
            for y, x, h, w in boxes
        ]
        classes = [1 + i % 2 for i in range(len(boxes))]
        return Instances.from_masks(np.array(found).reshape(-1, 40, 50), classes, scores)

    boxes = rng.integers((0, 0, 5, 5), (25, 35, 14, 14), (rng.integers(0, 5), 4))
    moved = boxes + rng.integers(-1, 2, boxes.shape)
    return instances(boxes, None), instances(moved, rng.random(len(moved)))


def segments(rng):
    from maskr.metrics.segments import Segments

    def one(ids):
        numbers = np.unique(ids[ids > 0])
        return Segments(ids, numbers, numbers % 3, np.zeros(numbers.size, dtype=bool))

    truth = np.kron(rng.integers(0, 7, (4, 5)), np.ones((6, 7), dtype=np.int32)).astype(np.int32)
    return one(truth), one(np.roll(truth, rng.integers(0, 3, 2), (0, 1)))


IMAGES = {
    "thresholds": probabilities, "calibration": probabilities,
    "coco": objects, "bioimage": objects, "panoptic": segments,
}
SYMMETRIC = {"semantic": {"iou", "dice", "f1", "kappa", "pixel_accuracy", "mean_iou"},
             "boundary": {"boundary_f1", "boundary_iou"},
             "surface": {"hausdorff", "hd95", "assd", "nsd"}}


def images(name, seed, n):
    rng = np.random.default_rng(seed)
    return [list(x) for x in zip(*(IMAGES.get(name, masks)(rng) for _ in range(n)), strict=True)]


def counted(name, seed=1, n=4, keep=True):
    accumulator = Accumulator([family(name)], keep=keep)
    accumulator.update_all(*images(name, seed, n))
    return accumulator


def assert_same(a, b):
    assert list(a) == list(b)
    for key in a:
        assert np.shape(a[key].value) == np.shape(b[key].value)
        np.testing.assert_allclose(a[key].value, b[key].value, rtol=1e-9, atol=1e-12, err_msg=key)
        np.testing.assert_allclose(a[key].n, b[key].n, err_msg=key)


every_family = pytest.mark.parametrize("name", FAMILIES)
some_images = given(seed=st.integers(0, 1000), cut=st.integers(0, 4))
few = settings(max_examples=5, deadline=None)


# every family -------------------------------------------------------------------------------------


@every_family
@few
@some_images
def test_merged_parts_are_the_whole(name, seed, cut):
    truths, predictions = images(name, seed, 4)
    for keep in (True, False):
        whole = Accumulator([family(name)], keep)
        for pair in zip(truths, predictions, strict=True):
            whole.update(*pair)
        merged = Accumulator([family(name)], keep)
        for part in (slice(None, cut), slice(cut, None)):
            other = Accumulator([family(name)], keep)
            other.update_all(truths[part], predictions[part])
            merged.merge(other)
        assert merged.images == whole.images == 4
        assert_same(merged.compute(), whole.compute())
        assert_same(merged.compute(), counted(name, seed, keep=not keep).compute())


@every_family
def test_state_gives_the_accumulator_again(name):
    before = counted(name)
    after = Accumulator.from_state(before.state())
    assert describe(after.families) == describe(before.families)
    assert (after.images, after.keep) == (4, True)
    assert_same(after.compute(), before.compute())
    each = [one.families[0].per_image(one.parts[0]) for one in (before, after)]
    assert_same(*each)
    empty = Accumulator.from_state(Accumulator([family(name)], keep=True).state())
    empty.merge(before)
    assert_same(empty.compute(), before.compute())


@every_family
@few
@given(seed=st.integers(0, 1000))
def test_bounds(name, seed):
    for key, score in counted(name, seed).compute().items():
        defined = score.value[~np.isnan(score.value)]
        assert (defined >= (-1 if key == "kappa" else 0)).all(), key
        assert key.removesuffix(CLASS) in UNBOUNDED or (defined <= 1 + 1e-12).all(), key
        assert (np.asarray(score.n) >= 0).all()


@every_family
def test_order_of_images_does_not_matter(name):
    truths, predictions = images(name, 7, 4)
    backwards = Accumulator([family(name)], keep=True)
    backwards.update_all(truths[::-1], predictions[::-1])
    assert_same(backwards.compute(), counted(name, 7).compute())


@every_family
def test_resamples_are_scores_of_repeated_images(name):
    truths, predictions = images(name, 3, 3)
    accumulator = counted(name, 3, 3)
    drawn = [0, 2, 2]
    repeated = Accumulator([family(name)], keep=True)
    repeated.update_all([truths[i] for i in drawn], [predictions[i] for i in drawn])
    weights = np.array([[1, 1, 1], [1, 0, 2]])
    modes = ["pooled"] if name == "coco" else ["pooled", "mean"]
    for aggregate in modes:
        resampled = accumulator.scores(aggregate, weights)
        expected = [one.scores(aggregate) for one in (accumulator, repeated)]
        for key, score in resampled.items():
            assert score.value.shape == (2, *np.shape(expected[0][key].value))
            for r in range(2):
                np.testing.assert_allclose(
                    score.value[r], expected[r][key].value, rtol=1e-9, atol=1e-12, err_msg=key
                )


@every_family
def test_scores_of_single_images_are_those_of_an_image_alone(name):
    truths, predictions = images(name, 5, 3)
    accumulator = counted(name, 5, 3)
    each = accumulator.families[0].per_image(accumulator.parts[0])
    for i, pair in enumerate(zip(truths, predictions, strict=True)):
        alone = Accumulator([family(name)])
        alone.update(*pair)
        assert_same({k: Score(s.value[i], s.n[i], s.per_class) for k, s in each.items()},
                    alone.compute())


@every_family
def test_n_of_an_overall_score_is_the_sum_over_its_classes(name):
    for aggregate in ("pooled", "mean"):
        scores = counted(name).scores(aggregate)
        for key, score in scores.items():
            if key + CLASS in scores:
                assert score.n == pytest.approx(np.sum(scores[key + CLASS].n)), key


@every_family
def test_support_is_that_of_the_truth_whatever_was_predicted(name):
    accumulator = counted(name)
    truths, predictions = images(name, 1, 4)
    found = results.support(accumulator)
    if found is None:
        assert name in {"thresholds", "calibration", "boundary", "surface"}
        return
    assert found.shape == (4, 3)
    other = Accumulator([family(name)], keep=False)
    other.update_all(truths, [predictions[i] for i in (0, 0, 0, 0)])
    assert (results.support(other) == found.sum(axis=0, keepdims=True)).all()
    if name == "semantic":
        assert (found == [[(truth == k).sum() for k in CLASSES] for truth in truths]).all()


def test_settings_are_the_arguments_of_each_family():
    accumulator = Accumulator([family("semantic"), FAMILIES["surface"]()([0, 1, 2], 1)])
    assert results.settings(accumulator, results.Options("mean")) == {
        "aggregate": "mean", "families": {"semantic": {}, "surface": {"tolerance": 1.0}}
    }


@every_family
def test_tables_have_a_row_for_each_score(name):
    accumulator = counted(name)
    table = accumulator.table(per_image=True, resampling=Resampling(replicates=20))
    lengths = {len(column) for column in table.values()}
    scores = accumulator.compute()
    rows = sum(3 if score.per_class else 1 for score in scores.values())
    assert lengths == {rows * 5}
    pooled = np.array([x for x in range(rows) if not np.isnan(table["lower"][x])])
    assert (table["lower"][pooled] <= table["upper"][pooled]).all()
    for details in accumulator.families[0].details(accumulator.parts[0]).values():
        assert len({len(column) for column in details.values()}) == 1


@pytest.mark.parametrize("name", SYMMETRIC)
@few
@given(seed=st.integers(0, 1000))
def test_truth_and_prediction_may_change_places(name, seed):
    truths, predictions = images(name, seed, 2)
    truths = [np.maximum(mask, 0) for mask in truths]
    forward, backward = (Accumulator([family(name)]) for _ in range(2))
    forward.update_all(truths, predictions)
    backward.update_all(predictions, truths)
    before, after = forward.compute(), backward.compute()
    for key in before:
        if key.removesuffix(CLASS) in SYMMETRIC[name]:
            np.testing.assert_allclose(before[key].value, after[key].value, err_msg=key)


@pytest.mark.parametrize("name", ["semantic", "boundary", "surface"])
def test_new_ids_for_the_classes_change_nothing(name):
    truths, predictions = images(name, 9, 3)
    new = np.array([40, 7, 300, IGNORE])  # IGNORE is -1
    renamed = type(family(name))(new[:3])
    accumulator = Accumulator([renamed])
    accumulator.update_all([new[x] for x in truths], [new[x] for x in predictions])
    assert_same(accumulator.compute(), counted(name, 9, 3).compute())


# merging, keeping ---------------------------------------------------------------------------------


def test_only_sums_are_held_unless_images_are_kept():
    assert len(counted("semantic", keep=False).parts[0]) == 1
    assert len(counted("semantic", keep=True).parts[0]) == 4


@pytest.mark.parametrize(
    "asked", [{"aggregate": "mean"}, {"per_image": True}, {"resampling": Resampling()}]
)
def test_single_images_must_have_been_kept(asked):
    with pytest.raises(MaskrError, match="Single images were not kept"):
        counted("semantic", keep=False).table(**asked)


def test_accumulators_of_other_classes_do_not_merge():
    with pytest.raises(MaskrError, match="same metrics and classes"):
        counted("semantic").merge(Accumulator([Semantic([0, 1])]))


def test_what_is_wrong_leaves_the_accumulator_as_it_was():
    accumulator = counted("semantic", n=2)
    before = accumulator.compute()
    good = np.zeros((4, 5), np.int32)
    with pytest.raises(DataError, match="Image 2: The prediction holds class id 9"):
        accumulator.update_all([good, good], [good, good + 9])
    with pytest.raises(ShapeError, match="2 truths came with 1 predictions"):
        accumulator.update_all([good, good], [good])
    assert accumulator.images == 2
    assert_same(accumulator.compute(), before)


# intervals ----------------------------------------------------------------------------------------


def test_intervals_of_a_mean_are_those_of_theory():
    rng = np.random.default_rng(1)
    hits = rng.integers(20, 80, 400)
    accumulator = Accumulator([Semantic([0, 1])], keep=True)
    accumulator.add([[np.array([[hit, 100 - hit], [0, 0]]) for hit in hits]])
    table = accumulator.table(resampling=Resampling(level=0.9, replicates=2000, seed=4))
    error = hits.std() / 100 / np.sqrt(hits.size)
    assert table["metric"][0] == "pixel_accuracy"
    half = 1.645 * error
    assert table["lower"][0] == pytest.approx(hits.mean() / 100 - half, abs=0.1 * half)
    assert table["upper"][0] == pytest.approx(hits.mean() / 100 + half, abs=0.1 * half)
    assert accumulator.table(resampling=Resampling(0.9, 2000, 4))["lower"][0] == table["lower"][0]


def test_undefined_resamples_are_left_out():
    values = np.array([[np.nan, np.nan], [0.2, np.nan], [0.4, np.nan]])
    lower, upper = interval(values, 0.5)
    assert lower == pytest.approx([0.25, np.nan], nan_ok=True)
    assert upper == pytest.approx([0.35, np.nan], nan_ok=True)


def test_bounds_may_be_infinite():
    # 0, 1, ..., 97 and three infinite resamples: the bounds lie at places 2.475 and 96.525, 97.5
    values = np.arange(100.0)[:, None]
    values[98:] = np.inf
    lower, upper = interval(values, 0.95)
    assert (lower, upper) == (2, 97)
    values[97:] = np.inf
    assert interval(values, 0.95)[1] == np.inf
    assert interval(-values, 0.95)[0] == -np.inf
    assert [bound[0] for bound in interval(np.full((9, 1), np.inf), 0.5)] == [np.inf, np.inf]


def test_one_image_has_no_interval():
    with pytest.raises(DataError, match="resampling images, and there is 1"):
        counted("semantic", n=1).table(resampling=Resampling())


def test_paired_differences_know_that_images_are_the_same():
    rng = np.random.default_rng(2)
    base = rng.integers(20, 80, 30)  # images differ far more than models do
    states = []
    for gain in (0, 3):
        accumulator = Accumulator([Semantic([0, 1])], keep=True)
        accumulator.add([[np.array([[x + gain, 100 - x - gain], [0, 0]]) for x in base]])
        states.append(accumulator.state())
    found = results.compare(*states, "pooled", {"replicates": 200})
    assert found["metric"][0] == "pixel_accuracy"
    assert found["lower"][0] == pytest.approx(0.03)
    assert found["upper"][0] == pytest.approx(0.03)
    with pytest.raises(DataError, match="other|different metrics or classes"):
        results.compare(states[0], counted("semantic").state(), "pooled", {})


def test_infinite_distances_make_means_infinite():
    score = Score(np.array([1.0, np.inf, np.nan]), np.array([1.0, 1, 0]))
    mean = tables.mean_of_images(score, np.array([[1, 1, 1], [2, 0, 1], [0, 0, 3]]))
    assert mean.value == pytest.approx([np.inf, 1, np.nan], nan_ok=True)


# several processes --------------------------------------------------------------------------------


def test_two_processes_gather_what_one_counts(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc_per_node=2", two_accumulators.__file__, str(tmp_path)]
    out = subprocess.run(command, capture_output=True, text=True, timeout=600,
                         env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert out.returncode == 0, out.stderr
    alone = Accumulator([Semantic(range(3))], keep=True)
    for rank in range(2):
        alone.update_all(*map(list, two_accumulators.images(rank)))
    expected = alone.gathered().table(per_image=True)["value"]
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found["images"] == 2 - rank
        np.testing.assert_array_equal(np.array(found["value"], dtype=float), expected)


def test_one_image_gives_no_interval():
    truth = np.array([[0, 0, 1], [1, 1, 0]])
    counted = Accumulator([Semantic([0, 1, 2])], keep=True)
    for prediction in (truth, truth[:, ::-1]):
        counted.update(truth, prediction)
    counted.update(truth + 2 * (truth == 0), truth)
    columns = counted.table(resampling=Resampling(seed=1))
    row = {key: i for i, key in enumerate(zip(columns["metric"], columns["class"], strict=True))}
    assert not np.isnan(columns["lower"][row["recall", 0]])
    # class 2 is in the last image alone
    assert columns["value"][row["recall", 2]] == 0
    assert np.isnan(columns["lower"][row["recall", 2]])
    assert np.isnan(columns["upper"][row["recall", 2]])
