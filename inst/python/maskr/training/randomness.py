"""The states of all sources of chance that a training may draw from."""

import random

import keras
import numpy as np
import torch


class RandomStates:
    """The generators of Python, numpy, torch (on every device) and Keras.

    Those of datasets are the loaders' own.
    """

    def state(self) -> dict:
        """The generators' states: tensors and plain values."""
        states = {
            "python": random.getstate(),
            "numpy": numpy_state(),
            "torch": torch.get_rng_state(),
            "keras": keras_state(),
        }
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state_all()
        if torch.backends.mps.is_available():
            states["mps"] = torch.mps.get_rng_state()
        return states

    def restore_state(self, state: dict) -> None:
        """Go on drawing where `state()` was asked for."""
        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])
        restore_keras(state["keras"])
        if "cuda" in state and torch.cuda.is_available():
            # a run that moved to a machine with fewer GPUs uses those that there are
            for device, value in enumerate(state["cuda"][: torch.cuda.device_count()]):
                torch.cuda.set_rng_state(value, device)
        if "mps" in state and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state["mps"])


def numpy_state() -> dict:
    """The state of numpy's global generator, in plain values."""
    state = np.random.get_state(legacy=False)
    return state | {"state": state["state"] | {"key": state["state"]["key"].tolist()}}


def keras_state() -> list[int] | None:
    """The state of the generator behind Keras's own random layers; None before its first use."""
    generator = _global_attributes().get_global_attribute(_NAME)
    return None if generator is None else generator.state.value.tolist()


def restore_keras(state: list[int] | None) -> None:
    """The inverse of `keras_state()`."""
    generator = None
    if state is not None:
        generator = keras.random.SeedGenerator(0)
        generator.state.assign(state)
    _global_attributes().set_global_attribute(_NAME, generator)


_NAME = "global_seed_generator"


def _global_attributes():  # noqa: ANN202 (a module)
    # Keras shows this generator nowhere in its public interface.
    from keras.src.backend.common import global_state

    return global_state
