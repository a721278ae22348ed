"""Models of registered architectures, with fresh or published weights."""

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from maskr import adapting, architectures, weights
from maskr.errors import DataError, WeightsError
from maskr.model import SegModel
from maskr.preprocess import Preprocess
from maskr.published import KNOWN, Published
from maskr.spec import Spec

SHIPPED = Path(__file__).parents[2] / "weights"
"""Folder of the weights that come with the package."""


@dataclass(frozen=True)
class Asked:
    """What was asked for; None, or missing in `arguments`, is "not said"."""

    architecture: str
    in_channels: int | None = None
    classes: dict[str, int] | None = None
    arguments: dict = field(default_factory=dict)
    preprocess: Preprocess | None = None

    def spec(self) -> Spec:
        """The specification of what was said, else the defaults."""
        if self.classes is None:
            raise DataError(
                "A model needs to know its classes.",
                hint="Write for example `classes = c(background = 0, nucleus = 1)`.",
                argument="classes",
            )
        return Spec(
            self.architecture,
            self.arguments,
            in_channels=self.in_channels or 3,
            classes=self.classes,
            preprocess=self.preprocess or Preprocess(),
        )


def build(
    architecture: str,
    in_channels: int | None = None,
    classes: dict[str, int] | None = None,
    arguments: dict | None = None,
    weights_name: str | None = None,
    encoder_weights: str | None = None,
    preprocess: dict | None = None,
    cache: str = "",
    seed: int | None = None,
) -> SegModel:
    """A model of an architecture.

    Parameters
    ----------
    architecture
        Its name in the registry.
    in_channels, classes, arguments, preprocess
        None, also inside `arguments`, is "not said": the weights decide, else the defaults.
    weights_name
        Published weights of the whole network by name, a file of weights, or None.
    encoder_weights
        Published weights of the encoder, such as "imagenet", or None. Without `preprocess`, images
        of three channels are then normalised as the encoder's were.
    cache
        Folder for downloaded weights, or several: all are searched, the last gets downloads.
    seed
        Of the initial weights.

    Returns
    -------
    SegModel
        Its `notes` tell what was adapted.

    Raises
    ------
    DataError
        If classes are missing, or an argument is wrong or contradicts the weights.
    WeightsError
        If the weights are not there or don't fit.
    """
    asked = Asked(
        architecture,
        in_channels,
        classes,
        {name: value for name, value in (arguments or {}).items() if value is not None},
        None if preprocess is None else Preprocess(**preprocess),
    )
    if weights_name is None:
        if encoder_weights is None:
            model, notes = fresh(asked.spec(), seed), []
        else:
            model, notes = with_encoder(asked, encoder_weights, cache, seed)
    elif encoder_weights is not None:
        raise DataError(
            "Weights of the whole network bring those of its encoder.",
            hint="Give `weights` or `encoder_weights`.",
            argument="encoder_weights",
        )
    else:
        model, notes = with_weights(asked, weights_name, cache, seed)
    model.notes = tuple(notes)
    return model


def r_build(architecture: str, **arguments: object) -> dict:
    """`build()` for R: the `model`, and its `notes` as a plain list."""
    model = build(architecture, **arguments)
    return {"model": model, "notes": list(model.notes)}


def fresh(spec: Spec, seed: int | None) -> SegModel:
    """A freshly initialised model, which knows what sizes its network needs."""
    model = SegModel.from_architecture(spec, seed)
    model.spec = dataclasses.replace(spec, multiple=model.module.multiple)
    return model


def with_encoder(
    asked: Asked, name: str, cache: str, seed: int | None
) -> tuple[SegModel, list[str]]:
    """A model with published weights in its encoder, and what there is to say about them."""
    from maskr import pretrained

    spec = asked.spec()
    # first the file: a large network takes long to build for nothing
    source, path = pretrained.located(spec.architecture, spec.arguments, name, cache)
    model = fresh(spec, seed)
    notes = pretrained.into_encoder(model.module, spec.in_channels, source, path)
    if asked.preprocess is None and spec.in_channels == 3:
        model.spec = dataclasses.replace(model.spec, preprocess=source.preprocess)
    return model, notes


def with_weights(
    asked: Asked, name: str, cache: str, seed: int | None
) -> tuple[SegModel, list[str]]:
    """A model with weights of the whole network, and what there is to say about them."""
    held, state, notes = found(asked, name, cache)
    if held is None:
        asked = without_description(asked, state, name)
        spec, keep = asked.spec(), True
    else:
        spec, more = changed(held, asked)
        notes += more
        keep = list(spec.classes) == list(held.classes)
    model = fresh(spec, seed)
    first, last = adapting.ends(
        spec.architecture, spec.in_channels, spec.out_channels, spec.arguments
    )
    state = adapting.known_tensors(model.module, state)
    state, more = adapting.fitted(model.module, state, first, last, keep)
    weights.into(model.module, state)
    return model, notes + more


def found(
    asked: Asked, name: str, cache: str
) -> tuple[Spec | None, dict[str, torch.Tensor], list[str]]:
    """The network that weights are of (None if the file does not tell), the weights, and notes."""
    known = [one for one in KNOWN.values() if one.name == name]
    mine = [one for one in known if one.architecture == asked.architecture]
    if name == "nuclei" and mine:
        return *read(asked, str(SHIPPED / KNOWN[name].file), name), []
    if mine:
        from maskr.pretrained import said_of_licence

        one = chosen(mine, asked)
        check_said(asked, one.spec, name, mine)  # before anything is downloaded
        key = one.name if one.name in KNOWN else one.file
        state = weights.load_state_dict(weights.locate(key, cache=cache))
        return one.spec, state, said_of_licence("The weights", one.licence)
    if os.path.isfile(name):
        return *read(asked, name, name), []
    others = {one.name: None for one in KNOWN.values() if one.architecture == asked.architecture}
    of = "".join(f'"{other}", ' for other in others)
    title = architectures.entry(asked.architecture).title
    is_path = os.path.exists(name) or os.path.dirname(name) or Path(name).suffix
    raise WeightsError(
        f'There is no file "{name}".' if is_path else f'There are no weights "{name}" of {title}.',
        hint=f"Weights are {of}or the path of a file." if others else "Give the path of a file.",
        argument="weights",
    )


def read(asked: Asked, path: str, name: str) -> tuple[Spec | None, dict[str, torch.Tensor]]:
    """A file of weights, and what it tells about its network."""
    if Path(path).suffix == ".keras":
        raise WeightsError(
            f'"{name}" is a whole model, not weights alone.',
            hint=f'Load it by `seg_load("{name}")`.',
            argument="weights",
        )
    state, metadata = weights.load_state_dict(path), weights.metadata(path)
    if metadata is None:
        return None, state
    spec = Spec.from_dict(metadata["spec"])
    if spec.architecture != asked.architecture:
        raise WeightsError(
            f'The weights "{name}" are of the architecture "{spec.architecture}", not '
            f'"{asked.architecture}".',
            argument="weights",
        )
    check_said(asked, spec, name)
    return spec, state


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


def same(one: object, other: object) -> bool:
    """Are two plain values the same, be they tuples or lists?"""
    plain = [list(v) if isinstance(v, list | tuple) else v for v in (one, other)]
    return plain[0] == plain[1]


def check_said(asked: Asked, held: Spec, name: str, sizes: Sequence[Published] = ()) -> None:
    """Raise a DataError where an argument contradicts the weights, one of several `sizes`."""
    defaults = architectures.entry(held.architecture).defaults
    for argument, said in asked.arguments.items():
        value = held.arguments.get(argument, defaults.get(argument))
        if not same(said, value):
            others = [one.arguments[argument] for one in sizes if argument in one.arguments]
            choice = f" Those that have them: {', '.join(others)}." if len(others) > 1 else ""
            raise DataError(
                f'The weights "{name}" have {argument} = {json.dumps(value)}, and '
                f"{json.dumps(said)} was asked for.",
                hint=f"Leave `{argument}` out, or train a network of your own.{choice}",
                argument=argument,
            )


def changed(held: Spec, asked: Asked) -> tuple[Spec, list[str]]:
    """The network of weights with the channels, classes and preprocessing that were asked for."""
    in_channels = asked.in_channels or held.in_channels
    preprocess, notes = asked.preprocess or held.preprocess, []
    if asked.preprocess is None and in_channels != held.in_channels:
        channels = max(len(preprocess.mean or ()), len(preprocess.std or ()))
        if channels > 1:
            preprocess = dataclasses.replace(preprocess, mean=None, std=None)
            notes.append(
                f"Mean and standard deviation of the images are those of {channels} channels, and "
                "left out of the preprocessing."
            )
    return dataclasses.replace(
        held,
        in_channels=in_channels,
        classes=asked.classes or held.classes,
        preprocess=preprocess,
    ), notes


def without_description(asked: Asked, state: dict[str, torch.Tensor], name: str) -> Asked:
    """What was asked for, completed by what a bare state dict tells of its network.

    Raises
    ------
    WeightsError
        If it is of another network.
    """
    first, _ = adapting.ends(asked.architecture, 3, 3, asked.arguments)
    missing = [key for key in first if key not in state]
    if missing:
        title = architectures.entry(asked.architecture).title
        raise WeightsError(
            f'The weights "{name}" are not those of this {title}: {missing[0]} is missing.',
            hint="The arguments of the network must be those that it was trained with.",
            argument="weights",
        )
    held = told(asked, state, state[first[0]].shape[0])
    said = {k: v for k, v in asked.arguments.items() if k in held}
    check_said(dataclasses.replace(asked, arguments=said), Spec(asked.architecture, held), name)
    return dataclasses.replace(
        asked,
        arguments=asked.arguments | held,
        in_channels=asked.in_channels or state[first[0]].shape[1],
    )


def told(asked: Asked, state: dict[str, torch.Tensor], features: int) -> dict:
    """Arguments of a U-Net without encoder that names and sizes of its tensors tell.

    Those on an encoder have no `init_features`, and smp's nearest neighbours the same tensors as
    bilinear interpolation.
    """
    if "encoder" in asked.arguments:
        return {}
    upsample = "transposed" if "upconv4.weight" in state else "bilinear"
    held = {"init_features": features, "upsample": upsample}
    defaults = architectures.entry(asked.architecture).defaults
    return {name: value for name, value in held.items() if name in defaults}
