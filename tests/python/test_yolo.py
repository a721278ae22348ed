"""YOLO: what is found, what is learned, what is refused, and what is left alone."""

import importlib.util
import json
import os
import pickle
import random
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

# importing ultralytics here would change the session, which is among what is tested
if importlib.util.find_spec("ultralytics") is None:
    pytest.skip("ultralytics is not installed", allow_module_level=True)

import torch
from maskr import annotations, detectors, synthetic
from maskr.annotations import yolo_training as folders
from maskr.annotations.columns import ObjectTable
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.detectors import yolo
from maskr.detectors.unchanged import Snapshot
from maskr.errors import DataError, FileError, FormatError, ShapeError, TrustError, WeightsError
from maskr.instances import Instances, encode_labels
from PIL import Image

CHECKPOINT, BUS = "yolo/yolov8n-seg.pt", "yolo/bus.jpg"


@pytest.fixture(scope="module")
def untrained():
    return yolo.create("yolov8n-seg.yaml", False, "unused", seed=1)


@pytest.fixture
def real(shared_data):
    return yolo.create(shared_data(CHECKPOINT), False, "unused")


def objects_of(scene) -> Instances:
    return Instances.from_rles(encode_labels(scene.labels), scene.labels.shape, scene.class_ids)


def shapes(n: int, size: int, seed: int) -> dict:
    """Generated scenes as R hands them over."""
    scenes = synthetic.generate("shapes", n, size, size, seed)
    objects = [objects_of(scene) for scene in scenes]
    return {
        "images": [scene.image / 255 for scene in scenes],
        "instances": [{"columns": o.to_r(), "size": list(o.size)} for o in objects],
        "class_names": list(synthetic.CLASSES["shapes"]),
        "class_ids": list(synthetic.CLASSES["shapes"].values()),
    }


def best_ious(detector, data: dict) -> np.ndarray:
    """For each object the best overlap with anything that was found."""
    best = []
    for found, one in zip(detector.predict(data["images"]), data["instances"], strict=True):
        masks = found.masks()
        for truth in Instances.from_r(one["columns"], one["size"]).masks():
            overlap = [(truth & mask).sum() / (truth | mask).sum() for mask in masks]
            best.append(max(overlap, default=0))
    return np.array(best)


# what is found -----------------------------------------------------------------------------------


def test_the_bus_and_three_persons_are_found_with_their_published_scores(real, shared_data):
    (found,) = real.predict([shared_data(BUS)], conf=0.5)
    assert found.class_ids.tolist() == [0, 0, 0, 5]
    np.testing.assert_allclose(found.scores, [0.89, 0.85, 0.84, 0.81], atol=0.005)
    assert found.size == (1080, 810)
    assert found.masks().shape == (4, 1080, 810)
    # the network's own numbers, not rounded
    assert all(float(score) == np.float32(score) for score in found.scores)
    assert [len(f"{score:.17g}") > 6 for score in found.scores] == [True] * 4
    for mask, box in zip(found.masks(), found.boxes, strict=True):
        rows, columns = np.nonzero(mask)
        assert box[0] - 1 <= columns.min() and columns.max() <= box[2] + 1
        assert box[1] - 1 <= rows.min() and rows.max() <= box[3] + 1
    assert sum(p.numel() for p in real.module.parameters()) == 3_409_968


def test_arrays_grey_and_alpha_give_what_the_file_gives(real, shared_data):
    path = shared_data(BUS)
    rgb = np.asarray(Image.open(path))
    opaque = np.concatenate([rgb, np.full_like(rgb[:, :, :1], 255)], axis=2)
    file, array, alpha, grey = real.predict(
        [path, rgb / 255, opaque / 255, np.asarray(Image.open(path).convert("L")) / 255], conf=0.5
    )
    assert array.rles == file.rles and alpha.rles == file.rles
    np.testing.assert_array_equal(array.scores, file.scores)
    assert (grey.class_ids == 0).sum() >= 2
    # colours in the wrong order give other scores
    (swapped,) = real.predict([rgb[:, :, ::-1] / 255], conf=0.5)
    assert not np.array_equal(swapped.scores[:1], file.scores[:1])


def test_a_result_does_not_depend_on_the_other_images(real, shared_data):
    path = shared_data(BUS)
    small = np.asarray(Image.open(path).resize((203, 117))) / 255
    together = real.predict([path, small], conf=0.3)
    for one, alone in zip(together, [path, small], strict=True):
        assert one.rles == real.predict([alone], conf=0.3)[0].rles
    assert together[1].size == (117, 203)


def test_classes_scores_and_numbers_can_be_limited(real, shared_data):
    path = shared_data(BUS)
    assert real.predict([path], classes=["bus"])[0].class_ids.tolist() == [5]
    assert set(real.predict([path], classes=[0])[0].class_ids.tolist()) == {0}
    assert len(real.predict([path], max_det=2)[0]) == 2
    assert real.predict([path], conf=0.88)[0].scores.min() >= 0.88
    with pytest.raises(DataError, match='no class "tram"'):
        real.predict([path], classes=["tram"])


def test_mask_average_precision_on_coco_is_the_published_one(real, shared_data, tmp_path):
    from faster_coco_eval import COCO, COCOeval_faster

    truth = shared_data("coco/annotations/instances_val2017.json")
    files = sorted(str(p) for p in Path(shared_data("coco/val2017")).iterdir())
    found = real.predict(files, conf=0.001, iou=0.7, max_det=100, size=[640, 640])
    known = annotations.read(truth, "coco", annotations.ReadOptions(), Report())
    images = dict(zip(known.images.files, known.images.ids, strict=True))
    names, classes = known.names(), {number: name for name, number in real.classes.items()}
    numbers = {name: number for number, name in names.items()}
    table = ObjectTable()
    for file, one in zip(files, found, strict=True):
        columns = (one.class_ids, one.rles, one.boxes, one.scores)
        for class_id, rle, box, score in zip(*columns, strict=True):
            class_id = numbers[classes[int(class_id)]]
            table.add(images[Path(file).name], class_id, rle=rle, box=box, score=score)
    whole = Annotations("memory", "", known.images, table.finish(), known.classes)
    results = str(tmp_path / "results.json")
    annotations.write(whole, results, "coco_results", annotations.WriteOptions(), Report())
    ground_truth = COCO(truth)
    evaluation = COCOeval_faster(ground_truth, ground_truth.loadRes(results), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(0.3119, abs=0.005)
    assert evaluation.stats[1] == pytest.approx(0.4893, abs=0.005)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.full((20, 30, 3), 200.0), DataError),
        (np.zeros((20, 30, 5)), ShapeError),
        (np.full((20, 30), np.inf), DataError),
    ],
)
def test_images_that_are_none_are_refused(untrained, image, error):
    with pytest.raises(error):
        untrained.predict([image])


def scores_of(detector):
    (found,) = detector.predict([np.random.default_rng(3).random((64, 96, 3))], conf=0, max_det=5)
    return found.scores


@pytest.mark.parametrize("change", [
    lambda conv: conv.bias.data.add_(1),
    lambda conv: conv.bias.detach().numpy().__iadd__(1),
    lambda conv: conv.register_forward_hook(lambda module, x, out: out + 1),
])
def test_detections_follow_every_change_of_the_network(change):
    detector = yolo.create("yolov8n-seg.yaml", False, "unused", seed=1)
    before = scores_of(detector)
    ready = detector._predictor
    np.testing.assert_array_equal(scores_of(detector), before)
    assert detector._predictor is ready
    change(detector.module.model[-1].cv3[2][-1])  # which gives the highest scores
    assert scores_of(detector).max() > 2 * before.max()


def test_a_snapshot_sees_attributes_and_replaced_layers():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    for change in (
        lambda: setattr(network[0], "stride", (2, 2)),
        lambda: setattr(network[1], "inplace", True),
        lambda: network.__setitem__(1, torch.nn.ReLU(inplace=True)),
        lambda: network[0].weight.detach().numpy().__imul__(-1),
    ):
        snapshot = Snapshot(network)
        assert snapshot.still_shows(network)
        change()
        assert not snapshot.still_shows(network)


def test_weights_that_are_not_finite_are_an_error_that_names_them():
    detector = yolo.create("yolov8n-seg.yaml", False, "unused", seed=1)
    image = np.random.default_rng(3).random((64, 96, 3))
    detector.predict([image])
    detector.module.model[2].cv1.conv.weight.data.fill_(float("nan"))
    with pytest.raises(DataError, match=r"^Image 1: The network returns .* \(in `model\.2\.cv1"):
        detector.predict([image, image])


def test_nothing_found_is_an_empty_result(untrained):
    (found,) = untrained.predict([np.zeros((17, 40, 3))], conf=0.9)
    assert len(found) == 0 and found.size == (17, 40) and found.boxes.shape == (0, 4)


# what is learned ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network trained for four epochs, its history and events, and what it left in its folder."""
    folder = tmp_path_factory.mktemp("work")
    before = os.getcwd()
    os.chdir(folder)
    try:
        detector = yolo.create("yolov8n-seg.yaml", False, "unused", seed=1)
        events: list[dict] = []
        settings = {"epochs": 4, "size": 64, "batch_size": 4, "seed": 1}
        result = detector.fit(shapes(8, 64, 1), None, settings, events.append)
    finally:
        os.chdir(before)
    return detector, result, events, list(folder.iterdir())


def test_training_gives_the_detector_the_classes_and_the_size_of_the_data(trained):
    detector, _, _, left = trained
    assert detector.classes == {"circle": 1, "rectangle": 2, "triangle": 3}
    assert detector.size == 64
    found = detector.predict(shapes(2, 64, 1001)["images"], conf=0.001)
    assert set(np.concatenate([one.class_ids for one in found]).tolist()) <= {1, 2, 3}
    assert left == []


def test_history_and_progress_tell_every_epoch(trained):
    _, result, events, _ = trained
    columns = result["columns"]
    assert columns["epoch"].tolist() == sorted(columns["epoch"].tolist())
    assert set(columns["epoch"].tolist()) == {1, 2, 3, 4}
    assert {"loss", "box_loss", "seg_loss", "cls_loss"} <= set(columns["metric"])
    assert set(columns["data"]) == {"train"}
    loss = columns["value"][np.array(columns["metric"]) == "loss"]
    assert loss[-1] < 0.8 * loss[0]
    assert (result["best_epoch"], result["interrupted"]) == (4, False)
    assert [event["event"] for event in events] == ["begin", *["batch", "batch", "epoch"] * 4]
    # before the first epoch none is done
    assert [event["epoch"] for event in events] == [0, *[n for n in (1, 2, 3, 4) for _ in range(3)]]
    last = events[-1]
    assert (last["epochs"], last["batch"], last["batches"]) == (4, 2, 2)


def test_a_saved_detector_comes_back_as_it_was(trained, tmp_path):
    detector = trained[0]
    path = str(tmp_path / "shapes.safetensors")
    detectors.save(detector, path)
    again = detectors.load(path)
    assert again.describe() == detector.describe()
    images = shapes(3, 64, 1001)["images"]
    one_by_one = (d.predict(images, conf=0.001) for d in (detector, again))
    for one, other in zip(*one_by_one, strict=True):
        assert len(one) > 0
        assert one.rles == other.rles
        np.testing.assert_array_equal(one.scores, other.scores)
    assert [p.name for p in tmp_path.iterdir()] == ["shapes.safetensors"]


def test_a_published_network_survives_saving(real, shared_data, tmp_path):
    path = str(tmp_path / "coco.safetensors")
    detectors.save(real, path)
    again = yolo.create(path, False, "unused")
    assert again.classes == real.classes and list(again.classes)[:2] == ["person", "bicycle"]
    one, other = (d.predict([shared_data(BUS)], conf=0.5)[0] for d in (real, again))
    assert one.rles == other.rles


def test_a_published_network_learns_other_classes_and_keeps_the_best_epoch(real, tmp_path):
    settings = {"epochs": 8, "size": 96, "batch_size": 4, "seed": 3}
    data, valid = shapes(16, 96, 1), shapes(4, 96, 6)
    result = real.fit(data, valid, settings)
    assert best_ious(real, shapes(12, 96, 1001)).mean() >= 0.5
    columns = result["columns"]
    assert set(columns["data"]) == {"train", "valid"}
    assert {"mask_ap", "mask_ap50", "box_ap", "seg_loss"} <= {
        m for m, d in zip(columns["metric"], columns["data"], strict=True) if d == "valid"
    }
    assert 1 <= result["best_epoch"] <= 8
    path = str(tmp_path / "tuned.safetensors")
    detectors.save(real, path)
    again = detectors.load(path)
    assert again.classes == {"circle": 1, "rectangle": 2, "triangle": 3}
    one, other = (d.predict(data["images"], conf=0.01) for d in (real, again))
    assert [o.rles for o in one] == [o.rles for o in other]


def test_an_interrupt_keeps_the_best_so_far(tmp_path):
    detector = yolo.create("yolov8n-seg.yaml", False, "unused")
    settings = {"epochs": 5, "size": 32, "batch_size": 4, "seed": 1}

    def interrupt(at_epoch):
        def report(event):
            if event["event"] == "batch" and event["epoch"] == at_epoch:
                raise KeyboardInterrupt

        return report

    before = {k: v.clone() for k, v in detector.state().items()}
    result = detector.fit(shapes(4, 64, 1), None, settings, interrupt(1))
    assert (result["interrupted"], result["best_epoch"]) == (True, 0)
    assert len(detector.classes) == 80
    assert all(torch.equal(before[k], v) for k, v in detector.state().items())

    result = detector.fit(shapes(4, 64, 1), None, settings, interrupt(3))
    assert (result["interrupted"], result["best_epoch"]) == (True, 2)
    assert len(detector.classes) == 3
    assert len(detector.predict([np.zeros((40, 50, 3))])) == 1


def test_equal_seeds_train_equal_networks():
    settings = {"epochs": 1, "size": 32, "batch_size": 4, "seed": 7}
    states = []
    for _ in range(2):
        detector = yolo.create("yolov8n-seg.yaml", False, "unused", seed=2)
        detector.fit(shapes(4, 64, 1), None, settings)
        states.append(detector.state())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_data_that_cannot_be_learned_from_are_refused(untrained):
    settings = {"epochs": 1, "size": 32, "batch_size": 2, "seed": 1}
    empty = shapes(2, 64, 1)
    for one in empty["instances"]:
        one["columns"] = {key: value[:0] for key, value in one["columns"].items()}
    with pytest.raises(DataError, match="no object"):
        untrained.fit(empty, None, settings)
    other = shapes(2, 64, 1)
    other["class_ids"] = [0, 1, 2, 9]
    other["instances"][0]["columns"]["class"] = np.full_like(
        other["instances"][0]["columns"]["class"], 7
    )
    with pytest.raises(DataError, match="7, which `classes` lacks"):
        untrained.fit(other, None, settings)
    wrong = shapes(2, 64, 1)
    wrong["images"][1] = wrong["images"][1][:32]
    with pytest.raises(ShapeError, match="32 x 64"):
        untrained.fit(wrong, None, settings)


# YOLO's own folders ------------------------------------------------------------------------------


def description(folder: Path, **more) -> str:
    """A small YOLO folder with its data.yaml."""
    data = shapes(4, 64, 1)
    split = folders.write_split(
        str(folder),
        "train",
        yolo.pairs(data, 3),
        {1: 0, 2: 1, 3: 2},
    )
    assert Path(split) == folder / "images" / "train"
    content = {"path": ".", "train": "images/train", "names": ["circle", "rectangle", "triangle"]}
    (folder / "data.yaml").write_text(json.dumps({**content, **more}))
    return str(folder / "data.yaml")


def test_a_description_trains_and_its_folder_stays_as_it_was(tmp_path):
    marker = tmp_path / "ran"
    path = description(tmp_path, download=f"open({str(marker)!r}, 'w')", val="images/train")
    files = sorted(tmp_path.rglob("*"))
    detector = yolo.create("yolov8n-seg.yaml", False, "unused")
    result = detector.fit(
        {"path": path}, None, {"epochs": 1, "size": 32, "batch_size": 4, "seed": 1}
    )
    assert detector.classes == {"circle": 0, "rectangle": 1, "triangle": 2}
    assert set(result["columns"]["data"]) == {"train", "valid"}
    assert sorted(tmp_path.rglob("*")) == files


def test_label_files_hold_the_objects(tmp_path):
    description(tmp_path)
    objects = objects_of(synthetic.generate("shapes", 1, 64, 64, 1)[0])
    lines = (tmp_path / "labels" / "train" / "000000.txt").read_text().splitlines()
    assert [int(line.split()[0]) + 1 for line in lines] == objects.class_ids.tolist()
    points = np.array(lines[0].split()[1:], dtype=float).reshape(-1, 2) * 64
    box = objects.boxes[0]
    np.testing.assert_allclose(points.min(axis=0), box[:2], atol=1e-4)
    np.testing.assert_allclose(points.max(axis=0), box[2:] - 0.5, atol=1e-4)


@pytest.mark.parametrize("kind", ["segmentation", "detection", "detection_with_list_of_imgs"])
def test_descriptions_of_others_are_read(shared_data, kind):
    path = shared_data(f"formats/yolo_dataset/yolov8_{kind}/data.yaml")
    content = folders.read_description(path)
    assert content["names"] == [f"label_{i}" for i in range(10)]
    assert [p.name for p in content["train"]] == ["1.jpg"]
    label = folders.label_path(content["train"][0])
    assert label.parts[-3:] == ("labels", "train", "1.txt")
    if kind == "segmentation":
        folders.check_label_file(label, 10)
    else:
        with pytest.raises(FormatError, match="not a polygon"):
            folders.check_label_file(label, 10)


@pytest.mark.parametrize(
    "text",
    ["", "names: [a]", "train: x", "names: {1: a}\ntrain: x", "names: [a]\ntrain: no", "a: ["],
)
def test_what_is_no_description_is_refused(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(FormatError):
        folders.read_description(str(tmp_path / "data.yaml"))


# what is refused ---------------------------------------------------------------------------------


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_checkpoint_with_code_is_refused_and_does_not_run(tmp_path):
    marker, path = tmp_path / "ran", str(tmp_path / "evil.pt")
    torch.save({"model": Malicious(f"touch {marker}")}, path)
    with pytest.raises(TrustError, match="system") as error:
        yolo.create(path, False, "unused")
    assert "trust = TRUE" in error.value.hint
    assert not marker.exists()
    # trust opens it; what is in it is no model
    with pytest.raises(WeightsError):
        yolo.create(path, True, "unused")
    assert marker.exists()


def test_code_in_an_old_style_pickle_is_refused(tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(Malicious(f"touch {marker}")))
    with pytest.raises((TrustError, WeightsError)):
        yolo.create(str(path), False, "unused")
    assert not marker.exists()


def test_a_description_in_a_saved_file_cannot_run_code(untrained, tmp_path):
    marker, path = tmp_path / "ran", str(tmp_path / "evil.safetensors")
    config = json.loads(json.dumps(untrained.config()))
    config["architecture"]["activation"] = f"__import__('os').system('touch {marker}')"
    with pytest.raises(FormatError):
        yolo.restore(config, untrained.state())
    assert not marker.exists()
    assert not Path(path).exists()


def test_files_that_are_no_detector_are_refused(shared_data, tmp_path):
    from safetensors.torch import save_file

    for wrong in (shared_data(BUS), shared_data("sam/mobile_sam.pt"), "none.yaml"):
        with pytest.raises(WeightsError) as error:
            yolo.create(wrong, False, str(tmp_path))
        assert error.value.argument == "weights"
    for gone in ("no/such.pt", "no/such.yaml"):
        with pytest.raises(FileError, match="There is no file") as error:
            yolo.create(gone, False, str(tmp_path))
        assert error.value.argument == "weights"
    with pytest.raises(WeightsError, match="detect"):
        yolo.create("yolov8n.yaml", False, "unused")
    plain = str(tmp_path / "plain.safetensors")
    save_file({"x": torch.zeros(1)}, plain)
    with pytest.raises(FormatError, match="weights only"):
        detectors.load(plain)
    with pytest.raises(FormatError):
        detectors.load(shared_data(BUS))
    truncated = tmp_path / "short.pt"
    truncated.write_bytes(Path(shared_data(CHECKPOINT)).read_bytes()[:100_000])
    with pytest.raises(WeightsError):
        yolo.create(str(truncated), False, "unused")


def test_a_missing_file_does_not_blame_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(yolo.weights, "_fetch", lambda *a: pytest.fail("reached"))
    with pytest.raises(FileError, match=r"There is no file nope\.pt") as error:
        yolo.create("nope.pt", False, str(tmp_path))
    assert "yolov8n-seg.pt" in error.value.hint
    with pytest.raises(FileError, match="There is no file yolo8n-seg.pt") as error:
        yolo.create("yolo8n-seg.pt", False, str(tmp_path))
    assert '"yolov8n-seg.pt"' in error.value.hint
    # one's own file in a folder of weights has any name
    (tmp_path / "mine.pt").write_bytes(b"hello")
    with pytest.raises(WeightsError, match="mine.pt is damaged"):
        yolo.create("mine.pt", False, str(tmp_path))


def checkpoint_of(path, *classes, zipped=True):
    """Writes a checkpoint whose network is of classes by these names, as "models.yolo.Model"."""
    made, modules = [], {}
    for name in classes:
        module, _, cls = name.rpartition(".")
        for part in (module.partition(".")[0], module):
            modules.setdefault(part, ModuleType(part))
        kind = type(cls, (torch.nn.Module,), {"__module__": module})
        setattr(modules[module], cls, kind)
        made.append(kind())
    sys.modules.update(modules)
    try:
        content = {"model": torch.nn.Sequential(*made), "epoch": -1}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the classes have no source
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
    finally:
        for part in modules:
            del sys.modules[part]
    return str(path)


@pytest.mark.parametrize(
    ("classes", "family"),
    [
        (["models.yolo.DetectionModel", "models.common.Conv", "models.common.C3"], "YOLOv5"),
        (["models.yolo.Model", "models.common.Conv", "models.common.SPPCSPC"], "YOLOv7"),
        (["models.yolo.DetectionModel", "models.common.RepNCSPELAN4"], "YOLOv9"),
        (["yolov6.models.yolo.Model"], "YOLOv6"),
    ],
)
@pytest.mark.parametrize("trust", [True, False])
def test_checkpoints_of_other_families_are_named(tmp_path, classes, family, trust):
    for zipped in (True, False):
        path = checkpoint_of(tmp_path / "best.pt", *classes, zipped=zipped)
        with pytest.raises(WeightsError, match=f"is a {family} checkpoint") as error:
            yolo.create(path, trust, "unused")
        assert "seg_yolo(" in error.value.hint


def test_other_files_are_named(shared_data, tmp_path):
    files = {
        shared_data("sam/mobile_sam.pt"): "holds no Ultralytics model",
        shared_data("bioimageio/unet2d_nuclei_broad/weights.pt"): "is a TorchScript file",
        shared_data("bioimageio/unet2d_nuclei_broad/weights.onnx"): "is an ONNX file",
        shared_data(BUS): "is damaged or of no kind that maskr knows",
    }
    for path, match in files.items():
        with pytest.raises(WeightsError, match=match):
            yolo.create(path, False, str(tmp_path))


def test_weights_are_found_by_name_and_verified(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("MASKR_WEIGHTS", os.path.dirname(shared_data(CHECKPOINT)))
    assert yolo.create("yolov8n-seg.pt", False, str(tmp_path)).name == "yolov8n-seg"
    (tmp_path / "yolov8n-seg.pt").write_bytes(b"something else")
    monkeypatch.setenv("MASKR_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError):
        yolo.create("yolov8n-seg.pt", False, str(tmp_path / "cache"))


# what is left alone ------------------------------------------------------------------------------


def test_the_session_is_left_as_it_was(tmp_path):
    """Importing, predicting and training change nothing and print nothing, in a fresh process."""
    code = """
    import os, random, sys
    import cv2, numpy as np, PIL.Image, torch

    def state():
        return (
            dict(os.environ), np.get_printoptions(), dict(vars(torch._tensor_str.PRINT_OPTS)),
            cv2.getNumThreads(), torch.get_num_threads(), torch.save, PIL.Image.open,
            torch.are_deterministic_algorithms_enabled(), torch.get_rng_state().tolist(),
            random.getstate(), np.random.get_state()[1].tolist(), os.getcwd(), os.listdir("."),
        )

    np.set_printoptions(precision=3)
    cv2.setNumThreads(2)
    before = state()
    from maskr.detectors import yolo
    import test_yolo as here

    assert "ultralytics" not in sys.modules
    detector = yolo.create("yolov8n-seg.yaml", False, "unused")
    detector.predict([np.zeros((40, 50, 3))])
    data = here.shapes(4, 64, 1)
    detector.fit(data, None, {"epochs": 1, "size": 32, "batch_size": 4, "seed": 1})
    for one, other in zip(before, state(), strict=True):
        assert one == other, (one, other)
    from ultralytics.utils import SETTINGS
    from ultralytics.utils.events import events
    assert "maskr-ultralytics" in str(SETTINGS.file_path)
    assert not events.enabled
    """
    environment = {
        **{k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"},
        "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)]),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_is_printed(untrained, capfd):
    untrained.predict([np.random.default_rng(1).random((30, 50, 3))], conf=0.0001)
    assert capfd.readouterr() == ("", "")


def test_random_numbers_go_on_as_if_nothing_had_happened(untrained):
    random.seed(1)
    torch.manual_seed(1)
    expected = random.random(), torch.rand(1).item()
    random.seed(1)
    torch.manual_seed(1)
    yolo.create("yolov8n-seg.yaml", False, "unused", seed=5)
    assert (random.random(), torch.rand(1).item()) == expected


def test_names_that_come_twice_stay_apart():
    assert yolo.distinct({0: "cup", 1: "cup", 2: "cat"}) == {"cup": 0, "cup (1)": 1, "cat": 2}


def test_saving_to_a_folder_that_is_not_there_leaves_nothing(untrained, tmp_path):
    with pytest.raises(FormatError, match="does not exist"):
        detectors.save(untrained, str(tmp_path / "no" / "x.safetensors"))
    assert list(tmp_path.iterdir()) == []
