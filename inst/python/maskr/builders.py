"""Models of registered architectures, with fresh or published weights."""

import dataclasses
import json
import os
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
        model = fresh(asked.spec(), seed)
        filled = encoder_weights is not None
        notes = with_encoder(model, asked, encoder_weights, cache) if filled else []
    elif encoder_weights is not None:
        raise DataError(
            "Weights of the whole network bring those of its encoder.",
            hint="Give `weights` or `encoder_weights`.",
            argument="encoder_weights",
        )
    else:
        model, notes = with_weights(asked, weights_name, cache, seed)
    model.notes = notes
    return model


def fresh(spec: Spec, seed: int | None) -> SegModel:
    """A freshly initialised model, which knows what sizes its network needs."""
    model = SegModel.from_architecture(spec, seed)
    model.spec = dataclasses.replace(spec, multiple=model.module.multiple)
    return model


def with_encoder(model: SegModel, asked: Asked, name: str, cache: str) -> list[str]:
    """Fill the encoder with published weights; returns what there is to say."""
    from maskr import pretrained

    spec = model.spec
    source, notes = pretrained.into_encoder(
        model.module, spec.architecture, spec.in_channels, spec.arguments, name, cache
    )
    if asked.preprocess is None and spec.in_channels == 3:
        model.spec = dataclasses.replace(spec, preprocess=source.preprocess)
    return notes


def with_weights(
    asked: Asked, name: str, cache: str, seed: int | None
) -> tuple[SegModel, list[str]]:
    """A model with weights of the whole network, and what there is to say about them."""
    held, state, notes = found(asked, name, cache)
    if held is None:
        asked = without_description(asked, state, name)
        spec, keep = asked.spec(), True
    else:
        check_said(asked, held, name)
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
        key = one.name if one.name in KNOWN else one.file
        state = weights.load_state_dict(weights.locate(key, cache=cache))
        return one.spec, state, said_of_licence("The weights", one.licence)
    if os.path.exists(name):
        return *read(asked, name, name), []
    others = {one.name: None for one in KNOWN.values() if one.architecture == asked.architecture}
    of = "".join(f'"{other}", ' for other in others)
    raise WeightsError(
        f'There are no weights "{name}" of {architectures.entry(asked.architecture).title}.',
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


def check_said(asked: Asked, held: Spec, name: str) -> None:
    """Raise a DataError where an argument contradicts the weights."""
    defaults = architectures.entry(held.architecture).defaults
    for argument, said in asked.arguments.items():
        value = held.arguments.get(argument, defaults.get(argument))
        if not same(said, value):
            raise DataError(
                f'The weights "{name}" have {argument} = {json.dumps(value)}, and '
                f"{json.dumps(said)} was asked for.",
                hint=f"Leave `{argument}` out, or train a network of your own.",
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
    arguments = dict(asked.arguments)
    if asked.architecture == "unet" and "encoder" not in arguments:
        features = state.get("encoder1.enc1conv1.weight", torch.empty(0)).shape[0]
        if features > 0:
            held = {"init_features": features}
            said = {k: v for k, v in arguments.items() if k in held}
            check_said(dataclasses.replace(asked, arguments=said), Spec("unet", held), name)
            arguments |= held
    first, _ = adapting.ends(asked.architecture, 3, 3, arguments)
    missing = [key for key in first if key not in state]
    if missing:
        title = architectures.entry(asked.architecture).title
        raise WeightsError(
            f'The weights "{name}" are not those of this {title}: {missing[0]} is missing.',
            hint="The arguments of the network must be those that it was trained with.",
            argument="weights",
        )
    in_channels = asked.in_channels or state[first[0]].shape[1]
    return dataclasses.replace(asked, arguments=arguments, in_channels=in_channels)
