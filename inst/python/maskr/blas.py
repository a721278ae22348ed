"""Torch and OpenCV compute matrix products by their own BLAS, inside R too.

R's BLAS, which is the slow reference one unless somebody exchanged it, is loaded for the whole
process, and on Linux the first library that has a function answers all calls of its name. So the
``sgemm_`` that torch and OpenCV bring goes unused, unless they are loaded with ``RTLD_DEEPBIND``,
which lets a library look into itself first. (numpy and scipy call theirs by names of their own;
onnxruntime, torchvision and faster-coco-eval have none.) Nothing here runs where Python runs alone.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from types import ModuleType

from maskr import sitrep

EXTENSIONS = {"torch": "torch._C", "cv2": "cv2"}
"""By package: the compiled module whose loading brings in the package's BLAS."""

FAST = ("openblas", "mkl", "blis", "atlas", "flexiblas", "armpl", "accelerate")
"""What the path of a BLAS holds that is as fast as torch's."""

_protected: set[str] = set()


def protect() -> None:
    """See to it that torch and OpenCV are loaded so that R's BLAS does not answer their calls.

    Does nothing for what is loaded already, nor on systems where libraries don't mix (all but
    Linux with glibc).
    """
    if sys.platform == "linux" and hasattr(os, "RTLD_DEEPBIND") and Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)


class Finder:
    """Finds the compiled modules of `EXTENSIONS`, and nothing else."""

    @classmethod
    def find_spec(
        cls, name: str, path: list[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What Python finds itself, with a loader that looks into the library first."""
        if name not in EXTENSIONS.values():
            return None
        spec = PathFinder.find_spec(name, path, target)
        # cv2 is the name of a package and of the compiled module inside it
        if spec is None or type(spec.loader) is not ExtensionFileLoader:
            return None
        spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


class Loader(ExtensionFileLoader):
    """Loads a compiled module with `RTLD_DEEPBIND`."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Load the library; the flags of others stay as they are."""
        # memory would come from one allocator and go back to another
        if allocator_is_replaced():
            return super().create_module(spec)
        with deepbind():
            module = super().create_module(spec)
        _protected.add(spec.name)
        return module


@contextmanager
def deepbind() -> Iterator[None]:
    """Python loads libraries with `RTLD_DEEPBIND`."""
    before = sys.getdlopenflags()
    sys.setdlopenflags(before | os.RTLD_DEEPBIND)
    try:
        yield
    finally:
        sys.setdlopenflags(before)


def slowed() -> list[str]:
    """The packages that were loaded unprotected, and so compute by a slow BLAS of R's.

    Returns
    -------
    list of str
        Among "torch" and "cv2"; empty where nothing answers before their own BLAS, where that is a
        fast one too, and where the user sees to it (`RTLD_DEEPBIND` among Python's own flags).
    """
    deep = sys.getdlopenflags() & getattr(os, "RTLD_DEEPBIND", 0)
    if deep or not is_slow(global_blas()):
        return []
    return [
        package
        for package, extension in EXTENSIONS.items()
        if package in sys.modules and extension not in _protected
    ]


def speed() -> dict:
    """How fast torch computes matrix products in this process.

    Returns
    -------
    dict
        `gflops`: of a product of 512 x 512, by one thread; None where torch is not loaded.
        `replaced`: whether the allocator of memory is another one, with which torch is loaded
        unprotected.
    """
    torch = sys.modules.get("torch")
    measured = sitrep.gflops(torch) if torch is not None else None
    on_linux = sys.platform == "linux"
    return {"gflops": measured, "replaced": on_linux and allocator_is_replaced()}


def is_slow(blas: str) -> bool:
    """Tell a reference BLAS, by its path, from a fast one and from none ("")."""
    return bool(blas) and not any(name in blas.lower() for name in FAST)


def global_blas() -> str:
    """The file of the BLAS that answers the calls of all libraries on Linux, else ""."""
    function = getattr(process(), "sgemm_", None)
    return file_of(address(function)) if function is not None else ""


def allocator_is_replaced() -> bool:
    """Tell whether ``malloc`` is another than the C library's, as ``LD_PRELOAD`` makes it."""
    return address(process().malloc) != address(ctypes.CDLL("libc.so.6").malloc)


def process() -> ctypes.CDLL | None:
    """The functions that every library of this process sees; None elsewhere than on Linux."""
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def address(function: "ctypes._FuncPointer") -> int:
    """Where a function of C lies."""
    return ctypes.cast(function, ctypes.c_void_p).value


def file_of(place: int) -> str:
    """The file that was loaded to an address; "" if it can't be told."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, *_, name = line.rstrip("\n").split(maxsplit=5)
            first, last = (int(end, 16) for end in span.split("-"))
            if first <= place < last:
                return name if name.startswith("/") else ""
    return ""
