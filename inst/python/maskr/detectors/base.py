"""The one contract of all models that find objects."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from maskr.errors import DataError
from maskr.instances import Instances

if TYPE_CHECKING:
    import torch


class Detector(ABC):
    """A model that finds objects in images.

    Attributes
    ----------
    family
        Name of the kind of model in saved files, a key of `maskr.detectors.FAMILIES`.
    name
        What users know the model by, such as "yolov8n-seg".
    classes
        Class ids by name, in the order of the model's channels.
    module
        The network itself.
    """

    family: str
    name: str
    classes: dict[str, int]
    module: "torch.nn.Module"

    @abstractmethod
    def predict(self, images: Sequence[str | np.ndarray], **options: Any) -> list[Instances]:
        """Find the objects in each image: paths, or arrays as R hands them over (RGB, 0 to 1)."""

    @abstractmethod
    def config(self) -> dict:
        """Describe what `restore()` of the family's module needs beside the parameters (JSON)."""

    def state(self) -> dict[str, "torch.Tensor"]:
        """Give parameters and buffers by name."""
        return self.module.state_dict()

    def describe(self) -> dict:
        """Give name, family, classes, number of parameters and device."""
        from maskr import device

        return {
            "name": self.name,
            "family": self.family,
            "class_names": list(self.classes),
            "class_ids": list(self.classes.values()),
            "parameters": sum(p.numel() for p in self.module.parameters()),
            "device": device.choose(),
        }

    def channels_of(self, classes: Sequence[str | int] | None) -> list[int] | None:
        """Find the channels of classes given by name or id; None stays None.

        Raises
        ------
        DataError
            If the model knows no such class.
        """
        if classes is None:
            return None
        names, ids = list(self.classes), list(self.classes.values())
        unknown = [c for c in classes if c not in (names if isinstance(c, str) else ids)]
        if unknown:
            given = ", ".join(f'"{c}"' if isinstance(c, str) else str(c) for c in unknown)
            some = ", ".join(f"{n} ({i})" for n, i in list(self.classes.items())[:3])
            raise DataError(
                f"The model knows no class {given}.",
                hint=f"It knows {len(names)} classes: {some}{', ...' if len(names) > 3 else ''}.",
                argument="classes",
            )
        return [(names if isinstance(c, str) else ids).index(c) for c in classes]
