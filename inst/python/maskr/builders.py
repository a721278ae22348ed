"""Models of registered architectures, with fresh or published weights."""

import dataclasses
import json
import pathlib

from maskr import weights
from maskr.errors import DataError, WeightsError
from maskr.model import SegModel
from maskr.preprocess import Preprocess
from maskr.spec import Spec

SHIPPED = pathlib.Path(__file__).parents[2] / "weights"
"""Folder of the weights that come with the package."""

BRAIN_MRI = Spec(
    "unet",
    {"init_features": 32},
    in_channels=3,
    classes={"background": 0, "tumour": 1},
    multiple=16,
    preprocess=Preprocess(per_image="standardise"),
)
"""The U-Net of Buda, Saha & Mazurowski (2019), https://doi.org/10.1016/j.compbiomed.2019.05.002:
three MRI sequences in, per-image standardisation, one sigmoid channel out."""


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
        Published weights of the encoder, such as "imagenet", or None.
    cache
        Folder for downloaded weights.
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
    arguments = {k: v for k, v in (arguments or {}).items() if v is not None}
    said = {
        "in_channels": in_channels,
        "classes": classes,
        "arguments": arguments,
        "preprocess": None if preprocess is None else Preprocess(**preprocess),
    }
    if weights_name is None:
        model = fresh(architecture, said, seed)
    else:
        spec, state = named_weights(weights_name, cache, classes)
        check_said(said, spec, weights_name)
        model = SegModel.from_architecture(spec)
        weights.into(model.module, state)
    model.notes = []
    return model


def fresh(architecture: str, said: dict, seed: int | None) -> SegModel:
    """A freshly initialised model of what was said, else the defaults."""
    model = SegModel.from_architecture(described(architecture, said), seed)
    model.spec = dataclasses.replace(model.spec, multiple=model.module.multiple)
    return model


def described(architecture: str, said: dict) -> Spec:
    """The specification of what was said, else the defaults."""
    if said["classes"] is None:
        raise DataError(
            "A model needs to know its classes.",
            hint="Write for example `classes = c(background = 0, nucleus = 1)`.",
            argument="classes",
        )
    return Spec(
        architecture,
        said["arguments"],
        in_channels=said["in_channels"] or 3,
        classes=said["classes"],
        preprocess=said["preprocess"] or Preprocess(),
    )


def named_weights(name: str, cache: str, classes: dict[str, int] | None) -> tuple[Spec, dict]:
    """What the weights are of, and the weights themselves."""
    if name == "brain-mri":
        path = weights.locate(name, cache=cache)
        return BRAIN_MRI, weights.load_state_dict(path)
    path = SHIPPED / "nuclei.safetensors" if name == "nuclei" else pathlib.Path(name)
    if not path.exists():
        raise WeightsError(
            f'There are no weights "{name}".',
            hint='Weights are "nuclei", "brain-mri" or the path of a file.',
            argument="weights",
        )
    if path.suffix == ".keras":
        raise WeightsError(
            f'"{name}" is a whole model, not weights alone.',
            hint=f'Load it by `seg_load("{name}")`.',
            argument="weights",
        )
    state = weights.load_state_dict(str(path))
    metadata = weights.metadata(str(path))
    if metadata is not None:
        return Spec.from_dict(metadata["spec"]), state
    return inferred(state, classes, name), state


def inferred(state: dict, classes: dict[str, int] | None, name: str) -> Spec:
    """The specification that fits a bare state dict of our U-Net's names."""
    try:
        features, in_channels = state["encoder1.enc1conv1.weight"].shape[:2]
        out_channels = state["conv.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(
            f'The weights "{name}" are not those of this U-Net: {error} is missing.',
            argument="weights",
        ) from error
    spec = dataclasses.replace(
        described(
            "unet",
            {
                "classes": classes,
                "arguments": {"init_features": features},
                "in_channels": in_channels,
                "preprocess": None,
            },
        ),
        multiple=16,
    )
    if spec.out_channels != out_channels:
        raise DataError(
            f"The weights have {out_channels} output channel(s), and {len(classes)} classes need "
            f"{spec.out_channels}.",
            hint="Two classes share one channel; more have one each.",
            argument="classes",
        )
    return spec


def check_said(said: dict, spec: Spec, name: str) -> None:
    """Raise a DataError where an explicit argument contradicts the weights."""
    held = {"in_channels": spec.in_channels, "classes": spec.classes} | spec.arguments
    said = said | said["arguments"]
    for argument, value in held.items():
        if said.get(argument) is not None and said[argument] != value:
            raise DataError(
                f'The weights "{name}" have {argument} = {json.dumps(value)}, and '
                f"{json.dumps(said[argument])} was asked for.",
                hint=f"Leave `{argument}` out, or train a network of your own.",
                argument=argument,
            )
