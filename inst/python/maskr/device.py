"""Which device models run on, and which precision it computes fast in."""

import functools
import itertools
import pathlib

import torch

from maskr import members
from maskr.errors import DataError, DeviceError

_chosen = "auto"

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

INSTRUCTIONS = {
    "bfloat16": {"avx512_bf16", "amx_bf16"},
    "float16": {"avx512_fp16", "amx_fp16"},
}
"""By precision: the flags of CPUs that compute in it; all others convert every number."""


def choose(device: str | None = None) -> str:
    """Choose the session's device, or with None only ask for it.

    Parameters
    ----------
    device
        "auto", "cpu", "cuda", "cuda:<n>", "mps" or None.

    Returns
    -------
    str
        The device that models run on from now.

    Raises
    ------
    DeviceError
        If the device is unknown or not there.
    """
    global _chosen
    if device is not None:
        if device != "auto":
            _require(device)
        _chosen = device
    return _first_available() if _chosen == "auto" else _chosen


def _first_available() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _require(device: str) -> None:
    kind, _, index = device.partition(":")
    counts = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in counts or (index and not index.isdigit()):
        raise DeviceError(
            f'There is no device "{device}".',
            hint='Devices are "auto", "cpu", "cuda", "cuda:<n>" and "mps".',
            argument="device",
        )
    if int(index or 0) >= counts[kind]:
        raise DeviceError(
            f'The device "{device}" is not available on this machine.',
            hint="`seg_sitrep()` says which devices there are, and why there is no GPU.",
            argument="device",
        )


def precision(wanted: str, device: str, trained_dims: int | None = None) -> str:
    """The precision to compute in: `wanted`, or for "auto" the fastest that keeps classes equal.

    bfloat16 on GPUs that have it (compute capability 8 and newer) and on CPUs whose instructions
    include it (AVX-512 BF16, AMX); float32 elsewhere. `trained_dims` is 2 or 3 where a network of
    images or volumes is to be trained.

    Raises
    ------
    DataError
        If there is no such precision, or it can't train volumes on this device.
    """
    # oneDNN reads uninitialised memory for weight gradients of bfloat16 volumes of depth 2
    if trained_dims == 3 and device.startswith("cpu"):
        if wanted == "auto":
            return "float32"
        if wanted == "bfloat16":
            raise DataError(
                "On the CPU, torch computes wrong gradients of volumes in bfloat16.",
                hint='Train volumes with `precision = "float32"`, or on a GPU.',
                argument="precision",
            )
    if wanted in DTYPES:
        return wanted
    if wanted != "auto":
        raise DataError(
            f'There is no precision "{wanted}".',
            hint=f"Choose one of auto, {', '.join(DTYPES)}.",
            argument="precision",
        )
    if device.startswith("cuda"):
        fast = torch.cuda.get_device_capability(device)[0] >= 8
    else:
        fast = device == "cpu" and _cpu_has("bfloat16")
    return "bfloat16" if fast else "float32"


def is_slow(precision: str) -> bool:
    """Tell whether the session's device computes in a precision more slowly than in float32.

    CPUs without instructions for it do, about ten times.
    """
    return choose() == "cpu" and precision in INSTRUCTIONS and not _cpu_has(precision)


def _cpu_has(precision: str) -> bool:
    return not INSTRUCTIONS[precision].isdisjoint(_cpu_flags())


@functools.cache
def _cpu_flags() -> frozenset[str]:
    # torch offers no public question for this; elsewhere than on Linux the answer is "none"
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    return frozenset(cpuinfo.read_text().split() if cpuinfo.exists() else ())


def autocast(device: str, precision: str) -> torch.autocast:
    """The context in which a module computes in `precision` on `device`."""
    return torch.autocast(
        device.partition(":")[0], DTYPES[precision], enabled=precision != "float32"
    )


def layout(module: torch.nn.Module) -> torch.memory_format:
    """The order of memory in which a network is fastest: channels last for most networks of images.

    Depthwise convolutions of large dilation, such as DeepLabv3+'s, have fast kernels for the usual
    order alone on CPUs of all kinds; networks that are mostly matrices between tokens, as
    transformers are, gain little and lose where they return to images. TorchScript stays as it is.
    """
    tensors = itertools.chain(members.parameters(module), members.buffers(module))
    if members.is_script(module) or any(tensor.ndim > 4 for tensor in tensors):
        return torch.contiguous_format
    layers = list(members.modules(module))
    convolutions = [layer for layer in layers if isinstance(layer, torch.nn.Conv2d)]
    if any(max(c.dilation) > 2 and c.groups == c.in_channels > 1 for c in convolutions):
        return torch.contiguous_format
    matrices = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    within = [sum(layer.weight.numel() for layer in of) for of in (convolutions, matrices)]
    return torch.channels_last if within[0] >= within[1] else torch.contiguous_format


def laid_out(module: torch.nn.Module) -> torch.nn.Module:
    """The network itself, its weights now in the order of memory that `layout()` says.

    To be called when it is built, before anybody holds views of tensors that are replaced here.
    """
    return module.to(memory_format=layout(module))
