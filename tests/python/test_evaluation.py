"""Evaluation is prediction that is counted: equal to the last digit, whatever sizes there are."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr import builders, inference
from maskr.datasets.loader import DataSpec, Loader
from maskr.metrics import semantic

CLASSES = {"background": 0, "disc": 2, "square": 7}
NETWORKS = {
    "deeplab": {"encoder": "mobilenet_v2"},
    "fpn": {"encoder": "mobilenet_v2"},
    "lraspp": {},
    "segformer": {},
    "unet": {"init_features": 2},
}
SIZES = st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)), min_size=1, max_size=5)


@functools.cache
def model_of(name, classes=3):
    chosen = dict(list(CLASSES.items())[:classes])
    preprocess = {"per_image": "standardise"} if name == "lraspp" else None
    return builders.build(name, 3, chosen, NETWORKS[name], seed=1, preprocess=preprocess)


def scenes(sizes, model, seed=0):
    """Images of these sizes and masks of the model's classes, as the fields of a dataset."""
    rng = np.random.default_rng(seed)
    images = [rng.random((*size, 3)) for size in sizes]
    targets = [rng.choice(model.spec.class_ids, size).astype(np.int32) for size in sizes]
    return {"images": images, "targets": targets, "names": [str(i) for i in range(len(sizes))],
            "class_ids": model.spec.class_ids, "threads": 1}


def check_equal(model, data, images, targets, precision):
    """Evaluating must give what comparing the truth with predicted masks gives."""
    options = {"per_image": True}
    evaluated = inference.evaluate(model, data, precision, options=options)
    masks = inference.predict(model, images, precision=precision)["results"]
    compared = semantic.compare(targets, masks, model.spec.class_ids, options=options)
    np.testing.assert_array_equal(evaluated["confusions"], compared["confusions"])
    for name, column in evaluated["columns"].items():
        np.testing.assert_array_equal(column, compared["columns"][name])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(name=st.sampled_from(sorted(NETWORKS)), classes=st.sampled_from([2, 3]), sizes=SIZES,
       batch_size=st.integers(1, 4), precision=st.sampled_from(["float32", "bfloat16"]))
def test_scores_are_those_of_predicted_masks(name, classes, sizes, batch_size, precision):
    model = model_of(name, classes)
    data = scenes(sizes, model)
    images, targets = data["images"], data["targets"]
    check_equal(model, data | {"batch_size": batch_size}, images, targets, precision)


@pytest.mark.parametrize("how", ["pad", "crop", "stretch"])
def test_scores_of_a_resized_dataset_are_those_of_its_images_as_the_model_sees_them(how):
    model = model_of("unet")
    data = scenes([(40, 61), (33, 20), (48, 70)], model)
    resized = data | {"size": (37, 50), "resize": how}
    with Loader(DataSpec.from_r(resized), model.spec) as loader:
        seen = [loader.sample(i)[:2] for i in range(3)]
    ids = np.array([*model.spec.class_ids, np.iinfo(np.int32).min], dtype=np.int32)
    images = [np.moveaxis(image, 0, -1) for image, _ in seen]
    check_equal(model, resized, images, [ids[target] for _, target in seen], "float32")


def test_scores_of_an_image_do_not_depend_on_its_neighbours():
    model = model_of("lraspp")
    data = scenes([(24, 41), (60, 17), (24, 41), (9, 90)], model)
    options = {"per_image": True}
    whole = inference.evaluate(model, data, "float32", options=options)["confusions"]
    for i, together in enumerate(np.moveaxis(whole, -1, 0)):
        one = data | {name: data[name][i : i + 1] for name in ("images", "targets", "names")}
        alone = inference.evaluate(model, one, "float32", options=options)["confusions"]
        np.testing.assert_array_equal(alone[..., 0], together)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_size_of_batches_changes_no_class(name):
    model = model_of(name)
    images = scenes([(33, 47)] * 7, model)["images"]
    predict = functools.partial(inference.predict, model, images, precision="float32")
    logits = [np.sort(out, axis=2) for out in predict("logit")["results"]]
    masks = predict()["results"]
    for batch_size in (1, 3, 7):
        for one, other, out in zip(masks, predict(batch_size=batch_size)["results"], logits,
                                   strict=True):
            # where two classes are level but for rounding, either is right
            clear = out[..., -1] - out[..., -2] > 1e-5
            assert clear.mean() > 0.99
            np.testing.assert_array_equal(one[clear], other[clear])


def test_batches_in_training_are_padded_as_predictions_are():
    model = model_of("unet")
    data = scenes([(20, 30), (41, 17)], model)
    with Loader(DataSpec.from_r(data | {"batch_size": 2}), model.spec) as loader:
        x, y = loader[0]
    assert x.shape == (2, 3, 48, 32) and y.shape == (2, 48, 32)
    for batched, target, image in zip(x.numpy(), y.numpy(), data["images"], strict=True):
        height, width = image.shape[:2]
        expected = np.pad(
            np.moveaxis(image, -1, 0), ((0, 0), (0, 48 - height), (0, 32 - width)), mode="reflect"
        )
        np.testing.assert_array_equal(batched, expected.astype(np.float32))
        ignored = target == -1
        assert not ignored[:height, :width].any() and ignored.sum() == 48 * 32 - height * width
