"""COCO's panoptic format: the same segments back, whatever they are written from."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr import annotations
from maskr.annotations import ReadOptions, WriteOptions
from maskr.annotations.columns import Category, Images, ObjectTable
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.arrays import IGNORE
from maskr.errors import FormatError, MaskrError
from maskr.instances import encode
from PIL import Image

SAMPLE = "panoptic/sample_data/panoptic_examples.json"


def read(path, format="auto", **options) -> tuple[Annotations, Report]:
    report = Report()
    return annotations.read(str(path), format, ReadOptions(**options), report), report


def write(what, path) -> Report:
    report = Report()
    annotations.write(what, str(path), "coco_panoptic", WriteOptions(), report)
    return report


def png(path) -> np.ndarray:
    pixels = np.asarray(Image.open(path)).astype(int)
    return pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]


def save_png(path, ids) -> None:
    ids = np.asarray(ids)
    colours = np.stack((ids % 256, ids // 256 % 256, ids // 65536), axis=-1)
    Image.fromarray(colours.astype(np.uint8)).save(path)


IDS = np.array([[0, 0, 70000, 70000, 70000], [7, 7, 7, 300, 300], [7, 0, 7, 300, 300]])


def content() -> dict:
    """One image of 3 x 5 pixels: a person, a crowd of them, and grass."""
    return {
        "images": [
            {"id": 4, "file_name": "a.jpg", "height": 3, "width": 5},
            {"id": 5, "file_name": "empty.jpg", "height": 2, "width": 3},
        ],
        "annotations": [
            {
                "image_id": 4,
                "file_name": "a.png",
                "segments_info": [
                    {"id": 7, "category_id": 1, "area": 5, "bbox": [0, 1, 3, 2], "iscrowd": 0},
                    {"id": 300, "category_id": 1, "area": 4, "bbox": [3, 1, 2, 2], "iscrowd": 1},
                    {"id": 70000, "category_id": 0, "area": 3, "bbox": [2, 0, 3, 1], "iscrowd": 0},
                ],
            }
        ],
        "categories": [
            {"id": 1, "name": "person", "isthing": 1, "color": [220, 20, 60]},
            {"id": 0, "name": "grass", "isthing": 0},
        ],
    }


def put(folder, made=None, ids=IDS) -> Path:
    (folder / "panoptic_val").mkdir(exist_ok=True)
    save_png(folder / "panoptic_val" / "a.png", ids)
    path = folder / "panoptic_val.json"
    path.write_text(json.dumps(content() if made is None else made))
    return path


def test_segments_are_read(tmp_path):
    found, report = read(put(tmp_path))
    assert found.format == "coco_panoptic" and not report.skipped
    assert found.classes == [
        Category(1, "person", "", True, "#DC143C"),
        Category(0, "grass", "", False),
    ]
    assert found.objects.ids.tolist() == [7, 300, 70000]
    assert found.objects.boxes.tolist() == [[0, 1, 3, 3], [3, 1, 5, 3], [2, 0, 5, 1]]
    assert found.objects.iscrowd.tolist() == [False, True, False]
    labels = found.labels(0)
    expected = [[-1, -1, 0, 0, 0], [1, 1, 1, 1, 1], [1, -1, 1, 1, 1]]
    np.testing.assert_array_equal(labels.classes, expected)
    np.testing.assert_array_equal(labels.objects, np.where(IDS == 7, 7, 0))
    made = found.panoptic(0)
    np.testing.assert_array_equal(made.ids, IDS)
    assert made.isthing.tolist() == [True, True, False]
    instances, ids = found.instances(0)
    assert ids.tolist() == [7] and instances.areas.tolist() == [5]


def test_a_class_that_was_taken_out_is_background_and_new_ids_are_used_once(tmp_path):
    found, _ = read(put(tmp_path))
    table, keep = found.objects, found.objects.class_ids == 1
    for name in ("ids", "image_ids", "class_ids", "scores", "boxes", "areas", "iscrowd"):
        setattr(table, name, getattr(table, name)[keep])
    table.class_ids[:] = 0
    found.classes = [Category(0, "person"), Category(1, "background")]
    found.reading = {"renumber": [[1, 0], [0, -1]]}
    classes = found.labels(0).classes
    np.testing.assert_array_equal(classes, np.where(IDS == 70000, 1, np.where(IDS == 0, -1, 0)))
    np.testing.assert_array_equal(found.panoptic(0).ids, np.where(IDS == 70000, 0, IDS))


def test_the_official_sample_is_written_again_pixel_for_pixel(tmp_path, shared_data):
    path = shared_data(SAMPLE)
    found, report = read(path)
    assert (len(found.images), len(found.objects), len(found.classes)) == (2, 50, 133)
    assert not report.skipped
    assert write(found, tmp_path / "again.json").to_r()["changed"] == []
    truth = json.loads(Path(path).read_text())
    again = json.loads((tmp_path / "again.json").read_text())
    for one, other in zip(truth["annotations"], again["annotations"], strict=True):
        assert (one["image_id"], one["file_name"]) == (other["image_id"], other["file_name"])
        segments = {info["id"]: info for info in one["segments_info"]}
        assert {info["id"]: info for info in other["segments_info"]} == segments
        name = one["file_name"]
        expected = png(Path(path).with_suffix("") / name)
        np.testing.assert_array_equal(png(tmp_path / "again" / name), expected)
    for one, other in zip(truth["categories"], again["categories"], strict=True):
        assert one == other
    for i in range(2):
        made, same = found.panoptic(i), read(tmp_path / "again.json")[0].panoptic(i)
        np.testing.assert_array_equal(made.ids, same.ids)
        np.testing.assert_array_equal(np.sort(made.segment_ids), np.sort(same.segment_ids))


def test_its_masks_are_those_of_the_detection_format(shared_data):
    found, _ = read(shared_data(SAMPLE))
    other, _ = read(shared_data("panoptic/sample_data/panoptic_coco_detection_format.json"))
    assert len(other.objects) == len(found.objects)
    for i, number in enumerate(found.images.ids):
        made = found.panoptic(i)
        expected = {
            (int(class_id), (made.ids == one).tobytes())
            for one, class_id in zip(made.segment_ids, made.class_ids, strict=True)
        }
        instances, _ = other.instances(other.images.ids.index(number))
        masks = instances.masks()
        assert expected == {
            (int(class_id), mask.tobytes())
            for class_id, mask in zip(instances.class_ids, masks, strict=True)
        }


def test_pngs_may_lie_in_a_folder_named_png(shared_data):
    found, _ = read(shared_data("panoptic/perturbed_pred/perturbed.json"))
    made = found.panoptic(1)
    areas = dict(zip(found.objects.ids.tolist(), found.objects.areas.tolist(), strict=True))
    assert made.areas.tolist() == [areas[int(one)] for one in made.segment_ids]


@pytest.mark.parametrize("file", ["panoptic_train.json", "panoptic_val.json"])
def test_fixtures_are_counted(shared_data, file):
    found, _ = read(shared_data(f"formats/coco_dataset/coco/annotations/{file}"))
    assert len(found.images) == 1 and found.image_path(0).is_file()
    assert len(found.objects) == (1 if "train" in file else 2)


VOID = (
    "image whose pixels of no object become void, which is ignored when read (x/y.jpg)"
)


@pytest.mark.parametrize(("box", "lost"), [((0, 0, 9, 6), False), ((0, 0, 9, 5), True)])
def test_pixels_of_no_object_that_become_void_are_counted(tmp_path, box, lost):
    table = ObjectTable()
    table.add(1, 1, box=box)
    images = Images([1], ["x/y.jpg"], [6], [9], [""], [""])
    made = Annotations("memory", "", images, table.finish(), [Category(1, "cell")])
    assert write(made, tmp_path / "a.json").to_r()["changed"] == [VOID] * lost
    again, _ = read(tmp_path / "a.json")
    # what is void already is no loss, and a class of the background keeps it
    assert not write(again, tmp_path / "b.json").changed
    made.reading["void"] = "ignore"
    assert not write(made, tmp_path / "c.json").changed
    made.reading, made.classes = {}, [*made.classes, Category(0, "background", isthing=False)]
    assert not write(made, tmp_path / "d.json").changed
    assert not (read(tmp_path / "d.json")[0].labels(0).classes == IGNORE).any()


def test_objects_become_segments_and_what_is_lost_is_counted(tmp_path):
    masks = np.zeros((4, 6, 9), dtype=bool)
    masks[0, 1:5, 1:5] = True
    masks[1, 2:6, 3:8] = True
    masks[2, 0] = True
    masks[3, :, 8] = True
    table = ObjectTable()
    scores, classes = (0.9, 0.5, 0.3, 0.8), (1, 1, 2, 1)
    for n, rle in enumerate(encode(masks)):
        table.add(
            3,
            classes[n],
            rle=rle,
            box=(0, 0, 9, 6),
            score=scores[n],
            iscrowd=n == 3,
            attributes={"a": 1} if n == 0 else None,
        )
    images = Images([3], ["x/y.jpg"], [6], [9], [""], [""])
    names = [Category(1, "cell"), Category(2, "sky", isthing=False)]
    made = Annotations("memory", "", images, table.finish(), names)
    changed = write(made, tmp_path / "out.json").to_r()["changed"]
    assert changed == [
        "attributes left out (x/y.jpg)",
        "score left out (4 times, first: x/y.jpg)",
        "object partly or wholly under another one (x/y.jpg)",
        VOID,
    ]
    assert (tmp_path / "out" / "x" / "y.png").exists()
    found, _ = read(tmp_path / "out.json")
    labels, expected = found.labels(0), made.labels(0)
    nothing = ~masks.any(axis=0)
    np.testing.assert_array_equal(labels.classes, np.where(nothing, IGNORE, expected.classes))
    np.testing.assert_array_equal(labels.objects > 0, expected.objects > 0)
    assert sorted(found.objects.iscrowd.tolist()) == [False, False, False, True]
    assert found.instances(0)[0].areas.tolist() == [16, 14]


@settings(max_examples=15, deadline=None)
@given(
    ids=st.lists(st.integers(0, 2**24 - 1), min_size=35, max_size=35),
    things=st.integers(1, 2**24 - 1),
)
def test_any_segment_ids_come_back(tmp_path_factory, ids, things):
    folder = tmp_path_factory.mktemp("panoptic")
    ids = np.array(ids).reshape(5, 7)
    made = content()
    made["images"][0] |= {"height": 5, "width": 7}
    segments = [{"id": int(n), "category_id": int(n > things)} for n in np.unique(ids[ids > 0])]
    made["annotations"][0]["segments_info"] = segments
    path = put(folder, made, ids)
    found, _ = read(path)
    write(found, folder / "again.json")
    np.testing.assert_array_equal(png(folder / "again" / "a.png"), ids)
    again = json.loads((folder / "again.json").read_text())["annotations"][0]["segments_info"]
    assert [(one["id"], one["category_id"]) for one in again] == [
        (one["id"], one["category_id"]) for one in segments
    ]
    assert [one["area"] for one in again] == [int((ids == one["id"]).sum()) for one in again]


# what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file_name": "b.png"}, r"annotations\[0\].*b.png, which does not exist"),
        ({"file_name": "../a.png"}, r"annotations\[0\].*leads out"),
        ({"image_id": 9}, r"annotations\[0\].*image_id 9"),
        ({"segments_info": 3}, r"annotations\[0\].*segments_info"),
        ({"segments_info": [{"id": 7}]}, r'annotations\[0\].segments_info\[0\].*"category_id"'),
        ({"segments_info": [{"id": 0, "category_id": 1}]}, r"segments_info\[0\].*from 1 up"),
        ({"segments_info": [{"id": 2**24, "category_id": 1}]}, r"24 bits"),
        ({"segments_info": [{"id": 7, "category_id": 9}]}, r"segments_info\[0\].*category_id 9"),
        (
            {"segments_info": [{"id": 7, "category_id": 1}, {"id": 7, "category_id": 0}]},
            r"segments_info\[1\].*repeats the id 7 of annotations\[0\].segments_info\[0\]",
        ),
    ],
)
def test_damage_is_named_by_file_and_record(tmp_path, change, message):
    made = content()
    made["annotations"][0] |= change
    with pytest.raises(FormatError, match=message) as error:
        read(put(tmp_path, made), "coco_panoptic")
    assert "panoptic_val.json" in error.value.text


def test_a_png_that_is_not_of_its_image_is_refused(tmp_path):
    found, _ = read(put(tmp_path))
    place = tmp_path / "panoptic_val" / "a.png"
    save_png(place, IDS.T)
    with pytest.raises(FormatError, match="5 x 3 pixels"):
        found.labels(0)
    save_png(place, np.where(IDS, 5, 0))
    with pytest.raises(FormatError, match="none of the segments"):
        found.panoptic(0)
    Image.fromarray(IDS.astype(np.uint8)).save(place)
    with pytest.raises(FormatError, match="colours"):
        found.labels(0)
    place.write_bytes(place.read_bytes()[:40])
    with pytest.raises(FormatError):
        found.labels(0)


def test_a_failed_write_leaves_nothing(tmp_path):
    found, _ = read(put(tmp_path))
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "panoptic_val" / "a.png").write_bytes(b"")
    with pytest.raises(FormatError):
        write(found, out / "x.json")
    assert list(out.iterdir()) == []
    (out / "x").mkdir()
    (out / "x" / "own.txt").write_text("mine")
    with pytest.raises(FormatError, match="holds files"):
        write(found, out / "x.json")
    assert sorted(one.name for one in out.rglob("*")) == ["own.txt", "x"]
    with pytest.raises(FormatError, match="is not a name for a JSON file"):
        write(found, out)


values = st.sampled_from([None, -1, 0, 1.5, 10**30, "", "a.png", "..", "\0", [], {}, [{}], [1]])


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_damage_is_one_of_our_errors(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    made = content()
    annotation = made["annotations"][0]
    nodes = [*made["images"], annotation, *annotation["segments_info"], *made["categories"], made]
    for _ in range(data.draw(st.integers(1, 2))):
        node = data.draw(st.sampled_from(range(len(nodes))))
        key = data.draw(st.sampled_from(sorted(nodes[node]) or ["x"]))
        nodes[node][key] = data.draw(values)
        if data.draw(st.booleans()):
            del nodes[node][key]
    path = put(folder, made)
    if data.draw(st.integers(0, 3)) == 0:
        path.write_bytes(path.read_bytes()[: data.draw(st.integers(0, 600))])
    try:
        found, _ = read(path, "coco_panoptic")
        write(found, folder / "out.json")
    except MaskrError:
        assert {one.name for one in folder.iterdir()} == {"panoptic_val", "panoptic_val.json"}
    else:
        read(folder / "out.json", "coco_panoptic")
