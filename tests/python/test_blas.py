"""Torch and OpenCV are loaded so that no other BLAS of the process answers their calls."""

import _imp
import ctypes
import importlib
import importlib.util
import os
import subprocess
import sys
import types
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path

import orjson.orjson as some_extension
import pytest
from maskr import blas

PYTHON_FOLDER = str(Path(blas.__file__).parents[1])
on_glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "RTLD_DEEPBIND"), reason="libraries do not mix here"
)


def run(code, **env):
    """What a Python of its own prints."""
    env = {**os.environ, "PYTHONPATH": PYTHON_FOLDER, **env}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


@pytest.fixture
def protected(monkeypatch, tmp_path):
    """Protection of a compiled module that stands for OpenCV's, in a folder on the path."""
    (tmp_path / f"cv2{EXTENSION_SUFFIXES[-1]}").write_bytes(
        Path(some_extension.__file__).read_bytes()
    )
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.setattr(blas, "_protected", set())
    importlib.invalidate_caches()
    blas.protect()
    yield
    importlib.invalidate_caches()


@pytest.fixture
def flags(monkeypatch):
    """The flags that libraries are loaded with; no library is."""
    seen = []

    def create(spec):
        seen.append(sys.getdlopenflags())
        return types.ModuleType(spec.name)

    monkeypatch.setattr(_imp, "create_dynamic", create)
    monkeypatch.setattr(_imp, "exec_dynamic", lambda module: 0)
    return seen


@on_glibc
def test_the_library_looks_into_itself_first_and_others_do_not(protected, flags):
    before = sys.getdlopenflags()
    import cv2

    assert isinstance(cv2.__spec__.loader, blas.Loader)
    assert flags == [before | os.RTLD_DEEPBIND]
    assert sys.getdlopenflags() == before
    assert blas.Finder.find_spec("orjson.orjson") is None


@on_glibc
def test_flags_are_put_back_where_loading_fails(protected, monkeypatch):
    def fail(spec):
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(_imp, "create_dynamic", fail)
    before = sys.getdlopenflags()
    with pytest.raises(ImportError, match="libGL"):
        importlib.import_module("cv2")
    assert sys.getdlopenflags() == before
    assert "cv2" not in blas._protected


@on_glibc
def test_memory_is_not_split_between_two_allocators(protected, flags, monkeypatch):
    monkeypatch.setattr(blas, "allocator_is_replaced", lambda: True)
    before = sys.getdlopenflags()
    importlib.import_module("cv2")
    assert flags == [before]


def test_nothing_changes_on_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.setattr(sys, "platform", "darwin")
    blas.protect()
    assert sys.meta_path == []
    assert blas.global_blas() == "" and blas.slowed() == []
    monkeypatch.setattr(sys, "platform", "linux")
    # as with musl
    monkeypatch.delattr(os, "RTLD_DEEPBIND", raising=False)
    blas.protect()
    assert sys.meta_path == []


@on_glibc
def test_protection_is_there_once(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [])
    blas.protect()
    blas.protect()
    assert sys.meta_path == [blas.Finder]


def test_packages_and_modules_in_python_are_left_to_python(protected, tmp_path):
    (tmp_path / f"cv2{EXTENSION_SUFFIXES[-1]}").unlink()
    (tmp_path / "cv2.py").write_text("value = 1")
    importlib.invalidate_caches()
    assert blas.Finder.find_spec("cv2") is None
    assert importlib.import_module("cv2").value == 1


@pytest.fixture
def slow_blas(monkeypatch):
    monkeypatch.setattr(blas, "global_blas", lambda: "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3")
    monkeypatch.setattr(blas, "_protected", set())
    for name in ("torch", "cv2"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@on_glibc
def test_what_came_too_early_is_told_from_what_did_not(slow_blas, monkeypatch):
    assert blas.slowed() == []
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert blas.slowed() == ["torch"]
    monkeypatch.setitem(sys.modules, "cv2", types.ModuleType("cv2"))
    assert blas.slowed() == ["torch", "cv2"]
    blas._protected.add("torch._C")
    assert blas.slowed() == ["cv2"]
    # whoever sets the flags for all of Python needs no advice
    monkeypatch.setattr(sys, "getdlopenflags", lambda: os.RTLD_NOW | os.RTLD_DEEPBIND)
    assert blas.slowed() == []


@pytest.mark.parametrize(
    ("path", "slow"),
    [
        ("", False),
        ("/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0", True),
        ("/usr/lib/R/lib/libRblas.so", True),
        ("/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3", False),
        ("/opt/intel/mkl/lib/intel64/libmkl_rt.so.2", False),
        ("/usr/lib64/libflexiblas.so.3.4", False),
        ("/opt/conda/lib/libopenblasp-r0.3.28.so", False),
    ],
)
def test_reference_blas_is_told_from_fast_ones(path, slow):
    assert blas.is_slow(path) is slow


@on_glibc
def test_libraries_are_told_by_the_addresses_of_their_functions():
    malloc = ctypes.CDLL("libc.so.6").malloc
    assert "libc" in os.path.basename(blas.file_of(blas.address(malloc)))
    assert blas.file_of(0) == ""
    assert ExtensionFileLoader in blas.Loader.__mro__


def test_python_alone_has_nothing_to_say():
    code = "import torch, cv2; from maskr import blas; print(blas.slowed(), blas.global_blas())"
    assert run(code) == "[]"


def test_products_are_right_and_the_speed_is_a_number():
    code = (
        "from maskr import blas; blas.protect()\n"
        "assert blas.speed()['gflops'] is None\n"
        "import torch, cv2, numpy as np\n"
        "threads = torch.get_num_threads()\n"
        "assert blas.speed()['gflops'] > 0 and torch.get_num_threads() == threads\n"
        "a = np.random.default_rng(1).random((96, 64), dtype=np.float32)\n"
        "exact = a.astype(float) @ a.T.astype(float)\n"
        "by_torch = torch.from_numpy(a) @ torch.from_numpy(a).T\n"
        "by_opencv = cv2.gemm(a, a, 1, None, 0, flags=cv2.GEMM_2_T)\n"
        "print(np.allclose(by_torch, exact), np.allclose(by_opencv, exact))\n"
        "try: torch.zeros(2) @ torch.zeros(3)\n"
        "except RuntimeError: print('caught')\n"
        "print(sorted(blas._protected))\n"
    )
    assert run(code).splitlines() == ["True True", "caught", "['cv2', 'torch._C']"]
