"""The networks that maskr builds by name, and where each of them comes from."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch

from maskr.errors import DataError


@dataclass(frozen=True)
class Architecture:
    """A network that is built by name.

    Attributes
    ----------
    name
        What a specification calls it, such as "unet".
    title
        What people call it, such as "U-Net".
    family
        What it is built on: "encoder-decoder", "fully convolutional", "pyramid" or "transformer".
    authors, year, url
        The paper that introduced it.
    build
        "module:function" of the builder, imported when it is first asked for. It takes
        `in_channels`, `out_channels` and arguments of its own (plain values), and returns a module
        whose logits have the size of its input, with the attributes `multiple` (H and W must be
        multiples of it), `encoder_layers` (names or patterns of the encoder's modules) and, for
        volumes, `dims = 3`.
    encoders
        Names of encoders that it takes, the default first; empty where it has only its own.
    """

    name: str
    title: str
    family: str
    authors: str
    year: int
    url: str
    build: str
    encoders: tuple[str, ...] = ()

    @property
    def builder(self) -> Callable[..., torch.nn.Module]:
        """The function that builds the network."""
        module, function = self.build.split(":")
        return getattr(importlib.import_module(module), function)

    @property
    def defaults(self) -> dict:
        """The arguments of its own that the builder takes, with their defaults."""
        taken = inspect.signature(self.builder).parameters.values()
        return {p.name: p.default for p in taken if p.name not in ("in_channels", "out_channels")}


CONVOLUTIONAL = ("resnet34", "resnet50", "efficientnet-b0", "mobilenet_v2", "convnext_tiny")
"""Examples of encoders for decoders that take features of strides 2 to 32."""


def _described(*fields: object, encoders: tuple[str, ...] = ()) -> Architecture:
    name, module = fields[0], fields[-1]
    return Architecture(*fields[:-1], f"maskr.architectures.{module}:{name}", encoders)


REGISTRY = {
    made.name: made
    for made in (
        _described(
            "unet",
            "U-Net",
            "encoder-decoder",
            "Ronneberger, Fischer & Brox",
            2015,
            "https://arxiv.org/abs/1505.04597",
            "unet",
            encoders=CONVOLUTIONAL,
        ),
        _described(
            "unetpp",
            "U-Net++",
            "encoder-decoder",
            "Zhou, Siddiquee, Tajbakhsh & Liang",
            2018,
            "https://arxiv.org/abs/1807.10165",
            "smp_unets",
            encoders=CONVOLUTIONAL,
        ),
        _described(
            "resunet",
            "Residual U-Net",
            "encoder-decoder",
            "Zhang, Liu & Wang",
            2018,
            "https://arxiv.org/abs/1711.10684",
            "resunet",
        ),
        _described(
            "attention_unet",
            "Attention U-Net",
            "encoder-decoder",
            "Oktay et al.",
            2018,
            "https://arxiv.org/abs/1804.03999",
            "attention_unet",
        ),
        _described(
            "unet3d",
            "3D U-Net",
            "encoder-decoder",
            "\u00c7i\u00e7ek, Abdulkadir, Lienkamp, Brox & Ronneberger",
            2016,
            "https://arxiv.org/abs/1606.06650",
            "unet3d",
        ),
        _described(
            "fcn",
            "FCN",
            "fully convolutional",
            "Long, Shelhamer & Darrell",
            2015,
            "https://arxiv.org/abs/1411.4038",
            "fcn",
        ),
        _described(
            "segnet",
            "SegNet",
            "encoder-decoder",
            "Badrinarayanan, Kendall & Cipolla",
            2015,
            "https://arxiv.org/abs/1511.00561",
            "segnet",
        ),
        _described(
            "deeplab",
            "DeepLab",
            "pyramid",
            "Chen, Zhu, Papandreou, Schroff & Adam",
            2018,
            "https://arxiv.org/abs/1802.02611",
            "pyramids",
            encoders=CONVOLUTIONAL[:4],
        ),
        _described(
            "pspnet",
            "PSPNet",
            "pyramid",
            "Zhao, Shi, Qi, Wang & Jia",
            2017,
            "https://arxiv.org/abs/1612.01105",
            "pyramids",
            encoders=CONVOLUTIONAL,
        ),
        _described(
            "fpn",
            "FPN",
            "pyramid",
            "Kirillov, Girshick, He & Doll\u00e1r",
            2019,
            "https://arxiv.org/abs/1901.02446",
            "pyramids",
            encoders=CONVOLUTIONAL,
        ),
        _described(
            "linknet",
            "LinkNet",
            "encoder-decoder",
            "Chaurasia & Culurciello",
            2017,
            "https://arxiv.org/abs/1707.03718",
            "smp_unets",
            encoders=CONVOLUTIONAL[:4],
        ),
        _described(
            "upernet",
            "UPerNet",
            "pyramid",
            "Xiao, Liu, Zhou, Jiang & Sun",
            2018,
            "https://arxiv.org/abs/1807.10221",
            "pyramids",
            encoders=("convnext_tiny", "swin_tiny_patch4_window7_224", "resnet50", "mit_b0"),
        ),
        _described(
            "fastfcn",
            "FastFCN",
            "fully convolutional",
            "Wu, Zhang, Huang, Liang & Yu",
            2019,
            "https://arxiv.org/abs/1903.11816",
            "fastfcn",
            encoders=("resnet50", "resnet101"),
        ),
        _described(
            "gscnn",
            "Gated-SCNN",
            "fully convolutional",
            "Takikawa, Acuna, Jampani & Fidler",
            2019,
            "https://arxiv.org/abs/1907.05740",
            "gscnn",
            encoders=("resnet50", "resnet101"),
        ),
        _described(
            "segformer",
            "SegFormer",
            "transformer",
            "Xie, Wang, Yu, Anandkumar, Alvarez & Luo",
            2021,
            "https://arxiv.org/abs/2105.15203",
            "transformers",
        ),
        _described(
            "lraspp",
            "LR-ASPP",
            "fully convolutional",
            "Howard et al.",
            2019,
            "https://arxiv.org/abs/1905.02244",
            "lraspp",
        ),
        _described(
            "dpt",
            "DPT",
            "transformer",
            "Ranftl, Bochkovskiy & Koltun",
            2021,
            "https://arxiv.org/abs/2103.13413",
            "transformers",
            encoders=("vit_base_patch16_224.augreg_in21k", "vit_tiny_patch16_224"),
        ),
    )
}
"""Every architecture by name."""


def build(name: str, in_channels: int, out_channels: int, **arguments: object) -> torch.nn.Module:
    """A freshly initialised network of the architecture `name`.

    Raises
    ------
    DataError
        If there is no such architecture, or it takes no such argument or value.
    """
    known = entry(name).defaults
    for argument in arguments:
        if argument not in known:
            raise DataError(
                f"{entry(name).title} has no argument `{argument}`.",
                hint=f"Its own are {', '.join(known)}." if known else "It has none of its own.",
                argument=argument,
            )
    return entry(name).builder(in_channels, out_channels, **arguments)


def entry(name: str) -> Architecture:
    """The architecture of a name.

    Raises
    ------
    DataError
        If there is none.
    """
    if name not in REGISTRY:
        raise DataError(
            f'There is no architecture "{name}".',
            hint=f"The architectures are {', '.join(REGISTRY)}.",
            argument="architecture",
        )
    return REGISTRY[name]
