"""Attention U-Net (Oktay et al. 2018, https://arxiv.org/abs/1804.03999): a U-Net whose skip
connections pass through gates that the coarser features steer.

The paper's network is 3D; this is the common 2D form of it, with 64 to 1024 features, upsampling by
the nearest pixel and a convolution, batch normalisation throughout, and gates at the size of the
skip connection.
"""

import torch
from torch import nn


class AttentionGate(nn.Module):
    """Additive attention: `x * sigmoid(psi(relu(W_x x + W_g g)))`.

    W_x, W_g and psi are 1x1 convolutions with batch normalisation; psi has one channel, so that a
    gate weighs places and not channels.

    Input: `x` from the encoder and `gating` from the decoder, both `[N, features, H, W]`.
    Output: `[N, features, H, W]`.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        inner = features // 2
        self.of_x = normalised(features, inner, 1)
        self.of_gating = normalised(features, inner, 1)
        self.relu = nn.ReLU(inplace=True)
        self.psi = normalised(inner, 1, 1)

    def forward(self, x: torch.Tensor, gating: torch.Tensor) -> torch.Tensor:
        """`x`, weighed at each place by 0 to 1."""
        joint = self.relu(self.of_x(x) + self.of_gating(gating))
        return x * self.psi(joint).sigmoid()


class AttentionUNet(nn.Module):
    """U-Net of five levels with attention gates.

    Input: float tensor `[N, in_channels, H, W]`, H and W multiples of 16.
    Output: logits `[N, out_channels, H, W]`.

    Networks of this form usually count 34,878,573 parameters (three channels, one class), of which
    7,812 are biases before batch normalisation: without effect, so they are left out here.
    """

    multiple = 16
    encoder_layers = ("encoder*", "bottleneck")

    def __init__(
        self, in_channels: int = 3, out_channels: int = 1, init_features: int = 64
    ) -> None:
        super().__init__()
        widths = [init_features * 2**level for level in range(5)]
        self.pool = nn.MaxPool2d(2)
        channels = in_channels
        for level, width in enumerate(widths[:4], start=1):
            setattr(self, f"encoder{level}", double_convolution(channels, width))
            channels = width
        self.bottleneck = double_convolution(channels, widths[4])
        for level in (4, 3, 2, 1):
            width = widths[level - 1]
            up = nn.Sequential(
                nn.Upsample(scale_factor=2), normalised(2 * width, width, 3), nn.ReLU(inplace=True)
            )
            setattr(self, f"upsample{level}", up)
            setattr(self, f"gate{level}", AttentionGate(width))
            setattr(self, f"decoder{level}", double_convolution(2 * width, width))
        self.conv = nn.Conv2d(widths[0], out_channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `[N, out_channels, H, W]` of `[N, in_channels, H, W]`."""
        skips = []
        for level in (1, 2, 3, 4):
            skips.append(getattr(self, f"encoder{level}")(x))
            x = self.pool(skips[-1])
        x = self.bottleneck(x)
        for level in (4, 3, 2, 1):
            x = getattr(self, f"upsample{level}")(x)
            gated = getattr(self, f"gate{level}")(skips.pop(), x)
            x = getattr(self, f"decoder{level}")(torch.cat((gated, x), dim=1))
        return self.conv(x)


def double_convolution(in_channels: int, features: int) -> nn.Sequential:
    """Two 3x3 convolutions with batch normalisation and ReLU."""
    return nn.Sequential(
        normalised(in_channels, features, 3),
        nn.ReLU(inplace=True),
        normalised(features, features, 3),
        nn.ReLU(inplace=True),
    )


def normalised(in_channels: int, out_channels: int, size: int) -> nn.Sequential:
    """A convolution that keeps H and W, without bias, and batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


attention_unet = AttentionUNet
