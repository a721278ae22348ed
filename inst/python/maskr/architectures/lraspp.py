"""LR-ASPP on MobileNetV3-Large (Howard et al. 2019, https://arxiv.org/abs/1905.02244): the network
for telephones, in torchvision's form and under its names, so that its state dict loads unchanged.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large


class LRASPP(nn.Module):
    """Lite reduced atrous spatial pyramid pooling: one gated branch, one skip of stride 8.

    Input: float tensor `[N, in_channels, H, W]` of any size.
    Output: logits `[N, out_channels, H, W]`.
    """

    multiple = 1
    encoder_layers = ("backbone",)

    def __init__(self, in_channels: int = 3, out_channels: int = 1) -> None:
        super().__init__()
        network = lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=out_channels
        )
        self.backbone = network.backbone
        self.classifier = network.classifier
        if in_channels != 3:
            first = self.backbone["0"][0]
            self.backbone["0"][0] = nn.Conv2d(
                in_channels, first.out_channels, 3, stride=2, padding=1, bias=False
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `[N, out_channels, H, W]` of `[N, in_channels, H, W]`."""
        logits = self.classifier(self.backbone(x))
        return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)


def lraspp(in_channels: int, out_channels: int) -> LRASPP:
    """The network; it has no arguments of its own."""
    return LRASPP(in_channels, out_channels)
