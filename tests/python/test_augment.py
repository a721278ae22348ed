"""Augmentation: image, mask and objects move together; values follow their formulas."""

import sys

import cv2
import numpy as np
import pytest
from maskr.arrays import IGNORE
from maskr.augment import Pipeline, Sample
from maskr.augment.geometry import affine_matrix
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances

SIZE = (46, 70)

GEOMETRY = {
    "random_crop": {"size": [30, 41]},
    "resized_crop": {"scale": [0.3, 0.8], "ratio": [0.7, 1.4]},
    "flip_horizontal": {},
    "flip_vertical": {},
    "rot90": {},
    "rotate": {"degrees": [-60, 60]},
    "affine": {
        "degrees": [-30, 30], "translate": [-0.2, 0.2], "scale": [0.7, 1.4], "shear": [-15, 15]
    },
    "perspective": {"distortion": [0, 0.4]},
    "elastic": {"displacement": [1, 3], "spacing": [16, 24]},
    "grid_distortion": {"cells": [3, 5], "distortion": [0, 0.5]},
    "mosaic": {"scale": [0.6, 1.2]},
}  # fmt: skip
COLOUR = {
    "brightness": {"factor": [0.5, 0.5]},
    "contrast": {"factor": [0.5, 0.5]},
    "gamma": {"exponent": [2, 2]},
    "hue": {"shift": [0.1, 0.1]},
    "saturation": {"factor": [0.5, 0.5]},
    "blur": {"sigma": [1, 1]},
    "noise": {"sd": [0.1, 0.1]},
    "jpeg": {"quality": [60, 60]},
    "cutout": {"holes": [2, 2], "size": [0.1, 0.2]},
}
COPY_PASTE = {"copy_paste": {"share": [1, 1], "scale": [1, 1]}}
VOLUME = ["flip_horizontal", "flip_vertical", "rotate", "affine", "elastic", "brightness",
          "contrast", "gamma", "blur", "noise"]  # fmt: skip
ALL = GEOMETRY | COLOUR | COPY_PASTE


def step(name, p=1.0):
    return {"name": name, "p": p, **ALL[name]}


def apply(sample, names, seed=1, others=None):
    rng = np.random.default_rng(seed)
    return Pipeline([step(name) for name in names]).apply(sample, rng, others)


def objects(size=SIZE):
    """A disc and a rectangle that overlap, and a small square of its own."""
    y, x = np.mgrid[: size[0], : size[1]]
    disc = (y - 18) ** 2 + (x - 24) ** 2 < 120
    rectangle = (y > 15) & (y < 40) & (x > 20) & (x < 33)
    square = (y > 4) & (y < 12) & (x > 50) & (x < 60)
    return np.stack([disc, rectangle, square])


def coordinates(size=SIZE):
    """An image of its own coordinates y and x, a mask of pixel numbers, and objects."""
    image = np.mgrid[: size[0], : size[1]].astype(np.float32)
    numbers = np.arange(size[0] * size[1]).reshape(size)
    return Sample.of(image, numbers, Instances.from_masks(objects(size), [5, 6, 7]))


def picture(channels=3, size=SIZE, seed=0):
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.random((*size, channels)), (0, 0), 2).astype(np.float32)
    # some pixels are black and some white, so that the range of values is 0 to 1
    image = np.clip(1.4 * (image - image.min()) / np.ptp(image) - 0.2, 0, 1)
    image = image.reshape(*size, channels).transpose(2, 0, 1)
    mask = (image[0] > 0.5).astype(np.int32)
    return Sample.of(np.ascontiguousarray(image), mask)


@pytest.mark.parametrize("name", GEOMETRY)
@pytest.mark.parametrize("seed", range(6))
def test_the_mask_and_the_objects_come_from_where_the_image_comes_from(name, seed):
    before = coordinates()
    after = apply(before, [name], seed, others=lambda rng: before)
    inside = after.mask != IGNORE
    assert inside.mean() > 0.2
    y, x = np.divmod(after.mask[inside], SIZE[1])
    shown = after.image[:, inside]
    # the nearest pixel; OpenCV knows positions to 1/32 pixel
    assert np.abs(shown[0] - y).max() <= 0.5 + 1 / 16
    assert np.abs(shown[1] - x).max() <= 0.5 + 1 / 16
    for number, truth in enumerate(objects(), start=1):
        own = [(after.labels[1:] == number + 3 * i).any(axis=0) for i in range(4)]
        np.testing.assert_array_equal(np.any(own, axis=0)[inside], truth[y, x])
    hidden = ~inside
    assert (after.image[:, hidden] == 0).all() and (after.labels[1:, hidden] == 0).all()


@pytest.mark.parametrize("name", GEOMETRY)
def test_boxes_are_those_of_the_moved_masks(name):
    before = coordinates()
    after = apply(before, [name], 3, others=lambda rng: before)
    found = after.instances()
    assert len(found) > 0 and (found.areas > 0).all()
    for mask, box, area in zip(found.masks(), found.boxes, found.areas, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert box.tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert area == mask.sum()


def test_objects_that_overlap_keep_their_pixels_and_classes():
    found = coordinates().instances()
    np.testing.assert_array_equal(found.masks(), objects())
    assert found.class_ids.tolist() == [5, 6, 7]


def test_objects_that_leave_the_image_are_dropped():
    sample = coordinates()
    left = Pipeline([{"name": "affine", "p": 1, "degrees": [0, 0], "translate": [-0.45, -0.45],
                      "scale": [1, 1], "shear": [0, 0]}])  # fmt: skip
    found = left.apply(sample, np.random.default_rng(0)).instances()
    # 31 columns and 20 rows are gone, and with them the square in the upper right corner
    assert found.class_ids.tolist() == [5, 6]
    assert found.boxes[1].tolist() == [0, 0, 1, 19]


@pytest.mark.parametrize("name", [n for n in ALL if n != "copy_paste"])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_every_step_keeps_type_and_channels_and_its_input(name, channels):
    before = picture(channels)
    image, labels = before.image.copy(), before.labels.copy()
    after = apply(before, [name], others=lambda rng: picture(channels, seed=1))
    assert after.image.dtype == np.float32 and after.labels.dtype == np.int32
    assert after.image.shape[0] == channels and after.image.shape[1:] == after.mask.shape
    assert np.isfinite(after.image).all() and after.image.min() >= 0 and after.image.max() <= 1
    np.testing.assert_array_equal(before.image, image)
    np.testing.assert_array_equal(before.labels, labels)
    unchanged = channels != 3 and name in ("hue", "saturation")
    same = after.image.shape == image.shape and np.array_equal(after.image, image)
    assert same == unchanged


@pytest.mark.parametrize("name", [n for n in COLOUR if n != "cutout"])
def test_values_change_but_the_mask_does_not(name):
    before = picture()
    np.testing.assert_array_equal(apply(before, [name]).labels, before.labels)


@pytest.mark.parametrize("name", ALL)
def test_a_probability_of_0_does_nothing(name):
    before = picture()
    after = Pipeline([step(name, p=0)]).apply(before, np.random.default_rng(1))
    assert after is before


def test_a_probability_is_one():
    flip = Pipeline([step("flip_horizontal", p=0.3)])
    before = picture()
    flipped = [flip.apply(before, np.random.default_rng(i)) is not before for i in range(400)]
    assert 0.23 < np.mean(flipped) < 0.37


def test_values_follow_their_formulas():
    before = picture()
    v = before.image.astype(float)
    close = {"rtol": 0, "atol": 2e-6}
    np.testing.assert_allclose(apply(before, ["brightness"]).image, v * 0.5, **close)
    mean = v.mean()
    np.testing.assert_allclose(apply(before, ["contrast"]).image, (v - mean) / 2 + mean, **close)
    np.testing.assert_allclose(apply(before, ["gamma"]).image, v**2, **close)
    grey = np.tensordot([0.299, 0.587, 0.114], v, 1)
    np.testing.assert_allclose(apply(before, ["saturation"]).image, (v + grey) / 2, **close)
    noise = apply(before, ["noise"]).image - before.image
    kept = (before.image > 0.35) & (before.image < 0.65)
    assert abs(noise[kept].std() - 0.1) < 0.005 and abs(noise[kept].mean()) < 0.005


def microscopy(channels=1):
    """A file of 16 bits whose signal takes 1 part in 300, with two hot pixels."""
    image = 0.001 + picture(channels, (120, 170)).image * 0.0025
    image[:, 5, 7] = image[:, 80, 90] = 1
    return Sample.of(image, np.zeros((120, 170), int))


@pytest.mark.parametrize("name", ["brightness", "contrast", "gamma", "noise", "jpeg"])
@pytest.mark.parametrize("channels", [1, 2])
def test_values_are_relative_to_the_images_own_range(name, channels):
    plain = picture(channels, (120, 170))
    expected = 0.001 + apply(plain, [name]).image * 0.0025
    cold = np.ones((120, 170), bool)
    # JPEG blurs hot pixels over their block
    cold[:8, :8] = cold[80:88, 88:96] = False
    found = apply(microscopy(channels), [name]).image
    # a few values leave the range at its ends, where the plain image cuts them off
    middle = cold & (expected > 0.0011).all(axis=0) & (expected < 0.0034).all(axis=0)
    assert middle.mean() > 0.1
    np.testing.assert_allclose(found[:, middle], expected[:, middle], rtol=0, atol=6e-5)


def test_channels_that_are_no_colours_have_their_own_range():
    dim, bright = picture(1), picture(1, seed=4)
    both = Sample.of(np.concatenate((dim.image * 0.004, bright.image)), dim.mask)
    noise = apply(both, ["noise"]).image - both.image
    kept = (dim.image[0] > 0.35) & (dim.image[0] < 0.65)
    assert abs(noise[0][kept].std() - 0.0004) < 0.00002
    darker = apply(both, ["contrast"]).image
    np.testing.assert_allclose(darker[0].mean(), both.image[0].mean(), rtol=1e-4)


def test_ordinary_microscopy_survives_noise_and_jpeg(shared_data):
    from maskr import images

    image = images.load(str(shared_data("stardist/img2d.tif")))
    sample = Sample.of(image, np.zeros(image.shape[1:], int))
    for name, settings in (("noise", {"sd": [0.04, 0.04]}), ("jpeg", {"quality": [95, 95]})):
        drawn = Pipeline([{"name": name, "p": 1, **settings}]).apply(
            sample, np.random.default_rng(0)
        )
        assert np.corrcoef(drawn.image.ravel(), image.ravel())[0, 1] > 0.93
        assert len(np.unique(drawn.image)) > 150


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("name", [n for n in COLOUR if n != "cutout"])
def test_flat_images_stay_finite(name, value):
    flat = Sample.of(np.full((3, 20, 30), value, np.float32), np.zeros((20, 30), int))
    np.testing.assert_allclose(apply(flat, [name]).image, value, atol=1e-5)


MOVED = {"affine": {"degrees": [25, 25], "translate": [0.1, 0.1], "scale": [0.85, 0.85],
                    "shear": [0, 0]}}  # fmt: skip


@pytest.mark.parametrize("size", [(46, 70), (9, 46, 70)])
@pytest.mark.parametrize("second", ["affine", "elastic", "blur", "resized_crop", "perspective"])
@pytest.mark.parametrize("first", ["affine", "cutout"])
def test_black_does_not_bleed_in_later(first, second, size):
    if len(size) == 3:
        pytest.importorskip("torchio")
        if first == "cutout" or second not in VOLUME:
            pytest.skip("no step for volumes")
    white = Sample.of(np.ones((1, *size), np.float32), np.zeros(size, int))
    steps = [{"name": one, "p": 1, **(ALL | MOVED)[one]} for one in (first, second)]
    after = Pipeline(steps).apply(white, np.random.default_rng(3))
    hidden = after.mask == IGNORE
    assert 0.01 < hidden.mean() < 0.9
    assert after.image[0][~hidden].min() > 0.9999
    assert (after.image[0][hidden] == 0).all()


@pytest.mark.parametrize("last", ["noise", "brightness", "gamma", "jpeg", "blur", "flip_vertical"])
@pytest.mark.parametrize("first", ["affine", "cutout"])
def test_hidden_pixels_stay_black_whatever_comes_after(first, last):
    before = picture()
    raw = Sample.of(before.image + np.float32(0.2), before.mask)
    image = raw.image.copy()
    after = apply(raw, [first, last])
    hidden = after.mask == IGNORE
    assert hidden.any() and (after.image[:, hidden] == raw.image.min()).all()
    np.testing.assert_array_equal(raw.image, image)


def test_gamma_of_several_channels_and_of_black():
    image = np.zeros((5, 4, 6), dtype=np.float32)
    image[2] = 0.3
    image[2, 0] = np.linspace(0, 1, 6)
    after = apply(Sample.of(image, np.zeros((4, 6), int)), ["gamma"])
    np.testing.assert_allclose(after.image[2, 1:], 0.09, atol=1e-2)
    assert (after.image[[0, 1, 3, 4]] == 0).all()


def test_hue_turns_the_colour_wheel():
    red = np.zeros((3, 4, 6), dtype=np.float32)
    red[0] = 1
    third = Pipeline([{"name": "hue", "p": 1, "shift": [1 / 3, 1 / 3]}])
    green = third.apply(Sample.of(red, np.zeros((4, 6), int)), np.random.default_rng(0)).image
    np.testing.assert_allclose(green[:, 2, 3], [0, 1, 0], atol=1e-5)


def test_blur_is_the_normal_distribution():
    image = np.zeros((1, 21, 31), dtype=np.float32)
    image[0, 10, 15] = 1
    after = apply(Sample.of(image, np.zeros((21, 31), int)), ["blur"]).image[0]
    offset = np.arange(21) - 10
    bell = np.exp(-(offset**2) / 2)
    np.testing.assert_allclose(after[:, 15] / after[10, 15], bell, atol=2e-3)
    assert after.sum() == pytest.approx(1, abs=1e-4)


def test_jpeg_keeps_colours_in_their_order():
    colours = np.float32([0.9, 0.4, 0.1])[:, None, None] * np.ones((3, 24, 40), np.float32)
    after = apply(Sample.of(colours, np.zeros((24, 40), int)), ["jpeg"])
    np.testing.assert_allclose(after.image, colours, atol=0.02)
    assert (apply(picture(), ["jpeg"]).image != picture().image).mean() > 0.9


def test_images_beyond_0_and_1_keep_their_units():
    before = picture(1)
    raw = Sample.of(before.image * 3000 - 1000, before.mask)
    for name in ("gamma", "brightness", "contrast"):
        expected = apply(before, [name]).image * 3000 - 1000
        np.testing.assert_allclose(apply(raw, [name]).image, expected, atol=0.05)
    turned = apply(raw, ["rotate"])
    assert (turned.image[:, turned.mask == IGNORE] == raw.image.min()).all()


def test_turning_is_counter_clockwise_and_about_the_centre():
    image = np.zeros((1, 21, 41), dtype=np.float32)
    image[0, 10, 25] = 1  # right of the centre
    quarter = Pipeline([{"name": "rotate", "p": 1, "degrees": [90, 90]}])
    sample = Sample.of(image, (image[0] > 0).astype(int))
    after = quarter.apply(sample, np.random.default_rng(0))
    assert np.argwhere(after.mask == 1).tolist() == [[5, 20]]  # above it
    assert np.unravel_index(after.image[0].argmax(), (21, 41)) == (5, 20)


def test_scale_and_shift_do_what_they_say():
    matrix = affine_matrix((21, 41), 0, shift=(3, -2), scale=2)
    np.testing.assert_allclose(matrix @ [20, 10, 1], [23, 8])
    np.testing.assert_allclose(matrix @ [22, 11, 1], [27, 10])


def test_crops_have_their_size_and_small_images_stay_whole():
    assert apply(picture(), ["random_crop"]).mask.shape == (30, 41)
    assert apply(picture(size=(20, 60)), ["random_crop"]).mask.shape == (20, 41)
    assert apply(picture(), ["resized_crop"]).mask.shape == SIZE


def test_cutout_hides_what_nobody_can_see():
    before = coordinates()
    after = apply(before, ["cutout"])
    holes = after.mask == IGNORE
    assert 0 < holes.sum() <= 2 * round(0.2 * SIZE[0]) * round(0.2 * SIZE[1])
    assert (after.image[:, holes] == 0).all() and (after.labels[1:, holes] == 0).all()
    np.testing.assert_array_equal(after.image[:, ~holes], before.image[:, ~holes])


def test_a_mosaic_takes_all_four():
    def flat(value):
        return Sample.of(np.full((1, *SIZE), value / 10, np.float32), np.full(SIZE, value))

    waiting = [flat(2), flat(3), flat(4)]
    after = apply(flat(1), ["mosaic"], others=lambda rng: waiting.pop(0))
    np.testing.assert_allclose(after.image[0], after.mask / 10, atol=1e-6)
    corners = after.mask[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.tolist() == [1, 2, 3, 4]
    assert after.mask.shape == SIZE and (after.mask != IGNORE).all()


@pytest.mark.parametrize(("own", "other"), [(1, 3), (3, 1)])
def test_grey_and_colour_images_can_share_a_mosaic(own, other):
    after = apply(picture(own), ["mosaic"], others=lambda rng: picture(other))
    assert after.image.shape == (own, *SIZE)


def test_pasted_objects_bring_pixels_classes_and_masks():
    empty = Sample.of(
        np.full((1, *SIZE), 0.5, np.float32), np.zeros(SIZE, int),
        Instances.from_masks(objects()[:1], [5]),
    )  # fmt: skip
    donor = Sample.of(
        np.ones((1, *SIZE), np.float32), np.zeros(SIZE, int),
        Instances.from_masks(objects()[2:], [7]),
    )  # fmt: skip
    after = apply(empty, ["copy_paste"], others=lambda rng: donor)
    found = after.instances()
    assert found.class_ids.tolist() == [5, 7] and found.areas[1] == objects()[2].sum()
    disc, pasted = found.masks()
    np.testing.assert_array_equal(after.mask, np.where(pasted, 7, 0))
    np.testing.assert_array_equal(after.image[0], np.where(pasted, 1, 0.5).astype(np.float32))
    np.testing.assert_array_equal(disc, objects()[0] & ~pasted)
    assert (empty.image == 0.5).all()


def test_what_lies_under_another_object_is_not_pasted():
    empty = Sample.of(
        np.zeros((1, *SIZE), np.float32), np.zeros(SIZE, int),
        Instances.from_masks(objects(), [5] * 3),
    )
    under, over = objects()[:2]
    # the later object is on top: the earlier shows its own value 0.5 only beside it
    image = np.where(over, 1, np.where(under, 0.5, 0))[None].astype(np.float32)
    donor = Sample.of(image, np.zeros(SIZE, int), Instances.from_masks(objects()[:2], [6, 7]))
    after = Pipeline([{"name": "copy_paste", "p": 1, "share": [0.5, 0.5], "scale": [1, 1]}])
    seen = set()
    for seed in range(6):
        drawn = after.apply(empty, np.random.default_rng(seed), lambda rng: donor)
        for number, value, whole in ((6, 0.5, under & ~over), (7, 1, over)):
            pasted = drawn.mask == number
            if pasted.any():
                seen.add(number)
                assert (drawn.image[0][pasted] == value).all() and pasted.sum() == whole.sum()
    assert seen == {6, 7}


def test_objects_that_nobody_sees_are_not_pasted():
    both = Instances.from_masks(np.stack([objects()[2]] * 2), [6, 7])
    donor = Sample.of(np.ones((1, *SIZE), np.float32), np.zeros(SIZE, int), both)
    after = apply(donor, ["copy_paste"], others=lambda rng: donor)
    assert set(np.unique(after.mask)) == {0, 7}


def test_pasting_needs_objects():
    with pytest.raises(DataError, match="copy_paste needs objects"):
        apply(picture(), ["copy_paste"], others=lambda rng: picture())


def test_steps_run_in_their_order():
    before = picture()
    first = apply(before, ["gamma", "brightness"]).image
    np.testing.assert_allclose(first, before.image**2 / 2, atol=2e-6)
    second = apply(before, ["brightness", "gamma"]).image
    np.testing.assert_allclose(second, before.image**2 / 4, atol=2e-6)


def test_the_same_generator_gives_the_same_and_another_does_not():
    names = [n for n in ALL if n not in ("copy_paste", "mosaic")]
    one, again, other = (apply(picture(), names, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.labels, again.labels)
    assert one.image.shape != other.image.shape or (one.image != other.image).any()


def volume(channels=1):
    shape = (12, 22, 30)
    image = np.mgrid[: shape[0], : shape[1], : shape[2]].astype(np.float32)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    return Sample.of(image[:channels] if channels < 3 else image, numbers)


@pytest.mark.parametrize("name", VOLUME[:5])
def test_volumes_move_with_their_masks(name):
    pytest.importorskip("torchio")
    before = volume(3)
    after = apply(before, [name], 4)
    inside = after.mask != IGNORE
    assert after.mask.shape == before.mask.shape and inside.mean() > 0.4
    assert (after.image != before.image).mean() > 0.1
    source = np.stack(np.unravel_index(after.mask[inside], before.size))
    assert np.abs(after.image[:, inside] - source).max() <= 0.51
    assert (after.image[:, ~inside] == 0).all()


def test_volumes_turn_within_slices():
    pytest.importorskip("torchio")
    after = apply(volume(3), ["rotate"], 4)
    depth = np.broadcast_to(np.arange(12)[:, None, None], after.mask.shape)
    inside = after.mask != IGNORE
    np.testing.assert_allclose(after.image[0][inside], depth[inside], atol=1e-3)


def test_images_and_volumes_turn_the_same_way():
    pytest.importorskip("torchio")
    image = np.zeros((21, 41), dtype=np.float32)
    image[10, 25] = 1
    stacked = Sample.of(np.stack([image] * 9)[None], np.stack([image] * 9).astype(int))
    quarter = Pipeline([{"name": "rotate", "p": 1, "degrees": [90, 90]}])
    after = quarter.apply(stacked, np.random.default_rng(0))
    assert np.argwhere(after.mask[4] == 1).tolist() == [[5, 20]]


@pytest.mark.parametrize("name", VOLUME)
def test_volume_steps_keep_type_and_input(name):
    pytest.importorskip("torchio")
    rng = np.random.default_rng(0)
    image = rng.random((2, 9, 16, 20), dtype=np.float32)
    before = Sample.of(image.copy(), (image[0] > 0.5).astype(int))
    after = apply(before, [name])
    assert after.image.dtype == np.float32 and after.labels.dtype == np.int32
    assert after.image.shape == image.shape and (after.image != image).any()
    np.testing.assert_array_equal(before.image, image)


def test_other_steps_refuse_volumes():
    with pytest.raises(ShapeError, match="mosaic is for images"):
        apply(volume(), ["mosaic"])


def test_torchio_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchio", None)
    from maskr.errors import MissingPackageError

    with pytest.raises(MissingPackageError, match="torchio"):
        apply(volume(), ["elastic"])
