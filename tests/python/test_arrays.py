"""R's doubles as class ids."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskr.arrays import NA_INTEGER, ids_from_doubles
from maskr.errors import DataError

LARGEST = np.iinfo(np.int32).max


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | st.integers(-LARGEST, LARGEST), max_size=12))
def test_whole_doubles_keep_value_and_nan(ids: list) -> None:
    given_ids = np.array([np.nan if one is None else one for one in ids], dtype=np.float64)
    expected = [NA_INTEGER if one is None else one for one in ids]
    found = ids_from_doubles(given_ids, "truth")
    assert found.dtype == np.int32
    assert found.tolist() == expected


def test_order_in_memory_stays() -> None:
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert ids_from_doubles(x, "truth").flags.f_contiguous


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (0.5, "`truth` must hold whole class ids"),
        (2.0**31, "below 2\\^31, not 2147483648"),
        (-(2.0**31), "not -2147483648"),
        (np.inf, "below 2\\^31, not inf"),
    ],
)
@pytest.mark.parametrize("beside", [1.0, np.nan])
def test_other_doubles_are_refused(wrong: float, match: str, beside: float) -> None:
    with pytest.raises(DataError, match=match) as caught:
        ids_from_doubles(np.array([beside, wrong]), "truth")
    assert caught.value.argument == "truth"


def test_the_na_of_r_warns_of_nothing() -> None:
    # R's NA_real_ is a signalling NaN
    missing = np.array([0x7FF00000000007A2], dtype=np.uint64).view(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ids_from_doubles(np.tile(np.append(missing, 3.0), 8), "truth")
    assert found[:2].tolist() == [NA_INTEGER, 3]
