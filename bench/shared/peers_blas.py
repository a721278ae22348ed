"""The same work for R and for Python alone: matrix products, and maskr's own verbs (blas.R)."""

import copy

import numpy as np
import torch
from maskr import inference, storage, training

# seconds of the CPU are compared
torch.set_num_threads(1)


class Products:
    """Products whose speed is that of the BLAS, each some times."""

    def __init__(self):
        torch.manual_seed(1)
        self.square = torch.randn(512, 512)
        self.layer, self.rows = torch.nn.Linear(256, 1024), torch.randn(1024, 256)
        self.pointwise, self.image = torch.nn.Conv2d(64, 64, 1), torch.randn(1, 64, 128, 128)

    def matmul(self):
        for _ in range(20):
            self.square @ self.square

    @torch.no_grad()
    def linear(self):
        for _ in range(20):
            self.layer(self.rows)

    @torch.no_grad()
    def convolution(self):
        for _ in range(20):
            self.pointwise(self.image)


class Verbs:
    """Predicting and training by maskr from Python.

    Parameters
    ----------
    path
        File of the model.
    """

    def __init__(self, path):
        self.model = storage.load(path)

    def predict(self, images):
        return inference.predict(self.model, images, precision="float32")["results"]

    def fit(self, images, masks, epochs, batch_size):
        model = storage.clone(self.model)
        training.compile(model, metrics=[])
        data = {
            "images": [np.asfortranarray(image) for image in images],
            "targets": [np.asfortranarray(mask) for mask in masks],
            "names": [str(i) for i in range(len(images))],
            "class_ids": [0, 1], "batch_size": int(batch_size),
        }  # fmt: skip
        training.fit(model, data, epochs=int(epochs), precision="float32", seed=1)
