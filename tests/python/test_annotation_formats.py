"""What every annotation format has, and what is refused for all of them."""

import pytest
from maskr import annotations
from maskr.annotations import ReadOptions, WriteOptions
from maskr.annotations.columns import Images, no_objects
from maskr.annotations.formats import MODULES, module_of
from maskr.annotations.image_names import relative
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.documents import read_json, read_text
from maskr.errors import FormatError

ONLY_READ = {"s3dis2d", "sunrgbd"}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_the_functions_of_a_format(name, tmp_path):
    module = module_of(name)
    assert callable(module.read)
    assert callable(getattr(module, "write", None)) == (name not in ONLY_READ)
    other = tmp_path / "notes.txt"
    other.write_text("nothing of any format")
    assert not module.matches(other)
    assert not module.matches(tmp_path)


@pytest.mark.parametrize("name", sorted(ONLY_READ))
def test_data_sets_that_are_only_read_refuse_to_be_written(name, tmp_path):
    empty = Annotations("coco", "", Images(), no_objects(), [])
    with pytest.raises(FormatError, match="is only read"):
        annotations.write(empty, str(tmp_path / "x"), name, WriteOptions(), Report())
    assert not (tmp_path / "x").exists()


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FormatError, match="does not exist"):
        annotations.read(str(tmp_path / "x"), "auto", ReadOptions(), Report())


@pytest.mark.parametrize("name", ["a.png", "b/a 1.png", "-a/ä.png", "a..b.png", "b//a.png", "./a"])
def test_names_that_stay_in_their_folder(name, tmp_path):
    full = tmp_path / relative(name, tmp_path, "record 1")
    assert full.resolve() == (tmp_path / name).resolve()


@pytest.mark.parametrize("name", ["../a.png", "b/../../a.png", "/a.png", "..\\a.png", "", "."])
def test_names_that_lead_out_of_their_folder(name, tmp_path):
    with pytest.raises(FormatError, match="record 1 leads out of the folder"):
        relative(name, tmp_path, "record 1")


def test_texts_that_cannot_be_read_are_named(tmp_path):
    path = tmp_path / "a.json"
    for read in (read_text, read_json):
        with pytest.raises(FormatError, match="a.json cannot be read"):
            read(path)
    path.write_bytes(b'{"a": \xff}')
    with pytest.raises(FormatError, match="a.json is not text in UTF-8"):
        read_text(path)
    path.write_text('{"a": NaN}')
    with pytest.raises(FormatError, match="a.json is not JSON") as caught:
        read_json(path)
    assert "null" in caught.value.hint
    with pytest.raises(FormatError, match="larger than 5 bytes"):
        read_text(path, largest=5)
