"""Gated-SCNN (Takikawa, Acuna, Jampani & Fidler 2019, https://arxiv.org/abs/1907.05740): beside the
regular encoder runs a narrow stream of full resolution that sees shapes alone, since gates fed by
the encoder let only boundaries pass.

What differs from the paper: the encoder is one by name where the paper has WideResNet-38 (dilated
to stride 8, too); the edges of the image that join the predicted boundaries are the magnitude of
its Sobel gradient where the paper has Canny's detector, so that the network needs no more than its
input; and the pooled branch of the pyramid has no batch normalisation, so that a batch of one image
can be trained.
"""

import torch
import torch.nn.functional as F
from torch import nn

from maskr.architectures import encoders
from maskr.architectures.gscnn_loss import dual_task_loss
from maskr.architectures.networks import convolution, resize

SHAPE_WIDTHS = (64, 32, 16, 8)
"""Channels of the shape stream, before its first gate and after each."""

RATES = (12, 24, 36)
"""Dilations of the pyramid at stride 8."""

WIDTH = 256
"""Channels of each branch of the pyramid and of the decoder."""

SKIP_WIDTH = 48
"""Channels that the features of stride 4 bring to the decoder."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels, 3),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of the size of `x`."""
        return F.relu(x + self.body(x))


class GatedConvolution(nn.Module):
    """The gated convolutional layer: `w (s a + s)`, where the attention `a` in 0..1 is a normalised
    1x1 convolution of the shape stream `s` and the regular stream `r` together (equations 1, 2).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Conv2d(channels + 1, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid()
        )
        self.weight = nn.Conv2d(channels, channels, 1)

    def forward(self, s: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        """Features `[N, channels, H, W]` of `s`, of that size, and `r`, `[N, 1, H, W]`."""
        attention = self.attention(torch.cat((s, r), dim=1))
        return self.weight(s * attention + s)


class ShapeStream(nn.Module):
    """Boundaries at full resolution from the encoder's first features, gated by deeper ones."""

    def __init__(self, first: int, deeper: list[int]) -> None:
        super().__init__()
        self.enter = nn.Conv2d(first, SHAPE_WIDTHS[0], 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(ResidualBlock(before), nn.Conv2d(before, after, 1))
            for before, after in zip(SHAPE_WIDTHS, SHAPE_WIDTHS[1:], strict=False)
        )
        self.sides = nn.ModuleList(nn.Conv2d(channels, 1, 1) for channels in deeper)
        self.gates = nn.ModuleList(GatedConvolution(width) for width in SHAPE_WIDTHS[1:])
        self.leave = nn.Conv2d(SHAPE_WIDTHS[-1], 1, 1)

    def forward(
        self, first: torch.Tensor, deeper: list[torch.Tensor], size: torch.Size
    ) -> torch.Tensor:
        """Edge logits `[N, 1, H, W]` at `size` (H, W)."""
        s = resize(self.enter(first), size)
        levels = zip(self.blocks, self.sides, self.gates, deeper, strict=True)
        for block, side, gate, feature in levels:
            s = gate(block(s), resize(side(feature), size))
        return self.leave(s)


class ImageGradient(nn.Module):
    """Magnitude of the Sobel gradient of the mean over channels: `[N, 1, H, W]`, per pixel."""

    def __init__(self) -> None:
        super().__init__()
        sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
        kernels = torch.stack((sobel, sobel.t()))[:, None]
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Gradient of images `[N, C, H, W]`; at the border the image goes on as it ends."""
        grey = F.pad(x.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        gradient = F.conv2d(grey, self.kernels.to(grey.dtype))
        return (gradient.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()


class EdgePyramid(nn.Module):
    """Atrous spatial pyramid pooling with the boundaries as one branch more."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([convolution(channels, WIDTH, 1)])
        self.branches.extend(convolution(channels, WIDTH, 3, rate) for rate in RATES)
        self.pooled = nn.Sequential(nn.Conv2d(channels, WIDTH, 1), nn.ReLU(inplace=True))
        self.edge = convolution(1, WIDTH, 1)
        self.project = convolution((len(RATES) + 3) * WIDTH, WIDTH, 1)

    def forward(self, x: torch.Tensor, edge: torch.Tensor) -> torch.Tensor:
        """Features `[N, WIDTH, h, w]` of `x` `[N, C, h, w]` and `edge` `[N, 1, H, W]`."""
        size = x.shape[-2:]
        pooled = self.pooled(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *size)
        parts = [branch(x) for branch in self.branches]
        return self.project(torch.cat([*parts, pooled, self.edge(resize(edge, size))], dim=1))


class GatedSCNN(nn.Module):
    """Gated-SCNN.

    Input: float tensor `[N, in_channels, H, W]`, H and W multiples of `multiple`.
    Output: logits `[N, out_channels, H, W]`; in training a dict that also holds "edge", the logits
    `[N, 1, H, W]` of boundaries between classes.
    """

    encoder_layers = ("encoder",)

    def __init__(self, in_channels: int, out_channels: int, encoder: str) -> None:
        super().__init__()
        self.encoder = encoders.build(encoder, in_channels, output_stride=8)
        self.multiple = encoders.multiple(encoder, 8)
        channels = self.encoder.out_channels
        # transformers have no features of stride 2
        self.first = 1 if channels[1] > 0 else 2
        self.shape = ShapeStream(channels[self.first], channels[-3:])
        self.gradient = ImageGradient()
        self.join = nn.Conv2d(2, 1, 1)
        self.pyramid = EdgePyramid(channels[-1])
        self.skip = nn.Conv2d(channels[2], SKIP_WIDTH, 1, bias=False)
        self.classify = nn.Sequential(
            convolution(WIDTH + SKIP_WIDTH, WIDTH, 3),
            convolution(WIDTH, WIDTH, 3),
            nn.Conv2d(WIDTH, out_channels, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """Logits `[N, out_channels, H, W]` of `[N, in_channels, H, W]`."""
        size = x.shape[-2:]
        features = self.encoder(x)
        edge = self.shape(features[self.first], features[-3:], size)
        boundaries = self.join(torch.cat((edge.sigmoid(), self.gradient(x)), dim=1)).sigmoid()
        deep = self.pyramid(features[-1], boundaries)
        skip = self.skip(features[2])
        deep = torch.cat((skip, resize(deep, skip.shape[-2:])), dim=1)
        logits = resize(self.classify(deep), size)
        return {"out": logits, "edge": edge} if self.training else logits

    def auxiliary_loss(
        self, outputs: dict[str, torch.Tensor], target: torch.Tensor
    ) -> torch.Tensor:
        """The part of the dual-task loss that the loss on the logits leaves.

        Parameters
        ----------
        outputs
            What `forward()` returns in training, in float32.
        target
            Class indices `[N, H, W]` with IGNORE.
        """
        return dual_task_loss(outputs["out"], outputs["edge"], target)


def gscnn(in_channels: int, out_channels: int, encoder: str = "resnet50") -> GatedSCNN:
    """The network on an encoder by name that can be dilated to stride 8."""
    return GatedSCNN(in_channels, out_channels, encoder)
