"""COCO results, and polygons of masks."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr.annotations import coco
from maskr.instances import contours, joined
from maskr.errors import DataError, FormatError
from maskr.instances import Instances
from scipy import ndimage

CLASSES = {"person": 0, "bus": 5}


def found(scores=(0.123456789012345678, 0.5)) -> Instances:
    masks = np.zeros((2, 4, 6), dtype=bool)
    masks[0, 1:3, 2:5] = True
    masks[1, 0, 0] = True
    boxes = np.array([[2.25, 1, 5, 3], [0, 0, 1, 1]])
    return Instances.from_masks(masks, [5, 0], scores, boxes)


def entry(objects: Instances, classes=None) -> dict:
    return {"columns": objects.to_r(), "size": list(objects.size), "classes": classes or CLASSES}


def truth(path) -> str:
    content = {
        "images": [
            {"id": 17, "file_name": "street/bus.jpg"},
            {"id": 18, "file_name": "street/bus.png"},
            {"id": 10**12, "file_name": "far.jpg"},
        ],
        "annotations": [],
        "categories": [{"id": 1, "name": "person"}, {"id": 6, "name": "bus"}],
    }
    path.write_text(json.dumps(content))
    return str(path)


def test_classes_are_matched_by_name_and_numbers_kept_exactly(tmp_path):
    file = str(tmp_path / "results.json")
    ids = truth(tmp_path / "truth.json")
    assert coco.write_results(file, ["/elsewhere/bus.jpg"], [entry(found())], ids, ids) == 2
    first, second = json.loads((tmp_path / "results.json").read_text())
    assert (first["image_id"], first["category_id"]) == (17, 6)
    assert second["category_id"] == 1
    assert first["bbox"] == [2.25, 1, 2.75, 2]
    assert first["score"] == 0.123456789012345678
    assert first["segmentation"]["size"] == [4, 6]
    again = Instances.from_rles([first["segmentation"]["counts"]], (4, 6), [6])
    np.testing.assert_array_equal(again.masks(), found().masks([0]))
    assert [p.name for p in tmp_path.iterdir() if "results" in p.name] == ["results.json"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("street/bus.png", 18), ("bus.jpg", 17), ("far", 10**12), ("x/far.tif", 10**12)],
)
def test_images_are_found_by_name_file_or_stem(tmp_path, name, expected):
    ids = coco.by_any_name(coco.read_ids(truth(tmp_path / "truth.json"))[0])
    assert coco.image_id(name, ids) == expected


def test_a_stem_of_two_images_is_refused(tmp_path):
    ids = coco.by_any_name(coco.read_ids(truth(tmp_path / "truth.json"))[0])
    with pytest.raises(DataError, match="several ids"):
        coco.image_id("bus", ids)
    with pytest.raises(DataError, match="no id"):
        coco.image_id("tram.jpg", ids)


def test_without_a_truth_numbers_in_names_are_the_ids():
    assert coco.image_id("a/000000000139.jpg", None) == 139
    with pytest.raises(DataError) as error:
        coco.image_id("bus.jpg", None)
    assert error.value.argument == "images"


def test_without_categories_class_ids_are_written():
    rows = coco.results(found(), CLASSES, 1)
    assert [row["category_id"] for row in rows] == [5, 0]


def test_a_class_without_category_and_an_object_without_score_are_refused(tmp_path):
    file = str(tmp_path / "results.json")
    with pytest.raises(DataError, match="no category for bus"):
        coco.write_results(file, ["1.jpg"], [entry(found())], {"person": 1})
    with pytest.raises(DataError, match="score"):
        coco.write_results(file, ["1.jpg"], [entry(found(None))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"images": []}', '{"images": 1, "categories": []}'])
def test_what_is_no_truth_is_refused(tmp_path, text):
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(FormatError):
        coco.read_ids(str(tmp_path / "truth.json"))
    with pytest.raises(FormatError):
        coco.read_ids(str(tmp_path / "none.json"))


def rasterised(polygons: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    from faster_coco_eval.core import mask

    rles = mask.frPyObjects([p.ravel().tolist() for p in polygons], *size)
    return mask.decode(mask.merge(rles)).astype(bool)


def test_the_polygon_of_a_square_gives_the_square_again():
    square = np.zeros((20, 30), dtype=bool)
    square[3:12, 5:14] = True
    outline = contours(square)
    np.testing.assert_array_equal(rasterised(outline, square.shape), square)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.95), smooth=st.floats(0.5, 5))
def test_joined_polygons_cover_all_parts_and_leave_out_holes(seed, share, smooth):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((37, 52)), smooth)
    mask = field > np.quantile(field, share)
    np.testing.assert_array_equal(rasterised([joined(contours(mask))], mask.shape), mask)


def test_a_mask_without_pixels_has_no_polygon():
    assert contours(np.zeros((5, 7), dtype=bool)) == []
