"""Models of registered architectures, with fresh or published weights."""

import dataclasses

from maskr import adapting, pretrained, state_dicts, weight_folders
from maskr.asked import Asked
from maskr.errors import DataError
from maskr.finding import found, without_description
from maskr.model import SegModel
from maskr.preprocess import Preprocess
from maskr.spec import Spec


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
    held = found(asked, name, cache)
    notes = held.notes
    if held.spec is None:
        spec, keep = without_description(asked, held.state, name).spec(), True
    else:
        spec, more = changed(held.spec, asked)
        notes += more
        keep = held.spec.classes is None or list(spec.classes) == list(held.spec.classes)
    model = fresh(spec, seed)
    weight_folders.check_settings(model.module, held.settings)
    first, last = adapting.ends(
        spec.architecture, spec.in_channels, spec.out_channels, spec.arguments
    )
    state = adapting.known_tensors(model.module, held.state)
    state, more = adapting.fitted(model.module, state, first, last, keep)
    state_dicts.into(model.module, state)
    return model, notes + more


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
        classes=asked.classes_or(held.classes),
        preprocess=preprocess,
    ), notes
