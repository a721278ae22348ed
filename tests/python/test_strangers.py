"""Files and folders that are nearly right: read, or told what they are."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from held import read
from maskr import annotations as formats
from maskr.errors import FormatError
from PIL import Image


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack")


def test_a_folder_of_via_is_its_one_file(shared_data, tmp_path):
    folder = Path(shared_data("via/kudzu"))
    assert formats.detect(folder) == "via"
    found, _ = read(folder)
    assert (len(found.images), len(found.objects)) == (8, 85)
    for name in ("a.json", "b.json"):
        shutil.copy(folder / "via_region_data.json", tmp_path / name)
    with pytest.raises(FormatError, match=r"holds 2 \.json files of VIA, not one: a\.json, b"):
        read(tmp_path)
    with pytest.raises(FormatError, match="not one"):
        read(tmp_path, "via_csv")


XML = """<annotation><folder>x</folder><filename>other.jpg</filename><segmented>0</segmented>
<object><name>dog</name><bndbox><xmin>3</xmin><ymin>2</ymin><xmax>9</xmax><ymax>7</ymax></bndbox>
</object></annotation>"""


@pytest.mark.parametrize("folder", ["JPEGImages", "Annotations"])
def test_one_xml_file_of_pascal_voc(tmp_path, folder):
    for inner in ("Annotations", folder):
        (tmp_path / inner).mkdir(exist_ok=True)
    for name in ("a", "b"):
        Image.new("RGB", (30, 20)).save(tmp_path / folder / f"{name}.png")
        (tmp_path / "Annotations" / f"{name}.xml").write_text(XML)
    file = tmp_path / "Annotations" / "b.xml"
    assert formats.detect(file) == "voc"
    found, report = read(file)
    assert not report.skipped and found.images.files == ["b.png"]
    assert found.folder == str(tmp_path / folder) and found.size(0) == (20, 30)
    assert found.objects.boxes.tolist() == [[2, 1, 9, 7]]
    file.write_text("<annotation><object><polygon></polygon></object></annotation>")
    with pytest.raises(FormatError, match="LabelMe's older web tool"):
        formats.detect(file)


def truth(root: Path) -> Path:
    numbers = np.zeros((5, 7), np.uint16)
    numbers[1:3, 2:6] = 4
    for time in (0, 3):
        save(root / "01_GT" / "SEG" / f"man_seg{time:03d}.tif", numbers)
    return root


@pytest.mark.parametrize("inner", ["", "01_GT", "01_GT/SEG", "01_GT/SEG/man_seg003.tif"])
def test_truth_of_cells_is_read_by_any_of_its_places(tmp_path, inner):
    root = truth(tmp_path)
    place = root / inner
    assert formats.detect(place) == "ctc"
    with pytest.raises(FormatError, match=r"01_GT is the truth of a sequence .* not there: .*01 "):
        read(place)
    for time in (0, 3):
        save(root / "01" / f"t{time:03d}.tif", np.zeros((5, 7), np.uint8))
    times = ["t003.tif"] if inner.endswith("tif") else ["t000.tif", "t003.tif"]
    assert read(place)[0].images.files == times
    # the folder of the frames themselves, wherever it lies
    (root / "01").rename(tmp_path / "frames")
    assert read(place, images=str(tmp_path / "frames"))[0].images.files == times
    (tmp_path / "frames" / "t003.tif").unlink()
    with pytest.raises(FormatError, match=r"no frame t003\.tif"):
        read(place, images=str(tmp_path / "frames"))


def test_results_are_not_truth(shared_data):
    folder = Path(shared_data("tracking/HeLa_crop_A/01_RES"))
    for format in ("auto", "ctc"):
        with pytest.raises(FormatError, match="results of a program") as error:
            read(folder, format)
        assert "seg_metrics" in error.value.hint


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("roboflow", 'folder rbc is of the format "coco"'),
        ("ome_zarr/image-02.zarr", "OME-Zarr"),
        ("label_studio/real_export.json", "export of Label Studio"),
        ("label_studio", "holds an export of Label Studio"),
        ("supervisely/shapes", "Supervisely"),
        ("asap/asap-polygon.xml", "ASAP"),
        ("qupath/qupath-brush.json", "GeoJSON"),
        ("qupath", "holds a GeoJSON"),
        ("labelme_xml/Annotations/example_folder/img1.xml", "LabelMe's older"),
        ("coco/val2017", "images and nothing else"),
    ],
)
def test_what_is_not_read_is_named(shared_data, path, what):
    with pytest.raises(FormatError, match=what) as error:
        formats.detect(Path(shared_data(path)))
    assert "Name it" not in error.value.hint


def test_what_is_not_known_is_not_guessed(tmp_path):
    (tmp_path / "a.txt").write_text("nothing")
    with pytest.raises(FormatError, match=r"not known by its content\.$") as error:
        formats.detect(tmp_path)
    assert "Name it" in error.value.hint
