"""Which library's network some weights are of, told by the names of their tensors."""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Names of a network's tensors.

    Attributes
    ----------
    title
        The network and its library.
    marks
        Regular expressions; each begins some tensor's name, whatever module it lies in.
    advice
        What can be done with such weights; "" where nothing can.
    """

    title: str
    marks: tuple[str, ...]
    advice: str = ""


ENCODER = "Name the encoder that they were trained with: `encoder = `."

LAYOUTS = (
    Layout("Segment Anything", (r"image_encoder\.", r"mask_decoder\.", r"prompt_encoder\.")),
    Layout("Segment Anything 2", (r"image_encoder\.trunk\.", r"sam_mask_decoder\.")),
    Layout(
        "Segment Anything of transformers",
        (r"vision_encoder\.", r"mask_decoder\.", r"prompt_encoder\."),
    ),
    Layout(
        "SegFormer of transformers",
        (r"segformer\.encoder\.patch_embeddings\.", r"decode_head\.linear_c\."),
        "Give them to `seg_segformer()`.",
    ),
    Layout("Mask2Former or MaskFormer of transformers", (r"pixel_level_module\.",)),
    Layout("UPerNet of transformers", (r"decode_head\.psp_modules\.", r"backbone\.")),
    Layout("a network of MMSegmentation", (r"decode_head\.conv_seg\.", r"backbone\.")),
    Layout("a network of Detectron2", (r"sem_seg_head\.|proposal_generator\.", r"backbone\.")),
    Layout("Mask R-CNN of torchvision", (r"roi_heads\.", r"rpn\.head\.", r"backbone\.")),
    Layout("DeepLabV3 of torchvision", (r"classifier\.0\.convs\.", r"backbone\.layer1\.")),
    Layout(
        "FCN of torchvision",
        (r"classifier\.4\.", r"backbone\.layer1\."),
        'Give them to `seg_fcn(backbone = "resnet50")`, or "resnet101".',
    ),
    Layout(
        "LR-ASPP of torchvision",
        (r"classifier\.low_classifier\.", r"backbone\."),
        "Give them to `seg_lraspp()`.",
    ),
    Layout(
        "U-Net of segmentation-models-pytorch",
        (r"decoder\.blocks\.0\.conv1\.", r"encoder\.", r"segmentation_head\."),
        "Give them to `seg_unet()` with the encoder that they were trained with: `encoder = `.",
    ),
    Layout(
        "a network of segmentation-models-pytorch",
        (r"decoder\.", r"encoder\.", r"segmentation_head\."),
        ENCODER,
    ),
    Layout(
        "the U-Net of Buda et al.",
        (r"encoder1\.enc1conv1\.", r"upconv4\.", r"conv\."),
        "Give them to `seg_unet()` without an encoder.",
    ),
    Layout("the U-Net of milesial's Pytorch-UNet", (r"inc\.double_conv\.", r"outc\.conv\.")),
    Layout("a network of nnU-Net", (r"encoder\.stages\.", r"decoder\.seg_layers\.")),
    Layout("the U-Net of MONAI", (r"model\.0\.conv\.unit0\.",)),
    Layout("Cellpose", (r"downsample\.down\.res_down_0\.", r"output\.")),
    Layout(
        "YOLO",
        (r"model\.0\.conv\.", r"model\.22\.|model\.23\.|model\.24\."),
        "Give the whole checkpoint, not its weights alone, to `seg_yolo()`.",
    ),
    Layout("a vision transformer of timm", (r"blocks\.0\.attn\.qkv\.", r"patch_embed\.")),
    Layout("a ResNet, a classifier", (r"conv1\.weight", r"layer1\.0\.conv1\.", r"fc\.")),
    Layout("a VGG, a classifier", (r"features\.0\.", r"classifier\.6\.")),
)
"""Those that are known, the more particular first."""


def recognised(names: Iterable[str]) -> Layout | None:
    """The layout of tensors' names, None if it is unknown."""
    names = list(names)
    for layout in LAYOUTS:
        found = (re.compile(rf"(.+\.)?({mark})") for mark in layout.marks)
        if all(any(mark.match(name) for name in names) for mark in found):
            return layout
    return None
