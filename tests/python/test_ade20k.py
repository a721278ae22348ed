"""ADE20K, whole and as scene parsing, against Pillow, numpy and the masks of single objects."""

import tempfile
from pathlib import Path

import numpy as np
import orjson
import pytest
from held import across_the_border, held, overlapping, read, write, write_photo
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from maskr import annotations as formats
from maskr.annotations.ade20k_classes import SCENE_CLASSES
from maskr.annotations.columns import Category
from maskr.annotations.table import Labels
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError
from PIL import Image


def objects_of(path: Path) -> list[dict]:
    objects = orjson.loads(path.read_bytes())["annotation"]["object"]
    return [one for one in objects if one["parts"]["part_level"] == 0]


def test_three_images_and_the_masks_of_their_objects(shared_data):
    root = Path(shared_data("ade20k"))
    x, report = read(root)
    assert x.format == "ade20k"
    assert not report.skipped
    assert len(x.images) == 3
    assert x.images.splits == ["train"] * 3
    known = {}
    exact = total = 0
    for i in range(3):
        path = Path(x.images.mask_files[i])
        pixels = np.asarray(Image.open(path)).astype(int)
        found = across_the_border(x).labels(i)
        assert np.array_equal(found.classes, pixels[..., 0] // 10 * 256 + pixels[..., 1])
        values = np.unique(pixels[..., 2])
        assert np.array_equal(values[found.objects], pixels[..., 2])
        objects = objects_of(path.with_name(path.name.replace("_seg.png", ".json")))
        assert len(x.instances(i)[0]) == len(objects) == len(values) - 1
        for one in objects:
            known[one["name_ndx"]] = one["name"]
            visible = np.asarray(Image.open(path.parent / one["instance_mask"])) == 255
            own = found.objects == np.bincount(found.objects[visible]).argmax()
            assert (found.classes[own] == one["name_ndx"]).all()
            assert (own & visible).sum() / (own | visible).sum() > 0.96
            exact += np.array_equal(own, visible)
            total += 1
    assert x.names() == known
    assert (exact, total) == (105, 109)


@pytest.mark.parametrize(("level", "n"), [(1, 3), (2, 1)])
def test_parts_are_read_by_level_or_said_to_be_left_out(shared_data, level, n):
    root = Path(shared_data("ade20k"))
    assert read(root)[1].changed["image whose objects' parts are left out (level = 0)"][0] == 3
    x, report = read(root, level=level)
    assert len(x.images) == n and not report.changed
    assert sum(count for count, _ in report.skipped.values()) == 3 - n
    for i in range(n):
        path = Path(x.images.mask_files[i])
        assert path.name.endswith(f"_parts_{level}.png")
        pixels = np.asarray(Image.open(path)).astype(int)
        ids = pixels[..., 0] // 10 * 256 + pixels[..., 1]
        assert np.array_equal(across_the_border(x).labels(i).classes, np.where(ids > 0, ids, 0))
        description = path.with_name(path.name.replace(f"_parts_{level}.png", ".json"))
        objects = orjson.loads(description.read_bytes())["annotation"]["object"]
        named = {one["name_ndx"] for one in objects if one["parts"]["part_level"] == level}
        assert set(np.unique(ids)) - {0} == named and named <= set(x.names())
    with pytest.raises(FormatError, match=r"\*_parts_9\.png"):
        read(root, level=9)


def test_the_fixture_of_2020(shared_data):
    root = Path(shared_data("formats/ade20k2020_dataset/dataset"))
    x, report = read(root)
    assert not report.skipped
    assert x.images.splits == ["train", "val"]
    expected = {one["name_ndx"]: one["name"] for one in objects_of(root / "validation/2.json")}
    assert x.names() == expected
    for i, name in enumerate(("training/street/1", "validation/2")):
        found = x.labels(i)
        for one in objects_of(root / f"{name}.json"):
            mask = np.asarray(Image.open((root / name).parent / one["instance_mask"])) > 0
            assert np.array_equal(found.classes == one["name_ndx"], mask)


def test_the_fixture_of_2017_lacks_the_id_of_one_class(shared_data):
    x, report = read(shared_data("formats/ade20k2017_dataset/dataset"))
    assert x.names() == {1: "sky"}
    assert report.skipped["object without pixels of a class"][0] == 1
    for i in range(2):
        pixels = np.asarray(Image.open(x.images.mask_files[i])).astype(int)
        assert np.array_equal(x.labels(i).classes, pixels[..., 0] // 10 * 256 + pixels[..., 1])
        assert len(x.instances(i)[0]) == 1


def seg(root: Path, pixels: list, name: str = "training/a") -> Path:
    array = np.array(pixels, dtype=np.uint8)
    write_photo(root / f"{name}.jpg", *array.shape[:2])
    Image.fromarray(array).save(root / f"{name}_seg.png")
    return root


PIXELS = [[(0, 9, 30), (0, 9, 30), (10, 56, 90)], [(0, 0, 0), (10, 56, 200), (10, 56, 90)]]
ATR = '001 # 0 # 0 # tree, wood # tree # "tall"\n002 # 0 # 1 # building # house # ""\n'


def test_names_of_2017_are_found_by_the_masks(tmp_path):
    root = seg(tmp_path, PIXELS)
    text = ATR + '003 # 0 # 0 # building # house # ""\n001 # 1 # 0 # window # window # ""\n'
    (root / "training" / "a_atr.txt").write_text(text)
    assert formats.detect(root) == "ade20k"
    x, report = read(root)
    assert not report.skipped
    assert x.names() == {9: "tree, wood", 312: "building"}
    found = x.labels(0)
    assert found.objects.tolist() == [[1, 1, 2], [0, 3, 2]]
    assert found.classes.tolist() == [[9, 9, 312], [0, 312, 312]]
    x, _ = read(root, classes={"tree": 9})
    with pytest.raises(DataError, match=r"312 \(3 pixels\)"):
        x.labels(0)


def test_unlabelled_pixels_are_what_pixels_of_no_object_are(tmp_path):
    root = seg(tmp_path, PIXELS)
    (root / "training" / "a_atr.txt").write_text(ATR + "003 # 0 # 0 # building # house #\n")
    x, _ = read(root)
    back = across_the_border(x)
    assert back.labels(0).classes.tolist() == [[9, 9, 312], [0, 312, 312]]
    back.reading["void"] = "ignore"
    assert back.labels(0).classes.tolist() == [[9, 9, 312], [IGNORE, 312, 312]]
    # with new ids, as R gives them
    back.classes = [Category(5, "background", isthing=False), Category(1, "tree, wood")]
    back.classes.append(Category(2, "building"))
    back.reading = {**x.reading, "renumber": [[0, -1], [9, 1], [312, 2]]}
    assert back.labels(0).classes.tolist() == [[1, 1, 2], [5, 2, 2]]


@pytest.mark.parametrize("ending", ["JPG", "Jpeg"])
def test_images_may_have_endings_in_any_case(tmp_path, ending):
    labels = Labels(np.array([[0, 1, 1]]), np.array([[0, 1, 1]]))
    x = held([labels], [Category(1, "car")], tmp_path / "in", ["train/q1.jpg"])
    (tmp_path / "in/train/q1.jpg").rename(tmp_path / f"in/train/q1.{ending}")
    x.images.files[0] = f"train/q1.{ending}"
    write(x, tmp_path / "out", "ade20k")
    back, _ = read(tmp_path / "out")
    assert back.image_path(0).name == f"q1.{ending}"
    assert np.array_equal(back.labels(0).classes, labels.classes)


@pytest.mark.parametrize("text", ["001 # 0\n", "a # 0 # 0 # sky # sky\n", "{}"])
def test_damaged_descriptions_of_2017(tmp_path, text):
    root = seg(tmp_path, PIXELS)
    (root / "training" / "a_atr.txt").write_text(ATR + text)
    with pytest.raises(FormatError, match=r"Line 3 of .*a_atr\.txt"):
        read(root)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"annotation": 3}',
        '{"annotation": {"object": [{"name": "a"}]}}',
        '{"annotation": {"object": [{"name_ndx": "x", "parts": {"part_level": 0}}]}}',
    ],
)
def test_damaged_descriptions_of_2020(tmp_path, text):
    root = seg(tmp_path, PIXELS)
    (root / "training" / "a.json").write_text(text)
    with pytest.raises(FormatError, match=r"a\.json is not ADE20K JSON"):
        read(root)


def test_latin_text_names_twice_and_masks_without_names(tmp_path):
    root = seg(tmp_path, PIXELS)
    seg(root, PIXELS, "training/b")
    objects = [
        {"name": "d\xe9cor", "name_ndx": 9, "parts": {"part_level": 0}},
        {"name": "d\xe9cor", "name_ndx": 312, "parts": {"part_level": 0}},
        {"name": "nothing", "name_ndx": 0, "parts": {"part_level": 0}},
    ]
    raw = orjson.dumps({"annotation": {"object": objects}}).decode().encode("latin-1")
    (root / "training" / "a.json").write_bytes(raw)
    x, report = read(root)
    assert x.names() == {9: "d\xe9cor", 312: "d\xe9cor (312)"}
    assert {reason: count for reason, (count, _) in report.skipped.items()} == {
        "object without a class id": 1,
        "mask without names of its classes": 1,
    }


def test_damaged_masks(tmp_path):
    root = seg(tmp_path / "a", PIXELS)
    (root / "training" / "a.json").write_text('{"annotation": {"object": []}}')
    (root / "training" / "a.jpg").unlink()
    with pytest.raises(FormatError, match=r"no image a\.jpg"):
        read(root)
    write_photo(root / "training" / "a.jpg", 2, 3)
    path = root / "training" / "a_seg.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(FormatError, match=r"a_seg\.png"):
        read(root)[0].labels(0)
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(path)
    write_photo(root / "training" / "b.jpg", 2, 3)
    x, report = read(root)
    assert report.skipped["image without a mask"][0] == 1
    with pytest.raises(FormatError, match="not an RGB image"):
        x.labels(0)


def test_scene_parsing(tmp_path):
    ids = np.array([[0, 1, 150], [13, 13, 0]], dtype=np.uint8)
    for split in ("training", "validation"):
        write_photo(tmp_path / "images" / split / "ADE_1.jpg", 2, 3)
        (tmp_path / "annotations" / split).mkdir(parents=True)
        Image.fromarray(ids).save(tmp_path / "annotations" / split / "ADE_1.png")
    assert formats.detect(tmp_path) == "ade20k"
    x, _ = read(tmp_path)
    assert x.images.splits == ["train", "val"]
    assert len(x.classes) == len(set(SCENE_CLASSES)) == 150
    assert (x.names()[1], x.names()[13], x.names()[150]) == ("wall", "person", "flag")
    found = across_the_border(x).labels(1)
    assert np.array_equal(found.classes, np.where(ids == 0, IGNORE, ids.astype(int)))
    assert found.objects is None
    Image.fromarray(ids + np.uint8(100)).save(tmp_path / "annotations/validation/ADE_1.png")
    with pytest.raises(DataError, match=r"250 \(1 pixels\)"):
        x.labels(1)


codes = arrays.arrays(
    np.int32, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.integers(0, 5)
)


@settings(max_examples=20, deadline=None)
@given(codes=codes)
def test_masks_come_back_identical(codes):
    ids = np.array([0, 1, 255, 256, 6655, 6655])
    # objects in the order of their numbers, which are counted anew without gaps
    numbers = np.searchsorted(np.unique(np.append(codes, 0)), codes)
    classes = [Category(one, f"class {one}") for one in (1, 255, 256, 6655)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        x = held([Labels(ids[codes], numbers)], classes, root / "in", ["val/a.jpg"])
        assert not write(x, root / "out", "ade20k").changed
        back, _ = read(root / "out", "ade20k")
        assert back.images.splits == ["val"]
        found = back.labels(0)
        assert np.array_equal(found.classes, ids[codes])
        assert np.array_equal(found.objects, numbers)
        kept = np.unique(ids[codes])
        assert back.names() == {one: f"class {one}" for one in kept[kept > 0].tolist()}


def test_losses_are_counted(tmp_path):
    report = write(overlapping(tmp_path / "in", (1, 2)), tmp_path / "out", "ade20k")
    assert report.changed == {"object partly or wholly under another one": [1, "a.png"]}
    assert len(read(tmp_path / "out")[0].instances(0)[0]) == 2
    numbers = np.arange(1, 301)[None]
    classes = np.where(numbers == 300, IGNORE, 1)
    x = held([Labels(classes, numbers)], [Category(1, "car")], tmp_path / "in2")
    report = write(x, tmp_path / "out2", "ade20k")
    assert {reason: count for reason, (count, _) in report.changed.items()} == {
        "image whose pixels to be ignored were written as 0": 1,
        "object beyond 255 of its image, without number": 44,
    }


@pytest.mark.parametrize("class_id", [0, 6656])
def test_class_ids_that_do_not_fit(tmp_path, class_id):
    one = Category(class_id, "sky", isthing=False)
    x = held([Labels(np.array([[class_id]]))], [one], tmp_path / "in")
    with pytest.raises(DataError, match=f"id {class_id}, and ADE20K holds 1 to 6655"):
        write(x, tmp_path / "out", "ade20k")
    assert not (tmp_path / "out").exists()
