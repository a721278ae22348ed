"""VIA 2 projects, annotation files and CSV, hand-made after the tool's own export."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from damage import spoiled, spots
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr.annotations import ReadOptions, WriteOptions, detect, no_progress, via, via_csv
from maskr.annotations.columns import Category, Images, ObjectTable
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError, FormatError, MaskrError
from maskr.instances import encode
from PIL import Image, ImageDraw
from scipy import ndimage

MODULES = {"via": via, "via_csv": via_csv}
SUFFIXES = {"via": "json", "via_csv": "csv"}
X, Y = [3.0, 30.5, 28.0], [4.0, 6.0, 31.25]


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def polygon(x=X, y=Y):
    return {"name": "polygon", "all_points_x": x, "all_points_y": y}


def entry(regions, name="a.png"):
    return {"filename": name, "size": 99, "regions": regions, "file_attributes": {}}


def save(folder, regions, project=True, name="via.json"):
    entries = {"a.png99": entry(regions)}
    content = {"_via_settings": {"core": {"default_filepath": "./pictures/"}}}
    content |= {"_via_img_metadata": entries, "_via_attributes": {"region": {}, "file": {}}}
    path = folder / name
    path.write_text(json.dumps(content if project else entries))
    return path


def read(path, report=None, **options):
    path = Path(path)
    return MODULES[detect(path)].read(path, ReadOptions(**options), report or Report())


def write(annotations, path, format, report=None):
    report = report or Report()
    MODULES[format].write(annotations, Path(path), WriteOptions(), report, no_progress)
    return report


def image(folder, size=(40, 60), name="a.png"):
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    Image.new("L", size[::-1]).save(folder / name)


def annotations(folder="", size=(40, 60), name="a.png", **columns):
    images, table = Images(), ObjectTable()
    images.add(name, *size)
    for row in zip(*columns.values(), strict=True):
        table.add(1, **dict(zip(columns, row, strict=True)))
    classes = [Category(1, "leaf"), Category(2, "stem")]
    return Annotations("memory", str(folder), images, table.finish(), classes, {})


SHAPES = [
    region(polygon(), kind="leaf"),
    region({"name": "rect", "x": 10, "y": 5, "width": 20, "height": 12}, kind="stem"),
    region({"name": "circle", "cx": 30, "cy": 20, "r": 12.5}, kind="leaf"),
    region({"name": "ellipse", "cx": 30, "cy": 20, "rx": 20, "ry": 8, "theta": 0.5}, kind="stem"),
    region({"name": "polyline", "all_points_x": [1, 9], "all_points_y": [1, 9]}, kind="leaf"),
    region({"name": "point", "cx": 30, "cy": 20}, kind="leaf"),
]


@pytest.mark.parametrize("project", [True, False])
@pytest.mark.parametrize("numbered", [True, False])
def test_every_shape_of_a_project_and_of_an_export(tmp_path, project, numbered):
    image(tmp_path)
    regions = dict(enumerate(SHAPES)) if numbered else SHAPES
    report = Report()
    path = save(tmp_path, regions, project)
    found = read(path, report)
    assert detect(path) == "via" and found.size(0) == (40, 60)
    assert {why: n for why, (n, _) in report.skipped.items()} == {
        "region of type polyline": 1,
        "region of type point": 1,
    }
    assert found.names() == {1: "leaf", 2: "stem"}
    assert found.objects.class_ids.tolist() == [1, 2, 1, 2]
    masks = found.instances(0)[0].masks()
    canvas = Image.new("L", (60, 40))
    ImageDraw.Draw(canvas).polygon(list(zip(X, Y, strict=True)), outline=1, fill=1)
    assert (masks[0] == np.asarray(canvas)).all()
    assert found.objects.boxes[1].tolist() == [10, 5, 30, 17]
    assert masks[1].sum() == 21 * 13 and masks[1][5:18, 10:31].all()
    y, x = np.mgrid[:40, :60] + 0.5
    for n, (rx, ry, theta) in ((2, (12.5, 12.5, 0)), (3, (20, 8, 0.5))):
        u = (x - 30) * math.cos(theta) + (y - 20) * math.sin(theta)
        v = (y - 20) * math.cos(theta) - (x - 30) * math.sin(theta)
        inside = (u / rx) ** 2 + (v / ry) ** 2 <= 1
        # Pillow adds the outline's own pixels
        assert (masks[n] | ~inside).all() and (ndimage.binary_dilation(inside) | ~masks[n]).all()
        assert abs(found.objects.areas[n] / (math.pi * rx * ry) - 1) < 0.01


def test_images_are_found_in_the_projects_folder_and_sizes_may_be_unknown(tmp_path):
    path = save(tmp_path, SHAPES[:1])
    found = read(path)
    assert found.images.files == ["a.png"]
    with pytest.raises(DataError, match="size of the image"):
        found.size(0)
    image(tmp_path, (17, 31), "pictures/a.png")
    assert read(path).size(0) == (17, 31) and read(path).images.files == ["pictures/a.png"]
    image(tmp_path, (9, 8), "other/a.png")
    assert read(path, images=str(tmp_path / "other")).size(0) == (9, 8)


@pytest.mark.parametrize(
    ("attributes", "label"),
    [
        ({"class": "leaf", "colour": "red"}, "leaf"),
        ({"Label": "leaf", "name": "mine", "type": "old"}, "leaf"),
        ({"type": "leaf", "colour": "red"}, "leaf"),
        ({"species": "leaf"}, "leaf"),
        ({"type": {"leaf": True, "stem": False}}, "leaf"),
        ({"class": 3}, "3"),
        ({}, "object"),
        ({"empty": ""}, "object"),
        ({"class": "leaf", "score": 0.5, "group_id": 1}, "leaf"),
    ],
)
def test_the_class_is_the_attribute_that_holds_it(tmp_path, attributes, label):
    found = read(save(tmp_path, [region(polygon(), **attributes)]))
    assert found.names() == {1: label}


@pytest.mark.parametrize(
    "attributes", [{"type": "a", "name": "b"}, {"colour": "red", "form": "round"}]
)
def test_an_attribute_that_is_not_clear_is_an_error_with_the_names(tmp_path, attributes):
    with pytest.raises(FormatError, match=", ".join(sorted(attributes))):
        read(save(tmp_path, [region(polygon(), **attributes)]))


def test_classes_given_rule_and_regions_without_one_are_counted(tmp_path):
    path = save(tmp_path, [region(polygon(), **{"class": "leaf"}), region(polygon())])
    report = Report()
    found = read(path, report, classes={"background": 0, "leaf": 7})
    assert found.objects.class_ids.tolist() == [7]
    assert list(report.skipped) == ["region without one class"]
    with pytest.raises(DataError, match='"leaf"'):
        read(path, classes={"stem": 1})
    bare = save(tmp_path, [region(polygon())])
    assert read(bare, classes={"background": 0, "nucleus": 4}).objects.class_ids.tolist() == [4]


def test_csv_reads_as_json_does(tmp_path):
    image(tmp_path)
    lines = [",".join(via_csv.COLUMNS)]
    for i, one in enumerate(SHAPES):
        texts = [json.dumps(one[key]) for key in ("shape_attributes", "region_attributes")]
        quoted = ",".join('"' + text.replace('"', '""') + '"' for text in texts)
        lines.append(f'a.png,99,"{{}}",6,{i},{quoted}')
    lines.append('b.png,98,"{}",0,0,"{}","{}"')
    path = tmp_path / "via.csv"
    for first in ("", "#"):
        path.write_bytes((first + "\r\n".join(lines)).encode())
        assert detect(path) == "via_csv"
        found = read(path)
        truth = read(save(tmp_path, SHAPES))
        assert found.images.files == ["a.png", "b.png"]
        assert found.objects.polygons == truth.objects.polygons
        assert (found.objects.boxes == truth.objects.boxes).all()
        assert (found.objects.class_ids == truth.objects.class_ids).all()


coordinates = st.lists(st.floats(-10, 70, width=32), min_size=3, max_size=6)
polygons = st.lists(coordinates.map(lambda x: [v for one in x for v in (one, one + 1)]), min_size=1)


@pytest.mark.parametrize("format", MODULES)
@given(outlines=st.lists(polygons, min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_polygons_come_back_as_they_were(tmp_path_factory, format, outlines):
    path = tmp_path_factory.mktemp("via") / f"out.{SUFFIXES[format]}"
    ids = [1 + i % 2 for i in range(len(outlines))]
    report = write(annotations(class_id=ids, polygon=outlines), path, format)
    assert detect(path) == format
    back = read(path)
    assert [json.loads(p) for p in back.objects.polygons] == outlines
    assert [back.names()[i] for i in back.objects.class_ids] == [
        ["leaf", "stem"][i - 1] for i in ids
    ]
    several = sum(len(one) > 1 for one in outlines)
    unused = report.changed.pop("class without objects, which the format cannot hold", [0])[0]
    assert unused == (len(outlines) == 1)
    assert sum(n for n, _ in report.changed.values()) == several


@pytest.mark.parametrize("format", MODULES)
@pytest.mark.parametrize("seed", range(6))
def test_masks_come_back_through_pillow(tmp_path, format, seed):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(70, 45)), [1, 2, 4][seed % 3])
    mask = noise > np.quantile(noise, rng.uniform(0.2, 0.9))
    image(tmp_path, mask.shape, "sub/a.png")
    truth = annotations(
        tmp_path, mask.shape, "sub/a.png", class_id=[1], rle=encode(mask[None]), box=[[0, 0, 1, 1]]
    )
    path = tmp_path / f"out.{SUFFIXES[format]}"
    write(truth, path, format)
    (got,) = read(path).instances(0)[0].masks()
    assert (got & mask).sum() / (got | mask).sum() >= 0.99


@pytest.mark.parametrize("format", MODULES)
def test_everything_of_an_object_comes_back(tmp_path, format):
    image(tmp_path)
    truth = annotations(
        tmp_path,
        class_id=[1, 2],
        polygon=[[[1.5, 1.0, 9.0, 1.0, 9.0, 9.25]], None],
        box=[None, [3, 4, 10, 12]],
        score=[0.5, float("nan")],
        iscrowd=[False, True],
        attributes=[{"species": "oak", "flags": {"sure": True}}, None],
    )
    path = tmp_path / f"out.{SUFFIXES[format]}"
    report = write(truth, path, format)
    assert not report.changed
    back = read(path)
    assert back.size(0) == (40, 60)
    assert back.objects.polygons == truth.objects.polygons
    assert back.objects.boxes.tolist() == truth.objects.boxes.tolist()
    assert np.array_equal(back.objects.scores, truth.objects.scores, equal_nan=True)
    assert back.objects.iscrowd.tolist() == [False, True]
    attributes = json.loads(back.objects.attributes[0])
    assert attributes == {"species": "oak", "flags": '{"sure":true}'}


def test_a_project_has_what_via_asks_for(tmp_path):
    image(tmp_path)
    path = tmp_path / "out.json"
    write(annotations(tmp_path, class_id=[1], box=[[3, 4, 10, 12]]), path, "via")
    content = json.loads(path.read_text())
    size = (tmp_path / "a.png").stat().st_size
    assert content["_via_image_id_list"] == [f"a.png{size}"] == list(content["_via_img_metadata"])
    assert content["_via_img_metadata"][f"a.png{size}"] == {
        "filename": "a.png",
        "size": size,
        "file_attributes": {},
        "regions": [
            {
                "shape_attributes": {"name": "rect", "x": 3, "y": 4, "width": 7, "height": 8},
                "region_attributes": {"class": "leaf"},
            }
        ],
    }
    assert content["_via_attributes"]["region"]["class"]["options"] == {"leaf": "", "stem": ""}


def test_names_do_not_lead_out_of_the_folder(tmp_path):
    entries = {"x": entry([], "../../etc/passwd")}
    path = tmp_path / "via.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(FormatError, match="leads out"):
        read(path)


GOOD = {
    "_via_settings": {"core": {"default_filepath": ""}},
    "_via_img_metadata": {"a.png99": entry([*SHAPES[:4], region(polygon(), kind="leaf")])},
    "_via_attributes": {"region": {}, "file": {}},
}
JUNK = st.sampled_from([None, True, -1, 10**12, 1e300, "x", "../../x", "\0", [], {}, [1], {"a": 1}])


def write_rows(path, content):
    """Write whatever damaged content has as regions, each as a line."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(via_csv.COLUMNS)
        for one in walk(content):
            shape, rest = one.get("shape_attributes"), one.get("region_attributes")
            writer.writerow(["a.png", 9, "{}", 1, 0, json.dumps(shape), json.dumps(rest)])


def walk(value):
    if isinstance(value, dict) and "shape_attributes" in value:
        yield value
    elif isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from walk(one)


@given(st.sampled_from(list(spots(GOOD))), JUNK, st.booleans())
@settings(max_examples=120, deadline=None)
def test_damaged_content_is_a_classed_error_or_read(tmp_path_factory, spot, junk, drop):
    content = spoiled(GOOD, spot, junk, drop)
    folder = tmp_path_factory.mktemp("damaged")
    image(folder)
    path = folder / "via.json"
    path.write_text(json.dumps(content))
    write_rows(folder / "via.csv", content)
    for module, file in ((via, path), (via_csv, folder / "via.csv")):
        try:
            module.read(file, ReadOptions(), Report()).labels(0)
        except MaskrError as error:
            assert any(word in error.text for word in ("via.", "a.png", "x"))
        except IndexError:
            assert not module.read(file, ReadOptions(), Report()).images.ids


@given(st.integers(0, 900), st.binary(max_size=3))
@settings(max_examples=40, deadline=None)
def test_truncated_files_are_a_classed_error(tmp_path_factory, length, noise):
    folder = tmp_path_factory.mktemp("truncated")
    text = json.dumps(GOOD).encode()
    (folder / "via.json").write_bytes(text[: min(length, len(text) - 1)] + noise)
    with pytest.raises(FormatError, match=r"via\.json"):
        via.read(folder / "via.json", ReadOptions(), Report())
    write(annotations(class_id=[1], polygon=[[[1, 1, 9, 1, 9, 9]]]), folder / "via.csv", "via_csv")
    text = (folder / "via.csv").read_bytes()
    (folder / "via.csv").write_bytes(text[: min(length, len(text) - 1)] + noise)
    try:
        via_csv.read(folder / "via.csv", ReadOptions(), Report())
    except FormatError as error:
        assert "via.csv" in error.text


@pytest.mark.parametrize("format", MODULES)
def test_classes_that_names_alone_cannot_hold_are_counted_once(tmp_path, format):
    truth = annotations(class_id=[3, 3, 9], box=[[3, 4, 10, 12]] * 3)
    truth.classes = [Category(2, "ash"), Category(3, "leaf"), Category(9, "stem")]
    truth.images.add("b.png", 40, 60)
    path = tmp_path / f"out.{SUFFIXES[format]}"
    assert write(truth, path, format).changed == {
        "class whose id the format cannot hold": [2, "leaf"],
        "class without objects, which the format cannot hold": [1, "ash"],
    }
    assert read(path).names() == {1: "leaf", 2: "stem"}
