"""The peer of bench/fit.R: the same training by Lightning's Trainer at its defaults."""

import logging
import tempfile
import warnings

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class Segmenter(lightning.LightningModule):
    """Binary cross-entropy plus Dice by Adam, on a network that returns logits."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def training_step(self, batch, _):
        x, y = batch
        logits = self.module(x)
        p = logits.sigmoid()
        dice = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
        return F.binary_cross_entropy_with_logits(logits, y) + dice

    def configure_optimizers(self):
        return torch.optim.Adam(self.module.parameters(), lr=1e-3)


def fit(module, images, masks, epochs, batch_size, precision="32-true"):
    """Train with tensors already in memory; nothing is logged or written."""
    x = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2)).float()
    y = torch.from_numpy(np.stack(masks)).float()[:, None]
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", precision=precision, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            default_root_dir=folder,
        )  # fmt: skip
        trainer.fit(Segmenter(module), DataLoader(TensorDataset(x, y), batch_size, shuffle=True))
