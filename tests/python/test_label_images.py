"""Label images of object numbers, against Pillow, numpy and the counts of who made them."""

import csv
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from held import across_the_border, held, overlapping, read, write, write_photo
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from maskr import annotations as formats
from maskr.annotations.columns import Category
from maskr.annotations.table import Labels
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError
from maskr.instances import decode
from PIL import Image

CELL = [Category(4, "cell")]


def folder_of(tmp_path: Path, numbers: np.ndarray, name: str = "a.png") -> Path:
    write_photo(tmp_path / "images" / f"{Path(name).stem}.jpg", *numbers.shape[-2:])
    (tmp_path / "labels").mkdir(exist_ok=True)
    path = tmp_path / "labels" / name
    if path.suffix == ".tif":
        tifffile.imwrite(path, numbers, photometric="minisblack")
    else:
        Image.fromarray(numbers).save(path)
    return tmp_path


LOST = 'class whose name and id the format cannot hold, read as "object"'


def test_the_nuclei_are_as_many_as_their_table_says(shared_data):
    root = Path(shared_data("nuclei/valid"))
    x, report = read(root, "labels", classes={"nucleus": 1})
    with open(root / "index.csv", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert len(x.images) == len(rows) == 94
    assert not report.skipped
    for i, name in enumerate(x.images.files):
        row = rows[name if name in rows else Path(name).stem]
        assert x.size(i) == (int(row["height"]), int(row["width"]))
        found, ids = x.instances(i)
        assert len(found) == int(row["nuclei"])
        assert set(found.class_ids.tolist()) == {1}
        if i < 5:
            truth = np.asarray(Image.open(x.images.mask_files[i]))
            for rle, number in zip(found.rles, ids, strict=True):
                assert np.array_equal(decode([rle], found.size)[..., 0], truth == number)


def test_splits_of_the_nuclei(shared_data):
    x, _ = read(shared_data("nuclei"), "labels")
    assert (x.images.splits.count("train"), x.images.splits.count("val")) == (452, 94)


@pytest.mark.parametrize("name", ["mask2d.tif", "mask3d.tif"])
def test_stardist_labels(shared_data, name):
    path = shared_data(f"stardist/{name}")
    image = shared_data(f"stardist/{name.replace('mask', 'img')}")
    x, _ = read(path, "labels", images=image)
    truth = tifffile.imread(path)
    found = across_the_border(x).labels(0)
    assert np.array_equal(found.objects, truth)
    assert np.array_equal(found.classes, truth > 0)
    assert len(np.unique(truth)) > 30


@pytest.mark.parametrize(
    ("name", "dtype"), [("a.png", np.uint8), ("a.png", np.uint16), ("a.tif", np.uint32)]
)
def test_every_depth(tmp_path, name, dtype):
    numbers = np.array([[0, 1, 2], [255, 255, 7]], dtype=dtype)
    x, _ = read(folder_of(tmp_path, numbers, name), "labels", classes={"cell": 4})
    assert np.array_equal(x.labels(0).objects, numbers)
    assert np.array_equal(x.labels(0).classes, np.where(numbers > 0, 4, 0))
    assert x.instances(0)[1].tolist() == [1, 2, 7, 255]
    y, _ = read(tmp_path, "labels", classes={"cell": 4}, ignore=255, explicit_ignore=True)
    assert np.array_equal(across_the_border(y).labels(0).classes, [[0, 4, 4], [IGNORE, IGNORE, 4]])


def test_what_is_no_label_image(tmp_path):
    binary = np.array([[0, 255], [255, 0], [0, 0]], dtype=np.uint8)
    x, _ = read(folder_of(tmp_path / "a", binary), "labels")
    with pytest.raises(DataError, match="binary mask"):
        x.labels(0)
    x, _ = read(folder_of(tmp_path / "b", -np.ones((2, 3), np.int32), "a.tif"), "labels")
    with pytest.raises(DataError, match="negative"):
        x.labels(0)
    x, _ = read(folder_of(tmp_path / "c", np.full((2, 3), 0.5, np.float32), "a.tif"), "labels")
    with pytest.raises(DataError, match="fractions"):
        x.labels(0)
    with pytest.raises(DataError, match="objects of one class, not of 2"):
        read(tmp_path / "a", "labels", classes={"a": 1, "b": 2})
    with pytest.raises(DataError, match="id 0 is the background"):
        read(tmp_path / "a", "labels", classes={"a": 0})


def test_the_background_may_have_another_id(tmp_path):
    numbers = np.array([[0, 1], [2, 0]], dtype=np.uint16)
    x, _ = read(folder_of(tmp_path, numbers), "labels", classes={"background": 9, "cell": 1})
    assert np.array_equal(x.labels(0).classes, [[9, 1], [1, 9]])
    assert x.things() == {1}


def test_label_images_are_not_found_by_themselves(tmp_path):
    root = folder_of(tmp_path, np.array([[0, 1], [2, 0]], dtype=np.uint16))
    assert formats.detect(root) == "masks"
    with pytest.raises(DataError) as error:
        read(root)
    assert '"labels"' in error.value.hint


@settings(max_examples=25, deadline=None)
@given(
    codes=arrays.arrays(
        np.int32, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.integers(0, 4)
    ),
    top=st.sampled_from([4, 255, 65535, 70000]),
)
def test_labels_come_back_identical(codes, top):
    numbers = np.array([0, 1, 2, 9, top])[codes]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        labels = Labels(np.where(numbers > 0, 4, 0), numbers)
        x = held([labels], CELL, root / "in", ["train/a.png"])
        report = write(x, root / "out", "labels")
        assert report.changed == {LOST: [1, "cell"]}
        back, _ = read(root / "out", "labels", classes={"cell": 4})
        assert back.images.splits == ["train"]
        found = across_the_border(back).labels(0)
        assert np.array_equal(found.objects, numbers)
        assert np.array_equal(found.classes, labels.classes)


def test_volumes_come_back_identical(tmp_path):
    numbers = np.random.default_rng(2).integers(0, 5, (3, 4, 5))
    x = held([Labels(np.where(numbers > 0, 4, 0), numbers)], CELL, tmp_path / "in")
    tifffile.imwrite(tmp_path / "in/image0.tif", numbers.astype(np.uint8), photometric="minisblack")
    x.images.files = ["image0.tif"]
    write(x, tmp_path / "out", "labels")
    assert np.array_equal(read(tmp_path / "out", "labels")[0].labels(0).objects, numbers)


def test_losses_are_counted(tmp_path):
    report = write(overlapping(tmp_path / "in", (1, 2)), tmp_path / "out", "labels")
    assert {reason: count for reason, (count, _) in report.changed.items()} == {
        "object partly or wholly under another one": 1,
        "object written without its class": 2,
    }
    numbers = np.asarray(Image.open(tmp_path / "out" / "labels" / "a.png"))
    assert np.unique(numbers, return_counts=True)[1].tolist() == [80 - 28, 12, 16]

    classes = np.array([[1, 1, 5, IGNORE]])
    classes = [Labels(classes, np.array([[1, 0, 0, 0]]))]
    x = held(classes, [Category(1, "cell"), Category(5, "glass", isthing=False)], tmp_path / "in2")
    report = write(x, tmp_path / "out2", "labels")
    assert {reason: count for reason, (count, _) in report.changed.items()} == {
        "image whose pixels to be ignored were written as 0": 1,
        "image with regions that are not single objects, written as 0": 1,
        LOST: 1,
    }
    x = held([Labels(np.array([[1, 0]]), np.array([[1, 0]]))], [Category(1, "object")], tmp_path)
    assert not write(x, tmp_path / "out3", "labels").changed


def test_masks_of_classes_hold_no_objects(tmp_path):
    x = held([Labels(np.array([[1, 0]]))], CELL, tmp_path / "in")
    with pytest.raises(DataError, match="does not tell objects apart"):
        write(x, tmp_path / "out", "labels")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cut", [0, 8, 30, 60])
def test_truncated_files(tmp_path, cut):
    root = folder_of(tmp_path, np.arange(600, dtype=np.uint16).reshape(20, 30))
    path = root / "labels" / "a.png"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FormatError, match=r"a\.png"):
        read(root, "labels")[0].labels(0)
