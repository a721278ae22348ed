"""Reading of image files: every kind, depth and orientation, against the arrays that made them."""

import contextlib
import struct
import zlib

import numpy as np
import pytest
import tifffile
from maskr import images, masks
from maskr.annotations.colours import is_coloured
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


def save_sorts(folder, rng):
    """Write one file of each sort, large enough that a part of it is not the whole."""
    import cv2

    colour, grey = (rng.integers(0, 256, (50, 70, c), np.uint8) for c in (3, 1))
    deep = rng.integers(0, 65536, (50, 70, 3), dtype=np.uint16)
    for name, options in (
        ("a.png", {}), ("a.jpg", {}), ("a.bmp", {}), ("a.webp", {"lossless": True}),
        ("lzw.tif", {"compression": "tiff_lzw"}), ("jpeg.tif", {"compression": "jpeg"}),
    ):  # fmt: skip
        Image.fromarray(colour).save(folder / name, **options)
    Image.fromarray(grey[..., 0] > 128).save(folder / "fax.tif", compression="group4")
    cv2.imwrite(str(folder / "deep.png"), deep)
    cv2.imwrite(str(folder / "grey.png"), deep[..., 0])
    for name, compression in (("none", None), ("zlib", "zlib")):
        tifffile.imwrite(folder / f"{name}.tif", deep, compression=compression)
        pages = np.stack([deep[..., 0]] * 4)
        tifffile.imwrite(
            folder / f"pages-{name}.tif", pages, compression=compression, photometric="minisblack",
            metadata=None,
        )  # fmt: skip
    return sorted(folder.iterdir())


def test_a_part_of_a_file_is_a_format_error_and_prints_nothing(tmp_path, rng, capfd):
    for file in save_sorts(tmp_path, rng):
        whole = file.read_bytes()
        images.decode(str(file))
        # the last bytes of some sorts hold nothing that is needed
        for share in (0, 0.001, 0.02, 0.2, 0.5, 0.8, 0.95):
            file.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(FormatError, match=file.name):
                images.decode(str(file))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("seed", range(6))
def test_changed_bytes_give_an_image_or_a_format_error(tmp_path, seed):
    rng = np.random.default_rng(seed)
    for file in save_sorts(tmp_path, rng):
        content = bytearray(file.read_bytes())
        # headers are where damage leads astray
        for place in rng.integers(0, min(len(content), 400), 5):
            content[place] = rng.integers(256)
        file.write_bytes(content)
        with contextlib.suppress(FormatError):
            assert images.decode(str(file)).size > 0


def test_headers_that_claim_too_much_are_refused_before_anything_is_allocated(tmp_path):
    small = np.zeros((4, 6), np.uint8)
    for name, compression in (("none.tif", None), ("zlib.tif", "zlib"), ("packbits.tif", None)):
        tifffile.imwrite(tmp_path / name, small, compression=compression, metadata=None)
    Image.fromarray(small).save(tmp_path / "packbits.tif", compression="packbits")
    Image.fromarray(small).save(tmp_path / "lzw.tif", compression="tiff_lzw")
    Image.fromarray(small).save(tmp_path / "jpeg.tif", compression="jpeg")
    for name in ("none", "zlib", "packbits", "lzw", "jpeg"):
        path = tmp_path / f"{name}.tif"
        with tifffile.TiffFile(path, mode="r+b") as file:
            for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
                place = file.pages[0].tags[tag].offset
                file.filehandle.seek(place + 2)
                # as 32-bit numbers, stored in place
                file.filehandle.write(struct.pack("<HII", 4, 1, 2_000_000))
        with pytest.raises(FormatError, match="claims to hold 4 TB") as raised:
            images.decode(str(path))
        assert "damaged" in raised.value.hint


def test_a_png_that_claims_too_much_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    for side, words in ((10_000, "claims to hold 100 MB"), (1_000_000, "too large")):
        content[16:24] = struct.pack(">II", side, side)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(FormatError, match=words):
            images.decode(str(tmp_path / "a.png"))


def test_pages_in_a_circle_end(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((2, 3, 4), np.uint8), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        first, second = (page.offset for page in file.pages)
        file.filehandle.seek(second)
        (tags,) = struct.unpack("<H", file.filehandle.read(2))
        file.filehandle.seek(second + 2 + 12 * tags)
        file.filehandle.write(struct.pack("<I", first))
    assert images.count_pages(str(path)) == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool])
def test_where_0_is_white_images_are_turned_round_and_masks_are_not(tmp_path, dtype):
    stored = np.array([[0, 1, 1], [1, 0, 0]]).astype(dtype)
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, stored, photometric="miniswhite")
    top = 1 if dtype is bool else np.iinfo(dtype).max
    np.testing.assert_array_equal(images.decode(path)[..., 0], top - stored.astype(int))
    np.testing.assert_array_equal(masks.load(path), stored)


def test_faxes_and_lzw_count_as_their_headers_say(tmp_path):
    stored = np.array([[0, 1, 1, 0], [1, 0, 0, 1]], dtype=bool)
    for white_is_zero in (0, 1):
        path = tmp_path / "fax.tif"
        Image.fromarray(stored).save(path, compression="group4", tiffinfo={262: white_is_zero})
        with Image.open(path) as image:
            shown = np.asarray(image)
        np.testing.assert_array_equal(images.decode(str(path))[..., 0], shown)
        bits = ~shown if white_is_zero == 0 else shown
        np.testing.assert_array_equal(masks.load(str(path)), bits)
    grey = np.array([[0, 1, 2], [7, 200, 3]], dtype=np.uint8)
    path = tmp_path / "grey.tif"
    Image.fromarray(grey).save(path, compression="tiff_lzw", tiffinfo={262: 0})
    with Image.open(path) as image:
        shown = np.asarray(image)
    np.testing.assert_array_equal(images.decode(str(path))[..., 0], shown)
    np.testing.assert_array_equal(masks.load(str(path), ignore=None), 255 - shown.astype(int))


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
    with pytest.raises(ShapeError, match="4 channels .* an alpha channel that is not opaque"):
        images.fit_channels(rgba * 0.5, 3)
    with pytest.raises(ShapeError, match="alpha channel"):
        images.fit_channels(rgba[:2], 1)
    with pytest.raises(ShapeError, match="3 channels"):
        images.fit_channels(rgba[:3], 1)


def test_grey_that_was_saved_in_colour_is_one_channel():
    grey = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    opaque = np.concatenate([np.repeat(grey, 3, 0), np.ones_like(grey)])
    for image in (opaque[:3], opaque):
        np.testing.assert_array_equal(images.fit_channels(image, 1), grey)
    almost = opaque[:3].copy()
    almost[2, 1, 2] += 1e-3
    with pytest.raises(ShapeError, match="3 channels"):
        images.fit_channels(almost, 1)
    with pytest.raises(ShapeError, match="3 channels"):
        images.fit_channels(opaque[:3], 2)


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


@pytest.mark.parametrize("cut", [4, 6, 9, 30])
def test_the_head_of_a_cut_tiff_is_a_classed_error(tmp_path, cut):
    whole, path = tmp_path / "whole.tif", tmp_path / "cut.tif"
    tifffile.imwrite(whole, np.arange(35, dtype=np.uint8).reshape(5, 7))
    path.write_bytes(whole.read_bytes()[:cut])
    with pytest.raises(FormatError, match="cut.tif"):
        images.size_of(str(path))
    with pytest.raises(FormatError, match="cut.tif"):
        is_coloured(str(path))
