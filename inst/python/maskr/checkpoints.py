"""Files of weights and networks: what they are, and opening them without running code.

Whatever in maskr opens such a file of others does so here, or asks here first.
"""

import json
import os
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch

from maskr.errors import FileError, FormatError, TrustError, WeightsError
from maskr.quiet import quiet

SAFETENSORS, PICKLE = "a safetensors file", "a pickle of PyTorch's"
SCRIPT, KERAS = "a TorchScript file", "a Keras model"

STARTS = {
    b"\x89HDF": "an HDF5 file, as Keras writes them",
    b"version https://git-lfs": "a Git LFS pointer, which stands for a file that Git LFS downloads",
    b"<": "a web page",
}
"""What files are that begin so."""

ENTRIES = {
    "constants.pkl": SCRIPT,
    "data.pkl": PICKLE,
    "archive_format": "a program of torch.export",
    "model.weights.h5": KERAS,
}
"""What ZIP archives are that hold such a file."""


def kind_of(path: str) -> str:
    """What a file is by its content, in words; "" where it is damaged, unknown or not there."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        start = file.read(32)
    # eight bytes of length, then a JSON object
    if start[8:9] == b"{" or Path(path).suffix == ".safetensors" and not start.startswith(b"<"):
        return SAFETENSORS
    if start.startswith(b"PK"):
        return _kind_of_archive(path)
    if start.startswith(b"\x80"):  # as PyTorch wrote before 1.6
        return PICKLE
    if Path(path).suffix == ".onnx":
        return "an ONNX file"
    return next((kind for bytes_, kind in STARTS.items() if start.startswith(bytes_)), "")


def _kind_of_archive(path: str) -> str:
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as archive:
        names = {os.path.basename(name) for name in archive.namelist()}
    return next((kind for name, kind in ENTRIES.items() if name in names), "")


def read(path: str) -> object:
    """The content of a file of weights: tensors, and plain values beside them.

    Raises
    ------
    TrustError
        If the file holds Python objects other than those.
    WeightsError
        If it is not there, damaged, or of another kind.
    """
    require_file(path)
    kind = kind_of(path)
    if kind == SAFETENSORS:
        return read_safetensors(path)[0]
    if kind == PICKLE:
        return _read_pickle(path)
    if kind == SCRIPT:
        raise WeightsError(
            f"The file {path} is {SCRIPT}, which holds a whole network.",
            hint=instead(kind),
            argument="weights",
        )
    if kind:
        raise WeightsError(
            is_not(path, "a file of weights"),
            hint="Weights are files of safetensors or of `torch.save(module.state_dict(), path)`.",
            argument="weights",
        )
    raise damaged(path)


def require_file(path: str) -> None:
    """Raise a FileError where there is no file."""
    if not os.path.isfile(path):
        raise FileError(f"There is no file {path}.", argument="weights")


def damaged(path: str) -> WeightsError:
    """The error of a file that can't be read."""
    return WeightsError(
        f"The file {path} is damaged, or not a weights file of PyTorch.", argument="weights"
    )


def read_safetensors(path: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and the texts beside them.

    Raises
    ------
    WeightsError
        If it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            # iterating over the file itself gives no names
            return {k: file.get_tensor(k) for k in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"The file {path} is damaged, or not a safetensors file: {error}.", argument="weights"
        ) from error


def metadata(path: str) -> dict | None:
    """What maskr wrote beside the weights in a safetensors file; None where there is nothing."""
    if kind_of(path) != SAFETENSORS:
        return None
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("maskr")
    return None if text is None else json.loads(text)


def is_not(path: str, what: str) -> str:
    """The sentence that says of what kind a file is, instead of `what`."""
    kind = kind_of(path) or "damaged or of no kind that maskr knows"
    return f"The file {path} is {kind}, not {what}."


def _read_pickle(path: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise untrusted(path) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise damaged(path) from error


def untrusted(path: str) -> TrustError:
    """The error of a file that holds Python objects."""
    names = foreign_classes(path)
    shown = f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
    return TrustError(
        f"The file {path} holds pickled Python objects{shown}, which can run code when they are "
        "loaded; maskr loads tensors only.",
        hint="Where the file was made, save `module.state_dict()` instead, best with safetensors.",
        argument="weights",
    )


# --- What a pickle would import ------------------------------------------------------------------

HARMLESS = (
    "torch ",
    "torch._",
    "torch.storage ",
    "torch.serialization ",
    "collections ",
    "numpy",
    "_codecs ",
    "builtins ",
    "__builtin__ ",
)
"""Beginnings of what pickles of tensors import."""


def foreign_classes(path: str) -> list[str]:
    """Classes and functions that a pickle would import, without those of PyTorch and numpy.

    Nothing is imported or run.
    """
    found = dict.fromkeys(name for name in _imports(path) if not name.startswith(HARMLESS))
    return [name.replace(" ", ".") for name in found]


def _imports(path: str) -> list[str]:
    found, strings = [], ["", ""]
    try:
        for opcode, argument, _ in _operations(path):
            if opcode.name == "GLOBAL":
                found.append(argument)
            elif opcode.name == "STACK_GLOBAL":
                found.append(" ".join(strings[-2:]))
            elif isinstance(argument, str):
                strings.append(argument)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile):
        pass  # a damaged file tells what it can
    return found


def _operations(path: str) -> Iterator[tuple]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if os.path.basename(n) == "data.pkl")
            yield from pickletools.genops(archive.read(name))
        return
    with open(path, "rb") as file:
        # PyTorch before 1.6 wrote several pickles: what it is, for which machine, and the content
        for _ in range(4):
            yield from pickletools.genops(file)


# --- TorchScript ---------------------------------------------------------------------------------


def open_script(path: str, trust: bool) -> torch.jit.ScriptModule:
    """The network in a TorchScript file.

    Raises
    ------
    FormatError
        If it is not there, not one, or damaged.
    TrustError
        Without `trust`.
    """
    if not os.path.isfile(path):
        raise FileError(f"There is no file {path}.", argument="module")
    kind = kind_of(path)
    if kind != SCRIPT:
        raise FormatError(is_not(path, SCRIPT), hint=instead(kind), argument="module")
    if not trust:
        raise TrustError(
            f"The TorchScript file {path} holds code, which runs on this machine when the network "
            "does.",
            hint="If you trust whoever made it, write `trust = TRUE`.",
            argument="trust",
        )
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise FormatError(
            f"The TorchScript file {path} is damaged, or not for this version of PyTorch "
            f"({torch.__version__}): {lines[0]}",
            argument="module",
        ) from error


def instead(kind: str) -> str:
    """What can be done with a file that is not of the kind that is needed."""
    if kind == KERAS:
        return "Load a model that maskr saved with `seg_load(path)`."
    if kind == SCRIPT:
        return "Make a model of it with `seg_wrap(path, trust = TRUE)`."
    if kind in (SAFETENSORS, PICKLE):
        return (
            "Weights need their network. If it is one of maskr's, give the file as `weights`; if "
            "not, build the module in Python, load the weights into it, and use `seg_wrap()`."
        )
    return ""
