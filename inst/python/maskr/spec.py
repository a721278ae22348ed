"""What a model is, apart from its weights: everything that a file must hold to rebuild it."""

from dataclasses import dataclass, field

from maskr.errors import DataError
from maskr.preprocess import Preprocess


@dataclass(frozen=True)
class Spec:
    """Description of a semantic segmentation model.

    Attributes
    ----------
    architecture
        Name in the registry (`maskr.architectures`), such as "unet".
    arguments
        The arguments that its builder was called with; plain values.
    in_channels
        Number of image channels; None where a foreign module does not tell.
    classes
        Class ids by name, in the order of the model's channels. Two classes share one channel,
        which stands for the second. None: the model predicts logits or probabilities only.
    activated
        The activation that the module itself ends with: "none" (it returns logits), "sigmoid" or
        "softmax".
    multiple
        H and W of what the module sees must be multiples of this.
    preprocess
        What happens to images before the module sees them.
    output
        Which of several outputs of a foreign module counts: its name in a dictionary, or its place
        in a tuple or list, counted from 1. None: the only one, or that of the name "out".
    seen
        The least and the largest value of the images that it was trained on, before
        `preprocess`; None where that isn't known.
    """

    architecture: str
    arguments: dict = field(default_factory=dict)
    in_channels: int | None = 3
    classes: dict[str, int] | None = None
    activated: str = "none"
    multiple: int = 1
    preprocess: Preprocess = Preprocess()
    output: str | int | None = None
    seen: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.classes is not None and len(self.classes) < 2:
            raise DataError(
                f"A model needs at least two classes, not {len(self.classes)}.",
                hint='Name the background too: `classes = c(background = 0, nucleus = 1)`.',
                argument="classes",
            )
        if self.in_channels is not None:
            self.preprocess.check_channels(self.in_channels)

    @property
    def out_channels(self) -> int:
        """Channels of the logits: one for two classes, else one per class."""
        if self.classes is None:
            return 1
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def class_ids(self) -> list[int]:
        """The class ids, in the order of the channels."""
        return list(self.classes.values())

    def to_dict(self) -> dict:
        """Plain values that survive JSON."""
        return {
            "architecture": self.architecture,
            "arguments": dict(self.arguments),
            "in_channels": self.in_channels,
            "classes": None if self.classes is None else dict(self.classes),
            "activated": self.activated,
            "multiple": self.multiple,
            "preprocess": self.preprocess.to_dict(),
            "output": self.output,
            "seen": None if self.seen is None else list(self.seen),
        }

    @classmethod
    def from_dict(cls, values: dict) -> "Spec":
        """The inverse of `to_dict()`."""
        values = dict(values)
        values["preprocess"] = Preprocess(**values["preprocess"])
        # files of older versions lack it
        if values.get("seen") is not None:
            values["seen"] = tuple(values["seen"])
        return cls(**values)
