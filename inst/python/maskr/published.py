"""Weights that somebody published: where they are, under which licence, and of which network."""

from collections.abc import Callable
from dataclasses import dataclass, field

from maskr.preprocess import Preprocess
from maskr.spec import Spec


@dataclass(frozen=True)
class Published:
    """Weights that somebody published.

    Attributes
    ----------
    name
        What users write, such as "brain-mri".
    file
        Name of the file, at its source and in the cache.
    url
        Where it can be downloaded; "" for what comes with the package.
    sha256
        Accepted SHA-256 checksums, each whole or its first characters (at least eight). The first
        is that of the file at `url`; others are of earlier releases of the same weights.
    licence
        SPDX identifier of the licence that the weights come under.
    architecture, arguments
        The network that they are of.
    vocabulary
        Its classes, a name in `VOCABULARIES`; "" where the file itself tells all about the network.
    preprocess
        What happened to the images that it was trained on.
    """

    name: str
    file: str
    url: str
    sha256: tuple[str, ...]
    licence: str
    architecture: str
    arguments: dict = field(default_factory=dict)
    vocabulary: str = ""
    preprocess: Preprocess = Preprocess()

    @property
    def spec(self) -> Spec:
        """The network; not yet known is the multiple of its sizes."""
        return Spec(
            self.architecture,
            self.arguments,
            in_channels=3,
            classes=VOCABULARIES[self.vocabulary](),
            preprocess=self.preprocess,
            seen=FRACTIONS,
        )


def voc() -> dict[str, int]:
    """The 21 classes of Pascal VOC by name."""
    from maskr.annotations.voc_folders import NAMES

    return {name: i for i, name in enumerate(NAMES)}


def ade20k() -> dict[str, int]:
    """The 150 classes of ADE20K's scene parsing benchmark by name."""
    from maskr.annotations.ade20k_classes import SCENE_CLASSES

    return {name: i for i, name in enumerate(SCENE_CLASSES, start=1)}


def cityscapes() -> dict[str, int]:
    """The 19 classes of Cityscapes that are evaluated, with their trainIds."""
    from maskr.annotations.cityscapes_classes import TRAINED

    return {one.name: one.train_id for one in TRAINED}


VOCABULARIES: dict[str, Callable[[], dict[str, int]]] = {
    "glioma": lambda: {"background": 0, "tumour": 1},
    "voc": voc,
    "ade20k": ade20k,
    "cityscapes": cityscapes,
}

FRACTIONS = (0.0, 1.0)
"""What published networks saw before their preprocessing: integers divided by their maximum."""

IMAGENET = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
HALF = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))

NON_COMMERCIAL = "LicenseRef-NVIDIA-non-commercial"
"""NVIDIA's source code licence for SegFormer: research and evaluation only."""


def by_torchvision(file: str, architecture: str, arguments: dict) -> Published:
    """A network of torchvision's, trained on the images of COCO that have VOC's classes."""
    checksum = file.rpartition("-")[2].removesuffix(".pth")
    return Published(
        "coco",
        file,
        f"https://download.pytorch.org/models/{file}",
        (checksum,),
        "BSD-3-Clause",
        architecture,
        arguments,
        "voc",
        IMAGENET,
    )


def by_smp(
    repository: str,
    licence: str,
    architecture: str,
    arguments: dict,
    vocabulary: str,
    preprocess: Preprocess = IMAGENET,
) -> Published:
    """A network that segmentation-models-pytorch converted; no checksum is published."""
    return Published(
        vocabulary,
        f"{repository}.safetensors",
        f"https://huggingface.co/smp-hub/{repository}/resolve/main/model.safetensors",
        (),
        licence,
        architecture,
        arguments,
        vocabulary,
        preprocess,
    )


def segformers() -> list[Published]:
    """NVIDIA's SegFormers, trained on ADE20K and on Cityscapes."""
    found = []
    for vocabulary, short, side in (("ade20k", "ade", 512), ("cityscapes", "city", 1024)):
        for variant in ("b0", "b1", "b2", "b3", "b4", "b5"):
            size = 640 if (variant, short) == ("b5", "ade") else side
            repository = f"segformer-{variant}-{size}x{size}-{short}-160k"
            arguments = {"variant": variant}
            found.append(by_smp(repository, NON_COMMERCIAL, "segformer", arguments, vocabulary))
    return found


def upernets() -> list[Published]:
    """The UPerNets of mmsegmentation, trained on ADE20K."""
    encoders = {
        "convnext-tiny": "convnext_tiny",
        "convnext-small": "convnext_small",
        "convnext-base": "convnext_base",
        "convnext-large": "convnext_large",
        "convnext-xlarge": "convnext_xlarge",
        "swin-tiny": "swin_tiny_patch4_window7_224",
        "swin-small": "swin_small_patch4_window7_224",
        "swin-large": "swin_large_patch4_window12_384",
    }
    return [
        by_smp(f"upernet-{short}", "MIT", "upernet", {"encoder": encoder}, "ade20k")
        for short, encoder in encoders.items()
    ]


# Buda, Saha & Mazurowski (2019), https://doi.org/10.1016/j.compbiomed.2019.05.002: three MRI
# sequences, standardised per image; the file's name holds the start of its checksum
BRAIN_MRI = Published(
    "brain-mri",
    "unet-e012d006.pt",
    "https://github.com/mateuszbuda/brain-segmentation-pytorch/releases/download/v1.0/"
    "unet-e012d006.pt",
    ("e012d006",),
    "MIT",
    "unet",
    {"init_features": 32},
    "glioma",
    Preprocess(per_image="standardise"),
)

# The second checksum is that of the release of January 2023 (package version 8.0.0)
YOLO = Published(
    "yolov8n-seg.pt",
    "yolov8n-seg.pt",
    "https://github.com/ultralytics/assets/releases/download/v8.3.0/yolov8n-seg.pt",
    (
        "a7cd8f929e1903d78a12a48efecab430209f18dc46cb96c3599a5980c63c423c",
        "d39e867b2c3a5dbc1aa764411544b475cb14727bf6af1ec46c238f8bb1351ab9",
    ),
    "AGPL-3.0-only",
    "yolo",
)

SINGLE = (
    Published("nuclei", "nuclei.safetensors", "", (), "MIT", "unet"),
    BRAIN_MRI,
    YOLO,
)

NETWORKS = (
    by_torchvision("fcn_resnet50_coco-1167a1af.pth", "fcn", {"backbone": "resnet50"}),
    by_torchvision("fcn_resnet101_coco-7ecb50ca.pth", "fcn", {"backbone": "resnet101"}),
    by_torchvision("lraspp_mobilenet_v3_large-d234d4ea.pth", "lraspp", {}),
    *segformers(),
    *upernets(),
    by_smp(
        "dpt-large-ade20k", "MIT", "dpt", {"encoder": "vit_large_patch16_384"}, "ade20k", HALF
    ),
)

KNOWN = {known.name: known for known in SINGLE} | {known.file: known for known in NETWORKS}
"""All published weights: by name, or by file where a name stands for several sizes of a network."""
