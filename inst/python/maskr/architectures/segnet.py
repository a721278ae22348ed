"""SegNet (Badrinarayanan, Kendall & Cipolla 2015, https://arxiv.org/abs/1511.00561): the 13
convolutions of VGG16 with batch normalisation, and a decoder that mirrors them. The decoder undoes
each pooling by putting values back to where the maxima were and learns nothing for it.
"""

import torch
from torch import nn

from maskr.architectures import vgg


class SegNet(nn.Module):
    """SegNet with a VGG16 encoder.

    Input: float tensor `[N, in_channels, H, W]`, H and W multiples of 32.
    Output: logits `[N, out_channels, H, W]`.

    All convolutions have a bias, as in the authors' network: 29,443,008 parameters and 577 for each
    class.
    """

    multiple = 32
    encoder_layers = ("encoder",)

    def __init__(self, in_channels: int = 3, out_channels: int = 1) -> None:
        super().__init__()
        self.encoder = vgg.stages(in_channels, batch_norm=True)
        self.pool = nn.MaxPool2d(2, stride=2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2, stride=2)
        self.decoder = nn.ModuleList()
        for widths, above in zip(vgg.STAGES[:0:-1], vgg.STAGES[-2::-1], strict=True):
            mirrored = (*widths[1:], above[-1])
            self.decoder.append(vgg.convolutions(widths[-1], mirrored, batch_norm=True))
        self.decoder.append(vgg.convolutions(64, (64,), batch_norm=True))
        self.score = nn.Conv2d(64, out_channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `[N, out_channels, H, W]` of `[N, in_channels, H, W]`."""
        places = []
        for stage in self.encoder:
            x, indices = self.pool(stage(x))
            places.append(indices)
        for stage in self.decoder:
            x = stage(self.unpool(x, places.pop()))
        return self.score(x)

    def load_encoder(self, state: dict[str, torch.Tensor]) -> None:
        """Load torchvision's `vgg16_bn`, whose first convolution must take our channels."""
        self.encoder.load_state_dict(encoder_state(state))


def encoder_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The encoder's state dict in that of torchvision's `vgg16_bn`."""
    return vgg.encoder_state(state, batch_norm=True)


segnet = SegNet
