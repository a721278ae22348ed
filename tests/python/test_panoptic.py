"""Panoptic segmentations and their way to instances and classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances
from maskr.panoptic import Panoptic

IDS = np.array([[1, 1, 7], [0, 3, 7]], dtype=np.int32)


def example(ids=IDS):
    return Panoptic(
        ids,
        np.array([1, 3, 7], dtype=np.int32),
        np.array([10, 20, 20], dtype=np.int32),
        np.array([False, True, True]),
        np.array([np.nan, 0.4, 0.8]),
    )


def test_areas_and_classes():
    assert example().areas.tolist() == [2, 1, 2]
    assert example().to_classes(void=255).tolist() == [[10, 10, 20], [255, 20, 20]]


def test_things_become_instances():
    made = example().to_instances()
    np.testing.assert_array_equal(made.masks(), [IDS == 3, IDS == 7])
    assert made.class_ids.tolist() == [20, 20]
    assert made.scores.tolist() == [0.4, 0.8]


def test_r_round_trip():
    sent = example().to_r()
    back = Panoptic.from_r(sent["ids"], sent["segments"])
    np.testing.assert_array_equal(back.ids, IDS)
    np.testing.assert_array_equal(back.scores, example().scores)
    assert back.isthing.tolist() == [False, True, True]


def test_unknown_segments_and_volumes_are_refused():
    with pytest.raises(DataError, match="Segment id 9"):
        example(np.array([[9]], dtype=np.int32))
    with pytest.raises(ShapeError, match="2D only"):
        example(IDS[None]).to_instances()


@settings(max_examples=40, deadline=None)
@given(labels=arrays(np.int32, (4, 6), elements=st.integers(0, 4)))
def test_instances_that_do_not_overlap_come_back(labels):
    made = Instances.from_labels(labels, 5)
    back = Panoptic.from_instances(made).to_instances()
    assert back.rles == made.rles
    assert back.class_ids.tolist() == made.class_ids.tolist()
