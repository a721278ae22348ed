"""What holds for annotations of every format: once they are read, and as they are written."""

import json

import numpy as np
import pytest
from maskr import annotations
from maskr.annotations.options import ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.errors import FormatError

IMAGES = [
    {"id": 4, "file_name": "b.jpg", "height": 20, "width": 31},
    {"id": 2, "file_name": "a.jpg", "height": 12, "width": 17},
]


def read(tmp_path, polygons, images=IMAGES, names=("cat", "dog")):
    """Read COCO instances with one polygon for each (image, x1, y1, ...)."""
    objects = [
        {"id": n + 1, "image_id": image, "category_id": 1, "iscrowd": 0, "area": 9,
         "segmentation": [list(points)]}
        for n, (image, *points) in enumerate(polygons)
    ]  # fmt: skip
    categories = [{"id": n + 1, "name": name} for n, name in enumerate(names)]
    path = tmp_path / "truth.json"
    path.write_text(
        json.dumps({"images": images, "annotations": objects, "categories": categories})
    )
    report = Report()
    return annotations.read(str(path), "coco", ReadOptions(), report), report


def test_objects_wholly_outside_of_their_image_are_left_out_and_counted(tmp_path):
    inside, at_edge = "3,2;8,2;8,9", "15,1;25,1;25,9"
    right, above = "17,1;25,1;25,9", "3,-9;8,-9;8,0"
    lines = "".join(
        f'<polygon label="cat" points="{points}" occluded="0" z_order="0"/>'
        for points in (inside, right, above, at_edge)
    )
    path = tmp_path / "task.xml"
    path.write_text(
        "<annotations><version>1.1</version>"
        f'<image id="0" name="a.jpg" width="17" height="12">{lines}</image></annotations>'
    )
    report = Report()
    found = annotations.read(str(path), "cvat", ReadOptions(), report)
    np.testing.assert_array_equal(found.objects.boxes[:, 0], [3, 15])
    assert report.to_r()["skipped"] == [
        "object wholly outside of its image (2 times, first: a.jpg)"
    ]


def test_names_that_repeat_are_refused(tmp_path):
    twice = [IMAGES[0], {**IMAGES[1], "file_name": "b.jpg"}]
    with pytest.raises(FormatError, match='image "b.jpg" twice'):
        read(tmp_path, [], images=twice)


def test_polygons_that_are_drawn_by_another_rule_are_counted(tmp_path):
    found, _ = read(tmp_path, [(2, 3, 2, 8, 2, 8, 9), (4, 3, 2, 8, 2, 8, 9)])
    for format, changed in {"via": True, "cvat": False, "coco": False}.items():
        report = Report()
        target = str(tmp_path / f"out.{'xml' if format == 'cvat' else 'json'}")
        annotations.write(found, target, format, WriteOptions(), report)
        counted = [line for line in report.to_r()["changed"] if "edge pixels differ" in line]
        assert counted == (
            ['polygon whose edge pixels differ, since programs of "via" draw otherwise '
             "(2 times, first: a.jpg)"] if changed else []
        )  # fmt: skip


def test_stuff_that_becomes_things_is_counted(tmp_path):
    found, _ = read(tmp_path, [(2, 3, 2, 8, 2, 8, 9)], names=("sky", "cat", "background"))
    for one in found.classes:
        one.isthing = one.name == "cat"
    for format in ("cvat", "coco"):
        report = Report()
        target = str(tmp_path / f"out.{'xml' if format == 'cvat' else 'json'}")
        annotations.write(found, target, format, WriteOptions(), report)
        counted = [line for line in report.to_r()["changed"] if "stuff" in line]
        told = ["class of stuff, which comes back as one of things (sky)"]
        assert counted == (told if format == "cvat" else [])


def test_crowds_that_label_images_do_not_hold_are_counted(tmp_path):
    found, _ = read(tmp_path, [(2, 3, 2, 8, 2, 8, 9), (2, 9, 2, 14, 2, 14, 9)])
    found.objects.iscrowd[1] = True
    for format, told in {"voc": "written as pixels of its class", "labels": "left out"}.items():
        report = Report()
        annotations.write(found, str(tmp_path / format), format,
                          WriteOptions(copy_images=False), report)  # fmt: skip
        assert [line for line in report.to_r()["changed"] if "crowd" in line] == [
            f"crowd {told} (a.jpg)"
        ]
