"""Weights of whole networks: finding them, and what they tell of their network."""

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path

import torch

from maskr import (
    adapting,
    architectures,
    checkpoints,
    segformer_names,
    state_dicts,
    weight_folders,
    weights,
)
from maskr.asked import Asked, check_said, same
from maskr.errors import FileError, WeightsError
from maskr.pretrained import said_of_licence
from maskr.published import FRACTIONS, KNOWN, Published
from maskr.spec import Spec

SHIPPED = Path(__file__).parents[2] / "weights"
"""Folder of the weights that come with the package."""


@dataclass(frozen=True)
class Found:
    """Weights, and what is known of their network.

    Attributes
    ----------
    state
        The weights.
    spec
        The network; None where nothing tells it. It may lack classes.
    notes
        What there is to say about them.
    settings
        Those of a network of segmentation-models-pytorch, which must be those of ours.
    """

    state: dict[str, torch.Tensor]
    spec: Spec | None = None
    notes: list[str] = field(default_factory=list)
    settings: dict = field(default_factory=dict)


def found(asked: Asked, name: str, cache: str) -> Found:
    """Published weights of a name, or those of a path."""
    known = [one for one in KNOWN.values() if one.name == name]
    mine = [one for one in known if one.architecture == asked.architecture]
    if name == "nuclei" and mine:
        held = read(asked, str(SHIPPED / KNOWN[name].file), name)
        return dataclasses.replace(held, spec=dataclasses.replace(held.spec, seen=FRACTIONS))
    if mine:
        one = chosen(mine, asked)
        check_said(asked, one.spec, name, mine)  # before anything is downloaded
        key = one.name if one.name in KNOWN else one.file
        state, _ = state_dicts.load(weights.locate(key, cache=cache))
        return Found(state, one.spec, said_of_licence("The weights", one.licence))
    if os.path.isdir(name):
        return read_folder(asked, name)
    if os.path.isfile(name):
        return read(asked, name, name)
    others = {one.name: None for one in KNOWN.values() if one.architecture == asked.architecture}
    of = "".join(f'"{other}", ' for other in others)
    title = architectures.entry(asked.architecture).title
    is_path = os.path.dirname(name) or Path(name).suffix
    kind = FileError if is_path else WeightsError
    raise kind(
        f'There is no file or folder "{name}".'
        if is_path
        else f'There are no weights "{name}" of {title}.',
        hint=f"Weights are {of}or the path of a file or folder."
        if others
        else "Give the path of a file or folder.",
        argument="weights",
    )


def read_folder(asked: Asked, folder: str) -> Found:
    """A folder of weights, and what its description tells about their network."""
    held = weight_folders.opened(folder, asked.architecture)
    if held.spec is None:
        return read(asked, held.file, folder)
    check_said(asked, held.spec, folder)
    state, notes = load(held.spec.architecture, held.spec.arguments, held.file)
    return Found(state, held.spec, notes, held.settings)


def load(architecture: str, arguments: dict, path: str) -> tuple[dict[str, torch.Tensor], list]:
    """The weights of a network in a file, which may name them otherwise, and notes."""
    anchors, _ = adapting.ends(architecture, 3, 3, arguments)
    if architecture == "segformer":
        anchors.append(segformer_names.FIRST)
    state, notes = state_dicts.load(path, anchors)
    return segformer_names.renamed(state), notes


def read(asked: Asked, path: str, name: str) -> Found:
    """A file of weights, and what it tells about its network."""
    if Path(path).suffix == ".keras":
        raise WeightsError(
            f'"{name}" is a whole model, not weights alone.',
            hint=f'Load it with `seg_load("{name}")`.',
            argument="weights",
        )
    state, notes = load(asked.architecture, asked.arguments, path)
    metadata = checkpoints.metadata(path)
    if metadata is None:
        return Found(state, notes=notes)
    spec = Spec.from_dict(metadata["spec"])
    if spec.architecture != asked.architecture:
        raise WeightsError(
            f'The weights "{name}" are of the architecture "{spec.architecture}", not '
            f'"{asked.architecture}".',
            argument="weights",
        )
    check_said(asked, spec, name)
    return Found(state, spec, notes)


def chosen(known: list[Published], asked: Asked) -> Published:
    """Of several sizes of a network, the one that was asked for; else the default, or the first."""
    with_defaults = architectures.entry(asked.architecture).defaults | asked.arguments
    for said in (with_defaults, asked.arguments):
        fits = [one for one in known if agree(one.arguments, said)]
        if fits:
            return fits[0]
    return known[0]


def agree(held: dict, said: dict) -> bool:
    """Do two sets of arguments contradict each other nowhere?"""
    return all(same(said[name], value) for name, value in held.items() if name in said)


def without_description(asked: Asked, state: dict[str, torch.Tensor], name: str) -> Asked:
    """What was asked for, completed by what a bare state dict tells of its network.

    Raises
    ------
    WeightsError
        If it is of another network.
    """
    first, _ = adapting.ends(asked.architecture, 3, 3, asked.arguments)
    if any(key not in state for key in first):
        title = architectures.entry(asked.architecture).title
        expected = adapting.shapes(asked.architecture, 3, 3, asked.arguments)
        raise state_dicts.misfit(name, state, title, expected)
    held = told(asked, state, state[first[0]].shape[0])
    said = {k: v for k, v in asked.arguments.items() if k in held}
    check_said(dataclasses.replace(asked, arguments=said), Spec(asked.architecture, held), name)
    return dataclasses.replace(
        asked,
        arguments=asked.arguments | held,
        in_channels=asked.in_channels or state[first[0]].shape[1],
    )


def told(asked: Asked, state: dict[str, torch.Tensor], features: int) -> dict:
    """Arguments of a U-Net that names and sizes of its tensors tell.

    Those on an encoder have no `init_features`. Nearest neighbours have the same tensors as
    bilinear interpolation: that of the two is meant that was asked for, else the usual one, which
    in segmentation-models-pytorch are the neighbours.
    """
    on_encoder = "encoder" in asked.arguments
    learned = "decoder.blocks.0.upsample.weight" if on_encoder else "upconv4.weight"
    if learned in state:
        upsample = "transposed"
    elif asked.arguments.get("upsample") in ("bilinear", "nearest"):
        upsample = asked.arguments["upsample"]
    else:
        upsample = "nearest" if on_encoder else "bilinear"
    held = {"upsample": upsample} if on_encoder else {
        "init_features": features, "upsample": upsample
    }
    defaults = architectures.entry(asked.architecture).defaults
    return {name: value for name, value in held.items() if name in defaults}
