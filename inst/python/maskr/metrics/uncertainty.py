"""How sure scores are: images are drawn again and again, with replacement.

Pixels of one image are no independent observations, images are. Efron, B. and Tibshirani, R. J.
(1993), An introduction to the bootstrap, chapter 13 (percentile intervals).
"""

from dataclasses import dataclass

import numpy as np

from maskr.errors import DataError


@dataclass(frozen=True)
class Resampling:
    """How images are resampled.

    Parameters
    ----------
    level
        Of the intervals, between 0 and 1.
    replicates
        How many resamples are drawn.
    seed
        Decides which.
    """

    level: float = 0.95
    replicates: int = 1000
    seed: int = 0

    def weights(self, images: int) -> np.ndarray:
        """How often each image is drawn: int64 `[R, N]`, each row adds up to N.

        Raises
        ------
        DataError
            If there are fewer than two images.
        """
        if images < 2:
            raise DataError(
                f"Intervals come from resampling images, and there is {images or 'none'}.",
                hint="Give two or more images, or leave the intervals out.",
                argument="ci",
            )
        random = np.random.default_rng(self.seed)
        shares = np.full(images, 1 / images)
        return random.multinomial(images, shares, size=int(self.replicates))


def interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Percentile intervals of resampled values `[R, rows]`: lower and upper bounds `[rows]`.

    Resamples in which a score is undefined are left out; where it is defined in none, so is the
    interval. Bounds are interpolated between resamples, but for scores that are infinite in some:
    there they are the outer one of the two.
    """
    tails = (100 * (1 - level) / 2, 100 * (1 + level) / 2)
    bounds = np.full((2, values.shape[1]), np.nan)
    infinite = np.isinf(values).any(axis=0)
    finite = np.isfinite(values).any(axis=0) & ~infinite
    for columns, methods in ((finite, ("linear", "linear")), (infinite, ("lower", "higher"))):
        if columns.any():
            for bound, tail, method in zip(bounds, tails, methods, strict=True):
                bound[columns] = np.nanpercentile(values[:, columns], tail, axis=0, method=method)
    return bounds[0], bounds[1]
