"""Cityscapes' layout, against Pillow and numpy."""

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
from maskr.annotations.cityscapes_classes import IDS, LABELS, TRAINED
from maskr.annotations.columns import Category
from maskr.annotations.items import items
from maskr.annotations.report import Report
from maskr.annotations.table import Labels
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError
from PIL import Image, ImageDraw

NAME = "aachen_000000_000019"
RENUMBERED = "class id renumbered, since Cityscapes has ids of its own"


def layout(root: Path, kind: str, pixels: np.ndarray | dict, size: tuple[int, int]) -> Path:
    write_photo(root / "leftImg8bit" / "train" / "aachen" / f"{NAME}_leftImg8bit.png", *size)
    folder = root / "gtFine" / "train" / "aachen"
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, dict):
        (folder / f"{NAME}_gtFine_{kind}.json").write_bytes(orjson.dumps(pixels))
    else:
        Image.fromarray(pixels).save(folder / f"{NAME}_gtFine_{kind}.png")
    return root


def test_the_table_of_classes():
    assert [one.id for one in LABELS] == [*range(34), -1]
    assert [one.train_id for one in TRAINED] == list(range(19))
    assert [one.name for one in LABELS if one.has_instances] == [
        *("person", "rider", "car", "truck", "bus"),
        *("caravan", "trailer", "train", "motorcycle", "bicycle"),
    ]
    assert all(one.ignored == (one.train_id in (255, -1)) for one in LABELS)
    assert IDS["road"] == 7
    assert IDS["bicycle"] == 33


@pytest.mark.parametrize("name", ["dataset", "train_dataset"])
def test_the_fixtures(shared_data, name):
    root = Path(shared_data(f"formats/cityscapes_dataset/{name}"))
    x, report = read(root)
    assert x.format == "cityscapes"
    assert not report.skipped
    assert len(x.images) == len(list(root.rglob("*_instanceIds.png"))) == 4
    assert sorted(x.images.splits) == ["test", "test", "train", "val"]
    for i in range(4):
        raw = np.asarray(Image.open(x.images.mask_files[i])).astype(int)
        found = across_the_border(x).labels(i)
        assert np.array_equal(found.classes, np.where(raw >= 1000, raw // 1000, raw))
        assert np.array_equal(found.objects, np.where(raw >= 1000, raw, 0))
        stem = x.images.files[i].replace("_leftImg8bit.png", "")
        assert Path(x.images.mask_files[i]).name.startswith(Path(stem).name)
    # of the ids of single objects 27001, 27002, 31001, 24001 and 1024 the last is of no thing
    assert sum(len(x.instances(i)[0]) for i in range(4)) == 4


def test_groups_are_crowds(tmp_path):
    raw = np.array([[7, 26, 26, 26000], [24001, 24001, 0, 26000]], dtype=np.uint16)
    x, _ = read(layout(tmp_path, "instanceIds", raw, (2, 4)))
    crowds = [(one.class_id, one.area) for one in items(x, 0, Report())[0] if one.iscrowd]
    assert crowds == [(26, 2)]
    assert x.void() == 0
    things = x.panoptic(0)
    assert sorted(zip(things.class_ids.tolist(), things.isthing.tolist(), strict=True)) == [
        *((0, False), (7, False), (24, True)),
        *((26, False), (26, True)),
    ]


def test_the_best_truth_is_chosen(tmp_path):
    ids = np.array([[7, 26, 26], [0, 1, 23]], dtype=np.uint8)
    trained = np.array([[0, 13, 13], [255, 255, 10]], dtype=np.uint8)
    root = layout(tmp_path, "labelTrainIds", trained, (2, 3))
    x, _ = read(root)
    assert x.names() == {one.train_id: one.name for one in TRAINED}
    expected = np.where(trained == 255, IGNORE, trained.astype(int))
    assert np.array_equal(across_the_border(x).labels(0).classes, expected)
    layout(root, "labelIds", ids, (2, 3))
    x, _ = read(root)
    assert np.array_equal(x.labels(0).classes, ids)
    assert x.labels(0).objects is None
    with pytest.raises(DataError, match="do not tell objects apart"):
        x.instances(0)
    layout(root, "instanceIds", ids.astype(np.uint16), (2, 3))
    assert read(root)[0].labels(0).objects is not None
    assert read(root / "gtFine", images=str(root / "leftImg8bit"))[0].images.splits == ["train"]


def square(label: str, left: int, top: int, side: int, **more) -> dict:
    right, bottom = left + side, top + side
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return {"label": label, "polygon": corners, **more}


def test_polygons_are_drawn_in_their_order(tmp_path):
    objects = [
        square("road", 0, 0, 19),
        square("car", 2, 2, 5),
        square("car", 10, 2, 4),
        square("cargroup", 5, 5, 6),
        square("license plate", 3, 3, 1),
        square("person", 12, 8, 30, deleted=1),
        square("polegroup", 15, 10, 2),
    ]
    content = {"imgHeight": 14, "imgWidth": 20, "objects": objects}
    x, report = read(layout(tmp_path, "polygons", content, (14, 20)))
    assert not report.skipped
    canvas = Image.new("I", (20, 14))
    numbers = {0: 7, 1: 26000, 2: 26001, 3: 26, 6: 18}
    for number, value in numbers.items():
        corners = [tuple(point) for point in objects[number]["polygon"]]
        ImageDraw.Draw(canvas).polygon(corners, fill=value)
    raw = np.array(canvas)
    found = across_the_border(x).labels(0)
    assert np.array_equal(found.classes, np.where(raw >= 1000, raw // 1000, raw))
    assert np.array_equal(found.objects, np.where(raw >= 1000, raw, 0))
    assert x.instances(0)[1].tolist() == [26000, 26001]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "imgHeight"),
        ({"imgHeight": 4, "imgWidth": "5", "objects": []}, "no sizes"),
        ({"imgHeight": 4, "imgWidth": 5, "objects": {}}, "no sizes or objects"),
        ({"imgHeight": 4, "imgWidth": 5, "objects": [{"label": "car"}]}, "object 1 lacks"),
        ({"imgHeight": 4, "imgWidth": 5, "objects": [3]}, "object 1 lacks"),
        ({"imgHeight": 4, "imgWidth": 5, "objects": [square("ufo", 0, 0, 2)]}, 'class "ufo"'),
        (
            {"imgHeight": 4, "imgWidth": 5, "objects": [{"label": "car", "polygon": [[1, 2]]}]},
            "object 1 has a polygon",
        ),
        (
            {"imgHeight": 4, "imgWidth": 5, "objects": [{"label": "car", "polygon": [1, 2]}]},
            "object 1 lacks",
        ),
    ],
)
def test_damaged_polygons_name_file_and_object(tmp_path, content, message):
    root = layout(tmp_path, "polygons", content, (4, 5))
    with pytest.raises(FormatError, match=message) as error:
        read(root)[0].labels(0)
    assert "_gtFine_polygons.json" in error.value.text


def test_strange_ids_and_missing_images(tmp_path):
    root = layout(tmp_path / "a", "labelIds", np.array([[7, 99]], dtype=np.uint8), (1, 2))
    with pytest.raises(FormatError, match=r"_labelIds\.png .*: 99"):
        read(root)[0].labels(0)
    root = layout(tmp_path / "b", "labelTrainIds", np.array([[0, 19]], dtype=np.uint8), (1, 2))
    with pytest.raises(FormatError, match=r"labelTrainIds\.png .*: 19"):
        read(root)[0].labels(0)
    folder = root / "leftImg8bit" / "train" / "aachen"
    write_photo(folder / "aachen_000001_000019_leftImg8bit.png", 1, 2)
    with pytest.raises(DataError, match="1 images without a mask"):
        read(root)
    (root / "leftImg8bit").rename(root / "elsewhere")
    with pytest.raises(FormatError, match="no images"):
        read(root)
    with pytest.raises(FormatError, match="_gtFine_"):
        read(root / "elsewhere", "cityscapes")
    other = root / "elsewhere" / "train" / "aachen" / "aachen_000001_000019_leftImg8bit.png"
    other.unlink()
    assert len(read(root, images=str(root / "elsewhere"))[0].images) == 1


codes = arrays.arrays(
    np.int32, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.integers(0, 5)
)


@settings(max_examples=20, deadline=None)
@given(codes=codes)
def test_truth_comes_back_identical(codes):
    raw = np.array([0, 7, 23, 26, 26000, 33000])[codes]
    # numbers of a class begin at 0, as Cityscapes counts
    classes = np.where(raw >= 1000, raw // 1000, raw)
    classes_known = [
        Category(one.id, one.name, isthing=one.has_instances) for one in LABELS if one.id >= 0
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        labels = Labels(classes, np.where(raw >= 1000, raw, 0))
        x = held([labels], classes_known, root / "in", [f"val/aachen/{NAME}_leftImg8bit.png"])
        assert not write(x, root / "out", "cityscapes").changed
        back, _ = read(root / "out")
        assert back.images.splits == ["val"]
        found = back.labels(0)
        assert np.array_equal(found.classes, classes)
        assert np.array_equal(found.objects, labels.objects)
        folder = root / "out" / "gtFine" / "val" / "aachen"
        assert np.array_equal(Image.open(folder / f"{NAME}_gtFine_labelIds.png"), classes)
        colours = {one.id: one.colour for one in LABELS}
        painted = np.asarray(Image.open(folder / f"{NAME}_gtFine_color.png"))
        assert "#{:02X}{:02X}{:02X}".format(*painted[0, 0]) == colours[classes[0, 0]]


def test_classes_go_by_name(tmp_path):
    x = overlapping(tmp_path / "in", (1, 2))
    report = write(x, tmp_path / "out", "cityscapes")
    assert report.changed.pop(RENUMBERED) == [2, '"car", 1 becomes 26']
    assert report.changed == {"object partly or wholly under another one": [1, "a.png"]}
    assert formats.detect(tmp_path / "out") == "cityscapes"
    back, _ = read(tmp_path / "out")
    assert back.instances(0)[1].tolist() == [24000, 26000]
    x.classes.append(Category(3, "ufo"))
    with pytest.raises(DataError, match="no class called ufo"):
        write(x, tmp_path / "out2", "cityscapes")


def test_masks_of_classes_have_no_instance_ids(tmp_path):
    labels = Labels(np.array([[1, IGNORE, 2]]))
    classes = [Category(1, "road", isthing=False), Category(2, "car", isthing=False)]
    x = held([labels], classes, tmp_path / "in")
    report = write(x, tmp_path / "out", "cityscapes")
    ignored = "image whose pixels to be ignored were written as 0"
    assert list(report.changed) == [RENUMBERED, ignored]
    names = {path.name.split("gtFine_")[-1] for path in (tmp_path / "out").rglob("*gtFine_*")}
    assert names == {"labelIds.png", "color.png"}
    assert read(tmp_path / "out")[0].labels(0).classes.tolist() == [[7, 0, 26]]


def test_too_many_objects_of_a_class(tmp_path):
    numbers = np.arange(1, 1002)[None]
    x = held([Labels(np.ones_like(numbers), numbers)], [Category(1, "car")], tmp_path / "in")
    with pytest.raises(DataError, match="1001 objects of class 26"):
        write(x, tmp_path / "out", "cityscapes")
    assert not (tmp_path / "out").exists()


def test_ignored_pixels_are_never_a_class(tmp_path):
    labels = Labels(np.array([[0, IGNORE, 1]]))
    classes = [Category(0, "sky", isthing=False), Category(1, "building", isthing=False)]
    write(held([labels], classes, tmp_path / "in"), tmp_path / "out", "cityscapes")
    assert read(tmp_path / "out")[0].labels(0).classes.tolist() == [[23, 0, 11]]
