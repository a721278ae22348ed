"""Stanford 2D-3D-S: areas with semantic images, made here."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from maskr.annotations import ReadOptions, read
from maskr.annotations.report import Report
from maskr.annotations.s3dis2d import matches
from maskr.arrays import IGNORE
from maskr.errors import FormatError
from PIL import Image

SIZE = (9, 14)
# names at 0, 1, ... as in the owners' list, some far enough to need the green channel
NAMES = ["<UNK>_0_<UNK>_0_0", "beam_6_hallway_1_1", "chair_2_office_3_1", "chair_10_office_3_1"]
NAMES += ["wall_1_office_3_1"] * 300 + ["clutter_1_WC_1_5"]
LAST = len(NAMES) - 1


def semantic(numbers: np.ndarray) -> np.ndarray:
    """Write numbers as colours, the most significant byte in the red."""
    return np.stack([numbers >> 16, (numbers >> 8) % 256, numbers % 256], axis=-1).astype(np.uint8)


def frame(root: Path, area: str, kind: str, name: str, numbers: np.ndarray) -> None:
    for what, pixels in (("rgb", np.zeros((*SIZE, 3), np.uint8)), ("semantic", semantic(numbers))):
        path = root / area / kind / what / f"camera_{name}_domain_{what}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def names(root: Path, content: object = NAMES) -> None:
    (root / "assets").mkdir()
    (root / "assets" / "semantic_labels.json").write_bytes(orjson.dumps(content))


NUMBERS = np.zeros(SIZE, np.int64)
NUMBERS[1:4, 2:5] = 1
NUMBERS[5, 6:13] = 2
NUMBERS[6, 6:13] = 3
NUMBERS[7, 0:4] = 257
NUMBERS[8, 1] = LAST
NUMBERS[0, 13] = 0x0D0D0D


def test_numbers_become_classes_and_objects(tmp_path):
    names(tmp_path)
    frame(tmp_path, "area_1", "data", "a_office_3_frame_0", NUMBERS)
    found = read(str(tmp_path), "auto", ReadOptions(), Report())
    assert found.format == "s3dis2d"
    ids = {one.name: one.id for one in found.classes}
    assert len(ids) == 13
    expected = np.full(SIZE, IGNORE)
    expected[NUMBERS == 1] = ids["beam"]
    expected[np.isin(NUMBERS, [2, 3])] = ids["chair"]
    expected[NUMBERS == 257] = ids["wall"]
    expected[NUMBERS == LAST] = ids["clutter"]
    labels = found.labels(0)
    np.testing.assert_array_equal(labels.classes, expected)
    np.testing.assert_array_equal(labels.objects, np.where(expected == IGNORE, 0, NUMBERS))


def test_instances_are_told_apart(tmp_path):
    names(tmp_path)
    frame(tmp_path, "area_1", "data", "a", NUMBERS)
    found = read(str(tmp_path), "s3dis2d", ReadOptions(), Report())
    instances, numbers = found.instances(0)
    assert numbers.tolist() == [1, 2, 3, LAST]  # walls are stuff
    assert instances.areas.tolist() == [9, 7, 7, 1]


def test_areas_are_splits_and_views_come_before_panoramas(tmp_path):
    names(tmp_path)
    for area, kind, name in (
        ("area_5b", "data", "z"), ("area_2", "pano", "y"), ("area_2", "data", "x"),
    ):  # fmt: skip
        frame(tmp_path, area, kind, name, NUMBERS)
    found = read(str(tmp_path), "s3dis2d", ReadOptions(), Report())
    assert found.images.splits == ["area_2", "area_2", "area_5b"]
    assert found.images.files == [
        "area_2/data/rgb/camera_x_domain_rgb.png",
        "area_2/pano/rgb/camera_y_domain_rgb.png",
        "area_5b/data/rgb/camera_z_domain_rgb.png",
    ]
    assert found.size(0) == SIZE
    one = read(str(tmp_path / "area_5b"), "auto", ReadOptions(), Report())
    assert one.images.splits == ["area_5b"]


def test_classes_may_get_other_ids(tmp_path):
    names(tmp_path)
    frame(tmp_path, "area_1", "data", "a", NUMBERS)
    options = ReadOptions(classes={"chair": 40})
    classes = read(str(tmp_path), "s3dis2d", options, Report()).labels(0).classes
    assert set(np.unique(classes)) == {IGNORE, 40}
    assert (classes == 40).sum() == 14


def test_what_is_missing_is_named(tmp_path):
    frame(tmp_path, "area_1", "data", "a", NUMBERS)
    with pytest.raises(FormatError, match=r"lacks assets/semantic_labels\.json"):
        read(str(tmp_path), "s3dis2d", ReadOptions(), Report())
    names(tmp_path)
    (tmp_path / "area_1/data/semantic/camera_a_domain_semantic.png").unlink()
    with pytest.raises(FormatError, match=r"camera_a_domain_rgb\.png has no semantic image"):
        read(str(tmp_path), "s3dis2d", ReadOptions(), Report())


@pytest.mark.parametrize(
    ("content", "problem"),
    [([1, 2], "not a list"), (["tree_1_wood_1_1"], "not known")],
)
def test_strange_lists_of_names_are_refused(tmp_path, content, problem):
    names(tmp_path, content)
    frame(tmp_path, "area_1", "data", "a", NUMBERS)
    with pytest.raises(FormatError, match=problem):
        read(str(tmp_path), "s3dis2d", ReadOptions(), Report())


def test_folders_without_areas_are_refused(tmp_path):
    assert not matches(tmp_path)
    names(tmp_path)
    with pytest.raises(FormatError, match="holds no image of Stanford 2D-3D-S"):
        read(str(tmp_path), "s3dis2d", ReadOptions(), Report())


def test_grey_semantic_images_are_refused(tmp_path):
    names(tmp_path)
    frame(tmp_path, "area_1", "data", "a", NUMBERS)
    file = tmp_path / "area_1/data/semantic/camera_a_domain_semantic.png"
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(file)
    with pytest.raises(FormatError, match="RGB PNGs"):
        read(str(tmp_path), "s3dis2d", ReadOptions(), Report()).labels(0)
