"""The Cell Tracking Challenge's folders, made by hand."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from held import across_the_border, held, overlapping, read, write
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from maskr import annotations as formats
from maskr.annotations.columns import Category
from maskr.annotations.table import Labels
from maskr.arrays import IGNORE
from maskr.errors import FormatError

TRUTH = np.array([[0, 0, 5, 5, 0], [0, 900, 5, 0, 0], [900, 900, 0, 0, 2]], dtype=np.uint16)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack")


def sequence(root: Path, number: str = "01", frames: int = 3, kind: str = "GT") -> Path:
    for time in range(frames):
        save(root / number / f"t{time:03d}.tif", np.zeros((3, 5), np.uint8))
    save(root / f"{number}_{kind}" / "SEG" / "man_seg002.tif", TRUTH)
    save(root / f"{number}_{kind}" / "SEG" / "man_seg000.tif", TRUTH[::-1])
    save(root / f"{number}_{kind}" / "TRA" / "man_track000.tif", TRUTH)
    (root / f"{number}_{kind}" / "TRA" / "man_track.txt").write_text("1 0 2 0\n")
    return root


def test_only_frames_with_truth_are_read(tmp_path):
    root = sequence(sequence(tmp_path), "02", kind="ST")
    assert formats.detect(root) == "ctc"
    x, report = read(root)
    assert not report.skipped
    files = ["01/t000.tif", "01/t002.tif", "02/t000.tif", "02/t002.tif"]
    assert x.images.files == files
    assert all((Path(x.folder) / file).is_file() for file in files)
    assert [(one.id, one.name) for one in x.classes] == [(1, "cell")]
    found = across_the_border(x).labels(1)
    assert np.array_equal(found.objects, TRUTH)
    assert np.array_equal(found.classes, TRUTH > 0)
    assert x.instances(1)[1].tolist() == [2, 5, 900]


def test_truth_in_a_folder_of_another_name_says_how_to_call_it(tmp_path):
    root = sequence(tmp_path)
    (root / "01_GT").rename(root / "GT")
    for path in (root, root / "GT"):
        with pytest.raises(FormatError, match=r"man_seg000\.tif is not in a folder like 01_GT/SEG"):
            read(path, "ctc")
    (root / "GT").rename(root / "01_GT")
    (root / "01").rename(root / "frames")
    with pytest.raises(FormatError, match=r"not there: .*01 with the frames t000\.tif") as caught:
        read(root / "01_GT", "ctc")
    assert "images = folder" in caught.value.hint


def test_gold_goes_before_silver(tmp_path):
    root = sequence(tmp_path)
    save(root / "01_ST" / "SEG" / "man_seg001.tif", TRUTH)
    assert read(root)[0].images.files == ["t000.tif", "t002.tif"]
    assert read(root / "01_ST")[0].images.files == ["t001.tif"]
    assert read(root, classes={"nucleus": 3})[0].names() == {3: "nucleus"}


def test_slices_of_a_stack_leave_the_others_ignored(tmp_path):
    save(tmp_path / "01" / "t000.tif", np.zeros((6, 3, 5), np.uint8))
    for z in (1, 4):
        save(tmp_path / "01_GT" / "SEG" / f"man_seg_000_{z:03d}.tif", TRUTH * (z == 4))
    x, _ = read(tmp_path)
    assert x.images.files == ["t000.tif"]
    found = across_the_border(x).labels(0)
    assert found.classes.shape == (6, 3, 5)
    assert np.array_equal(found.objects[4], TRUTH)
    assert (found.classes[[0, 2, 3, 5]] == IGNORE).all()
    assert (found.classes[1] == 0).all()
    write(x, tmp_path / "out", "ctc")
    names = sorted(path.name for path in (tmp_path / "out" / "01_GT" / "SEG").iterdir())
    assert names == ["man_seg_000_001.tif", "man_seg_000_004.tif"]
    again = read(tmp_path / "out")[0].labels(0)
    assert np.array_equal(again.classes, found.classes)
    assert np.array_equal(again.objects, found.objects)


def test_whole_stacks_come_back_identical(tmp_path):
    stack = np.stack([TRUTH, TRUTH[::-1]])
    save(tmp_path / "01" / "t0007.tif", stack)
    save(tmp_path / "01_GT" / "SEG" / "man_seg0007.tif", stack)
    x, _ = read(tmp_path)
    assert not write(x, tmp_path / "out", "ctc").changed
    assert np.array_equal(tifffile.imread(tmp_path / "out/01_GT/SEG/man_seg0007.tif"), stack)
    assert (tmp_path / "out" / "01" / "t0007.tif").is_file()


@settings(max_examples=20, deadline=None)
@given(
    codes=arrays.arrays(
        np.int32, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.integers(0, 4)
    )
)
def test_frames_come_back_identical(codes):
    numbers = np.array([0, 1, 2, 255, 65535])[codes]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        labels = Labels((numbers > 0).astype(int), numbers)
        x = held([labels, labels], [Category(1, "cell")], root / "in")
        report = write(x, root / "out", "ctc")
        assert {r: n for r, (n, _) in report.changed.items()} == {
            "image that is not a TIFF, copied as it is": 2,
            "image whose name becomes the number of a frame": 2,
        }
        back, _ = read(root / "out")
        assert back.images.files == ["t000.png", "t001.png"]
        for i in range(2):
            assert np.array_equal(back.labels(i).objects, numbers)
            assert np.array_equal(back.labels(i).classes, labels.classes)


def test_too_large_numbers_are_counted_anew(tmp_path):
    numbers = np.array([[70000, 0, 80000]])
    x = held([Labels((numbers > 0).astype(int), numbers)], [Category(1, "cell")], tmp_path / "in")
    write(x, tmp_path / "out", "ctc")
    assert read(tmp_path / "out")[0].labels(0).objects.tolist() == [[1, 0, 2]]


def test_losses_are_counted(tmp_path):
    report = write(overlapping(tmp_path / "in", (1, 2)), tmp_path / "out", "ctc")
    assert report.changed["object partly or wholly under another one"][0] == 1
    assert report.changed["object written without its class"][0] == 2


def test_the_name_of_the_class_is_counted_where_it_is_lost(tmp_path):
    labels = Labels(np.array([[1, 0]]), np.array([[1, 0]]))
    x = held([labels], [Category(1, "nucleus")], tmp_path / "in", ["t004.png"])
    changed = write(x, tmp_path / "out", "ctc").changed
    reason = 'class whose name and id the format cannot hold, read as "cell"'
    assert changed[reason] == [1, "nucleus"]
    assert "image whose name becomes the number of a frame" not in changed


def test_a_file_is_no_data_set(tmp_path):
    file = tmp_path / "man_seg000.tif"
    tifffile.imwrite(file, np.zeros((2, 3), np.uint16))
    with pytest.raises(FormatError, match="is a file"):
        read(file, "ctc")


def test_damage(tmp_path):
    root = sequence(tmp_path)
    (root / "01" / "t002.tif").unlink()
    with pytest.raises(FormatError, match=r"no frame t002\.tif"):
        read(root)
    with pytest.raises(FormatError, match="no man_seg"):
        read(root / "01", "ctc")
    path = sequence(tmp_path / "b") / "01_GT" / "SEG" / "man_seg000.tif"
    whole = path.read_bytes()
    path.write_bytes(whole[:150])
    x, report = read(tmp_path / "b")
    assert x.images.files == ["t002.tif"]
    assert report.skipped["file that is not a readable image"][0] == 1
    path.write_bytes(whole[:-8])
    with pytest.raises(FormatError, match="man_seg000"):
        read(tmp_path / "b")[0].labels(0)
    save(tmp_path / "c" / "01" / "t000.tif", np.zeros((6, 3, 5), np.uint8))
    for z in (0, 1):
        save(tmp_path / f"c/01_GT/SEG/man_seg_000_00{z}.tif", TRUTH[: 3 - z])
    with pytest.raises(FormatError, match="differ in size"):
        read(tmp_path / "c")[0].labels(0)
