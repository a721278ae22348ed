"""Volumes and their labels, paired by the names that programs give their files."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from maskr import cases
from maskr.arrays import IGNORE
from maskr.case_names import match
from maskr.datasets import volume
from maskr.errors import FormatError

READING = {"ignore": 255, "values": None, "explicit": False, "classes": None, "numbers": None}

LAYOUTS = {
    "a word behind": (["p1.nii", "p2.nii"], ["p1_seg.nii", "p2_seg.nii"]),
    "3D Slicer": (["MRHead.nii.gz", "CTChest.nii.gz"],
                  ["MRHead-label.nii.gz", "CTChest-label.nii.gz"]),
    "LiTS": (["volume-0.nii", "volume-10.nii"], ["segmentation-0.nii", "segmentation-10.nii"]),
    "BTCV": (["img0001.nii.gz", "img0002.nii.gz"], ["label0001.nii.gz", "label0002.nii.gz"]),
    "nnU-Net": (["a_0000.nii.gz", "b_0000.nii.gz"], ["a.nii.gz", "b.nii.gz"]),
    "CTC": (["01/t000.tif", "01/t003.tif"],
            ["01_GT/SEG/man_seg000.tif", "01_GT/SEG/man_seg003.tif"]),
    "CTC, slices": (["01/t000.tif", "01/t003.tif"],
                    ["01_GT/SEG/man_seg_000_012.tif", "01_GT/SEG/man_seg_003_001.tif"]),
    "CTC, sequences": (["01/t000.tif", "02/t000.tif"],
                       ["01_GT/SEG/man_seg000.tif", "02_GT/SEG/man_seg000.tif"]),
    "KiTS": (["case_0/imaging.nii.gz", "case_1/imaging.nii.gz"],
             ["case_0/segmentation.nii.gz", "case_1/segmentation.nii.gz"]),
    "ACDC": (["p1/p1_frame01.nii.gz", "p1/p1_frame12.nii.gz"],
             ["p1/p1_frame01_gt.nii.gz", "p1/p1_frame12_gt.nii.gz"]),
    "BIDS": (["sub-1/anat/sub-1_T1w.nii.gz", "sub-2/anat/sub-2_T1w.nii.gz"],
             ["sub-1/anat/sub-1_dseg.nii.gz", "sub-2/anat/sub-2_dseg.nii.gz"]),
    "inner folders": (["a/images/x.nii", "b/images/x.nii"], ["a/labels/x.nii", "b/labels/x.nii"]),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_names_of_tools_pair(layout):
    images, labels = (["/data/" + one for one in files] for files in LAYOUTS[layout])
    found = match(images, labels[::-1])
    assert [(one.images, one.labels) for one in found] == [
        ((image,), own) for image, own in zip(images, labels, strict=True)
    ]


@pytest.mark.parametrize("kinds", [("flair", "t1", "t1ce", "t2"), ("t1c", "t1n", "t2f", "t2w")])
@pytest.mark.parametrize("mark", "_-")
def test_scans_of_brats_are_channels(kinds, mark):
    images = [f"/d/B{n}/B{n}{mark}{kind}.nii.gz" for n in (1, 2) for kind in kinds]
    labels = [f"/d/B{n}/B{n}{mark}seg.nii.gz" for n in (2, 1)]
    found = match(images, labels)
    assert [one.name for one in found] == ["B1", "B2"]
    assert found[1].images == tuple(images[4:]) and found[1].labels == labels[0]
    third = [f"/d/B3/B3{mark}{kind}.nii.gz" for kind in kinds[1:]]
    with pytest.raises(FormatError, match=f'"B3" has the scans {", ".join(kinds[1:])}, and'):
        match([*images, *third], [*labels, f"/d/B3/B3{mark}seg.nii.gz"])


def test_what_does_not_match_is_listed():
    volumes, labels = ["/d/a/ct.nii", "/d/b/ct.nii"], ["/d/a/liver.nii", "/d/b/ct_seg.nii"]
    with pytest.raises(FormatError, match=r"without labels: a/ct; .*without a volume: liver\.nii"):
        match(volumes, labels)
    with pytest.raises(FormatError, match=r"several labels for one volume: x_seg\.nii, x_gt\.nii"):
        match(["/d/x.nii", "/d/y.nii"], ["/d/x_seg.nii", "/d/x_gt.nii"])


def save(path: Path, stored: np.ndarray) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, stored, photometric="minisblack")
    return str(path)


def stack(value: int = 9) -> np.ndarray:
    return np.full((4, 5, 7), value, np.uint16)


def test_labels_beside_their_volumes_are_told_by_name(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name / "imaging.tif", stack())
        save(tmp_path / name / "segmentation.tif", stack(1))
    found, classes = cases.find_cases([str(tmp_path)])
    assert classes is None
    assert [one.name for one in found] == ["a", "b"]
    assert found[1].labels == str(tmp_path / "b" / "segmentation.tif")
    flat = tmp_path / "flat"
    save(flat / "ct1.tif", stack())
    with pytest.raises(FormatError, match="no labels beside"):
        cases.find_cases([str(flat)])
    save(flat / "ct1_seg.tif", stack())
    assert cases.find_cases([str(flat)])[0][0].labels.endswith("ct1_seg.tif")


def test_parts_and_challenges_are_named(tmp_path):
    for part in ("train", "val"):
        save(tmp_path / part / "images" / "a.tif", stack())
        save(tmp_path / part / "labels" / "a.tif", stack())
    with pytest.raises(FormatError) as error:
        cases.find_cases([str(tmp_path)])
    assert 'split = "train"' in error.value.hint
    (tmp_path / "ctc" / "01_GT").mkdir(parents=True)
    with pytest.raises(FormatError, match="Cell Tracking") as error:
        cases.find_cases([str(tmp_path / "ctc")])
    assert "seg_data_ctc" in error.value.hint


def objects() -> np.ndarray:
    numbers = np.zeros((4, 5, 7), np.uint16)
    numbers[1:3, 2:4, 1:5], numbers[2, 0, 0] = 3, 900
    return numbers


def read(found: dict, i: int) -> np.ndarray:
    n = found["volume"][i]
    part = {"volume": found["labels"][n], "box": list(found["box"][i]), "axis": 0,
            "ignored": found["ignored"][n], "numbers": found["numbers"]}  # fmt: skip
    return volume.load_ids(part, None)


def test_numbers_of_cells_become_a_class(tmp_path):
    for time in ("000", "003"):
        save(tmp_path / "01" / f"t{time}.tif", stack())
        save(tmp_path / "01_GT" / "SEG" / f"man_seg{time}.tif", objects())
    found = volume.r_parts([str(tmp_path / "01")], None, [str(tmp_path / "01_GT")], {}, READING, 1)
    assert found["names"] == ["t000", "t003"]
    assert found["classes"] == {"background": 0, "cell": 1} and found["ids"].tolist() == [0, 1]
    assert found["box"][:, 0].tolist() == [1, 2, 1, 2] and found["left_out"] == 4
    np.testing.assert_array_equal(read(found, 1), objects()[2] > 0)
    other = READING | {"numbers": {"class": 0, "background": 4}}
    found = volume.r_parts([str(tmp_path / "01")], None, [str(tmp_path / "01_GT")], {}, other, 1)
    assert found["box"][:, 0].tolist() == [1, 2, 1, 2]
    np.testing.assert_array_equal(read(found, 0), np.where(objects()[1] > 0, 0, 4))


def test_slices_without_truth_are_ignored(tmp_path):
    save(tmp_path / "01" / "t000.tif", stack())
    for z in (0, 2):
        save(tmp_path / "01_GT" / "SEG" / f"man_seg_000_{z:03d}.tif", objects()[z])
    places = [str(tmp_path / "01")], None, [str(tmp_path / "01_GT")]
    found = volume.r_parts(*places, {"empty": True}, READING, 1)
    assert found["box"][:, 0].tolist() == [0, 2]
    np.testing.assert_array_equal(read(found, 1), objects()[2] > 0)
    boxes = volume.r_parts(*places, {"axis": None, "patch": (4, 5, 7)}, READING, 1)
    assert len(boxes["box"]) == 1
    whole = {"volume": boxes["labels"][0], "box": [0, 0, 0, 4, 5, 7], "axis": -1}
    ids = volume.load_ids(whole | {"ignored": boxes["ignored"][0],
                                   "numbers": boxes["numbers"]}, None)  # fmt: skip
    assert (ids[[1, 3]] == IGNORE).all()
    np.testing.assert_array_equal(ids[[0, 2]], objects()[[0, 2]] > 0)
