"""Generated scenes: the masks are exact, the series is seeded, the images show what they should."""

import numpy as np
import pytest
from maskr import synthetic
from maskr.errors import DataError, ShapeError

NAMES = ["shapes", "nuclei"]


@pytest.mark.parametrize("name", NAMES)
def test_given_a_height_and_width_every_part_of_a_scene_has_them(name):
    for scene in synthetic.generate(name, 2, 48, 80, seed=1):
        channels = {"shapes": 3, "nuclei": 1}[name]
        assert scene.image.shape == (48, 80, channels)
        assert scene.image.dtype == np.uint8
        assert scene.mask.shape == scene.labels.shape == (48, 80)
        assert scene.mask.dtype == scene.labels.dtype == scene.class_ids.dtype == np.int32


@pytest.mark.parametrize("name", NAMES)
def test_the_mask_is_the_class_of_the_object_at_each_pixel(name):
    for scene in synthetic.generate(name, 6, 64, 90, seed=3):
        n = len(scene.class_ids)
        assert n >= 1
        assert np.array_equal(np.unique(scene.labels), np.arange(n + 1))
        assert np.array_equal(scene.mask, np.r_[0, scene.class_ids][scene.labels])
        assert set(scene.class_ids) <= set(synthetic.CLASSES[name].values()) - {0}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(32, 32), (33, 200)])
def test_small_and_narrow_scenes_hold_objects(name, size):
    for scene in synthetic.generate(name, 30, *size, seed=0):
        assert len(scene.class_ids) >= 1
        assert scene.labels.shape == size


@pytest.mark.parametrize("name", NAMES)
def test_a_scene_depends_on_seed_and_place_alone(name):
    first = synthetic.generate(name, 2, 40, 56, seed=7)
    longer = synthetic.generate(name, 3, 40, 56, seed=7)
    other = synthetic.generate(name, 1, 40, 56, seed=8)
    for a, b in zip(first, longer, strict=False):
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.labels, b.labels)
    assert not np.array_equal(first[0].image, first[1].image)
    assert not np.array_equal(first[0].image, other[0].image)


def test_shapes_have_all_classes_and_overlap():
    scenes = synthetic.generate("shapes", 12, 96, 128, seed=1)
    assert set(np.concatenate([scene.class_ids for scene in scenes])) == {1, 2, 3}
    touching = [touches(scene.labels) for scene in scenes]
    assert np.mean(touching) > 0.5


def test_nuclei_touch_and_are_brighter_than_the_ground():
    for scene in synthetic.generate("nuclei", 4, 96, 128, seed=1):
        grey = scene.image[..., 0].astype(float)
        assert grey[scene.mask == 1].mean() > 2 * grey[scene.mask == 0].mean()
        assert touches(scene.labels)


def test_the_colour_of_a_shape_tells_its_class():
    for scene in synthetic.generate("shapes", 8, 96, 128, seed=2):
        for label, class_id in enumerate(scene.class_ids, start=1):
            colour = scene.image[scene.labels == label].mean(axis=0)
            # red circles, green rectangles, blue triangles
            assert np.argmax(colour) == class_id - 1


def touches(labels):
    """Do two objects share an edge of a pixel?"""
    pairs = np.concatenate(
        [
            np.stack((labels[1:].ravel(), labels[:-1].ravel()), axis=1),
            np.stack((labels[:, 1:].ravel(), labels[:, :-1].ravel()), axis=1),
        ]
    )
    return bool(((pairs[:, 0] != pairs[:, 1]) & (pairs > 0).all(axis=1)).any())


def test_a_polygon_reaches_one_at_its_corners_and_grows_along_rays():
    angles = np.array([0.3, 2.2, 4.4])
    gauge = synthetic._polygon(10.0, angles)
    assert np.allclose(gauge(10 * np.sin(angles), 10 * np.cos(angles)), 1)
    y, x = np.array([1.3]), np.array([-2.1])
    assert np.allclose(gauge(3 * y, 3 * x), 3 * gauge(y, x))


@pytest.mark.parametrize("angles", [(0.3, 2.2, 4.4), (0.1, 1.4, 3.2, 4.5)])
def test_a_polygon_has_the_area_of_its_corners(angles):
    angles = np.array(angles)
    y, x = np.mgrid[-50:51, -50:51]
    area = np.count_nonzero(synthetic._polygon(45.0, angles)(y, x) <= 1)
    steps = (np.roll(angles, -1) - angles) % (2 * np.pi)
    assert area == pytest.approx(45**2 / 2 * np.sin(steps).sum(), rel=0.02)


def test_every_object_keeps_its_share_visible():
    canvas = synthetic._Canvas(np.zeros((40, 60, 1)), least=0.5)

    def lay(row, column):
        return canvas.add(
            gauge=lambda y, x: np.hypot(y, x) / 8,
            at=(row, column),
            reach=8,
            class_id=1,
            paint=lambda y, x, values: np.ones((*values.shape, 1)),
        )

    assert lay(20, 20)
    area = np.count_nonzero(canvas.labels == 1)
    assert not lay(20, 21)  # would hide nearly all of the first
    assert not lay(-30, 20)  # beyond the edge
    assert lay(20, 30)
    assert 0.5 * area <= np.count_nonzero(canvas.labels == 1) < area
    assert np.count_nonzero(canvas.labels == 2) == area


def test_for_r_instances_are_the_visible_parts_in_the_order_of_labels():
    from maskr.instances import Instances

    scene = synthetic.generate("shapes", 1, 50, 70, seed=4)[0]
    answer = synthetic.example("shapes", 1, 50, 70, 4)
    masks = Instances.from_r(answer["instances"][0], (50, 70)).masks()
    assert len(masks) == len(scene.class_ids)
    for label, mask in enumerate(masks, start=1):
        assert np.array_equal(mask, scene.labels == label)
    assert np.array_equal(answer["instances"][0]["class"], scene.class_ids)
    assert np.array_equal(answer["masks"][0], scene.mask)
    assert np.allclose(answer["images"][0] * 255, scene.image)
    assert answer["classes"] == synthetic.CLASSES["shapes"]


def test_an_unknown_kind_or_a_tiny_size_is_an_error():
    with pytest.raises(DataError, match="cats"):
        synthetic.generate("cats", 1, 64, 64, 1)
    with pytest.raises(ShapeError, match="32 x 32"):
        synthetic.generate("shapes", 1, 20, 64, 1)
