"""Reading of image files: every kind, depth and orientation, against the arrays that made them."""

import contextlib
import struct
import zlib
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
from maskr import images, masks, tiff
from maskr.annotations.colours import is_coloured
from maskr.arrays import NA_REAL
from maskr.errors import DataError, FormatError, MissingPackageError, ShapeError
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
        # a changed byte may name another compression
        with contextlib.suppress(FormatError, MissingPackageError):
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
    assert tiff.count_pages(str(path)) == 2


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


def test_infinite_values_are_counted_and_refused_for_models(tmp_path):
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, np.array([[0, np.nan, np.inf, -np.inf]], dtype=np.float32))
    read = images.read(path)
    assert (read["missing"], read["infinite"]) == (1, 2)
    with pytest.raises(DataError, match="infinite values in 2 pixels"):
        images.load(path)


def test_missing_values_are_counted_and_become_rs_na(tmp_path, rng):
    pixels = rng.random((5, 7)).astype(np.float32)
    pixels[3, 2] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    read = images.read(str(tmp_path / "a.tif"))
    assert (read["missing"], read["infinite"]) == (1, 0)
    assert read["data"].view(np.uint64)[3, 2, 0] == NA_REAL
    assert np.isnan(read["data"]).sum() == 1
    assert read["range"].tolist() == [0, 1]


def geotiff(path, pixels, nodata, **options):
    """Write a TIFF with GDAL's tag for the number that is no value."""
    tag = (42113, "s", 0, nodata, True)
    tifffile.imwrite(path, pixels, extratags=[tag], metadata=None, **options)
    return str(path)


def test_the_no_data_value_of_a_geotiff_is_missing(tmp_path):
    pixels = np.array([[-9999, 3, 7], [0, -9999, 2]], dtype=np.int16)
    path = geotiff(tmp_path / "a.tif", pixels, "-9999")
    read = images.read(path, scale=False)
    assert read["missing"] == 2
    np.testing.assert_array_equal(np.isnan(read["data"][..., 0]), pixels == -9999)
    assert read["range"].tolist() == [0, 7]
    image = images.load(path, scale=False)
    np.testing.assert_array_equal(np.isnan(image[0]), pixels == -9999)
    np.testing.assert_array_equal(image[0][pixels != -9999], [3, 7, 0, 2])
    filled, missing = images.filled(image)
    np.testing.assert_array_equal(missing, pixels == -9999)
    np.testing.assert_array_equal(filled[0], [[3, 3, 7], [0, 3, 2]])


@pytest.mark.parametrize("nodata", ["-1", "nan", "1.5", "many"])
def test_a_no_data_value_that_the_type_cannot_hold_is_none(tmp_path, nodata):
    path = geotiff(tmp_path / "a.tif", np.array([[0, 1, 255]], dtype=np.uint8), nodata)
    assert images.read(path)["missing"] == 0


def test_a_colour_is_missing_where_all_its_channels_say_so(tmp_path):
    colours = np.array([[[255, 255, 255], [255, 0, 9]]], dtype=np.uint8)
    read = images.read(geotiff(tmp_path / "a.tif", colours, "255", photometric="rgb"))
    assert np.isnan(read["data"]).tolist() == [[[True] * 3, [False] * 3]]
    bands = geotiff(tmp_path / "b.tif", colours, "255", photometric="minisblack",
                    planarconfig="contig")  # fmt: skip
    assert np.isnan(images.read(bands)["data"]).tolist() == [[[True] * 3, [True, False, False]]]


def test_missing_pixels_of_real_rasters(shared_data):
    elevation = images.read(shared_data("r_rasters/terra_elev.tif"), scale=False)
    assert elevation["missing"] == 3942
    assert np.nanmax(elevation["data"]) == 547
    assert images.read(shared_data("geotiff/image_nodata.tif"))["missing"] == 73873
    assert images.read(shared_data("r_rasters/terra_logo.tif"))["missing"] == 0


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_numbers_packed_into_few_bits_are_read(tmp_path, rng, bits, white_is_zero):
    # an odd width, so that rows end within a byte
    pixels = rng.integers(0, 2**bits, (5, 7), dtype=np.uint8)
    path = packed_tiff(tmp_path / "a.tif", pixels, bits, 0 if white_is_zero else 1)
    stored = tiff.decode(path).stored[..., 0]
    np.testing.assert_array_equal(stored.astype(np.uint8), pixels)
    shown = 2**bits - 1 - pixels if white_is_zero else pixels
    np.testing.assert_allclose(images.read(path)["data"][..., 0], shown / (2**bits - 1))


def test_twelve_bits_are_divided_by_4095(tmp_path, rng):
    pixels = rng.integers(0, 4096, (5, 7), dtype=np.uint16)
    pixels[0, 0] = 4095
    path = packed_tiff(tmp_path / "a.tif", pixels, 12, 1)
    np.testing.assert_array_equal(images.decode(path)[..., 0], pixels)
    np.testing.assert_allclose(images.read(path)["data"][..., 0], pixels / 4095)


def test_a_packed_tiff_that_is_cut_is_damaged(tmp_path, rng):
    path = packed_tiff(tmp_path / "a.tif", rng.integers(0, 16, (50, 70), dtype=np.uint8), 4, 1)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError):
        images.decode(path)


def packed_tiff(path, pixels, bits, photometric, palette=None):
    """Write a TIFF of one strip whose numbers take `bits` each; rows begin at a byte."""
    height, width = pixels.shape
    rows = (pixels[..., None] >> np.arange(bits)[::-1]) & 1
    data = np.packbits(rows.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric),
            (273, 4, 0), (277, 3, 1), (278, 3, height), (279, 4, len(data))]  # fmt: skip
    if palette is not None:
        tags.append((320, 3, 0))
    start = 8 + 2 + 12 * len(tags) + 4
    colours = b"" if palette is None else (palette.astype("<u2") * 257).T.tobytes()
    entries = b""
    for tag, kind, value in tags:
        count = len(colours) // 2 if tag == 320 else 1
        value = {273: start + len(colours), 320: start}.get(tag, value)
        entries += struct.pack("<HHII", tag, kind, count, value)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    path.write_bytes(head + entries + struct.pack("<I", 0) + colours + data)
    return str(path)


def test_a_palette_of_four_bits_gives_colours_and_ids(tmp_path, rng):
    index = rng.integers(0, 16, (5, 7), dtype=np.uint8)
    palette = rng.integers(0, 256, (16, 3))
    path = packed_tiff(tmp_path / "a.tif", index, 4, 3, palette)
    np.testing.assert_array_equal(images.decode(path), palette[index])
    np.testing.assert_array_equal(masks.load(path), index)


def test_packed_files_of_other_programs(shared_data):
    assert images.decode(shared_data("tiff_kinds/12bit.cropped.tiff")).max() == 27
    palette = shared_data("tiff_kinds/palette-1c-4b.tiff")
    assert images.decode(palette).shape == (151, 157, 3)
    assert np.unique(tiff.decode(palette).stored).tolist() == list(range(16))


def test_imagejs_lookup_tables_are_for_display_only(tmp_path, rng):
    channels = rng.integers(0, 256, (2, 5, 7), dtype=np.uint8)
    green = np.zeros((3, 256), dtype=np.uint8)
    green[1] = np.arange(256)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, channels, imagej=True, colormap=green.astype(np.uint16) * 257, photometric="palette",
        metadata={"axes": "CYX", "mode": "composite", "LUTs": [green, green]},
    )  # fmt: skip
    np.testing.assert_array_equal(images.decode(str(path)), channels.transpose(1, 2, 0))


def test_a_hyperstack_of_imagej_keeps_its_channels(shared_data):
    cells = images.decode(shared_data("cells/instanseg_Fluorescence_example.tif"))
    assert cells.shape == (450, 450, 2)
    assert (cells.min(), cells.max()) == (1, 244)


def test_thumbnails_and_levels_are_no_slices(tmp_path, rng):
    levels = [rng.integers(0, 256, (64 // k, 96 // k, 3), dtype=np.uint8) for k in (1, 2, 4)]
    path = str(tmp_path / "pyramid.tif")
    first, *others = map(Image.fromarray, levels)
    # OpenCV decodes LZW, and knows no levels
    first.save(path, save_all=True, append_images=others, compression="tiff_lzw")
    np.testing.assert_array_equal(images.decode(path), levels[0])
    np.testing.assert_array_equal(images.decode(path, [2]), levels[1])
    assert tiff.depth(path) == 1
    assert tiff.slices(path) == []


def test_slides_are_their_first_image(shared_data):
    assert images.decode(shared_data("slides/small.svs")).shape == (16, 16, 3)
    assert images.decode(shared_data("slides/boxes.tiff")).shape == (250, 300, 3)
    assert images.decode(shared_data("slides/CMU-1-Small-Region.svs")).shape == (2967, 2220, 3)
    for name in ("small.svs", "boxes.tiff", "CMU-1-Small-Region.svs"):
        assert tiff.depth(shared_data(f"slides/{name}")) == 1
        assert tiff.slices(shared_data(f"slides/{name}")) == []


def test_what_imagecodecs_decodes_names_its_extra(tmp_path, rng, monkeypatch):
    without_imagecodecs(monkeypatch)
    bands = rng.integers(0, 256, (16, 16, 6), dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, bands, planarconfig="contig", photometric="minisblack")
    # only the tag of the compression differs: LZW, zstd, JPEG XL
    for compression in (5, 50000, 50002):
        content = bytearray(path.read_bytes())
        with tifffile.TiffFile(path) as file:
            at = file.pages[0].tags[259].offset
        content[at + 8 : at + 12] = struct.pack("<I", compression)
        other = tmp_path / f"{compression}.tif"
        other.write_bytes(content)
        with pytest.raises(MissingPackageError, match="imagecodecs") as error:
            images.decode(str(other))
        assert 'extras = "raster"' in error.value.hint


def without_imagecodecs(monkeypatch):
    """Let tifffile do without imagecodecs, where it is installed."""
    from tifffile import _imagecodecs, tifffile

    monkeypatch.setattr(tifffile, "imagecodecs", _imagecodecs)
    # a new one, which has met no compression yet
    monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", tifffile.CompressionCodec(encode=False))


@pytest.mark.skipif(find_spec("imagecodecs") is None, reason="needs imagecodecs")
@pytest.mark.parametrize("compression", ["lzw", "zstd", "lerc"])
def test_imagecodecs_reads_more(tmp_path, rng, compression):
    bands = rng.integers(0, 256, (16, 20, 6), dtype=np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", bands, compression=compression, planarconfig="contig",
        photometric="minisblack",
    )  # fmt: skip
    np.testing.assert_array_equal(images.decode(str(tmp_path / "a.tif")), bands)


def test_the_size_of_a_pixel_is_read_from_imagej_and_ome(tmp_path, rng):
    pixels = rng.integers(0, 9, (3, 5, 7), dtype=np.uint16)
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(
        path, pixels, imagej=True, resolution=(4, 2),
        metadata={"axes": "CYX", "unit": "micron"},
    )  # fmt: skip
    read = images.read(path)
    assert (read["spacing"].tolist(), read["unit"]) == ([0.5, 0.25], "um")
    tifffile.imwrite(
        path, pixels, imagej=True, resolution=(4, 2),
        metadata={"axes": "ZYX", "unit": "\\u00B5m", "spacing": 1.5},
    )  # fmt: skip
    read = images.read(path)
    assert (read["spacing"].tolist(), read["unit"]) == ([1.5, 0.5, 0.25], "um")
    assert images.read(path, pages=[2])["spacing"].tolist() == [0.5, 0.25]
    ome = str(tmp_path / "a.ome.tif")
    tifffile.imwrite(ome, pixels, metadata={
        "axes": "ZYX", "PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5,
        "PhysicalSizeZ": 0.002, "PhysicalSizeZUnit": "mm",
    })  # fmt: skip
    read = images.read(ome)
    np.testing.assert_allclose(read["spacing"], [2000, 500, 250])
    assert read["unit"] == "nm"


@pytest.mark.parametrize("metadata", [{"axes": "YX"}, {"axes": "YX", "unit": "pixel"}])
def test_pixels_without_a_unit_of_length_have_no_size(tmp_path, metadata):
    path = str(tmp_path / "a.tif")
    pixels = np.zeros((5, 7), np.uint8)
    tifffile.imwrite(path, pixels, imagej=True, resolution=(4, 2), metadata=metadata)
    assert images.read(path)["spacing"] is None
    tifffile.imwrite(path, pixels, resolution=(300, 300), resolutionunit="inch")
    assert images.read(path)["spacing"] is None


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
