"""Instances: masks, run lengths and label images turn into each other without loss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from maskr import instances
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances
from PIL import Image

sizes = st.tuples(st.integers(1, 7), st.integers(1, 9))
label_images = sizes.flatmap(lambda size: arrays(np.int32, size, elements=st.integers(0, 4)))
mask_stacks = st.tuples(st.integers(0, 4), st.integers(1, 7), st.integers(1, 9)).flatmap(
    lambda shape: arrays(bool, shape)
)


@settings(max_examples=60, deadline=None)
@given(masks=mask_stacks)
def test_masks_survive_run_lengths(masks):
    made = Instances.from_masks(masks, np.arange(len(masks)))
    np.testing.assert_array_equal(made.masks(), masks)
    np.testing.assert_array_equal(made.areas, masks.sum((1, 2)))
    for mask, (xmin, ymin, xmax, ymax) in zip(masks, made.boxes, strict=True):
        if mask.any():
            rows, cols = np.nonzero(mask)
            assert [xmin, ymin] == [cols.min(), rows.min()]
            assert [xmax, ymax] == [cols.max() + 1, rows.max() + 1]


@settings(max_examples=60, deadline=None)
@given(labels=label_images)
def test_labels_become_instances_and_back(labels):
    made = Instances.from_labels(labels, 3)
    numbers = [n for n in np.unique(labels) if n > 0]
    direct = Instances.from_masks(
        np.array([labels == n for n in numbers]).reshape(-1, *labels.shape), [3] * len(numbers)
    )
    assert made.rles == direct.rles
    owner = made.flatten()
    np.testing.assert_array_equal(np.append(0, numbers)[owner], labels)


@settings(max_examples=30, deadline=None)
@given(masks=mask_stacks)
def test_r_columns_round_trip(masks):
    scores = np.linspace(0, 1, len(masks))
    made = Instances.from_masks(masks, np.arange(len(masks)), scores)
    columns = {k: list(v) for k, v in made.to_r().items()}
    back = Instances.from_r(columns, made.size)
    assert back.rles == made.rles
    np.testing.assert_array_equal(back.masks(), masks)
    np.testing.assert_array_equal(back.boxes, made.boxes)
    np.testing.assert_array_equal(back.scores, scores)


def test_run_lengths_are_those_of_coco():
    mask = np.zeros((3, 4), dtype=bool)
    mask[1, 1] = mask[2, 1] = mask[0, 2] = True
    # column by column: 4 off, 3 on, 5 off; characters are 48 + count
    assert Instances.from_masks(mask[None], [1]).rles == ["435"]


def test_a_one_row_data_frame_arrives_as_bare_numbers():
    columns = {"class": 1, "score": 0.5, "xmin": 0, "ymin": 0, "xmax": 1, "ymax": 1, "area": 1.0}
    made = Instances.from_r({**columns, "rle": "03"}, [1, 3])
    assert len(made) == 1
    assert made.boxes.shape == (1, 4)


def test_given_boxes_are_kept_and_lengths_checked():
    masks = np.ones((2, 3, 4), dtype=bool)
    boxes = np.array([[0.5, 0, 3, 3], [0, 0, 1, 1]])
    np.testing.assert_array_equal(Instances.from_masks(masks, [1, 2], boxes=boxes).boxes, boxes)
    with pytest.raises(ShapeError):
        Instances.from_masks(masks, [1])
    with pytest.raises(ShapeError):
        Instances.from_masks(masks[0], [1])


def test_the_higher_score_wins_then_the_later_object():
    masks = np.zeros((3, 1, 4), dtype=bool)
    masks[0, 0, :3] = masks[1, 0, 1:] = masks[2, 0, 2:] = True
    scored = Instances.from_masks(masks, [1, 1, 1], [0.9, 0.5, 0.5])
    assert scored.flatten().tolist() == [[1, 1, 1, 3]]
    plain = Instances.from_masks(masks, [1, 1, 1])
    assert plain.flatten().tolist() == [[1, 2, 3, 3]]


def test_which_decodes_some():
    masks = np.eye(4, dtype=bool).reshape(4, 2, 2)
    made = Instances.from_masks(masks, [1] * 4)
    np.testing.assert_array_equal(made.masks([3, 0]), masks[[3, 0]])
    assert made.masks([]).shape == (0, 2, 2)


def test_run_lengths_of_another_size_are_refused():
    for call in (instances.decode, instances.measure):
        with pytest.raises(DataError, match="does not fit"):
            call(["abc"], (3, 4))
        with pytest.raises(DataError, match="does not fit"):
            call(Instances.from_labels(np.eye(4, dtype=int), 1).rles, (9, 9))
        good = Instances.from_labels(np.ones((3, 4), dtype=int), 1).rles
        with pytest.raises(DataError, match="rle of object 2 does not fit an image of 3 x 4"):
            call([*good, "abc"], (3, 4))


@pytest.mark.parametrize("order", ["C", "F"])
def test_labels_from_r_keep_their_numbers(order):
    labels = np.array([[7, 7, 0, 2], [7, 0, -(2**31), 2], [0, 300, 300, 2]], np.int32, order=order)
    found = instances.r_from_labels(labels, 5)
    assert found["id"].tolist() == [2, 7, 300]
    assert found["area"].tolist() == [3, 3, 2]
    assert found["xmin"].tolist() == [3, 0, 1]
    labels[0, 3] = -4
    with pytest.raises(DataError, match="not -4"):
        instances.r_from_labels(labels, 5)
    assert instances.r_from_labels(np.zeros((3, 4), np.int32), 1)["id"].size == 0


def test_areas_are_those_of_the_masks(rng):
    masks = rng.random((5, 7, 9)) < np.array([0, 1, 0.5, 0.1, 0.9])[:, None, None]
    masks[2, 0, 0], masks[3, -1, -1] = True, True
    areas, _ = instances.measure(instances.encode(masks), (7, 9))
    assert areas.dtype == np.float64
    np.testing.assert_array_equal(areas, masks.sum(axis=(1, 2)))


@settings(max_examples=60, deadline=None)
@given(labels=label_images)
def test_every_code_covers_its_image(labels):
    rles = Instances.from_labels(labels, 1).rles
    assert instances.pixel_counts(rles).tolist() == [labels.size] * len(rles)


def test_what_is_no_code_covers_nothing():
    codes = ["", "é", "`", "!", "5", "5M4"]
    assert instances.pixel_counts(codes).tolist() == [-1, -1, -1, -1, 5, -1]
    long = np.zeros((300, 400), dtype=int)
    long[10:250, 20:390] = 1
    many = Instances.from_labels(long, 1).rles * 9000
    assert set(instances.pixel_counts([*many, "o"]).tolist()) == {120000, -1}


def rasterised(rings, size):
    from faster_coco_eval.core import mask as coco

    polygons = [ring.ravel().tolist() for ring in rings if len(ring) > 2]
    return coco.decode(coco.merge(coco.frPyObjects(polygons, *size))).astype(bool)


def test_contours_keep_a_square_of_nine_pixels():
    mask = np.zeros((14, 16), dtype=bool)
    mask[2:11, 4:13] = True
    np.testing.assert_array_equal(rasterised(instances.contours(mask), mask.shape), mask)


def test_contours_of_a_disc_lose_next_to_nothing():
    rows, cols = np.mgrid[:40, :50]
    mask = (rows - 18) ** 2 + (cols - 25) ** 2 < 15**2
    again = rasterised(instances.contours(mask), mask.shape)
    assert (again & mask).sum() / (again | mask).sum() > 0.99


def test_outlines_lie_within_their_pixels():
    labels = np.zeros((6, 8), dtype=np.int32)
    labels[1:3, 2:5] = 4
    labels[5, 7] = 9
    made = Instances.from_labels(labels, 1)
    found = instances.r_outlines(made.to_r(), made.size)
    first = found["object"] == 1
    assert [found["x"][first].min(), found["x"][first].max()] == [2.25, 4.75]
    assert [found["y"][first].min(), found["y"][first].max()] == [1.25, 2.75]
    assert set(found["object"]) == {1, 2}


def test_label_files(tmp_path):
    path = str(tmp_path / "a.png")
    Image.fromarray(np.array([[0, 7, 7], [300, 0, 7]], dtype=np.uint16)).save(path)
    read = instances.read(path, 1)
    assert read["columns"]["id"].tolist() == [7, 300]
    assert read["columns"]["area"].tolist() == [3, 1]
    assert read["size"] == [2, 3]
    assert instances.read(path, 1, ignore=7)["columns"]["id"].tolist() == [300]
    Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).save(path)
    with pytest.raises(DataError, match="binary mask"):
        instances.read(path, 1)


def test_real_label_image_has_as_many_nuclei_as_its_index_says(shared_data):
    import csv

    with open(shared_data("nuclei/valid/index.csv")) as file:
        rows = list(csv.DictReader(file))[:5]
    for row in rows:
        name = row["file"].rsplit(".", 1)[0]
        read = instances.read(shared_data(f"nuclei/valid/labels/{name}.png"), 1)
        assert len(read["columns"]["rle"]) == int(row["nuclei"])
        assert read["size"] == [int(row["height"]), int(row["width"])]


def test_pages_are_refused(shared_data):
    with pytest.raises(ShapeError, match="31 pages"):
        instances.read(shared_data("stardist/mask3d.tif"), 1)
