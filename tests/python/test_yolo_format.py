"""YOLO's folders as annotations: what is read, what is written, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from damage import mutilated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from maskr import annotations as formats
from maskr.annotations import ReadOptions, WriteOptions, yolo, yolo_folders
from maskr.annotations.columns import Category, Images, ObjectTable
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError, FormatError, MaskrError
from maskr.instances import Instances, decode, encode_planes
from PIL import Image

SIZE = (40, 60)
NAMES = [Category(1, "person"), Category(4, "dog")]


def read(path, format="yolo", **options) -> tuple[Annotations, Report]:
    report = Report()
    return formats.read(str(path), format, ReadOptions(**options), report), report


def write(annotations, path, format="yolo", copy_images=True) -> Report:
    report = Report()
    formats.write(annotations, str(path), format, WriteOptions(copy_images), report)
    return report


def picture(path: Path, size=SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)


def folder(root: Path, lines: str, yaml: str = "train: images/train\nnames: [a, b, c]\n") -> Path:
    """One image of 40 x 60 pixels and its label file."""
    picture(root / "images/train/1.png")
    (root / "labels/train").mkdir(parents=True, exist_ok=True)
    (root / "labels/train/1.txt").write_text(lines)
    (root / "data.yaml").write_text(yaml)
    return root


def annotated(objects: ObjectTable, root: Path, classes=NAMES, size=SIZE) -> Annotations:
    """Objects of one image."""
    picture(root / "one.png", size)
    images = Images()
    images.add("one.png", *size)
    return Annotations("coco", str(root), images, objects.finish(), list(classes))


def of_masks(masks: list[np.ndarray], root: Path) -> Annotations:
    """Masks as run lengths, all of class 1."""
    table = ObjectTable()
    size = masks[0].shape
    found = Instances.from_masks(np.array(masks), [1] * len(masks))
    for rle, box, area in zip(found.rles, found.boxes.tolist(), found.areas, strict=True):
        table.add(1, 1, rle=rle, box=box, area=area)
    return annotated(table, root, size=size)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / max((a | b).sum(), 1)


# what is read ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "yolo",
        "yolov8_detection",
        "yolov8_detection_with_list_of_imgs",
        "yolov8_detection_with_list_of_names",
        "yolov8_detection_with_subset_txt",
        "yolov8_oriented_boxes",
        "yolov8_pose",
        "yolov8_pose_two_values_per_point",
        "yolov8_segmentation",
    ],
)
def test_real_folders_are_read_whole(shared_data, kind):
    root = Path(shared_data(f"formats/yolo_dataset/{kind}"))
    assert yolo.matches(root)
    found, report = read(root)
    lines = [
        line.split() for p in root.rglob("1.txt") for line in p.read_text().splitlines() if line
    ]
    pictures = [p for p in root.rglob("*") if p.suffix in (".jpg", ".png")]
    assert len(found.images) == len(pictures) == 1
    assert (found.images.heights, found.images.widths) == ([10], [15])
    assert found.images.splits == ["train"]
    assert found.image_path(0) == pictures[0]
    assert found.objects.class_ids.tolist() == [int(line[0]) for line in lines]
    assert len(found.classes) == (1 if "pose" in kind else 10)
    polygons = kind in ("yolov8_oriented_boxes", "yolov8_segmentation")
    for line, text, box in zip(lines, found.objects.polygons, found.objects.boxes, strict=True):
        values = np.array(line[1:], float)
        if polygons:
            corners = np.reshape(json.loads(text), (-1, 2))
            np.testing.assert_allclose(corners, values.reshape(-1, 2) * (15, 10))
            np.testing.assert_allclose(box[:2], corners.min(axis=0))
        else:
            centre, extent = values[:2] * (15, 10), values[2:4] * (15, 10)
            assert text == ""
            np.testing.assert_allclose(box, [*(centre - extent / 2), *(centre + extent / 2)])
    skipped = {"keypoints of an object, whose box is kept": 1} if "pose" in kind else {}
    assert {reason: n for reason, (n, _) in report.skipped.items()} == skipped


def test_a_folder_for_classification_is_none(shared_data):
    with pytest.raises(FormatError, match="no label file"):
        read(shared_data("formats/yolo_dataset/yolov8_classification"))


def test_boxes_with_and_without_confidence_are_an_error_in_a_file(tmp_path):
    root = folder(tmp_path, "0 .1 .1 .5 .1 .5\n0 .5 .5 .2 .1\n1 .5 .5 .2 .1 .875")
    with pytest.raises(FormatError, match="confidence, 0.875, and line 2 has none") as error:
        read(root)
    assert error.value.text.startswith(f"Line 3 of {root / 'labels/train/1.txt'} has a")
    # predictions beside the truth, each in files of its own
    folder(tmp_path, "0 .1 .1 .5 .1 .5\n0 .5 .5 .2 .1")
    picture(root / "images/train/2.png")
    (root / "labels/train/2.txt").write_text("1 .5 .5 .2 .1 .875")
    found, report = read(root)
    np.testing.assert_allclose(found.objects.boxes, [[24, 18, 36, 22]] * 2)
    np.testing.assert_array_equal(found.objects.scores, [np.nan, 0.875])
    assert report.skipped["damaged line of a class and 5 numbers"][0] == 1


def test_what_reaches_out_of_its_image_is_said(tmp_path):
    lines = [
        "0 .5 .5 1.2 .2",
        "1 .95 .25 .2 .1",
        "2 .5 1.0 .2 .1000001",
        "0 .5 1.2 .2 .1",
        "0 .5 .99995 .2 .0002",
    ]
    found, report = read(folder(tmp_path, "\n".join(lines)))
    expected = [[0, 16, 60, 24], [51, 8, 60, 12], [24, 38, 36, 40], [24, 39.994, 36, 40.002]]
    np.testing.assert_allclose(found.objects.boxes, expected, atol=1e-5)
    label = tmp_path / "labels/train/1.txt"
    reason = "box cut off at the edge of its image"
    assert report.changed == {reason: [3, f"Line 1 of {label}"]}
    assert report.skipped == {"box outside of its image": [1, f"Line 4 of {label}"]}
    found, report = read(folder(tmp_path, f"{SQUARE}\n1 .5 .5 1.25 .5 .5 .75"))
    np.testing.assert_allclose(found.objects.boxes[1], [30, 20, 75, 30])
    assert report.changed == {"polygon that reaches out of its image": [1, f"Line 2 of {label}"]}


def test_polygons_and_boxes_share_a_file(tmp_path):
    lines = "2 .25 .5 .5 .5 .5 .75\n\n0 .5 .5 .2 .1\n1 .5 .5 .2 .1\n"
    found, report = read(folder(tmp_path, lines))
    objects = found.objects
    assert objects.class_ids.tolist() == [2, 0, 1]
    assert objects.polygons == ["[[15.0,20.0,30.0,20.0,30.0,30.0]]", "", ""]
    np.testing.assert_allclose(objects.boxes[1], [24, 18, 36, 22])
    np.testing.assert_allclose(objects.areas, [75, 48, 48])
    assert np.isnan(objects.scores).all()
    assert report.skipped == {}
    # right triangle of legs 15 and 10, then the boxes' rectangles
    masks = found.instances(0)[0].masks()
    assert masks.sum(axis=(1, 2)).tolist() == [75, 48, 48]
    assert masks[1, 18:22, 24:36].all()


def test_lines_that_hold_no_object_are_counted(tmp_path):
    lines = [
        "0 nan .5 .5 .5 .5 .6",
        "0 .5 inf .2 .2",
        "0 .1 .2",
        "0 .1 .2 .3 .4 .5 .6 .7",
        "0 120 80 130 80 130 90",
        "0 .5 .5 0 .1",
        "0 .5 .5 .1 -.1",
        "0",
        "1 .5 .5 .2 .2",
    ]
    found, report = read(folder(tmp_path, "\n".join(lines)))
    assert found.objects.class_ids.tolist() == [1]
    assert {reason: n for reason, (n, _) in report.skipped.items()} == {
        "line with numbers that are not finite": 2,
        "damaged line of a class and 2 numbers": 1,
        "damaged line of a class and 7 numbers": 1,
        "damaged line of a class and 0 numbers": 1,
        "line with coordinates far outside 0..1 (pixels?)": 1,
        "box without extent": 2,
    }
    assert "Line 3 of" in report.skipped["damaged line of a class and 2 numbers"][1]


SQUARE = "0 .2 .2 .6 .2 .6 .6 .2 .6"


@pytest.mark.parametrize(
    "broken",
    [
        "0 .1 .1 .5 .1 .5",  # as a box with confidence it would begin at -.15
        "0 .5 .5 .2 .2 .9",  # inside, but a confidence among polygons that have none
        "0 .2 .2 .6 .2 .6 .6 .2",
        "0 .1 .1 .5 .1",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_line_that_lost_a_number_is_counted_by_file_and_line(tmp_path, broken, first):
    lines = [broken, SQUARE] if first else [SQUARE, broken]
    found, report = read(folder(tmp_path, "\n".join(lines)))
    assert len(found.objects) == 1
    np.testing.assert_allclose(found.objects.boxes, [[12, 8, 36, 24]])
    n = len(broken.split()) - 1
    where = f"Line {1 if first else 2} of {tmp_path / 'labels/train/1.txt'}"
    assert report.skipped == {f"damaged line of a class and {n} numbers": [1, where]}


def test_lines_are_judged_by_all_files_of_a_data_set(tmp_path):
    root = folder(tmp_path, SQUARE)
    picture(root / "images/train/0.png")
    (root / "labels/train/0.txt").write_text("0 .2 .2 .6 .2 .6 .6 .9")
    found, report = read(root)
    assert found.objects.image_ids.tolist() == [2]
    assert report.skipped["damaged line of a class and 7 numbers"][0] == 1


def test_a_confidence_behind_a_polygon_is_its_score(tmp_path):
    lines = f"{SQUARE} .91\n0 .1 .1 .5 .1 .5 .5 .25\n1 .5 .5 .2 .2 .75\n"
    found, report = read(folder(tmp_path, lines))
    assert not report.skipped
    np.testing.assert_allclose(found.objects.scores, [0.91, 0.25, 0.75])
    np.testing.assert_allclose(found.objects.boxes[0], [12, 8, 36, 24])
    np.testing.assert_allclose(found.objects.areas[:2], [24 * 16, 24 * 16 / 2])
    assert found.instances(0)[0].scores.tolist() == [0.91, 0.25, 0.75]
    _, report = read(folder(tmp_path, f"{SQUARE} 1.2\n1 .1 .1 .5 .1 .5"))
    assert {reason: n for reason, (n, _) in report.skipped.items()} == {
        "damaged line of a class and 9 numbers": 1,
        "damaged line of a class and 5 numbers": 1,
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 .1 .2 .3 x", '"x", which is not a number'),
        ("0,.1,.2,.3,.4", '"0,.1,.2,.3,.4", which is not a number'),
        ("-1 .1 .2 .3 .4", "counted from 0"),
        ("1.5 .1 .2 .3 .4", "counted from 0"),
        ("nan .1 .2 .3 .4", "counted from 0"),
        ("3 .1 .2 .3 .4", "no name"),
    ],
)
def test_lines_that_cannot_be_meant_are_errors_that_name_them(tmp_path, line, message):
    with pytest.raises(FormatError, match=message) as error:
        read(folder(tmp_path, f"0 .5 .5 .1 .1\n{line}\n"))
    assert "Line 2 of" in error.value.text and "1.txt" in error.value.text


def test_splits_images_without_labels_and_labels_without_images(tmp_path):
    root = folder(tmp_path, "0 .5 .5 .5 .5", "train: images/train\nval: images/val\nnames: {0: a}")
    picture(root / "images/val/x.jpg", (8, 9))
    (root / "images/val/broken.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "labels/train/alone.txt").write_text("0 .5 .5 .5 .5")
    (root / "labels/train/classes.txt").write_text("a")
    found, report = read(root)
    assert found.images.files == ["images/train/1.png", "images/val/x.jpg"]
    assert found.images.splits == ["train", "val"]
    assert found.images.heights == [40, 8]
    assert found.objects.image_ids.tolist() == [1]
    assert {reason: n for reason, (n, _) in report.skipped.items()} == {
        "image that cannot be read": 1,
        "label file without an image": 1,
    }


def test_a_split_that_repeats_another_or_is_not_there_is_counted(tmp_path):
    yaml = "train: images/train\nval: images/train\ntest: images/test\nnames: [a]"
    found, report = read(folder(tmp_path, "0 .5 .5 .5 .5", yaml))
    assert found.images.splits == ["train"]
    assert set(report.skipped) == {
        "image that an earlier split has too",
        "image or split that is not there",
    }


@pytest.mark.parametrize(
    ("yaml", "key", "place"),
    [
        ("train: imgs", "train: imgs", "set/imgs"),
        ("train: ../imgs", "train: ../imgs", "imgs and {}/set/imgs"),
        ("train: ../../../../../../../../imgs", "train", "/imgs and "),
        ("path: ../other\nvalid: [imgs]", "valid: imgs", "other/imgs"),
    ],
)
def test_where_images_were_looked_for_is_told(tmp_path, yaml, key, place):
    root = folder(tmp_path / "set", "0 .5 .5 .5 .5", f"{yaml}\nnames: [a]")
    (tmp_path / "other").mkdir()
    with pytest.raises(FormatError) as error:
        read(root)
    text = error.value.text
    assert f"`{key}" in text and f"of {root / 'data.yaml'}, looked for at " in text
    where = place if place.startswith("/") else f"{tmp_path}/{place.format(tmp_path)}"
    assert where in text
    (root / "data.yaml").write_text(f"{yaml}\nnames: [a]\ntest: {root / 'images/train'}")
    _, report = read(root)
    assert where in report.skipped["image or split that is not there"][1]


def test_names_that_repeat_are_an_error(tmp_path):
    root = folder(tmp_path, "0 .5 .5 .5 .5", "train: images/train\nnames: [cat, dog, cat]")
    with pytest.raises(FormatError, match='data.yaml has "cat" twice: classes 0 and 2'):
        formats.read(str(root / "data.yaml"), "auto", ReadOptions(), Report())


@pytest.mark.parametrize("path", ["", ".", "../elsewhere/set", "/no/such/folder"])
def test_a_path_that_is_not_there_is_taken_for_the_description_s_folder(tmp_path, path):
    yaml = f"path: {path}\ntrain: ../images/train\nnames: [a]"
    found, _ = read(folder(tmp_path, "0 .5 .5 .5 .5", yaml) / "data.yaml")
    assert found.image_path(0) == tmp_path / "images/train/1.png"


def test_a_description_may_lead_elsewhere(tmp_path):
    folder(tmp_path / "datasets/x", "0 .5 .5 .5 .5")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/x.yaml").write_text("path: ../datasets/x\ntrain: images\nnc: 1")
    found, _ = read(tmp_path / "here/x.yaml")
    assert found.folder == str(tmp_path / "datasets/x")
    assert found.images.files == ["images/train/1.png"]
    assert [one.name for one in found.classes] == ["class_0"]


@pytest.mark.parametrize("line", ["../../secret.png", "/etc/passwd", "./../x.png", "a/../../b.png"])
def test_a_list_may_not_lead_out_of_its_folder(tmp_path, line):
    root = folder(tmp_path / "set", "0 .5 .5 .5 .5", "train: list.txt\nnames: [a]")
    (root / "list.txt").write_text(f"images/train/1.png\n{line}\n")
    with pytest.raises(FormatError, match="line 2 of .*list.txt leads out of"):
        read(root)


def test_a_list_may_name_links(tmp_path):
    root = folder(tmp_path / "set", "0 .5 .5 .5 .5", "train: list.txt\nnames: [a]")
    (root / "images/train/1.png").rename(tmp_path / "blob")
    (root / "images/train/1.png").symlink_to(tmp_path / "blob")
    (root / "list.txt").write_text("./images/train/1.png\nimages/train/gone.png")
    found, report = read(root)
    assert found.images.files == ["images/train/1.png"]
    assert report.skipped["image or split that is not there"][0] == 1


def test_names_of_darknet_may_not_lead_elsewhere(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/obj.data").write_text("names = ../../etc/passwd\ntrain = train.txt")
    with pytest.raises(FormatError, match="leads out of"):
        read(tmp_path / "set")


@pytest.mark.parametrize("layout", ["images/{split}", "{split}/images", "{split}"])
def test_folders_without_description(tmp_path, layout):
    for split in ("train", "valid"):
        images = tmp_path / layout.format(split=split)
        picture(images / f"{split}.png")
        label = yolo_folders.label_path(images / f"{split}.png")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("7 .5 .5 .5 .5")
    found, report = read(tmp_path)
    assert found.images.splits == ["train", "val"]
    assert found.objects.class_ids.tolist() == [7, 7]
    assert [(one.id, one.name) for one in found.classes] == [(7, "class_7")]
    assert report.skipped == {}


def test_names_beside_folders_and_names_given(tmp_path):
    root = folder(tmp_path, "1 .5 .5 .5 .5")
    (root / "data.yaml").unlink()
    found, _ = read(root, classes={"cat": 0, "cow": 1})
    assert [(one.id, one.name) for one in found.classes] == [(0, "cat"), (1, "cow")]
    with pytest.raises(FormatError, match="no name"):
        read(root, classes={"cat": 0})
    (root / "labels/classes.txt").write_text("ant\nbee\n")
    assert [one.name for one in read(root)[0].classes] == ["ant", "bee"]
    # names match names, and the ids are the user's
    found, _ = read(root, classes={"background": 0, "bee": 5})
    assert found.objects.class_ids.tolist() == [5]
    assert [(one.id, one.isthing) for one in found.classes] == [(0, False), (5, True)]
    with pytest.raises(DataError, match="bee"):
        read(root, classes={"ant": 1})


def test_images_may_be_elsewhere(tmp_path):
    root = folder(tmp_path / "set", "1 .5 .5 .5 .5")
    picture(tmp_path / "pictures/1.png", (8, 9))
    picture(tmp_path / "pictures/2.png", (8, 9))
    found, _ = read(root, images=str(tmp_path / "pictures"))
    assert found.folder == str(tmp_path / "pictures")
    assert (found.images.files, found.images.splits) == (["1.png", "2.png"], ["train", ""])
    assert found.objects.image_ids.tolist() == [1]
    assert [one.name for one in found.classes] == ["a", "b", "c"]


# what is written ---------------------------------------------------------------------------------


@st.composite
def masks(draw):
    """An irregular mask of several parts with holes, not square."""
    height, width = draw(st.integers(12, 48)), draw(st.integers(12, 64))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = np.zeros((height, width), dtype=bool)
    for fill in (True, True, False, True):
        y, x = rng.integers(0, height), rng.integers(0, width)
        ry, rx = rng.integers(1, height), rng.integers(1, width)
        rows, columns = np.ogrid[:height, :width]
        mask[((rows - y) / ry) ** 2 + ((columns - x) / rx) ** 2 < 0.3] = fill
    return mask


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(masks())
def test_masks_survive(tmp_path_factory, mask):
    root = tmp_path_factory.mktemp("yolo")
    write(of_masks([mask], root), root / "out")
    found, _ = read(root / "out")
    if not mask.any():
        assert len(found.objects) == 0
        return
    back = found.instances(0)[0].masks()[0]
    assert iou(mask, back) >= (0.99 if mask.sum() > 100 else 0.9)


def test_holes_and_parts_are_joined_and_counted(tmp_path):
    mask = np.zeros((50, 70), dtype=bool)
    mask[5:25, 8:40] = True
    mask[10:15, 12:20] = False
    mask[30:45, 50:66] = True
    report = write(of_masks([mask], tmp_path), tmp_path / "out")
    assert report.changed == {
        "class id renumbered, since YOLO counts from 0": [2, '"person", 1 becomes 0'],
        "mask written as a polygon": [1, "one.png"],
        "hole joined to its object's outline": [1, "one.png"],
        "object of several parts joined to one polygon": [1, "one.png"],
    }
    found, _ = read(tmp_path / "out")
    assert found.images.files == ["images/train/one.png"]
    assert [(one.id, one.name) for one in found.classes] == [(0, "person"), (1, "dog")]
    assert (found.instances(0)[0].masks()[0] == mask).all()


def test_parts_that_overlap_stay_united(tmp_path):
    table = ObjectTable()
    square, other = [5, 5, 25, 5, 25, 25, 5, 25], [15, 15, 35, 15, 35, 35, 15, 35]
    table.add(1, 1, polygon=[square, other])
    one = annotated(table, tmp_path)
    write(one, tmp_path / "out")
    found, _ = read(tmp_path / "out")
    assert (found.instances(0)[0].masks() == one.instances(0)[0].masks()).all()
    assert found.instances(0)[0].areas[0] == 700


def test_what_a_line_cannot_hold_is_counted(tmp_path):
    table = ObjectTable()
    table.add(1, 1, polygon=[[-10, 5, 20, 5, 20, 35, -10, 35]], score=0.5)
    table.add(1, 4, box=(10, 10, 20, 30), attributes={"seen": True})
    table.add(1, 1, polygon=[[70, 5, 80, 5, 80, 35]])
    table.add(1, 1, rle=encode_planes(np.zeros((*SIZE, 1)))[0], box=(0, 0, 0, 0), area=0)
    table.add(1, 4, box=(float("nan"),) * 4)
    table.add(1, 1, polygon=[[1, 1, 9, 1, 9, 9]], iscrowd=True)
    table.add(1, 0, polygon=[[1, 1, 9, 1, 9, 9]])
    classes = [Category(0, "Background"), *NAMES]
    report = write(annotated(table, tmp_path, classes), tmp_path / "out")
    assert {reason: n for reason, (n, _) in report.changed.items()} == {
        "class id renumbered, since YOLO counts from 0": 2,
        "object cut off at the edge of its image": 2,
        "score left out": 1,
        "box written as a polygon of four corners": 1,
        "attributes left out": 1,
        "object without pixels in its image, left out": 3,
        "crowd left out, which YOLO does not know": 1,
        "object of the background or to be ignored, left out": 1,
    }
    lines = (tmp_path / "out/labels/train/one.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1"]
    values = np.array(lines[0].split()[1:], float).reshape(-1, 2) * (60, 40)
    np.testing.assert_allclose(
        [*values.min(axis=0), *values.max(axis=0)], [0, 5, 20, 35], atol=1e-4
    )
    found, report = read(tmp_path / "out")
    assert found.instances(0)[0].masks()[0].sum() == 20 * 30
    assert report.skipped == {}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.floats(-80, 140), st.floats(-60, 100)), min_size=3, max_size=9))
def test_cut_off_polygons_cover_the_same_pixels(tmp_path, points):
    from maskr.annotations.polygons import rasterise
    from maskr.annotations.yolo_writing import cut_off

    before = np.array(points)
    after = cut_off(before, SIZE)
    if len(after):
        assert after.min() >= 0 and (after <= (SIZE[1], SIZE[0])).all()
    drawn = [
        decode(rasterise([[part.ravel().tolist()]], SIZE), SIZE)[:, :, 0]
        for part in (before, after)
        if len(part) >= 3
    ]
    # COCO's rasteriser rounds what lies outside of an image its own way, a pixel along the edges
    inner = (slice(1, -1), slice(1, -1))
    if len(drawn) == 2:
        assert (drawn[0] ^ drawn[1])[inner].sum() <= 0.02 * drawn[0].size
    else:
        assert drawn[0][inner].sum() == 0


def test_splits_and_names_without_images(tmp_path):
    images, table = Images(), ObjectTable()
    for file, split in (("a/x.png", "train"), ("b/x.png", "valid"), ("y.png", "minival")):
        number = images.add(file, *SIZE, split=split)
        table.add(number, 4, box=(1, 2, 11, 22))
    one = Annotations("coco", str(tmp_path), images, table.finish(), NAMES)
    report = write(one, tmp_path / "out", copy_images=False)
    assert {'split "valid" written as "val"', 'split "minival" written as "train"'} <= set(
        report.changed
    )
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.txt"))
    assert files == ["labels/train/a_x.txt", "labels/train/y.txt", "labels/val/b_x.txt"]
    report = write(one, tmp_path / "again")
    assert report.changed["image that was not found, not copied"][0] == 3
    images.files[0] = "b/x.jpg"
    with pytest.raises(DataError, match="share one name"):
        write(one, tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_unknown_classes_leave_no_folder(tmp_path):
    table = ObjectTable()
    table.add(1, 9, polygon=[[1, 1, 9, 1, 9, 9]])
    with pytest.raises(DataError, match="unknown class id 9"):
        write(annotated(table, tmp_path), tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["one.png"]


def test_boxes(tmp_path):
    mask = np.zeros((50, 70), dtype=bool)
    mask[5:25, 8:40] = True
    one = of_masks([mask], tmp_path)
    report = write(one, tmp_path / "out", "yolo_boxes")
    assert report.changed["mask reduced to its box"] == [1, "one.png"]
    words = (tmp_path / "out/labels/train/one.txt").read_text().split()
    np.testing.assert_allclose(np.array(words, float), [0, 24 / 70, 0.3, 32 / 70, 0.4], rtol=1e-6)
    found, _ = read(tmp_path / "out", "yolo_boxes")
    assert found.format == "yolo_boxes"
    np.testing.assert_allclose(found.objects.boxes, [[8, 5, 40, 25]], atol=1e-4)
    report = write(found, tmp_path / "again", "yolo_boxes")
    assert report.changed == {}
    write(one, tmp_path / "polygons")
    found, report = read(tmp_path / "polygons", "yolo_boxes")
    assert found.objects.polygons == [""] and found.objects.areas[0] > 600
    assert report.changed["mask reduced to its box"][0] == 1


def test_coco_s_masks_survive(shared_data, tmp_path):
    """Every object over 100 pixels of COCO's sample, drawn by COCO's rasteriser."""
    if "coco" not in formats.formats.MODULES:
        pytest.skip("COCO is not read yet")
    path = shared_data("coco/annotations/instances_val2017.json")
    truth, _ = read(path, "coco")
    write(truth, tmp_path / "out", copy_images=False)
    found, _ = read(tmp_path / "out", images=shared_data("coco/val2017"))
    stem = {Path(file).stem: i for i, file in enumerate(found.images.files)}
    compared = 0
    for i, file in enumerate(truth.images.files[:20]):
        old, _ = truth.instances(i, crowds=False)
        new, _ = found.instances(stem[Path(file).stem])
        for a, b in zip(old.masks(), new.masks(), strict=True):
            if a.sum() > 100:
                assert iou(a, b) >= 0.99
                compared += 1
    assert compared > 50


def test_real_masks_with_void_become_polygons(shared_data, tmp_path):
    """VOC's masks: every object over 100 pixels, drawn by COCO's rasteriser."""
    truth, _ = read(shared_data("labelme/instance_segmentation/data_dataset_voc"), "voc")
    report = write(truth, tmp_path / "out")
    assert report.changed["image whose pixels to be ignored become background"][0] == 2
    found, _ = read(tmp_path / "out")
    for i in range(3):
        old, new = truth.instances(i)[0], found.instances(i)[0]
        assert (new.class_ids + 1).tolist() == old.class_ids.tolist()
        for a, b in zip(old.masks(), new.masks(), strict=True):
            assert iou(a, b) >= 0.99


# damage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\nnames: [*a, *a]\ntrain: x",
        "a: &a {b: 1}\nnames: {<<: *a}\ntrain: x",
        "train: " + "[" * 5000,
        "names: [[a]]\ntrain: x",
        "names: {a: b}\ntrain: x",
        "names: {-1: b}\ntrain: x",
        "names: [a]\ntrain: {x: y}",
        "names: [a]\nkpt_shape: 3\ntrain: x",
        "names: [a]\npath: [x]\ntrain: x",
        "names: !!python/object/apply:os.system [echo]\ntrain: x",
        "names: !!int ''\ntrain: x",
        "names: !!bool x\ntrain: x",
        "names: !!timestamp x\ntrain: x",
        "names: [2001-99-99]\ntrain: x",
        "- 1",
        "x: 1",
        "names: \0",
        "names: [a]\ntrain: data.yaml",
        "names: [a]\ntrain: no/such",
        "#" * 1_000_001,
    ],
)
def test_damaged_descriptions_are_classed_errors(tmp_path, text):
    root = folder(tmp_path, "0 .5 .5 .5 .5", text)
    with pytest.raises(FormatError) as error:
        read(root)
    assert str(tmp_path) in error.value.text


WORDS = [
    b"nan", b"-1", b"1e999", b"../", b"\0", b"*a", b"&a ", b"[", b": ", b"\xff", b"9" * 400
]  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1))
def test_mutilated_files_give_results_or_classed_errors(tmp_path, seed):
    rng = np.random.default_rng(seed)
    yaml = "path: .\ntrain: list.txt\nval: images/train\nkpt_shape: [1, 2]\nnames: {0: a, 1: b}\n"
    root = folder(tmp_path, "0 .5 .5 .5 .5\n1 .1 .1 .9 .1 .9 .9 .2 .8\n", yaml)
    (root / "list.txt").write_text("images/train/1.png\n./images/train/1.png\n")
    places = ["data.yaml", "list.txt", "labels/train/1.txt", "images/train/1.png"]
    place = root / places[rng.integers(0, len(places))]
    place.write_bytes(mutilated(place.read_bytes(), rng, WORDS))
    try:
        yolo.matches(root)
        found, _ = read(root)
        for i in range(len(found.images)):
            if max(found.size(i)) < 1000:
                found.instances(i)
    except MaskrError:
        pass
