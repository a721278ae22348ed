"""Reading of image files: every kind, depth and orientation, against the arrays that made them."""

import numpy as np
import pytest
import tifffile
from maskr import images
from maskr.errors import DataError, FormatError, ShapeError
from PIL import Image


@pytest.fixture
def rgb(rng):
    return rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp"])
def test_eight_bit_colour_files_are_read_exactly(tmp_path, rgb, name):
    Image.fromarray(rgb).save(tmp_path / name, **({"lossless": True} if "webp" in name else {}))
    read = images.read(str(tmp_path / name))
    np.testing.assert_array_equal(read["data"], rgb / 255)
    assert read["data"].flags.f_contiguous
    assert read["range"].tolist() == [0, 1]
    np.testing.assert_array_equal(
        images.load(str(tmp_path / name)), rgb.transpose(2, 0, 1) / np.float32(255)
    )


def test_jpeg_is_close(tmp_path):
    ramp = np.repeat(np.linspace(0, 255, 32, dtype=np.uint8)[None, :, None], 24, 0).repeat(3, 2)
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(images.read(str(tmp_path / "a.jpg"))["data"], ramp / 255, atol=0.02)


def test_scale_false_keeps_the_units(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    read = images.read(str(tmp_path / "a.png"), scale=False)
    np.testing.assert_array_equal(read["data"], rgb)
    assert read["range"].tolist() == [0, 255]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_png_keeps_its_depth(tmp_path, rng, channels):
    import cv2

    pixels = rng.integers(0, 65536, (4, 6, channels), dtype=np.uint16)
    order = [0] if channels == 1 else [2, 1, 0, *range(3, channels)]
    cv2.imwrite(str(tmp_path / "a.png"), pixels[:, :, order])
    np.testing.assert_array_equal(images.read(str(tmp_path / "a.png"))["data"], pixels / 65535)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.uint32])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_tiff_of_any_type_and_number_of_channels(tmp_path, rng, dtype, channels):
    pixels = (rng.random((4, 6, channels)) * 200).astype(dtype)
    options = {"photometric": "rgb"} if channels == 3 else {"photometric": "minisblack"}
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, planarconfig="contig" if channels > 1 else None, **options
    )
    raw = images.decode(str(tmp_path / "a.tif"))
    assert raw.dtype == dtype
    np.testing.assert_array_equal(raw, pixels)


def test_lzw_tiff_is_read_without_further_packages(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(images.decode(str(tmp_path / "a.tif")), rgb)


def test_pages_become_a_volume_and_one_page_an_image(tmp_path, rng):
    stack = rng.integers(0, 65536, (3, 4, 6), dtype=np.uint16)
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, stack, photometric="minisblack")
    np.testing.assert_array_equal(images.decode(path)[..., 0], stack)
    np.testing.assert_array_equal(images.decode(path, [2])[..., 0], stack[1])
    np.testing.assert_array_equal(images.decode(path, [3, 1])[..., 0], stack[[2, 0]])
    with pytest.raises(FormatError, match="3 pages"):
        images.decode(path, [4])
    with pytest.raises(ShapeError, match="3 pages"):
        images.load(path)


def test_palettes_become_colours(tmp_path):
    index = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), mode="P")
    index.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    for name in ("a.png", "a.tif"):
        index.save(tmp_path / name)
        found = images.decode(str(tmp_path / name))[0]
        np.testing.assert_array_equal(found, 255 * np.eye(3, dtype=np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_exif_orientation_is_honoured_as_pillow_does(tmp_path, rgb, orientation, name):
    from PIL import ImageOps

    image = Image.fromarray(rgb)
    exif = image.getexif()
    exif[images.ORIENTATION_TAG] = orientation
    path = str(tmp_path / name)
    image.save(path, exif=exif)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(images.decode(path), expected)


def test_damaged_and_foreign_files_are_format_errors(tmp_path, rgb):
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(rgb).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    (tmp_path / "cut.tif").write_bytes(b"II*\0\x08\0\0\0")
    for name in ("text.png", "cut.png", "cut.tif", "missing.png"):
        with pytest.raises(FormatError):
            images.decode(str(tmp_path / name))


def test_non_finite_values_are_refused_for_models(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, np.nan]], dtype=np.float32))
    with pytest.raises(DataError):
        images.load(str(tmp_path / "a.tif"))


def test_fit_channels():
    grey = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    np.testing.assert_array_equal(images.fit_channels(grey, 3), np.repeat(grey, 3, 0))
    rgba = np.concatenate([grey, grey + 1, grey + 2, np.ones_like(grey)])
    np.testing.assert_array_equal(images.fit_channels(rgba, 3), rgba[:3])
    np.testing.assert_array_equal(images.fit_channels(rgba[2:], 3), np.repeat(rgba[2:3], 3, 0))
    assert images.fit_channels(rgba, 4) is rgba
    with pytest.raises(ShapeError, match="4 channels"):
        images.fit_channels(rgba * 0.5, 3)
    with pytest.raises(ShapeError, match="3 channels"):
        images.fit_channels(rgba[:3], 1)


def test_real_files(shared_data):
    volume = images.decode(shared_data("stardist/img3d.tif"))
    assert volume.shape == (31, 61, 57, 1)
    assert volume.dtype == np.uint16
    assert images.decode(shared_data("geotiff/zh17.tif")).shape == (1025, 1112, 4)
    assert images.load(shared_data("yolo/bus.jpg")).shape == (3, 1080, 810)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_size_of_a_png_is_read_without_decoding_it(tmp_path, monkeypatch, orientation):
    exif = Image.Exif()
    exif[images.ORIENTATION_TAG] = orientation
    path = str(tmp_path / "a.png")
    Image.new("L", (70, 40)).save(path, exif=exif)
    assert images.size_of(path) == ((70, 40) if orientation == 6 else (40, 70))
    plain = str(tmp_path / "b.png")
    Image.new("RGB", (70, 40)).save(plain)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert images.size_of(plain) == (40, 70)
