"""A network with outputs by name, trained alone or by the processes of torchrun."""

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
sys.path.insert(0, str(Path(__file__).parents[2] / "inst" / "python"))

import numpy as np
import torch
from maskr import training
from maskr.arrays import IGNORE
from maskr.model import SegModel
from maskr.spec import Spec
from maskr.training import distributed
from torch import nn

THREE = {"background": 0, "nucleus": 1, "border": 2}


class TwoHeads(nn.Module):
    """Outputs by name with a loss of their own, an encoder to freeze, and no statistics."""

    multiple = 1
    encoder_layers = ("encoder",)

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv2d(1, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 3, 3, padding=1)
        self.side = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        x = self.encoder(x).relu()
        return {"out": self.head(x), "side": self.side(x)} if self.training else self.head(x)

    def auxiliary_loss(self, outputs, target):
        per_pixel = nn.functional.cross_entropy(outputs["side"], target, ignore_index=IGNORE)
        return 0.4 * per_pixel


def job():
    """A compiled model and the arguments of `fit()`."""
    torch.manual_seed(3)
    model = SegModel(TwoHeads(), Spec("wrapped", {}, in_channels=1, classes=THREE))
    loss = [{"name": "cross_entropy"}, {"name": "lovasz", "weight": 0.5}]
    training.compile(model, "sgd", learning_rate=0.1, loss=loss, schedule={"name": "cosine"})
    rng = np.random.default_rng(4)
    images = [rng.random(size) for size in [(16, 24), (20, 12), (12, 12), (16, 24), (20, 16)]]
    data = {"images": images, "targets": [(image * 3).astype(np.int32) for image in images],
            "names": list("abcde"), "class_ids": [0, 1, 2], "batch_size": 3, "threads": 1,
            "seed": 2, "augment": [{"name": "flip_horizontal", "p": 0.5}]}
    settings = {"epochs": 3, "seed": 1, "precision": "float32", "freeze_epochs": 1,
                "class_weights": [1.0, 2.0, 0.5]}
    return model, data, settings


def train(share=(0, 1), loaded=None):
    """The history, and all weights as one list."""
    model, data, settings = loaded or job()
    result = training.fit(model, data | {"share": share}, **settings)
    weights = torch.cat([p.detach().flatten() for p in model.module.parameters()])
    return {"metric": result["metric"], "value": result["value"], "weights": weights.tolist()}


def train_in_team(folder):
    """Write what each process of torchrun finds."""
    loaded = job()
    with distributed.joined(loaded[0]) as share:
        found = train(share, loaded)
    Path(folder, f"{share[0]}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    train_in_team(sys.argv[1])
