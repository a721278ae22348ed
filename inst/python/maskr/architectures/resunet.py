"""Deep residual U-Net (Zhang, Liu & Wang 2018, https://arxiv.org/abs/1711.10684): three levels of
residual units around a bridge, with normalisation and activation before each convolution.
"""

import torch
import torch.nn.functional as F
from torch import nn


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions, each after batch normalisation and ReLU, beside an identity mapping.

    Since channels change in every unit, a 1x1 convolution makes the identity mapping. The first
    unit of a network begins with its convolution at once: an image is not normalised.

    Input: `[N, in_channels, H, W]`. Output: `[N, features, H / stride, W / stride]`.
    """

    def __init__(
        self, in_channels: int, features: int, stride: int = 1, first: bool = False
    ) -> None:
        super().__init__()
        begin = [] if first else [nn.BatchNorm2d(in_channels), nn.ReLU()]
        self.residual = nn.Sequential(
            *begin,
            nn.Conv2d(in_channels, features, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(features),
            nn.ReLU(inplace=True),
            nn.Conv2d(features, features, 3, padding=1, bias=False),
        )
        self.identity = nn.Conv2d(in_channels, features, 1, bias=False)
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of both ways."""
        # a convolution of stride 2 would do the same, but oneDNN's, for fewer than 16 channels and
        # channels last, writes beyond its memory in the backward pass (PyTorch 2.14)
        kept = x[..., :: self.stride, :: self.stride]
        return self.residual(x) + self.identity(kept)


class ResUNet(nn.Module):
    """Deep residual U-Net.

    Input: float tensor `[N, in_channels, H, W]`, H and W multiples of 8.
    Output: logits `[N, out_channels, H, W]`.

    The 7.8 million parameters that the paper tells are the weights of its 3x3 convolutions
    (7,780,032); identity mappings, batch normalisation and the last layer add 0.4 million.
    Features are upsampled by bilinear interpolation.
    """

    multiple = 8
    encoder_layers = ("encoder*", "bridge")

    def __init__(
        self, in_channels: int = 3, out_channels: int = 1, init_features: int = 64
    ) -> None:
        super().__init__()
        one, two, three, four = (init_features * 2**level for level in range(4))
        self.encoder1 = ResidualUnit(in_channels, one, first=True)
        self.encoder2 = ResidualUnit(one, two, stride=2)
        self.encoder3 = ResidualUnit(two, three, stride=2)
        self.bridge = ResidualUnit(three, four, stride=2)
        self.decoder3 = ResidualUnit(four + three, three)
        self.decoder2 = ResidualUnit(three + two, two)
        self.decoder1 = ResidualUnit(two + one, one)
        self.conv = nn.Conv2d(one, out_channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `[N, out_channels, H, W]` of `[N, in_channels, H, W]`."""
        one = self.encoder1(x)
        two = self.encoder2(one)
        three = self.encoder3(two)
        x = self.bridge(three)
        x = self.decoder3(beside(x, three))
        x = self.decoder2(beside(x, two))
        x = self.decoder1(beside(x, one))
        return self.conv(x)


def beside(deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    """Features of half the size, brought to that of `skip` and concatenated before it."""
    larger = F.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False)
    return torch.cat((larger, skip), dim=1)


resunet = ResUNet
