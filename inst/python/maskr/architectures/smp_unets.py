"""U-Net on an encoder by name, U-Net++ and LinkNet in the form of segmentation-models-pytorch and
under its names, so that its state dicts load unchanged.
"""

from collections.abc import Sequence

import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoderBlock
from torch import nn

from maskr.architectures.networks import on_encoder
from maskr.architectures.unet import check_upsample, upsampling
from maskr.errors import DataError
from maskr.words import as_r


def unet(
    in_channels: int,
    out_channels: int,
    encoder: str,
    decoder_channels: Sequence[int] | None = None,
    attention: str | None = None,
    upsample: str = "transposed",
) -> nn.Module:
    """smp's U-Net, whose features are upsampled by learned transposed convolutions or interpolated.

    Parameters
    ----------
    decoder_channels
        Of its five blocks from the deepest; None is 256, 128, 64, 32, 16.
    attention
        "scse": concurrent spatial and channel squeeze and excitation; or None.
    upsample
        "transposed", "bilinear" or "nearest", which is smp's own default.
    """
    check_upsample(upsample)
    network = on_encoder(
        "Unet",
        encoder,
        in_channels,
        out_channels,
        decoder_interpolation="bilinear" if upsample == "transposed" else upsample,
        **decoder(decoder_channels, attention),
    )
    if upsample == "transposed":
        network.decoder.blocks = learned_blocks(network, attention)
        network.initialize()
    return network


def decoder(channels: Sequence[int] | None, attention: str | None) -> dict:
    """smp's arguments for the decoders of U-Net and U-Net++."""
    channels = (256, 128, 64, 32, 16) if channels is None else tuple(int(c) for c in channels)
    if len(channels) != 5:
        raise DataError(
            f"The decoder has five blocks, and `decoder_channels` is {as_r(channels)}.",
            hint="Give five, from the deepest: `decoder_channels = c(256, 128, 64, 32, 16)`.",
            argument="decoder_channels",
        )
    if attention not in (None, "scse"):
        raise DataError(
            f'There is no attention "{attention}".',
            hint='It is "scse", or none.',
            argument="attention",
        )
    return {"decoder_channels": channels, "decoder_attention_type": attention}


class TransposedBlock(UnetDecoderBlock):
    """A block of smp's decoder that upsamples by a learned transposed convolution.

    It halves the channels that come from below, or whatever its own are, as in the paper.
    """

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, attention: str | None
    ) -> None:
        super().__init__(out_channels, skip_channels, out_channels, attention_type=attention)
        self.upsample = upsampling(in_channels, out_channels, "transposed")

    def forward(
        self,
        feature_map: torch.Tensor,
        target_height: int,
        target_width: int,
        skip_connection: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Twice the size, beside the encoder's features of that size."""
        feature_map = self.upsample(feature_map)
        return super().forward(feature_map, target_height, target_width, skip_connection)


def learned_blocks(network: nn.Module, attention: str | None) -> nn.ModuleList:
    """Blocks of the sizes of the network's own, which learn to upsample."""
    *skips, below = network.encoder.out_channels[1:]
    blocks = nn.ModuleList()
    for block in network.decoder.blocks:
        skip = skips.pop() if skips else 0
        out_channels = block.conv1[0].out_channels
        blocks.append(TransposedBlock(below, skip, out_channels, attention))
        below = out_channels
    return blocks


def unetpp(
    in_channels: int,
    out_channels: int,
    encoder: str = "resnet34",
    decoder_channels: Sequence[int] | None = None,
    attention: str | None = None,
) -> nn.Module:
    """U-Net++; the arguments are those of `unet()`."""
    return on_encoder(
        "UnetPlusPlus", encoder, in_channels, out_channels, **decoder(decoder_channels, attention)
    )


def linknet(in_channels: int, out_channels: int, encoder: str = "resnet34") -> nn.Module:
    """LinkNet."""
    return on_encoder("Linknet", encoder, in_channels, out_channels)
