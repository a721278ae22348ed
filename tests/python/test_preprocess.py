"""Preprocessing of images."""

import numpy as np
import pytest
from maskr.errors import DataError
from maskr.preprocess import Preprocess
from maskr.spec import Spec


@pytest.fixture
def image(rng):
    return rng.random((3, 5, 8), dtype=np.float32) * np.array([1, 2, 3])[:, None, None]


def test_by_default_changes_nothing(image):
    np.testing.assert_array_equal(Preprocess()(image), image.astype(np.float32))


def test_standardises_each_channel_by_its_own_mean(image):
    out = Preprocess(per_image="standardise")(image)
    np.testing.assert_allclose(out.mean(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(out.std(axis=(1, 2)), 1, atol=1e-6)


def test_stretches_between_percentiles_of_all_channels(image):
    low, high = np.percentile(image, (2, 90))
    out = Preprocess(per_image="percentile", percentiles=(2, 90))(image)
    np.testing.assert_allclose(out, np.clip((image - low) / (high - low), 0, 1), atol=1e-6)


def test_a_constant_image_stays_finite():
    flat = np.full((1, 4, 6), 0.3, dtype=np.float32)
    for kind in ("standardise", "percentile"):
        assert np.isfinite(Preprocess(per_image=kind)(flat)).all()


def test_reverses_channels_then_normalises(image):
    out = Preprocess("bgr", mean=(0.1, 0.2, 0.3), std=(2.0,))(image)
    expected = (image[::-1] - np.array([0.1, 0.2, 0.3])[:, None, None]) / 2
    np.testing.assert_allclose(out, expected, atol=1e-6)
    assert out.dtype == np.float32 and out.flags["C_CONTIGUOUS"]


def test_a_wrong_number_of_means_is_an_error(image):
    with pytest.raises(DataError, match="2 values for 3 channels"):
        Preprocess(mean=(0.1, 0.2))(image)
    with pytest.raises(DataError, match="2 values for 3 channels") as raised:
        Spec("unet", in_channels=3, preprocess=Preprocess(std=(0.1, 0.2)))
    assert raised.value.argument == "preprocess"
