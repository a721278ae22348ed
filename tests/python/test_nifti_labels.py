"""Label volumes as annotations: nnU-Net's layout, single files, and back."""

import json

import numpy as np
import pytest
from held import overlapping
from maskr.annotations import ReadOptions, WriteOptions, detect, r_mask, read, write
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError

nib = pytest.importorskip("nibabel")

AFFINE = np.array([[-2, 0, 0, 9], [0, 1, 0, 8], [0, 0, 3, 7], [0, 0, 0, 1]], dtype=float)
CLASSES = {"background": 0, "liver": 1, "tumour": 2}


def save(path, stored):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(stored, AFFINE), path)


def label(seed):
    return np.random.default_rng(seed).integers(0, 3, (6, 5, 4)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """nnU-Net's layout: two volumes of two scans to train, one to test."""
    root = tmp_path / "Dataset001"
    for n, (name, mark) in enumerate((("b", "Tr"), ("a", "Tr"), ("t", "Ts"))):
        save(root / f"labels{mark}" / f"{name}.nii.gz", label(n))
        for channel in range(2):
            save(root / f"images{mark}" / f"{name}_000{channel}.nii.gz", np.ones((6, 5, 4), "i2"))
    (root / "dataset.json").write_text(json.dumps({"labels": CLASSES}))
    return root


def get(path, format="nifti", **options):
    report = Report()
    found = read(str(path), format, ReadOptions(**options), report)
    return found, report


def test_the_layout_of_nnunet_is_read(folder):
    assert detect(folder) == "nifti"
    found, report = get(folder, "auto")
    assert found.images.files == [
        "imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz", "imagesTs/t_0000.nii.gz"
    ]  # fmt: skip
    assert found.images.splits == ["train", "train", "test"]
    assert (found.images.heights, found.images.widths) == ([5] * 3, [6] * 3)
    assert found.reading["depths"]["imagesTr/a_0000.nii.gz"] == 4
    assert {one.name: one.id for one in found.classes} == CLASSES
    np.testing.assert_array_equal(found.labels(1).classes, label(0).T)
    assert not report.skipped


def test_r_gets_the_volume_with_its_geometry(folder):
    found, _ = get(folder)
    out = r_mask(Annotations.from_r(found.to_r()).to_r(), 0)
    np.testing.assert_array_equal(out["data"], label(1).T)
    assert out["spacing"] == [3, 1, 2]
    np.testing.assert_array_equal(out["affine"], AFFINE)


def test_what_was_read_is_written_and_read_again(folder, tmp_path):
    found, _ = get(folder)
    report = Report()
    write(found, str(tmp_path / "again"), "nifti", WriteOptions(), report)
    assert not report.changed
    again, _ = get(tmp_path / "again")
    assert again.images.files == found.images.files and again.classes == found.classes
    for i in range(3):
        np.testing.assert_array_equal(again.labels(i).classes, found.labels(i).classes)
        assert nib.load(again.images.mask_files[i]).affine.tolist() == AFFINE.tolist()
    one = str(tmp_path / "one.nii.gz")
    with pytest.raises(DataError, match="holds one image, and there are 3"):
        write(found, one, "nifti", WriteOptions(), Report())


def test_a_single_file_needs_no_table(tmp_path):
    ids = label(3)
    ids[0, 0, 0] = 255
    save(tmp_path / "seg.nii.gz", ids)
    found, _ = get(tmp_path / "seg.nii.gz", "auto")
    assert [one.id for one in found.classes] == [0, 1, 2]
    expected = np.where(ids == 255, IGNORE, ids.astype(int)).T
    np.testing.assert_array_equal(found.labels(0).classes, expected)
    write(found, str(tmp_path / "copy.nii"), "nifti", WriteOptions(), Report())
    again, _ = get(tmp_path / "copy.nii", classes=CLASSES)
    np.testing.assert_array_equal(again.labels(0).classes, expected)
    with pytest.raises(DataError, match="not known: 2"):
        get(tmp_path / "seg.nii.gz", classes={"a": 0, "b": 1})[0].labels(0)


def test_images_in_another_folder_are_matched_by_name(tmp_path):
    for name in ("p1", "p2"):
        save(tmp_path / "ct" / f"{name}.nii", np.ones((6, 5, 4), np.int16))
        save(tmp_path / "truth" / f"{name}_seg.nii", label(1))
    found, _ = get(tmp_path / "truth", images=str(tmp_path / "ct"))
    assert found.images.files == ["p1.nii", "p2.nii"]
    (tmp_path / "ct" / "p2.nii").unlink()
    with pytest.raises(FormatError, match="labels without a volume: p2_seg"):
        get(tmp_path / "truth", images=str(tmp_path / "ct"))


def test_the_ignore_label_of_nnunet_is_no_class(folder):
    (folder / "dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "liver": 1, "ignore": 2}})
    )
    found, _ = get(folder)
    assert [one.name for one in found.classes] == ["background", "liver"]
    assert (found.labels(0).classes == IGNORE).sum() == (label(1) == 2).sum()


def test_damaged_files_are_left_out_and_reported(folder):
    (folder / "labelsTr" / "a.nii.gz").write_bytes(b"no volume")
    found, report = get(folder)
    assert len(found.images) == 2
    assert "a.nii.gz" in report.to_r()["skipped"][0]
    with pytest.raises(FormatError):
        get(folder / "labelsTr" / "a.nii.gz")


def test_the_shared_labels(shared_data):
    path = shared_data("volumes/example_seg.nii.gz")
    found, _ = get(path)
    assert len(found.classes) == 42 and found.reading["depths"]["example_seg.nii.gz"] == 30
    np.testing.assert_array_equal(found.labels(0).classes, np.asarray(nib.load(path).dataobj).T)


def test_labels_without_volumes_are_written_and_read_again(shared_data, tmp_path):
    found, _ = get(shared_data("volumes/example_seg.nii.gz"))
    report = Report()
    write(found, str(tmp_path / "nif"), "nifti", WriteOptions(), report)
    assert not report.changed
    again, _ = get(tmp_path / "nif", "auto")
    np.testing.assert_array_equal(again.labels(0).classes, found.labels(0).classes)


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_that_are_no_volumes_give_labels_alone(tmp_path, split):
    made = overlapping(tmp_path, (1, 2))
    made.images.splits = [split]
    report = Report()
    write(made, str(tmp_path / "nif"), "nifti", WriteOptions(), report)
    assert report.changed["image that is not a NIfTI file, not copied"] == [1, "a.png"]
    again, _ = get(tmp_path / "nif", "auto")
    assert again.images.splits == [split]
    np.testing.assert_array_equal(again.labels(0).classes, made.labels(0).classes)
    (tmp_path / "a.png").unlink()
    report = Report()
    write(made, str(tmp_path / "nif2"), "nifti", WriteOptions(), report)
    assert report.changed["image that was not found, not copied"] == [1, "a.png"]


def test_volumes_are_copied_for_all_labels_or_none(folder, tmp_path):
    found, _ = get(folder)
    (folder / "imagesTr" / "a_0000.nii.gz").unlink()
    report = Report()
    write(found, str(tmp_path / "out"), "nifti", WriteOptions(), report)
    assert report.changed == {
        "image that was not found, not copied": [1, "imagesTr/a_0000.nii.gz"],
        "volume not copied, since others have none": [2, "imagesTr/b_0000.nii.gz"],
    }
    again, _ = get(tmp_path / "out")
    assert again.images.splits == ["train", "train", "test"]
    np.testing.assert_array_equal(again.labels(2).classes, label(2).T)
