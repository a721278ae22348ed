"""Networks that gather features of several scales: DeepLab, PSPNet, FPN and UPerNet, all in the
form of segmentation-models-pytorch and under its names, so that its state dicts load unchanged.
"""

from collections.abc import Sequence

from torch import nn

from maskr.architectures.networks import on_encoder
from maskr.errors import DataError

DEEPLABS = {"v3": "DeepLabV3", "v3plus": "DeepLabV3Plus"}

RATES = {8: (12, 24, 36), 16: (6, 12, 18)}
"""The papers' dilations by output stride."""


def deeplab(
    in_channels: int,
    out_channels: int,
    version: str = "v3plus",
    encoder: str = "resnet34",
    output_stride: int = 16,
    rates: Sequence[int] | None = None,
) -> nn.Module:
    """DeepLabv3 (Chen et al. 2017, https://arxiv.org/abs/1706.05587) or DeepLabv3+ (2018).

    Parameters
    ----------
    output_stride
        8 or 16: the stride at which the encoder, dilated from there on, ends.
    rates
        The three dilations of atrous spatial pyramid pooling; None is the papers' for the stride.
    """
    if version not in DEEPLABS:
        raise DataError(
            f'There is no DeepLab "{version}".', hint="It is v3 or v3plus.", argument="version"
        )
    if output_stride not in RATES:
        raise DataError(
            f"DeepLab has no output stride {output_stride}.",
            hint="It is 8 or 16.",
            argument="output_stride",
        )
    rates = RATES[output_stride] if rates is None else rates
    if len(rates) != 3:
        raise DataError(f"DeepLab takes three rates, not {len(rates)}.", argument="rates")
    return on_encoder(
        DEEPLABS[version],
        encoder,
        in_channels,
        out_channels,
        encoder_output_stride=output_stride,
        decoder_atrous_rates=tuple(int(rate) for rate in rates),
    )


def pspnet(in_channels: int, out_channels: int, encoder: str = "resnet34") -> nn.Module:
    """PSPNet on the whole encoder, dilated to end at stride 8 as in the paper.

    smp's own default is the first three stages of an undilated encoder.
    """
    return on_encoder(
        "PSPNet", encoder, in_channels, out_channels, encoder_depth=5, output_stride=8
    )


def fpn(in_channels: int, out_channels: int, encoder: str = "resnet34") -> nn.Module:
    """Feature pyramid network with the semantic head of panoptic FPN."""
    return on_encoder("FPN", encoder, in_channels, out_channels)


def upernet(in_channels: int, out_channels: int, encoder: str = "convnext_tiny") -> nn.Module:
    """UPerNet with 512 channels in its decoder, as its authors and published weights have it."""
    return on_encoder("UPerNet", encoder, in_channels, out_channels, decoder_channels=512)
