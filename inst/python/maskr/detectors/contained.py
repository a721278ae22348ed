"""Foreign code that changes the process it runs in, kept from doing so."""

import contextlib
import copy
import io
import os
import random
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def contained(environment: dict[str, str] | None = None) -> Iterator[None]:
    """Put back what the block changes of the process's state, and let it print nothing.

    Covers environment variables, random number generators, print options of numpy and torch,
    threads of torch and OpenCV, torch's determinism, warnings, and functions of other packages
    that ultralytics replaces (`torch.save`, `PIL.Image.open`).

    Parameters
    ----------
    environment
        Environment variables to set meanwhile.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_environment(environment or {}))
        stack.enter_context(_random_state())
        stack.enter_context(np.printoptions())
        stack.enter_context(_torch_settings())
        stack.enter_context(_opencv_threads())
        stack.enter_context(_replaced_functions())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield


@contextlib.contextmanager
def _environment(extra: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(extra)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update({k: v for k, v in before.items() if os.environ.get(k) != v})


@contextlib.contextmanager
def _random_state() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    # asking for the state of a GPU that is not in use would start it
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextlib.contextmanager
def _torch_settings() -> Iterator[None]:
    options = torch._tensor_str.PRINT_OPTS
    printing = copy.copy(vars(options))
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic
    fill = torch.utils.deterministic.fill_uninitialized_memory
    try:
        yield
    finally:
        vars(options).update(printing)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.deterministic = cudnn
        torch.utils.deterministic.fill_uninitialized_memory = fill


@contextlib.contextmanager
def _opencv_threads() -> Iterator[None]:
    import cv2

    threads = cv2.getNumThreads()
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


@contextlib.contextmanager
def _replaced_functions() -> Iterator[None]:
    import cv2
    from PIL import Image

    places = [
        (torch, "save"),
        (Image, "open"),
        *((cv2, f) for f in ("imread", "imwrite", "imshow")),
    ]
    before = [(module, name, getattr(module, name)) for module, name in places]
    hook = sys.excepthook
    try:
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)
        sys.excepthook = hook
