"""CVAT for images: real files, facts of the format, round trips judged by COCO, damage."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr.annotations import ReadOptions, WriteOptions, cvat, detect, no_progress
from maskr.annotations.columns import Category, Images, ObjectTable
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError, FormatError, MaskrError
from maskr.instances import decode, encode
from PIL import Image
from scipy import ndimage

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'


def save(folder, shapes, name="a.png", labels="", size='width="60" height="40"'):
    path = folder / "annotations.xml"
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    image = f'<image id="0" name="{name}" {size}>{shapes}</image>'
    path.write_text(f"{HEAD}{meta}{image}</annotations>", encoding="utf-8")
    return path


def read(path, report=None, **options):
    return cvat.read(Path(path), ReadOptions(**options), report or Report())


def write(annotations, path):
    report = Report()
    cvat.write(annotations, Path(path), WriteOptions(), report, no_progress)
    return report


def annotations(size=(40, 60), **columns):
    images, table = Images(), ObjectTable()
    images.add("sub/a.png", *size, split="train")
    for row in zip(*columns.values(), strict=True):
        table.add(1, **dict(zip(columns, row, strict=True)))
    classes = [Category(1, "leaf", colour="#00FF80"), Category(2, 'stem "<&>"')]
    return Annotations("memory", "", images, table.finish(), classes, {"rasteriser": "coco"})


def masks(found, i=0):
    return found.instances(i)[0].masks()


def test_a_real_file_for_images(shared_data):
    root = Path(shared_data("formats/cvat_dataset/for_images"))
    assert detect(root) == "cvat" and detect(root / "train.xml") == "cvat"
    report = Report()
    found = read(root, report)
    assert found.images.files == ["img0.jpg", "img1.jpg"] and found.folder == str(root / "images")
    assert found.images.heights == [8, 10] and found.images.widths == [8, 10]
    # counted by hand: of seven shapes a box has a label and an area
    text = (root / "train.xml").read_text()
    assert len(re.findall(r"<(?:box|polygon|polyline|skeleton|mask|ellipse)\s", text)) == 5
    assert {why: n for why, (n, _) in report.skipped.items()} == {
        "shape of type polyline": 1,
        "shape of type skeleton": 2,
        "shape of type points": 1,
        "shape without a label": 1,
    }
    assert found.objects.boxes.tolist() == [[0, 2, 4, 4]]
    assert found.names() == {1: "label1", 2: "label2"}
    assert json.loads(found.objects.attributes[0]) == {
        "a1": "true",
        "a2": "v3",
        "a3": "0003",
        "a4": "2.4",
        "occluded": True,
        "z_order": 1,
    }
    assert masks(found).sum() == 8 and masks(found)[0, 2:4, :4].all()


def test_the_format_for_videos_is_an_error_that_says_what_to_export(shared_data):
    root = Path(shared_data("formats/cvat_dataset/for_video"))
    with pytest.raises(FormatError, match="CVAT for video") as caught:
        read(root / "annotations.xml")
    assert "CVAT for images 1.1" in caught.value.hint


def test_other_xml_is_not_taken_for_cvat(shared_data, tmp_path):
    assert not cvat.matches(Path(shared_data("formats/labelme_dataset")))
    assert not cvat.matches(Path(shared_data("formats/labelme_dataset/img1.xml")))
    path = tmp_path / "voc.xml"
    path.write_text("<annotation><object/></annotation>")
    assert not cvat.matches(path)
    with pytest.raises(FormatError, match="<annotation>, not <annotations>"):
        read(path)


def test_run_lengths_of_masks_go_row_by_row_through_their_window(tmp_path):
    # a window of 4 x 3 pixels at x = 10, y = 5
    mask = '<mask label="leaf" rle="1, 2, 3, 1, 2, 3" left="10" top="5" width="4" height="3"/>'
    found = read(save(tmp_path, mask))
    truth = np.zeros((40, 60), dtype=bool)
    truth[5:8, 10:14] = [[0, 1, 1, 0], [0, 0, 1, 0], [0, 1, 1, 1]]
    assert (masks(found)[0] == truth).all()
    assert found.objects.areas[0] == 6 and found.objects.boxes[0].tolist() == [11, 5, 14, 8]


def test_ellipses_and_turned_boxes_cover_what_they_should(tmp_path):
    shapes = """
    <ellipse label="leaf" cx="200" cy="150" rx="120.5" ry="60.25" rotation="30"/>
    <ellipse label="leaf" cx="50" cy="60" rx="20" ry="35"/>
    <box label="leaf" xtl="100" ytl="50" xbr="300" ybr="120" rotation="25"/>
    """
    got = masks(read(save(tmp_path, shapes, size='width="400" height="300"')))
    y, x = np.mgrid[:300, :400] + 0.5

    def local(cx, cy, degrees):
        a = math.radians(degrees)
        u, v = x - cx, y - cy
        return u * math.cos(a) + v * math.sin(a), v * math.cos(a) - u * math.sin(a)

    u, v = local(200, 150, 30)
    truths = [(u / 120.5) ** 2 + (v / 60.25) ** 2 <= 1]
    u, v = local(50, 60, 0)
    truths.append((u / 20) ** 2 + (v / 35) ** 2 <= 1)
    u, v = local(200, 85, 25)
    truths.append((abs(u) <= 100) & (abs(v) <= 35))
    for mask, truth in zip(got, truths, strict=True):
        assert (mask & truth).sum() / (mask | truth).sum() >= 0.99
    # clockwise as seen: the right end of the ellipse is lower than its left end
    rows = [np.flatnonzero(got[0][:, column]).mean() for column in (110, 290)]
    assert rows[0] < 150 < rows[1]


def test_order_groups_attributes_and_labels(tmp_path):
    labels = "".join(
        f"<label><name>{name}</name><color>{colour}</color><type>{kind}</type></label>"
        for name, colour, kind in (
            ("leaf", "#ff0080", "any"),
            ("stem", "red", "polygon"),
            ("knee", "#00ff00", "points"),
            ("background", "#000000", "any"),
        )
    )
    shapes = """
    <polygon label="leaf" points="1,1;9,1;9,9" z_order="2" group_id="4">
      <attribute name="score">0.25</attribute><attribute name="kind">oak</attribute></polygon>
    <polygon label="stem" points="1,1;9,1;9,9" z_order="-1" group_id="4" source="auto"/>
    <polygon label="leaf" points="20,1;29,1;29,9" z_order="2" group_id="4"/>
    <box label="leaf" xtl="30" ytl="1" xbr="20" ybr="9" group_id="4"/>
    """
    path = save(tmp_path, shapes, labels=labels)
    found = read(path)
    assert found.names() == {0: "background", 1: "leaf", 2: "stem"}
    assert [one.colour for one in found.classes] == ["#000000", "#FF0080", ""]
    assert found.objects.class_ids.tolist() == [2, 1, 1]
    assert found.objects.boxes[1].tolist() == [20, 1, 30, 9]
    assert json.loads(found.objects.polygons[2]) == [[1, 1, 9, 1, 9, 9], [20, 1, 29, 1, 29, 9]]
    assert found.objects.scores[2] == 0.25
    assert json.loads(found.objects.attributes[2]) == {"kind": "oak", "z_order": 2, "group_id": 4}
    ids = {"leaf": 3, "stem": 9, "background": 0}
    assert read(path, classes=ids).objects.class_ids.tolist() == [9, 3, 3]
    with pytest.raises(DataError, match='"stem"'):
        read(path, classes={"leaf": 3, "background": 0})


def test_images_may_be_in_subfolders_and_lack_a_size(tmp_path):
    (tmp_path / "images/sub").mkdir(parents=True)
    Image.new("L", (31, 17)).save(tmp_path / "images/sub/a.png")
    found = read(save(tmp_path, "", name="sub/a.png", size=""))
    assert found.folder == str(tmp_path / "images") and found.size(0) == (17, 31)
    found = read(save(tmp_path, "", name="a.png", size='subset="sub"'))
    assert found.images.files == ["sub/a.png"] and found.images.splits == ["sub"]
    assert found.size(0) == (17, 31)
    mask = '<mask label="leaf" rle="0, 1" left="0" top="0" width="1" height="1"/>'
    report = Report()
    found = read(save(tmp_path, mask, name="gone.png", size=""), report)
    assert list(report.skipped) == ["mask in an image of unknown size"]
    with pytest.raises(DataError, match="size of the image"):
        found.size(0)
    for name in ("../a.png", "/etc/passwd", "C:\\a.png"):
        with pytest.raises(FormatError, match="leads out"):
            read(save(tmp_path, "", name=name))


def test_two_files_in_a_folder_need_a_choice(tmp_path):
    text = save(tmp_path, "").read_text()
    (tmp_path / "b.xml").write_text(text)
    with pytest.raises(FormatError, match="2 XML files"):
        read(tmp_path)


coordinates = st.lists(st.floats(-10, 70, width=32), min_size=3, max_size=6)
polygons = st.lists(coordinates.map(lambda x: [v for one in x for v in (one, one / 3)]), min_size=1)


@given(st.lists(polygons, min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_polygons_come_back_as_they_were(tmp_path_factory, outlines):
    path = tmp_path_factory.mktemp("cvat") / "out.xml"
    truth = annotations(class_id=[1 + i % 2 for i in range(len(outlines))], polygon=outlines)
    assert not write(truth, path).changed
    assert detect(path) == "cvat"
    back = read(path)
    assert [json.loads(p) for p in back.objects.polygons] == outlines
    assert back.objects.class_ids.tolist() == truth.objects.class_ids.tolist()
    assert [(one.name, one.colour) for one in back.classes] == [
        (one.name, one.colour) for one in truth.classes
    ]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_masks_come_back_identical(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 40, 2))
    mask = ndimage.uniform_filter(rng.random(size), 3) > rng.uniform(0.2, 0.8)
    mask[tuple(rng.integers(0, size))] = True
    path = tmp_path_factory.mktemp("cvat") / "out.xml"
    rle = encode(mask[None])
    write(annotations(size, class_id=[1], rle=rle, box=[[0, 0, 1, 1]], area=[1]), path)
    back = read(path)
    assert back.objects.rles == rle
    assert (decode(back.objects.rles, size)[:, :, 0] == mask).all()


def test_everything_of_an_object_comes_back(tmp_path):
    attributes = {"kind": 'oak "<&>"\nold', "occluded": True, "z_order": -3, "source": "auto"}
    truth = annotations(
        class_id=[1, 2, 1],
        polygon=[[[1.5, 1.0, 9.0, 1.0, 9.0, 9.25]], None, None],
        box=[None, [3, 4, 10.5, 12], [0, 0, 60, 40]],
        score=[0.1, float("nan"), 1.0],
        iscrowd=[False, True, False],
        attributes=[attributes, {"group_id": 5}, {"group_id": 5}],
    )
    assert not write(truth, tmp_path / "a.xml").changed
    back = read(tmp_path / "a.xml")
    assert back.images == truth.images
    assert back.objects.polygons == truth.objects.polygons
    assert back.objects.boxes.tolist() == truth.objects.boxes.tolist()
    assert np.array_equal(back.objects.scores, truth.objects.scores, equal_nan=True)
    assert back.objects.iscrowd.tolist() == [False, True, False]
    assert [json.loads(one) for one in back.objects.attributes] == [
        attributes,
        {"group_id": 5},
        {"group_id": 5},
    ]
    assert back.classes == truth.classes


def test_nothing_is_written_where_writing_fails(tmp_path):
    truth = annotations(class_id=[1], box=[[3, 4, 10, 12]], attributes=[{"kind": "a\0b"}])
    with pytest.raises(DataError, match="XML cannot hold"):
        write(truth, tmp_path / "a.xml")
    assert list(tmp_path.iterdir()) == []


GOOD = f"""{HEAD}<meta><task><labels><label><name>leaf</name></label></labels></task></meta>
<image id="0" name="a.png" width="60" height="40">
<polygon label="leaf" points="1,2;3,4;6,5" z_order="1"><attribute name="a">b</attribute></polygon>
<box label="leaf" xtl="1" ytl="2" xbr="30" ybr="20" rotation="10"/>
<ellipse label="leaf" cx="10" cy="10" rx="5" ry="3" rotation="10"/>
<mask label="leaf" rle="1, 2, 3" left="10" top="5" width="3" height="2"/>
</image></annotations>"""
JUNK = [
    "",
    "x",
    "nan",
    "inf",
    "-1",
    "1e300",
    "1e12",
    "1,2;3",
    "1,2;3,4",
    "../../x",
    "&lt;",
    "9" * 30,
]
SPOTS = [match.span(1) for match in re.finditer(r'="([^"]*)"', GOOD)][2:]


@given(st.sampled_from(SPOTS), st.sampled_from(JUNK))
@settings(max_examples=150, deadline=None)
def test_damaged_values_are_a_classed_error_or_read(tmp_path_factory, spot, junk):
    path = tmp_path_factory.mktemp("damaged") / "a.xml"
    path.write_text(GOOD[: spot[0]] + junk + GOOD[spot[1] :])
    try:
        read(path).labels(0)
    except MaskrError as error:
        assert "a.xml" in error.text or "a.png" in error.text or "size" in error.text


@given(st.sampled_from([m.span() for m in re.finditer(r' [a-z_]+="[^"]*"|<[^>]*>', GOOD)]))
@settings(max_examples=60, deadline=None)
def test_missing_pieces_are_a_classed_error_or_read(tmp_path_factory, spot):
    path = tmp_path_factory.mktemp("missing") / "a.xml"
    path.write_text(GOOD[: spot[0]] + GOOD[spot[1] :])
    try:
        found = read(path)
        for i in range(len(found.images)):
            found.labels(i)
    except MaskrError as error:
        assert "a.xml" in error.text or "a.png" in error.text


@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=3))
@settings(max_examples=60, deadline=None)
def test_truncated_files_are_a_classed_error(tmp_path_factory, length, noise):
    path = tmp_path_factory.mktemp("truncated") / "a.xml"
    path.write_bytes(GOOD.encode()[:length] + noise)
    with pytest.raises(FormatError, match=r"a\.xml"):
        read(path)


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">',
        '<!ENTITY b SYSTEM "file:///etc/passwd">',
        '<!ENTITY % b SYSTEM "file:///etc/passwd"> %b;',
    ],
)
def test_entities_are_refused(tmp_path, declared):
    path = tmp_path / "a.xml"
    body = GOOD.replace('<?xml version="1.0" encoding="utf-8"?>', "").replace(">leaf<", ">&b;<")
    path.write_text(f'<?xml version="1.0"?><!DOCTYPE annotations [{declared}]>{body}')
    with pytest.raises(FormatError, match=r"a\.xml declares entities"):
        read(path)
    path.write_text(GOOD.replace("utf-8", "no-such-code"))
    with pytest.raises(FormatError, match=r"a\.xml"):
        read(path)


def test_masks_that_do_not_fit_are_refused(tmp_path):
    for rle, width, height in (("1, 5", 2, 2), ("1, -1", 2, 2), ("0, 9", 10**9, 10**9), ("", 2, 2)):
        mask = f'<mask label="a" rle="{rle}" left="0" top="0" width="{width}" height="{height}"/>'
        with pytest.raises(FormatError, match="shape 1"):
            read(save(tmp_path, mask))


def test_class_ids_that_a_file_cannot_hold_are_counted(tmp_path):
    truth = annotations(class_id=[3, 9], box=[[3, 4, 10, 12]] * 2)
    truth.classes = [Category(1, "ash"), Category(3, "leaf"), Category(9, "stem")]
    report = write(truth, tmp_path / "a.xml")
    assert report.changed == {"class whose id the format cannot hold": [2, "leaf"]}
    assert read(tmp_path / "a.xml").names() == {1: "ash", 2: "leaf", 3: "stem"}
