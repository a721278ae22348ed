"""Published weights of encoders: where each architecture gets its own, and how they get in."""

import torch

from maskr import adapting, architectures, state_dicts, weights
from maskr.architectures import encoders
from maskr.architectures.encoders import Source
from maskr.errors import DataError, WeightsError
from maskr.published import IMAGENET

TORCHVISION = {
    ("fcn", "vgg16"): "vgg16-397923af.pth",
    ("fcn", "resnet50"): "resnet50-0676ba61.pth",
    ("fcn", "resnet101"): "resnet101-63fe2227.pth",
    ("segnet", ""): "vgg16_bn-6c64b313.pth",
    ("lraspp", ""): "mobilenet_v3_large-8738ca79.pth",
}
"""Files of torchvision's ImageNet weights, the first of each, by architecture and backbone."""

FIRST = ("conv1.weight", "features.0.weight", "features.0.0.weight")
"""What first convolutions are called there."""


def located(architecture: str, arguments: dict, name: str, cache: str) -> tuple[Source, str]:
    """Where published weights of an architecture's encoder are from, and the path of their file.

    Parameters
    ----------
    arguments
        What the network's builder is called with.
    name
        "imagenet", or another name that the encoder's weights have.
    cache
        Folder for downloads, as in `maskr.weights.locate()`.

    Raises
    ------
    DataError
        If the architecture has no encoder that is published.
    WeightsError
        If there are no such weights, or they are not there.
    """
    source = source_of(architecture, arguments, name)
    return source, weights.locate(source.file, source.url, source.sha256, cache)


def into_encoder(
    module: torch.nn.Module, in_channels: int, source: Source, path: str
) -> list[str]:
    """Fill a freshly initialised network's encoder with the weights of `path`.

    Returns what there is to say about them.

    Raises
    ------
    WeightsError
        If they don't fit.
    """
    state, _ = state_dicts.load(path)
    try:
        fill(module, in_channels, state)
    except (RuntimeError, KeyError, AssertionError) as error:
        raise WeightsError(
            f"The weights in {path} do not fit the encoder: {error}", argument="encoder_weights"
        ) from error
    notes = said_of_licence("The encoder's weights", source.licence)
    if in_channels != 3:
        notes.append(
            f"The encoder's first convolution was adapted from 3 to {in_channels} channels."
        )
    return notes


def source_of(architecture: str, arguments: dict, name: str) -> Source:
    """Where the weights of an architecture's encoder are."""
    entry = architectures.entry(architecture)
    arguments = entry.defaults | arguments
    encoder = arguments.get("encoder")
    if architecture == "segformer":
        encoder = f"mit_{arguments['variant']}"
    if encoder is not None:
        return encoders.published(encoder, name)
    file = TORCHVISION.get((architecture, arguments.get("backbone", "")))
    if file is None:
        raise DataError(
            f"{entry.title} has no encoder with published weights.",
            hint='Name one: `encoder = "resnet34"`.' if "encoder" in arguments else "",
            argument="encoder_weights",
        )
    if name != "imagenet":
        raise encoders.unknown(file.partition("-")[0], name, ["imagenet"])
    return Source(
        file,
        f"https://download.pytorch.org/models/{file}",
        IMAGENET,
        "BSD-3-Clause",
        (file.rpartition("-")[2].removesuffix(".pth"),),
    )


def fill(module: torch.nn.Module, in_channels: int, state: dict[str, torch.Tensor]) -> None:
    """Load the state dict of a classifier into the network that has it as encoder."""
    encoder = getattr(module, "encoder", None)
    if isinstance(encoder, encoders.TIMMS):
        encoder.load_state_dict(encoders.donor(encoder, state).state_dict())
        return
    if hasattr(module, "load_encoder"):
        module.load_encoder(with_channels(state, in_channels, FIRST))
        return
    if hasattr(module, "backbone"):
        # torchvision's: a sequence of features, or a ResNet, without classifier
        layers = {
            name.removeprefix("features."): tensor
            for name, tensor in with_channels(state, in_channels, FIRST).items()
            if not name.startswith(("fc.", "classifier."))
        }
        module.backbone.load_state_dict(layers)
        return
    own = encoder.state_dict()
    other = [name for name in own if name in state and own[name].shape != state[name].shape]
    for name in other:
        adapting.check_only_channels(name, state[name].shape, own[name].shape)
    encoder.load_state_dict(with_channels(state, in_channels, other))


def with_channels(
    state: dict[str, torch.Tensor], in_channels: int, first: tuple[str, ...] | list[str]
) -> dict[str, torch.Tensor]:
    """The state dict with its first convolutions adapted to other channels."""
    return state | {
        name: adapting.adapt_input(state[name], in_channels)
        for name in first
        if name in state and state[name].shape[1] != in_channels
    }


def said_of_licence(what: str, licence: str) -> list[str]:
    """A note where a licence forbids commercial use."""
    if "non-commercial" in licence or "-nc" in licence.lower():
        return [f"{what} come under {licence}: no commercial use."]
    return []
