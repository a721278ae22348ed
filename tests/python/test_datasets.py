"""The loader: order, sizes, classes, and how targets follow images."""

import numpy as np
import pytest
import torch
from maskr.annotations.columns import Category, Images, ObjectTable
from maskr.annotations.table import Annotations
from maskr.arrays import IGNORE, NA_INTEGER
from maskr.datasets.loader import DataSpec, Loader
from maskr.datasets.resize import resize
from maskr.datasets.samples import class_indices, class_lookup, target_objects
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances
from maskr.preprocess import Preprocess
from maskr.spec import Spec
from PIL import Image

CLASSES = {"background": 0, "road": 3, "car": 7}


def loader(images, targets, spec=None, **options):
    spec = spec or Spec("unet", {}, 1, CLASSES, multiple=4)
    names = [f"image {i}" for i in range(len(images))]
    settings = {"class_ids": spec.class_ids, "threads": 1, "shuffle": False} | options
    return Loader(DataSpec(images, targets, names, **settings), spec)


def sample(height=5, width=7, value=0.25):
    ids = np.zeros((height, width), dtype=np.int32)
    ids[0, 1], ids[2, 3], ids[4, 6] = 3, 7, NA_INTEGER
    return np.full((height, width), value), ids


def test_a_mask_of_0_and_255_says_how_to_mend_it():
    with pytest.raises(DataError, match="holds the class id 255") as caught:
        class_indices(np.array([[0, 255, 255]]), class_lookup([0, 1]), "x")
    assert "divide by it (x / 255)" in caught.value.hint
    with pytest.raises(DataError) as caught:
        class_indices(np.array([[0, 255, 7]]), class_lookup([0, 1]), "x")
    assert "Name every class" in caught.value.hint


def test_class_ids_become_channel_indices_and_missing_is_ignored():
    image, ids = sample()
    x, y = loader([image], [ids])[0]
    assert x.shape == (1, 1, 8, 8) and y.shape == (1, 8, 8)
    assert y[0, 0, 1] == 1 and y[0, 2, 3] == 2 and y[0, 4, 6] == IGNORE
    assert (y[0, 5:] == IGNORE).all() and (y[0, :, 7:] == IGNORE).all()
    assert (x == 0.25).all()  # padding reflects the image


def test_the_datasets_own_ids_are_matched_to_the_models_classes():
    image, ids = sample()
    ids[ids == 7] = 40
    _, y = loader([image], [ids], class_ids=[0, 3, 40])[0]
    assert y[0, 2, 3] == 2


def test_images_of_different_size_share_a_batch():
    a, b = sample(5, 7), sample(9, 8)
    x, y = loader([a[0], b[0]], [a[1], b[1]])[0]
    assert x.shape == (2, 1, 12, 8)
    assert (y[0, :, 7:] == IGNORE).all() and (y[1, 9:] == IGNORE).all()
    assert y[1, 2, 3] == 2


def test_reads_files(tmp_path):
    ids = np.zeros((6, 9), dtype=np.uint8)
    ids[1, 2], ids[3, 4] = 3, 255
    Image.fromarray(ids).save(tmp_path / "mask.png")
    Image.fromarray(np.full((6, 9, 3), 51, np.uint8)).save(tmp_path / "image.png")
    spec = Spec("unet", {}, 3, CLASSES)
    x, y = loader([str(tmp_path / "image.png")], [str(tmp_path / "mask.png")], spec)[0]
    assert torch.allclose(x, torch.full((1, 3, 6, 9), 0.2))
    assert y[0, 1, 2] == 1 and y[0, 3, 4] == IGNORE


def test_files_of_0_and_255_need_a_word_on_what_255_means(tmp_path):
    path = str(tmp_path / "mask.png")
    Image.fromarray(np.array([[0, 255, 0], [255, 0, 0]], np.uint8)).save(path)
    image, spec = np.zeros((2, 3)), Spec("unet", {}, 1, {"off": 0, "on": 1})
    with pytest.raises(DataError, match="0 and 255"):
        loader([image], [path], spec)[0]
    assert loader([image], [path], spec, values=[0, 255])[0][1].tolist() == [[[0, 1, 0], [1, 0, 0]]]
    ignored = loader([image], [path], spec, explicit_ignore=True)[0][1]
    assert ignored.tolist() == [[[0, IGNORE, 0], [IGNORE, 0, 0]]]


def test_paints_instances():
    masks = np.zeros((2, 6, 8), dtype=bool)
    masks[0, 1:3, 2:5] = True
    masks[1, 4, 6] = True
    found = Instances.from_masks(masks, [3, 7], scores=[0.5, 0.9])
    columns = {k: list(v) for k, v in found.to_r().items()}
    _, y = loader([np.zeros((6, 8))], [{"columns": columns, "size": [6, 8]}])[0]
    assert (y[0, 1:3, 2:5] == 1).all() and y[0, 4, 6] == 2
    assert (y[0, :6, :8] > 0).sum() == 7


def test_preprocessing_sees_the_whole_image_before_any_padding():
    image = np.arange(35.0).reshape(5, 7)
    spec = Spec("unet", {}, 1, CLASSES, multiple=4,
                preprocess=Preprocess(per_image="standardise"))
    x, _ = loader([image], [sample()[1]], spec)[0]
    inside = x[0, 0, :5, :7].numpy()
    np.testing.assert_allclose(inside, (image - image.mean()) / image.std(), rtol=1e-5)


def test_the_order_is_shuffled_anew_each_epoch_and_repeats_with_its_seed():
    images = [np.full((4, 4), i / 10) for i in range(8)]
    targets = [np.zeros((4, 4), dtype=np.int32)] * 8

    def epochs(seed):
        data = loader(images, targets, shuffle=True, seed=seed, batch_size=3)
        orders = []
        for _ in range(2):
            values = torch.cat([data[i][0][:, 0, 0, 0] for i in range(len(data))])
            orders.append([round(float(v) * 10) for v in values])
            data.on_epoch_end()
        return orders

    first, second = epochs(1)
    assert sorted(first) == sorted(second) == list(range(8))
    assert first != second
    assert epochs(1) == [first, second]
    assert epochs(2) != [first, second]


def test_sample_weights_choose_what_is_drawn():
    images = [np.full((4, 4), i / 10) for i in range(4)]
    targets = [np.zeros((4, 4), dtype=np.int32)] * 4
    data = loader(images, targets, sample_weights=[0, 1, 0, 3], batch_size=4)
    seen = set()
    for _ in range(20):
        seen |= {round(float(v) * 10) for v in data[0][0][:, 0, 0, 0]}
        data.on_epoch_end()
    assert seen == {1, 3}


def test_a_cache_reads_each_file_once(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "image.png")
    path = tmp_path / "image.png"
    data = loader([str(path)], [np.zeros((4, 4), dtype=np.int32)], cache=True)
    first = data[0]
    path.unlink()
    assert torch.equal(data[0][0], first[0])


def test_an_unknown_class_id_names_the_image_and_the_ids():
    image, ids = sample()
    ids[0, 0] = 5
    with pytest.raises(DataError, match='image 0 holds the class id 5; .* 0, 3, 7'):
        loader([image], [ids])[0]


def test_a_mask_of_another_size_names_the_image():
    image, _ = sample()
    with pytest.raises(ShapeError, match='Image 0 has size 5 x 7, and its mask 4 x 7'):
        loader([image], [np.zeros((4, 7), dtype=np.int32)])[0]


def test_an_epoch_without_a_pixel_that_counts_is_an_error():
    image, ids = sample()
    blank = np.full_like(ids, NA_INTEGER)
    data = loader([image, image], [blank, blank], batch_size=1)
    data[0], data[1]
    with pytest.raises(DataError, match="Every pixel of every mask is ignored"):
        data.on_epoch_end()
    mixed = loader([image, image], [blank, ids], batch_size=1)
    mixed[0], mixed[1]
    mixed.on_epoch_end()


def test_lookup_knows_absent_classes():
    table = class_lookup([0, -1, 4])
    ids = np.array([[0, 4], [IGNORE, 0]])
    assert class_indices(ids, table, "x").tolist() == [[0, 2], [IGNORE, 0]]


@pytest.mark.parametrize("how", ["pad", "crop", "stretch"])
def test_image_and_target_are_resized_alike(how):
    # each quarter has a class and a grey of its own; far from edges both must agree
    target = np.zeros((40, 60), dtype=np.int64)
    target[:20, 30:], target[20:, :30], target[20:, 30:] = 1, 2, 3
    image = (target / 3).astype(np.float32)[None]
    out, labels = resize(image, target, (32, 32), how)
    assert out.shape == (1, 32, 32) and labels.shape == (32, 32)
    inside = labels != IGNORE
    assert (out[0][~inside] == 0).all()
    shares = {"pad": 21 * 32, "crop": 32 * 32, "stretch": 32 * 32}
    assert inside.sum() == shares[how]
    agree = np.abs(out[0] - labels / 3)[inside] < 1e-3
    assert agree.mean() > 0.85
    assert set(np.unique(labels[inside])) == {0, 1, 2, 3}


def test_resizing_to_the_same_size_changes_nothing(rng):
    image = rng.random((2, 8, 12), dtype=np.float32)
    target = rng.integers(0, 3, (8, 12))
    for how in ("pad", "crop", "stretch"):
        out, labels = resize(image, target, (8, 12), how)
        np.testing.assert_array_equal(out, image)
        np.testing.assert_array_equal(labels, target)


STEPS = [
    {"name": "flip_horizontal", "p": 0.5},
    {"name": "affine", "p": 0.8, "degrees": [-30, 30], "translate": [-0.1, 0.1],
     "scale": [0.8, 1.2], "shear": [-5, 5]},
    {"name": "noise", "p": 0.5, "sd": [0.01, 0.1]},
    {"name": "mosaic", "p": 0.3, "scale": [0.5, 1]},
]  # fmt: skip


def pictures(n, rng):
    images = [rng.random((30, 44)).astype(np.float32) for _ in range(n)]
    targets = [np.asfortranarray((image > 0.5) * 3).astype(np.int32) for image in images]
    return images, targets


def epochs(data, n=2):
    batches = []
    for _ in range(n):
        batches += [data[i] for i in range(len(data))]
        data.on_epoch_end()
    return batches


def test_augmentation_is_the_same_with_any_number_of_threads(rng):
    images, targets = pictures(11, rng)
    runs = []
    for threads in (1, 4):
        options = {"augment": STEPS, "threads": threads, "shuffle": True, "seed": 5}
        with loader(images, targets, batch_size=2, **options) as data:
            runs.append(epochs(data))
    for (x, y), (x4, y4) in zip(*runs, strict=True):
        assert torch.equal(x, x4) and torch.equal(y, y4)
    with loader(images, targets, batch_size=2, augment=STEPS, shuffle=True, seed=6) as data:
        assert any(not torch.equal(a[0], b[0]) for a, b in zip(epochs(data), runs[0], strict=True))


def test_every_epoch_and_every_repetition_draws_anew(rng):
    images, targets = pictures(2, rng)
    noise = [{"name": "noise", "p": 1, "sd": [0.1, 0.1]}]
    with loader(images, targets, augment=noise, sample_weights=[0, 1], batch_size=2) as data:
        (first, _), (second, _) = epochs(data)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], second[0])


def test_augmentation_comes_before_preprocessing_and_resizing(rng):
    images, targets = pictures(1, rng)
    spec = Spec("unet", {}, 1, CLASSES, multiple=4,
                preprocess=Preprocess(per_image="standardise"))
    darker = [{"name": "brightness", "p": 1, "factor": [0.5, 0.5]}]
    bare = loader(images, targets, spec, size=(20, 20))[0]
    augmented = loader(images, targets, spec, size=(20, 20), augment=darker)[0]
    # standardising undoes a factor, and padding stays 0
    torch.testing.assert_close(augmented[0], bare[0], atol=1e-5, rtol=0)
    assert torch.equal(augmented[1], bare[1]) and (augmented[1][0, 14:] == IGNORE).all()


def test_a_cache_keeps_images_as_they_were_read(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(10, 12)).save(path)
    target = np.zeros((10, 12), dtype=np.int32)
    noise = [{"name": "noise", "p": 1, "sd": [0.1, 0.1]}]
    with loader([str(path)], [target], augment=noise, cache=True) as data:
        first = data[0]
        path.unlink()
        data.on_epoch_end()
        assert not torch.equal(data[0][0], first[0])


def test_objects_are_pasted_with_the_models_channels_as_classes():
    masks = np.zeros((1, 20, 30), dtype=bool)
    masks[0, 4:9, 6:15] = True
    found = Instances.from_masks(masks, [7])
    target = {"columns": {k: list(v) for k, v in found.to_r().items()}, "size": [20, 30]}
    paste = [{"name": "copy_paste", "p": 1, "share": [1, 1], "scale": [1, 1]}]
    with loader([np.zeros((20, 30))], [target], augment=paste, seed=1) as data:
        _, y = data[0]
    assert set(y.unique().tolist()) == {IGNORE, 0, 2}
    assert (y == 2).sum() > 45
    with (
        loader([np.zeros((20, 30))], [np.zeros((20, 30), np.int32)], augment=paste) as data,
        pytest.raises(DataError, match="copy_paste needs objects"),
    ):
        data[0]


def test_crowds_are_not_pasted():
    images, objects = Images(), ObjectTable()
    for file in ("a.png", "b.png"):
        images.add(file, 20, 30)
    objects.add(2, 7, polygon=[[6, 4, 15, 4, 15, 9, 6, 9]])
    objects.add(2, 7, polygon=[[0, 0, 30, 0, 30, 20, 0, 20]], iscrowd=True)
    table = Annotations("coco", "", images, objects.finish(), [Category(7, "car")])
    found = target_objects(DataSpec(["a", "b"], [0, 1], ["a", "b"], None, annotations=table), 1)
    assert len(found) == 1 and found.areas[0] == 45


def test_volumes_share_a_batch(rng):
    shapes = [(3, 10, 14), (4, 9, 15)]
    # some values are 0 and some 1, so that this is their range
    volumes = [
        np.clip(1.4 * rng.random((*shape, 1), dtype=np.float32) - 0.2, 0, 1) for shape in shapes
    ]
    targets = [np.full(shape, 3, dtype=np.int32) for shape in shapes]
    steps = [{"name": "flip_vertical", "p": 1}, {"name": "gamma", "p": 1, "exponent": [2, 2]}]
    spec = Spec("unet", {}, 1, CLASSES)
    with loader(volumes, targets, spec, augment=steps) as data:
        x, y = data[0]
    assert x.shape == (2, 1, 4, 10, 15) and y.shape == (2, 4, 10, 15)
    np.testing.assert_allclose(x[0, 0, :3, :, :14], volumes[0][:, ::-1, :, 0] ** 2, atol=1e-6)
    assert (y[0, 3] == IGNORE).all() and (y[1, :, 9] == IGNORE).all() and (y[1, :, :9] == 1).all()


def test_targets_of_annotations_give_masks_and_objects():
    images, objects = Images(), ObjectTable()
    for file in ("a.png", "b.png"):
        images.add(file, 20, 30)
    objects.add(2, 7, polygon=[[6, 4, 15, 4, 15, 9, 6, 9]])
    classes = [Category(number, name) for name, number in CLASSES.items()]
    annotations = Annotations("coco", "", images, objects.finish(), classes)
    given = {"annotations": annotations, "batch_size": 1}
    _, y = loader([np.zeros((20, 30))], [1], **given)[0]
    assert (y[0, 4:9, 6:15] == 2).all() and (y == 2).sum() == 45 and (y == 0).sum() == 555
    paste = [{"name": "copy_paste", "p": 1, "share": [1, 1], "scale": [2, 2]}]
    _, y = loader([np.zeros((20, 30))], [1], augment=paste, seed=1, **given)[0]
    assert 180 <= (y == 2).sum() <= 225


def test_a_preview_has_the_ids_of_the_files():
    from maskr.datasets.preview import preview

    image, ids = sample()
    data = {
        "images": [image, image + 0.5], "targets": [ids, ids], "names": ["a", "b"],
        "class_ids": [0, 3, 7], "size": [10, 14], "threads": 1,
        "augment": [{"name": "flip_horizontal", "p": 1}],
    }  # fmt: skip
    (one,) = preview(data, [1])
    assert one["image"].shape == (10, 14, 1) and one["image"].dtype == np.float64
    assert (one["image"] == 0.75).all()
    assert one["mask"][0, 11] == 3 and one["mask"][5, 7] == 7 and one["mask"][9, 0] == NA_INTEGER
    (raw,) = preview(data | {"class_ids": None, "augment": None}, [0])
    assert raw["mask"][0, 2] == 3 and raw["mask"][9, 13] == NA_INTEGER


def test_five_channels_can_shrink():
    image = np.arange(5.0) * np.ones((8, 12, 1))
    x, _ = loader([image], [np.zeros((8, 12), np.int32)], Spec("unet", {}, 5, CLASSES),
                  size=(4, 6))[0]
    assert x.shape == (1, 5, 4, 6) and (x[0, 3] == 3).all()
