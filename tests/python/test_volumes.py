"""Volumes in NIfTI and DICOM files: axes, geometry and values, against nibabel and by hand."""

import gzip
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from maskr import images, masks, volumes
from maskr.arrays import IGNORE, mask_to_r
from maskr.errors import DataError, FormatError, MissingPackageError, ShapeError

nib = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")

AFFINE = np.array(
    [[-0.5, 0, 0, 30], [0, 0, 2, -4], [0, 1.25, 0, 8.5], [0, 0, 0, 1]], dtype=np.float64
)
"""Voxels of 0.5 x 1.25 x 2 mm along i, j, k, with axes swapped and mirrored."""


def save_nifti(path, stored, affine=AFFINE, **fields):
    image = nib.Nifti1Image(stored, affine)
    for name, value in fields.items():
        image.header[name] = value
    nib.save(image, path)
    return str(path)


def ramp(shape=(5, 4, 3), dtype=np.int16):
    """Values that tell their place: 100 i + 10 j + k."""
    i, j, k = np.indices(shape)
    return (100 * i + 10 * j + k).astype(dtype)


# ---- NIfTI ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_the_axes_of_nifti_are_turned_and_not_flipped(tmp_path, name):
    path = save_nifti(tmp_path / name, ramp())
    read = images.read(path, scale=False)
    assert read["data"].shape == (3, 4, 5, 1)
    assert read["data"][2, 1, 4, 0] == 412
    assert read["spacing"].tolist() == [2, 1.25, 0.5]
    np.testing.assert_array_equal(read["affine"], AFFINE)
    assert read["range"].tolist() == [0, 432]
    np.testing.assert_array_equal(images.read(path)["data"], read["data"] / 32767)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_part_is_read_as_of_the_whole(tmp_path, name):
    volume = volumes.open_volume(save_nifti(tmp_path / name, ramp()))
    assert volume.shape == (3, 4, 5, 1)
    assert (volume.box is None) == name.endswith("gz")
    if volume.box is not None:
        part = (slice(1, 3), slice(0, 2), slice(3, 5))
        np.testing.assert_array_equal(volume.box(part), volume.whole()[part])


def test_slope_and_intercept_are_applied_and_never_scaled(tmp_path):
    image = nib.Nifti1Image(ramp(), AFFINE)
    image.header.set_slope_inter(0.5, -10)
    nib.save(image, tmp_path / "a.nii.gz")
    read = images.read(str(tmp_path / "a.nii.gz"))
    expected = nib.load(tmp_path / "a.nii.gz").get_fdata().T
    np.testing.assert_allclose(read["data"][..., 0], expected)


def test_a_fourth_axis_becomes_channels_and_colours_too(tmp_path):
    stored = np.stack([ramp(), -ramp()], axis=-1)
    read = images.read(save_nifti(tmp_path / "a.nii.gz", stored), scale=False)["data"]
    assert read.shape == (3, 4, 5, 2)
    assert read[2, 1, 4].tolist() == [412, -412]
    vectors = save_nifti(tmp_path / "v.nii", stored[:, :, :, None])
    assert volumes.open_volume(vectors).shape == (3, 4, 5, 2)
    rgb = np.zeros((5, 4, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["G"] = 51
    read = images.read(save_nifti(tmp_path / "c.nii.gz", rgb))["data"]
    assert read.shape == (3, 4, 5, 3)
    np.testing.assert_allclose(read[1, 2, 3], [0, 0.2, 0])


def test_two_axes_are_an_image(tmp_path):
    path = save_nifti(tmp_path / "a.nii.gz", ramp()[:, :, 1])
    read = images.read(path, scale=False)
    assert read["data"].shape == (4, 5, 1) and read["data"][3, 2, 0] == 231
    assert read["spacing"].tolist() == [1.25, 0.5]
    assert images.load(path).shape == (1, 4, 5)


def test_units_become_mm_and_the_affine_wins_over_pixdim(tmp_path):
    image = nib.Nifti1Image(ramp(), np.diag([500, 1250, 2000, 1.0]))
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "a.nii")
    read = images.read(str(tmp_path / "a.nii"))
    np.testing.assert_allclose(read["spacing"], [2, 1.25, 0.5])
    np.testing.assert_allclose(read["affine"], np.diag([0.5, 1.25, 2, 1]))
    path = save_nifti(tmp_path / "b.nii", ramp(), pixdim=[1, 9, 9, 9, 1, 1, 1, 1])
    np.testing.assert_allclose(images.read(path)["spacing"], [2, 1.25, 0.5])


def test_a_silent_header_gives_no_geometry(tmp_path):
    path = save_nifti(tmp_path / "a.nii", ramp(), None, sform_code=0, qform_code=0)
    read = images.read(path)
    assert read["spacing"] is None and read["affine"] is None


def test_a_volume_is_no_image_for_a_model(tmp_path):
    with pytest.raises(ShapeError, match="3 slices"):
        images.load(save_nifti(tmp_path / "a.nii.gz", ramp()))
    with pytest.raises(FormatError, match="no pages"):
        images.read(save_nifti(tmp_path / "a.nii.gz", ramp()), pages=[1])


@settings(max_examples=25, deadline=None)
@given(
    mask=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)).flatmap(
        lambda size: arrays(np.int32, size, elements=st.sampled_from([IGNORE, 0, 1, 7, 300]))
    ),
    spacing=st.tuples(*[st.floats(0.125, 8, width=16)] * 3),
    oriented=st.sampled_from(["nothing", "spacing", "both"]),
    name=st.sampled_from(["a.nii", "a.b.nii.gz"]),
)
def test_label_volumes_make_the_round_trip(tmp_path_factory, mask, spacing, oriented, name):
    path = str(tmp_path_factory.mktemp("m") / name)
    affine = AFFINE.copy()
    affine[:3, :3] = AFFINE[:3, :3] / [0.5, 1.25, 2] * spacing[::-1]
    given_spacing = None if oriented == "nothing" else list(spacing)
    given_affine = affine if oriented == "both" else None
    ids = [0, 1, 7, 300]
    masks.write(mask_to_r(mask), path, ids, ["#000000"] * 4, 16, given_spacing, given_affine)
    back = masks.read(path)
    np.testing.assert_array_equal(back["data"], mask_to_r(mask))
    if oriented == "nothing":
        assert back["spacing"] is None and back["affine"] is None
    else:
        assert back["spacing"].tolist() == list(spacing)
    if oriented == "both":
        np.testing.assert_array_equal(back["affine"], affine)
    else:
        assert back["affine"] is None


def test_labels_stored_as_floats_or_long_integers_are_read(tmp_path):
    ids = np.array([[[0, 1], [2, 255]]])
    for dtype in (np.float32, np.float64, np.int64, np.uint64):
        image = nib.Nifti1Image(ids.astype(dtype), AFFINE, dtype=dtype)
        nib.save(image, tmp_path / "a.nii.gz")
        found = masks.load(str(tmp_path / "a.nii.gz"))
        np.testing.assert_array_equal(found, np.where(ids == 255, IGNORE, ids).T)
    with pytest.raises(DataError, match="fractions"):
        masks.load(save_nifti(tmp_path / "f.nii", ids + np.float32(0.5)))
    nothing = masks.load(save_nifti(tmp_path / "f.nii", ids * np.float32(np.nan)))
    assert (nothing == IGNORE).all()
    binary = save_nifti(tmp_path / "b.nii", (ids > 0).astype(np.uint8) * 255)
    with pytest.raises(DataError, match="0 and 255"):
        masks.load(binary)
    np.testing.assert_array_equal(masks.load(binary, values=[0, 255]), (ids > 0).T)


def test_spacing_and_affine_that_disagree_are_refused(tmp_path):
    path = tmp_path / "a.nii"
    mask = np.zeros((2, 3, 4), np.int32)
    with pytest.raises(DataError, match="contradicts"):
        masks.write(mask, str(path), [0], ["#000000"], None, [1, 1, 1], AFFINE)
    assert not path.exists()


# ---- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_truncated_files_are_format_errors(tmp_path, rng, name):
    path = save_nifti(tmp_path / name, rng.integers(-999, 999, (9, 8, 7)).astype(np.int16))
    whole = (tmp_path / name).read_bytes()
    for share in (0, 0.01, 0.2, 0.5, 0.9, 0.99):
        (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(FormatError, match=name):
            images.read(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_claims_too_much_is_refused_before_anything_is_read(tmp_path, name):
    path = tmp_path / name
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float64)
    header["dim"] = [3, 30000, 30000, 30000, 1, 1, 1, 1]
    header["vox_offset"], header["magic"] = 352, b"n+1"
    content = header.binaryblock + bytes(200)
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(FormatError, match="claims to hold 216 TB"):
        images.read(str(path))


def test_memory_is_looked_at_too(tmp_path, monkeypatch):
    path = save_nifti(tmp_path / "a.nii.gz", ramp())
    monkeypatch.setattr("maskr.limits.memory_size", lambda: 100)
    with pytest.raises(FormatError, match="this machine's memory is 100 bytes"):
        images.read(path)


def test_foreign_content_and_axes_are_format_errors(tmp_path):
    for name, content in (("a.nii", b"no nifti" * 99), ("a.nii.gz", b"no gzip"), ("b.nii", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=name):
            masks.load(str(tmp_path / name))
    with pytest.raises(FormatError, match="axes"):
        images.read(save_nifti(tmp_path / "c.nii", np.zeros((2, 3, 4, 2, 2), np.int16)))
    with pytest.raises(FormatError, match="complex"):
        images.read(save_nifti(tmp_path / "d.nii", np.zeros((2, 3, 4), np.complex64)))


def test_a_missing_package_says_how_to_get_it(tmp_path, monkeypatch):
    from maskr import dicom, nifti

    for module, load, name in (
        (nifti, nifti.load_nibabel, "nibabel"),
        (dicom, dicom.load_pydicom, "pydicom"),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        load.cache_clear()
        with pytest.raises(MissingPackageError) as raised:
            getattr(module, f"load_{name}")()
        assert 'seg_install(extras = "volumes")' in raised.value.hint


# ---- DICOM ---------------------------------------------------------------------------------------


def save_slice(path, pixels, z=0.0, series="1.2.3", axes=(1, 0, 0, 0, 1, 0), **fields):
    """Write a CT slice whose first pixel lies at (-10, -20, z) in DICOM's coordinates."""
    header = pydicom.Dataset()
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    header.SOPInstanceUID = pydicom.uid.generate_uid()
    header.SeriesInstanceUID, header.SeriesDescription = series, f"series {series}"
    header.Modality, header.PhotometricInterpretation = "CT", "MONOCHROME2"
    header.ImagePositionPatient = [-10, -20, z]
    header.ImageOrientationPatient = list(axes)
    header.PixelSpacing = [1.5, 0.5]
    header.RescaleSlope, header.RescaleIntercept = 1, -1024
    header.Rows, header.Columns, header.SamplesPerPixel = *pixels.shape[:2], 1
    header.BitsAllocated = header.BitsStored = pixels.dtype.itemsize * 8
    header.HighBit, header.PixelRepresentation = header.BitsStored - 1, 0
    header.PixelData = pixels.tobytes()
    for name, value in fields.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    pydicom.dcmwrite(path, header, enforce_file_format=True)
    return str(path)


def save_series(folder, n=4, **fields):
    """Write slices in an order of names that is not that of their places; 2 mm apart."""
    folder.mkdir(exist_ok=True)
    for s in range(n):
        pixels = (1000 * s + np.arange(6).reshape(2, 3)).astype(np.uint16)
        save_slice(folder / f"{(7 * s) % n}-{s}.dcm", pixels, z=5 + 2 * s, **fields)
    return str(folder)


def test_a_series_is_sorted_and_rescaled(tmp_path):
    read = images.read(save_series(tmp_path / "ct"), scale=False)
    assert read["data"].shape == (4, 2, 3, 1)
    # rows from the bottom of the picture, as in NIfTI files made of DICOM
    assert read["data"][0, :, :, 0].tolist() == [[-1021, -1020, -1019], [-1024, -1023, -1022]]
    assert read["data"][:, 1, 0, 0].tolist() == [-1024, -24, 976, 1976]
    assert read["spacing"].tolist() == [2, 1.5, 0.5]
    # pixel (row 1, column 0) of the first slice lies at x = -10, y = -18.5 in DICOM's axes
    expected = [[-0.5, 0, 0, 10], [0, 1.5, 0, 18.5], [0, 0, 2, 5], [0, 0, 0, 1]]
    assert read["affine"].tolist() == expected
    scaled = images.read(str(tmp_path / "ct"))
    np.testing.assert_array_equal(scaled["data"], read["data"] / 32767)


def test_a_slice_alone_has_the_rows_of_its_series(tmp_path):
    folder = save_series(tmp_path / "ct")
    one = images.read(f"{folder}/3-1.dcm", scale=False)
    series = images.read(folder, scale=False)["data"]
    np.testing.assert_array_equal(one["data"], series[1])
    assert one["spacing"].tolist() == [1.5, 0.5]
    alone = images.read(save_series(tmp_path / "one", 1), scale=False)
    assert alone["data"].shape == (1, 2, 3, 1)
    np.testing.assert_array_equal(alone["data"][0], series[0])


def test_slices_across_other_planes_follow_their_normal(tmp_path):
    # coronal: columns go to the feet; the normal of the plane is the y axis
    folder = tmp_path / "cor"
    folder.mkdir()
    for n, y in enumerate((4.0, -2.0, 1.0)):
        save_slice(folder / str(n), np.full((2, 3), n, np.uint16), axes=(1, 0, 0, 0, 0, -1),
                   ImagePositionPatient=[0, y, 0])
    volume = volumes.open_volume(str(folder))
    assert (volume.whole()[:, 0, 0, 0] + 1024).tolist() == [1, 2, 0]
    assert volume.spacing == (3, 1.5, 0.5)
    voxel = volume.affine @ [0, 1, 0, 1]
    np.testing.assert_allclose(voxel[:3], [0, 2, 0])


def test_real_slopes_give_floats_and_plain_bytes_stay(tmp_path):
    pet = images.read(save_series(tmp_path / "pet", RescaleSlope=0.25, RescaleIntercept=0))
    assert pet["data"][1, 1, 2, 0] == 1002 / 4
    plain = volumes.open_volume(save_series(tmp_path / "mr", RescaleSlope=1, RescaleIntercept=0))
    assert plain.whole().dtype == np.uint16 and plain.unit == 65535


@pytest.mark.parametrize(
    ("fields", "top"),
    [
        ({"BitsStored": 12}, 4095),
        ({"BitsStored": 12, "PixelRepresentation": 1}, 2047),
        ({"BitsStored": 10, "MaximumFractionalValue": 1000}, 1000),
        ({"BitsStored": 16, "PixelRepresentation": 1}, 32767),
    ],
)
def test_stored_numbers_are_divided_by_the_largest_of_their_bits(tmp_path, fields, top):
    pixels = np.array([[0, 3, 1000], [7, 512, 20]], np.uint16)
    fields = {"RescaleSlope": None, "RescaleIntercept": None, "HighBit": 9} | fields
    path = save_slice(tmp_path / "a.dcm", pixels, **fields)
    np.testing.assert_array_equal(images.read(path)["data"][::-1, :, 0], pixels / top)
    np.testing.assert_allclose(images.load(path)[0, ::-1], pixels / top, rtol=1e-6)


def test_a_binary_segmentation_holds_0_and_1(shared_data):
    path = shared_data("dicom/seg_image_ct_binary_single_frame.dcm")
    read = images.read(path)
    assert np.unique(read["data"]).tolist() == [0, 1] and read["divisor"] == 1
    np.testing.assert_array_equal(images.read(path, scale=False)["data"], read["data"])


def test_a_palette_of_16_bits_becomes_its_colours():
    path = pydicom.data.get_testdata_file("examples_palette.dcm", download=False)
    header = pydicom.dcmread(path)
    expected = pydicom.pixels.apply_color_lut(pydicom.pixels.pixel_array(header), header)
    assert expected.shape == (350, 800, 3) and expected.max() == 65280
    np.testing.assert_array_equal(images.read(path)["data"], expected / 65535)


def test_an_x_ray_keeps_its_rows_and_white_is_high(tmp_path):
    pixels = np.array([[0, 1, 2], [3, 4, 255]], np.uint8)
    fields = {"ImagePositionPatient": None, "ImageOrientationPatient": None,
              "RescaleIntercept": None, "RescaleSlope": None}
    path = save_slice(tmp_path / "x", pixels, PhotometricInterpretation="MONOCHROME1", **fields)
    read = images.read(path, scale=False)
    np.testing.assert_array_equal(read["data"][..., 0], 255 - pixels)
    assert read["affine"] is None and read["spacing"].tolist() == [1.5, 0.5]
    assert images.load(path).max() == 1


def test_frames_of_one_file_are_a_volume(tmp_path):
    pixels = np.arange(24, dtype=np.uint16).reshape(4, 2, 3)
    path = save_slice(tmp_path / "a.dcm", pixels, NumberOfFrames=4, Rows=2, Columns=3)
    read = images.read(path, scale=False)
    np.testing.assert_array_equal(read["data"][..., 0], pixels.astype(float) - 1024)


def test_series_that_make_no_volume_name_the_files(tmp_path):
    folder = save_series(tmp_path / "gap", 5)
    (tmp_path / "gap" / "1-3.dcm").unlink()
    with pytest.raises(FormatError, match=r"missing.*4-2\.dcm and 3-4\.dcm are 4 mm apart, and 2"):
        images.read(folder)
    save_slice(tmp_path / "gap" / "again.dcm", np.zeros((2, 3), np.uint16), z=9)
    with pytest.raises(FormatError, match=r"doubled.* 0 mm apart"):
        images.read(folder)
    two = save_series(tmp_path / "two")
    save_slice(tmp_path / "two" / "x.dcm", np.zeros((2, 3), np.uint16), series="1.2.4")
    listed = r'2 DICOM series: "series 1.2.3", CT \(4 files.*"series 1.2.4", CT \(1 file, the fir'
    with pytest.raises(FormatError, match=listed):
        images.read(two)
    mixed = save_series(tmp_path / "mixed")
    save_slice(tmp_path / "mixed" / "x.dcm", np.zeros((2, 4), np.uint16), z=13)
    with pytest.raises(FormatError, match=r"x\.dcm .*another size"):
        images.read(mixed)
    placeless = save_series(tmp_path / "placeless", ImagePositionPatient=None)
    with pytest.raises(FormatError, match="does not say where its slice lies"):
        images.read(placeless)


def test_series_without_description_are_told_apart(tmp_path):
    folder = save_series(tmp_path / "ct", SeriesDescription=None, SeriesNumber=3)
    pixels = np.zeros((2, 3), np.uint16)
    save_slice(tmp_path / "ct/x.dcm", pixels, series="1.2.4", SeriesDescription="", Modality="PT")
    with pytest.raises(FormatError) as error:
        images.read(folder)
    for words in ("without description, CT, number 3, UID 1.2.3 (4 files",
                  "without description, PT, UID 1.2.4 (1 file"):  # fmt: skip
        assert words in str(error.value)


def test_folders_of_other_things_say_what_they_are(tmp_path):
    for name in (".zgroup", "zarr.json"):
        store = tmp_path / f"{name}.zarr"
        (store / "0").mkdir(parents=True)
        (store / name).write_text("{}")
        with pytest.raises(FormatError, match="it is an OME-Zarr") as error:
            images.read(str(store))
        assert "TIFF" in error.value.hint
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with pytest.raises(FormatError, match="it is empty"):
        images.read(str(pictures))
    for n in range(2):
        (pictures / f"{n}.PNG").write_bytes(b"")
    with pytest.raises(FormatError, match="it is a folder of 2 image files"):
        images.read(str(pictures))


COMPRESSED = "SC_rgb_jpeg_gdcm.dcm"
"""JPEG Lossless, one of pydicom's own test files."""


def test_what_decodes_compressed_dicom_is_named_in_full(tmp_path, monkeypatch):
    decoder = pydicom.pixels.get_decoder(pydicom.uid.JPEGLosslessSV1)
    monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr(
        decoder, "_unavailable", {"gdcm": ("gdcm>=3.0.10",), "pylibjpeg": ("pylibjpeg>=2.0",)}
    )
    path = pydicom.data.get_testdata_file(COMPRESSED, download=False)
    with pytest.raises(MissingPackageError, match=r"gdcm.*pylibjpeg") as error:
        images.read(path)
    assert 'seg_install(extras = "volumes")' in error.value.hint


@pytest.mark.skipif(find_spec("gdcm") is None, reason="needs python-gdcm")
def test_jpeg_lossless_is_decoded():
    found = images.read(pydicom.data.get_testdata_file(COMPRESSED, download=False), scale=False)
    assert found["data"].shape == (100, 100, 3)
    # bars of pure colours
    assert found["data"][5, 50].tolist() == [255, 0, 0]
    assert set(np.unique(found["data"]).tolist()) <= {0, 64, 128, 192, 255}


def test_folders_without_dicom_and_damaged_files_are_format_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    with pytest.raises(FormatError, match="holds no DICOM image"):
        images.read(str(tmp_path / "empty"))
    folder = save_series(tmp_path / "ct")
    cut = tmp_path / "ct" / "3-1.dcm"
    whole = cut.read_bytes()
    for share in (0.3, 0.6, 0.9, 0.99):
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(FormatError):
            images.read(str(cut))
        with pytest.raises(FormatError):
            images.read(folder)


# ---- real files ----------------------------------------------------------------------------------


def test_the_shared_ct_is_what_nibabel_reads(shared_data):
    path = shared_data("volumes/example_ct_sm.nii.gz")
    expected = nib.load(path)
    read = images.read(path, scale=False)
    np.testing.assert_array_equal(read["data"][..., 0], expected.get_fdata().T)
    np.testing.assert_array_equal(read["affine"], expected.affine)
    assert read["spacing"].tolist() == [3, 3, 3]
    assert read["range"].tolist() == [-1100, 1207]


def test_the_shared_labels_have_the_counts_that_nibabel_finds(shared_data):
    path = shared_data("volumes/example_seg.nii.gz")
    read = masks.read(path)
    stored = np.asarray(nib.load(path).dataobj)
    ids, counts = np.unique(stored, return_counts=True)
    assert len(ids) == 42
    assert read["ids"].tolist() == ids.tolist()
    assert [int((read["data"] == i).sum()) for i in ids] == counts.tolist()
    assert read["data"][7, 50, 60] == stored[60, 50, 7]


def test_the_shared_dicom_series_lies_where_its_labels_do(shared_data):
    labels = volumes.open_volume(shared_data("volumes/example_seg_dicom.nii.gz"))
    series = volumes.open_volume(shared_data("volumes/example_ct_dicom"))
    assert series.shape == labels.shape == (20, 512, 512, 1)
    np.testing.assert_allclose(series.affine, labels.affine, atol=1e-4)
    np.testing.assert_allclose(series.spacing, labels.spacing)
    volumes.check_same_grid(series, labels)
    hu = series.whole()[..., 0]
    # an independent reader, whose rows go from the top of the picture
    sitk = pytest.importorskip("SimpleITK")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(series.path)
    names = names or sorted(map(str, Path(series.path).iterdir()))[::-1]
    expected = sitk.GetArrayFromImage(sitk.ReadImage(names))
    np.testing.assert_array_equal(hu, expected[:, ::-1])
    # bones (vertebrae) are dense, lungs hold air
    inside = labels.whole()[..., 0]
    assert hu[inside > 0].mean() > -300 and (hu[inside == 0] < -900).mean() > 0.3


def test_labels_beside_their_image_are_refused(tmp_path):
    image = volumes.open_volume(save_nifti(tmp_path / "a.nii", ramp()))
    mirrored = AFFINE @ np.diag([-1, 1, 1, 1])
    for affine, stored, words in (
        (mirrored, ramp(), "beside"), (AFFINE, ramp((5, 4, 2)), "voxels")
    ):
        labels = volumes.open_volume(save_nifti(tmp_path / "b.nii", stored, affine))
        with pytest.raises(FormatError, match=words):
            volumes.check_same_grid(image, labels)
    near = AFFINE.copy()
    near[0, 3] += 0.01
    labels = volumes.open_volume(save_nifti(tmp_path / "c.nii", ramp(), near))
    volumes.check_same_grid(image, labels)
