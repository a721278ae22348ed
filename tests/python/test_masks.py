"""Mask files: what is read is what was written, and 255 is never guessed."""

import os
import sys

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from maskr import instances, masks
from maskr.arrays import IGNORE, NA_INTEGER, mask_to_r
from maskr.errors import DataError, FormatError
from maskr.lossy_files import is_lossy
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


# files that mislead -------------------------------------------------------------------------------

BINARY = [[0, 0, 1], [1, 0, 1]]


@pytest.mark.parametrize(
    ("dtype", "top"),
    [(np.uint8, 255), (np.int8, 127), (np.uint16, 65535), (np.int16, 32767), (np.uint16, 255),
     (np.int32, 2**31 - 1), (np.float32, 255), (np.float64, 65535), (np.int32, 65535)],
)  # fmt: skip
def test_0_and_the_top_of_a_type_need_a_word(tmp_path, dtype, top):
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, (np.array(BINARY) * top).astype(dtype))
    with pytest.raises(DataError, match=f"only the values 0 and {top}") as error:
        masks.load(path)
    assert error.value.argument == "values"
    assert f"values = c(0, {top})" in error.value.hint
    assert masks.load(path, values=[0, top]).tolist() == BINARY
    ignored = (-np.array(BINARY)).tolist()
    assert masks.load(path, ignore=top, explicit=True).tolist() == ignored
    if top not in (255, 65535):
        assert masks.load(path, classes=[0, top]).max() == top


def test_0_and_the_top_of_32_bits_are_no_ids(tmp_path):
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, (np.array(BINARY) * (2**32 - 1)).astype(np.uint32))
    with pytest.raises(DataError, match="only the values 0 and 4294967295"):
        masks.load(path)


def test_0_and_1_are_ids_in_every_type(tmp_path):
    for dtype in (bool, np.uint8, np.int16, np.uint32, np.float32, np.float64):
        tifffile.imwrite(tmp_path / "a.tif", np.array(BINARY, dtype=dtype))
        assert masks.load(str(tmp_path / "a.tif")).tolist() == BINARY


def test_a_bilevel_tiff_is_a_mask(tmp_path, rng):
    pixels = rng.random((20, 30)) > 0.7
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(masks.load(str(tmp_path / "a.tif")), pixels)


def blocks(values):
    """Squares of 12 x 12 pixels, one for each of 2 x 3 values."""
    return np.kron(np.array(values, dtype=np.uint8), np.ones((12, 12), dtype=np.uint8))


LOSSY = {
    "a.jpg": {}, "b.png": {"format": "JPEG"}, "a.webp": {"quality": 60},
    "a.tif": {"compression": "jpeg"}, "a.jp2": {"irreversible": True},
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_files_hold_no_ids(tmp_path, name):
    path = str(tmp_path / name)
    ids = blocks([[0, 1, 2], [2, 0, 1]])
    Image.fromarray(ids).save(path, **LOSSY[name])
    with pytest.raises(FormatError, match="compressed with loss"):
        masks.load(path)
    with pytest.raises(FormatError, match="compressed with loss"):
        masks.decode(path)
    # two levels that lie far apart are told from each other
    expected = blocks([[0, 1, 0], [1, 0, 1]])
    Image.fromarray(32 + 192 * expected).save(path, **LOSSY[name])
    np.testing.assert_array_equal(masks.load(path, values=[32, 224]), expected)
    np.testing.assert_array_equal(masks.load(path, values=[224, 32]), 1 - expected)
    for options in (
        {"values": [0, 100]}, {"values": [0, 128, 255]},
        {"values": [0, 200], "ignore": 255, "explicit": True},
    ):  # fmt: skip
        with pytest.raises(FormatError, match="compressed with loss"):
            masks.load(path, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.webp", {"lossless": True}), ("a.tif", {"compression": "tiff_lzw"}), ("a.bmp", {}),
     ("a.jp2", {"irreversible": False}), ("a.gif", {})],
)  # fmt: skip
def test_exact_files_hold_ids(tmp_path, name, options):
    ids = blocks([[0, 1, 2], [2, 0, 1]])
    Image.fromarray(ids).save(tmp_path / name, **options)
    np.testing.assert_array_equal(masks.load(str(tmp_path / name)), ids)


def test_a_webp_with_metadata_is_told_by_its_pixels(tmp_path):
    ids = blocks([[0, 1, 2], [2, 0, 1]])
    for lossless in (True, False):
        path = str(tmp_path / f"{lossless}.webp")
        Image.fromarray(ids).save(path, lossless=lossless, exif=b"Exif\0\0" + b"x" * 70000)
        assert is_lossy(path) != lossless


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_mask_in_alpha_is_an_error_that_names_it(tmp_path, mode, name):
    image = Image.new("L", (30, 20), 255).convert(mode)
    alpha = Image.new("L", (30, 20), 0)
    alpha.paste(255, (5, 5, 20, 15))
    image.putalpha(alpha)
    path = str(tmp_path / name)
    image.save(path)
    with pytest.raises(FormatError, match="alpha channel") as error:
        masks.load(path)
    assert f"[, , {len(mode)}, drop = TRUE] > 0.5" in error.value.hint
    # alpha that is the same everywhere says nothing
    ids = Image.fromarray(np.array(BINARY, dtype=np.uint8)).convert(mode)
    ids.save(path)
    assert masks.load(path).tolist() == BINARY


def test_sixteen_bits_with_alpha(tmp_path):
    import cv2

    grey = np.array([[0, 300, 300]], dtype=np.uint16)
    pixels = np.stack([grey, grey, grey, np.array([[0, 65535, 65535]], np.uint16)], axis=-1)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    with pytest.raises(FormatError, match="alpha channel"):
        masks.load(str(tmp_path / "a.png"))


def test_two_channels_are_an_error_that_says_so(tmp_path):
    channels = np.zeros((2, 20, 30), dtype=np.uint16)
    channels[0, 2:5, 2:5], channels[1, 9:12, 9:12] = 1, 1
    path = str(tmp_path / "a.tif")
    for options in ({"imagej": True, "metadata": {"axes": "CYX"}}, {"photometric": "minisblack",
                    "planarconfig": "separate", "metadata": None}):  # fmt: skip
        tifffile.imwrite(path, channels, **options)
        with pytest.raises(FormatError, match="holds 2 channels, and a mask has one"):
            masks.load(path)
        with pytest.raises(FormatError, match="holds 2 channels"):
            instances.read(path, 1)


def test_the_numbers_of_objects_are_as_strict(tmp_path):
    jpeg = str(tmp_path / "a.jpg")
    Image.fromarray(blocks([[0, 1, 2], [2, 0, 1]])).save(jpeg)
    with pytest.raises(FormatError, match="compressed with loss"):
        instances.read(jpeg, 1)
    binary = save(tmp_path / "a.png", np.array(BINARY) * 65535, np.uint16)
    with pytest.raises(DataError, match="only the values 0 and 65535: a binary mask"):
        instances.read(binary, 1)


def test_nan_and_no_data_are_ignored(tmp_path):
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, np.array([[0, 2, np.nan]], dtype=np.float32))
    assert masks.load(path).tolist() == [[0, 2, IGNORE]]
    assert masks.read(path)["data"].tolist() == [[0, 2, NA_INTEGER]]
    assert masks.read(path)["ids"].tolist() == [0, 2]
    assert masks.load(path, values=[2, 0]).tolist() == [[1, 0, IGNORE]]
    for dtype, nodata in ((np.int16, -9999), (np.uint8, 7), (np.int16, 300)):
        tag = (42113, "s", 0, str(nodata), True)
        pixels = np.array([[0, 2, nodata]], dtype=dtype)
        tifffile.imwrite(path, pixels, extratags=[tag], metadata=None)
        assert masks.load(path).tolist() == [[0, 2, IGNORE]]
    # rasterised objects often call their background so
    tag = (42113, "s", 0, "0", True)
    tifffile.imwrite(path, np.array([[0, 2, 1]], dtype=np.uint8), extratags=[tag], metadata=None)
    assert masks.load(path).tolist() == [[0, 2, 1]]


# what was written ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".nii.gz"])
@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("ids", [[0], [1], [0, 1], [0, 255], [255, 65535], [0, 70000]])
def test_masks_come_back_without_a_word(tmp_path, suffix, bits, ids):
    if suffix == ".nii.gz":
        pytest.importorskip("nibabel")
    if max(ids) >= 2**bits - 1 or suffix == ".png" and bits == 32:
        return
    mask = np.array([[IGNORE, *ids, ids[0]], [ids[-1], *ids, IGNORE]], dtype=np.int32)
    path = str(tmp_path / f"a{suffix}")
    masks.write(mask_to_r(mask), path, ids, colours(len(ids)), bits)
    np.testing.assert_array_equal(masks.load(path), mask)
    back = masks.read(path)
    np.testing.assert_array_equal(back["data"], mask_to_r(mask))
    assert back["ids"].tolist() == ids
    # without a single NA, too
    mask[mask == IGNORE] = ids[0]
    masks.write(mask_to_r(mask), path, ids, colours(len(ids)), bits)
    np.testing.assert_array_equal(masks.load(path), mask)


def test_ids_that_need_32_bits_are_written_to_tiff(tmp_path):
    mask = np.array([[0, 70000, IGNORE, 2**31 - 1]], dtype=np.int32)
    ids = [0, 70000, 2**31 - 1]
    masks.write(mask_to_r(mask), str(tmp_path / "a.tif"), ids, colours(3))
    np.testing.assert_array_equal(masks.load(str(tmp_path / "a.tif")), mask)
    assert tifffile.imread(tmp_path / "a.tif").dtype == np.uint32
    with pytest.raises(FormatError, match="a PNG file holds 16"):
        masks.write(mask_to_r(mask), str(tmp_path / "a.png"), ids, colours(3))
    with pytest.raises(DataError, match="does not fit into 16 bits") as error:
        masks.write(mask_to_r(mask), str(tmp_path / "a.tif"), ids, colours(3), bits=16)
    assert error.value.hint == "Write with bits = 32."


def test_narrower_tops_are_ids_where_ids_go_beyond(tmp_path):
    labels = np.array([[0, 255, 65535, 70000, 2**32 - 1]], dtype=np.uint32)
    tifffile.imwrite(tmp_path / "a.tif", labels)
    assert masks.load(str(tmp_path / "a.tif")).tolist() == [[0, 255, 65535, 70000, IGNORE]]


@pytest.mark.parametrize("compression", ["tiff_deflate", "tiff_lzw", "packbits"])
@pytest.mark.parametrize("codecs", [True, False])
def test_a_tiff_with_damaged_data_is_no_background(tmp_path, monkeypatch, compression, codecs):
    path = tmp_path / "labels.tif"
    ids = np.repeat(np.arange(1, 7), 16)[:, None] + np.zeros((96, 100))
    Image.fromarray(ids.astype(np.uint8)).save(path, compression=compression)
    np.testing.assert_array_equal(masks.load(str(path)), ids)
    with tifffile.TiffFile(path) as file:
        first, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    middle = first + length // 2
    data[middle : middle + max(length // 4, 4)] = b"\xff" * max(length // 4, 4)
    path.write_bytes(data)
    if not codecs:  # tifffile then leaves LZW to others
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(FormatError, match="cannot be decoded"):
        masks.load(str(path))
