"""Folders of weights, as Hugging Face's libraries write them: weights beside a description.

`config.json` is that of segmentation-models-pytorch (`model.save_pretrained()`) or of transformers.
"""

import json
import os
from dataclasses import dataclass, field

from torch import nn

from maskr import architectures
from maskr.errors import WeightsError
from maskr.preprocess import Preprocess
from maskr.published import FRACTIONS
from maskr.spec import Spec
from maskr.words import as_r

FILES = ("model.safetensors", "pytorch_model.bin")
ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")

SMP = {
    "Unet": ("unet", {}),
    "UnetPlusPlus": ("unetpp", {}),
    "Linknet": ("linknet", {}),
    "FPN": ("fpn", {}),
    "PSPNet": ("pspnet", {}),
    "DeepLabV3": ("deeplab", {"version": "v3"}),
    "DeepLabV3Plus": ("deeplab", {"version": "v3plus"}),
    "UPerNet": ("upernet", {}),
    "Segformer": ("segformer", {}),
    "DPT": ("dpt", {}),
}
"""smp's classes: the architecture, and arguments that the class stands for."""

SETTINGS = {
    "encoder_name": "encoder",
    "decoder_channels": "decoder_channels",
    "decoder_attention_type": "attention",
    "decoder_interpolation": "upsample",
    "encoder_output_stride": "output_stride",
    "decoder_atrous_rates": "rates",
}
"""smp's names of arguments that our builders take by others, or by the same."""

FREE = ("encoder_weights", "in_channels", "classes", "activation")
"""Settings of smp's that may differ: what adapts, and what acts beside the network."""

DEPTHS = {
    (2, 2, 2, 2): "b1",
    (3, 4, 6, 3): "b2",
    (3, 4, 18, 3): "b3",
    (3, 8, 27, 3): "b4",
    (3, 6, 40, 3): "b5",
}
"""SegFormers by the depths of their stages; b0 has b1's, and half its channels."""

WIDTHS = ([32, 64, 160, 256], [64, 128, 320, 512])
"""Channels of SegFormer's stages: those of b0, and of all others."""


@dataclass(frozen=True)
class Folder:
    """A folder of weights.

    Attributes
    ----------
    file
        Path of the file with the weights.
    spec
        The network, without classes where the description names none; None without description.
    settings
        smp's settings of the network; empty for others.
    """

    file: str
    spec: Spec | None = None
    settings: dict = field(default_factory=dict)


def opened(folder: str, architecture: str) -> Folder:
    """What is in a folder.

    Raises
    ------
    WeightsError
        If it holds no weights, or those of another network than the architecture.
    """
    file = file_in(folder)
    config = json_in(folder, "config.json")
    if "encoder_name" in config:
        found = Folder(file, spec_of_smp(config, architecture), config)
        library = "segmentation-models-pytorch"
    elif "model_type" in config:
        found = Folder(file, spec_of_transformers(folder, config))
        library = "transformers"
    else:
        return Folder(file)
    kind = config.get("_model_class") or config.get("model_type")
    if found.spec is None or found.spec.architecture != architecture:
        other = found.spec and found.spec.architecture
        raise WeightsError(
            f'The folder "{folder}" holds the network "{kind}" of {library}, not a '
            f"{architectures.entry(architecture).title} that maskr builds.",
            hint=f"Give it to `seg_{other}()`." if other else "",
            argument="weights",
        )
    return found


def file_in(folder: str) -> str:
    """Path of a folder's file of weights: one of the usual name, else the only one."""
    names = sorted(os.listdir(folder))
    usual = [name for name in FILES if name in names]
    weights = usual[:1] or [name for name in names if name.endswith(ENDINGS)]
    if len(weights) == 1:
        return os.path.join(folder, weights[0])
    if any(name.endswith(".index.json") for name in names):
        hint = "Save the model again as one file, by a greater `max_shard_size`."
    elif weights:
        hint = "Give the path of the one that is meant."
    else:
        hint = f"They would be called {' or '.join(FILES)}."
    held = f"several files of weights: {', '.join(weights)}" if weights else "no weights"
    raise WeightsError(
        f'The folder "{folder}" holds {held}.',
        hint=hint,
        argument="weights",
    )


def json_in(folder: str, name: str) -> dict:
    """A JSON object in a folder; empty where there is none."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise WeightsError(
            f"The file {os.path.join(folder, name)} is damaged: {error}.", argument="weights"
        ) from error
    return content if isinstance(content, dict) else {}


def spec_of_smp(config: dict, architecture: str) -> Spec | None:
    """The network that smp describes; None if it is not one of maskr's."""
    # early versions did not write the class
    kind = config.get("_model_class")
    if kind is not None and kind not in SMP:
        return None
    architecture, arguments = SMP.get(kind, (architecture, {}))
    own = architectures.entry(architecture).defaults
    told = {ours: config[theirs] for theirs, ours in SETTINGS.items() if theirs in config}
    if architecture == "segformer":
        told["variant"] = told["encoder"].removeprefix("mit_")
    arguments = arguments | {name: value for name, value in told.items() if name in own}
    return Spec(architecture, arguments, in_channels=config.get("in_channels", 3))


def check_settings(network: nn.Module, settings: dict) -> None:
    """Raise a WeightsError where smp's network has other settings than its description."""
    own = getattr(network, "config", {})
    for name, value in settings.items():
        if name not in FREE and name in own and plain(own[name]) != plain(value):
            raise WeightsError(
                f"The weights' network has the setting {name} = {as_r(value)}, and that of "
                f"maskr {as_r(own[name])}.",
                hint="Build it by segmentation-models-pytorch, and wrap it: `seg_wrap()`.",
                argument="weights",
            )


def plain(value: object) -> object:
    """A value with lists for tuples."""
    return list(value) if isinstance(value, tuple) else value


def spec_of_transformers(folder: str, config: dict) -> Spec | None:
    """The network that transformers describes; None if it is not one of maskr's."""
    if config["model_type"] != "segformer":
        return None
    depths, widths = (plain(config.get(key)) for key in ("depths", "hidden_sizes"))
    variant = DEPTHS.get(tuple(depths or ()))
    if variant == "b1" and widths == WIDTHS[0]:
        variant = "b0"
    if variant is None or variant != "b0" and widths != WIDTHS[1]:
        raise WeightsError(
            f'The folder "{folder}" holds the network "segformer" of transformers with depths = '
            f"{as_r(depths)} and hidden_sizes = {as_r(widths)}, which none of the variants b0 to "
            "b5 has.",
            hint="Build it by transformers, in a module that enlarges its logits to the size of "
            "the image, and wrap that: `seg_wrap()`.",
            argument="weights",
        )
    return Spec(
        "segformer",
        {"variant": variant},
        in_channels=config.get("num_channels", 3),
        classes=classes_of(config.get("id2label", {})),
        preprocess=preprocess_of(json_in(folder, "preprocessor_config.json")),
        seen=FRACTIONS,
    )


def classes_of(labels: dict[str, str]) -> dict[str, int] | None:
    """Ids by name; a name that comes twice gets its id added. None for fewer than two classes."""
    classes: dict[str, int] = {}
    for number, name in sorted((int(number), name) for number, name in labels.items()):
        classes[f"{name} ({number})" if name in classes else name] = number
    return classes if len(classes) > 1 else None


def preprocess_of(config: dict) -> Preprocess:
    """What transformers does to the values of images; their size stays their own here."""
    if not config.get("do_normalize", False):
        return Preprocess()
    return Preprocess(mean=tuple(config["image_mean"]), std=tuple(config["image_std"]))
