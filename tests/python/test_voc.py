"""Pascal VOC: masks and boxes, read, written and refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from damage import mutilated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from maskr import annotations as formats
from maskr.annotations import ReadOptions, WriteOptions, voc
from maskr.annotations.colours import default_colour, triple
from maskr.annotations.columns import Category, Images, ObjectTable
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError, MaskrError
from maskr.instances import Instances
from PIL import Image

SIZE = (24, 36)
CLASSES = [Category(0, "background", isthing=False), Category(3, "cell"), Category(7, "dirt")]
OBJECT = (
    "<object><name>{name}</name><difficult>1</difficult><bndbox><xmin>{xmin}</xmin>"
    "<ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
)


def read(path, **options) -> tuple[Annotations, Report]:
    report = Report()
    return formats.read(str(path), "voc", ReadOptions(**options), report), report


def write(annotations, path, copy_images=True) -> Report:
    report = Report()
    formats.write(annotations, str(path), "voc", WriteOptions(copy_images), report)
    return report


def counts(reasons: dict) -> dict:
    return {reason: n for reason, (n, _) in reasons.items()}


def picture(path: Path, size=SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)


def index_png(pixels: np.ndarray, path: Path) -> None:
    """An index PNG in VOC's palette."""
    image = Image.fromarray(pixels.astype(np.uint8))
    image.putpalette(bytes(v for i in range(256) for v in triple(default_colour(i))))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def colour_png(pixels: np.ndarray, path: Path) -> None:
    """The same, as colours."""
    table = np.array([triple(default_colour(i)) for i in range(256)], np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(table[pixels]).save(path)


def masked(root: Path, classes: np.ndarray, objects: np.ndarray | None = None, save=index_png):
    """A data set of one image and its masks."""
    picture(root / "JPEGImages/one.jpg", classes.shape)
    save(classes, root / "SegmentationClass/one.png")
    if objects is not None:
        save(objects, root / "SegmentationObject/one.png")
    return root


def boxed(root: Path, *objects: str, head: str = "", size: str = "") -> Path:
    """A data set of one image and its XML file."""
    picture(root / "JPEGImages/one.jpg")
    (root / "Annotations").mkdir(parents=True)
    xml = f"{head}<annotation><filename>one.jpg</filename>{size}{''.join(objects)}</annotation>"
    (root / "Annotations/one.xml").write_text(xml)
    return root


def an_object(name="cat", xmin=1, ymin=2, xmax=3, ymax=4) -> str:
    return OBJECT.format(name=name, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)


# what is read ------------------------------------------------------------------------------------


def test_labelme_s_conversion_gives_its_own_arrays(shared_data):
    root = Path(shared_data("labelme/instance_segmentation/data_dataset_voc"))
    assert formats.detect(root) == "voc"
    found, report = read(root)
    names = (root / "class_names.txt").read_text().split("\n")
    assert [one.name for one in found.classes] == ["background", *names[1:]]
    assert [one.id for one in found.classes] == list(range(21))
    assert len(found.images) == len(list((root / "JPEGImages").iterdir())) == 3
    for i, file in enumerate(found.images.files):
        classes = np.load(root / "SegmentationClassNpy" / f"{Path(file).stem}.npy")
        objects = np.load(root / "SegmentationObjectNpy" / f"{Path(file).stem}.npy")
        labels = found.labels(i)
        assert found.size(i) == classes.shape
        assert (labels.classes == classes).all()
        assert (labels.objects == np.where(classes > 0, objects, 0)).all()
        assert len(found.instances(i)[0]) == len(set(labels.objects.ravel().tolist()) - {0})
    assert (report.skipped, report.changed) == ({}, {})


def test_masks_coded_by_colours(shared_data):
    root = Path(shared_data("formats/voc_dataset/voc_dataset1"))
    found, report = read(root)
    assert found.images.files == ["JPEGImages/2007_000001.jpg", "JPEGImages/2007_000002.jpg"]
    assert found.images.splits == ["train", "test"]
    assert [bool(file) for file in found.images.mask_files] == [True, False]
    labels = found.labels(0)
    # the whole picture is one bicycle: green of value 128, and an object in red of value 128
    assert labels.classes.shape == (10, 20)
    assert (labels.classes == 2).all() and (labels.objects == 1).all()
    assert found.names()[2] == "bicycle"
    assert len(found.instances(1)[0]) == 0
    assert report.skipped == {}


def test_boxes_of_a_data_set_of_masks(shared_data, tmp_path):
    root = Path(shared_data("formats/voc_dataset/voc_dataset1"))
    found, report = read(root / "Annotations")
    assert found.images.files == ["JPEGImages/2007_000001.jpg", "JPEGImages/2007_000002.jpg"]
    assert [found.names()[i] for i in found.objects.class_ids] == ["cat", "person"]
    assert found.objects.boxes.tolist() == [[0, 1, 3, 4], [3, 4, 6, 7]]
    assert '"pose":"Unspecified"' in found.objects.attributes[0]
    assert '"actions":{"other":"1"' in found.objects.attributes[1]
    assert "head" not in found.objects.attributes[1]
    assert found.objects.image_ids.tolist() == [1, 1]
    for folder in ("Annotations", "JPEGImages"):
        shutil.copytree(root / folder, tmp_path / folder, dirs_exist_ok=True)
    found, report = read(tmp_path)
    assert counts(report.skipped) == {"image without an XML file": 1}


@pytest.mark.parametrize("number", [2, 3])
def test_real_boxes_are_read_whole(shared_data, number):
    root = Path(shared_data(f"formats/voc_dataset/voc_dataset{number}"))
    assert formats.detect(root) == "voc"
    found, report = read(root)
    texts = {file.stem: file.read_text() for file in (root / "Annotations").glob("*.xml")}
    assert {Path(file).stem for file in found.images.files} == set(texts)
    assert len(found.objects) == sum(text.count("<object>") for text in texts.values())
    assert set(found.images.splits) == {"trainval" if number == 2 else "train"}
    assert set(found.images.heights) == {0 if number == 2 else 10}
    names = [found.names()[i] for i in found.objects.class_ids]
    assert names == (["background", "aeroplane", "bicycle", "bird"] if number == 2 else ["cat"])
    assert [one.name for one in found.classes] == list(voc.NAMES)
    assert report.skipped == {}
    assert found.objects.boxes[0].tolist() == ([0, 1, 4, 6] if number == 2 else [0, 1, 3, 4])


def test_indices_and_colours_give_the_same(tmp_path):
    classes = np.zeros(SIZE, np.int32)
    classes[2:9, 3:20], classes[12:20, 5:9], classes[0] = 15, 8, 255
    objects = np.zeros(SIZE, np.int32)
    objects[2:9, 3:12], objects[2:9, 12:20], objects[12:20, 5:9], objects[0] = 1, 2, 3, 255
    for save in (index_png, colour_png):
        root = masked(tmp_path / save.__name__, classes, objects, save)
        labels = read(root)[0].labels(0)
        assert (labels.classes == np.where(classes == 255, IGNORE, classes)).all()
        assert (labels.objects == np.where(objects == 255, 0, objects)).all()


def test_void_beside_the_background_alone_is_no_binary_mask(tmp_path):
    classes = np.zeros(SIZE, np.uint8)
    classes[:5] = 255
    found, _ = read(masked(tmp_path, classes))
    assert set(np.unique(found.labels(0).classes).tolist()) == {0, IGNORE}
    assert found.labels(0).objects is None


def test_object_colours_that_are_not_voc_s_are_numbered(tmp_path):
    classes = np.full(SIZE, 3, np.uint8)
    root = masked(tmp_path, classes)
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:4], pixels[10:20, 5:] = (1, 2, 3), (250, 9, 9)
    (root / "SegmentationObject").mkdir()
    Image.fromarray(pixels).save(root / "SegmentationObject/one.png")
    objects = read(root)[0].labels(0).objects
    assert (
        objects == np.where(pixels[..., 0] == 1, 1, np.where(pixels[..., 0] == 250, 2, 0))
    ).all()


def test_a_labelmap_names_and_colours_classes(tmp_path):
    classes = np.zeros(SIZE, np.uint8)
    classes[3:9] = 2
    root = masked(tmp_path, classes)
    Image.fromarray(np.where(classes[..., None] == 2, (9, 8, 7), (0, 0, 0)).astype(np.uint8)).save(
        root / "SegmentationClass/one.png"
    )
    (root / "labelmap.txt").write_text("# x\nbackground:0,0,0::\ncat:1,2,3::\ncow:9,8,7::\n")
    found, _ = read(root)
    assert found.names() == {0: "background", 1: "cat", 2: "cow"}
    assert (found.labels(0).classes == classes).all()
    with pytest.raises(DataError, match="#090807"):
        read(root, colours={"cat": "#010203", "background": "#000000"})[0].labels(0)


def test_a_labelmap_in_voc_s_colours_tells_ids(shared_data, tmp_path):
    text = Path(shared_data("formats/voc_dataset/voc_dataset2/labelmap.txt")).read_text()
    root = masked(tmp_path, np.zeros(SIZE, np.uint8))
    (root / "labelmap.txt").write_text(text.replace("aeroplane:128,0,0::\n", ""))
    found, _ = read(root)
    assert found.names() == {i: name for i, name in enumerate(voc.NAMES) if name != "aeroplane"}


def test_classes_that_are_not_voc_s_must_be_told(tmp_path):
    root = boxed(masked(tmp_path, np.full(SIZE, 2, np.uint8)), an_object("dragon"))
    with pytest.raises(DataError, match="dragon"):
        read(root)
    found, _ = read(root, classes={"background": 0, "dragon": 2})
    assert (found.labels(0).classes == 2).all()
    with pytest.raises(DataError, match="not known: 2"):
        read(root, classes={"background": 0, "dragon": 3})[0].labels(0)
    assert [one.name for one in read(root / "Annotations")[0].classes] == ["dragon"]


def test_images_of_boxes_alone_are_left_out_among_masks(tmp_path):
    root = boxed(masked(tmp_path, np.full(SIZE, 2, np.uint8)), an_object())
    (root / "Annotations/one.xml").rename(root / "Annotations/two.xml")
    found, report = read(root)
    assert found.images.files == ["JPEGImages/one.jpg"]
    assert counts(report.changed) == {"image of boxes without a mask, left out among masks": 1}


@pytest.mark.parametrize("place", ["", "VOCdevkit", "VOCdevkit/VOC2012", "VOC2012"])
def test_where_the_folder_is_found(tmp_path, place):
    masked(tmp_path / place, np.full(SIZE, 2, np.uint8))
    found, _ = read(tmp_path)
    assert voc.matches(tmp_path)
    assert found.folder == str(tmp_path / place)


def test_two_years_are_ambiguous(tmp_path):
    for year in (2007, 2012):
        masked(tmp_path / f"VOC{year}", np.full(SIZE, 2, np.uint8))
    with pytest.raises(FormatError, match="VOC2007, VOC2012"):
        read(tmp_path)


def test_xml_files_beside_their_images(tmp_path):
    picture(tmp_path / "one.png")
    (tmp_path / "one.xml").write_text(
        f"<annotation>{an_object('zebra')}{an_object('ant')}</annotation>"
    )
    assert voc.matches(tmp_path)
    found, _ = read(tmp_path)
    assert (found.images.files, found.size(0)) == (["one.png"], SIZE)
    assert found.names() == {1: "ant", 2: "zebra"}
    assert found.objects.class_ids.tolist() == [2, 1]
    found, _ = read(tmp_path, classes={"background": 0, "zebra": 9, "ant": 4})
    assert found.objects.class_ids.tolist() == [9, 4]
    with pytest.raises(DataError, match="ant"):
        read(tmp_path, classes={"zebra": 9})
    (tmp_path / "labelmap.txt").write_text("zebra:1,1,1::\n")
    with pytest.raises(DataError, match="ant"):
        read(tmp_path)


def test_lists_give_splits(tmp_path):
    root = tmp_path
    for name in ("a", "b", "c"):
        picture(root / f"JPEGImages/{name}.jpg")
        index_png(np.full(SIZE, 2, np.uint8), root / f"SegmentationClass/{name}.png")
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "trainval.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text('# comment\n"b"\n\n')
    (lists / "minival.txt").write_text("c.jpg\ngone\n")
    (lists / "cow_val.txt").write_text("a -1\n")
    found, report = read(root)
    assert found.images.splits == ["trainval", "val", "minival"]
    assert counts(report.skipped) == {"listed image that is not there": 1}
    (lists / "val.txt").write_text("b\n../../etc/passwd\n")
    with pytest.raises(FormatError, match="line 2 of .*val.txt leads out of"):
        read(root)


def test_boxes_that_are_none_are_counted(tmp_path):
    objects = [an_object(xmin=5, xmax=3), an_object(xmin="nan"), an_object(ymax=1e9), an_object()]
    found, report = read(boxed(tmp_path, *objects))
    assert len(found.objects) == 1
    assert counts(report.skipped) == {
        "box without extent": 1,
        "box far outside of its image, or not finite": 2,
    }


def test_sizes_come_from_the_xml_file_or_the_image(tmp_path):
    size = "<size><width>{}</width><height>{}</height></size>"
    told, _ = read(boxed(tmp_path / "a", an_object(), size=size.format(70, 50)))
    assert told.size(0) == (50, 70)
    untold, _ = read(boxed(tmp_path / "b", an_object(), size=size.format(0, "x")))
    assert untold.size(0) == SIZE


# what is written ---------------------------------------------------------------------------------


@st.composite
def label_images(draw):
    """Class ids with void, and object numbers inside of classes."""
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    most = draw(st.sampled_from([3, 254, 700]))
    objects = rng.integers(0, most + 1, (height, width)) * rng.integers(0, 2, (height, width))
    classes = rng.choice([3, 7], most + 1)[objects]
    classes = np.where(objects > 0, classes, rng.choice([0, IGNORE], (height, width)))
    return classes.astype(np.int32), objects.astype(np.int32)


class Memory:
    """A format whose label images are in memory."""

    images: dict = {}

    @classmethod
    def labels(cls, annotations, i):
        from maskr.annotations.table import Labels

        return Labels(*cls.images[annotations.images.mask_files[i]])


@pytest.fixture
def in_memory(monkeypatch):
    """Annotations whose masks are arrays."""
    import sys

    monkeypatch.setitem(formats.formats.MODULES, "arrays", "arrays_of_tests")
    monkeypatch.setitem(sys.modules, "maskr.annotations.arrays_of_tests", Memory)

    def make(classes: np.ndarray, objects: np.ndarray | None) -> Annotations:
        Memory.images = {"one": (classes, objects)}
        images = Images()
        images.add("one.png", *classes.shape, mask_file="one", split="val")
        return Annotations("arrays", "", images, ObjectTable().finish(), list(CLASSES))

    return make


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(label_images())
def test_masks_survive_pixel_for_pixel(tmp_path_factory, in_memory, pair):
    classes, objects = pair
    root = tmp_path_factory.mktemp("voc")
    write(in_memory(classes, objects), root / "out")
    found, report = read(root / "out")
    assert found.images.splits == ["val"]
    assert found.names() == {one.id: one.name for one in CLASSES}
    labels = found.labels(0)
    assert (labels.classes == classes).all()
    assert (labels.objects == objects).all()
    assert report.skipped == {}


def test_masks_of_classes_alone_have_no_objects(tmp_path, in_memory):
    classes = np.array([[0, 3, 7], [IGNORE, 3, 0]], np.int32)
    write(in_memory(classes, None), tmp_path / "out")
    found, _ = read(tmp_path / "out")
    assert (found.labels(0).classes == classes).all()
    assert found.labels(0).objects is None
    with Image.open(tmp_path / "out/SegmentationClass/one.png") as image:
        assert image.mode == "P"
        assert image.getpixel((0, 1)) == 255
        palette = image.getpalette()
    assert palette[9:12] == [128, 128, 0] and palette[-3:] == [224, 224, 192]


def test_polygons_boxes_and_what_is_lost(tmp_path):
    table = ObjectTable()
    table.add(1, 3, polygon=[[2, 2, 12, 2, 12, 12, 2, 12]], attributes={"pose": "Left", "n": [1]})
    table.add(1, 7, polygon=[[6, 2, 16, 2, 16, 12, 6, 12]], score=0.5)
    table.add(1, 3, box=(30, 20, 40, 30), attributes={"difficult": 1})
    picture(tmp_path / "one.png")
    images = Images()
    images.add("one.png", *SIZE)
    one = Annotations("coco", str(tmp_path), images, table.finish(), CLASSES)
    report = write(one, tmp_path / "out")
    assert counts(report.changed) == {
        "object partly or wholly under another one": 1,
        "box drawn as a rectangle": 1,
        "box cut off at the edge of its image": 1,
    }
    found, _ = read(tmp_path / "out")
    assert found.image_path(0).is_file()
    assert found.images.splits == ["train"]
    labels = found.labels(0)
    assert (labels.classes == one.labels(0).classes).all()
    assert (labels.objects == one.labels(0).objects).all()
    boxes, _ = read(tmp_path / "out/Annotations")
    assert boxes.objects.boxes.tolist() == [[2, 2, 12, 12], [6, 2, 16, 12], [30, 20, 36, 24]]
    assert boxes.objects.scores[1] == 0.5
    assert boxes.objects.attributes[0] == '{"pose":"Left","n":"[1]"}'
    assert boxes.objects.attributes[2] == '{"difficult":1}'


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.floats(0, 15), st.floats(0, 15), st.floats(0.01, 8), st.floats(0.01, 8)),
        min_size=1,
        max_size=5,
    )
)
def test_boxes_survive_and_get_no_masks(tmp_path_factory, corners):
    root = tmp_path_factory.mktemp("voc")
    picture(root / "one.png")
    images, table = Images(), ObjectTable()
    images.add("one.png", *SIZE)
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in corners])
    for box in boxes.tolist():
        table.add(1, 0, box=box)
    one = Annotations("yolo", str(root), images, table.finish(), [Category(0, "cell")])
    report = write(one, root / "out")
    assert counts(report.changed) == {"class id left out, since XML files hold names alone": 1}
    assert not (root / "out/SegmentationClass").exists()
    found, report = read(root / "out")
    np.testing.assert_allclose(found.objects.boxes, boxes, atol=1e-7)
    assert report.skipped == {}


def test_what_does_not_fit_is_refused_and_leaves_no_folder(tmp_path, in_memory):
    classes = np.array([[0, 3]], np.int32)
    for bad in (Category(0, "sky"), Category(255, "x"), Category(300, "x"), Category(4, "a:b")):
        one = in_memory(classes, None)
        one.classes = [bad, Category(3, "cell")]
        with pytest.raises(DataError):
            write(one, tmp_path / "out")
    one = in_memory(classes, None)
    one.images.splits = ["../x"]
    with pytest.raises(DataError, match="list of images"):
        write(one, tmp_path / "out")
    one = in_memory(np.array([[0, 5]], np.int32), None)
    with pytest.raises(DataError, match="not known: 5"):
        write(one, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_voc_s_own_masks_survive(shared_data, tmp_path):
    root = shared_data("labelme/instance_segmentation/data_dataset_voc")
    before, _ = read(root)
    report = write(before, tmp_path / "out")
    assert report.changed == {}
    after, _ = read(tmp_path / "out")
    assert after.names() == before.names()
    for i in range(3):
        assert (after.labels(i).classes == before.labels(i).classes).all()
        assert (after.labels(i).objects == before.labels(i).objects).all()
        size = after.images.heights[i], after.images.widths[i]
        with Image.open(after.image_path(i)) as image:
            assert image.size == size[::-1]
    boxes, _ = read(tmp_path / "out/Annotations")
    truth = [before.instances(i)[0].boxes for i in range(3)]
    np.testing.assert_allclose(boxes.objects.boxes, np.concatenate(truth))


# damage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "objects", "message"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]>', "", "entities"),
        (
            '<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;">]>',
            "<object><name>&c;</name></object>",
            "entities",
        ),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "&a;", "entities"),
        ("", "<object>", "not XML"),
        ("", "<object><name>cat</name></object>", "object 1 of .* no box"),
        ("", an_object(xmin="x"), "object 1 of .* no box"),
        ("", an_object() + an_object(name=" "), "object 2 of .* no name"),
        ('<?xml version="1.0" encoding="nonsense"?>', "", "not XML"),
        ("<x/>", "", "not XML"),
    ],
)
def test_damaged_xml_is_a_classed_error(tmp_path, head, objects, message):
    with pytest.raises(FormatError, match=message) as error:
        read(boxed(tmp_path, objects, head=head))
    assert "one.xml" in error.value.text


def test_other_files_are_refused(tmp_path):
    root = boxed(tmp_path / "a")
    (root / "Annotations/one.xml").write_text("<annotations/>")
    with pytest.raises(FormatError, match="not a file of Pascal VOC"):
        read(root)
    (tmp_path / "b").mkdir()
    with pytest.raises(FormatError, match="not a folder of Pascal VOC"):
        read(tmp_path / "b")
    assert not voc.matches(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/x.xml").write_text(
        f"<annotation><filename>../../secret.png</filename>{an_object()}</annotation>"
    )
    with pytest.raises(FormatError, match="leads out of"):
        read(tmp_path / "c")


def test_masks_of_other_sizes_are_refused_or_counted(tmp_path):
    root = masked(tmp_path, np.full(SIZE, 2, np.uint8), np.ones((3, 4), np.uint8))
    with pytest.raises(FormatError, match="3 x 4"):
        read(root)[0].labels(0)
    picture(root / "JPEGImages/one.jpg", (9, 9))
    index_png(np.full(SIZE, 2, np.uint8), root / "SegmentationClass/two.png")
    found, report = read(root)
    assert found.images.files == ["JPEGImages/two.jpg"]
    assert counts(report.skipped) == {"image and mask of different sizes": 1}


WORDS = [b"nan", b"-1", b"1e999", b"../", b"\0", b"<", b"&a;", b"</object>", b"\xff", b"9" * 400]


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1))
def test_mutilated_files_give_results_or_classed_errors(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    classes = np.zeros(SIZE, np.uint8)
    classes[3:20, 5:30] = rng.choice([1, 2])
    save = index_png if rng.integers(0, 2) else colour_png
    root = tmp_path_factory.mktemp("voc")
    masked(root, classes, classes, save)
    boxed(root, an_object(), an_object("dog"), size="<size><width>36</width></size>")
    (root / "labelmap.txt").write_text("background:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\n")
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("one\n")
    files = sorted(file for file in root.rglob("*") if file.is_file())
    place = files[rng.integers(0, len(files))]
    place.write_bytes(mutilated(place.read_bytes(), rng, WORDS))
    for path in (root, root / "Annotations"):
        try:
            found, _ = read(path)
            for i in range(len(found.images)):
                if 0 < max(found.images.heights[i], found.images.widths[i]) < 1000:
                    found.labels(i)
        except MaskrError:
            pass


def test_instances_of_masks_are_told_apart(tmp_path):
    classes, objects = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    classes[2:8, 3:9], objects[2:8, 3:6], objects[2:8, 6:9] = 8, 4, 2
    found, ids = read(masked(tmp_path, classes, objects))[0].instances(0)
    assert isinstance(found, Instances)
    assert (ids.tolist(), found.class_ids.tolist()) == ([2, 4], [8, 8])
    assert found.boxes.tolist() == [[6, 2, 9, 8], [3, 2, 6, 8]]
