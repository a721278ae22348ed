"""3D U-Net (Cicek, Abdulkadir, Lienkamp, Brox & Ronneberger 2016,
https://arxiv.org/abs/1606.06650): a U-Net of four levels for volumes, which doubles its features
before each pooling, so that no layer is a bottleneck.
"""

import torch
from torch import nn


class UNet3D(nn.Module):
    """3D U-Net with three levels of 2x2x2 max pooling.

    Input: float tensor `[N, in_channels, D, H, W]`, D, H and W multiples of 8.
    Output: logits `[N, out_channels, D, H, W]`.

    Convolutions are padded, so that volumes keep their size. The paper counts 19,069,955 parameters
    (three channels, three classes), with one bias for each 3x3x3 convolution: here that is the
    shift of the batch normalisation after it, whose 2,336 scales come on top.
    """

    dims = 3
    multiple = 8
    encoder_layers = ("encoder*", "bottleneck")

    def __init__(
        self, in_channels: int = 3, out_channels: int = 1, init_features: int = 32
    ) -> None:
        super().__init__()
        widths = [init_features * 2**level for level in range(5)]
        self.pool = nn.MaxPool3d(2)
        channels = in_channels
        for level, width in enumerate(widths[:3], start=1):
            encoder = convolutions(channels, width, 2 * width)
            setattr(self, f"encoder{level}", encoder)
            channels = 2 * width
        self.bottleneck = convolutions(channels, widths[3], widths[4])
        for level in (3, 2, 1):
            width, deep = widths[level], widths[level + 1]
            upconv = nn.ConvTranspose3d(deep, deep, kernel_size=2, stride=2, bias=False)
            setattr(self, f"upconv{level}", upconv)
            setattr(self, f"decoder{level}", convolutions(deep + width, width, width))
        self.conv = nn.Conv3d(widths[1], out_channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `[N, out_channels, D, H, W]` of `[N, in_channels, D, H, W]`."""
        skips = []
        for level in (1, 2, 3):
            skips.append(getattr(self, f"encoder{level}")(x))
            x = self.pool(skips[-1])
        x = self.bottleneck(x)
        for level in (3, 2, 1):
            x = getattr(self, f"upconv{level}")(x)
            x = getattr(self, f"decoder{level}")(torch.cat((x, skips.pop()), dim=1))
        return self.conv(x)


def convolutions(in_channels: int, first: int, second: int) -> nn.Sequential:
    """Two 3x3x3 convolutions to `first` and `second` features, with batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv3d(in_channels, first, 3, padding=1, bias=False),
        nn.BatchNorm3d(first),
        nn.ReLU(inplace=True),
        nn.Conv3d(first, second, 3, padding=1, bias=False),
        nn.BatchNorm3d(second),
        nn.ReLU(inplace=True),
    )


unet3d = UNet3D
