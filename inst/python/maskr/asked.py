"""What was asked of a network, and whether weights agree with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from maskr import architectures
from maskr.errors import DataError
from maskr.preprocess import Preprocess
from maskr.published import Published
from maskr.spec import Spec
from maskr.words import as_r


@dataclass(frozen=True)
class Asked:
    """What was asked for; None, or missing in `arguments`, is "not said"."""

    architecture: str
    in_channels: int | None = None
    classes: dict[str, int] | None = None
    arguments: dict = field(default_factory=dict)
    preprocess: Preprocess | None = None

    def spec(self) -> Spec:
        """The specification of what was said, else the defaults."""
        return Spec(
            self.architecture,
            self.arguments,
            in_channels=self.in_channels or 3,
            classes=self.classes_or(None),
            preprocess=self.preprocess or Preprocess(),
        )

    def classes_or(self, held: dict[str, int] | None) -> dict[str, int]:
        """The classes that were asked for, else those that are known."""
        classes = self.classes or held
        if classes is None:
            raise DataError(
                "A model needs to know its classes.",
                hint="Name them, for example `classes = c(background = 0, nucleus = 1)`.",
                argument="classes",
            )
        return classes


def same(one: object, other: object) -> bool:
    """Are two plain values the same, be they tuples or lists?"""
    plain = [list(v) if isinstance(v, list | tuple) else v for v in (one, other)]
    return plain[0] == plain[1]


def check_said(asked: Asked, held: Spec, name: str, sizes: Sequence[Published] = ()) -> None:
    """Raise a DataError where an argument contradicts the weights, one of several `sizes`."""
    defaults = architectures.entry(held.architecture).defaults
    for argument, said in asked.arguments.items():
        value = held.arguments.get(argument, defaults.get(argument))
        if not same(said, value):
            others = [one.arguments[argument] for one in sizes if argument in one.arguments]
            choice = f" Those that have them: {', '.join(others)}." if len(others) > 1 else ""
            raise DataError(
                f'The weights "{name}" have {argument} = {as_r(value)}, and '
                f"{as_r(said)} was asked for.",
                hint=f"Leave `{argument}` out, or train a network of your own.{choice}",
                argument=argument,
            )
