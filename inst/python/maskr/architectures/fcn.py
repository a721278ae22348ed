"""Fully convolutional networks (Long, Shelhamer & Darrell 2015, https://arxiv.org/abs/1411.4038):
VGG16 with its fully connected layers turned into convolutions, scores at strides 32, 16 and 8 that
are summed, and transposed convolutions that begin as bilinear interpolation; or torchvision's FCN
on a dilated ResNet.
"""

import torch
from torch import nn

from maskr.architectures import vgg
from maskr.errors import DataError

RESNETS = ("resnet50", "resnet101")
HIDDEN = 4096
"""Features of VGG16's fully connected layers."""

SCORED = {32: (), 16: (3,), 8: (3, 2)}
"""By stride: the stages, counted from 0, whose pooled features are scored beside the deepest."""


def fcn(
    in_channels: int = 3, out_channels: int = 1, backbone: str = "vgg16", stride: int = 8
) -> nn.Module:
    """An FCN.

    Parameters
    ----------
    in_channels, out_channels
        Channels of images and logits.
    backbone
        "vgg16" (`FCN`), or "resnet50" and "resnet101": torchvision's networks without auxiliary
        head, whose output lies under "out".
    stride
        Of the finest scores: 32, 16 or 8. The ResNets, whose last stages are dilated, have 8.

    Raises
    ------
    DataError
        If the backbone or its stride does not exist.
    """
    if backbone == "vgg16":
        return FCN(in_channels, out_channels, stride)
    if backbone not in RESNETS:
        raise DataError(
            f'FCN has no backbone "{backbone}".',
            hint=f"Its backbones are vgg16, {', '.join(RESNETS)}.",
            argument="backbone",
        )
    if stride != 8:
        raise DataError(
            f"FCN on {backbone} has stride 8, not {stride}.",
            hint='Leave `stride` out, or take `backbone = "vgg16"`.',
            argument="stride",
        )
    return on_resnet(in_channels, out_channels, backbone)


class FCN(nn.Module):
    """FCN-32s, FCN-16s or FCN-8s on VGG16.

    Input: float tensor `[N, in_channels, H, W]`, H and W multiples of 32.
    Output: logits `[N, out_channels, H, W]`.

    The 7x7 convolution that was VGG's first fully connected layer is padded by 3, so that sizes
    stay multiples; the authors pad the image by 100 instead, and crop. As in the paper, layers that
    score begin at zero, FCN-8s is trained at once, and a transposed convolution of stride s has
    kernels of 2 s. The authors fix the last one to bilinear interpolation; here it begins so and
    learns, unless `upsample_out` is frozen. 21 classes at stride 8 have the 134,489,759 parameters
    of the authors' network.
    """

    multiple = 32
    encoder_layers = ("stages", "fc6", "fc7")

    def __init__(self, in_channels: int = 3, out_channels: int = 1, stride: int = 8) -> None:
        super().__init__()
        if stride not in SCORED:
            raise DataError(
                f"FCN has no stride {stride}.", hint="It is 8, 16 or 32.", argument="stride"
            )
        self.stages = vgg.stages(in_channels, batch_norm=False)
        self.pool = nn.MaxPool2d(2)
        self.fc6 = vgg.convolution(512, HIDDEN, 7)
        self.fc7 = vgg.convolution(HIDDEN, HIDDEN, 1)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        self.score = zeroed(HIDDEN, out_channels)
        self.scored = SCORED[stride]
        for stage in self.scored:
            name = f"pool{stage + 1}"
            setattr(self, f"score_{name}", zeroed(vgg.STAGES[stage][-1], out_channels))
            setattr(self, f"upsample_{name}", bilinear(out_channels, 2))
        self.upsample_out = bilinear(out_channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `[N, out_channels, H, W]` of `[N, in_channels, H, W]`."""
        pooled = []
        for stage in self.stages:
            x = self.pool(stage(x))
            pooled.append(x)
        x = self.dropout(self.relu(self.fc6(x)))
        x = self.dropout(self.relu(self.fc7(x)))
        x = self.score(x)
        for stage in self.scored:
            name = f"pool{stage + 1}"
            scores = getattr(self, f"score_{name}")(pooled[stage])
            x = getattr(self, f"upsample_{name}")(x) + scores
        return self.upsample_out(x)

    def load_encoder(self, state: dict[str, torch.Tensor]) -> None:
        """Load torchvision's `vgg16`, whose first convolution must take our channels."""
        fresh = {k: v for k, v in self.state_dict().items() if not k.startswith(FROM_VGG)}
        self.load_state_dict(fresh | encoder_state(state))


FROM_VGG = ("stages.", "fc6.", "fc7.")


def encoder_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What torchvision's `vgg16` gives to an `FCN`: its convolutions, and the first two of its
    fully connected layers as convolutions of 7x7 and 1x1.
    """
    convolutions = vgg.encoder_state(state, batch_norm=False)
    return {f"stages.{name}": value for name, value in convolutions.items()} | {
        "fc6.weight": state["classifier.0.weight"].reshape(HIDDEN, 512, 7, 7),
        "fc6.bias": state["classifier.0.bias"],
        "fc7.weight": state["classifier.3.weight"].reshape(HIDDEN, HIDDEN, 1, 1),
        "fc7.bias": state["classifier.3.bias"],
    }


def zeroed(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 1x1 convolution that begins at zero."""
    made = nn.Conv2d(in_channels, out_channels, 1)
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    return made


def bilinear(channels: int, stride: int) -> nn.ConvTranspose2d:
    """A transposed convolution from `[N, C, H, W]` to stride times H and W.

    It begins as bilinear interpolation of each channel. Beyond the border it sees zeros, where
    interpolation would repeat the outermost values.
    """
    size = 2 * stride
    made = nn.ConvTranspose2d(
        channels, channels, size, stride=stride, padding=stride // 2, bias=False
    )
    distance = (torch.arange(size) - (size - 1) / 2).abs()
    line = 1 - distance / stride
    with torch.no_grad():
        made.weight.zero_()
        made.weight[range(channels), range(channels)] = torch.outer(line, line)
    return made


def on_resnet(in_channels: int, out_channels: int, backbone: str) -> nn.Module:
    """torchvision's FCN: parameters and names are its own, without auxiliary head."""
    from torchvision.models import segmentation

    network = getattr(segmentation, f"fcn_{backbone}")(
        weights=None, weights_backbone=None, num_classes=out_channels, aux_loss=None
    )
    if in_channels != 3:
        network.backbone.conv1 = nn.Conv2d(
            in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False
        )
    network.multiple = 8
    network.encoder_layers = ("backbone",)
    network.unused_weights = ("aux_classifier.*",)
    return network
