"""Scores of files: what belongs together, and that they are those of the families."""

import json
import sys

import cv2
import maskr.metrics as metrics
import numpy as np
import pytest
from maskr.errors import DataError, FormatError, ShapeError

TRUTH = np.array([[0, 0, 1, 1], [2, 2, 1, 1], [0, 2, 255, 1]], dtype=np.uint8)
PREDICTION = np.array([[0, 1, 1, 1], [2, 2, 2, 1], [0, 2, 1, 1]], dtype=np.uint8)


def overall(found):
    """The values of overall rows by name."""
    table = found["columns"]
    rows = zip(table["metric"], table["class"], table["value"], strict=True)
    return {name: value for name, class_id, value in rows if class_id < 0}


def save(path, mask):
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), mask)
    return path


def square(i, left, top, side, image=1, **more):
    corners = [left, top, left + side, top, left + side, top + side, left, top + side]
    return {
        "id": i, "image_id": image, "category_id": 3, "area": side * side, "iscrowd": 0,
        "bbox": [left, top, side, side], "segmentation": [corners], **more,
    }


def coco(path, annotations, images=((1, "a.png"), (2, "b.png")), name="cell", size=(30, 40)):
    content = {
        "images": [
            {"id": i, "file_name": file, "height": size[0], "width": size[1]} for i, file in images
        ],
        "categories": [{"id": 3, "name": name}],
        "annotations": annotations,
    }
    path.write_text(json.dumps(content))
    return path


def test_the_names_are_exported_and_imported_late():
    for name in metrics.__all__:
        assert getattr(metrics, name).__name__ == name or name == "score"
    assert set(metrics.__all__) <= set(dir(metrics))
    with pytest.raises(AttributeError, match="has no attribute Nothing"):
        metrics.Nothing  # noqa: B018
    assert callable(metrics.score) and "maskr.metrics.files" in sys.modules


def test_two_mask_files(tmp_path):
    files = save(tmp_path / "t.png", TRUTH), save(tmp_path / "p.png", PREDICTION)
    found = metrics.score(*files, families={"boundary": {"tolerance": 1}})
    counted = metrics.Accumulator([metrics.Semantic([0, 1, 2])])
    counted.update(np.where(TRUTH == 255, -1, TRUTH.astype(int)), PREDICTION)
    expected = counted.compute()
    assert overall(found)["pixel_accuracy"] == 9 / 11
    assert overall(found)["mean_iou"] == float(expected["mean_iou"].value)
    assert "boundary_f1" in found["columns"]["metric"]
    assert found["kind"] == "masks"
    assert found["classes"] == {0: "0", 1: "1", 2: "2"}


def test_folders_are_paired_by_the_names_of_files(tmp_path):
    for name, mask in (("x.a", TRUTH), ("x.b", PREDICTION)):
        save(tmp_path / "truth" / f"{name}.png", mask)
    save(tmp_path / "found" / "x.b.tif", PREDICTION)
    save(tmp_path / "found" / "x.a.png", PREDICTION)
    found = metrics.score(
        tmp_path / "truth", tmp_path / "found", options=metrics.Options(per_image=True)
    )
    assert found["files"] == ["x.a.png", "x.b.png"]
    assert overall(found)["pixel_accuracy"] == 1
    table = found["columns"]
    of_each = [
        value
        for name, image, value in zip(
            table["metric"], table["image"], table["value"], strict=True
        )
        if name == "pixel_accuracy" and image > 0
    ]
    assert of_each == [9 / 11, 1]
    save(tmp_path / "found" / "c.png", PREDICTION)
    with pytest.raises(DataError, match="one to one: c is on one side only"):
        metrics.score(tmp_path / "truth", tmp_path / "found")


def test_classes_that_masks_may_hold(tmp_path):
    files = save(tmp_path / "t.png", TRUTH), save(tmp_path / "p.png", PREDICTION)
    found = metrics.score(*files, class_ids=[0, 1, 2, 7])
    assert list(found["classes"]) == [0, 1, 2, 7]
    with pytest.raises(DataError, match="class id"):
        metrics.score(*files, class_ids=[0, 1])


def test_coco_files_are_paired_by_names_whatever_their_ids(tmp_path):
    truth = coco(tmp_path / "t.json", [square(1, 2, 3, 10), square(2, 20, 5, 8, image=2)])
    moved = [square(1, 2, 3, 10, image=9), square(2, 1, 1, 4, image=8)]
    found = coco(tmp_path / "p.json", moved, images=((9, "x/a.jpg"), (8, "x/b.jpg")))
    scores = metrics.score(truth, found)
    assert scores["kind"] == "objects"
    assert scores["classes"] == {3: "cell"}
    assert scores["files"] == ["a.png", "b.png"]
    assert overall(scores)["f1"] == 0.5
    assert overall(scores)["false"] == overall(scores)["missed"] == 1


def test_results_are_paired_by_ids(tmp_path):
    truth = coco(tmp_path / "t.json", [square(1, 2, 3, 10), square(2, 20, 5, 8, image=2)])
    rows = [
        {"image_id": 2, "category_id": 3, "bbox": [20, 5, 8, 8], "score": 0.9},
        {"image_id": 2, "category_id": 3, "bbox": [1, 1, 4, 4], "score": 0.3},
    ]
    results = tmp_path / "results.json"
    results.write_text(json.dumps(rows))
    scores = overall(metrics.score(truth, results, families={"coco": {"type": "box"}}))
    assert scores["ap50"] == pytest.approx(51 / 101)
    assert scores["ar100"] == 0.5
    rows[0]["image_id"] = 5
    results.write_text(json.dumps(rows))
    with pytest.raises(DataError, match="1 image that the truth lacks, such as 5"):
        metrics.score(truth, results)


def test_what_does_not_belong_together(tmp_path):
    truth = coco(tmp_path / "t.json", [square(1, 2, 3, 10)])
    other = coco(tmp_path / "p.json", [square(1, 2, 3, 10)], name="nerve")
    with pytest.raises(DataError, match="the class nerve, which the truth lacks"):
        metrics.score(truth, other)
    large = coco(tmp_path / "l.json", [square(1, 2, 3, 10)], size=(40, 30))
    with pytest.raises(ShapeError, match="size of a.png: 30 x 40 and 40 x 30"):
        metrics.score(truth, large)
    with pytest.raises(DataError, match="semantic gives no scores of files of objects"):
        metrics.score(truth, truth, families={"semantic": {}})
    with pytest.raises(FormatError, match="does not exist"):
        metrics.score(tmp_path / "none.png", tmp_path / "none.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="without mask files"):
        metrics.score(tmp_path / "empty", tmp_path / "empty")


def test_the_published_scores_of_coco(shared_data):
    truth = shared_data("coco_eval/instances_val2014_100.json")
    masks = shared_data("coco_eval/instances_val2014_fakesegm100_results.json")
    scores = overall(metrics.score(truth, masks))
    assert [round(scores[name], 3) for name in ("ap", "ap50", "ap75", "ar100")] == [
        0.320, 0.562, 0.299, 0.417,
    ]


def test_the_published_panoptic_quality(shared_data):
    truth = shared_data("panoptic/sample_data/panoptic_examples.json")
    found = metrics.score(truth, shared_data("panoptic/perturbed_pred/perturbed.json"))
    scores = overall(found)
    assert found["kind"] == "segments" and len(found["classes"]) == 8
    assert [round(100 * scores[name], 2) for name in ("pq", "sq", "rq", "pq_things")] == [
        54.40, 65.41, 71.04, 33.99,
    ]
    with pytest.raises(DataError, match="panoptic segments, and .* holds objects"):
        metrics.score(truth, shared_data("coco_eval/instances_val2014_100.json"))
