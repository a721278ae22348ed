"""Counting classes: hand-made masks, every kind of target, and rare classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr.arrays import IGNORE, NA_INTEGER
from maskr.datasets.spec import DataSpec
from maskr.datasets.statistics import count, each, r_count, repeat_factors, tally
from maskr.errors import DataError, FormatError
from maskr.instances import Instances
from PIL import Image


def data(targets, class_ids=(0, 3, 7), **options):
    names = [f"image {i}" for i in range(len(targets))]
    return DataSpec(targets, targets, names, class_ids, **options)


def test_counts_pixels_and_images_of_each_class():
    a = np.array([[0, 0, 3], [3, 3, NA_INTEGER]], dtype=np.int32)
    b = np.array([[0, 0, 0, 0]], dtype=np.int32)
    found = count(data([a, b]))
    np.testing.assert_array_equal(found.per_image, [[2, 3, 0], [4, 0, 0]])
    np.testing.assert_array_equal(found.pixels, [6, 3, 0])
    np.testing.assert_array_equal(found.images, [2, 1, 0])
    np.testing.assert_array_equal(found.pixels_around, [9, 5, 0])
    np.testing.assert_array_equal(found.ignored, [1, 0])


def test_without_classes_the_ids_that_are_seen_are_counted():
    a = np.array([[70000, 2, 2]], dtype=np.int32)
    table = r_count(vars(data([a, a[:, 1:]], class_ids=[])))
    assert table == {"class": [2, 70000], "pixels": [4, 1], "images": [2, 1], "around": [5, 3]}


def test_files_and_instances_are_counted_alike(tmp_path):
    ids = np.zeros((6, 9), dtype=np.uint8)
    ids[1:3, 2:5], ids[4, 7] = 3, 7
    Image.fromarray(ids).save(tmp_path / "mask.png")
    objects = Instances.from_masks(np.stack([ids == 3, ids == 7]), [3, 7])
    columns = {k: list(v) for k, v in objects.to_r().items()}
    targets = [str(tmp_path / "mask.png"), {"columns": columns, "size": [6, 9]}, ids.astype("i4")]
    found = count(data(targets))
    np.testing.assert_array_equal(found.per_image, [[47, 6, 1]] * 3)


def test_unknown_ids_and_damaged_files_are_errors(tmp_path):
    with pytest.raises(DataError, match='image 1 holds the class id 5; .* 0, 3, 7'):
        count(data([np.zeros((2, 2), np.int32), np.full((2, 2), 5, np.int32)]))
    (tmp_path / "x.png").write_bytes(b"no image")
    with pytest.raises(FormatError, match="x.png"):
        count(data([str(tmp_path / "x.png")]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([IGNORE, 0, 1, 5, 255, 65535, 65536, 2**31 - 1]), min_size=1))
def test_a_tally_counts_every_pixel_once(values):
    ids = np.array([values], dtype=np.int32)
    assert tally(ids) == {value: values.count(value) for value in set(values)}


def test_progress_is_told_in_order():
    told = []
    results = list(each(5, lambda i: i * i, 3, lambda done, all: told.append((done, all))))
    assert results == [0, 1, 4, 9, 16]
    assert told == [(i, 5) for i in range(1, 6)]


def test_repeat_factors_by_hand():
    # class 0 in all 8 images, class 1 in 2 (a quarter), class 2 in 1, class 3 in none
    presence = np.zeros((8, 4), dtype=bool)
    presence[:, 0] = True
    presence[[2, 5], 1] = True
    presence[5, 2] = True
    factors = repeat_factors(presence, 0.5)
    expected = np.ones(8)
    expected[2], expected[5] = np.sqrt(0.5 / 0.25), np.sqrt(0.5 / 0.125)
    np.testing.assert_allclose(factors, expected)
    np.testing.assert_array_equal(repeat_factors(presence, 0.1), np.ones(8))
