"""The peer of bench/fit.R: the same training by Lightning's Trainer at its defaults."""

import logging
import tempfile
import warnings

import lightning
import numpy as np
import peers_torch
import torch
from torch.utils.data import DataLoader, TensorDataset


class Segmenter(lightning.LightningModule):
    """Binary cross-entropy plus Dice by Adam, on a network that returns logits."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def training_step(self, batch, _):
        x, y = batch
        return peers_torch.loss_of(self.module(x), y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.module.parameters(), lr=1e-3)


def train(module, images, masks, epochs, batch_size):
    """Train with tensors already in memory; nothing is logged or written."""
    x, y = peers_torch.tensor_of(images), torch.from_numpy(np.stack(masks)).float()[:, None]
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
        )  # fmt: skip
        trainer.fit(Segmenter(module), DataLoader(TensorDataset(x, y), batch_size, shuffle=True))


class Network(peers_torch.Network):
    """The network of a model's file, trained by Lightning."""

    train = staticmethod(train)
