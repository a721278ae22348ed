"""SegFormer and DPT in the form of segmentation-models-pytorch and under its names, so that its
state dicts load unchanged.
"""

import segmentation_models_pytorch as smp
from torch import nn

from maskr.architectures import encoders
from maskr.architectures.networks import on_encoder, prepared
from maskr.errors import DataError

VISION = "a vision transformer of timm's, such as vit_tiny_patch16_224"
"""What DPT is built on."""

WIDTHS = {"b0": 256, "b1": 256, "b2": 768, "b3": 768, "b4": 768, "b5": 768}
"""Channels of SegFormer's decoder."""


def segformer(in_channels: int, out_channels: int, variant: str = "b0") -> nn.Module:
    """SegFormer on its Mix Transformer, b0 to b5."""
    if variant not in WIDTHS:
        raise DataError(
            f'There is no SegFormer "{variant}".',
            hint=f"The variants are {', '.join(WIDTHS)}.",
            argument="variant",
        )
    return on_encoder(
        "Segformer",
        f"mit_{variant}",
        in_channels,
        out_channels,
        decoder_segmentation_channels=WIDTHS[variant],
    )


def dpt(
    in_channels: int, out_channels: int, encoder: str = "vit_base_patch16_224.augreg_in21k"
) -> nn.Module:
    """DPT on a vision transformer of timm's with patches of 8, 16 or 32 pixels.

    Positional embeddings are interpolated to the size of the image. The transformer's classifier is
    left out, and its last normalisation, which DPT does not use, is not trained.
    """
    name = encoders.resolve(encoder)
    with encoders.refused(encoder, instead=VISION):
        network = smp.DPT(
            name,
            encoder_weights=None,
            in_channels=in_channels,
            classes=out_channels,
            dynamic_img_size=True,
            num_classes=0,
        )
    patch = network.encoder.output_stride
    if patch not in (8, 16, 32):
        raise DataError(
            f'The encoder "{encoder}" has patches of {patch} pixels.',
            hint="DPT takes those of 8, 16 or 32.",
            argument="encoder",
        )
    network.encoder.model.norm.requires_grad_(False)
    network.unused_weights = ("encoder.model.head.*",)
    return prepared(network, 32)
