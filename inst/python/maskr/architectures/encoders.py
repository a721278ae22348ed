"""Encoders by name: those of segmentation-models-pytorch and, behind them, all of timm's."""

import contextlib
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

import segmentation_models_pytorch as smp
import timm
import torch
from segmentation_models_pytorch.encoders import TimmUniversalEncoder, TimmViTEncoder

from maskr.errors import DataError, WeightsError
from maskr.preprocess import Preprocess
from maskr.published import HALF, IMAGENET, NON_COMMERCIAL

HUB = "https://huggingface.co"

OTHER_PIXELS = {
    "inception": HALF,
    "xception": HALF,
    "dpn": Preprocess(
        mean=(124 / 255, 117 / 255, 104 / 255), std=(1 / (0.0167 * 255),) * 3
    ),
}
"""Where pixels of smp's own encoders are not ImageNet's, by the start of the encoder's name."""


@dataclass(frozen=True)
class Source:
    """Published weights of an encoder.

    Attributes
    ----------
    file, url
        Name in the cache, and address.
    preprocess
        What happened to the images that it was trained on.
    licence
        SPDX identifier where it is known, else "".
    sha256
        Accepted checksums, or their first characters.
    """

    file: str
    url: str
    preprocess: Preprocess
    licence: str
    sha256: tuple[str, ...] = ()


def resolve(name: str) -> str:
    """What segmentation-models-pytorch calls an encoder: "resnet34", or "tu-<name>" for timm's.

    Raises
    ------
    DataError
        If neither package has it; the message tells close matches.
    """
    if name in smp.encoders.encoders:
        return name
    timms = name.removeprefix("tu-")
    if timm.is_model(timms) and "." not in timms:
        return f"tu-{timms}"
    base, _, tag = timms.partition(".")
    known = tags(base) if timm.is_model(base) else []
    if tag in known:
        return f"tu-{timms}"
    names = [f"{base}.{one}" for one in known] or [*smp.encoders.encoders, *timm.list_models()]
    # both packages have some of the names, all of them in lower case
    close = difflib.get_close_matches(timms.lower(), dict.fromkeys(names), 4, 0.5)
    raise DataError(
        f'There is no encoder "{name}".',
        hint=(f"Close are {', '.join(close)}. " if close else "")
        + "Encoders are those of segmentation-models-pytorch, and all of timm's.",
        argument="encoder",
    )


def tags(model: str) -> list[str]:
    """The tags of timm's weights of a model, the default first."""
    default = timm.get_pretrained_cfg(model)
    every = [name.partition(".")[2] for name in timm.list_pretrained(f"{model}.*")]
    first = [default.tag] if default is not None and default.tag in every else []
    return first + [tag for tag in every if tag not in first]


def options(name: str) -> dict:
    """Arguments of timm's that let an encoder take images of any size.

    Raises
    ------
    DataError
        If it takes images of one size only.
    """
    if not name.startswith("tu-"):
        return {}
    timms = name.removeprefix("tu-")
    if timms.startswith("swin"):
        # the size decides in which stages windows are shifted; 512 is that of ADE20K's networks
        return {"img_size": 512, "strict_img_size": False}
    settings = timm.get_pretrained_cfg(timms)
    if settings is not None and settings.fixed_input_size:
        height, width = settings.input_size[1:]
        raise DataError(
            f'The encoder "{timms}" takes images of {height} x {width} only.',
            hint="Take another, or for vision transformers the network DPT.",
            argument="encoder",
        )
    return {}


def build(
    name: str, in_channels: int, depth: int = 5, output_stride: int = 32
) -> torch.nn.Module:
    """A freshly initialised encoder, which returns its features from the input's size downwards.

    Raises
    ------
    DataError
        If there is no such encoder, or it has no such stride.
    """
    smps = resolve(name)
    with refused(name, dilated=output_stride < 32):
        return smp.encoders.get_encoder(
            smps,
            in_channels=in_channels,
            depth=depth,
            output_stride=output_stride,
            weights=None,
            **options(smps),
        )


def multiple(name: str, output_stride: int) -> int:
    """What H and W must be multiples of for an encoder that was asked for an output stride.

    Mix Transformers keep to 32: they are not dilated, and pool by 8 at stride 4.
    """
    return 32 if name.startswith("mit_b") else output_stride


@contextlib.contextmanager
def refused(
    name: str, dilated: bool = False, instead: str = "another, such as resnet34"
) -> Iterator[None]:
    """Turn what the libraries raise for encoders that don't suit a network into a `DataError`.

    Parameters
    ----------
    name
        Of the encoder.
    dilated
        Whether the network dilates it.
    instead
        What encoder suits.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, RuntimeError, AssertionError) as error:
        # on the meta device, tensors have no values, which says nothing of the encoder
        if "meta tensor" in str(error):
            raise
        why = ": it cannot be dilated" if dilated else ""
        raise DataError(
            f'This network cannot be built on the encoder "{name}"{why}.',
            hint=f"Take {instead}.",
            argument="encoder",
        ) from error


def published(name: str, weights_name: str) -> Source:
    """Where weights of an encoder are: "imagenet", or another name that the encoder's have.

    Raises
    ------
    WeightsError
        If it has no such weights.
    """
    smps = resolve(name)
    if smps.startswith("tu-"):
        return published_by_timm(smps.removeprefix("tu-"), weights_name)
    settings = smp.encoders.encoders[smps]["pretrained_settings"]
    if weights_name not in settings:
        raise unknown(name, weights_name, list(settings))
    repository, revision = (settings[weights_name][key] for key in ("repo_id", "revision"))
    preprocess = HALF if weights_name == "advprop" else IMAGENET
    for start, pixels in OTHER_PIXELS.items():
        if smps.startswith(start):
            preprocess = pixels
    return Source(
        f"{repository.rpartition('/')[2]}.safetensors",
        f"{HUB}/{repository}/resolve/{revision}/model.safetensors",
        preprocess,
        NON_COMMERCIAL if smps.startswith("mit_b") else "",
    )


def published_by_timm(name: str, weights_name: str) -> Source:
    """The source of timm's weights: "imagenet" is the name's own tag, or else the default one."""
    base, _, tag = name.partition(".")
    known = tags(base)
    tag = (tag or next(iter(known), "")) if weights_name == "imagenet" else weights_name
    if tag not in known:
        raise unknown(name, weights_name, ["imagenet", *known] if known else [])
    settings = timm.get_pretrained_cfg(f"{base}.{tag}")
    return Source(
        f"{base}.{tag}.safetensors",
        f"{HUB}/{settings.hf_hub_id}/resolve/main/"
        f"{settings.hf_hub_filename or 'model.safetensors'}",
        Preprocess(mean=settings.mean, std=settings.std),
        settings.license or "",
    )


def unknown(name: str, weights_name: str, known: list[str]) -> WeightsError:
    """The error for weights that an encoder does not have."""
    return WeightsError(
        f'The encoder "{name}" has no weights "{weights_name}".',
        hint=f"It has {', '.join(known)}." if known else "It has none.",
        argument="encoder_weights",
    )


TIMMS = (TimmUniversalEncoder, TimmViTEncoder)


def donor(encoder: torch.nn.Module, state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """A copy of an encoder of timm's with published weights, which timm itself fits to it.

    It renames the layers of feature extractors, converts weights of older releases, and adapts the
    first convolution to the channels.

    Raises
    ------
    RuntimeError
        If they don't fit.
    """
    given = {"state_dict": state, "custom_load": False}
    if isinstance(encoder, TimmViTEncoder):
        return TimmViTEncoder(
            encoder.name,
            in_channels=encoder.model.patch_embed.proj.in_channels,
            pretrained_cfg_overlay=given,
            dynamic_img_size=True,
            num_classes=0,
        )
    return TimmUniversalEncoder(
        encoder.name,
        in_channels=encoder._in_channels,
        depth=encoder._depth,
        output_stride=encoder._output_stride,
        pretrained_cfg_overlay=given,
        **options(f"tu-{encoder.name}"),
    )
