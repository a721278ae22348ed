"""Our augmentation in ultralytics' training."""

import importlib.util

import numpy as np
import pytest
from maskr import synthetic
from maskr.augment import Sample
from maskr.detectors import yolo
from maskr.errors import DataError
from maskr.instances import Instances

if importlib.util.find_spec("ultralytics") is None:
    pytest.skip("ultralytics is not installed", allow_module_level=True)

STEPS = [
    {"name": "flip_horizontal", "p": 1},
    {"name": "rotate", "p": 0.5, "degrees": [-20, 20]},
    {"name": "mosaic", "p": 0.5, "scale": [0.6, 1]},
    {"name": "copy_paste", "p": 1, "share": [0.5, 1], "scale": [1, 1]},
]


def shapes(n, size, augment=None):
    scenes = synthetic.generate("shapes", n, size, size, 1)
    found = [synthetic.instances(scene).to_r() for scene in scenes]
    return {
        "images": [scene.image / 255 for scene in scenes],
        "instances": [{"columns": columns, "size": [size, size]} for columns in found],
        "class_names": list(synthetic.CLASSES["shapes"]),
        "class_ids": list(synthetic.CLASSES["shapes"].values()),
        "augment": augment,
    }


def trained(augment, **settings):
    detector = yolo.create("yolov8n-seg.yaml", False, "", seed=3)
    given = {"epochs": 2, "size": 64, "batch_size": 4, "seed": 1} | settings
    return detector.fit(shapes(6, 64, augment), None, given)["columns"]["value"]


@pytest.fixture(scope="module")
def step():
    yolo.engine()
    from maskr.detectors import yolo_augment

    return yolo_augment


def test_a_sample_survives_being_written_as_ultralytics_labels(step, rng):
    masks = np.zeros((3, 40, 60), dtype=bool)
    masks[0, 3:20, 5:30] = True
    masks[1, 10:30, 20:50] = True
    masks[2, 33:38, 2:9] = masks[2, 33:38, 14:19] = True  # two parts
    image = rng.integers(0, 256, (3, 40, 60)).astype(np.float32) / 255
    before = Sample.of(image, np.zeros((40, 60), int), Instances.from_masks(masks, [2, 0, 1]))
    labels = step.labels_of(before)
    after = step.sample_of(labels)
    np.testing.assert_allclose(after.image, image, atol=1e-6)
    found = after.instances()
    assert found.class_ids.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(found.masks(), masks)
    np.testing.assert_array_equal(labels["instances"].bboxes[0], [5, 3, 30, 20])


def test_an_image_without_objects_has_empty_labels(step):
    empty = Instances.from_masks(np.zeros((0, 40, 60), bool), [])
    sample = Sample.of(np.zeros((3, 40, 60), np.float32), np.zeros((40, 60), int), empty)
    labels = step.labels_of(sample)
    assert labels["cls"].shape == (0, 1) and len(labels["instances"]) == 0
    assert len(step.sample_of(labels).instances()) == 0


def test_training_uses_our_steps_and_nothing_else(step, monkeypatch):
    datasets = []
    own = step.replace_augmentation

    def note(dataset, *rest):
        own(dataset, *rest)
        datasets.append(dataset)

    monkeypatch.setattr("maskr.detectors.yolo_engine.replace_augmentation", note)
    assert np.isfinite(trained(STEPS)).all()
    names = [type(one).__name__ for one in datasets[0].transforms.transforms]
    assert names == ["Step", "LetterBox", "Format"]
    assert datasets[0].transforms.transforms[0].calls == 12  # 6 images, 2 epochs


def test_the_networks_see_augmented_images_repeatably():
    first, again, plain = trained(STEPS), trained(STEPS), trained(STEPS[:1])
    np.testing.assert_array_equal(first, again)
    assert (first != plain).any()


def test_two_augmentations_at_once_are_refused():
    with pytest.raises(DataError, match="replaces ultralytics' fliplr, mosaic"):
        trained(STEPS, mosaic=0.5, fliplr=0.1)
