"""FastFCN (Wu, Zhang, Huang, Liang & Yu 2019, https://arxiv.org/abs/1903.11816): an encoder without
dilation, whose last three stages joint pyramid upsampling (JPU) turns into features of stride 8.

The head is the one of the paper's best results, that of EncNet (Zhang et al. 2018,
https://arxiv.org/abs/1803.08904): a context encoding scales the channels, and in training it also
predicts which classes are in the image (the semantic encoding loss). The auxiliary FCN head on the
fourth stage that the paper trains with is left out.
"""

import torch
import torch.nn.functional as F
from torch import nn

from maskr.architectures import encoders
from maskr.architectures.networks import convolution, resize

WIDTH = 512
"""Channels of each branch of the JPU and of the head."""

DILATIONS = (1, 2, 4, 8)
"""Of the JPU's parallel convolutions."""

CODEWORDS = 32
"""Of the context encoding."""

PRESENCE_WEIGHT = 0.2
"""Of the semantic encoding loss."""


def separable(in_channels: int, out_channels: int, dilation: int) -> nn.Sequential:
    """Depthwise 3x3 convolution with dilation, then pointwise, each with batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            in_channels,
            3,
            padding=dilation,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        ),
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class JointPyramidUpsampling(nn.Module):
    """Features of strides 8, 16 and 32 as one of stride 8 with `4 * WIDTH` channels.

    Each stage is brought to `WIDTH` channels and the size of the first; what they hold together is
    read at four dilations in parallel.
    """

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(convolution(c, WIDTH, 3) for c in channels)
        self.branches = nn.ModuleList(
            separable(len(channels) * WIDTH, WIDTH, dilation) for dilation in DILATIONS
        )

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Features `[N, 4 * WIDTH, h, w]` of three `[N, C, h / 2^i, w / 2^i]`."""
        size = features[0].shape[-2:]
        same = [
            resize(stage(feature), size)
            for stage, feature in zip(self.stages, features, strict=True)
        ]
        joint = torch.cat(same, dim=1)
        return torch.cat([branch(joint) for branch in self.branches], dim=1)


class ContextEncoding(nn.Module):
    """How far the pixels of an image lie from learned codewords, as one vector.

    Pixel `x_i` is assigned to codeword `d_k` by `a_ik`, the softmax over k of
    `-s_k |x_i - d_k|^2`; the encoding of k is the sum over pixels of `a_ik (x_i - d_k)`. Batch
    normalisation is per codeword, over the channels too, so a batch of one image can be trained.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        bound = (CODEWORDS * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(CODEWORDS, channels).uniform_(-bound, bound))
        self.smoothing = nn.Parameter(torch.empty(CODEWORDS).uniform_(0, 1))
        self.norm = nn.BatchNorm1d(CODEWORDS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The encodings `[N, C]`, summed over the codewords, of features `[N, C, h, w]`."""
        pixels = x.flatten(2).transpose(1, 2)
        # the squares in full precision also under autocast: they decide the softmax
        squares = pixels.float().square().sum(dim=2, keepdim=True)
        squares = squares + self.codewords.float().square().sum(dim=1)
        distances = squares - 2 * (pixels @ self.codewords.t()).float()
        assigned = (-self.smoothing * distances).softmax(dim=2).to(pixels.dtype)
        mass = assigned.sum(dim=1)[:, :, None]
        encoded = assigned.transpose(1, 2) @ pixels - mass * self.codewords
        return F.relu(self.norm(encoded)).mean(dim=1)


class FastFCN(nn.Module):
    """FastFCN with EncNet's head.

    Input: float tensor `[N, in_channels, H, W]`, H and W multiples of 32.
    Output: logits `[N, out_channels, H, W]`; in training a dict that also holds "presence",
    logits `[N, out_channels]` of each class being anywhere in the image.
    """

    multiple = 32
    encoder_layers = ("encoder",)

    def __init__(self, in_channels: int, out_channels: int, encoder: str) -> None:
        super().__init__()
        self.encoder = encoders.build(encoder, in_channels)
        self.upsampling = JointPyramidUpsampling(self.encoder.out_channels[-3:])
        self.squeeze = convolution(len(DILATIONS) * WIDTH, WIDTH, 1)
        self.context = nn.Sequential(convolution(WIDTH, WIDTH, 1), ContextEncoding(WIDTH))
        self.gate = nn.Linear(WIDTH, WIDTH)
        self.presence = nn.Linear(WIDTH, out_channels)
        self.classify = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(WIDTH, out_channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """Logits `[N, out_channels, H, W]` of `[N, in_channels, H, W]`."""
        features = self.squeeze(self.upsampling(self.encoder(x)[-3:]))
        context = self.context(features)
        gate = self.gate(context).sigmoid()[:, :, None, None]
        logits = self.classify(F.relu(features + features * gate))
        logits = resize(logits, x.shape[-2:])
        if not self.training:
            return logits
        return {"out": logits, "presence": self.presence(context)}

    def auxiliary_loss(
        self, outputs: dict[str, torch.Tensor], target: torch.Tensor
    ) -> torch.Tensor:
        """The semantic encoding loss: cross-entropy of each class's presence, mean over all.

        Parameters
        ----------
        outputs
            What `forward()` returns in training, in float32.
        target
            Class indices `[N, H, W]` with IGNORE.
        """
        logits = outputs["presence"]
        classes = range(logits.shape[1]) if logits.shape[1] > 1 else (1,)
        there = torch.stack([(target == k).flatten(1).any(dim=1) for k in classes], dim=1)
        loss = F.binary_cross_entropy_with_logits(logits, there.to(logits.dtype))
        return PRESENCE_WEIGHT * loss


def fastfcn(in_channels: int, out_channels: int, encoder: str = "resnet50") -> FastFCN:
    """The network on an encoder by name; the paper has ResNet-50 and ResNet-101."""
    return FastFCN(in_channels, out_channels, encoder)
