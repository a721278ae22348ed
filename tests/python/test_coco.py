"""COCO's instances and results: what is read, written, and refused."""

import contextlib
import copy
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr import annotations
from maskr.annotations import ReadOptions, WriteOptions
from maskr.annotations.columns import Category, Images, ObjectTable
from maskr.annotations.polygons import joined
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError, FormatError, MaskrError
from maskr.instances import contours, decode, encode
from scipy import ndimage


def read(path, format="coco", **options) -> tuple[Annotations, Report]:
    report = Report()
    return annotations.read(str(path), format, ReadOptions(**options), report), report


def write(what, path, format="coco") -> Report:
    report = Report()
    annotations.write(what, str(path), format, WriteOptions(), report)
    return report


def official(path):
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


SQUARE = [1.5, 1, 4.5, 1, 4.5, 3, 1.5, 3]


def sample() -> dict:
    """Two images of 4 x 6 and 5 x 3 pixels; objects of every kind."""
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 4, "width": 6},
            {"id": 10**12, "file_name": "far/b.jpg", "height": 5, "width": 3},
        ],
        "annotations": [
            {
                "id": 3,
                "image_id": 7,
                "category_id": 6,
                "iscrowd": 0,
                "area": 6.0,
                "bbox": [1.5, 1, 3, 2],
                "segmentation": [SQUARE, [0, 0, 1, 0, 1, 1, 0, 1]],
                "attributes": {"occluded": True},
                "keypoints": [1, 2, 2],
            },
            {
                "id": 1,
                "image_id": 7,
                "category_id": 1,
                "iscrowd": 1,
                "area": 4,
                "bbox": [1, 0, 1, 4],
                "segmentation": {"counts": [4, 4, 16], "size": [4, 6]},
            },
            {
                "id": 2,
                "image_id": 10**12,
                "category_id": 1,
                "segmentation": {"counts": "555", "size": [5, 3]},
            },
            {"id": 9, "image_id": 10**12, "category_id": 6, "bbox": [0, 1, 2, 3], "score": 0.25},
        ],
        "categories": [
            {"id": 1, "name": "person", "supercategory": "person"},
            {"id": 6, "name": "bus", "supercategory": None, "isthing": 0, "color": [1, 32, 255]},
        ],
    }


def put(folder, content, name="instances_val.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def content_of(path):
    return json.loads(Path(path).read_text())


# what is read ------------------------------------------------------------------------------------


def test_every_kind_of_object_is_read(tmp_path):
    found, report = read(put(tmp_path, sample()), "auto")
    lost = 'annotation\'s key "keypoints", not kept'
    assert report.to_r()["skipped"] == []
    assert report.changed == {lost: [1, "annotations[0] of instances_val.json"]}
    assert found.format == "coco" and found.folder == ""
    assert found.images.ids == [7, 10**12] and found.images.files == ["a.jpg", "far/b.jpg"]
    assert (found.images.heights, found.images.widths) == ([4, 5], [6, 3])
    assert found.classes == [
        Category(1, "person", "person"),
        Category(6, "bus", "", False, "#0120FF"),
    ]
    table = found.objects
    assert table.ids.tolist() == [3, 1, 2, 9]
    assert table.image_ids.tolist() == [7, 7, 10**12, 10**12]
    assert table.class_ids.tolist() == [6, 1, 1, 6]
    assert table.iscrowd.tolist() == [False, True, False, False]
    np.testing.assert_array_equal(table.scores, [np.nan, np.nan, np.nan, 0.25])
    # the third has neither box nor area: those of its mask
    assert table.boxes.tolist() == [[1.5, 1, 4.5, 3], [1, 0, 2, 4], [1, 0, 2, 5], [0, 1, 2, 4]]
    assert table.areas.tolist() == [6, 4, 5, 6]
    assert json.loads(table.polygons[0]) == [SQUARE, [0, 0, 1, 0, 1, 1, 0, 1]]
    assert table.polygons[1:] == ["", "", ""]
    assert table.rles[0] == table.rles[3] == "" and table.rles[2] == "555"
    assert json.loads(table.attributes[0]) == {"occluded": True}
    column = np.zeros((4, 6), dtype=bool)
    column[:, 1] = True
    np.testing.assert_array_equal(decode([table.rles[1]], (4, 6))[:, :, 0], column)


@pytest.mark.parametrize(
    ("path", "images", "objects", "crowds", "classes"),
    [
        ("coco/annotations/instances_train2017.json", 80, 705, 6, 80),
        ("coco/annotations/instances_val2017.json", 80, 815, 11, 80),
        ("coco_eval/instances_val2014_100.json", 100, 839, None, 80),
        ("labelme/instance_segmentation/data_dataset_coco/annotations.json", 3, 12, 0, 21),
        ("panoptic/sample_data/panoptic_coco_detection_format.json", 2, 50, 3, 133),
        ("formats/coco_dataset/coco_stuff/annotations/stuff_train.json", 1, 1, 1, 2),
        ("formats/coco_dataset/coco_stuff/annotations/stuff_val.json", 1, 1, 1, 2),
    ],
)
def test_masks_are_those_of_pycocotools(shared_data, path, images, objects, crowds, classes):
    path = shared_data(path)
    found, report = read(path, "auto")
    truth = official(path)
    assert not report.skipped
    assert len(found.images) == len(truth.imgs) == images
    assert len(found.objects) == len(truth.anns) == objects
    assert len(found.classes) == len(truth.cats) == classes
    crowds = sum(one["iscrowd"] for one in truth.anns.values()) if crowds is None else crowds
    assert found.objects.iscrowd.sum() == crowds
    compared = 0
    for i in range(len(found.images)):
        made, ids = found.instances(i)
        for mask, number, class_id in zip(made.masks(), ids, made.class_ids, strict=True):
            np.testing.assert_array_equal(mask, truth.annToMask(truth.anns[number]))
            assert class_id == truth.anns[number]["category_id"]
            compared += 1
    assert compared == objects


@pytest.mark.parametrize(
    ("file", "images", "objects", "skipped"),
    [
        ("coco_instances/annotations/instances_train.json", 1, 1, 0),
        ("coco_instances/annotations/instances_val.json", 1, 2, 0),
        ("coco_person_keypoints/annotations/person_keypoints_val.json", 1, 2, 0),
        ("coco_image_info/annotations/image_info_val.json", 1, 0, 0),
        ("coco_labels/annotations/labels_val.json", 1, 0, 2),
    ],
)
def test_fixtures_are_counted(shared_data, file, images, objects, skipped):
    found, report = read(shared_data(f"formats/coco_dataset/{file}"), "auto")
    assert (len(found.images), len(found.objects)) == (images, objects)
    assert sum(n for n, _ in report.skipped.values()) == skipped
    assert found.image_path(0).is_file()


def test_images_are_found_where_coco_puts_them(shared_data, tmp_path):
    found, _ = read(shared_data("coco/annotations/instances_val2017.json"))
    assert found.folder.endswith("coco/val2017") and found.image_path(0).is_file()
    (tmp_path / "annotations").mkdir()
    path = put(tmp_path / "annotations", sample())
    for place in ("annotations/a.jpg", "val/a.jpg", "images/val/a.jpg", "images/a.jpg"):
        image = tmp_path / place
        image.parent.mkdir(exist_ok=True, parents=True)
        image.write_bytes(b"")
        assert read(path)[0].folder == str(image.parent)
        assert read(tmp_path, "auto")[0].folder == str(image.parent)
        image.unlink()
    assert read(path, images=str(tmp_path))[0].folder == str(tmp_path)


@pytest.mark.parametrize("layout", ["_annotations.coco.json", "annotations.json"])
def test_folders_of_other_tools_are_found(tmp_path, layout):
    content = sample()
    folder = tmp_path / "train"
    images = {"_annotations.coco.json": folder, "annotations.json": folder / "JPEGImages"}[layout]
    images.mkdir(parents=True)
    (images / "a.jpg").write_bytes(b"")
    content["images"][0]["file_name"] = (images / "a.jpg").relative_to(folder).as_posix()
    put(folder, content, layout)
    assert annotations.detect(folder) == "coco"
    assert read(folder, "auto")[0].image_path(0) == images / "a.jpg"
    if layout.startswith("_"):
        assert read(tmp_path, "auto")[0].image_path(0) == images / "a.jpg"
        (tmp_path / "other").mkdir()
        put(tmp_path / "other", content, layout)
        with pytest.raises(FormatError, match="other/_annotations.coco.json, train/_annotations"):
            read(tmp_path, "auto")
    else:
        (folder / layout).write_text('{"pages": []}')
        with pytest.raises(FormatError, match="not known by its content"):
            annotations.detect(folder)


def test_the_splits_of_roboflow_are_one_data_set(shared_data):
    root = Path(shared_data("roboflow/rbc"))
    found, report = read(root, "auto")
    assert not report.skipped
    reason = "image id changed, since several splits have the same"
    assert list(report.changed) == [reason] and report.changed[reason][0] == 18
    alone = {split: read(root / folder)[0] for split, folder in
             (("test", "test"), ("train", "train"), ("val", "valid"))}  # fmt: skip
    assert Counter(found.images.splits) == {s: len(one.images) for s, one in alone.items()}
    assert all(found.image_path(i).is_file() for i in range(len(found.images)))
    assert len(set(found.images.ids)) == 18 and len(set(found.objects.ids)) == len(found.objects)
    assert [(one.id, one.name) for one in found.classes] == [
        (one.id, one.name) for one in alone["train"].classes
    ]
    for i, (split, file) in enumerate(zip(found.images.splits, found.images.files, strict=True)):
        own = alone[split]
        k = own.images.files.index(Path(file).name)
        assert own.instances(k)[0].rles == found.instances(i)[0].rles


def test_splits_are_matched_by_folder_and_must_share_their_classes(tmp_path):
    for folder in ("train", "valid"):
        (tmp_path / folder).mkdir()
        put(tmp_path / folder, sample(), "_annotations.coco.json")
    found, _ = read(tmp_path, "auto")
    assert Counter(found.images.splits) == {"train": 2, "val": 2}
    assert Path(found.folder) == tmp_path and found.images.files[2].startswith("valid/")
    assert found.objects.ids.tolist() == list(range(1, len(found.objects) + 1))
    other = sample()
    other["categories"][0]["name"] = "zebra"
    put(tmp_path / "valid", other, "_annotations.coco.json")
    with pytest.raises(FormatError, match=r'"zebra" of .*valid.* is ".*" in .*train'):
        read(tmp_path, "auto")


def test_coco_s_own_splits_are_one_data_set(shared_data):
    found, report = read(Path(shared_data("coco")), "auto")
    assert set(found.images.splits) == {"train", "val"} and not report.changed
    assert all(found.image_path(i).is_file() for i in range(len(found.images)))


def test_labelme_s_folder_of_coco(shared_data):
    found, _ = read(shared_data("labelme/instance_segmentation/data_dataset_coco"), "auto")
    assert found.format == "coco" and len(found.images) == 3
    assert all(found.image_path(i).is_file() for i in range(3))


def test_keys_of_annotations_that_are_not_kept_are_counted(tmp_path):
    content = sample()
    rows = content["annotations"]
    rows[0] |= {"difficulty": 0, "num_keypoints": None, "extra": {}}
    rows[2] |= {"difficulty": 3}
    _, report = read(put(tmp_path, content))
    assert report.changed == {
        'annotation\'s key "difficulty", not kept': [2, "annotations[0] of instances_val.json"],
        'annotation\'s key "keypoints", not kept': [1, "annotations[0] of instances_val.json"],
    }


def test_a_folder_with_several_files_is_refused_by_their_names(tmp_path):
    for name in ("instances_a.json", "instances_val2017.json"):
        put(tmp_path, sample(), name)
    with pytest.raises(FormatError, match="instances_a.json, instances_val2017.json"):
        read(tmp_path)


def test_sizes_that_are_missing_are_those_of_images_or_run_lengths(tmp_path):
    from PIL import Image

    content = sample()
    for one in content["images"]:
        del one["height"]
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg")
    found, _ = read(put(tmp_path, content))
    assert [found.size(0), found.size(1)] == [(4, 6), (5, 3)]
    del content["annotations"][2]
    found, _ = read(put(tmp_path, content))
    with pytest.raises(DataError, match="not known"):
        found.size(1)


def test_labelme_s_background_is_the_background(shared_data):
    path = shared_data("labelme/instance_segmentation/data_dataset_coco/annotations.json")
    found, _ = read(path)
    assert found.void() == 0 and (found.labels(0).classes == 0).any()


# what is written ---------------------------------------------------------------------------------


def same(a: Annotations, b: Annotations) -> None:
    """Compare all that COCO's format holds."""
    assert (a.images.ids, a.images.files) == (b.images.ids, b.images.files)
    assert (a.images.heights, a.images.widths) == (b.images.heights, b.images.widths)
    assert a.classes == b.classes
    order, other = np.argsort(a.objects.ids), np.argsort(b.objects.ids)
    for name in ("ids", "image_ids", "class_ids", "scores", "areas", "iscrowd"):
        one, two = getattr(a.objects, name)[order], getattr(b.objects, name)[other]
        np.testing.assert_array_equal(one, two, err_msg=name)
    np.testing.assert_allclose(a.objects.boxes[order], b.objects.boxes[other], atol=1e-9)
    for name in ("rles", "attributes"):
        one, two = getattr(a.objects, name), getattr(b.objects, name)
        assert [one[i] for i in order] == [two[i] for i in other]
    for i, j in zip(order, other, strict=True):
        one, two = a.objects.polygons[i], b.objects.polygons[j]
        assert (one and json.loads(one)) == (two and json.loads(two))


def test_what_was_read_is_written_again(tmp_path, shared_data):
    real = shared_data("coco/annotations/instances_val2017.json")
    for path in (put(tmp_path, sample()), real):
        first, _ = read(path)
        report = write(first, tmp_path / "again.json")
        assert report.to_r()["changed"] == []
        same(first, read(tmp_path / "again.json")[0])
    text, again = content_of(real), content_of(tmp_path / "again.json")
    masks = {one["id"]: one for one in again["annotations"]}
    for one in text["annotations"]:
        assert masks[one["id"]]["bbox"] == pytest.approx(one["bbox"], abs=1e-9)
        if not one["iscrowd"]:
            assert masks[one["id"]]["segmentation"] == one["segmentation"]


def scene(seed: int) -> tuple[np.ndarray, Annotations]:
    """Smooth masks `[N, 47, 61]` of one image as annotations; the first has holes and parts."""
    rng = np.random.default_rng(seed)
    fields = rng.standard_normal((4, 47, 61))
    smooth = [
        ndimage.gaussian_filter(one, sigma) for one, sigma in zip(fields, (1, 2, 3, 4), strict=True)
    ]
    masks = np.stack([one > np.quantile(one, rng.uniform(0.3, 0.9)) for one in smooth])
    table = ObjectTable()
    for number, rle in enumerate(encode(masks)):
        box = ndimage.find_objects(masks[number].astype(int))[0]
        sides = (box[1].start, box[0].start, box[1].stop, box[0].stop)
        area, score = int(masks[number].sum()), rng.uniform()
        table.add(5, 1 + number % 2, rle=rle, box=sides, area=area, score=score)
    images = Images([5], ["x.png"], [47], [61], [""], [""])
    classes = [Category(1, "nucleus"), Category(2, "cell")]
    return masks, Annotations("memory", "", images, table.finish(), classes)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), format=st.sampled_from(["coco", "coco_results"]))
def test_masks_come_back_identical(tmp_path_factory, seed, format):
    masks, made = scene(seed)
    path = tmp_path_factory.mktemp("coco") / "x.json"
    write(made, path, format)
    found, report = read(path, "auto")
    assert found.format == format and not report.skipped
    np.testing.assert_array_equal(found.instances(0)[0].masks(), masks)
    np.testing.assert_array_equal(found.objects.scores, made.objects.scores)
    np.testing.assert_array_equal(found.objects.boxes, made.objects.boxes)


def rasterised(polygons: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    from faster_coco_eval.core import mask

    rles = mask.frPyObjects([np.ravel(p).tolist() for p in polygons], *size)
    return mask.decode(mask.merge(rles)).astype(bool)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_polygons_of_masks_cover_them(tmp_path_factory, seed):
    from maskr.annotations.items import items, outline

    masks, made = scene(seed)
    for i, item in enumerate(items(made, 0, Report())[0]):
        parts = outline(item, (47, 61), "coco", Report(), "x")
        made.objects.rles[i], made.objects.polygons[i] = "", orjson.dumps(parts).decode()
    path = tmp_path_factory.mktemp("coco") / "x.json"
    write(made, path)
    again = read(path)[0].instances(0)[0].masks()
    for mask, other in zip(masks, again, strict=True):
        if mask.sum() > 100:
            assert (mask & other).sum() / (mask | other).sum() >= 0.99


def test_the_polygon_of_a_square_gives_the_square_again():
    square = np.zeros((20, 30), dtype=bool)
    square[3:12, 5:14] = True
    np.testing.assert_array_equal(rasterised(contours(square), square.shape), square)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.95), smooth=st.floats(0.5, 5))
def test_joined_polygons_cover_all_parts_and_leave_out_holes(seed, share, smooth):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((37, 52)), smooth)
    mask = field > np.quantile(field, share)
    np.testing.assert_array_equal(rasterised([joined(contours(mask))], mask.shape), mask)


def test_a_mask_without_pixels_has_no_polygon():
    assert contours(np.zeros((5, 7), dtype=bool)) == []


def test_splits_and_ignored_pixels_are_counted(tmp_path):
    _, made = scene(1)
    made.images.splits[0] = "train"
    made.images.add("y.png", 47, 61, split="val", id=9)
    changed = write(made, tmp_path / "x.json").to_r()["changed"]
    assert "image whose split is not written (2 times" in changed[0]


def test_pycocotools_reads_what_is_written(tmp_path):
    masks, made = scene(3)
    write(made, tmp_path / "x.json")
    write(made, tmp_path / "results.json", "coco_results")
    truth = official(tmp_path / "x.json")
    with contextlib.redirect_stdout(io.StringIO()):
        results = truth.loadRes(str(tmp_path / "results.json"))
    for whole in (truth, results):
        for number, mask in enumerate(masks, start=1):
            np.testing.assert_array_equal(whole.annToMask(whole.anns[number]), mask)


# results -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_real_results_are_read(shared_data, kind):
    path = shared_data(f"coco_eval/instances_val2014_fake{kind}100_results.json")
    text = content_of(path)
    found, report = read(path, "auto")
    assert found.format == "coco_results" and not report.skipped
    assert len(found.objects) == len(text) == 734
    assert set(found.images.ids) == {one["image_id"] for one in text}
    assert found.objects.scores.tolist() == [one["score"] for one in text]
    assert {one.name for one in found.classes} == {str(one["category_id"]) for one in text}
    if kind == "segm":
        assert found.objects.rles == [one["segmentation"]["counts"] for one in text]
        assert found.size(found.images.ids.index(42)) == (478, 640)
    else:
        xmin, ymin, width, height = text[0]["bbox"]
        expected = [xmin, ymin, xmin + width, ymin + height]
        assert found.objects.boxes[0] == pytest.approx(expected)


def test_results_keep_numbers_exactly_and_turn_polygons_into_masks(tmp_path):
    content = sample()
    for one in content["annotations"]:
        one["score"] = 0.123456789012345678
    found, _ = read(put(tmp_path, content))
    report = write(found, tmp_path / "results.json", "coco_results")
    assert report.to_r()["changed"] == ["polygon written as run lengths (a.jpg)"]
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [one["image_id"] for one in rows] == [7, 7, 10**12, 10**12]
    assert {one["score"] for one in rows} == {0.123456789012345678}
    assert rows[0]["bbox"] == [1.5, 1, 3, 2] and rows[0]["segmentation"]["size"] == [4, 6]
    assert "segmentation" not in rows[3]
    again, _ = read(tmp_path / "results.json", "auto", classes={"person": 1, "bus": 6})
    assert again.names() == {1: "person", 6: "bus"}


def test_images_of_results_are_found_by_the_number_in_their_name(tmp_path):
    (tmp_path / "000000000139.jpg").write_bytes(b"")
    (tmp_path / "other.jpg").write_bytes(b"")
    rows = [{"image_id": n, "category_id": 1, "bbox": [0, 0, 2, 3], "score": 1} for n in (139, 7)]
    path = put(tmp_path, rows, "results.json")
    found, _ = read(path, "auto", images=str(tmp_path))
    assert found.images.files == ["7", "000000000139.jpg"]
    with pytest.raises(DataError, match="no name for the class id 1"):
        read(path, "auto", classes={"bus": 6})


def test_an_object_without_score_is_no_result(tmp_path):
    found, _ = read(put(tmp_path, sample()))
    with pytest.raises(DataError, match="score") as error:
        write(found, tmp_path / "results.json", "coco_results")
    assert error.value.argument == "x"
    assert not (tmp_path / "results.json").exists()


# what is refused or left out ---------------------------------------------------------------------


def changed(where: str, key: str, value) -> dict:
    """The sample with one value of its second record replaced, or taken out (`...`)."""
    content = sample()
    row = content[where][1]
    if value is ...:
        del row[key]
    else:
        row[key] = value
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[]", "JSON array, where an object"),
        ("{}", '"images".*JSON null'),
        (changed("images", "id", ...), r'images\[1\] of .* lacks "id"'),
        (changed("images", "id", "x"), r'images\[1\].*the id "x", not a whole number'),
        (changed("images", "id", 1.5), r"images\[1\].*the id 1.5"),
        (changed("images", "id", 7), r"images\[1\].*repeats the id 7 of images\[0\]"),
        (changed("images", "file_name", ...), r'images\[1\].*lacks "file_name"'),
        (changed("images", "file_name", "../../etc/passwd"), r"images\[1\].*leads out"),
        (changed("images", "file_name", "/etc/passwd"), r"images\[1\].*leads out"),
        (changed("images", "height", "5"), r"images\[1\].*the height"),
        (changed("images", "height", 2**31 - 1), r"images\[1\].*claims to have 2147483647 x 3"),
        (changed("categories", "id", -1), r"categories\[1\].*the id -1.*from 0 up"),
        (changed("categories", "id", 1), r"categories\[1\].*repeats the id 1"),
        (changed("categories", "name", 5), r"categories\[1\].*the name 5, not a string"),
        (changed("categories", "name", "person"), "classes with objects have the name"),
        (changed("annotations", "id", 3), r"annotations\[1\].*repeats the id 3 of annotations\[0"),
        (changed("annotations", "image_id", ...), r'annotations\[1\].*lacks "image_id"'),
        (changed("annotations", "image_id", 8), r"annotations\[1\].*image_id 8, which is not in"),
        (changed("annotations", "category_id", 99), r"annotations\[1\].*category_id 99"),
        (changed("annotations", "iscrowd", 3), r"annotations\[1\].*iscrowd 3, not 0 or 1"),
        (changed("annotations", "area", "big"), r"annotations\[1\].*the area"),
        (changed("annotations", "bbox", [1, 2, 3]), r"annotations\[1\].*bbox"),
        (changed("annotations", "bbox", [1, 2, 3, "4"]), r"annotations\[1\].*bbox"),
        (changed("annotations", "segmentation", "x"), r"annotations\[1\].*segmentation"),
        (changed("annotations", "segmentation", SQUARE), r"annotations\[1\].*list of polygons"),
        (changed("annotations", "segmentation", [["x"] * 6]), r"annotations\[1\].*not a number"),
        (
            changed("annotations", "segmentation", {"counts": "555", "size": [5, 3]}),
            r"annotations\[1\].*\[5,3\].*\[4, 6\]",
        ),
        (
            changed("annotations", "segmentation", {"counts": [4, 4], "size": [4, 6]}),
            r"annotations\[1\].*not those of 4 x 6 pixels",
        ),
        (
            changed("annotations", "segmentation", {"counts": [4, -4, 24], "size": [4, 6]}),
            r"annotations\[1\].*not those of 4 x 6 pixels",
        ),
        (
            changed("annotations", "segmentation", {"counts": "555", "size": [4, 6]}),
            r"annotations\[1\].*not those of 4 x 6 pixels",
        ),
        (changed("annotations", "segmentation", {"size": [4, 6]}), r'annotations\[1\].*"counts"'),
        (json.dumps(changed("annotations", "area", float("nan"))), "is not JSON"),
    ],
)
def test_damage_is_named_by_file_and_record(tmp_path, content, message):
    path = put(tmp_path, content)
    with pytest.raises(FormatError, match=message) as error:
        read(path)
    assert "instances_val.json" in error.value.text


def test_nan_is_told_apart_from_other_damage(tmp_path):
    with pytest.raises(FormatError) as error:
        read(put(tmp_path, changed("annotations", "area", float("nan"))))
    assert "null" in error.value.hint


@pytest.mark.parametrize(
    ("segmentation", "bbox", "reason", "n"),
    [
        ([SQUARE, [1, 1, 2, 2]], [0, 0, 2, 2], "polygon of fewer than three points", 4),
        ([SQUARE, [1, 1, 2, 2, 3, 3, 4]], [0, 0, 2, 2], "polygon with an odd number", 4),
        ([SQUARE, [1, 1, None, 2, 3, 3]], [0, 0, 2, 2], "not finite", 4),
        ([SQUARE, [1, 1, 1e9, 2, 3, 3]], [0, 0, 2, 2], "polygon far outside", 4),
        ([[1, 1, 2, 2]], [0, 0, 2, 2], "mask without any polygon", 4),
        ([[1, 1, 2, 2]], None, "annotation without box and mask", 3),
        ([], None, "annotation without box and mask", 3),
        ([], [6, 0, 2, 2], "box outside of its image", 3),
        ([], [-3, 0, 3, 2], "box outside of its image", 3),
        ([], [0, 0, -2, 2], "box of negative size", 3),
        ([], [0, 0, 1e300, 2], "box far outside of its image", 3),
    ],
)
def test_what_cannot_be_used_is_left_out_and_counted(tmp_path, segmentation, bbox, reason, n):
    content = sample()
    content["annotations"][1] |= {"segmentation": segmentation, "bbox": bbox, "area": 1}
    found, report = read(put(tmp_path, content))
    assert any(reason in line and "annotations[1]" in line for line in report.to_r()["skipped"])
    assert len(found.objects) == n
    if n == 4:
        kept = [] if len(segmentation) == 1 else [SQUARE]
        assert json.loads(found.objects.polygons[1] or "[]") == kept
    found.instances(0)


def test_a_class_without_objects_may_repeat_a_name(tmp_path):
    content = sample()
    content["categories"].append({"id": 0, "name": "bus", "supercategory": "none"})
    found, report = read(put(tmp_path, content))
    assert [one.id for one in found.classes] == [1, 6]
    assert "name of another" in report.to_r()["skipped"][0]


def test_panoptic_annotations_are_not_taken_for_instances(shared_data):
    path = shared_data("panoptic/sample_data/panoptic_examples.json")
    with pytest.raises(FormatError, match="coco_panoptic"):
        read(path)


def test_a_failed_write_leaves_nothing(tmp_path):
    found, _ = read(put(tmp_path, sample()))
    found.objects.boxes[0] = np.nan
    with pytest.raises(DataError, match="no box"):
        write(found, tmp_path / "out.json")
    with pytest.raises(FormatError, match="does not exist"):
        write(read(tmp_path / "instances_val.json")[0], tmp_path / "none" / "out.json")
    assert [one.name for one in tmp_path.iterdir()] == ["instances_val.json"]


values = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1.5,
        2**40,
        10**30,
        1e200,
        "",
        "x",
        "../a",
        "\0",
        [],
        [[]],
        {},
        [1, 2, 3],
        [[1, 2]],
        [[1, 2, 3, 4, 5, 6, 7, 8]],
        {"counts": "5M4", "size": [4, 6]},
        {"counts": [24], "size": [4, 6]},
        {"counts": ["a"], "size": [4, 6]},
        {"counts": [1e300], "size": [4, 6]},
        {"counts": "o", "size": None},
    ]
)


def places(node, path=()):
    """All places in a JSON value."""
    yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inner if isinstance(node, (dict, list)) else ():
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


def mutilated(content, data) -> bytes:
    """Drop or replace some values, and cut off or change some bytes."""
    content = copy.deepcopy(content)
    for _ in range(data.draw(st.integers(0, 3))):
        path = data.draw(st.sampled_from(list(places(content))))
        if not path:
            continue
        node = content
        for key in path[:-1]:
            node = node[key]
        if data.draw(st.booleans()):
            del node[path[-1]]
        else:
            node[path[-1]] = copy.deepcopy(data.draw(values))
    text = bytearray(json.dumps(content).encode())
    if data.draw(st.integers(0, 3)) == 0:
        at = data.draw(st.integers(0, len(text) - 1))
        if data.draw(st.booleans()):
            del text[at:]
        else:
            text[at] = data.draw(st.integers(0, 255))
    return bytes(text)


RESULTS = [
    {
        "image_id": 7,
        "category_id": 1,
        "score": 0.5,
        "segmentation": {"counts": "44`0", "size": [4, 6]},
    },
    {"image_id": 8, "category_id": 6, "score": 1, "bbox": [0, 1, 2, 3]},
]


@settings(max_examples=250, deadline=None)
@given(data=st.data(), format=st.sampled_from(["coco", "coco_results"]))
def test_any_damage_is_one_of_our_errors(tmp_path_factory, data, format):
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / "instances_val.json"
    path.write_bytes(mutilated(sample() if format == "coco" else RESULTS, data))
    try:
        found, _ = read(path, format)
        for i in range(len(found.images)):
            found.instances(i)
        out = data.draw(st.sampled_from(["coco", "coco_results"]))
        write(found, folder / "out.json", out)
    except MaskrError:
        assert not (folder / "out.json").exists()
    else:
        read(folder / "out.json", out)
    assert {one.name for one in folder.iterdir()} <= {"instances_val.json", "out.json"}
