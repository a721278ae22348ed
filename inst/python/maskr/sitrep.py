"""A report on a Python, one ``key<TAB>value`` line a fact, for R to read.

Run as a script in a process of its own, so that a torch that crashes takes nothing with it: facts
are printed as they are found, the risky ones last. It imports nothing of maskr and runs on any
Python from 3.7 on, also one without a single package.
"""

from __future__ import annotations

import glob
import importlib
import importlib.util
import os
import platform
import re
import sys
import sysconfig
import time
from collections.abc import Callable
from types import ModuleType


def say(key: str, *values: object) -> None:
    """Print one fact at once, without tabs or line breaks inside its values."""
    line = "\t".join(" ".join(str(value).split()) for value in (key, *values))
    print(line, flush=True)


def report_interpreter() -> None:
    """Say what an embedding R and a new virtualenv ask of an interpreter."""
    static_only = sys.platform.startswith("linux") and not has_shared_library()
    say("version", platform.python_version())
    say("executable", sys.executable)
    say("virtualenv", "yes" if sys.prefix != sys.base_prefix else "no")
    say("shared", "no" if static_only else "yes")
    say("venv", "yes" if importlib.util.find_spec("ensurepip") else "no")


def has_shared_library() -> bool:
    """Tell whether libpython exists as a shared library, which R needs to embed Python."""
    folder = sysconfig.get_config_var("LIBDIR") or ""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    pattern = "libpython{}.{}*.so*".format(*sys.version_info)
    places = [folder, os.path.join(folder, multiarch), os.path.join(sys.base_prefix, "lib")]
    return any(glob.glob(os.path.join(place, pattern)) for place in places)


def report_requirement(requirement: str) -> None:
    """Say which version of a required package is there: ``ok``, ``missing`` or ``other``."""
    import importlib.metadata

    name = re.match(r"[A-Za-z0-9._-]+", requirement).group()
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        say("requirement", requirement, name, "", "missing")
        return
    state = "ok" if satisfies(version, requirement[len(name) :]) else "other"
    say("requirement", requirement, name, version, state)


def satisfies(version: str, wanted: str) -> bool:
    """Tell whether a version lies in a range such as ``>=2.6,<3``."""
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:  # keras brings it; without keras there is worse to report
        return True
    return SpecifierSet(wanted).contains(version, prereleases=True)


def report_import(name: str) -> ModuleType | None:
    """Say whether a package loads, and the error if it doesn't."""
    say(name, "loading")
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever a broken build raises is the finding
        say(name, "error", error)
        return None
    say(name, "ok")
    return module


def report_devices(torch: ModuleType) -> None:
    """Say which devices torch sees, and why there is no GPU."""
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        say("device", f"cuda:{index}", torch.cuda.get_device_name(index))
    mps = getattr(torch.backends, "mps", None)
    if mps is not None and mps.is_available():
        say("device", "mps", "Apple GPU")
    say("device", "cpu", f"{torch.get_num_threads()} threads")
    if not torch.cuda.is_available() and not (mps is not None and mps.is_available()):
        say("no_gpu", why_no_gpu(torch))


def why_no_gpu(torch: ModuleType) -> str:
    """Give the reason in words, from the most basic one up."""
    if sys.platform == "darwin":
        return "this Mac, or its macOS, has no Metal GPU that torch supports"
    if torch.version.cuda is None and torch.version.hip is None:
        return "this build of torch is for the CPU only"
    drivers = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
    if sys.platform.startswith("linux") and not any(map(os.path.exists, drivers)):
        return "no GPU with a loaded driver on this machine"
    try:
        torch.cuda.init()
    except Exception as error:  # torch's own words are the answer
        return str(error)
    return "torch sees no GPU"


def report_nms(torch: ModuleType) -> None:
    """Say whether torchvision's compiled operators fit this torch."""
    try:
        import torchvision

        boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
        torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)
    except Exception as error:  # as above
        say("torchvision", "error", error)
    else:
        say("torchvision", "ok")


def gflops(torch: ModuleType, size: int = 512, runs: int = 10) -> float:
    """Speed of the quickest of some products of two matrices by one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        matrix = torch.full((size, size), 0.5)
        return 2 * size**3 / min(seconds_of(matrix.matmul, matrix) for _ in range(runs)) / 1e9
    finally:
        torch.set_num_threads(threads)


def seconds_of(function: Callable, argument: object) -> float:
    """Time one call."""
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def main(requirements: list[str]) -> None:
    """Report on this Python; without requirements, on the interpreter only."""
    report_interpreter()
    if not requirements or sys.version_info < (3, 8):
        return
    for requirement in requirements:
        report_requirement(requirement)
    if importlib.util.find_spec("cv2"):
        report_import("cv2")
    if importlib.util.find_spec("torch"):
        torch = report_import("torch")
        if torch is not None:
            report_nms(torch)
            report_devices(torch)
            say("gflops", round(gflops(torch), 1))
    say("end", "yes")


if __name__ == "__main__":
    # This file's folder must not stand on the path: its neighbours would hide other packages.
    sys.path.pop(0)
    main(sys.argv[1:])
