"""What networks share: those of segmentation-models-pytorch, and those of ours on its encoders."""

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import nn

from maskr.architectures import encoders


def on_encoder(
    kind: str, encoder: str, in_channels: int, out_channels: int, **arguments: object
) -> nn.Module:
    """A network of smp's on an encoder by name; nothing is downloaded.

    Parameters
    ----------
    kind
        Name of its class in smp, such as "Unet".
    arguments
        Of that class.

    Raises
    ------
    DataError
        If there is no such encoder, or the network cannot be built on it.
    """
    name = encoders.resolve(encoder)
    stride = arguments.get("encoder_output_stride", arguments.get("output_stride", 32))
    with encoders.refused(encoder, dilated=stride < 32):
        network = getattr(smp, kind)(
            name,
            encoder_weights=None,
            in_channels=in_channels,
            classes=out_channels,
            **encoders.options(name),
            **arguments,
        )
    return prepared(network, encoders.multiple(name, network.encoder.output_stride))


def prepared(network: nn.Module, multiple: int) -> nn.Module:
    """The network with the attributes of ours, able to train on a batch of one image."""
    network.multiple = multiple
    network.encoder_layers = ("encoder",)
    # the model pads; smp's own check would keep torch.fx from folding batch normalisation
    network.requires_divisible_input_shape = False
    for module in list(network.decoder.modules()):
        if pools_to_one(module):
            for child in list(module.modules()):
                for name, norm in child.named_children():
                    if isinstance(norm, nn.BatchNorm2d):
                        setattr(child, name, PooledNorm(norm.num_features))
    return network


def convolution(in_channels: int, out_channels: int, size: int, rate: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch normalisation and ReLU."""
    padding = rate * (size // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, padding=padding, dilation=rate, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def resize(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Bilinear interpolation to `size` (H, W)."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def pools_to_one(module: nn.Module) -> bool:
    """Does a sequence begin with pooling to a single pixel?"""
    first = next(module.children(), None) if isinstance(module, nn.Sequential) else None
    return isinstance(first, nn.AdaptiveAvgPool2d) and first.output_size in (1, (1, 1))


class PooledNorm(nn.BatchNorm2d):
    """Batch normalisation after pooling to one pixel.

    A single image has one value per channel there, whose variance is 0: it is normalised by the
    running statistics, in training too.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[N, C, 1, 1]`, normalised over N where N is more than 1."""
        if self.training and x.shape[0] > 1:
            return super().forward(x)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )
