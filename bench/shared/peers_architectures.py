"""The peers of bench/architectures.R: parameters of other implementations, or of the papers."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import segmentation_models_pytorch as smp
from maskr.architectures import registry
from torch import nn
from torchvision.models import segmentation


def count(build, *arguments, **named):
    return sum(parameter.numel() for parameter in build(*arguments, **named).parameters())


def of_smp(name, encoder="resnet34", **arguments):
    arguments |= {"encoder_weights": None, "in_channels": 3, "classes": 21}
    return count(getattr(smp, name), encoder, **arguments)


def of_torchvision(name):
    build = getattr(segmentation, name)
    return count(build, weights=None, weights_backbone=None, num_classes=21)


def of_transformers():
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    return count(SegformerForSemanticSegmentation, SegformerConfig(num_labels=21))


def rounded(count, to):
    """As a paper gives it."""
    return round(count / to) * to


def kernels(build, *arguments):
    """Weights of a network's 3x3 convolutions alone."""
    return sum(
        layer.weight.numel()
        for layer in build(*arguments).modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
    )


SMP = {
    "unetpp": ("UnetPlusPlus", {}),
    "deeplab": ("DeepLabV3Plus", {}),
    # to stride 8 and on the whole encoder, as in the paper; the default is a part of it
    "pspnet": ("PSPNet", {"encoder_depth": 5}),
    "fpn": ("FPN", {}),
    "linknet": ("Linknet", {}),
    "upernet": ("UPerNet", {"encoder": "tu-convnext_tiny", "decoder_channels": 512}),
    # without the classifier of the vision transformer, which DPT does not use
    "dpt": ("DPT", {"encoder": "tu-vit_base_patch16_224.augreg_in21k", "num_classes": 0}),
}
"""By architecture: its class in segmentation-models-pytorch, and arguments."""


def rows():
    """(architecture, our parameters, the reference's, what that is), for the same channels."""

    def ours(name, out_channels=21, **arguments):
        return count(registry.build, name, 3, out_channels, **arguments)

    yield "unet", ours("unet", 1), 7_763_041, "published weights of Buda et al."
    for name, (peer, arguments) in SMP.items():
        yield name, ours(name), of_smp(peer, **arguments), f"smp {peer}"
    threes = rounded(kernels(registry.build, "resunet", 3, 1), 100_000)
    yield "resunet", threes, 7_800_000, "paper: 3x3 kernels"
    # the usual form has 7,812 biases that the batch normalisation after them undoes
    usual = 34_878_573 - 7_812
    yield "attention_unet", ours("attention_unet", 1), usual, "usual 2D form, less idle biases"
    # the paper counts one shift for each normalised channel, and no scale
    yield "unet3d", ours("unet3d", 3), 19_069_955 + 2_336, "paper, and scales of the norm"
    yield "fcn", ours("fcn"), 134_489_759, "authors' FCN-8s"
    resnet = ours("fcn", backbone="resnet50")
    yield "fcn", resnet, of_torchvision("fcn_resnet50"), "torchvision fcn_resnet50"
    yield "segnet", rounded(ours("segnet", 11), 10_000), 29_450_000, "paper, 11 classes"
    yield "segformer", ours("segformer"), of_transformers(), "transformers, B0"
    yield "lraspp", ours("lraspp"), of_torchvision("lraspp_mobilenet_v3_large"), "torchvision"


def references():
    """The rows as columns."""
    columns = map(list, zip(*rows(), strict=True))
    return dict(zip(("name", "ours", "reference", "source"), columns, strict=True))
