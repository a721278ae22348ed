"""SUN RGB-D: scenes with polygons, and the benchmark's label images; both made here."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from maskr.annotations import ReadOptions, read
from maskr.annotations.report import Report
from maskr.annotations.sunrgbd import CLASSES, matches
from maskr.arrays import IGNORE
from maskr.errors import FormatError
from PIL import Image
from scipy.io import savemat

SIZE = (12, 20)


def picture(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path)


def rectangle(name: int, left: float, top: float, right: float, bottom: float) -> dict:
    return {"object": name, "x": [left, right, right, left], "y": [top, top, bottom, bottom]}


def scene(root: Path, folder: str, objects: list, polygons: list) -> Path:
    """Write a scene as the dataset's owners do."""
    place = root / folder
    picture(place / "image" / "0000042.jpg")
    file = place / "annotation2Dfinal" / "index.json"
    file.parent.mkdir()
    file.write_bytes(orjson.dumps({"frames": [{"polygon": polygons}], "objects": objects}))
    (file.parent / "index.json_20150712014949").write_text("an older one")
    return place


ROOM = (
    [{"name": "wall"}, None, {"name": "Night stand"}, {"name": "garbage_bin"}],
    [rectangle(0, 0, 0, 20, 8), rectangle(2, 3, 5, 9, 10), rectangle(3, 5, 2, 7, 6)],
)


def test_polygons_become_classes_in_the_order_of_the_file(tmp_path):
    scene(tmp_path, "SUNRGBD/kv1/NYUdata/NYU0001", *ROOM)
    report = Report()
    found = read(str(tmp_path), "auto", ReadOptions(), report)
    assert found.format == "sunrgbd"
    assert found.images.files == ["SUNRGBD/kv1/NYUdata/NYU0001/image/0000042.jpg"]
    assert (found.images.heights, found.images.widths) == ([12], [20])
    expected = np.full(SIZE, IGNORE)
    expected[0:8, 0:20] = 1  # wall
    expected[5:10, 3:9] = 32  # night stand, drawn later
    expected[2:6, 5:7] = IGNORE  # a bin is none of the 37 classes, but it hides them
    labels = found.labels(0)
    np.testing.assert_array_equal(labels.classes, expected)
    numbers = np.select([expected == 1, expected == 32], [1, 2], 0)
    np.testing.assert_array_equal(labels.objects, numbers)
    assert report.changed == {
        "object that is none of the classes, ignored": [1, report_place(tmp_path)]
    }


def report_place(root: Path) -> str:
    folder = root / "SUNRGBD/kv1/NYUdata/NYU0001"
    return f"garbage_bin in {folder}/annotation2Dfinal/index.json"


def test_the_37_classes_are_those_of_the_benchmark(tmp_path):
    scene(tmp_path, "kv1/a", *ROOM)
    found = read(str(tmp_path), "sunrgbd", ReadOptions(), Report())
    ids = {one.name: one.id for one in found.classes}
    assert len(ids) == len(CLASSES) == 37
    assert [ids[name] for name in ("wall", "floor", "chair", "floor_mat", "bag")] == [
        1, 2, 5, 20, 37,
    ]  # fmt: skip
    assert {one.name for one in found.classes if not one.isthing} == {"wall", "floor", "ceiling"}


def test_instances_are_the_visible_parts_of_things(tmp_path):
    scene(tmp_path, "kv1/a", *ROOM)
    instances, _ = read(str(tmp_path), "sunrgbd", ReadOptions(), Report()).instances(0)
    assert instances.class_ids.tolist() == [32]
    assert instances.areas.tolist() == [6 * 5 - 2]


def test_other_classes_can_be_named(tmp_path):
    scene(tmp_path, "kv1/a", *ROOM)
    options = ReadOptions(classes={"garbage bin": 4, "wall": 9})
    found = read(str(tmp_path), "sunrgbd", options, Report())
    classes = found.labels(0).classes
    assert set(np.unique(classes)) == {IGNORE, 4, 9}
    assert (classes == 4).sum() == 8


def test_damaged_scenes_and_polygons_are_counted_and_left_out(tmp_path):
    polygons = [
        rectangle(0, 0, 0, 20, 8),
        {"object": 7, "x": [1, 2, 3], "y": [1, 2, 1]},
        {"object": 1, "x": [1, 2, 3], "y": [1, 2, 1]},
        {"object": 0, "x": 5.0, "y": 6.0},
        {"object": 0, "x": [1, 2], "y": [1, 2]},
        {"object": 0, "x": [1, None, 3], "y": [1, 2, 1]},
    ]
    scene(tmp_path, "xtion/good", ROOM[0], polygons)
    broken = scene(tmp_path, "xtion/broken", *ROOM) / "annotation2Dfinal" / "index.json"
    broken.write_text('{"objects": [{"name":""propulsion"tool"}]}')
    empty = scene(tmp_path, "xtion/none", *ROOM) / "image" / "0000042.jpg"
    empty.unlink()
    report = Report()
    found = read(str(tmp_path), "sunrgbd", ReadOptions(), report)
    assert found.images.files == ["xtion/good/image/0000042.jpg"]
    assert {reason: count for reason, (count, _) in report.skipped.items()} == {
        "scene whose index.json is damaged": 1,
        "scene without a photograph in image/": 1,
        "polygon of an object that is not described": 2,
        "polygon of fewer than three points": 2,
        "polygon with coordinates that are not finite": 1,
    }
    assert set(np.unique(found.labels(0).classes)) == {IGNORE, 1}


def test_splits_are_those_of_the_toolbox(tmp_path):
    scene(tmp_path, "SUNRGBD/kv2/kinect2data/b-resize", *ROOM)
    scene(tmp_path, "SUNRGBD/kv2/kinect2data/c-resize", *ROOM)
    scene(tmp_path, "SUNRGBD/xtion/sun3ddata/hotel/a", *ROOM)
    toolbox = tmp_path / "SUNRGBDtoolbox" / "traintestSUNRGBD"
    toolbox.mkdir(parents=True)
    owners = "/n/fs/sun3d/data/SUNRGBD"
    train = [f"{owners}/kv2/kinect2data/b-resize", f"{owners}/xtion/sun3ddata/hotel/a/"]
    test = [f"{owners}/kv2/kinect2data/c-resize"]
    cells = {"alltrain": np.array([train], object), "alltest": np.array([test], object)}
    savemat(toolbox / "allsplit.mat", cells)
    for folder in (tmp_path, tmp_path / "SUNRGBD"):
        found = read(str(folder), "sunrgbd", ReadOptions(), Report())
        assert found.images.splits == ["train", "test", "train"]


def test_without_the_toolbox_there_are_no_splits(tmp_path):
    scene(tmp_path, "kv1/a", *ROOM)
    assert read(str(tmp_path), "sunrgbd", ReadOptions(), Report()).images.splits == [""]


NUMBERS = np.zeros(SIZE, np.uint16)
NUMBERS[1:9, 2:12], NUMBERS[4:6, 5:17], NUMBERS[10, 3] = 3, 1, 2


def as_hdf5(path: Path, name: str, columns: dict[str, list]) -> None:
    """Write a struct array, or with name "" variables, as MATLAB 7.3 does: by reference."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        place = file.create_group(name) if name else file
        for column, values in columns.items():
            if isinstance(values, np.ndarray):
                place[column] = values.T
                continue
            refs = []
            for i, value in enumerate(values):
                stored = np.array([[ord(c)] for c in value], np.uint16) if isinstance(
                    value, str) else value.T  # fmt: skip
                refs.append(file.create_dataset(f"#refs#/{column}{i}", data=stored).ref)
            place[column] = np.array([[ref] for ref in refs], dtype=h5py.ref_dtype)


@pytest.mark.parametrize("save", ["scipy", "hdf5"])
def test_scenes_without_polygons_have_seg_mat_or_are_counted(tmp_path, save):
    names = ["Night stand", "floor", "garbage_bin"]
    for folder in ("a", "b"):
        picture(tmp_path / "SUNRGBD" / "kv2" / folder / "image" / "1.jpg")
    file = tmp_path / "SUNRGBD" / "kv2" / "a" / "seg.mat"
    if save == "scipy":
        savemat(file, {"seglabel": NUMBERS, "names": np.array([[one] for one in names], object)})
    else:
        as_hdf5(file, "", {"seglabel": NUMBERS, "names": names})
    report = Report()
    found = read(str(tmp_path), "auto", ReadOptions(), report)
    assert found.images.files == ["SUNRGBD/kv2/a/image/1.jpg"]
    expected = np.array([IGNORE, 32, 2, IGNORE])[NUMBERS]
    np.testing.assert_array_equal(found.labels(0).classes, expected)
    scene = "scene without annotation2Dfinal/index.json or seg.mat"
    assert report.skipped == {scene: [1, str(tmp_path / "SUNRGBD" / "kv2" / "b")]}
    assert report.changed["object that is none of the classes, ignored"][0] == 1
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(FormatError, match=r"holds no image of SUN RGB-D"):
        read(str(tmp_path), "auto", ReadOptions(), report)
    assert report.skipped["scene whose seg.mat is damaged"][0] == 1


def test_the_masks_of_the_benchmark_are_read_from_its_matlab_file(tmp_path):
    metadata = tmp_path / "SUNRGBDtoolbox" / "Metadata"
    scenes = [f"SUNRGBD/{name}" for name in ("kv1/x", "xtion/y/z", "kv2/gone")]
    for scene in scenes[:2]:
        picture(tmp_path / scene / "image" / "p.jpg")
    masks = [NUMBERS, (NUMBERS == 3) * np.uint16(37), NUMBERS]
    as_hdf5(metadata / "SUNRGBD2Dseg.mat", "SUNRGBD2Dseg", {"seglabel": masks})
    rows = [(scene, "p.jpg") for scene in scenes]
    kind = [("sequenceName", object), ("rgbname", object)]
    savemat(metadata / "SUNRGBDMeta.mat", {"SUNRGBDMeta": np.array(rows, dtype=kind)})
    splits = tmp_path / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    splits.parent.mkdir()
    owners = [f"/n/fs/sun3d/data/{scene}" for scene in scenes]
    savemat(splits, {"alltrain": np.array([owners[:1]], object),
                     "alltest": np.array([owners[1:]], object)})  # fmt: skip
    report = Report()
    found = read(str(metadata / "SUNRGBD2Dseg.mat"), "auto", ReadOptions(), report)
    assert found.images.files == ["kv1/x/image/p.jpg", "xtion/y/z/image/p.jpg"]
    assert found.images.splits == ["train", "test"]
    assert report.skipped["scene without its photograph"][0] == 1
    for i in range(2):
        expected = np.where(masks[i] == 0, IGNORE, masks[i].astype(int))
        np.testing.assert_array_equal(found.labels(i).classes, expected)
    as_hdf5(metadata / "SUNRGBDMeta.mat", "SUNRGBDMeta",
            {"sequenceName": scenes[:2], "rgbname": ["p.jpg"] * 2})  # fmt: skip
    with pytest.raises(FormatError, match="different numbers of scenes"):
        read(str(metadata / "SUNRGBD2Dseg.mat"), "auto", ReadOptions(), report)
    as_hdf5(metadata / "SUNRGBDMeta.mat", "SUNRGBDMeta",
            {"sequenceName": scenes, "rgbname": ["p.jpg"] * 3})  # fmt: skip
    again = read(str(metadata / "SUNRGBD2Dseg.mat"), "auto", ReadOptions(), Report())
    assert again.images.files == found.images.files


def label_image(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def test_label_images_belong_to_photographs_by_their_number(tmp_path):
    test, train = np.zeros(SIZE), np.zeros(SIZE)
    test[2:5, 3:11], train[1:3, 4:6], train[7, 9] = 37, 5, 1
    for split, number, values in (("test", 2, test), ("train", 2, train)):
        picture(tmp_path / f"SUNRGBD-{split}_images" / f"img-{number:06d}.jpg")
        label = number + (5050 if split == "train" else 0)
        label_image(tmp_path / "sunrgbd_train_test_labels" / f"img-{label:06d}.png", values)
    found = read(str(tmp_path), "auto", ReadOptions(), Report())
    assert dict(zip(found.images.splits, found.images.files, strict=True)) == {
        "train": "SUNRGBD-train_images/img-000002.jpg",
        "test": "SUNRGBD-test_images/img-000002.jpg",
    }
    for i, split in enumerate(found.images.splits):
        values = {"train": train, "test": test}[split]
        labels = found.labels(i)
        np.testing.assert_array_equal(labels.classes, np.where(values == 0, IGNORE, values))
        assert labels.objects is None


@pytest.mark.parametrize("first", [1, 5051])
def test_folders_of_both_splits_may_be_numbered_either_way(tmp_path, first):
    picture(tmp_path / "image" / "train" / "img-000001.jpg")
    values = np.arange(240).reshape(SIZE) % 38
    label_image(tmp_path / "label37" / "train" / f"img-{first:06d}.png", values)
    found = read(str(tmp_path), "sunrgbd", ReadOptions(), Report())
    classes = found.labels(0).classes
    np.testing.assert_array_equal(classes, np.where(values == 0, IGNORE, values))


def test_a_photograph_without_label_image_is_an_error(tmp_path):
    picture(tmp_path / "SUNRGBD-train_images" / "img-000003.jpg")
    label_image(tmp_path / "sunrgbd_train_test_labels" / "img-005051.png", np.ones(SIZE))
    with pytest.raises(FormatError, match=r"img-000003\.jpg has no label image"):
        read(str(tmp_path), "sunrgbd", ReadOptions(), Report())


def test_other_folders_are_not_taken_for_it(tmp_path):
    assert not matches(tmp_path)
    with pytest.raises(FormatError, match="holds no image of SUN RGB-D"):
        read(str(tmp_path), "sunrgbd", ReadOptions(), Report())
