"""Fixtures for all tests."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

os.environ["KERAS_BACKEND"] = "torch"
# The networks are tiny, and several processes test side by side: threads that wait for each other
# by spinning cost far more than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shared_data() -> Callable[[str], str]:
    """Path of a file of the shared test material; skips where it is missing."""

    def find(path: str) -> str:
        folder = Path(os.environ.get("MASKR_TEST_DATA") or ROOT.parent / "shared" / "data")
        file = folder / path
        if not file.exists():
            pytest.skip(f"no shared test data: {path}")
        return str(file)

    return find


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)
