"""The peers of bench/predict.R and bench/fit.R: plain eager PyTorch on the same U-Net."""

import numpy as np
import torch
import torch.nn.functional as F


def predict(module, images):
    """Class ids `[H, W]` of equally large images `[H, W, C]`, as a plain script would do it."""
    x = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2)).float()
    module.eval()
    with torch.no_grad():
        return list((module(x).sigmoid()[:, 0] >= 0.5).int().numpy())


def probabilities(module, images):
    """The foreground's probabilities `[H, W]` of each image."""
    x = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2)).float()
    module.eval()
    with torch.no_grad():
        return list(module(x).sigmoid()[:, 0].numpy())


def fit(module, images, masks, epochs, batch_size):
    """Train by Adam on binary cross-entropy plus Dice, with tensors already in memory."""
    x = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2)).float()
    y = torch.from_numpy(np.stack(masks)).float()[:, None]
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    module.train()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for first in range(0, len(x), batch_size):
            chosen = order[first : first + batch_size]
            logits = module(x[chosen])
            p = logits.sigmoid()
            dice = 1 - (2 * (p * y[chosen]).sum() + 1) / (p.sum() + y[chosen].sum() + 1)
            loss = F.binary_cross_entropy_with_logits(logits, y[chosen]) + dice
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()
