"""Objects of one image as the metrics of objects count them."""

from dataclasses import dataclass

import numpy as np

from maskr.instances import Instances


@dataclass(frozen=True)
class Objects:
    """Objects, some of which may be crowds.

    Parameters
    ----------
    instances
        The objects; `areas` decide COCO's classes of size, and are those of the file where the
        objects were read from one.
    crowd
        bool `[N]`: regions of many objects that were not told apart.
    """

    instances: Instances
    crowd: np.ndarray

    def __len__(self) -> int:
        return len(self.instances)

    @classmethod
    def of(cls, x: "Objects | Instances") -> "Objects":
        """Objects as they are; instances as objects without crowds."""
        return x if isinstance(x, cls) else cls(x, np.zeros(len(x), dtype=bool))
