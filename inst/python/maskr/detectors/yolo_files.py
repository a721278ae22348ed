"""Files that are given as YOLO checkpoints: which are published, and what the others are.

Nothing here imports ultralytics, or unpickles anything.
"""

import difflib
import os
import pickle
import re
from collections.abc import Iterable

from maskr import checkpoints
from maskr.errors import FileError, TrustError, WeightsError

RELATIVES = (
    ("YOLOv9", ("models.common.RepNCSPELAN4", "models.common.ADown", "models.common.SPPELAN")),
    ("YOLOv7", ("models.common.SPPCSPC", "models.common.MP", "models.common.RepConv",
                "models.common.ReOrg", "models.yolo.IDetect", "models.yolo.ISegment")),
    ("YOLOv5", ("models.yolo.",)),
    ("YOLOv6", ("yolov6.",)),
    ("YOLOX", ("yolox.",)),
    ("YOLO-NAS", ("super_gradients.",)),
)
"""Families that are not ultralytics' package, and beginnings of classes that tell them.

The first three share the name of their module, so the particular ones come first.
"""


def require_checkpoint(path: str) -> None:
    """Raise a WeightsError for a file that can't be a checkpoint of the package ultralytics.

    A file that holds other objects passes: whether it may be opened is another question.
    """
    kind = checkpoints.kind_of(path)
    if kind == checkpoints.SCRIPT:
        raise WeightsError(
            f"The file {path} is {kind}, an export of a model.",
            hint="Give the checkpoint that it was exported from, such as best.pt.",
            argument="weights",
        )
    if kind != checkpoints.PICKLE:
        raise WeightsError(
            checkpoints.is_not(path, "a checkpoint of an Ultralytics model"), argument="weights"
        )
    family = relative(checkpoints.foreign_classes(path))
    if family is not None:
        raise WeightsError(
            f"The file {path} is a {family} checkpoint. Only {family}'s own code opens it; maskr "
            "runs models of the package ultralytics (YOLOv8 and newer).",
            hint='Train a newer model on the same data: `seg_yolo("yolov8n-seg.pt") |> fit(...)`.',
            argument="weights",
        )


def relative(classes: Iterable[str]) -> str | None:
    """The family of YOLO whose classes a checkpoint holds, None for ultralytics' and others."""
    classes = list(classes)
    for family, beginnings in RELATIVES:
        if any(name.startswith(beginnings) for name in classes):
            return family
    return None


def unopened(path: str) -> WeightsError:
    """The error of a file that ultralytics can't open though nothing in it was refused."""
    classes = checkpoints.foreign_classes(path)
    ours = any(name.startswith("ultralytics.") for name in classes)
    return WeightsError(
        f"The file {path} is damaged, or was written by another version of ultralytics."
        if ours
        else f"The file {path} holds no Ultralytics model.",
        hint="A checkpoint that ultralytics wrote, such as best.pt, holds network and weights.",
        argument="weights",
    )


def missing(source: str, published: Iterable[str]) -> FileError:
    """The error of a file that is not there, and that nobody publishes."""
    names = sorted(name for name in published if name.endswith("-seg.pt"))
    close = difflib.get_close_matches(source, names, 3, 0.7) or ["yolov8n-seg.pt"]
    quoted = " or ".join(f'"{name}"' for name in close)
    none = "" if os.path.dirname(source) else ", and ultralytics publishes none of that name"
    return FileError(
        f"There is no file {source}{none}.",
        hint=f'Give the path of a ".pt" file, a published name such as {quoted}, or an '
        'architecture such as "yolov8n-seg.yaml".',
        argument="weights",
    )


def refused(error: Exception) -> str | None:
    """Tell what the restricted loader refused: "" if it does not say, None if it did not."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, pickle.UnpicklingError):
            found = re.search(r"GLOBAL (\S+)|unsafe (getattr\([^)]*\))", str(cause))
            return next(filter(None, found.groups()), "") if found else ""
        cause = cause.__cause__
    return None


def untrusted(path: str, what: str) -> TrustError:
    """Say why a file was refused and what can be done."""
    return TrustError(
        f"{path} was refused: it holds{f' {what},' if what else ''} more than the parameters and "
        "layers of a YOLO model, and opening it could run any code.",
        hint="Only if you know who made it: seg_yolo(..., trust = TRUE) opens it without "
        "restriction.",
        argument="trust",
    )
