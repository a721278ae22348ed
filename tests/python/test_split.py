"""Splitting: proportions, classes spread over the parts, groups together, chance repeatable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr.datasets.split import r_split, stratify


def split(holds, sizes=None, proportions=(0.8, 0.2), seed=0):
    holds = np.asarray(holds)
    sizes = np.ones(len(holds), dtype=int) if sizes is None else np.asarray(sizes)
    return stratify(holds, sizes, np.array(proportions), np.random.default_rng(seed))


def test_proportions_are_exact_without_classes():
    for n, expected in [(10, [8, 2]), (7, [6, 1]), (2, [1, 1])]:
        parts = split(np.zeros((n, 0), dtype=int))
        assert np.bincount(parts).tolist() == expected
    three = split(np.zeros((20, 0), dtype=int), proportions=(0.7, 0.2, 0.1))
    assert np.bincount(three).tolist() == [14, 4, 2]


@pytest.mark.parametrize("seed", range(5))
def test_each_part_gets_its_share_of_every_class(seed):
    # 100 images: a common class in all, one in 20, one in 10, one in 5, independent of each other
    rng = np.random.default_rng(seed)
    holds = np.zeros((100, 4), dtype=int)
    holds[:, 0] = 1
    for k, n in enumerate([20, 10, 5], start=1):
        holds[rng.choice(100, n, replace=False), k] = 1
    parts = split(holds, seed=seed)
    assert np.bincount(parts).tolist() == [80, 20]
    valid = holds[parts == 1].sum(axis=0)
    assert (np.abs(valid - [20, 4, 2, 1]) <= [0, 1, 1, 0]).all()


def test_groups_stay_together_and_sizes_come_close():
    sizes = np.array([9, 7, 5, 4, 3, 3, 2, 2, 2, 1, 1, 1])
    groups = np.repeat(np.arange(12), sizes)
    parts = np.array(r_split(40, [0.75, 0.25], 3, groups.tolist()))
    for group in range(12):
        assert len(set(parts[groups == group])) == 1
    assert np.bincount(parts)[1:].tolist() == [30, 10]


def test_grouped_classes_are_spread_too():
    # eight patients of five slices; four of them have the rare class in two slices
    groups = np.repeat(np.arange(8), 5)
    presence = np.zeros((40, 2), dtype=bool)
    presence[:, 0] = True
    presence[[0, 1, 10, 11, 20, 21, 30, 31], 1] = True
    for seed in range(5):
        parts = np.array(r_split(40, [0.5, 0.5], seed, groups.tolist(), presence))
        assert presence[parts == 1].sum(axis=0).tolist() == [20, 4]


def test_the_same_seed_gives_the_same_parts():
    assert r_split(30, [0.5, 0.5], 1) == r_split(30, [0.5, 0.5], 1)
    assert r_split(30, [0.5, 0.5], 1) != r_split(30, [0.5, 0.5], 2)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_unit_gets_a_part_and_no_part_stays_empty(draw):
    n = draw.draw(st.integers(3, 25))
    k = draw.draw(st.integers(0, 4))
    sizes = np.array(draw.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)))
    holds = np.array(
        draw.draw(st.lists(st.lists(st.integers(0, 1), min_size=k, max_size=k),
                           min_size=n, max_size=n))
    ).reshape(n, k) * sizes[:, None]
    parts = split(holds, sizes, (0.6, 0.3, 0.1))
    assert set(parts) == {0, 1, 2}
