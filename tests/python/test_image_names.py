"""Images whose annotations name them by paths of another machine."""

import json
from pathlib import Path

import pytest
from held import read
from maskr.annotations.image_names import find_image, relative
from maskr.errors import FormatError
from PIL import Image

WINDOWS = "C:\\data\\set\\images\\{}.png"
ELSEWHERE = [WINDOWS, "\\\\server\\share\\images\\{}.png", "D:/x/images/{}.png",
             "/home/me/set/images/{}.png"]  # fmt: skip


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (60, 40)).save(path)
    return path


@pytest.fixture
def images(tmp_path) -> Path:
    for name in ("a", "b"):
        picture(tmp_path / "images" / f"{name}.png")
    return tmp_path / "images"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_absolute_path_is_known_by_its_end(images, name):
    name = name.format("a")
    assert find_image([name], images, "x") == "a.png"
    assert find_image([name], images.parent, "x") == "images/a.png"
    with pytest.raises(FormatError, match="leads out of the folder") as error:
        find_image([name.replace("a.png", "c.png")], images, "x")
    assert "C:" in error.value.text if name.startswith("C:") else True
    assert f"looked for in {images} as " in error.value.hint
    assert "c.png. Put the image there" in error.value.hint


def test_a_drive_is_never_joined_onto_the_folder(tmp_path):
    with pytest.raises(FormatError, match="leads out of the folder"):
        relative("C:\\data\\images\\a.png", tmp_path, "x")


def coco(folder: Path, names: list[str]) -> Path:
    content = {
        "images": [{"id": i, "file_name": n, "height": 40, "width": 60}
                   for i, n in enumerate(names, start=1)],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 15, 10],
                         "area": 150, "iscrowd": 0, "segmentation": [[5, 5, 20, 5, 20, 15]]}],
        "categories": [{"id": 1, "name": "cell"}],
    }  # fmt: skip
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_coco(images, name):
    names = [name.format(one) for one in "ab"]
    file = coco(images.parent, names)
    for found, _ in (read(file), read(file, images=str(images))):
        assert Path(found.folder) == images and found.images.files == ["a.png", "b.png"]
    with pytest.raises(FormatError, match=r'the image "a\.png" twice') as error:
        read(coco(images.parent, [names[0], "E:\\other\\a.png"]))
    assert f"two of them may lead to one file in {images}." in error.value.hint
    with pytest.raises(FormatError, match=r"images\[1\].*leads out"):
        read(coco(images.parent, [names[0], name.format("gone")]))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_via(images, name):
    shape = {"name": "rect", "x": 3, "y": 4, "width": 7, "height": 8}
    regions = [{"shape_attributes": shape, "region_attributes": {"class": "leaf"}}]
    entries = {one: {"filename": name.format(one), "size": 1, "regions": regions} for one in "ab"}
    (images.parent / "via.json").write_text(json.dumps(entries))
    assert read(images.parent / "via.json")[0].images.files == ["images/a.png", "images/b.png"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_labelme(images, name):
    points = [[1, 1], [9, 1], [9, 9]]
    content = {
        "imagePath": name.format("a"), "imageHeight": 40, "imageWidth": 60,
        "shapes": [{"label": "leaf", "points": points, "shape_type": "polygon"}],
    }  # fmt: skip
    (images.parent / "a.json").write_text(json.dumps(content))
    assert read(images.parent / "a.json")[0].images.files == ["images/a.png"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_cvat(images, name):
    text = "".join(f'<image name="{name.format(one)}" height="40" width="60"/>' for one in "ab")
    file = images.parent / "annotations.xml"
    file.write_text(f"<annotations><version>1.1</version><meta/>{text}</annotations>")
    found, _ = read(file)
    assert [Path(one).name for one in found.images.files] == ["a.png", "b.png"]
    assert found.image_path(1).is_file()


@pytest.mark.parametrize("tag", ["path", "filename"])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_voc(images, tag, name):
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
    (images / "other.xml").write_text(
        f"<annotation><{tag}>{name.format('a')}</{tag}><object><name>dog</name>{box}</object>"
        "</annotation>"
    )
    assert read(images, "voc")[0].images.files[0] == "a.png"


@pytest.mark.parametrize("root", ["C:\\data\\set", "/content/set", ""])
@pytest.mark.parametrize("listed", [False, True])
def test_yolo(tmp_path, root, listed):
    picture(tmp_path / "images" / "train" / "1.png")
    labels = tmp_path / "labels" / "train"
    labels.mkdir(parents=True)
    (labels / "1.txt").write_text("0 .5 .5 .5 .5\n")
    train = "C:\\data\\set\\images\\train" if root != "/content/set" else f"{root}/images/train"
    if listed:
        (tmp_path / "train.txt").write_text(train + ("\\" if "\\" in train else "/") + "1.png")
        train = "train.txt"
    text = f"path: {root}\n" if root else ""
    (tmp_path / "data.yaml").write_text(f"{text}train: {train}\nnames: [cell]\n")
    found, report = read(tmp_path)
    assert not report.skipped and found.images.files == ["images/train/1.png"]
    assert len(found.objects) == 1
