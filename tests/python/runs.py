"""Small trainings whose every part has a state, for tests of what happens around them."""

import numpy as np
import torch
from maskr import training
from maskr.model import SegModel
from maskr.spec import Spec

BINARY = {"background": 0, "nucleus": 1}
EARLY = {"kind": "early_stopping", "monitor": "val_loss", "patience": 9, "min_delta": 0.0}


class Net(torch.nn.Module):
    """A net with everything that has a state: dropout, batch normalisation, two layers."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Sequential(
            torch.nn.Conv2d(1, 6, 3, padding=1), torch.nn.BatchNorm2d(6), torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
        )
        self.head = torch.nn.Conv2d(6, 1, 1)
        self.encoder_layers = ("encoder",)

    def forward(self, x):
        return self.head(self.encoder(x))


def model_of(**settings):
    torch.manual_seed(4)
    model = SegModel(Net(), Spec("wrapped", in_channels=1, classes=BINARY))
    defaults = {"optimizer": "adam", "learning_rate": 0.02, "metrics": ["iou"]}
    training.compile(model, **(defaults | settings))
    return model


def data(n=7, seed=0, **options):
    rng = np.random.default_rng(seed)
    images = [rng.random((20, 28)) for _ in range(n)]
    targets = [(image > 0.5).astype(np.int32) for image in images]
    fields = {"images": images, "targets": targets, "names": [str(i) for i in range(n)],
              "class_ids": [0, 1], "batch_size": 2, "threads": 2, "seed": 5,
              "augment": [{"name": "flip_horizontal", "p": 0.5},
                          {"name": "brightness", "p": 0.5, "factor": [0.8, 1.2]}]}
    return fields | options


def valid():
    return data(3, seed=9, shuffle=False, augment=None)


def fit(model, folder="", epochs=4, seed=3, train=None, validation="yes", **arguments):
    defaults = {"precision": "float32", "callbacks": [EARLY]}
    return training.fit(model, data() if train is None else train,
                        valid() if validation == "yes" else validation, epochs,
                        seed=seed, resume=str(folder), **(defaults | arguments))
