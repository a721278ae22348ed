"""Checking datasets: each kind of damage is found, named, and does not stop the rest."""

import numpy as np
import pytest
from maskr.arrays import NA_INTEGER
from maskr.datasets.check import check
from maskr.instances import Instances
from PIL import Image


def picture(seed, height=40, width=60):
    """A smooth random image, unlike those of other seeds."""
    small = np.random.default_rng(seed).random((5, 6, 3))
    large = Image.fromarray((small * 255).astype(np.uint8)).resize((width, height), Image.BILINEAR)
    return np.asarray(large) / 255


def mask(height=40, width=60):
    ids = np.zeros((height, width), dtype=np.int32)
    ids[5:20, 10:30] = 1
    return ids


def dataset(images, targets, class_ids=(0, 1), **options):
    names = [f"image {i}" for i in range(len(images))]
    return {"images": images, "targets": targets, "names": names,
            "class_ids": list(class_ids), "threads": 2} | options


def findings(*datasets, background=0, names=("train", "valid", "test")):
    result = check(list(names[: len(datasets)]), list(datasets), [background] * len(datasets))
    columns = result["findings"]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def kinds(found):
    return [(one["severity"], one["check"]) for one in found]


def test_good_data_give_no_findings_and_a_table_of_classes():
    images = [picture(i) for i in range(4)]
    assert findings(dataset(images[:3], [mask()] * 3), dataset(images[3:], [mask()])) == []
    table = check(["x"], [dataset(images, [mask()] * 4)], [0])["classes"][0]
    assert table["class"] == [0, 1]
    assert table["pixels"] == [4 * (2400 - 300), 4 * 300] and table["images"] == [4, 4]


def test_goes_on_after_files_that_cannot_be_read(tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray((picture(1) * 255).astype(np.uint8)).save(good)
    bad.write_bytes(good.read_bytes()[:300])
    truth = tmp_path / "truth.png"
    Image.fromarray(mask().astype(np.uint8)).save(truth)
    gone = str(tmp_path / "gone.png")
    images = [str(bad), str(good), gone, picture(2)]
    found = findings(dataset(images, [str(truth), str(bad), str(truth), str(truth)]))
    assert [(one["check"], one["file"]) for one in found] == [
        ("image", str(bad)), ("mask", str(good)), ("image", gone)]
    assert all(one["severity"] == "error" for one in found)
    assert "bad.png" in found[0]["message"] and str(tmp_path) not in found[0]["message"]


def test_sizes_that_differ_and_transposed_masks():
    images = [picture(1), picture(2)]
    found = findings(dataset(images, [mask()[:30], mask().T.copy()]))
    assert kinds(found) == [("error", "size")] * 2
    assert found[0]["message"] == "The image has size 40 x 60, and its mask 30 x 60."
    assert "transposed" in found[1]["message"]


def test_unknown_class_ids_name_their_pixels():
    wrong = mask()
    wrong[0, :4] = 9
    found = findings(dataset([picture(1)], [wrong]))
    assert kinds(found) == [("error", "class ids")] and "9 (4 pixels)" in found[0]["message"]


@pytest.mark.parametrize("class_ids,severity", [((0, 1), "error"), ((), "warning")])
def test_label_images_of_objects_are_told_from_masks(class_ids, severity):
    labels = np.zeros((40, 60), dtype=np.int32)
    for i in range(20):
        labels[2 * i, 5:50] = i + 1
    found = findings(dataset([picture(1)], [labels], class_ids))
    assert kinds(found) == [(severity, "object numbers")] and "up to 20" in found[0]["message"]


def test_masks_of_0_and_255(tmp_path):
    path = str(tmp_path / "mask.png")
    Image.fromarray((mask() * 255).astype(np.uint8)).save(path)
    found = findings(dataset([picture(1), picture(2)], [mask() * 255, path]))
    assert kinds(found) == [("error", "values"), ("error", "mask")]
    assert "mask / 255" in found[0]["message"] and "values = c(0, 255)" in found[1]["message"]
    assert findings(dataset([picture(2)], [path], values=[0, 255])) == []
    assert findings(dataset([picture(2)], [mask() * 255], (0, 255))) == []


def test_empty_and_ignored_masks():
    blank = np.zeros((40, 60), dtype=np.int32)
    nothing = np.full((40, 60), NA_INTEGER, dtype=np.int32)
    found = findings(dataset([picture(i) for i in range(3)], [blank, nothing, nothing]))
    assert kinds(found) == [("note", "empty"), ("warning", "ignored"), ("warning", "ignored"),
                            ("warning", "ignored")]
    assert found[-1]["file"] == "" and "67 %" in found[-1]["message"]
    assert findings(dataset([picture(1)], [blank]), background=None) == []


def test_channels_and_grey_images():
    images = [picture(i) for i in range(3)]
    grey = np.repeat(picture(5)[:, :, :1], 3, axis=2)
    found = findings(dataset([*images, images[0][:, :, :1], grey], [mask()] * 5))
    assert ("warning", "channels") in kinds(found) and ("note", "grey") in kinds(found)
    assert "1 channel, and most images have 3" in found[0]["message"]
    assert kinds(findings(dataset([grey], [mask()]))) == [("note", "grey")]


def test_colour_among_grey_images_is_an_error_and_grey_saved_in_colour_a_warning():
    images = [picture(i)[:, :, :1] for i in range(3)]
    grey = np.repeat(picture(5)[:, :, :1], 3, axis=2)
    found = findings(dataset([*images, grey, picture(6)], [mask()] * 5))
    found = [one for one in found if one["check"] == "channels"]
    assert [one["severity"] for one in found] == ["warning", "error"]


def test_odd_sizes():
    images = [picture(i) for i in range(3)] + [picture(4, 400, 600)]
    targets = [mask()] * 3 + [mask(400, 600)]
    found = findings(dataset(images, targets))
    assert kinds(found) == [("warning", "odd size"), ("note", "sizes")]
    assert "400 x 600 pixels, 100 times larger" in found[0]["message"]
    assert kinds(findings(dataset(images, targets, size=[64, 64]))) == [("warning", "odd size")]


def test_duplicates_within_and_leaks_across():
    a, b, c = picture(1), picture(2), picture(3)
    other = mask()
    other[0, 0] = 1
    found = findings(dataset([a, b, a, b], [mask(), mask(), mask(), other]),
                     dataset([c, a], [mask()] * 2))
    assert [(one["severity"], one["check"], one["split"], one["file"]) for one in found] == [
        ("warning", "duplicate", "train", "image 2"),
        ("error", "duplicate", "train", "image 3"),
        ("error", "leak", "valid", "image 1")]
    assert 'the same pixels as "image 0" of train' in found[2]["message"]
    assert "another mask" in found[1]["message"]


def test_scaled_compressed_and_brighter_copies_look_alike(tmp_path):
    original = (picture(1, 200, 300) * 255).astype(np.uint8)
    path = str(tmp_path / "copy.jpg")
    Image.fromarray(original).resize((240, 160), Image.BICUBIC).save(path, quality=60)
    brighter = original / 255 * 0.7 + 0.2
    found = findings(
        dataset([original / 255, brighter], [mask(200, 300)] * 2),
        dataset([path], [mask(160, 240)]),
    )
    assert kinds(found) == [("note", "alike"), ("warning", "alike")]
    assert found[0]["message"] == 'It looks like "image 0".'
    assert found[1]["message"].endswith(" of train.")


def test_classes_read_as_objects_have_many_parts():
    stripes = np.zeros((1, 40, 60), dtype=bool)
    stripes[0, ::3] = True
    objects = Instances.from_masks(stripes, [1])
    columns = {k: list(v) for k, v in objects.to_r().items()}
    found = findings(dataset([picture(1)], [{"columns": columns, "size": [40, 60]}]))
    assert kinds(found) == [("warning", "parts")] and "14 separate parts" in found[0]["message"]


def test_progress_counts_all_datasets():
    told = []
    data = [dataset([picture(1), picture(2)], [mask()] * 2), dataset([picture(3)], [mask()])]
    check(["a", "b"], data, [0, 0], lambda done, all: told.append((done, all)))
    assert told == [(1, 3), (2, 3), (3, 3)]
