"""The convolutions of VGG16 (Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556, column D),
in the order of torchvision's `vgg16` and `vgg16_bn`, whose ImageNet weights they therefore take.
"""

import torch
from torch import nn

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Features of the convolutions of each stage; a 2x2 max pooling follows each stage."""


def stages(in_channels: int, batch_norm: bool) -> nn.ModuleList:
    """Make the five stages, freshly initialised, without the poolings between them."""
    made = nn.ModuleList()
    for widths in STAGES:
        made.append(convolutions(in_channels, widths, batch_norm))
        in_channels = widths[-1]
    return made


def convolutions(in_channels: int, widths: tuple[int, ...], batch_norm: bool) -> nn.Sequential:
    """3x3 convolutions that keep H and W, each with ReLU, and batch normalisation if wanted."""
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(convolution(in_channels, width, 3))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
        in_channels = width
    return nn.Sequential(*layers)


def convolution(in_channels: int, out_channels: int, size: int) -> nn.Conv2d:
    """A padded convolution initialised by He et al. 2015 (https://arxiv.org/abs/1502.01852)."""
    made = nn.Conv2d(in_channels, out_channels, size, padding=size // 2)
    nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
    nn.init.zeros_(made.bias)
    return made


def encoder_state(
    state: dict[str, torch.Tensor], batch_norm: bool
) -> dict[str, torch.Tensor]:
    """The state dict of `stages()` in that of torchvision's `vgg16` or `vgg16_bn`.

    There, `features.<n>` counts all layers, poolings too. Keys of the classifier are left out.
    """
    renamed = {}
    first = 0
    for stage, widths in enumerate(STAGES):
        size = len(widths) * (3 if batch_norm else 2)
        for n in range(size):
            before, after = f"features.{first + n}.", f"{stage}.{n}."
            for key, value in state.items():
                if key.startswith(before):
                    renamed[after + key.removeprefix(before)] = value
        first += size + 1
    return renamed
