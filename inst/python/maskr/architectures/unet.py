"""U-Net (Ronneberger, Fischer & Brox 2015, https://arxiv.org/abs/1505.04597), as published by
Buda, Saha & Mazurowski (2019, https://doi.org/10.1016/j.compbiomed.2019.05.002) for brain MRI:
batch normalisation, bias-free convolutions, and padded convolutions so that output size equals
input size. The names of modules and parameters are those of that published network, so that its
state dict loads unchanged.
"""

from collections.abc import Sequence

import torch
from torch import nn

from maskr.errors import DataError


def double_convolution(in_channels: int, features: int, name: str) -> nn.Sequential:
    """Two rounds of 3x3 convolution, batch normalisation and ReLU, named `<name>conv1`, ..."""
    block = nn.Sequential()
    for i, channels in enumerate((in_channels, features), start=1):
        block.add_module(f"{name}conv{i}", nn.Conv2d(channels, features, 3, padding=1, bias=False))
        block.add_module(f"{name}norm{i}", nn.BatchNorm2d(features))
        block.add_module(f"{name}relu{i}", nn.ReLU(inplace=True))
    return block


class UNet(nn.Module):
    """U-Net with four levels of 2x2 max pooling.

    Input: float tensor `[N, in_channels, H, W]`, H and W multiples of 16.
    Output: logits `[N, out_channels, H, W]`.
    """

    multiple = 16
    encoder_layers = ("encoder*", "bottleneck")

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        init_features: int = 32,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        widths = [init_features * 2**level for level in range(5)]

        channels = in_channels
        for level, width in enumerate(widths[:4], start=1):
            setattr(self, f"encoder{level}", double_convolution(channels, width, f"enc{level}"))
            setattr(self, f"pool{level}", nn.MaxPool2d(kernel_size=2, stride=2))
            channels = width
        self.bottleneck = double_convolution(channels, widths[4], "bottleneck")

        for level in (4, 3, 2, 1):
            width = widths[level - 1]
            setattr(self, f"upconv{level}", upsampling(2 * width, width, upsample))
            # the upsampled features and the encoder's of the same level, concatenated
            setattr(self, f"decoder{level}", double_convolution(2 * width, width, f"dec{level}"))
        self.conv = nn.Conv2d(widths[0], out_channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `[N, out_channels, H, W]` of `[N, in_channels, H, W]`."""
        skips = []
        for level in (1, 2, 3, 4):
            skips.append(getattr(self, f"encoder{level}")(x))
            x = getattr(self, f"pool{level}")(skips[-1])
        x = self.bottleneck(x)
        for level in (4, 3, 2, 1):
            x = getattr(self, f"upconv{level}")(x)
            x = getattr(self, f"decoder{level}")(torch.cat((x, skips.pop()), dim=1))
        return self.conv(x)


def upsampling(in_channels: int, out_channels: int, how: str) -> nn.Module:
    """Twice the height and width, and other channels: "transposed", "bilinear" or "nearest".

    A 1x1 convolution commutes with interpolation, and costs a quarter before it.
    """
    check_upsample(how)
    if how == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1),
        nn.Upsample(scale_factor=2, mode=how, align_corners=False if how == "bilinear" else None),
    )


def check_upsample(how: str) -> None:
    """Raise a DataError unless there is such a way to upsample."""
    if how not in ("transposed", "bilinear", "nearest"):
        raise DataError(
            f'There is no way "{how}" to upsample.',
            hint="It is transposed, bilinear or nearest.",
            argument="upsample",
        )


def unet(
    in_channels: int,
    out_channels: int,
    init_features: int | None = None,
    encoder: str | None = None,
    decoder_channels: Sequence[int] | None = None,
    attention: str | None = None,
    upsample: str = "transposed",
) -> nn.Module:
    """A U-Net of our own, or one on an encoder by name.

    Parameters
    ----------
    init_features
        Without an encoder: features of the first level, 32 if None.
    decoder_channels, attention
        With an encoder: see `maskr.architectures.smp_unets`.
    upsample
        "transposed" (learned), "bilinear", which leaves no checkerboards, or "nearest".

    Raises
    ------
    DataError
        If arguments contradict each other, or have no such value.
    """
    if encoder is None:
        for argument, value in (("decoder_channels", decoder_channels), ("attention", attention)):
            if value is not None:
                raise DataError(
                    f"`{argument}` is of U-Nets with an encoder.",
                    hint='Name one: `encoder = "resnet34"`.',
                    argument=argument,
                )
        return UNet(in_channels, out_channels, init_features or 32, upsample)
    if init_features is not None:
        raise DataError(
            "`init_features` is of the U-Net without encoder.",
            hint="Leave `encoder` or `init_features` out.",
            argument="init_features",
        )
    from maskr.architectures import smp_unets

    return smp_unets.unet(
        in_channels, out_channels, encoder, decoder_channels, attention, upsample
    )
