"""Instance, panoptic and promptable models behind one contract, see `base.Detector`.

They are saved as safetensors: the parameters, and under the metadata key "maskr" a JSON object that
says how to build the module again. Reading such a file never unpickles anything.
"""

import json
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from maskr import checkpoints
from maskr.detectors.base import Detector
from maskr.errors import FileError, FormatError, WeightsError, images_called
from maskr.files import atomically

METADATA = "maskr"
VERSION = 1

FAMILIES = {"yolo": "maskr.detectors.yolo"}
"""Module of each family of detectors; its function `restore(config, state)` builds one."""


def predict(
    detector: Detector, images: Sequence[Any], names: Sequence[str] = (), **options: Any
) -> dict:
    """Find objects for R: columns of a data frame and the size of each image.

    Errors call images by their `names`, or by number.
    """
    with images_called(names):
        found = detector.predict(images, **options)
    return {
        "found": [{"columns": one.to_r(), "size": list(one.size)} for one in found],
        "class_names": list(detector.classes),
        "class_ids": list(detector.classes.values()),
    }


def describe(detector: Detector) -> dict:
    """Describe a detector for R."""
    return detector.describe()


def save(detector: Detector, path: str) -> None:
    """Write a detector to a safetensors file, which is there as a whole or not at all."""
    from safetensors.torch import save

    header = {
        "version": VERSION,
        "kind": "detector",
        "family": detector.family,
        "config": detector.config(),
    }
    state = {name: value.contiguous().cpu() for name, value in detector.state().items()}
    data = save(state, metadata={METADATA: json.dumps(header)})
    atomically(path, lambda part: Path(part).write_bytes(data))


def load(path: str) -> Detector:
    """Read a detector that `save()` wrote.

    Raises
    ------
    FormatError
        If the file is not there, damaged, or not one of maskr's detectors.
    """
    header, state = read(path)
    family = header.get("family")
    if header.get("kind") != "detector" or family not in FAMILIES:
        raise FormatError(
            f"The file {path} does not hold a detector that this version of maskr knows.",
            argument="path",
        )
    if header.get("version", 0) > VERSION:
        raise FormatError(
            f"The file {path} was written by a newer version of maskr.",
            hint="Update maskr.",
            argument="path",
        )
    return import_module(FAMILIES[family]).restore(header["config"], state)


def read(path: str) -> tuple[dict, dict]:
    """Read the header and the parameters of a file that `save()` wrote."""
    if not os.path.isfile(path):
        raise FileError(f"There is no file {path}.", argument="path")
    if checkpoints.kind_of(path) != checkpoints.SAFETENSORS:
        raise FormatError(
            checkpoints.is_not(path, "a detector that maskr saved"), argument="path"
        )
    try:
        state, texts = checkpoints.read_safetensors(path)
    except WeightsError as error:
        raise FormatError(error.text, argument="path") from error
    try:
        header = json.loads(texts.get(METADATA, ""))
    except json.JSONDecodeError:
        header = None
    if not isinstance(header, dict):
        raise FormatError(
            f"The file {path} holds weights only: nothing in it says which model they are of.",
            hint="Build the model with its own function, and give it the file as `weights`.",
            argument="path",
        )
    return header, state
