"""Steps in their order, each with its probability."""

from collections.abc import Sequence

import numpy as np

from maskr.augment import colour, compose, geometry, volumes
from maskr.augment.compose import Others
from maskr.augment.sample import Sample
from maskr.errors import DataError, ShapeError

STEPS = {
    name: getattr(module, name)
    for module, names in (
        (geometry, ("random_crop", "resized_crop", "flip_horizontal", "flip_vertical", "rot90",
                    "rotate", "affine", "perspective", "elastic", "grid_distortion")),
        (colour, ("brightness", "contrast", "gamma", "hue", "saturation", "blur", "noise",
                  "jpeg")),
        (compose, ("cutout",)),
    )
    for name in names
}  # fmt: skip
"""What there is for images, by name."""

COMPOSING = {"mosaic": compose.mosaic, "copy_paste": compose.copy_paste}
"""Steps that take other samples too."""


class Pipeline:
    """A series of steps.

    Parameters
    ----------
    steps
        Each a dict of its `name`, the probability `p` and the step's own settings, all of them:
        defaults are R's business.
    """

    def __init__(self, steps: Sequence[dict]) -> None:
        self.steps = [dict(step) for step in steps]
        for step in self.steps:
            if step["name"] not in STEPS and step["name"] not in COMPOSING:
                raise DataError(f"There is no step {step['name']}.", argument="augment")

    @property
    def needs_others(self) -> bool:
        """Whether steps take other samples too."""
        return any(step["name"] in COMPOSING for step in self.steps)

    @property
    def needs_objects(self) -> bool:
        """Whether samples must hold objects."""
        return any(step["name"] == "copy_paste" for step in self.steps)

    def apply(
        self, sample: Sample, rng: np.random.Generator, others: Others | None = None
    ) -> Sample:
        """Augment a sample, whose own arrays stay as they are.

        Parameters
        ----------
        rng
            The only source of chance.
        others
            Draws another sample for mosaic and copy_paste.

        Raises
        ------
        DataError
            If a step needs objects or other samples and there are none.
        ShapeError
            If a step cannot be applied to a volume.
        """
        for step in self.steps:
            if rng.random() < step["p"]:
                sample = self._do(step, sample, rng, others)
        return sample.finished()

    def _do(
        self, step: dict, sample: Sample, rng: np.random.Generator, others: Others | None
    ) -> Sample:
        name = step["name"]
        settings = {key: value for key, value in step.items() if key not in ("name", "p")}
        if sample.image.ndim == 4:
            if name not in volumes.STEPS:
                raise ShapeError(
                    f"The step {name} is for images, and this is a volume.",
                    hint=f"For volumes there are {', '.join(volumes.STEPS)}.",
                    argument="augment",
                )
            return volumes.STEPS[name](sample, rng, **settings)
        if name not in COMPOSING:
            return STEPS[name](sample, rng, **settings)
        if others is None:
            raise DataError(f"The step {name} needs other samples.", argument="augment")
        return COMPOSING[name](sample, rng, others, **settings)
