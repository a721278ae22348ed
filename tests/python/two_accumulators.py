"""Two processes that count an image each, and gather what both counted."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "inst" / "python"))

import numpy as np
import torch.distributed as dist
from maskr.metrics import Accumulator
from maskr.metrics.semantic import Semantic


def images(seed):
    """Two pairs of masks for one process, one for the other."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, (2, 2 - seed, 11, 13))


if __name__ == "__main__":
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    counted = Accumulator([Semantic(range(3))], keep=True)
    counted.update_all(*map(list, images(rank)))
    table = counted.gathered().table(per_image=True)
    found = {"images": counted.images, "value": table["value"].tolist()}
    Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()
