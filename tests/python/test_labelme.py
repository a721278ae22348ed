"""LabelMe: real files with LabelMe's own conversions, round trips judged by Pillow, damage."""

import base64
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from damage import spoiled, spots
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr.annotations import ReadOptions, WriteOptions, detect, no_progress
from maskr.annotations import labelme as format
from maskr.annotations.columns import Category, Images, ObjectTable
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError, FormatError, MaskrError
from maskr.instances import decode, encode
from PIL import Image, ImageDraw
from scipy import ndimage

NAMES = {"background": 0, "leaf": 1, "stem": 2}


def read(path, report=None, **options):
    return format.read(Path(path), ReadOptions(**options), report or Report())


def write(annotations, path, report=None, **options):
    report = report or Report()
    format.write(annotations, Path(path), WriteOptions(**options), report, no_progress)
    return report


def save(folder, shapes, name="a", **content):
    known = {"version": "5.5.0", "flags": {}, "imagePath": "a.png", "imageData": None}
    known |= {"imageHeight": 40, "imageWidth": 60} | content | {"shapes": shapes}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(known))
    return path


def shape(points, kind="polygon", label="leaf", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **more}


def of_objects(size=(40, 60), **columns):
    images, table = Images(), ObjectTable()
    images.add("a.png", *size)
    for row in zip(*columns.values(), strict=True):
        table.add(1, **dict(zip(columns, row, strict=True)))
    classes = [Category(1, "leaf"), Category(2, "stem")]
    return Annotations("memory", "", images, table.finish(), classes, {"rasteriser": "pil"})


def masks(annotations, i=0):
    return annotations.instances(i)[0].masks()


def by_pillow(draw, size=(40, 60)):
    canvas = Image.new("L", size[::-1])
    draw(ImageDraw.Draw(canvas))
    return np.asarray(canvas) > 0


def blobs(seed):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(30, 90, 2))
    noise = ndimage.gaussian_filter(rng.normal(size=size), rng.choice([1, 2, 4]))
    return noise > np.quantile(noise, rng.uniform(0.2, 0.9))


def test_masks_agree_with_labelmes_own_conversion(shared_data):
    root = Path(shared_data("labelme/instance_segmentation"))
    names = (root / "labels.txt").read_text().split("\n")
    given_ids = {n: i - 1 for i, n in enumerate(names) if i > 1} | {"background": 0}
    found = read(root / "data_annotated", classes=given_ids)
    assert detect(root / "data_annotated") == "labelme"
    differing = []
    for i, file in enumerate(found.images.files):
        labels = found.labels(i)
        for kind, ours in (("Class", labels.classes), ("Object", labels.objects)):
            theirs = root / f"data_dataset_voc/Segmentation{kind}Npy/{file[:-4]}.npy"
            differing.append(int((np.load(theirs) != ours).sum()))
    # one pixel of 2011_000006 is drawn otherwise by the Pillow of 2020
    assert differing == [0, 0, 1, 1, 0, 0]
    truth = json.loads((root / "data_dataset_coco/annotations.json").read_text())
    counts = [len(found.instances(i)[0]) for i in range(3)]
    assert counts == [3, 6, 3] and sum(counts) == len(truth["annotations"])


def test_regions_to_ignore_are_no_instances_and_ignored_in_masks(tmp_path):
    square = [[10, 10], [30, 10], [30, 30], [10, 30]]
    part = [[20, 20], [25, 20], [25, 25], [20, 25]]
    path = save(tmp_path, [shape(square), shape(part, label="__ignore__")])
    found = read(path)
    labels = found.labels(0)
    assert (labels.classes == -1).sum() == 36 and (labels.classes == 1).sum() == 21**2 - 36
    assert (labels.objects[labels.classes == -1] == 0).all()
    assert len(found.instances(0)[0]) == 1
    assert {one.name: one.id for one in found.classes} == {"leaf": 1, "__ignore__": 255}
    assert read(path, classes=NAMES).labels(0).classes.min() == -1


def test_every_shape_of_the_primitives(shared_data):
    path = Path(shared_data("labelme/primitives/primitives.json"))
    report = Report()
    found = read(path, report)
    assert {why: n for why, (n, _) in report.skipped.items()} == {
        "shape of type line": 1,
        "shape of type point": 1,
        "shape of type linestrip": 1,
    }
    names = found.names()
    labels = [names[i] for i in found.objects.class_ids]
    assert labels == ["rectangle", "circle", "rectangle", "polygon", "octagon"]
    size = found.size(0)
    assert size == (450, 560)
    content = json.loads(path.read_text())["shapes"]
    got = masks(found)
    for n, box in ((0, (32, 35, 132, 135)), (2, (391, 33, 542, 135))):
        assert (got[n] == by_pillow(lambda d, b=box: d.rectangle(b, 1), size)).all()
    (x, y), rim = content[1]["points"]
    r = math.dist((x, y), rim)
    assert (got[1] == by_pillow(lambda d: d.ellipse((x - r, y - r, x + r, y + r), 1), size)).all()
    corners = [tuple(p) for p in content[3]["points"]]
    assert (got[3] == by_pillow(lambda d: d.polygon(corners, 1, 1), size)).all()
    octagon = np.asarray(Image.open(io.BytesIO(base64.b64decode(content[7]["mask"])))) > 0
    assert octagon.shape == (100, 100)
    assert (got[4][305:405, 417:517] == octagon).all() and got[4].sum() == octagon.sum()


@given(st.tuples(*[st.floats(-5, 60)] * 2), st.floats(0, 30), st.floats(0, 6.28))
@settings(max_examples=40, deadline=None)
def test_circles_have_the_pixels_of_pillows_ellipse(centre, radius, angle):
    x, y = centre
    rim = (x + radius * math.cos(angle), y + radius * math.sin(angle))
    r = math.hypot(x - rim[0], y - rim[1])
    table, draft = ObjectTable(), format.Draft({}, 0)
    format.add_shape(draft, shape([centre, rim], "circle"), "x", (70, 90), Report())
    draft.add_to(table, 1, (70, 90), "pil")
    images = Images()
    images.add("a.png", 70, 90)
    found = Annotations("labelme", "", images, table.finish(), [], {"rasteriser": "pil"})
    truth = by_pillow(lambda d: d.ellipse((x - r, y - r, x + r, y + r), 1, 1), (70, 90))
    assert (masks(found).any(axis=0) == truth).all()


def test_shapes_of_one_group_and_label_are_one_object(tmp_path):
    left = [[1, 1], [9, 1], [9, 9]]
    right = [[20, 1], [29, 1], [29, 9]]
    path = save(
        tmp_path,
        [
            shape(left, group_id=3, flags={"sure": True}, description="torn"),
            shape(left, group_id=3, label="stem"),
            shape(right, group_id=3),
            shape([[40, 30], [30, 20]], "rectangle"),
            shape([[40, 5], [50, 5], [50, 10], [40, 10]], "oriented_rectangle", score=0.75),
        ],
    )
    found = read(path)
    assert [json.loads(p) for p in found.objects.polygons if p] == [
        [[1, 1, 9, 1, 9, 9], [20, 1, 29, 1, 29, 9]],
        [[1, 1, 9, 1, 9, 9]],
        [[40, 5, 50, 5, 50, 10, 40, 10]],
    ]
    assert found.objects.boxes[2].tolist() == [30, 20, 40, 30]
    assert json.loads(found.objects.attributes[0]) == {
        "group_id": 3,
        "description": "torn",
        "flags": {"sure": True},
    }
    assert found.objects.scores[3] == 0.75 and np.isnan(found.objects.scores[:3]).all()


def test_masks_join_with_polygons_of_their_group_and_are_cut_off(tmp_path):
    pixels = np.zeros((5, 7), dtype=bool)
    pixels[1:4, 2:6] = True
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    path = save(
        tmp_path,
        [
            shape([[56, 10], [62, 14]], "mask", mask=text, group_id=1),
            shape([[1, 1], [4, 1], [4, 4], [1, 4]], group_id=1),
            shape([[60, 10], [66, 14]], "mask", mask=text),
            shape([[55, 10], [61, 14]], "mask", mask=text, label="stem"),
        ],
    )
    report = Report()
    got = masks(read(path, report))
    assert got.shape == (2, 40, 60)
    truth = np.zeros((40, 60), dtype=bool)
    truth[11:14, 58:60] = truth[1:5, 1:5] = True
    assert (got[0] == truth).all()
    assert got[1].sum() == 9 and got[1][11:14, 57:60].all()
    assert list(report.skipped) == ["mask without a pixel in its image"]


def test_sizes_come_from_the_file_the_image_or_the_image_in_the_file(tmp_path):
    Image.new("L", (31, 17)).save(tmp_path / "a.png")
    square = [shape([[1, 1], [9, 1], [9, 9]])]
    assert read(save(tmp_path, square)).size(0) == (40, 60)
    assert read(save(tmp_path, square, imageHeight=None, imageWidth=None)).size(0) == (17, 31)
    buffer = io.BytesIO()
    Image.new("RGB", (13, 11)).save(buffer, "JPEG")
    text = base64.b64encode(buffer.getvalue()).decode()
    gone = {"imageHeight": None, "imageWidth": None, "imagePath": "b.png"}
    assert read(save(tmp_path, square, imageData=text, **gone)).size(0) == (11, 13)
    with pytest.raises(DataError, match="size of the image"):
        read(save(tmp_path, square, **gone)).size(0)


def test_images_are_found_by_name_and_never_outside_of_the_folder(tmp_path):
    folder = tmp_path / "json"
    other = tmp_path / "images"
    folder.mkdir()
    other.mkdir()
    Image.new("L", (60, 40)).save(other / "x.png")
    square = [shape([[1, 1], [9, 1], [9, 9]])]
    for name in ("../images/x.png", "..\\images\\x.png", "C:\\me\\x.png", "/x.png"):
        path = save(folder, square, imagePath=name)
        with pytest.raises(FormatError, match="leads out") as caught:
            read(path)
        assert "a.json" in caught.value.text
        found = read(path, images=str(other))
        assert found.images.files == ["x.png"] and found.image_path(0) == other / "x.png"
    # below one root, files and images may be apart
    save(folder, square, imagePath="../images/x.png")
    assert read(tmp_path).images.files == ["images/x.png"]
    save(folder, square, imagePath=None)
    assert read(folder, images=str(other)).images.files == ["a.jpg"]


def test_other_files_in_a_folder_are_counted_and_alone_an_error(tmp_path):
    save(tmp_path, [shape([[1, 1], [9, 1], [9, 9]])])
    (tmp_path / "z.json").write_text('{"images": []}')
    report = Report()
    assert len(read(tmp_path, report).images) == 1
    assert list(report.skipped) == ["JSON file that is not LabelMe's"]
    with pytest.raises(FormatError, match="is not a file of LabelMe"):
        read(tmp_path / "z.json")
    with pytest.raises(FormatError, match="holds no file of LabelMe"):
        (tmp_path / "empty").mkdir()
        read(tmp_path / "empty")
    with pytest.raises(DataError, match="leaf"):
        read(tmp_path / "a.json", classes={"stem": 1})


def test_the_old_xml_format_is_not_taken_for_labelme(shared_data):
    assert not format.matches(Path(shared_data("formats/labelme_dataset")))


polygons = st.lists(
    st.lists(st.floats(-10, 70, width=32), min_size=6, max_size=12).map(
        lambda part: part[: len(part) // 2 * 2]
    ),
    min_size=1,
    max_size=3,
)


@given(st.lists(polygons, min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_polygons_come_back_as_they_were(tmp_path_factory, outlines):
    folder = tmp_path_factory.mktemp("labelme")
    truth = of_objects(class_id=[1 + i % 2 for i in range(len(outlines))], polygon=outlines)
    report = write(truth, folder / "out")
    report.changed.pop("class without objects, which the format cannot hold", None)
    assert list(report.changed) == ["image that was not found, not copied"]
    back = read(folder / "out")
    assert [json.loads(p) for p in back.objects.polygons] == outlines
    names = [back.names()[i] for i in back.objects.class_ids]
    assert names == [["leaf", "stem"][i % 2] for i in range(len(outlines))]


@pytest.mark.parametrize("seed", range(12))
def test_masks_come_back_through_pillow(tmp_path, seed):
    mask = blobs(seed)
    rle = encode(mask[None])
    truth = of_objects(mask.shape, class_id=[1], rle=rle, box=[[0, 0, 1, 1]], area=[1])
    report = write(truth, tmp_path / "out")
    back = read(tmp_path / "out")
    (got,) = masks(back)
    assert (got & mask).sum() / (got | mask).sum() >= 0.99
    holes = ndimage.label(np.pad(~mask, 1, constant_values=True))[1] - 1
    counted = report.changed.get("hole joined to its object's outline", [0])[0]
    assert counted == holes


def test_everything_of_an_object_comes_back(tmp_path):
    Image.new("L", (60, 40)).save(tmp_path / "a.png")
    attributes = {"group_id": 7, "flags": {"sure": True}, "description": "torn", "kind": "old"}
    truth = of_objects(
        class_id=[1, 2, 1],
        polygon=[[[1.5, 1.0, 9.0, 1.0, 9.0, 9.25]], None, None],
        box=[None, [3, 4, 10, 12], [0, 0, 60, 40]],
        score=[0.5, float("nan"), 1.0],
        iscrowd=[False, True, False],
        attributes=[attributes, None, {"group_id": 7}],
    )
    truth.folder = str(tmp_path)
    report = write(truth, tmp_path / "out")
    assert list(report.changed) == ["group_id left out, by which objects would become one"]
    back = read(tmp_path / "out")
    assert back.objects.polygons == truth.objects.polygons
    assert back.objects.boxes.tolist() == truth.objects.boxes.tolist()
    assert np.array_equal(back.objects.scores, truth.objects.scores, equal_nan=True)
    assert back.objects.iscrowd.tolist() == [False, True, False]
    assert json.loads(back.objects.attributes[0]) == attributes
    content = json.loads((tmp_path / "out/a.json").read_text())
    assert content["imagePath"] == "a.png" and (tmp_path / "out/a.png").exists()
    assert [one["shape_type"] for one in content["shapes"]] == ["polygon", "rectangle", "rectangle"]
    write(truth, tmp_path / "single.json")
    assert len(read(tmp_path / "single.json").objects) == 3


def test_nothing_is_written_where_writing_fails(tmp_path):
    truth = of_objects((0, 0), class_id=[1], rle=["a"], box=[[0, 0, 1, 1]], area=[1])
    with pytest.raises(DataError, match="size of the image"):
        write(truth, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    truth.images.add("b.png", 4, 4)
    with pytest.raises(DataError, match="a file for each image"):
        write(truth, tmp_path / "one.json")


def test_an_empty_mask_is_left_out_and_counted(tmp_path):
    empty = encode(np.zeros((1, 40, 60), dtype=bool))
    truth = of_objects(class_id=[1], rle=empty, box=[[0, 0, 0, 0]], area=[0])
    report = write(truth, tmp_path / "a.json")
    assert report.changed == {
        "object without a pixel, left out": [1, "a.png"],
        "class without objects, which the format cannot hold": [2, "leaf"],
    }
    assert len(read(tmp_path / "a.json").objects) == 0


GOOD = {
    "version": "5.5.0",
    "imagePath": "a.png",
    "imageData": None,
    "imageHeight": 40,
    "imageWidth": 60,
    "shapes": [
        shape([[1, 1], [9, 1], [9, 9]], group_id=1, score=0.5),
        shape([[1, 1], [9, 9]], "rectangle"),
        shape([[1, 1], [9, 9]], "circle"),
        shape([[1, 1], [9, 9]], "mask", mask="iVBORw0KGgo="),
    ],
}
JUNK = st.sampled_from(
    [None, True, -1, 10**12, 1e300, "x", "", "../../x", "\0", [], {}, [[1, 2]], [[1, 2, 3]], "NaN"]
)


@given(st.sampled_from(list(spots(GOOD))), JUNK, st.booleans())
@settings(max_examples=150, deadline=None)
def test_damaged_content_is_a_classed_error_or_read(tmp_path_factory, spot, junk, drop):
    content = spoiled(GOOD, spot, junk, drop)
    path = tmp_path_factory.mktemp("damaged") / "a.json"
    path.write_text(json.dumps(content))
    try:
        found = read(path)
        found.labels(0)
    except MaskrError as error:
        assert "a.json" in error.text or "a.png" in error.text or "size" in error.text


@given(st.integers(0, 700))
@settings(max_examples=40, deadline=None)
def test_truncated_files_are_a_classed_error(tmp_path_factory, length):
    text = json.dumps(GOOD)
    path = tmp_path_factory.mktemp("truncated") / "a.json"
    path.write_text(text[: min(length, len(text) - 1)])
    with pytest.raises(FormatError, match=r"a\.json"):
        read(path)


def test_polygons_that_are_none_are_counted(tmp_path):
    path = tmp_path / "a.json"
    save(tmp_path, [shape([[1, 1], [2, 2]]), shape([[1, 1], [1e9, 2], [3, 3]]), shape([])])
    report = Report()
    assert len(read(path, report).objects) == 0
    assert {why: n for why, (n, _) in report.skipped.items()} == {
        "polygon of fewer than three points": 2,
        "polygon far outside of its image": 1,
    }
    path.write_text(path.read_text().replace("1000000000.0", "NaN"))
    with pytest.raises(FormatError, match="not JSON"):
        read(path)


def test_a_mask_that_claims_to_be_huge_is_refused(tmp_path):
    buffer = io.BytesIO()
    Image.new("1", (30000, 10000)).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    path = save(tmp_path, [shape([[0, 0], [5, 5]], "mask", mask=text)])
    with pytest.raises(FormatError, match="too large"):
        read(path)


def test_read_masks_are_exact_after_decoding(tmp_path):
    mask = blobs(3)
    ys, xs = np.nonzero(mask)
    window = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    buffer = io.BytesIO()
    Image.fromarray(window).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    corners = [[int(xs.min()), int(ys.min())], [int(xs.max()), int(ys.max())]]
    height, width = map(int, mask.shape)
    one = shape(corners, "mask", mask=text)
    found = read(save(tmp_path, [one], imageHeight=height, imageWidth=width))
    assert (decode(found.objects.rles, mask.shape)[:, :, 0] == mask).all()
    assert found.objects.areas[0] == mask.sum()


@pytest.mark.parametrize("name", ["out", "out.json"])
def test_classes_that_names_alone_cannot_hold_are_counted_once(tmp_path, name):
    Image.new("L", (60, 40)).save(tmp_path / "a.png")
    truth = of_objects(class_id=[3, 3, 9], box=[[3, 4, 10, 12]] * 3)
    truth.folder = str(tmp_path)
    truth.classes = [Category(0, "background", isthing=False), Category(2, "ash")]
    truth.classes += [Category(3, "leaf"), Category(9, "stem")]
    assert write(truth, tmp_path / name).changed == {
        "class whose id the format cannot hold": [2, "leaf"],
        "class without objects, which the format cannot hold": [1, "ash"],
    }
    assert read(tmp_path / name).names() == {1: "leaf", 2: "stem"}
