"""Mask files: what is read is what was written, and 255 is never guessed."""

import os

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from maskr import masks
from maskr.arrays import IGNORE, NA_INTEGER, mask_to_r
from maskr.errors import DataError, FormatError
from PIL import Image


def save(path, values, dtype=np.uint8):
    Image.fromarray(np.array(values, dtype=dtype)).save(path)
    return str(path)


def colours(n):
    return [f"#{i:02X}{255 - i:02X}{(7 * i) % 256:02X}" for i in range(n)]


def class_ids(top):
    ids = st.one_of(st.just(IGNORE), st.integers(0, top))
    sizes = st.tuples(st.integers(1, 6), st.integers(1, 9))
    return sizes.flatmap(lambda size: arrays(np.int32, size, elements=ids))


@settings(max_examples=25, deadline=None)
@given(mask=class_ids(254), suffix=st.sampled_from([".png", ".tif"]))
def test_eight_bit_round_trip(tmp_path_factory, mask, suffix):
    path = str(tmp_path_factory.mktemp("m") / f"mask{suffix}")
    ids = list(range(255))
    masks.write(mask_to_r(mask), path, ids, colours(255))
    np.testing.assert_array_equal(masks.load(path, explicit=True), mask)
    back = masks.read(path, explicit=True)
    np.testing.assert_array_equal(back["data"], mask_to_r(mask))
    assert back["palette"][:255] == colours(255)
    assert back["ids"].tolist() == sorted(set(mask.ravel().tolist()) - {IGNORE})


@settings(max_examples=25, deadline=None)
@given(mask=class_ids(65534), suffix=st.sampled_from([".png", ".tif"]))
def test_sixteen_bit_round_trip_without_a_word_about_ignore(tmp_path_factory, mask, suffix):
    path = str(tmp_path_factory.mktemp("m") / f"mask{suffix}")
    ids = sorted(set(mask.ravel().tolist()) - {IGNORE})
    masks.write(mask_to_r(mask), path, ids, ["#000000"] * len(ids), bits=16)
    np.testing.assert_array_equal(masks.load(path, classes=[255]), mask)


def test_volumes_are_written_as_pages(tmp_path, rng):
    volume = rng.integers(0, 3, (4, 5, 6)).astype(np.int32)
    path = str(tmp_path / "a.tif")
    masks.write(volume, path, [0, 1, 2], colours(3))
    np.testing.assert_array_equal(masks.load(path), volume)
    with pytest.raises(FormatError, match="volume"):
        masks.write(volume, str(tmp_path / "a.png"), [0, 1, 2], colours(3))


def test_only_0_and_255_needs_a_word(tmp_path):
    path = save(tmp_path / "a.png", [[0, 255, 255]])
    with pytest.raises(DataError, match="only the values 0 and 255"):
        masks.load(path)
    assert masks.load(path, values=[0, 255]).tolist() == [[0, 1, 1]]
    assert masks.load(path, ignore=255, explicit=True).tolist() == [[0, IGNORE, IGNORE]]
    assert masks.load(path, ignore=None).tolist() == [[0, 255, 255]]
    with pytest.raises(DataError):
        masks.load(save(tmp_path / "full.png", [[255, 255]]))
    assert masks.load(save(tmp_path / "empty.png", [[0, 0]])).tolist() == [[0, 0]]


def test_255_is_ignored_beside_other_classes(tmp_path):
    path = save(tmp_path / "a.png", [[0, 1, 255]])
    assert masks.load(path).tolist() == [[0, 1, IGNORE]]
    assert masks.load(path, ignore=1, explicit=True).tolist() == [[0, IGNORE, 255]]


def test_255_in_sixteen_bits_is_an_id_where_ids_go_beyond(tmp_path):
    few = save(tmp_path / "few.png", [[0, 1, 255]], np.uint16)
    many = save(tmp_path / "many.png", [[0, 255, 300, 65535]], np.uint16)
    assert masks.load(few).tolist() == [[0, 1, IGNORE]]
    assert masks.load(few, classes=[0, 1, 255]).tolist() == [[0, 1, 255]]
    assert masks.load(many).tolist() == [[0, 255, 300, IGNORE]]


def test_values_say_what_the_classes_are(tmp_path):
    path = save(tmp_path / "a.png", [[0, 128, 255, 7]])
    assert masks.load(path, values=[128, 0, 7, 255]).tolist() == [[1, 0, 3, 2]]
    assert masks.load(path, values=[128, 0, 7]).tolist() == [[1, 0, IGNORE, 2]]
    with pytest.raises(DataError, match="also holds 7"):
        masks.load(path, values=[0, 128, 255])
    with pytest.raises(DataError, match="must not be among"):
        masks.load(path, values=[0, 255], ignore=255, explicit=True)


def test_colour_pictures_are_refused_and_grey_ones_in_colour_taken(tmp_path, rng):
    with pytest.raises(FormatError, match="3 channels"):
        masks.load(save(tmp_path / "a.png", rng.integers(0, 9, (3, 4, 3))))
    grey = np.repeat(rng.integers(0, 9, (3, 4, 1)), 3, axis=2)
    np.testing.assert_array_equal(masks.load(save(tmp_path / "b.png", grey)), grey[:, :, 0])


def test_values_that_are_no_class_ids(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0.5, 1]], dtype=np.float32))
    with pytest.raises(DataError, match="fractions"):
        masks.load(str(tmp_path / "a.tif"))
    tifffile.imwrite(tmp_path / "b.tif", np.array([[-1, 1]], dtype=np.int16))
    with pytest.raises(DataError, match="negative"):
        masks.load(str(tmp_path / "b.tif"))
    assert masks.load(str(tmp_path / "b.tif"), ignore=-1, explicit=True).tolist() == [[IGNORE, 1]]
    tifffile.imwrite(tmp_path / "c.tif", np.array([[2**31, 1]], dtype=np.uint32))
    with pytest.raises(DataError, match="too large"):
        masks.load(str(tmp_path / "c.tif"))


def test_what_stands_for_na_is_refused_as_a_class(tmp_path):
    path = str(tmp_path / "a.png")
    with pytest.raises(DataError, match="255 stands for NA"):
        masks.write(np.array([[0, 255]], dtype=np.int32), path, [0, 255], colours(2))
    masks.write(np.array([[0, 255]], dtype=np.int32), path, [0, 255], colours(2), bits=16)
    with pytest.raises(DataError, match="65535 stands for NA"):
        masks.write(np.array([[0]], dtype=np.int32), path, [0, 65535], colours(2))
    with pytest.raises(DataError, match="does not fit into 8 bits"):
        masks.write(np.array([[300]], dtype=np.int32), path, [300], colours(1), bits=8)


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    path = str(tmp_path / "a.png")
    before = np.array([[1, 2, NA_INTEGER]], dtype=np.int32)
    masks.write(before, path, [1, 2], colours(2))

    def fail(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(FormatError, match="No space left"):
        masks.write(before * 0, path, [0], colours(1))
    assert os.listdir(tmp_path) == ["a.png"]
    assert masks.load(path).tolist() == [[1, 2, IGNORE]]
    with pytest.raises(FormatError, match="does not exist"):
        masks.write(before, str(tmp_path / "none" / "a.png"), [1, 2], colours(2))
    with pytest.raises(FormatError, match=".png or .tif"):
        masks.write(before, str(tmp_path / "a.jpg"), [1, 2], colours(2))


def test_real_index_png_with_the_voc_palette(shared_data):
    base = "labelme/instance_segmentation/data_dataset_voc/"
    read = masks.read(shared_data(base + "SegmentationClass/2011_000003.png"), explicit=True)
    truth = np.load(shared_data(base + "SegmentationClassNpy/2011_000003.npy"))
    np.testing.assert_array_equal(np.where(truth < 0, NA_INTEGER, truth), read["data"])
    assert read["palette"][:3] == ["#000000", "#800000", "#008000"]
