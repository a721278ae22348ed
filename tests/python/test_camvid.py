"""CamVid's layouts, against Pillow and numpy."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from held import across_the_border, held, read, write, write_photo
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from maskr import annotations as formats
from maskr.annotations.camvid_classes import COLOURS, SEGNET
from maskr.annotations.columns import Category
from maskr.annotations.table import Labels
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError
from PIL import Image


def test_segnets_layout_gives_the_files_ids(shared_data):
    root = Path(shared_data("camvid"))
    x, report = read(root)
    assert x.format == "camvid"
    assert not report.skipped
    assert (x.images.splits.count("train"), x.images.splits.count("val")) == (60, 20)
    assert x.names() == dict(enumerate(SEGNET))
    counts = np.zeros(12, dtype=int)
    expected = np.zeros(12, dtype=int)
    for i in range(0, 80, 4):
        truth = np.asarray(Image.open(x.images.mask_files[i]))
        found = x.labels(i)
        assert found.classes.shape == x.size(i) == (360, 480)
        counts += np.bincount(np.where(found.classes == IGNORE, 11, found.classes).ravel())
        expected += np.bincount(truth.ravel(), minlength=12)
        assert Path(x.images.mask_files[i]).name == Path(x.images.files[i]).name
    assert np.array_equal(counts, expected)
    assert expected.min() > 0


def test_colours_of_the_32_classes(shared_data):
    root = Path(shared_data("formats/camvid_dataset"))
    x, report = read(root)
    assert not report.skipped
    assert len(x.classes) == 31
    assert sorted(x.images.splits) == ["test", "test", "train", "val"]
    names = {colour: name for name, colour in COLOURS.items()}
    for i in range(4):
        pixels = np.asarray(Image.open(x.images.mask_files[i]))
        words = [[names["#{:02X}{:02X}{:02X}".format(*p)] for p in row] for row in pixels]
        ids = across_the_border(x).labels(i).classes
        assert [[x.names()[k] for k in row] for row in ids.tolist()] == words


def test_the_table_of_colours():
    assert len(COLOURS) == len(set(COLOURS.values())) == 32
    assert sorted(COLOURS, key=str.lower) == list(COLOURS)
    assert COLOURS["Void"] == "#000000"
    assert set(SEGNET.values()) < set(COLOURS.values())


def original(root: Path) -> Path:
    colours = np.array([[0, 0, 0], [64, 128, 64], [64, 192, 0], [128, 64, 128]], dtype=np.uint8)
    codes = np.array([[0, 1, 2], [3, 3, 0]])
    write_photo(root / "701_StillsRaw_full" / "0001TP_006690.png", 2, 3)
    (root / "LabeledApproved_full").mkdir()
    path = root / "LabeledApproved_full" / "0001TP_006690_L.png"
    Image.fromarray(colours[codes]).save(path)
    return root


def test_the_original_layout(tmp_path):
    root = original(tmp_path)
    (root / "LabeledApproved_full" / "Thumbs.db").write_bytes(b"junk")
    assert formats.detect(root) == "camvid"
    x, _ = read(root)
    names = {**x.names(), IGNORE: "Void"}
    assert [names[k] for k in x.labels(0).classes.ravel().tolist()] == [
        *("Void", "Animal", "Wall"),
        *("Road", "Road", "Void"),
    ]
    assert x.void() == 0
    (root / "label_colors.txt").write_text("64 192 0 Mauer\n128 64 128 Weg\n64 128 64 Tier\n")
    with pytest.raises(DataError, match=r"#000000 \(2 pixels\)"):
        read(root)[0].labels(0)
    (root / "label_colors.txt").write_text(
        "64 192 0 Mauer\n128 64 128 Weg\n64 128 64 Tier\n0 0 0 Void"
    )
    assert read(root)[0].labels(0).classes.tolist() == [[IGNORE, 3, 1], [2, 2, IGNORE]]


def segnet(root: Path, names: tuple[str, ...] = ("a", "b")) -> Path:
    (root / "trainannot").mkdir(parents=True)
    for name in names:
        write_photo(root / "train" / f"{name}.png", 2, 3)
        truth = np.array([[0, 11, 3], [3, 10, 0]], dtype=np.uint8)
        Image.fromarray(truth).save(root / "trainannot" / f"{name}.png")
    return root


def test_lists_choose_the_files(tmp_path):
    root = segnet(tmp_path)
    (root / "train.txt").write_text(
        "/SegNet/CamVid/train/b.png /SegNet/CamVid/trainannot/b.png\n"
        "/SegNet/CamVid/train/gone.png /SegNet/CamVid/trainannot/gone.png\n"
    )
    x, report = read(root)
    assert x.images.files == ["b.png"]
    assert report.skipped == {"image that a list names and that is not there": [1, "gone"]}
    assert x.labels(0).classes.tolist() == [[0, IGNORE, 3], [3, 10, 0]]


def test_damage(tmp_path):
    root = segnet(tmp_path / "a")
    (root / "trainannot" / "a.png").unlink()
    with pytest.raises(DataError, match=r"1 images without a mask \(a\.png\)"):
        read(root)
    root = segnet(tmp_path / "b")
    Image.fromarray(np.full((2, 3), 200, np.uint8)).save(root / "trainannot" / "a.png")
    with pytest.raises(DataError, match=r"a\.png .*: 200 \(6 pixels\)"):
        read(root)[0].labels(0)
    write_photo(root / "trainannot" / "b.png", 2, 3)
    with pytest.raises(FormatError, match=r"b\.png is coded by colours, unlike the first"):
        read(root)[0].labels(1)
    with pytest.raises(FormatError, match="holds neither"):
        read(tmp_path, "camvid")
    with pytest.raises(FormatError, match="is a file"):
        read(root / "trainannot" / "a.png", "camvid")


RENUMBERED = "class id renumbered, since SegNet's CamVid has ids of its own"
small = arrays.arrays(
    np.int32, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.integers(-1, 2)
)


@settings(max_examples=20, deadline=None)
@given(codes=small)
def test_segnets_classes_come_back_identical(codes):
    classes = [Category(n, name) for n, name in enumerate(("Sky", "car", "tree"), start=20)]
    known = list(SEGNET)
    expected = np.array([known.index("sky"), known.index("car"), known.index("tree"), IGNORE])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        x = held([Labels(np.where(codes < 0, codes, codes + 20))], classes, root / "in")
        assert write(x, root / "out", "camvid").changed == {
            RENUMBERED: [3, f'"Sky", 20 becomes {known.index("sky")}']
        }
        back, _ = read(root / "out")
        assert back.images.splits == ["train"]
        assert np.array_equal(back.labels(0).classes, expected[codes])


@settings(max_examples=20, deadline=None)
@given(codes=small)
def test_own_classes_come_back_identical_by_colour(codes):
    classes = [
        Category(0, "background"),
        Category(1, "black", colour="#000000"),
        Category(2, "other", colour="#800000"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        x = held([Labels(codes)], classes, root / "in", ["valid/scene/a.jpg"])
        assert not write(x, root / "out", "camvid").changed
        back, _ = read(root / "out")
        assert back.images.splits == ["val"]
        assert back.images.files == ["scene_a.jpg"]
        assert back.names() == {0: "background", 1: "black", 2: "other"}
        assert np.array_equal(back.labels(0).classes, codes)


def test_pixels_of_no_object_are_void(tmp_path):
    x = held([Labels(np.array([[0, 5, 5]]))], [Category(5, "car")], tmp_path / "in")
    report = write(x, tmp_path / "out", "camvid")
    void = "image whose pixels of no object were written as void"
    assert list(report.changed) == [RENUMBERED, void]
    assert read(tmp_path / "out")[0].labels(0).classes.tolist() == [[IGNORE, 8, 8]]
