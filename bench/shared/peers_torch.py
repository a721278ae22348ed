"""Plain eager PyTorch on networks of maskr's: the peer of predict.R, fit.R and blas.R."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from maskr import storage


def tensor_of(images):
    """Equally large images `[H, W, C]` as a batch."""
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2)).float()


def train(module, images, masks, epochs, batch_size):
    """Train by Adam on binary cross-entropy plus Dice, with tensors already in memory."""
    x, y = tensor_of(images), torch.from_numpy(np.stack(masks)).float()[:, None]
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    module.train()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for first in range(0, len(x), batch_size):
            chosen = order[first : first + batch_size]
            loss = loss_of(module(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def loss_of(logits, y):
    """Binary cross-entropy plus Dice."""
    p = logits.sigmoid()
    dice = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, y) + dice


class Network:
    """The network of a model's file, for images of three channels and two classes."""

    train = staticmethod(train)

    def __init__(self, path):
        # as a plain script would have it: maskr orders weights anew
        self.module = storage.load(path).module.to(memory_format=torch.contiguous_format)

    def predict(self, images):
        """Class ids `[H, W]` of each image, as a plain script would do it."""
        return list((self.logits(images) >= 0)[:, 0].int().numpy())

    def predict_each(self, images):
        """As `predict()`, one image after the other."""
        return [self.predict([image])[0] for image in images]

    def logits(self, images):
        self.module.eval()
        with torch.no_grad():
            out = self.module(tensor_of(images))
        return out["out"] if isinstance(out, dict) else out

    def fit(self, images, masks, epochs, batch_size):
        """Train a copy."""
        self.train(copy.deepcopy(self.module), images, masks, int(epochs), int(batch_size))

    def learn(self, train, valid, epochs, batch_size, seed):
        """Train the network itself, and score it: Dice over all pixels of the validation images."""
        torch.manual_seed(int(seed))
        self.train(self.module, train["images"], train["masks"], int(epochs), int(batch_size))
        found, truth = np.stack(self.predict(valid["images"])), np.stack(valid["masks"])
        return float(2 * (found * truth).sum() / (found.sum() + truth.sum()))
